//! What the operations' table does not say of an operation: what it is for, its query, its body and its answer.
//!
//! In: nothing. Out: one row per operation. The shapes are named as in `schemas.json`.

/// What goes into an operation.
pub enum Body {
    None,
    Json(&'static str),
    Form(&'static str),
}

/// What comes out of one that succeeds.
pub enum Answer {
    Empty,
    Json(&'static str),
    List(&'static str),
    Bytes(&'static str),
}

/// A parameter of the query: its name, and its schema as JSON.
pub type Parameter = (&'static str, &'static str);

/// An operation of the contract, by its id.
pub struct Described {
    pub id: &'static str,
    pub group: &'static str,
    pub summary: &'static str,
    pub query: &'static [Parameter],
    pub body: Body,
    pub answer: Answer,
}

/// Operations of the contract that have no bad input.
pub const WITHOUT_400: [&str; 6] = [
    "renewToken",
    "getUserProfile",
    "checkImageReference",
    "findPeopleByEntityField",
    "getEnrollmentPhoto",
    "getDetectionPhoto",
];

/// Operations of the contract that name a fault: theirs, or that of a picture that cannot be used.
pub const WITH_500: [&str; 6] = [
    "faceEdgePublishWithResponse",
    "faceEdgePublish",
    "faceEnroll",
    "faceDetect",
    "faceCompare",
    "checkImageReference",
];

const TEXT: &str = r#"{"type": "string", "minLength": 1}"#;
const ID: &str = r#"{"type": "string", "format": "uuid"}"#;
const NO: &str = r#"{"type": "boolean", "default": false}"#;
const EPOCH: &str = r#"{"type": "integer", "format": "int64", "minimum": 0, "maximum": 253402300799999}"#;
const PAGE: &[Parameter] = &[
    ("skip", r#"{"type": "integer", "format": "int32", "minimum": 0, "default": 0}"#),
    ("take", r#"{"type": "integer", "format": "int32", "minimum": 0, "default": 10}"#),
    ("epochStartMs", EPOCH),
    ("epochEndMs", EPOCH),
    ("dateAscending", r#"{"type": "boolean", "default": true}"#),
];

/// Makes a [`Described`] of every row: group, id, summary, query, body, answer.
macro_rules! described {
    ($($group:literal $id:literal $summary:literal $query:expr, $body:expr => $answer:expr;)*) => {
        /// Every operation of the contract.
        pub const DESCRIBED: &[Described] = &[$(
            Described { id: $id, group: $group, summary: $summary, query: $query, body: $body, answer: $answer }
        ),*];
    };
}

described! {
    "Authentication" "authenticate" "Log in with user name and password; the answer holds a token"
        &[], Body::Json("AuthenticateRequest") => Answer::Json("AuthenticateResponse");
    "Authentication" "renewToken" "Swap a token for a newer one" &[], Body::None => Answer::Json("AuthenticateResponse");
    "Authentication" "getUserProfile" "Whom the token belongs to" &[], Body::None => Answer::Json("UserProfile");

    "Face edge" "faceEdgePublishWithResponse" "Send what a detector sees and learn who it is"
        &[], Body::Json("FaceEdgeRecognizeWithOptions") => Answer::Json("FaceEdgePublishResponse");
    "Face edge" "faceEdgePublish" "Send what a detector sees, for the history"
        &[], Body::Json("FaceEdgePublishRequest") => Answer::Empty;
    "Face edge" "faceEdgeRecognize" "Whose face this is; 404 when nobody matches"
        &[], Body::Json("FaceEdgeRecognizeRequest") => Answer::Json("EdgePerson");
    "Face edge" "faceEdgeLookup" "Whose face this is, sent as a form; 404 when nobody matches"
        &[], Body::Form("FaceEdgeLookupForm") => Answer::Json("EdgePerson");

    "Faces" "faceEnroll" "Enrol a face as a new person, or as another photo of a known one"
        &[("personId", ID), ("forceEnrollment", NO)], Body::Json("FaceEnrollRequest") => Answer::Json("FaceEnrollResponse");
    "Faces" "faceDetect" "All faces of a picture, and whose they are"
        &[], Body::Json("FaceDetectRequest") => Answer::Json("FaceDetectResponse");
    "Faces" "faceCompare" "Whether two pictures show one person"
        &[], Body::Json("FaceCompareRequest") => Answer::Json("FaceCompareResponse");
    "Faces" "checkImageReference" "Whether a photo of this reference is enrolled"
        &[], Body::None => Answer::Json("CheckImageReferenceResponse");

    "People" "searchPeople" "Everybody with a tag, or with a custom field"
        &[("tagId", ID), ("entityFieldName", TEXT), ("entityFieldStringValue", r#"{"type": "string"}"#)], Body::None
        => Answer::List("IdentityPersonItem");
    "People" "findPeopleByEntityField" "Everybody whose custom field has this value"
        &[], Body::None => Answer::List("IdentityPersonItem");
    "People" "getPerson" "A person's record" &[], Body::None => Answer::Json("IdentityPersonItem");

    "Parts of a person" "listPersonAliases" "A person's names" &[], Body::None => Answer::List("PersonAlias");
    "Parts of a person" "upsertPersonAlias" "Add or change a name"
        &[], Body::Json("PersonAlias") => Answer::Json("PersonAlias");
    "Parts of a person" "deletePersonAlias" "Delete a name" &[], Body::None => Answer::Empty;
    "Parts of a person" "listPersonTags" "The tags a person carries now"
        &[("tagName", TEXT)], Body::None => Answer::List("PersonTag");
    "Parts of a person" "upsertPersonTag" "Give a tag, or change when it lapses"
        &[], Body::Json("PersonTagUpsert") => Answer::Json("PersonTag");
    "Parts of a person" "deletePersonTag" "Take a tag off" &[], Body::None => Answer::Empty;
    "Parts of a person" "listPersonNotes" "The notes about a person" &[], Body::None => Answer::List("PersonNote");
    "Parts of a person" "upsertPersonNote" "Add or change a note"
        &[], Body::Json("PersonNote") => Answer::Json("PersonNote");
    "Parts of a person" "deletePersonNote" "Delete a note" &[], Body::None => Answer::Empty;
    "Parts of a person" "upsertPersonAddress" "Add or change an address"
        &[], Body::Json("PersonAddress") => Answer::Json("PersonAddress");
    "Parts of a person" "listPersonEntityFields" "A person's custom fields"
        &[("fieldName", TEXT)], Body::None => Answer::List("EntityField");
    "Parts of a person" "upsertPersonEntityField" "Set a custom field"
        &[], Body::Json("EntityField") => Answer::Json("EntityField");
    "Parts of a person" "deletePersonEntityField" "Delete a custom field" &[], Body::None => Answer::Empty;

    "Photos and documents" "getEnrollmentPhoto" "The photo a face was enrolled from"
        &[], Body::None => Answer::Bytes("image/jpeg");
    "Photos and documents" "getDetectionPhoto" "The picture of a sighting" &[], Body::None => Answer::Bytes("image/jpeg");
    "Photos and documents" "uploadFileDocument" "Attach a file to a person"
        &[], Body::Form("FileDocumentUploadForm") => Answer::Empty;
    "Photos and documents" "downloadFileDocument" "A file as it was uploaded"
        &[], Body::None => Answer::Bytes("application/octet-stream");

    "Tags" "listTags" "The definitions of tags" &[("tagName", TEXT)], Body::None => Answer::List("Tag");
    "Tags" "createTag" "Define a tag" &[], Body::Json("TagWrite") => Answer::Json("Tag");
    "Tags" "getTag" "The definition of a tag" &[], Body::None => Answer::Json("Tag");
    "Tags" "updateTag" "Replace the definition of a tag" &[], Body::Json("TagWrite") => Answer::Json("Tag");
    "Tags" "deleteTag" "Delete a tag, and take it off everybody" &[], Body::None => Answer::Empty;

    "Detections" "listDetectionsByFace" "Where a face was seen" PAGE, Body::None => Answer::List("DetectionItem");
    "Detections" "listDetectionsByPerson" "Where a person was seen" PAGE, Body::None => Answer::List("DetectionItem");

    "Settings of fields" "configureStringField" "Define a custom field of text"
        &[], Body::Json("StringFieldSetting") => Answer::Empty;
    "Settings of fields" "configureDatetimeField" "Define a custom field of times"
        &[], Body::Json("DatetimeFieldSetting") => Answer::Empty;
}

/// An operation the engine has beyond the contract.
pub struct Own {
    pub described: Described,
    pub verb: &'static str,
    pub path: &'static str,
    /// The operation of the contract that needs the same permissions.
    pub permitted_as: &'static str,
}

const fn named(id: &'static str, path: &'static str, query: &'static [Parameter], permitted_as: &'static str) -> Own {
    let summary = "Delete the part that the query or a JSON body names";
    let group = "Parts of a person";
    let described = Described { id, group, summary, query, body: Body::None, answer: Answer::Empty };
    Own { described, verb: "delete", path, permitted_as }
}

/// Those: what the vendor's overview prints without saying more, and the list of documents.
pub const OWN: &[Own] = &[
    named("deletePersonAliasNamed", "/api/v1/people/{personId}/aliases", &[("aliasId", ID)], "deletePersonAlias"),
    named(
        "deletePersonTagNamed",
        "/api/v1/people/{personId}/tags",
        &[("personTagId", ID), ("tagId", ID)],
        "deletePersonTag",
    ),
    named("deletePersonNoteNamed", "/api/v1/people/{personId}/notes", &[("noteId", ID)], "deletePersonNote"),
    named(
        "deletePersonEntityFieldNamed",
        "/api/v1/people/{personId}/entityFields",
        &[("name", TEXT)],
        "deletePersonEntityField",
    ),
    Own {
        described: Described {
            id: "listFileDocuments",
            group: "Photos and documents",
            summary: "The files attached to a person",
            query: &[],
            body: Body::None,
            answer: Answer::List("FileDocument"),
        },
        verb: "get",
        path: "/api/v1/people/{personId}/fileDocuments",
        permitted_as: "downloadFileDocument",
    },
];
