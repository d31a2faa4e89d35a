//! What holds whatever happens: random lives of people, visits, delays and restarts.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use chrono::TimeDelta;
use chrono_tz::Europe::Berlin;
use proptest::prelude::*;
use uuid::Uuid;

use super::cases::{Case, rules};
use super::*;

/// Known and unknown people tell somebody and open a door nothing guards, a gate that everything guards but liveness,
/// and a vault that this guards, too.
const RULES: &str = "
    [[rule]]\nname = 'known'\nactions = ['log', 'door', 'gate', 'vault']\ncooldown_secs = 60
    [[rule]]\nname = 'unknown'\nactions = ['log']\nwhen = { outcome = ['unknown', 'no_face'] }
    [[rule]]\nname = 'all'\nactions = ['log', 'door', 'gate', 'vault']\ncooldown_secs = 0
        when = { outcome = ['known', 'unknown'] }";

/// One thing that happens.
#[derive(Debug, Clone)]
struct Step {
    /// Which person the engine says it is; the last one is unknown.
    person: u8,
    visit: u8,
    /// The visit that its stay began with, where an embedding told; any, whatever others of the visit say.
    stay: Option<u8>,
    /// Which picture of the visit; the same one may be answered again and again.
    shot: u8,
    /// When it was taken, and how long after that it is answered.
    second: i16,
    delay: u8,
    quality: u8,
    /// What the liveness models say of the shot, in quarters; `None` where none was asked.
    live: Option<u8>,
    /// From before a restart, or across a clock step.
    late: bool,
    /// The process starts anew before it.
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    // One number per step: the cheapest strategy there is.
    any::<u64>().prop_map(|bits| {
        let of = |shift: u32, values: u64| (bits >> shift) % values;
        Step {
            person: of(0, 4) as u8,
            visit: of(8, 3) as u8,
            stay: u8::try_from(of(12, 4)).ok().filter(|stay| *stay < 3),
            shot: of(16, 4) as u8,
            second: of(24, 200) as i16,
            delay: of(32, 8) as u8,
            quality: of(40, 4) as u8,
            live: u8::try_from(of(44, 6)).ok().filter(|quarters| *quarters < 5),
            late: of(48, 4) == 0,
            restart: of(56, 16) == 0,
        }
    })
}

/// Rules and usual answers, made once: parsing them would be most of the time.
struct Stage {
    rules: Rules,
    known: Recognition,
    unknown: Recognition,
}

impl Stage {
    fn new() -> Self {
        let recognition = |case| Case::parse(case).recognition;
        let (known, unknown) = (recognition("known tag=Staff"), recognition("unknown conf=0.9 nearest=p0"));
        Self { rules: rules(RULES, Berlin), known, unknown }
    }

    /// As after a start: nothing is remembered.
    fn restart(&mut self) {
        self.rules.memory = Memory::default();
        self.rules.history = History::default();
        self.rules.guards = GuardMemory::default();
        self.rules.pictures = WantedPictures::default();
    }

    fn recognition(&self, step: &Step, now: Instant) -> Recognition {
        let mut recognition = if step.person == 3 { self.unknown.clone() } else { self.known.clone() };
        if let Answer::Known(known) = &mut recognition.answer {
            known.person.id = format!("p{}", step.person);
        }
        recognition.visit = VisitId(Uuid::from_u128(step.visit.into()));
        recognition.stay = step.stay.map(|stay| VisitId(Uuid::from_u128(stay.into())));
        recognition.sighting = Uuid::from_u128(u128::from(step.visit) * 100 + u128::from(step.shot) + 1);
        recognition.seen_at += TimeDelta::seconds(step.second.into());
        recognition.shot = step.shot + 1;
        recognition.live = step.live.map(|quarters| f32::from(quarters) / 4.0);
        recognition.arrived = (!step.late).then_some(now);
        recognition
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, max_shrink_iters: 10_000, ..ProptestConfig::default() })]

    /// Whatever the order, delay or repetition of recognitions:
    /// - no (rule, stay, person, action) fires twice, nor an actuator or a rule that does not rest in a visit;
    /// - no actuator fires on a late, replayed or old recognition, nor a guarded one on fewer agreeing sightings than
    ///   it wants;
    /// - no actuator that wants a person alive moves where the visit's shots, or those of the person, say less;
    /// - everybody's first live recognition reaches the rule for known people, whoever came before.
    #[test]
    fn nothing_fires_twice_and_no_door_opens_unconfirmed(steps in prop::collection::vec(step(), 1..12)) {
        thread_local!(static STAGE: RefCell<Stage> = RefCell::new(Stage::new()));
        STAGE.with_borrow_mut(|stage| {
            let now = Instant::now();
            stage.restart();
            let (mut keys, mut fired, mut met) = (HashSet::new(), HashSet::new(), HashSet::new());
            let mut past = Vec::new();
            // The good live sightings of each visit since the last restart, and whom they say.
            let mut good: HashMap<u8, Vec<(u8, u8)>> = HashMap::new();
            // Every live sighting of each visit since then: which, whom it says, and its liveness.
            let mut seen: HashMap<u8, Vec<(u8, u8, Option<u8>)>> = HashMap::new();
            for step in &steps {
                if step.restart {
                    seen.clear();
                    stage.restart();
                    stage.rules.restore(past.iter().cloned());
                    good.clear();
                }
                let recognition = stage.recognition(step, now);
                let quality = 0.2 + 0.2 * f32::from(step.quality);
                let clock = RuleClock { utc: recognition.seen_at + TimeDelta::seconds(step.delay.into()), late: false };
                let requests = stage.rules.judge(&recognition, quality, clock, &[]).requests;
                let sightings = good.entry(step.visit).or_default();
                if !step.late && quality >= 0.4 && !sightings.iter().any(|(shot, _)| *shot == step.shot) {
                    sightings.push((step.shot, step.person));
                }
                let shots = seen.entry(step.visit).or_default();
                if !step.late && !shots.iter().any(|(shot, ..)| *shot == step.shot) {
                    shots.push((step.shot, step.person, step.live));
                }
                if step.person < 3 && met.insert(step.person) {
                    let told = requests.iter().any(|r| r.rule == "known" && r.action == "log");
                    prop_assert!(told, "p{} was swallowed", step.person);
                }
                for request in requests {
                    prop_assert!(keys.insert(request.key.clone()), "{request:?} twice");
                    let actuator = request.action != "log";
                    let moves = actuator && !request.late;
                    prop_assert_eq!(request.expires_at.is_some(), moves);
                    prop_assert!(!moves || !step.late, "{request:?} is late");
                    if !actuator || moves {
                        let rests = request.rule == "known" && !actuator;
                        let time = step.stay.filter(|_| rests).unwrap_or(step.visit);
                        let what = (request.rule.clone(), time, request.person.clone(), request.action.clone());
                        prop_assert!(fired.insert(what), "{request:?} twice");
                    }
                    if moves && request.action == "vault" {
                        prop_assert!(alive(step, &seen[&step.visit]), "{request:?} moved for a picture");
                    }
                    if moves && request.action != "door" {
                        prop_assert!(step.delay <= 5 && quality >= 0.4 && step.person < 3, "{request:?} is unguarded");
                        // Of the same person, by at least as many pictures: those this restart knows, this one
                        // included.
                        let mut agreeing: HashSet<u8> = HashSet::from([step.shot]);
                        agreeing.extend(good[&step.visit].iter().filter(|it| it.1 == step.person).map(|it| it.0));
                        prop_assert!(agreeing.len() >= 2, "{request:?} is under-confirmed");
                    }
                    past.push(request.fired());
                }
            }
            Ok(())
        })?;
    }
}

/// Whether the shots of a visit, this one included, and those of them that say the same person, are alive enough for a
/// vault.
fn alive(step: &Step, shots: &[(u8, u8, Option<u8>)]) -> bool {
    let before = shots.iter().filter(|(shot, ..)| *shot != step.shot);
    let all: Vec<_> = before.copied().chain([(step.shot, step.person, step.live)]).collect();
    let enough = |whose: &dyn Fn(u8) -> bool| {
        let quarters: Vec<u32> =
            all.iter().filter(|it| whose(it.1)).filter_map(|(.., live)| live.map(u32::from)).collect();
        !quarters.is_empty() && f64::from(quarters.iter().sum::<u32>()) / 4.0 >= 0.5 * quarters.len() as f64
    };
    enough(&|_| true) && enough(&|person| person == step.person)
}

/// What the engine may say of one picture of a member of staff.
const ANSWERS: [&str; 5] = ["known tag=Staff", "unknown", "no_face", "refused", "known tag=Staff q=0.1"];

/// What became of a visit at a gate whose guard wants `sightings` of `of`: whether it opened, and how many pictures
/// were taken because the rules asked for them.
fn visit_at_a_gate(sightings: u8, of: u8, answers: &[&str]) -> (bool, u8) {
    let config = RuleConfig::new("open", vec!["gate".into()]);
    let guard = GuardConfig { sightings, of, ..GuardConfig::default() };
    let mut rules = Rules::new(vec![config], Berlin, Duration::from_secs(5), |_| Some(guard.clone())).unwrap();
    let (mut opened, mut asked, mut taken) = (false, 0_u8, 0);
    for (n, answer) in answers.iter().enumerate() {
        // The first picture is always sent, each further one only when it was asked for.
        if n > 0 {
            if asked == 0 {
                break;
            }
            taken += 1;
        }
        let mut case = Case::parse(answer);
        case.recognition.sighting = Uuid::from_u128(n as u128 + 1);
        let judged = rules.judge(&case.recognition, case.quality, case.clock(), &[]);
        opened |= !judged.requests.is_empty();
        // As the tracker takes it: the newest wish counts, and a visit's wishes together have a limit.
        asked = judged.confirm.map_or(0, |confirm| confirm.more.min(confirm.most - taken));
    }
    (opened, taken)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    /// Whatever comes between: where enough of the first `of` answers agree, the gate opens; pictures are never asked
    /// for without end; a stranger gets no further, however long they stay.
    #[test]
    fn pictures_go_on_until_enough_agree(
        (sightings, of) in (1..=5_u8).prop_flat_map(|of| (1..=of, Just(of))),
        picks in prop::collection::vec(0..ANSWERS.len(), 12),
    ) {
        let answers: Vec<_> = picks.iter().map(|pick| ANSWERS[*pick]).collect();
        let agreeing = answers.iter().take(of.into()).filter(|answer| **answer == ANSWERS[0]).count();
        let (opened, taken) = visit_at_a_gate(sightings, of, &answers);
        prop_assert!(taken <= of, "{taken} pictures were asked for, {of} are allowed");
        let enough = agreeing >= usize::from(sightings);
        prop_assert!(opened || !enough, "{sightings} of {of} agreed and the gate stayed shut");
        let stranger = |answer: &&'static str| if answer.contains("Staff") { "unknown" } else { *answer };
        let strangers: Vec<_> = answers.iter().map(stranger).collect();
        let (opened, taken) = visit_at_a_gate(sightings, of, &strangers);
        prop_assert!(!opened && taken < of, "a stranger: opened {opened}, {taken} pictures");
    }
}
