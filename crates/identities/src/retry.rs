//! Which failures are worth another try, and when that try is due; kept apart, and both pure.
//!
//! In: a [`ClientError`], or a number of tries. Out: a [`Verdict`], or a pause. Who tries again is the caller: nothing
//! in this room loops.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::{BrokenAnswer, ClientError};
use super::operation::AUTHENTICATE;

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The same request may succeed later; `after` is when the engine asked to be asked again.
    Again { after: Option<Duration> },
    /// The same request will fail the same way.
    Final,
}

/// The pause before the next try: doubling, capped, jittered.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

/// A wait the engine asks for is honoured up to this: nobody switches us off for a year.
pub const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

impl ClientError {
    /// Whether another try of the same request can help.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Busy { after, .. } => Verdict::Again { after: *after },
            Self::LoginPaused { after } => Verdict::Again { after: Some(*after) },
            Self::Unreachable { .. } | Self::Tls { .. } | Self::Cut { .. } | Self::TimedOut { .. }
            // A proxy's own page or a cut document passes; a whole answer of another shape does not.
            | Self::Broken { source: BrokenAnswer::NotJson { .. }, .. }
            // The address is mended in the configuration; until then what is stored stays stored.
            | Self::WrongBase | Self::Redirected { .. } => Verdict::Again { after: None },
            _ => Verdict::Final,
        }
    }

    /// Whether it is the account's fault, the address's or the login's, and not the request's: whatever is asked next
    /// fails the same way, and this request is as good as any once somebody has put that right.
    pub fn concerns_every_request(&self) -> bool {
        match self {
            Self::LoginRefused { .. }
            | Self::LoginPaused { .. }
            | Self::Unauthorised { .. }
            | Self::Forbidden { .. }
            | Self::WrongBase
            | Self::Redirected { .. } => true,
            Self::TooLarge { operation, .. } | Self::Broken { operation, .. } => *operation == AUTHENTICATE.id,
            _ => false,
        }
    }

    /// The kind of failure in a word, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } | Self::PlainHttp { .. } | Self::Trust(_) | Self::Setup { .. } => "setup",
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "tls",
            Self::Cut { .. } => "cut",
            Self::TimedOut { .. } => "timed_out",
            Self::LoginRefused { .. } | Self::LoginPaused { .. } | Self::Unauthorised { .. } => "unauthorised",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } | Self::NoSuchCall { .. } | Self::WrongBase => "not_found",
            Self::File { .. } => "file",
            Self::Rejected { .. } => "rejected",
            Self::Busy { .. } => "busy",
            Self::Redirected { .. } => "redirected",
            Self::TooLarge { .. } => "too_large",
            Self::Broken { .. } => "broken",
            Self::Incomplete { .. } => "incomplete",
        }
    }
}

/// Whether a status (not 2xx) is worth another try. `faults_are_final` is true for calls whose 500 also says that the
/// picture was turned down (faces/*).
pub fn status_is_transient(status: u16, faults_are_final: bool) -> bool {
    matches!(status, 408 | 429 | 500..=599) && !(faults_are_final && status == 500)
}

impl Backoff {
    /// The pause after the `tries`th failure (1 is the first). `asked` is what the engine wants; `random` is 0 to 1. It
    /// is between half and all of the doubled pause; a wait that was asked for gets up to a tenth more, so that a fleet
    /// does not come back in one moment.
    pub fn pause(&self, tries: u32, asked: Option<Duration>, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        if let Some(asked) = asked {
            return asked.min(LONGEST_ASKED).mul_f64(1.0 + random / 10.0);
        }
        let doublings = tries.saturating_sub(1).min(30);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(0.5 + random / 2.0)
    }
}

/// Reads `Retry-After`: seconds, or a date, which is compared with `now` (the engine's own clock where it tells).
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)).min(LONGEST_ASKED));
    }
    let wait = http_date(value)?.signed_duration_since(now);
    Some(wait.to_std().unwrap_or_default().min(LONGEST_ASKED))
}

/// The date of an HTTP header.
pub(super) fn http_date(value: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(value.trim()).ok().map(|date| date.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sorted() {
        for (status, elsewhere, faces) in [
            (400, false, false),
            (401, false, false),
            (403, false, false),
            (404, false, false),
            (408, true, true),
            (409, false, false),
            (413, false, false),
            (429, true, true),
            (500, true, false),
            (502, true, true),
            (503, true, true),
            (599, true, true),
        ] {
            assert_eq!(status_is_transient(status, false), elsewhere, "{status}");
            assert_eq!(status_is_transient(status, true), faces, "{status} of faces/*");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = "2026-03-04T05:06:00Z".parse().unwrap();
        for (value, seconds) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(900)),
            ("Wed, 04 Mar 2026 05:06:30 GMT", Some(30)),
            ("Wed, 04 Mar 2026 05:05:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(900)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, now).map(|d| d.as_secs()), seconds, "{value}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_cap_within_their_jitter() {
        let backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
        for (tries, full) in [(0, 500), (1, 500), (2, 1000), (3, 2000), (7, 30_000), (u32::MAX, 30_000)] {
            assert_eq!(backoff.pause(tries, None, 1.0), Duration::from_millis(full), "{tries}");
            assert_eq!(backoff.pause(tries, None, 0.0), Duration::from_millis(full / 2), "{tries}");
        }
        let asked = Some(Duration::from_secs(10));
        assert_eq!(backoff.pause(1, asked, 0.0), Duration::from_secs(10));
        assert_eq!(backoff.pause(1, asked, 1.0), Duration::from_secs(11));
        assert!(backoff.pause(1, Some(Duration::MAX), 1.0) <= LONGEST_ASKED.mul_f64(1.1));
    }
}
