//! Decoding outside the processor: by VA-API (graphics of Intel and AMD), or by a memory-to-memory device of the kernel
//! (V4L2 M2M, as on a Raspberry Pi).
//!
//! In: a video's stream, and which of the two is asked for; then its packets, and what came of them. Out: its decoder
//! where this machine has one, and else why not; its frames, fetched from the device's memory; and when it is to be
//! given up. Decoding in software is not done here.
//!
//! ```text
//! open --▶ opened --a frame in its memory--▶ at work --MOST_REFUSED lost, or MOST_UNANSWERED packets--▶ given up
//!            │                                  │                   (another goes on from the last key frame)
//!            └--a frame in the program's memory-┴--▶ not used
//! ```
//!
//! VA-API is asked whether it decodes a stream (its profile, its size) with the first frame only, by FFmpeg, which goes
//! on in software by itself where it does not. What a device conceals of damage FFmpeg does not tell.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::ptr;

use ffmpeg_next::codec::Id;
use ffmpeg_next::decoder::{self, Decoder};
use ffmpeg_next::ffi::{self, AVHWDeviceType};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::frame;
use ffmpeg_next::{Codec, Dictionary, Error, Packet, Stream};
use tracing::debug;

use super::{log, open_decoder};
use crate::config::Decode;

/// Frames refused one after the other, after which a device is given up. Of a damaged stream so many are not.
pub(super) const MOST_REFUSED: u32 = 5;
/// Packets one after the other of which no frame came: a device that works holds back sixteen frames at most, to put
/// them in their order (ITU-T H.264, A.3.1), and cameras make it hold back none or a few.
pub(super) const MOST_UNANSWERED: u32 = 30;
/// Packets that are kept for another decoder have this many bytes at most: ten seconds of a large camera.
const MOST_KEPT: usize = 16 << 20;
/// Where graphics devices that compute are found.
const RENDER_NODES: &str = "/dev/dri";

/// What came of asking for hardware to decode a video.
#[derive(Default)]
pub struct Hardware {
    /// What decodes, for people: `VA-API (/dev/dri/renderD128)`. `None`: software does.
    by: Option<String>,
    /// It decodes into memory of its own: a frame elsewhere is FFmpeg's.
    has_memory: bool,
    /// A frame has shown that it decodes.
    proven: bool,
    /// The last frame lay in the device's memory.
    on_device: bool,
    /// It was given a packet.
    fed: bool,
    /// It could not even be started.
    broken: bool,
    /// One way was asked for by name, so that it matters whether it is taken.
    wanted: bool,
    /// Why it is not taken, or no longer.
    problem: Option<String>,
    /// Frames it refused one after the other.
    refused: u32,
    /// Packets since its last frame.
    unanswered: u32,
    since_key_frame: Kept,
}

/// The packets from the last key frame on: what another decoder needs to go on from here.
#[derive(Default)]
struct Kept {
    packets: Vec<Packet>,
    bytes: usize,
    /// There was a key frame: before one no decoder can show anything.
    begun: bool,
}

/// How a decoder for streams of one format is come by.
type Way = fn(Id) -> Result<Driver, String>;

/// What decodes streams of one format.
pub struct Driver {
    codec: Codec,
    device: Option<Device>,
    name: String,
}

/// A device as FFmpeg holds it open.
struct Device(*mut ffi::AVBufferRef);

impl Hardware {
    /// The decoder for a stream, where one is asked for and there.
    pub fn open(asked: Decode, stream: &Stream) -> (Option<decoder::Video>, Self) {
        let ways: &[Way] = match asked {
            Decode::Software => &[],
            Decode::Vaapi => &[vaapi],
            Decode::V4l2m2m => &[v4l2m2m],
            Decode::Auto => &[vaapi, v4l2m2m],
        };
        let mut hardware = Self { wanted: asked != Decode::Auto, ..Self::default() };
        for way in ways {
            match way(stream.parameters().id()).and_then(|driver| Ok((driver.open(stream)?, driver))) {
                Ok((decoder, Driver { device, name, .. })) => {
                    (hardware.by, hardware.has_memory) = (Some(name), device.is_some());
                    hardware.problem = None;
                    return (Some(decoder), hardware);
                }
                Err(problem) => {
                    debug!("no hardware decodes it: {problem}");
                    hardware.problem = Some(problem);
                }
            }
        }
        (None, hardware)
    }

    /// What decodes, once it has shown that it does; `None` for software.
    pub fn name(&self) -> Option<&str> {
        self.by.as_deref().filter(|_| self.proven)
    }

    /// Whether it decodes, or is to be tried.
    pub fn is_used(&self) -> bool {
        self.by.is_some()
    }

    /// Why hardware that was asked for does not decode.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref().filter(|_| self.wanted)
    }

    /// Looks at a packet before it is decoded; `false` when it is of no use to wait for frames any longer.
    pub fn takes(&mut self, packet: &Packet) -> bool {
        if self.by.is_none() {
            return true;
        }
        self.fed = true;
        self.since_key_frame.keep(packet);
        self.unanswered += u32::from(self.since_key_frame.begun);
        self.unanswered <= MOST_UNANSWERED
    }

    /// Whether frames may be asked for: FFmpeg 5.1 crashes where a memory-to-memory device is asked before it has been
    /// given anything to decode.
    pub fn may_be_asked(&self) -> bool {
        self.by.is_none() || self.fed
    }

    /// Brings a frame that lies in a device's memory into the program's; another one stays what it is.
    pub fn fetch(&mut self, frame: &mut frame::Video) -> Result<(), Error> {
        self.on_device = matches!(frame.format(), Pixel::VAAPI | Pixel::DRM_PRIME);
        if !self.on_device {
            // FFmpeg gives a frame without anything in it where a memory-to-memory device does not start.
            self.broken = frame.format() == Pixel::None;
            return if self.broken { Err(Error::External) } else { Ok(()) };
        }
        let mut fetched = frame::Video::empty();
        // SAFETY: both frames are alive and nobody else's. The new one is empty, so that FFmpeg gives it memory of its
        // own, which goes with it; it keeps nothing of the other. The last call cuts off what a decoder in software
        // would have cut off already: a device's frame can be cut at its right and lower edge only.
        unsafe {
            done(ffi::av_hwframe_transfer_data(fetched.as_mut_ptr(), frame.as_ptr(), 0))?;
            done(ffi::av_frame_copy_props(fetched.as_mut_ptr(), frame.as_ptr()))?;
            done(ffi::av_frame_apply_cropping(fetched.as_mut_ptr(), 0))?;
        }
        // The device's own is free again.
        *frame = fetched;
        Ok(())
    }

    /// A frame came out.
    pub fn answered(&mut self) {
        (self.refused, self.unanswered) = (0, 0);
    }

    /// A frame was shown; FFmpeg said this meanwhile.
    pub fn showed(&mut self, said: &[String]) {
        self.answered();
        match &self.by {
            // FFmpeg decodes it itself.
            Some(by) if self.has_memory && !self.on_device => {
                let problem = format!(
                    "{by} does not decode this stream{}: `vainfo` lists what it decodes; set the camera to that, or \
                     write `decode = \"software\"`",
                    in_brackets(said)
                );
                self.give_up(problem);
            }
            by => self.proven = by.is_some(),
        }
    }

    /// A frame was lost; FFmpeg said this meanwhile. The packets for another decoder when that is to take over.
    pub fn lost(&mut self, said: &[String]) -> Option<Vec<Packet>> {
        let by = self.by.as_ref().filter(|_| self.since_key_frame.begun || self.broken)?;
        self.refused += 1;
        let what = if self.broken {
            format!("does not start{}", in_brackets(said))
        } else if self.unanswered > MOST_UNANSWERED {
            format!("gives no frame for {MOST_UNANSWERED} packets")
        } else if self.refused >= MOST_REFUSED {
            format!("failed at {MOST_REFUSED} frames one after the other{}", in_brackets(said))
        } else {
            return None;
        };
        Some(self.give_up(format!(
            "{by} {what}: look at what the kernel says of it (`dmesg`), or write `decode = \"software\"`"
        )))
    }

    fn give_up(&mut self, problem: String) -> Vec<Packet> {
        debug!("software goes on: {problem}");
        (self.by, self.problem) = (None, Some(problem));
        std::mem::take(&mut self.since_key_frame).packets
    }
}

impl Kept {
    fn keep(&mut self, packet: &Packet) {
        if packet.is_key() {
            *self = Self { begun: true, ..Self::default() };
        }
        self.bytes = self.bytes.saturating_add(packet.size());
        if self.bytes > MOST_KEPT {
            // With a gap they are of no use: what takes over waits for a key frame.
            self.packets = Vec::new();
        } else if self.begun {
            self.packets.push(packet.clone());
        }
    }
}

impl Driver {
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Gives a decoder that is not open yet the device it is to use.
    pub fn equip(&self, decoder: &mut Decoder) {
        let Some(Device(device)) = self.device else { return };
        // SAFETY: both are alive, and the decoder is nobody else's and not open yet. It gets a reference of its own,
        // which FFmpeg gives back when it frees the decoder; without memory for it that is none, and then software
        // decodes. FFmpeg's own choice of a format is the one wanted: the device's where it is offered, and
        // otherwise the one of the software, also when the device refuses. The flag is for the many cameras that call
        // their stream Baseline and use nothing that every device would not decode.
        unsafe {
            let context = decoder.as_mut_ptr();
            (*context).hw_device_ctx = ffi::av_buffer_ref(device);
            if self.codec.id() == Id::H264 {
                (*context).hwaccel_flags |= ffi::AV_HWACCEL_FLAG_ALLOW_PROFILE_MISMATCH;
            }
        }
    }

    fn open(&self, stream: &Stream) -> Result<decoder::Video, String> {
        let (decoder, said) = log::listening(|| open_decoder(stream, Some(self)));
        let format = stream.parameters().id().name();
        decoder.map_err(|error| {
            format!(
                "{} does not decode `{format}`: {error}{}; set the camera to another format, or write `decode = \
                 \"software\"`",
                self.name,
                in_brackets(&said)
            )
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and is given back once; decoders have their own.
        unsafe { ffi::av_buffer_unref(&mut self.0) };
    }
}

impl Device {
    fn open(node: &Path) -> Result<Self, String> {
        let shown = node.display();
        // FFmpeg would not say what is in the way.
        if let Err(error) = OpenOptions::new().read(true).write(true).open(node) {
            return Err(format!(
                "cannot open {shown}: {error}; it takes the group of {shown} and, under systemd, the lines for VA-API \
                 in doorward.service"
            ));
        }
        let path = CString::new(node.as_os_str().as_encoded_bytes()).map_err(|_| format!("{shown} is no path"))?;
        let directly: Dictionary = [("connection_type", "drm")].into_iter().collect();
        let mut device = ptr::null_mut();
        let (opened, said) = log::listening(|| {
            // SAFETY: the path and the options outlive the call, which keeps neither, and FFmpeg writes a reference to
            // our own variable, or leaves it empty and fails.
            unsafe {
                let (kind, options) = (AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI, directly.as_mut_ptr());
                done(ffi::av_hwdevice_ctx_create(&mut device, kind, path.as_ptr(), options, 0))
            }
        });
        opened.map(|()| Self(device)).map_err(|error| {
            format!(
                "{shown} has no VA-API: {error}{}; install its driver (Debian: intel-media-va-driver or \
                 mesa-va-drivers), which `vainfo` tests",
                in_brackets(&said)
            )
        })
    }
}

/// The first graphics device that speaks VA-API.
fn vaapi(format: Id) -> Result<Driver, String> {
    let codec = decoder::find(format).filter(takes_vaapi).ok_or_else(|| unknown(format, "VA-API"))?;
    let mut problem = None;
    for node in render_nodes() {
        match Device::open(&node) {
            Ok(device) => {
                return Ok(Driver { codec, device: Some(device), name: format!("VA-API ({})", node.display()) });
            }
            Err(why) => problem = problem.or(Some(why)),
        }
    }
    Err(problem.unwrap_or_else(|| {
        format!("there is no graphics device {RENDER_NODES}/renderD* for VA-API: write `decode = \"software\"`")
    }))
}

/// FFmpeg looks for the device by itself, among all of `/dev/video*`.
fn v4l2m2m(format: Id) -> Result<Driver, String> {
    // FFmpeg's `mpeg2video` is `mpeg2` there.
    let name = format!("{}_v4l2m2m", format.name().trim_end_matches("video"));
    let codec = decoder::find_by_name(&name).ok_or_else(|| unknown(format, "V4L2 M2M"))?;
    Ok(Driver { codec, device: None, name: "V4L2 M2M (/dev/video*)".into() })
}

fn unknown(format: Id, way: &str) -> String {
    let format = format.name();
    format!("FFmpeg does not decode `{format}` by {way}: set the camera to H.264, or write `decode = \"software\"`")
}

/// Whether a decoder can be given a device of VA-API.
fn takes_vaapi(codec: &Codec) -> bool {
    let with_device = ffi::AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX as i32;
    // SAFETY: the decoder and what is told of it are FFmpeg's constants; beyond the last one it tells of nothing.
    let mut told = (0..).map_while(|n| unsafe { ffi::avcodec_get_hw_config(codec.as_ptr(), n).as_ref() });
    told.any(|it| it.device_type == AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI && it.methods & with_device != 0)
}

/// The devices by their numbers.
fn render_nodes() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(RENDER_NODES).into_iter().flatten().flatten();
    let mut nodes: Vec<PathBuf> =
        entries.filter(|it| it.file_name().as_encoded_bytes().starts_with(b"renderD")).map(|it| it.path()).collect();
    nodes.sort();
    nodes
}

/// FFmpeg's answer.
fn done(answer: i32) -> Result<(), Error> {
    if answer < 0 { Err(Error::from(answer)) } else { Ok(()) }
}

fn in_brackets(said: &[String]) -> String {
    if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) }
}

#[cfg(test)]
mod tests {
    use ffmpeg_next::packet::Flags;

    use super::*;

    fn working() -> Hardware {
        Hardware {
            by: Some("VA-API (x)".into()),
            has_memory: true,
            on_device: true,
            wanted: true,
            ..Hardware::default()
        }
    }

    fn packet(key: bool, size: usize) -> Packet {
        let mut packet = Packet::new(size);
        packet.set_flags(if key { Flags::KEY } else { Flags::empty() });
        packet
    }

    fn lost(hardware: &mut Hardware, said: &str) -> Option<usize> {
        hardware.lost(&[said.to_owned()]).map(|packets| packets.len())
    }

    #[test]
    fn a_device_that_fails_again_and_again_is_given_up_for_what_takes_over_from_the_last_key_frame() {
        let mut hardware = working();
        for _ in 0..20 {
            assert!(hardware.takes(&packet(false, 100)));
            assert_eq!(lost(&mut hardware, ""), None, "before a key frame nobody shows anything");
        }
        hardware.takes(&packet(true, 100));
        hardware.showed(&[]);
        assert_eq!(hardware.name(), Some("VA-API (x)"));
        for key in [true, false, false] {
            hardware.takes(&packet(key, 100));
        }
        for _ in 1..MOST_REFUSED {
            assert_eq!(lost(&mut hardware, "gone"), None);
        }
        hardware.showed(&[]);
        for _ in 1..MOST_REFUSED {
            assert_eq!(lost(&mut hardware, "gone"), None, "not one after the other");
        }
        assert_eq!(lost(&mut hardware, "gone"), Some(3));
        assert_eq!(hardware.name(), None);
        let problem = hardware.problem().unwrap();
        assert!(problem.starts_with("VA-API (x) failed at 5 frames one after the other (gone)"), "{problem}");
        assert_eq!(lost(&mut hardware, "gone"), None, "it is over");
        assert!(hardware.takes(&packet(true, 100)) && hardware.since_key_frame.packets.is_empty());
    }

    #[test]
    fn a_device_that_takes_everything_and_gives_nothing_is_given_up() {
        let mut hardware = working();
        assert!((0..1000).all(|_| hardware.takes(&packet(false, 1))), "a key frame is waited for");
        assert!((0..MOST_UNANSWERED).all(|n| hardware.takes(&packet(n == 0, 1))));
        assert!(!hardware.takes(&packet(false, 1)));
        assert_eq!(lost(&mut hardware, ""), Some(MOST_UNANSWERED as usize + 1), "with what it did not take");
        assert!(hardware.problem().unwrap().contains("gives no frame for 30 packets"));
    }

    #[test]
    fn a_device_that_does_not_start_is_given_up_at_once() {
        let mut hardware = Hardware { has_memory: false, ..working() };
        assert!(!hardware.may_be_asked());
        assert!(hardware.takes(&packet(false, 1)) && hardware.may_be_asked());
        assert!(hardware.fetch(&mut frame::Video::empty()).is_err());
        assert_eq!(lost(&mut hardware, "no memory"), Some(0));
        let problem = hardware.problem().unwrap();
        assert!(problem.starts_with("VA-API (x) does not start (no memory): "), "{problem}");
        assert!(Hardware::default().may_be_asked(), "software is asked whenever anybody likes");
    }

    #[test]
    fn packets_are_kept_up_to_a_limit_and_without_a_gap() {
        let mut kept = Kept::default();
        kept.keep(&packet(true, MOST_KEPT - 10));
        kept.keep(&packet(false, 10));
        assert_eq!(kept.packets.len(), 2);
        kept.keep(&packet(false, 1));
        kept.keep(&packet(false, 1));
        assert!(kept.packets.is_empty() && kept.begun);
        kept.keep(&packet(true, 10));
        assert_eq!(kept.packets.len(), 1);
    }

    #[test]
    fn frames_of_the_programs_own_memory_show_that_ffmpeg_decodes_itself() {
        let mut hardware = working();
        let mut frame = frame::Video::new(Pixel::YUV420P, 64, 48);
        hardware.fetch(&mut frame).unwrap();
        assert_eq!((frame.width(), frame.height(), frame.format()), (64, 48, Pixel::YUV420P));
        hardware.showed(&["No support for codec".into()]);
        assert_eq!(hardware.name(), None);
        let problem = hardware.problem().unwrap();
        assert!(problem.starts_with("VA-API (x) does not decode this stream (No support for codec): "), "{problem}");
        // A memory-to-memory device's frames always are.
        let mut other = Hardware { by: Some("V4L2 M2M".into()), has_memory: false, ..working() };
        other.fetch(&mut frame).unwrap();
        other.showed(&[]);
        assert_eq!((other.name(), other.problem()), (Some("V4L2 M2M"), None));
        assert!(Hardware { wanted: false, ..hardware }.problem().is_none(), "`auto` has nothing to complain of");
    }
}
