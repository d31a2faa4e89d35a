//! Encrypted streams, and whom they are believed to be from.
//!
//! In: an RTSP server and a web server on loopback, with certificates made on the spot. Out: whether their pictures are
//! seen, what is told where they are not, and that who is not believed is told nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use doorward::capture::CameraState;
use ffmpeg_next::codec::Id;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::PASSWORD;
use super::clip::Clip;
use super::commands;
use super::elsewhere::camera;
use super::support::rtsp::RtspServer;
use super::watched::{Watched, metric};
use super::web::WebServer;

/// A certificate that vouches for itself, as cameras make them.
pub struct Certificate {
    /// With its key, as a server reads it.
    server: PathBuf,
    /// Without, as `ca_file`.
    public: PathBuf,
    pin: String,
}

impl Certificate {
    pub fn new(folder: &Path, file: &str, name: &str, ends: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(ends, 2, 3);
        let certificate = params.self_signed(&key).unwrap().pem();
        let (server, public) = (folder.join(format!("{file}.key")), folder.join(format!("{file}.pem")));
        std::fs::write(&server, format!("{certificate}{}", key.serialize_pem())).unwrap();
        std::fs::write(&public, certificate).unwrap();
        Self { server, public, pin: BASE64_STANDARD.encode(Sha256::digest(key.subject_public_key_info())) }
    }

    pub fn as_option(&self) -> [&str; 2] {
        ["--certificate", self.server.to_str().unwrap()]
    }

    pub fn by_file(&self) -> String {
        format!("ca_file = '{}'", self.public.display())
    }

    pub fn by_pin(&self) -> String {
        format!("pin_sha256 = ['{}']", self.pin)
    }
}

/// The fault of a camera at this address that says this, and that no picture of it was shown.
fn fault(name: &str, url: &str, more: &str, says: &str) -> String {
    let watched = Watched::start(name, camera(url, more), Duration::ZERO);
    // On a busy machine others may come before it.
    let state = watched.wait_for(|state| match state {
        CameraState::Failed { reason, .. } => reason.contains(says),
        state => matches!(state, CameraState::Streaming { .. }),
    });
    let CameraState::Failed { reason, .. } = state else { panic!("{name}: {state:?}") };
    assert!(watched.stop().is_empty(), "{name}");
    assert!(!reason.contains(PASSWORD), "{name}: {reason}");
    reason
}

/// A folder with two seconds of a stream.
fn videos() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    Clip::steady(Id::MPEG4, (64, 48), 50, 40).write(&folder.path().join("video.ts"), |_| vec![90; 64 * 48 * 3]);
    folder
}

fn list(folder: &Path, name: &str, segment: &str) {
    let head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,";
    std::fs::write(folder.join(name), format!("{head}\n{segment}\n#EXT-X-ENDLIST\n")).unwrap();
}

#[test]
fn an_rtsps_camera_is_seen_and_seen_again_by_whoever_trusts_it() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "camera", "127.0.0.1", 2041);
    let account = ["--user", "admin", "--password", PASSWORD];
    let server = RtspServer::start(&[&account[..], &certificate.as_option()].concat());
    let url = format!("rtsps://admin:{PASSWORD}@127.0.0.1:{}/door", server.port);
    let cameras = [
        ("rtsps-pin", certificate.by_pin()),
        ("rtsps-both", format!("{}\n{}", certificate.by_file(), certificate.by_pin())),
        ("rtsps-unchecked", String::new()),
    ]
    .map(|(name, trust)| (name, Watched::start(name, camera(&url, &trust), Duration::ZERO)));
    cameras.iter().for_each(|(_, camera)| camera.wait_for_frames(5));
    let port = server.port.to_string();
    server.kill();
    for (_, camera) in &cameras {
        camera.wait_for(|state| matches!(state, CameraState::Failed { tries, .. } if *tries >= 2));
    }
    let again = ["--port", &port];
    let _server = RtspServer::start(&[&account[..], &certificate.as_option(), &again].concat());
    for (name, camera) in cameras {
        let seen = camera.frames.lock().unwrap().len();
        camera.wait_for_frames(seen + 5);
        assert!(camera.stop().iter().all(|frame| frame.picture.width() == 320), "{name}");
        assert!(metric(&format!("doorward_capture_reconnects_total{{detector=\"{name}\"}}")) >= 2.0, "{name}");
    }
}

#[test]
fn who_is_not_trusted_is_told_nothing_and_the_fault_says_why() {
    let (folder, videos) = (tempfile::tempdir().unwrap(), videos());
    let good = Certificate::new(folder.path(), "good", "127.0.0.1", 2041);
    let other = Certificate::new(folder.path(), "other", "127.0.0.1", 2041);
    let misnamed = Certificate::new(folder.path(), "misnamed", "camera.example", 2041);
    let over = Certificate::new(folder.path(), "over", "127.0.0.1", 2020);
    for (row, shown, trusted, says) in [
        ("authority", &good, other.by_file(), "the authority they know by that name has not signed it".to_owned()),
        ("name", &misnamed, misnamed.by_file(), "it is for other names than this one".into()),
        ("expired", &over, over.by_file(), "it has expired".into()),
        ("pin", &good, other.by_pin(), format!("the server's key is {}, which `pin_sha256` does not name", good.pin)),
        ("pin-without-file", &good, format!("{}\n{}", other.by_file(), good.by_pin()), "has not signed it".into()),
    ] {
        let server = WebServer::start(videos.path(), &shown.as_option());
        // A handshake is the same whatever is asked for after it.
        for scheme in ["https", "rtsps"] {
            let url = format!("{scheme}://admin:{PASSWORD}@127.0.0.1:{}/video.ts?token={PASSWORD}", server.port);
            let told = fault(&format!("{scheme}-{row}"), &url, &trusted, &says);
            let advice = format!("`doorward identities trust https://127.0.0.1:{}`", server.port);
            assert!(told.contains(&advice), "{told}");
        }
        assert_eq!(server.requests(), [""; 0], "{row}");
    }
    // Without either, it is as unchecked as ever.
    let server = WebServer::start(videos.path(), &misnamed.as_option());
    let url = format!("https://admin:{PASSWORD}@127.0.0.1:{}/video.ts", server.port);
    for (name, trust) in [("https-unchecked", String::new()), ("https-pin", misnamed.by_pin())] {
        let watched = Watched::start(name, camera(&url, &trust), Duration::ZERO);
        watched.wait_for_frames(5);
        watched.stop();
    }
    fault("no-file", &url, "ca_file = '/nowhere/ca.pem'", "cannot read /nowhere/ca.pem, which `ca_file` names");
}

#[test]
fn what_speaks_no_tls_is_said_to() {
    let videos = videos();
    let server = WebServer::start(videos.path(), &[]);
    let rtsp = RtspServer::start(&[]);
    for (name, url) in [
        ("no-tls-https", format!("https://127.0.0.1:{}/video.ts", server.port)),
        ("no-tls-rtsps", format!("rtsps://127.0.0.1:{}/door", rtsp.port)),
    ] {
        fault(name, &url, "", "speaks no TLS");
    }
}

#[test]
fn where_certificates_are_checked_everything_is_fetched_from_the_trusted_alone() {
    let (folder, videos) = (tempfile::tempdir().unwrap(), videos());
    let (good, bad) = (
        Certificate::new(folder.path(), "good", "127.0.0.1", 2041),
        Certificate::new(folder.path(), "bad", "127.0.0.2", 2041),
    );
    let site = WebServer::start(videos.path(), &good.as_option());
    let other = WebServer::start(videos.path(), &[&["--address", "127.0.0.2"], &bad.as_option()[..]].concat());
    let plain = WebServer::start(videos.path(), &[]);
    let elsewhere = format!("https://door:{PASSWORD}@127.0.0.2:{}/video.ts", other.port);
    let unencrypted = format!("http://127.0.0.1:{}/video.ts", plain.port);
    list(videos.path(), "own.m3u8", "video.ts");
    list(videos.path(), "other.m3u8", &elsewhere);
    list(videos.path(), "plain.m3u8", &unencrypted);
    let trust = format!("allow_hosts = ['127.0.0.2']\n{}", good.by_file());
    let at = |path: &str| format!("https://127.0.0.1:{}/{path}", site.port);
    let watched = Watched::start("https-own", camera(&at("own.m3u8"), &trust), Duration::ZERO);
    watched.wait_for_frames(5);
    watched.stop();
    for (name, path, says) in [
        ("https-list", "other.m3u8".to_owned(), "that 127.0.0.2, port"),
        ("https-redirect", format!("to/{elsewhere}"), "that 127.0.0.2, port"),
        ("https-to-http-list", "plain.m3u8".to_owned(), "not on whitelist"),
        ("https-to-http-redirect", format!("to/{unencrypted}"), "speaks no TLS"),
    ] {
        fault(name, &at(&path), &trust, says);
    }
    assert_eq!(other.requests(), [""; 0]);
    assert!(plain.requests().iter().all(|line| !line.contains(PASSWORD)));
}

#[test]
fn the_check_says_of_an_encrypted_stream_whether_anybody_looks_who_sends_it() {
    let pin = BASE64_STANDARD.encode([7; 32]);
    for (url, more, says) in [
        ("rtsps://admin:hunter2@camera.example/door", "", "identities trust https://camera.example:322`"),
        ("https://camera.example/door", "", "identities trust https://camera.example:443`"),
        ("rtsps://[fe80::1]:8322/door", "", "identities trust https://[fe80::1]:8322`"),
        ("rtsp://camera.example/door", &format!("pin_sha256 = ['{pin}']"), "leave out `ca_file` and `pin_sha256`"),
    ] {
        let told = commands::check(&format!("type = 'stream'\nurl = '{url}'\n{more}"));
        assert!(told.contains(says) && !told.contains("hunter2"), "{url}: {told}");
    }
    for (url, more) in [
        ("rtsps://camera.example/door", format!("pin_sha256 = ['{pin}']")),
        ("https://camera.example/door", "ca_file = '/etc/ssl/certs/ca-certificates.crt'".to_owned()),
        ("rtsp://camera.example/door", String::new()),
    ] {
        let told = commands::check(&format!("type = 'stream'\nurl = '{url}'\n{more}"));
        assert!(!told.contains("pin_sha256"), "{url}: {told}");
    }
}
