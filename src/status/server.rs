//! The status page's server.
//!
//! In: a listener, what to show, and a future that ends it. Out: answers to GET. A page on the internet may make a
//! visitor's browser ask us (DNS rebinding): names that are not this machine's are refused.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use chrono::Utc;
use serving::{Limits, Plain, Proxies, Server};
use telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

use super::Board;
use super::view::status_json;

/// Every answer comes from memory; one that takes longer will not come.
const LONGEST: Duration = Duration::from_secs(10);

/// Nothing from elsewhere, nothing inline, no form, no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is served.
#[derive(Debug, Clone)]
pub struct StatusView {
    pub board: Board,
    pub metrics: Metrics,
}

/// A page looked at by a few browsers, and asked by what watches the box.
const LIMITS: Limits = Limits {
    connections: 64,
    of_one_address: 32,
    handshake: LONGEST,
    header: Duration::from_secs(20),
    stall: Duration::from_secs(30),
};

/// Answers until `shutdown`, then finishes the requests under way.
pub async fn serve(listener: TcpListener, view: StatusView, shutdown: impl Future<Output = ()> + Send + 'static) {
    let (counter, stopping) = ("doorward_status_connections_total", CancellationToken::new());
    let server =
        Server { app: router(view), handshake: Plain, limits: LIMITS, proxies: Proxies::default(), counter, stopping };
    server.serve(listener, shutdown).await;
}

fn router(view: StatusView) -> Router {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page.html")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .with_state(view)
        .layer(middleware::from_fn(guard))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, LONGEST))
}

/// 200 while all is well, 503 with the faults otherwise.
async fn health(State(view): State<StatusView>) -> Response {
    let health = view.board.health(Instant::now());
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn metrics(State(view): State<StatusView>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], view.metrics.render()).into_response()
}

async fn status(State(view): State<StatusView>) -> Response {
    Json(status_json(&view.board.state(), Instant::now(), Utc::now())).into_response()
}

/// Refuses foreign names, and tells browsers to trust nothing and keep nothing.
async fn guard(request: Request, next: Next) -> Response {
    // Without the header it is no browser, and then there is nothing to rebind.
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default().to_owned());
    if host.as_deref().is_some_and(|host| !is_own_name(host)) {
        let advice = "this page answers to addresses, `localhost` and this machine's name only\n";
        return (StatusCode::MISDIRECTED_REQUEST, advice).into_response();
    }
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An address, `localhost`, or the machine's own name: what no foreign domain can be.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if address.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_ascii_lowercase();
    !machine.is_empty() && (name == machine || name.strip_suffix(".local") == Some(&machine))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_answered() {
        for (host, own) in [
            ("127.0.0.1:8780", true),
            ("192.168.1.7", true),
            ("[::1]:8780", true),
            ("[fe80::1]", true),
            ("localhost:8780", true),
            ("LOCALHOST.", true),
            ("door.example", false),
            ("127.0.0.1.door.example:8780", false),
            ("localhost.door.example", false),
            ("notlocalhost", false),
            ("", false),
        ] {
            assert_eq!(is_own_name(host), own, "{host}");
        }
    }
}
