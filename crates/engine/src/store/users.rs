//! Users and the roles they have.
//!
//! In: names, hashes and permissions. Out: the same, as stored. It does not know how a password is hashed or what a
//! token looks like.

use chrono::Utc;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use uuid::Uuid;

use super::{millis, moment};
use crate::auth::{RoleLine, UserLine};
use crate::permission::{ADMINISTRATOR, BUILT_IN_ROLES, Permission, Permissions};

/// A user as stored.
#[derive(Clone)]
pub struct User {
    pub user_id: String,
    /// As written when the user was added; looked up without regard to case.
    pub username: String,
    /// A PHC string.
    pub password_hash: String,
    pub role: String,
    pub token_version: i64,
    role_id: i64,
}

const COLUMNS: &str = "SELECT user_id, username, password_hash, roles.name, token_version, role_id \
                       FROM users JOIN roles USING (role_id) ";

pub fn by_name(connection: &Connection, username: &str) -> Result<Option<User>, rusqlite::Error> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE username = ?"))?.query_row([username], user).optional()
}

pub fn by_id(connection: &Connection, user_id: &str) -> Result<Option<User>, rusqlite::Error> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE user_id = ?"))?.query_row([user_id], user).optional()
}

/// What the user's role allows at this moment.
pub fn permissions(connection: &Connection, user: &User) -> Result<Permissions, rusqlite::Error> {
    connection
        .prepare_cached("SELECT category, name FROM role_permissions WHERE role_id = ?")?
        .query_map([user.role_id], |row| Ok(Permission::find(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?)))?
        // A permission this build does not know (written by a newer one) opens nothing.
        .filter_map(Result::transpose)
        .collect()
}

/// Adds the user, or gives the one of this name another role and password; tokens handed out before are void then.
/// Gives the user's id; `None` when there is no such role.
pub fn put(
    transaction: &Transaction,
    username: &str,
    password_hash: &str,
    role: &str,
) -> Result<Option<String>, rusqlite::Error> {
    transaction
        .query_row(
            "INSERT INTO users (user_id, username, password_hash, role_id, token_version, created) \
             SELECT ?, ?, ?, role_id, 1, ? FROM roles WHERE name = ? \
             ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash, role_id = excluded.role_id, \
             token_version = token_version + 1 RETURNING user_id",
            (Uuid::new_v4().to_string(), username, password_hash, millis(Utc::now()), role),
            |row| row.get(0),
        )
        .optional()
}

/// Another password; tokens handed out before are void.
pub fn set_password(transaction: &Transaction, user_id: &str, password_hash: &str) -> Result<(), rusqlite::Error> {
    transaction
        .execute(
            "UPDATE users SET password_hash = ?, token_version = token_version + 1 WHERE user_id = ?",
            (password_hash, user_id),
        )
        .map(drop)
}

/// Another role; false when there is no such role.
pub fn set_role(transaction: &Transaction, user_id: &str, role: &str) -> Result<bool, rusqlite::Error> {
    let rows = transaction.execute(
        "UPDATE users SET role_id = (SELECT role_id FROM roles WHERE name = ?1) \
         WHERE user_id = ?2 AND EXISTS (SELECT 1 FROM roles WHERE name = ?1)",
        (role, user_id),
    )?;
    Ok(rows == 1)
}

pub fn remove(transaction: &Transaction, user_id: &str) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM users WHERE user_id = ?", [user_id]).map(drop)
}

/// All users by name.
pub fn list(connection: &Connection) -> Result<Vec<UserLine>, rusqlite::Error> {
    connection
        .prepare("SELECT username, roles.name, created FROM users JOIN roles USING (role_id) ORDER BY username")?
        .query_map([], |row| Ok(UserLine { username: row.get(0)?, role: row.get(1)?, created: moment(row.get(2)?) }))?
        .collect()
}

/// The names of all roles, for a message.
pub fn roles(connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    connection.prepare("SELECT name FROM roles ORDER BY role_id")?.query_map([], |row| row.get(0))?.collect()
}

/// All roles with what they allow.
pub fn roles_with_permissions(connection: &Connection) -> Result<Vec<RoleLine>, rusqlite::Error> {
    let mut roles = connection.prepare("SELECT role_id, name, built_in FROM roles ORDER BY role_id")?;
    let mut permissions = connection
        .prepare("SELECT category || '/' || name FROM role_permissions WHERE role_id = ? ORDER BY category, name")?;
    let roles = roles.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)))?;
    roles
        .map(|role| {
            let (id, name, built_in) = role?;
            let permissions = permissions.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(RoleLine { name, built_in, permissions })
        })
        .collect()
}

/// Whether the role is one every data folder has; `None` when there is no such role.
pub fn built_in(connection: &Connection, role: &str) -> Result<Option<bool>, rusqlite::Error> {
    connection.query_row("SELECT built_in FROM roles WHERE name = ?", [role], |row| row.get(0)).optional()
}

pub fn remove_role(transaction: &Transaction, role: &str) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM roles WHERE name = ?", [role]).map(drop)
}

/// Whether anybody may do everything.
pub fn has_administrator(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM users JOIN roles USING (role_id) WHERE roles.name = ?)",
        [ADMINISTRATOR],
        |row| row.get(0),
    )
}

/// Gives a role exactly these permissions, making it if need be. Every request asks anew, so it counts at once.
pub fn put_role(
    transaction: &Transaction,
    name: &str,
    built_in: bool,
    permissions: &[Permission],
) -> Result<(), rusqlite::Error> {
    let role_id: i64 = transaction.query_row(
        "INSERT INTO roles (name, built_in) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET built_in = excluded.built_in \
         RETURNING role_id",
        (name, built_in),
        |row| row.get(0),
    )?;
    transaction.execute("DELETE FROM role_permissions WHERE role_id = ?", [role_id])?;
    let mut insert = transaction
        .prepare_cached("INSERT OR IGNORE INTO role_permissions (role_id, category, name) VALUES (?, ?, ?)")?;
    for permission in permissions {
        let (category, name) = permission.names();
        insert.execute((role_id, category, name))?;
    }
    Ok(())
}

/// A role an operator has made under the name of a built-in one becomes the built-in one.
pub(super) fn refresh_built_in_roles(transaction: &Transaction) -> Result<(), rusqlite::Error> {
    BUILT_IN_ROLES.iter().try_for_each(|(name, permissions)| put_role(transaction, name, true, permissions))
}

fn user(row: &Row) -> Result<User, rusqlite::Error> {
    Ok(User {
        user_id: row.get(0)?,
        username: row.get(1)?,
        password_hash: row.get(2)?,
        role: row.get(3)?,
        token_version: row.get(4)?,
        role_id: row.get(5)?,
    })
}
