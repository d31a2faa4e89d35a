//! `type = "program"`: a program of this machine that writes pictures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::reading::At;
use crate::config::section::{hidden, section};
use crate::config::value::words;

section! {
    /// `type = "program"`: a program of this machine that writes its pictures to its standard output, such as
    /// `rpicam-vid`.
    pub struct ProgramConfig: new(program: impl Into<PathBuf>), checked by check_program {
        pub program: PathBuf;
        /// Each one argument; no shell reads them. They may hold secrets.
        pub args: Vec<String> = Vec::new(), shown as hidden;
        /// Variables beside `PATH`. They may hold secrets.
        pub env: BTreeMap<String, String> = BTreeMap::new(), shown as hidden;
        pub format: WrittenFormat = WrittenFormat::Mjpeg;
        /// The size of its pictures, for every format but `mjpeg`, whose pictures say it themselves.
        pub width_px: Option<u32> = None, in 16..=16_384;
        pub height_px: Option<u32> = None, in 16..=16_384;
        /// No picture for this long is a fault: the program is ended and started again.
        pub stall_ms: u64 = 2_000, in 500..=600_000;
        /// So many degrees clockwise each frame is turned, for a camera that hangs on its side or upside down.
        pub rotate: u32 = 0, in 0..=270;
    }
}

words! {
    /// How a program writes its pictures: one JPEG after the other, or their pixels without anything in between.
    pub enum WrittenFormat {
        Mjpeg,
        /// Brightness, then both colours at half the width and height, each for itself (I420).
        Yuv420,
        Yuyv,
        Nv12,
        Grey,
        Rgb,
        Bgr,
    }
}

fn check_program(program: &ProgramConfig, at: &At<'_>) {
    at.wrong_if(program.program.as_os_str().is_empty(), &["program"], "it must name a program");
    for variable in program.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
        at.wrong(&["env", variable], "this is not the name of a variable");
    }
    let zero = |text: &String| text.contains('\0');
    let zeros = program.args.iter().any(zero) || program.env.values().any(zero);
    at.wrong_if(zeros, &["args"], "no program can be given a NUL byte");
    if program.format != WrittenFormat::Mjpeg {
        let missing = "a format other than `mjpeg` needs `width_px` and `height_px`: its pixels do not say them";
        at.wrong_if(program.width_px.is_none() || program.height_px.is_none(), &["format"], missing);
    }
    let odd = |side: Option<u32>| side.is_some_and(|side| side % 2 == 1);
    let halved = match program.format {
        WrittenFormat::Yuv420 | WrittenFormat::Nv12 => odd(program.width_px) || odd(program.height_px),
        WrittenFormat::Yuyv => odd(program.width_px),
        _ => false,
    };
    at.wrong_if(halved, &["width_px"], "this format has its colours at half the size: its sides must be even");
}
