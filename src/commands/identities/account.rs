//! `doorward identities login` and `whoami`: who we are to the engine, and what we may do there.
//!
//! A login leaves nothing behind: each command logs in with the password of the configuration, so that there is no
//! token on disk to steal, and none to renew.

use std::time::Duration;

use identities::wire::UserProfile;
use identities::{Client, Right};
use serde_json::json;

use super::access;
use crate::cli::Asking;
use crate::commands::{CommandResult, print_either, print_line, table};

pub async fn login(asking: Asking) -> CommandResult {
    let client = access::connect(&asking.access)?;
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
    let client = access::connect(&asking.access)?;
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
