//! Records of people: names, tags, notes, addresses, custom fields, documents; tag definitions; searches.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{Api, Server, portrait};

/// An engine with one person in it.
async fn with_a_person() -> Option<(Server, Api, String)> {
    let photo = portrait()?;
    let server = Server::start();
    let admin = server.administrator().await;
    let person = admin.enroll(&photo).await;
    Some((server, admin, person))
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn parts_are_added_changed_and_taken_off() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    // Collection, id property, a first version and a changed one, and what the list shows of either.
    let parts = [
        (
            "aliases",
            "personAliasId",
            json!({"firstName": "Mara", "lastName": "Lindqvist", "extra": [1]}),
            json!({"firstName": "M.", "title": "Ms."}),
            json!({"firstName": "Mara", "lastName": "Lindqvist", "middleName": null, "title": null}),
            json!({"firstName": "M.", "lastName": null, "middleName": null, "title": "Ms."}),
        ),
        (
            "notes",
            "noteId",
            json!({"summary": "Access", "body": "Day shift"}),
            json!({"summary": "Access", "body": null, "sharedId": "s-1"}),
            json!({"summary": "Access", "body": "Day shift", "author": "admin", "sharedId": null}),
            json!({"summary": "Access", "body": null, "author": "admin", "sharedId": "s-1"}),
        ),
        (
            "entityFields",
            "entityFieldId",
            json!({"name": "Badge", "stringValue": "C-1187"}),
            json!({"name": "Badge", "numberValue": 1187.5}),
            json!({
                "name": "Badge", "stringValue": "C-1187", "dateValue": null, "numberValue": null, "boolValue": null
            }),
            json!({"name": "Badge", "stringValue": null, "dateValue": null, "numberValue": 1187.5, "boolValue": null}),
        ),
    ];
    for (collection, key, first, second, shown_first, shown_second) in parts {
        let path = format!("/api/v1/people/{person}/{collection}");
        assert_eq!(admin.get(&path).await.ok(), json!([]), "{collection}");
        let stored = admin.put(&path, &first).await.ok();
        let id = stored[key].as_str().unwrap().to_owned();
        let shown = |mut version: Value, id: &str| {
            version[key] = json!(id);
            version
        };
        assert_eq!(stored, shown(shown_first.clone(), &id), "{collection}");
        assert_eq!(admin.get(&path).await.ok(), json!([shown(shown_first, &id)]), "{collection}");
        let mut change = second;
        change[key] = json!(id.to_uppercase());
        assert_eq!(admin.put(&path, &change).await.ok(), shown(shown_second.clone(), &id), "{collection}");
        assert_eq!(admin.get(&path).await.ok(), json!([shown(shown_second, &id)]), "{collection}");
        let deletion = admin.delete(&format!("{path}/{id}")).await;
        assert_eq!((deletion.status, deletion.body.len()), (200, 0), "{collection}");
        admin.delete(&format!("{path}/{id}")).await.is_problem(404);
        assert_eq!(admin.get(&path).await.ok(), json!([]), "{collection}");
        // A client that picks the id can repeat itself.
        let own = new_id();
        let mut again = first;
        again[key] = json!(own);
        for _ in 0..2 {
            assert_eq!(admin.put(&path, &again).await.ok()[key], json!(own));
        }
        assert_eq!(admin.get(&path).await.ok().as_array().unwrap().len(), 1, "{collection}");
    }
    let path = format!("/api/v1/people/{person}/addresses");
    let address =
        admin.put(&path, &json!({"street": "5 Harbour Row", "city": "Turku", "postalCode": "20100"})).await.ok();
    assert_eq!(admin.get(&format!("/api/v1/people/{person}")).await.ok()["addresses"], json!([address]));
    assert_eq!(address["street2"], json!(null));
}

#[tokio::test]
async fn somebody_elses_part_stays_theirs() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let other = admin.enroll_again(&portrait().unwrap()).await;
    assert_ne!(person, other);
    let alias = admin.put(&format!("/api/v1/people/{person}/aliases"), &json!({"firstName": "Mara"})).await.ok();
    let id = alias["personAliasId"].as_str().unwrap();
    admin.put(&format!("/api/v1/people/{other}/aliases"), &alias).await.is_problem(400);
    admin.delete(&format!("/api/v1/people/{other}/aliases/{id}")).await.is_problem(404);
    assert_eq!(admin.get(&format!("/api/v1/people/{person}/aliases")).await.ok(), json!([alias]));
}

#[tokio::test]
async fn a_field_has_one_name_and_one_value() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let path = format!("/api/v1/people/{person}/entityFields");
    for wrong in [
        json!({"name": ""}),
        json!({"stringValue": "x"}),
        json!({"name": "a", "stringValue": "x", "boolValue": true}),
        json!({"name": "a", "numberValue": "7"}),
        json!({"name": "a", "dateValue": "soon"}),
        json!({"name": "a", "entityFieldId": "no-guid"}),
        json!({"name": "a", "dateValue": "0000-01-01T00:00:00+01:00"}),
    ] {
        admin.put(&path, &wrong).await.is_problem(400);
    }
    for (value, stored) in [
        (json!({"dateValue": "2026-05-01T11:30:00.5+02:00"}), json!({"dateValue": "2026-05-01T09:30:00.500Z"})),
        (json!({"boolValue": false}), json!({"boolValue": false})),
        (json!({"numberValue": -0.25}), json!({"numberValue": -0.25})),
        (json!({"stringValue": "Zürich \u{1f600}\u{0}"}), json!({"stringValue": "Zürich \u{1f600}\u{0}"})),
        (json!({}), json!({})),
    ] {
        let mut field = json!({"name": "Field"});
        field.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        let answer = admin.put(&path, &field).await.ok();
        let listed = admin.get(&format!("{path}?fieldName=Field")).await.ok();
        // Put again without an id it is still the one field of the name.
        assert_eq!(listed, json!([answer]));
        for (key, value) in stored.as_object().unwrap() {
            assert_eq!(&answer[key], value);
        }
    }
    assert_eq!(admin.get(&format!("{path}?fieldName=field")).await.ok(), json!([]));
    admin.get(&format!("{path}?fieldName=")).await.is_problem(400);
}

#[tokio::test]
async fn tags_are_defined_given_and_expire() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let own_tags = format!("/api/v1/people/{person}/tags");
    let define = |tag: Value| {
        let admin = admin.clone();
        async move { admin.post("/api/v1/Tags", &tag).await.ok() }
    };
    let forever = define(json!({"tagName": "Staff"})).await;
    assert_eq!(forever["defaultExpirePeriod"], "00:00:00");
    assert_eq!((&forever["disabled"], &forever["description"]), (&json!(false), &json!(null)));
    let contractor =
        define(json!({"tagName": "Contractor", "description": "External", "defaultExpirePeriod": "90.00:00:00"})).await;
    let endless = define(json!({"tagName": "Endless", "defaultExpirePeriod": "9999999.23:59:59"})).await;
    for wrong in [
        json!({"tagName": ""}),
        json!({"description": "x"}),
        json!({"tagName": "Staff"}),
        json!({"tagName": "x", "defaultExpirePeriod": "90 days"}),
        json!({"tagName": "x", "disabled": "no"}),
    ] {
        admin.post("/api/v1/Tags", &wrong).await.is_problem(400);
    }
    let id = |tag: &Value| tag["tagId"].as_str().unwrap().to_owned();
    assert_eq!(admin.get(&format!("/api/v1/Tags/{}", id(&contractor))).await.ok(), contractor);
    assert_eq!(admin.get("/api/v1/Tags").await.ok(), json!([forever, contractor, endless]));
    assert_eq!(admin.get("/identities/api/v1/Tags?tagName=Contractor").await.ok(), json!([contractor]));
    assert_eq!(admin.get("/api/v1/Tags?tagName=contractor").await.ok(), json!([]));

    // Times are kept to the millisecond.
    let before = Utc::now() - TimeDelta::milliseconds(1);
    let given = admin.put(&own_tags, &json!({"tagId": id(&contractor)})).await.ok();
    let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let lasts = time(&given["expires"]) - before;
    assert!(lasts >= TimeDelta::days(90) && lasts < TimeDelta::days(90) + TimeDelta::minutes(5), "{lasts}");
    assert_eq!(given["tag"], json!({"name": "Contractor"}));
    assert_eq!(admin.put(&own_tags, &json!({"tagId": id(&endless)})).await.ok()["expires"], "9999-12-31T23:59:59Z");
    let kept = admin.put(&own_tags, &json!({"tagId": id(&forever)})).await.ok();
    assert_eq!(kept["expires"], json!(null));

    // Carried once: given again it changes its expiry, and keeps its id and the day it was given.
    let again = admin.put(&own_tags, &json!({"tagId": id(&contractor), "expires": "2999-01-01T00:00:00Z"})).await.ok();
    assert_eq!((&again["personTagId"], &again["created"]), (&given["personTagId"], &given["created"]));
    assert_eq!(admin.get(&own_tags).await.ok().as_array().unwrap().len(), 3);
    assert_eq!(admin.get(&format!("{own_tags}?tagName=Contractor")).await.ok(), json!([again]));

    // Past its time it is gone from every view, and there again once renewed.
    let soon = Utc::now() + TimeDelta::milliseconds(400);
    admin.put(&own_tags, &json!({"tagId": id(&contractor), "expires": soon.to_rfc3339()})).await.ok();
    let by_tag = format!("/api/v1/people?tagId={}", id(&contractor));
    while Utc::now() <= soon {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let names = |tags: &Value| {
        tags.as_array().unwrap().iter().map(|tag| tag["tag"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&admin.get(&own_tags).await.ok()), ["Endless", "Staff"]);
    assert_eq!(names(&admin.get(&format!("/api/v1/people/{person}")).await.ok()["tags"]), ["Endless", "Staff"]);
    assert_eq!(admin.get(&by_tag).await.ok(), json!([]));
    let renewed = admin.put(&own_tags, &json!({"tagId": id(&contractor)})).await.ok();
    assert!(time(&renewed["created"]) >= soon);
    assert_eq!(admin.get(&by_tag).await.ok()[0]["personId"], json!(person));

    admin.put(&own_tags, &json!({"tagId": new_id()})).await.is_problem(404);
    for wrong in [
        json!({}),
        json!({"tagId": "x"}),
        json!({"tagId": id(&forever), "expires": "later"}),
        json!({"tagId": id(&forever), "personTagId": "x"}),
    ] {
        admin.put(&own_tags, &wrong).await.is_problem(400);
    }

    // An update replaces everything; a deletion takes the tag off everybody.
    let path = format!("/api/v1/Tags/{}", id(&contractor));
    let updated = admin.put(&path, &json!({"tagName": "Guest", "disabled": true})).await.ok();
    let expected = json!({"tagId": id(&contractor), "tagName": "Guest", "disabled": true, "description": null,
        "defaultExpirePeriod": "00:00:00"});
    assert_eq!(updated, expected);
    admin.put(&path, &json!({"tagName": "Staff"})).await.is_problem(400);
    admin.put(&format!("/api/v1/Tags/{}", new_id()), &json!({"tagName": "Other"})).await.is_problem(404);
    assert_eq!(admin.delete(&path).await.status, 200);
    for reply in [admin.get(&path).await, admin.delete(&path).await] {
        reply.is_problem(404);
    }
    assert_eq!(names(&admin.get(&own_tags).await.ok()), ["Endless", "Staff"]);
    let off = format!("{own_tags}/{}", kept["personTagId"].as_str().unwrap());
    assert_eq!(admin.delete(&off).await.status, 200);
    assert_eq!(names(&admin.get(&own_tags).await.ok()), ["Endless"]);
}

/// One word has one tag and one field, however it is typed, and is found by any of its spellings.
#[tokio::test]
async fn spellings_of_a_word_are_one() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let vip = admin.post("/api/v1/Tags", &json!({"tagName": " VIP\u{a0}"})).await.ok();
    assert_eq!(vip["tagName"], "VIP");
    for again in ["VIP", "vip", "VIP ", "vip\u{200b}"] {
        admin.post("/api/v1/Tags", &json!({"tagName": again})).await.is_problem(400);
    }
    admin.post("/api/v1/Tags", &json!({"tagName": "\u{a0}"})).await.is_problem(400);
    let guests = admin.post("/api/v1/Tags", &json!({"tagName": "Ga\u{308}ste"})).await.ok();
    assert_eq!(guests["tagName"], "Gäste");
    assert_eq!(admin.get("/api/v1/Tags?tagName=Ga%CC%88ste").await.ok(), json!([guests]));
    admin.put(&format!("/api/v1/Tags/{}", vip["tagId"].as_str().unwrap()), &json!({"tagName": "vip"})).await.ok();

    let path = format!("/api/v1/people/{person}");
    let tag = json!({"tagId": guests["tagId"]});
    assert_eq!(admin.put(&format!("{path}/tags"), &tag).await.ok()["tag"]["name"], "Gäste");
    let name = json!({"firstName": "Jose\u{301}", "lastName": " Straße  Süd"});
    assert_eq!(admin.put(&format!("{path}/aliases"), &name).await.ok()["lastName"], "Straße Süd");
    let fields = format!("{path}/entityFields");
    let first = admin.put(&fields, &json!({"name": "Bu\u{308}ro", "stringValue": "Küche"})).await.ok();
    let second = admin.put(&fields, &json!({"name": "BÜRO ", "stringValue": "Ku\u{308}che"})).await.ok();
    assert_eq!(first["entityFieldId"], second["entityFieldId"]);
    assert_eq!(admin.get(&fields).await.ok().as_array().unwrap().len(), 1);

    let found = |reply: Value| reply.as_array().unwrap().iter().map(|it| it["personId"].clone()).collect::<Vec<_>>();
    for query in [
        "/api/v1/people?entityFieldName=b%C3%BCro&entityFieldStringValue=K%C3%9CCHE",
        "/api/v1/people/entityField/bu%CC%88ro/entityValue/ku%CC%88che",
    ] {
        assert_eq!(found(admin.get(query).await.ok()), [json!(person)], "{query}");
    }
    for text in ["JOS%C3%89", "jose%CC%81%20strasse", "g%C3%84ste", "KU%CC%88CHE", "a%C3%9Fe%20s"] {
        let page = admin.get(&format!("/page/people?text={text}")).await.ok();
        assert_eq!(found(page["people"].clone()), [json!(person)], "{text}");
    }
}

#[tokio::test]
async fn people_are_found_by_tag_and_field() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let other = admin.enroll_again(&portrait().unwrap()).await;
    let tag = admin.post("/api/v1/Tags", &json!({"tagName": "VIP"})).await.ok()["tagId"].as_str().unwrap().to_owned();
    admin.put(&format!("/api/v1/people/{person}/tags"), &json!({"tagId": tag})).await.ok();
    let field = |name: &str, value: &str| json!({"name": name, "stringValue": value});
    admin.put(&format!("/api/v1/people/{person}/entityFields"), &field("Badge/No", "C 1%")).await.ok();
    admin.put(&format!("/api/v1/people/{other}/entityFields"), &field("Badge/No", "D")).await.ok();
    let path = "/api/v1/people/entityField";
    for (query, found) in [
        (format!("/api/v1/people?tagId={tag}"), vec![&person]),
        (format!("/api/v1/people?tagId={}", new_id()), vec![]),
        ("/api/v1/people?entityFieldName=Badge/No".into(), vec![&person, &other]),
        ("/api/v1/people?entityFieldName=Badge".into(), vec![]),
        ("/api/v1/people?entityFieldName=Badge/No&entityFieldStringValue=D".into(), vec![&other]),
        (format!("/api/v1/people?tagId={tag}&entityFieldName=Badge/No"), vec![&person]),
        (format!("/api/v1/people?tagId={tag}&entityFieldName=Badge/No&entityFieldStringValue=D"), vec![]),
        (format!("{path}/Badge%2FNo/entityValue/C%201%25"), vec![&person]),
        (format!("{path}/Badge%2FNo/entityValue/c%201%25"), vec![&person]),
        (format!("{path}/Badge%2FNo/entityValue/C%201"), vec![]),
        (format!("{path}/%FF/entityValue/%FE"), vec![]),
    ] {
        let people = admin.get(&query).await.ok();
        let ids: Vec<_> =
            people.as_array().unwrap().iter().map(|person| person["personId"].as_str().unwrap()).collect();
        assert_eq!(ids, found, "{query}");
    }
    let record = admin.get(&format!("/api/v1/people?tagId={tag}")).await.ok()[0].clone();
    assert_eq!(record, admin.get(&format!("/api/v1/people/{person}")).await.ok());
    for key in ["aliases", "addresses", "entityFields", "tags", "notes"] {
        assert!(record[key].is_array(), "{key}");
    }
    for wrong in ["", "?entityFieldStringValue=D", "?tagId=x", "?entityFieldName=", "?tagId="] {
        admin.get(&format!("/api/v1/people{wrong}")).await.is_problem(400);
    }
}

#[tokio::test]
async fn nobody_has_no_parts() {
    let server = Server::start();
    let admin = server.administrator().await;
    let nobody = format!("/api/v1/people/{}", new_id());
    admin.get(&nobody).await.is_problem(404);
    for collection in ["aliases", "tags", "notes", "entityFields"] {
        admin.get(&format!("{nobody}/{collection}")).await.is_problem(404);
        admin.delete(&format!("{nobody}/{collection}/{}", new_id())).await.is_problem(404);
    }
    for collection in ["aliases", "notes", "entityFields", "addresses"] {
        let part = json!({"name": "n", "firstName": "Mara", "body": "x", "city": "Turku"});
        admin.put(&format!("{nobody}/{collection}"), &part).await.is_problem(404);
    }
    admin.get(&format!("{nobody}/fileDocuments/x/data")).await.is_problem(404);
}

#[tokio::test]
async fn documents_come_back_as_they_went() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let upload = "/api/v1/people/fileDocuments/upload";
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let form = |person: &str, public_id: &str, bytes: Vec<u8>| {
        let file = Part::bytes(bytes).file_name("vertrag ü.pdf").mime_str("application/pdf").unwrap();
        let form = Form::new().text("personId", person.to_owned()).text("name", "Contract").part("whatever", file);
        form.text("publicId", public_id.to_owned()).text("description", "signed")
    };
    let reply = admin.form(upload, form(&person, "contract 2026/17", bytes.clone())).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    let path = format!("/api/v1/people/{person}/fileDocuments/contract%202026%2F17/data");
    let reply = admin.get(&path).await;
    assert_eq!((reply.status, reply.body == bytes), (200, true));
    assert_eq!(reply.headers["content-type"], "application/pdf");
    assert_eq!(reply.headers["content-disposition"], "attachment");
    // The same id again replaces it.
    assert_eq!(admin.form(upload, form(&person, "contract 2026/17", b"new".to_vec())).await.status, 200);
    assert_eq!(admin.get(&path).await.body, b"new");
    assert_eq!(admin.form(upload, form(&person, "", b"new".to_vec())).await.status, 200);
    admin.form(upload, form(&new_id(), "x", b"new".to_vec())).await.is_problem(404);
    for wrong in [
        form("no-guid", "x", b"new".to_vec()),
        Form::new().text("personId", person.clone()).text("name", "n"),
        Form::new().text("personId", person.clone()).part("file", Part::bytes(vec![1]).file_name("f")),
        Form::new().text("name", "n").part("file", Part::bytes(vec![1]).file_name("f")),
    ] {
        admin.form(upload, wrong).await.is_problem(400);
    }
    admin.get(&format!("/api/v1/people/{person}/fileDocuments/nothing/data")).await.is_problem(404);
}

#[tokio::test]
async fn field_settings_take_any_object() {
    let server = Server::start();
    let admin = server.administrator().await;
    for kind in ["stringField", "datetimeField"] {
        let path = format!("/api/v1/EntityFieldSettings/Person/{kind}/f%201");
        for body in [json!({}), json!({"name": "Badge", "disabled": false, "other": {"deep": [1]}})] {
            let reply = admin.put(&path, &body).await;
            assert_eq!((reply.status, reply.body.len()), (200, 0));
        }
        for wrong in [json!({"name": 1}), json!({"name": ""}), json!({"disabled": "x"})] {
            admin.put(&path, &wrong).await.is_problem(400);
        }
    }
}
