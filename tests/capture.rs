//! Cameras against the real thing: an RTSP server and a misbehaving MJPEG server on loopback, and real recordings.
//!
//! In: `capture::run` with a camera's configuration, as the agent calls it. Out: what its frames, its state and its
//! metrics say while the camera hangs, sends rubbish, goes away and comes back.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use doorward::capture::{self, CameraState};
use doorward::config::{CameraConfig, DetectorConfig, DetectorName, Pace, ReplayConfig, RtspTransport, StreamConfig};
use faces::picture::Picture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[allow(dead_code)] // what is damaged and turned is for other tests
#[path = "support/clip.rs"]
mod clip;
#[path = "capture/commands.rs"]
mod commands;
#[path = "capture/elsewhere.rs"]
mod elsewhere;
#[path = "capture/hls.rs"]
mod hls;
#[path = "capture/motion_jpeg.rs"]
mod motion_jpeg;
mod support;
#[path = "capture/trusted.rs"]
mod trusted;
#[path = "capture/watched.rs"]
mod watched;
#[path = "capture/web.rs"]
mod web;
use support::rtsp::RtspServer;
use support::shared;
use watched::{PATIENCE, Watched, metric};

const PASSWORD: &str = "hunter2";

#[test]
fn an_rtsp_camera_that_goes_away_and_comes_back_is_seen_again() {
    let server = RtspServer::start(&["--user", "admin", "--password", PASSWORD]);
    let url = format!("rtsp://admin:{PASSWORD}@127.0.0.1:{}/door", server.port);
    let camera = Watched::start("comes-back", stream(&url, RtspTransport::Tcp), Duration::ZERO);
    camera.wait_for_frames(10);
    let CameraState::Streaming { size, source, .. } = camera.state() else { panic!("{:?}", camera.state()) };
    assert_eq!((size, &*source), ((320, 240), &*format!("rtsp://127.0.0.1:{}/…", server.port)));
    let first = camera.frames.lock().unwrap()[0].picture.clone();
    assert_bars(&first);

    let port = server.port;
    server.kill();
    let state = camera.wait_for(|state| matches!(state, CameraState::Failed { tries, .. } if *tries >= 2));
    assert!(!format!("{state:?}").contains(PASSWORD), "{state:?}");
    assert!(format!("{state:?}").contains("nothing listens on the port"), "{state:?}");

    let seen = camera.frames.lock().unwrap().len();
    let _server = RtspServer::start(&["--user", "admin", "--password", PASSWORD, "--port", &port.to_string()]);
    camera.wait_for_frames(seen + 10);
    assert!(matches!(camera.state(), CameraState::Streaming { .. }));
    assert!(metric("doorward_capture_reconnects_total{detector=\"comes-back\"}") >= 2.0);
    let frames = camera.stop();
    assert!(frames.windows(2).all(|pair| pair[0].seq < pair[1].seq), "numbers go on across connections");
    assert!(frames.windows(2).all(|pair| pair[0].time.offset <= pair[1].time.offset), "the clock never goes back");
    assert!(metric("doorward_capture_frames_total{detector=\"comes-back\"}") >= frames.len() as f64);
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let server = RtspServer::start(&["--user", "admin", "--password", "another"]);
    let url = format!("rtsp://admin:{PASSWORD}@127.0.0.1:{}/door", server.port);
    let camera = Watched::start("wrong-password", stream(&url, RtspTransport::Tcp), Duration::ZERO);
    let state = camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let text = format!("{state:?}");
    assert!(text.contains("check the user name and the password"), "{text}");
    assert!(text.contains(&server.port.to_string()) && !text.contains(PASSWORD), "{text}");
    assert!(camera.stop().is_empty());
}

#[test]
fn the_transport_is_the_configured_one() {
    let (only_tcp, only_udp) = (RtspServer::start(&["--transport", "tcp"]), RtspServer::start(&["--transport", "udp"]));
    let url = |server: &RtspServer| format!("rtsp://127.0.0.1:{}/door", server.port);
    let refused = Watched::start("udp-to-tcp", stream(&url(&only_tcp), RtspTransport::Udp), Duration::ZERO);
    let udp = Watched::start("udp-to-udp", stream(&url(&only_udp), RtspTransport::Udp), Duration::ZERO);
    // By name: its packets come from an address.
    let by_name = format!("rtsp://localhost:{}/door", only_udp.port);
    let by_name = Watched::start("udp-by-name", stream(&by_name, RtspTransport::Udp), Duration::ZERO);
    let tcp = Watched::start("tcp-to-tcp", stream(&url(&only_tcp), RtspTransport::Tcp), Duration::ZERO);
    udp.wait_for_frames(3);
    by_name.wait_for_frames(3);
    tcp.wait_for_frames(3);
    refused.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    assert!(refused.stop().is_empty(), "a camera that only speaks TCP must have been asked for UDP");
}

#[test]
fn whatever_an_mjpeg_camera_does_it_is_asked_again() {
    let server = MjpegServer::start();
    let cameras: Vec<_> = ["stall", "garbage", "close", "refuse"]
        .map(|trick| (trick, Watched::start(trick, stream(&server.url(trick), RtspTransport::Tcp), Duration::ZERO)))
        .into();
    for (trick, camera) in &cameras {
        let state = camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
        assert!(!format!("{state:?}").contains(PASSWORD), "{state:?}");
        if *trick != "refuse" {
            // Each connection gives FRAMES pictures before its trick, so more of them need more than one.
            camera.wait_for_frames(2 * MjpegServer::FRAMES + 1);
        }
        let reconnects = format!("doorward_capture_reconnects_total{{detector=\"{trick}\"}}");
        camera.until(|| metric(&reconnects) >= 2.0, || format!("{trick}: {} reconnects", metric(&reconnects)));
    }
    for (trick, camera) in cameras {
        let frames = camera.stop();
        assert!(frames.iter().all(|frame| frame.picture.width() == 64), "{trick}");
    }
    assert!(server.connections.load(Ordering::Relaxed) >= 8);
}

#[test]
fn fill_bytes_in_a_cameras_frames_are_legal() {
    let server = MjpegServer::start();
    let camera = Watched::start("fill", stream(&server.url("fill"), RtspTransport::Tcp), Duration::ZERO);
    camera.wait_for_frames(MjpegServer::FRAMES);
    assert!(camera.stop().iter().all(|frame| frame.picture.width() == 64));
}

#[test]
fn a_camera_whose_frames_are_none_is_told_from_a_silent_one() {
    let server = MjpegServer::start();
    let camera = Watched::start("cut-short", stream(&server.url("cut"), RtspTransport::Tcp), Duration::ZERO);
    let state = camera.wait_for(|state| matches!(state, CameraState::Failed { .. }));
    let CameraState::Failed { reason, .. } = state else { unreachable!() };
    assert!(reason.contains("none can be decoded"), "{reason}");
    camera.stop();
}

#[test]
fn a_slow_detector_gets_the_newest_frame_and_the_rest_is_counted() {
    let server = MjpegServer::start();
    let camera = Watched::start("slow", stream(&server.url("endless"), RtspTransport::Tcp), Duration::from_millis(300));
    camera.wait_for_frames(6);
    let frames = camera.stop();
    let missing = frames[frames.len() - 1].seq + 1 - frames.len() as u64;
    assert!(missing >= 6, "at 25 frames a second and 3 looks a second: {missing} missing of {}", frames.len());
    assert_eq!(metric("doorward_capture_dropped_total{detector=\"slow\",reason=\"busy\"}"), missing as f64);
}

#[test]
fn a_camera_of_which_little_is_asked_is_not_silent() {
    let server = MjpegServer::start();
    let camera = stream(&server.url("endless"), RtspTransport::Tcp);
    let mut config = DetectorConfig::new(DetectorName::new("seldom").unwrap(), camera);
    // Less often than a silence may last.
    config.detect.max_fps = 0.5;
    let camera = Watched::start_detector(config, Duration::ZERO);
    let began = Instant::now();
    camera.wait_for_frames(3);
    let state = camera.state();
    assert!(began.elapsed() > Duration::from_millis(3500), "two seconds from one to the next");
    assert!(matches!(state, CameraState::Streaming { least_fps, .. } if least_fps < 0.5), "{state:?}");
    assert_eq!(metric("doorward_capture_reconnects_total{detector=\"seldom\"}"), 0.0);
    let not_due = metric("doorward_capture_not_due_total{detector=\"seldom\"}");
    assert!(not_due > 30.0, "{not_due} were not due");
    camera.stop();
}

#[test]
fn a_camera_may_change_its_frames_size() {
    let server = MjpegServer::start();
    let camera = Watched::start("grows", stream(&server.url("grow"), RtspTransport::Tcp), Duration::ZERO);
    camera.wait_for(|state| matches!(state, CameraState::Streaming { size: (64, 48), .. }));
    camera.wait_for(|state| matches!(state, CameraState::Streaming { size: (128, 96), .. }));
    assert!(camera.stop().iter().any(|frame| frame.picture.height() == 96));
}

#[test]
fn a_silent_camera_costs_no_time_when_doorward_stops() {
    let server = MjpegServer::start();
    let camera = Watched::start("silent", stream(&server.url("silent"), RtspTransport::Tcp), Duration::ZERO);
    camera.until(|| server.connections.load(Ordering::Relaxed) > 0, || "nobody came".into());
    let began = Instant::now();
    assert!(camera.stop().is_empty());
    assert!(began.elapsed() < PATIENCE / 4, "stopping waited for the camera");
}

#[test]
fn a_recording_gives_every_frame_once() {
    for (name, frames, size, step_ms) in [
        ("face-demographics-walking-and-pause.mjpg.avi", 41, (480, 270), 80),
        ("one-by-one-person-detection.mp4", 1394, (768, 432), 100),
    ] {
        let Some(path) = shared(&format!("video/{name}")) else { continue };
        let replay = ReplayConfig { pace: Pace::Fast, ..ReplayConfig::new(path) };
        let config = CameraConfig::Replay(replay);
        let (sender, receiver) = capture::channel(&config);
        let (state, states) = watch::channel(CameraState::Connecting);
        let detector = DetectorName::new("recording").unwrap();
        let (config, stop) = (DetectorConfig::new(detector, config), CancellationToken::new());
        let camera = thread::spawn(move || capture::run(&config, sender, stop, state));
        let mut seen = 0;
        while let Some(frame) = receiver.recv() {
            let shape = frame.image.shape();
            assert_eq!((shape.width, shape.height), size, "{name}");
            assert_eq!(frame.seq, seen, "{name}: no frame is dropped");
            assert_eq!(frame.time.offset.as_millis() as u64, seen * step_ms, "{name}");
            seen += 1;
        }
        camera.join().unwrap();
        assert_eq!((seen, receiver.dropped()), (frames, 0), "{name}");
        assert_eq!(*states.borrow(), CameraState::Ended);
    }
}

fn stream(url: &str, transport: RtspTransport) -> CameraConfig {
    CameraConfig::Stream(StreamConfig { transport, stall_ms: 1000, ..StreamConfig::new(url) })
}

/// A camera that sends JPEGs one after the other over HTTP, and then does what its path says.
struct MjpegServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl MjpegServer {
    /// Good pictures per connection, before the trick.
    const FRAMES: usize = 8;
    const PAUSE: Duration = Duration::from_millis(40);

    /// Runs until the test process ends.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                // An error means that the client is gone, which ends the camera's work.
                thread::spawn(move || play(stream));
            }
        });
        Self { address, connections }
    }

    fn url(&self, trick: &str) -> String {
        format!("http://admin:{PASSWORD}@{}/{trick}?token={PASSWORD}", self.address)
    }
}

fn play(mut stream: TcpStream) -> io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    while lines.read_line(&mut request)? > 2 {}
    let trick = request.split(['/', '?', ' ']).nth(2).unwrap_or_default().to_owned();
    if trick == "refuse" {
        return stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n")?;
    let mut send = |index: usize, width: u32, height: u32| {
        thread::sleep(MjpegServer::PAUSE);
        let mut picture = Picture::filled(width, height, [index as u8; 3]).jpeg(90).unwrap();
        if trick == "fill" {
            // Before the second marker, and before the last one.
            picture.insert(2, 0xff);
            picture.insert(picture.len() - 2, 0xff);
        }
        if trick == "cut" && index >= MjpegServer::FRAMES {
            picture.truncate(picture.len() - 20);
        }
        part(&mut stream, &picture)
    };
    let frames = match trick.as_str() {
        "endless" | "fill" | "cut" => usize::MAX,
        "silent" => 0,
        _ => MjpegServer::FRAMES,
    };
    for index in 0..frames {
        send(index, 64, 48)?;
    }
    match trick.as_str() {
        "grow" => (0..).try_for_each(|index| send(index, 128, 96)),
        "garbage" => {
            let mut noise = 1u32;
            loop {
                let rubbish: Vec<u8> = (0..900)
                    .map(|_| {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (noise >> 24) as u8
                    })
                    .collect();
                part(&mut stream, &rubbish)?;
                thread::sleep(MjpegServer::PAUSE / 4);
            }
        }
        "stall" | "silent" => {
            // Until the client hangs up.
            lines.read_line(&mut request).map(|_| ())
        }
        _ => Ok(()),
    }
}

fn part(stream: &mut TcpStream, content: &[u8]) -> io::Result<()> {
    write!(stream, "--next\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", content.len())?;
    stream.write_all(content)?;
    stream.write_all(b"\r\n")
}

/// The colour bars of `videotestsrc`: white, yellow, … and blue on the right of the upper two thirds.
fn assert_bars(picture: &Picture) {
    for (x, blue_green_red) in [(20, [true, true, true]), (65, [false, true, true]), (300, [true, false, false])] {
        let pixel = &picture.row(60)[x * 3..][..3];
        let bright: Vec<bool> = pixel.iter().map(|&value| value > 128).collect();
        assert_eq!(bright, blue_green_red, "{pixel:?} at {x}");
    }
}
