//! What has been acknowledged is there after the power went.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::server::{Server, base64, portrait, sighting};

#[tokio::test]
async fn whatever_was_acknowledged_survives_a_kill_under_load() {
    let Some(photo) = portrait() else { return };
    let server = Server::start();
    let password = server.password.clone().unwrap();
    let api = server.administrator().await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..64)
        .map(|client| {
            let (api, photo, acknowledged) = (api.clone(), photo.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let (mut people, mut detections, mut tags) = (Vec::new(), Vec::new(), Vec::new());
                for n in 0.. {
                    // Requests that fail are those the kill cut short: nothing was promised of them.
                    let request = match n % 3 {
                        0 => (
                            "/api/v1/faces/faceEnroll?forceEnrollment=true",
                            json!({"faceImage": base64(&photo), "photoReferenceId": format!("{client}-{n}")}),
                        ),
                        1 => {
                            let options =
                                json!({"detectorName": format!("door {client}"), "allowDoubleDetection": true});
                            ("/api/v1/faceEdge/publishWithResponse", sighting(&photo, options))
                        }
                        _ => ("/api/v1/Tags", json!({"tagName": format!("{client}-{n}")})),
                    };
                    let sent = api.request(reqwest::Method::POST, request.0).json(&request.1).send().await;
                    let Ok(answer) = sent else { break };
                    let Ok(body) = answer.error_for_status().unwrap().json::<serde_json::Value>().await else { break };
                    match n % 3 {
                        0 => people.push((body["personId"].as_str().unwrap().to_owned(), format!("{client}-{n}"))),
                        1 => detections.extend(body["detectedFaces"].as_array().unwrap().iter().map(|face| {
                            (face["faceId"].as_str().unwrap().to_owned(), face["detectId"].as_str().unwrap().to_owned())
                        })),
                        _ => tags.push(format!("{client}-{n}")),
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                (people, detections, tags)
            })
        })
        .collect();
    while acknowledged.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let folder = server.kill();

    let database = rusqlite::Connection::open(folder.path().join("engine/engine.db")).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    let dangling: i64 =
        database.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(dangling, 0);
    drop(database);

    let server = Server::start_in(folder);
    let api = server.log_in("admin", &password).await;
    let mut found = [0; 3];
    for client in clients {
        let (people, detections, tags) = client.await.unwrap();
        for (person, reference) in people {
            assert_eq!(api.get(&format!("/api/v1/people/{person}")).await.status, 200, "{person} is lost");
            let check = api.get(&format!("/api/v1/faces/checkImageReference/{reference}")).await.ok();
            assert_eq!(check["exists"], json!(true), "{reference} is lost");
            found[0] += 1;
        }
        for (face, detection) in detections {
            let photo = api.get(&format!("/api/v1/people/detectionPhoto/{face}/{detection}")).await;
            assert_eq!(photo.status, 200, "{detection} is lost");
            found[1] += 1;
        }
        for tag in tags {
            let listed = api.get(&format!("/api/v1/Tags?tagName={tag}")).await.ok();
            assert_eq!(listed.as_array().unwrap().len(), 1, "{tag} is lost");
            found[2] += 1;
        }
    }
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    // And it goes on as before.
    let faces = api.publish(&photo, json!({"largestFaceOnly": true, "includePerson": true})).await;
    assert!(faces[0]["person"]["personId"].is_string());
}
