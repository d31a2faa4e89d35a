//! Signatures of webhooks, after the Standard Webhooks specification (<https://www.standardwebhooks.com>): receivers
//! check them with a library of their language.
//!
//! In: a shared key, an id, the time and the body as sent. Out: `v1,` and the Base64 of HMAC-SHA256 over
//! `id.time.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a key with Base64 in it starts with.
const PREFIX: &str = "whsec_";

/// Signs bodies with one key.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// `whsec_` and Base64, or any other text, whose bytes are the key then.
    pub fn new(key: &str) -> Result<Self, &'static str> {
        let bytes = match key.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is not Base64")?,
            None => key.as_bytes().to_vec(),
        };
        if bytes.is_empty() {
            return Err("the key is empty");
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| "the key has a length that cannot be used")
    }

    /// The signature of a body sent under this id at this time, in seconds since 1970.
    pub fn sign(&self, id: &str, time: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{time}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` module.
    #[test]
    fn signatures_are_those_of_another_implementation() {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxEek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,xm3N4+aKmqpsHqf2GrAK/g6ew7J0s6ILlNe44yY/l78="
        );
        assert_eq!(
            Signer::new("plain secret text").unwrap().sign("KEY", 1_700_000_000, br#"{"a":1}"#),
            "v1,6yivk+NssYiGLH6hjtwaOtbGdQXdFSFxo9vaLrA2njo="
        );
    }

    #[test]
    fn keys_that_are_none() {
        for (key, wanted) in [
            ("", "the key is empty"),
            ("whsec_", "the key is empty"),
            ("whsec_n0 base64!", "what follows `whsec_` is not Base64"),
        ] {
            assert_eq!(Signer::new(key).err(), Some(wanted), "{key}");
        }
    }
}
