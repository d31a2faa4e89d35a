//! The `webhook` action: an HTTP request made from templates or from a preset, tried again where that can help.
//!
//! In: an event. Out: done when the receiver answered 2xx; else why not, without its address (which may hold a secret).
//! An ordinary webhook is at-least-once and says so with `Idempotency-Key`; an actuator's is at-most-once: nothing is
//! sent again that may have arrived, and no try outlives the request's last moment.

mod body;
mod digest;
mod events_bridge;
mod preset;
mod sign;

use std::time::Duration;

use bytes::Bytes;
use identities::trust::Trust;
use identities::{retry_after, status_is_transient};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use super::retry::{Again, Failure, Retry};
use super::setup::{ActionError, Setup};
use super::template::{Place, Template, context};
use super::{Performed, Said};
use crate::config::WebhookConfig;
use crate::rules::ActionRequest;
use crate::terminal::with_causes;
use body::Body;
use digest::Digest;
use sign::Signer;

/// How far an answer is read, to be shown in `explain`; the rest is left unread.
const ANSWER_BYTES: usize = 64 << 10;
/// The header whose value is the same for the same rule, visit, person and action, however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request made ready.
pub struct Webhook {
    client: Client,
    method: Method,
    url: Template,
    /// Parameters that are added to the address.
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
    body: Body,
    signer: Option<Signer>,
    /// The account of a receiver that asks for digest authentication.
    digest: Option<Digest>,
    /// Texts that stand in an answer which says 200 and means no.
    refusals: &'static [&'static str],
    retry: Retry,
}

/// One request, rendered: the same for every try.
struct Rendered {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Webhook {
    /// Compiles the templates and checks method, headers and address as far as they are known.
    pub fn new(action: &str, config: &WebhookConfig) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let preset::Filled { config, digest, refusals } = preset::fill_in(config);
        let url_key = if config.preset.is_some() { "preset.url" } else { "url" };
        let url = config.url.as_ref().ok_or_else(|| setup.fail("url", "it is missing"))?.expose_secret();
        if let Err(problem) = check_host_is_fixed(url) {
            setup.note(url_key, problem);
        }
        let query = setup.templates("query", &config.query, SecretString::expose_secret);
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let key = format!("headers.{name}");
            let template = setup.template(&key, value.expose_secret(), Place::Text);
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => headers.push((name, template)),
                Err(_) => setup.note(&key, "it is not a header's name"),
            }
        }
        let (url, body) = (setup.template(url_key, url, Place::Url), Body::new(&mut setup, &config));
        let method = Method::from_bytes(config.method.to_uppercase().as_bytes())
            .map_err(|_| setup.fail("method", "it is not an HTTP method, like \"POST\""))?;
        let signer = config.signing_key.as_ref().map(|key| Signer::new(key.expose_secret())).transpose();
        let signer = signer.map_err(|problem| setup.fail("signing_key", problem))?;
        let mut client = Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy();
        if config.is_actuator() {
            // A connection kept from before may break with the request half sent; a fresh one tells the two apart.
            client = client.pool_max_idle_per_host(0);
        }
        let https = config.origin().is_some_and(|origin| origin.scheme() == "https");
        let client = if https {
            let trust = Trust::new(config.ca_file.as_deref(), &config.pin_sha256);
            let trust = trust.map_err(|error| setup.fail("ca_file", with_causes(&error)))?;
            client.tls_backend_preconfigured(trust.config)
        } else {
            // A small system may have no certificates.
            client.tls_certs_only([])
        };
        let retry = Retry::new(config.timeout_ms, config.tries, config.within_ms);
        let client = client.build().map_err(|error| setup.fail(url_key, with_causes(&error)))?;
        setup.finish(Self {
            client,
            method,
            url,
            query,
            headers,
            body,
            signer,
            digest,
            refusals,
            retry: Retry { at_most_once: config.is_actuator(), ..retry },
        })
    }

    /// Sends it until it is received, or no try is left. What the receiver said comes back either way.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let rendered = self.rendered(request).await?;
        self.retry.run(request, |timeout| self.try_once(&rendered, &request.key, timeout)).await
    }

    async fn rendered(&self, request: &ActionRequest) -> Result<Rendered, String> {
        let event = context(&request.inputs);
        let url = self.url.fill(&event)?;
        if climbs(&url) {
            return Err(self.url.cannot("a value would make `.` or `..` of a part of its path"));
        }
        let mut url = Url::parse(&url).map_err(|_| self.url.cannot("it is no address"))?;
        for (name, template) in &self.query {
            url.query_pairs_mut().append_pair(name, &template.fill(&event)?);
        }
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(IDEMPOTENCY_KEY), header(&request.key)?);
        for (name, template) in &self.headers {
            headers.insert(name, header(&template.fill(&event)?).map_err(|problem| template.cannot(problem))?);
        }
        let (content_type, body) = self.body.rendered(&event, request).await?;
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, header(&content_type)?);
        }
        Ok(Rendered { url, headers, body })
    }

    async fn try_once(&self, rendered: &Rendered, key: &str, timeout: Duration) -> Result<Said, Failure> {
        let end = tokio::time::Instant::now() + timeout;
        let first = self.send(rendered, key, timeout, None).await;
        let answer = match (first, &self.digest) {
            // It wants to be asked with an answer to its question; nothing has been done yet.
            (Ok(answer), Some(digest)) if answer.status() == StatusCode::UNAUTHORIZED => {
                let challenges =
                    answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
                match digest.answer(challenges, &self.method, &rendered.url) {
                    Some(authorization) => {
                        let left = end.saturating_duration_since(tokio::time::Instant::now());
                        self.send(rendered, key, left, Some(authorization)).await
                    }
                    None => Ok(answer),
                }
            }
            (first, _) => first,
        };
        let answer = answer.map_err(|error| not_answered(&error, timeout))?;
        let status = answer.status();
        let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = asked.and_then(|asked| retry_after(asked, chrono::Utc::now()));
        // The status decides; what the body adds is only for people, so a body that breaks off changes nothing.
        let said = read(answer).await;
        if status.is_success() {
            let refused = self.refusals.iter().any(|mark| said.as_deref().is_some_and(|said| said.contains(mark)));
            let turned_down = || Failure::for_good("it answered 200 and turned the request down");
            return if refused { Err(Failure { said, ..turned_down() }) } else { Ok(said) };
        }
        let again = match status_is_transient(status.as_u16(), false) {
            true => Again::MaybeSent { after },
            false => Again::Never,
        };
        let redirected = if status.is_redirection() { "; redirects are not followed" } else { "" };
        Err(Failure { said, ..Failure::new(format!("it answered {}{redirected}", status.as_u16()), again) })
    }

    async fn send(
        &self,
        rendered: &Rendered,
        key: &str,
        timeout: Duration,
        authorization: Option<HeaderValue>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self
            .client
            .request(self.method.clone(), rendered.url.clone())
            .headers(rendered.headers.clone())
            .timeout(timeout);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let sends_body = ![Method::GET, Method::HEAD].contains(&self.method);
        let body = if sends_body { rendered.body.clone() } else { Bytes::new() };
        if let Some(signer) = &self.signer {
            // Of every try: receivers turn down what was signed minutes ago.
            let time = chrono::Utc::now().timestamp();
            request = request
                .header("webhook-id", key)
                .header("webhook-timestamp", time)
                .header("webhook-signature", signer.sign(key, time, &body));
        }
        if sends_body {
            request = request.body(body);
        }
        request.send().await
    }
}

/// Reads up to [`ANSWER_BYTES`] of an answer as text.
async fn read(mut answer: reqwest::Response) -> Said {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = ANSWER_BYTES - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// Classified without the error's own text, which holds the address.
fn not_answered(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_connect() {
        Failure::new("cannot connect to it", Again::NotSent)
    } else if error.is_timeout() {
        Failure::too_late("it did not answer", timeout)
    } else if error.is_builder() {
        Failure::for_good("the request cannot be made")
    } else {
        Failure::maybe_sent("the connection broke before it answered")
    }
}

/// A header's value, which is never shown in logs.
fn header(text: &str) -> Result<HeaderValue, &'static str> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    let mut value = value.map_err(|_| "a header holds no line breaks or control characters")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Scheme, host and port must be there before the first template: no event may choose whom we talk to.
fn check_host_is_fixed(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or("it must start with http:// or https://")?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.contains(['{', '}']) {
        return Err("scheme, host and port must be written out; templates come after them");
    }
    Url::parse(&url[..url.len() - rest.len() + host.len()]).map(|_| ()).map_err(|_| "it is no address")
}

/// Whether a part of the path is `.` or `..`, also percent-encoded: the receiver would see another path.
fn climbs(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    path.split(['/', '\\']).any(dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_never_up_to_an_event() {
        for (url, fine) in [
            ("https://hooks.example/{{ person.id }}", true),
            ("http://10.0.0.7:8123?x={{ rule }}", true),
            ("https://user:pass@h.example/", true),
            ("https://{{ detector }}.example/", false),
            ("https://h.example{{ rule }}/", false),
            ("https://", false),
            ("http://h:99999/", false),
            ("ftp://h/", false),
            ("{{ rule }}", false),
        ] {
            assert_eq!(check_host_is_fixed(url).is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn paths_do_not_climb() {
        for (url, wanted) in [
            ("http://h/a/b", false),
            ("http://h/a/../b", true),
            ("http://h/%2e%2E", true),
            ("http://h/.?x=..", true),
            ("http://h/...?x=..#/..", false),
            ("http://h/a.b/..c", false),
        ] {
            assert_eq!(climbs(url), wanted, "{url}");
        }
    }
}
