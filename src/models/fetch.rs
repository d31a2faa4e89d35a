//! Downloads over HTTP.
//!
//! In: an address, the length and sha256 its bytes must have, and a file to write. Out: that file, complete and right,
//! or an error; a wrong file may be left behind, but only in the caller's scratch folder. It does not retry: there is
//! another source to try.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use faces::models::{Digest, ModelError, hash_file};
use reqwest::Client;
use tokio::time::timeout;
use url::Url;

use super::FetchError;

/// How long fetching may take before another source is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection. Short: on a box without the internet it is what every address costs.
    pub connect: Duration,
    /// Without a single byte.
    pub silence: Duration,
    /// For one download.
    pub download: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
            // 30 MB at 500 kbit/s.
            download: Duration::from_secs(600),
        }
    }
}

/// A client that remembers which hosts do not answer, so that each costs its time-out once.
pub struct Downloads {
    client: Client,
    patience: Patience,
    silent: HashSet<String>,
}

impl Downloads {
    pub fn new(patience: Patience) -> Result<Self, FetchError> {
        let client = Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .build()
            .map_err(FetchError::Client)?;
        Ok(Self { client, patience, silent: HashSet::new() })
    }

    /// Writes what the address gives to `to`; `received` hears of every piece.
    ///
    /// # Errors
    /// A host that cannot be reached or stops sending, any answer but 200, and bytes of another length or hash.
    pub async fn fetch(
        &mut self,
        url: &Url,
        expected: &Digest,
        to: &Path,
        received: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), FetchError> {
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or("an address without a host").to_owned(),
        };
        if self.silent.contains(&host) {
            return Err(FetchError::StillSilent { host });
        }
        let whole = self.patience.download;
        let result = match timeout(whole, self.stream(url, &host, expected, to, received)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Slow { host: host.clone(), after: whole }),
        };
        if let Err(FetchError::Unreachable { .. } | FetchError::Stalled { .. } | FetchError::Slow { .. }) = &result {
            self.silent.insert(host);
        }
        result
    }

    async fn stream(
        &self,
        url: &Url,
        host: &str,
        expected: &Digest,
        to: &Path,
        received: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), FetchError> {
        let origin = || host.to_owned();
        let silence = self.patience.silence;
        let stalled = || FetchError::Stalled { host: origin(), after: silence };
        let answer = timeout(silence, self.client.get(url.clone()).send()).await.map_err(|_| stalled())?;
        let mut answer = answer.map_err(|source| match source.is_connect() {
            true => FetchError::Unreachable { host: origin(), source: source.without_url() },
            false => FetchError::NoAnswer { host: origin(), source: source.without_url() },
        })?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { host: origin(), status: answer.status().as_u16() });
        }
        if answer.content_length().is_some_and(|length| length > expected.bytes) {
            return Err(FetchError::TooLong { origin: origin(), expected: expected.bytes });
        }
        let mut output = File::create(to).map_err(ModelError::file("create", to))?;
        let mut bytes = 0;
        loop {
            let chunk = timeout(silence, answer.chunk()).await.map_err(|_| stalled())?;
            let broken_off = |source: reqwest::Error| FetchError::BrokenOff {
                host: origin(),
                received: bytes,
                expected: expected.bytes,
                source: source.without_url(),
            };
            let Some(chunk) = chunk.map_err(broken_off)? else { return check(to, expected, origin()) };
            bytes += chunk.len() as u64;
            if bytes > expected.bytes {
                return Err(FetchError::TooLong { origin: origin(), expected: expected.bytes });
            }
            output.write_all(&chunk).map_err(ModelError::file("write", to))?;
            received(bytes);
        }
    }
}

/// Holds a file that `origin` has given against what it must be, and puts it on the disk.
pub fn check(path: &Path, expected: &Digest, origin: String) -> Result<(), FetchError> {
    let found = hash_file(path)?;
    if found.bytes < expected.bytes {
        return Err(FetchError::TooShort { origin, received: found.bytes, expected: expected.bytes });
    }
    if found.bytes > expected.bytes {
        return Err(FetchError::TooLong { origin, expected: expected.bytes });
    }
    if found.sha256 != expected.sha256 {
        return Err(FetchError::ForeignBytes { origin, expected: expected.sha256.clone(), found: found.sha256 });
    }
    Ok(File::open(path).and_then(|written| written.sync_all()).map_err(ModelError::file("write", path))?)
}
