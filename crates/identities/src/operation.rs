//! Every operation of the API: its id, method, path, who may call it, and what its 404 means.
//!
//! One row each. Methods of the client are made from them, errors and metrics are named after them, and the test that
//! walks the contract compares them with it.

use reqwest::Method;

/// One operation, as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The contract's operation id; errors and metrics name it so.
    pub id: &'static str,
    pub verb: Verb,
    /// Below the base URL; each `{…}` stands for a segment the caller gives.
    pub path: &'static str,
    /// Any one of these suffices, the usual one first; where there is none a token is enough.
    pub permissions: &'static [Permission],
    /// What a 404 says there is none of; `None` where the contract names no 404, so that one is no answer.
    pub missing: Option<&'static str>,
    /// Its 500 also says that the picture was turned down: never worth repeating.
    pub faults_are_final: bool,
    /// The largest answer that is read.
    pub answer_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// A right an administrator gives to roles. `Read Tags` exists in two categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    pub category: &'static str,
    pub name: &'static str,
}

/// Of one record: about a thousand faces with everything there is to tell of them.
const RECORD: usize = 2 << 20;
/// Of a list of people, or of detections with their pictures.
const LIST: usize = 64 << 20;

/// Shorthand for the rows below.
mod may {
    use super::Permission;

    const fn faces(name: &'static str) -> Permission {
        Permission { category: "Facial Recognition Services", name }
    }
    const fn people(name: &'static str) -> Permission {
        Permission { category: "Identities", name }
    }
    const fn tags(name: &'static str) -> Permission {
        Permission { category: "Tags", name }
    }

    pub const PUBLISH: &[Permission] = &[faces("Face Publishing")];
    pub const RECOGNIZE: &[Permission] = &[faces("Face Recognize")];
    pub const ENROLL: &[Permission] = &[faces("Face Enrollment")];
    pub const DETECT: &[Permission] = &[faces("Face Detection")];
    pub const DETECT_OR_ENROLL: &[Permission] = &[faces("Face Detection"), faces("Face Enrollment")];
    pub const READ: &[Permission] = &[people("Read All Identity")];
    pub const READ_ALIASES: &[Permission] = &[people("Read All Identity"), people("Read Aliases")];
    pub const READ_TAGS: &[Permission] = &[people("Read All Identity"), people("Read Tags")];
    pub const READ_NOTES: &[Permission] = &[people("Read All Identity"), people("Read Notes")];
    pub const READ_FIELDS: &[Permission] = &[people("Read All Identity"), people("Read Entity Fields")];
    pub const MUTATE: &[Permission] = &[people("Mutate All Identity")];
    pub const MUTATE_ALIASES: &[Permission] = &[people("Mutate All Identity"), people("Mutate Aliases")];
    pub const MUTATE_TAGS: &[Permission] = &[people("Mutate All Identity"), people("Mutate Tags")];
    pub const MUTATE_NOTES: &[Permission] = &[people("Mutate All Identity"), people("Mutate Notes")];
    pub const MUTATE_ADDRESSES: &[Permission] = &[people("Mutate All Identity"), people("Mutate Addresses")];
    pub const MUTATE_FIELDS: &[Permission] = &[people("Mutate All Identity"), people("Mutate Entity Fields")];
    pub const ADD_FILES: &[Permission] = &[people("Add Identity Files")];
    pub const READ_FILES: &[Permission] = &[people("Read Identity Files")];
    pub const READ_DETECTIONS: &[Permission] = &[people("Read Detections")];
    pub const READ_DEFINITIONS: &[Permission] = &[tags("Read Tags")];
    pub const ADD_DEFINITIONS: &[Permission] = &[tags("Add Tags")];
    pub const EDIT_DEFINITIONS: &[Permission] = &[tags("Edit Tags")];
    pub const DELETE_DEFINITIONS: &[Permission] = &[tags("Delete Tags")];
}

/// Makes a constant of every row, and the list of all of them.
macro_rules! operations {
    ($($name:ident = $id:literal $verb:ident $path:literal $permissions:expr $(, $change:ident($($value:expr)?))*;)*) => {
        $(pub const $name: Operation =
            Operation::new($id, Verb::$verb, $path, $permissions)$(.$change($($value)?))*;)*
        /// Every operation of the contract.
        pub const ALL: &[Operation] = &[$($name),*];
    };
}

operations! {
    AUTHENTICATE = "authenticate" Post "/api/v1/authenticate" &[];
    RENEW_TOKEN = "renewToken" Get "/api/v1/renewToken" &[];
    USER_PROFILE = "getUserProfile" Get "/auth/v1/user/profile" &[];

    PUBLISH_WITH_RESPONSE = "faceEdgePublishWithResponse" Post "/api/v1/faceEdge/publishWithResponse" may::PUBLISH;
    PUBLISH = "faceEdgePublish" Post "/api/v1/faceEdge/publish" may::PUBLISH;
    RECOGNIZE = "faceEdgeRecognize" Post "/api/v1/faceEdge/recognize" may::RECOGNIZE, missing("match");
    LOOKUP = "faceEdgeLookup" Post "/api/v1/faceEdge/lookup" may::RECOGNIZE, missing("match");

    FACE_ENROLL = "faceEnroll" Post "/api/v1/faces/faceEnroll" may::ENROLL, missing("person"), final_faults();
    FACE_DETECT = "faceDetect" Post "/api/v1/faces/faceDetect" may::DETECT, final_faults();
    FACE_COMPARE = "faceCompare" Post "/api/v1/faces/faceCompare" may::DETECT, final_faults();
    CHECK_IMAGE_REFERENCE = "checkImageReference" Get "/api/v1/faces/checkImageReference/{referenceId}"
        may::DETECT_OR_ENROLL;

    SEARCH_PEOPLE = "searchPeople" Get "/api/v1/people" may::READ, answer(LIST);
    FIND_PEOPLE = "findPeopleByEntityField" Get "/api/v1/people/entityField/{fieldName}/entityValue/{fieldValue}"
        may::READ, answer(LIST);
    GET_PERSON = "getPerson" Get "/api/v1/people/{personId}" may::READ, missing("person");

    LIST_ALIASES = "listPersonAliases" Get "/api/v1/people/{personId}/aliases" may::READ_ALIASES, missing("person");
    PUT_ALIAS = "upsertPersonAlias" Put "/api/v1/people/{personId}/aliases" may::MUTATE_ALIASES, missing("person");
    DELETE_ALIAS = "deletePersonAlias" Delete "/api/v1/people/{personId}/aliases/{aliasId}"
        may::MUTATE_ALIASES, missing("alias");
    LIST_PERSON_TAGS = "listPersonTags" Get "/api/v1/people/{personId}/tags" may::READ_TAGS, missing("person");
    PUT_PERSON_TAG = "upsertPersonTag" Put "/api/v1/people/{personId}/tags" may::MUTATE_TAGS, missing("person or tag");
    DELETE_PERSON_TAG = "deletePersonTag" Delete "/api/v1/people/{personId}/tags/{personTagId}"
        may::MUTATE_TAGS, missing("tag on the person");
    LIST_NOTES = "listPersonNotes" Get "/api/v1/people/{personId}/notes" may::READ_NOTES, missing("person");
    PUT_NOTE = "upsertPersonNote" Put "/api/v1/people/{personId}/notes" may::MUTATE_NOTES, missing("person");
    DELETE_NOTE = "deletePersonNote" Delete "/api/v1/people/{personId}/notes/{noteId}"
        may::MUTATE_NOTES, missing("note");
    PUT_ADDRESS = "upsertPersonAddress" Put "/api/v1/people/{personId}/addresses"
        may::MUTATE_ADDRESSES, missing("person");
    LIST_FIELDS = "listPersonEntityFields" Get "/api/v1/people/{personId}/entityFields"
        may::READ_FIELDS, missing("person");
    PUT_FIELD = "upsertPersonEntityField" Put "/api/v1/people/{personId}/entityFields"
        may::MUTATE_FIELDS, missing("person");
    DELETE_FIELD = "deletePersonEntityField" Delete "/api/v1/people/{personId}/entityFields/{entityId}"
        may::MUTATE_FIELDS, missing("field");

    ENROLLMENT_PHOTO = "getEnrollmentPhoto" Get "/api/v1/people/enrollmentPhoto/{faceId}" &[], missing("photo");
    DETECTION_PHOTO = "getDetectionPhoto" Get "/api/v1/people/detectionPhoto/{faceId}/{detectionId}"
        &[], missing("photo");
    UPLOAD_DOCUMENT = "uploadFileDocument" Post "/api/v1/people/fileDocuments/upload"
        may::ADD_FILES, missing("person");
    DOWNLOAD_DOCUMENT = "downloadFileDocument" Get "/api/v1/people/{personId}/fileDocuments/{documentId}/data"
        may::READ_FILES, missing("document");

    LIST_TAGS = "listTags" Get "/api/v1/Tags" may::READ_DEFINITIONS, answer(LIST);
    CREATE_TAG = "createTag" Post "/api/v1/Tags" may::ADD_DEFINITIONS;
    GET_TAG = "getTag" Get "/api/v1/Tags/{tagId}" may::READ_DEFINITIONS, missing("tag");
    UPDATE_TAG = "updateTag" Put "/api/v1/Tags/{tagId}" may::EDIT_DEFINITIONS, missing("tag");
    DELETE_TAG = "deleteTag" Delete "/api/v1/Tags/{tagId}" may::DELETE_DEFINITIONS, missing("tag");

    DETECTIONS_OF_FACE = "listDetectionsByFace" Get "/api/v1/people/detections/faceId/{faceId}"
        may::READ_DETECTIONS, answer(LIST);
    DETECTIONS_OF_PERSON = "listDetectionsByPerson" Get "/api/v1/people/detections/personId/{personId}"
        may::READ_DETECTIONS, answer(LIST);

    CONFIGURE_STRING_FIELD = "configureStringField" Put "/api/v1/EntityFieldSettings/{entityType}/stringField/{fieldId}"
        may::MUTATE, missing("field");
    CONFIGURE_DATETIME_FIELD = "configureDatetimeField" Put
        "/api/v1/EntityFieldSettings/{entityType}/datetimeField/{fieldId}" may::MUTATE, missing("field");
}

impl Operation {
    const fn new(id: &'static str, verb: Verb, path: &'static str, permissions: &'static [Permission]) -> Self {
        Self { id, verb, path, permissions, missing: None, faults_are_final: false, answer_bytes: RECORD }
    }

    const fn missing(self, what: &'static str) -> Self {
        Self { missing: Some(what), ..self }
    }

    const fn final_faults(self) -> Self {
        Self { faults_are_final: true, ..self }
    }

    const fn answer(self, bytes: usize) -> Self {
        Self { answer_bytes: bytes, ..self }
    }

    /// The segments of the path, with these in the place of its variable ones, in order.
    pub(super) fn segments<'a>(&self, given: &'a [&'a str]) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut given = given.iter().copied();
        let fill = move |segment: &'static str| match segment.starts_with('{') {
            true => given.next().unwrap_or_default(),
            false => segment,
        };
        self.path.split('/').skip(1).map(fill)
    }
}

impl Verb {
    pub fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Delete => Method::DELETE,
        }
    }
}

/// `"Face Detection" or "Face Enrollment" (Facial Recognition Services)`
pub(super) struct AnyOf(pub &'static [Permission]);

impl std::fmt::Display for AnyOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(first) = self.0.first() else { return f.write_str("a permission this call needs") };
        let names: Vec<_> = self.0.iter().map(|permission| format!("\"{}\"", permission.name)).collect();
        write!(f, "the permission {} ({})", names.join(" or "), first.category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_an_id_and_an_address_of_its_own() {
        for (n, a) in ALL.iter().enumerate() {
            for b in &ALL[n + 1..] {
                assert!(a.id != b.id && (a.verb, a.path) != (b.verb, b.path), "{} and {}", a.id, b.id);
            }
        }
        assert_eq!(ALL.len(), 40);
    }

    #[test]
    fn given_segments_take_the_place_of_the_variable_ones() {
        let path: Vec<_> = DOWNLOAD_DOCUMENT.segments(&["p", "a/b"]).collect();
        assert_eq!(path, ["api", "v1", "people", "p", "fileDocuments", "a/b", "data"]);
        assert_eq!(LIST_TAGS.segments(&[]).collect::<Vec<_>>(), ["api", "v1", "Tags"]);
    }
}
