//! The connections there are: so many in all, and so many of one address.
//!
//! In: the addresses clients come from, and when a connection has a request under way. Out: a [`Connection`] to hold
//! for as long as it lives, with the word that it must end. Where there is no room, the one that has been quiet for
//! longest makes it: whoever holds connections without asking anything keeps nobody out. It does not know what a
//! connection is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The connections that are open; clones share them.
#[derive(Clone)]
pub struct Connections {
    all: usize,
    of_one_address: usize,
    /// By number, in the order they came. Nothing waits under this lock, and no other is taken with it.
    open: Arc<Mutex<BTreeMap<u64, Open>>>,
    /// Told when one has ended.
    ended: Arc<Notify>,
}

struct Open {
    address: IpAddr,
    /// Since when it has had no request under way; `None` while it has.
    quiet: Option<Instant>,
    end: CancellationToken,
}

/// One connection; its place is free once this is dropped.
pub struct Connection {
    of: Connections,
    number: u64,
    /// Resolves when the connection must make room.
    pub end: CancellationToken,
}

/// A request, from its header to the end of its answer. Until it is there in full, its connection is as quiet as one
/// that asks nothing: whoever sends half of it must not keep others out.
pub struct Turn {
    of: Connections,
    number: u64,
}

/// Why there is no room for one more.
#[derive(Debug, PartialEq, Eq)]
enum Full {
    /// Its address has as many requests under way as one may.
    OfAddress,
    /// There are as many requests under way as there may be.
    InAll,
}

impl Connections {
    pub fn new(all: usize, of_one_address: usize) -> Self {
        Self { all, of_one_address, open: Arc::default(), ended: Arc::default() }
    }

    /// One more of this address; waits while as many requests are under way as there may be. `None` where so many of
    /// the address's own are; what many share, a proxy's address, is not bounded by that.
    pub async fn open(&self, address: IpAddr, shared: bool) -> Option<Connection> {
        loop {
            let ended = self.ended.notified();
            match self.take(address, shared) {
                Ok(connection) => return Some(connection),
                Err(Full::OfAddress) => return None,
                Err(Full::InAll) => ended.await,
            }
        }
    }

    fn take(&self, address: IpAddr, shared: bool) -> Result<Connection, Full> {
        let mut open = self.open.lock();
        let mut of: HashMap<IpAddr, usize> = HashMap::new();
        open.values().for_each(|open| *of.entry(open.address).or_default() += 1);
        let its = of.get(&address).copied().unwrap_or(0);
        let quiet = open.iter().filter_map(|(number, open)| Some((open.quiet?, *number, open.address)));
        let leaves = if !shared && its >= self.of_one_address {
            let its = quiet.filter(|(_, _, of)| *of == address);
            Some(its.min_by_key(|(since, ..)| *since).ok_or(Full::OfAddress)?)
        } else if open.len() >= self.all {
            // Of the address that has most, which may be a proxy's; else whoever was quiet first.
            let most = quiet.min_by_key(|(since, _, address)| (std::cmp::Reverse(of.get(address)), *since));
            Some(most.ok_or(Full::InAll)?)
        } else {
            None
        };
        if let Some((_, number, _)) = leaves
            && let Some(left) = open.remove(&number)
        {
            left.end.cancel();
        }
        let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
        let end = CancellationToken::new();
        open.insert(number, Open { address, quiet: Some(Instant::now()), end: end.clone() });
        Ok(Connection { of: self.clone(), number, end })
    }

    fn set_quiet(&self, number: u64, quiet: Option<Instant>) {
        if let Some(open) = self.open.lock().get_mut(&number) {
            open.quiet = quiet;
        }
    }
}

impl Connection {
    /// A request has begun; its answer is over when the turn is dropped.
    pub fn turn(&self) -> Turn {
        Turn { of: self.of.clone(), number: self.number }
    }
}

impl Turn {
    /// The request is there in full, and being answered.
    pub fn busy(&self) {
        self.of.set_quiet(self.number, None);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.set_quiet(self.number, Some(Instant::now()));
        // It may be the one that makes room now.
        self.of.ended.notify_one();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.of.open.lock().remove(&self.number);
        self.of.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn busy(connection: &Connection) -> Turn {
        let turn = connection.turn();
        turn.busy();
        turn
    }

    #[test]
    fn the_longest_quiet_one_of_an_address_makes_room_and_nobody_elses() {
        let connections = Connections::new(9, 2);
        let of_other = connections.take(OTHER, false).unwrap_or_else(|_| unreachable!());
        let take = || connections.take(ONE, false);
        let (first, second) = (take().ok().unwrap(), take().ok().unwrap());
        // The first asks something, so the second has been quiet for longer.
        drop(busy(&first));
        let third = take().ok().unwrap();
        let ended = |connection: &Connection| connection.end.is_cancelled();
        assert_eq!([&of_other, &first, &second, &third].map(ended), [false, false, true, false]);
        let _busy = [&first, &third].map(busy);
        assert_eq!(take().err(), Some(Full::OfAddress));
        // What many share is bounded by the whole alone.
        assert!(connections.take(ONE, true).is_ok());
    }

    #[test]
    fn half_a_request_keeps_nobody_out() {
        let connections = Connections::new(9, 1);
        let first = connections.take(ONE, false).ok().unwrap();
        let _half = first.turn();
        assert!(connections.take(ONE, false).is_ok());
        assert!(first.end.is_cancelled());
    }

    #[test]
    fn who_holds_most_makes_room_in_a_full_house() {
        let connections = Connections::new(3, 9);
        let take = |address| connections.take(address, false);
        let of_other = take(OTHER).ok().unwrap();
        let (first, second) = (take(ONE).ok().unwrap(), take(ONE).ok().unwrap());
        let third = take(OTHER).ok().unwrap();
        let ended = |connection: &Connection| connection.end.is_cancelled();
        assert_eq!([&of_other, &first, &second, &third].map(ended), [false, true, false, false]);
        let _busy = [&of_other, &second, &third].map(busy);
        assert_eq!(take(ONE).err(), Some(Full::InAll));
    }

    #[tokio::test]
    async fn one_that_ends_or_falls_quiet_lets_in_who_waits() {
        let connections = Connections::new(1, 1);
        let first = connections.open(ONE, false).await.unwrap();
        let busy = busy(&first);
        let waits = {
            let connections = connections.clone();
            tokio::spawn(async move { connections.open(OTHER, false).await.map(|open| open.end.is_cancelled()) })
        };
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(busy);
        assert_eq!(waits.await.unwrap(), Some(false));
        assert!(first.end.is_cancelled());
        drop(first);
        assert!(connections.open.lock().is_empty());
    }
}
