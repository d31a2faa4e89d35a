//! Places for connections: so many in all, and so many for one address.
//!
//! In: the addresses clients come from. Out: a [`Slot`] to hold for as long as the connection lives. It does not know
//! what a connection is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::EngineError;

/// The places there are.
pub struct Slots {
    free: Arc<Semaphore>,
    of_one_address: usize,
    /// What every slot of an address holds: it has as many places as there are holders.
    taken: HashMap<IpAddr, Weak<()>>,
}

/// A place taken; given back when dropped.
pub struct Slot {
    _of_address: Arc<()>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub fn new(all: usize, of_one_address: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), of_one_address, taken: HashMap::new() }
    }

    /// Waits for a free place.
    pub async fn free(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        self.free.clone().acquire_owned().await.map_err(|_| EngineError::Interrupted)
    }

    /// Takes the place for a client; `None` when its address has as many as one may.
    pub fn take(&mut self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        self.taken.retain(|_, holders| holders.strong_count() > 0);
        let of_address = self.taken.get(&address).and_then(Weak::upgrade).unwrap_or_default();
        // This one is among the holders already.
        if Arc::strong_count(&of_address) > self.of_one_address {
            return None;
        }
        self.taken.insert(address, Arc::downgrade(&of_address));
        Some(Slot { _of_address: of_address, _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_come_back_and_nothing_is_remembered_of_those_gone() {
        let mut slots = Slots::new(3, 2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let free = slots.free().await.unwrap();
        let first = slots.take(free, one).unwrap();
        let free = slots.free().await.unwrap();
        let second = slots.take(free, one).unwrap();
        let free = slots.free().await.unwrap();
        assert!(slots.take(free, one).is_none());
        let free = slots.free().await.unwrap();
        let third = slots.take(free, other).unwrap();
        assert_eq!(slots.free.available_permits(), 0);
        drop((first, third));
        let free = slots.free().await.unwrap();
        assert!(slots.take(free, one).is_some());
        drop(second);
        assert_eq!(slots.free.available_permits(), 3);
        let free = slots.free().await.unwrap();
        let fourth = slots.take(free, other).unwrap();
        assert_eq!(slots.taken.keys().collect::<Vec<_>>(), [&other]);
        drop(fourth);
    }
}
