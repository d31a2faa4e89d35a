//! Whom FFmpeg believes over TLS: whoever answers, or for a video that says whom to trust, that host alone.
//!
//! In: the handshakes that FFmpeg has GnuTLS make while it works for a video. Out: the first host that is not believed,
//! which is told nothing: no request, no password. FFmpeg takes no authority and no key for RTSP, and forgets those of
//! a playlist at its first segment. So the program's `gnutls_handshake` is the one in this file, as with `getaddrinfo`
//! in `hosts`; `build.rs` has it shown to libraries. After GnuTLS's own, which has seen that the host holds its
//! certificate's key, it looks at the certificate. Where FFmpeg was built with another library, [`in_force`] says no.
//!
//! ```text
//! FFmpeg ─▶ gnutls_handshake ─▶ GnuTLS's ─certificates─▶ Trust ─believed─▶ FFmpeg asks for the video
//!   ▲                                                      └─no─▶ remembered
//!   └────────────────────── fails ────────────────────────────────────┘
//! ```

use std::ffi::{c_int, c_uint, c_void};
use std::slice;
use std::sync::OnceLock;

use ffmpeg_next::format;
use nix::libc;
use rustls::pki_types::CertificateDer;

use super::hosts::{self, Disbelief};

/// GnuTLS's `gnutls_session_t`.
type Session = *mut c_void;

/// GnuTLS's `gnutls_datum_t`: so many bytes.
#[repr(C)]
struct Datum {
    data: *const u8,
    size: c_uint,
}

type Handshake = unsafe extern "C" fn(Session) -> c_int;
type Peers = unsafe extern "C" fn(Session, *mut c_uint) -> *const Datum;

/// What is asked of GnuTLS.
#[derive(Clone, Copy)]
struct Library {
    handshake: Handshake,
    /// `gnutls_certificate_get_peers`: the certificates that were shown, the host's own first.
    peers: Peers,
}

/// GNUTLS_E_SUCCESS, as gnutls.h numbers its errors.
const DONE: c_int = 0;
/// GNUTLS_E_UNSUPPORTED_VERSION_PACKET, GNUTLS_E_UNEXPECTED_PACKET_LENGTH and GNUTLS_E_UNEXPECTED_PACKET: what comes is
/// another protocol.
const NO_TLS: [c_int; 3] = [-8, -9, -15];
/// GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR, which ends FFmpeg's connection.
const NOT_BELIEVED: c_int = -348;
/// GNUTLS_E_INTERNAL_ERROR, which does so as well.
const NO_LIBRARY: c_int = -59;

/// Whether all of FFmpeg's TLS goes through this file.
pub fn in_force() -> bool {
    // SAFETY: it looks up a name.
    let first = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"gnutls_handshake".as_ptr()) };
    let is_ours = std::ptr::eq(first, gnutls_handshake as *const c_void);
    is_ours && library().is_some() && format::configuration().contains("--enable-gnutls")
}

/// GnuTLS's function, for the whole program: it fails as well where the thread's video does not believe the host.
///
/// # Safety
/// As gnutls_handshake(3) says: the session is one of GnuTLS's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gnutls_handshake(session: Session) -> c_int {
    let Some(library) = library() else { return NO_LIBRARY };
    // SAFETY: it is asked what this function was asked.
    let shaken = unsafe { (library.handshake)(session) };
    let Some(hosts) = hosts::working_for() else { return shaken };
    if NO_TLS.contains(&shaken) {
        hosts.disbelieve(Disbelief::NoTls);
    }
    let Some(trust) = hosts.trust().filter(|_| shaken == DONE) else { return shaken };
    let mut count = 0;
    // SAFETY: after the handshake the session has as many certificates as it says, or none, and keeps them as long as
    // this function works with them.
    let shown: Vec<CertificateDer<'_>> = unsafe {
        let first = (library.peers)(session, &mut count);
        let shown = if first.is_null() { &[][..] } else { slice::from_raw_parts(first, count as usize) };
        shown.iter().map(|it| CertificateDer::from(slice::from_raw_parts(it.data, it.size as usize))).collect()
    };
    match trust.check(&hosts.called().0, &shown) {
        Ok(()) => DONE,
        Err(why) => {
            hosts.disbelieve(Disbelief::Certificate(why));
            NOT_BELIEVED
        }
    }
}

/// The functions of the library that this file stands before.
fn library() -> Option<Library> {
    static FOUND: OnceLock<Option<Library>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: it looks up names, behind which GnuTLS has functions of these types.
        unsafe {
            let handshake = libc::dlsym(libc::RTLD_NEXT, c"gnutls_handshake".as_ptr());
            let peers = libc::dlsym(libc::RTLD_NEXT, c"gnutls_certificate_get_peers".as_ptr());
            Some(Library {
                handshake: std::mem::transmute::<*mut c_void, Option<Handshake>>(handshake)?,
                peers: std::mem::transmute::<*mut c_void, Option<Peers>>(peers)?,
            })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_handshakes_are_made_here() {
        assert!(in_force(), "{}", format::configuration());
    }
}
