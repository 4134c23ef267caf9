//! Who is connected, and who has to go when there are too many.
//!
//! A connection that serves no request is idle, whether it is between two of them, slow with a head, or silent. Where the house is
//! full, the idle who came first give way to who comes now; only where nobody is idle is anybody refused. So connections that only
//! stand around, however many, keep nobody out. A request that shares its connection (HTTP/2) counts as one more.
//!
//! What must stay true: the registry's lock is never taken while a guest's is held.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Limits;
use crate::telemetry::Metrics;

/// Of a full house, this part of the idle is sent away at a time, so that a flood does not look through everybody at every arrival.
const CLEARANCE: usize = 64;

/// This part of the house may be idle, and so many anyhow.
const IDLE: usize = 8;
const FEW: usize = 64;

/// The registry.
#[derive(Debug)]
pub(super) struct Crowd {
    limits: [usize; 2],
    /// How many are idle.
    idle: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Connections, and requests that share one.
    count: usize,
    next: u64,
    places: HashMap<Place, Members>,
}

#[derive(Debug, Default)]
struct Members {
    count: usize,
    guests: BTreeMap<u64, Arc<Pulse>>,
}

/// Where connections come from, as far as they are told apart. None: from a trusted proxy, which brings many people.
type Place = Option<IpAddr>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One address, or the network that one household gets.
pub(super) fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

impl Crowd {
    pub fn new(limits: &Limits, metrics: Arc<Metrics>) -> Arc<Crowd> {
        let limits = [limits.connections.max(1), limits.connections_per_address.max(1)];
        Arc::new(Crowd { limits, idle: Arc::default(), metrics, inner: Mutex::default() })
    }

    /// Lets a connection in. None: the house is full of people who are being served.
    pub fn admit(self: &Arc<Crowd>, peer: Option<IpAddr>) -> Option<Arc<Guest>> {
        let place = peer.map(place);
        let [all, each] = self.limits;
        let mut inner = lock(&self.inner);
        if place.is_some() && inner.places.get(&place).is_some_and(|members| members.count >= each) {
            inner.clear(Some(place), each);
            if inner.places.get(&place).is_some_and(|members| members.count >= each) {
                return None;
            }
        }
        if inner.count >= all || self.idle.load(Ordering::Relaxed) >= (all / IDLE).max(FEW) {
            inner.clear(None, all);
            if inner.count >= all {
                return None;
            }
        }
        let id = inner.next;
        inner.next += 1;
        let pulse = Arc::new(Pulse::new(Arc::clone(&self.idle)));
        let members = inner.places.entry(place).or_default();
        members.guests.insert(id, Arc::clone(&pulse));
        members.count += 1;
        inner.count += 1;
        drop(inner);
        self.metrics.connections.add(1);
        Some(Arc::new(Guest { crowd: Arc::clone(self), id, place, pulse }))
    }

    /// Sends away the idle who came first, wherever they are from. For a process that has no descriptors left.
    pub fn clear(&self) {
        lock(&self.inner).clear(None, self.limits[0]);
    }

    /// One more request on a connection that serves one already. False: there is no room.
    fn share(&self, place: Place) -> bool {
        let [all, each] = self.limits;
        let mut inner = lock(&self.inner);
        if inner.count >= all {
            return false;
        }
        let Some(members) = inner.places.get_mut(&place) else { return false };
        if place.is_some() && members.count >= each {
            return false;
        }
        members.count += 1;
        inner.count += 1;
        true
    }

    fn unshare(&self, place: Place) {
        lock(&self.inner).leave(place, None);
    }
}

impl Inner {
    /// Sends away some who are idle, of one place or of all.
    fn clear(&mut self, place: Option<Place>, limit: usize) {
        let places = self.places.iter().filter(|(other, _)| place.is_none_or(|place| place == **other));
        let guests = places.flat_map(|(place, members)| members.guests.iter().map(|(id, pulse)| (*place, *id, pulse)));
        let idle = guests.filter_map(|(place, id, pulse)| Some((pulse.idle_since()?, id, place, Arc::clone(pulse))));
        let mut idle: Vec<_> = idle.collect();
        idle.sort_unstable_by_key(|(since, id, ..)| (*since, *id));
        idle.truncate((limit / CLEARANCE).max(1));
        // Whoever has begun to be served since is let be.
        idle.retain(|(.., pulse)| pulse.send_away());
        for (_, id, place, _) in &idle {
            self.leave(*place, Some(*id));
        }
    }

    fn leave(&mut self, place: Place, id: Option<u64>) {
        let Some(members) = self.places.get_mut(&place) else { return };
        if id.is_some_and(|id| members.guests.remove(&id).is_none()) {
            return;
        }
        members.count -= 1;
        self.count -= 1;
        if members.count == 0 {
            self.places.remove(&place);
        }
    }
}

/// How busy a connection is, and with what it keeps others waiting.
#[derive(Debug)]
struct Pulse {
    state: Mutex<State>,
    sent_away: Notify,
    /// Of all connections; this one counts while it serves nothing and has not been sent away.
    idle: Arc<AtomicUsize>,
    /// How many bytes it may still send before it has said who it is.
    allowance: AtomicUsize,
}

#[derive(Debug)]
struct State {
    visits: usize,
    next: u64,
    idle_since: Instant,
    is_sent_away: bool,
    /// By visit: since when the client has not taken a piece of its answer.
    owing: BTreeMap<u64, Instant>,
}

impl Pulse {
    fn new(idle: Arc<AtomicUsize>) -> Pulse {
        idle.fetch_add(1, Ordering::Relaxed);
        let state =
            State { visits: 0, next: 0, idle_since: Instant::now(), is_sent_away: false, owing: BTreeMap::new() };
        Pulse { state: Mutex::new(state), sent_away: Notify::new(), idle, allowance: AtomicUsize::new(usize::MAX) }
    }

    fn idle_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (state.visits == 0 && !state.is_sent_away).then_some(state.idle_since)
    }

    fn send_away(&self) -> bool {
        let mut state = lock(&self.state);
        if state.visits > 0 || state.is_sent_away {
            return false;
        }
        state.is_sent_away = true;
        self.idle.fetch_sub(1, Ordering::Relaxed);
        drop(state);
        self.sent_away.notify_one();
        true
    }
}

/// How long a connection is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Before its first request.
    pub head: Duration,
    /// After a request.
    pub idle: Duration,
    /// Where a piece of an answer is not taken.
    pub piece: Duration,
}

/// Why a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// No whole head of a request came in time.
    Idle,
    /// The client does not take its answer.
    Slow,
    /// Somebody else needs the room.
    Crowded,
}

/// A connection; its room is free when this is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    id: u64,
    place: Place,
    pulse: Arc<Pulse>,
}

impl Guest {
    /// A request begins to be served. None: there is no room for one more on this connection, or it is on its way out.
    pub fn enter(self: &Arc<Guest>) -> Option<Visit> {
        let (id, is_sharing) = {
            let mut state = lock(&self.pulse.state);
            if state.is_sent_away {
                return None;
            }
            state.visits += 1;
            state.next += 1;
            if state.visits == 1 {
                self.pulse.idle.fetch_sub(1, Ordering::Relaxed);
            }
            (state.next, state.visits > 1)
        };
        let mut visit = Visit { guest: Arc::clone(self), id, is_sharing: false };
        // Where there is no room, dropping the visit ends it.
        if is_sharing && !self.crowd.share(self.place) {
            return None;
        }
        visit.is_sharing = is_sharing;
        Some(visit)
    }

    /// Waits until the connection has to be cut: it is idle for too long, a piece of an answer is not taken, or its room is needed.
    pub async fn overdue(&self, patience: Patience) -> Cut {
        let piece = patience.piece;
        loop {
            let now = Instant::now();
            let wake = {
                let state = lock(&self.pulse.state);
                if state.is_sent_away {
                    return Cut::Crowded;
                }
                let idle = if state.next == 0 { patience.head } else { patience.idle };
                let idle = if state.visits == 0 { state.idle_since + idle } else { now + idle };
                if idle <= now {
                    return Cut::Idle;
                }
                let slow = state.owing.values().min().map_or(now + piece, |since| *since + piece);
                if slow <= now {
                    return Cut::Slow;
                }
                // What begins to be waited for while this sleeps is not overdue before it wakes.
                idle.min(slow)
            };
            tokio::select! {
                () = sleep_until(wake) => {}
                () = self.pulse.sent_away.notified() => {}
            }
        }
    }

    /// Waits until the room is needed; for a connection that [`Guest::overdue`] no longer watches.
    pub async fn is_sent_away(&self) {
        while !lock(&self.pulse.state).is_sent_away {
            self.pulse.sent_away.notified().await;
        }
    }

    /// From now on so many bytes may be read; [`usize::MAX`]: any number.
    pub fn allow(&self, bytes: usize) {
        self.pulse.allowance.store(bytes, Ordering::Relaxed);
    }

    /// Takes `bytes` from what is allowed. False: they are too many.
    pub fn spend(&self, bytes: usize) -> bool {
        let allowance = &self.pulse.allowance;
        match allowance.load(Ordering::Relaxed) {
            usize::MAX => true,
            left => {
                allowance.store(left.saturating_sub(bytes), Ordering::Relaxed);
                left >= bytes
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        lock(&self.crowd.inner).leave(self.place, Some(self.id));
        if !lock(&self.pulse.state).is_sent_away {
            self.pulse.idle.fetch_sub(1, Ordering::Relaxed);
        }
        self.crowd.metrics.connections.add(-1);
    }
}

/// A request that is being served, until this is dropped.
#[derive(Debug)]
pub(super) struct Visit {
    guest: Arc<Guest>,
    id: u64,
    is_sharing: bool,
}

impl Visit {
    /// A piece of the answer is on its way to the client, or the last one has been taken.
    pub fn owes(&self, is_owing: bool) {
        let owing = &mut lock(&self.guest.pulse.state).owing;
        if is_owing {
            owing.insert(self.id, Instant::now());
        } else {
            owing.remove(&self.id);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.is_sharing {
            self.guest.crowd.unshare(self.guest.place);
        }
        let mut state = lock(&self.guest.pulse.state);
        state.owing.remove(&self.id);
        state.visits -= 1;
        if state.visits == 0 {
            state.idle_since = Instant::now();
            self.guest.pulse.idle.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(connections: usize, connections_per_address: usize) -> Arc<Crowd> {
        Crowd::new(&Limits { connections, connections_per_address, ..Limits::default() }, Arc::default())
    }

    fn from(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn count(crowd: &Crowd) -> usize {
        let inner = lock(&crowd.inner);
        assert_eq!(inner.count, inner.places.values().map(|members| members.count).sum::<usize>());
        inner.count
    }

    #[tokio::test]
    async fn the_idle_who_came_first_give_way_and_the_served_stay() {
        let crowd = crowd(2, 2);
        let served = crowd.admit(from(1)).unwrap();
        let visit = served.enter().unwrap();
        let idle = crowd.admit(from(2)).unwrap();
        let new = crowd.admit(from(3)).unwrap();
        idle.is_sent_away().await;
        assert!(idle.enter().is_none(), "who is sent away asks no more");
        assert_eq!(count(&crowd), 2);
        let _both = new.enter().unwrap();
        assert!(crowd.admit(from(4)).is_none(), "nobody is idle");
        drop(visit);
        assert!(crowd.admit(from(4)).is_some());
    }

    #[tokio::test]
    async fn no_more_than_a_part_of_the_house_is_idle() {
        let crowd = crowd(1_024, 1_024);
        let idle = || crowd.idle.load(Ordering::Relaxed);
        let guests: Vec<_> = (0..128).map(|last| crowd.admit(from(last)).unwrap()).collect();
        assert_eq!(idle(), 128);
        let visits: Vec<_> = guests[64..].iter().map(|guest| guest.enter().unwrap()).collect();
        assert_eq!(idle(), 64);
        drop(visits);
        let new = crowd.admit(from(200)).unwrap();
        assert_eq!((idle(), count(&crowd)), (128 - 16 + 1, 128 - 16 + 1));
        guests[15].is_sent_away().await;
        assert!(guests[16].enter().is_some(), "the others stay");
        drop((guests, new));
        assert_eq!((idle(), count(&crowd)), (0, 0));
    }

    #[tokio::test]
    async fn an_address_fills_its_own_share_only() {
        let crowd = crowd(100, 2);
        let guests: Vec<_> = (0..3).map(|_| crowd.admit(from(1)).unwrap()).collect();
        guests[0].is_sent_away().await;
        let _visits: Vec<_> = guests[1..].iter().map(|guest| guest.enter().unwrap()).collect();
        assert!(crowd.admit(from(1)).is_none());
        assert!(crowd.admit(from(2)).is_some());
        let proxied: Vec<_> = (0..5).map(|_| crowd.admit(None).unwrap()).collect();
        assert!(proxied.iter().all(|guest| guest.enter().is_some()), "a proxy has no share");
    }

    #[tokio::test]
    async fn requests_that_share_a_connection_count() {
        let crowd = crowd(100, 3);
        let guest = crowd.admit(from(1)).unwrap();
        let visits: Vec<_> = (0..3).map(|_| guest.enter().unwrap()).collect();
        assert_eq!(count(&crowd), 3);
        assert!(guest.enter().is_none());
        drop(visits);
        assert_eq!(count(&crowd), 1);
        assert!(guest.enter().is_some());
        drop(guest);
        assert_eq!((count(&crowd), crowd.idle.load(Ordering::Relaxed)), (0, 0));
        assert!(lock(&crowd.inner).places.is_empty(), "nothing is kept of who has left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_overdue_when_it_is_idle_or_takes_nothing() {
        let (head, idle, piece) = (Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(35));
        let patience = Patience { head, idle, piece };
        let crowd = crowd(2, 2);
        let guest = crowd.admit(from(1)).unwrap();
        let begin = Instant::now();
        assert_eq!(guest.overdue(patience).await, Cut::Idle);
        assert_eq!(begin.elapsed(), head);
        let (visit, other) = (guest.enter().unwrap(), guest.enter().unwrap());
        visit.owes(true);
        tokio::time::advance(Duration::from_secs(20)).await;
        other.owes(true);
        let begin = Instant::now();
        assert_eq!(guest.overdue(patience).await, Cut::Slow, "another answer that goes well is no excuse");
        assert_eq!(begin.elapsed(), Duration::from_secs(15));
        visit.owes(false);
        assert_eq!(guest.overdue(patience).await, Cut::Slow);
        assert_eq!(begin.elapsed(), Duration::from_secs(35));
        drop((visit, other));
        let begin = Instant::now();
        assert_eq!(guest.overdue(patience).await, Cut::Idle);
        assert_eq!(begin.elapsed(), idle);
    }

    #[test]
    fn a_household_is_one_place() {
        let place = |text: &str| place(text.parse().unwrap());
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), place("2001:db8:1:2::1"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.2"), place("192.0.2.1"));
    }

    #[test]
    fn an_allowance_is_spent_once() {
        let guest = crowd(1, 1).admit(from(1)).unwrap();
        assert!(guest.spend(1_000_000));
        guest.allow(10);
        assert!(guest.spend(10) && !guest.spend(1));
        guest.allow(usize::MAX);
        assert!(guest.spend(11));
    }
}
