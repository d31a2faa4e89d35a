//! The client: one per engine, cheap to clone, safe to use from many tasks.
//!
//! In: [`ClientOptions`]. Out: a method per endpoint, in the file of its group. Here is only what all of them
//! share: a call carries a token, and a token the engine refuses is replaced once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::Auth;
use super::error::{ClientError, Result};
use super::operation::Operation;
use super::retry::Backoff;
use super::transport::{Heard, Reply, Transport};
use crate::trust::KeyPin;

/// A client of one Identities engine.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    transport: Transport,
    auth: Auth,
    backoff: Backoff,
}

/// The pause after a first failure; it doubles from here up to [`ClientOptions::longest_pause`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Where the engine is, who asks, and how long it is waited for.
#[derive(Clone)]
pub struct ClientOptions {
    /// `https://customer.econnectcloud.com/identities` or `https://host:5009`.
    pub url: Url,
    pub username: String,
    pub password: SecretString,
    /// One request from the first byte sent to the last received.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// A PEM file with the certificates an on-premise server is signed by; then no others are believed.
    pub ca_file: Option<PathBuf>,
    /// The server's key must be one of these; without `ca_file` that is all that is asked of its certificate.
    pub pin_sha256: Vec<KeyPin>,
    /// `http://` to another machine is meant: passwords and faces travel unencrypted.
    pub allow_plain_http: bool,
}

impl ClientOptions {
    /// Everything but the address and the account at its default.
    pub fn new(url: Url, username: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            url,
            username: username.into(),
            password: password.into(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            longest_pause: Duration::from_secs(30),
            ca_file: None,
            pin_sha256: Vec::new(),
            allow_plain_http: false,
        }
    }
}

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

    /// When to try again what was answered with a retryable failure.
    pub fn backoff(&self) -> Backoff {
        self.0.backoff
    }

    /// Host and port of the engine, for people.
    pub fn host(&self) -> String {
        self.0.transport.host()
    }

    /// When the certificate the engine showed last ends; `None` before the first connection, and without TLS.
    pub fn certificate_ends(&self) -> Option<DateTime<Utc>> {
        self.0.transport.certificate_ends()
    }

    /// What the engine's answers so far told of it beside what was asked.
    pub fn heard(&self) -> Heard {
        self.0.transport.heard()
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    /// One call with a token; `given` are the variable segments of its path. `fill` may be called twice.
    pub(super) async fn call(
        &self,
        operation: &Operation,
        given: &[&str],
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply> {
        let fill = &fill;
        self.with_token(move |token| self.transport().send(operation, given, Some(token), fill)).await
    }

    /// One call whose answer is a value.
    pub(super) async fn get<T: DeserializeOwned>(&self, operation: &Operation, given: &[&str]) -> Result<T> {
        self.call(operation, given, |call| call).await?.success(operation)?.json(operation)
    }

    /// One call whose answer is a list; `null` is an empty one.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        given: &[&str],
        query: &(impl Serialize + ?Sized),
    ) -> Result<Vec<T>> {
        let reply = self.call(operation, given, |call| call.query(query)).await?;
        let list: Option<Vec<T>> = reply.success(operation)?.json(operation)?;
        Ok(list.unwrap_or_default())
    }

    /// One call that stores a value; `None` where the answer is empty.
    pub(super) async fn store<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        given: &[&str],
        value: &impl Serialize,
    ) -> Result<Option<T>> {
        self.call(operation, given, |call| call.json(value)).await?.success(operation)?.optional_json(operation)
    }

    /// One call that deletes; whether there was something to.
    pub(super) async fn delete(&self, operation: &Operation, given: &[&str]) -> Result<bool> {
        match self.call(operation, given, |call| call).await?.success(operation) {
            Ok(_) => Ok(true),
            Err(ClientError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Runs an exchange with a token. A 401 costs one new login and one repetition; the reply to that one counts,
    /// whatever it is. Nothing else is ever repeated here: a 401 is the one failure that proves that nothing was done.
    pub(super) async fn with_token<R: Answered, F>(&self, exchange: impl Fn(HeaderValue) -> F) -> Result<R>
    where
        F: Future<Output = Result<R>>,
    {
        let token = self.auth().token(self.transport()).await?;
        let reply = exchange(token.header()).await?;
        if reply.status() != 401 {
            return Ok(reply);
        }
        let token = self.auth().replace(self.transport(), &token).await?;
        exchange(token.header()).await
    }
}

/// What has a status.
pub(super) trait Answered {
    fn status(&self) -> u16;
}

impl Answered for Reply {
    fn status(&self) -> u16 {
        self.status
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.host())
    }
}
