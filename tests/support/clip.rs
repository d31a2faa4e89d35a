//! Small video files made on the spot, for tests: whole, lying on their side, or damaged.
//!
//! In: pictures as blue-green-red bytes, a format, when each is shown. Out: a file, and where its frames lie in it. It
//! knows nothing of doorward, so that the tests of the program use it as well.

use std::path::Path;

use ffmpeg_next::codec::{Context, Flags as CodecFlags, Id};
use ffmpeg_next::encoder;
use ffmpeg_next::format::{self, Pixel};
use ffmpeg_next::software::scaling::{Context as Scaler, Flags};
use ffmpeg_next::util::frame;
use ffmpeg_next::{Packet, Rational};

/// What a clip is made of.
pub struct Clip {
    pub codec: Id,
    pub width: u32,
    pub height: u32,
    /// When each picture is shown, milliseconds.
    pub stamps_ms: Vec<i64>,
    /// From one key frame to the next.
    pub key_every: u32,
    /// Frames between two others that are made of both, and of which nothing else is made.
    pub b_frames: usize,
}

impl Clip {
    /// So many frames, `step_ms` apart, each by itself.
    pub fn steady(codec: Id, (width, height): (u32, u32), frames: usize, step_ms: i64) -> Self {
        let stamps_ms = (0..frames as i64).map(|frame| frame * step_ms).collect();
        Self { codec, width, height, stamps_ms, key_every: 1, b_frames: 0 }
    }

    /// Writes the file; `picture` gives the pixels of each frame. The file's ending chooses the container.
    pub fn write(&self, path: &Path, mut picture: impl FnMut(usize) -> Vec<u8>) {
        let mut output = format::output(path).unwrap();
        let codec = encoder::find(self.codec).expect("FFmpeg's own encoders are in every build of it");
        let mut encoder = Context::new_with_codec(codec).encoder().video().unwrap();
        let pixels = if self.codec == Id::MJPEG { Pixel::YUVJ420P } else { Pixel::YUV420P };
        encoder.set_width(self.width);
        encoder.set_height(self.height);
        encoder.set_format(pixels);
        encoder.set_time_base(Rational(1, 1000));
        encoder.set_gop(self.key_every);
        if self.b_frames > 0 {
            encoder.set_max_b_frames(self.b_frames);
        }
        encoder.set_bit_rate(8_000_000);
        encoder.set_qmin(1);
        encoder.set_qmax(3);
        if output.format().flags().contains(format::Flags::GLOBAL_HEADER) {
            encoder.set_flags(CodecFlags::GLOBAL_HEADER);
        }
        let mut stream = output.add_stream(codec).unwrap();
        stream.set_time_base(Rational(1, 1000));
        let mut encoder = encoder.open_as(codec).unwrap();
        stream.set_parameters(&encoder);
        output.write_header().unwrap();

        let (width, height) = (self.width, self.height);
        let mut scaler = Scaler::get(Pixel::BGR24, width, height, pixels, width, height, Flags::BICUBIC).unwrap();
        let mut given = frame::Video::new(Pixel::BGR24, width, height);
        for (number, &stamp) in self.stamps_ms.iter().enumerate() {
            let stride = given.stride(0);
            let rows = picture(number);
            for (row, from) in given.data_mut(0).chunks_mut(stride).zip(rows.chunks(width as usize * 3)) {
                row[..from.len()].copy_from_slice(from);
            }
            let mut encoded = frame::Video::new(pixels, width, height);
            scaler.run(&given, &mut encoded).unwrap();
            encoded.set_pts(Some(stamp));
            encoder.send_frame(&encoded).unwrap();
            self.mux(&mut encoder, &mut output);
        }
        encoder.send_eof().unwrap();
        self.mux(&mut encoder, &mut output);
        output.write_trailer().unwrap();
    }

    fn mux(&self, encoder: &mut encoder::Video, output: &mut format::context::Output) {
        let mut packet = Packet::empty();
        while encoder.receive_packet(&mut packet).is_ok() {
            packet.set_stream(0);
            packet.set_duration(self.duration_ms(packet.pts()));
            packet.rescale_ts(Rational(1, 1000), output.stream(0).unwrap().time_base());
            packet.write_interleaved(output).unwrap();
        }
    }

    /// How long the frame is shown: until the next one, the last as long as the one before it. (An MP4 file whose last
    /// frame lasts no time is over before it.)
    fn duration_ms(&self, stamp: Option<i64>) -> i64 {
        let stamps = &self.stamps_ms;
        let next = stamps.iter().position(|&it| Some(it) == stamp).map_or(1, |at| at + 1);
        let next = next.min(stamps.len() - 1);
        if next == 0 { 40 } else { stamps[next] - stamps[next - 1] }
    }
}

/// Where each frame lies in a file: its first byte and its length.
pub fn frames(path: &Path) -> Vec<(usize, usize)> {
    let mut input = format::input(path).unwrap();
    input.packets().map(|(_, packet)| (packet.position() as usize, packet.size())).collect()
}

/// Changes a file's bytes.
pub fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Writes a display matrix into an MP4 file: `a b / c d` of ISO/IEC 14496-12, 8.3.2 (the track's header).
pub fn turn(path: &Path, [a, b, c, d]: [i32; 4]) {
    edit(path, |bytes| {
        let header = bytes.windows(4).position(|four| four == b"tkhd").expect("an MP4 file has a track");
        // After the name: version and flags, two dates, the track's number, a reserved word, the duration, two reserved
        // words, and four halves (layer, group, volume, reserved); then the matrix, row by row.
        let matrix = header + 4 + 6 * 4 + 8 + 8;
        let one = 1 << 16;
        for (n, value) in [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30].into_iter().enumerate() {
            bytes[matrix + 4 * n..][..4].copy_from_slice(&i32::to_be_bytes(value));
        }
    });
}
