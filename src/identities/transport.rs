//! One HTTP exchange with the engine: address, TLS, timeouts, and an answer of bounded size.
//!
//! In: an [`Operation`] and what to put into its request. Out: a [`Reply`], whatever its status, or why there is none.
//! It follows no redirect, keeps no token, decides nothing by status and never tries twice.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use url::{Host, Url};

use super::error::{BrokenAnswer, ClientError, is_tls, server_text};
use super::retry::{http_date, retry_after, status_is_transient};
use crate::config::IdentitiesConfig;

/// One call of the API, as errors and metrics know it.
#[derive(Debug)]
pub(super) struct Operation {
    /// The path after `/api/v1/`, without ids.
    pub name: &'static str,
    pub method: Method,
    /// The permission the contract names for it; empty when a token is enough.
    pub permission: &'static str,
    /// Its 500 also says that the picture was turned down: never worth repeating.
    pub faults_are_final: bool,
}

/// What came back, its body read.
pub(super) struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// The connections to one engine.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

/// An answer may be this large: about a thousand faces with everything there is to tell of them.
const MAX_ANSWER_BYTES: usize = 2 << 20;
/// Of an error's body this much is read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// A connection is kept open this long for the next visitor.
const IDLE: Duration = Duration::from_secs(90);

impl Transport {
    pub fn new(config: &IdentitiesConfig) -> Result<Self, ClientError> {
        // The program does this at its start; a test or an embedder may not have. The error is that somebody has.
        let _ = rustls::crypto::ring::default_provider().install_default();

        let base = base_url(&config.url)?;
        let timeout = Duration::from_millis(config.timeout_ms.max(1));
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .timeout(timeout)
                .connect_timeout(Duration::from_millis(config.connect_timeout_ms.max(1)))
                .pool_idle_timeout(IDLE);
            // A proxy of the environment is not on the way to this machine.
            if is_loopback(&base) { builder.no_proxy() } else { builder }
        };
        let certificates = match &config.ca_file {
            Some(file) => read_certificates(file)?,
            None => Vec::new(),
        };
        let setup = |source: reqwest::Error| ClientError::Setup { source: source.without_url() };
        let http = if base.scheme() == "http" {
            // Without TLS there is no need for a certificate store, which a small system may not have.
            builder().tls_certs_only([]).build().map_err(setup)?
        } else {
            match builder().tls_certs_merge(certificates.clone()).build() {
                Ok(http) => http,
                Err(_) if !certificates.is_empty() => builder().tls_certs_only(certificates).build().map_err(setup)?,
                Err(source) => return Err(setup(source)),
            }
        };
        Ok(Self { http, base, timeout })
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends one request; `path` is below the base URL and gets percent-encoded, `fill` adds query and body.
    pub async fn send(
        &self,
        operation: &Operation,
        path: &[&str],
        authorization: Option<HeaderValue>,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply, ClientError> {
        let started = std::time::Instant::now();
        let result = self.exchange(operation, path, authorization, fill).await;
        let status = match &result {
            Ok(reply) => reply.status.to_string(),
            Err(error) => error.kind().to_owned(),
        };
        metrics::counter!("doorward_identities_requests_total", "operation" => operation.name, "status" => status)
            .increment(1);
        metrics::histogram!("doorward_identities_request_seconds", "operation" => operation.name)
            .record(started.elapsed().as_secs_f64());
        result
    }

    async fn exchange(
        &self,
        operation: &Operation,
        path: &[&str],
        authorization: Option<HeaderValue>,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply, ClientError> {
        let url = self.url(operation, path)?;
        let mut request = fill(self.http.request(operation.method.clone(), url));
        if let Some(authorization) = authorization {
            request = request.header(reqwest::header::AUTHORIZATION, authorization);
        }
        let mut response = request.send().await.map_err(|source| self.failed(operation, source))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        if status.is_redirection() {
            let to = headers.get(LOCATION).and_then(|to| self.base.join(to.to_str().ok()?).ok());
            let to = to.and_then(|to| Some(to.host_str()?.chars().take(100).collect()));
            return Err(ClientError::Redirected {
                operation: operation.name,
                to: to.unwrap_or_else(|| "an unreadable address".into()),
            });
        }
        let body = if status.is_success() {
            self.read(operation, &mut response).await?
        } else {
            // The status says it all; its body is only for people.
            read_start(&mut response).await
        };
        Ok(Reply { status: status.as_u16(), headers, body })
    }

    async fn read(&self, operation: &Operation, response: &mut reqwest::Response) -> Result<Bytes, ClientError> {
        let too_large = ClientError::TooLarge { operation: operation.name, limit: MAX_ANSWER_BYTES };
        if response.content_length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
            return Err(too_large);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.failed(operation, source))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    fn url(&self, operation: &Operation, path: &[&str]) -> Result<Url, ClientError> {
        // These three vanish from a URL or move it; as an id none of them exists.
        if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(ClientError::NotFound { operation: operation.name });
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(url)
    }

    fn failed(&self, operation: &Operation, source: reqwest::Error) -> ClientError {
        let source = source.without_url();
        if is_tls(&source) {
            ClientError::Tls { host: self.host(), source }
        } else if source.is_connect() {
            // Also when connecting took longer than identities.connect_timeout_ms.
            ClientError::Unreachable { host: self.host(), source }
        } else if source.is_timeout() {
            ClientError::TimedOut { operation: operation.name, after_ms: self.timeout.as_millis() }
        } else {
            ClientError::Cut { operation: operation.name, source }
        }
    }
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The engine's own clock, where it tells.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        http_date(self.headers.get(DATE)?.to_str().ok()?)
    }

    /// The reply itself when it is a success, else the error its status stands for.
    pub fn success(self, operation: &Operation) -> Result<Self, ClientError> {
        if self.is_success() {
            return Ok(self);
        }
        let (name, status) = (operation.name, self.status);
        Err(match status {
            401 => ClientError::Unauthorised { operation: name },
            403 => ClientError::Forbidden { operation: name, permission: operation.permission },
            404 => ClientError::NotFound { operation: name },
            _ if status_is_transient(status, operation.faults_are_final) => self.busy(operation),
            _ => ClientError::Rejected { operation: name, status, text: server_text(&self.body) },
        })
    }

    pub fn busy(&self, operation: &Operation) -> ClientError {
        let now = self.date().unwrap_or_else(Utc::now);
        let after = self.headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
        ClientError::Busy { operation: operation.name, status: self.status, after, text: server_text(&self.body) }
    }

    /// The body as what the contract promises.
    pub fn json<T: DeserializeOwned>(&self, operation: &Operation) -> Result<T, ClientError> {
        parse(&self.body).map_err(|source| ClientError::Broken { operation: operation.name, source })
    }

    /// Like `json`, for calls whose answer may be empty.
    pub fn optional_json<T: DeserializeOwned>(&self, operation: &Operation) -> Result<Option<T>, ClientError> {
        if self.body.trim_ascii().is_empty() { Ok(None) } else { self.json(operation).map(Some) }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, BrokenAnswer> {
    // Some servers start their documents with a byte order mark.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut document = serde_json::Deserializer::from_slice(body);
    let not_json = |error: &serde_json::Error| BrokenAnswer::NotJson {
        category: if error.is_eof() { "it ends too early" } else { "wrong character or nesting" },
        line: error.line(),
        column: error.column(),
    };
    let value = serde_path_to_error::deserialize(&mut document).map_err(|error| {
        if error.inner().is_data() {
            BrokenAnswer::Shape { path: error.path().to_string().chars().take(80).collect() }
        } else {
            not_json(error.inner())
        }
    })?;
    document.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// The start of an error's body; nothing when it cannot be read.
async fn read_start(response: &mut reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BYTES - body.len())]);
        if body.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    body.freeze()
}

/// The configured address as the base of all paths: without query, fragment, trailing slash, or a pasted `/api/v1`.
fn base_url(configured: &Url) -> Result<Url, ClientError> {
    let why = match configured.scheme() {
        "http" | "https" if configured.host_str().is_none_or(str::is_empty) => Some("it names no host"),
        "http" | "https" if !configured.username().is_empty() || configured.password().is_some() => {
            Some("the user name and password have keys of their own")
        }
        "http" | "https" => None,
        _ => Some("it starts with neither https:// nor http://"),
    };
    if let Some(why) = why {
        return Err(ClientError::BadUrl { why });
    }
    let mut base = configured.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().trim_end_matches('/');
    let path = path.strip_suffix("/api/v1").unwrap_or(path).trim_end_matches('/').to_owned();
    base.set_path(&path);
    Ok(base)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn read_certificates(file: &std::path::Path) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let pem = std::fs::read(file).map_err(|source| ClientError::CaFile { file: file.into(), source })?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(ClientError::CaFormat { file: file.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_with_and_without_prefix_and_slash() {
        for (configured, url) in [
            ("https://c.example/identities", "https://c.example/identities/api/v1/Tags"),
            ("https://c.example/identities/", "https://c.example/identities/api/v1/Tags"),
            ("https://c.example:5009", "https://c.example:5009/api/v1/Tags"),
            ("https://c.example:5009/", "https://c.example:5009/api/v1/Tags"),
            ("http://[::1]:6009//", "http://[::1]:6009/api/v1/Tags"),
            ("https://c.example/identities/api/v1/?x=1#top", "https://c.example/identities/api/v1/Tags"),
        ] {
            let config = IdentitiesConfig::new(configured.parse().unwrap(), "u", "p");
            let transport = Transport::new(&config).unwrap();
            assert_eq!(transport.url(&OPERATION, &["api", "v1", "Tags"]).unwrap().as_str(), url, "{configured}");
        }
    }

    #[test]
    fn an_address_that_cannot_work_is_refused_without_quoting_it() {
        for configured in ["ftp://c.example/", "https://user:secret@c.example/", "unix:/run/x", "data:text/plain,x"] {
            let error = base_url(&configured.parse().unwrap()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("identities.url") && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        let config = IdentitiesConfig::new("http://h/identities".parse().unwrap(), "u", "p");
        let transport = Transport::new(&config).unwrap();
        let url = transport.url(&OPERATION, &["api", "v1", "people", "a/../b?c#d %"]).unwrap();
        assert_eq!(url.as_str(), "http://h/identities/api/v1/people/a%2F..%2Fb%3Fc%23d%20%25");
        for id in ["", ".", ".."] {
            let error = transport.url(&OPERATION, &["api", "v1", "people", id]).unwrap_err();
            assert!(matches!(error, ClientError::NotFound { .. }));
        }
    }

    #[test]
    fn a_broken_answer_is_told_without_its_content() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code)]
        struct Shape {
            list: Vec<u8>,
        }
        for (body, shape) in [
            (&br#"{"list":[1,"Mara"]}"#[..], "`list[1]` is missing or of the wrong type"),
            (br#"{"list":[1"#, "it is not JSON: it ends too early at line 1, column 10"),
            (b"<html>", "it is not JSON: wrong character or nesting at line 1, column 1"),
            (br#"{"list":[]} x"#, "it is not JSON: wrong character or nesting at line 1, column 13"),
            (br#"[]"#, "`.` is missing or of the wrong type"),
        ] {
            let error = parse::<Shape>(body).unwrap_err().to_string();
            assert_eq!(error, shape);
        }
        assert!(parse::<Shape>(b"\xef\xbb\xbf{\"list\":[]}").is_ok());
    }

    const OPERATION: Operation =
        Operation { name: "Tags", method: Method::GET, permission: "Read Tags", faults_are_final: false };
}
