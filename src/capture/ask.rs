//! Asking a camera for one picture by HTTP.
//!
//! In: a client and the address, which may hold an account. Out: the bytes of an answer and what it says they are, or
//! why there are none and what to do about it. It does not know what a picture is.

use faces::picture::MAX_PHOTO_BYTES;
use http_auth::{PasswordClient, PasswordParams};
use identities::trust::{self, Trust};
use percent_encoding::percent_decode_str;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};
use secrecy::{ExposeSecret, SecretString};
use wording::with_causes;

use crate::config::SnapshotConfig;

/// A camera that answers by HTTP.
pub struct Camera {
    client: Client,
    /// Without the account.
    url: Url,
    account: Option<(String, SecretString)>,
    /// How it wants to be told who we are, once it has said so.
    wants: Option<PasswordClient>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("it does not answer as a web server does")]
    Request(#[source] reqwest::Error),
    #[error("it answers {}", .0.as_u16())]
    Status(StatusCode),
    #[error("it asks who we are in a way that is not known here (Digest and Basic are)")]
    UnknownLogIn,
    #[error("what comes is `{kind}`, and no JPEG")]
    NoPicture {
        /// What its answer says it is, as far as that may be shown.
        kind: String,
    },
    #[error("its picture has more than {MAX_PHOTO_BYTES} bytes or 50 megapixels")]
    TooLarge,
}

impl Camera {
    /// Of this configuration; nothing is asked yet. The error says what cannot be used, without the address.
    pub fn new(config: &SnapshotConfig) -> Result<Self, String> {
        let mut url = Url::parse(config.url.expose_secret()).map_err(|error| error.to_string())?;
        let account = account(&url);
        // Neither fails for `http` and `https`.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        trust::crypto();
        let client = Client::builder()
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy();
        let client = if url.scheme() == "https" {
            let trust = Trust::new(config.ca_file.as_deref(), &config.pin_sha256);
            client.tls_backend_preconfigured(trust.map_err(|error| with_causes(&error))?.config)
        } else {
            client.tls_certs_only([])
        };
        let client = client.build().map_err(|error| with_causes(&error))?;
        Ok(Self { client, url, account, wants: None })
    }

    /// Whether it was told who asks, and says no.
    pub fn refuses(&self, error: &SnapshotError) -> bool {
        let no = matches!(error, SnapshotError::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
        no && self.account.is_some()
    }

    /// One picture as bytes, and what it is said to be.
    pub async fn ask(&mut self) -> Result<(Vec<u8>, String), SnapshotError> {
        let mut answer = self.send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.account.is_some() {
            // Asked for the first time, or the question has become another one.
            self.wants = Some(wanted(&answer).ok_or(SnapshotError::UnknownLogIn)?);
            answer = self.send().await?;
        }
        if answer.status() != StatusCode::OK {
            return Err(SnapshotError::Status(answer.status()));
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("something without a type").chars().filter(|c| !c.is_control()).take(80).collect();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(SnapshotError::request)? {
            if bytes.len() + chunk.len() > MAX_PHOTO_BYTES {
                return Err(SnapshotError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes, kind))
    }

    async fn send(&mut self) -> Result<Response, SnapshotError> {
        let mut request = self.client.get(self.url.clone());
        if let (Some(wants), Some((username, password))) = (&mut self.wants, &self.account) {
            let password = password.expose_secret();
            let uri = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
            let answer = wants.respond(&PasswordParams { username, password, uri, method: "GET", body: None });
            let answer = answer.ok().and_then(|answer| HeaderValue::from_str(&answer).ok());
            let mut answer = answer.ok_or(SnapshotError::UnknownLogIn)?;
            answer.set_sensitive(true);
            request = request.header(AUTHORIZATION, answer);
        }
        request.send().await.map_err(SnapshotError::request)
    }
}

impl SnapshotError {
    fn request(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Request(_) => "check the port, and whether it is `http://` or `https://`",
            Self::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                "it asks who we are: write a user name and a password into the address"
            }
            Self::Status(status) if status.is_redirection() => "redirects are not followed: write where it leads",
            Self::Status(status) if status.is_client_error() => "check the path",
            Self::Status(_) => "look at the camera, and restart it",
            Self::UnknownLogIn => "set the camera to Digest",
            Self::NoPicture { .. } => "check the path: it must be that of a single picture",
            Self::TooLarge => "choose a smaller picture of the camera",
        }
    }
}

/// The account of an address.
fn account(url: &Url) -> Option<(String, SecretString)> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = !url.username().is_empty() || url.password().is_some();
    named.then(|| (plain(url.username()), plain(url.password().unwrap_or_default()).into()))
}

/// What a camera asks of those it does not know, in the best of the ways it offers.
fn wanted(answer: &Response) -> Option<PasswordClient> {
    let challenges = answer.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok());
    challenges.fold(PasswordClient::builder(), |builder, header| builder.challenges(header)).build().ok()
}
