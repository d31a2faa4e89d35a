//! A camera on loopback that can be broken in every way a camera breaks, and mended again.
//!
//! In: what stands behind it (a motion JPEG server of its own, or an RTSP server), and which [`Fault`] it has. Out: a
//! port. It is a relay of bytes: what it does to them, to its connections and to its answers is what a camera does that
//! was unplugged, hangs, was set up anew, or is far away.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use faces::picture::Picture;
use nix::sys::socket::{setsockopt, sockopt};

use crate::support::rtsp::RtspServer;

#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumIter)]
pub enum Fault {
    /// Its process is gone: nothing listens.
    Killed,
    /// It hangs with its connections open.
    Frozen,
    /// The machine is gone without a word: nothing that is open ends, and nobody answers.
    HalfOpen,
    /// What it sends is no video.
    Garbage,
    /// Its pictures have another size all of a sudden.
    Resized,
    /// It wants to know who asks.
    AsksWho,
    /// It knows no such path.
    NotFound,
    /// It sends a byte now and then.
    Trickle,
    /// It resets every connection.
    Reset,
    /// It answers with a page.
    WrongType,
    /// Its packets are lost on the way.
    Lossy,
    /// Nobody knows its name.
    NoName,
}

/// What a camera speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Mjpeg,
    Rtsp,
    RtspOverUdp,
}

/// Small ones and large ones, with as much in them as a camera's have, and none like the one before.
pub static PICTURES: LazyLock<[Vec<Vec<u8>>; 2]> = LazyLock::new(|| {
    let noise = |(width, height): (u32, u32), picture: u32| {
        let bytes = (0..width * height * 3).map(|n| ((n + picture * 77_777).wrapping_mul(2_654_435_761) >> 24) as u8);
        Picture::new(width, height, bytes.collect()).unwrap().jpeg(90).unwrap()
    };
    [(320, 240), (480, 360)].map(|size| (0..4).map(|picture| noise(size, picture)).collect())
});

/// How many milliseconds lie between two pictures.
const PERIOD: Duration = Duration::from_millis(200);

struct Shared {
    fault: Mutex<Option<Fault>>,
    /// Connections taken so far: each has the next number.
    taken: AtomicU64,
    /// Those with a lower number are dead for ever.
    dead_below: AtomicU64,
    open: Mutex<Vec<(u64, TcpStream)>>,
    large: AtomicBool,
    noise: AtomicU64,
    over: AtomicBool,
    speaks: Speaks,
    upstream: u16,
}

pub struct Camera {
    pub port: u16,
    shared: Arc<Shared>,
    listener: Mutex<Option<Listening>>,
    rtsp: Option<Mutex<RtspServer>>,
}

struct Listening {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Camera {
    pub fn start(speaks: Speaks) -> Self {
        let rtsp = (speaks != Speaks::Mjpeg).then(|| {
            let transport = if speaks == Speaks::RtspOverUdp { "udp" } else { "tcp" };
            RtspServer::start(&["--transport", transport, "--rate", "5"])
        });
        let upstream = rtsp.as_ref().map_or(0, |server| server.port);
        let shared = Arc::new(Shared {
            fault: Mutex::new(None),
            taken: AtomicU64::new(0),
            dead_below: AtomicU64::new(0),
            open: Mutex::new(Vec::new()),
            large: AtomicBool::new(false),
            noise: AtomicU64::new(0),
            over: AtomicBool::new(false),
            speaks,
            upstream,
        });
        let mut camera = Self { port: 0, shared, listener: Mutex::new(None), rtsp: rtsp.map(Mutex::new) };
        camera.port = camera.listen(0);
        camera
    }

    /// Which faults it can have.
    pub fn can_have(&self, fault: Fault) -> bool {
        match fault {
            Fault::Lossy => self.shared.speaks == Speaks::RtspOverUdp,
            // What is broken there is not on the connection that is relayed here.
            Fault::Garbage | Fault::Trickle | Fault::Frozen | Fault::HalfOpen => {
                self.shared.speaks != Speaks::RtspOverUdp
            }
            _ => true,
        }
    }

    pub fn break_with(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
        match fault {
            Fault::Killed => {
                self.stop_listening();
                self.shared.end_all(false);
                self.order("lose 1");
            }
            Fault::Reset => self.shared.end_all(true),
            Fault::AsksWho | Fault::NotFound | Fault::WrongType => self.shared.end_all(false),
            Fault::HalfOpen => self.shared.forget_all(),
            Fault::Resized => {
                let large = !self.shared.large.fetch_xor(true, Ordering::Relaxed);
                self.order(if large { "size 480x360" } else { "size 320x240" });
            }
            Fault::Lossy => self.order("lose 1"),
            // The connection there is, is closed by the camera: with its name gone, another one is not made.
            Fault::NoName => self.shared.end_all(false),
            Fault::Frozen | Fault::Garbage | Fault::Trickle => {}
        }
    }

    pub fn mend(&self) {
        let fault = self.shared.fault.lock().unwrap().take();
        match fault {
            Some(Fault::Killed) => {
                self.order("lose 0");
                self.listen(self.port);
            }
            // Whoever has connected meanwhile has waited for a machine that is gone.
            Some(Fault::HalfOpen) => self.shared.forget_all(),
            Some(Fault::Lossy) => self.order("lose 0"),
            _ => {}
        }
    }

    fn order(&self, order: &str) {
        if let Some(server) = &self.rtsp {
            writeln!(server.lock().unwrap().orders, "{order}").unwrap();
        }
    }

    fn listen(&self, port: u16) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, shared) = (Arc::new(AtomicBool::new(false)), self.shared.clone());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Who hangs takes nobody; the system does.
                if shared.fault() == Some(Fault::Frozen) {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                match listener.accept() {
                    Ok((client, _)) => shared.clone().take(client),
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        *self.listener.lock().unwrap() = Some(Listening { stop, thread });
        port
    }

    fn stop_listening(&self) {
        if let Some(listening) = self.listener.lock().unwrap().take() {
            listening.stop.store(true, Ordering::Relaxed);
            listening.thread.join().unwrap();
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.stop_listening();
        self.shared.end_all(false);
    }
}

impl Shared {
    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    /// Ends those that are not dead.
    fn end_all(&self, reset: bool) {
        for (number, stream) in std::mem::take(&mut *self.open.lock().unwrap()) {
            if !self.is_dead(number) {
                end(&stream, reset);
            }
        }
    }

    /// All connections there are stay as they are, and nothing ever comes of them.
    fn forget_all(&self) {
        self.dead_below.store(self.taken.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn take(self: Arc<Self>, client: TcpStream) {
        client.set_nonblocking(false).unwrap();
        if self.fault() == Some(Fault::Reset) {
            return end(&client, true);
        }
        let number = self.taken.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        // Those that have ended are not kept.
        open.retain(|(_, stream)| stream.peer_addr().is_ok());
        open.push((number, client.try_clone().unwrap()));
        drop(open);
        thread::spawn(move || {
            let _ = self.serve(&client, number);
            if !self.is_dead(number) {
                let _ = client.shutdown(Shutdown::Both);
            }
        });
    }

    fn is_dead(&self, number: u64) -> bool {
        number < self.dead_below.load(Ordering::SeqCst)
    }

    /// Waits while nothing gets through; an error when nothing ever will.
    fn pass(&self, number: u64) -> io::Result<()> {
        loop {
            if self.over.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let silent = matches!(self.fault(), Some(Fault::Frozen | Fault::HalfOpen));
            if !self.is_dead(number) && !silent {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn serve(self: &Arc<Self>, client: &TcpStream, number: u64) -> io::Result<()> {
        self.pass(number)?;
        let answer = match self.fault() {
            Some(Fault::AsksWho) => Some(("401 Unauthorized", "WWW-Authenticate: Basic realm=\"door\"\r\n", "")),
            Some(Fault::NotFound) => Some(("404 Not Found", "", "")),
            Some(Fault::WrongType) => Some(("200 OK", "Content-Type: text/html\r\n", "<p>Log in, please.</p>")),
            _ => None,
        };
        match (answer, self.speaks) {
            (Some(answer), _) => self.refuse(client, answer),
            (None, Speaks::Mjpeg) => self.show(client, number),
            (None, _) => self.relay(client, number),
        }
    }

    /// Answers every request alike.
    fn refuse(&self, client: &TcpStream, (status, headers, body): (&str, &str, &str)) -> io::Result<()> {
        let mut lines = BufReader::new(client);
        loop {
            let (mut line, mut number, mut is_http) = (String::new(), String::new(), false);
            loop {
                line.clear();
                if lines.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                is_http |= line.contains(" HTTP/");
                if let Some(value) = line.to_lowercase().strip_prefix("cseq:") {
                    number = format!("CSeq: {}\r\n", value.trim());
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let version = if is_http { "HTTP/1.1" } else { "RTSP/1.0" };
            let length = body.len();
            let mut client = client;
            write!(client, "{version} {status}\r\n{number}{headers}Content-Length: {length}\r\n\r\n{body}")?;
        }
    }

    /// A motion JPEG server.
    fn show(&self, client: &TcpStream, number: u64) -> io::Result<()> {
        let mut asked = [0; 4096];
        let mut client = client;
        if client.read(&mut asked)? == 0 {
            return Ok(());
        }
        self.send(client, number, b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n")?;
        for picture in 0.. {
            let size = usize::from(self.large.load(Ordering::Relaxed));
            let jpeg = &PICTURES[size][picture % PICTURES[size].len()];
            let head = format!("--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
            self.send(client, number, &[head.as_bytes(), jpeg, b"\r\n"].concat())?;
            thread::sleep(PERIOD);
        }
        Ok(())
    }

    /// To and from the RTSP server behind.
    fn relay(self: &Arc<Self>, client: &TcpStream, number: u64) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream))?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        let asks = thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let mut chunk = [0; 16 << 10];
        let mut server = server;
        let relayed = loop {
            match server.read(&mut chunk) {
                Ok(length @ 1..) => {
                    if let Err(error) = self.send(client, number, &chunk[..length]) {
                        break Err(error);
                    }
                }
                Ok(0) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        let _ = server.shutdown(Shutdown::Both);
        if !self.is_dead(number) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = asks.join();
        }
        relayed
    }

    /// Sends what there is, as the fault has it.
    fn send(&self, client: &TcpStream, number: u64, bytes: &[u8]) -> io::Result<()> {
        self.pass(number)?;
        let mut client = client;
        match self.fault() {
            Some(Fault::Garbage) => {
                // No picture's the same as another's.
                let noise = |_: &u8| {
                    let number = self.noise.fetch_add(1, Ordering::Relaxed);
                    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8
                };
                client.write_all(&Vec::from_iter(bytes.iter().map(noise)))
            }
            Some(Fault::Trickle) => {
                for byte in bytes {
                    client.write_all(&[*byte])?;
                    if self.fault() == Some(Fault::Trickle) {
                        thread::sleep(Duration::from_millis(100));
                    }
                    self.pass(number)?;
                }
                Ok(())
            }
            _ => client.write_all(bytes),
        }
    }
}

fn end(stream: &TcpStream, reset: bool) {
    if reset {
        let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
        let _ = setsockopt(stream, sockopt::Linger, &at_once);
    }
    let _ = stream.shutdown(Shutdown::Both);
}
