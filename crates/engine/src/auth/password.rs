//! Passwords as they are kept: argon2id, with the parameters of the `argon2` crate (19 MiB, two passes).
//!
//! In: a password. Out: its PHC string, or whether it is the one a PHC string was made from. Both take tens of
//! milliseconds of one core on purpose, so callers bound how many run at once.

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};

use crate::error::EngineError;

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

#[cfg(test)]
mod tests {
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
}
