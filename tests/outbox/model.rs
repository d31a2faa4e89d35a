//! Whatever is asked of the outbox, in whatever order, it does what a list would do that never fails.

use std::collections::BTreeMap;

use doorward::visits::ActionResult;
use proptest::prelude::*;

use super::vfs::{self, Fault};
use super::*;

/// One call, with small numbers for what it is about.
#[derive(Debug, Clone)]
enum Step {
    Accept(u8),
    Next,
    PostponeLong(u8),
    PostponeShort(u8),
    Answer(u8, Vec<u8>),
    Claim(u8),
    Finish(u8),
    Tidy,
    /// Ended in order, and started again.
    Restart,
    /// Ended at once: what the process held is gone.
    Kill,
    /// Days pass while it does not run.
    Sleep,
    Fault(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 1..12_u8;
    prop_oneof![
        6 => number().prop_map(Step::Accept),
        5 => Just(Step::Next),
        1 => number().prop_map(Step::PostponeLong),
        2 => number().prop_map(Step::PostponeShort),
        4 => (number(), prop::collection::vec(number(), 0..3)).prop_map(|(n, keys)| Step::Answer(n, keys)),
        3 => number().prop_map(Step::Claim),
        3 => number().prop_map(Step::Finish),
        1 => Just(Step::Tidy),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => Just(Step::Sleep),
        2 => prop_oneof![Just(Fault::None), Just(Fault::Full)].prop_map(Step::Fault),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Ready,
    /// Not due for long.
    Waiting,
    InFlight,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    Planned,
    Claimed,
    Ended,
}

/// What it should be.
#[derive(Default)]
struct Model {
    /// By number: its state, its place in the order, and whether it came in in this life.
    sightings: BTreeMap<u8, (State, u32, bool)>,
    keys: BTreeMap<u8, Key>,
    next_place: u32,
    /// The disk has failed: from then on nothing is lost or sent twice, but the order is not promised.
    disordered: bool,
}

impl Model {
    fn waiting(&self) -> usize {
        self.sightings.values().filter(|(state, ..)| *state != State::Gone).count()
    }

    /// The newest of this life (all of it is live in a test), else the oldest.
    fn next(&mut self) -> Option<u8> {
        let ready = self.sightings.iter().filter(|(_, (state, ..))| *state == State::Ready);
        let mut ready: Vec<(u32, u8, bool)> = ready.map(|(n, (_, place, live))| (*place, *n, *live)).collect();
        ready.sort_unstable();
        let (_, newest, live) = *ready.last()?;
        let n = if live { newest } else { ready[0].1 };
        self.set(n, State::InFlight);
        Some(n)
    }

    fn set(&mut self, n: u8, state: State) {
        self.sightings.get_mut(&n).unwrap().0 = state;
    }

    fn state(&self, n: u8) -> Option<State> {
        self.sightings.get(&n).map(|(state, ..)| *state)
    }

    fn restart(&mut self) {
        for (state, _, live) in self.sightings.values_mut().filter(|(state, ..)| *state != State::Gone) {
            (*state, *live) = (State::Ready, false);
        }
        for key in self.keys.values_mut().filter(|key| **key == Key::Claimed) {
            *key = Key::Ended;
        }
    }
}

struct Run {
    dir: tempfile::TempDir,
    disk: std::sync::Arc<vfs::Disk>,
    outbox: Option<Outbox>,
    model: Model,
    /// Long after everything that is due soon.
    later: Instant,
}

impl Run {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let disk = vfs::watch(dir.path());
        let outbox = Some(open(dir.path()));
        Self { dir, disk, outbox, model: Model::default(), later: Instant::now() + Duration::from_secs(2) }
    }

    fn outbox(&self) -> &Outbox {
        self.outbox.as_ref().unwrap()
    }

    /// The disk works again, and has been told what it missed: a process that ends before that loses it.
    fn heal(&self) {
        self.disk.fail(Fault::None);
        let started = Instant::now();
        while self.outbox().figures().problem.is_some() {
            assert!(started.elapsed().as_secs() < 60, "{:?}", self.outbox().figures());
            std::thread::sleep(Duration::from_millis(10));
            assert!(!self.outbox().claim("nobody planned this").wait().unwrap());
        }
    }

    /// Copies what the disk holds of a process that is killed now, and starts on that.
    fn kill(&mut self) {
        let files = files(self.dir.path());
        let killed = std::mem::replace(self, Self::new());
        for (path, bytes) in files {
            let name = path.strip_prefix(killed.dir.path()).unwrap();
            if !name.ends_with("lock") && !name.to_string_lossy().ends_with("-shm") {
                drop(self.outbox.take());
                std::fs::write(self.dir.path().join(name), bytes).unwrap();
            }
        }
        self.outbox = Some(open(self.dir.path()));
    }

    fn step(&mut self, step: &Step) {
        let id = |n: u8| Uuid::from_u128(n.into());
        let action = |key: u8| format!("key-{key}");
        match step {
            Step::Accept(n) => {
                let new = self.model.state(*n).is_none();
                assert_eq!(self.outbox().accept(&sighting((*n).into(), 50)).wait().unwrap().new, new);
                if new {
                    self.model.next_place += 1;
                    self.model.sightings.insert(*n, (State::Ready, self.model.next_place, true));
                }
            }
            Step::Next => {
                let next = self.outbox().next(self.later).wait().unwrap();
                let expected = match &next {
                    Some(queued) if self.model.disordered => {
                        let n = queued.sighting.id.as_u128() as u8;
                        assert_eq!(self.model.state(n), Some(State::Ready));
                        self.model.set(n, State::InFlight);
                        Some(n)
                    }
                    _ => self.model.next(),
                };
                assert_eq!(next.as_ref().map(|queued| queued.sighting.id), expected.map(id));
                if let (Some(queued), Some(n)) = (next, expected) {
                    assert_eq!(queued.sighting.expanded, sighting(n.into(), 50).expanded);
                }
            }
            Step::PostponeLong(n) | Step::PostponeShort(n) => {
                // Only what is in flight is put back.
                if self.model.state(*n) == Some(State::InFlight) {
                    let long = matches!(step, Step::PostponeLong(_));
                    let until = if long { self.later + Duration::from_secs(3600) } else { self.later };
                    self.outbox().postpone(id(*n), until, "why").wait().unwrap();
                    self.model.set(*n, if long { State::Waiting } else { State::Ready });
                }
            }
            Step::Answer(n, keys) => {
                let sent = sighting((*n).into(), 50);
                let actions: Vec<_> = keys.iter().map(|key| planned(&action(*key), &sent)).collect();
                let settled = self.outbox().answered(following(known(sent.id), &actions)).wait().unwrap();
                let first = self.model.state(*n).is_some_and(|state| state != State::Gone);
                let mut new = Vec::new();
                if first {
                    self.model.set(*n, State::Gone);
                    for key in keys {
                        if self.model.keys.insert(*key, Key::Planned).is_none_or(|before| {
                            self.model.keys.insert(*key, before);
                            false
                        }) {
                            new.push(action(*key));
                        }
                    }
                }
                assert_eq!((settled.first, settled.planned), (first, new));
            }
            Step::Claim(key) => {
                let may = self.model.keys.get(key) == Some(&Key::Planned);
                // Nobody asks for what was never planned.
                if self.model.keys.contains_key(key) {
                    assert_eq!(self.outbox().claim(&action(*key)).wait().unwrap(), may);
                }
                if may {
                    self.model.keys.insert(*key, Key::Claimed);
                }
            }
            Step::Finish(key) => {
                if self.model.keys.get(key) == Some(&Key::Claimed) {
                    self.outbox().finish(&action(*key), &ActionResult::Done).wait().unwrap();
                    self.model.keys.insert(*key, Key::Ended);
                }
            }
            Step::Tidy => assert_eq!(self.outbox().tidy(Utc::now()).wait().unwrap(), []),
            Step::Fault(fault) => {
                self.model.disordered |= *fault != Fault::None;
                self.disk.fail(*fault);
            }
            Step::Restart => {
                self.heal();
                self.outbox = None;
                self.outbox = Some(open(self.dir.path()));
                self.model.restart();
                self.check_unfinished();
            }
            Step::Kill => {
                self.heal();
                let model = std::mem::take(&mut self.model);
                self.kill();
                self.model = model;
                self.model.restart();
                self.check_unfinished();
            }
            Step::Sleep => {
                self.heal();
                self.outbox = None;
                self.outbox = Some(open(self.dir.path()));
                self.model.restart();
                self.check_unfinished();
                let dropped = self.outbox().tidy(Utc::now() + chrono::TimeDelta::hours(80)).wait().unwrap();
                assert_eq!(dropped.len(), self.model.waiting());
                self.model.sightings.values_mut().for_each(|sighting| sighting.0 = State::Gone);
            }
        }
        assert_eq!(self.outbox().figures().sightings, self.model.waiting());
    }

    /// After a start: what was planned and not claimed is told with its request, and may be claimed, once.
    fn check_unfinished(&mut self) {
        let planned = self.model.keys.iter().filter(|(_, key)| **key == Key::Planned);
        let expected: Vec<String> = planned.map(|(key, _)| format!("key-{key}")).collect();
        let unfinished = self.outbox().unfinished().wait().unwrap();
        let mut told: Vec<String> =
            unfinished.iter().filter(|unfinished| unfinished.request.is_some()).map(|u| u.key.clone()).collect();
        told.sort_by_key(|key| key["key-".len()..].parse::<u8>().unwrap());
        assert_eq!(told, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_a_list_would_do(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run::new();
        for step in &steps {
            run.step(step);
        }
        run.heal();
        run.step(&Step::Restart);
    }
}
