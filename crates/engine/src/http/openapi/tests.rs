//! The document held against the routes and the wire types.

use std::collections::BTreeSet;

use identities::OPERATIONS;
use identities::wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::routes;
use super::*;

/// The document of everything that is served.
fn whole() -> Value {
    let operations: Vec<_> = routes().into_iter().map(|route| route.operation).collect();
    document(&operations, "/")
}

fn schemas() -> Value {
    whole()["components"]["schemas"].clone()
}

#[test]
fn the_document_has_the_contract_and_five_operations_more_but_nothing_of_the_page() {
    let document = whole();
    let verbs = document["paths"].as_object().unwrap().values().flat_map(|verbs| verbs.as_object().unwrap().values());
    let ids: BTreeSet<_> = verbs.map(|entry| entry["operationId"].as_str().unwrap()).collect();
    assert!(OPERATIONS.iter().all(|operation| ids.contains(operation.id)), "{ids:?}");
    assert_eq!(ids.len(), OPERATIONS.len() + 5, "{ids:?}");
    assert!(!ids.iter().any(|id| id.starts_with("page")), "{ids:?}");
}

#[test]
fn every_shape_that_is_referred_to_is_there_and_no_other() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("$ref", Value::String(to)) => drop(found.insert(to.rsplit('/').next().unwrap().to_owned())),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    references(&whole(), &mut found);
    let there: BTreeSet<_> = schemas().as_object().unwrap().keys().cloned().collect();
    assert_eq!(found, there);
}

/// A value of a shape, with every property there is.
fn sample(schemas: &Value, schema: &Value) -> Value {
    if let Some(to) = schema["$ref"].as_str() {
        return sample(schemas, &schemas[to.rsplit('/').next().unwrap()]);
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("object"), _) => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), sample(schemas, schema))).collect()
        }
        (Some("array"), _) => json!([sample(schemas, &schema["items"])]),
        (Some("string"), Some("uuid")) => json!("2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10"),
        (Some("string"), Some("date-time")) => json!("2026-03-04T05:06:07Z"),
        (Some("string"), Some("byte")) => json!("YWJjZA=="),
        (Some("string"), _) => schema.get("example").cloned().unwrap_or(json!("text")),
        (Some("integer"), _) => json!(7),
        (Some("number"), _) => json!(0.5),
        (Some("boolean"), _) => json!(true),
        other => panic!("no sample of {other:?}"),
    }
}

/// Reads a sample of the shape as the wire type and writes it again: the same properties, each as it was.
fn is_the_type<T: Serialize + DeserializeOwned>(name: &str) {
    let schemas = schemas();
    let sample = sample(&schemas, &schemas[name]);
    let read: T = serde_json::from_value(sample.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let written = serde_json::to_value(read).unwrap();
    assert_eq!(written, sample, "{name}");
}

#[test]
fn the_shapes_are_those_of_the_wire_types() {
    macro_rules! are_types {
        ($($name:ident)*) => { $(is_the_type::<$name>(stringify!($name));)* };
    }
    are_types! {
        AuthenticateRequest AuthenticateResponse UserProfile FaceEdgeRecognizeWithOptions FaceEdgePublishRequest
        FaceEdgeRecognizeRequest FaceEdgePublishResponse DetectedFace MatchedPerson EdgePerson EdgeTag
        FaceEnrollRequest FaceEnrollResponse FaceDetectRequest FaceDetectResponse FaceDetectItem FaceCompareRequest
        FaceCompareResponse CheckImageReferenceResponse IdentityPersonItem PersonAlias PersonAddress PersonTag
        TagSummary PersonTagUpsert PersonNote EntityField Tag TagWrite DetectionItem ProblemDetails NearestPerson
    }
    is_the_type::<FieldSetting>("StringFieldSetting");
    let form = |name: &str| schemas()[name]["properties"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let parts = [lookup_part::CROPPED_ALIGNED, lookup_part::EMBEDDINGS, lookup_part::RECOGNITION_MODEL];
    assert_eq!(form("FaceEdgeLookupForm"), parts.map(str::to_owned).into());
    use upload_part::*;
    let parts = [FILE, PERSON_ID, NAME, DESCRIPTION, PUBLIC_ID];
    assert_eq!(form("FileDocumentUploadForm"), parts.map(str::to_owned).into());
}

#[test]
fn the_schemas_of_parameters_are_objects() {
    for parameter in routes().into_iter().flat_map(|route| route.operation.query) {
        let schema = serde_json::from_str::<Value>(parameter.schema);
        assert!(schema.is_ok_and(|schema| schema.is_object()), "{}", parameter.name);
    }
}
