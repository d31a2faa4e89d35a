//! Cameras that would have the box call somebody else: by a playlist, a redirect, an answer.
//!
//! In: a camera on 127.0.0.1 that names 127.0.0.2. Out: what the second host sees, and what is told of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use doorward::capture::CameraState;
use doorward::config::{CameraConfig, from_toml};
use ffmpeg_next::codec::Id;
use ffmpeg_next::ffi;

use super::PASSWORD;
use super::clip::Clip;
use super::support::rtsp::RtspServer;
use super::watched::{PATIENCE, Watched};

const CAMERA: &str = "127.0.0.1";
const OTHER: &str = "127.0.0.2";
const KEY: [u8; 16] = *b"sixteen letters.";

/// A host that answers over HTTP.
struct Site {
    host: &'static str,
    port: u16,
    /// The path of every request, and `-` for a connection without one.
    asked: Arc<Mutex<Vec<String>>>,
    pages: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Site {
    /// Runs until the test process ends.
    fn at(host: &'static str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let site = Self { host, port, asked: Arc::default(), pages: Arc::default() };
        let (asked, pages) = (site.asked.clone(), site.pages.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let path = requested(&client);
                asked.lock().unwrap().push(path.clone());
                let page = pages.lock().unwrap().get(&path).cloned();
                let page = page.unwrap_or_else(|| b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
                // A client that is gone needs no answer.
                let _ = (&client).write_all(&page);
            }
        });
        site
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.host, self.port)
    }

    fn page(&self, path: &str, kind: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        self.pages.lock().unwrap().insert(path.into(), [head.as_bytes(), body].concat());
    }

    fn list(&self, path: &str, lines: &str) {
        let head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2";
        self.page(path, "application/vnd.apple.mpegurl", format!("{head}\n{lines}\n").as_bytes());
    }

    /// A playlist of playlists.
    fn variants(&self, path: &str, lines: &str) {
        self.page(path, "application/vnd.apple.mpegurl", format!("#EXTM3U\n{lines}\n").as_bytes());
    }

    fn redirect(&self, path: &str, to: &str) {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        self.pages.lock().unwrap().insert(path.into(), answer.into_bytes());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn requested(client: &TcpStream) -> String {
    client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut lines, mut request) = (BufReader::new(client), String::new());
    while lines.read_line(&mut request).is_ok_and(|length| length > 2) {}
    request.split(' ').nth(1).unwrap_or("-").to_owned()
}

/// Two seconds of a stream.
fn video() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("video.ts");
    Clip::steady(Id::MPEG4, (64, 48), 50, 40).write(&file, |_| vec![90; 64 * 48 * 3]);
    std::fs::read(file).unwrap()
}

/// The same as an encrypted segment of HLS: AES-128, CBC, the vector zero, filled up as PKCS #7 says.
fn encrypted(mut plain: Vec<u8>) -> Vec<u8> {
    let fill = 16 - plain.len() % 16;
    plain.extend(std::iter::repeat_n(fill as u8, fill));
    let (mut secret, mut vector) = (plain.clone(), [0; 16]);
    // SAFETY: FFmpeg is given as many blocks as both buffers hold, and a key and a vector of the length it is told.
    unsafe {
        let cipher = ffi::av_aes_alloc();
        assert!(!cipher.is_null() && ffi::av_aes_init(cipher, KEY.as_ptr(), 128, 0) == 0);
        let blocks = plain.len() as i32 / 16;
        ffi::av_aes_crypt(cipher, secret.as_mut_ptr(), plain.as_ptr(), blocks, vector.as_mut_ptr(), 0);
        ffi::av_free(cipher.cast());
    }
    secret
}

pub fn camera(url: &str, more: &str) -> CameraConfig {
    from_toml(&format!("type = 'stream'\nurl = '{url}'\nstall_ms = 1000\n{more}")).unwrap()
}

/// The fault of a camera at this address, and that no picture of it was shown.
fn fault(name: &str, url: &str, more: &str) -> String {
    let watched = Watched::start(name, camera(url, more), Duration::ZERO);
    let state = watched.wait_for(|state| matches!(state, CameraState::Failed { .. } | CameraState::Streaming { .. }));
    let CameraState::Failed { reason, .. } = state else { panic!("{name}: {state:?}") };
    assert!(watched.stop().is_empty(), "{name}");
    reason
}

fn assert_names_the_other_host(name: &str, reason: &str, port: u16) {
    assert!(reason.contains(&format!("another host, {OTHER}, port {port}")), "{name}: {reason}");
    assert!(reason.contains(&format!("`allow_hosts = [\"{OTHER}\"]`")), "{name}: {reason}");
    assert!(!reason.contains(PASSWORD), "{name}: {reason}");
}

#[test]
fn what_http_leads_to_on_another_host_is_called_where_that_is_allowed_alone() {
    let (site, other, video) = (Site::at(CAMERA), Site::at(OTHER), video());
    let elsewhere = |path: &str| format!("http://door:{PASSWORD}@{OTHER}:{}{path}", other.port);
    for here in [&site, &other] {
        here.page("/video.ts", "video/mp2t", &video);
        here.page("/secret.ts", "video/mp2t", &encrypted(video.clone()));
        here.page("/key", "application/octet-stream", &KEY);
        here.list("/video.m3u8", "#EXTINF:2,\n/video.ts\n#EXT-X-ENDLIST");
    }
    site.list("/segment.m3u8", &format!("#EXTINF:2,\n{}\n#EXT-X-ENDLIST", elsewhere("/video.ts")));
    site.list(
        "/second.m3u8",
        &format!("#EXTINF:2,\n/video.ts\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST", elsewhere("/video.ts")),
    );
    let vector = format!("IV=0x{}", "0".repeat(32));
    let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{}\",{vector}\n#EXTINF:2,\n/secret.ts", elsewhere("/key"));
    site.list("/key.m3u8", &format!("{key}\n#EXT-X-ENDLIST"));
    let secret = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"/key\",{vector}\n#EXTINF:2,\n{}", elsewhere("/secret.ts"));
    site.list("/encrypted.m3u8", &format!("{secret}\n#EXT-X-ENDLIST"));
    let map = format!("#EXT-X-MAP:URI=\"{}\"\n#EXTINF:2,\n/video.ts\n#EXT-X-ENDLIST", elsewhere("/video.ts"));
    site.list("/map.m3u8", &map);
    site.variants("/variant.m3u8", &format!("#EXT-X-STREAM-INF:BANDWIDTH=1000000\n{}", elsewhere("/video.m3u8")));
    site.redirect("/redirect", &elsewhere("/video.ts"));
    site.redirect("/redirect.ts", &elsewhere("/video.ts"));
    site.list("/redirected.m3u8", "#EXTINF:2,\n/redirect.ts\n#EXT-X-ENDLIST");
    let ways =
        ["segment.m3u8", "key.m3u8", "encrypted.m3u8", "map.m3u8", "variant.m3u8", "redirect", "redirected.m3u8"];
    for way in ways {
        let url = site.url(&format!("/{way}"));
        let name = way.replace('.', "-");
        assert_names_the_other_host(way, &fault(&name, &url, ""), other.port);
        assert_eq!(other.asked(), [""; 0], "{way}: the other host was called");
        let port = format!("allow_hosts = ['{OTHER}:1', 'media.example']");
        assert_names_the_other_host(way, &fault(&format!("{name}-port"), &url, &port), other.port);
        assert_eq!(other.asked(), [""; 0], "{way}: the other host was called");
    }
    // What is refused while it streams ends the stream as well.
    let second = Watched::start("second", camera(&site.url("/second.m3u8"), ""), Duration::ZERO);
    let state = second.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let CameraState::Failed { reason, .. } = state else { unreachable!() };
    assert_names_the_other_host("second", &reason, other.port);
    second.stop();
    assert_eq!(other.asked(), [""; 0]);
    for (n, way) in ways.into_iter().enumerate() {
        let with_port = format!("{OTHER}:{}", other.port);
        let allowed = [OTHER, "127.0.0.0/30", &with_port][n % 3];
        let config = camera(&site.url(&format!("/{way}")), &format!("allow_hosts = ['{allowed}']"));
        let watched = Watched::start(&format!("{n}-allowed"), config, Duration::ZERO);
        watched.wait_for_frames(5);
        watched.stop();
        assert!(!other.asked().is_empty(), "{way}");
        other.asked.lock().unwrap().clear();
    }
}

#[test]
fn a_cameras_own_host_may_lead_to_itself() {
    let (site, beside, video) = (Site::at(CAMERA), Site::at(CAMERA), video());
    beside.page("/video.ts", "video/mp2t", &video);
    site.page("/key", "application/octet-stream", &KEY);
    site.page("/secret.ts", "video/mp2t", &encrypted(video.clone()));
    site.redirect("/moved", &beside.url("/video.ts"));
    site.list("/plain.m3u8", &format!("#EXTINF:2,\n{}\n#EXT-X-ENDLIST", beside.url("/video.ts")));
    let vector = format!("IV=0x{}", "0".repeat(32));
    let key = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"/key\",{vector}\n#EXTINF:2,\n/secret.ts\n#EXT-X-ENDLIST");
    site.list("/key.m3u8", &key);
    for way in ["moved", "plain.m3u8", "key.m3u8"] {
        let url = site.url(&format!("/{way}"));
        let watched = Watched::start(&format!("own-{}", way.replace('.', "-")), camera(&url, ""), Duration::ZERO);
        watched.wait_for_frames(5);
        watched.stop();
    }
}

#[test]
fn of_several_sizes_the_one_that_is_wanted_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::at(CAMERA);
    for (name, size) in [("small", (64, 48)), ("large", (192, 144))] {
        for part in 0..6 {
            let file = folder.path().join(format!("{name}-{part}.ts"));
            let stamps_ms = (0..25).map(|frame| part * 1000 + frame * 40).collect();
            let clip = Clip { stamps_ms, ..Clip::steady(Id::MPEG4, size, 0, 40) };
            clip.write(&file, |_| vec![90; (size.0 * size.1 * 3) as usize]);
            site.page(&format!("/{name}-{part}.ts"), "video/mp2t", &std::fs::read(file).unwrap());
        }
        let parts: Vec<String> = (0..6).map(|part| format!("#EXTINF:1,\n{name}-{part}.ts")).collect();
        site.list(&format!("/{name}.m3u8"), &format!("{}\n#EXT-X-ENDLIST", parts.join("\n")));
    }
    let variant = |bits, size, name| format!("#EXT-X-STREAM-INF:BANDWIDTH={bits},RESOLUTION={size}\n{name}.m3u8");
    site.variants("/both.m3u8", &[variant(900_000, "192x144", "large"), variant(90_000, "64x48", "small")].join("\n"));
    for (more, size, other) in [
        ("", (192, 144), "small"),
        ("height_px = 48", (64, 48), "large"),
        ("height_px = 49", (192, 144), "small"),
        ("height_px = 720", (192, 144), "small"),
    ] {
        let before = site.asked().len();
        let name = format!("sizes{}", more.replace(|c: char| !c.is_ascii_digit(), ""));
        let watched = Watched::start(&name, camera(&site.url("/both.m3u8"), more), Duration::ZERO);
        watched.wait_for_frames(125);
        let frames = watched.stop();
        assert!(frames.iter().all(|it| (it.picture.width(), it.picture.height()) == size), "{more}");
        // Of the other the beginning is looked at, and no more.
        let asked = site.asked().split_off(before);
        let later = |path: &String| (2..6).any(|part| path.ends_with(&format!("{other}-{part}.ts")));
        assert!(!asked.iter().any(later), "{more}: {asked:?}");
    }
}

#[test]
fn an_address_without_a_host_is_not_this_machine() {
    let site = Site::at(OTHER);
    site.redirect("/moved", "http:///video.ts");
    let reason = fault("no-host", &site.url("/moved"), "");
    assert!(reason.contains("another host, localhost, port 80"), "{reason}");
}

#[test]
fn a_format_that_names_other_addresses_is_not_opened() {
    let (site, other, video) = (Site::at(CAMERA), Site::at(OTHER), video());
    for here in [&site, &other] {
        here.page("/video.ts", "video/mp2t", &video);
    }
    let dash = |base: &Site| {
        format!(
            "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             profiles=\"urn:mpeg:dash:profile:isoff-main:2011\" mediaPresentationDuration=\"PT2S\">\n<Period>\
             <AdaptationSet mimeType=\"video/mp2t\"><Representation id=\"1\" bandwidth=\"1000\"><BaseURL>{}</BaseURL>\
             <SegmentList duration=\"2\"><SegmentURL media=\"/video.ts\"/></SegmentList></Representation>\
             </AdaptationSet></Period></MPD>\n",
            base.url("/")
        )
    };
    site.page("/other.mpd", "application/dash+xml", dash(&other).as_bytes());
    site.page("/own.mpd", "application/dash+xml", dash(&site).as_bytes());
    let concat = format!("ffconcat version 1.0\nfile {}\n", other.url("/video.ts"));
    site.page("/concat", "text/plain", concat.as_bytes());
    let sdp = format!("v=0\no=- 0 0 IN IP4 {OTHER}\ns=x\nc=IN IP4 {OTHER}\nt=0 0\nm=video 5004 RTP/AVP 33\n");
    site.page("/camera.sdp", "application/sdp", sdp.as_bytes());
    for way in ["other.mpd", "own.mpd", "concat", "camera.sdp"] {
        let allowed = format!("allow_hosts = ['{OTHER}']");
        for (n, more) in ["", &allowed].into_iter().enumerate() {
            let name = format!("{}-{n}", way.replace('.', "-"));
            let reason = fault(&name, &site.url(&format!("/{way}")), more);
            assert!(reason.contains("what comes is no video"), "{way}: {reason}");
        }
    }
    assert_eq!(other.asked(), [""; 0]);
    assert!(!site.asked().contains(&"/video.ts".to_owned()), "{:?}", site.asked());
}

#[test]
fn a_playlist_opens_no_file_and_no_other_protocol() {
    let (site, other) = (Site::at(CAMERA), Site::at(OTHER));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.ts");
    std::fs::write(&file, video()).unwrap();
    let (file, port) = (file.display(), other.port);
    for (n, segment) in [
        format!("file://{file}"),
        format!("file:{file}"),
        format!("subfile,,start,0,end,0,,:{file}"),
        format!("concat:{file}|{file}"),
        format!("concat:http://{OTHER}:{port}/video.ts"),
        format!("crypto+file://{file}"),
        format!("cache:http://{OTHER}:{port}/video.ts"),
        format!("async:http://{OTHER}:{port}/video.ts"),
        format!("tcp://{OTHER}:{port}"),
        format!("rtmp://{OTHER}:{port}/live"),
        format!("ftp://{OTHER}:{port}/video.ts"),
        "data:video/mp2t;base64,R0AAEAAAsA0AAcEAAAAB8AA=".to_owned(),
        "pipe:0".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        site.list(&format!("/{n}.m3u8"), &format!("#EXTINF:2,\n{segment}\n#EXT-X-ENDLIST"));
        fault(&format!("protocol-{n}"), &site.url(&format!("/{n}.m3u8")), "");
    }
    site.redirect("/file", &format!("file://{file}"));
    fault("redirect-to-a-file", &site.url("/file"), "");
    assert_eq!(other.asked(), [""; 0]);
}

/// A server that speaks RTSP as far as it is asked to here: what it answers to a method, after the first line of which
/// the number of the request is put.
fn rtsp(answer: impl Fn(&str, &str) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind((CAMERA, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut lines = BufReader::new(&client);
            loop {
                let mut request = String::new();
                while lines.read_line(&mut request).is_ok_and(|length| length > 2) {}
                let Some(method) = request.split(' ').next().filter(|method| !method.is_empty()) else { break };
                let number = request.lines().find(|line| line.starts_with("CSeq:")).unwrap();
                let reply = answer(method, &request).replacen('\n', &format!("\r\n{number}\r\n"), 1);
                if write!(&client, "RTSP/1.0 {reply}").is_err() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn an_rtsp_camera_sends_the_box_to_another_host_where_that_is_allowed_alone() {
    let server = RtspServer::start(&["--address", OTHER]);
    let (to, seen) = (server.port, Site::at(OTHER));
    let redirects = |port: u16| {
        let port = rtsp(move |_, _| format!("302 Moved\nLocation: rtsp://door:{PASSWORD}@{OTHER}:{port}/door\r\n\r\n"));
        format!("rtsp://{CAMERA}:{port}/door")
    };
    for transport in ["tcp", "udp"] {
        let more = format!("transport = '{transport}'");
        let reason = fault(&format!("rtsp-redirect-{transport}"), &redirects(seen.port), &more);
        assert_names_the_other_host(transport, &reason, seen.port);
        assert_eq!(seen.asked(), [""; 0]);
        let config = camera(&redirects(to), &format!("{more}\nallow_hosts = ['{OTHER}']"));
        let watched = Watched::start(&format!("rtsp-allowed-{transport}"), config, Duration::ZERO);
        watched.wait_for_frames(3);
        watched.stop();
    }
}

#[test]
fn an_rtsp_camera_that_says_it_sends_from_another_host_makes_the_box_send_nothing_there() {
    let other = UdpSocket::bind((OTHER, 0)).unwrap();
    other.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let sends = other.local_addr().unwrap().port();
    let port = rtsp(move |method, request| match method {
        "DESCRIBE" => {
            let sdp = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track\r\n";
            format!("200 OK\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
        }
        "SETUP" => {
            let ports = request.split("client_port=").nth(1).unwrap().lines().next().unwrap();
            format!(
                "200 OK\nSession: 1\r\nTransport: RTP/AVP;unicast;client_port={ports};source={OTHER};\
                 server_port={sends}-{}\r\n\r\n",
                sends.wrapping_add(1)
            )
        }
        _ => "200 OK\nSession: 1\r\nPublic: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".into(),
    });
    let reason = fault("rtsp-source", &format!("rtsp://{CAMERA}:{port}/door"), "transport = 'udp'");
    assert_names_the_other_host("source", &reason, sends);
    assert!(other.recv(&mut [0; 64]).is_err(), "the other host was sent something");
}

/// What the program's own page answers.
fn get(port: u16, path: &str) -> Option<String> {
    let mut page = TcpStream::connect((CAMERA, port)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {CAMERA}:{port}\r\nConnection: close\r\n\r\n");
    page.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    page.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Runs the program with one camera until its health says this, and gives that and its log.
fn health_of(folder: &Path, url: &str, says: &str) -> (String, String) {
    let page = TcpListener::bind((CAMERA, 0)).unwrap().local_addr().unwrap().port();
    std::fs::create_dir(folder.join("detectors")).unwrap();
    let main = format!(
        "state_dir = '{}/state'\n[status]\nlisten = '{CAMERA}:{page}'\n[identities]\nurl = 'http://{CAMERA}:1'\n\
         username = 'box'\npassword = 'x'\n",
        folder.display()
    );
    std::fs::write(folder.join("doorward.toml"), main).unwrap();
    let door = format!("time_zone = 'UTC'\n[camera]\ntype = 'stream'\nstall_ms = 1000\nurl = '{url}'\n");
    std::fs::write(folder.join("detectors/door.toml"), door).unwrap();
    let log = folder.join("log");
    let mut program = Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["run", "--config"])
        .arg(folder.join("doorward.toml"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let health = loop {
        match get(page, "/health") {
            Some(health) if health.contains(says) || began.elapsed() > PATIENCE => break health,
            None if began.elapsed() > PATIENCE => break String::new(),
            _ => thread::sleep(Duration::from_millis(50)),
        }
    };
    program.kill().unwrap();
    program.wait().unwrap();
    (health, std::fs::read_to_string(log).unwrap())
}

#[test]
fn the_journal_and_the_health_page_name_the_host_that_was_not_called() {
    let (site, other) = (Site::at(CAMERA), Site::at(OTHER));
    site.redirect("/live", &format!("http://door:{PASSWORD}@{OTHER}:{}/video.ts", other.port));
    let url = format!("http://door:{PASSWORD}@{CAMERA}:{}/live", site.port);
    let folder = tempfile::tempdir().unwrap();
    let (health, log) = health_of(folder.path(), &url, "allow_hosts");
    for told in [&health, &log] {
        assert!(told.contains(&format!("another host, {OTHER}, port {}", other.port)), "{told}");
        assert!(told.contains("allow_hosts = [") && !told.contains(PASSWORD), "{told}");
    }
    assert_eq!(other.asked(), [""; 0]);
}
