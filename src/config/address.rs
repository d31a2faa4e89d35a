//! Addresses in the configuration: read, or told why not without showing any of it.
//!
//! In: a text, in which an account may stand before the host. Out: a [`Url`], or a sentence that says what is wrong and
//! what to write. What `${NAME}` fills in before the `@` is percent-encoded by [`account`] and [`encoded`], so that a
//! password may hold `/ # ? %` and `@`. The texts of mistakes never hold a part of the address: it may be the password.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{ParseError, Url};

/// How every mistake about an address starts; such a text holds nothing of the address and may be shown.
pub(super) const NO_ADDRESS: &str = "it is no address";

/// The address, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    Url::parse(text).map_err(|error| {
        let help = match error {
            ParseError::RelativeUrlWithoutBase => "it must start with a scheme, like `https://`".to_owned(),
            _ if text.contains('@') => format!(
                "{error}; a `/`, `?`, `#`, `%` or `@` in its user name or password must be percent-encoded (`/` is \
                 `%2F`), which doorward does with what `${{NAME}}` fills in there"
            ),
            _ => error.to_string(),
        };
        format!("{NO_ADDRESS}: {help}")
    })
}

/// Why an address that can be read is perhaps not the one that was meant: an `@` after the host, and a port where the
/// beginning of a password could stand.
pub(super) fn doubt(url: &Url) -> Option<&'static str> {
    let after_host = [Some(url.path()), url.query(), url.fragment()];
    let account = !url.username().is_empty() || url.password().is_some();
    let doubtful = !account && url.port().is_some() && after_host.into_iter().flatten().any(|part| part.contains('@'));
    doubtful.then_some(
        "an `@` stands behind the host and port; if a password with `/`, `?` or `#` was meant, write it as `${NAME}` \
         or percent-encoded",
    )
}

/// Scheme, host and port: what may be shown of an address, because the rest may hold an account.
pub(super) fn server(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Where the account of an address stands, before its `@`, in a text whose `${…}` are not filled in yet.
pub(super) fn account(text: &str) -> Option<Range<usize>> {
    let start = text.find("://").filter(|at| !text[..*at].contains("${"))? + "://".len();
    // What is filled in later may hold anything, and ends nothing here.
    let mut rest = text[start..].to_owned();
    while let Some(open) = rest.find("${") {
        let close = open + rest[open..].find('}')?;
        rest.replace_range(open..=close, &"x".repeat(close + 1 - open));
    }
    let host_ends = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    Some(start..start + rest[..host_ends].rfind('@')?)
}

/// What stays as it is in a user name or password; everything else is percent-encoded.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A user name or password as it may stand in an address.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `name:password` as it may stand in an address: the first colon separates them.
pub(super) fn encoded_account(text: &str) -> String {
    match text.split_once(':') {
        Some((name, password)) => format!("{}:{}", encoded(name), encoded(password)),
        None => encoded(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_what_stands_before_the_at_sign_of_the_host() {
        for (text, account_is) in [
            ("rtsp://admin:${P}@10.0.0.5/x", Some("admin:${P}")),
            ("rtsp://${U}:${/run/a@b/c:d}@cam/x@y", Some("${U}:${/run/a@b/c:d}")),
            ("mqtt://${ACCOUNT}@broker", Some("${ACCOUNT}")),
            ("http://cam/path?user=${U}@x", None),
            ("http://${HOST}/x", None),
            ("${URL}://a@b", None),
            ("no address of ${A}@b", None),
            ("rtsp://admin:${P@cam", None),
        ] {
            assert_eq!(account(text).map(|range| &text[range]), account_is, "{text}");
        }
    }

    #[test]
    fn a_mistake_says_why_and_shows_nothing_of_the_address() {
        for (text, why) in [
            ("rtsp://admin:hunter/2@cam.local/x", "invalid port number"),
            ("rtsp://admin:hunter#2@cam.local/x", "percent-encoded"),
            ("rtsp://admin:hunter?2@cam.local/x", "`${NAME}`"),
            ("https://admin:hunter2@[x]/", "invalid IPv6 address"),
            ("hunter2", "must start with a scheme"),
            ("https://", "empty host"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.starts_with(NO_ADDRESS) && problem.contains(why), "{text}: {problem}");
            assert!(!problem.contains("hunter") && !problem.contains("admin"), "{problem}");
        }
        let doubtful = |text: &str| doubt(&parse(text).unwrap()).is_some();
        assert!(doubtful("rtsp://admin:12/34@cam/x"));
        assert!(!doubtful("rtsp://admin:12%2F34@cam:554/x@y") && !doubtful("http://cam/x?mail=a@b"));
    }

    #[test]
    fn an_account_is_encoded_so_that_it_reads_back() {
        for password in ["p/a#s?s%41", "a@b:c", "ü ß", "plain-._~", "{{x}}[1]"] {
            let url = parse(&format!("rtsp://{}@cam/x", encoded_account(&format!("admin:{password}")))).unwrap();
            assert_eq!((url.username(), url.host_str()), ("admin", Some("cam")));
            let bytes = url.password().unwrap().to_owned();
            let back: String =
                url::form_urlencoded::parse(bytes.as_bytes()).map(|(text, _)| text.into_owned()).collect();
            assert_eq!(back, password);
        }
    }
}
