//! `${NAME:default}` in the texts of the configuration.
//!
//! In: a text and where names are looked up: systemd's credentials, then the environment, then the default; a name that
//! starts with `/` is a file. Out: the text with every name filled in. `$$` is a dollar sign. It does not know which
//! keys are secret; what was filled in is treated as if it were.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::address;
use super::place::Place;

/// What surrounds the process: the variables and systemd's credentials.
///
/// Variables may hold secrets: only their number is shown.
#[derive(Clone, Default, derive_more::Debug)]
#[debug("Surroundings({} variables, credentials in {credentials:?})", variables.len())]
pub struct Surroundings {
    pub variables: BTreeMap<String, String>,
    /// The folder with one file per credential, `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

/// Nobody's secret is longer; a wrong file may be endless.
const LONGEST_SECRET: u64 = 64 << 10;

/// A text with its names filled in.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Filled {
    pub text: String,
    /// Whether anything came from outside, or could have.
    pub changed: bool,
    pub warnings: Vec<String>,
    /// What came from outside: never to be told, whatever key it turns out to stand under.
    pub secrets: Vec<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        Self {
            variables: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }

    /// Fills in every `${NAME}`, `${NAME:default}` and `${/file}`; the error says how to provide what is missing. In
    /// the account of an address it is percent-encoded.
    pub(super) fn fill(&self, text: &str) -> Result<Filled, String> {
        let mut filled = Filled::default();
        let account = address::account(text);
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.text.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let end = inside.find('}').ok_or("a `${` is not closed; for a dollar sign write `$$`")?;
                let place = text.len() - inside.len() - "${".len()..text.len() - inside.len() + end + "}".len();
                // Before the `@` of an address, `/ # ? %` and more have a meaning that no password is meant to have.
                let written = |found: &str| match &account {
                    Some(account) if *account == place => address::encoded_account(found),
                    Some(account) if account.contains(&place.start) => address::encoded(found),
                    _ => found.to_owned(),
                };
                let (name, default) = match inside[..end].split_once(':') {
                    _ if inside.starts_with('/') => (&inside[..end], None),
                    Some((name, default)) => (name, Some(default)),
                    None => (&inside[..end], None),
                };
                match self.look_up(name, &mut filled.warnings)? {
                    Some(found) => {
                        let written = written(&found);
                        filled.text.push_str(&written);
                        if written != found {
                            filled.secrets.push(written);
                        }
                        filled.secrets.push(found);
                    }
                    None => filled.text.push_str(&written(default.ok_or_else(|| nowhere(name))?)),
                }
                filled.changed = true;
                rest = &inside[end + 1..];
            } else {
                filled.text.push('$');
            }
        }
        filled.text.push_str(rest);
        Ok(filled)
    }

    fn look_up(&self, name: &str, warnings: &mut Vec<String>) -> Result<Option<String>, String> {
        if name.starts_with('/') {
            return read_secret(Path::new(name), warnings).map(Some);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            return Err(
                "between `${` and `}` stands a name of letters, digits, `_`, `-` and `.`, then a default after \
                 a colon if there is one, or the path of a file; for a dollar sign write `$$`"
                    .into(),
            );
        }
        if let Some(path) = self.credentials.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file()) {
            let text = identities::text_file::read(&path)
                .map_err(|error| format!("cannot read the credential {}: {error}", path.display()))?;
            if std::fs::metadata(&path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0) {
                warnings.push(format!("everyone on this machine can read {}; make its mode 0400", path.display()));
            }
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        Ok(self.variables.get(name).filter(|value| !value.is_empty()).cloned())
    }
}

fn nowhere(name: &str) -> String {
    format!(
        "`{name}` is set neither as a credential nor in the environment; add `LoadCredential={name}:/path/to/file` to \
         the unit, set the variable {name}, name a file as `${{/path/to/file}}`, or give a default: \
         `${{{name}:default}}`"
    )
}

/// The text of a file that holds one secret. One that everyone can read is refused; one that its group can read may be
/// meant for this program's group, and is warned of.
fn read_secret(path: &Path, warnings: &mut Vec<String>) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read the file {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(format!(
            "everyone on this machine can use {0} (mode {mode:04o}), so it is not taken; run `chmod 600 {0}`",
            path.display()
        ));
    }
    if mode & 0o070 != 0 {
        let group = "its group can use it, too; unless that group is doorward's own, make its mode 0600";
        warnings.push(format!("{} has mode {mode:04o}: {group}", path.display()));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_SECRET + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST_SECRET {
        return Err(format!("{} is larger than {LONGEST_SECRET} bytes; is it the right file?", path.display()));
    }
    let text = identities::text_file::from(&bytes).map_err(failed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whether a text written here is a secret: a password, an address with a password, a header that authenticates.
pub(super) fn is_secret(path: &[String], text: &str) -> bool {
    let key = path.last().map(|key| key.to_lowercase()).unwrap_or_default();
    let in_header = ["authorization", "cookie", "key", "token", "secret"].iter().any(|part| key.contains(part));
    let authenticates = path.iter().any(|step| step == "headers") && in_header;
    // Up to the last `@`: a password that is not percent-encoded may hold anything.
    let account = text.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(account, _)| account);
    ["password", "signing_key", "secret", "token"].contains(&&*key)
        || path == ["outbox", "key"]
        || authenticates
        || account.is_some_and(|account| account.contains(':'))
}

/// Whether everyone on this machine can read the file a value stands in.
pub(super) fn readable_by_everyone(place: &Place) -> bool {
    let Place::File { file, .. } = place else { return false };
    std::fs::metadata(file).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(folder: &std::path::Path) -> Surroundings {
        let variables = [("A", "from variable"), ("BOTH", "variable"), ("EMPTY", "")];
        Surroundings {
            variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
            credentials: Some(folder.into()),
        }
    }

    #[test]
    fn names_are_looked_up_in_credentials_then_variables_then_the_default() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("BOTH"), "credential\n").unwrap();
        std::fs::write(folder.path().join("door.password"), "a$b${c}\r\n").unwrap();
        let cases = [
            ("plain", "plain"),
            ("${A}", "from variable"),
            ("<${A:x}>", "<from variable>"),
            ("${BOTH}", "credential"),
            ("${door.password}", "a$b${c}"),
            ("${NONE:}", ""),
            ("${NONE:http://x:1}/y", "http://x:1/y"),
            ("${EMPTY:default}", "default"),
            ("$${A}", "${A}"),
            ("$$", "$"),
            ("5$ a^b$", "5$ a^b$"),
            ("${A}${BOTH}", "from variablecredential"),
        ];
        for (text, expected) in cases {
            let filled = surroundings(folder.path()).fill(text).unwrap();
            assert_eq!(filled.text, expected, "{text}");
            assert_eq!(filled.changed, text.contains("${") && !text.contains("$${"), "{text}");
        }
    }

    #[test]
    fn what_is_filled_into_the_account_of_an_address_is_percent_encoded() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("PASSWORD"), "\u{feff}p/a#s?s%41@:é\r\n").unwrap();
        std::fs::write(folder.path().join("ACCOUNT"), "admin:p/a:b").unwrap();
        let password = "p%2Fa%23s%3Fs%2541%40%3A%C3%A9";
        for (text, expected) in [
            (
                "rtsp://admin:${PASSWORD}@10.0.0.5:554/x?y=${A}",
                format!("rtsp://admin:{password}@10.0.0.5:554/x?y=from variable"),
            ),
            ("https://${A}:${NONE:a/b}@host/", "https://from%20variable:a%2Fb@host/".into()),
            ("mqtt://${ACCOUNT}@broker", "mqtt://admin:p%2Fa%3Ab@broker".into()),
            ("https://host/${PASSWORD}", "https://host/p/a#s?s%41@:é".into()),
            ("${PASSWORD}", "p/a#s?s%41@:é".into()),
        ] {
            let filled = surroundings(folder.path()).fill(text).unwrap();
            assert_eq!(filled.text, expected, "{text}");
            let hidden = filled.secrets.iter().any(|secret| filled.text.contains(secret.as_str()));
            assert!(hidden || !filled.text.contains(password), "{text}: the encoded password is a secret, too");
        }
    }

    #[test]
    fn a_secret_may_come_from_a_windows_editor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("BOTH");
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("pä\r\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for bytes in ["\u{feff}pä\r\n".as_bytes(), &utf16] {
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            for text in ["${BOTH}".to_owned(), format!("${{{}}}", path.display())] {
                assert_eq!(surroundings(folder.path()).fill(&text).unwrap().text, "pä", "{text}");
            }
        }
        std::fs::write(&path, b"p\xe4").unwrap();
        assert!(surroundings(folder.path()).fill("${BOTH}").err().unwrap().contains("save it as UTF-8"));
    }

    #[test]
    fn an_address_with_a_password_is_a_secret_however_it_is_written() {
        for text in ["rtsp://a:b@cam/x", "rtsp://a:b/c@cam/x", "rtsp://a:b?c@cam", "rtsp://a:b#c@cam"] {
            assert!(is_secret(&["url".into()], text), "{text}");
        }
        assert!(!is_secret(&["url".into()], "rtsp://cam.local/x"));
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_provide_it() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("${DOOR_PASSWORD}", "LoadCredential=DOOR_PASSWORD:"),
            ("${EMPTY}", "set neither"),
            ("${A", "is not closed"),
            ("${{ person.name }}", "write `$$`"),
            ("${}", "write `$$`"),
            ("${../../etc/shadow}", "stands a name"),
        ];
        for (text, hint) in cases {
            let error = surroundings(folder.path()).fill(text).err().unwrap();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn a_credential_everyone_can_read_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("BOTH");
        std::fs::write(&path, "x").unwrap();
        for (mode, warned) in [(0o644, 1), (0o440, 0), (0o400, 0)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(surroundings(folder.path()).fill("${BOTH}").unwrap().warnings.len(), warned, "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_read_unless_everyone_can_use_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:password");
        std::fs::write(&path, "pass${A}word\n").unwrap();
        let text = format!("<${{{}}}>", path.display());
        for (mode, accepted, warned) in [
            (0o600, true, 0),
            (0o400, true, 0),
            (0o640, true, 1),
            (0o660, true, 1),
            (0o644, false, 0),
            (0o602, false, 0),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match Surroundings::default().fill(&text) {
                Ok(filled) => {
                    assert!(accepted, "{mode:o}");
                    assert_eq!((filled.text.as_str(), filled.warnings.len()), ("<pass${A}word>", warned), "{mode:o}");
                }
                Err(problem) => {
                    assert!(!accepted && problem.contains("chmod 600") && !problem.contains("word>"), "{problem}");
                }
            }
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "x".repeat(LONGEST_SECRET as usize + 1)).unwrap();
        for (text, hint) in [
            (text.as_str(), "larger than"),
            ("${/nowhere/at/all}", "cannot read the file /nowhere/at/all: "),
            ("${/etc}", "is not a file"),
        ] {
            let problem = Surroundings::default().fill(text).err().unwrap();
            assert!(problem.contains(hint), "{problem}");
        }
    }
}
