//! Into an engine: which one, as whom, with what password.
//!
//! In: the arguments all commands share, or the configuration. Out: a client. The password comes from the
//! configuration, a file, a credential, the environment or the prompt, never from an argument; nothing is kept.

use std::path::Path;

use anyhow::{anyhow, bail};
use identities::Client;
use secrecy::SecretString;

use crate::cli::EngineAccess;
use crate::commands::{load_config, password};
use crate::config::IdentitiesConfig;

/// The credential or variable that holds the password; the configuration's example calls it the same.
const PASSWORD: &str = "IDENTITIES_PASSWORD";

/// A client for the engine that was named, or the configured one.
pub fn connect(access: &EngineAccess) -> anyhow::Result<Client> {
    Ok(Client::new(&engine(access)?.client())?)
}

fn engine(access: &EngineAccess) -> anyhow::Result<IdentitiesConfig> {
    match (&access.url, &access.username) {
        (Some(url), Some(username)) => {
            let password = match &access.password_file {
                Some(file) => password::from_file(file)?,
                None => match from_surroundings()? {
                    Some(password) => password,
                    None => password::ask(&format!("Password of {username}"))?,
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
            let settings = load_config(&access.config)?.settings;
            let engine = settings.identities;
            Ok(engine.ok_or_else(|| {
                anyhow!("no engine is configured; fill in [identities], or give --url and --username")
            })?)
        }
    }
}

fn from_surroundings() -> anyhow::Result<Option<SecretString>> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(PASSWORD));
    if let Some(file) = credential.filter(|file| file.is_file()) {
        return password::from_file(&file).map(Some);
    }
    match std::env::var(PASSWORD) {
        Ok(password) if !password.is_empty() => Ok(Some(password.into())),
        Err(std::env::VarError::NotUnicode(_)) => bail!("the variable {PASSWORD} is not UTF-8"),
        _ => Ok(None),
    }
}
