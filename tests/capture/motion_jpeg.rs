//! Motion JPEG over HTTP in all the ways in which cameras send it.
//!
//! In: cameras on loopback that keep to no standard, or to one of their own. Out: that their frames are seen, whole.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use doorward::config::RtspTransport;
use faces::picture::Picture;

use super::stream;
use super::watched::Watched;

/// How a camera writes.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    /// What its answer says it is; `{}` is where lines end, as everywhere below.
    head: &'static str,
    /// Before the first picture, and before each of those after it.
    first: &'static str,
    before: &'static str,
    /// After each picture.
    after: &'static str,
    /// How its lines end.
    newline: &'static str,
}

const USUAL: Way = Way {
    name: "usual",
    head: "Content-Type: multipart/x-mixed-replace; boundary=next{}",
    first: "--next{}Content-Type: image/jpeg{}Content-Length: LENGTH{}{}",
    before: "--next{}Content-Type: image/jpeg{}Content-Length: LENGTH{}{}",
    after: "{}",
    newline: "\r\n",
};
const NO_LENGTH: Way = Way {
    name: "no-length",
    first: "--next{}Content-Type: image/jpeg{}{}",
    before: "--next{}Content-Type: image/jpeg{}{}",
    ..USUAL
};
const BARE: Way = Way { name: "bare", first: "", before: "", after: "", ..USUAL };

const WAYS: &[Way] = &[
    USUAL,
    NO_LENGTH,
    Way { name: "no-first-boundary", first: "Content-Type: image/jpeg{}Content-Length: LENGTH{}{}", ..USUAL },
    Way { name: "no-first-part-head", first: "", ..USUAL },
    Way { name: "no-first-boundary-no-length", first: "Content-Type: image/jpeg{}{}", ..NO_LENGTH },
    Way {
        name: "blank-lines-first",
        first: "{}{}--next{}Content-Type: image/jpeg{}Content-Length: LENGTH{}{}",
        ..USUAL
    },
    Way { name: "boundary-with-dashes", head: "Content-Type: multipart/x-mixed-replace;boundary=--next{}", ..USUAL },
    Way {
        name: "boundary-with-dashes-no-length",
        head: "Content-Type: multipart/x-mixed-replace;boundary=\"--next\"{}",
        ..NO_LENGTH
    },
    Way { name: "another-boundary", head: "Content-Type: multipart/x-mixed-replace; boundary=frame{}", ..NO_LENGTH },
    Way {
        name: "boundary-without-dashes",
        first: "next{}Content-Type: image/jpeg{}Content-Length: LENGTH{}{}",
        before: "next{}Content-Type: image/jpeg{}Content-Length: LENGTH{}{}",
        ..USUAL
    },
    Way {
        name: "no-part-type",
        first: "--next{}Content-Length: LENGTH{}{}",
        before: "--next{}Content-Length: LENGTH{}{}",
        ..USUAL
    },
    Way {
        name: "image-jpg",
        first: "--next{}Content-type: image/jpg{}Content-Length: LENGTH{}{}",
        before: "--next{}Content-type: image/jpg{}Content-Length: LENGTH{}{}",
        ..USUAL
    },
    Way {
        name: "wrong-length",
        first: "--next{}Content-Type: image/jpeg{}Content-Length: 17{}{}",
        before: "--next{}Content-Type: image/jpeg{}Content-Length: 17{}{}",
        ..USUAL
    },
    Way { name: "pictures", head: "Content-Type: image/jpeg{}", ..BARE },
    Way { name: "pictures-as-multipart", ..BARE },
    Way { name: "pictures-as-bytes", head: "Content-Type: application/octet-stream{}", ..BARE },
    Way { name: "pictures-without-a-type", head: "", ..BARE },
    Way { name: "multipart-without-a-type", head: "", ..USUAL },
    Way { name: "newlines", newline: "\n", ..USUAL },
    Way { name: "newlines-no-length", newline: "\n", ..NO_LENGTH },
];

/// A camera that writes so, at 25 frames a second; its address.
fn camera(way: Way) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // Until the client is gone.
            thread::spawn(move || play(way, client));
        }
    });
    format!("http://127.0.0.1:{port}/video")
}

fn play(way: Way, mut client: TcpStream) -> std::io::Result<()> {
    let (mut lines, mut request) = (BufReader::new(client.try_clone()?), String::new());
    while lines.read_line(&mut request)? > 2 {}
    let ended = |text: &str| text.replace("{}", way.newline);
    client.write_all(ended(&format!("HTTP/1.0 200 OK{{}}{}{{}}", way.head)).as_bytes())?;
    for n in 0u32.. {
        // Noise, so that each is longer than what is read of it at once.
        let mut noise = n;
        let mut pixel = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        let pixels = (0..160 * 120 * 3).map(|_| pixel()).collect();
        let picture = Picture::new(160, 120, pixels).unwrap().jpeg(80).unwrap();
        let head = ended(if n == 0 { way.first } else { way.before }).replace("LENGTH", &picture.len().to_string());
        client.write_all(&[head.as_bytes(), &picture, ended(way.after).as_bytes()].concat())?;
        thread::sleep(Duration::from_millis(40));
    }
    Ok(())
}

#[test]
fn motion_jpeg_is_seen_however_it_is_written() {
    let cameras: Vec<_> = WAYS
        .iter()
        .map(|way| (way, Watched::start(way.name, stream(&camera(*way), RtspTransport::Tcp), Duration::ZERO)))
        .collect();
    for (way, camera) in cameras {
        let seen = || camera.frames.lock().unwrap().len();
        camera.until(|| seen() >= 20, || format!("{}: {} frames, {:?}", way.name, seen(), camera.state()));
        let whole = camera.stop().iter().all(|frame| !frame.damaged && frame.picture.width() == 160);
        assert!(whole, "{}", way.name);
    }
}
