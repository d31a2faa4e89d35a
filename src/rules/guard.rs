//! What must hold before an actuator moves, and what that has to remember.
//!
//! In: an answer, whoever is present, and what was before. Out: one [`Check`] per guard; the actuator moves when all of
//! them held. What it remembers is forgotten by a restart only where that keeps an actuator still.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use identities::text::folded;
use uuid::Uuid;

use super::matchers::{Check, NO_MATCH_SCORE, list, tag_is_valid};
use super::occasion::Occasion;
use super::schedule::Schedule;
use super::stay::{Guest, Stay};
use super::verdict::Refusal;
use crate::config::{GuardConfig, WhenConfig};
use crate::recognition::{Answer, Known, Recognition, Tag};
use crate::track::{Confirm, VisitId};

/// Visits whose answers are remembered; a visit's answers come within seconds of each other.
const VISITS: usize = 256;
/// Answers remembered of a visit; the most `of` can ask for is 10.
const ANSWERS: usize = 16;
/// Carriers of tags remembered, beside those who are present.
const CARRIERS: usize = 256;
/// Whoever was recognised within this time counts as present for `banned_tags`, even by a late answer.
const AROUND: TimeDelta = TimeDelta::seconds(60);
const MINUTE: TimeDelta = TimeDelta::seconds(60);
/// Moves remembered per actuator; the most `per_minute` can allow is 600.
const MOVES: usize = 600;

/// Guards that more pictures of a visitor can satisfy.
const OF_PICTURES: [&str; 3] = ["sightings", "min_confidence", "min_quality"];
/// Guards that a visitor satisfies once they are recognised.
const OF_TAGS: [&str; 2] = ["needs_tag", "tags_any"];

/// A guard made ready.
pub struct Guard {
    config: GuardConfig,
    tags_any: Vec<String>,
    banned: Vec<String>,
    schedule: Schedule,
}

/// What guards look at, beside themselves.
pub struct Scene<'a> {
    pub occasion: &'a Occasion<'a>,
    pub memory: &'a GuardMemory,
    pub present: &'a [Stay],
    pub zone: Tz,
}

/// The answers of each visit, and when each actuator moved.
#[derive(Default)]
pub struct GuardMemory {
    visits: HashMap<VisitId, VecDeque<Sighted>>,
    order: VecDeque<VisitId>,
    moves: HashMap<String, VecDeque<DateTime<Utc>>>,
    carriers: VecDeque<(DateTime<Utc>, Vec<Tag>)>,
}

/// A live answer.
struct Sighted {
    sighting: Uuid,
    guest: Option<Guest>,
    quality: f32,
    match_confidence: Option<f32>,
}

impl Guard {
    pub fn new(config: GuardConfig) -> Self {
        let fold = |texts: &[String]| texts.iter().map(|text| folded(text)).collect();
        let when = WhenConfig { between: config.between.clone(), ..WhenConfig::default() };
        Self {
            tags_any: fold(&config.tags_any),
            banned: fold(&config.banned_tags),
            schedule: Schedule::new(&when),
            config,
        }
    }

    /// Why the actuator must not move; `None` when it may.
    pub fn refuses(&self, action: &str, scene: &Scene) -> Option<Refusal> {
        let guards: Vec<_> = self.checks(action, scene).into_iter().filter(|check| !check.held).collect();
        let confirm = self.confirm(&guards, scene);
        (!guards.is_empty()).then(|| Refusal { action: action.to_owned(), guards, confirm })
    }

    /// Every guard, whether it held or not; the time window only where there is one.
    fn checks(&self, action: &str, scene: &Scene) -> Vec<Check> {
        let GuardConfig { sightings, of, min_confidence, min_quality, max_age_ms, per_minute, .. } = self.config;
        let Occasion { recognition, now, quality, .. } = scene.occasion;
        let agreeing = scene.memory.agreeing(self, scene.occasion);
        let score = recognition.answer.match_confidence();
        let age = (now.utc - recognition.seen_at).num_milliseconds();
        let moves = scene.memory.moves_around(action, recognition.seen_at);
        let mut checks = vec![
            Check::of("sightings", format!("{sightings} of {of}"), agreeing, agreeing >= usize::from(sightings)),
            Check::of(
                "min_confidence",
                min_confidence,
                score.map_or_else(|| NO_MATCH_SCORE.into(), |score| score.to_string()),
                score.unwrap_or(0.0) >= min_confidence,
            ),
            Check::of("min_quality", min_quality, quality, *quality >= min_quality),
        ];
        checks.extend(self.tag(scene));
        checks.push(self.banned(scene));
        checks.extend(self.schedule.checks(recognition.seen_at.with_timezone(&scene.zone), &[]));
        // The clock was set back between the frame and now: nobody knows how old the answer is.
        let young = u64::try_from(age).is_ok_and(|age| age <= max_age_ms);
        checks.push(Check::of("max_age_ms", max_age_ms, age, young));
        checks.push(Check::of("per_minute", per_minute, moves, moves < per_minute as usize));
        checks
    }

    /// Which pictures could make these failed checks hold; `None` where pictures of the same visitor cannot.
    fn confirm(&self, failed: &[Check], scene: &Scene) -> Option<Confirm> {
        let curable = failed.iter().all(|check| OF_PICTURES.contains(&check.matcher));
        if !curable || Guest::of(&scene.occasion.recognition).is_none() {
            return None;
        }
        let agreeing = scene.memory.agreeing(self, scene.occasion);
        let missing = usize::from(self.config.sightings).saturating_sub(agreeing).max(1);
        Some(self.pictures(u8::try_from(missing).unwrap_or(u8::MAX)))
    }

    /// The pictures after which the actuator might move although this answer recognised nobody: a poor picture makes a
    /// stranger of anybody. `None` where it would not move whoever they show.
    pub fn hopes_for(&self, action: &str, scene: &Scene) -> Option<Confirm> {
        let mut failed = self.checks(action, scene).into_iter().filter(|check| !check.held);
        let curable = failed.all(|check| OF_PICTURES.contains(&check.matcher) || OF_TAGS.contains(&check.matcher));
        curable.then(|| self.pictures(1))
    }

    fn pictures(&self, more: u8) -> Confirm {
        Confirm { more, most: self.config.of, min_quality: self.config.min_quality }
    }

    fn tag(&self, scene: &Scene) -> Option<Check> {
        if !self.config.needs_tag {
            return None;
        }
        let tags = valid_tags(known(&scene.occasion.recognition), scene);
        let held = match self.tags_any.as_slice() {
            [] => !tags.is_empty(),
            wanted => tags.iter().any(|tag| wanted.contains(tag)),
        };
        let wanted = if self.tags_any.is_empty() { "any".into() } else { list(&self.tags_any, String::clone) };
        let key = if self.tags_any.is_empty() { "needs_tag" } else { "tags_any" };
        Some(Check::of(key, wanted, list(&tags, String::clone), held))
    }

    fn banned(&self, scene: &Scene) -> Check {
        let Occasion { recognition, .. } = scene.occasion;
        let there = scene.present.iter().map(|stay| &stay.recognition).chain([&**recognition]);
        let mut tags: Vec<_> = there.flat_map(|there| valid_tags(known(there), scene)).collect();
        for (seen_at, carried) in &scene.memory.carriers {
            if (recognition.seen_at - seen_at).abs() < AROUND {
                tags.extend(valid(carried, scene));
            }
        }
        let mut found: Vec<_> = tags.into_iter().filter(|tag| self.banned.contains(tag)).collect();
        found.sort();
        found.dedup();
        let wanted = format!("nobody with {}", list(&self.banned, String::clone));
        Check::of("banned_tags", wanted, list(&found, String::clone), found.is_empty())
    }

    fn reached_by(&self, sighted: &Sighted) -> bool {
        sighted.quality >= self.config.min_quality
            && sighted.match_confidence.unwrap_or(0.0) >= self.config.min_confidence
    }
}

impl GuardMemory {
    /// Remembers an answer. A late one confirms nothing, but its person may be banned.
    pub fn saw(&mut self, occasion: &Occasion) {
        let recognition = &occasion.recognition;
        if let Some(known) = known(recognition).filter(|known| !known.tags.is_empty()) {
            self.carriers.push_back((recognition.seen_at, known.tags.clone()));
            if self.carriers.len() > CARRIERS {
                self.carriers.pop_front();
            }
        }
        if occasion.late {
            return;
        }
        let visit = recognition.visit;
        if !self.visits.contains_key(&visit) {
            self.order.push_back(visit);
            if self.order.len() > VISITS
                && let Some(oldest) = self.order.pop_front()
            {
                self.visits.remove(&oldest);
            }
        }
        let answers = self.visits.entry(visit).or_default();
        if answers.iter().any(|answer| answer.sighting == recognition.sighting) {
            return;
        }
        answers.push_back(Sighted::of(occasion));
        if answers.len() > ANSWERS {
            answers.pop_front();
        }
    }

    /// An actuator is asked to move; also to be told of what moved before a restart.
    pub fn moved(&mut self, action: &str, seen_at: DateTime<Utc>) {
        let moves = self.moves.entry(action.to_owned()).or_default();
        moves.push_back(seen_at);
        if moves.len() > MOVES {
            moves.pop_front();
        }
    }

    /// How many of the newest answers of the visit say the same as this one and reach the floors, this one included; the
    /// same sighting counts once, however often it is answered.
    fn agreeing(&self, guard: &Guard, occasion: &Occasion) -> usize {
        let this = Sighted::of(occasion);
        if this.guest.is_none() || occasion.late {
            return 0;
        }
        let before = self.visits.get(&occasion.recognition.visit).into_iter().flatten();
        let before: Vec<_> = before.filter(|answer| answer.sighting != this.sighting).collect();
        let newest = std::iter::once(&this).chain(before.into_iter().rev()).take(guard.config.of.into());
        newest.filter(|answer| answer.guest == this.guest && guard.reached_by(answer)).count()
    }

    fn moves_around(&self, action: &str, seen_at: DateTime<Utc>) -> usize {
        // In both directions: answers come out of order.
        let moves = self.moves.get(action).into_iter().flatten();
        moves.filter(|moved| (seen_at - **moved).abs() < MINUTE).count()
    }
}

impl Sighted {
    fn of(occasion: &Occasion) -> Self {
        let recognition = &occasion.recognition;
        Self {
            sighting: recognition.sighting,
            guest: Guest::of(recognition),
            quality: occasion.quality,
            match_confidence: recognition.answer.match_confidence(),
        }
    }
}

fn known(recognition: &Recognition) -> Option<&Known> {
    match &recognition.answer {
        Answer::Known(known) => Some(known),
        _ => None,
    }
}

fn valid_tags(known: Option<&Known>, scene: &Scene) -> Vec<String> {
    known.map_or_else(Vec::new, |known| valid(&known.tags, scene))
}

/// Folded names of the tags that count now.
fn valid(tags: &[Tag], scene: &Scene) -> Vec<String> {
    let Occasion { recognition, now, .. } = scene.occasion;
    tags.iter().filter(|tag| tag_is_valid(tag, recognition, *now)).map(|tag| folded(&tag.name)).collect()
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;

    use super::super::cases::Case;
    use super::*;
    use crate::config::from_toml;

    /// The names of the guards that did not hold for the last of some answers (a second apart, each a shot of its own
    /// unless it says so), with others present.
    fn failed(guard: &str, answers: &[&str], present: &[&str]) -> Vec<&'static str> {
        let guard = Guard::new(from_toml(guard).unwrap());
        let mut memory = GuardMemory::default();
        let present: Vec<_> = present
            .iter()
            .map(|case| {
                let Case { recognition, quality, .. } = Case::parse(case);
                let (since, last_seen) = (recognition.seen_at, recognition.seen_at);
                Stay { recognition, quality, since, last_seen }
            })
            .collect();
        let mut last = Vec::new();
        for (n, answer) in answers.iter().enumerate() {
            let mut case = Case::parse(answer);
            if !answer.contains("shot=") {
                case.recognition.sighting = Uuid::from_u128(100 + n as u128);
            }
            let clock = case.clock();
            let occasion = Occasion::answer(&case.recognition, case.quality, clock);
            memory.saw(&occasion);
            let scene = Scene { occasion: &occasion, memory: &memory, present: &present, zone: Berlin };
            let checks = guard.checks("door", &scene);
            last = checks.iter().filter(|check| !check.held).map(|check| check.matcher).collect();
            if last.is_empty() {
                memory.moved("door", case.recognition.seen_at);
            }
        }
        last
    }

    #[test]
    fn what_holds_an_actuator_back() {
        const ONE: &str = "sightings = 1\nof = 1\n";
        let one = |more: &str| format!("{ONE}{more}");
        let staff = "known tag=Staff";
        for (why, guard, answers, present, wanted) in [
            ("one sighting is not enough", "".into(), &[staff][..], &[][..], &["sightings"][..]),
            ("two are", "".into(), &[staff, staff], &[], &[]),
            ("the same one answered twice is one", "".into(), &["known tag=Staff shot=1"; 2], &[], &["sightings"]),
            ("two of three", "".into(), &[staff, "unknown", staff], &[], &[]),
            ("two of four", "".into(), &[staff, "unknown", "no_face", staff], &[], &["sightings"]),
            ("two people", "".into(), &[staff, "known id=bob tag=Staff"], &[], &["sightings"]),
            ("another visit", "".into(), &["known visit=7 tag=Staff", staff], &[], &["sightings"]),
            ("a late one confirms nothing", "".into(), &["known tag=Staff late", staff], &[], &["sightings"]),
            ("a poor one confirms nothing", "".into(), &["known tag=Staff q=0.39", staff], &[], &["sightings"]),
            ("an unsure one confirms nothing", "".into(), &["known tag=Staff conf=0.5", staff], &[], &["sightings"]),
            ("three of three", "sightings = 3".into(), &[staff, staff], &[], &["sightings"]),
            ("one may do", one(""), &[staff], &[], &[]),
            ("poor", one(""), &["known tag=Staff q=0.39"], &[], &["sightings", "min_quality"]),
            ("unsure", one(""), &["known tag=Staff conf=0.59"], &[], &["sightings", "min_confidence"]),
            ("without a confidence", one(""), &["known tag=Staff conf=none"], &[], &["sightings", "min_confidence"]),
            ("… where none is asked for", one("min_confidence = 0.0"), &["known tag=Staff conf=none"], &[], &[]),
            ("no tag", one(""), &["known"], &[], &["needs_tag"]),
            ("an expired tag", one(""), &["known tag=Staff@2026-06-10T10:00:00Z"], &[], &["needs_tag"]),
            ("no tag needed", one("needs_tag = false"), &["known"], &[], &[]),
            ("another tag", one("tags_any = ['VIP']"), &[staff], &[], &["tags_any"]),
            ("the tag", one("tags_any = ['VIP', ' STAFF']"), &[staff], &[], &[]),
            ("somebody unknown", one(""), &["unknown conf=0.9"], &[], &["sightings", "min_confidence", "needs_tag"]),
            (
                "… whose face is certain, which says nothing of whose it is",
                one("needs_tag = false"),
                &["unknown conf=0.9"],
                &[],
                &["sightings", "min_confidence"],
            ),
            (
                "… is let in where all of that is said",
                one("needs_tag = false\nmin_confidence = 0.0"),
                &["unknown conf=0.9"],
                &[],
                &[],
            ),
            (
                "a certain face of an uncertain person",
                one(""),
                &["known tag=Staff face=0.99 conf=none"],
                &[],
                &["sightings", "min_confidence"],
            ),
            ("no face is nobody", one("needs_tag = false\nmin_confidence = 0.0"), &["no_face"], &[], &["sightings"]),
            ("banned oneself", one(""), &["known tag=Staff tag=Banned"], &[], &["banned_tags"]),
            ("somebody banned is present", one(""), &[staff], &["known id=eve tag=blocked"], &["banned_tags"]),
            ("whose ban is over", one(""), &[staff], &["known id=eve tag=blocked@2026-06-10T09:00:00Z"], &[]),
            ("a list of one's own", one("banned_tags = ['Ex']"), &[staff], &["known id=eve tag=ex"], &["banned_tags"]),
            ("nobody is banned", one("banned_tags = []"), &["known tag=banned"], &[], &[]),
            (
                "somebody banned was recognised late",
                one(""),
                &["known id=eve visit=7 tag=banned late at=2026-06-10T09:59:10Z", staff],
                &[],
                &["banned_tags"],
            ),
            (
                "… or is long gone",
                one(""),
                &["known id=eve visit=7 tag=banned at=2026-06-10T09:58:59Z", staff],
                &[],
                &[],
            ),
            ("outside the window", one("between = ['08:00-11:59']"), &[staff], &[], &["between"]),
            ("inside it, on the wall", one("between = ['11:00-13:00']"), &[staff], &[], &[]),
            ("an old answer", one(""), &["known tag=Staff now=2026-06-10T10:00:05.001Z"], &[], &["max_age_ms"]),
            ("a young one", one(""), &["known tag=Staff now=2026-06-10T10:00:05Z"], &[], &[]),
            ("a clock set back", one(""), &["known tag=Staff now=2026-06-10T09:59:59Z"], &[], &["max_age_ms"]),
            ("too often", one("per_minute = 2"), &[staff, staff, staff], &[], &["per_minute"]),
            (
                "not too often",
                one("per_minute = 2"),
                &["known tag=Staff at=2026-06-10T09:59:00Z", staff, staff],
                &[],
                &[],
            ),
            (
                "everything at once",
                "".into(),
                &["known q=0.1 conf=none tag=banned"],
                &[],
                &["sightings", "min_confidence", "min_quality", "banned_tags"],
            ),
        ] {
            assert_eq!(failed(&guard, answers, present), wanted, "{why}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = GuardMemory::default();
        for n in 0..2 * CARRIERS.max(VISITS) as u128 {
            for shot in 0..2 * ANSWERS as u128 {
                let mut case = Case::parse("known tag=Staff");
                case.recognition.visit = VisitId(Uuid::from_u128(n));
                case.recognition.sighting = Uuid::from_u128(n * 1000 + shot);
                memory.saw(&Occasion::answer(&case.recognition, 0.5, case.clock()));
            }
        }
        let answers = memory.visits.values().map(VecDeque::len).max();
        assert_eq!((memory.visits.len(), memory.order.len(), answers), (VISITS, VISITS, Some(ANSWERS)));
        for _ in 0..2 * MOVES {
            memory.moved("door", DateTime::UNIX_EPOCH);
        }
        assert_eq!((memory.carriers.len(), memory.moves["door"].len()), (CARRIERS, MOVES));
    }
}
