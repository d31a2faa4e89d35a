//! Places for connections: so many in all, and so many for one address.
//!
//! In: the addresses clients come from. Out: a [`Slot`] to hold for as long as the connection lives. It does not know
//! what a connection is.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::EngineError;

/// Places, shared by everybody.
pub struct Slots {
    free: Arc<Semaphore>,
    of_one_address: usize,
    /// How many places each address has. Nothing waits under this lock, and no other is held with it.
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place taken; given back when dropped.
pub struct Slot {
    address: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub fn new(all: usize, of_one_address: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), of_one_address, taken: Arc::default() }
    }

    /// Waits for a free place.
    pub async fn free(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        self.free.clone().acquire_owned().await.map_err(|_| EngineError::Interrupted)
    }

    /// Takes the place for a client; `None` when its address has as many as one may.
    pub fn take(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        let mut taken = self.taken.lock();
        let count = taken.entry(address).or_default();
        if *count >= self.of_one_address {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Slot { address, taken: self.taken.clone(), _permit: permit })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_come_back_and_nothing_is_remembered_of_those_gone() {
        let slots = Slots::new(3, 2);
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = slots.take(slots.free().await.unwrap(), one).unwrap();
        let second = slots.take(slots.free().await.unwrap(), one).unwrap();
        assert!(slots.take(slots.free().await.unwrap(), one).is_none());
        let third = slots.take(slots.free().await.unwrap(), other).unwrap();
        assert_eq!(slots.free.available_permits(), 0);
        drop((first, third));
        assert!(slots.take(slots.free().await.unwrap(), one).is_some());
        drop(second);
        assert_eq!(slots.free.available_permits(), 3);
        assert!(slots.taken.lock().is_empty());
    }
}
