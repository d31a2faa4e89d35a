//! The `webhook` action: an HTTP request made from templates, tried again where that can help.
//!
//! In: an event. Out: done when the receiver answered 2xx; else why not, without its address (which may hold a secret).
//! An ordinary webhook is at-least-once and says so with `Idempotency-Key`; an actuator's is at-most-once: nothing is
//! sent again that may have arrived, and no try outlives the request's last moment.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode, Url, redirect, retry};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::sign::Signer;
use super::template::{Place, Template, context};
use super::{ActionError, Said};
use crate::config::WebhookConfig;
use crate::rules::ActionRequest;

/// The pauses between tries grow from here to there.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// An answer is read this far, to be shown in `explain`; the rest is left unread.
const ANSWER_BYTES: usize = 64 << 10;
/// The same for the same rule, visit, person and action, however often it is sent.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request made ready.
pub struct Webhook {
    client: Client,
    method: Method,
    url: Template,
    headers: Vec<(HeaderName, Template)>,
    /// Without one the event itself.
    body: Option<Template>,
    /// No `content-type` among the headers: it is JSON then.
    json: bool,
    /// The crop goes along, as multipart form data.
    picture: bool,
    signer: Option<Signer>,
    timeout: Duration,
    within: Duration,
    tries: u32,
    actuator: bool,
}

/// One request, rendered: the same for every try.
struct Rendered {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

/// Why a try failed, and whether another can help.
struct Failure {
    reason: String,
    again: Again,
}

/// When another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// It never reached the receiver: even an actuator may try again.
    NotSent,
    /// It may have been received: only what may arrive twice tries again, after the pause the receiver asked for.
    MaybeSent {
        after: Option<Duration>,
    },
}

impl Webhook {
    /// Compiles the templates and checks method, headers and address as far as they are known.
    pub fn new(action: &str, config: &WebhookConfig) -> Result<Self, ActionError> {
        let wrong = |key: &str, problem: &str| ActionError::wrong(action, key, problem);
        let template =
            |key: &str, source: &str, place| ActionError::template(action, key, Template::new(source, place));
        let url = config.url.expose_secret();
        check_host_is_fixed(url).map_err(|problem| wrong("url", problem))?;
        let method = Method::from_bytes(config.method.to_uppercase().as_bytes())
            .map_err(|_| wrong("method", "it is not an HTTP method, like \"POST\""))?;
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            let key = format!("headers.{name}");
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(&key, "it is not a header's name"))?;
            headers.push((name, template(&key, value.expose_secret(), Place::Text)?));
        }
        let content_type = config.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.map(|(_, value)| value.expose_secret().to_ascii_lowercase());
        let place = match &content_type {
            Some(kind) if kind.contains("form-urlencoded") => Place::Url,
            Some(kind) if !kind.contains("json") => Place::Text,
            _ => Place::Json,
        };
        if config.picture && content_type.is_some() {
            return Err(wrong("headers", "with `picture` the content type is multipart form data; leave it out"));
        }
        let signer = config.signing_key.as_ref().map(|key| Signer::new(key.expose_secret())).transpose();
        let mut client = Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy();
        if config.actuator {
            // A connection kept from before may break with the request half sent; a fresh one tells the two apart.
            client = client.pool_max_idle_per_host(0);
        }
        Ok(Self {
            client: client.build().map_err(|source| ActionError::Client { action: action.into(), source })?,
            method,
            url: template("url", url, Place::Url)?,
            headers,
            body: config.body.as_deref().map(|body| template("body", body, place)).transpose()?,
            json: content_type.is_none(),
            picture: config.picture,
            signer: signer.map_err(|problem| wrong("signing_key", problem))?,
            timeout: Duration::from_millis(config.timeout_ms),
            within: Duration::from_millis(config.within_ms),
            tries: config.tries.max(1),
            actuator: config.actuator,
        })
    }

    /// Sends it until it is received, or no try is left. What the receiver said comes back either way.
    pub async fn perform(&self, request: &ActionRequest) -> (Result<(), String>, Said) {
        let rendered = match self.rendered(request) {
            Ok(rendered) => rendered,
            Err(reason) => return (Err(reason), None),
        };
        let end = Instant::now() + self.within;
        let end = request.expires_at.filter(|_| self.actuator).map_or(end, |expires| end.min(expires));
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build();
        let mut tries = 1;
        loop {
            let (result, said) = self.try_once(&rendered, &request.key, end).await;
            let Err(failure) = result else { return (Ok(()), said) };
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            let pause = match failure.again {
                Again::NotSent => pause,
                Again::MaybeSent { after } if !self.actuator => after.unwrap_or(pause),
                Again::MaybeSent { .. } | Again::Never => return (Err(failure.reason), said),
            };
            if tries >= self.tries || Instant::now() + pause >= end {
                let tries = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
                return (Err(format!("{} (after {tries})", failure.reason)), said);
            }
            metrics::counter!("doorward_actions_retries_total", "action" => request.action.clone()).increment(1);
            tokio::time::sleep(pause).await;
            tries += 1;
        }
    }

    fn rendered(&self, request: &ActionRequest) -> Result<Rendered, String> {
        let event = context(&request.inputs);
        let render = |key: &str, template: &Template| {
            template.render(&event).map_err(|error| format!("cannot fill in `{key}`: {error}"))
        };
        let url = render("url", &self.url)?;
        if climbs(&url) {
            return Err("cannot fill in `url`: a value would make `.` or `..` of a part of its path".into());
        }
        let url = Url::parse(&url).map_err(|_| "cannot fill in `url`: it is no address")?;
        let mut headers = HeaderMap::new();
        let header = |key: &str, text: &str| {
            let mut value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| format!("cannot fill in `{key}`: a header holds no line breaks or control characters"))?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        };
        headers.insert(HeaderName::from_static(IDEMPOTENCY_KEY), header("id", &request.key)?);
        for (name, template) in &self.headers {
            let key = format!("headers.{name}");
            headers.insert(name, header(&key, &render(&key, template)?)?);
        }
        let body = match &self.body {
            Some(template) => render("body", template)?,
            None => request.inputs.to_string(),
        };
        let body = match self.picture {
            true => {
                let boundary = Uuid::new_v4().simple().to_string();
                headers.insert(CONTENT_TYPE, header("picture", &format!("multipart/form-data; boundary={boundary}"))?);
                multipart(&boundary, &body, request.picture.as_deref())
            }
            false if self.json => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                body.into_bytes()
            }
            false => body.into_bytes(),
        };
        Ok(Rendered { url, headers, body: body.into() })
    }

    async fn try_once(&self, rendered: &Rendered, key: &str, end: Instant) -> (Result<(), Failure>, Said) {
        let timeout = self.timeout.min(end.saturating_duration_since(Instant::now()));
        let mut request = self
            .client
            .request(self.method.clone(), rendered.url.clone())
            .headers(rendered.headers.clone())
            .timeout(timeout);
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
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return (Err(not_answered(&error, timeout)), None),
        };
        let (status, after) = (answer.status(), retry_after(answer.headers()));
        // The status decides; what the body adds is only for people, so a body that breaks off changes nothing.
        let said = read(answer).await;
        if status.is_success() {
            return (Ok(()), said);
        }
        let again = match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Again::MaybeSent { after },
            _ if status.is_server_error() => Again::MaybeSent { after },
            _ => Again::Never,
        };
        let redirected = if status.is_redirection() { "; redirects are not followed" } else { "" };
        (Err(Failure { reason: format!("it answered {}{redirected}", status.as_u16()), again }), said)
    }
}

/// Two parts, `event` (JSON) and `picture` (JPEG); written here and not by the client so that the whole can be signed. The
/// boundary is random: a picture that holds it is not to be expected in the age of the universe.
fn multipart(boundary: &str, event: &str, picture: Option<&[u8]>) -> Vec<u8> {
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"event\"\r\nContent-Type: application/json\r\n\r\n{event}\r\n"
    )
    .into_bytes();
    if let Some(picture) = picture {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"picture.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(picture);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
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
    let (reason, again) = if error.is_connect() {
        ("cannot connect to it".to_owned(), Again::NotSent)
    } else if error.is_timeout() {
        (format!("it did not answer within {} ms", timeout.as_millis()), Again::MaybeSent { after: None })
    } else if error.is_builder() {
        ("the request cannot be made".to_owned(), Again::Never)
    } else {
        ("the connection broke before it answered".to_owned(), Again::MaybeSent { after: None })
    };
    Failure { reason, again }
}

/// Seconds or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            Some((until.to_utc() - chrono::Utc::now()).to_std().unwrap_or_default())
        }
    }
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

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let after =
            |text: &'static str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]));
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after("Tue, 31 Dec 2999 23:59:59 GMT").is_some_and(|pause| pause > Duration::from_secs(1 << 30)));
        assert_eq!(after("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
