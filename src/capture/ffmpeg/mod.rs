//! FFmpeg itself: from a file or an address to upright pictures, each with its time and whether it is whole.
//!
//! In: what to open, which protocols may be used for it, how long that may take. Out: pictures in the order they are to
//! be seen, and how many could not be had. It does not know whether anybody waits for them, nor what follows a fault.
//!
//! ```text
//! container ──packets──▶ decoder ──frames──▶ convert (colours, upright) ──▶ Read::Picture
//!     │ cut short, marked     │ refused ──▶ Read::Lost
//!     └───────────────────────┴ concealed ──▶ the picture is marked as damaged
//! ```

#[cfg(test)]
pub(super) mod clip;
mod convert;
mod deadline;
mod log;
mod turn;

use std::time::{Duration, Instant};

use ffmpeg_next::codec::{self, Id, threading};
use ffmpeg_next::decoder::{self, Check};
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::util::error::EAGAIN;
use ffmpeg_next::util::frame;
use ffmpeg_next::{Dictionary, Error, Packet, Stream, ffi, format, media};

use crate::picture::{MAX_PIXELS, Picture};
use convert::Converter;
use deadline::Deadline;
use turn::Turn;

/// An open video.
pub(super) struct Video {
    input: Input,
    /// Which of the container's streams is shown.
    stream: usize,
    decoder: decoder::Video,
    deadline: Deadline,
    limits: Option<Limits>,
    frame: frame::Video,
    converter: Converter,
    /// What the container says of the way up.
    turn: Turn,
    /// Milliseconds of one unit of the stream's time stamps.
    unit_ms: f64,
    fps: Option<f64>,
    /// The time stamps of packets that were not whole, until their frames come out.
    torn: Vec<Option<i64>>,
    /// Packets of the shown stream read so far.
    packets: u64,
    stage: Stage,
}

/// How a video is opened.
pub(super) struct Options<'a> {
    /// The only protocols FFmpeg may use, whatever a playlist or a redirect names: `file`, `rtsp,tcp,udp,rtp` …
    pub protocols: &'a str,
    /// FFmpeg's options for this connection alone.
    pub settings: &'a [(&'a str, &'a str)],
    /// Without limits, as for a file, it may take as long as it does.
    pub limits: Option<Limits>,
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
    /// So many frames are in the video, or should be, and cannot be decoded.
    Lost(u64),
    /// This frame has more than [`MAX_PIXELS`].
    TooLarge,
    /// The end of a file, or of a connection that broke.
    End,
    /// The time limit has passed.
    TimedOut,
}

/// A frame, decoded.
#[derive(Debug)]
pub(super) struct Decoded {
    pub picture: Picture,
    /// Where it lies on the video's clock; `None` when the video does not say.
    pub position_ms: Option<f64>,
    /// The decoder had to make up parts of it.
    pub damaged: bool,
}

/// Why a video cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    #[error("FFmpeg cannot open it: {said}")]
    Unopened {
        /// FFmpeg's own words, without addresses.
        said: String,
    },
    #[error("opening it took more than {waited_ms} ms")]
    TooSlow { waited_ms: u128 },
    #[error("there is sound or text in it, and no moving picture")]
    NoPictures,
    #[error("this machine's FFmpeg cannot decode its format `{format}`")]
    NoDecoder { format: &'static str },
    #[error("its frames are {width}x{height}; at most {limit} pixels are accepted")]
    TooLarge { width: u32, height: u32, limit: u64 },
}

#[derive(PartialEq)]
enum Stage {
    Reading,
    /// Every packet has been read; the decoder still holds frames back.
    Draining,
    /// The frames that should have been there have been counted.
    Over,
}

/// One thread decodes a video. A box has several cameras and few cores; frames come out without delay; and FFmpeg tells
/// of concealed damage only then (its frame threads lose the mark, its slice threads do not conceal).
const DECODER_THREADS: usize = 1;
/// Faults of the container one after the other, after which there is nothing more to expect of it.
const MOST_FAULTS: u32 = 1000;
/// JPEG's markers of the beginning of a scan, and of the end of a picture (ITU-T T.81, table B.1).
const SCAN: [u8; 2] = [0xff, 0xda];
const END: [u8; 2] = [0xff, 0xd9];

impl Video {
    /// Opens a file name or an address, and reads enough of it to know its format.
    pub fn open(target: &str, options: &Options) -> Result<Self, VideoError> {
        log::to_tracing();
        if target.contains('\0') {
            return Err(VideoError::Unopened { said: "there is a zero byte in its name".into() });
        }
        let mut settings: Dictionary = options.settings.iter().copied().collect();
        settings.set("protocol_whitelist", options.protocols);
        let deadline = Deadline::never();
        deadline.set(options.limits.map(|limits| limits.open));
        let (began, watch) = (Instant::now(), deadline.clone());
        let (opened, heard) =
            log::listening(|| format::input_with_interrupt_and_dictionary(target, move || watch.passed(), settings));
        let input = match opened {
            Ok(input) => input,
            Err(_) if deadline.passed() => {
                return Err(VideoError::TooSlow { waited_ms: began.elapsed().as_millis() });
            }
            Err(error) => return Err(unopened(error, &heard)),
        };
        let stream = input.streams().best(media::Type::Video).filter(is_video).ok_or(VideoError::NoPictures)?;
        let (index, unit, turn) = (stream.index(), f64::from(stream.time_base()), turn_of(&stream));
        let fps = [stream.avg_frame_rate(), stream.rate()].map(f64::from).into_iter().find(|&fps| is_rate(fps));
        let (decoder, heard) = log::listening(|| open_decoder(&stream));
        let decoder = decoder.map_err(|error| match error {
            Error::DecoderNotFound => VideoError::NoDecoder { format: stream.parameters().id().name() },
            error => unopened(error, &heard),
        })?;
        let (width, height) = (decoder.width(), decoder.height());
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(VideoError::TooLarge { width, height, limit: MAX_PIXELS });
        }
        Ok(Self {
            input,
            stream: index,
            decoder,
            deadline,
            limits: options.limits,
            frame: frame::Video::empty(),
            converter: Converter::default(),
            turn,
            unit_ms: unit * 1000.0,
            fps,
            torn: Vec::new(),
            packets: 0,
            stage: Stage::Reading,
        })
    }

    /// Frames per second by the container's account, when it is a number a camera can have.
    pub fn fps(&self) -> Option<f64> {
        self.fps
    }

    /// Waits for the next frame and decodes it.
    pub fn read(&mut self) -> Read {
        self.deadline.set(self.limits.map(|limits| limits.read));
        loop {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => return self.decoded(),
                Err(Error::Other { errno: EAGAIN }) => {}
                Err(Error::Eof) => return self.end(),
                Err(_) => return Read::Lost(1),
            }
            if self.deadline.passed() {
                return Read::TimedOut;
            }
            let fed = match self.next_packet() {
                Ok(Some(packet)) => self.decoder.send_packet(&packet),
                Ok(None) => {
                    self.stage = Stage::Draining;
                    self.decoder.send_eof()
                }
                Err(timed_out) => return timed_out,
            };
            // A decoder that has been told of the end has nothing more to refuse.
            if fed.is_err() && self.stage == Stage::Reading {
                return Read::Lost(1);
            }
        }
    }

    /// The next packet of the shown stream; `None` when there are no more.
    fn next_packet(&mut self) -> Result<Option<Packet>, Read> {
        for _ in 0..MOST_FAULTS {
            loop {
                let mut packet = Packet::empty();
                match packet.read(&mut self.input) {
                    Ok(()) if packet.stream() != self.stream => {}
                    Ok(()) => {
                        self.packets += 1;
                        if packet.is_corrupt() || (self.decoder.id() == Id::MJPEG && is_cut_short(&packet)) {
                            self.torn.push(packet.pts());
                        }
                        return Ok(Some(packet));
                    }
                    Err(Error::Eof) => return Ok(None),
                    Err(_) if self.deadline.passed() => return Err(Read::TimedOut),
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
        let stamp = self.frame.pts();
        let torn = self.torn.iter().position(|torn| *torn == stamp).map(|at| self.torn.swap_remove(at)).is_some();
        let damaged = torn || self.frame.is_corrupt() || self.frame.has_decode_errors();
        let position_ms = self.frame.timestamp().map(|stamp| stamp as f64 * self.unit_ms);
        // A camera that turns its pictures itself says so in each of them.
        let side_data = self.frame.side_data(frame::side_data::Type::DisplayMatrix);
        let turn = side_data.and_then(|matrix| Turn::of_matrix(matrix.data())).unwrap_or(self.turn);
        match self.converter.picture(&self.frame, turn) {
            Some(picture) => Read::Picture(Decoded { picture, position_ms, damaged }),
            None => Read::Lost(1),
        }
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

/// A cover picture in a sound file is stored as a video of one frame.
fn is_video(stream: &Stream) -> bool {
    !stream.disposition().contains(Disposition::ATTACHED_PIC)
}

fn turn_of(stream: &Stream) -> Turn {
    let matrix = stream.side_data().find(|data| data.kind() == codec::packet::side_data::Type::DisplayMatrix);
    matrix.and_then(|matrix| Turn::of_matrix(matrix.data())).unwrap_or_default()
}

fn open_decoder(stream: &Stream) -> Result<decoder::Video, Error> {
    let parameters = stream.parameters();
    let codec = decoder::find(parameters.id()).ok_or(Error::DecoderNotFound)?;
    let mut context = codec::Context::from_parameters(parameters)?;
    context.set_threading(threading::Config::count(DECODER_THREADS));
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    if codec.id() == Id::MJPEG {
        // Otherwise a JPEG that breaks off in the middle would be a picture, grey or smeared below, without a word.
        decoder.check(Check::EXPLODE);
    }
    let limit = MAX_PIXELS.to_string();
    decoder.open_as_with(codec, [("max_pixels", limit.as_str())].into_iter().collect())?.video()
}

/// Whether a JPEG ends before its end.
fn is_cut_short(packet: &Packet) -> bool {
    let bytes = packet.data().unwrap_or_default();
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last(END) < last(SCAN)
}

fn unopened(error: Error, heard: &[String]) -> VideoError {
    let said = if heard.is_empty() { error.to_string() } else { format!("{error} ({})", heard.join("; ")) };
    VideoError::Unopened { said }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::clip::{Clip, edit, frames, turn};
    use super::*;

    const FILE: Options = Options { protocols: "file", settings: &[], limits: None };

    fn open(path: &std::path::Path) -> Result<Video, VideoError> {
        Video::open(&format!("file:{}", path.display()), &FILE)
    }

    /// Every picture, how many were lost, and how it ended.
    fn play(video: &mut Video) -> (Vec<Decoded>, u64) {
        let (mut pictures, mut lost) = (Vec::new(), 0);
        loop {
            match video.read() {
                Read::Picture(decoded) => pictures.push(decoded),
                Read::Lost(frames) => lost += frames,
                Read::End => return (pictures, lost),
                other => panic!("{other:?}"),
            }
        }
    }

    /// A picture that says which way up it is, with enough in it that damage is found: noise of four brightnesses, the
    /// darkest at the top left, then the top right, the bottom left, the bottom right.
    fn quarters(width: u32, height: u32) -> Vec<u8> {
        let mut noise = 7u32;
        let pixel = |(x, y): (u32, u32)| {
            let bright = 40 + 50 * (u32::from(x >= width / 2) + 2 * u32::from(y >= height / 2));
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [(bright + (noise >> 28)) as u8; 3]
        };
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(pixel).collect()
    }

    /// The quarters of a picture, 0 to 3 by brightness: top left, top right, bottom left, bottom right.
    fn seen(picture: &Picture) -> [u8; 4] {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
            let around = |row: usize| &picture.bgr()[(row * width + x * width / 4 - 2) * 3..][..12];
            let bytes: Vec<u32> = (0..4).flat_map(|n| around(y * height / 4 - 2 + n)).map(|&b| b.into()).collect();
            ((bytes.iter().sum::<u32>() / bytes.len() as u32 - 40) / 50) as u8
        })
    }

    fn clip(name: &str, clip: &Clip) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(name);
        clip.write(&path, |_| quarters(clip.width, clip.height));
        (dir, path)
    }

    #[test]
    fn a_recording_is_shown_as_its_metadata_turns_it() {
        for (what, matrix, size, quarters) in [
            ("as it is", [1, 0, 0, 1], (96, 64), [0, 1, 2, 3]),
            ("a quarter to the right", [0, 1, -1, 0], (64, 96), [2, 0, 3, 1]),
            ("a half", [-1, 0, 0, -1], (96, 64), [3, 2, 1, 0]),
            ("a quarter to the left", [0, -1, 1, 0], (64, 96), [1, 3, 0, 2]),
            ("mirrored", [-1, 0, 0, 1], (96, 64), [1, 0, 3, 2]),
            ("flipped", [1, 0, 0, -1], (96, 64), [2, 3, 0, 1]),
            ("mirrored, a quarter to the right", [0, 1, 1, 0], (64, 96), [0, 2, 1, 3]),
            ("mirrored, a quarter to the left", [0, -1, -1, 0], (64, 96), [3, 1, 2, 0]),
        ] {
            let (_dir, path) = clip("turned.mp4", &Clip::steady(Id::MPEG4, (96, 64), 2, 40));
            turn(&path, matrix);
            let (pictures, lost) = play(&mut open(&path).unwrap());
            assert_eq!((pictures.len(), lost), (2, 0), "{what}");
            for Decoded { picture, damaged, .. } in pictures {
                assert_eq!((picture.width(), picture.height()), size, "{what}");
                assert_eq!(seen(&picture), quarters, "{what}");
                assert!(!damaged, "{what}");
            }
        }
    }

    #[test]
    fn frames_lie_where_their_time_stamps_say() {
        let stamps_ms = vec![0, 40, 200, 205, 1000];
        let steady = Clip::steady(Id::MPEG4, (64, 48), 0, 0);
        for name in ["pauses.mp4", "pauses.mov", "pauses.mkv"] {
            let (_dir, path) = clip(name, &Clip { stamps_ms: stamps_ms.clone(), ..steady });
            let (pictures, _) = play(&mut open(&path).unwrap());
            let positions: Vec<_> = pictures.iter().map(|it| it.position_ms.unwrap().round() as i64).collect();
            assert_eq!(positions, stamps_ms, "{name}");
        }
        let (_dir, path) = clip("rate.avi", &Clip::steady(Id::MJPEG, (64, 48), 5, 80));
        assert!(open(&path).unwrap().fps().is_some());
        let (_dir, path) = clip("rate.mp4", &Clip::steady(Id::MJPEG, (64, 48), 5, 80));
        assert_eq!(open(&path).unwrap().fps(), Some(12.5));
    }

    #[test]
    fn a_damaged_frame_is_marked_or_counted_and_the_others_are_shown() {
        for (codec, lost_and_damaged) in [(Id::MJPEG, (1, 0)), (Id::MPEG4, (0, 1))] {
            let (_dir, path) = clip("damaged.mp4", &Clip::steady(codec, (160, 128), 9, 40));
            let (at, length) = frames(&path)[4];
            // A piece of the coded pixels, not of the header before them.
            edit(&path, |bytes| bytes[at + length / 2..at + length * 3 / 4].fill(0x55));
            let (pictures, lost) = play(&mut open(&path).unwrap());
            let damaged: Vec<i64> =
                pictures.iter().filter(|it| it.damaged).map(|it| it.position_ms.unwrap().round() as i64).collect();
            assert_eq!((lost, damaged.len()), lost_and_damaged, "{codec:?}");
            assert!(damaged.iter().all(|&at| at == 160), "{codec:?}: the right frame is marked, not {damaged:?}");
            assert_eq!(pictures.len() as u64 + lost, 9, "{codec:?}");
        }
    }

    #[test]
    fn a_file_that_breaks_off_gives_what_is_there_and_counts_what_its_index_still_lists() {
        for name in ["cut.mov", "cut.avi", "cut.mkv", "cut.ts"] {
            let codec = if name == "cut.ts" { Id::MPEG4 } else { Id::MJPEG };
            let (_dir, path) = clip(name, &Clip::steady(codec, (160, 128), 10, 40));
            let (at, length) = frames(&path)[6];
            edit(&path, |bytes| bytes.truncate(at + length / 2));
            let Ok(mut video) = open(&path) else {
                // The index of such a file is at its end: nothing can be found in it.
                assert_eq!(name, "cut.mov");
                continue;
            };
            let (pictures, _) = play(&mut video);
            let whole = pictures.iter().filter(|it| !it.damaged).count();
            assert!((5..=6).contains(&whole), "{name}: {whole} of 6");
            assert!(pictures.len() <= 7, "{name}");
        }
        // With its index in front, as for streaming, the file knows what is missing.
        let (_dir, path) = clip("whole.mp4", &Clip::steady(Id::MJPEG, (160, 128), 10, 40));
        let (at, _) = frames(&path)[6];
        edit(&path, |bytes| index_first(bytes, at));
        let (pictures, lost) = play(&mut open(&path).unwrap());
        assert_eq!((pictures.len(), lost), (6, 4));
    }

    /// Puts an MP4 file's index before its pictures and cuts these at `end`.
    fn index_first(bytes: &mut Vec<u8>, end: usize) {
        let find = |bytes: &[u8], name: &[u8; 4]| bytes.windows(4).position(|four| four == name).unwrap() - 4;
        let (pictures, index) = (find(bytes, b"mdat"), find(bytes, b"moov"));
        let mut moved = bytes[index..].to_vec();
        // The index holds the place of the first picture, which all others follow.
        let places = find(&moved, b"stco") + 16;
        let shift = moved.len() as u32;
        let first = u32::from_be_bytes(moved[places..places + 4].try_into().unwrap());
        moved[places..places + 4].copy_from_slice(&(first + shift).to_be_bytes());
        bytes.truncate(end);
        bytes.splice(pictures..pictures, moved);
    }

    #[test]
    fn what_is_no_video_says_why() {
        let dir = TempDir::new().unwrap();
        let path = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        // A second of silence, eight bits, one channel: a sound file's header and its samples.
        let sound = [
            &b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x40\x1f\0\0"[..],
            &[128; 8000],
        ];
        for (path, hint) in [
            (path("text.mp4", b"this is no video"), "FFmpeg cannot open it"),
            (path("nothing.avi", b""), "FFmpeg cannot open it"),
            (path("sound.wav", &sound.concat()), "sound or text"),
            (path("playlist.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"), "FFmpeg"),
            (dir.path().join("missing.mp4"), "No such file"),
        ] {
            let error = open(&path).err().unwrap().to_string();
            assert!(error.contains(hint), "{}: {error}", path.display());
        }
        assert!(Video::open("file:zero\0byte", &FILE).is_err());
    }

    #[test]
    fn only_the_protocols_named_are_opened_and_a_silent_host_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://127.0.0.1:{}/x", listener.local_addr().unwrap().port());
        let (_dir, path) = clip("here.mp4", &Clip::steady(Id::MPEG4, (64, 48), 1, 40));
        let over = |target: &str, protocols| {
            let limits = Some(Limits { open: Duration::from_millis(200), read: Duration::from_millis(200) });
            Video::open(target, &Options { protocols, settings: &[], limits }).err()
        };
        assert!(matches!(over(&address, "file"), Some(VideoError::Unopened { .. })));
        assert!(matches!(over(&format!("file:{}", path.display()), "http,tcp"), Some(VideoError::Unopened { .. })));
        assert!(matches!(over(&address, "http,tcp"), Some(VideoError::TooSlow { .. })));
    }
}
