//! The client: against an engine that misbehaves, over real sockets; the bytes it sends; and every operation against
//! the real engine.

mod answers;
mod commands;
mod enroll;
mod fake;
mod files;
mod import;
mod prepared;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tokens;
mod walk;

use std::time::{Duration, Instant};

use doorward::config::{Call, DetectorName, IdentifyConfig};
use doorward::crop::Sighting;
use doorward::recognition::{IdentifyError, Recognition};
use doorward::track::VisitId;
use faces::detect::Rect;
use faces::embed::Embedding;
use fake::{Fake, Reply, Request};
use identities::{Client, ClientOptions};
use uuid::Uuid;

const PASSWORD: &str = "correct-horse-battery";

fn config(url: &str) -> ClientOptions {
    let mut config = ClientOptions::new(url.parse().unwrap(), "gate", PASSWORD);
    config.connect_timeout = Duration::from_secs(2);
    config
}

fn client(fake: &Fake) -> Client {
    Client::new(&config(&fake.url())).unwrap()
}

fn call(call: Call) -> IdentifyConfig {
    IdentifyConfig { call, ..IdentifyConfig::default() }
}

fn sighting() -> Sighting {
    Sighting {
        id: Uuid::from_u128(1),
        visit: VisitId(Uuid::from_u128(2)),
        stay: None,
        detector: DetectorName::new("gate-2-edge").unwrap(),
        time_zone: chrono_tz::Europe::Helsinki,
        seen_at: "2026-03-04T05:06:07.250Z".parse().unwrap(),
        arrived: Some(Instant::now()),
        shot: 2,
        quality: 0.75,
        expanded: b"expanded".to_vec().into(),
        face: Rect { x: 10.0, y: 20.0, width: 30.0, height: 40.0 },
        aligned: Some(b"aligned".to_vec().into()),
        embedding: Some(Embedding { model: "mobilefacenet".into(), values: vec![1.0, -0.5] }),
        liveness: None,
    }
}

/// One try; also looks that an error tells no secret.
async fn identify(client: &Client, config: &IdentifyConfig) -> Result<Recognition, IdentifyError> {
    let tried =
        tokio::time::timeout(Duration::from_secs(60), doorward::recognition::identify(client, &sighting(), config))
            .await;
    let result = tried.expect("a try ends by itself");
    if let Err(error) = &result {
        let mut text = format!("{error} {error:?} {}", error.reason());
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            text += &format!(" {next}");
            cause = next.source();
        }
        for secret in [PASSWORD, "token-1", "token-2", "ZXhwYW5kZWQ"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    result
}

/// The cause of a failure and whether another try was advised.
fn failed(result: Result<Recognition, IdentifyError>) -> (bool, Option<Duration>, String) {
    let IdentifyError { again, after, source } = result.unwrap_err();
    (again, after, source.to_string())
}
