//! `doorward engine user`, `role` and `audit`: who may do what, and who did.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use comfy_table::{ContentArrangement, Table, presets};
use engine::Accounts;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::cli::{EngineFolder, EngineRoleCommand, EngineUserCommand, NewPassword};
use crate::commands::{CommandResult, print_line, print_lines};

/// Bytes of a password file that are looked at.
const LONGEST_PASSWORD: u64 = 64 << 10;

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
                    print_line(
                        &json!({"username": user.username, "role": user.role, "created": user.created}).to_string(),
                    );
                }
            } else {
                let rows = users
                    .into_iter()
                    .map(|user| vec![user.username, user.role, user.created.format("%Y-%m-%d %H:%M UTC").to_string()]);
                print_table(&["user", "role", "since"], rows);
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
                    print_line(&line.to_string());
                }
            } else {
                let rows = roles.into_iter().map(|role| {
                    let kind = if role.built_in { "built in" } else { "" };
                    vec![role.name, kind.to_owned(), role.permissions.join(", ")]
                });
                print_table(&["role", "", "permissions"], rows);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn audit(folder: &EngineFolder, last: u32, as_json: bool) -> CommandResult {
    let entries = Accounts::open(&folder.data)?.audit(last)?;
    if as_json {
        for entry in entries {
            let line = json!({"time": entry.time, "username": entry.username, "operation": entry.operation,
                "subject": entry.subject});
            print_line(&line.to_string());
        }
    } else {
        let rows = entries.into_iter().map(|entry| {
            let time = entry.time.format("%Y-%m-%d %H:%M:%S UTC").to_string();
            vec![time, entry.username, entry.operation, entry.subject.unwrap_or_default()]
        });
        print_table(&["time", "user", "operation", "changed"], rows);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().copied()).add_rows(rows);
    print_lines(&table.trim_fmt());
}

/// From the file, or asked for twice.
fn new_password(password: &NewPassword, username: &str) -> anyhow::Result<SecretString> {
    if let Some(file) = &password.password_file {
        return read_password(file);
    }
    let ask = |what: &str| -> anyhow::Result<SecretString> {
        let answer = rpassword::prompt_password(format!("{what} for {username}: "));
        Ok(answer.context("cannot ask for the password here; give --password-file")?.into())
    };
    let first = ask("New password")?;
    if ask("The same again")?.expose_secret() != first.expose_secret() {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(first)
}

/// The first line of the file, or of standard input for `-`.
fn read_password(file: &Path) -> anyhow::Result<SecretString> {
    let failed = || format!("cannot read the password file {}", file.display());
    // Nobody's password is longer; a wrong file may be endless.
    let text = if file == Path::new("-") {
        let mut line = String::new();
        BufReader::new(io::stdin().take(LONGEST_PASSWORD)).read_line(&mut line).with_context(failed)?;
        line
    } else {
        let mut bytes = Vec::new();
        let opened = fs::File::open(file).with_context(failed)?;
        opened.take(LONGEST_PASSWORD).read_to_end(&mut bytes).with_context(failed)?;
        identities::text_file::from(&bytes).with_context(failed)?
    };
    let password = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("the first line of {} is empty; it must be the password", file.display());
    }
    Ok(password.into())
}
