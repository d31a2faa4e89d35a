//! How a video is opened: by FFmpeg's own demuxers, which motion JPEG over HTTP is put in order for.
//!
//! In: an address. Out: an open container. Cameras leave out the first boundary, lengths and types, end lines in their
//! own way, or send bare pictures, any of which ends or stalls FFmpeg's demuxer. A picture says itself where it ends:
//! so the pictures are taken out of what such a camera sends, and handed on as the standard says (RFC 2046, 5.1).
//!
//! ```text
//! HTTP ─┬─ Content-Type of motion JPEG ─▶ Parts ─the same pictures, in order─▶ FFmpeg's demuxer
//!       └─ any other ─▶ FFmpeg's demuxers
//! ```

use std::ffi::{CStr, CString};
use std::io::{self, Read};
use std::ptr;

use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::util::interrupt::{self, Interrupt};
use ffmpeg_next::{Dictionary, Error, ffi, format};
use memchr::memmem;

use super::hosts::{Disbelief, Hosts};
use crate::capture::jpeg::{BEGIN, First, MOST_BYTES, cut_first};

/// Opens a file or an address, and reads enough of it to know its format; `over` ends the attempt. Of these hosts those
/// that must be believed are not left for one without TLS.
pub fn open<F>(target: &str, hosts: &Hosts, over: F, settings: Dictionary) -> Result<Input, Error>
where
    F: FnMut() -> bool + Clone + Send + 'static,
{
    if !target.starts_with("http://") && !target.starts_with("https://") {
        return format::input_with_interrupt_and_dictionary(target, over, settings);
    }
    let target = &*CString::new(target).map_err(|_| Error::InvalidData)?;
    let body = Body::open(target, over.clone(), settings.clone())?;
    if hosts.trust().is_some() && !body.option(c"location").starts_with("https://") {
        hosts.disbelieve(Disbelief::NoTls);
        return Err(Error::InvalidData);
    }
    if body.is_motion_jpeg() {
        let parts = StreamIo::from_read(Parts::of(body))?;
        format::input_from_stream_with_interrupt(parts, None, Some(settings), over)
    } else {
        body.demuxed(target, settings)
    }
}

/// What a server answers with, after the answer's head.
struct Body {
    /// FFmpeg's connection, which is this one's alone.
    connection: *mut ffi::AVIOContext,
    /// What ends waiting for it, also while it is closed; `None` once it is a container's.
    interrupt: Option<Interrupt>,
}

// SAFETY: nobody else has the connection, and FFmpeg ties none to a thread; what its interrupt calls can be sent, too.
unsafe impl Send for Body {}

impl Body {
    fn open<F>(target: &CStr, over: F, settings: Dictionary) -> Result<Self, Error>
    where
        F: FnMut() -> bool + Send + 'static,
    {
        let interrupt = interrupt::new(Box::new(over));
        let mut connection = ptr::null_mut();
        // SAFETY: the address is a C string; the dictionary is taken back, with what FFmpeg did not use of it; the
        // connection that is given lives no longer than what its interrupt calls.
        let opened = unsafe {
            let mut settings = settings.disown();
            let flags = ffi::AVIO_FLAG_READ;
            let opened = ffi::avio_open2(&mut connection, target.as_ptr(), flags, &interrupt.interrupt, &mut settings);
            drop(Dictionary::own(settings));
            opened
        };
        if opened < 0 { Err(opened.into()) } else { Ok(Self { connection, interrupt: Some(interrupt) }) }
    }

    /// What FFmpeg knows of the connection by this name, in small letters; empty when it knows nothing.
    fn option(&self, name: &CStr) -> String {
        let mut value = ptr::null_mut();
        // SAFETY: the connection is open, and FFmpeg gives a C string that is freed here, or nothing.
        unsafe {
            let connection = self.connection.cast();
            ffi::av_opt_get(connection, name.as_ptr(), ffi::AV_OPT_SEARCH_CHILDREN, &mut value);
            let text = (!value.is_null()).then(|| CStr::from_ptr(value.cast()).to_string_lossy().to_ascii_lowercase());
            ffi::av_free(value.cast());
            text.unwrap_or_default()
        }
    }

    /// Whether the server says that it sends pictures, one after the other.
    fn is_motion_jpeg(&self) -> bool {
        let kind = self.option(c"mime_type");
        ["multipart/", "image/jpeg", "image/jpg", "image/pjpeg"].iter().any(|begins| kind.starts_with(begins))
    }

    /// As FFmpeg reads it.
    fn demuxed(mut self, target: &CStr, settings: Dictionary) -> Result<Input, Error> {
        let Some(callback) = self.interrupt.as_ref().map(|it| it.interrupt) else { return Err(Error::Bug) };
        // SAFETY: as the crate's own functions do it. Once the container is open, the connection is the container's,
        // which closes it; until then it is this one's. What its interrupt calls outlives it either way.
        unsafe {
            let mut container = ffi::avformat_alloc_context();
            if container.is_null() {
                return Err(Error::Other { errno: ffmpeg_next::util::error::ENOMEM });
            }
            (*container).interrupt_callback = callback;
            (*container).pb = self.connection;
            let mut settings = settings.disown();
            let opened = ffi::avformat_open_input(&mut container, target.as_ptr(), ptr::null_mut(), &mut settings);
            drop(Dictionary::own(settings));
            if opened < 0 {
                return Err(opened.into());
            }
            (*container).flags &= !ffi::AVFMT_FLAG_CUSTOM_IO;
            self.connection = ptr::null_mut();
            let known = ffi::avformat_find_stream_info(container, ptr::null_mut());
            if known < 0 {
                ffi::avformat_close_input(&mut container);
                return Err(known.into());
            }
            match self.interrupt.take() {
                Some(interrupt) => Ok(Input::wrap_with_interrupt(container, interrupt.guard)),
                None => Ok(Input::wrap(container)),
            }
        }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(i32::MAX as usize) as i32;
        // SAFETY: FFmpeg writes no more than there is room for.
        match unsafe { ffi::avio_read_partial(self.connection, into.as_mut_ptr(), room) } {
            ffi::AVERROR_EOF => Ok(0),
            read => usize::try_from(read).map_err(|_| io::Error::other(Error::from(read))),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // SAFETY: it is open, or null; what its interrupt calls goes after it.
        unsafe { ffi::avio_closep(&mut self.connection) };
    }
}

/// The pictures of a body, each with its length before it.
struct Parts {
    body: Body,
    /// What came and has not been handed on, and whether a picture may end in it.
    came: Vec<u8>,
    may_end: bool,
    /// A part that is being handed on, and how much of it has been.
    ready: Vec<u8>,
    given: usize,
}

/// What is read of a body at once.
const CHUNK: usize = 64 << 10;
/// What a picture ends with, and where one that is cut short ends: at the next.
const ENDS: [[u8; 2]; 2] = [[0xff, 0xd9], [0xff, 0xd8]];

impl Parts {
    fn of(body: Body) -> Self {
        Self { body, came: Vec::new(), may_end: false, ready: Vec::new(), given: 0 }
    }

    /// The first picture of what came, also one that is cut short: whoever decodes it tells of it.
    fn next(&mut self) -> Option<Vec<u8>> {
        match cut_first(&mut self.came) {
            First::Whole(picture) | First::CutShort(picture) | First::TooLong(picture) => Some(picture),
            First::Nothing(_) | First::Unfinished => None,
        }
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() {
            if let Some(picture) = self.may_end.then(|| self.next()).flatten() {
                let head = format!("--\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", picture.len());
                self.ready = [head.as_bytes(), &picture, b"\r\n"].concat();
                self.given = 0;
                break;
            }
            let before = self.came.len();
            self.came.resize(before + CHUNK, 0);
            let read = self.body.read(&mut self.came[before..]);
            self.came.truncate(before + read.as_ref().copied().unwrap_or(0));
            if read? == 0 {
                return Ok(0);
            }
            // A picture comes in many pieces, and is not gone through again at each of them.
            let news = &self.came[before.saturating_sub(1)..];
            let ends = ENDS.iter().any(|end| memmem::find(news, end).is_some());
            self.may_end = ends || !self.came.starts_with(BEGIN) || self.came.len() > MOST_BYTES;
        }
        let left = &self.ready[self.given..];
        let length = left.len().min(into.len());
        into[..length].copy_from_slice(&left[..length]);
        self.given += length;
        Ok(length)
    }
}
