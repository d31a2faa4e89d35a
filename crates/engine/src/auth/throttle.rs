//! How often a client may guess: a bucket of wrong passwords per client and user name.
//!
//! In: a client's address, a user name and the time. Out: whether it may try now, and if not, when. A user name alone
//! has no bucket, or anybody could lock a door's account out by guessing at it; nor has an address alone, or one
//! guesser would keep out everybody who shares it: there may be a network or a proxy behind it. Memory is bounded: at
//! [`MAX_BUCKETS`] the one closest to empty is forgotten.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Buckets kept at most, about 200 KB.
const MAX_BUCKETS: usize = 4096;

/// Wrong passwords in a row, and how long it takes for one of them to leak out.
const BURST: u32 = 6;
const FORGET: Duration = Duration::from_secs(10);

/// Who has guessed wrongly of late.
#[derive(Default)]
pub struct Throttle {
    /// When each bucket will be empty again.
    empty_at: HashMap<u64, Instant>,
}

impl Throttle {
    /// How long the client must wait before it may try this user name; `None`: not at all.
    pub fn wait(&self, client: IpAddr, username: &str, now: Instant) -> Option<Duration> {
        let level = self.empty_at.get(&key(client, username))?.saturating_duration_since(now);
        // One more must fit.
        let room = FORGET * (BURST - 1);
        (level > room).then(|| level - room)
    }

    /// Counts a wrong password.
    pub fn failed(&mut self, client: IpAddr, username: &str, now: Instant) {
        let key = key(client, username);
        if !self.empty_at.contains_key(&key) && self.empty_at.len() >= MAX_BUCKETS {
            self.make_room(now);
        }
        let empty_at = self.empty_at.entry(key).or_insert(now);
        *empty_at = (*empty_at).max(now) + FORGET;
    }

    fn make_room(&mut self, now: Instant) {
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        if self.empty_at.len() >= MAX_BUCKETS {
            let emptiest = self.empty_at.iter().min_by_key(|(_, empty_at)| **empty_at).map(|(key, _)| *key);
            emptiest.and_then(|key| self.empty_at.remove(&key));
        }
    }
}

/// The bucket of a client and a user name.
fn key(client: IpAddr, username: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (network(client), username.to_lowercase()).hash(&mut hasher);
    hasher.finish()
}

/// Who a client is, by its address: one of IPv6 may use any address of its /64 network, so the network is what counts.
pub fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_guesser_must_wait_and_nobody_else() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(throttle.wait(CLIENT, "gate", now), None);
            throttle.failed(CLIENT, "Gate", now);
        }
        let wait = throttle.wait(CLIENT, "gate", now).unwrap();
        assert_eq!(wait, FORGET);
        // Whoever shares the address is somebody else, however many names are guessed at.
        (0..100).for_each(|n| throttle.failed(CLIENT, &format!("user{n}"), now));
        assert_eq!(throttle.wait(CLIENT, "desk", now), None);
        assert_eq!(throttle.wait(OTHER, "gate", now), None);
        assert_eq!(throttle.wait(CLIENT, "gate", now + wait), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..BURST {
            throttle.failed(format!("2001:db8::{n:x}").parse().unwrap(), "gate", now);
        }
        assert!(throttle.wait("2001:db8::ffff".parse().unwrap(), "gate", now).is_some());
        assert_eq!(throttle.wait("2001:db8:0:1::1".parse().unwrap(), "gate", now), None);
        assert_eq!(network("::ffff:192.0.2.9".parse().unwrap()), IpAddr::from([192, 0, 2, 9]));
    }

    #[test]
    fn memory_is_bounded_and_the_worst_guesser_is_remembered() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..BURST {
            throttle.failed(CLIENT, "gate", now);
        }
        for n in 0..3 * MAX_BUCKETS as u32 {
            throttle.failed(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), "gate", now);
        }
        assert!(throttle.empty_at.len() <= MAX_BUCKETS);
        assert!(throttle.wait(CLIENT, "gate", now).is_some());
    }
}
