//! The rows of the table of operations, in the order of the contract.
//!
//! In: nothing. Out: a constant per operation, and [`ALL`] of them.

use super::{Fault, Operation, Parameter, Verb};
use crate::permission::Permission::*;

/// Makes a constant of every row, and the list of all of them. A row reads
/// `NAME = Verb "path" "id", "summary", then what is special about the operation;`.
macro_rules! operations {
    ($($group:literal {
        $($name:ident = $verb:ident $path:literal $id:literal, $summary:literal $(, $change:ident($($value:expr)?))*;)*
    })*) => {
        $($(
            #[doc = concat!($summary, ".")]
            pub const $name: Operation =
                Operation::new($id, $summary, $group, Verb::$verb, $path)$(.$change($($value)?))*;
        )*)*
        /// Every operation of the contract.
        pub const ALL: &[Operation] = &[$($($name),*),*];
    };
}

operations! {
    "Authentication" {
        AUTHENTICATE = Post "/api/v1/authenticate" "authenticate",
            "Log in with user name and password; the answer holds a token",
            anonymous(), takes("AuthenticateRequest"), gives("AuthenticateResponse");
        RENEW_TOKEN = Get "/api/v1/renewToken" "renewToken", "Swap a token for a newer one",
            gives("AuthenticateResponse"), takes_any_input();
        USER_PROFILE = Get "/auth/v1/user/profile" "getUserProfile", "Whom the token belongs to",
            gives("UserProfile"), takes_any_input();
    }

    "Face edge" {
        PUBLISH_WITH_RESPONSE = Post "/api/v1/faceEdge/publishWithResponse" "faceEdgePublishWithResponse",
            "Send what a detector sees and learn who it is",
            any_of(&[FacePublishing]), takes("FaceEdgeRecognizeWithOptions"), gives("FaceEdgePublishResponse"),
            fault(Fault::Passing);
        PUBLISH = Post "/api/v1/faceEdge/publish" "faceEdgePublish", "Send what a detector sees, for the history",
            any_of(&[FacePublishing]), takes("FaceEdgePublishRequest"), fault(Fault::Passing);
        RECOGNIZE = Post "/api/v1/faceEdge/recognize" "faceEdgeRecognize",
            "Whose face this is; 404 when nobody matches",
            any_of(&[FaceRecognize]), takes("FaceEdgeRecognizeRequest"), gives("EdgePerson"), missing("match");
        LOOKUP = Post "/api/v1/faceEdge/lookup" "faceEdgeLookup",
            "Whose face this is, sent as a form; 404 when nobody matches",
            any_of(&[FaceRecognize]), takes_form("FaceEdgeLookupForm"), gives("EdgePerson"), missing("match");
    }

    "Faces" {
        FACE_ENROLL = Post "/api/v1/faces/faceEnroll" "faceEnroll",
            "Enrol a face as a new person, or as another photo of a known one",
            any_of(&[FaceEnrollment]),
            query(&[Parameter::id("personId"), Parameter { name: "forceEnrollment", schema: NO }]),
            takes("FaceEnrollRequest"), gives("FaceEnrollResponse"), missing("person"),
            fault(Fault::PictureTurnedDown);
        FACE_DETECT = Post "/api/v1/faces/faceDetect" "faceDetect", "All faces of a picture, and whose they are",
            any_of(&[FaceDetection]), takes("FaceDetectRequest"), gives("FaceDetectResponse"),
            fault(Fault::PictureTurnedDown);
        FACE_COMPARE = Post "/api/v1/faces/faceCompare" "faceCompare", "Whether two pictures show one person",
            any_of(&[FaceDetection]), takes("FaceCompareRequest"), gives("FaceCompareResponse"),
            fault(Fault::PictureTurnedDown);
        CHECK_IMAGE_REFERENCE = Get "/api/v1/faces/checkImageReference/{referenceId}" "checkImageReference",
            "Whether a photo of this reference is enrolled",
            any_of(&[FaceDetection, FaceEnrollment]), gives("CheckImageReferenceResponse"), takes_any_input(),
            fault(Fault::Passing);
    }

    "People" {
        SEARCH_PEOPLE = Get "/api/v1/people" "searchPeople", "Everybody with a tag, or with a custom field",
            any_of(&[ReadAllIdentity]),
            query(&[
                Parameter::id("tagId"),
                Parameter::text("entityFieldName"),
                Parameter { name: "entityFieldStringValue", schema: r#"{"type": "string"}"# },
            ]),
            lists_many("IdentityPersonItem");
        FIND_PEOPLE = Get "/api/v1/people/entityField/{fieldName}/entityValue/{fieldValue}" "findPeopleByEntityField",
            "Everybody whose custom field has this value",
            any_of(&[ReadAllIdentity]), lists_many("IdentityPersonItem"), takes_any_input();
        GET_PERSON = Get "/api/v1/people/{personId}" "getPerson", "A person's record",
            any_of(&[ReadAllIdentity]), gives("IdentityPersonItem"), missing("person");
    }

    "Parts of a person" {
        LIST_ALIASES = Get "/api/v1/people/{personId}/aliases" "listPersonAliases", "A person's names",
            any_of(&[ReadAllIdentity, ReadAliases]), lists("PersonAlias"), missing("person");
        PUT_ALIAS = Put "/api/v1/people/{personId}/aliases" "upsertPersonAlias", "Add or change a name",
            any_of(&[MutateAllIdentity, MutateAliases]), takes("PersonAlias"), gives("PersonAlias"), missing("person");
        DELETE_ALIAS = Delete "/api/v1/people/{personId}/aliases/{aliasId}" "deletePersonAlias", "Delete a name",
            any_of(&[MutateAllIdentity, MutateAliases]), missing("alias");
        LIST_PERSON_TAGS = Get "/api/v1/people/{personId}/tags" "listPersonTags", "The tags a person carries now",
            any_of(&[ReadAllIdentity, ReadTags]), query(&[Parameter::text("tagName")]), lists("PersonTag"),
            missing("person");
        PUT_PERSON_TAG = Put "/api/v1/people/{personId}/tags" "upsertPersonTag", "Give a tag, or change when it lapses",
            any_of(&[MutateAllIdentity, MutateTags]), takes("PersonTagUpsert"), gives("PersonTag"),
            missing("person or tag");
        DELETE_PERSON_TAG = Delete "/api/v1/people/{personId}/tags/{personTagId}" "deletePersonTag", "Take a tag off",
            any_of(&[MutateAllIdentity, MutateTags]), missing("tag on the person");
        LIST_NOTES = Get "/api/v1/people/{personId}/notes" "listPersonNotes", "The notes about a person",
            any_of(&[ReadAllIdentity, ReadNotes]), lists("PersonNote"), missing("person");
        PUT_NOTE = Put "/api/v1/people/{personId}/notes" "upsertPersonNote", "Add or change a note",
            any_of(&[MutateAllIdentity, MutateNotes]), takes("PersonNote"), gives("PersonNote"), missing("person");
        DELETE_NOTE = Delete "/api/v1/people/{personId}/notes/{noteId}" "deletePersonNote", "Delete a note",
            any_of(&[MutateAllIdentity, MutateNotes]), missing("note");
        PUT_ADDRESS = Put "/api/v1/people/{personId}/addresses" "upsertPersonAddress", "Add or change an address",
            any_of(&[MutateAllIdentity, MutateAddresses]), takes("PersonAddress"), gives("PersonAddress"),
            missing("person");
        LIST_FIELDS = Get "/api/v1/people/{personId}/entityFields" "listPersonEntityFields", "A person's custom fields",
            any_of(&[ReadAllIdentity, ReadEntityFields]), query(&[Parameter::text("fieldName")]), lists("EntityField"),
            missing("person");
        PUT_FIELD = Put "/api/v1/people/{personId}/entityFields" "upsertPersonEntityField", "Set a custom field",
            any_of(&[MutateAllIdentity, MutateEntityFields]), takes("EntityField"), gives("EntityField"),
            missing("person");
        DELETE_FIELD = Delete "/api/v1/people/{personId}/entityFields/{entityId}" "deletePersonEntityField",
            "Delete a custom field",
            any_of(&[MutateAllIdentity, MutateEntityFields]), missing("field");
    }

    "Photos and documents" {
        ENROLLMENT_PHOTO = Get "/api/v1/people/enrollmentPhoto/{faceId}" "getEnrollmentPhoto",
            "The photo a face was enrolled from",
            gives_bytes("image/jpeg"), takes_any_input(), missing("photo");
        DETECTION_PHOTO = Get "/api/v1/people/detectionPhoto/{faceId}/{detectionId}" "getDetectionPhoto",
            "The picture of a sighting",
            gives_bytes("image/jpeg"), takes_any_input(), missing("photo");
        UPLOAD_DOCUMENT = Post "/api/v1/people/fileDocuments/upload" "uploadFileDocument", "Attach a file to a person",
            any_of(&[AddIdentityFiles]), takes_form("FileDocumentUploadForm"), missing("person");
        DOWNLOAD_DOCUMENT = Get "/api/v1/people/{personId}/fileDocuments/{documentId}/data" "downloadFileDocument",
            "A file as it was uploaded",
            any_of(&[ReadIdentityFiles]), gives_bytes("application/octet-stream"), missing("document");
    }

    "Tags" {
        LIST_TAGS = Get "/api/v1/Tags" "listTags", "The definitions of tags",
            any_of(&[ReadTagDefinitions]), query(&[Parameter::text("tagName")]), lists_many("Tag");
        CREATE_TAG = Post "/api/v1/Tags" "createTag", "Define a tag",
            any_of(&[AddTags]), takes("TagWrite"), gives("Tag");
        GET_TAG = Get "/api/v1/Tags/{tagId}" "getTag", "The definition of a tag",
            any_of(&[ReadTagDefinitions]), gives("Tag"), missing("tag");
        UPDATE_TAG = Put "/api/v1/Tags/{tagId}" "updateTag", "Replace the definition of a tag",
            any_of(&[EditTags]), takes("TagWrite"), gives("Tag"), missing("tag");
        DELETE_TAG = Delete "/api/v1/Tags/{tagId}" "deleteTag", "Delete a tag, and take it off everybody",
            any_of(&[DeleteTags]), missing("tag");
    }

    "Detections" {
        DETECTIONS_OF_FACE = Get "/api/v1/people/detections/faceId/{faceId}" "listDetectionsByFace",
            "Where a face was seen",
            any_of(&[ReadDetections]), query(PAGE), lists_many("DetectionItem");
        DETECTIONS_OF_PERSON = Get "/api/v1/people/detections/personId/{personId}" "listDetectionsByPerson",
            "Where a person was seen",
            any_of(&[ReadDetections]), query(PAGE), lists_many("DetectionItem");
    }

    "Settings of fields" {
        CONFIGURE_STRING_FIELD = Put "/api/v1/EntityFieldSettings/{entityType}/stringField/{fieldId}"
            "configureStringField", "Define a custom field of text",
            any_of(&[MutateAllIdentity]), takes("StringFieldSetting"), missing("field");
        CONFIGURE_DATETIME_FIELD = Put "/api/v1/EntityFieldSettings/{entityType}/datetimeField/{fieldId}"
            "configureDatetimeField", "Define a custom field of times",
            any_of(&[MutateAllIdentity]), takes("DatetimeFieldSetting"), missing("field");
    }
}

const NO: &str = r#"{"type": "boolean", "default": false}"#;
const EPOCH: &str = r#"{"type": "integer", "format": "int64", "minimum": 0, "maximum": 253402300799999}"#;

/// The parameters of a list that is read page by page.
const PAGE: &[Parameter] = &[
    Parameter { name: "skip", schema: r#"{"type": "integer", "format": "int32", "minimum": 0, "default": 0}"# },
    Parameter { name: "take", schema: r#"{"type": "integer", "format": "int32", "minimum": 0, "default": 10}"# },
    Parameter { name: "epochStartMs", schema: EPOCH },
    Parameter { name: "epochEndMs", schema: EPOCH },
    Parameter { name: "dateAscending", schema: r#"{"type": "boolean", "default": true}"# },
];
