//! One HTTP exchange with the engine: address, TLS, timeouts, and an answer of bounded size, or an excerpt of it.
//!
//! In: an [`Operation`] and what to put into its request. Out: a [`Reply`], whatever its status, or why there is none.
//! It follows no redirect, keeps no token, decides nothing by status and never tries twice.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::{BrokenAnswer, ClientError, Result, is_tls, server_text};
use super::excerpt::{End, Excerpt, LeftOut};
use super::operation::{Fault, Operation};
use super::options::{ClientOptions, is_loopback, stays_private};
use super::retry::{http_date, retry_after, status_is_transient};
use super::wire::{NearestPerson, PROMISES, ProblemDetails};
use crate::trust::{self, Shown, Trust};

/// What came back, its body read.
pub(super) struct Reply {
    /// What was asked for.
    pub operation: &'static Operation,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What the body lacks.
    pub left_out: Option<LeftOut>,
}

/// The connections to one engine.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    /// `None` without TLS.
    pub(super) shown: Option<Shown>,
    /// How long one exchange may take; where its size is open, how long it may stand still.
    pub(super) timeout: Duration,
    /// What the newest answers said of the engine. Nothing waits under this lock, and no other is held with it.
    pub(super) heard: Mutex<Heard>,
}

/// What the headers of an engine's answers tell of it.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// How far its clock is ahead of ours, to the second; negative when it is behind.
    pub clock_ahead: Option<TimeDelta>,
    /// It is an engine that says what it does where the contract leaves it open: `wire::PROMISES`.
    pub promises: Vec<String>,
}

/// This many bytes of an error's body are read.
const MAX_ERROR_BYTES: usize = 16 << 10;
/// A connection is kept open this long for the next visitor.
const IDLE: Duration = Duration::from_secs(90);

impl Transport {
    pub fn new(options: &ClientOptions) -> Result<Self> {
        // The program does this at its start; a test or an embedder may not have.
        trust::crypto();

        let base = base_url(&options.url)?;
        if !(options.allow_plain_http || stays_private(&base)) {
            return Err(ClientError::PlainHttp { host: base.host_str().unwrap_or_default().to_owned() });
        }
        let timeout = options.timeout.max(Duration::from_millis(1));
        let builder = reqwest::Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .timeout(timeout)
            .connect_timeout(options.connect_timeout.max(Duration::from_millis(1)))
            .pool_idle_timeout(IDLE);
        // A proxy of the environment is not on the way to this machine.
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        let (builder, shown) = if base.scheme() == "http" {
            // Without TLS there is no need for a certificate store, which a small system may not have.
            (builder.tls_certs_only([]), None)
        } else {
            let trust = Trust::new(options.ca_file.as_deref(), &options.pin_sha256).map_err(ClientError::Trust)?;
            (builder.tls_backend_preconfigured(trust.config), Some(trust.shown))
        };
        let http = builder.build().map_err(|source| ClientError::Setup { source: source.without_url() })?;
        Ok(Self { http, base, timeout, shown, heard: Mutex::default() })
    }

    fn hear(&self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut heard = self.heard.lock();
        if let Some(date) = text(DATE.as_str()).and_then(http_date) {
            heard.clock_ahead = Some(date - Utc::now());
        }
        if let Some(promises) = text(PROMISES) {
            heard.promises = promises.split(',').map(|promise| promise.trim().to_owned()).collect();
        }
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends one request; `given` are the variable segments of its path, which get percent-encoded, `fill` adds query
    /// and body.
    pub async fn send(
        &self,
        operation: &'static Operation,
        given: &[&str],
        authorization: Option<HeaderValue>,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply> {
        let exchange = async {
            let request = fill(self.request(operation, given, authorization)?);
            let response = request.send().await.map_err(|source| self.failed(operation, source))?;
            self.reply(operation, response).await
        };
        counted(operation, exchange).await
    }

    /// A request without query and body.
    pub(super) fn request(
        &self,
        operation: &'static Operation,
        given: &[&str],
        authorization: Option<HeaderValue>,
    ) -> Result<RequestBuilder> {
        let request = self.http.request(operation.method.clone(), self.url(operation, given)?);
        Ok(request.headers(authorization.map(|token| (AUTHORIZATION, token)).into_iter().collect()))
    }

    /// The whole answer.
    pub(super) async fn reply(&self, operation: &'static Operation, mut response: reqwest::Response) -> Result<Reply> {
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        self.hear(&headers);
        if status.is_redirection() {
            let to = headers.get(LOCATION).and_then(|to| self.base.join(to.to_str().ok()?).ok());
            let to = to.and_then(|to| Some(to.host_str()?.chars().take(100).collect()));
            return Err(ClientError::Redirected {
                operation: operation.id,
                to: to.unwrap_or_else(|| "an unreadable address".into()),
            });
        }
        let limit = operation.answer_bytes;
        let announced = response.content_length().unwrap_or_default();
        let mut left_out = None;
        let body = match status.is_success() {
            true if operation.excerpted => {
                let (body, lacks) = self.excerpt(operation, &mut response).await?;
                left_out = lacks;
                body
            }
            true if announced > limit as u64 => return Err(ClientError::TooLarge { operation: operation.id, limit }),
            true => match read(&mut response, limit).await {
                Ok((body, true)) => body,
                Ok((_, false)) => return Err(ClientError::TooLarge { operation: operation.id, limit }),
                Err(source) => return Err(self.failed(operation, source)),
            },
            // The status says it all; its body is only for people.
            false => read(&mut response, MAX_ERROR_BYTES).await.map(|(start, _)| start).unwrap_or_default(),
        };
        Ok(Reply { operation, status: status.as_u16(), headers, body, left_out })
    }

    /// The body, or of one that is too large what is needed of it. A large one whose end does not come in time is not
    /// asked for again, when it would be as large: what there is of it counts.
    async fn excerpt(
        &self,
        operation: &Operation,
        response: &mut reqwest::Response,
    ) -> Result<(Bytes, Option<LeftOut>)> {
        let mut excerpt = Excerpt::default();
        let end = loop {
            match response.chunk().await {
                Ok(Some(piece)) if excerpt.take(&piece) => {}
                Ok(Some(_)) => break End::Size,
                Ok(None) => return Ok(excerpt.whole()),
                Err(error) if error.is_timeout() && excerpt.read() > operation.answer_bytes => break End::Time,
                Err(source) => return Err(self.failed(operation, source)),
            }
        };
        let (body, left_out) = excerpt.so_far(end);
        Ok((body, Some(left_out)))
    }

    fn url(&self, operation: &Operation, given: &[&str]) -> Result<Url> {
        // These three vanish from a URL or move it; as an id none of them exists.
        if given.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            let what = operation.missing.unwrap_or("record");
            return Err(ClientError::NotFound { operation: operation.id, what, nearest: None });
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(operation.segments(given));
        }
        Ok(url)
    }

    pub(super) fn failed(&self, operation: &Operation, source: reqwest::Error) -> ClientError {
        let source = source.without_url();
        if is_tls(&source) {
            ClientError::Tls { host: self.host(), source }
        } else if source.is_connect() {
            // Also when connecting took longer than identities.connect_timeout_ms.
            ClientError::Unreachable { host: self.host(), source }
        } else if source.is_timeout() {
            ClientError::TimedOut { operation: operation.id, after_ms: self.timeout.as_millis() }
        } else {
            ClientError::Cut { operation: operation.id, source }
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
    pub fn success(self) -> Result<Self> {
        if self.is_success() {
            return Ok(self);
        }
        let (operation, status) = (self.operation, self.status);
        let name = operation.id;
        Err(match status {
            401 => ClientError::Unauthorised { operation: name },
            403 => ClientError::Forbidden { operation: name, permissions: operation.permissions() },
            404 => match operation.missing {
                Some(what) => ClientError::NotFound { operation: name, what, nearest: self.nearest().map(Box::new) },
                None => ClientError::NoSuchCall { operation: name },
            },
            _ if status_is_transient(status, operation.fault == Fault::PictureTurnedDown) => self.busy(),
            _ => ClientError::Rejected { operation: name, status, text: server_text(&self.body) },
        })
    }

    /// Who comes nearest to a face that matches nobody, where the body of the error says so.
    fn nearest(&self) -> Option<NearestPerson> {
        serde_json::from_slice::<ProblemDetails>(&self.body).ok()?.nearest
    }

    pub fn busy(&self) -> ClientError {
        let now = self.date().unwrap_or_else(Utc::now);
        let after = self.headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
        ClientError::Busy { operation: self.operation.id, status: self.status, after, text: server_text(&self.body) }
    }

    /// The body as what the contract promises.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        parse(&self.body).map_err(|source| ClientError::Broken { operation: self.operation.id, source })
    }

    /// Like `json`, for calls whose answer may be empty.
    pub fn optional_json<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        if self.body.trim_ascii().is_empty() { Ok(None) } else { self.json().map(Some) }
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

/// Runs an exchange and counts it for the metrics, by its status or the kind of failure.
pub(super) async fn counted(operation: &Operation, exchange: impl Future<Output = Result<Reply>>) -> Result<Reply> {
    let started = Instant::now();
    let result = exchange.await;
    let status = result.as_ref().map_or_else(|error| error.kind().to_owned(), |reply| reply.status.to_string());
    metrics::counter!("doorward_identities_requests_total", "operation" => operation.id, "status" => status)
        .increment(1);
    metrics::histogram!("doorward_identities_request_seconds", "operation" => operation.id)
        .record(started.elapsed().as_secs_f64());
    result
}

/// The first `most` bytes of the body, and whether there are no more.
async fn read(response: &mut reqwest::Response, most: usize) -> Result<(Bytes, bool), reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body.freeze(), false));
        }
    }
    Ok((body.freeze(), true))
}

/// The configured address as the base of all paths: without query, fragment, trailing slash, or a pasted `/api/v1`.
fn base_url(configured: &Url) -> Result<Url> {
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

#[cfg(test)]
mod tests {
    use super::super::operation::{GET_PERSON, LIST_TAGS};
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
            let config = ClientOptions::new(configured.parse().unwrap(), "u", "p");
            let transport = Transport::new(&config).unwrap();
            assert_eq!(transport.url(&LIST_TAGS, &[]).unwrap().as_str(), url, "{configured}");
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
    fn plain_http_to_another_machine_must_be_asked_for() {
        for (url, private) in [
            ("http://127.0.0.1:6009", true),
            ("http://[::1]:6009", true),
            ("http://[::ffff:127.0.0.1]:6009", true),
            ("http://localhost", true),
            ("https://engine.example", true),
            ("http://engine.example", false),
            ("http://10.0.0.1", false),
            ("http://door.localhost", false),
            ("http://127.0.0.1.example", false),
        ] {
            let mut config = ClientOptions::new(url.parse().unwrap(), "u", "p");
            match Transport::new(&config) {
                Ok(_) => assert!(private, "{url}"),
                Err(error) => assert!(!private && error.to_string().contains("allow_plain_http"), "{url}: {error}"),
            }
            config.allow_plain_http = true;
            assert!(Transport::new(&config).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        let config = ClientOptions::new("http://localhost/identities".parse().unwrap(), "u", "p");
        let transport = Transport::new(&config).unwrap();
        let url = transport.url(&GET_PERSON, &["a/../b?c#d %"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost/identities/api/v1/people/a%2F..%2Fb%3Fc%23d%20%25");
        for id in ["", ".", ".."] {
            let error = transport.url(&GET_PERSON, &[id]).unwrap_err();
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
}
