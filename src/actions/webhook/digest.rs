//! Digest authentication (RFC 7616) with SHA-256, which Shelly's relays ask for.
//!
//! In: the questions of an answer of 401. Out: the header that answers one of them, or `None` when none is of a kind known here.
//! The password is never sent. MD5 is not spoken: it protects nothing.

use rand::random;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

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

    /// Answers the first question that can be answered.
    pub fn answer<'a>(
        &self,
        mut questions: impl Iterator<Item = &'a str>,
        method: &Method,
        url: &Url,
    ) -> Option<HeaderValue> {
        let nonce = format!("{:016x}", random::<u64>());
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let text = questions.find_map(|question| self.answer_to(question, method, target, &nonce))?;
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn answer_to(&self, question: &str, method: &Method, target: &str, own_nonce: &str) -> Option<String> {
        let (scheme, parameters) = question.trim().split_once(' ')?;
        let get = |name: &str| parameter(parameters, name);
        let known = scheme.eq_ignore_ascii_case("digest")
            && get("algorithm").is_some_and(|algorithm| algorithm.eq_ignore_ascii_case("SHA-256"))
            && get("qop")?.split(',').any(|qop| qop.trim() == "auth");
        if !known {
            return None;
        }
        let (realm, nonce, user) = (get("realm")?, get("nonce")?, &self.user);
        let secret = hash(&[user, realm, self.password.expose_secret()]);
        let request = hash(&[method.as_str(), target]);
        let response = hash(&[&secret, nonce, "00000001", own_nonce, "auth", &request]);
        let opaque = get("opaque").map(|opaque| format!(", opaque=\"{opaque}\"")).unwrap_or_default();
        Some(format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{target}\", \
             algorithm=SHA-256, response=\"{response}\", qop=auth, nc=00000001, cnonce=\"{own_nonce}\"{opaque}"
        ))
    }
}

/// Of `name="value", name=value`; values with escaped quotes are not known.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters.trim_start();
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return (!value.contains('\\')).then(|| value.trim());
        }
        rest = after.trim_start().trim_start_matches(',');
    }
    None
}

/// Of the parts with colons between them, in hexadecimal digits.
fn hash(parts: &[&str]) -> String {
    hex::encode(Sha256::digest(parts.join(":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616, 3.9.1.
    const QUESTION: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                            nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                            opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn the_example_of_the_specification() {
        let digest = Digest::new("Mufasa", "Circle of Life".to_owned().into());
        let own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let answer = digest.answer_to(QUESTION, &Method::GET, "/dir/index.html", own).unwrap();
        assert_eq!(
            parameter(answer.strip_prefix("Digest ").unwrap(), "response"),
            Some("753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")
        );
        assert_eq!(parameter(&answer, "uri"), Some("/dir/index.html"));
        assert!(answer.ends_with("opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""));
    }

    #[test]
    fn what_is_not_answered() {
        let digest = Digest::new("u", "p".to_owned().into());
        let url = "http://h/a?b=c".parse().unwrap();
        for question in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth\", algorithm=MD5",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-256",
            "Digest realm=\"x\\\"y\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256",
            "Digest realm=\"x",
            "",
        ] {
            assert!(digest.answer([question].into_iter(), &Method::GET, &url).is_none(), "{question}");
        }
        let answer = digest.answer(["Basic realm=\"x\"", QUESTION].into_iter(), &Method::GET, &url).unwrap();
        assert!(answer.is_sensitive() && answer.to_str().unwrap().contains("uri=\"/a?b=c\""));
    }
}
