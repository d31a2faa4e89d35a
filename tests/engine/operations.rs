//! The table of operations and the engine's answers held against the contract.

use identities::OPERATIONS;
use identities::operation::Operation;
use serde_json::json;

use crate::server::{Server, portrait};
use crate::shared::shared;

/// The path of an operation with every variable segment replaced.
pub fn path_with(operation: &Operation, value: &str) -> String {
    let segments = operation.path.split('/').map(|segment| if segment.starts_with('{') { value } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// An operation as the contract has it.
struct Described {
    id: String,
    method: String,
    path: String,
    statuses: Vec<u16>,
    /// Category and name of the permissions of which any one opens the operation.
    permissions: Vec<(String, String)>,
}

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
                    found.push(Described {
                        id: id.to_owned(),
                        method: method.clone(),
                        path: path.clone(),
                        statuses: Vec::new(),
                        permissions: Vec::new(),
                    });
                }
            }
            8 if words.starts_with('\'') => {
                let status = words[1..4].parse().unwrap();
                found.last_mut().unwrap().statuses.push(status);
            }
            8 if words == "sections:" => in_sections = true,
            10 if words.starts_with("- {name: ") && !in_sections => {
                let part = |key: &str| {
                    let rest = words.split_once(&format!("{key}: ")).unwrap().1;
                    rest.split([',', '}']).next().unwrap().to_owned()
                };
                found.last_mut().unwrap().permissions.push((part("category"), part("name")));
            }
            _ => {}
        }
    }
    Some(found)
}

#[test]
fn the_table_of_operations_is_the_contracts() {
    let Some(contract) = contract() else { return };
    assert_eq!(contract.len(), OPERATIONS.len());
    for described in contract {
        let id = described.id;
        let operation = OPERATIONS.iter().find(|operation| operation.id == id);
        let operation = operation.unwrap_or_else(|| panic!("{id} is not in the table"));
        let method = operation.method.clone();
        assert_eq!((method.as_str(), operation.path), (described.method.as_str(), described.path.as_str()), "{id}");
        assert_eq!(operation.statuses().collect::<Vec<_>>(), described.statuses, "{id}");
        let names = |one: &identities::Permission| (one.category().to_owned(), one.name().to_owned());
        let permissions: Vec<_> = operation.permissions().iter().map(names).collect();
        assert_eq!(permissions, described.permissions, "{id}");
    }
}

/// Requests made up from the contract, a bounded number of them and always the same: no server error, no status and no
/// body the contract does not name, over every operation.
#[tokio::test]
async fn made_up_requests_find_nothing_that_breaks_the_contract() {
    let Some(contract) = shared("contract/identities.openapi.yaml") else { return };
    let server = Server::start();
    made_up_requests(&server, &contract, "examples,coverage,fuzzing,stateful", OPERATIONS.len()).await;
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
