//! A refusal as HTTP: status, problem+json body (RFC 7807), and the headers that go with it.
//!
//! In: a [`Refusal`]. Out: a response. This is where the engine's own failures are logged, once each.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use identities::wire::ProblemDetails;
use tracing::error;

use crate::error::{Refusal, Unauthenticated, with_causes};

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title) = match &self {
            Self::BadInput(_) => (StatusCode::BAD_REQUEST, "Bad request"),
            Self::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "Not found"),
            Self::TurnedDown(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Picture turned down"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
        };
        let detail = match &self {
            Self::BadInput(detail) | Self::TurnedDown(detail) => detail.clone(),
            Self::Unauthenticated(why) => unauthenticated(*why),
            Self::Forbidden(wanted) => {
                let names: Vec<_> = wanted.iter().map(|permission| permission.name()).collect();
                format!("this needs the permission {}", names.join(" or "))
            }
            Self::NotFound(what) => format!("there is no such {what}"),
            Self::Internal(failure) => {
                error!("{}", with_causes(failure));
                "the engine's log says more".into()
            }
        };
        let mut response = problem(status, title, detail);
        if let Self::Unauthenticated(why) = self {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            if let Unauthenticated::Throttled { retry_secs } = why {
                response.headers_mut().insert(RETRY_AFTER, retry_secs.into());
            }
        }
        response
    }
}

/// A problem+json response.
pub fn problem(status: StatusCode, title: &str, detail: impl Into<String>) -> Response {
    let details = ProblemDetails {
        title: Some(title.into()),
        status: Some(i32::from(status.as_u16())),
        detail: Some(detail.into()),
        ..ProblemDetails::default()
    };
    (status, [(CONTENT_TYPE, "application/problem+json")], Json(details)).into_response()
}

fn unauthenticated(why: Unauthenticated) -> String {
    match why {
        Unauthenticated::NoToken => "a bearer token is needed; authenticate gives one".into(),
        Unauthenticated::BadToken => "the token has expired or is not valid; authenticate gives a new one".into(),
        Unauthenticated::BadCredentials => "user name or password are wrong".into(),
        Unauthenticated::Throttled { retry_secs } => {
            format!("too many wrong passwords; try again in {retry_secs} seconds")
        }
    }
}
