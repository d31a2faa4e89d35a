//! Passwords as they are kept, and bearer tokens.
//!
//! In: a password; who, and since which password. Out: the PHC string of a password (argon2id, with the parameters of
//! the `argon2` crate: 19 MiB, two passes), or whether it is the one a PHC string was made from; a token, and back.
//! Hashing takes tens of milliseconds of one core on purpose, so callers bound how many run at once. Tokens are JWTs
//! signed with HMAC-SHA256 and a secret that never leaves the data folder; whether the user still exists is asked of
//! the database at every request.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use rusqlite::Transaction;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::EngineError;
use crate::store::{Stop, meta};

/// Longer passwords are refused: hashing must not be a way to keep the engine busy.
const MAX_BYTES: usize = 1024;

/// Letters and digits of a generated password: 24 of 62 kinds are 142 bits.
const GENERATED_LENGTH: usize = 24;

/// The hash of a password nobody knows, so that an unknown user name takes as long as a wrong password.
static DUMMY: LazyLock<Option<String>> = LazyLock::new(|| hash(&generate()).ok());

/// The PHC string of a password.
pub fn hash(password: &SecretString) -> Result<String, EngineError> {
    let password = password.expose_secret().as_bytes();
    if password.is_empty() || password.len() > MAX_BYTES {
        return Err(EngineError::UnusablePassword { limit: MAX_BYTES });
    }
    Argon2::default().hash_password(password).map(|hash| hash.to_string()).map_err(EngineError::HashPassword)
}

/// Whether `password` is the one `hash` was made from; without a hash (no such user) the same work ends in no.
pub fn verify(password: &SecretString, hash: Option<&str>) -> bool {
    let password = password.expose_secret().as_bytes();
    let stored = hash.or(DUMMY.as_deref()).and_then(|hash| PasswordHash::new(hash).ok());
    let matches = stored.is_some_and(|stored| {
        password.len() <= MAX_BYTES && Argon2::default().verify_password(password, &stored).is_ok()
    });
    matches && hash.is_some()
}

/// A new random password.
pub fn generate() -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), GENERATED_LENGTH).into()
}

/// How long a token is good for, in seconds.
pub const LIFETIME_SECS: i64 = 3600;

/// How long a session lasts, in seconds: however often its token is renewed, then a password is asked for again.
pub const SESSION_SECS: i64 = 24 * 3600;

const SECRET_BYTES: usize = 32;

/// The keys that sign and check tokens.
pub struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
}

/// From a log-in on, through all the tokens it is renewed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub id: Uuid,
    /// When the password was given, in seconds since 1970.
    pub began: i64,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// User id.
    pub sub: String,
    /// The user's token version when it was made: a new password makes older tokens void.
    pub ver: i64,
    /// Makes every token different.
    pub jti: Uuid,
    /// The session's id, and when it began.
    pub sid: Uuid,
    pub auth_time: i64,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
}

impl Tokens {
    pub fn new(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        Self { sign: EncodingKey::from_secret(secret), check: DecodingKey::from_secret(secret), validation }
    }

    /// A token for the user, good for [`LIFETIME_SECS`] from `now`, or until the session ends.
    pub fn issue(
        &self,
        user_id: &str,
        version: i64,
        session: Session,
        now: DateTime<Utc>,
    ) -> Result<String, EngineError> {
        let (iat, jti) = (now.timestamp(), Uuid::new_v4());
        let exp = session.ends().min(iat + LIFETIME_SECS);
        let (sid, auth_time) = (session.id, session.began);
        let claims = Claims { sub: user_id.to_owned(), ver: version, jti, sid, auth_time, iat, exp };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign).map_err(EngineError::SignToken)
    }

    /// What the token says, if it is ours and has not expired.
    pub fn read(&self, token: &str) -> Option<Claims> {
        jsonwebtoken::decode::<Claims>(token, &self.check, &self.validation).ok().map(|token| token.claims)
    }
}

impl Session {
    pub fn begin(now: DateTime<Utc>) -> Self {
        Self { id: Uuid::new_v4(), began: now.timestamp() }
    }

    /// When it is over, in seconds since 1970.
    pub fn ends(self) -> i64 {
        self.began + SESSION_SECS
    }
}

/// The data folder's secret, made at its first use.
pub fn token_secret(transaction: &Transaction) -> Result<Vec<u8>, Stop> {
    if let Some(secret) = meta::read(transaction, meta::TOKEN_SECRET)?.filter(|secret| secret.len() == SECRET_BYTES) {
        return Ok(secret);
    }
    let mut secret = vec![0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    meta::write(transaction, meta::TOKEN_SECRET, &secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn only_the_right_password_opens() {
        let stored = hash(&"correct horse".into()).unwrap();
        assert!(stored.starts_with("$argon2id$"), "{stored}");
        for (given, opens) in [("correct horse", true), ("correct horsf", false), ("", false), ("CORRECT HORSE", false)]
        {
            assert_eq!(verify(&given.into(), Some(&stored)), opens, "{given}");
        }
        assert!(!verify(&"correct horse".into(), None));
        assert!(!verify(&"correct horse".into(), Some("not a hash")));
    }

    #[test]
    fn empty_and_endless_passwords_are_refused() {
        for password in [String::new(), "x".repeat(MAX_BYTES + 1)] {
            assert!(matches!(hash(&password.into()), Err(EngineError::UnusablePassword { .. })));
        }
    }

    #[test]
    fn no_two_generated_passwords_are_alike() {
        assert_ne!(generate().expose_secret(), generate().expose_secret());
    }

    #[test]
    fn a_token_says_what_was_put_in_until_it_expires() {
        let tokens = Tokens::new(&[7; 32]);
        let now = Utc::now();
        let session = Session::begin(now);
        let claims = tokens.read(&tokens.issue("u1", 3, session, now).unwrap()).unwrap();
        assert_eq!((claims.sub.as_str(), claims.ver, claims.exp - claims.iat), ("u1", 3, LIFETIME_SECS));
        assert_eq!((claims.sid, claims.auth_time), (session.id, now.timestamp()));
        let past = now - TimeDelta::seconds(LIFETIME_SECS + 2);
        assert_eq!(tokens.read(&tokens.issue("u1", 3, session, past).unwrap()), None);
    }

    #[test]
    fn no_token_outlives_its_session() {
        let tokens = Tokens::new(&[7; 32]);
        let now = Utc::now();
        let nearly_over = Session { began: now.timestamp() - SESSION_SECS + 60, ..Session::begin(now) };
        let claims = tokens.read(&tokens.issue("u1", 3, nearly_over, now).unwrap()).unwrap();
        assert_eq!(claims.exp - claims.iat, 60);
        let over = Session { began: now.timestamp() - SESSION_SECS - 1, ..nearly_over };
        assert_eq!(tokens.read(&tokens.issue("u1", 3, over, now).unwrap()), None);
    }

    #[test]
    fn two_tokens_of_one_second_differ() {
        let tokens = Tokens::new(&[7; 32]);
        let now = Utc::now();
        let issue = || tokens.issue("u1", 3, Session { id: Uuid::nil(), began: now.timestamp() }, now).unwrap();
        assert_ne!(issue(), issue());
    }

    #[test]
    fn a_token_of_another_key_or_algorithm_or_none_is_nothing() {
        let tokens = Tokens::new(&[7; 32]);
        let token = tokens.issue("u1", 3, Session::begin(Utc::now()), Utc::now()).unwrap();
        assert_eq!(Tokens::new(&[8; 32]).read(&token), None);
        let body = token.split('.').nth(1).unwrap();
        for header in [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"HS384","typ":"JWT"}"#, "{}"] {
            for signature in ["", token.rsplit('.').next().unwrap()] {
                let forged = format!("{}.{body}.{signature}", BASE64_URL_SAFE_NO_PAD.encode(header));
                assert_eq!(tokens.read(&forged), None, "{header}");
            }
        }
        for nonsense in ["", ".", "a.b.c", &token[..token.len() - 1]] {
            assert_eq!(tokens.read(nonsense), None, "{nonsense}");
        }
    }
}
