//! What an engine's address says about the way to it.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether the address is this machine itself. A name below `.localhost` is not: resolvers may send it anywhere.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().is_loopback(),
        None => false,
    }
}

/// Whether nobody on the way can read what is sent there: it is encrypted, or stays on this machine.
pub fn stays_private(url: &Url) -> bool {
    url.scheme() == "https" || is_loopback(url)
}
