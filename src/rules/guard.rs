//! What must hold before an actuator moves.
//!
//! In: an answer, whoever is present, and what was before. Out: one [`Check`] per guard; the actuator moves when all of
//! them held.

use chrono_tz::Tz;
use identities::text::folded;

use super::check::{Check, list, live_text, match_score};
use super::guard_memory::{GuardMemory, LiveAnswer};
use super::schedule;
use super::stay::{Guest, Stay};
use super::verdict::Refusal;
use super::visitor_event::VisitorEvent;
use crate::config::{GuardConfig, WhenConfig};
use crate::track::Confirm;

/// Guards that more pictures of a visitor can satisfy.
const OF_PICTURES: [&str; 4] = ["sightings", "min_confidence", "min_quality", "min_live"];
/// Guards that a visitor satisfies once they are recognised.
const OF_TAGS: [&str; 2] = ["needs_tag", "tags_any"];

/// A guard made ready.
pub struct Guard {
    config: GuardConfig,
    tags_any: Vec<String>,
    banned: Vec<String>,
    /// `between`, as a rule says it.
    hours: WhenConfig,
}

/// What guards look at, beside their configuration.
pub struct Circumstances<'a> {
    pub happened: &'a VisitorEvent<'a>,
    pub memory: &'a GuardMemory,
    pub present: &'a [Stay],
    pub zone: Tz,
}

impl Guard {
    pub fn new(config: GuardConfig) -> Self {
        let fold = |texts: &[String]| texts.iter().map(|text| folded(text)).collect();
        Self {
            tags_any: fold(&config.tags_any),
            banned: fold(&config.banned_tags),
            hours: WhenConfig { between: config.between.clone(), ..WhenConfig::default() },
            config,
        }
    }

    /// Why the actuator must not move; `None` when it may.
    pub fn refuses(&self, action: &str, circumstances: &Circumstances) -> Option<Refusal> {
        let guards: Vec<_> = self.checks(action, circumstances).into_iter().filter(|check| !check.held).collect();
        let confirm = self.confirm(&guards, circumstances);
        (!guards.is_empty()).then(|| Refusal { action: action.to_owned(), guards, confirm })
    }

    /// Every guard, whether it held or not; liveness and the time window only where they are asked for.
    fn checks(&self, action: &str, circumstances: &Circumstances) -> Vec<Check> {
        let GuardConfig { sightings, of, min_confidence, min_quality, min_live, max_age_ms, per_minute, .. } =
            self.config;
        let VisitorEvent { recognition, now, quality, live, .. } = circumstances.happened;
        let agreeing = self.agreeing(circumstances);
        let score = recognition.answer.match_confidence();
        let age = (now.utc - recognition.seen_at).num_milliseconds();
        let moves = circumstances.memory.moves_around(action, recognition.seen_at);
        let mut checks = vec![
            Check::of("sightings", format!("{sightings} of {of}"), agreeing, agreeing >= usize::from(sightings)),
            Check::of("min_confidence", min_confidence, match_score(score), score.unwrap_or(0.0) >= min_confidence),
            Check::of("min_quality", min_quality, quality, *quality >= min_quality),
        ];
        if min_live > 0.0 {
            checks.push(Check::of("min_live", min_live, live_text(*live), live.unwrap_or(0.0) >= min_live));
        }
        checks.extend(self.tag(circumstances));
        checks.push(self.banned(circumstances));
        checks.extend(schedule::checks(&self.hours, recognition.seen_at.with_timezone(&circumstances.zone), &[]));
        // The clock was set back between the frame and now: nobody knows how old the answer is.
        let young = u64::try_from(age).is_ok_and(|age| age <= max_age_ms);
        checks.push(Check::of("max_age_ms", max_age_ms, age, young));
        checks.push(Check::of("per_minute", per_minute, moves, moves < per_minute as usize));
        checks
    }

    /// Which pictures could make these failed checks hold; `None` where pictures of the same visitor cannot.
    fn confirm(&self, failed: &[Check], circumstances: &Circumstances) -> Option<Confirm> {
        let curable = failed.iter().all(|check| OF_PICTURES.contains(&check.matcher));
        if !curable || Guest::of(&circumstances.happened.recognition).is_none() {
            return None;
        }
        let agreeing = self.agreeing(circumstances);
        let missing = usize::from(self.config.sightings).saturating_sub(agreeing).max(1);
        Some(self.pictures(u8::try_from(missing).unwrap_or(u8::MAX)))
    }

    /// The pictures after which the actuator might move although this answer recognised nobody: a poor picture makes a
    /// stranger of anybody. `None` where it would not move whoever they show.
    pub fn hopes_for(&self, action: &str, circumstances: &Circumstances) -> Option<Confirm> {
        let mut failed = self.checks(action, circumstances).into_iter().filter(|check| !check.held);
        let curable = failed.all(|check| OF_PICTURES.contains(&check.matcher) || OF_TAGS.contains(&check.matcher));
        curable.then(|| self.pictures(1))
    }

    fn pictures(&self, more: u8) -> Confirm {
        Confirm { more, most: self.config.of, min_quality: self.config.min_quality }
    }

    fn tag(&self, circumstances: &Circumstances) -> Option<Check> {
        if !self.config.needs_tag {
            return None;
        }
        let happened = circumstances.happened;
        let tags: Vec<_> = happened.valid_tags(&happened.recognition).map(|tag| folded(&tag.name)).collect();
        let (key, wanted, held) = match self.tags_any.as_slice() {
            [] => ("needs_tag", "any".into(), !tags.is_empty()),
            any => ("tags_any", list(any, String::clone), tags.iter().any(|tag| any.contains(tag))),
        };
        Some(Check::of(key, wanted, list(&tags, String::clone), held))
    }

    fn banned(&self, circumstances: &Circumstances) -> Check {
        let Circumstances { happened, memory, present, .. } = circumstances;
        let there: Vec<_> = present.iter().map(|stay| &stay.recognition).chain([&*happened.recognition]).collect();
        let around = memory.tags_around(happened.recognition.seen_at).filter(|tag| happened.counts(tag));
        let tags = there.iter().flat_map(|there| happened.valid_tags(there)).chain(around);
        let mut found: Vec<_> = tags.map(|tag| folded(&tag.name)).filter(|tag| self.banned.contains(tag)).collect();
        found.sort();
        found.dedup();
        let wanted = format!("nobody with {}", list(&self.banned, String::clone));
        let unread = !self.banned.is_empty() && there.into_iter().any(|there| there.answer.lacks_tags());
        let told = if unread { "an answer too large to read all tags of".into() } else { list(&found, String::clone) };
        Check::of("banned_tags", wanted, told, found.is_empty() && !unread)
    }

    /// How many of the visit's newest answers say the same as this one and are good enough.
    fn agreeing(&self, circumstances: &Circumstances) -> usize {
        let good = |answer: &LiveAnswer| {
            answer.quality >= self.config.min_quality
                && answer.match_confidence.unwrap_or(0.0) >= self.config.min_confidence
        };
        circumstances.memory.agreeing(circumstances.happened, self.config.of, good)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;
    use uuid::Uuid;

    use super::super::cases::{Case, rules};
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
            let mut happened = VisitorEvent::answer(&case.recognition, case.quality, clock);
            memory.saw(&happened);
            happened.live = memory.live(&happened);
            let circumstances = Circumstances { happened: &happened, memory: &memory, present: &present, zone: Berlin };
            let checks = guard.checks("door", &circumstances);
            last = checks.iter().filter(|check| !check.held).map(|check| check.matcher).collect();
            if last.is_empty() {
                memory.moved("door", case.recognition.seen_at);
            }
        }
        last
    }

    #[test]
    fn more_pictures_are_asked_for_while_a_visit_may_be_a_picture() {
        let mut rules = rules("[[rule]]\nname = 'r'\nactions = ['vault']\n", Berlin);
        let mut judged = |n, live: f32| {
            let mut case = Case::parse(&format!("known tag=Staff live={live}"));
            case.recognition.sighting = Uuid::from_u128(n);
            rules.judge(&case.recognition, case.quality, case.clock(), &[])
        };
        let first = judged(1, 0.25);
        assert_eq!(first.refused[0].refusal.guards(), "sightings, min_live");
        let second = judged(2, 0.5);
        assert_eq!(second.refused[0].refusal.reason(), "min_live wants 0.5, found 0.375");
        assert_eq!([first.confirm, second.confirm].map(|confirm| confirm.unwrap().more), [1, 1]);
        let third = judged(3, 1.0);
        assert_eq!((third.requests.len(), third.live), (1, Some(1.75 / 3.0)));
        assert!(third.confirm.is_none());
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
            ("tags nobody has read", one(""), &["known tag=Staff cut=tags"], &[], &["banned_tags"]),
            ("… of somebody else", one(""), &[staff], &["known id=bob cut=tags"], &["banned_tags"]),
            ("… where nobody is banned", one("banned_tags = []"), &["known tag=Staff cut=tags"], &[], &[]),
            ("an answer with all of its tags", one(""), &["known tag=Staff cut=fields"], &[], &[]),
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
            ("a picture of them", one("min_live = 0.5"), &["known tag=Staff live=0.49"], &[], &["min_live"]),
            ("themselves", one("min_live = 0.5"), &["known tag=Staff live=0.5"], &[], &[]),
            ("no model has looked", one("min_live = 0.5"), &[staff], &[], &["min_live"]),
            ("nobody asks for it", one(""), &["known tag=Staff live=0.0"], &[], &[]),
            (
                "more pictures that make up for one",
                one("min_live = 0.5"),
                &["known tag=Staff live=0.4", "known tag=Staff live=0.7"],
                &[],
                &[],
            ),
            (
                "a living stranger before the picture of somebody",
                one("min_live = 0.5"),
                &["unknown live=1.0", "unknown live=1.0", "known tag=Staff live=0.3"],
                &[],
                &["min_live"],
            ),
            (
                "somebody after a picture of somebody",
                one("min_live = 0.5"),
                &["unknown live=0.0", "known tag=Staff live=0.9"],
                &[],
                &["min_live"],
            ),
            (
                "the same picture twice",
                one("min_live = 0.5"),
                &["known tag=Staff live=0.4 shot=1"; 2],
                &[],
                &["min_live"],
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
}
