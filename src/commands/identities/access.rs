//! Into an engine: which one, as whom, with what password; `doorward identities login` and `whoami`, which show it.
//!
//! In: the arguments all commands share, or the configuration. Out: a client. The password comes from the
//! configuration, a file, a credential, the environment or the prompt, never from an argument. Nothing is kept: each
//! command logs in anew, so that there is no token on disk to steal, and none to renew.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use identities::wire::UserProfile;
use identities::{Client, Right};
use secrecy::SecretString;
use serde_json::json;

use crate::cli::{Asking, EngineAccess};
use crate::commands::{CommandResult, load_config, password, print_either, print_line, table};
use crate::config::IdentitiesConfig;

/// The credential or variable that holds the password; the configuration's example calls it the same.
const PASSWORD: &str = "IDENTITIES_PASSWORD";

/// A client for the engine that was named, or the configured one.
pub fn connect(access: &EngineAccess) -> anyhow::Result<Client> {
    Ok(Client::new(&engine(access)?.client())?)
}

fn engine(access: &EngineAccess) -> anyhow::Result<IdentitiesConfig> {
    let (Some(url), Some(username)) = (&access.url, &access.username) else {
        let engine = load_config(&access.config)?.settings.identities;
        return engine.context("no engine is configured; fill in [identities], or give --url and --username");
    };
    let password = match &access.password_file {
        Some(file) => password::from_file(file)?,
        None => from_surroundings(username)?,
    };
    Ok(IdentitiesConfig {
        ca_file: access.ca_file.clone(),
        pin_sha256: access.pin.clone(),
        allow_plain_http: access.allow_plain_http,
        ..IdentitiesConfig::new(url.clone(), username, password)
    })
}

/// The password that the credential or the variable holds, else the one that is typed at the prompt.
fn from_surroundings(username: &str) -> anyhow::Result<SecretString> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(PASSWORD));
    if let Some(file) = credential.filter(|file| file.is_file()) {
        return password::from_file(&file);
    }
    match std::env::var(PASSWORD) {
        Ok(password) if !password.is_empty() => Ok(password.into()),
        Err(std::env::VarError::NotUnicode(_)) => bail!("the variable {PASSWORD} is not UTF-8"),
        _ => password::ask(&format!("Password of {username}")),
    }
}

pub async fn login(asking: Asking) -> CommandResult {
    let client = connect(&asking.access)?;
    client.authenticate().await?;
    let (profile, rights) = (client.user_profile().await?, client.rights().await?);
    let (may, may_not): (Vec<_>, Vec<_>) = rights.into_iter().partition(|right| right.held);
    let [may, may_not] = [may, may_not].map(|rights| rights.iter().map(name).collect::<Vec<_>>());
    let left = client.token_left();
    let answer = json!({
        "engine": client.host(), "email": profile.email, "roles": profile.role_names(),
        "tokenSeconds": left.map(|left| left.as_secs()), "may": may, "mayNot": may_not,
    });
    print_either(asking.json, &answer, || {
        show_profile(&client, &profile);
        table::line("token", &lasts(left));
        table::line("may", &may.join(", "));
        table::line("may not", &may_not.join(", "));
        print_line("Rights to change and delete were not tried out. Nothing is kept on this machine.");
    })
}

pub async fn whoami(asking: Asking) -> CommandResult {
    let client = connect(&asking.access)?;
    let profile = client.user_profile().await?;
    let answer = json!({ "engine": client.host(), "email": profile.email, "roles": profile.roles });
    print_either(asking.json, &answer, || show_profile(&client, &profile))
}

fn show_profile(client: &Client, profile: &UserProfile) {
    table::line("engine", &client.host());
    table::line("email", profile.email.as_deref().unwrap_or_default());
    table::line("roles", &profile.role_names().join(", "));
}

/// `Read Tags` exists twice: for the tags people carry, and for the definitions.
fn name(right: &Right) -> String {
    let (category, name) = (right.permission.category(), right.permission.name());
    if category == "Tags" { format!("{name} ({category})") } else { name.into() }
}

fn lasts(left: Option<Duration>) -> String {
    match left.map(|left| left.as_secs()) {
        None => "good, for how long it does not say".into(),
        Some(seconds @ ..120) => format!("good for {seconds} s, then renewed"),
        Some(seconds) => format!("good for {} min, then renewed", seconds / 60),
    }
}
