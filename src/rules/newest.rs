//! The newest of what was heard of, with a value for each.
//!
//! In: keys, in the order they are first heard of. Out: a value for each. Bounded: beyond `MOST` the key that was heard
//! of first is forgotten.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// A value for each of the newest `MOST` keys.
#[derive(Debug)]
pub struct Newest<K, V, const MOST: usize> {
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, V: Default, const MOST: usize> Newest<K, V, MOST> {
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.values.get(key)
    }

    /// Every key and its value.
    pub fn newest_first(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().rev().filter_map(|key| self.values.get_key_value(key))
    }

    /// The key's value, the default one for a new key.
    pub fn get_or_add(&mut self, key: K) -> &mut V {
        if !self.values.contains_key(&key) {
            self.order.push_back(key.clone());
            if self.order.len() > MOST
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
        }
        self.values.entry(key).or_default()
    }
}

impl<K, V, const MOST: usize> Default for Newest<K, V, MOST> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_heard_of_first_is_forgotten_first() {
        let mut newest = Newest::<String, u32, 3>::default();
        for n in [0, 1, 2, 0, 3] {
            *newest.get_or_add(n.to_string()) += n;
        }
        let known: Vec<_> = (0..5).map(|n| newest.get(&*n.to_string()).copied()).collect();
        assert_eq!(known, [None, Some(1), Some(2), Some(3), None]);
        assert_eq!((newest.values.len(), newest.order.len()), (3, 3));
    }
}
