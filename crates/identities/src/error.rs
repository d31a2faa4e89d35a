//! What can go wrong between us and an Identities engine, told so that an operator knows what to do next.
//!
//! In: the failures of the transport and the statuses of the engine. Out: [`ClientError`], whose text never holds a
//! name, a picture, a token or a URL. Whether a failure is worth another try is in `retry`, apart from here.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use crate::permission::Permission;
use crate::trust::TrustError;
use crate::wire::NearestPerson;

/// What a call to the engine gives.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why a call to the engine failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "identities.url cannot be used: {why}; it is like https://customer.econnectcloud.com/identities or \
         https://host:5009"
    )]
    BadUrl { why: &'static str },
    #[error(
        "passwords and faces would travel unencrypted to {host}; use https, or allow it with \
         identities.allow_plain_http (--allow-plain-http)"
    )]
    PlainHttp { host: String },
    #[error(transparent)]
    Trust(TrustError),
    #[error("cannot set up HTTP")]
    Setup { source: reqwest::Error },
    #[error("cannot reach the engine at {host}; check identities.url and the network")]
    Unreachable { host: String, source: reqwest::Error },
    #[error(
        "no trusted TLS connection to the engine at {host}; `doorward identities trust https://{host}` shows its \
         certificate and what to write for an on-premise server: identities.pin_sha256, or its authority as \
         identities.ca_file"
    )]
    Tls { host: String, source: reqwest::Error },
    #[error("{operation}: the connection to the engine broke off")]
    Cut { operation: &'static str, source: reqwest::Error },
    #[error(
        "{operation}: no complete answer within {after_ms} ms; if the engine is just slow, raise identities.timeout_ms"
    )]
    TimedOut { operation: &'static str, after_ms: u128 },
    #[error("the engine refuses the login (status {status}); check identities.username and its password")]
    LoginRefused { status: u16 },
    #[error("the last login failed a moment ago; the next attempt is due in {} s", after.as_secs() + 1)]
    LoginPaused { after: Duration },
    #[error(
        "nothing answers to authenticate under identities.url (status 404); cloud addresses end in /identities, \
         on-premises ones have no path"
    )]
    WrongBase,
    #[error("{operation}: the engine refuses the token (status 401) even after a new login")]
    Unauthorised { operation: &'static str },
    #[error(
        "{operation}: the account lacks {}; give its role that permission in the web application under System, \
         System settings, Roles",
        any_of(permissions)
    )]
    Forbidden { operation: &'static str, permissions: &'static [Permission] },
    /// An answer: the address is right, and there is none; of a face that matches nobody perhaps who comes nearest.
    #[error("{operation}: there is no such {what} (status 404)")]
    NotFound { operation: &'static str, what: &'static str, nearest: Option<Box<NearestPerson>> },
    /// No answer: the call itself is not there.
    #[error(
        "{operation}: the engine does not know this call (status 404); it may be too old for it, or something in \
         between changes addresses"
    )]
    NoSuchCall { operation: &'static str },
    #[error("{operation}: the engine turned the request down (status {status}){}", said(text))]
    Rejected { operation: &'static str, status: u16, text: Option<String> },
    #[error("{operation}: the engine is not able to answer now (status {status}){}", said(text))]
    Busy { operation: &'static str, status: u16, after: Option<Duration>, text: Option<String> },
    #[error(
        "{operation}: the engine redirects to {to}, which is not followed; put the final address into identities.url"
    )]
    Redirected { operation: &'static str, to: String },
    #[error("{operation}: the answer is larger than {limit} bytes")]
    TooLarge { operation: &'static str, limit: usize },
    #[error("{operation}: the answer is not what the Identities API promises; is identities.url an Identities engine?")]
    Broken { operation: &'static str, source: BrokenAnswer },
    #[error("{operation}: cannot read or write the file here")]
    File { operation: &'static str, source: std::io::Error },
    #[error("identify.call = \"{call}\" needs {lacks}, which this sighting was stored without; it works for new ones")]
    Incomplete { call: &'static str, lacks: &'static str },
}

/// What is wrong with an answer; never quotes it.
#[derive(Debug, thiserror::Error)]
pub enum BrokenAnswer {
    /// The answer is not JSON, or is cut short.
    #[error("it is not JSON: {category} at line {line}, column {column}")]
    NotJson { category: &'static str, line: usize, column: usize },
    /// The answer is JSON of another shape.
    #[error("`{path}` is missing or of the wrong type")]
    Shape { path: String },
    #[error("the token in it cannot be sent back")]
    Token,
}

/// Text of the engine's, made fit for a log: bounded, on one line, without anything that could be a token or a picture.
/// `None` when nothing worth reading is left. Nothing is ever decided by it.
pub(super) fn server_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(SERVER_TEXT_READ)]);
    let text = match serde_json::from_slice::<super::wire::ProblemDetails>(body) {
        Ok(problem) => [problem.title, problem.detail].into_iter().flatten().collect::<Vec<_>>().join(": "),
        Err(_) => match serde_json::from_slice::<String>(body) {
            Ok(text) => text,
            // A page for people, or an object without the known properties.
            Err(_) if text.trim_start().starts_with(['<', '{', '[']) => return None,
            Err(_) => text.into_owned(),
        },
    };
    let visible = |c: char| if c.is_control() || ('\u{202a}'..='\u{2069}').contains(&c) { ' ' } else { c };
    let text: String = text.chars().map(visible).collect();
    let word = |word: &str| if word.len() > LONGEST_WORD { "…".to_owned() } else { word.to_owned() };
    let text = text.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(SERVER_TEXT_KEPT).collect();
    (!short.is_empty()).then_some(short)
}

/// This many bytes of an error's body are looked at.
const SERVER_TEXT_READ: usize = 4096;
/// This many characters of the text found there are kept.
const SERVER_TEXT_KEPT: usize = 200;
/// Longer words are not words: tokens, base64.
const LONGEST_WORD: usize = 40;

/// Whether TLS is what failed, somewhere down the chain of causes.
pub(super) fn is_tls(error: &reqwest::Error) -> bool {
    let mut causes = successors(error.source(), |&cause| match cause.downcast_ref().and_then(io::Error::get_ref) {
        // `source` of an I/O error skips the error it wraps.
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    });
    causes.any(|cause| cause.is::<rustls::Error>())
}

/// Permissions as a person looks for them: `"Face Detection" or "Face Enrollment" (Facial Recognition Services)`.
fn any_of(permissions: &[Permission]) -> String {
    let Some(first) = permissions.first() else { return "a permission this call needs".into() };
    let names: Vec<_> = permissions.iter().map(|permission| format!("\"{}\"", permission.name())).collect();
    format!("the permission {} ({})", names.join(" or "), first.category())
}

/// What the engine said, if anything.
fn said(text: &Option<String>) -> String {
    text.as_ref().map(|text| format!(", saying: {text}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_text_is_bounded_and_harmless() {
        let long = format!("token eyJhbGciOiJIUzI1NiJ9.{} is bad", "x".repeat(60));
        let endless = "word ".repeat(10_000);
        for (body, text) in [
            (&b"Face bytes are empty"[..], Some("Face bytes are empty")),
            (b"\"Face bytes are empty\"", Some("Face bytes are empty")),
            (br#"{"title":"Bad Request","detail":"no `expanded`","status":400}"#, Some("Bad Request: no `expanded`")),
            (br#"{"title":7}"#, None),
            (b"<html><title>502</title></html>", None),
            (b"", None),
            (b" \r\n ", None),
            (b"a\x1b[31mred\r\nline\xff", Some("a [31mred line\u{fffd}")),
            (long.as_bytes(), Some("token … is bad")),
            (endless.as_bytes(), Some(&endless[..200])),
        ] {
            assert_eq!(server_text(body).as_deref(), text);
        }
    }

    #[test]
    fn messages_say_what_to_do_next() {
        use super::super::operation::{CHECK_IMAGE_REFERENCE, LOOKUP};
        for (operation, says) in [
            (LOOKUP, "faceEdgeLookup: the account lacks the permission \"Face Recognize\" ("),
            (
                CHECK_IMAGE_REFERENCE,
                "lacks the permission \"Face Detection\" or \"Face Enrollment\" (Facial Recognition",
            ),
        ] {
            let error = ClientError::Forbidden { operation: operation.id, permissions: operation.permissions() };
            let text = error.to_string();
            assert!(text.contains(says) && text.ends_with("under System, System settings, Roles"), "{text}");
        }
        for (error, hint) in [
            (ClientError::LoginRefused { status: 401 }, "identities.username"),
            (ClientError::WrongBase, "/identities"),
            (ClientError::TimedOut { operation: "x", after_ms: 1 }, "identities.timeout_ms"),
            (ClientError::Redirected { operation: "x", to: "h".into() }, "identities.url"),
            (ClientError::Incomplete { call: "lookup", lacks: "the aligned face" }, "identify.call"),
        ] {
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
