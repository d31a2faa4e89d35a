//! `allow_hosts`: hosts beside a camera's own that its stream may come from.
//!
//! In: a name, an address or a network of the configuration. Out: an [`AllowedHost`], which can be asked whether a host
//! and port are meant by it. Addresses are compared by their value and names as they are written: nothing is looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::value::texts;

/// A host, or a network of them, that may be called; at one port or at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    place: Place,
    /// `None` for every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In small letters, without the dot at its end.
    Name(String),
    /// All addresses whose first `bits` are those of `first`.
    Network { first: IpAddr, bits: u8 },
}

/// What an entry may look like.
const LIKE: &str = "write it like `media.example`, `10.0.0.8`, `10.0.0.8:8080` or `10.0.9.0/24`";
/// The longest name of a host (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

impl AllowedHost {
    /// This host alone, however it is spelt, at every port.
    pub fn exactly(host: &str) -> Self {
        let place = match address(host) {
            Some(address) => Place::of(address),
            None => Place::Name(plain(host)),
        };
        Self { place, port: None }
    }

    /// An address of this host, to be called at the same ports.
    pub fn at(&self, address: IpAddr) -> Self {
        Self { place: Place::of(address.to_canonical()), port: self.port }
    }

    /// Whether this host, as an address of the network names it, may be called at this port.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        let here = match (&self.place, address(host)) {
            (Place::Name(name), None) => *name == plain(host),
            (Place::Network { first, bits }, Some(address)) => first_of(address, *bits) == Some(*first),
            _ => false,
        };
        here && self.port.is_none_or(|only| only == port)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") || text.contains('@') {
            // There may be a password in it.
            return Err(format!("the host alone is wanted, without a scheme and an account; {LIKE}"));
        }
        if let Some((first, bits)) = text.split_once('/') {
            return Ok(Self { place: network(text, first, bits)?, port: None });
        }
        // An IPv6 address without brackets has no port.
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if address(text).is_none() => match port.parse() {
                Ok(port) if port > 0 => (host, Some(port)),
                _ => return Err(format!("`{text}` has no port from 1 to 65535 after its colon; {LIKE}")),
            },
            _ => (text, None),
        };
        let place = match address(host) {
            Some(address) => Place::of(address),
            None if is_name(host) => Place::Name(plain(host)),
            None => return Err(format!("`{text}` is neither a host's name nor an address or a network; {LIKE}")),
        };
        Ok(Self { place, port })
    }
}

impl Place {
    fn of(address: IpAddr) -> Self {
        Self::Network { first: address, bits: length(address) }
    }
}

texts! {
    AllowedHost: AllowedHost::parse;
}

/// The address that is written here, with or without brackets and the interface it is reached by; one of IPv4 that is
/// written as one of IPv6 is that of IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let number = inside.split_once('%').map_or(inside, |(number, _)| number);
    number.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn network(text: &str, first: &str, bits: &str) -> Result<Place, String> {
    let bad = || format!("`{text}` is no network; {LIKE}");
    let first = address(first).ok_or_else(bad)?;
    let bits: u8 = bits.parse().map_err(|_| bad())?;
    match first_of(first, bits) {
        Some(begins) if begins == first => Ok(Place::Network { first, bits }),
        Some(begins) => Err(format!("the network of `{text}` is written `{begins}/{bits}`")),
        None => Err(bad()),
    }
}

/// How many bits an address has.
fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first address of the network of so many bits that this one is in; `None` when it has fewer bits.
fn first_of(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let rest = u32::from(length(address).checked_sub(bits)?);
    // Shifted by all its bits, an address is gone.
    Some(match address {
        IpAddr::V4(it) => Ipv4Addr::from_bits(u32::MAX.checked_shl(rest).unwrap_or(0) & it.to_bits()).into(),
        IpAddr::V6(it) => Ipv6Addr::from_bits(u128::MAX.checked_shl(rest).unwrap_or(0) & it.to_bits()).into(),
    })
}

/// As names are compared: in small letters, without the dot that may end them.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_lowercase()
}

/// Whether this can be a host's name. One that ends in a number would be an address that is none.
fn is_name(text: &str) -> bool {
    let name = plain(text);
    let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    let last_is_number = name.rsplit('.').next().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    name.len() <= LONGEST_NAME && name.split('.').all(is_part) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_what_it_names_and_nothing_else() {
        for (entry, allowed, refused) in [
            (
                "Media.Example",
                &["media.example", "MEDIA.example."][..],
                &["xmedia.example", "a.media.example", "10.0.0.8"][..],
            ),
            (
                "10.0.0.8",
                &["10.0.0.8", "::ffff:10.0.0.8"],
                &["10.0.0.9", "10.0.0.80", "10.0.8", "0xa000008", "media.example", ""],
            ),
            ("10.0.8.0/23", &["10.0.8.0", "10.0.9.255"], &["10.0.10.0", "10.0.7.255", "::a00:800", "ten.example"]),
            ("0.0.0.0/0", &["127.0.0.1"], &["::1", "localhost"]),
            ("[FE80::1]", &["fe80::1", "fe80:0:0::1", "fe80::1%eth0"], &["fe80::2", "0.0.0.1"]),
            ("fd00::/8", &["fd12::1"], &["fe00::1", "253.0.0.1"]),
            ("::/0", &["::1"], &["127.0.0.1"]),
            ("dörr.example", &["dörr.example", "DÖRR.example"], &["dorr.example"]),
        ] {
            let host = AllowedHost::parse(entry).unwrap();
            for port in [1, 80] {
                allowed.iter().for_each(|it| assert!(host.allows(it, port), "{entry} is {it}"));
                refused.iter().for_each(|it| assert!(!host.allows(it, port), "{entry} is not {it}"));
            }
        }
    }

    #[test]
    fn a_port_is_the_only_one() {
        for entry in ["10.0.0.8:8080", "[::ffff:10.0.0.8]:8080"] {
            let host = AllowedHost::parse(entry).unwrap();
            assert!(host.allows("10.0.0.8", 8080) && !host.allows("10.0.0.8", 80), "{entry}");
        }
        let host = AllowedHost::parse("camera:554").unwrap();
        assert!(host.allows("camera", 554) && !host.allows("camera", 0));
    }

    #[test]
    fn a_host_is_itself_however_odd_it_is() {
        for host in ["camera", "127.1", "", "a b", "::1", "10.0.0.8"] {
            assert!(AllowedHost::exactly(host).allows(host, 80), "{host}");
        }
        assert!(!AllowedHost::exactly("127.1").allows("127.0.0.1", 80));
    }

    #[test]
    fn what_is_no_host_says_what_to_write() {
        for (entry, why) in [
            ("", "is neither a host's name"),
            ("*", "is neither a host's name"),
            ("*.example", "is neither a host's name"),
            ("a..b", "is neither a host's name"),
            ("a b", "is neither a host's name"),
            ("10.0.0", "is neither a host's name"),
            ("10.0.0.256", "is neither a host's name"),
            ("10.0.0.0-10.0.0.9", "is neither a host's name"),
            ("[fe80::1", "is neither a host's name"),
            ("camera:", "has no port"),
            ("camera:0", "has no port"),
            ("camera:65536", "has no port"),
            ("10.0.0.0/33", "is no network"),
            ("10.0.0.0/", "is no network"),
            ("camera/24", "is no network"),
            ("10.0.0.0/24:80", "is no network"),
            ("10.0.0.8/24", "is written `10.0.0.0/24`"),
            ("fd00::1/8", "is written `fd00::/8`"),
            ("http://camera", "the host alone"),
            ("admin:hunter2@camera", "the host alone"),
        ] {
            let problem = AllowedHost::parse(entry).unwrap_err();
            assert!(problem.contains(why), "{entry}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
