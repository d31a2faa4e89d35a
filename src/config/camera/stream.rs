//! `type = "stream"`: a stream of the network.

use secrecy::{ExposeSecret, SecretString};

use crate::config::address;
use crate::config::reading::At;
use crate::config::section::section;
use crate::config::value::words;

section! {
    /// `type = "stream"`: RTSP, HTTP MJPEG, or any address FFmpeg reads.
    pub struct StreamConfig: new(url: impl Into<SecretString>), checked by check_stream {
        /// It may hold a user name and password, and then never shows up in a log.
        pub url: SecretString;
        pub transport: RtspTransport = RtspTransport::Tcp;
        /// No frame for this long is a fault: the stream is reopened.
        pub stall_ms: u64 = 5_000, in 500..=600_000;
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
}

fn check_stream(stream: &StreamConfig, at: &At<'_>) {
    let url = stream.url.expose_secret();
    match url.contains("://").then(|| address::parse(url)) {
        None if url.is_empty() => {
            at.wrong(&["url"], "it is empty; write it like `rtsp://camera.example/stream`");
        }
        // FFmpeg reads more than addresses.
        None => {}
        Some(Err(problem)) => at.wrong(&["url"], problem),
        Some(Ok(url)) => {
            if let Some(doubt) = address::doubt(&url) {
                at.unwise(&["url"], doubt);
            }
        }
    }
}
