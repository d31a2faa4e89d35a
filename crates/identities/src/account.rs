//! Authentication: the account the client works with.
//!
//! In: nothing. Out: whether the login works, how long the token is good, and who the engine takes the account for.

use std::time::Duration;

use super::client::Client;
use super::error::Result;
use super::operation::USER_PROFILE;
use super::wire::UserProfile;

impl Client {
    /// Proves address, user name and password, whatever token is at hand.
    pub async fn authenticate(&self) -> Result<()> {
        self.auth().log_in_anew(self.transport()).await
    }

    /// Swaps the token for a newer one, without the password.
    pub async fn renew_token(&self) -> Result<()> {
        self.auth().renew_now(self.transport()).await
    }

    /// How much longer the token at hand is good; `None` without one, or when it does not tell.
    pub fn token_left(&self) -> Option<Duration> {
        self.auth().left()
    }

    /// Who the engine takes us for.
    pub async fn user_profile(&self) -> Result<UserProfile> {
        self.get(&USER_PROFILE, &[]).await
    }
}
