//! The account the client works with: whether the login works, who the engine takes the account for, and what it may
//! do, as far as that can be found out without doing anything.
//!
//! The API has no list of permissions. But an engine decides who may before it looks at what was sent: a call that
//! names nobody, or says nothing, is answered 403 to those who may not and otherwise to those who may. Rights to change
//! or delete are not tried out.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::{
    DETECTIONS_OF_PERSON, DOWNLOAD_DOCUMENT, FACE_DETECT, FACE_ENROLL, GET_PERSON, LIST_ALIASES, LIST_FIELDS,
    LIST_NOTES, LIST_PERSON_TAGS, LIST_TAGS, Operation, PUBLISH, RECOGNIZE, USER_PROFILE,
};
use super::permission::Permission;
use super::wire::UserProfile;

impl Client {
    /// Proves address, user name and password, whatever token is at hand.
    pub async fn authenticate(&self) -> Result<()> {
        self.0.auth.log_in_anew(&self.0.transport).await
    }

    /// Swaps the token for a newer one, without the password.
    pub async fn renew_token(&self) -> Result<()> {
        self.0.auth.renew_now(&self.0.transport).await
    }

    /// How much longer the token at hand is good; `None` without one, or when it does not tell.
    pub fn token_left(&self) -> Option<Duration> {
        self.0.auth.left()
    }

    /// Who the engine takes us for.
    pub async fn user_profile(&self) -> Result<UserProfile> {
        self.get(&USER_PROFILE, &[]).await
    }
}

/// A permission, and whether the account holds it or one that stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    pub permission: Permission,
    pub held: bool,
}

/// An id nobody has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
/// Calls that read, or that are refused for their empty body by whoever lets us in.
const HARMLESS: &[Operation] = &[
    PUBLISH,
    RECOGNIZE,
    FACE_ENROLL,
    FACE_DETECT,
    GET_PERSON,
    LIST_ALIASES,
    LIST_PERSON_TAGS,
    LIST_NOTES,
    LIST_FIELDS,
    LIST_TAGS,
    DETECTIONS_OF_PERSON,
    DOWNLOAD_DOCUMENT,
];

impl Client {
    /// Tries out what can be tried without harm.
    pub async fn rights(&self) -> Result<Vec<Right>> {
        self.try_out(HARMLESS).await
    }

    /// The rights by which the parts of a person come along with an answer: names, tags, fields and addresses, in this
    /// order.
    pub async fn rights_to_parts(&self) -> Result<Vec<Right>> {
        self.try_out(&[LIST_ALIASES, LIST_PERSON_TAGS, LIST_FIELDS, GET_PERSON]).await
    }

    async fn try_out(&self, operations: &'static [Operation]) -> Result<Vec<Right>> {
        let mut rights = Vec::with_capacity(operations.len());
        for operation in operations {
            let nothing = json!({});
            let reply = self.call(operation, &[NOBODY, NOBODY], |call| match *operation.method {
                Method::POST => call.json(&nothing),
                _ => call,
            });
            let held = match reply.await {
                Ok(_) | Err(ClientError::NotFound { .. } | ClientError::NoSuchCall { .. }) => true,
                // Turned down, or failed, by whoever has let us in.
                Err(ClientError::Rejected { .. } | ClientError::Busy { status: 408 | 500 | 501 | 505.., .. }) => true,
                Err(ClientError::Forbidden { .. }) => false,
                Err(error) => return Err(error),
            };
            // The last of several is the narrow one; the broad ones have rows of their own.
            rights.extend(operation.permissions().last().map(|permission| Right { permission: *permission, held }));
        }
        Ok(rights)
    }
}
