//! Whom FFmpeg may call for a video: the host of its address, and those that are allowed beside it.
//!
//! In: these hosts, while FFmpeg works for the video. Out: the first other host it wanted, which is not called, or the
//! first that `tls` does not believe. FFmpeg goes where playlists, redirects and an RTSP server's answers lead it,
//! inside its protocols, where it asks no callback and has no option against it. But it asks the C library for the
//! address of every host first, also of one that is written as a number. So the program's `getaddrinfo` is the one in
//! this file, for FFmpeg as well: the dynamic linker takes the program's own function before a library's, and
//! [`in_force`] sees whether it did.
//!
//! ```text
//! playlist, key, redirect … ─▶ FFmpeg ─host─▶ getaddrinfo ─allowed─▶ the C library's ─▶ connection
//!                                ▲              └─no─▶ remembered
//!                                └───── fails ───────────┘
//! ```

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use ffmpeg_next::ffi;
use identities::trust::Trust;
use nix::libc;
use parking_lot::Mutex;

use crate::config::AllowedHost;

/// The hosts that may be called for one video.
pub struct Hosts {
    allowed: Vec<AllowedHost>,
    /// Where those that have a name were found: a camera that sends by UDP is called at its address.
    found: Mutex<Vec<AllowedHost>>,
    /// Whom these must be over TLS; `None` where nobody looks.
    trust: Option<Trust>,
    /// The host that was allowed last, and its port.
    called: Mutex<(String, u16)>,
    refused: OnceLock<Refused>,
}

/// A host of which nothing is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// For people: `…` when it is nothing a host can be called.
    pub host: String,
    pub port: u16,
    pub why: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may not be called, and was not.
    Elsewhere,
    /// It was called, and told nothing.
    NotBelieved(Disbelief),
}

/// Why a host is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disbelief {
    /// What is wrong with its certificate.
    Certificate(String),
    /// It answers, and not in TLS.
    NoTls,
}

/// What getaddrinfo(3) is.
type Lookup =
    unsafe extern "C" fn(*const c_char, *const c_char, *const libc::addrinfo, *mut *mut libc::addrinfo) -> c_int;

thread_local! {
    /// What this thread works for; whoever opens no video may call whom it likes.
    static WORKING_FOR: RefCell<Option<Arc<Hosts>>> = const { RefCell::new(None) };
}

/// Longer than the host in any address that FFmpeg takes.
const LONGEST_HOST: usize = 1024;
/// No name of a host is longer (RFC 1035, section 2.3.4).
const LONGEST_SHOWN: usize = 253;
/// Addresses that are remembered; a name has a few.
const MOST_ADDRESSES: usize = 64;
/// What an address without a host leads to.
const NO_HOST: &str = "localhost";

impl Hosts {
    /// The host of this address, as FFmpeg finds it, and these beside it.
    pub fn of(address: &CStr, beside: &[AllowedHost], trust: Option<&Trust>) -> Arc<Self> {
        let allowed = [&[AllowedHost::exactly(&host_of(address))], beside].concat();
        let (found, called, refused) = (Mutex::default(), Mutex::default(), OnceLock::new());
        Arc::new(Self { allowed, found, trust: trust.cloned(), called, refused })
    }

    /// Does a piece of FFmpeg's work, in which no other hosts are called.
    pub fn hold<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        WORKING_FOR.set(Some(self.clone()));
        let done = work();
        WORKING_FOR.set(None);
        done
    }

    /// The first host of which nothing is fetched.
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.get()
    }

    pub fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// The host that was allowed last, which is called next, and its port.
    pub fn called(&self) -> (String, u16) {
        self.called.lock().clone()
    }

    /// Remembers that the host which was called last is not believed.
    pub fn disbelieve(&self, why: Disbelief) {
        let (host, port) = self.called();
        let _ = self.refused.set(Refused { host, port, why: Refusal::NotBelieved(why) });
    }

    /// By what this host may be called; if by nothing, it is remembered.
    fn allow(&self, host: &str, port: u16) -> Option<AllowedHost> {
        let found = self.found.lock();
        let allowed = self.allowed.iter().chain(&*found).find(|it| it.allows(host, port)).cloned();
        if allowed.is_none() {
            let fits = (1..=LONGEST_SHOWN).contains(&host.len());
            let is_one = fits && host.chars().all(|c| c.is_alphanumeric() || "-_.:%".contains(c));
            let host = if is_one { host.to_owned() } else { "…".into() };
            // What follows from the first refusal says nothing more.
            let _ = self.refused.set(Refused { host, port, why: Refusal::Elsewhere });
        } else {
            *self.called.lock() = (host.to_owned(), port);
        }
        allowed
    }

    /// Remembers where an allowed host is.
    fn remember(&self, host: &AllowedHost, addresses: impl Iterator<Item = IpAddr>) {
        let mut found = self.found.lock();
        for address in addresses.map(|address| host.at(address)) {
            if !found.contains(&address) && found.len() < MOST_ADDRESSES {
                found.push(address);
            }
        }
    }
}

/// The hosts of the video that this thread works for; a thread that is ending works for none.
pub fn working_for() -> Option<Arc<Hosts>> {
    WORKING_FOR.try_with(|hosts| hosts.borrow().clone()).ok().flatten()
}

/// Whether FFmpeg asks the function of this file: it is the first of its name in the process.
pub fn in_force() -> bool {
    // SAFETY: it looks up a name.
    let first = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"getaddrinfo".as_ptr()) };
    std::ptr::eq(first, getaddrinfo as *const libc::c_void)
}

fn host_of(address: &CStr) -> String {
    let mut host: [c_char; LONGEST_HOST] = [0; LONGEST_HOST];
    let (room, none) = (LONGEST_HOST as c_int, std::ptr::null_mut());
    let no_port = std::ptr::null_mut();
    // SAFETY: FFmpeg writes no more than there is room for, with a zero at its end; what is not asked for may be null
    // when there is no room for it.
    unsafe {
        ffi::av_url_split(none, 0, none, 0, host.as_mut_ptr(), room, no_port, none, 0, address.as_ptr());
        CStr::from_ptr(host.as_ptr()).to_string_lossy().into_owned()
    }
}

/// The C library's function, for the whole program: it refuses what the thread's video may not call.
///
/// # Safety
/// As getaddrinfo(3) says: names are C strings or null, the hints are some or null, and there is a place for what is
/// found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> c_int {
    let hosts = working_for();
    // SAFETY: they are what this function's caller promises.
    let (host, port, flags) = unsafe { (text(node), text(service), hints.as_ref().map_or(0, |it| it.ai_flags)) };
    // FFmpeg sees by it whether a text is a number, which is without a port; and where it listens there is no host.
    let is_number = port.is_none() && flags & libc::AI_NUMERICHOST != 0;
    let listens = host.is_none() && flags & libc::AI_PASSIVE != 0;
    let host = host.unwrap_or(NO_HOST.into());
    let port = port.and_then(|port| port.parse().ok()).unwrap_or(0);
    let of_video = hosts.filter(|_| !is_number && !listens);
    let allowed = match &of_video {
        None => None,
        Some(hosts) => match hosts.allow(&host, port) {
            None => return libc::EAI_FAIL,
            allowed => allowed,
        },
    };
    let Some(lookup) = the_librarys() else { return libc::EAI_FAIL };
    // SAFETY: it is asked what this function was asked.
    let failed = unsafe { lookup(node, service, hints, found) };
    if let (0, Some(hosts), Some(allowed)) = (failed, of_video, allowed) {
        // SAFETY: without a failure there is a list, of which nobody else knows yet.
        hosts.remember(&allowed, unsafe { addresses(*found) });
    }
    failed
}

/// # Safety
/// It is a list that getaddrinfo(3) gave, which lives as long as what is given back.
unsafe fn addresses(list: *const libc::addrinfo) -> impl Iterator<Item = IpAddr> {
    let mut next = list;
    std::iter::from_fn(move || {
        // SAFETY: as above; each entry points to an address of its family.
        let entry = unsafe { next.as_ref() }?;
        next = entry.ai_next;
        Some(unsafe {
            match entry.ai_family {
                libc::AF_INET => {
                    let at = entry.ai_addr.cast::<libc::sockaddr_in>().as_ref();
                    at.map(|at| IpAddr::from(at.sin_addr.s_addr.to_ne_bytes()))
                }
                libc::AF_INET6 => {
                    let at = entry.ai_addr.cast::<libc::sockaddr_in6>().as_ref();
                    at.map(|at| IpAddr::from(at.sin6_addr.s6_addr))
                }
                _ => None,
            }
        })
    })
    .flatten()
}

/// # Safety
/// It is a C string or null.
unsafe fn text<'a>(text: *const c_char) -> Option<Cow<'a, str>> {
    // SAFETY: as above.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// The function that the one in this file stands before.
fn the_librarys() -> Option<Lookup> {
    static FOUND: OnceLock<Option<Lookup>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: it looks up a name, behind which the C library has a function of this type.
        unsafe {
            let next = libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr());
            std::mem::transmute::<*mut libc::c_void, Option<Lookup>>(next)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs;

    use super::*;

    #[test]
    fn the_host_of_an_address_is_the_one_ffmpeg_calls() {
        for (address, host) in [
            (c"rtsp://camera/live", "camera"),
            (c"rtsp://user:p@ss@camera:554/live?at=x@y", "camera"),
            (c"http://[fe80::1]:8080/", "fe80::1"),
            (c"http:///video", ""),
            (c"/srv/clips/door.mp4", ""),
        ] {
            assert_eq!(host_of(address), host, "{address:?}");
        }
    }

    #[test]
    fn no_other_host_is_looked_up_while_there_is_work_for_a_video() {
        assert!(in_force());
        let found = |host: &str| (host, 80).to_socket_addrs().is_ok();
        let hosts = Hosts::of(c"http://localhost/", &[], None);
        assert!(hosts.hold(|| found("localhost")) && hosts.refused().is_none());
        let (its, another) = (hosts.allow("127.0.0.1", 9), hosts.allow("127.0.0.3", 9));
        assert!(its.is_some() && another.is_none(), "a name is called at its own addresses");
        let hosts = Hosts::of(c"http://127.0.0.1/", &[AllowedHost::exactly("127.0.0.3")], None);
        assert!(!hosts.hold(|| found("localhost")), "a name is not its address");
        // The standard library puts the port to what is found.
        let refused = Refused { host: "localhost".into(), port: 0, why: Refusal::Elsewhere };
        assert_eq!(hosts.refused(), Some(&refused));
        assert!(found("localhost"), "what is done for no video may call anybody");
        assert!(!hosts.hold(|| found("two words")));
        assert_eq!(hosts.refused(), Some(&refused), "the first is told");
    }

    #[test]
    fn what_is_no_host_is_not_shown() {
        for host in ["", &"x".repeat(254), "two words", "a\u{1b}[2Jb", "host/path", "a@b"] {
            let hosts = Hosts::of(c"http://camera/", &[], None);
            assert!(hosts.allow(host, 1).is_none());
            assert_eq!(hosts.refused().map(|it| it.host.as_str()), Some("…"), "{host:?}");
        }
    }
}
