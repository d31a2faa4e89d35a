//! How RTSP's pictures travel. OpenCV takes this from the environment alone, when it opens a stream.
//!
//! In: the wanted transport. Out: the environment as OpenCV has to find it, for as long as it takes to open. Only a
//! camera configured for UDP makes it change at all: OpenCV's own choice is TCP first, and UDP when the camera insists
//! on it.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::config::RtspTransport;

/// Options for FFmpeg, `name;value|name;value`, read by OpenCV at the beginning of each opening.
const OPTIONS: &str = "OPENCV_FFMPEG_CAPTURE_OPTIONS";
/// What OpenCV uses without the variable.
const TCP: &str = "rtsp_flags;prefer_tcp";
const UDP: &str = "rtsp_transport;udp";
const LOG_LEVEL: &str = "OPENCV_FFMPEG_LOGLEVEL";
/// `AV_LOG_QUIET` of FFmpeg's `libavutil/log.h`.
const QUIET: &str = "-8";
/// An opening with one transport waits this long for openings with the other one. They have read the variable at
/// their very beginning; this is for the one that a busy machine has not let begin, and no camera that is long to
/// answer may hold the others up for longer.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Prepares this process for FFmpeg: keeps it from writing to the error stream, where its messages would stand
/// beside the log and might hold parts of an address, and makes the room that a camera with `transport = "udp"`
/// needs. Whoever has set OpenCV's variables (`OPENCV_FFMPEG_LOGLEVEL`, `OPENCV_FFMPEG_CAPTURE_OPTIONS`) keeps
/// their setting.
///
/// # Safety
/// To be called first in `main`, while there is no other thread: it changes the environment.
pub unsafe fn prepare_decoders() {
    for (name, value) in [(LOG_LEVEL, QUIET), (OPTIONS, TCP)] {
        if std::env::var_os(name).is_none() {
            // SAFETY: the caller promises that this is the only thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// Makes `transport` the one that streams opened while this guard lives will use.
pub(super) fn choose(transport: RtspTransport) -> Choice {
    let mut openings = OPENINGS.lock();
    let until = Instant::now() + LONGEST_WAIT;
    while openings.count > 0 && openings.transport != transport && Instant::now() < until {
        OVER.wait_until(&mut openings, until);
    }
    if openings.transport != transport {
        // Those that are still at it have been waited for long enough.
        *openings = Openings { transport, count: 0, turn: openings.turn + 1 };
    }
    openings.count += 1;
    set(transport);
    Choice { turn: openings.turn }
}

/// Holds the chosen transport until it is dropped.
pub(super) struct Choice {
    turn: u64,
}

/// The openings that are under way, which all use one transport.
struct Openings {
    transport: RtspTransport,
    count: u32,
    /// Counts the changes of transport, so that an opening from before the last one is not counted off.
    turn: u64,
}

/// No other lock is taken with it.
static OPENINGS: Mutex<Openings> = Mutex::new(Openings { transport: RtspTransport::Tcp, count: 0, turn: 0 });
static OVER: Condvar = Condvar::new();

impl Drop for Choice {
    fn drop(&mut self) {
        let mut openings = OPENINGS.lock();
        if openings.turn == self.turn {
            openings.count -= 1;
            OVER.notify_all();
        }
    }
}

fn set(transport: RtspTransport) {
    let wanted = match transport {
        RtspTransport::Tcp => TCP,
        RtspTransport::Udp => UDP,
    };
    let ours = match std::env::var(OPTIONS).as_deref() {
        Ok(set) if set == wanted => false,
        Ok(TCP | UDP) => true,
        // Somebody gave FFmpeg options of their own.
        Ok(_) => false,
        Err(_) => transport == RtspTransport::Udp,
    };
    if ours {
        // SAFETY: Rust's own readers of the environment are locked out meanwhile. A C library that reads it in
        // another thread sees the old text or the new one: `prepare_decoders` has made the variable's place before
        // there were threads, glibc replaces only the pointer there, and frees no old text.
        unsafe { std::env::set_var(OPTIONS, wanted) };
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn openings_of_one_transport_go_together_and_the_other_waits() {
        let first = choose(RtspTransport::Udp);
        let second = choose(RtspTransport::Udp);
        assert_eq!(std::env::var(OPTIONS).as_deref(), Ok(UDP));
        let other = thread::spawn(|| {
            let _choice = choose(RtspTransport::Tcp);
            std::env::var(OPTIONS)
        });
        drop(first);
        thread::sleep(Duration::from_millis(50));
        assert!(!other.is_finished(), "an opening over UDP is still under way");
        drop(second);
        assert_eq!(other.join().unwrap().as_deref(), Ok(TCP));

        // One that hangs does not hold the others up for ever, and counts for nothing when it comes back.
        let hangs = choose(RtspTransport::Udp);
        let tcp = choose(RtspTransport::Tcp);
        drop(hangs);
        assert_eq!(OPENINGS.lock().count, 1);
        drop(tcp);
        assert_eq!(OPENINGS.lock().count, 0);
    }
}
