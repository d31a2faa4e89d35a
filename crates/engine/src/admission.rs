//! Who goes next where there is little room: a live door before an upload, and no account alone.
//!
//! In: who asks, and how much of the room it takes. Out: a [`Place`], which gives its room back when it is dropped. Of
//! those who wait, a live one comes first, then the account that holds least, then the accounts in turn, then who came
//! first; nobody overtakes the one who is next, or something large would wait for ever. It does not know what the room
//! is of: analysers, memory, a processor.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::auth::Caller;
use crate::error::EngineError;

/// How soon an answer is needed, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody stands at a door.
    Live,
    /// An enrolment, an import, a question from a page.
    Upload,
}

/// Who asks for room.
#[derive(Debug, Clone)]
pub struct Asker {
    account: Arc<str>,
    urgency: Urgency,
}

/// Room of a fixed size; clones share it.
#[derive(Clone)]
pub struct Admission {
    /// Nothing waits under this lock, and no other is taken with it.
    state: Arc<Mutex<State>>,
}

struct State {
    free: u32,
    /// An account that holds something already is given no more than makes this.
    of_one_account: u32,
    /// By account; whoever holds nothing is not in it.
    held: HashMap<Arc<str>, u32>,
    /// In the order they came.
    waiting: Vec<Waiting>,
    /// By account, when it was let in last, as a count of all who were; of those who hold something or wait.
    served: HashMap<Arc<str>, u64>,
    turns: u64,
}

struct Waiting {
    asker: Asker,
    amount: u32,
    admitted: oneshot::Sender<Place>,
}

/// Room that is held until this is dropped.
pub struct Place {
    of: Admission,
    account: Arc<str>,
    amount: u32,
}

impl Asker {
    pub fn live(caller: &Caller) -> Self {
        Self::new(&caller.username, Urgency::Live)
    }

    pub fn upload(caller: &Caller) -> Self {
        Self::new(&caller.username, Urgency::Upload)
    }

    /// The same, without hurry.
    pub fn unhurried(self) -> Self {
        Self { urgency: Urgency::Upload, ..self }
    }

    /// Somebody without an account is one of all who have none.
    pub fn new(account: &str, urgency: Urgency) -> Self {
        Self { account: account.into(), urgency }
    }
}

impl Admission {
    /// Room of this size, of which one account may hold so much.
    pub fn new(size: u32, of_one_account: u32) -> Self {
        let state = State {
            free: size,
            of_one_account,
            held: HashMap::new(),
            waiting: Vec::new(),
            served: HashMap::new(),
            turns: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for room; `amount` is at most the whole.
    pub async fn enter(&self, asker: &Asker, amount: u32) -> Result<Place, EngineError> {
        let (admitted, place) = oneshot::channel();
        self.state.lock().waiting.push(Waiting { asker: asker.clone(), amount, admitted });
        self.admit();
        place.await.map_err(|_| EngineError::Interrupted)
    }

    /// Lets in whoever there is room for.
    fn admit(&self) {
        loop {
            let Some(Waiting { asker, amount, admitted }) = self.state.lock().next() else { return };
            // Who has gone meanwhile drops the place, which asks again: outside the lock.
            let _ = admitted.send(Place { of: self.clone(), account: asker.account, amount });
        }
    }
}

impl State {
    /// Who is next, if there is room for them; their room is taken from then on.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|waiting| !waiting.admitted.is_closed());
        let rank = |(n, Waiting { asker, amount, .. }): (usize, &Waiting)| {
            let held = self.held.get(&asker.account).copied().unwrap_or(0);
            let served = self.served.get(&asker.account).copied().unwrap_or(0);
            let may = held == 0 || held + amount <= self.of_one_account;
            may.then_some((asker.urgency, held, served, n, *amount))
        };
        let first = self.waiting.iter().enumerate().filter_map(rank).min()?;
        let (.., next, _) = Some(first).filter(|(.., amount)| *amount <= self.free)?;
        let next = self.waiting.remove(next);
        self.free -= next.amount;
        *self.held.entry(next.asker.account.clone()).or_default() += next.amount;
        self.turns += 1;
        self.served.insert(next.asker.account.clone(), self.turns);
        Some(next)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut state = self.of.state.lock();
            state.free += self.amount;
            let left = state.held.get(&self.account).map_or(0, |held| held - self.amount);
            match left {
                0 => {
                    state.held.remove(&self.account);
                    if state.waiting.iter().all(|waiting| waiting.asker.account != self.account) {
                        state.served.remove(&self.account);
                    }
                }
                left => drop(state.held.insert(self.account.clone(), left)),
            }
        }
        self.of.admit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Whoever is not let in within this time waits.
    const SHORT: Duration = Duration::from_millis(20);

    fn asker(account: &str, urgency: Urgency) -> Asker {
        Asker::new(account, urgency)
    }

    /// Fills room for one, lets these wait for it one after the other, and tells in which order they got it.
    async fn order(waiting: &[(&str, Urgency)]) -> Vec<usize> {
        let room = Admission::new(1, 1);
        let held = room.enter(&asker("first", Urgency::Live), 1).await.unwrap();
        let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
        for (n, (account, urgency)) in waiting.iter().enumerate() {
            let (of, told, asker) = (room.clone(), told.clone(), asker(account, *urgency));
            tokio::spawn(async move {
                let place = of.enter(&asker, 1).await.unwrap();
                told.send(n).unwrap();
                drop(place);
            });
            while room.state.lock().waiting.len() <= n {
                tokio::task::yield_now().await;
            }
        }
        drop((held, told));
        let mut got = Vec::new();
        while let Some(n) = order.recv().await {
            got.push(n);
        }
        got
    }

    #[tokio::test]
    async fn a_live_door_goes_before_uploads_and_accounts_take_turns() {
        use Urgency::{Live, Upload};
        let waiting = [("desk", Upload), ("desk", Upload), ("door", Live), ("gate", Live), ("import", Upload)];
        assert_eq!(order(&waiting).await, [2, 3, 0, 4, 1]);
    }

    #[tokio::test]
    async fn nobody_holds_more_than_one_account_may() {
        let room = Admission::new(3, 2);
        let (many, one) = (asker("many", Urgency::Live), asker("one", Urgency::Upload));
        let first = room.enter(&many, 1).await.unwrap();
        let _second = room.enter(&many, 1).await.unwrap();
        let mut third = std::pin::pin!(room.enter(&many, 1));
        assert!(tokio::time::timeout(SHORT, third.as_mut()).await.is_err());
        // What is left is for others, however little urgent.
        room.enter(&one, 1).await.unwrap();
        drop(first);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn who_holds_least_goes_first() {
        let room = Admission::new(4, 4);
        let (many, one) = (asker("many", Urgency::Live), asker("one", Urgency::Live));
        let of_many = room.enter(&many, 1).await.unwrap();
        let _more = room.enter(&many, 2).await.unwrap();
        let _of_one = room.enter(&one, 1).await.unwrap();
        let (mut again, mut other) = (std::pin::pin!(room.enter(&many, 1)), std::pin::pin!(room.enter(&one, 1)));
        assert!(tokio::time::timeout(SHORT, again.as_mut()).await.is_err());
        assert!(tokio::time::timeout(SHORT, other.as_mut()).await.is_err());
        drop(of_many);
        let _other = other.await.unwrap();
        assert!(tokio::time::timeout(SHORT, again).await.is_err());
    }

    #[tokio::test]
    async fn something_large_is_not_overtaken_and_one_who_holds_nothing_may_take_all() {
        let room = Admission::new(4, 2);
        let [small, large, later] = ["small", "large", "later"].map(|account| asker(account, Urgency::Upload));
        let small = room.enter(&small, 1).await.unwrap();
        let mut large = std::pin::pin!(room.enter(&large, 4));
        assert!(tokio::time::timeout(SHORT, large.as_mut()).await.is_err());
        let mut later = std::pin::pin!(room.enter(&later, 1));
        assert!(tokio::time::timeout(SHORT, later.as_mut()).await.is_err());
        drop(small);
        drop(large.await.unwrap());
        later.await.unwrap();
        let state = room.state.lock();
        assert_eq!((state.free, state.held.len(), state.waiting.len()), (4, 0, 0));
    }

    #[tokio::test]
    async fn who_has_gone_holds_nothing() {
        let room = Admission::new(1, 1);
        let held = room.enter(&asker("a", Urgency::Live), 1).await.unwrap();
        let (room_of_b, b) = (room.clone(), asker("b", Urgency::Live));
        let gone = tokio::spawn(async move { room_of_b.enter(&b, 1).await.map(drop) });
        while room.state.lock().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        drop(held);
        drop(room.enter(&asker("c", Urgency::Live), 1).await.unwrap());
        assert_eq!(room.state.lock().free, 1);
    }
}
