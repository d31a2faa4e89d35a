//! Users and roles as an operator looks after them, beside a running engine or without one.
//!
//! In: names, passwords, permissions by name. Out: what is stored, and lists of it. Whatever is done leaves at least
//! one administrator if there was one, counts at once for the engine that serves the folder, and is in the audit log.

use std::path::Path;
use std::sync::Arc;

use identities::Permission;
use rusqlite::Transaction;
use secrecy::SecretString;

use super::secrets;
use crate::error::EngineError;
use crate::store::users::ADMINISTRATOR;
use crate::store::users::{self, AuditLine, RoleLine, UserLine};
use crate::store::{Stop, Store};

/// The name of the user the first start makes.
const FIRST_USER: &str = "admin";

/// The name of the user an import works as, and the role it has. One left behind by a kill gets a new password at the
/// next import, and until then has one nobody knows.
const GUEST: &str = "(import)";
const GUEST_ROLE: &str = "Enroller";

/// Who the audit log says has made a change from the command line.
pub const OPERATOR: &str = "(command line)";

/// The accounts of a data folder.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) store: Arc<Store>,
}

impl Accounts {
    pub fn open(data: &Path) -> Result<Self, EngineError> {
        Ok(Self { store: Arc::new(Store::open(data)?) })
    }

    /// Adds a user, or gives an existing one this role and password; earlier tokens of theirs are void then.
    pub fn put(&self, username: &str, role: &str, password: &SecretString) -> Result<(), EngineError> {
        check_name("user", username)?;
        let hash = secrets::hash(password)?;
        Ok(self.store.write("store the user", |transaction| {
            keeping_an_administrator(transaction, || match users::put(transaction, username, &hash, role)? {
                Some(user_id) => users::record_change(transaction, OPERATOR, "putUser", Some(&user_id)),
                None => Err(unknown_role(transaction, role)),
            })
        })?)
    }

    /// Makes an administrator with a random password if there is none yet, and gives name and password, which nobody
    /// will see again.
    pub fn first_administrator(&self) -> Result<Option<(String, SecretString)>, EngineError> {
        if self.store.read("look for an administrator", users::has_administrator)? {
            return Ok(None);
        }
        let password = secrets::generate();
        let hash = secrets::hash(&password)?;
        Ok(self.store.write("store the first administrator", |transaction| {
            let mut name = FIRST_USER.to_owned();
            let mut n = 1;
            while users::by_name(transaction, &name)?.is_some() {
                n += 1;
                name = format!("{FIRST_USER}-{n}");
            }
            let user_id = users::put(transaction, &name, &hash, ADMINISTRATOR)?;
            users::record_change(transaction, OPERATOR, "putUser", user_id.as_deref())?;
            Ok(Some((name, password)))
        })?)
    }

    /// Makes the guest, with a random password, for as long as the guest is held.
    pub fn guest(self) -> Result<Guest, EngineError> {
        let password = secrets::generate();
        self.put(GUEST, GUEST_ROLE, &password)?;
        Ok(Guest { username: GUEST, password, accounts: self })
    }

    pub fn set_password(&self, username: &str, password: &SecretString) -> Result<(), EngineError> {
        let hash = secrets::hash(password)?;
        self.change("store the password", "setPassword", username, |transaction, user| {
            users::set_password(transaction, &user.user_id, &hash)
        })
    }

    pub fn set_role(&self, username: &str, role: &str) -> Result<(), EngineError> {
        self.change("store the role of a user", "setUserRole", username, |transaction, user| {
            match users::set_role(transaction, &user.user_id, role)? {
                true => Ok(()),
                false => Err(unknown_role(transaction, role)),
            }
        })
    }

    pub fn remove(&self, username: &str) -> Result<(), EngineError> {
        self.change("remove the user", "removeUser", username, |transaction, user| {
            users::remove(transaction, &user.user_id)
        })
    }

    pub fn users(&self) -> Result<Vec<UserLine>, EngineError> {
        Ok(self.store.read("list the users", users::list)?)
    }

    /// Gives a role exactly these permissions, each `Name` or `Category/Name`, making it if need be.
    pub fn put_role(&self, role: &str, permissions: &[String]) -> Result<(), EngineError> {
        check_name("role", role)?;
        let permissions: Vec<_> = permissions.iter().map(|name| permission(name)).collect::<Result<_, _>>()?;
        Ok(self.store.write("store the role", |transaction| {
            if users::roles(transaction)?.iter().any(|known| known.name == role && known.built_in) {
                return Err(EngineError::BuiltInRole { role: role.to_owned() }.into());
            }
            users::put_role(transaction, role, false, &permissions)?;
            users::record_change(transaction, OPERATOR, "setRole", Some(role))
        })?)
    }

    pub fn remove_role(&self, role: &str) -> Result<(), EngineError> {
        Ok(self.store.write("remove the role", |transaction| {
            match users::roles(transaction)?.into_iter().find(|known| known.name == role) {
                None => return Err(unknown_role(transaction, role)),
                Some(known) if known.built_in => return Err(EngineError::BuiltInRole { role: known.name }.into()),
                Some(_) => {}
            }
            let holders: Vec<_> = users::list(transaction)?
                .into_iter()
                .filter(|user| user.role == role)
                .map(|user| user.username)
                .collect();
            if !holders.is_empty() {
                return Err(EngineError::RoleInUse { role: role.to_owned(), users: holders.join(", ") }.into());
            }
            users::remove_role(transaction, role)?;
            users::record_change(transaction, OPERATOR, "removeRole", Some(role))
        })?)
    }

    pub fn roles(&self) -> Result<Vec<RoleLine>, EngineError> {
        Ok(self.store.read("list the roles", users::roles)?)
    }

    /// The last entries of the audit log, newest first.
    pub fn audit(&self, last: u32) -> Result<Vec<AuditLine>, EngineError> {
        Ok(self.store.read("read the audit log", |connection| users::last_changes(connection, last))?)
    }

    /// Changes an existing user.
    fn change(
        &self,
        what: &'static str,
        operation: &str,
        username: &str,
        change: impl FnOnce(&Transaction, &users::User) -> Result<(), Stop>,
    ) -> Result<(), EngineError> {
        Ok(self.store.write(what, |transaction| {
            let user = users::by_name(transaction, username)?
                .ok_or_else(|| EngineError::UnknownUser { username: username.to_owned() })?;
            keeping_an_administrator(transaction, || {
                change(transaction, &user)?;
                users::record_change(transaction, OPERATOR, operation, Some(&user.user_id))
            })
        })?)
    }
}

/// A user of the engine's own process, who may put people in; removed when dropped.
pub struct Guest {
    pub username: &'static str,
    pub password: SecretString,
    accounts: Accounts,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let removed = self.accounts.store.write("remove the guest", |transaction| {
            let user = users::by_name(transaction, GUEST)?;
            user.map_or(Ok(()), |user| users::remove(transaction, &user.user_id))
        });
        if let Err(error) = removed.map_err(EngineError::from) {
            tracing::warn!("cannot remove the user {}, whose password nobody knows: {error}", self.username);
        }
    }
}

fn check_name(of: &'static str, name: &str) -> Result<(), EngineError> {
    // A control character would forge a line of a list or a log.
    let readable = name.trim() == name && !name.chars().any(char::is_control);
    let usable = readable && (1..=256).contains(&name.chars().count());
    if usable { Ok(()) } else { Err(EngineError::UnusableName { of }) }
}

/// Refuses a change that would leave nobody who may do everything.
fn keeping_an_administrator(transaction: &Transaction, change: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let before = users::has_administrator(transaction)?;
    change()?;
    if before && !users::has_administrator(transaction)? {
        return Err(EngineError::LastAdministrator.into());
    }
    Ok(())
}

/// Finds a permission by `Category/Name`, or by its name alone where no other category has one of that name.
fn permission(text: &str) -> Result<Permission, EngineError> {
    let fits = |permission: &&Permission| text == permission.name() || text == permission.to_string();
    match Permission::ALL.iter().filter(fits).collect::<Vec<_>>()[..] {
        [one] => Ok(*one),
        _ => {
            let known = Permission::ALL.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(EngineError::UnknownPermission { permission: text.to_owned(), known })
        }
    }
}

fn unknown_role(transaction: &Transaction, role: &str) -> Stop {
    match users::roles(transaction) {
        Ok(roles) => {
            let known = roles.into_iter().map(|role| role.name).collect::<Vec<_>>().join(", ");
            EngineError::UnknownRole { role: role.to_owned(), known }.into()
        }
        Err(stop) => stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let folder = tempfile::tempdir().unwrap();
        let accounts = Accounts::open(folder.path()).unwrap();
        accounts.put("root", ADMINISTRATOR, &"password".into()).unwrap();
        (folder, accounts)
    }

    #[test]
    fn users_come_change_and_go() {
        let (_folder, accounts) = accounts();
        accounts.put("Desk", "Viewer", &"password".into()).unwrap();
        let version = || {
            let read = accounts.store.read("look up", |connection| users::by_name(connection, "desk"));
            read.unwrap().map(|user| (user.role, user.token_version))
        };
        assert_eq!(version(), Some(("Viewer".into(), 1)));
        accounts.set_password("desk", &"another".into()).unwrap();
        accounts.set_role("DESK", "Enroller").unwrap();
        assert_eq!(version(), Some(("Enroller".into(), 2)));
        let names: Vec<_> = accounts.users().unwrap().into_iter().map(|user| user.username).collect();
        assert_eq!(names, ["Desk", "root"]);
        accounts.remove("desk").unwrap();
        assert_eq!(version(), None);
        assert!(matches!(accounts.remove("desk"), Err(EngineError::UnknownUser { .. })));
        assert!(matches!(accounts.set_role("root", "nothing"), Err(EngineError::UnknownRole { .. })));
        let done: Vec<_> = accounts.audit(9).unwrap().into_iter().map(|line| line.operation).collect();
        assert_eq!(done, ["removeUser", "setUserRole", "setPassword", "putUser", "putUser"]);
        assert_eq!(accounts.audit(1).unwrap().len(), 1);
    }

    #[test]
    fn an_administrator_is_always_left() {
        let (_folder, accounts) = accounts();
        for refused in [
            accounts.remove("root"),
            accounts.set_role("root", "Viewer"),
            accounts.put("root", "Viewer", &"password".into()),
        ] {
            assert!(matches!(refused, Err(EngineError::LastAdministrator)));
        }
        accounts.put("second", ADMINISTRATOR, &"password".into()).unwrap();
        accounts.remove("root").unwrap();
    }

    #[test]
    fn roles_are_made_of_permissions_and_built_in_ones_stay() {
        let (_folder, accounts) = accounts();
        let set = |role: &str, permissions: &[&str]| {
            accounts.put_role(role, &permissions.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        set("Guard", &["Read Detections", "Tags/Read Tags"]).unwrap();
        set("Guard", &["Identities/Read Tags", "Face Recognize", "Face Recognize"]).unwrap();
        let guard = accounts.roles().unwrap().into_iter().find(|role| role.name == "Guard").unwrap();
        assert_eq!(guard.permissions, ["Facial Recognition Services/Face Recognize", "Identities/Read Tags"]);
        assert!(!guard.built_in && accounts.roles().unwrap().len() == 5);
        for ambiguous in ["Read Tags", "Read", "Tags/Face Recognize", ""] {
            assert!(matches!(set("Guard", &[ambiguous]), Err(EngineError::UnknownPermission { .. })), "{ambiguous}");
        }
        assert!(matches!(set("Viewer", &["Add Tags"]), Err(EngineError::BuiltInRole { .. })));
        assert!(matches!(accounts.remove_role("Viewer"), Err(EngineError::BuiltInRole { .. })));
        assert!(matches!(accounts.remove_role("nothing"), Err(EngineError::UnknownRole { .. })));
        for name in [" x", "x\ny", "x\u{7f}", "", "x\u{85}y"] {
            assert!(matches!(set(name, &["Add Tags"]), Err(EngineError::UnusableName { of: "role" })), "{name:?}");
        }
        accounts.put("desk", "Guard", &"password".into()).unwrap();
        assert!(matches!(accounts.remove_role("Guard"), Err(EngineError::RoleInUse { .. })));
        accounts.remove("desk").unwrap();
        accounts.remove_role("Guard").unwrap();
        assert_eq!(accounts.roles().unwrap().len(), 4);
    }
}
