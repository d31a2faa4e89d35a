//! A camera that is cut off just after somebody came: what was seen goes out all the same.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use faces::detect::{self, SearchOptions};
use faces::models::ModelStore;
use faces::picture::{MAX_PIXELS, Picture};
use faces::quality::{self, QualityOptions};
use serde_json::Value;
use support::{Running, doorward, recording, wait_for};

const BETWEEN_FRAMES: Duration = Duration::from_millis(66);
/// The frames with a face before the camera says nothing more, two hundred milliseconds: far away and in mist, so that
/// each is good enough to be sent and worth waiting for a better one.
const FACES: [usize; 4] = [3; 4];
const MIN_FACE_PX: u32 = 35;

/// Serves a doorway with nobody in it as MJPEG, then, when told so, a few frames of a face, then nothing; the
/// connection stays.
fn camera(nobody: Vec<u8>, faces: Vec<Vec<u8>>, come: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut to) = connection else { return };
            let _ = to.read(&mut [0; 1024]);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: multipart/x-mixed-replace; boundary=frame\r\n\r\n--frame\r\n";
            let mut sent = to.write_all(head.as_bytes());
            while sent.is_ok() {
                let shown = come.load(Ordering::SeqCst);
                if shown > faces.len() {
                    std::thread::sleep(BETWEEN_FRAMES);
                    continue;
                }
                sent = frame(&mut to, if shown == 0 { &nobody } else { &faces[shown - 1] });
                if shown > 0 {
                    come.fetch_add(1, Ordering::SeqCst);
                }
                std::thread::sleep(BETWEEN_FRAMES);
            }
        }
    });
    format!("http://{address}/")
}

fn frame(to: &mut TcpStream, jpeg: &[u8]) -> std::io::Result<()> {
    write!(to, "content-type: image/jpeg\r\ncontent-length: {}\r\n\r\n", jpeg.len())?;
    to.write_all(jpeg)?;
    to.write_all(b"\r\n--frame\r\n")
}

#[test]
fn a_cable_cut_just_after_the_first_face_does_not_hide_the_visitor() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    recording::visit(&pictures);
    let picture = |n: usize| {
        let clear = Picture::read(&pictures.join(format!("{n:04}.jpg"))).unwrap();
        let mist = |value: &u8| (130.0 + 0.35 * (f32::from(*value) - 130.0)) as u8;
        let misty = Picture::new(clear.width(), clear.height(), clear.bgr().iter().map(mist).collect()).unwrap();
        misty.jpeg(92).unwrap()
    };
    let come = Arc::new(AtomicUsize::new(0));
    let url = camera(picture(0), FACES.map(picture).to_vec(), Arc::clone(&come));

    let limits = QualityOptions { min_face_px: MIN_FACE_PX, ..QualityOptions::default() };
    let seen = Picture::decode(&picture(FACES[0]), MAX_PIXELS).unwrap();
    let face = detect::load(&ModelStore::locate(None), &SearchOptions::default(), 1).unwrap().detect(&seen).unwrap();
    let quality = quality::measure(&seen, &face[0], &limits).total;
    assert!((0.4..0.7).contains(&quality), "good enough, and not so good that nothing is waited for: {quality}");

    let config = folder.path().join("doorward.toml");
    std::fs::create_dir_all(folder.path().join("detectors")).unwrap();
    std::fs::write(
        &config,
        format!(
            "state_dir = '{}/state'\n[detector]\ntime_zone = 'UTC'\n[status]\nlisten = '127.0.0.1:0'\n\
             [identities]\nurl = 'http://127.0.0.1:1'\nusername = 'box'\npassword = 'p'\n",
            folder.path().display()
        ),
    )
    .unwrap();
    // The camera is not given up before this test is over, and its last frame comes long before the time for a better
    // one is up: only the clock can send the shot.
    let camera = format!(
        "[camera]\ntype = 'stream'\nurl = '{url}'\nstall_ms = 60000\n\
         [track]\nlost_after_ms = 60000\nfirst_shot_ms = 800\n[quality]\nmin_face_px = {MIN_FACE_PX}\n"
    );
    std::fs::write(folder.path().join("detectors/door.toml"), camera).unwrap();
    let log = folder.path().join("log");
    let mut command = doorward();
    command.args(["run", "--config"]).arg(&config).env("NO_COLOR", "1");
    let _agent = Running(command.stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap());
    let address = wait_for("the status page", || {
        let log = std::fs::read_to_string(&log).unwrap();
        let line = log.lines().find(|line| line.contains("the status page is served"))?;
        Some(line.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
    });
    let status = || -> Value {
        let mut page = TcpStream::connect(&address).unwrap();
        write!(page, "GET /status.json HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        page.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    wait_for("frames", || (status()["detectors"][0]["searched"].as_u64()? > 10).then_some(()));
    come.store(1, Ordering::SeqCst);
    wait_for("the last frame", || (come.load(Ordering::SeqCst) > FACES.len()).then_some(()));
    let cut = Instant::now();
    wait_for("the shot to be stored", || (status()["outbox"]["pending"] == 1).then_some(()));
    println!("the shot was stored {} ms after the cable was cut", cut.elapsed().as_millis());
    assert_eq!(status()["detectors"][0]["camera"], "live", "the camera has not been given up");
}
