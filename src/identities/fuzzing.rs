//! For the fuzz targets alone: what the bytes of an engine go through, without a network.
//!
//! In: any bytes. Out: nothing; it panics when an answer breaks a promise: an error's text is short and printable, and
//! what is kept of an answer is no larger than the answer.

use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;

use super::auth::login_answer;
use super::error::ClientError;
use super::identify::{edge_answer, published_answer};
use super::operation::{GET_PERSON, LOOKUP, PUBLISH_WITH_RESPONSE};
use super::transport::Reply;
use super::{Answer, IdentifyError, wire};
use crate::detect::Rect;

/// The longest an error and all its causes may become, in all forms together, whatever the engine wrote.
const LONGEST_TEXT: usize = 4000;
const STATUSES: [u16; 10] = [200, 200, 200, 400, 401, 403, 404, 429, 500, 503];
const FACE: Rect = Rect { x: 10.0, y: 20.0, width: 100.0, height: 120.0 };

/// The first byte chooses the call, the second the status, the rest of the line is the engine's date and what it wants
/// to be waited for; then comes the body.
pub fn answer(data: &[u8]) {
    let [call, status, rest @ ..] = data else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (line, body) = (&rest[..end], &rest[(end + 1).min(rest.len())..]);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line) {
        headers.insert(DATE, value.clone());
        headers.insert(RETRY_AFTER, value);
    }
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let reply = Reply { status, headers, body: body.to_vec().into() };
    let now = reply.date().unwrap_or(DateTime::UNIX_EPOCH);
    let size = body.len();
    let heard = match call % 8 {
        0 | 1 => reply
            .success(&PUBLISH_WITH_RESPONSE)
            .and_then(|reply| reply.json(&PUBLISH_WITH_RESPONSE))
            .map(|answer| known(&published_answer(answer, FACE, call % 2 == 0, now), size)),
        2 => reply
            .success(&LOOKUP)
            .and_then(|reply| reply.optional_json::<wire::EdgePerson>(&LOOKUP))
            .map(|found| known(&edge_answer(found.map(|person| (person, now))), size)),
        3 => login_answer(&reply).map(|token| assert!(token.header().is_sensitive())),
        4 => read::<Vec<wire::IdentityPersonItem>>(reply),
        5 => read::<Vec<wire::DetectionItem>>(reply),
        6 => read::<wire::FaceDetectResponse>(reply),
        _ => read::<wire::UserProfile>(reply),
    };
    if let Err(error) = heard {
        told(error);
    }
}

fn read<T: DeserializeOwned + std::fmt::Debug>(reply: Reply) -> Result<(), ClientError> {
    reply.success(&GET_PERSON)?.json::<T>(&GET_PERSON).map(|value| drop(format!("{value:?}")))
}

fn known(answer: &Answer, size: usize) {
    if let Answer::Known(known) = answer {
        assert!(known.tags.len() + known.fields.len() <= size);
        assert!(!known.person.id.is_empty() && known.tags.iter().all(|tag| !tag.name.is_empty()));
    }
    drop(format!("{answer:?}"));
}

fn told(error: ClientError) {
    let mut text = format!("{error} {error:?} {:?}", error.verdict());
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text += &next.to_string();
        cause = next.source();
    }
    text += &IdentifyError::from(error).reason();
    assert!(text.len() <= LONGEST_TEXT, "{} bytes", text.len());
    assert!(!text.contains(char::is_control), "{text:?}");
}
