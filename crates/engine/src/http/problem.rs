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
        let (status, title, detail) = match &self {
            Self::BadInput(detail) => (StatusCode::BAD_REQUEST, "Bad request", detail.clone()),
            Self::Unauthenticated(why) => (StatusCode::UNAUTHORIZED, "Unauthorized", why.to_string()),
            Self::Forbidden(wanted) => {
                let names: Vec<_> = wanted.iter().map(|permission| permission.name()).collect();
                let detail = format!("this needs the permission {}", names.join(" or "));
                (StatusCode::FORBIDDEN, "Forbidden", detail)
            }
            Self::NotFound(what) => (StatusCode::NOT_FOUND, "Not found", format!("there is no such {what}")),
            Self::TurnedDown(detail) => (StatusCode::INTERNAL_SERVER_ERROR, "Picture turned down", detail.clone()),
            Self::Internal(failure) => {
                error!("{}", with_causes(failure));
                (StatusCode::INTERNAL_SERVER_ERROR, "Internal error", "the engine's log says more".into())
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
