//! A network camera: RTSP, HTTP with what cameras send over it, RTMP and others; or a file or pipe as if it were one.
//!
//! In: the address, which other hosts it may lead to, whom they must be, how long a silence may last. Out: shots dated
//! by their arrival; the camera's own clock is not ours. It always reads, so nothing piles up on the way, and it never
//! shows the address whole.

use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ffmpeg_next::Error;
use identities::trust::Trust;
use secrecy::ExposeSecret;
use wording::with_causes;

use super::ffmpeg::{
    Decoded, Disbelief, FILES, FIRST_FRAME, Limits, Options, Read, Refusal, Refused, Video, VideoError,
};
use super::pace::Pace;
use super::pieces::Pieces;
use super::reach::reach;
use super::{About, CameraSource, CaptureError, Next, Shot, ShotTime, SkipReason, Skipped, Unmet};
use super::{redacted, stall_limit};
use crate::config::{RtspTransport, Scheme, StreamConfig};

/// An open stream.
pub(super) struct Stream {
    video: Video,
    /// The address without its secrets.
    address: String,
    /// A file on this machine: it has an end, which is no fault.
    finite: bool,
    /// Of a live stream that comes in pieces: only in its place in time is a frame known to be new, and then due or
    /// not.
    pieces: Option<(Pieces, Pace)>,
    stall: Duration,
    /// Whether hardware decodes, and whether there is something wrong with it, as was told last.
    told: [bool; 2],
}

impl Stream {
    /// Connects, and waits until the decoder has seen enough of the stream to know its format.
    pub fn open(config: &StreamConfig, max_fps: f32, limit: Duration) -> Result<Self, CaptureError> {
        let url = config.url.expose_secret();
        let address = redacted(url);
        let Some(scheme) = config.scheme() else { return Err(CaptureError::NoSuchScheme { address }) };
        if let Err(source) = reach(url) {
            return Err(CaptureError::NotReached { address, source });
        }
        let trust =
            match config.is_checked() {
                false => None,
                true => Some(Trust::new(config.ca_file.as_deref(), &config.pin_sha256).map_err(|error| {
                    CaptureError::Unusable { address: address.clone(), problem: with_causes(&error) }
                })?),
            };
        let (protocols, formats) = taken(scheme, trust.is_some());
        let stall = stall_limit(config.stall_ms);
        let transport = match config.transport {
            // UDP when the camera insists on it.
            RtspTransport::Tcp => ("rtsp_flags", "prefer_tcp"),
            RtspTransport::Udp => ("rtsp_transport", "udp"),
        };
        // A pipe of this machine has no end that anybody can know of.
        let finite = scheme == Scheme::File && Path::new(url.strip_prefix("file://").unwrap_or(url)).is_file();
        let options = Options {
            protocols,
            formats,
            hosts: &config.allow_hosts,
            trust: trust.as_ref(),
            // Nobody can tell whom a proxy calls.
            settings: &[&[transport, ("http_proxy", "")], &PROBED[..]].concat(),
            limits: Some(Limits { open: limit, read: stall }),
            max_fps,
            height_px: config.height_px,
            decode: config.decode,
        };
        match Video::open(url, &options) {
            Ok(mut video) => {
                let in_pieces = video.comes_in_pieces();
                let pieces = in_pieces.then(|| (Pieces::new(Instant::now()), video.hand_over_pace()));
                let mut stream = Self { video, address, finite, pieces, stall, told: [false; 2] };
                // What is known from the beginning is told with the opening.
                stream.has_news();
                Ok(stream)
            }
            Err(VideoError::Refused(refused)) => Err(nothing_fetched(address, refused)),
            Err(source) if source.is_log_in() && has_account(url) => Err(CaptureError::LogInRefused { address }),
            Err(source) => {
                let by_udp = scheme == Scheme::Rtsp && config.transport == RtspTransport::Udp;
                let by_rtsp = matches!(scheme, Scheme::Rtsp | Scheme::Rtsps);
                let hint = match source {
                    VideoError::TooSlow { .. } if by_udp => NO_PACKETS,
                    VideoError::Unopened { error: Error::InvalidData | Error::Eof, .. } if by_rtsp => NO_ANSWER,
                    _ => hint(&source),
                };
                Err(CaptureError::NotOpened { hint, address, source })
            }
        }
    }
}

impl Stream {
    /// Reads on, of a stream that comes in pieces to the next frame that is new, which it holds back until it is due.
    fn next_new(&mut self) -> Read {
        let Some((pieces, pace)) = &mut self.pieces else { return self.video.read() };
        let began = Instant::now();
        loop {
            // As long as for a key frame: from one piece to the next.
            let patience = if pieces.is_new() { self.stall } else { FIRST_FRAME * self.stall };
            let asked = Instant::now();
            let read = self.video.read_within(Some(patience.saturating_sub(began.elapsed())));
            let Read::Picture(Decoded { position_ms: Some(position_ms), .. }) = &read else { return read };
            if let Some(due) = pieces.due(*position_ms, asked, Instant::now()) {
                if !pace.due(*position_ms) {
                    return Read::NotDue;
                }
                thread::sleep(due.saturating_duration_since(Instant::now()));
                return read;
            }
        }
    }
}

impl CameraSource for Stream {
    fn about(&self) -> About {
        let (hardware, problem) = self.video.hardware();
        let name = match hardware {
            Some(hardware) => format!("{}, decoded by {hardware}", self.address),
            None => self.address.clone(),
        };
        let unmet = problem.map(|problem| Unmet { key: "decode".into(), problem: problem.into() });
        About { name, fps: self.video.fps().unwrap_or(0.0) as f32, unmet: unmet.into_iter().collect() }
    }

    fn has_news(&mut self) -> bool {
        let (hardware, problem) = self.video.hardware();
        let now = [hardware.is_some(), problem.is_some()];
        std::mem::replace(&mut self.told, now) != now
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let asked = Instant::now();
        match self.next_new() {
            Read::Picture(Decoded { image, damaged, .. }) => {
                Ok(Next::Shot(Shot { image, time: ShotTime::Arrival, damaged }))
            }
            Read::NotDue => Ok(Next::NotDue),
            Read::Lost(frames) => Ok(Next::Lost(frames)),
            Read::TooLarge => {
                let what = format!("a frame of {}", self.address);
                Ok(Next::Skipped(Skipped { reason: SkipReason::TooLarge, what }))
            }
            Read::End if self.finite => Ok(Next::End),
            Read::End => Err(CaptureError::BrokeOff { address: self.address.clone() }),
            Read::TimedOut => Err(CaptureError::Stalled { waited_ms: asked.elapsed().as_millis() }),
            Read::Refused(refused) => Err(nothing_fetched(self.address.clone(), refused)),
        }
    }
}

/// How long FFmpeg looks at a stream before it shows anything of it: until it knows the format, and not for the five
/// seconds or the twenty frames from which it would guess a rate that nobody needs; and how much of what is no video it
/// reads until it says so. In microseconds, frames, and bytes. A playlist is entered at its last piece.
const PROBED: [(&str, &str); 4] =
    [("analyzeduration", "1000000"), ("fpsprobesize", "0"), ("formatprobesize", "131072"), ("live_start_index", "-1")];

/// What FFmpeg may use for an address that begins so: its protocols, and the formats that cameras send by them. Of
/// these formats HLS alone names other addresses, and they are fetched by the same protocols. Where certificates are
/// checked, nothing is fetched without any.
fn taken(scheme: Scheme, checked: bool) -> (&'static str, &'static str) {
    match scheme {
        Scheme::File => ("file", FILES),
        Scheme::Rtsp => ("rtp,udp,tcp", "rtsp"),
        Scheme::Rtsps => ("rtp,udp,tcp,tls", "rtsp"),
        // What an encrypted HLS stream is read through is a protocol, too.
        Scheme::Http => (
            if checked { "https,tcp,tls,crypto" } else { "http,https,tcp,tls,crypto" },
            "mjpeg,mpjpeg,jpeg_pipe,mpegts,mpeg,flv,mov,matroska,avi,asf,h264,hevc,m4v,hls,aac,ac3,eac3,mp3,webvtt",
        ),
        Scheme::Rtmp if checked => ("rtmps,rtmpts,ffrtmphttp,https,tcp,tls", "flv,live_flv"),
        Scheme::Rtmp => {
            ("rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,ffrtmphttp,ffrtmpcrypt,http,https,tcp,tls", "flv,live_flv")
        }
        Scheme::Srt => ("srt", "mpegts"),
        Scheme::Raw => ("udp,rtp,tcp", "rtp,mpegts,mpjpeg,mjpeg,h264,hevc,m4v,flv,matroska"),
    }
}

/// What to look at when a camera does not show anything by UDP.
const NO_PACKETS: &str = "check the network, and whether UDP gets through (`transport = \"tcp\"` does without)";

/// The same where an RTSP server's answer is none, or its end.
const NO_ANSWER: &str =
    "it hangs up, or what answers there speaks no RTSP: check the port; it may serve as many as it can";

/// Whether an address names a user.
fn has_account(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

/// Why nothing is fetched of a host that the stream leads to.
fn nothing_fetched(address: String, refused: Refused) -> CaptureError {
    let Refused { host, port, why } = refused;
    match why {
        Refusal::Elsewhere => CaptureError::Elsewhere { address, host, port },
        Refusal::NotBelieved(Disbelief::NoTls) => CaptureError::NoTls { address, port },
        Refusal::NotBelieved(Disbelief::Certificate(why)) => {
            // An IPv6 address stands in brackets in an address.
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            CaptureError::NotBelieved { address, host, port, why }
        }
    }
}

/// What the operator looks at first when a stream does not open.
fn hint(error: &VideoError) -> &'static str {
    let error = match error {
        VideoError::Unopened { error, .. } => error,
        VideoError::TooSlow { .. } => return "check the address and the network, and whether the camera hangs",
        VideoError::OtherFormat => return "what comes is no video of a camera: check the path",
        VideoError::Refused(_) => return "check the address",
        VideoError::Unseen | VideoError::Unchecked => return "build it as the README says",
        VideoError::NoPictures => return "check the path, and whether the camera sends its picture there",
        VideoError::NoDecoder { .. } => return "set the camera to H.264 or to motion JPEG",
        VideoError::TooLarge { .. } => return "choose a smaller stream of the camera",
    };
    match error {
        Error::HttpUnauthorized | Error::HttpForbidden => {
            "it asks who we are: write a user name and a password into the address"
        }
        Error::HttpNotFound | Error::HttpBadRequest | Error::HttpOther4xx => "check the path",
        Error::InvalidData | Error::Eof => "what comes is no video: check the port and the path",
        Error::Other { errno } => match std::io::Error::from_raw_os_error(*errno).kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::TimedOut => "nothing answers there: check the address, the network, and that the camera is on",
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                "it hangs up at once: it may serve as many as it can, or keep this machine out"
            }
            _ => "check the address and the path",
        },
        _ => "check the address and the path",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write};
    use std::net::TcpListener;

    use ffmpeg_next::codec::Id;

    use super::*;
    use crate::capture::ffmpeg::clip::{Clip, frames};
    use crate::config::Decode;

    fn open(url: String) -> Result<Stream, CaptureError> {
        Stream::open(&StreamConfig { stall_ms: 500, ..StreamConfig::new(url) }, 0.0, Duration::from_secs(2))
    }

    /// A server on loopback that sends this to everybody; its port.
    fn serve(reply: Vec<u8>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let _ = client.read(&mut [0; 4096]).and_then(|_| client.write_all(&reply));
            }
        });
        port
    }

    fn answer(status: &str, kind: &str, body: &str) -> u16 {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        serve((head + body).into_bytes())
    }

    #[test]
    fn a_stream_that_does_not_open_says_what_to_look_at_and_keeps_the_password() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        for (port, hint) in [
            (closed, "nothing listens on the port"),
            (silent.local_addr().unwrap().port(), "whether the camera hangs"),
            (answer("401 Unauthorized", "text/plain", ""), "check the user name and the password"),
            (answer("404 Not Found", "text/plain", ""), "check the path"),
            (answer("200 OK", "text/html", &"<p>Login, please.</p>".repeat(200)), "no video of a camera"),
            (serve(b"SSH-2.0-OpenSSH_9.2".repeat(1000)), "check the port and the path"),
        ] {
            let error = open(format!("http://admin:hunter2@127.0.0.1:{port}/video?token=hunter2")).err().unwrap();
            let text = wording::with_causes(&error);
            assert!(text.contains(hint) && text.contains(&format!("127.0.0.1:{port}")), "{text}");
            assert!(!text.contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_stream_entered_in_the_middle_is_waited_for_until_its_next_key_frame() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saves.ts");
        let saves = Clip { key_every: 100, ..Clip::steady(Id::H264, (64, 48), 160, 40) };
        saves.write(&file, |frame| vec![(frame * 7) as u8; 64 * 48 * 3]);
        let (from, _) = frames(&file)[30];
        let sent = std::fs::read(&file).unwrap().split_off(from / 188 * 188);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            // Who only looks whether anybody listens asks for nothing.
            let asks = |client: &mut std::net::TcpStream| client.read(&mut [0; 4096]).is_ok_and(|length| length > 0);
            let mut client =
                listener.incoming().flatten().find_map(|mut client| asks(&mut client).then_some(client)).unwrap();
            client.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n").unwrap();
            // As fast as the camera films: the key frame is 2.8 s away.
            for piece in sent.chunks(sent.len() / 130) {
                client.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(40));
            }
        });
        let mut stream = open(format!("http://127.0.0.1:{port}/door.ts")).unwrap();
        // Until then frames are lost, and none is made up.
        while let Next::Lost(_) = stream.next_shot().unwrap() {}
    }

    #[test]
    fn a_stream_that_no_hardware_decodes_is_shown_and_says_so_where_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("door.mkv");
        Clip::steady(Id::FFV1, (64, 48), 3, 40).write(&file, |_| vec![90; 64 * 48 * 3]);
        for (decode, told) in [(Decode::Software, false), (Decode::Auto, false), (Decode::Vaapi, true)] {
            let config = StreamConfig { decode, ..StreamConfig::new(file.display().to_string()) };
            let mut stream = Stream::open(&config, 0.0, Duration::from_secs(2)).unwrap();
            assert!(matches!(stream.next_shot(), Ok(Next::Shot(_))));
            let About { name, unmet, .. } = stream.about();
            assert_eq!((name, unmet.len()), (file.display().to_string(), usize::from(told)), "{unmet:?}");
            let hint = |it: &Unmet| it.key == "decode" && it.problem.contains("write `decode = \"software\"`");
            assert!(unmet.iter().all(hint), "{unmet:?}");
        }
    }

    #[test]
    fn a_pipe_of_this_machine_is_a_stream() {
        let folder = tempfile::tempdir().unwrap();
        let (clip, pipe) = (folder.path().join("clip.ts"), folder.path().join("pipe"));
        Clip::steady(Id::MPEG4, (64, 48), 50, 40).write(&clip, |_| vec![90; 64 * 48 * 3]);
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let into = pipe.clone();
        thread::spawn(move || std::fs::write(into, std::fs::read(clip).unwrap()));
        let mut stream = open(pipe.display().to_string()).unwrap();
        assert!(matches!(stream.next_shot(), Ok(Next::Shot(_))));
    }

    #[test]
    fn a_playlist_of_the_network_cannot_make_the_box_read_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.ts");
        Clip::steady(Id::MPEG4, (64, 48), 50, 40).write(&file, |_| vec![90; 64 * 48 * 3]);
        assert!(open(format!("file://{}", file.display())).is_ok(), "the file itself is a video");
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,";
        let list = format!("{head}\nfile://{}\n#EXT-X-ENDLIST\n", file.display());
        let port = answer("200 OK", "application/vnd.apple.mpegurl", &list);
        let opened = open(format!("http://127.0.0.1:{port}/live.m3u8"));
        let read = opened.map(|mut stream| stream.next_shot());
        assert!(!matches!(read, Ok(Ok(Next::Shot(_)))), "{:?}", read.err());
    }
}
