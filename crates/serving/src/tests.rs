//! Clients that are slow, quiet, many or wrong.

use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;

const SHORT: Duration = Duration::from_millis(300);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

async fn start(limits: Limits) -> Running {
    start_behind(limits, Proxies::default()).await
}

async fn start_behind(limits: Limits, proxies: Proxies) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
        .route("/slow", get(|| async { tokio::time::sleep(3 * SHORT).await }))
        .route("/much", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/echo", post(|body: String| async move { body }));
    let stop = CancellationToken::new();
    let told = stop.clone().cancelled_owned();
    let stopping = CancellationToken::new();
    let server = Server { app, handshake: Plain, limits, proxies, counter: "connections", stopping };
    let ended = tokio::spawn(server.serve(listener, told));
    Running { address, stop, ended }
}

fn short() -> Limits {
    Limits { handshake: SHORT, header: SHORT, stall: SHORT, ..Limits::default() }
}

/// What comes back until the server closes.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that closes with bytes unread resets the connection; what came before counts.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn slow_clients_are_let_go_and_make_room() {
    // Two places only: both are taken by clients that never finish their header.
    let running = start(Limits { connections: 2, ..short() }).await;
    let mut slow = Vec::new();
    for begun in ["GET / HT", ""] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    assert!(ask(running.address, GET).await.ends_with("127.0.0.1"));
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}

#[tokio::test]
async fn a_trickle_of_header_lines_does_not_keep_a_place() {
    let running = start(short()).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
        for n in 0.. {
            tokio::time::sleep(SHORT / 6).await;
            if write.write_all(format!("X-{n}: a\r\n").as_bytes()).await.is_err() {
                return n;
            }
        }
        0
    });
    let mut answer = Vec::new();
    let _ = read.read_to_end(&mut answer).await;
    drop(read);
    assert!(trickle.await.unwrap() > 0, "the server closes while the client is still writing");
}

#[tokio::test]
async fn a_quiet_connection_is_closed_and_a_busy_one_kept() {
    let running = start(short()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..4 {
        // Longer in all than a quiet one may be.
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 17];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK\r\n");
        let mut rest = [0; 512];
        let _ = stream.read(&mut rest).await.unwrap();
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let running = start(Limits { connections: 1, ..short() }).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    // The one place is free again without a byte having been read.
    assert!(ask(running.address, GET).await.contains("200 OK"));
}

#[tokio::test]
async fn connections_held_for_nothing_make_room_for_who_asks() {
    let running = start(Limits { connections: 8, of_one_address: 2, ..Limits::default() }).await;
    let mut held = Vec::new();
    // As many as there may be and more: a beginning, half a body, and a connection that has been answered.
    for begun in [
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        for _ in 0..3 {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            held.push(stream);
        }
    }
    assert!(ask(running.address, GET).await.contains("200 OK"));
    // The first of them was let go, long before its time.
    let mut rest = Vec::new();
    let _ = held[0].read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[tokio::test]
async fn one_address_cannot_have_every_place_at_work() {
    let running = start(Limits { connections: 8, of_one_address: 2, ..Limits::default() }).await;
    let address = running.address;
    let slow =
        [(); 2].map(|()| tokio::spawn(ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")));
    tokio::time::sleep(SHORT).await;
    assert_eq!(ask(address, GET).await, "");
    for slow in slow {
        assert!(slow.await.unwrap().contains("200 OK"));
    }
    assert!(ask(address, GET).await.contains("200 OK"));
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_it_says() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n";
    let stranger = start(Limits::default()).await;
    assert!(ask(stranger.address, request).await.ends_with("127.0.0.1"));
    let proxies = Proxies(vec![Proxies::parse("127.0.0.1").unwrap()]);
    let trusted = start_behind(Limits { of_one_address: 0, ..Limits::default() }, proxies).await;
    assert!(ask(trusted.address, request).await.ends_with("192.0.2.7"));
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_end() {
    let running = start(Limits::default()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(&GET.as_bytes()[..10]).await.unwrap();
    let address = running.address;
    let under_way = tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await });
    tokio::time::sleep(SHORT).await;
    running.stop.cancel();
    assert!(under_way.await.unwrap().contains("200 OK"));
    drop(idle);
    running.ended.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn garbage_harms_nobody() {
    let running = start(short()).await;
    for garbage in ["\0\u{1}\u{2}\r\n\r\n", "GET", &"A".repeat(1 << 20), "\u{16}\u{3}\u{1}", "GET / HTTP/9.9\r\n\r\n"] {
        ask(running.address, garbage).await;
    }
    assert!(ask(running.address, GET).await.contains("200 OK"));
}
