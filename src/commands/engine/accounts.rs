//! `doorward engine user`, `role` and `audit`: who may do what, and who did.

use anyhow::bail;
use engine::Accounts;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::cli::{EngineFolder, EngineRoleCommand, EngineUserCommand, NewPassword};
use crate::commands::{CommandResult, password, print_json, table};
use crate::terminal::ExitCode;

pub fn user(command: EngineUserCommand) -> CommandResult {
    match command {
        EngineUserCommand::Add { folder, username, role, password } => {
            let password = new_password(&password, &username)?;
            Accounts::open(&folder.data)?.put(&username, &role, &password)?;
        }
        EngineUserCommand::Password { folder, username, password } => {
            let password = new_password(&password, &username)?;
            Accounts::open(&folder.data)?.set_password(&username, &password)?;
        }
        EngineUserCommand::Role { folder, username, role } => {
            Accounts::open(&folder.data)?.set_role(&username, &role)?;
        }
        EngineUserCommand::Remove { folder, username } => Accounts::open(&folder.data)?.remove(&username)?,
        EngineUserCommand::List { folder, json } => {
            let users = Accounts::open(&folder.data)?.users()?;
            if json {
                for user in users {
                    print_json(&json!({"username": user.username, "role": user.role, "created": user.created}))?;
                }
            } else {
                let rows = users
                    .into_iter()
                    .map(|user| vec![user.username, user.role, user.created.format("%Y-%m-%d %H:%M UTC").to_string()]);
                table::print_rows(&["user", "role", "since"], rows);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn role(command: EngineRoleCommand) -> CommandResult {
    match command {
        EngineRoleCommand::Set { folder, role, permission } => {
            Accounts::open(&folder.data)?.put_role(&role, &permission)?;
        }
        EngineRoleCommand::Remove { folder, role } => Accounts::open(&folder.data)?.remove_role(&role)?,
        EngineRoleCommand::List { folder, json } => {
            let roles = Accounts::open(&folder.data)?.roles()?;
            if json {
                for role in roles {
                    let line = json!({"role": role.name, "built_in": role.built_in, "permissions": role.permissions});
                    print_json(&line)?;
                }
            } else {
                let rows = roles.into_iter().map(|role| {
                    let kind = if role.built_in { "built in" } else { "" };
                    vec![role.name, kind.to_owned(), role.permissions.join(", ")]
                });
                table::print_rows(&["role", "", "permissions"], rows);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn audit(folder: &EngineFolder, last: u32, as_json: bool) -> CommandResult {
    let entries = Accounts::open(&folder.data)?.audit(last)?;
    if as_json {
        for entry in entries {
            print_json(&json!({
                "time": entry.time,
                "username": entry.username,
                "operation": entry.operation,
                "subject": entry.subject,
            }))?;
        }
    } else {
        let rows = entries.into_iter().map(|entry| {
            let time = entry.time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
            vec![time, entry.username, entry.operation, entry.subject.unwrap_or_default()]
        });
        table::print_rows(&["time", "user", "operation", "changed"], rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// From the file, or asked for twice.
fn new_password(given: &NewPassword, username: &str) -> anyhow::Result<SecretString> {
    if let Some(file) = &given.password_file {
        return password::from_file(file);
    }
    let first = password::ask(&format!("New password for {username}"))?;
    if password::ask(&format!("The same again for {username}"))?.expose_secret() != first.expose_secret() {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}
