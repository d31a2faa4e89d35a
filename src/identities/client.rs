//! The client: one per engine, cheap to clone, safe to use from many tasks.
//!
//! In: the `[identities]` section. Out: a method per endpoint, in the file of its group. Here is only what all of them
//! share: a call carries a token, and a token the engine refuses is replaced once.

use std::sync::Arc;

use reqwest::RequestBuilder;

use super::auth::Auth;
use super::error::ClientError;
use super::retry::Backoff;
use super::transport::{Operation, Reply, Transport};
use crate::config::IdentitiesConfig;

/// A client of one Identities engine.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    auth: Auth,
    backoff: Backoff,
}

/// The pause after a first failure; it doubles from here up to `identities.retry_max_ms`.
const FIRST_PAUSE_MS: u64 = 500;

impl Client {
    /// Checks the address and reads the certificates; nothing is sent.
    pub fn new(config: &IdentitiesConfig) -> Result<Self, ClientError> {
        let longest = std::time::Duration::from_millis(config.retry_max_ms.max(1));
        let first = std::time::Duration::from_millis(FIRST_PAUSE_MS).min(longest);
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(config)?,
            auth: Auth::new(config.username.clone(), config.password.clone()),
            backoff: Backoff { first, longest },
        })))
    }

    /// When to try again what was answered with a retryable failure.
    pub fn backoff(&self) -> Backoff {
        self.0.backoff
    }

    /// Host and port of the engine, for people.
    pub fn host(&self) -> String {
        self.0.transport.host()
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// One call with a token. A 401 costs one new login and one repetition; the reply to that one counts, whatever it
    /// is. `fill` may be called twice.
    pub(super) async fn call(
        &self,
        operation: &Operation,
        path: &[&str],
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply, ClientError> {
        let token = self.auth().token(self.transport()).await?;
        let reply = self.transport().send(operation, path, Some(token.header()), &fill).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        let token = self.auth().replace(self.transport(), &token).await?;
        self.transport().send(operation, path, Some(token.header()), &fill).await
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.host())
    }
}
