//! What every request goes through before its handler: who asks (401), whether they may (403), and its body within
//! limits of size, time and memory (400); and the operations by which a caller becomes somebody: authenticate,
//! renewToken and the user profile.
//!
//! In: a request and the [`Route`](super::Route) it is for. Out: a response, counted and timed. The body is read here
//! in one place, so that no handler leaves a client talking to a closed connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Answer};
use futures_util::StreamExt;
use identities::operation::{AUTHENTICATE, Access, Operation, RENEW_TOKEN, USER_PROFILE};
use identities::wire::{AuthenticateRequest, AuthenticateResponse, UserProfile};
use secrecy::SecretString;

use super::extract::{Json, filled};
use super::{Answered, Route};
use crate::admission::{Admission, Asker, Urgency};
use crate::auth::Caller;
use crate::engine::{Engine, Inner};
use crate::error::{Refusal, Unauthenticated};

/// How long a body may take to arrive, and how much longer for each of its bytes: a photo from a phone with a poor
/// uplink comes in, a trickle does not.
const BODY_TIME: Duration = Duration::from_secs(30);
const BODY_BYTES_PER_SEC: u64 = 32 << 10;

/// What is read and thrown away of the body of a refused request, so that the client gets to read the answer.
const DRAIN_BYTES: usize = 128 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Memory for bodies in KiB, all requests together and those of one account; more requests wait.
const BODY_MEMORY_KIB: u32 = 256 << 10;
const BODY_MEMORY_OF_ONE_KIB: u32 = BODY_MEMORY_KIB / 2;

/// What the guard knows of the operation it stands before.
#[derive(Clone)]
pub struct Guard {
    pub engine: Engine,
    pub operation: &'static Operation,
    pub urgency: Urgency,
    pub grows: bool,
    pub body_limit: usize,
    pub body_memory: Admission,
}

/// Memory for the bodies of all requests.
pub fn body_memory() -> Admission {
    Admission::new(BODY_MEMORY_KIB, BODY_MEMORY_OF_ONE_KIB)
}

/// The middleware around every operation: judges the request, counts and times it.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let operation = guard.operation.id;
    let mut response = guard.handle(request, next).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("doorward_engine_requests_total", "operation" => operation, "status" => status).increment(1);
    metrics::histogram!("doorward_engine_request_seconds", "operation" => operation)
        .record(started.elapsed().as_secs_f64());
    // Faces, names and tokens are nothing for a cache on the way.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Guard {
    async fn handle(self, request: Request, next: Next) -> Response {
        let (mut parts, body) = request.into_parts();
        let mut body = body.into_data_stream();
        let token = bearer(&parts.headers);
        let asker = match self.admit(token).await {
            Ok(caller) => {
                let account = caller.as_ref().map_or("", |caller| &caller.username);
                let asker = Asker::new(account, self.urgency);
                caller.and_then(|caller| parts.extensions.insert(caller));
                asker
            }
            Err(refusal) => {
                if !parts.headers.contains_key(EXPECT) {
                    drain(&mut body).await;
                }
                return refusal.into_response();
            }
        };
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let most = length.or(body.is_end_stream().then_some(0)).unwrap_or(self.body_limit).min(self.body_limit);
        let kib = u32::try_from(most.div_ceil(1024)).unwrap_or(BODY_MEMORY_KIB).min(BODY_MEMORY_KIB);
        // Held until the answer is there: the handler has the body, and what it makes of it, in memory.
        let _memory = match kib {
            0 => None,
            kib => match self.body_memory.enter(&asker, kib).await {
                Ok(memory) => Some(memory),
                Err(error) => return Refusal::from(error).into_response(),
            },
        };
        match collect(&mut body, self.body_limit).await {
            Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
            Err(refusal) => {
                drain(&mut body).await;
                refusal.into_response()
            }
        }
    }

    /// Who asks, if they may.
    async fn admit(&self, token: Option<String>) -> Result<Option<Caller>, Refusal> {
        if self.operation.access == Access::Anonymous {
            return Ok(None);
        }
        let token = token.ok_or(Refusal::Unauthenticated(Unauthenticated::NoToken))?;
        let caller = self.engine.blocking(move |inner| inner.auth.caller(&inner.store, &token)).await?;
        if let Access::AnyOf(wanted) = self.operation.access {
            caller.require(wanted)?;
        }
        if self.grows {
            self.engine.check_room()?;
        }
        Ok(Some(caller))
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &axum::http::HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The whole body, if it comes within the limits of size and time.
async fn collect(body: &mut BodyDataStream, limit: usize) -> Result<Bytes, Refusal> {
    let started = tokio::time::Instant::now();
    let mut all = Vec::with_capacity((body.size_hint().lower() as usize).min(limit));
    loop {
        let deadline = started + BODY_TIME + Duration::from_secs(all.len() as u64 / BODY_BYTES_PER_SEC);
        let slow = |_| Refusal::bad_input("the body arrived too slowly");
        let Some(data) = tokio::time::timeout_at(deadline, body.next()).await.map_err(slow)? else {
            return Ok(Bytes::from(all));
        };
        let data = data.map_err(|_| Refusal::bad_input("the body was cut short"))?;
        if all.len() + data.len() > limit {
            return Err(Refusal::bad_input(format!("the body is larger than {limit} bytes")));
        }
        all.extend_from_slice(&data);
    }
}

/// Reads and throws away what is left of a body.
async fn drain(body: &mut BodyDataStream) {
    let read = async {
        let mut left = DRAIN_BYTES;
        while let Some(Ok(data)) = body.next().await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                break;
            }
        }
    };
    // Too slow or too much: the connection is closed with the rest unread.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// How long a log-in waits for its turn after wrong passwords, before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(25);

/// A user name and a password: nobody anonymous gets to send more.
const CREDENTIALS: usize = 16 << 10;

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(&AUTHENTICATE, authenticate).with_body(CREDENTIALS),
        Route::new(&RENEW_TOKEN, renew),
        Route::new(&USER_PROFILE, profile),
    ]
}

async fn authenticate(
    engine: Engine,
    Extension(ConnectInfo(client)): Extension<ConnectInfo<SocketAddr>>,
    Json(request): Json<AuthenticateRequest>,
) -> Answered<AuthenticateResponse> {
    filled("username", &request.username)?;
    filled("password", &request.password)?;
    let (name, password) = (request.username, SecretString::from(request.password));
    let (client, by) = (client.ip(), Instant::now() + PATIENCE);
    loop {
        let (name, password) = (name.clone(), password.clone());
        let log_in = move |inner: &Inner| inner.auth.log_in(&inner.store, client, &name, &password);
        match engine.hashing(client, log_in).await {
            // A right password after wrong ones is heard, if it has to wait for it.
            Err(Refusal::Unauthenticated(Unauthenticated::Throttled { retry_secs }))
                if Instant::now() + Duration::from_secs(retry_secs) <= by =>
            {
                tokio::time::sleep(Duration::from_secs(retry_secs)).await;
            }
            logged_in => {
                let (username, token) = logged_in?;
                return Ok(Answer(AuthenticateResponse { username, token }));
            }
        }
    }
}

async fn renew(engine: Engine, caller: Caller) -> Answered<AuthenticateResponse> {
    let token = engine.inner.auth.renew(&caller)?;
    Ok(Answer(AuthenticateResponse { username: caller.username, token }))
}

async fn profile(caller: Caller, headers: HeaderMap) -> Answer<UserProfile> {
    // A user name may be an address, as they are with the vendor.
    let email = Some(caller.username).filter(|name| name.contains('@'));
    Answer(UserProfile { email, roles: vec![caller.role.into()], token: bearer(&headers) })
}
