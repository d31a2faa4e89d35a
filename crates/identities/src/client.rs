//! The client: one per engine, cheap to clone, safe to use from many tasks.
//!
//! In: [`ClientOptions`]. Out: a method per operation, in the file of its group. Here is only what all of them
//! share: a call carries a token, and a token the engine refuses is replaced once.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::Auth;
use super::error::{ClientError, Result};
use super::operation::Operation;
use super::options::ClientOptions;
use super::retry::Backoff;
use super::transport::{Heard, Reply, Transport};

/// A client of one Identities engine.
#[derive(Clone, derive_more::Debug)]
#[debug("Client({})", self.host())]
pub struct Client(pub(super) Arc<Inner>);

/// What all clones of a client share.
pub(super) struct Inner {
    pub transport: Transport,
    pub auth: Auth,
    backoff: Backoff,
}

/// The pause after a first failure; it doubles from here up to [`ClientOptions::longest_pause`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Client {
    /// Checks the address and reads the certificates; nothing is sent.
    pub fn new(options: &ClientOptions) -> Result<Self> {
        let longest = options.longest_pause.max(Duration::from_millis(1));
        let first = FIRST_PAUSE.min(longest);
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(options)?,
            auth: Auth::new(options.username.clone(), options.password.clone()),
            backoff: Backoff { first, longest },
        })))
    }

    /// The pauses after which a call is tried again that failed in passing.
    pub fn backoff(&self) -> Backoff {
        self.0.backoff
    }

    /// Host and port of the engine, for people.
    pub fn host(&self) -> String {
        self.0.transport.host()
    }

    /// When the certificate the engine showed last ends; `None` before the first connection, and without TLS.
    pub fn certificate_ends(&self) -> Option<DateTime<Utc>> {
        self.0.transport.shown.as_ref()?.ends()
    }

    /// What the engine's answers so far told of it beside what was asked.
    pub fn heard(&self) -> Heard {
        self.0.transport.heard.lock().clone()
    }

    /// Makes one call with a token, which must succeed; `given` are the variable segments of its path. `fill` may be
    /// called twice.
    pub(super) async fn call(
        &self,
        operation: &'static Operation,
        given: &[&str],
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply> {
        let fill = &fill;
        self.with_token(move |token| self.0.transport.send(operation, given, Some(token), fill)).await
    }

    /// Makes one call whose answer is a value.
    pub(super) async fn get<T: DeserializeOwned>(&self, operation: &'static Operation, given: &[&str]) -> Result<T> {
        self.call(operation, given, |call| call).await?.json()
    }

    /// Makes one call whose answer is a list; `null` is an empty one.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        given: &[&str],
        query: &(impl Serialize + ?Sized),
    ) -> Result<Vec<T>> {
        let list: Option<Vec<T>> = self.call(operation, given, |call| call.query(query)).await?.json()?;
        Ok(list.unwrap_or_default())
    }

    /// Makes one call that stores a value; `None` where the answer is empty.
    pub(super) async fn store<T: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        given: &[&str],
        value: &impl Serialize,
    ) -> Result<Option<T>> {
        self.call(operation, given, |call| call.json(value)).await?.optional_json()
    }

    /// Makes one call that deletes something; `false` when it was gone already.
    pub(super) async fn delete(&self, operation: &'static Operation, given: &[&str]) -> Result<bool> {
        match self.call(operation, given, |call| call).await {
            Ok(_) => Ok(true),
            Err(ClientError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs an exchange with a token, and gives its success or the error that its status stands for. A 401 costs one
    /// new login and one repetition; the reply to that one counts, whatever it is. Nothing else is ever repeated here:
    /// a 401 is the one failure that proves that nothing was done.
    pub(super) async fn with_token<F>(&self, exchange: impl Fn(HeaderValue) -> F) -> Result<Reply>
    where
        F: Future<Output = Result<Reply>>,
    {
        let Inner { transport, auth, .. } = &*self.0;
        let token = auth.token(transport).await?;
        let reply = exchange(token.header.clone()).await?;
        if reply.status != 401 {
            return reply.success();
        }
        let token = auth.replace(transport, &token).await?;
        exchange(token.header.clone()).await?.success()
    }
}
