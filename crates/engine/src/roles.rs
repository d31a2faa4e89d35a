//! The roles that every data folder has: who may do what before an operator makes roles of their own.

use identities::Permission::{self, *};

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "Administrator";

/// The roles every data folder has, brought up to date at each start.
pub const BUILT_IN_ROLES: [(&str, &[Permission]); 4] = [
    (ADMINISTRATOR, Permission::ALL),
    (
        // A door: sends faces and reads what the include switches may ask for; it can neither enrol nor browse.
        "Edge Publisher",
        &[FacePublishing, FaceRecognize, ReadAliases, ReadAddresses, ReadTags, ReadEntityFields],
    ),
    (
        // A reception desk or an import: puts people in and looks after their records.
        "Enroller",
        &[
            FaceEnrollment,
            FaceDetection,
            ReadAllIdentity,
            MutateAllIdentity,
            AddIdentityFiles,
            ReadIdentityFiles,
            ReadTagDefinitions,
            AddTags,
        ],
    ),
    ("Viewer", &[ReadAllIdentity, ReadIdentityFiles, ReadDetections, ReadTagDefinitions]),
];
