//! What FFmpeg makes of small files that are turned, damaged, cut short, or no video at all.

use std::path::PathBuf;

use faces::picture::Picture;
use tempfile::TempDir;

use super::clip::{Clip, edit, frames, turn};
use super::doubt::MOST_IN_DOUBT;
use super::*;

const FILE: Options = Options::RECORDING;

fn open(path: &std::path::Path) -> Result<Video, VideoError> {
    Video::open(&format!("file:{}", path.display()), &FILE)
}

/// A picture that was shown.
struct Shown {
    picture: Picture,
    position_ms: Option<f64>,
    damaged: bool,
}

/// Every picture, and how many were lost.
fn play(video: &mut Video) -> (Vec<Shown>, u64) {
    let (mut pictures, mut lost) = (Vec::new(), 0);
    loop {
        match video.read() {
            Read::Picture(Decoded { image, position_ms, damaged }) => {
                pictures.push(Shown { picture: image.into_picture().unwrap(), position_ms, damaged });
            }
            Read::NotDue => {}
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

/// The same, a sixteenth of it higher with each frame.
fn moved(width: u32, height: u32, frame: usize) -> Vec<u8> {
    let mut pixels = quarters(width, height);
    pixels.rotate_left(frame % 16 * (height / 16 * width * 3) as usize);
    pixels
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
        for Shown { picture, damaged, .. } in pictures {
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
fn a_jpeg_with_passes_without_end_is_lost_and_the_others_are_shown() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("passes.mjpeg");
    let jpeg = Picture::new(96, 64, quarters(96, 64)).unwrap().jpeg(90).unwrap();
    let scan = jpeg.windows(2).position(|pair| pair == SCAN).unwrap();
    let (before, pass) = jpeg[..jpeg.len() - 2].split_at(scan);
    let passes = |times: usize| [before, &pass.repeat(times), &END].concat();
    std::fs::write(&path, [passes(1), passes(MOST_SCANS + 1), passes(MOST_SCANS), passes(1)].concat()).unwrap();
    let (pictures, lost) = play(&mut open(&path).unwrap());
    assert_eq!((pictures.len(), lost), (3, 1));
}

#[test]
fn where_no_hardware_decodes_the_pictures_are_those_of_the_software_and_who_asked_for_it_is_told() {
    // No device knows FFV1. H.264 many do; where one is here, the pictures are its own.
    for (name, codec) in [("door.mkv", Id::FFV1), ("door.ts", Id::H264), ("door.avi", Id::MJPEG)] {
        let (_dir, path) = clip(name, &Clip { key_every: 4, ..Clip::steady(codec, (64, 48), 10, 40) });
        let pictures = |decode| {
            let options = Options { decode, ..FILE };
            let mut video = Video::open(&format!("file:{}", path.display()), &options).unwrap();
            let (shown, lost) = play(&mut video);
            let (by, problem) = video.hardware();
            let shown: Vec<_> = shown.into_iter().map(|it| (it.position_ms, it.damaged, it.picture)).collect();
            (shown, lost, by.map(str::to_owned), problem.map(str::to_owned))
        };
        let (expected, ..) = pictures(Decode::Software);
        for (decode, hint) in
            [(Decode::Software, ""), (Decode::Auto, ""), (Decode::Vaapi, "VA-API"), (Decode::V4l2m2m, "V4L2 M2M")]
        {
            let (shown, lost, by, problem) = pictures(decode);
            assert_eq!((shown.len(), lost), (10, 0), "{name}, {decode:?}");
            if codec != Id::FFV1 && by.is_some() {
                eprintln!("{name}, {decode:?}: decoded by {by:?}, which was not compared");
                continue;
            }
            let same = shown.iter().zip(&expected).all(|(a, b)| (a.0, a.1, a.2.bgr()) == (b.0, b.1, b.2.bgr()));
            assert!(same && by.is_none(), "{name}, {decode:?}: {by:?}");
            match problem {
                None => assert!(hint.is_empty(), "{name}, {decode:?}: nobody says why"),
                Some(problem) => assert!(!hint.is_empty() && problem.contains(hint), "{name}, {decode:?}: {problem}"),
            }
        }
    }
}

#[test]
fn what_is_built_on_a_damaged_frame_is_marked_until_a_key_frame() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("chain.mp4");
    // Something moves: what stands still is made up as it was.
    let moved = |frame| moved(160, 128, frame);
    Clip { key_every: 6, ..Clip::steady(Id::MPEG4, (160, 128), 15, 40) }.write(&path, moved);
    let (whole, lost) = play(&mut open(&path).unwrap());
    assert!(lost == 0 && whole.iter().all(|it| !it.damaged));
    let (at, length) = frames(&path)[7];
    edit(&path, |bytes| bytes[at + length / 2..at + length * 3 / 4].fill(0x55));
    let (pictures, lost) = play(&mut open(&path).unwrap());
    assert_eq!((pictures.len(), lost), (15, 0));
    let apart = |a: &Picture, b: &Picture| a.bgr().iter().zip(b.bgr()).any(|(a, b)| a.abs_diff(*b) > 40);
    let differ = whole.iter().zip(&pictures).map(|(whole, it)| apart(&whole.picture, &it.picture));
    let expected: Vec<bool> = (0..15).map(|frame| (7..12).contains(&frame)).collect();
    assert_eq!(differ.collect::<Vec<_>>(), expected, "the damage is seen until the next key frame");
    assert_eq!(pictures.iter().map(|it| it.damaged).collect::<Vec<_>>(), expected);
}

#[test]
fn doubt_ends_at_a_whole_key_frame_or_when_it_has_lasted() {
    let mut doubt = Doubt::default();
    let mut marked = |key, damaged| doubt.marks(key, damaged);
    assert!(!marked(true, false) && !marked(false, false), "nothing was damaged");
    assert!(marked(false, true) && marked(false, false) && !marked(true, false), "until a key frame");
    assert!(marked(true, true) && marked(false, false), "which is damaged itself");
    for _ in 2..MOST_IN_DOUBT {
        assert!(marked(false, false));
    }
    assert!(!marked(false, false), "it has lasted");
    assert!(marked(false, true) && !marked(false, false), "what is damaged itself is marked all the same");
    doubt.lost();
    assert!(!doubt.marks(false, false), "once for all frames up to the next key frame");
    assert!(!doubt.marks(true, false));
    doubt.lost();
    assert!(doubt.marks(false, false) && !doubt.marks(true, false), "a frame that is missing is as bad");
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
        Video::open(target, &Options { protocols, limits, ..FILE }).err()
    };
    assert!(matches!(over(&address, "file"), Some(VideoError::Unopened { .. })));
    assert!(matches!(over(&format!("file:{}", path.display()), "http,tcp"), Some(VideoError::Unopened { .. })));
    assert!(matches!(over(&address, "http,tcp"), Some(VideoError::TooSlow { .. })));
}

/// A video of which so many frames a second are asked for.
fn paced(path: &std::path::Path, max_fps: f32) -> Video {
    Video::open(&format!("file:{}", path.display()), &Options { max_fps, ..FILE }).unwrap()
}

/// What a video shows, by its place in time, how many frames were not due, and how many were decoded.
fn watch(mut video: Video) -> (Vec<(i64, Picture)>, u32, i32) {
    let (mut shown, mut not_due) = (Vec::new(), 0);
    loop {
        match video.read() {
            Read::Picture(it) => {
                shown.push((it.position_ms.unwrap().round() as i64, it.image.into_picture().unwrap()));
            }
            Read::NotDue => not_due += 1,
            Read::End => break,
            other => panic!("{other:?}"),
        }
    }
    // SAFETY: the decoder lives, and the number is only read.
    let decoded = unsafe { (*video.decoder.as_ptr()).frame_number };
    (shown, not_due, decoded)
}

#[test]
fn what_is_not_asked_for_is_not_decoded_where_nothing_is_built_on_it() {
    let moved = |frame| moved(96, 64, frame);
    for (what, codec, key_every, b_frames, most_decoded) in [
        ("each by itself", Id::MJPEG, 1, 0, 11),
        ("two of three with nothing built on them", Id::MPEG4, 30, 2, 36),
        ("each built on the one before", Id::MPEG4, 30, 0, 60),
    ] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("clip.mkv");
        let steady = Clip::steady(codec, (96, 64), 60, 40);
        Clip { key_every, b_frames, ..steady }.write(&path, moved);
        let (all, none, _) = watch(paced(&path, 0.0));
        assert_eq!((all.len(), none), (60, 0), "{what}");
        let (shown, not_due, decoded) = watch(paced(&path, 4.0));
        // A decoder may want some before it shows the first.
        assert!((58..=60).contains(&(shown.len() + not_due as usize)), "{what}: each is told of once");
        assert!((9..=11).contains(&shown.len()), "{what}: {} of 2.4 s", shown.len());
        assert!(decoded <= most_decoded && decoded as usize >= shown.len(), "{what}: {decoded} were decoded");
        for (at, picture) in shown {
            let same = all.iter().find(|(when, _)| *when == at).map(|(_, picture)| picture.bgr());
            assert!(same == Some(picture.bgr()), "{what}: the frame at {at} ms is another one");
        }
    }
}

#[test]
fn what_is_not_shown_is_doubted_all_the_same() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("chain.mp4");
    let moved = |frame| moved(160, 128, frame);
    Clip { key_every: 20, ..Clip::steady(Id::MPEG4, (160, 128), 20, 40) }.write(&path, moved);
    let (at, length) = frames(&path)[7];
    edit(&path, |bytes| bytes[at + length / 2..at + length * 3 / 4].fill(0x55));
    let (pictures, _) = play(&mut paced(&path, 5.0));
    let marked: Vec<_> = pictures.iter().map(|it| (it.position_ms.unwrap().round() as i64, it.damaged)).collect();
    assert_eq!(marked, [(0, false), (160, false), (360, true), (560, true), (760, true)]);
}

#[test]
fn a_frames_light_is_its_pictures_wherever_it_is_seen_and_takes_no_pixels() {
    use crate::capture::light::{COLUMNS, LEVEL, LightMeter, POINTS, ROWS};

    for (what, matrix) in [
        ("as it is", [1, 0, 0, 1]),
        ("a quarter to the right", [0, 1, -1, 0]),
        ("a half", [-1, 0, 0, -1]),
        ("mirrored, a quarter to the right", [0, 1, 1, 0]),
    ] {
        let (_dir, path) = clip("turned.mp4", &Clip::steady(Id::MPEG4, (96, 64), 1, 40));
        turn(&path, matrix);
        let Read::Picture(Decoded { mut image, .. }) = open(&path).unwrap().read() else { panic!("no picture") };
        let (mut meter, mut light) = (LightMeter::default(), Vec::new());
        let (mut raw, mut upright) = (Vec::new(), Vec::new());
        image.light(&mut meter, &mut raw);
        let shape = image.shape();
        let picture = image.picture().unwrap();
        assert_eq!((shape.width, shape.height), (picture.width(), picture.height()), "{what}");
        meter.read(picture, &mut upright);
        image.light(&mut meter, &mut light);
        assert_eq!(light, raw, "{what}: whether or not its pixels have been made");
        // Each quarter of it, in the middle, is noise around one brightness: where it is seen it is the same.
        for (x, y) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
            let around = |light: &[u16], [x, y]: [f32; 2]| {
                let (x, y) = ((x * COLUMNS as f32) as usize, (y * ROWS as f32) as usize);
                let points = (y - 12..y + 12).flat_map(|y| (x - 20..x + 20).map(move |x| y * COLUMNS + x));
                points.map(|point| f32::from(light[point])).sum::<f32>() / (24.0 * 40.0 * LEVEL)
            };
            let (ours, seen) = (around(&raw, [x, y]), around(&upright, shape.upright([x, y])));
            // The frame's black is 16 and its white 235.
            assert!(((ours - 16.0) * 255.0 / 219.0 - seen).abs() < 8.0, "{what} at {x},{y}: {ours} is not {seen}");
        }
        assert_eq!(raw.len(), POINTS);
    }
}
