//! The OpenAPI document the engine serves: held against its routes, against the contract, and against made-up requests.

use std::collections::BTreeMap;

use identities::OPERATIONS;
use reqwest::Method;
use serde_json::Value;

use crate::operations;
use crate::server::Server;
use crate::shared::shared;

/// Operations that the engine has beyond the contract.
const OWN: [&str; 5] = [
    "deletePersonAliasNamed",
    "deletePersonTagNamed",
    "deletePersonNoteNamed",
    "deletePersonEntityFieldNamed",
    "listFileDocuments",
];

/// Id, method, path and the operation itself.
fn entries(document: &Value) -> Vec<(String, Method, String, Value)> {
    let mut found = Vec::new();
    for (path, verbs) in document["paths"].as_object().unwrap() {
        for (verb, entry) in verbs.as_object().unwrap() {
            let id = entry["operationId"].as_str().unwrap().to_owned();
            found.push((id, verb.to_uppercase().parse().unwrap(), path.clone(), entry.clone()));
        }
    }
    found
}

#[tokio::test]
async fn the_document_is_served_to_everybody_and_names_every_operation() {
    let server = Server::start();
    let anyone = server.anonymous();
    let document = anyone.get("/swagger/v1/swagger.json").await.ok();
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&"3.0.3".into(), &"/".into()));
    let below = anyone.get("/identities/Swagger/V1/swagger.json").await.ok();
    assert_eq!(below["servers"][0]["url"], "/identities");

    let entries = entries(&document);
    assert_eq!(entries.len(), OPERATIONS.len() + OWN.len());
    for (id, method, path, entry) in &entries {
        let mut statuses: Vec<u16> =
            entry["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect();
        statuses.sort();
        match OPERATIONS.iter().find(|operation| operation.id == id) {
            Some(operation) => {
                assert_eq!((method, path.as_str()), (operation.method, operation.path), "{id}");
                assert_eq!(statuses, operation.statuses().collect::<Vec<_>>(), "{id}");
            }
            None => assert!(OWN.contains(&id.as_str()), "{id}"),
        }
        // It is there: nobody gets in without a token, and nobody is told that there is nothing.
        let path =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect::<Vec<_>>().join("/");
        let status = anyone.send(method.clone(), &path, None).await.status;
        assert_eq!(status, if id == "authenticate" { 400 } else { 401 }, "{id}");
    }
}

#[tokio::test]
async fn the_page_to_try_it_trusts_nothing_from_elsewhere() {
    let server = Server::start();
    let anyone = server.anonymous();
    for prefix in ["", "/identities"] {
        let page = anyone.get(&format!("{prefix}/swagger")).await;
        assert_eq!(page.status, 200);
        let text = String::from_utf8(page.body).unwrap();
        assert!(text.contains("try.js") && !text.contains("://"), "{text}");
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("script-src 'self'"));
        for file in ["try.js", "try.css"] {
            assert_eq!(anyone.get(&format!("{prefix}/swagger/{file}")).await.status, 200);
        }
        assert_eq!(anyone.get(&format!("{prefix}/page/dom.js")).await.status, 200);
    }
}

/// The properties of every shape of the contract, read line by line: its layout is regular.
fn shapes_of_the_contract() -> Option<BTreeMap<String, Vec<String>>> {
    let file = shared("contract/identities.openapi.yaml")?;
    let text = std::fs::read_to_string(file).unwrap();
    let (_, schemas) = text.split_once("\n  schemas:\n").unwrap();
    let mut shapes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut shape, mut in_properties) = (String::new(), false);
    for line in schemas.lines() {
        let name = line.trim().split(':').next().unwrap().trim_matches('\'').to_owned();
        match line.len() - line.trim_start().len() {
            4 => shape = name,
            6 => in_properties = name == "properties",
            8 if in_properties => shapes.entry(shape.clone()).or_default().push(name),
            _ => {}
        }
    }
    Some(shapes)
}

/// Properties that the engine adds to shapes of the contract; a client that goes by it passes them over.
const EXTENSIONS: [&str; 1] = ["nearest"];

#[tokio::test]
async fn the_shapes_are_those_of_the_contract() {
    let Some(contract) = shapes_of_the_contract() else { return };
    assert!(contract.len() > 30, "{}", contract.len());
    let server = Server::start();
    let document = server.anonymous().get("/swagger/v1/swagger.json").await.ok();
    for (shape, mut properties) in contract {
        let own = document["components"]["schemas"][&shape]["properties"].as_object();
        let own = own.unwrap_or_else(|| panic!("the document has no {shape}"));
        let mut own: Vec<String> = own.keys().cloned().collect();
        own.retain(|property| !EXTENSIONS.contains(&property.as_str()));
        properties.sort();
        own.sort();
        assert_eq!(own, properties, "{shape}");
    }
}

/// Requests made from the document itself, which needs no test data.
#[tokio::test]
async fn made_up_requests_find_nothing_that_breaks_the_document() {
    let server = Server::start();
    let document = server.folder.path().join("openapi.json");
    std::fs::write(&document, server.anonymous().get("/swagger/v1/swagger.json").await.body).unwrap();
    operations::made_up_requests(&server, &document, "examples,coverage", OPERATIONS.len() + OWN.len()).await;
}
