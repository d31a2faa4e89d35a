//! `doorward identities login` and `whoami`: who we are to the engine, and what we may do there.
//!
//! A login leaves nothing behind: each command logs in with the password of the configuration, so that there is no
//! token on disk to steal, and none to renew.

use std::time::Duration;

use identities::{Permission, Right};
use serde_json::json;

use super::access;
use crate::cli::Asking;
use crate::commands::{CommandResult, print_json, print_line, table};
use crate::terminal::ExitCode;

pub async fn login(args: Asking) -> CommandResult {
    let client = access::connect(&args.access)?;
    client.authenticate().await?;
    let (profile, rights) = (client.user_profile().await?, client.rights().await?);
    let names = |held: bool| -> Vec<String> {
        let wanted = |right: &&Right| right.held == held;
        rights.iter().filter(wanted).map(|right| name(right.permission)).collect()
    };
    let left = client.token_left();
    if args.json {
        return print_json(&json!({
            "engine": client.host(), "email": profile.email, "roles": profile.role_names(),
            "tokenSeconds": left.map(|left| left.as_secs()), "may": names(true), "mayNot": names(false),
        }));
    }
    table::line("engine", &client.host());
    table::line("email", profile.email.as_deref().unwrap_or_default());
    table::line("roles", &profile.role_names().join(", "));
    table::line("token", &lasts(left));
    table::line("may", &names(true).join(", "));
    table::line("may not", &names(false).join(", "));
    print_line("Rights to change and delete were not tried out. Nothing is kept on this machine.");
    Ok(ExitCode::SUCCESS)
}

pub async fn whoami(args: Asking) -> CommandResult {
    let client = access::connect(&args.access)?;
    let profile = client.user_profile().await?;
    if args.json {
        return print_json(&json!({ "engine": client.host(), "email": profile.email, "roles": profile.roles }));
    }
    table::line("engine", &client.host());
    table::line("email", profile.email.as_deref().unwrap_or_default());
    table::line("roles", &profile.role_names().join(", "));
    Ok(ExitCode::SUCCESS)
}

/// `Read Tags` exists twice: for the tags people carry, and for the definitions.
fn name(permission: Permission) -> String {
    let (category, name) = (permission.category(), permission.name());
    if category == "Tags" { format!("{name} ({category})") } else { name.into() }
}

fn lasts(left: Option<Duration>) -> String {
    match left.map(|left| left.as_secs()) {
        None => "good, for how long it does not say".into(),
        Some(seconds @ ..120) => format!("good for {seconds} s, then renewed"),
        Some(seconds) => format!("good for {} min, then renewed", seconds / 60),
    }
}
