//! Who is asking: log-in, tokens, and what the caller may do at this moment.
//!
//! In: a user name and a password, or a token. Out: a token, or a [`Caller`]. The database is asked at every request:
//! a user removed, a role changed or a password replaced counts at once.

mod accounts;
mod secrets;
mod throttle;

use std::net::IpAddr;
use std::time::Instant;

use chrono::Utc;
use identities::Permission;
use parking_lot::Mutex;
use secrecy::SecretString;

use super::error::{EngineError, Refusal, Unauthenticated};
use super::store::{Store, users};
pub use accounts::{Accounts, Guest, OPERATOR};
use secrets::{Session, Tokens};
use throttle::Throttle;
pub use throttle::network;

/// A known user making a request.
#[derive(Debug, Clone)]
pub struct Caller {
    pub username: String,
    pub role: String,
    permissions: Vec<Permission>,
    user_id: String,
    token_version: i64,
    session: Session,
}

/// Log-ins and tokens over a data folder.
pub struct Auth {
    tokens: Tokens,
    /// Who has guessed wrongly of late. Nothing waits under this lock, and no other is held with it.
    throttle: Mutex<Throttle>,
}

impl Caller {
    /// Whether the caller holds at least one of these.
    pub fn may(&self, wanted: &[Permission]) -> bool {
        wanted.iter().any(|permission| self.permissions.contains(permission))
    }

    pub fn require(&self, wanted: &'static [Permission]) -> Result<(), Refusal> {
        if self.may(wanted) { Ok(()) } else { Err(Refusal::Forbidden(wanted)) }
    }
}

impl Auth {
    pub fn new(store: &Store) -> Result<Self, Refusal> {
        let secret = store.write("read the token secret", secrets::token_secret)?;
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
        if let Some(wait) = self.throttle.lock().wait(client, username, Instant::now()) {
            return Err(Refusal::Unauthenticated(Unauthenticated::Throttled { retry_secs: wait.as_secs() + 1 }));
        }
        let user = store.read("look up a user", |connection| users::by_name(connection, username))?;
        let right = secrets::verify(password, user.as_ref().map(|user| user.password_hash.as_str()));
        let Some(user) = user.filter(|_| right) else {
            self.throttle.lock().failed(client, username, Instant::now());
            return Err(Refusal::Unauthenticated(Unauthenticated::BadCredentials));
        };
        let now = Utc::now();
        let token = self.tokens.issue(&user.user_id, user.token_version, Session::begin(now), now)?;
        Ok((user.username, token))
    }

    /// Who the token belongs to, if it is still good.
    pub fn caller(&self, store: &Store, token: &str) -> Result<Caller, Refusal> {
        let bad = || Refusal::Unauthenticated(Unauthenticated::BadToken);
        let claims = self.tokens.read(token).ok_or_else(bad)?;
        let session = Session { id: claims.sid, began: claims.auth_time };
        store.read("look up a user", |connection| {
            if users::session_ended(connection, session.id)? {
                return Err(bad().into());
            }
            let user = users::by_id(connection, &claims.sub)?.filter(|user| user.token_version == claims.ver);
            let user = user.ok_or_else(bad)?;
            let permissions = users::permissions(connection, &user)?;
            let users::User { user_id, username, role, token_version, .. } = user;
            Ok(Caller { username, role, permissions, user_id, token_version, session })
        })
    }

    /// A newer token for somebody whose token is good; no newer than the session allows.
    pub fn renew(&self, caller: &Caller) -> Result<String, EngineError> {
        self.tokens.issue(&caller.user_id, caller.token_version, caller.session, Utc::now())
    }

    /// Ends the caller's session: none of its tokens is good any more.
    pub fn sign_out(&self, store: &Store, caller: &Caller) -> Result<(), Refusal> {
        let Session { id, .. } = caller.session;
        store.write("end a session", |transaction| {
            users::end_session(transaction, id, caller.session.ends(), Utc::now().timestamp())
        })
    }
}
