//! For the fuzz targets alone: what the bytes of an engine go through, without a network.
//!
//! In: any bytes. Out: the answer they make, or its error; it panics when an error's text is long or not printable.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::auth::login_answer;
use super::error::{ClientError, Result};
use super::excerpt::{End, Excerpt, LeftOut};
use super::operation::{AUTHENTICATE, GET_PERSON, LOOKUP, PUBLISH_WITH_RESPONSE};
use super::transport::Reply;
use super::wire;

/// The longest an error and all its causes may become, in all forms together, whatever the engine wrote.
const LONGEST_TEXT: usize = 4000;
const STATUSES: [u16; 10] = [200, 200, 200, 400, 401, 403, 404, 429, 500, 503];

/// What became of an engine's answer, and how many bytes its body had.
pub struct Heard {
    pub read: Result<Read, ClientError>,
    pub size: usize,
}

/// An answer that was read, with the time it was said.
pub enum Read {
    Published(wire::FaceEdgePublishResponse, DateTime<Utc>),
    Found(Option<wire::EdgePerson>, DateTime<Utc>),
    Other,
}

/// The first byte chooses the call, the second the status, the rest of the line is the engine's date and what it wants
/// to be waited for; then comes the body.
pub fn answer(data: &[u8]) -> Option<Heard> {
    let [call, status, rest @ ..] = data else { return None };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, body) = (&rest[..end], &rest[(end + 1).min(rest.len())..]);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line) {
        headers.insert(DATE, value.clone());
        headers.insert(RETRY_AFTER, value);
    }
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let operation = match call % 8 {
        0 | 1 => &PUBLISH_WITH_RESPONSE,
        2 => &LOOKUP,
        3 => &AUTHENTICATE,
        _ => &GET_PERSON,
    };
    let (kept, left_out) = excerpt(body);
    assert!(left_out.is_some() || kept == body, "a small answer stays as it is");
    let kept = if operation.excerpted { kept } else { body.to_vec().into() };
    let reply = Reply { operation, status, headers, body: kept, left_out: None };
    let now = reply.date().unwrap_or(DateTime::UNIX_EPOCH);
    let heard = match call % 8 {
        0 | 1 => reply.success().and_then(|reply| Ok(Read::Published(reply.json()?, now))),
        2 => reply.success().and_then(|reply| Ok(Read::Found(reply.optional_json()?, now))),
        3 => login_answer(&reply).map(|token| {
            assert!(token.header.is_sensitive());
            Read::Other
        }),
        4 => read::<Vec<wire::IdentityPersonItem>>(reply),
        5 => read::<Vec<wire::DetectionItem>>(reply),
        6 => read::<wire::FaceDetectResponse>(reply),
        _ => read::<wire::UserProfile>(reply),
    };
    Some(Heard { read: heard.inspect_err(told), size: body.len() })
}

/// Whatever comes, in whatever pieces, an excerpt of it is no larger, and one that ends sooner is as well-formed.
fn excerpt(body: &[u8]) -> (Bytes, Option<LeftOut>) {
    let (mut whole, mut half) = (Excerpt::default(), Excerpt::default());
    body.chunks(13).for_each(|piece| assert!(whole.take(piece)));
    half.take(&body[..body.len() / 2]);
    let (kept, _) = half.so_far(End::Size);
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    assert!(!is_json(body) || !body.trim_ascii().starts_with(b"{") || kept.is_empty() || is_json(&kept), "{kept:?}");
    whole.whole()
}

fn read<T: DeserializeOwned + std::fmt::Debug>(reply: Reply) -> Result<Read> {
    let value = reply.success()?.json::<T>()?;
    drop(format!("{value:?}"));
    Ok(Read::Other)
}

fn told(error: &ClientError) {
    let mut text = format!("{error} {error:?} {:?}", error.verdict());
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &next.to_string();
        cause = next.source();
    }
    assert!(text.len() <= LONGEST_TEXT, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}
