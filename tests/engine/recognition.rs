//! Who is in the pictures: identification over the photos of five people, what is told of them, what is stored.

use faces::picture::{Interpolation, MAX_PIXELS, Picture};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::server::{Api, Server, base64, johns, portrait, sighting, wall};

const ALL: [&str; 4] = ["includeNames", "includeAddresses", "includeTags", "includeFields"];

fn everything() -> Value {
    json!({"includePerson": true, "includeNames": true, "includeAddresses": true, "includeTags": true,
        "includeFields": true})
}

/// Gives a person a name, an address, a tag and a field.
async fn describe(api: &Api, person: &str, first_name: &str) {
    let path = format!("/api/v1/people/{person}");
    api.put(&format!("{path}/aliases"), &json!({"firstName": first_name, "lastName": "John"})).await.ok();
    api.put(&format!("{path}/addresses"), &json!({"city": "Turku"})).await.ok();
    let tag = api.post("/api/v1/Tags", &json!({"tagName": format!("Friend of {first_name}")})).await.ok();
    api.put(&format!("{path}/tags"), &json!({"tagId": tag["tagId"]})).await.ok();
    api.put(&format!("{path}/entityFields"), &json!({"name": "Badge", "numberValue": 7})).await.ok();
}

/// Who a picture is identified as, if anybody.
async fn identify(api: &Api, photo: &[u8]) -> Option<String> {
    let faces = api.publish(photo, json!({"includePerson": true, "largestFaceOnly": true})).await;
    faces.first()?["person"]["personId"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn one_photo_of_each_person_identifies_the_others() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let mut ids = Vec::new();
    for photos in &people {
        ids.push(api.enroll(&photos[0]).await);
    }
    let (mut right, mut asked) = (0, 0);
    for (photos, id) in people.iter().zip(&ids) {
        for photo in &photos[1..] {
            asked += 1;
            right += usize::from(identify(&api, photo).await.as_ref() == Some(id));
        }
    }
    println!("rank 1: {right} of {asked}");
    assert_eq!(asked, 49);
    assert!(right >= 48, "{right} of {asked}");
}

#[tokio::test]
async fn a_person_left_out_is_nobody() {
    let Some(people) = johns() else { return };
    let mut accepted = 0;
    for left_out in 0..people.len() {
        let server = Server::start();
        let api = server.administrator().await;
        for (n, photos) in people.iter().enumerate() {
            if n != left_out {
                api.enroll(&photos[0]).await;
            }
        }
        for photo in &people[left_out] {
            accepted += usize::from(identify(&api, photo).await.is_some());
        }
    }
    println!("strangers accepted: {accepted} of 54");
    assert!(accepted <= 1, "{accepted}");
}

#[tokio::test]
async fn sections_are_told_when_asked_for_and_permitted() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let admin = server.administrator().await;
    let person = admin.enroll(&people[0][0]).await;
    describe(&admin, &person, "Sal").await;
    let photo = &people[0][1];
    let sections = ["aliases", "addresses", "personTags", "entityFields"];

    let face = admin.publish(photo, everything()).await.remove(0);
    let told = &face["person"];
    assert_eq!((&told["personId"], &told["friendlyName"]), (&json!(person), &json!("Sal John")));
    assert_eq!(told["aliases"][0]["lastName"], "John");
    assert_eq!(told["addresses"][0]["city"], "Turku");
    assert_eq!(told["personTags"][0]["tag"]["name"], "Friend of Sal");
    assert_eq!(told["entityFields"][0]["numberValue"], 7.0);
    let (confidence, matched) = (face["confidence"].as_f64().unwrap(), face["matchConfidence"].as_f64().unwrap());
    assert!((0.5..=1.0).contains(&confidence) && (0.5..=1.0).contains(&matched), "{confidence}, {matched}");
    assert!((0.0..=1.0).contains(&face["faceQuality"].as_f64().unwrap()));
    let side = face["boundingBox"]["width"].as_i64().unwrap();
    assert!(side > 20 && face["boundingBox"]["x"].is_i64());

    // Each switch brings its section alone, and none without the master switch.
    for (switch, section) in ALL.into_iter().zip(sections) {
        let face = admin.publish(photo, json!({"includePerson": true, switch: true})).await.remove(0);
        for other in sections {
            assert_eq!(face["person"].get(other).is_some(), other == section, "{switch}: {other}");
        }
        assert_eq!(face["person"].get("friendlyName").is_some(), switch == "includeNames");
        assert!(admin.publish(photo, json!({switch: true})).await[0].get("person").is_none());
    }

    // What the caller may not see is left out without a word. Roles of any mixture, as an operator may define them.
    let database = rusqlite::Connection::open(server.data().join("engine.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &[]),
        (&["Read Aliases"], &["aliases"]),
        (&["Read Addresses"], &["addresses"]),
        (&["Read Tags"], &["personTags"]),
        (&["Mutate Tags"], &["personTags"]),
        (&["Read Entity Fields"], &["entityFields"]),
        (&["Mutate Entity Fields", "Mutate Aliases"], &["entityFields"]),
        (&["Read All Identity"], &sections),
        (&["Mutate All Identity"], &sections),
    ];
    for (n, (held, told)) in cases.into_iter().enumerate() {
        let role = format!("role {n}");
        database.execute("INSERT INTO roles (name, built_in) VALUES (?, 0)", [&role]).unwrap();
        let insert = "INSERT INTO role_permissions SELECT role_id, ?, ? FROM roles WHERE name = ?";
        database.execute(insert, ("Facial Recognition Services", "Face Publishing", &role)).unwrap();
        for name in held {
            database.execute(insert, ("Identities", name, &role)).unwrap();
        }
        // The tag definitions' permission of the same name is another one.
        database.execute(insert, ("Tags", "Read Tags", &role)).unwrap();
        assert!(server.add_user(&format!("user{n}"), &role, "password").success());
        let api = server.log_in(&format!("user{n}"), "password").await;
        let face = api.publish(photo, everything()).await.remove(0);
        assert_eq!(face["person"]["personId"], json!(person));
        for section in sections {
            assert_eq!(face["person"].get(section).is_some(), told.contains(&section), "{held:?}: {section}");
        }
        assert_eq!(face["person"].get("friendlyName").is_some(), told.contains(&"aliases"), "{held:?}");
    }
}

#[tokio::test]
async fn strangers_get_a_face_that_is_theirs() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let faces = |n: usize, photo: usize| {
        let (api, photo) = (api.clone(), people[n][photo].clone());
        async move { api.publish(&photo, json!({"largestFaceOnly": true, "includePerson": true})).await.remove(0) }
    };
    let (first, again, other) = (faces(0, 0).await, faces(0, 1).await, faces(1, 0).await);
    assert!(first.get("person").is_none());
    assert_eq!(first["faceId"], again["faceId"]);
    assert_ne!(first["faceId"], other["faceId"]);
    // Listing faces knows them too, and stores nothing.
    let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": base64(&people[0][2])})).await.ok();
    assert_eq!(listed["detections"][0]["faceId"], first["faceId"]);
    assert_eq!(listed["detections"][0]["personId"], json!(null));
    let history =
        api.get(&format!("/api/v1/people/detections/faceId/{}", first["faceId"].as_str().unwrap())).await.ok();
    assert_eq!(history.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_largest_face_alone_is_reported_when_asked() {
    let Some(people) = johns() else { return };
    let (a, b) = (decode(&people[0][0]), decode(&people[1][0]));
    // The second one at two thirds of the size, beside the first.
    let small = b.resized(b.width() * 2 / 3, b.height() * 2 / 3, Interpolation::Area).unwrap();
    let both = beside(&a, &small).jpeg(95).unwrap();
    let server = Server::start();
    let api = server.administrator().await;
    let ids = [api.enroll(&people[0][0]).await, api.enroll(&people[1][0]).await];
    let who = |faces: &[Value]| {
        let ids = faces.iter().map(|face| face["person"]["personId"].as_str().unwrap_or("nobody").to_owned());
        ids.collect::<Vec<_>>()
    };
    let all = api.publish(&both, json!({"includePerson": true})).await;
    assert_eq!(who(&all), ids);
    assert!(all[1]["boundingBox"]["x"].as_i64().unwrap() >= i64::from(a.width()));
    let one = api.publish(&both, json!({"includePerson": true, "largestFaceOnly": true})).await;
    assert_eq!(who(&one), ids[..1]);
    let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": base64(&both)})).await.ok();
    let listed: Vec<_> = listed["detections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|face| face["personId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, ids);
}

#[tokio::test]
async fn a_repeated_detection_is_answered_and_not_stored_again() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let person = api.enroll(&people[0][0]).await;
    let at = |time: &str, detector: &str, double: bool, photo: usize| {
        let options = json!({"detectTimeUtc": time, "detectorName": detector, "allowDoubleDetection": double,
            "includePerson": true, "largestFaceOnly": true});
        let (api, photo) = (api.clone(), people[0][photo].clone());
        async move { api.publish(&photo, options).await.remove(0) }
    };
    let first = at("2026-03-04T05:06:07Z", "gate", false, 1).await;
    let before = at("2026-03-04T05:05:58Z", "gate", false, 2).await;
    let after = at("2026-03-04T07:06:16+02:00", "gate", false, 3).await;
    for repeated in [&before, &after] {
        assert_eq!(repeated["person"]["personId"], json!(person));
        assert_eq!((&repeated["detectId"], &repeated["faceId"]), (&first["detectId"], &first["faceId"]));
    }
    let elsewhere = at("2026-03-04T05:06:07Z", "back door", false, 1).await;
    let later = at("2026-03-04T05:06:17Z", "gate", false, 1).await;
    let allowed = at("2026-03-04T05:06:07Z", "gate", true, 1).await;
    let mut stored: Vec<_> = [&first, &elsewhere, &later, &allowed].map(|face| face["detectId"].to_string()).into();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 4);
    let by_person = format!("/api/v1/people/detections/personId/{person}");
    assert_eq!(api.get(&by_person).await.ok().as_array().unwrap().len(), 4);
    // `publish` follows the same rule.
    let path = "/api/v1/faceEdge/publish";
    for (time, stored) in [("2026-03-04T05:06:08Z", 4), ("2026-03-05T00:00:00Z", 5)] {
        let reply = api.post(path, &sighting(&people[0][4], json!({"detectTimeUtc": time}))).await;
        assert_eq!((reply.status, reply.body.len()), (200, 0));
        assert_eq!(api.get(&by_person).await.ok().as_array().unwrap().len(), stored);
    }
}

#[tokio::test]
async fn the_history_is_read_page_by_page() {
    let Some(photo) = portrait() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let person = api.enroll(&photo).await;
    let mut face = None;
    for day in 1..=12 {
        let time = format!("2026-03-{day:02}T12:00:00.250Z");
        let options = json!({"detectTimeUtc": time, "largestFaceOnly": true, "includePerson": true});
        face = Some(api.publish(&photo, options).await.remove(0));
    }
    let face = face.unwrap();
    let (face_id, detect_id) = (face["faceId"].as_str().unwrap(), face["detectId"].as_str().unwrap());
    let by_person = format!("/api/v1/people/detections/personId/{person}");
    let by_face = format!("/api/v1/people/detections/faceId/{face_id}");
    let ms = |day: i64| 1_772_366_400_250 + (day - 1) * 86_400_000;
    for path in [&by_person, &by_face] {
        for (query, days) in [
            (String::new(), (1..=10).collect::<Vec<_>>()),
            ("?take=3".into(), vec![1, 2, 3]),
            ("?skip=10".into(), vec![11, 12]),
            ("?skip=12".into(), vec![]),
            ("?take=0".into(), vec![]),
            ("?dateAscending=false&take=2&skip=1".into(), vec![11, 10]),
            (format!("?epochStartMs={}&epochEndMs={}", ms(4), ms(5)), vec![4, 5]),
            (format!("?epochStartMs={}", ms(12) + 1), vec![]),
            (format!("?epochStartMs={}&epochEndMs={}", ms(5), ms(4)), vec![]),
            ("?take=2147483647".into(), (1..=12).collect()),
        ] {
            let page = api.get(&format!("{path}{query}")).await.ok();
            let found: Vec<i64> = page
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["dateTimeUtc"].as_str().unwrap()[8..10].parse().unwrap())
                .collect();
            assert_eq!(found, days, "{query}");
        }
        for wrong in [
            "take=-1",
            "skip=x",
            "epochStartMs=-1",
            "epochEndMs=253402300800000",
            "dateAscending=maybe",
            "take=2147483648",
        ] {
            api.get(&format!("{path}?{wrong}")).await.is_problem(400);
        }
    }
    let item = api.get(&format!("{by_face}?take=1")).await.ok()[0].clone();
    assert_eq!(item["dateTimeUtc"], "2026-03-01T12:00:00.250Z");
    assert_eq!((&item["timeZone"], &item["detector"]), (&json!("Europe/Helsinki"), &json!("gate")));
    assert!(item["image"].as_str().unwrap().starts_with("/9j/"));
    for unknown in [
        "/api/v1/people/detections/faceId/nobody",
        "/api/v1/people/detections/personId/2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10",
    ] {
        assert_eq!(api.get(unknown).await.ok(), json!([]));
    }
    let photo = api.get(&format!("/api/v1/people/detectionPhoto/{face_id}/{detect_id}")).await;
    assert_eq!((photo.status, photo.headers["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert!(photo.body.starts_with(b"\xff\xd8\xff"));
    for nothing in [
        format!("detectionPhoto/{detect_id}/{face_id}"),
        format!("detectionPhoto/{face_id}/%ff"),
        "enrollmentPhoto/x".into(),
    ] {
        api.get(&format!("/api/v1/people/{nothing}")).await.is_problem(404);
    }
}

#[tokio::test]
async fn an_enrolment_is_whole_or_not_at_all() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let enroll = |query: &str, body: Value| {
        let (api, path) = (api.clone(), format!("/api/v1/faces/faceEnroll{query}"));
        async move { api.post(&path, &body).await }
    };
    let photo = |n: usize, photo: usize| base64(&people[n][photo]);
    let counts = || {
        let database = rusqlite::Connection::open(server.data().join("engine.db")).unwrap();
        let count = |table: &str| {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        ["people", "faces", "photos", "embeddings"].map(count)
    };
    // What cannot be read is bad input, what shows no face is turned down; neither leaves anything behind.
    for (body, status) in [
        (json!({"faceImage": base64(b"not a picture")}), 400),
        (json!({"faceImage": ""}), 400),
        (json!({"faceImage": "%%%"}), 400),
        (json!({}), 400),
        (json!({"faceImage": base64(&wall())}), 500),
        (json!({"faceImage": base64(&tiny(&people[0][0]))}), 500),
        (json!({"faceImage": base64(&beside(&decode(&people[0][0]), &decode(&people[0][0])).jpeg(90).unwrap())}), 500),
    ] {
        enroll("", body).await.is_problem(status);
        assert_eq!(counts(), [0; 4]);
    }
    // Too small a face is taken when forced; none is not.
    let forced = enroll("?forceEnrollment=true", json!({"faceImage": base64(&tiny(&people[0][0]))})).await.ok();
    assert_eq!(counts(), [1; 4]);
    enroll("?forceEnrollment=true", json!({"faceImage": base64(&wall())})).await.is_problem(500);
    enroll("?forceEnrollment=perhaps", json!({"faceImage": photo(0, 0)})).await.is_problem(400);
    // Another photo for somebody known, and for nobody.
    let id = forced["personId"].as_str().unwrap();
    assert_eq!(enroll(&format!("?personId={id}"), json!({"faceImage": photo(0, 1)})).await.ok(), forced);
    let nobody = "?personId=2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10";
    enroll(nobody, json!({"faceImage": photo(0, 1)})).await.is_problem(404);
    enroll(nobody, json!({"faceImage": base64(b"x")})).await.is_problem(400);
    enroll("?personId=x", json!({"faceImage": photo(0, 1)})).await.is_problem(400);
    assert_eq!(counts(), [1, 2, 2, 2]);
    // A reference stands for one photo: sent again it changes nothing, and it cannot be somebody else's.
    let referenced = json!({"faceImage": photo(1, 0), "photoReferenceId": "hr/photo 42"});
    let second = enroll("", referenced.clone()).await.ok();
    assert_eq!(enroll("", referenced.clone()).await.ok(), second);
    enroll(&format!("?personId={id}"), referenced).await.is_problem(400);
    // Another photo needs another reference, and a photo of somebody known makes nobody else of them.
    let other = json!({"faceImage": photo(1, 1), "photoReferenceId": "hr/photo 42"});
    enroll("?forceEnrollment=true", other).await.is_problem(400);
    let refused = enroll("", json!({"faceImage": photo(1, 0), "photoReferenceId": "hr/photo 43"})).await;
    refused.is_problem(500);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains(second["personId"].as_str().unwrap()) && detail.contains("forceEnrollment"), "{detail}");
    assert_eq!(counts(), [2, 3, 3, 3]);
    let check = api.get("/api/v1/faces/checkImageReference/hr%2Fphoto%2042").await.ok();
    assert_eq!(check["exists"], json!(true));
    let (face, detect) = (check["faceId"].as_str().unwrap(), check["detectId"].as_str().unwrap());
    for path in [format!("enrollmentPhoto/{face}"), format!("detectionPhoto/{face}/{detect}")] {
        assert_eq!(api.get(&format!("/api/v1/people/{path}")).await.body, people[1][0]);
    }
    for unknown in ["hr-photo-43", "%ff"] {
        let check = api.get(&format!("/api/v1/faces/checkImageReference/{unknown}")).await.ok();
        assert_eq!(check, json!({"exists": false, "faceId": null, "detectId": null}));
    }
}

#[tokio::test]
async fn formats_and_orientation_make_no_difference() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let person = api.enroll(&people[0][0]).await;
    let picture = decode(&people[0][1]);
    for ending in [".png", ".webp", ".bmp", ".jpg"] {
        let encoded = encode(&picture, ending);
        assert_eq!(identify(&api, &encoded).await.as_ref(), Some(&person), "{ending}");
    }
    // A phone held sideways: the pixels lie on their side, and EXIF says so (6: turn by 90 degrees to the right).
    let upright = identify(&api, &people[0][1]).await;
    let turned = with_orientation(&quarter_turn(&picture).jpeg(95).unwrap(), 6);
    assert_eq!(identify(&api, &turned).await, upright);
    // Photos that did not come as JPEG are kept as JPEG.
    let photo = json!({"faceImage": base64(&encode(&picture, ".png")), "photoReferenceId": "png"});
    api.post(&format!("/api/v1/faces/faceEnroll?personId={person}"), &photo).await.ok();
    let face = api.get("/api/v1/faces/checkImageReference/png").await.ok()["faceId"].as_str().unwrap().to_owned();
    let kept = api.get(&format!("/api/v1/people/enrollmentPhoto/{face}")).await.body;
    assert!(kept.starts_with(b"\xff\xd8\xff"));
}

#[tokio::test]
async fn pictures_that_cannot_be_read_are_bad_input_everywhere() {
    let server = Server::start();
    let api = server.administrator().await;
    let good = base64(&wall());
    let huge = {
        // A BMP header that promises 60,000 x 60,000 pixels.
        let mut bmp = encode(&Picture::filled(2, 2, [0; 3]), ".bmp");
        bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
        bmp
    };
    for bad in [base64(b"GIF89a not a picture"), base64(&huge), base64(&wall()[..40]), String::new(), "***".into()] {
        let crop = json!({"croppedAligned": bad, "detectorName": "g", "ianaTimeZone": "UTC",
            "detectTimeUtc": "2026-03-04T05:06:07Z"});
        let published = sighting(b"", json!({"expanded": bad}));
        for (path, body) in [
            ("faceEdge/publishWithResponse", &published),
            ("faceEdge/publish", &published),
            ("faceEdge/recognize", &crop),
            ("faces/faceEnroll", &json!({"faceImage": bad})),
            ("faces/faceDetect", &json!({"image": bad})),
            ("faces/faceCompare", &json!({"image1": good, "image2": bad})),
            ("faces/faceCompare", &json!({"image1": bad, "image2": good})),
        ] {
            api.post(&format!("/api/v1/{path}"), body).await.is_problem(400);
        }
    }
    for (key, wrong) in [
        ("detectorName", json!("")),
        ("detectorName", json!(null)),
        ("ianaTimeZone", json!("")),
        ("detectTimeUtc", json!("yesterday")),
        ("detectTimeUtc", json!(1_772_600_767)),
        ("detectTimeUtc", json!("9999-12-31T23:59:59-10:00")),
        ("largestFaceOnly", json!("yes")),
        ("croppedAligned", json!("not base64 !")),
        ("embeddings", json!(["a"])),
        ("recognitionModel", json!(7)),
    ] {
        let reply = api.post("/api/v1/faceEdge/publishWithResponse", &sighting(&wall(), json!({key: wrong}))).await;
        reply.is_problem(400);
    }
    // No face at all is an answer.
    assert!(
        api.publish(&wall(), json!({"unknownProperty": {"a": 1}, "ianaTimeZone": "Middle-earth/Shire"}))
            .await
            .is_empty()
    );
    let listed = api.post("/api/v1/faces/faceDetect", &json!({"image": good})).await.ok();
    assert_eq!(listed, json!({"detections": []}));
    api.post("/api/v1/faces/faceCompare", &json!({"image1": good, "image2": good})).await.is_problem(500);
}

/// `confidence` is the detection's, of whoever it is: enrolling somebody changes it by nothing. How sure the match is
/// has a name of its own, which a stranger's face does not have.
#[tokio::test]
async fn the_confidence_of_a_face_is_not_that_of_a_match() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let admin = server.administrator().await;
    let photo = &people[0][0];
    let detected = |admin: &crate::server::Api| {
        let (admin, body) = (admin.clone(), json!({"image": base64(photo)}));
        async move { admin.post("/api/v1/faces/faceDetect", &body).await.ok()["detections"][0].clone() }
    };
    let stranger = admin.publish(photo, everything()).await.remove(0);
    let (published, listed) = (&stranger["confidence"], detected(&admin).await);
    assert!(
        stranger.get("matchConfidence").is_none() && listed.get("matchConfidence").is_none(),
        "{stranger} {listed}"
    );
    admin.enroll(photo).await;
    let known = admin.publish(photo, everything()).await.remove(0);
    let now = detected(&admin).await;
    assert_eq!((&known["confidence"], &now["confidence"]), (published, &listed["confidence"]));
    for matched in [&known["matchConfidence"], &now["matchConfidence"]] {
        assert!(matched.as_f64().is_some_and(|score| score > 0.9 && score <= 1.0), "{matched}");
    }
}

#[tokio::test]
async fn two_pictures_are_compared() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let compare = |a: &[u8], b: &[u8]| {
        let (api, body) = (api.clone(), json!({"image1": base64(a), "image2": base64(b)}));
        async move { api.post("/api/v1/faces/faceCompare", &body).await.ok() }
    };
    let same = compare(&people[2][0], &people[2][1]).await;
    let other = compare(&people[2][0], &people[3][1]).await;
    assert_eq!((&same["match"], &other["match"]), (&json!(true), &json!(false)));
    assert!(same["confidence"].as_f64().unwrap() > 0.5 && other["confidence"].as_f64().unwrap() < 0.5);
}

#[tokio::test]
async fn aligned_crops_are_recognised_by_both_ways() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let admin = server.administrator().await;
    let mut ids = Vec::new();
    for (n, photos) in people.iter().enumerate() {
        ids.push(admin.enroll(&photos[0]).await);
        describe(&admin, &ids[n], &format!("Number{n}")).await;
    }
    // The agent's role may look up but neither enrol nor browse.
    assert!(server.add_user("gate", "Edge Publisher", "password").success());
    let gate = server.log_in("gate", "password").await;
    let mut models = Models::load();
    let (mut right, mut asked) = (0, 0);
    for (n, photos) in people.iter().enumerate() {
        for photo in &photos[1..4] {
            let picture = decode(photo);
            let (chip, crop, embedding) = models.prepare(&picture);
            for image in [&chip, &crop] {
                let body = json!({"croppedAligned": base64(image), "detectorName": "gate", "ianaTimeZone": "UTC",
                    "detectTimeUtc": "2026-03-04T05:06:07Z"});
                let by_json = gate.post("/api/v1/faceEdge/recognize", &body).await;
                let form = Form::new().part("CroppedAligned", Part::bytes(image.clone()).file_name("c.jpg"));
                let by_form = gate.form("/api/v1/faceEdge/lookup", form).await;
                assert_eq!(by_json.status, by_form.status);
                asked += 1;
                if by_json.status == 200 {
                    assert_eq!(by_json.json(), by_form.json());
                    right += usize::from(by_json.json()["personId"] == json!(ids[n]));
                }
            }
            // A ready-made vector of the engine's own model is used as it is, one of another model is not.
            for (model, found) in [(models.name(), true), ("another".into(), false)] {
                let bytes: Vec<u8> = embedding.iter().flat_map(|value| value.to_le_bytes()).collect();
                let form = Form::new()
                    .part("CroppedAligned", Part::bytes(wall()).file_name("c.jpg"))
                    .part("Embeddings", Part::bytes(bytes).file_name("e"))
                    .text("RecognitionModel", model);
                let reply = gate.form("/api/v1/faceEdge/lookup", form).await;
                assert_eq!(reply.status, if found { 200 } else { 404 });
                if found {
                    let person = reply.json();
                    assert_eq!(person["personId"], json!(ids[n]));
                    assert_eq!(person["firstName"], json!(format!("Number{n}")));
                    assert_eq!(person["tags"], json!([{"name": format!("Friend of Number{n}")}]));
                }
            }
        }
    }
    println!("crops recognised: {right} of {asked}");
    assert!(right >= asked - 1, "{right} of {asked}");
    gate.form("/api/v1/faceEdge/lookup", Form::new().text("RecognitionModel", "x")).await.is_problem(400);
    let odd = Form::new()
        .part("CroppedAligned", Part::bytes(wall()).file_name("c.jpg"))
        .part("Embeddings", Part::bytes(vec![1, 2, 3]).file_name("e"));
    gate.form("/api/v1/faceEdge/lookup", odd).await.is_problem(400);
    let form = Form::new().part("CroppedAligned", Part::bytes(wall()).file_name("c.jpg"));
    gate.form("/api/v1/faceEdge/lookup", form).await.is_problem(404);
    gate.post("/api/v1/faces/faceEnroll", &json!({"faceImage": base64(&wall())})).await.is_problem(403);
}

#[tokio::test]
async fn many_clients_publish_and_enrol_at_once() {
    let Some(people) = johns() else { return };
    let server = Server::start();
    let api = server.administrator().await;
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let (api, photo) = (api.clone(), people[n % 5][n % 10].clone());
            tokio::spawn(async move {
                if n % 4 == 0 {
                    api.enroll_again(&photo).await;
                    return Vec::new();
                }
                let options = json!({"detectorName": format!("door {n}"), "largestFaceOnly": true});
                api.publish(&photo, options).await
            })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.extend(task.await.unwrap());
    }
    assert_eq!(seen.len(), 18);
    for face in seen {
        let ids = (face["faceId"].as_str().unwrap(), face["detectId"].as_str().unwrap());
        assert_eq!(api.get(&format!("/api/v1/people/detectionPhoto/{}/{}", ids.0, ids.1)).await.status, 200);
    }
}

/// What the agent would send: the models it shares with the engine.
struct Models {
    detector: faces::detect::FaceDetector,
    embedder: faces::embed::FaceEmbedder,
}

impl Models {
    fn load() -> Self {
        let store = faces::models::ModelStore::locate(None);
        Self {
            detector: faces::detect::load(&store, &faces::detect::SearchOptions::default(), 1).unwrap(),
            embedder: faces::embed::load(&store, "auto", 1).unwrap(),
        }
    }

    fn name(&self) -> String {
        self.embedder.model.name.clone()
    }

    /// The aligned chip, a plain crop of the face's box, and the vector.
    fn prepare(&mut self, picture: &Picture) -> (Vec<u8>, Vec<u8>, Vec<f32>) {
        let face = self.detector.detect(picture).unwrap().remove(0);
        let chip = faces::align::chip(picture, &face.landmarks).unwrap();
        let (x, y) = (face.bbox.x as i64, face.bbox.y as i64);
        let crop = picture.cropped(x, y, face.bbox.width as u32, face.bbox.height as u32).unwrap();
        let embedding = self.embedder.embed(picture, &face).unwrap();
        (chip.jpeg(95).unwrap(), crop.jpeg(95).unwrap(), embedding.values)
    }
}

fn decode(photo: &[u8]) -> Picture {
    Picture::decode(photo, MAX_PIXELS).unwrap()
}

/// Scaled until its face is far below what an enrolment needs.
fn tiny(photo: &[u8]) -> Vec<u8> {
    let picture = decode(photo);
    picture.resized(picture.width() / 4, picture.height() / 4, Interpolation::Area).unwrap().jpeg(95).unwrap()
}

fn beside(left: &Picture, right: &Picture) -> Picture {
    let height = left.height().max(right.height());
    let row = |picture: &Picture, y: u32| match y < picture.height() {
        true => picture.row(y).to_vec(),
        false => vec![0; picture.width() as usize * 3],
    };
    let pixels = (0..height).flat_map(|y| [row(left, y), row(right, y)].concat()).collect();
    Picture::new(left.width() + right.width(), height, pixels).unwrap()
}

/// Turned by 90 degrees to the left.
fn quarter_turn(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let column = |x: u32| (0..height).flat_map(move |y| picture.row(y)[x as usize * 3..][..3].to_vec());
    Picture::new(height, width, (0..width).rev().flat_map(column).collect()).unwrap()
}

fn encode(picture: &Picture, ending: &str) -> Vec<u8> {
    if ending == ".jpg" {
        return picture.jpeg(95).unwrap();
    }
    let rgb = picture.bgr().as_chunks::<3>().0.iter().flat_map(|&[blue, green, red]| [red, green, blue]).collect();
    let image = image::RgbImage::from_raw(picture.width(), picture.height(), rgb).unwrap();
    let mut encoded = std::io::Cursor::new(Vec::new());
    image.write_to(&mut encoded, image::ImageFormat::from_extension(&ending[1..]).unwrap()).unwrap();
    encoded.into_inner()
}

/// The JPEG with an EXIF block that holds nothing but the orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = [
        b"II*\0\x08\0\0\0\x01\0".as_slice(),
        // Tag 0x0112, type SHORT, one value.
        &[0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0],
        &[0; 4],
    ]
    .concat();
    let length = (2 + 6 + tiff.len()) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}
