//! FFmpeg itself: from a file or an address to upright pictures, each with its time and whether it is whole.
//!
//! In: what to open, with which protocols, formats and hosts, how long it may take. Out: pictures in the order they are
//! to be seen, and how many could not be had. It does not know whether anybody waits for them, nor what follows a
//! fault.
//!
//! ```text
//! container --packets--▶ decoder, or hardware --frames--▶ Read::Picture --asked for--▶ convert (colours, upright)
//!     │ cut short, marked     │ refused --▶ Read::Lost
//!     ├-----------------------┴ concealed --▶ the picture is marked as damaged, and those that are built on it
//!     └ not due: decoded only where others are built on it, never converted --▶ Read::NotDue
//! ```

#[cfg(test)]
#[path = "../../../tests/support/clip.rs"]
pub(super) mod clip;
mod convert;
mod deadline;
mod doubt;
mod hardware;
mod hosts;
mod log;
mod opening;
mod packets;
mod still;
mod streams;
#[cfg(test)]
mod tests;
mod tls;

use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadline::Deadline;
use doubt::Doubt;
use faces::picture::MAX_PIXELS;
use ffmpeg_next::codec::{self, Id, threading};
use ffmpeg_next::decoder::{self, Check};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::util::error::EAGAIN;
use ffmpeg_next::util::frame;
use ffmpeg_next::{Dictionary, Discard, Error, Packet, Stream, ffi};
use hardware::{Driver, Hardware};
use hosts::Hosts;
use identities::trust::Trust;
use packets::{Packets, Sent};
use still::{Darkroom, VideoFrame};

use super::pace::Pace;
use super::raw::Image;
use super::turn::Turn;
use crate::config::{AllowedHost, Decode};

pub use hosts::{Disbelief, Refusal, Refused};

/// An open video.
pub(super) struct Video {
    input: Input,
    /// Which of the container's streams is shown.
    stream: usize,
    /// Before the decoder, in whose memory it may lie.
    frame: frame::Video,
    decoder: decoder::Video,
    hardware: Hardware,
    deadline: Deadline,
    hosts: Arc<Hosts>,
    limits: Option<Limits>,
    darkroom: Darkroom,
    /// What the container says of the way up.
    turn: Turn,
    /// Milliseconds of one unit of the stream's time stamps.
    unit_ms: f64,
    fps: Option<f64>,
    /// What the decoder was given and has not yet given out.
    sent: Packets,
    doubt: Doubt,
    pace: Pace,
    /// Every frame stands for itself: none is decoded for another's sake.
    alone: bool,
    /// Packets of the shown stream read so far.
    packets: u64,
    /// When reading was last asked for.
    asked: Instant,
    stage: Stage,
    /// Whether a frame has come out of the decoder.
    shown: bool,
}

/// How a video is opened.
pub(super) struct Options<'a> {
    /// The only protocols FFmpeg may use, whatever a playlist or a redirect names: `file`, `rtsp,tcp,udp,rtp` …
    pub protocols: &'a str,
    /// The only formats it may take what comes for, by FFmpeg's names, also of what is inside another: `hls,mpegts` …
    pub formats: &'a str,
    /// What may be called beside the host of the address.
    pub hosts: &'a [AllowedHost],
    /// Whom these must be over TLS. Without it nobody looks at a certificate.
    pub trust: Option<&'a Trust>,
    /// FFmpeg's options for this connection alone.
    pub settings: &'a [(&'a str, &'a str)],
    /// Without limits, as for a file, it may take as long as it does.
    pub limits: Option<Limits>,
    /// So many frames a second are asked for; 0 asks for all.
    pub max_fps: f32,
    /// Of several pictures in it, the smallest that is so tall is shown; else, and without a wish, the best.
    pub height_px: Option<u32>,
    /// What is to decode it; software does where that is not to be had.
    pub decode: Decode,
}

impl Options<'static> {
    /// For a recording of this machine: all of it, and nothing else.
    pub const RECORDING: Self = Self {
        protocols: "file",
        formats: FILES,
        hosts: &[],
        trust: None,
        settings: &[],
        limits: None,
        max_fps: 0.0,
        height_px: None,
        decode: Decode::Software,
    };
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub open: Duration,
    pub read: Duration,
}

/// What reading gave.
#[derive(Debug)]
pub(super) enum Read {
    Picture(Decoded),
    /// There was a frame, which nobody asked for.
    NotDue,
    /// So many frames are in the video, or should be, and cannot be decoded.
    Lost(u64),
    /// This frame has more than [`MAX_PIXELS`].
    TooLarge,
    /// The end of a file, or of a connection that broke.
    End,
    /// The time limit has passed.
    TimedOut,
    /// It leads to a host of which nothing is fetched.
    Refused(Refused),
}

/// A frame, decoded.
#[derive(Debug)]
pub(super) struct Decoded {
    pub image: Image,
    /// Where it lies on the video's clock; `None` when the video does not say.
    pub position_ms: Option<f64>,
    /// The decoder had to make up parts of it, or of one that it is built on.
    pub damaged: bool,
}

/// Why a video cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    #[error("FFmpeg cannot open it: {said}")]
    Unopened {
        /// FFmpeg's own words, without addresses.
        said: String,
        error: Error,
    },
    #[error("its format is none that is taken there")]
    OtherFormat,
    #[error("nothing is fetched from {}, port {}", .0.host, .0.port)]
    Refused(Refused),
    #[error("this machine's FFmpeg does not speak TLS by GnuTLS, and no certificate can be checked")]
    Unchecked,
    #[error("this program was linked so that it cannot see whom FFmpeg calls")]
    Unseen,
    #[error("opening it took more than {waited_ms} ms")]
    TooSlow { waited_ms: u128 },
    #[error("there is sound or text in it, and no moving picture")]
    NoPictures,
    #[error("this machine's FFmpeg cannot decode its format `{format}`")]
    NoDecoder { format: &'static str },
    #[error("its frames are {width}x{height}; at most {limit} pixels are accepted")]
    TooLarge { width: u32, height: u32, limit: u64 },
}

impl VideoError {
    /// Whether it is another name or password that is wanted.
    pub fn is_log_in(&self) -> bool {
        matches!(self, Self::Unopened { error: Error::HttpUnauthorized | Error::HttpForbidden, .. })
    }
}

#[derive(PartialEq)]
enum Stage {
    Reading,
    /// Every packet has been read; the decoder still holds frames back.
    Draining,
    /// The frames that should have been there have been counted.
    Over,
}

/// The formats of files that are recordings, by FFmpeg's names: those that hold what they show, and name no other file.
pub(super) const FILES: &str = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,dv,ivf,h264,hevc,m4v,obu,\
                                mjpeg,mpjpeg,jpeg_pipe,gif,yuv4mpegpipe,wav,mp3,aac,flac";
/// One thread decodes a video. A box has several cameras and few cores; frames come out without delay; and FFmpeg tells
/// of concealed damage only then (its frame threads lose the mark, its slice threads do not conceal).
const DECODER_THREADS: usize = 1;
/// How many times the silence that is a fault the first frame of a stream may take while packets come: cameras that
/// save send a key frame every ten seconds.
pub(super) const FIRST_FRAME: u32 = 4;
/// Faults of the container one after the other, after which there is nothing more to expect of it.
const MOST_FAULTS: u32 = 1000;
/// JPEG's markers of the beginning of a scan, and of the end of a picture (ITU-T T.81, table B.1).
const SCAN: [u8; 2] = [0xff, 0xda];
const END: [u8; 2] = [0xff, 0xd9];
/// Passes over the pixels that a JPEG may take, where cameras write one or three. Nothing else ends a decoder that goes
/// over 50 megapixels thousands of times.
const MOST_SCANS: usize = 20;

impl Video {
    /// Opens a file name or an address, and reads enough of it to know its format.
    pub fn open(target: &str, options: &Options) -> Result<Self, VideoError> {
        log::to_tracing();
        let Ok(address) = CString::new(target) else {
            return Err(VideoError::Unopened { said: "there is a zero byte in its name".into(), error: Error::Bug });
        };
        if !hosts::in_force() {
            return Err(VideoError::Unseen);
        }
        if options.trust.is_some() && !tls::in_force() {
            return Err(VideoError::Unchecked);
        }
        let hosts = Hosts::of(&address, options.hosts, options.trust);
        let mut settings: Dictionary = options.settings.iter().copied().collect();
        settings.set("protocol_whitelist", options.protocols);
        settings.set("format_whitelist", options.formats);
        let deadline = Deadline::never();
        deadline.set(options.limits.map(|limits| limits.open));
        let (began, watch, held) = (Instant::now(), deadline.clone(), hosts.clone());
        let over = move || watch.passed() || held.refused().is_some();
        let (opened, heard) = hosts.hold(|| log::listening(|| opening::open(target, &hosts, over, settings)));
        if let Some(refused) = hosts.refused() {
            return Err(VideoError::Refused(refused.clone()));
        }
        let mut input = match opened {
            Ok(input) => input,
            Err(_) if deadline.passed() => {
                return Err(VideoError::TooSlow { waited_ms: began.elapsed().as_millis() });
            }
            Err(error) => return Err(unopened(error, &heard)),
        };
        let stream = streams::choose(&input, options.height_px).ok_or(VideoError::NoPictures)?;
        let (index, unit, turn) = (stream.index(), f64::from(stream.time_base()), turn_of(&stream));
        let fps = [stream.avg_frame_rate(), stream.rate()].map(f64::from).into_iter().find(|&fps| is_rate(fps));
        let (by_hardware, hardware) = Hardware::open(options.decode, &stream);
        let (decoder, heard) = log::listening(|| by_hardware.map_or_else(|| open_decoder(&stream, None), Ok));
        let decoder = decoder.map_err(|error| match error {
            Error::DecoderNotFound => VideoError::NoDecoder { format: stream.parameters().id().name() },
            error => unopened(error, &heard),
        })?;
        let (width, height) = (decoder.width(), decoder.height());
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(VideoError::TooLarge { width, height, limit: MAX_PIXELS });
        }
        let alone = streams::frames_stand_alone(decoder.id());
        streams::leave_out_all_but(&mut input, index);
        Ok(Self {
            input,
            stream: index,
            decoder,
            hardware,
            deadline,
            hosts,
            limits: options.limits,
            frame: frame::Video::empty(),
            darkroom: Darkroom::default(),
            turn,
            unit_ms: unit * 1000.0,
            fps,
            sent: Packets::default(),
            doubt: Doubt::default(),
            pace: Pace::new(options.max_fps),
            alone,
            packets: 0,
            asked: Instant::now(),
            stage: Stage::Reading,
            shown: false,
        })
    }

    /// Frames per second by the container's account, when it is a number a camera can have.
    pub fn fps(&self) -> Option<f64> {
        self.fps
    }

    /// The hardware that decodes, by its name, and why the one that was asked for does not. What is known of either may
    /// change with each frame.
    pub fn hardware(&self) -> (Option<&str>, Option<&str>) {
        (self.hardware.name(), self.hardware.problem())
    }

    /// Shows every frame from now on; somebody else keeps the pace.
    pub fn hand_over_pace(&mut self) -> Pace {
        std::mem::replace(&mut self.pace, Pace::new(0.0))
    }

    /// Whether it is a live stream whose frames come several seconds at once.
    pub fn comes_in_pieces(&self) -> bool {
        // SAFETY: the container is open. The crate has no way to its flags, which say of HLS whether it goes on.
        let goes_on = unsafe { (*self.input.as_ptr()).ctx_flags } & ffi::AVFMTCTX_UNSEEKABLE != 0;
        goes_on && streams::is_playlist(&self.input)
    }

    /// Waits for the next frame and decodes it.
    pub fn read(&mut self) -> Read {
        self.read_within(self.limits.map(|limits| limits.read))
    }

    /// The same with another limit.
    pub fn read_within(&mut self, limit: Option<Duration>) -> Read {
        self.deadline.set(limit);
        self.asked = Instant::now();
        let hosts = self.hosts.clone();
        let (read, said) = log::listening(|| hosts.hold(|| self.next_frame()));
        match read {
            Read::Picture(_) => self.hardware.showed(&said),
            Read::Lost(_) => {
                if let Some(packets) = self.hardware.lost(&said) {
                    self.decode_in_software(&packets);
                }
            }
            _ => {}
        }
        // Whatever is shown meanwhile: it is not the camera alone that shows it.
        hosts.refused().map_or(read, |refused| Read::Refused(refused.clone()))
    }

    fn next_frame(&mut self) -> Read {
        loop {
            let received = match self.hardware.may_be_asked() || self.stage != Stage::Reading {
                true => self.decoder.receive_frame(&mut self.frame),
                false => Err(Error::Other { errno: EAGAIN }),
            };
            match received {
                Ok(()) => {
                    self.shown = true;
                    match self.decoded() {
                        // Told of when it was sent.
                        Read::NotDue => continue,
                        read => return read,
                    }
                }
                Err(Error::Other { errno: EAGAIN }) => {}
                Err(Error::Eof) => return self.end(),
                Err(_) => return self.lost(),
            }
            if self.deadline.passed() {
                return Read::TimedOut;
            }
            let fed = match self.next_packet() {
                Ok(Some((packet, torn))) => {
                    self.wait_for_a_key_frame();
                    let due = self.is_due(&packet) || (!self.shown && packet.is_key());
                    // Until something is shown nobody is told that there is more than was asked for.
                    let not_due = !due && self.shown;
                    if not_due && self.alone {
                        return Read::NotDue;
                    }
                    if !self.hardware.takes(&packet) {
                        return self.lost();
                    }
                    let stamp = packet.pts();
                    self.sent.note(Sent { stamp, torn, due });
                    // A frame that does not come out is told from the others by its time stamp alone.
                    let may_miss = not_due && stamp.is_some();
                    self.decoder.skip_frame(if may_miss { Discard::NonReference } else { Discard::Default });
                    match self.decoder.send_packet(&packet) {
                        Ok(()) if not_due => return Read::NotDue,
                        Ok(()) => Ok(()),
                        Err(error) => {
                            self.sent.take_back();
                            Err(error)
                        }
                    }
                }
                Ok(None) => {
                    self.stage = Stage::Draining;
                    self.decoder.send_eof()
                }
                Err(instead) => return instead,
            };
            // A decoder that has been told of the end has nothing more to refuse.
            if fed.is_err() && self.stage == Stage::Reading {
                return self.lost();
            }
        }
    }

    /// A stream that is entered in the middle shows nothing until its next key frame: while packets come, it is waited
    /// for.
    fn wait_for_a_key_frame(&self) {
        let Some(Limits { read, .. }) = self.limits.filter(|_| !self.shown) else { return };
        if self.asked.elapsed() < FIRST_FRAME * read {
            self.deadline.set(Some(read));
        }
    }

    /// By the stream's clock, on which frames lie evenly however they arrive.
    fn is_due(&mut self, packet: &Packet) -> bool {
        match packet.pts() {
            Some(stamp) => self.pace.due(stamp as f64 * self.unit_ms),
            None => self.pace.due_now(),
        }
    }

    /// Goes on without hardware, from the last key frame on: the next frame is built on what came since.
    fn decode_in_software(&mut self, packets: &[Packet]) {
        let opened = self.input.stream(self.stream).map(|stream| open_decoder(&stream, None));
        // Where this fails nothing is shown any more, and a silence ends the connection.
        let Some(Ok(decoder)) = opened else { return };
        self.frame = frame::Video::empty();
        self.decoder = decoder;
        for packet in packets {
            // It was shown, or comes too late: whether it can be decoded is not asked.
            let _ = self.decoder.send_packet(packet);
            while self.decoder.receive_frame(&mut self.frame).is_ok() {}
        }
    }

    fn lost(&mut self) -> Read {
        self.doubt.lost();
        Read::Lost(1)
    }

    /// The next packet of the shown stream, and whether it is not whole; `None` when there are no more. The error is
    /// what reading gives instead.
    fn next_packet(&mut self) -> Result<Option<(Packet, bool)>, Read> {
        for _ in 0..MOST_FAULTS {
            loop {
                let mut packet = Packet::empty();
                match packet.read(&mut self.input) {
                    Ok(()) if packet.stream() != self.stream => {}
                    Ok(()) => {
                        self.packets += 1;
                        let is_jpeg = self.decoder.id() == Id::MJPEG;
                        if is_jpeg && scans(&packet) > MOST_SCANS {
                            return Err(self.lost());
                        }
                        let torn = packet.is_corrupt() || (is_jpeg && is_cut_short(&packet));
                        return Ok(Some((packet, torn)));
                    }
                    // A playlist that is given up is over as well.
                    Err(_) if self.deadline.passed() => return Err(Read::TimedOut),
                    Err(Error::Eof) => return Ok(None),
                    Err(_) if self.hosts.refused().is_some() => return Ok(None),
                    // What is damaged is passed over, and found missing at the end.
                    Err(_) => break,
                }
                if self.deadline.passed() {
                    return Err(Read::TimedOut);
                }
            }
        }
        Ok(None)
    }

    /// The frame the decoder has just given out.
    fn decoded(&mut self) -> Read {
        if u64::from(self.frame.width()) * u64::from(self.frame.height()) > MAX_PIXELS {
            return Read::TooLarge;
        }
        let Sent { torn, due, .. } = self.sent.of(self.frame.pts());
        let damaged = torn || self.frame.is_corrupt() || self.frame.has_decode_errors();
        let damaged = self.doubt.marks(self.frame.is_key(), damaged);
        if !due {
            self.hardware.answered();
            return Read::NotDue;
        }
        if self.hardware.fetch(&mut self.frame).is_err() {
            return self.lost();
        }
        let position_ms = self.frame.timestamp().map(|stamp| stamp as f64 * self.unit_ms);
        // A camera that turns its pictures itself says so in each of them.
        let side_data = self.frame.side_data(frame::side_data::Type::DisplayMatrix);
        let turn = side_data.and_then(|matrix| Turn::of_matrix(matrix.data())).unwrap_or(self.turn);
        let image = if self.hardware.is_used() {
            // Its driver has few frames, and waits for them.
            VideoFrame::developed(&self.frame, turn, &self.darkroom)
        } else {
            let frame = std::mem::replace(&mut self.frame, frame::Video::empty());
            VideoFrame::image(frame, turn, &self.darkroom)
        };
        image.map_or(Read::Lost(1), |image| Read::Picture(Decoded { image, position_ms, damaged }))
    }

    /// After the last frame: first what never came, then the end.
    fn end(&mut self) -> Read {
        let missing = if self.stage == Stage::Over { 0 } else { self.indexed().saturating_sub(self.packets) };
        self.stage = Stage::Over;
        if missing > 0 { Read::Lost(missing) } else { Read::End }
    }

    /// Frames the container's index lists; fewer than there are, or none, where it lists only some.
    fn indexed(&self) -> u64 {
        let Some(stream) = self.input.stream(self.stream) else { return 0 };
        // SAFETY: the stream belongs to the open container, and an entry is looked at before anything else is asked of
        // the container. The crate has no safe way to the index.
        unsafe {
            let stream = stream.as_ptr().cast_mut();
            let entries = 0..ffi::avformat_index_get_entries_count(stream);
            let sizes = entries.filter_map(|n| ffi::avformat_index_get_entry(stream, n).as_ref().map(|it| it.size()));
            // An empty entry is a recorder's way to say that nothing was there.
            sizes.filter(|&size| size > 0).count() as u64
        }
    }
}

/// Whether a number of frames per second makes sense.
pub(super) fn is_rate(fps: f64) -> bool {
    fps > 0.0 && fps <= 1000.0
}

fn turn_of(stream: &Stream) -> Turn {
    let matrix = stream.side_data().find(|data| data.kind() == codec::packet::side_data::Type::DisplayMatrix);
    matrix.and_then(|matrix| Turn::of_matrix(matrix.data())).unwrap_or_default()
}

/// A stream's decoder: by software, or by what hardware has for it.
fn open_decoder(stream: &Stream, driver: Option<&Driver>) -> Result<decoder::Video, Error> {
    let parameters = stream.parameters();
    let codec = driver.map(Driver::codec).or_else(|| decoder::find(parameters.id())).ok_or(Error::DecoderNotFound)?;
    let mut context = codec::Context::from_parameters(parameters)?;
    context.set_threading(threading::Config::count(DECODER_THREADS));
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    if codec.id() == Id::MJPEG {
        // Otherwise a JPEG that breaks off in the middle would be a picture, grey or smeared below, without a word.
        decoder.check(Check::EXPLODE);
    }
    if let Some(driver) = driver {
        driver.equip(&mut decoder);
    }
    let limit = MAX_PIXELS.to_string();
    decoder.open_as_with(codec, [("max_pixels", limit.as_str())].into_iter().collect())?.video()
}

/// How many scans a JPEG has, with those of pictures within it.
fn scans(packet: &Packet) -> usize {
    packet.data().unwrap_or_default().windows(2).filter(|pair| **pair == SCAN).count()
}

/// Whether a JPEG ends before its end.
fn is_cut_short(packet: &Packet) -> bool {
    let bytes = packet.data().unwrap_or_default();
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last(END) < last(SCAN)
}

fn unopened(error: Error, heard: &[String]) -> VideoError {
    if heard.iter().any(|line| line.starts_with("Format not on whitelist")) {
        return VideoError::OtherFormat;
    }
    let said = if heard.is_empty() { error.to_string() } else { format!("{error} ({})", heard.join("; ")) };
    VideoError::Unopened { said, error }
}
