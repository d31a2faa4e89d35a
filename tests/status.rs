//! The status page over a real socket.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use doorward::config::DetectorName;
use doorward::status::{Board, CameraPhase, EngineState, StatusView, serve};

/// Serves on a free port, asks each path over a real socket, and stops.
#[tokio::test]
async fn the_server_answers_read_only_and_stops() {
    identities::trust::crypto();
    let name = DetectorName::new("front").unwrap();
    let board = Board::new(Instant::now(), [name.clone()]);
    let metrics = telemetry::metrics().unwrap();
    metrics::counter!("doorward_status_test_total").increment(3);
    metrics::histogram!("doorward_status_test_seconds").record(0.2);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let view = StatusView { board: board.clone(), metrics };
    let server = tokio::spawn(serve(listener, view, async move {
        let _ = stopped.await;
    }));

    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://{address}{path}");
    let page = client.get(url("/")).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = page.text().await.unwrap();
    for asset in ["page.css", "page.js", "icon.svg"] {
        assert!(page.contains(asset) && client.get(url(&format!("/{asset}"))).send().await.unwrap().status() == 200);
    }
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("://"));

    let metrics = client.get(url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("doorward_status_test_total 3"), "{metrics}");
    assert!(metrics.contains("doorward_status_test_seconds_bucket{le=\"0.25\"} 1"), "{metrics}");

    let now = Instant::now();
    board.camera(&name, CameraPhase::Live, "", now);
    board.received(&name, now);
    board.engine(EngineState::Answering, "", now);
    let healthy = client.get(url("/health")).send().await.unwrap();
    assert_eq!((healthy.status().as_u16(), healthy.text().await.unwrap()), (200, r#"{"ok":true,"faults":[]}"#.into()));
    board.canary(&name, Err("the built-in face is not found".into()), now);
    let ill = client.get(url("/health")).send().await.unwrap();
    assert_eq!(ill.status(), 503);
    let ill: serde_json::Value = ill.json().await.unwrap();
    assert_eq!((&ill["faults"][0]["part"], &ill["faults"][0]["detector"]), (&"detection".into(), &"front".into()));
    assert!(ill["faults"][0]["since"].as_str().unwrap().ends_with('Z'), "{ill}");
    let status: serde_json::Value = client.get(url("/status.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&status["detectors"][0]["camera"], &status["engine"]["state"]), (&"live".into(), &"answering".into()));

    // A picture is told of as soon as it is believed to be bad; it is a fault after a while.
    board.lens(&name, Some("the picture is dark".into()), Instant::now());
    let status: serde_json::Value = client.get(url("/status.json")).send().await.unwrap().json().await.unwrap();
    assert_eq!(status["detectors"][0]["picture"], "the picture is dark");
    assert!(status["detectors"][0]["picture_since"].as_str().unwrap() <= status["now"].as_str().unwrap(), "{status}");

    assert_eq!(client.post(url("/status.json")).send().await.unwrap().status(), 405);
    assert_eq!(client.get(url("/elsewhere")).send().await.unwrap().status(), 404);
    let foreign = client.get(url("/status.json")).header("host", "door.example").send().await.unwrap();
    assert_eq!(foreign.status(), 421);
    assert!(!foreign.text().await.unwrap().contains("front"));

    drop(client);
    stop.send(()).unwrap();
    server.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Connections that ask nothing, more than there may be: the page is there for who asks, and they are let go.
#[tokio::test]
async fn connections_held_for_nothing_keep_nobody_from_the_page() {
    identities::trust::crypto();
    let board = Board::new(Instant::now(), [DetectorName::new("front").unwrap()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Another test of this process may have made the metrics.
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let view = StatusView { board, metrics: recorder.handle() };
    tokio::spawn(serve(listener, view, std::future::pending()));
    let mut held = Vec::new();
    for n in 0..300 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let half = ["GET / HTTP/1.1\r\nHost: x\r\n", "GET /health HT", ""][n % 3];
        stream.write_all(half.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let asked = Instant::now();
    let answer = reqwest::get(format!("http://{address}/health")).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(answer.text().await.unwrap().starts_with("{\"ok\":"));
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), held[0].read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the first is let go");
}
