//! The `relay` action: one pulse on a GPIO line.
//!
//! In: a request in time. Out: done when the pulse is over and the line inactive again; else why not. The line is held
//! from the start, inactive, so that its level is defined and nobody else takes it; requests that overlap share one
//! pulse.
//!
//! ```text
//! request ─▶ Hold ─┐                    the line is active while anybody holds it,
//! request ─▶ Hold ─┴▶ Switch ─▶ Line    and inactive when the last hold ends, however it ends
//! ```

mod gpio;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Performed, Undone};
use crate::clock;
use crate::config::{Overlap, RelayConfig};
use crate::rules::ActionRequest;

pub use gpio::look;

/// Something that can be switched on and off. The one that is used is [`gpio::GpioLine`].
trait Line: Send {
    fn set(&mut self, active: bool) -> Result<(), String>;
}

/// Takes the line, inactive.
type Take = Box<dyn Fn() -> Result<Box<dyn Line>, String> + Send + Sync>;

/// A relay made ready.
pub struct Relay {
    switch: Arc<Switch>,
    pulse: Duration,
}

/// A line and everybody who holds it on.
struct Switch {
    take: Take,
    overlap: Overlap,
    longest: Duration,
    /// Guards the line and who holds it. No other lock is taken while it is held; looking for a chip is done under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The line; `None` before it is taken, and after it failed.
    line: Option<Box<dyn Line>>,
    holds: usize,
    /// When the line became active.
    since: Option<Instant>,
}

/// One request's share in the pulse; dropping it lets go.
struct Hold {
    /// `None` once it has let go.
    switch: Option<Arc<Switch>>,
    /// How long the pulse may go on, as far as the limit leaves it.
    left: Duration,
}

impl Relay {
    /// Prepares the relay; the line is not taken yet.
    pub fn new(action: &str, config: &RelayConfig) -> Self {
        let (name, line) = (action.to_owned(), config.clone());
        let take: Take = Box::new(move || gpio::take(&name, &line).map(|line| Box::new(line) as Box<dyn Line>));
        Self::on(take, config)
    }

    fn on(take: Take, config: &RelayConfig) -> Self {
        let longest = Duration::from_millis(config.longest_ms);
        let switch = Switch { take, overlap: config.overlap, longest, state: Mutex::default() };
        Self { switch: Arc::new(switch), pulse: Duration::from_millis(config.pulse_ms) }
    }

    /// Takes the line now, rather than when it is first needed.
    pub fn hold_line(&self) -> Result<(), String> {
        self.switch.take_line(&mut self.switch.state())
    }

    /// Performs one pulse. It ends in time also when the future is dropped: then at once.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let (switch, pulse, expires_at) = (Arc::clone(&self.switch), self.pulse, request.expires_at);
        // Looking for a chip reads /dev, and a chip behind a slow bus takes its time.
        let hold = tokio::task::spawn_blocking(move || Hold::start(&switch, pulse, expires_at)).await;
        let mut hold = hold.map_err(|_| "the process is ending")??;
        let started = Instant::now();
        tokio::time::sleep(hold.left).await;
        let held = started.elapsed().as_millis();
        let said = Some(format!("on for {held} ms"));
        match hold.let_go() {
            Ok(()) => Ok(said),
            Err(reason) => Err(Undone { reason, said }),
        }
    }
}

impl Switch {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_line(&self, state: &mut State) -> Result<(), String> {
        if state.line.is_none() {
            state.line = Some((self.take)()?);
        }
        Ok(())
    }

    /// Sets the line, which is taken anew when it has gone away: a chip on USB may have been pulled out and put back.
    fn set(&self, state: &mut State, active: bool) -> Result<(), String> {
        if let Some(line) = &mut state.line
            && line.set(active).is_ok()
        {
            return Ok(());
        }
        // Dropped first: the kernel lends a line once.
        state.line = None;
        let line = state.line.insert((self.take)()?);
        line.set(active).inspect_err(|_| state.line = None)
    }

    /// Makes the line inactive, or gives it back to the kernel.
    fn release(&self, state: &mut State) -> Result<(), String> {
        state.since = None;
        self.set(state, false).map_err(|problem| {
            format!("the relay may still be on: {problem}; the line has been given back to the kernel")
        })
    }
}

impl Hold {
    fn start(switch: &Arc<Switch>, pulse: Duration, expires_at: Option<Instant>) -> Result<Self, String> {
        let mut state = switch.state();
        switch.take_line(&mut state)?;
        if expires_at.is_some_and(|moment| clock::now() >= moment) {
            return Err("its time was over before the line could be had".into());
        }
        let left = match state.since {
            Some(_) if switch.overlap == Overlap::Refuse => return Err("a pulse is under way already".into()),
            Some(since) => {
                let left = switch.longest.saturating_sub(since.elapsed());
                if left.is_zero() {
                    let longest = switch.longest.as_millis();
                    return Err(format!(
                        "the relay has been on for {longest} ms without a break, `longest_ms` allows no more"
                    ));
                }
                left.min(pulse)
            }
            None => {
                switch.set(&mut state, true)?;
                state.since = Some(Instant::now());
                pulse.min(switch.longest)
            }
        };
        state.holds += 1;
        Ok(Self { switch: Some(Arc::clone(switch)), left })
    }

    fn let_go(&mut self) -> Result<(), String> {
        let Some(switch) = self.switch.take() else { return Ok(()) };
        let mut state = switch.state();
        state.holds -= 1;
        if state.holds == 0 { switch.release(&mut state) } else { Ok(()) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(problem) = self.let_go() {
            tracing::error!(problem, "a relay could not be switched off");
        }
    }
}

impl Drop for Switch {
    /// Closing the line leaves its level to the chip's driver; this leaves it inactive.
    fn drop(&mut self) {
        if let Some(line) = &mut self.state().line {
            let _ = line.set(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DetectorName, LineName, OutboxConfig};
    use crate::outbox::{Outbox, Presence};

    /// What happened to a line, and when.
    #[derive(Default)]
    struct Wire {
        log: Mutex<Vec<(bool, Instant)>>,
        taken: Mutex<usize>,
        broken: Mutex<bool>,
    }

    struct FakeLine(Arc<Wire>);

    impl Line for FakeLine {
        fn set(&mut self, active: bool) -> Result<(), String> {
            if *self.0.broken.lock().unwrap() {
                return Err("no such device".into());
            }
            self.0.log.lock().unwrap().push((active, Instant::now()));
            Ok(())
        }
    }

    fn relay(config: impl FnOnce(&mut RelayConfig)) -> (Arc<Relay>, Arc<Wire>) {
        let wire = Arc::new(Wire::default());
        let mut relay = RelayConfig::new(None, LineName::Name("DOOR".into()));
        relay.pulse_ms = 200;
        config(&mut relay);
        let taken = Arc::clone(&wire);
        let take: Take = Box::new(move || match *taken.broken.lock().unwrap() {
            true => Err("there is no chip".into()),
            false => {
                *taken.taken.lock().unwrap() += 1;
                Ok(Box::new(FakeLine(Arc::clone(&taken))))
            }
        });
        (Arc::new(Relay::on(take, &relay)), wire)
    }

    impl Wire {
        fn levels(&self) -> Vec<bool> {
            self.log.lock().unwrap().iter().map(|(active, _)| *active).collect()
        }

        /// From the first change to the last.
        fn length(&self) -> Duration {
            let log = self.log.lock().unwrap();
            log[log.len() - 1].1 - log[0].1
        }
    }

    fn request() -> ActionRequest {
        ActionRequest::from_record(&serde_json::json!({
            "action": "door", "rule": "r", "detector": "d", "visit": uuid::Uuid::nil(), "sighting": uuid::Uuid::nil(),
            "person": null, "seen_at": "2026-06-10T10:00:00Z", "key": "KEY", "inputs": {},
        }))
        .unwrap()
    }

    async fn perform(relay: &Relay) -> Result<(), String> {
        relay.perform(&request()).await.map(drop).map_err(|undone| undone.reason)
    }

    #[tokio::test]
    async fn a_pulse_begins_and_ends() {
        let (relay, wire) = relay(|_| {});
        assert_eq!(relay.hold_line(), Ok(()));
        assert_eq!((*wire.taken.lock().unwrap(), wire.levels().len()), (1, 0), "taken, and nothing moves");
        assert_eq!(perform(&relay).await, Ok(()));
        assert_eq!(wire.levels(), [true, false]);
        assert!(wire.length() >= Duration::from_millis(200));
        drop(relay);
        assert_eq!(wire.levels().last(), Some(&false));
        assert_eq!(*wire.taken.lock().unwrap(), 1);
    }

    #[tokio::test]
    async fn requests_that_overlap_share_one_pulse_up_to_the_limit() {
        let (relay, wire) = relay(|config| config.longest_ms = 300);
        let later = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            perform(&relay).await
        };
        assert_eq!(tokio::join!(perform(&relay), later), (Ok(()), Ok(())));
        assert_eq!(wire.levels(), [true, false], "no gap between them");
        // 150 + 200, cut to 300.
        assert!(wire.length() >= Duration::from_millis(300), "{:?}", wire.length());
        assert_eq!(perform(&relay).await, Ok(()), "after a break it may be on again");
    }

    /// More callers wait for the outbox's disk than there are threads to run tasks.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_pulse_ends_in_time_while_the_outbox_waits_for_its_disk() {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap();
        let disk = rusqlite::Connection::open(dir.path().join("outbox/outbox.sqlite")).unwrap();
        disk.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let writing = (0..4).map(|_| {
            let (outbox, detector) = (outbox.clone(), DetectorName::new("door").unwrap());
            let presence = Presence { detector, stays: Vec::new(), requests: Vec::new(), judged: Vec::new() };
            tokio::spawn(async move { outbox.presence(presence).await })
        });
        let writing: Vec<_> = writing.collect();
        let (relay, wire) = relay(|config| config.pulse_ms = 500);
        assert_eq!(perform(&relay).await, Ok(()));
        assert_eq!(wire.levels(), [true, false]);
        assert!(writing.iter().all(|task| !task.is_finished()), "the pulse ended while they waited");
        println!("a pulse of 500 ms was {} ms", wire.length().as_millis());
        disk.execute_batch("COMMIT").unwrap();
        for task in writing {
            task.await.unwrap().unwrap();
        }
    }

    #[test]
    fn at_the_limit_a_request_is_refused() {
        let (relay, _wire) = relay(|config| (config.pulse_ms, config.longest_ms) = (10, 10));
        let mut first = Hold::start(&relay.switch, relay.pulse, None).unwrap();
        std::thread::sleep(Duration::from_millis(11));
        let refused = Hold::start(&relay.switch, relay.pulse, None).err().unwrap();
        assert!(refused.contains("10 ms without a break"), "{refused}");
        assert_eq!(first.let_go(), Ok(()));
        assert!(Hold::start(&relay.switch, relay.pulse, None).is_ok());
    }

    #[tokio::test]
    async fn overlap_can_be_refused() {
        let (relay, wire) = relay(|config| config.overlap = Overlap::Refuse);
        let later = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            perform(&relay).await
        };
        let (first, second) = tokio::join!(perform(&relay), later);
        assert_eq!((first, second), (Ok(()), Err("a pulse is under way already".into())));
        assert_eq!(wire.levels(), [true, false]);
    }

    #[test]
    fn a_line_that_comes_too_late_is_not_set() {
        let (relay, wire) = relay(|_| {});
        assert!(Hold::start(&relay.switch, relay.pulse, Some(Instant::now())).is_err());
        assert!(wire.levels().is_empty());
    }

    #[tokio::test]
    async fn giving_up_switches_off_at_once() {
        let (relay, wire) = relay(|config| (config.pulse_ms, config.longest_ms) = (60_000, 60_000));
        let on = async {
            while wire.levels().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let request = request();
        tokio::select! {
            _ = relay.perform(&request) => panic!("it does not end by itself"),
            () = on => {}
        }
        assert_eq!(wire.levels(), [true, false]);
    }

    #[tokio::test]
    async fn a_line_that_goes_away_is_taken_anew() {
        let (relay, wire) = relay(|config| config.pulse_ms = 10);
        *wire.broken.lock().unwrap() = true;
        assert_eq!(relay.hold_line(), Err("there is no chip".into()));
        assert_eq!(perform(&relay).await, Err("there is no chip".into()));
        *wire.broken.lock().unwrap() = false;
        assert_eq!(perform(&relay).await, Ok(()));
        // Pulled out while it is on: told, and let go.
        let mut hold = Hold::start(&relay.switch, relay.pulse, None).unwrap();
        *wire.broken.lock().unwrap() = true;
        let problem = hold.let_go().unwrap_err();
        assert!(problem.starts_with("the relay may still be on: there is no chip"), "{problem}");
        *wire.broken.lock().unwrap() = false;
        assert_eq!(perform(&relay).await, Ok(()), "put back");
        assert_eq!(wire.levels().last(), Some(&false));
    }
}
