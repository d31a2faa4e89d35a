//! Stands between agent and engine and does to every request what it is told.
//!
//! In: requests, and who decides. Out: what the engine said, or something worse; and a record of which answers went out
//! when. One request a connection, so that a fault hits that request alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::fake::{Request, read_request};

/// What is done to one request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing, but after this long.
    Delay(Duration),
    /// The connection is reset, before the engine hears of it or after.
    Reset { asked: bool },
    /// The engine's answer breaks off after this share of it, in percent.
    Truncate(usize),
    /// The engine hears nothing; this is answered.
    Answer(u16, &'static str),
    /// The engine hears of it, and nothing comes back.
    Silence(Duration),
}

pub struct Proxy {
    pub url: String,
    record: Arc<Mutex<Vec<Passed>>>,
}

/// A request that was let through.
#[derive(Debug, Clone)]
pub struct Passed {
    /// `detectTimeUtc` of a sighting, in milliseconds.
    pub seen_ms: i64,
    /// When its whole answer began to go out; `None` where it did not.
    pub answered: Option<DateTime<Utc>>,
}

impl Proxy {
    pub async fn before(engine: &str, decide: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let engine: SocketAddr = engine.trim_start_matches("http://").parse().unwrap();
        let (record, decide) = (Arc::new(Mutex::new(Vec::new())), Arc::new(decide));
        let passed = Arc::clone(&record);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (decide, passed) = (Arc::clone(&decide), Arc::clone(&passed));
                tokio::spawn(async move { serve(stream, engine, &*decide, &passed).await });
            }
        });
        Self { url, record }
    }

    /// The sightings that reached the engine so far.
    pub fn passed(&self) -> Vec<Passed> {
        self.record.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    engine: SocketAddr,
    decide: &(impl Fn(&Request) -> Fault + Sync),
    record: &Mutex<Vec<Passed>>,
) -> Option<()> {
    let request = read_request(&mut stream).await?;
    let fault = decide(&request);
    if let Fault::Answer(status, body) = fault {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    if let Fault::Reset { asked: false } = fault {
        // An unread byte or not, closing says RST and not FIN.
        return stream.set_zero_linger().ok();
    }
    let answer = ask(engine, &request).await?;
    let seen = seen_ms(&request);
    let note = |answered| {
        if let Some(seen_ms) = seen {
            record.lock().unwrap().push(Passed { seen_ms, answered });
        }
    };
    match fault {
        Fault::Delay(pause) => {
            tokio::time::sleep(pause).await;
            note(Some(Utc::now()));
            stream.write_all(&answer).await.ok()?;
        }
        Fault::Truncate(percent) => {
            note(None);
            stream.write_all(&answer[..answer.len() * percent / 100]).await.ok()?;
        }
        Fault::Silence(pause) => {
            note(None);
            tokio::time::sleep(pause).await;
        }
        Fault::Reset { .. } | Fault::Answer(..) => {
            note(None);
            stream.set_zero_linger().ok()?;
        }
    }
    stream.shutdown().await.ok()
}

/// The engine's whole answer.
async fn ask(engine: SocketAddr, request: &Request) -> Option<Vec<u8>> {
    let mut onward = TcpStream::connect(engine).await.ok()?;
    let head = request.head.trim_end_matches("\r\n");
    onward.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).await.ok()?;
    onward.write_all(&request.body).await.ok()?;
    let mut answer = Vec::new();
    onward.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}

fn seen_ms(request: &Request) -> Option<i64> {
    let sent: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
    Some(sent["detectTimeUtc"].as_str()?.parse::<DateTime<Utc>>().ok()?.timestamp_millis())
}
