//! `${NAME:default}` in the texts of the configuration.
//!
//! In: a text and where names are looked up: systemd's credentials, then the environment, then the default. Out: the
//! text with every name filled in. `$$` is a dollar sign. It does not know which keys are secret; what was filled in is
//! treated as if it were.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::place::Place;

/// What surrounds the process: the variables and systemd's credentials.
#[derive(Clone, Default)]
pub struct Surroundings {
    pub variables: BTreeMap<String, String>,
    /// The folder with one file per credential, `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
}

/// A text with its names filled in.
#[derive(Clone, PartialEq)]
pub(super) struct Filled {
    pub text: String,
    /// Whether anything came from outside, or could have.
    pub changed: bool,
    pub warnings: Vec<String>,
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

    /// Fills in every `${NAME}` and `${NAME:default}`; the error says how to provide what is missing.
    pub(super) fn fill(&self, text: &str) -> Result<Filled, String> {
        let mut filled = Filled { text: String::with_capacity(text.len()), changed: false, warnings: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.text.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let end = inside.find('}').ok_or("a `${` is not closed; for a dollar sign write `$$`")?;
                let (name, default) = match inside[..end].split_once(':') {
                    Some((name, default)) => (name, Some(default)),
                    None => (&inside[..end], None),
                };
                filled.text.push_str(&self.look_up(name, default, &mut filled.warnings)?);
                filled.changed = true;
                rest = &inside[end + 1..];
            } else {
                filled.text.push('$');
            }
        }
        filled.text.push_str(rest);
        Ok(filled)
    }

    fn look_up(&self, name: &str, default: Option<&str>, warnings: &mut Vec<String>) -> Result<String, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            return Err(
                "between `${` and `}` stands a name of letters, digits, `_`, `-` and `.`, then a default after \
                 a colon if there is one; for a dollar sign write `$$`"
                    .into(),
            );
        }
        if let Some(path) = self.credentials.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file()) {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("cannot read the credential {}: {error}", path.display()))?;
            let open = std::fs::metadata(&path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0);
            if open {
                warnings.push(format!("everyone on this machine can read {}; make its mode 0400", path.display()));
            }
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let variable = self.variables.get(name).filter(|value| !value.is_empty()).cloned();
        variable.or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            format!(
                "`{name}` is set neither as a credential nor in the environment; add \
                 `LoadCredential={name}:/path/to/file` to the unit, set the variable {name}, or give a default: \
                 `${{{name}:default}}`"
            )
        })
    }
}

impl std::fmt::Debug for Surroundings {
    /// Variables may hold secrets: their number only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Surroundings({} variables, credentials in {:?})", self.variables.len(), self.credentials)
    }
}

/// Whether a text written here is a secret: a password, an address with a password, a header that authenticates.
pub(super) fn is_secret(path: &[String], text: &str) -> bool {
    let key = path.last().map(|key| key.to_lowercase()).unwrap_or_default();
    let authenticates = path.iter().any(|step| step == "headers") && ["authorization", "x-api-key"].contains(&&*key);
    let in_address = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
    ["password", "signing_key"].contains(&&*key)
        || authenticates
        || in_address.is_some_and(|host| host.contains('@') && host.contains(':'))
}

/// Whether everyone on this machine can read the file a value stands in.
pub(super) fn readable_by_everyone(place: &Option<Place>) -> bool {
    let Some(Place::File { file, .. }) = place else { return false };
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
}
