//! HTTP/1.1 on a listener for whoever comes, until told to stop: the engine's API and the agent's status page.
//!
//! In: a listener, a router, and perhaps what makes streams of connections (TLS). Out: answers; then, once what was
//! under way is answered or [`DRAIN`] has passed, the end. A client that is slow on purpose holds one of a bounded
//! number of connections, not for long, and no longer than nobody else needs the place: [`Limits`] says how long.

mod busy;
mod connections;
mod proxies;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use telemetry::Repeated;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use busy::{until_here, until_sent};
use connections::{Connection, Connections};
pub use ipnet::IpNet;
pub use proxies::Proxies;

/// How long requests under way are waited for.
const DRAIN: Duration = Duration::from_secs(10);

/// How long is waited before the next connection is taken when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How much room and time connections get: a client that is slow on purpose must not keep others out.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The connections that are open at once. One more closes the one that has been quiet for longest; it waits in the
    /// operating system's queue while all are busy.
    pub connections: usize,
    /// The connections of one address that are open at once, in the same way; one more is closed while all are busy.
    /// A trusted proxy has as many as there are.
    pub of_one_address: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long the header of a request may take, from the first moment of a connection or from the last answer: it
    /// ends a client that trickles, and one that has gone quiet.
    pub header: Duration,
    /// How long a client may take no byte of an answer.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            of_one_address: 256,
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(20),
            stall: Duration::from_secs(30),
        }
    }
}

/// What a connection goes through before it speaks HTTP.
pub trait Handshake: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn shake(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Nothing: whoever connects speaks HTTP at once.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    async fn shake(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// What is served, to whom, and within which bounds.
#[derive(Clone)]
pub struct Server<H> {
    /// Learns who asks by `ConnectInfo<SocketAddr>`: the client, where a trusted proxy says so.
    pub app: Router,
    pub handshake: H,
    pub limits: Limits,
    pub proxies: Proxies,
    /// The counter that tells how connections end, by the label `end`.
    pub counter: &'static str,
    /// What is cancelled once no more connections are taken.
    pub stopping: CancellationToken,
}

impl<H: Handshake> Server<H> {
    /// The same behind another handshake.
    pub fn with<Other: Handshake>(self, handshake: Other) -> Server<Other> {
        let Self { app, handshake: _, limits, proxies, counter, stopping } = self;
        Server { app, handshake, limits, proxies, counter, stopping }
    }

    /// Serves until `shutdown` resolves and the requests then under way are answered.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let conversations = TaskTracker::new();
        tokio::select! {
            () = self.accept(listener, &conversations) => {}
            () = shutdown => self.stopping.cancel(),
        }
        // The listener is closed by now: a client that comes too late learns so at once.
        conversations.close();
        if tokio::time::timeout(DRAIN, conversations.wait()).await.is_err() {
            let (left, secs) = (conversations.len(), DRAIN.as_secs());
            warn!("{left} connections were not done within {secs} seconds of the stop; their requests are given up");
        }
    }

    /// Takes connections for ever.
    async fn accept(&self, listener: TcpListener, conversations: &TaskTracker) {
        let connections = Connections::new(self.limits.connections, self.limits.of_one_address);
        let failures = Repeated::new(Duration::from_secs(60));
        loop {
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
            match connections.open(peer.ip(), self.proxies.trusts(peer.ip())).await {
                Some(connection) => drop(conversations.spawn(self.clone().talk(stream, peer, connection))),
                None => self.count("too many of one address"),
            }
        }
    }

    /// Serves one connection from its first byte to its last.
    async fn talk(self, stream: TcpStream, peer: SocketAddr, connection: Connection) {
        // Small answers go out at once; where that cannot be set they go out a moment later.
        let _ = stream.set_nodelay(true);
        let talked = async {
            let shaking = tokio::time::timeout(self.limits.handshake, self.handshake.shake(stream));
            match self.stopping.run_until_cancelled(shaking).await {
                Some(Ok(Ok(stream))) => self.converse(stream, peer, &connection).await,
                Some(Ok(Err(error))) => {
                    self.count("no TLS");
                    debug!("a client did not get as far as TLS: {error}");
                }
                Some(Err(_)) => self.count("slow handshake"),
                None => {}
            }
        };
        if connection.end.run_until_cancelled(talked).await.is_none() {
            self.count("made room");
        }
    }

    async fn converse(&self, stream: H::Stream, peer: SocketAddr, connection: &Connection) {
        let app = TowerToHyperService::new(self.app.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let turn = Arc::new(connection.turn());
            let mut request = request.map(|body| until_here(body, &turn));
            let client = SocketAddr::new(self.proxies.client(peer.ip(), request.headers()), peer.port());
            request.extensions_mut().insert(ConnectInfo(client));
            let answer = app.call(request);
            async move { answer.await.map(|response| response.map(|body| until_sent(body, turn))) }
        });
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.stall));
        let stream = TokioIo::new(Box::pin(stream));
        // HTTP/1.1 alone: telling HTTP/2 by its first bytes would wait for them without a limit.
        let conversation = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header)
            .serve_connection(stream, service);
        let mut conversation = std::pin::pin!(conversation);
        let ended = tokio::select! {
            ended = conversation.as_mut() => ended,
            () = self.stopping.cancelled() => {
                conversation.as_mut().graceful_shutdown();
                conversation.await
            }
        };
        match ended {
            Ok(()) => self.count("done"),
            Err(error) => {
                self.count(if error.is_timeout() { "slow" } else { "broken off" });
                debug!("a connection ended early: {error}");
            }
        }
    }

    /// Counts a connection by how it ended.
    fn count(&self, end: &'static str) {
        metrics::counter!(self.counter, "end" => end).increment(1);
    }
}

#[cfg(test)]
mod tests;
