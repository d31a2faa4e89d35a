//! A network camera: RTSP, HTTP MJPEG, or any address FFmpeg reads, through OpenCV.
//!
//! In: the address and how long a silence may last. Out: shots dated by their arrival; the camera's own clock is not
//! ours. It always reads, so nothing piles up on the way, and it never shows the address whole.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use url::Url;

use super::transport;
use super::video::{Read, Video};
use super::{About, CameraSource, CaptureError, Next, Shot, ShotTime, Skipped, open_limit, redacted, stall_limit};
use crate::config::StreamConfig;

/// An open stream.
pub(super) struct Stream {
    video: Video,
    /// The address without its secrets.
    address: String,
    stall: Duration,
    /// A file on this machine: it has an end, which is no fault.
    finite: bool,
}

/// How long the camera's host gets to answer when its stream could not be opened and we want to know why.
const PROBE: Duration = Duration::from_secs(2);

impl Stream {
    /// Connects, and waits until the decoder has seen enough of the stream to know its format.
    pub fn open(config: &StreamConfig) -> Result<Self, CaptureError> {
        let url = config.url.expose_secret();
        let address = redacted(url);
        let stall = stall_limit(config.stall_ms);
        let opened = {
            let _choice = transport::choose(config.transport);
            Video::open(url, Some((open_limit(stall), stall)))?
        };
        let Some(mut video) = opened else { return Err(why_not(&address)) };
        video.decode_jpegs_here();
        let finite = Path::new(url.strip_prefix("file://").unwrap_or(url)).is_file();
        Ok(Self { video, address, stall, finite })
    }
}

impl CameraSource for Stream {
    fn about(&self) -> About {
        About { name: self.address.clone(), fps: self.video.fps().unwrap_or(0.0) as f32 }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let asked = Instant::now();
        match self.video.read() {
            Read::Picture(picture) => Ok(Next::Shot(Shot { picture, time: ShotTime::Arrival, damaged: false })),
            Read::Unusable(reason) => {
                Ok(Next::Skipped(Skipped { reason, what: format!("a frame of {}", self.address) }))
            }
            Read::Nothing if self.finite => Ok(Next::End),
            Read::Nothing if asked.elapsed() >= self.stall => {
                Err(CaptureError::Stalled { waited_ms: asked.elapsed().as_millis() })
            }
            Read::Nothing => Err(CaptureError::BrokeOff { address: self.address.clone() }),
        }
    }
}

/// FFmpeg does not say why it cannot open a stream; whether anybody answers at all is what the operator asks first.
fn why_not(address: &str) -> CaptureError {
    let Some((host, port)) = host_and_port(address) else {
        return CaptureError::NoVideo { address: address.into() };
    };
    match answers(&host, port) {
        Ok(()) => CaptureError::NoVideo { address: address.into() },
        Err(source) => CaptureError::NoAnswer { address: address.into(), source },
    }
}

/// Host and port of a redacted address, the scheme's usual port when it names none.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let url = Url::parse(address).ok().filter(|_| !address.contains("://…"))?;
    let port = url.port_or_known_default().or(match url.scheme() {
        "rtsp" | "rtspu" => Some(554),
        "rtsps" => Some(322),
        "rtmp" => Some(1935),
        _ => None,
    })?;
    Some((url.host_str()?.trim_matches(['[', ']']).into(), port))
}

fn answers(host: &str, port: u16) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PROBE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::RtspTransport;

    #[test]
    fn the_hosts_usual_port_is_asked() {
        for (address, expected) in [
            ("rtsp://cam/…", Some(("cam", 554))),
            ("rtsps://cam:7000/…", Some(("cam", 7000))),
            ("http://10.0.0.5/…", Some(("10.0.0.5", 80))),
            ("https://[fe80::1]/…", Some(("fe80::1", 443))),
            ("rtsp://…", None),
            ("…", None),
            ("srt://cam/…", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(host_and_port(address), expected, "{address}");
        }
    }

    #[test]
    fn a_stream_that_does_not_open_says_what_to_look_at_and_keeps_the_password() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let open = silent.local_addr().unwrap().port();
        for (port, hint) in [(closed, "nothing answers at"), (open, "check the path, the user name and the password")] {
            let url = format!("http://admin:hunter2@127.0.0.1:{port}/video?token=hunter2").into();
            let config = StreamConfig { url, transport: RtspTransport::Tcp, stall_ms: 200 };
            let error = Stream::open(&config).err().unwrap();
            let text = wording::with_causes(&error);
            assert!(text.contains(hint) && text.contains(&format!("127.0.0.1:{port}")), "{text}");
            assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
        }
    }
}
