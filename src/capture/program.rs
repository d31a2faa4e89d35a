//! A program of this machine as a camera: what it writes to its standard output are pictures.
//!
//! In: the program, and how its pictures lie in what it writes. Out: shots dated by their arrival; a fault says how the
//! program ended and what it wrote to its standard error last. It runs in a process group of its own, and nothing of
//! that group outlives the source. Of pictures that come faster than they are taken, the newest counts.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;

use super::jpeg::{First, cut_first};
use super::pace::Pace;
use super::pixels::{self, Layout};
use super::{
    About, CameraSource, CaptureError, Image, Next, Shot, ShotTime, SkipReason, Skipped, redacted, stall_limit,
};
use crate::config::{ProgramConfig, WrittenFormat};

/// A running program.
pub(super) struct Program {
    group: Group,
    output: ChildStdout,
    pictures: Pictures,
    complaints: Complaints,
    /// What it is called, without its arguments.
    name: String,
    stall: Duration,
    pace: Pace,
}

/// A process and all it has started, as far as they stayed in its group.
struct Group {
    leader: Child,
}

/// What came of the output and is no picture yet.
struct Pictures {
    layout: Layout,
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

/// One picture as it came, or how many bytes were none.
enum Piece {
    Picture(Vec<u8>),
    CutShort,
    NoPicture,
}

/// The last lines of a program's standard error.
#[derive(Clone, Default)]
struct Complaints(Arc<Mutex<VecDeque<String>>>);

/// How long a group has from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(300);
/// The end of its output is there a moment before that of the program.
const LAST_BREATH: Duration = Duration::from_millis(200);
/// As much as a pipe holds.
const CHUNK: usize = 64 << 10;
/// Lines kept of the standard error, and bytes of each.
const LINES: usize = 5;
const LINE_BYTES: usize = 300;

impl Program {
    /// Starts it, and waits until it writes something.
    pub fn open(config: &ProgramConfig, max_fps: f32, limit: Duration) -> Result<Self, CaptureError> {
        let name = config.program.display().to_string();
        let failed = |name: &str, problem: String| CaptureError::NotStarted { program: name.to_owned(), problem };
        let path = trusted::program(&config.program).map_err(|problem| failed(&name, problem))?;
        let mut command = Command::new(path);
        command.args(&config.args).env_clear().env("PATH", trusted::search_path()).envs(&config.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut leader = command.spawn().map_err(|error| failed(&name, error.to_string()))?;
        let (output, errors) = (leader.stdout.take(), leader.stderr.take());
        let group = Group { leader };
        let (Some(output), Some(errors)) = (output, errors) else {
            return Err(failed(&name, "its output cannot be read".into()));
        };
        let complaints = Complaints::default();
        complaints.clone().listen(errors).map_err(CaptureError::Thread)?;
        let pictures = Pictures {
            layout: layout(config.format),
            width: config.width_px.unwrap_or(0),
            height: config.height_px.unwrap_or(0),
            bytes: Vec::new(),
        };
        let (stall, pace, began) = (stall_limit(config.stall_ms), Pace::new(max_fps), Instant::now());
        let program = Self { group, output, pictures, complaints, name, stall, pace };
        if program.wait(began + limit).map_err(|error| program.unreadable(&error))? {
            return Ok(program);
        }
        let (name, said) = (program.name.clone(), program.complaints.told());
        Err(CaptureError::ProgramSlow { program: name, waited_ms: began.elapsed().as_millis(), said })
    }

    /// Waits until there is something to read, or until the moment. Whether there is.
    fn wait(&self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let mut output = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        match poll(&mut output, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes what is there; `false` at the end.
    fn read(&mut self) -> io::Result<bool> {
        let before = self.pictures.bytes.len();
        self.pictures.bytes.resize(before + CHUNK, 0);
        let read = self.output.read(&mut self.pictures.bytes[before..]);
        self.pictures.bytes.truncate(before + read.as_ref().copied().unwrap_or(0));
        Ok(read? > 0)
    }

    fn ended(&mut self) -> CaptureError {
        let how = self.group.how_it_ended(LAST_BREATH);
        self.complaints.all_heard(LAST_BREATH);
        CaptureError::ProgramEnded { program: self.name.clone(), how, said: self.complaints.told() }
    }

    fn unreadable(&self, error: &io::Error) -> CaptureError {
        CaptureError::NotStarted { program: self.name.clone(), problem: format!("its output cannot be read: {error}") }
    }

    /// A picture, decoded when it is due.
    fn shot(&mut self, piece: Piece) -> Next {
        let Pictures { layout, width, height, .. } = self.pictures;
        let image: Result<Image, SkipReason> = match piece {
            Piece::Picture(_) if !self.pace.due_now() => return Next::NotDue,
            Piece::Picture(bytes) => pixels::image(layout, &bytes, width, height, 0),
            Piece::CutShort => Err(SkipReason::CutShort),
            Piece::NoPicture => Err(SkipReason::Undecodable),
        };
        match image {
            Ok(image) => Next::Shot(Shot { image, time: ShotTime::Arrival, damaged: false }),
            Err(reason) => Next::Skipped(Skipped { reason, what: format!("what {} wrote", self.name) }),
        }
    }
}

impl CameraSource for Program {
    fn about(&self) -> About {
        About { name: self.name.clone(), fps: 0.0, unmet: Vec::new() }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let asked = Instant::now();
        let until = asked + self.stall;
        // What came while the last one was looked at: it may hold several.
        let mut drained = false;
        loop {
            let ready = self.wait(if drained { until } else { asked }).map_err(|error| self.unreadable(&error))?;
            if ready && !self.read().map_err(|error| self.unreadable(&error))? {
                return match self.pictures.newest() {
                    Some(piece) => Ok(self.shot(piece)),
                    None => Err(self.ended()),
                };
            }
            drained = true;
            if let Some(piece) = self.pictures.newest() {
                return Ok(self.shot(piece));
            }
            if Instant::now() >= until {
                let waited_ms = asked.elapsed().as_millis();
                return Err(CaptureError::ProgramSilent {
                    program: self.name.clone(),
                    waited_ms,
                    said: self.complaints.told(),
                });
            }
        }
    }
}

impl Pictures {
    /// The newest whole picture of what has come, without those before it; else what is wrong with it.
    fn newest(&mut self) -> Option<Piece> {
        let mut newest = None;
        while let Some(piece) = self.next() {
            if !matches!((&newest, &piece), (Some(Piece::Picture(_)), Piece::CutShort | Piece::NoPicture)) {
                newest = Some(piece);
            }
        }
        newest
    }

    fn next(&mut self) -> Option<Piece> {
        if let Some(length) = pixels::length(self.layout, self.width, self.height) {
            return (self.bytes.len() >= length.max(1)).then(|| self.take(length));
        }
        match cut_first(&mut self.bytes) {
            // A few bytes between two pictures are nothing to tell of.
            First::Nothing(bytes) => (bytes > CHUNK / 2).then_some(Piece::NoPicture),
            First::Unfinished => None,
            First::Whole(picture) => Some(Piece::Picture(picture)),
            First::CutShort(_) => Some(Piece::CutShort),
            First::TooLong(_) => Some(Piece::NoPicture),
        }
    }

    fn take(&mut self, length: usize) -> Piece {
        let rest = self.bytes.split_off(length);
        Piece::Picture(std::mem::replace(&mut self.bytes, rest))
    }
}

impl Group {
    /// How the leader ended, if it does within this time.
    fn how_it_ended(&mut self, within: Duration) -> String {
        match self.wait(within) {
            Some(status) => trusted::how_it_ended(status),
            None => "it has closed its output".into(),
        }
    }

    fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            match self.leader.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // "No such process" is the answer when nothing is left of it.
        let _ = killpg(Pid::from_raw(self.leader.id() as i32), signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        self.wait(GRACE);
        // Whatever is left of the group, also where the leader has ended.
        self.signal(Signal::SIGKILL);
        // Killed, it ends at once, unless it waits for a device: then whoever comes first reaps it.
        self.wait(GRACE);
    }
}

impl Complaints {
    /// Reads a program's standard error to its end, on a thread of its own, so that it never waits for a full pipe.
    fn listen(self, errors: ChildStderr) -> io::Result<()> {
        let listen = move || {
            let mut errors = BufReader::new(errors);
            let mut line = Vec::new();
            // A line without an end is one of many.
            while errors.by_ref().take(LINE_BYTES as u64).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = readable(&String::from_utf8_lossy(&line));
                line.clear();
                if !text.is_empty() {
                    let mut lines = self.0.lock();
                    lines.push_back(text);
                    if lines.len() > LINES {
                        lines.pop_front();
                    }
                }
            }
        };
        thread::Builder::new().name("complaints".into()).spawn(listen).map(drop)
    }

    /// Waits until the other end is closed, which whoever it has started may keep open.
    fn all_heard(&self, within: Duration) {
        let until = Instant::now() + within;
        // Who listens holds the lines, too.
        while Arc::strong_count(&self.0) > 1 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// As the end of a sentence.
    fn told(&self) -> String {
        let lines = self.0.lock();
        match lines.is_empty() {
            true => "it wrote nothing to its standard error".into(),
            false => format!("it wrote: {}", Vec::from_iter(lines.iter().map(String::as_str)).join(" | ")),
        }
    }
}

/// A line for a log: without control characters, and without the secrets of addresses.
fn readable(line: &str) -> String {
    let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let word = |word: &str| {
        let at =
            word.find("://").map(|at| word[..at].rfind(|c: char| !c.is_alphanumeric()).map_or(0, |quote| quote + 1));
        at.map_or_else(|| word.to_owned(), |at| format!("{}{}", &word[..at], redacted(&word[at..])))
    };
    Vec::from_iter(plain.split_whitespace().map(word)).join(" ")
}

fn layout(format: WrittenFormat) -> Layout {
    match format {
        WrittenFormat::Mjpeg => Layout::Mjpeg,
        WrittenFormat::Yuv420 => Layout::Yuv420,
        WrittenFormat::Yuyv => Layout::Yuyv,
        WrittenFormat::Nv12 => Layout::Nv12,
        WrittenFormat::Grey => Layout::Grey,
        WrittenFormat::Rgb => Layout::Rgb,
        WrittenFormat::Bgr => Layout::Bgr,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use faces::picture::Picture;
    use tempfile::TempDir;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A folder with a small picture, as JPEG and as the pixels of YUV 4:2:0, and a script beside it.
    struct Stage {
        folder: TempDir,
        jpeg: Vec<u8>,
    }

    impl Stage {
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            // So much in it that half of the file is half of its pixels.
            let noise = (0..64 * 48 * 3u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
            let jpeg = Picture::new(64, 48, noise.collect()).unwrap().jpeg(90).unwrap();
            std::fs::write(folder.path().join("a.jpg"), &jpeg).unwrap();
            std::fs::write(folder.path().join("a.yuv"), vec![128; 64 * 48 * 3 / 2]).unwrap();
            Self { folder, jpeg }
        }

        fn start(&self, script: &str, format: WrittenFormat) -> Program {
            self.start_at(0.0, script, format)
        }

        fn start_at(&self, max_fps: f32, script: &str, format: WrittenFormat) -> Program {
            let script = format!("cd '{}'\n{script}", self.folder.path().display());
            let config = ProgramConfig {
                args: vec!["-c".into(), script],
                format,
                width_px: Some(64),
                height_px: Some(48),
                stall_ms: 1000,
                ..ProgramConfig::new("sh")
            };
            Program::open(&config, max_fps, LIMIT).unwrap()
        }

        /// The numbers of the processes that a script has written down.
        fn noted(&self) -> Vec<String> {
            let until = Instant::now() + Duration::from_secs(10);
            loop {
                let noted = std::fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
                let noted: Vec<String> = noted.lines().map(str::to_owned).collect();
                if noted.len() == 2 {
                    return noted;
                }
                assert!(Instant::now() < until, "{noted:?}");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn runs(pid: &str) -> bool {
        let state = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
        // Who has ended and was not waited for does not run.
        state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    }

    #[track_caller]
    fn shot(program: &mut Program) -> Picture {
        loop {
            match program.next_shot().unwrap() {
                Next::Shot(shot) => return shot.image.into_picture().unwrap(),
                Next::Skipped(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_a_program_writes_is_shown_as_jpeg_and_as_pixels() {
        let stage = Stage::new();
        for (format, script) in [
            (WrittenFormat::Mjpeg, "printf 'some words first'; while :; do cat a.jpg; sleep 0.02; done"),
            (WrittenFormat::Yuv420, "while :; do cat a.yuv; sleep 0.02; done"),
        ] {
            let mut program = stage.start(script, format);
            for _ in 0..5 {
                let picture = shot(&mut program);
                assert_eq!((picture.width(), picture.height()), (64, 48), "{}", format.as_str());
            }
        }
    }

    #[test]
    fn more_than_is_asked_for_is_not_decoded_and_no_silence() {
        let stage = Stage::new();
        let mut program = stage.start_at(0.01, "while :; do cat a.jpg; sleep 0.05; done", WrittenFormat::Mjpeg);
        assert!(matches!(program.next_shot(), Ok(Next::Shot(_))));
        let began = Instant::now();
        // Longer than a silence may last.
        while began.elapsed() < Duration::from_millis(1200) {
            assert!(matches!(program.next_shot(), Ok(Next::NotDue)));
        }
    }

    #[test]
    fn half_a_picture_is_passed_over_and_the_next_one_shown() {
        let stage = Stage::new();
        let half = stage.jpeg.len() / 2;
        let mut program = stage.start(&format!("head -c {half} a.jpg; cat a.jpg; sleep 60"), WrittenFormat::Mjpeg);
        assert!(matches!(program.next_shot(), Ok(Next::Shot(_))), "the newest counts, and is whole");
        let mut program =
            stage.start(&format!("head -c {half} a.jpg; head -c {half} a.jpg; sleep 60"), WrittenFormat::Mjpeg);
        assert!(matches!(program.next_shot(), Ok(Next::Skipped(Skipped { reason: SkipReason::CutShort, .. }))));
        assert!(matches!(program.next_shot(), Err(CaptureError::ProgramSilent { .. })));
    }

    #[test]
    fn of_a_flood_the_newest_is_shown_and_nothing_piles_up() {
        let stage = Stage::new();
        let mut program = stage.start("while cat a.jpg a.jpg a.jpg a.jpg; do :; done", WrittenFormat::Mjpeg);
        for _ in 0..50 {
            shot(&mut program);
            assert!(program.pictures.bytes.len() <= 2 * CHUNK);
        }
        let mut program = stage.start("cat /dev/zero", WrittenFormat::Mjpeg);
        for _ in 0..50 {
            let next = program.next_shot().unwrap();
            assert!(matches!(next, Next::Skipped(Skipped { reason: SkipReason::Undecodable, .. })), "{next:?}");
            assert!(program.pictures.bytes.len() <= 2 * CHUNK);
        }
    }

    #[test]
    fn how_it_ended_and_what_it_said_last_is_told_without_secrets() {
        let stage = Stage::new();
        let script =
            "seq 1 20 >&2; printf 'cannot open \\033[1m\"rtsp://admin:hunter2@camera/x\"\\n' >&2; cat a.jpg; exit 3";
        let mut program = stage.start(script, WrittenFormat::Mjpeg);
        shot(&mut program);
        let told = wording::with_causes(&program.next_shot().unwrap_err());
        assert!(told.contains("exit code 3") && told.contains("17 | 18 | 19 | 20 | cannot open"), "{told}");
        assert!(told.contains("rtsp://") && !told.contains("hunter2") && !told.contains('\u{1b}'), "{told}");
        let error = Program::open(&ProgramConfig::new("no-such-camera-program"), 0.0, LIMIT).err().unwrap().to_string();
        assert!(error.contains("no folder of PATH"), "{error}");
    }

    #[test]
    fn one_that_never_writes_is_given_up_and_says_what_it_waits_for() {
        let args = vec!["-c".into(), "echo no sensor >&2; exec sleep 600".into()];
        let config = ProgramConfig { args, ..ProgramConfig::new("sh") };
        let error = Program::open(&config, 0.0, Duration::from_millis(500)).err().unwrap();
        assert!(error.is_too_slow());
        let told = wording::with_causes(&error);
        assert!(told.contains("written nothing in the ") && told.contains("no sensor"), "{told}");
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_it_has_started() {
        let stage = Stage::new();
        for stubborn in ["", "trap '' TERM; "] {
            let script =
                format!("{stubborn}echo no sensor >&2; cat a.jpg; sleep 600 & echo $! > pids; echo $$ >> pids; wait");
            let mut program = stage.start(&script, WrittenFormat::Mjpeg);
            let noted = stage.noted();
            shot(&mut program);
            let told = wording::with_causes(&program.next_shot().unwrap_err());
            assert!(told.contains("no picture for") && told.contains("no sensor"), "{told}");
            assert!(noted.iter().all(|pid| runs(pid)));
            drop(program);
            // Killed is not gone yet.
            let until = Instant::now() + Duration::from_secs(10);
            while noted.iter().any(|pid| runs(pid)) {
                assert!(Instant::now() < until, "{stubborn}");
                thread::sleep(Duration::from_millis(10));
            }
            std::fs::remove_file(stage.folder.path().join("pids")).unwrap();
        }
    }
}
