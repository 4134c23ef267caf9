//! Whose turn it is: what the operations of one user cost that run at the same time has an end, and the others of theirs wait. So
//! somebody with a hundred dear operations keeps themselves waiting, and nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Principal;

/// However little each costs, so many of one user run at the same time.
const AT_ONCE: u32 = 64;

/// The turns of everybody who has an operation running or waiting.
#[derive(Debug)]
pub(super) struct Turns {
    limit: u32,
    by: Mutex<HashMap<Principal, Arc<Semaphore>>>,
}

/// One operation's turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    who: &'a Principal,
    room: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// What runs of one user may cost `limit`.
    pub fn new(limit: u64) -> Turns {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX).clamp(AT_ONCE, u32::MAX >> 3);
        Turns { limit, by: Mutex::default() }
    }

    /// Waits until an operation of `who` may run. One that costs more than everything runs alone.
    pub async fn wait<'a>(&'a self, who: &'a Principal, cost: u64) -> Turn<'a> {
        let room =
            Arc::clone(self.lock().entry(who.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.limit as usize))));
        let mut turn = Turn { turns: self, who, room: Some(Arc::clone(&room)), permit: None };
        let cost = u32::try_from(cost).unwrap_or(u32::MAX).clamp(self.limit / AT_ONCE, self.limit);
        // None only where somebody has closed it, which nobody does.
        turn.permit = room.acquire_many_owned(cost).await.ok();
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Principal, Arc<Semaphore>>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut by = self.turns.lock();
        self.room = None;
        // Nobody else runs, waits, or is about to: they would hold a copy, and get one under this lock only.
        if by.get(self.who).is_some_and(|room| Arc::strong_count(room) == 1) {
            by.remove(self.who);
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::UserId;
    use futures_util::FutureExt;

    use super::*;

    fn person(number: u128) -> Principal {
        Principal::Person(UserId(uuid::Uuid::from_u128(number)))
    }

    #[tokio::test]
    async fn who_has_much_running_waits_and_others_do_not() {
        let (turns, mallory, alice) = (Turns::new(1_000), person(1), person(2));
        let first = turns.wait(&mallory, 600).await;
        let second = turns.wait(&mallory, 400).await;
        let mut third = Box::pin(turns.wait(&mallory, 1));
        assert!(third.as_mut().now_or_never().is_none());
        drop(turns.wait(&alice, 1_000_000).now_or_never().expect("she has her own"));
        drop(second);
        let third = third.await;
        let mut all = Box::pin(turns.wait(&mallory, 1_000));
        assert!(all.as_mut().now_or_never().is_none());
        drop((first, third));
        drop(all.await);
        assert!(turns.lock().is_empty(), "nothing is kept of who has nothing running");
    }

    #[tokio::test]
    async fn many_that_cost_nothing_have_an_end_too_and_who_gives_up_leaves_nothing() {
        let (turns, mallory) = (Turns::new(64_000), person(1));
        let mut running = Vec::new();
        for _ in 0..AT_ONCE {
            running.push(turns.wait(&mallory, 0).now_or_never().expect("there is room"));
        }
        let mut waits = Box::pin(turns.wait(&mallory, 0));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(running);
        drop(waits);
        assert!(turns.lock().is_empty());
    }
}
