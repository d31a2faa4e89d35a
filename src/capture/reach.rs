//! Whether anything answers at a camera's address, before a decoder goes there.
//!
//! In: the host and port of an address. Out: nothing, or which of the steps to a connection did not work: each needs
//! something else to be done. A connection that is not answered is given up soon and tried again: the system asks again
//! after one, three and seven seconds, and a camera that has just come back would have to wait for that.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use url::Url;

/// A camera answers within milliseconds, one behind a mobile network within half a second.
const ANSWER: Duration = Duration::from_millis(1_000);

/// Why nothing can be asked of a camera. The texts show nothing of its address: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    #[error("nobody knows its name")]
    NoName(#[source] io::Error),
    #[error("the machine is there, and nothing listens on the port")]
    NothingListens,
    #[error("nothing answers at its address")]
    NoAnswer(#[source] io::Error),
}

impl Unreached {
    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoName(_) => "check the name, and whether this machine reaches its DNS server",
            Self::NothingListens => {
                "check the port, and whether the camera's stream is switched on; it may be starting"
            }
            Self::NoAnswer(_) => "check the address, the network, and that the camera is on",
        }
    }
}

/// The port a camera listens on for such an address when it names none; `None` for what is no TCP connection.
fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "rtsp" => 554,
        "rtsps" => 322,
        "http" | "rtmpt" | "rtmpte" => 80,
        "https" | "rtmps" | "rtmpts" => 443,
        "rtmp" | "rtmpe" => 1935,
        _ => return None,
    })
}

/// Connects, and hangs up at once. `Ok` also where this cannot tell.
pub(super) fn reach(url: &str) -> Result<(), Unreached> {
    let Ok(url) = Url::parse(url) else { return Ok(()) };
    let (Some(host), Some(port)) = (url.host_str(), url.port().or_else(|| default_port(url.scheme()))) else {
        return Ok(());
    };
    if default_port(url.scheme()).is_none() && url.scheme() != "tcp" {
        return Ok(());
    }
    let host = host.trim_matches(['[', ']']);
    let mut failed = Unreached::NoName(ErrorKind::NotFound.into());
    for address in (host, port).to_socket_addrs().map_err(Unreached::NoName)? {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => failed = Unreached::NothingListens,
            Err(error) => failed = Unreached::NoAnswer(error),
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn each_step_to_a_connection_fails_in_its_own_words() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let at = |address: &str| reach(&address.replace("PORT", &port.to_string()));
        assert!(at("rtsp://admin:pa%2Fss@localhost:PORT/stream").is_ok());
        assert!(at("udp://127.0.0.1:PORT").is_ok() && at("/dev/video0").is_ok() && at("rtsp://").is_ok());
        drop(listener);
        assert!(matches!(at("http://127.0.0.1:PORT/"), Err(Unreached::NothingListens)));
        assert!(matches!(at("tcp://[::1]:PORT/"), Err(Unreached::NothingListens | Unreached::NoAnswer(_))));
        assert!(matches!(at("rtsp://no-such-camera.invalid/"), Err(Unreached::NoName(_))));
    }
}
