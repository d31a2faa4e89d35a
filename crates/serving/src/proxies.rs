//! Who is asking, behind proxies that are trusted to say so.
//!
//! In: the address a connection comes from, and a request's `X-Forwarded-For`. Out: the client's address. The header is
//! believed from the right, as far as those who have written it are trusted; the rest anybody could have sent.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

/// Proxies, each an address or a network.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Reads an address or a network in CIDR notation; `None` where it is neither.
    pub fn parse(text: &str) -> Option<IpNet> {
        text.parse::<IpNet>().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
    }

    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that `peer` has sent.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        let mut said = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(address);
        let mut client = peer;
        while self.trusts(client)
            && let Some(Some(before)) = said.next()
        {
            client = before;
        }
        client
    }
}

/// An address, perhaps in brackets and with a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip())).or_else(|| {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let proxies = Proxies(["10.0.0.0/8", "::1"].map(|text| Proxies::parse(text).unwrap()).to_vec());
        for (peer, said, client) in [
            ("10.1.1.1", &["192.0.2.7"][..], "192.0.2.7"),
            // What a client says of itself stands to the left of what the proxy says.
            ("10.1.1.1", &["10.9.9.9, 198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("::1", &["192.0.2.7, 10.2.2.2"], "192.0.2.7"),
            ("::1", &["192.0.2.7", "10.2.2.2, [2001:db8::1]:4711"], "2001:db8::1"),
            ("::ffff:10.1.1.1", &["192.0.2.7:1234"], "192.0.2.7"),
            // Where nobody or nonsense is named it is the last one known.
            ("10.1.1.1", &[], "10.1.1.1"),
            ("10.1.1.1", &["unknown"], "10.1.1.1"),
            ("10.1.1.1", &["192.0.2.7, , 10.2.2.2"], "10.2.2.2"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let found = proxies.client(peer.parse().unwrap(), &headers);
            assert_eq!(found, client.parse::<IpAddr>().unwrap(), "{peer} {said:?}");
        }
        assert!(["10.0.0.0/40", "proxy", ""].into_iter().all(|text| Proxies::parse(text).is_none()));
    }
}
