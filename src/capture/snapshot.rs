//! A camera that gives one picture when it is asked: a doorbell without a stream, a camera's snapshot address.
//!
//! In: the address, how often it is asked. Out: shots dated by their arrival. It never asks again before the answer is
//! there, follows no redirect, and answers a camera that wants an account in the way it wants (Digest or Basic,
//! RFC 7616 and 7617). The address is never shown whole.

use std::thread;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tokio::runtime::Runtime;

use super::ask::{Camera, SnapshotError};
use super::jpeg;
use super::reach::reach;
use super::{About, CameraSource, CaptureError, Next, Shot, ShotTime, SkipReason, Skipped, redacted, stall_limit};
use crate::config::SnapshotConfig;

/// A camera that is asked for its pictures.
pub(super) struct Snapshot {
    runtime: Runtime,
    camera: Camera,
    /// The address without its secrets.
    address: String,
    /// From one picture to the next.
    period: Duration,
    due: Instant,
    stall: Duration,
}

impl Snapshot {
    /// Makes everything ready; the camera is asked for nothing yet.
    pub fn open(config: &SnapshotConfig, max_fps: f32) -> Result<Self, CaptureError> {
        let whole = config.url.expose_secret();
        let address = redacted(whole);
        reach(whole).map_err(|source| CaptureError::NotReached { address: address.clone(), source })?;
        let camera = Camera::new(config);
        let camera = camera.map_err(|problem| CaptureError::Unusable { address: address.clone(), problem })?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CaptureError::Thread)?;
        let fps = if max_fps > 0.0 { config.fps.min(max_fps.into()) } else { config.fps };
        Ok(Self {
            runtime,
            camera,
            period: Duration::from_secs_f64(1.0 / fps),
            due: Instant::now(),
            stall: stall_limit(config.stall_ms),
            address,
        })
    }

    fn failed(&self, error: SnapshotError) -> CaptureError {
        let address = self.address.clone();
        if self.camera.refuses(&error) {
            return CaptureError::LogInRefused { address };
        }
        CaptureError::NoSnapshot { address, hint: error.hint(), source: error }
    }
}

impl CameraSource for Snapshot {
    fn about(&self) -> About {
        About { name: self.address.clone(), fps: 0.0, unmet: Vec::new() }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        thread::sleep(self.due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        // Whatever was missed meanwhile is not made up for.
        self.due = (self.due + self.period).max(asked);
        let answer = self.runtime.block_on(async { tokio::time::timeout(self.stall, self.camera.ask()).await });
        let Ok(answer) = answer else {
            return Err(CaptureError::Stalled { waited_ms: asked.elapsed().as_millis() });
        };
        let (bytes, kind) = answer.map_err(|error| self.failed(error))?;
        match jpeg::image(&bytes) {
            Ok(image) => Ok(Next::Shot(Shot { image, time: ShotTime::Arrival, damaged: false })),
            Err(SkipReason::Undecodable) => Err(self.failed(SnapshotError::NoPicture { kind })),
            Err(SkipReason::TooLarge) => Err(self.failed(SnapshotError::TooLarge)),
            Err(reason) => Ok(Next::Skipped(Skipped { reason, what: format!("a picture of {}", self.address) })),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use faces::picture::{MAX_PHOTO_BYTES, Picture};
    use identities::trust;

    use super::*;

    /// A camera on loopback that answers each request by its header; its port.
    fn camera(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut asked = [0; 4096];
                // Whoever only looks whether there is anybody says nothing.
                let Ok(length @ 1..) = client.read(&mut asked) else { continue };
                let _ = client.write_all(&answer(&String::from_utf8_lossy(&asked[..length])));
            }
        });
        port
    }

    fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    }

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        Picture::filled(width, height, [90, 120, 140]).jpeg(90).unwrap()
    }

    fn open(url: &str) -> Result<Snapshot, CaptureError> {
        trust::crypto();
        Snapshot::open(&SnapshotConfig { fps: 30.0, stall_ms: 500, ..SnapshotConfig::new(url) }, 0.0)
    }

    fn fault(port: u16, account: &str) -> String {
        let mut source = open(&format!("http://{account}127.0.0.1:{port}/snapshot?key=hunter2")).unwrap();
        let error = source.next_shot().unwrap_err();
        let told = wording::with_causes(&error);
        assert!(!format!("{told} {error:?}").contains("hunter2"), "{told}");
        told
    }

    #[test]
    fn a_picture_is_asked_for_again_and_again_at_its_rate() {
        let port = camera(|_| answer("200 OK", "Content-Type: image/jpeg\r\n", &jpeg(64, 48)));
        let mut source = open(&format!("http://127.0.0.1:{port}/snapshot")).unwrap();
        let began = Instant::now();
        for _ in 0..7 {
            let Next::Shot(shot) = source.next_shot().unwrap() else { panic!("no picture") };
            let shape = shot.image.shape();
            assert_eq!((shape.width, shape.height), (64, 48));
        }
        assert!(began.elapsed() >= Duration::from_millis(6 * 33), "not faster than it is told to");
        assert_eq!(source.about().name, format!("http://127.0.0.1:{port}/…"));
    }

    #[test]
    fn a_camera_that_asks_who_we_are_is_answered_in_its_way() {
        for (challenge, told) in [
            ("Digest realm=\"door\", nonce=\"a1\", qop=\"auth\", algorithm=MD5", "Digest username=\"admin\""),
            ("Digest realm=\"door\", nonce=\"a1\"", "Digest username=\"admin\""),
            ("Basic realm=\"door\"", "Basic YWRtaW46aHVudGVyLzI="),
        ] {
            let port = camera(move |asked| match asked.contains(&format!("authorization: {told}")) {
                true => answer("200 OK", "", &jpeg(64, 48)),
                false => answer("401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n"), b""),
            });
            let mut source = open(&format!("http://admin:hunter%2F2@127.0.0.1:{port}/snapshot")).unwrap();
            for _ in 0..2 {
                assert!(matches!(source.next_shot(), Ok(Next::Shot(_))), "{challenge}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let large = {
            let mut jpeg = jpeg(64, 48);
            let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
            jpeg[frame + 5..][..4].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
            jpeg
        };
        let asks = || camera(|_| answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b""));
        for (what, port, account, says) in [
            ("unauthorised", asks(), "", "write a user name and a password"),
            ("with a wrong password", asks(), "admin:hunter2@", "refuses the log-in"),
            ("another path", camera(|_| answer("404 Not Found", "", b"")), "", "check the path"),
            ("moved", camera(|_| answer("302 Found", "Location: http://elsewhere/\r\n", b"")), "", "not followed"),
            (
                "a page",
                camera(|_| answer("200 OK", "Content-Type: text/html\r\n", b"<p>Login, please.</p>")),
                "",
                "what comes is `text/html`",
            ),
            ("10,000 x 10,000", camera(move |_| answer("200 OK", "", &large)), "", "smaller picture"),
            (
                "without end",
                camera(|_| answer("200 OK", "Content-Type: image/jpeg\r\n", &vec![0; MAX_PHOTO_BYTES + 1])),
                "",
                "smaller picture",
            ),
            ("no web server", camera(|_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "", "check the port"),
            (
                "slow",
                camera(|_| {
                    thread::sleep(Duration::from_secs(2));
                    answer("200 OK", "", &jpeg(64, 48))
                }),
                "",
                "no frame for",
            ),
        ] {
            let told = fault(port, account);
            assert!(told.contains(says), "{what}: {told}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let told = wording::with_causes(&open(&format!("http://127.0.0.1:{closed}/")).err().unwrap());
        assert!(told.contains("nothing listens on the port"), "{told}");
    }

    #[test]
    fn a_picture_that_is_cut_short_is_passed_over() {
        let whole = jpeg(64, 48);
        let port = camera(move |_| answer("200 OK", "", &whole[..whole.len() / 2]));
        let mut source = open(&format!("http://127.0.0.1:{port}/snapshot")).unwrap();
        let next = source.next_shot().unwrap();
        assert!(matches!(next, Next::Skipped(Skipped { reason: SkipReason::CutShort, .. })), "{next:?}");
    }
}
