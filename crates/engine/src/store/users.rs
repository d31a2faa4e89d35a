//! Users and the roles they have, the roles that every data folder has before an operator makes roles of their own, and
//! who changed what, and when: one row per change of a record, in the transaction of the change itself.
//!
//! In: names, hashes, permissions, operations and the ids of what was changed. Out: the same, as stored. The log holds
//! ids only, never a name, value or picture of the people concerned; what a detector publishes is a history of its own.
//! It does not know how a password is hashed or what a token looks like.

use chrono::{DateTime, Utc};
use identities::Permission::{self, *};
use rusqlite::{Connection, Row, Transaction};
use uuid::Uuid;

use super::statement::{first, from_row, rows, run, value};
use super::{Stop, millis, moment};

/// The role that may do everything.
pub const ADMINISTRATOR: &str = "Administrator";

/// The roles every data folder has, brought up to date at each start.
pub const BUILT_IN_ROLES: [(&str, &[Permission]); 4] = [
    (ADMINISTRATOR, Permission::ALL),
    (
        // A door: sends faces and reads what the include switches may ask for; it can neither enrol nor browse.
        "Edge Publisher",
        &[FacePublishing, FaceRecognize, ReadAliases, ReadAddresses, ReadTags, ReadEntityFields],
    ),
    (
        // A reception desk or an import: puts people in and looks after their records.
        "Enroller",
        &[
            FaceEnrollment,
            FaceDetection,
            ReadAllIdentity,
            MutateAllIdentity,
            AddIdentityFiles,
            ReadIdentityFiles,
            ReadTagDefinitions,
            AddTags,
        ],
    ),
    ("Viewer", &[ReadAllIdentity, ReadIdentityFiles, ReadDetections, ReadTagDefinitions]),
];

/// A user as stored.
#[derive(Clone)]
pub struct User {
    pub user_id: String,
    /// The name as it was written when the user was added; it is looked up without regard to case.
    pub username: String,
    /// A PHC string.
    pub password_hash: String,
    pub role: String,
    pub token_version: i64,
    role_id: i64,
}

/// A user, without what is secret.
#[derive(Debug, Clone, PartialEq)]
pub struct UserLine {
    pub username: String,
    pub role: String,
    pub created: DateTime<Utc>,
}

/// A role and what it allows, each permission as `Category/Name`.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleLine {
    pub name: String,
    pub built_in: bool,
    pub permissions: Vec<String>,
}

const COLUMNS: &str = "SELECT user_id, username, password_hash, roles.name AS role, token_version, role_id \
                       FROM users JOIN roles USING (role_id) ";

pub fn by_name(connection: &Connection, username: &str) -> Result<Option<User>, Stop> {
    first(connection, &format!("{COLUMNS} WHERE username = ?"), [username], user)
}

pub fn by_id(connection: &Connection, user_id: &str) -> Result<Option<User>, Stop> {
    first(connection, &format!("{COLUMNS} WHERE user_id = ?"), [user_id], user)
}

/// What the user's role allows at this moment.
pub fn permissions(connection: &Connection, user: &User) -> Result<Vec<Permission>, Stop> {
    let query = "SELECT category, name FROM role_permissions WHERE role_id = ?";
    let found = rows(connection, query, [user.role_id], |row| {
        Ok(Permission::find(&row.get::<_, String>(0)?, &row.get::<_, String>(1)?))
    })?;
    // A permission this build does not know (written by a newer one) opens nothing.
    Ok(found.into_iter().flatten().collect())
}

/// Adds the user, or gives the one of this name another role and password; tokens handed out before are void then.
/// Gives the user's id; `None` when there is no such role.
pub fn put(transaction: &Transaction, username: &str, password_hash: &str, role: &str) -> Result<Option<String>, Stop> {
    let statement = "INSERT INTO users (user_id, username, password_hash, role_id, token_version, created) \
                     SELECT ?, ?, ?, role_id, 1, ? FROM roles WHERE name = ? \
                     ON CONFLICT (username) DO UPDATE SET password_hash = excluded.password_hash, \
                     role_id = excluded.role_id, token_version = token_version + 1 RETURNING user_id";
    let values = (Uuid::new_v4().to_string(), username, password_hash, millis(Utc::now()), role);
    first(transaction, statement, values, |row| row.get(0))
}

/// Gives the user another password; tokens handed out before are void.
pub fn set_password(transaction: &Transaction, user_id: &str, password_hash: &str) -> Result<(), Stop> {
    let statement = "UPDATE users SET password_hash = ?, token_version = token_version + 1 WHERE user_id = ?";
    run(transaction, statement, (password_hash, user_id)).map(drop)
}

/// Gives the user another role; false when there is no such role.
pub fn set_role(transaction: &Transaction, user_id: &str, role: &str) -> Result<bool, Stop> {
    let statement = "UPDATE users SET role_id = (SELECT role_id FROM roles WHERE name = ?1) \
                     WHERE user_id = ?2 AND EXISTS (SELECT 1 FROM roles WHERE name = ?1)";
    Ok(run(transaction, statement, (role, user_id))? == 1)
}

pub fn remove(transaction: &Transaction, user_id: &str) -> Result<(), Stop> {
    run(transaction, "DELETE FROM users WHERE user_id = ?", [user_id]).map(drop)
}

/// Whether somebody has signed out of it.
pub fn session_ended(connection: &Connection, session: Uuid) -> Result<bool, Stop> {
    value(connection, "SELECT EXISTS (SELECT 1 FROM ended_sessions WHERE session_id = ?)", [session.to_string()])
}

/// Notes that somebody has signed out of a session, until its tokens are void anyway; times in seconds since 1970.
pub fn end_session(transaction: &Transaction, session: Uuid, until: i64, now: i64) -> Result<(), Stop> {
    run(transaction, "DELETE FROM ended_sessions WHERE until < ?", [now])?;
    let statement = "INSERT OR REPLACE INTO ended_sessions (session_id, until) VALUES (?, ?)";
    run(transaction, statement, (session.to_string(), until)).map(drop)
}

/// All users by name.
pub fn list(connection: &Connection) -> Result<Vec<UserLine>, Stop> {
    let query = "SELECT username, roles.name AS role, created FROM users JOIN roles USING (role_id) ORDER BY username";
    rows(connection, query, [], from_row!(UserLine { username, role; created: moment }))
}

/// All roles with what they allow.
pub fn roles(connection: &Connection) -> Result<Vec<RoleLine>, Stop> {
    let query = "SELECT name, built_in, \
                 (SELECT json_group_array(category || '/' || held.name ORDER BY category, held.name) \
                  FROM role_permissions AS held WHERE held.role_id = roles.role_id) AS permissions \
                 FROM roles ORDER BY role_id";
    let list = |json: String| serde_json::from_str(&json).unwrap_or_default();
    rows(connection, query, [], from_row!(RoleLine { name, built_in; permissions: list }))
}

pub fn remove_role(transaction: &Transaction, role: &str) -> Result<(), Stop> {
    run(transaction, "DELETE FROM roles WHERE name = ?", [role]).map(drop)
}

/// Whether anybody may do everything.
pub fn has_administrator(connection: &Connection) -> Result<bool, Stop> {
    let query = "SELECT EXISTS (SELECT 1 FROM users JOIN roles USING (role_id) WHERE roles.name = ?)";
    value(connection, query, [ADMINISTRATOR])
}

/// Gives a role exactly these permissions, making it if need be. Every request asks anew, so it counts at once.
pub fn put_role(transaction: &Transaction, name: &str, built_in: bool, permissions: &[Permission]) -> Result<(), Stop> {
    let statement = "INSERT INTO roles (name, built_in) VALUES (?, ?) \
                     ON CONFLICT (name) DO UPDATE SET built_in = excluded.built_in RETURNING role_id";
    let role_id: i64 = value(transaction, statement, (name, built_in))?;
    run(transaction, "DELETE FROM role_permissions WHERE role_id = ?", [role_id])?;
    let statement = "INSERT OR IGNORE INTO role_permissions (role_id, category, name) VALUES (?, ?, ?)";
    for permission in permissions {
        run(transaction, statement, (role_id, permission.category(), permission.name()))?;
    }
    Ok(())
}

/// Brings the built-in roles up to date. A role an operator has made under the name of one becomes the built-in one.
pub(super) fn refresh_built_in_roles(transaction: &Transaction) -> Result<(), Stop> {
    BUILT_IN_ROLES.iter().try_for_each(|(name, permissions)| put_role(transaction, name, true, permissions))
}

fn user(row: &Row) -> Result<User, rusqlite::Error> {
    from_row!(User { user_id, username, password_hash, role, token_version, role_id })(row)
}

/// A change somebody made.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLine {
    pub time: DateTime<Utc>,
    pub username: String,
    pub operation: String,
    /// The id of what was changed.
    pub subject: Option<String>,
}

/// Records a change. `operation` is the contract's operation id, `subject` the id of the record changed.
pub fn record_change(
    transaction: &Transaction,
    username: &str,
    operation: &str,
    subject: Option<&str>,
) -> Result<(), Stop> {
    let statement = "INSERT INTO audit (time, username, operation, subject) VALUES (?, ?, ?, ?)";
    run(transaction, statement, (millis(Utc::now()), username, operation, subject)).map(drop)
}

/// The last entries, newest first.
pub fn last_changes(connection: &Connection, count: u32) -> Result<Vec<AuditLine>, Stop> {
    let query = "SELECT time, username, operation, subject FROM audit ORDER BY audit_id DESC LIMIT ?";
    rows(connection, query, [count], from_row!(AuditLine { username, operation, subject; time: moment }))
}
