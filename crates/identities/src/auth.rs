//! Who we are to the engine: the token, from the login to its renewal.
//!
//! In: a user name and a password. Out: a [`Token`] that is good as far as we know, the same one for everybody who asks
//! at the same time. It knows authenticate, renewToken and the profile; what a 401 elsewhere means is decided in
//! `client`, which then asks for a replacement.
//!
//! ```text
//! none ──login──▶ fresh ──3/4 of its life──▶ due ──renew──▶ fresh
//!   ▲               │                         │
//!   └──── 401 ──────┴──── its life is over ───┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::error::{BrokenAnswer, ClientError, Result};
use super::operation::{AUTHENTICATE, RENEW_TOKEN};
use super::retry::{Backoff, status_is_transient};
use super::transport::{Reply, Transport};
use super::wire::{AuthenticateRequest, AuthenticateResponse};

/// How long the next login waits after one that was refused: an account must not get locked.
const REFUSED: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
/// After a login that got no answer: enough that those who waited for it do not each try again.
const FAILED_PAUSE: Duration = Duration::from_millis(250);
/// A token's life as we take it: not shorter, or every call would log in; not longer, or the clock might overflow.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const LONGEST_TOKEN: usize = 16 << 10;

/// The account and its current token.
pub(super) struct Auth {
    username: String,
    password: SecretString,
    /// The newest token. Nothing waits under this lock; it is taken within `flight`, and no other within it.
    current: Mutex<Option<Arc<Token>>>,
    /// How the logins went; held while logging in or renewing, so that only one does.
    flight: tokio::sync::Mutex<Logins>,
}

/// A bearer token, as the header it is sent in.
pub(super) struct Token {
    pub header: HeaderValue,
    /// `None` when it does not say how long it lives: a 401 will tell.
    life: Option<Life>,
}

/// The times at which a token is to be renewed and is over, on the clock that does not step.
#[derive(Debug, Clone, Copy)]
struct Life {
    renew_at: Instant,
    ends_at: Instant,
}

/// How the logins went.
#[derive(Default)]
struct Logins {
    refused: u32,
    not_before: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Due,
    Over,
}

impl Auth {
    pub fn new(username: String, password: SecretString) -> Self {
        Self { username, password, current: Mutex::default(), flight: tokio::sync::Mutex::default() }
    }

    /// A token that is good as far as we know.
    pub async fn token(&self, transport: &Transport) -> Result<Arc<Token>> {
        if let Some(token) = self.current() {
            match token.phase(Instant::now()) {
                Phase::Fresh => return Ok(token),
                Phase::Due => {
                    // One renews; the others go on with what there is.
                    let Ok(mut logins) = self.flight.try_lock() else { return Ok(token) };
                    return self.renew(transport, &mut logins).await;
                }
                Phase::Over => {}
            }
        }
        let mut logins = self.flight.lock().await;
        match self.current() {
            Some(token) if token.phase(Instant::now()) != Phase::Over => Ok(token),
            _ => self.log_in(transport, &mut logins).await,
        }
    }

    /// Another token than the one the engine has just refused.
    pub async fn replace(&self, transport: &Transport, refused: &Arc<Token>) -> Result<Arc<Token>> {
        let mut logins = self.flight.lock().await;
        match self.current() {
            Some(token) if !Arc::ptr_eq(&token, refused) => Ok(token),
            _ => {
                self.forget();
                self.log_in(transport, &mut logins).await
            }
        }
    }

    /// Logs in, whatever token is at hand.
    pub async fn log_in_anew(&self, transport: &Transport) -> Result<()> {
        let mut logins = self.flight.lock().await;
        self.log_in(transport, &mut logins).await.map(drop)
    }

    async fn renew(&self, transport: &Transport, logins: &mut Logins) -> Result<Arc<Token>> {
        let token = match self.current() {
            // Somebody else was faster.
            Some(token) if token.phase(Instant::now()) == Phase::Fresh => return Ok(token),
            Some(token) => token,
            None => return self.log_in(transport, logins).await,
        };
        match renewed(transport, &token).await {
            Ok(renewed) => Ok(self.keep(renewed)),
            Err(ClientError::Unauthorised { .. }) => {
                self.forget();
                self.log_in(transport, logins).await
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the token could not be renewed; it is good for a while, and tried again before it ends"
                );
                Ok(self.keep(token.renewed_later(Instant::now())))
            }
        }
    }

    /// Swaps the token for a newer one.
    pub async fn renew_now(&self, transport: &Transport) -> Result<()> {
        let token = self.token(transport).await?;
        let _only_one = self.flight.lock().await;
        self.keep(renewed(transport, &token).await?);
        Ok(())
    }

    async fn log_in(&self, transport: &Transport, logins: &mut Logins) -> Result<Arc<Token>> {
        let now = Instant::now();
        if let Some(after) = logins.not_before.and_then(|at| at.checked_duration_since(now)).filter(|d| !d.is_zero()) {
            return Err(ClientError::LoginPaused { after });
        }
        let request =
            AuthenticateRequest { username: self.username.clone(), password: self.password.expose_secret().to_owned() };
        let sent = transport.send(&AUTHENTICATE, &[], None, |call| call.json(&request)).await;
        let error = match sent.and_then(|reply| login_answer(&reply)) {
            Ok(token) => {
                *logins = Logins::default();
                return Ok(self.keep(token));
            }
            Err(error) => error,
        };
        let pause = match error {
            ClientError::LoginRefused { .. } => {
                logins.refused += 1;
                REFUSED.pause(logins.refused, None, 1.0)
            }
            ClientError::Busy { after, .. } => after.unwrap_or_default().max(FAILED_PAUSE),
            _ => FAILED_PAUSE,
        };
        logins.not_before = Some(Instant::now() + pause);
        Err(error)
    }

    /// How much longer the token at hand is good; `None` without one, or when it does not tell.
    pub fn left(&self) -> Option<Duration> {
        let ends_at = self.current()?.life?.ends_at;
        Some(ends_at.saturating_duration_since(Instant::now()))
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current.lock().clone()
    }

    fn keep(&self, token: Token) -> Arc<Token> {
        let token = Arc::new(token);
        *self.current.lock() = Some(token.clone());
        token
    }

    fn forget(&self) {
        *self.current.lock() = None;
    }
}

impl Token {
    /// The token of an answer of authenticate or renewToken.
    fn read(reply: &Reply) -> Result<Self> {
        let answer: AuthenticateResponse = reply.json()?;
        let broken = || ClientError::Broken { operation: reply.operation.id, source: BrokenAnswer::Token };
        if answer.token.is_empty() || answer.token.len() > LONGEST_TOKEN {
            return Err(broken());
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {}", answer.token)).map_err(|_| broken())?;
        header.set_sensitive(true);
        let life = lifetime(&answer.token, reply.date(), Utc::now()).map(|life| Life::new(Instant::now(), life));
        Ok(Self { header, life })
    }

    fn phase(&self, now: Instant) -> Phase {
        match self.life {
            Some(life) if now >= life.ends_at => Phase::Over,
            Some(life) if now >= life.renew_at => Phase::Due,
            _ => Phase::Fresh,
        }
    }

    /// The same token, whose renewal failed just now: due again after a quarter of what is left of it.
    fn renewed_later(&self, now: Instant) -> Self {
        let later = |life: Life| Life { renew_at: now + life.ends_at.saturating_duration_since(now) / 4, ..life };
        Self { header: self.header.clone(), life: self.life.map(later) }
    }
}

impl Life {
    fn new(received: Instant, life: Duration) -> Self {
        let life = life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
        Self { renew_at: received + life * 3 / 4, ends_at: received + life }
    }
}

async fn renewed(transport: &Transport, token: &Token) -> Result<Token> {
    let reply = transport.send(&RENEW_TOKEN, &[], Some(token.header.clone()), |request| request).await?;
    Token::read(&reply.success()?)
}

pub(super) fn login_answer(reply: &Reply) -> Result<Token> {
    match reply.status {
        404 => Err(ClientError::WrongBase),
        _ if reply.is_success() => Token::read(reply),
        status if status_is_transient(status, false) => Err(reply.busy()),
        status => Err(ClientError::LoginRefused { status }),
    }
}

/// How long a JWT lives from its receipt, whatever our clock says: its `exp` against the engine's own `Date`, and
/// against its `iat`, whichever is less; our own clock only where neither is there. `None` when that gives no time.
fn lifetime(token: &str, date: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<Duration> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let claim = |name: &str| claims.get(name).and_then(Value::as_f64);
    let exp = claim("exp")?;
    let since = |start: f64| Duration::try_from_secs_f64(exp - start).ok().filter(|life| !life.is_zero());
    let seconds = |time: DateTime<Utc>| time.timestamp_millis() as f64 / 1000.0;
    let stated = [date.map(seconds), claim("iat")].into_iter().flatten().filter_map(since).min();
    stated.or_else(|| since(seconds(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_lives_as_long_as_the_engine_means_whatever_our_clock_says() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        for (claims, date, seconds) in [
            (r#"{"exp":5600,"iat":2000}"#, None, Some(3600)),
            (r#"{"exp":5600,"iat":2000}"#, at(2000), Some(3600)),
            // A renewed token that kept the day of the first.
            (r#"{"exp":5600,"iat":100}"#, at(2000), Some(3600)),
            // The answer's date is of a proxy with a wrong clock.
            (r#"{"exp":5600,"iat":2000}"#, at(99_999), Some(3600)),
            (r#"{"exp":5600}"#, at(2000), Some(3600)),
            (r#"{"exp":1003600}"#, None, Some(3600)),
            (r#"{"exp":1003600.5,"iat":1000000}"#, None, Some(3600)),
            // Our clock is ahead of the token's end, and nothing tells the engine's.
            (r#"{"exp":5600}"#, None, None),
            (r#"{"iat":5600}"#, at(2000), None),
            (r#"{"exp":"soon"}"#, at(2000), None),
            (r#"{"exp":1e308,"iat":0}"#, None, None),
            ("[]", None, None),
        ] {
            assert_eq!(lifetime(&jwt(claims), date, now).map(|d| d.as_secs()), seconds, "{claims}");
        }
        for odd in ["", "opaque", "a.b", "a.!!.c", "..", "a.e30.c"] {
            assert_eq!(lifetime(odd, None, now), None, "{odd}");
        }
    }

    #[test]
    fn a_token_is_renewed_at_three_quarters_of_its_life() {
        let start = Instant::now();
        let token = |life| Token { header: HeaderValue::from_static("x"), life };
        let hour = token(Some(Life::new(start, Duration::from_secs(3600))));
        for (seconds, phase) in
            [(0, Phase::Fresh), (2699, Phase::Fresh), (2700, Phase::Due), (3599, Phase::Due), (3600, Phase::Over)]
        {
            assert_eq!(hour.phase(start + Duration::from_secs(seconds)), phase, "{seconds}");
        }
        let later = hour.renewed_later(start + Duration::from_secs(3200));
        assert_eq!(later.phase(start + Duration::from_secs(3299)), Phase::Fresh);
        assert_eq!(later.phase(start + Duration::from_secs(3300)), Phase::Due);
        assert_eq!(later.phase(start + Duration::from_secs(3600)), Phase::Over);
        assert_eq!(token(None).phase(start + LONGEST_LIFE), Phase::Fresh);
        assert_eq!(token(Some(Life::new(start, Duration::MAX))).phase(start), Phase::Fresh);
        assert_eq!(token(Some(Life::new(start, Duration::ZERO))).phase(start), Phase::Fresh);
    }

    #[test]
    fn refused_logins_are_ever_farther_apart() {
        let pauses: Vec<_> = [1, 2, 3, 6, 1000].iter().map(|n| REFUSED.pause(*n, None, 1.0).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 60, 60]);
    }
}
