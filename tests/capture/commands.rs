//! What who sets a camera up asks the program: a picture from it, and whether it can be reached.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use faces::picture::Picture;
use tempfile::TempDir;

/// A configuration of one door with this camera.
fn folder(camera: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let door = format!("time_zone = 'UTC'\n[camera]\n{camera}\n");
    std::fs::write(folder.path().join("detectors/door.toml"), door).unwrap();
    let main = format!("state_dir = '{}'\n", folder.path().join("state").display());
    std::fs::write(folder.path().join("doorward.toml"), main).unwrap();
    folder
}

fn doorward(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(args)
        .args(["--config".as_ref(), folder.join("doorward.toml").as_os_str()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What the check says of a door with this camera, which it does not ask.
pub fn check(camera: &str) -> String {
    text(&doorward(folder(camera).path(), &["check"]))
}

/// A server on loopback that gives everybody this; its port.
fn serve(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            if matches!(client.read(&mut [0; 4096]), Ok(1..)) {
                let _ = client.write_all(&answer);
            }
        }
    });
    port
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n").as_bytes(), body].concat()
}

#[test]
fn a_snapshot_is_taken_from_any_camera_with_its_faces() {
    let photos = TempDir::new().unwrap();
    let photo = crate::support::recording::known_person();
    let portrait = Picture::read(&photo).unwrap();
    std::fs::write(photos.path().join("0.jpg"), portrait.jpeg(95).unwrap()).unwrap();
    let port = serve(answer("200 OK", &portrait.jpeg(95).unwrap()));
    let pictures = photos.path().display();
    for camera in [
        format!("type = 'replay'\npath = '{pictures}'\nfps = 5.0"),
        format!("type = 'snapshot'\nurl = 'http://127.0.0.1:{port}/now.jpg'"),
        format!(
            "type = 'program'\nprogram = 'sh'\nargs = ['-c', 'while :; do cat \"{pictures}\"/0.jpg; sleep 0.1; done']"
        ),
    ] {
        let folder = folder(&camera);
        let taken = doorward(folder.path(), &["camera", "snapshot", "--boxes"]);
        assert!(taken.status.success(), "{camera}: {}", text(&taken));
        assert!(text(&taken).contains("1 face"), "{camera}: {}", text(&taken));
        let file = folder.path().join("snapshot.jpg");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let picture = Picture::read(&file).unwrap();
        assert_eq!((picture.width(), picture.height()), (portrait.width(), portrait.height()), "{camera}");
        let is_green = |pixel: &&[u8]| pixel[1] > pixel[0].max(pixel[2]).saturating_add(60);
        let green = picture.bgr().chunks(3).filter(is_green).count();
        assert!(green > 50, "{camera}: {green} pixels are green");
        let again = doorward(folder.path(), &["camera", "snapshot", "door"]);
        assert!(!again.status.success() && text(&again).contains("is there already"), "{}", text(&again));
    }
}

#[test]
fn a_camera_that_is_not_asked_or_does_not_answer_is_told_apart_by_the_check() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (camera, says) in [
        (format!("type = 'stream'\nurl = 'rtsp://127.0.0.1:{closed}/door'"), "nothing listens on the port"),
        (
            format!("type = 'stream'\nurl = 'http://u:hunter2@127.0.0.1:{}/'", serve(answer("401 Unauthorized", b""))),
            "refuses the log-in",
        ),
        (
            format!("type = 'stream'\nurl = 'http://127.0.0.1:{}/'", serve(answer("404 Not Found", b""))),
            "check the path",
        ),
        (
            format!("type = 'snapshot'\nurl = 'http://127.0.0.1:{}/'", serve(answer("200 OK", b"<p>hello</p>"))),
            "it must be that of a single picture",
        ),
        ("type = 'program'\nprogram = 'false'".into(), "exit code 1"),
    ] {
        let folder = folder(&camera);
        let told = text(&doorward(folder.path(), &["check", "--online"]));
        assert!(told.contains(says) && !told.contains("hunter2"), "{camera}: {told}");
        let told = text(&doorward(folder.path(), &["check"]));
        assert!(!told.contains(says), "it is not asked: {told}");
    }
    let picture = Picture::filled(64, 48, [90, 120, 140]).jpeg(90).unwrap();
    let port = serve(answer("200 OK", &picture));
    let folder = folder(&format!("type = 'snapshot'\nurl = 'http://127.0.0.1:{port}/now.jpg'"));
    let told = text(&doorward(folder.path(), &["check", "--online"]));
    assert!(told.contains("shows 64x48 pixels"), "{told}");
}

#[test]
fn the_cameras_of_this_machine_are_listed() {
    let listed = Command::new(env!("CARGO_BIN_EXE_doorward")).args(["camera", "list"]).output().unwrap();
    let has_some = Path::new("/sys/class/video4linux").read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let says = if has_some { "/dev/video" } else { "has no camera" };
    assert!(listed.status.success() && text(&listed).contains(says), "{}", text(&listed));
}
