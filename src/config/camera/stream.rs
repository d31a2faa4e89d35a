//! `type = "stream"`: a stream of the network.

use std::path::PathBuf;

use identities::trust::KeyPin;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::hosts::AllowedHost;
use crate::config::address;
use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::words;

section! {
    /// `type = "stream"`: a camera of the network, or a file or pipe of this machine.
    pub struct StreamConfig: new(url: impl Into<SecretString>), checked by check_stream {
        /// It may hold a user name and password, and then never shows up in a log.
        pub url: SecretString;
        /// What else may be called for it than the host of `url`, wherever playlists, redirects and answers lead.
        pub allow_hosts: Vec<AllowedHost> = Vec::new();
        pub transport: RtspTransport = RtspTransport::Tcp;
        /// Of several sizes in which the address gives its picture, the smallest that is so tall is fetched, else the
        /// tallest. Without it the best.
        pub height_px: Option<u32> = None, in 16..=16_384;
        pub decode: Decode = Decode::Software;
        /// PEM certificates of the authorities to trust; without it and without pins nobody's certificate is checked.
        pub ca_file: Option<PathBuf> = None;
        /// The camera's public keys to trust; with pins alone a certificate of its own is fine.
        pub pin_sha256: Vec<KeyPin> = Vec::new();
        /// No frame for this long is a fault: the stream is reopened.
        pub stall_ms: u64 = 2_500, in 500..=600_000;
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

words! {
    /// How an RTSP camera sends its stream.
    pub enum RtspTransport {
        Tcp,
        Udp,
    }

    /// What decodes a stream. Where that is not to be had, software does.
    pub enum Decode {
        Software,
        /// Graphics of Intel or AMD.
        Vaapi,
        /// A memory-to-memory device of the kernel, as on a Raspberry Pi.
        V4l2m2m,
        /// The first of the two that is there for the stream's format.
        Auto,
    }
}

/// How a stream is fetched, told by how its address begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A file or a pipe of this machine.
    File,
    Rtsp,
    /// RTSP over TLS.
    Rtsps,
    /// With or without TLS.
    Http,
    Rtmp,
    Srt,
    /// A stream that comes without being asked for, or over a bare connection.
    Raw,
}

/// The beginnings of addresses, as mistakes list them.
pub const SCHEMES: &str =
    "`rtsp://`, `rtsps://`, `http://`, `https://`, `rtmp://`, `srt://`, `udp://`, `rtp://` or `tcp://`";

impl StreamConfig {
    /// `None` for an address that begins with nothing that is known.
    pub fn scheme(&self) -> Option<Scheme> {
        let Some((scheme, _)) = self.url.expose_secret().split_once("://") else { return Some(Scheme::File) };
        Some(match scheme {
            "file" => Scheme::File,
            "rtsp" => Scheme::Rtsp,
            "rtsps" => Scheme::Rtsps,
            "http" | "https" => Scheme::Http,
            "rtmp" | "rtmpe" | "rtmps" | "rtmpt" | "rtmpte" | "rtmpts" => Scheme::Rtmp,
            "srt" => Scheme::Srt,
            "udp" | "rtp" | "tcp" => Scheme::Raw,
            _ => return None,
        })
    }

    /// Whether it says whose certificate is believed.
    pub fn is_checked(&self) -> bool {
        self.ca_file.is_some() || !self.pin_sha256.is_empty()
    }
}

/// Whether what is fetched from an address that begins so comes over TLS.
fn is_encrypted(scheme: &str) -> bool {
    matches!(scheme, "rtsps" | "https" | "rtmps" | "rtmpts")
}

fn check_stream(stream: &StreamConfig, at: &At<'_>) {
    let url = stream.url.expose_secret();
    match url.contains("://").then(|| address::parse(url)) {
        None if url.is_empty() => {
            at.wrong(&["url"], "it is empty; write it like `rtsp://camera.example/stream`");
        }
        // A file or a pipe.
        None => at.wrong_if(stream.is_checked(), &["url"], CHECKED_OVER_TLS),
        Some(Err(problem)) => at.wrong(&["url"], problem),
        Some(Ok(_)) if stream.scheme().is_none() => at.wrong(&["url"], format!("it must begin with {SCHEMES}")),
        Some(Ok(url)) => {
            if let Some(doubt) = address::doubt(&url) {
                at.unwise(&["url"], doubt);
            }
            if is_encrypted(url.scheme()) && !stream.is_checked() {
                at.unwise(&["url"], unchecked(&url));
            }
            at.wrong_if(!is_encrypted(url.scheme()) && stream.is_checked(), &["url"], CHECKED_OVER_TLS);
        }
    }
}

const CHECKED_OVER_TLS: &str = "certificates are checked where it begins with `rtsps://`, `https://` or `rtmps://` \
                                alone; leave out `ca_file` and `pin_sha256`";

/// What is told of an encrypted stream whose certificate nobody checks.
fn unchecked(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(if url.scheme() == "rtsps" { 322 } else { 443 });
    format!(
        "nobody checks the camera's certificate: whoever stands between can read a password and show other pictures; \
         write `pin_sha256`, which `doorward identities trust https://{}:{port}` prints, or `ca_file`",
        url.host_str().unwrap_or_default()
    )
}
