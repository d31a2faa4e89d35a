//! Into an engine: which one, as whom, with what password.
//!
//! In: the arguments all commands share, or the configuration. Out: a client. The password comes from the
//! configuration, a file, a credential, the environment or the prompt, never from an argument; nothing is kept.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use identities::Client;
use secrecy::SecretString;

use crate::cli::EngineAccess;
use crate::commands::{Failure, complain, load_config};
use crate::config::IdentitiesConfig;

/// The credential or variable that holds the password; the configuration's example calls it the same.
const PASSWORD: &str = "IDENTITIES_PASSWORD";

/// A client for the engine that was named, or the configured one.
pub fn connect(access: &EngineAccess) -> Result<Client, Failure> {
    Ok(Client::new(&engine(access)?.client())?)
}

fn engine(access: &EngineAccess) -> Result<IdentitiesConfig, Failure> {
    match (&access.url, &access.username) {
        (Some(url), Some(username)) => {
            let password = match &access.password_file {
                Some(file) => from_file(file)?,
                None => match from_surroundings()? {
                    Some(password) => password,
                    None => ask(username)?,
                },
            };
            Ok(IdentitiesConfig {
                ca_file: access.ca_file.clone(),
                pin_sha256: access.pin.clone(),
                allow_plain_http: access.allow_plain_http,
                ..IdentitiesConfig::new(url.clone(), username, password)
            })
        }
        _ => {
            let settings = load_config(access.config.config.as_deref())?.settings;
            let engine = settings.identities;
            Ok(engine.ok_or_else(|| {
                anyhow!("no engine is configured; fill in [identities], or give --url and --username")
            })?)
        }
    }
}

/// The first line of a file, or of standard input for `-`.
fn from_file(file: &Path) -> anyhow::Result<SecretString> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read the password from standard input")?
    } else {
        let text = identities::text_file::read(file);
        let text = text.with_context(|| format!("cannot read the password file {}", file.display()))?;
        warn_if_open(file);
        text
    };
    first_line(&text).with_context(|| format!("the first line of the password file {} is empty", file.display()))
}

fn from_surroundings() -> anyhow::Result<Option<SecretString>> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(PASSWORD));
    if let Some(file) = credential.filter(|file| file.is_file()) {
        return from_file(&file).map(Some);
    }
    match std::env::var(PASSWORD) {
        Ok(password) if !password.is_empty() => Ok(Some(password.into())),
        Err(std::env::VarError::NotUnicode(_)) => bail!("the variable {PASSWORD} is not UTF-8"),
        _ => Ok(None),
    }
}

fn ask(username: &str) -> anyhow::Result<SecretString> {
    let password = rpassword::prompt_password(format!("Password of {username}: "));
    Ok(password.context("cannot ask for the password here; give --password-file")?.into())
}

fn first_line(text: &str) -> Option<SecretString> {
    text.trim_start_matches('\u{feff}').lines().next().filter(|line| !line.is_empty()).map(Into::into)
}

/// A warning and no refusal: the secrets of containers are readable by everybody inside.
fn warn_if_open(file: &Path) {
    let open = std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o004 != 0);
    if open {
        complain(&format!("doorward: everyone on this machine can read {}; make its mode 0400", file.display()));
    }
}
