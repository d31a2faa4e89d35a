//! Many clients publishing at once: no error, and nothing lost.
//!
//! A few seconds in `make test`; `make load` makes it a minute.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Server, portrait};

const CLIENTS: usize = 64;

/// What one client was promised, and how long each answer took.
#[derive(Default)]
struct Promised {
    /// Face id and detection id.
    detections: Vec<(String, String)>,
    took: Vec<Duration>,
}

#[tokio::test]
async fn whatever_was_answered_to_many_clients_at_once_is_found_afterwards() {
    let Some(photo) = portrait() else { return };
    let seconds = std::env::var("DOORWARD_LOAD_SECS").map_or(3, |secs| secs.parse().expect("a number of seconds"));
    let server = Server::start();
    let admin = server.administrator().await;
    let person = admin.enroll(&photo).await;
    assert!(server.add_user("gate", "Edge Publisher", "password").success());
    let gate = server.log_in("gate", "password").await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (gate, photo) = (gate.clone(), photo.clone());
            tokio::spawn(async move {
                let mut promised = Promised::default();
                while Instant::now() < end {
                    let options = json!({"detectorName": format!("door {client}"), "allowDoubleDetection": true,
                        "largestFaceOnly": true, "includePerson": true});
                    let asked = Instant::now();
                    let faces = gate.publish(&photo, options).await;
                    promised.took.push(asked.elapsed());
                    promised.detections.extend(faces.iter().map(|face| {
                        assert!(face["person"]["personId"].is_string());
                        (face["faceId"].as_str().unwrap().to_owned(), face["detectId"].as_str().unwrap().to_owned())
                    }));
                }
                promised
            })
        })
        .collect();
    let (mut detections, mut took) = (Vec::new(), Vec::new());
    for client in clients {
        let promised = client.await.expect("every request is answered with success");
        detections.extend(promised.detections);
        took.extend(promised.took);
    }
    took.sort();
    let percentile = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{CLIENTS} clients, {seconds} s: {} answers, {:.1} a second, p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
        took.len(),
        took.len() as f64 / seconds as f64,
        percentile(0.5),
        percentile(0.99),
        percentile(1.0),
    );
    assert!(took.len() >= CLIENTS && detections.len() == took.len());

    for (face, detection) in &detections {
        let photo = admin.get(&format!("/api/v1/people/detectionPhoto/{face}/{detection}")).await;
        assert_eq!(photo.status, 200, "{detection} is lost");
    }
    // The person's history has each of them once.
    let (mut found, path) = (0, format!("/api/v1/people/detections/personId/{person}"));
    loop {
        let page = admin.get(&format!("{path}?take=100&skip={found}")).await.ok();
        match page.as_array().unwrap().len() {
            0 => break,
            length => found += length,
        }
    }
    assert_eq!(found, detections.len());
}
