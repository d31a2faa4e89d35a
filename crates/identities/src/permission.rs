//! The permissions of the API: what an administrator may let a role do, in the contract's own words.
//!
//! In: nothing, or a permission's category and name as somebody wrote them. Out: [`Permission`]. Which operation needs
//! which permission stands in the [table of operations](crate::operation); who holds one is the engine's business.

/// Makes the enum, the list of all permissions and their names from one row each: variant, category, name.
macro_rules! permissions {
    ($($permission:ident $category:literal $name:literal;)*) => {
        /// A right that an administrator gives to roles. A caller needs any one of those an operation lists. It is
        /// shown as `Category/Name`, which is unique.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, derive_more::Display)]
        #[display("{}/{}", self.category(), self.name())]
        pub enum Permission {
            $(#[doc = concat!("`", $name, "`, in the category `", $category, "`.")] $permission,)*
        }

        impl Permission {
            /// Every permission of the contract.
            pub const ALL: &[Self] = &[$(Self::$permission),*];

            /// The category the web application shows the permission in.
            pub const fn category(self) -> &'static str {
                match self { $(Self::$permission => $category,)* }
            }

            /// The permission's name, which is unique within its category only: `Read Tags` exists in two.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$permission => $name,)* }
            }
        }
    };
}

permissions! {
    FacePublishing "Facial Recognition Services" "Face Publishing";
    FaceRecognize "Facial Recognition Services" "Face Recognize";
    FaceEnrollment "Facial Recognition Services" "Face Enrollment";
    FaceDetection "Facial Recognition Services" "Face Detection";
    ReadAllIdentity "Identities" "Read All Identity";
    MutateAllIdentity "Identities" "Mutate All Identity";
    ReadAliases "Identities" "Read Aliases";
    MutateAliases "Identities" "Mutate Aliases";
    ReadTags "Identities" "Read Tags";
    MutateTags "Identities" "Mutate Tags";
    ReadNotes "Identities" "Read Notes";
    MutateNotes "Identities" "Mutate Notes";
    ReadAddresses "Identities" "Read Addresses";
    MutateAddresses "Identities" "Mutate Addresses";
    ReadEntityFields "Identities" "Read Entity Fields";
    MutateEntityFields "Identities" "Mutate Entity Fields";
    AddIdentityFiles "Identities" "Add Identity Files";
    ReadIdentityFiles "Identities" "Read Identity Files";
    ReadDetections "Identities" "Read Detections";
    ReadTagDefinitions "Tags" "Read Tags";
    AddTags "Tags" "Add Tags";
    EditTags "Tags" "Edit Tags";
    DeleteTags "Tags" "Delete Tags";
}

impl Permission {
    /// The permission of this category and name, if the contract has one.
    pub fn find(category: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.category() == category && permission.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_found_by_its_names_and_by_no_others() {
        for permission in Permission::ALL {
            assert_eq!(Permission::find(permission.category(), permission.name()), Some(*permission));
        }
        assert_eq!(Permission::find("Tags", "Read Notes"), None);
        assert_ne!(Permission::find("Tags", "Read Tags"), Permission::find("Identities", "Read Tags"));
        assert_eq!(Permission::ReadTagDefinitions.to_string(), "Tags/Read Tags");
    }
}
