//! Digest authentication (RFC 7616) with SHA-256, which Shelly's relays ask for.
//!
//! In: the challenges of an answer of 401. Out: the header that answers one of them, or `None` when none is of a kind
//! known here. The password is never sent. MD5 is not spoken: it protects nothing.

use http_auth::{ChallengeRef, DigestClient, PasswordParams, parse_challenges};
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

/// An account.
#[derive(Clone)]
pub struct Digest {
    user: String,
    password: SecretString,
}

impl Digest {
    pub fn new(user: &str, password: SecretString) -> Self {
        Self { user: user.into(), password }
    }

    /// Answers the first challenge that can be answered.
    pub fn answer<'a>(
        &self,
        mut headers: impl Iterator<Item = &'a str>,
        method: &Method,
        url: &Url,
    ) -> Option<HeaderValue> {
        let params = PasswordParams {
            username: &self.user,
            password: self.password.expose_secret(),
            uri: &url[url::Position::BeforePath..url::Position::AfterQuery],
            method: method.as_str(),
            body: None,
        };
        let text = headers.find_map(|header| {
            let challenges = parse_challenges(header).ok()?;
            let mut digests = challenges.iter().filter(|one| is_spoken(one)).filter_map(|one| one.try_into().ok());
            digests.find_map(|mut digest: DigestClient| digest.respond(&params).ok())
        })?;
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Whether a challenge is one of digest authentication with SHA-256 that protects the request (`qop=auth`).
fn is_spoken(challenge: &ChallengeRef) -> bool {
    let says = |name: &str, wanted: &str| {
        let mut values = challenge.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.to_unescaped()).unwrap_or_default();
        value.split(',').any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    challenge.scheme.eq_ignore_ascii_case("digest") && says("algorithm", "SHA-256") && says("qop", "auth")
}

#[cfg(test)]
mod tests {
    use http_auth::ParamValue;
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// RFC 7616, 3.9.1.
    const CHALLENGE: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    /// With the random number of the answer, the formula of RFC 7616, 3.4.1 gives its response.
    #[test]
    fn the_answer_is_the_one_of_the_specification() {
        let hash = |parts: &[&str]| hex::encode(Sha256::digest(parts.join(":")));
        let digest = Digest::new("Mufasa", "Circle of Life".to_owned().into());
        let url = "http://h/dir/index.html?a=b".parse().unwrap();
        let answer = digest.answer(["Basic realm=\"x\"", CHALLENGE].into_iter(), &Method::GET, &url).unwrap();
        assert!(answer.is_sensitive());
        let answers = parse_challenges(answer.to_str().unwrap()).unwrap();
        let part = |name: &str| {
            let value = |(key, value): &(&str, ParamValue)| (*key == name).then(|| value.to_unescaped());
            answers[0].params.iter().find_map(value).unwrap_or_else(|| panic!("the answer has no {name}"))
        };
        let secret = hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
        let request = hash(&["GET", "/dir/index.html?a=b"]);
        let (nonce, own) = (part("nonce"), part("cnonce"));
        assert_eq!(part("response"), hash(&[&secret, &nonce, &part("nc"), &own, "auth", &request]));
        assert_eq!((part("uri").as_str(), part("username").as_str()), ("/dir/index.html?a=b", "Mufasa"));
        assert_eq!((part("algorithm").as_str(), part("qop").as_str()), ("SHA-256", "auth"));
        assert_eq!(part("opaque"), "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
        assert!(own.len() >= 16, "{own}");
    }

    #[test]
    fn what_is_not_answered() {
        let digest = Digest::new("u", "p".to_owned().into());
        let url = "http://h/a?b=c".parse().unwrap();
        for challenge in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth\", algorithm=MD5",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256",
            "Digest realm=\"x\", qop=\"auth\", algorithm=SHA-256",
            "Digest realm=\"x",
            "",
        ] {
            assert!(digest.answer([challenge].into_iter(), &Method::GET, &url).is_none(), "{challenge}");
        }
    }
}
