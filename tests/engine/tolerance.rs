//! Requests as clients of the vendor's framework write them: names in any case, nulls, byte order marks, forms.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{Api, Reply, Server, base64, portrait, sighting, wall};

/// Sends bytes as they are.
async fn raw(api: &Api, method: Method, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply::of(api.request(method, path).header("content-type", media_type).body(body.into())).await
}

/// An engine with one person in it.
async fn with_a_person() -> Option<(Server, Api, String)> {
    let photo = portrait()?;
    let server = Server::start();
    let admin = server.administrator().await;
    let person = admin.enroll(&photo).await;
    Some((server, admin, person))
}

#[tokio::test]
async fn a_property_that_is_null_is_absent() {
    let server = Server::start();
    let admin = server.administrator().await;
    let nulls = json!({"croppedAligned": null, "embeddings": null, "recognitionModel": null, "largestFaceOnly": null,
        "allowDoubleDetection": null, "includePerson": null, "includeNames": null, "includeAddresses": null,
        "includeTags": null, "includeFields": null});
    for path in ["publishWithResponse", "publish"] {
        let reply = admin.post(&format!("/api/v1/faceEdge/{path}"), &sighting(&wall(), nulls.clone())).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    }
    let probe = json!({"croppedAligned": base64(&wall()), "detectorName": "g", "ianaTimeZone": "UTC",
        "detectTimeUtc": "2026-03-04T05:06:07.1234567", "embeddings": null, "recognitionModel": null});
    admin.post("/api/v1/faceEdge/recognize", &probe).await.is_problem(404);
    let tag = json!({"tagName": "VIP", "disabled": null, "description": null, "defaultExpirePeriod": null});
    let tag = admin.post("/api/v1/Tags", &tag).await.ok();
    let path = "/api/v1/EntityFieldSettings/Person/stringField/f";
    assert_eq!(admin.put(path, &json!({"name": null, "disabled": null})).await.status, 200);
    // What is needed is missing when it is null.
    admin.post("/api/v1/faceEdge/publish", &sighting(&wall(), json!({"expanded": null}))).await.is_problem(400);
    admin.post("/api/v1/Tags", &json!({"tagName": null})).await.is_problem(400);

    let Some((_server, admin, person)) = with_a_person().await else { return };
    let tag_id = admin.post("/api/v1/Tags", &json!({"tagName": tag["tagName"]})).await.ok()["tagId"].clone();
    for (part, id, body) in [
        ("aliases", "personAliasId", json!({"personAliasId": null, "firstName": "Mara", "lastName": null})),
        ("notes", "noteId", json!({"noteId": null, "summary": null, "body": "x", "author": null, "sharedId": null})),
        ("addresses", "personAddressId", json!({"personAddressId": null, "street": null, "city": "Turku"})),
        ("tags", "personTagId", json!({"personTagId": null, "tagId": tag_id, "expires": null})),
        (
            "entityFields",
            "entityFieldId",
            json!({"entityFieldId": null, "name": "f", "stringValue": "x", "dateValue": null, "numberValue": null,
                "boolValue": null}),
        ),
    ] {
        let stored = admin.put(&format!("/api/v1/people/{person}/{part}"), &body).await.ok();
        assert!(stored[id].is_string(), "{part}: {stored}");
    }
    let photo = json!({"faceImage": base64(&portrait().unwrap()), "photoReferenceId": null});
    admin.post(&format!("/api/v1/faces/faceEnroll?personId={person}"), &photo).await.ok();
}

#[tokio::test]
async fn names_are_taken_in_any_case_and_encodings_with_their_marks() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let tags = "/api/v1/Tags";
    let utf16 = |text: &str| {
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<u8>>()
    };
    for (n, (media_type, body)) in [
        ("application/json", "\u{feff}{\"TagName\":\"Zoë 0\"}".as_bytes().to_vec()),
        ("text/json", b"{\"TAGNAME\":\"Zo\xc3\xab 1\",\"Disabled\":false}".to_vec()),
        ("Text/JSON; charset=\"utf-8\"", b"{\"tagname\":\"Zo\xc3\xab 2\"}".to_vec()),
        ("application/json; charset=utf-16", utf16("{\"tagName\":\"Zoë 3\"}")),
        ("application/vnd.x+json; charset=iso-8859-1", b"{\"tagName\":\"Zo\xeb 4\"}".to_vec()),
    ]
    .into_iter()
    .enumerate()
    {
        let reply = raw(&admin, Method::POST, tags, media_type, body).await;
        assert_eq!(reply.ok()["tagName"], format!("Zoë {n}"), "{media_type}");
    }
    for (media_type, body) in [
        ("text/plain", "{\"tagName\":\"x\"}"),
        ("application/json; charset=klingon", "{\"tagName\":\"x\"}"),
        ("application/json", "{\"tagName\":\"x\",\"TagName\":\"y\"}"),
        ("application/json", "[\"x\"]"),
        ("application/json", ""),
    ] {
        raw(&admin, Method::POST, tags, media_type, body).await.is_problem(400);
    }
    let setting = "/api/v1/EntityFieldSettings/Person/stringField/f";
    admin.put(setting, &json!({"Name": 1})).await.is_problem(400);

    // Paths and queries.
    let upper = person.to_uppercase();
    assert_eq!(admin.get("/API/V1/tags?TagName=Zo%C3%AB%200").await.ok().as_array().unwrap().len(), 1);
    let record = admin.get(&format!("/Identities/Api/v1/People/{upper}")).await.ok();
    assert_eq!(record["personId"], json!(person));
    admin.put(&format!("/api/V1/people/{person}/ALIASES"), &json!({"FirstName": "Mara"})).await.ok();
    assert_eq!(admin.get(&format!("/api/v1/people/{person}/Aliases")).await.ok()[0]["firstName"], "Mara");
    let page = format!("/api/v1/people/Detections/PersonId/{person}?Take=5&skip=&EPOCHSTARTMS=&DateAscending=False");
    assert_eq!(admin.get(&page).await.ok(), json!([]));
    let profile = Reply::of(admin.request(Method::GET, "/Auth/V1/User/Profile")).await.ok();
    assert!(profile["roles"].is_array());
    let photo = json!({"FaceImage": base64(&portrait().unwrap()), "PhotoReferenceId": "Ref"});
    let enrolled = admin.post("/api/v1/Faces/FaceEnroll?PersonId=&ForceEnrollment=True", &photo).await.ok();
    assert_ne!(enrolled["personId"], json!(person), "an empty id is none, and True is true");
    assert_eq!(admin.get("/api/v1/faces/checkimagereference/Ref").await.ok()["exists"], json!(true));
    assert_eq!(admin.get("/api/v1/faces/checkImageReference/ref").await.ok()["exists"], json!(false), "but not values");
    admin.get("/api/v1/nothing").await.is_problem(404);
    admin.delete("/API/v1/Authenticate").await.is_problem(405);
}

#[tokio::test]
async fn base64_may_be_wrapped_and_come_as_a_data_address() {
    let server = Server::start();
    let admin = server.administrator().await;
    let plain = base64(&wall());
    let wrapped: String =
        plain.as_bytes().chunks(76).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect();
    for image in [wrapped, format!("data:image/jpeg;base64,{plain}"), format!(" {plain} ")] {
        let found = admin.post("/api/v1/faces/faceDetect", &json!({ "image": image })).await.ok();
        assert_eq!(found, json!({"detections": []}));
    }
    for image in ["data:,text".to_owned(), "data:image/jpeg;base64,".to_owned(), " \r\n".to_owned()] {
        admin.post("/api/v1/faces/faceDetect", &json!({ "image": image })).await.is_problem(400);
    }
}

#[tokio::test]
async fn forms_are_read_as_the_framework_writes_them() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    // .NET quotes the boundary and not the names, writes the file's name twice, and a text part has a media type.
    let form = |name: &str| {
        format!(
            "--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=PersonId\r\n\r\n\
             {person}\r\n--x\r\nContent-Disposition: form-data; name={name}\r\n\r\n\u{feff}Vertrag\r\n--x\r\n\
             Content-Disposition: form-data; name=publicid\r\n\r\n\r\n--x\r\nContent-Disposition: form-data; \
             name=File; filename=a.txt; filename*=utf-8''a.txt\r\n\r\nsigned\r\n--x--\r\n"
        )
    };
    let upload = "/api/v1/People/FileDocuments/Upload";
    let media_type = "multipart/form-data; boundary=\"x\"";
    let reply = raw(&admin, Method::POST, upload, media_type, form("NAME")).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0), "{}", String::from_utf8_lossy(&reply.body));
    raw(&admin, Method::POST, upload, media_type, form("title")).await.is_problem(400);

    // Without an id of the caller's the document is found again.
    let list = format!("/api/v1/people/{person}/fileDocuments");
    let documents = admin.get(&list).await.ok();
    let [document] = &documents.as_array().unwrap()[..] else { panic!("{documents}") };
    assert_eq!(
        (&document["name"], &document["fileName"], &document["size"]),
        (&json!("Vertrag"), &json!("a.txt"), &json!(6))
    );
    let place = reply.headers["location"].to_str().unwrap();
    assert_eq!(place, format!("{list}/{}/data", document["publicId"].as_str().unwrap()));
    assert_eq!(admin.get(place).await.body, b"signed");
    admin.get(&format!("/api/v1/people/{}/fileDocuments", uuid::Uuid::new_v4())).await.is_problem(404);

    let lookup = |crop: &str| {
        Form::new().part(crop.to_owned(), Part::bytes(wall()).file_name("face.jpg")).text("RECOGNITIONMODEL", "")
    };
    admin.form("/api/v1/faceEdge/Lookup", lookup("croppedaligned")).await.is_problem(404);
    admin.form("/api/v1/faceEdge/lookup", lookup("cropped")).await.is_problem(400);
}

#[tokio::test]
async fn a_part_is_deleted_by_what_the_query_or_the_body_names() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    let tag = admin.post("/api/v1/Tags", &json!({"tagName": "VIP"})).await.ok()["tagId"].clone();
    // Collection, a part of it, the names it is deleted by and the properties they stand for, and what is missing
    // without any.
    type Named<'a> = (&'a str, Value, &'a [(&'a str, &'a str)], &'a str);
    let parts: [Named; 4] = [
        (
            "aliases",
            json!({"firstName": "Mara"}),
            &[("aliasId", "personAliasId"), ("PersonAliasId", "personAliasId")],
            "aliasId",
        ),
        ("tags", json!({"tagId": tag}), &[("tagId", "tagId"), ("personTagId", "personTagId")], "personTagId or tagId"),
        ("notes", json!({"body": "rings twice"}), &[("noteId", "noteId")], "noteId"),
        (
            "entityFields",
            json!({"name": "Badge", "stringValue": "C-1"}),
            &[("name", "name"), ("entityFieldId", "entityFieldId")],
            "name",
        ),
    ];
    for (part, body, names, needed) in parts {
        let path = format!("/api/v1/people/{person}/{part}");
        for (name, property) in names {
            for in_query in [true, false] {
                let stored = admin.put(&path, &body).await.ok();
                let value = stored[*property].as_str().unwrap();
                let delete = async || match in_query {
                    true => admin.delete(&format!("{path}?{name}={value}")).await,
                    false => admin.send(Method::DELETE, &path, Some(&json!({*name: value, "other": null}))).await,
                };
                let reply = delete().await;
                assert_eq!((reply.status, reply.body.len()), (200, 0), "{part} by {name}");
                assert_eq!(admin.get(&path).await.ok(), json!([]), "{part} by {name}");
                delete().await.is_problem(404);
            }
        }
        // Without a name nothing is deleted, and the answer says which is missing.
        admin.put(&path, &body).await.ok();
        for nameless in [admin.delete(&path).await, admin.send(Method::DELETE, &path, Some(&json!({}))).await] {
            nameless.is_problem(400);
            let detail = nameless.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with(&format!("{needed} is missing")), "{part}: {detail}");
        }
        assert_eq!(admin.get(&path).await.ok().as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_part_that_says_nothing_is_refused() {
    let Some((_server, admin, person)) = with_a_person().await else { return };
    for (part, needed) in [
        ("aliases", "firstName, lastName"),
        ("notes", "summary or body"),
        ("addresses", "street"),
        ("entityFields", "name"),
        ("tags", "tagId"),
    ] {
        let path = format!("/api/v1/people/{person}/{part}");
        for nothing in [json!({}), json!({"firstName": null, "body": " ", "city": ""})] {
            let reply = admin.put(&path, &nothing).await;
            reply.is_problem(400);
            let detail = reply.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(needed) && detail.contains("missing"), "{part}: {detail}");
        }
    }
    let record = admin.get(&format!("/api/v1/people/{person}")).await.ok();
    for part in ["aliases", "notes", "addresses", "entityFields", "tags"] {
        assert_eq!(record[part], json!([]), "{part}");
    }
}
