//! How often a client may guess: a bucket of wrong passwords per client, and a smaller one per client and user name.
//!
//! In: a client's address, a user name and the time. Out: whether it may try now, and if not, when. A user name alone
//! has no bucket, or anybody could lock a door's account out by guessing at it. Memory is bounded: at [`MAX_BUCKETS`]
//! the one closest to empty is forgotten.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Buckets kept at most, about 200 KB.
const MAX_BUCKETS: usize = 4096;

/// Wrong passwords in a row, and how long one of them counts.
const PER_CLIENT: GuessLimit = GuessLimit { burst: 30, forget: Duration::from_secs(2) };
const PER_USER: GuessLimit = GuessLimit { burst: 6, forget: Duration::from_secs(10) };

/// How many wrong passwords a bucket holds, and how long it takes for one of them to leak out.
struct GuessLimit {
    burst: u32,
    forget: Duration,
}

/// Who has guessed wrongly of late.
#[derive(Default)]
pub struct Throttle {
    /// When each bucket will be empty again.
    empty_at: HashMap<u64, Instant>,
}

impl Throttle {
    /// How long the client must wait before it may try this user name; `None`: not at all.
    pub fn wait(&self, client: IpAddr, username: &str, now: Instant) -> Option<Duration> {
        keys(client, username)
            .into_iter()
            .filter_map(|(key, limit)| {
                let level = self.empty_at.get(&key)?.saturating_duration_since(now);
                // One more must fit.
                let room = limit.forget * (limit.burst - 1);
                (level > room).then(|| level - room)
            })
            .max()
    }

    /// Counts a wrong password.
    pub fn failed(&mut self, client: IpAddr, username: &str, now: Instant) {
        for (key, limit) in keys(client, username) {
            if !self.empty_at.contains_key(&key) && self.empty_at.len() >= MAX_BUCKETS {
                self.make_room(now);
            }
            let empty_at = self.empty_at.entry(key).or_insert(now);
            *empty_at = (*empty_at).max(now) + limit.forget;
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        if self.empty_at.len() >= MAX_BUCKETS {
            let emptiest = self.empty_at.iter().min_by_key(|(_, empty_at)| **empty_at).map(|(key, _)| *key);
            emptiest.and_then(|key| self.empty_at.remove(&key));
        }
    }
}

/// An IPv6 client may use any address of its /64 network, so the network is what counts.
fn keys(client: IpAddr, username: &str) -> [(u64, GuessLimit); 2] {
    let network = match client.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    };
    let key = |name: Option<String>| {
        let mut hasher = DefaultHasher::new();
        (network, client.is_ipv4(), name).hash(&mut hasher);
        hasher.finish()
    };
    [(key(None), PER_CLIENT), (key(Some(username.to_lowercase())), PER_USER)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_guesser_must_wait_and_nobody_else() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..PER_USER.burst {
            assert_eq!(throttle.wait(CLIENT, "gate", now), None);
            throttle.failed(CLIENT, "Gate", now);
        }
        let wait = throttle.wait(CLIENT, "gate", now).unwrap();
        assert_eq!(wait, PER_USER.forget);
        assert_eq!(throttle.wait(CLIENT, "desk", now), None);
        assert_eq!(throttle.wait(OTHER, "gate", now), None);
        assert_eq!(throttle.wait(CLIENT, "gate", now + wait), None);
    }

    #[test]
    fn guessing_at_many_names_is_guessing_too() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..PER_CLIENT.burst {
            throttle.failed(CLIENT, &format!("user{n}"), now);
        }
        assert!(throttle.wait(CLIENT, "another", now).is_some());
        assert_eq!(throttle.wait(OTHER, "another", now), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..PER_USER.burst {
            throttle.failed(format!("2001:db8::{n:x}").parse().unwrap(), "gate", now);
        }
        assert!(throttle.wait("2001:db8::ffff".parse().unwrap(), "gate", now).is_some());
        assert_eq!(throttle.wait("2001:db8:0:1::1".parse().unwrap(), "gate", now), None);
        let mapped = "::ffff:192.0.2.9".parse().unwrap();
        assert_eq!(keys(mapped, "gate").map(|(key, _)| key).len(), 2);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_guesser_is_remembered() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..PER_USER.burst {
            throttle.failed(CLIENT, "gate", now);
        }
        for n in 0..3 * MAX_BUCKETS as u32 {
            throttle.failed(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), "gate", now);
        }
        assert!(throttle.empty_at.len() <= MAX_BUCKETS);
        assert!(throttle.wait(CLIENT, "gate", now).is_some());
    }
}
