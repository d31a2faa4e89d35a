//! A public key by its SHA-256, as `pin_sha256` holds it.
//!
//! In: Base64 as curl and HTTP public key pinning write it. Out: a [`KeyPin`]. Whether a server has that key is for
//! `trust` to say.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

/// SHA-256 of the DER of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4). No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, derive_more::Debug, derive_more::Display)]
#[debug("KeyPin({self})")]
#[display("{}", BASE64_STANDARD.encode(_0))]
pub struct KeyPin(pub [u8; 32]);

impl FromStr for KeyPin {
    type Err = String;

    /// Base64, with curl's `sha256//` before it or without.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let encoded = ["sha256//", "sha256/"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| {
            "this is not the SHA-256 of a public key in Base64, 44 characters; `doorward identities trust URL` \
             prints it"
                .into()
        })
    }
}

impl<'de> Deserialize<'de> for KeyPin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_others_write_them() {
        let text = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for written in [text.to_owned(), format!("sha256//{text}"), format!("sha256/{text}"), format!(" {text}\n")] {
            assert_eq!(written.parse::<KeyPin>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "sha256//",
            "47DEQ",
            "d41d8cd98f00b204e9800998ecf8427e",
            &text[1..],
            "sha1//2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        ] {
            assert!(wrong.parse::<KeyPin>().unwrap_err().contains("identities trust"), "{wrong}");
        }
    }
}
