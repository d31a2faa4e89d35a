//! What FFmpeg says, as lines of our own log, and why it could not open something.
//!
//! In: FFmpeg's messages, from whichever thread. Out: `debug` and `trace` lines without addresses; nothing reaches
//! standard error by itself. Faults worth more than that are told by whoever notices them, in doorward's words.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Once;

use ffmpeg_next::ffi;
use tracing::Level;

/// How a variable argument list travels to a function: as a pointer on x86-64, as the list itself elsewhere.
#[cfg(target_arch = "x86_64")]
type Arguments = *mut ffi::__va_list_tag;
#[cfg(not(target_arch = "x86_64"))]
type Arguments = ffi::va_list;

/// The longest message that is kept whole.
const LINE: usize = 1024;
/// Errors kept while something is opened: the first say what is wrong, those after them what follows from it.
const MOST_HEARD: usize = 3;

thread_local! {
    /// The errors of this thread since [`listen`], while somebody listens.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Sends FFmpeg's messages to our log from now on; a second call does nothing.
pub fn to_tracing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fetches the texts of the errors; it cannot fail.
        let _ = ffmpeg_next::init();
        // SAFETY: the callback has the type FFmpeg asks for, lives as long as the process, and may be called from any
        // thread.
        unsafe { ffi::av_log_set_callback(Some(told)) };
    });
}

/// Runs `work`, and gives back also the errors FFmpeg told of meanwhile on this thread, without their prefix.
pub fn listening<T>(work: impl FnOnce() -> T) -> (T, Vec<String>) {
    HEARD.set(Some(Vec::new()));
    let done = work();
    (done, HEARD.take().unwrap_or_default())
}

/// FFmpeg's `av_log` callback.
///
/// # Safety
/// To be called by FFmpeg alone: `format` is a C string and `arguments` are what it asks for.
unsafe extern "C" fn told(of: *mut c_void, level: c_int, format: *const c_char, arguments: Arguments) {
    let error = level <= ffi::AV_LOG_ERROR;
    let as_level = if level <= ffi::AV_LOG_WARNING { Level::DEBUG } else { Level::TRACE };
    // Below that FFmpeg tells every byte, requests with their passwords among them.
    if level > ffi::AV_LOG_VERBOSE || !(error || enabled(as_level)) {
        return;
    }
    let mut line: [c_char; LINE] = [0; LINE];
    let mut with_prefix = 0;
    // SAFETY: the arguments are passed on as they came, the buffer is as long as is said, and FFmpeg ends what it
    // writes there with a zero.
    let line = unsafe {
        ffi::av_log_format_line2(of, level, format, arguments, line.as_mut_ptr(), LINE as c_int, &mut with_prefix);
        CStr::from_ptr(line.as_ptr()).to_string_lossy()
    };
    let line = without_addresses(line.trim());
    if line.is_empty() {
        return;
    }
    if as_level == Level::DEBUG {
        tracing::debug!("FFmpeg: {line}");
    } else {
        tracing::trace!("FFmpeg: {line}");
    }
    // A thread that is ending has nobody who listens.
    let _ = HEARD.try_with(|heard| {
        if let Ok(mut heard) = heard.try_borrow_mut()
            && let Some(heard) = heard.as_mut().filter(|heard| error && heard.len() < MOST_HEARD)
        {
            heard.push(line);
        }
    });
}

fn enabled(level: Level) -> bool {
    if level == Level::DEBUG { tracing::enabled!(Level::DEBUG) } else { tracing::enabled!(Level::TRACE) }
}

/// The message with `…` for what follows a `://`: up to the next blank or quote, and beyond it as long as there is an
/// `@`, because a password may hold anything.
fn without_addresses(message: &str) -> String {
    let mut rest = message;
    let mut shown = String::new();
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + "://".len());
        shown.push_str(before);
        shown.push('…');
        let surely = address.rfind('@').unwrap_or(0);
        let end = address[surely..].find(|c: char| c.is_whitespace() || "'\"".contains(c));
        rest = end.map_or("", |end| &address[surely + end..]);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_holds_an_address() {
        for (message, shown) in [
            ("moov atom not found", "moov atom not found"),
            ("Opening 'http://u:hunter2@host/x?pwd=hunter2' for reading", "Opening 'http://…' for reading"),
            ("Connection to tcp://10.0.0.5:554?timeout=0 failed: refused", "Connection to tcp://… failed: refused"),
            ("rtsp://user:hunter2 with a blank@host/x: 401", "rtsp://… 401"),
            ("a rtsp://user:hunter2@host and http://b:hunter2@c d", "a rtsp://… d"),
            ("rtsp://user:it's hunter2@host failed", "rtsp://… failed"),
            ("file://", "file://…"),
            ("größe ü://ö@ß x", "größe ü://… x"),
        ] {
            assert_eq!(without_addresses(message), shown);
        }
    }

    #[test]
    fn the_errors_of_an_opening_are_heard_by_who_listens_and_by_nobody_else() {
        to_tracing();
        let missing = || ffmpeg_next::format::input("/nowhere/missing.mp4").is_err();
        let text = std::env::temp_dir().join(format!("doorward-log-test-{}.mp4", std::process::id()));
        std::fs::write(&text, [&b"\0\0\0\x18ftypisom\0\0\0\0isomisom"[..], &[0; 64]].concat()).unwrap();
        let (failed, heard) = listening(|| ffmpeg_next::format::input(&text).is_err());
        std::fs::remove_file(&text).unwrap();
        assert!(failed && heard.iter().any(|line| line.contains("moov atom not found")), "{heard:?}");
        assert!(missing(), "nobody listens");
        assert!(listening(|| ()).1.is_empty());
    }
}
