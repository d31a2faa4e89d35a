//! Who is asking: log-in, tokens, and what the caller may do at this moment.
//!
//! In: a user name and a password, or a token. Out: a token, or a [`Caller`]. The database is asked at every request:
//! a user removed, a role changed or a password replaced counts at once.

pub mod password;
pub mod throttle;
pub mod token;

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::Utc;
use secrecy::SecretString;

use super::EngineError;
use super::permission::{ADMINISTRATOR, Permission, Permissions};
use super::refusal::{Refusal, Unauthenticated};
use super::store::{Store, users};
use throttle::Throttle;
use token::Tokens;

/// The name of the user the first start makes.
const FIRST_USER: &str = "admin";

/// A known user making a request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub username: String,
    pub role: String,
    permissions: Permissions,
    user_id: String,
    token_version: i64,
}

/// Log-ins and tokens over a data folder.
pub struct Auth {
    tokens: Tokens,
    throttle: Mutex<Throttle>,
}

impl Caller {
    /// Whether the caller holds at least one of these.
    pub fn may(&self, wanted: &[Permission]) -> bool {
        self.permissions.any(wanted)
    }

    pub fn require(&self, wanted: &'static [Permission]) -> Result<(), Refusal> {
        if self.may(wanted) { Ok(()) } else { Err(Refusal::Forbidden(wanted)) }
    }
}

impl Auth {
    pub fn new(store: &Store) -> Result<Self, Refusal> {
        let secret = store.write("read the token secret", |transaction| Ok(token::secret(transaction)?))?;
        Ok(Self { tokens: Tokens::new(&secret), throttle: Mutex::default() })
    }

    /// A token for the right password, with the user name as stored. Blocks for the time of a hash; the caller lets one
    /// log-in after the other through, so that many at once guess no oftener than the throttle allows.
    pub fn log_in(
        &self,
        store: &Store,
        client: IpAddr,
        username: &str,
        password: &SecretString,
    ) -> Result<(String, String), Refusal> {
        if let Some(wait) = self.throttle().wait(client, username, Instant::now()) {
            let retry_secs = wait.as_secs() + 1;
            return Err(Refusal::Unauthenticated(Unauthenticated::Throttled { retry_secs }));
        }
        let user = store.read("look up a user", |connection| Ok(users::by_name(connection, username)?))?;
        match user {
            Some(user) if password::verify(password, Some(&user.password_hash)) => {
                let token = self.tokens.issue(&user.user_id, user.token_version, Utc::now())?;
                Ok((user.username, token))
            }
            known => {
                if known.is_none() {
                    password::verify(password, None);
                }
                self.throttle().failed(client, username, Instant::now());
                Err(Refusal::Unauthenticated(Unauthenticated::BadCredentials))
            }
        }
    }

    /// Who the token belongs to, if it is still good.
    pub fn caller(&self, store: &Store, token: &str) -> Result<Caller, Refusal> {
        let bad = || Refusal::Unauthenticated(Unauthenticated::BadToken);
        let claims = self.tokens.read(token).ok_or_else(bad)?;
        store.read("look up a user", |connection| {
            let user = users::by_id(connection, &claims.sub)?.filter(|user| user.token_version == claims.ver);
            let user = user.ok_or_else(bad)?;
            let permissions = users::permissions(connection, &user)?;
            let users::User { user_id, username, role, token_version, .. } = user;
            Ok(Caller { username, role, permissions, user_id, token_version })
        })
    }

    /// A newer token for somebody whose token is good.
    pub fn renew(&self, caller: &Caller) -> Result<String, EngineError> {
        self.tokens.issue(&caller.user_id, caller.token_version, Utc::now())
    }

    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a user, or gives an existing one this role and password; earlier tokens of theirs are void then. Works beside
/// a running engine.
pub fn put_user(store: &Store, username: &str, role: &str, password: &SecretString) -> Result<(), Refusal> {
    if username.trim() != username || username.is_empty() || username.chars().count() > 256 {
        return Err(EngineError::UnusableUsername.into());
    }
    let hash = password::hash(password)?;
    store.write("store the user", |transaction| {
        if !users::put(transaction, username, &hash, role)? {
            let known = users::roles(transaction)?.join(", ");
            return Err(Refusal::Internal(EngineError::UnknownRole { role: role.to_owned(), known }).into());
        }
        Ok(())
    })
}

/// Makes an administrator with a random password where there is none; the password is known to nobody but the caller.
pub fn first_administrator(store: &Store) -> Result<Option<(String, SecretString)>, Refusal> {
    if store.read("look for an administrator", |connection| Ok(users::has_administrator(connection)?))? {
        return Ok(None);
    }
    let password = password::generate();
    let hash = password::hash(&password)?;
    store.write("store the first administrator", |transaction| {
        let taken = |name: &String| users::by_name(transaction, name).map(|user| user.is_some());
        let mut name = FIRST_USER.to_owned();
        for n in 2.. {
            if !taken(&name)? {
                break;
            }
            name = format!("{FIRST_USER}-{n}");
        }
        users::put(transaction, &name, &hash, ADMINISTRATOR)?;
        Ok(Some((name, password)))
    })
}
