//! Serving the API on a listener until told to stop.
//!
//! In: a listener, an engine, perhaps a certificate, and a future that resolves when it is time to stop. Out: answers;
//! then, once what was under way is answered or [`DRAIN`] has passed, the end. A client that is slow on purpose holds
//! one of a bounded number of connections, and not for long: [`ConnectionLimits`] says how long.

mod slots;
mod tls;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use telemetry::{Metrics, Repeated};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::housekeeping::{self, Retention};
use crate::{http, takeover};
use slots::{Slot, Slots};

pub use tls::{Tls, TlsFiles};

/// How long requests under way are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// How long is waited before the next connection is taken when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How often measurements are summed up.
const UPKEEP: Duration = Duration::from_secs(5);

/// How much room and time the engine gives to connections: a client that is slow on purpose must not keep others out.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    /// The connections that are open at once; more wait in the operating system's queue.
    connections: usize,
    /// The connections of one address that are open at once; more are closed.
    of_one_address: usize,
    /// How long a TLS handshake may take.
    handshake: Duration,
    /// How long the header of a request may take, from the first moment of a connection or from the last answer: it
    /// ends a client that trickles, and one that has gone quiet.
    header: Duration,
    /// How long a client may take no byte of an answer.
    stall: Duration,
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 512,
    of_one_address: 256,
    handshake: Duration::from_secs(10),
    header: Duration::from_secs(20),
    stall: Duration::from_secs(30),
};

/// Serves until `shutdown` resolves and the requests then under way are answered; over TLS when there is a certificate,
/// and with `/metrics` when there are any. A model to be prepared is prepared meanwhile, and what is older than it may
/// be is erased.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    tls: Option<Tls>,
    metrics: Option<Metrics>,
    retention: Retention,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), EngineError> {
    let stopping = CancellationToken::new();
    let aside = TaskTracker::new();
    aside.spawn(housekeeping::run(engine.clone(), retention, stopping.clone()));
    aside.spawn(takeover::run(engine.clone(), stopping.clone()));
    if let Some(tls) = tls.clone() {
        aside.spawn(tls.keep_up_to_date(stopping.clone()));
    }
    if let Some(metrics) = metrics.clone() {
        aside.spawn(sum_up(metrics, stopping.clone()));
    }
    let app = http::router(engine, metrics);
    let served = serve_within(listener, app, tls, LIMITS, stopping.clone(), shutdown).await;
    stopping.cancel();
    aside.close();
    aside.wait().await;
    served
}

/// Keeps measurements from piling up while nobody scrapes them.
async fn sum_up(metrics: Metrics, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        metrics.run_upkeep();
    }
}

async fn serve_within(
    listener: TcpListener,
    app: Router,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    stopping: CancellationToken,
    shutdown: impl Future<Output = ()>,
) -> Result<(), EngineError> {
    let conversations = TaskTracker::new();
    let server = Server { app, tls, limits, stopping: stopping.clone() };
    tokio::select! {
        failure = server.accept(listener, &conversations) => return failure,
        () = shutdown => stopping.cancel(),
    }
    // The listener is closed by now: a client that comes too late learns so at once.
    conversations.close();
    if tokio::time::timeout(DRAIN, conversations.wait()).await.is_err() {
        let (left, secs) = (conversations.len(), DRAIN.as_secs());
        warn!("{left} connections were not done within {secs} seconds of the stop; their requests are given up");
    }
    Ok(())
}

#[derive(Clone)]
struct Server {
    app: Router,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    stopping: CancellationToken,
}

impl Server {
    /// Takes connections for ever.
    async fn accept(&self, listener: TcpListener, conversations: &TaskTracker) -> Result<(), EngineError> {
        let mut slots = Slots::new(self.limits.connections, self.limits.of_one_address);
        let failures = Repeated::new(Duration::from_secs(60));
        loop {
            let free = slots.free().await?;
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(line) = failures.note(Instant::now(), error) {
                        warn!("cannot take a connection: {line}");
                    }
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                    continue;
                }
            };
            let Some(slot) = slots.take(free, peer.ip()) else {
                count("too many of one address");
                continue;
            };
            conversations.spawn(self.clone().talk(stream, peer, slot));
        }
    }

    /// Serves one connection from its first byte to its last.
    async fn talk(self, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let _slot = slot;
        // Small answers go out at once; where that cannot be set they go out a moment later.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.converse(stream, peer).await;
        };
        let shaking = tokio::time::timeout(self.limits.handshake, tls.accept(stream));
        match self.stopping.run_until_cancelled(shaking).await {
            Some(Ok(Ok(stream))) => self.converse(stream, peer).await,
            Some(Ok(Err(error))) => {
                count("no TLS");
                debug!("a client did not get as far as TLS: {error}");
            }
            Some(Err(_)) => count("slow handshake"),
            None => {}
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            app.call(request)
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.stall));
        let stream = TokioIo::new(Box::pin(stream));
        // HTTP/1.1 alone: telling HTTP/2 by its first bytes would wait for them without a limit.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        match ended {
            Ok(()) => count("done"),
            Err(error) => {
                count(if error.is_timeout() { "slow" } else { "broken off" });
                debug!("a connection ended early: {error}");
            }
        }
    }
}

/// Counts a connection by how it ended.
fn count(end: &'static str) {
    metrics::counter!("doorward_engine_connections_total", "end" => end).increment(1);
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;

    const SHORT: Duration = Duration::from_millis(300);

    struct Running {
        address: SocketAddr,
        stop: CancellationToken,
        ended: JoinHandle<Result<(), EngineError>>,
    }

    async fn start(limits: ConnectionLimits) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
            .route("/slow", get(|| async { tokio::time::sleep(3 * SHORT).await }))
            .route("/much", get(|| async { vec![b'x'; 64 << 20] }))
            .route("/echo", post(|body: String| async move { body }));
        let stop = CancellationToken::new();
        let told = stop.clone().cancelled_owned();
        let ended = tokio::spawn(serve_within(listener, app, None, limits, CancellationToken::new(), told));
        Running { address, stop, ended }
    }

    fn short() -> ConnectionLimits {
        ConnectionLimits { handshake: SHORT, header: SHORT, stall: SHORT, ..LIMITS }
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
        let running = start(ConnectionLimits { connections: 2, ..short() }).await;
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
        let running = start(ConnectionLimits { connections: 1, ..short() }).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // The one place is free again without a byte having been read.
        assert!(ask(running.address, GET).await.contains("200 OK"));
    }

    #[tokio::test]
    async fn one_address_cannot_take_every_place() {
        let running = start(ConnectionLimits { connections: 8, of_one_address: 2, ..LIMITS }).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 17];
            stream.read_exact(&mut answer).await.unwrap();
            held.push(stream);
        }
        assert_eq!(ask(running.address, GET).await, "");
        drop(held);
        while ask(running.address, GET).await.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_under_way_is_answered_before_the_end() {
        let running = start(LIMITS).await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        idle.write_all(&GET.as_bytes()[..10]).await.unwrap();
        let address = running.address;
        let under_way = tokio::spawn(async move { ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await });
        tokio::time::sleep(SHORT).await;
        running.stop.cancel();
        assert!(under_way.await.unwrap().contains("200 OK"));
        drop(idle);
        running.ended.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn garbage_harms_nobody() {
        let running = start(short()).await;
        for garbage in
            ["\0\u{1}\u{2}\r\n\r\n", "GET", &"A".repeat(1 << 20), "\u{16}\u{3}\u{1}", "GET / HTTP/9.9\r\n\r\n"]
        {
            ask(running.address, garbage).await;
        }
        assert!(ask(running.address, GET).await.contains("200 OK"));
    }
}
