//! What a user may do: the permissions the contract names, in their categories, and the roles every data folder has.
//!
//! In: names as the data folder keeps them. Out: [`Permissions`], a set to ask. It does not know which request needs
//! which permission (the routes say that) nor who holds one (the store does).

/// A named right. Holding any one of those a request lists is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Permission {
    FacePublishing,
    FaceRecognize,
    FaceEnrollment,
    FaceDetection,
    ReadAllIdentity,
    MutateAllIdentity,
    ReadAliases,
    MutateAliases,
    /// Tags people carry; [`Permission::ReadTagDefinitions`] is about the definitions.
    ReadTags,
    MutateTags,
    ReadNotes,
    MutateNotes,
    ReadAddresses,
    MutateAddresses,
    ReadEntityFields,
    MutateEntityFields,
    AddIdentityFiles,
    ReadIdentityFiles,
    ReadDetections,
    ReadTagDefinitions,
    AddTags,
    EditTags,
    DeleteTags,
}

use Permission as P;

const FACES: &str = "Facial Recognition Services";
const IDENTITIES: &str = "Identities";
const TAGS: &str = "Tags";

impl Permission {
    pub const ALL: [Self; 23] = [
        P::FacePublishing,
        P::FaceRecognize,
        P::FaceEnrollment,
        P::FaceDetection,
        P::ReadAllIdentity,
        P::MutateAllIdentity,
        P::ReadAliases,
        P::MutateAliases,
        P::ReadTags,
        P::MutateTags,
        P::ReadNotes,
        P::MutateNotes,
        P::ReadAddresses,
        P::MutateAddresses,
        P::ReadEntityFields,
        P::MutateEntityFields,
        P::AddIdentityFiles,
        P::ReadIdentityFiles,
        P::ReadDetections,
        P::ReadTagDefinitions,
        P::AddTags,
        P::EditTags,
        P::DeleteTags,
    ];

    /// Category and name as the contract writes them; together they are unique (`Read Tags` exists twice).
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            P::FacePublishing => (FACES, "Face Publishing"),
            P::FaceRecognize => (FACES, "Face Recognize"),
            P::FaceEnrollment => (FACES, "Face Enrollment"),
            P::FaceDetection => (FACES, "Face Detection"),
            P::ReadAllIdentity => (IDENTITIES, "Read All Identity"),
            P::MutateAllIdentity => (IDENTITIES, "Mutate All Identity"),
            P::ReadAliases => (IDENTITIES, "Read Aliases"),
            P::MutateAliases => (IDENTITIES, "Mutate Aliases"),
            P::ReadTags => (IDENTITIES, "Read Tags"),
            P::MutateTags => (IDENTITIES, "Mutate Tags"),
            P::ReadNotes => (IDENTITIES, "Read Notes"),
            P::MutateNotes => (IDENTITIES, "Mutate Notes"),
            P::ReadAddresses => (IDENTITIES, "Read Addresses"),
            P::MutateAddresses => (IDENTITIES, "Mutate Addresses"),
            P::ReadEntityFields => (IDENTITIES, "Read Entity Fields"),
            P::MutateEntityFields => (IDENTITIES, "Mutate Entity Fields"),
            P::AddIdentityFiles => (IDENTITIES, "Add Identity Files"),
            P::ReadIdentityFiles => (IDENTITIES, "Read Identity Files"),
            P::ReadDetections => (IDENTITIES, "Read Detections"),
            P::ReadTagDefinitions => (TAGS, "Read Tags"),
            P::AddTags => (TAGS, "Add Tags"),
            P::EditTags => (TAGS, "Edit Tags"),
            P::DeleteTags => (TAGS, "Delete Tags"),
        }
    }

    /// `Category/Name`.
    pub fn full_name(self) -> String {
        let (category, name) = self.names();
        format!("{category}/{name}")
    }

    /// The permission of this category and name, if there is one.
    pub fn find(category: &str, name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.names() == (category, name))
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.names().1)
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// Whether at least one of `wanted` is in the set.
    pub fn any(self, wanted: &[Permission]) -> bool {
        wanted.iter().any(|permission| self.0 & (1 << *permission as u32) != 0)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | 1 << permission as u32))
    }
}

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "Administrator";

/// The roles every data folder has, brought up to date at each start.
pub const BUILT_IN_ROLES: [(&str, &[Permission]); 4] = [
    (ADMINISTRATOR, &Permission::ALL),
    (
        // A door: sends faces and reads what the include switches may ask for; it can neither enrol nor browse.
        "Edge Publisher",
        &[P::FacePublishing, P::FaceRecognize, P::ReadAliases, P::ReadAddresses, P::ReadTags, P::ReadEntityFields],
    ),
    (
        // A reception desk or an import: puts people in and looks after their records.
        "Enroller",
        &[
            P::FaceEnrollment,
            P::FaceDetection,
            P::ReadAllIdentity,
            P::MutateAllIdentity,
            P::AddIdentityFiles,
            P::ReadIdentityFiles,
            P::ReadTagDefinitions,
            P::AddTags,
        ],
    ),
    ("Viewer", &[P::ReadAllIdentity, P::ReadIdentityFiles, P::ReadDetections, P::ReadTagDefinitions]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_found_by_its_names_and_by_no_others() {
        for permission in Permission::ALL {
            let (category, name) = permission.names();
            assert_eq!(Permission::find(category, name), Some(permission));
        }
        assert_eq!(Permission::find("Tags", "Read Notes"), None);
        assert_ne!(Permission::find("Tags", "Read Tags"), Permission::find("Identities", "Read Tags"));
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for held in Permission::ALL {
            let set: Permissions = [held].into_iter().collect();
            for asked in Permission::ALL {
                assert_eq!(set.any(&[asked]), asked == held, "{held} and {asked}");
            }
        }
        assert!(!Permissions::default().any(&Permission::ALL));
        assert!(!Permission::ALL.into_iter().collect::<Permissions>().any(&[]));
    }
}
