//! Paths in any case: the vendor's framework knows `/API/v1/people` and `/api/v1/People` as one path.
//!
//! In: the path of a request. Out: the same with its fixed segments spelt as the operations' paths have them, whatever
//! they are variable in left alone; nothing when no operation has such a path. It knows no methods.

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// The prefix the vendor's cloud has before every path.
const PREFIX: &str = "identities";

/// The paths of all operations, their segments apart.
#[derive(Clone)]
pub struct Paths(Arc<[Vec<&'static str>]>);

impl Paths {
    pub fn new(paths: impl Iterator<Item = &'static str>) -> Self {
        Self(paths.map(|path| path.split('/').skip(1).collect()).collect())
    }

    /// The path as the operations spell it, when one of them is meant.
    fn spelt(&self, path: &str) -> Option<String> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (prefix, rest) = match segments.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(PREFIX) => (Some(PREFIX), rest),
            _ => (None, &segments[..]),
        };
        let is_variable = |segment: &&str| segment.starts_with('{');
        let fits = |path: &&Vec<&'static str>| {
            let same =
                |(own, sent): (&&str, &&str)| is_variable(own) && !sent.is_empty() || own.eq_ignore_ascii_case(sent);
            path.len() == rest.len() && path.iter().zip(rest).all(same)
        };
        // Of two that fit, the one that is fixed where the other is variable is meant.
        let fixed = |path: &&Vec<&'static str>| path.iter().map(|own| !is_variable(own)).collect::<Vec<_>>();
        let meant = self.0.iter().filter(fits).max_by_key(fixed)?;
        let spelt = meant.iter().zip(rest).map(|(own, sent)| if is_variable(own) { *sent } else { *own });
        Some(prefix.into_iter().chain(spelt).fold(String::new(), |path, segment| path + "/" + segment))
    }
}

/// The middleware: before the path of a request is looked up, it is spelt as the operations have it.
pub async fn spell(State(paths): State<Paths>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Some(spelt) = paths.spelt(path).filter(|spelt| spelt != path)
        && let Some(uri) = with_path(request.uri(), spelt)
    {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

fn with_path(uri: &Uri, path: String) -> Option<Uri> {
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_segments_are_spelt_and_variable_ones_left_alone() {
        let paths = Paths::new(
            [
                "/api/v1/Tags",
                "/api/v1/people/{personId}",
                "/api/v1/people/{personId}/aliases",
                "/api/v1/people/enrollmentPhoto/{faceId}",
                "/api/v1/people/{personId}/{other}",
            ]
            .into_iter(),
        );
        for (sent, spelt) in [
            ("/API/V1/tags", Some("/api/v1/Tags")),
            ("/Identities/Api/v1/People/ABC/Aliases", Some("/identities/api/v1/people/ABC/aliases")),
            ("/api/v1/people/EnrollmentPhoto/Aliases", Some("/api/v1/people/enrollmentPhoto/Aliases")),
            ("/api/v1/people/A%2fB", Some("/api/v1/people/A%2fB")),
            ("/api/v1/people/", None),
            ("/api/v1/nothing", None),
            ("/", None),
        ] {
            assert_eq!(paths.spelt(sent).as_deref(), spelt, "{sent}");
        }
        let uri = with_path(&"http://host/API/v1/tags?a=B".parse().unwrap(), "/api/v1/Tags".into()).unwrap();
        assert_eq!(uri.to_string(), "http://host/api/v1/Tags?a=B");
    }
}
