//! An engine that misbehaves to order. The real one is tested elsewhere; this one is only for faults.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// The first byte of whoever wants TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// What arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// The first line and the headers, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

/// What is sent back.
pub enum Reply {
    /// These bytes, then the connection is closed.
    Raw(Vec<u8>),
    /// These bytes at once, then one more now and then.
    Drip(Vec<u8>),
    /// The first text, the second so many times, and the third, as fast as they are taken.
    Long(String, String, usize, String),
    /// These bytes at once, then nothing; the connection stays open.
    Stuck(Vec<u8>),
    /// Nothing at all; the connection stays open.
    Silence,
}

pub struct Fake {
    pub address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    /// Bytes of long answers that were taken, without their first and last ones.
    flooded: Arc<Mutex<usize>>,
}

impl Request {
    /// `POST /api/v1/x`
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &&str| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.head.lines().find(named).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    pub fn is(&self, end: &str) -> bool {
        self.line().ends_with(end)
    }
}

impl Reply {
    pub fn json(status: u16, body: &str) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body)
    }

    pub fn with(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Raw(
            format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}")
                .into_bytes(),
        )
    }

    /// This head, then this much of nothing.
    pub fn flood(head: String, size: usize) -> Self {
        Self::Long(head, " ".into(), size, String::new())
    }

    /// An answer of authenticate or renewToken.
    pub fn token(token: &str) -> Self {
        Self::json(200, &format!(r#"{{"username":"gate","token":"{token}"}}"#))
    }
}

impl Fake {
    /// `answer` is given every request but the logins, which are answered with `token-1`, `token-2` and so on.
    pub async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let logins = Mutex::new(0);
        Self::start_raw(move |request| {
            if request.is("/authenticate") {
                let mut logins = logins.lock().unwrap();
                *logins += 1;
                return Reply::token(&format!("token-{logins}"));
            }
            answer(request)
        })
        .await
    }

    /// `answer` is given every request.
    pub async fn start_raw(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(answer, None).await
    }

    /// The same behind TLS.
    pub async fn start_tls(
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        config: Arc<rustls::ServerConfig>,
    ) -> Self {
        Self::listen(answer, Some(config)).await
    }

    async fn listen(
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { address: listener.local_addr().unwrap(), seen: Arc::default(), flooded: Arc::default() };
        let (seen, flooded, answer) = (fake.seen.clone(), fake.flooded.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, flooded, answer) = (seen.clone(), flooded.clone(), answer.clone());
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &seen, &flooded, &*answer).await,
                        Some(config) => match tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                            Ok(stream) => serve(stream, &seen, &flooded, &*answer).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        fake
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests came for paths that end so.
    pub fn count(&self, end: &str) -> usize {
        self.seen().iter().filter(|request| request.is(end)).count()
    }

    pub fn flooded(&self) -> usize {
        *self.flooded.lock().unwrap()
    }
}

/// One whole request; `None` when the other side went away before.
pub async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if bytes[0] == TLS_HANDSHAKE {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?;
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut request = Request { head, body: bytes.split_off(head_end) };
    let length: usize = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        if stream.read_buf(&mut request.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(request)
}

/// One request and its answer; `None` when the other side went away.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<Request>>,
    flooded: &Mutex<usize>,
    answer: &(impl Fn(&Request) -> Reply + Sync),
) -> Option<()> {
    let request = read_request(&mut stream).await?;
    let reply = answer(&request);
    seen.lock().unwrap().push(request);
    match reply {
        Reply::Raw(bytes) => stream.write_all(&bytes).await.ok()?,
        Reply::Drip(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                stream.write_all(b" ").await.ok()?;
            }
        }
        Reply::Long(start, piece, times, end) => {
            let at_once = (64 << 10) / piece.len();
            stream.write_all(start.as_bytes()).await.ok()?;
            for sent in (0..times).step_by(at_once) {
                let pieces = piece.repeat(at_once.min(times - sent));
                stream.write_all(pieces.as_bytes()).await.ok()?;
                *flooded.lock().unwrap() += pieces.len();
            }
            stream.write_all(end.as_bytes()).await.ok()?;
        }
        Reply::Stuck(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            std::future::pending().await
        }
        Reply::Silence => std::future::pending().await,
    }
    stream.shutdown().await.ok()
}
