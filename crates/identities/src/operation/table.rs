//! The rows of the table of operations, in the order of the contract.
//!
//! In: nothing. Out: a constant per operation, and [`ALL`] of them.

use super::Access::{Anonymous, AnyOf};
use super::Content::{Bytes, Form, Json, List};
use super::{Fault, Method, Operation, Parameter};
use crate::permission::Permission::*;

/// Makes a constant of every row, and the list of all of them. A row reads
/// `NAME = METHOD "path" "id", "summary", then the properties of the operation that are special;`.
macro_rules! operations {
    ($($group:literal {
        $($name:ident = $method:ident $path:literal $id:literal, $summary:literal $(, $property:ident: $value:expr)*;)*
    })*) => {
        $($(
            #[doc = concat!($summary, ".")]
            pub const $name: Operation = Operation {
                id: $id,
                summary: $summary,
                group: $group,
                method: &Method::$method,
                path: $path,
                $($property: $value,)*
                ..super::PLAIN
            };
        )*)*
        /// Every operation of the contract.
        pub const ALL: &[Operation] = &[$($($name),*),*];
    };
}

operations! {
    "Authentication" {
        AUTHENTICATE = POST "/api/v1/authenticate" "authenticate",
            "Log in with user name and password; the answer holds a token", access: Anonymous,
            request: Json("AuthenticateRequest"), answer: Json("AuthenticateResponse");
        RENEW_TOKEN = GET "/api/v1/renewToken" "renewToken", "Swap a token for a newer one",
            answer: Json("AuthenticateResponse"), refuses_input: false;
        USER_PROFILE = GET "/auth/v1/user/profile" "getUserProfile", "Whom the token belongs to",
            answer: Json("UserProfile"), refuses_input: false;
    }

    "Face edge" {
        PUBLISH_WITH_RESPONSE = POST "/api/v1/faceEdge/publishWithResponse" "faceEdgePublishWithResponse",
            "Send what a detector sees and learn who it is", access: AnyOf(&[FacePublishing]),
            request: Json("FaceEdgeRecognizeWithOptions"), answer: Json("FaceEdgePublishResponse"), excerpted: true,
            fault: Fault::Passing;
        PUBLISH = POST "/api/v1/faceEdge/publish" "faceEdgePublish", "Send what a detector sees, for the history",
            access: AnyOf(&[FacePublishing]), request: Json("FaceEdgePublishRequest"), fault: Fault::Passing;
        RECOGNIZE = POST "/api/v1/faceEdge/recognize" "faceEdgeRecognize",
            "Whose face this is; 404 when nobody matches", access: AnyOf(&[FaceRecognize]),
            request: Json("FaceEdgeRecognizeRequest"), answer: Json("EdgePerson"), excerpted: true,
            missing: Some("match");
        LOOKUP = POST "/api/v1/faceEdge/lookup" "faceEdgeLookup",
            "Whose face this is, sent as a form; 404 when nobody matches", access: AnyOf(&[FaceRecognize]),
            request: Form("FaceEdgeLookupForm"), answer: Json("EdgePerson"), excerpted: true, missing: Some("match");
    }

    "Faces" {
        FACE_ENROLL = POST "/api/v1/faces/faceEnroll" "faceEnroll",
            "Enrol a face as a new person, or as another photo of a known one", access: AnyOf(&[FaceEnrollment]),
            query: &[Parameter::id("personId"), Parameter { name: "forceEnrollment", schema: NO }],
            request: Json("FaceEnrollRequest"), answer: Json("FaceEnrollResponse"), missing: Some("person"),
            fault: Fault::PictureTurnedDown;
        FACE_DETECT = POST "/api/v1/faces/faceDetect" "faceDetect", "All faces of a picture, and whose they are",
            access: AnyOf(&[FaceDetection]), request: Json("FaceDetectRequest"), answer: Json("FaceDetectResponse"),
            fault: Fault::PictureTurnedDown;
        FACE_COMPARE = POST "/api/v1/faces/faceCompare" "faceCompare", "Whether two pictures show one person",
            access: AnyOf(&[FaceDetection]), request: Json("FaceCompareRequest"), answer: Json("FaceCompareResponse"),
            fault: Fault::PictureTurnedDown;
        CHECK_IMAGE_REFERENCE = GET "/api/v1/faces/checkImageReference/{referenceId}" "checkImageReference",
            "Whether a photo of this reference is enrolled", access: AnyOf(&[FaceDetection, FaceEnrollment]),
            answer: Json("CheckImageReferenceResponse"), refuses_input: false, fault: Fault::Passing;
    }

    "People" {
        SEARCH_PEOPLE = GET "/api/v1/people" "searchPeople", "Everybody with a tag, or with a custom field",
            access: AnyOf(&[ReadAllIdentity]),
            query: &[
                Parameter::id("tagId"),
                Parameter::text("entityFieldName"),
                Parameter { name: "entityFieldStringValue", schema: r#"{"type": "string"}"# },
            ],
            answer: List("IdentityPersonItem"), answer_bytes: LIST_BYTES;
        FIND_PEOPLE = GET "/api/v1/people/entityField/{fieldName}/entityValue/{fieldValue}" "findPeopleByEntityField",
            "Everybody whose custom field has this value", access: AnyOf(&[ReadAllIdentity]),
            answer: List("IdentityPersonItem"), answer_bytes: LIST_BYTES, refuses_input: false;
        GET_PERSON = GET "/api/v1/people/{personId}" "getPerson", "A person's record",
            access: AnyOf(&[ReadAllIdentity]), answer: Json("IdentityPersonItem"), missing: Some("person");
    }

    "Parts of a person" {
        LIST_ALIASES = GET "/api/v1/people/{personId}/aliases" "listPersonAliases", "A person's names",
            access: AnyOf(&[ReadAllIdentity, ReadAliases]), answer: List("PersonAlias"), missing: Some("person");
        PUT_ALIAS = PUT "/api/v1/people/{personId}/aliases" "upsertPersonAlias", "Add or change a name",
            access: AnyOf(&[MutateAllIdentity, MutateAliases]), request: Json("PersonAlias"),
            answer: Json("PersonAlias"), missing: Some("person");
        DELETE_ALIAS = DELETE "/api/v1/people/{personId}/aliases/{aliasId}" "deletePersonAlias", "Delete a name",
            access: AnyOf(&[MutateAllIdentity, MutateAliases]), missing: Some("alias");
        LIST_PERSON_TAGS = GET "/api/v1/people/{personId}/tags" "listPersonTags", "The tags a person carries now",
            access: AnyOf(&[ReadAllIdentity, ReadTags]), query: &[Parameter::text("tagName")],
            answer: List("PersonTag"), missing: Some("person");
        PUT_PERSON_TAG = PUT "/api/v1/people/{personId}/tags" "upsertPersonTag", "Give a tag, or change when it lapses",
            access: AnyOf(&[MutateAllIdentity, MutateTags]), request: Json("PersonTagUpsert"),
            answer: Json("PersonTag"), missing: Some("person or tag");
        DELETE_PERSON_TAG = DELETE "/api/v1/people/{personId}/tags/{personTagId}" "deletePersonTag", "Take a tag off",
            access: AnyOf(&[MutateAllIdentity, MutateTags]), missing: Some("tag on the person");
        LIST_NOTES = GET "/api/v1/people/{personId}/notes" "listPersonNotes", "The notes about a person",
            access: AnyOf(&[ReadAllIdentity, ReadNotes]), answer: List("PersonNote"), missing: Some("person");
        PUT_NOTE = PUT "/api/v1/people/{personId}/notes" "upsertPersonNote", "Add or change a note",
            access: AnyOf(&[MutateAllIdentity, MutateNotes]), request: Json("PersonNote"), answer: Json("PersonNote"),
            missing: Some("person");
        DELETE_NOTE = DELETE "/api/v1/people/{personId}/notes/{noteId}" "deletePersonNote", "Delete a note",
            access: AnyOf(&[MutateAllIdentity, MutateNotes]), missing: Some("note");
        PUT_ADDRESS = PUT "/api/v1/people/{personId}/addresses" "upsertPersonAddress", "Add or change an address",
            access: AnyOf(&[MutateAllIdentity, MutateAddresses]), request: Json("PersonAddress"),
            answer: Json("PersonAddress"), missing: Some("person");
        LIST_FIELDS = GET "/api/v1/people/{personId}/entityFields" "listPersonEntityFields", "A person's custom fields",
            access: AnyOf(&[ReadAllIdentity, ReadEntityFields]), query: &[Parameter::text("fieldName")],
            answer: List("EntityField"), missing: Some("person");
        PUT_FIELD = PUT "/api/v1/people/{personId}/entityFields" "upsertPersonEntityField", "Set a custom field",
            access: AnyOf(&[MutateAllIdentity, MutateEntityFields]), request: Json("EntityField"),
            answer: Json("EntityField"), missing: Some("person");
        DELETE_FIELD = DELETE "/api/v1/people/{personId}/entityFields/{entityId}" "deletePersonEntityField",
            "Delete a custom field", access: AnyOf(&[MutateAllIdentity, MutateEntityFields]), missing: Some("field");
    }

    "Photos and documents" {
        ENROLLMENT_PHOTO = GET "/api/v1/people/enrollmentPhoto/{faceId}" "getEnrollmentPhoto",
            "The photo a face was enrolled from", answer: Bytes("image/jpeg"), refuses_input: false,
            missing: Some("photo");
        DETECTION_PHOTO = GET "/api/v1/people/detectionPhoto/{faceId}/{detectionId}" "getDetectionPhoto",
            "The picture of a sighting", answer: Bytes("image/jpeg"), refuses_input: false, missing: Some("photo");
        UPLOAD_DOCUMENT = POST "/api/v1/people/fileDocuments/upload" "uploadFileDocument", "Attach a file to a person",
            access: AnyOf(&[AddIdentityFiles]), request: Form("FileDocumentUploadForm"), missing: Some("person");
        DOWNLOAD_DOCUMENT = GET "/api/v1/people/{personId}/fileDocuments/{documentId}/data" "downloadFileDocument",
            "A file as it was uploaded", access: AnyOf(&[ReadIdentityFiles]), answer: Bytes("application/octet-stream"),
            missing: Some("document");
    }

    "Tags" {
        LIST_TAGS = GET "/api/v1/Tags" "listTags", "The definitions of tags", access: AnyOf(&[ReadTagDefinitions]),
            query: &[Parameter::text("tagName")], answer: List("Tag"), answer_bytes: LIST_BYTES;
        CREATE_TAG = POST "/api/v1/Tags" "createTag", "Define a tag", access: AnyOf(&[AddTags]),
            request: Json("TagWrite"), answer: Json("Tag");
        GET_TAG = GET "/api/v1/Tags/{tagId}" "getTag", "The definition of a tag", access: AnyOf(&[ReadTagDefinitions]),
            answer: Json("Tag"), missing: Some("tag");
        UPDATE_TAG = PUT "/api/v1/Tags/{tagId}" "updateTag", "Replace the definition of a tag",
            access: AnyOf(&[EditTags]), request: Json("TagWrite"), answer: Json("Tag"), missing: Some("tag");
        DELETE_TAG = DELETE "/api/v1/Tags/{tagId}" "deleteTag", "Delete a tag, and take it off everybody",
            access: AnyOf(&[DeleteTags]), missing: Some("tag");
    }

    "Detections" {
        DETECTIONS_OF_FACE = GET "/api/v1/people/detections/faceId/{faceId}" "listDetectionsByFace",
            "Where a face was seen", access: AnyOf(&[ReadDetections]), query: PAGE, answer: List("DetectionItem"),
            answer_bytes: LIST_BYTES;
        DETECTIONS_OF_PERSON = GET "/api/v1/people/detections/personId/{personId}" "listDetectionsByPerson",
            "Where a person was seen", access: AnyOf(&[ReadDetections]), query: PAGE, answer: List("DetectionItem"),
            answer_bytes: LIST_BYTES;
    }

    "Settings of fields" {
        CONFIGURE_STRING_FIELD = PUT "/api/v1/EntityFieldSettings/{entityType}/stringField/{fieldId}"
            "configureStringField", "Define a custom field of text", access: AnyOf(&[MutateAllIdentity]),
            request: Json("StringFieldSetting"), missing: Some("field");
        CONFIGURE_DATETIME_FIELD = PUT "/api/v1/EntityFieldSettings/{entityType}/datetimeField/{fieldId}"
            "configureDatetimeField", "Define a custom field of times", access: AnyOf(&[MutateAllIdentity]),
            request: Json("DatetimeFieldSetting"), missing: Some("field");
    }
}

/// The largest list of people, or of detections with their pictures, in bytes.
const LIST_BYTES: usize = 64 << 20;

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
