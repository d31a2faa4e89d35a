//! The one table of the API: every operation with its id, method, path, who may call it, what goes in and comes out.
//!
//! The client's methods, the routes of the embedded engine and its OpenAPI document are all made from these rows, and
//! errors, metrics and audit logs name an operation by its id. This file says what a row can hold, [`table`] holds the
//! rows, and a test compares them with the contract.

mod table;

use reqwest::Method;

use crate::permission::Permission;

pub use table::*;

/// One operation, as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The contract's operation id.
    pub id: &'static str,
    /// What the operation is for, in half a sentence.
    pub summary: &'static str,
    /// The heading that documents list the operation under.
    pub group: &'static str,
    pub method: &'static Method,
    /// The path below the base URL; each `{…}` stands for a segment that the caller gives.
    pub path: &'static str,
    pub access: Access,
    pub query: &'static [Parameter],
    pub request: Content,
    /// The content of an answer with status 200.
    pub answer: Content,
    /// The largest answer in bytes that the client reads whole.
    pub answer_bytes: usize,
    /// Of a larger one it reads what is needed to act upon, and turns no answer down for its size alone.
    pub excerpted: bool,
    /// Whether the contract names a 400: some operations take whatever they are given.
    pub refuses_input: bool,
    /// What a 404 says there is none of; `None` where the contract names no 404, so that one is no answer.
    pub missing: Option<&'static str>,
    pub fault: Fault,
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Anonymous,
    /// Whoever has a valid token.
    Authenticated,
    /// Whoever holds at least one of these permissions; the broadest comes first.
    AnyOf(&'static [Permission]),
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    /// The values it may have, as a JSON schema.
    pub schema: &'static str,
}

/// The body of a request or an answer. A shape is the name of a [wire type](crate::wire).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Empty,
    /// A JSON object of this shape.
    Json(&'static str),
    /// A JSON array of objects of this shape.
    List(&'static str),
    /// A multipart form of this shape.
    Form(&'static str),
    /// Bytes of this media type.
    Bytes(&'static str),
}

/// What a 500 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The contract does not name a 500 for the operation.
    Unnamed,
    /// The engine failed; the same request may succeed later.
    Passing,
    /// The engine failed, or it turned the picture down; a client cannot tell which, and repeating is not worth it.
    PictureTurnedDown,
}

/// The largest answer about one record: about a thousand faces with everything there is to tell of them.
const RECORD_BYTES: usize = 2 << 20;

/// An operation with nothing special about it: whoever has a token may call it, and nothing goes in or comes out.
const PLAIN: Operation = Operation {
    id: "",
    summary: "",
    group: "",
    method: &Method::GET,
    path: "",
    access: Access::Authenticated,
    query: &[],
    request: Content::Empty,
    answer: Content::Empty,
    answer_bytes: RECORD_BYTES,
    excerpted: false,
    refuses_input: true,
    missing: None,
    fault: Fault::Unnamed,
};

impl Parameter {
    /// A parameter that is a GUID.
    pub const fn id(name: &'static str) -> Self {
        Self { name, schema: r#"{"type": "string", "format": "uuid"}"# }
    }

    /// A parameter that is a text, which must say something.
    pub const fn text(name: &'static str) -> Self {
        Self { name, schema: r#"{"type": "string", "minLength": 1}"# }
    }
}

impl Operation {
    /// The permissions of which any one suffices; empty where a token, or nothing, is enough.
    pub fn permissions(&self) -> &'static [Permission] {
        if let Access::AnyOf(permissions) = self.access { permissions } else { &[] }
    }

    /// The statuses the contract names for the operation, in ascending order.
    pub fn statuses(&self) -> impl Iterator<Item = u16> {
        let named = [
            (200, true),
            (400, self.refuses_input),
            (401, true),
            (403, !self.permissions().is_empty()),
            (404, self.missing.is_some()),
            (500, self.fault != Fault::Unnamed),
        ];
        named.into_iter().filter(|(_, named)| *named).map(|(status, _)| status)
    }

    /// The segments of the path, with those given in the place of its variable ones, in order.
    pub(crate) fn segments<'a>(&self, given: &'a [&'a str]) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut given = given.iter().copied();
        let fill = move |segment: &'static str| match segment.starts_with('{') {
            true => given.next().unwrap_or_default(),
            false => segment,
        };
        self.path.split('/').skip(1).map(fill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_an_id_and_an_address_of_its_own() {
        for (n, a) in ALL.iter().enumerate() {
            for b in &ALL[n + 1..] {
                assert!(a.id != b.id && (a.method, a.path) != (b.method, b.path), "{} and {}", a.id, b.id);
            }
        }
        assert_eq!(ALL.len(), 40);
    }

    #[test]
    fn given_segments_take_the_place_of_the_variable_ones() {
        let path: Vec<_> = DOWNLOAD_DOCUMENT.segments(&["p", "a/b"]).collect();
        assert_eq!(path, ["api", "v1", "people", "p", "fileDocuments", "a/b", "data"]);
        assert_eq!(LIST_TAGS.segments(&[]).collect::<Vec<_>>(), ["api", "v1", "Tags"]);
    }

    #[test]
    fn the_schemas_of_parameters_are_json_objects() {
        for parameter in ALL.iter().flat_map(|operation| operation.query) {
            let schema = serde_json::from_str::<serde_json::Value>(parameter.schema);
            assert!(schema.is_ok_and(|schema| schema.is_object()), "{}", parameter.name);
        }
    }
}
