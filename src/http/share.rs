//! What one person may hold at a time, and all of them together: streams, and the memory of bodies that are still arriving.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much is held, by whom.
#[derive(Debug)]
pub(super) struct Shares<K: Eq + Hash> {
    each: usize,
    all: usize,
    held: Mutex<Held<K>>,
}

#[derive(Debug)]
struct Held<K> {
    all: usize,
    by: HashMap<K, usize>,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// This one holds as much as one may.
    Own,
    /// All together do.
    All,
}

/// What somebody holds, until it is dropped.
#[derive(Debug)]
pub(super) struct Share<K: Eq + Hash + Clone> {
    shares: Arc<Shares<K>>,
    key: K,
    size: usize,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    pub fn new(each: usize, all: usize) -> Arc<Shares<K>> {
        Arc::new(Shares { each, all, held: Mutex::new(Held { all: 0, by: HashMap::new() }) })
    }

    /// Something to hold, of no size yet.
    pub fn open(self: &Arc<Self>, key: &K) -> Share<K> {
        Share { shares: Arc::clone(self), key: key.clone(), size: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Held<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Share<K> {
    /// Holds `more`.
    ///
    /// # Errors
    /// That is too much; what was held before still is.
    pub fn grow(&mut self, more: usize) -> Result<(), Full> {
        let mut held = self.shares.lock();
        if more > self.shares.all - held.all {
            return Err(Full::All);
        }
        let own = held.by.get(&self.key).copied().unwrap_or_default();
        if more > self.shares.each.saturating_sub(own) {
            return Err(Full::Own);
        }
        held.by.insert(self.key.clone(), own + more);
        held.all += more;
        self.size += more;
        Ok(())
    }
}

impl<K: Eq + Hash + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        held.all -= self.size;
        if let Some(own) = held.by.get_mut(&self.key) {
            *own -= self.size;
            if *own == 0 {
                held.by.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_share_and_all_together_an_end() {
        let shares = Shares::new(10, 15);
        let (mut ada, mut again, mut bob) = (shares.open(&"ada"), shares.open(&"ada"), shares.open(&"bob"));
        ada.grow(4).unwrap();
        again.grow(4).unwrap();
        assert_eq!(ada.grow(3), Err(Full::Own));
        ada.grow(2).unwrap();
        assert_eq!(bob.grow(6), Err(Full::All));
        bob.grow(5).unwrap();
        drop(ada);
        bob.grow(5).unwrap();
        drop((again, bob));
        let held = shares.lock();
        assert!(held.all == 0 && held.by.is_empty(), "nothing is kept of who holds nothing");
    }
}
