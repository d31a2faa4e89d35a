//! authenticate, renewToken, user profile.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::{Extension, Json as Answer};
use identities::operation::{AUTHENTICATE, RENEW_TOKEN, USER_PROFILE};
use identities::wire::{AuthenticateRequest, AuthenticateResponse, UserProfile};
use secrecy::SecretString;

use super::extract::{Json, filled};
use super::guard::bearer;
use super::{Answered, Route};
use crate::auth::Caller;
use crate::engine::Engine;

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
    let log_in = engine
        .limited(&engine.inner.hashing, move |inner| inner.auth.log_in(&inner.store, client.ip(), &name, &password));
    let (username, token) = log_in.await?;
    Ok(Answer(AuthenticateResponse { username, token }))
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
