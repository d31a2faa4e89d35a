//! Every operation of the contract: its path, who may call it, and the statuses it may answer with.

use reqwest::Method;
use serde_json::json;

use crate::server::{Server, portrait};
use crate::shared::shared;

pub struct Operation {
    pub id: &'static str,
    pub method: Method,
    /// With `{…}` for variable segments.
    pub path: &'static str,
    pub access: Access,
    pub statuses: &'static [u16],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Access {
    Anonymous,
    Authenticated,
    /// Category and name; any one will do.
    AnyOf(&'static [(&'static str, &'static str)]),
}

const FACES: &str = "Facial Recognition Services";
const PEOPLE: &str = "Identities";
const TAGS: &str = "Tags";

macro_rules! operations {
    ($($id:ident $method:ident $path:literal $access:expr => [$($status:literal),*])*) => {
        pub fn all() -> Vec<Operation> {
            use Access::*;
            vec![$(Operation {
                id: stringify!($id), method: Method::$method, path: $path, access: $access, statuses: &[$($status),*],
            }),*]
        }
    };
}

operations! {
    authenticate POST "/api/v1/authenticate" Anonymous => [200, 400, 401]
    renewToken GET "/api/v1/renewToken" Authenticated => [200, 401]
    getUserProfile GET "/auth/v1/user/profile" Authenticated => [200, 401]
    faceEdgePublishWithResponse POST "/api/v1/faceEdge/publishWithResponse"
        AnyOf(&[(FACES, "Face Publishing")]) => [200, 400, 401, 403, 500]
    faceEdgePublish POST "/api/v1/faceEdge/publish" AnyOf(&[(FACES, "Face Publishing")]) => [200, 400, 401, 403, 500]
    faceEdgeRecognize POST "/api/v1/faceEdge/recognize"
        AnyOf(&[(FACES, "Face Recognize")]) => [200, 400, 401, 403, 404]
    faceEdgeLookup POST "/api/v1/faceEdge/lookup" AnyOf(&[(FACES, "Face Recognize")]) => [200, 400, 401, 403, 404]
    faceEnroll POST "/api/v1/faces/faceEnroll"
        AnyOf(&[(FACES, "Face Enrollment")]) => [200, 400, 401, 403, 404, 500]
    faceDetect POST "/api/v1/faces/faceDetect" AnyOf(&[(FACES, "Face Detection")]) => [200, 400, 401, 403, 500]
    faceCompare POST "/api/v1/faces/faceCompare" AnyOf(&[(FACES, "Face Detection")]) => [200, 400, 401, 403, 500]
    checkImageReference GET "/api/v1/faces/checkImageReference/{referenceId}"
        AnyOf(&[(FACES, "Face Detection"), (FACES, "Face Enrollment")]) => [200, 401, 403, 500]
    searchPeople GET "/api/v1/people" AnyOf(&[(PEOPLE, "Read All Identity")]) => [200, 400, 401, 403]
    findPeopleByEntityField GET "/api/v1/people/entityField/{fieldName}/entityValue/{fieldValue}"
        AnyOf(&[(PEOPLE, "Read All Identity")]) => [200, 401, 403]
    getPerson GET "/api/v1/people/{personId}" AnyOf(&[(PEOPLE, "Read All Identity")]) => [200, 400, 401, 403, 404]
    listPersonAliases GET "/api/v1/people/{personId}/aliases"
        AnyOf(&[(PEOPLE, "Read All Identity"), (PEOPLE, "Read Aliases")]) => [200, 400, 401, 403, 404]
    upsertPersonAlias PUT "/api/v1/people/{personId}/aliases"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Aliases")]) => [200, 400, 401, 403, 404]
    deletePersonAlias DELETE "/api/v1/people/{personId}/aliases/{aliasId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Aliases")]) => [200, 400, 401, 403, 404]
    listPersonTags GET "/api/v1/people/{personId}/tags"
        AnyOf(&[(PEOPLE, "Read All Identity"), (PEOPLE, "Read Tags")]) => [200, 400, 401, 403, 404]
    upsertPersonTag PUT "/api/v1/people/{personId}/tags"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Tags")]) => [200, 400, 401, 403, 404]
    deletePersonTag DELETE "/api/v1/people/{personId}/tags/{personTagId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Tags")]) => [200, 400, 401, 403, 404]
    listPersonNotes GET "/api/v1/people/{personId}/notes"
        AnyOf(&[(PEOPLE, "Read All Identity"), (PEOPLE, "Read Notes")]) => [200, 400, 401, 403, 404]
    upsertPersonNote PUT "/api/v1/people/{personId}/notes"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Notes")]) => [200, 400, 401, 403, 404]
    deletePersonNote DELETE "/api/v1/people/{personId}/notes/{noteId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Notes")]) => [200, 400, 401, 403, 404]
    upsertPersonAddress PUT "/api/v1/people/{personId}/addresses"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Addresses")]) => [200, 400, 401, 403, 404]
    listPersonEntityFields GET "/api/v1/people/{personId}/entityFields"
        AnyOf(&[(PEOPLE, "Read All Identity"), (PEOPLE, "Read Entity Fields")]) => [200, 400, 401, 403, 404]
    upsertPersonEntityField PUT "/api/v1/people/{personId}/entityFields"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Entity Fields")]) => [200, 400, 401, 403, 404]
    deletePersonEntityField DELETE "/api/v1/people/{personId}/entityFields/{entityId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity"), (PEOPLE, "Mutate Entity Fields")]) => [200, 400, 401, 403, 404]
    getEnrollmentPhoto GET "/api/v1/people/enrollmentPhoto/{faceId}" Authenticated => [200, 401, 404]
    getDetectionPhoto GET "/api/v1/people/detectionPhoto/{faceId}/{detectionId}" Authenticated => [200, 401, 404]
    uploadFileDocument POST "/api/v1/people/fileDocuments/upload"
        AnyOf(&[(PEOPLE, "Add Identity Files")]) => [200, 400, 401, 403, 404]
    downloadFileDocument GET "/api/v1/people/{personId}/fileDocuments/{documentId}/data"
        AnyOf(&[(PEOPLE, "Read Identity Files")]) => [200, 400, 401, 403, 404]
    listTags GET "/api/v1/Tags" AnyOf(&[(TAGS, "Read Tags")]) => [200, 400, 401, 403]
    createTag POST "/api/v1/Tags" AnyOf(&[(TAGS, "Add Tags")]) => [200, 400, 401, 403]
    getTag GET "/api/v1/Tags/{tagId}" AnyOf(&[(TAGS, "Read Tags")]) => [200, 400, 401, 403, 404]
    updateTag PUT "/api/v1/Tags/{tagId}" AnyOf(&[(TAGS, "Edit Tags")]) => [200, 400, 401, 403, 404]
    deleteTag DELETE "/api/v1/Tags/{tagId}" AnyOf(&[(TAGS, "Delete Tags")]) => [200, 400, 401, 403, 404]
    listDetectionsByFace GET "/api/v1/people/detections/faceId/{faceId}"
        AnyOf(&[(PEOPLE, "Read Detections")]) => [200, 400, 401, 403]
    listDetectionsByPerson GET "/api/v1/people/detections/personId/{personId}"
        AnyOf(&[(PEOPLE, "Read Detections")]) => [200, 400, 401, 403]
    configureStringField PUT "/api/v1/EntityFieldSettings/{entityType}/stringField/{fieldId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity")]) => [200, 400, 401, 403, 404]
    configureDatetimeField PUT "/api/v1/EntityFieldSettings/{entityType}/datetimeField/{fieldId}"
        AnyOf(&[(PEOPLE, "Mutate All Identity")]) => [200, 400, 401, 403, 404]
}

impl Operation {
    /// The path with every variable segment replaced.
    pub fn path_with(&self, value: &str) -> String {
        let segments = self.path.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
        segments.collect::<Vec<_>>().join("/")
    }

    /// Every permission that opens it.
    pub fn opened_by(&self) -> &'static [(&'static str, &'static str)] {
        match self.access {
            Access::AnyOf(permissions) => permissions,
            _ => &[],
        }
    }
}

/// An operation as the contract has it: its id, method and path, its statuses, and the permissions (category and name) of which
/// any one opens it.
type Described = (String, String, String, Vec<u16>, Vec<(String, String)>);

/// What is of interest of the contract, read line by line: its layout is regular, and no YAML parser is at hand.
fn contract() -> Option<Vec<Described>> {
    let file = shared("contract/identities.openapi.yaml")?;
    let text = std::fs::read_to_string(file).unwrap();
    let (mut path, mut method) = (String::new(), String::new());
    let mut found: Vec<Described> = Vec::new();
    let mut in_sections = false;
    for line in text.lines().take_while(|line| !line.starts_with("components:")) {
        let words = line.trim();
        match line.len() - line.trim_start().len() {
            2 if words.starts_with('/') => path = words.trim_end_matches(':').to_owned(),
            4 if words.ends_with(':') && words != "parameters:" => method = words.trim_end_matches(':').to_uppercase(),
            6 => {
                in_sections = false;
                if let Some(id) = words.strip_prefix("operationId: ") {
                    found.push((id.to_owned(), method.clone(), path.clone(), Vec::new(), Vec::new()));
                }
            }
            8 if words.starts_with('\'') => {
                let status = words[1..4].parse().unwrap();
                found.last_mut().unwrap().3.push(status);
            }
            8 if words == "sections:" => in_sections = true,
            10 if words.starts_with("- {name: ") && !in_sections => {
                let part = |key: &str| {
                    let rest = words.split_once(&format!("{key}: ")).unwrap().1;
                    rest.split([',', '}']).next().unwrap().to_owned()
                };
                found.last_mut().unwrap().4.push((part("category"), part("name")));
            }
            _ => {}
        }
    }
    Some(found)
}

#[test]
fn the_operations_tested_are_those_of_the_contract() {
    let Some(contract) = contract() else { return };
    let tested = all();
    assert_eq!(contract.len(), tested.len());
    for (id, method, path, statuses, permissions) in contract {
        let operation =
            tested.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("{id} is not tested"));
        assert_eq!((operation.method.as_str(), operation.path), (method.as_str(), path.as_str()), "{id}");
        assert_eq!(operation.statuses, statuses, "{id}");
        let wanted: Vec<_> = permissions.iter().map(|(category, name)| (category.as_str(), name.as_str())).collect();
        assert_eq!(operation.opened_by(), wanted, "{id}");
    }
}

/// The client's table of operations, each of which has a method and a call in the client's own tests.
#[test]
fn the_operations_the_client_calls_are_those() {
    let served = all();
    assert_eq!(identities::OPERATIONS.len(), served.len());
    for called in identities::OPERATIONS {
        let served = served.iter().find(|served| served.id == called.id);
        let served = served.unwrap_or_else(|| panic!("the engine has no {}", called.id));
        assert_eq!((&called.verb.method(), called.path), (&served.method, served.path), "{}", called.id);
        let permissions: Vec<_> = called.permissions.iter().map(|one| (one.category, one.name)).collect();
        assert_eq!(permissions, served.opened_by(), "{}", called.id);
        assert_eq!(called.missing.is_some(), served.statuses.contains(&404), "the 404 of {}", called.id);
    }
}

/// Requests made up from the contract, a bounded number of them and always the same: no server error, no status and no
/// body the contract does not name, over every operation.
#[tokio::test]
async fn made_up_requests_find_nothing_that_breaks_the_contract() {
    let Some(contract) = shared("contract/identities.openapi.yaml") else { return };
    let server = Server::start();
    made_up_requests(&server, &contract, "examples,coverage,fuzzing,stateful", all().len()).await;
}

/// Sends requests made from a description of the API, of this many operations.
pub async fn made_up_requests(server: &Server, description: &std::path::Path, phases: &str, operations: usize) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schemathesis = root.join("target/venv/bin/schemathesis");
    assert!(schemathesis.exists(), "{} is missing; `make test` installs it", schemathesis.display());
    let admin = server.administrator().await;
    // Something for the requests to find.
    if let Some(photo) = portrait() {
        admin.enroll(&photo).await;
        admin.publish(&photo, json!({})).await;
    }
    let output = tokio::process::Command::new(schemathesis)
        .current_dir(server.folder.path())
        .arg("--config-file")
        .arg(root.join("tests/engine/schemathesis.toml"))
        .args(["run", "--url", &server.base, "--seed", "1", "--max-examples", "15"])
        .args(["--continue-on-failure", "--no-color", "--phases", phases])
        .args(["-H", &format!("Authorization: Bearer {}", admin.token.unwrap())])
        .arg(description)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let tested = said.contains(&format!("Tested: {operations}"));
    assert!(tested, "not every operation was tested:\n{said}");
}
