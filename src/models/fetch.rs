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

use faces::models::Digest;
use reqwest::Client;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use url::Url;

use super::FetchError;
use super::error::file;

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
        expected: Digest,
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
        expected: Digest,
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
        let mut output = Checked::create(to, expected, origin())?;
        loop {
            let chunk = timeout(silence, answer.chunk()).await.map_err(|_| stalled())?;
            let chunk = chunk.map_err(|source| FetchError::BrokenOff {
                host: origin(),
                received: output.bytes,
                expected: expected.bytes,
                source: source.without_url(),
            })?;
            match chunk {
                Some(chunk) => output.write(&chunk)?,
                None => return output.finish(),
            }
            received(output.bytes);
        }
    }
}

/// A file that must come out with a known length and sha256.
pub struct Checked<'a> {
    path: &'a Path,
    output: File,
    hash: Sha256,
    bytes: u64,
    expected: Digest,
    origin: String,
}

impl<'a> Checked<'a> {
    /// `origin` is who gives the bytes, for the errors.
    pub fn create(path: &'a Path, expected: Digest, origin: String) -> Result<Self, FetchError> {
        let output = File::create(path).map_err(file("create", path))?;
        Ok(Self { path, output, hash: Sha256::new(), bytes: 0, expected, origin })
    }

    pub fn write(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        self.bytes += piece.len() as u64;
        if self.bytes > self.expected.bytes {
            return Err(FetchError::TooLong { origin: self.origin.clone(), expected: self.expected.bytes });
        }
        self.hash.update(piece);
        self.output.write_all(piece).map_err(file("write", self.path))
    }

    /// Compares, and puts the file on the disk.
    pub fn finish(self) -> Result<(), FetchError> {
        let (origin, expected) = (self.origin, self.expected);
        if self.bytes != expected.bytes {
            return Err(FetchError::TooShort { origin, received: self.bytes, expected: expected.bytes });
        }
        let found: [u8; 32] = self.hash.finalize().into();
        if found != expected.sha256 {
            return Err(FetchError::ForeignBytes { origin, expected: expected.hex(), found: hex::encode(found) });
        }
        self.output.sync_all().map_err(file("write", self.path))
    }
}
