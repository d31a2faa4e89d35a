//! Actions: what to do.
//!
//! In: `[action.NAME]`. Out: [`ActionConfig`]. Templates stand here as they were written; the actions room reads them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// `[action.NAME]`: the kind its `type` names; read like [`CameraConfig`](super::CameraConfig).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionConfig {
    Journal(JournalConfig),
    Webhook(WebhookConfig),
    Exec(ExecConfig),
}

/// `type = "journal"`: one JSON line per event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalConfig {
    pub path: PathBuf,
    /// The file is rotated at this size.
    #[serde(default = "default::journal_max_bytes")]
    pub max_bytes: u64,
    /// Rotated files kept.
    #[serde(default = "default::journal_keep")]
    pub keep: u32,
}

/// `type = "webhook"`: an HTTP request.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// A template; the values filled in are percent-encoded.
    pub url: SecretString,
    #[serde(default = "default::method")]
    pub method: String,
    /// Values are templates.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretString>,
    /// A template; without it the whole event as JSON.
    #[serde(default)]
    pub body: Option<String>,
    /// The crop goes along: multipart form data with the body as `event` and the JPEG as `picture`.
    #[serde(default)]
    pub picture: bool,
    /// Signs the request after the Standard Webhooks specification: `whsec_` and Base64, or any other text.
    #[serde(default)]
    pub signing_key: Option<SecretString>,
    /// One try, from connecting to the last byte of the answer.
    #[serde(default = "default::webhook_timeout_ms")]
    pub timeout_ms: u64,
    /// Tries in all, on connection errors, 408, 429 and 5xx.
    #[serde(default = "default::webhook_tries")]
    pub tries: u32,
    /// All tries and the pauses between them; no try starts after it.
    #[serde(default = "default::webhook_within_ms")]
    pub within_ms: u64,
    /// It moves something in the world (opens a door): never performed late, never repeated.
    #[serde(default)]
    pub actuator: bool,
}

/// `type = "exec"`: a program, without a shell.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecConfig {
    pub program: PathBuf,
    /// Templates, each one argument whatever it renders to.
    #[serde(default)]
    pub args: Vec<String>,
    /// Templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default = "default::exec_timeout_ms")]
    pub timeout_ms: u64,
    /// It moves something in the world (opens a door): never performed late, never repeated.
    #[serde(default)]
    pub actuator: bool,
}

impl ActionConfig {
    /// It moves something in the world.
    pub fn is_actuator(&self) -> bool {
        match self {
            Self::Journal(_) => false,
            Self::Webhook(webhook) => webhook.actuator,
            Self::Exec(exec) => exec.actuator,
        }
    }
}

impl JournalConfig {
    /// Rotated at the default size.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_bytes: default::journal_max_bytes(), keep: default::journal_keep() }
    }
}

impl WebhookConfig {
    /// Posts the event as JSON.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            method: default::method(),
            headers: BTreeMap::new(),
            body: None,
            picture: false,
            signing_key: None,
            timeout_ms: default::webhook_timeout_ms(),
            tries: default::webhook_tries(),
            within_ms: default::webhook_within_ms(),
            actuator: false,
        }
    }
}

impl ExecConfig {
    /// Runs the program with the event on its standard input.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            timeout_ms: default::exec_timeout_ms(),
            actuator: false,
        }
    }
}

impl std::fmt::Debug for WebhookConfig {
    /// Address, headers and body may hold secrets: their names and sizes only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("method", &self.method)
            .field("headers", &self.headers.keys())
            .field("body_bytes", &self.body.as_ref().map(String::len))
            .field("picture", &self.picture)
            .field("signed", &self.signing_key.is_some())
            .field("timeout_ms", &self.timeout_ms)
            .field("tries", &self.tries)
            .field("actuator", &self.actuator)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ExecConfig {
    /// Arguments and variables may hold secrets: their count and names only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecConfig")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &self.env.keys())
            .field("timeout_ms", &self.timeout_ms)
            .field("actuator", &self.actuator)
            .finish()
    }
}

/// Defaults of keys in sections that have required ones.
mod default {
    pub fn journal_max_bytes() -> u64 {
        10 << 20
    }
    pub fn journal_keep() -> u32 {
        5
    }
    pub fn method() -> String {
        "POST".into()
    }
    pub fn webhook_timeout_ms() -> u64 {
        5_000
    }
    pub fn webhook_within_ms() -> u64 {
        60_000
    }
    pub fn webhook_tries() -> u32 {
        4
    }
    pub fn exec_timeout_ms() -> u64 {
        5_000
    }
}
