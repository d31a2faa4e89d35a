//! `doorward engine user`, `role` and `audit`: who may do what, and who did.

use anyhow::bail;
use engine::Accounts;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::cli::{EngineFolder, EngineRoleCommand, EngineUser, EngineUserCommand, NewPassword};
use crate::commands::{CommandResult, password, print_line, table};
use crate::terminal::ExitCode;

pub fn user(command: EngineUserCommand) -> CommandResult {
    match command {
        EngineUserCommand::Add { user: EngineUser { folder, username }, role, password } => {
            let password = new_password(&password, &username)?;
            Accounts::open(&folder.data)?.put(&username, &role, &password)?;
        }
        EngineUserCommand::Password { user: EngineUser { folder, username }, password } => {
            let password = new_password(&password, &username)?;
            Accounts::open(&folder.data)?.set_password(&username, &password)?;
        }
        EngineUserCommand::Role { user, role } => {
            Accounts::open(&user.folder.data)?.set_role(&user.username, &role)?;
        }
        EngineUserCommand::Remove(user) => Accounts::open(&user.folder.data)?.remove(&user.username)?,
        EngineUserCommand::List { folder, json } => {
            let columns = ["user", "role", "since"];
            return list(json, Accounts::open(&folder.data)?.users()?, columns, |user| {
                let line = json!({ "username": user.username, "role": user.role, "created": user.created });
                (line, [user.username, user.role, user.created.format("%Y-%m-%d %H:%M UTC").to_string()])
            });
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
            return list(json, Accounts::open(&folder.data)?.roles()?, ["role", "", "permissions"], |role| {
                let kind = if role.built_in { "built in" } else { "" };
                let line = json!({ "role": role.name, "built_in": role.built_in, "permissions": role.permissions });
                (line, [role.name, kind.to_owned(), role.permissions.join(", ")])
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn audit(folder: &EngineFolder, last: u32, json: bool) -> CommandResult {
    let entries = Accounts::open(&folder.data)?.audit(last)?;
    list(json, entries, ["time", "user", "operation", "changed"], |entry| {
        let line = json!({
            "time": entry.time,
            "username": entry.username,
            "operation": entry.operation,
            "subject": entry.subject,
        });
        let time = entry.time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        (line, [time, entry.username, entry.operation, entry.subject.unwrap_or_default()])
    })
}

/// Prints a JSON line for each of these, or a table; `told` gives both of one.
fn list<T, const N: usize>(
    json: bool,
    all: Vec<T>,
    columns: [&str; N],
    told: impl Fn(T) -> (Value, [String; N]),
) -> CommandResult {
    let (lines, rows): (Vec<_>, Vec<_>) = all.into_iter().map(told).unzip();
    match json {
        true => lines.iter().for_each(|line| print_line(&line.to_string())),
        false => table::print(columns, rows, "none"),
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
