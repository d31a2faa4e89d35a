//! The table of matcher cases (`cases.txt`) and what reads it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use identities::LeftOut;
use uuid::Uuid;

use super::{ActionRequest, Check, Decision, Firing, RuleClock, Rules, scope_of};
use crate::config::{Days, DetectorName, GuardConfig, RuleConfig, from_toml};
use crate::recognition::{Answer, Field, FieldValue, Known, Nearest, Person, Recognition, Tag};
use crate::track::VisitId;

impl ActionRequest {
    /// The firing this request is part of, and its action, as [`Rules::restore`](Rules::restore) takes them.
    pub fn fired(&self) -> (Firing, String) {
        let firing = Firing {
            rule: self.rule.clone(),
            event: self.event,
            detector: self.detector.clone(),
            person: self.person.clone(),
            visit: self.visit,
            stay: scope_of(&self.key).unwrap(),
            seen_at: self.seen_at,
        };
        (firing, self.action.clone())
    }
}

impl Rules {
    /// [`judge`](Self::judge) with nobody else there, and only what is to be done.
    pub fn evaluate(&mut self, recognition: &Recognition, quality: f32, now: RuleClock) -> Vec<ActionRequest> {
        self.judge(recognition, quality, now, &[]).requests
    }
}

/// A recognition with the circumstances it is judged in.
pub struct Case {
    pub recognition: Recognition,
    pub quality: f32,
    pub now: DateTime<Utc>,
    pub zone: Tz,
}

impl Case {
    /// `known tag=Staff at=2026-06-10T10:00:00Z`: see the head of `cases.txt`.
    pub fn parse(text: &str) -> Self {
        let mut case = Self {
            recognition: Recognition {
                sighting: Uuid::from_u128(1),
                visit: VisitId(Uuid::from_u128(2)),
                stay: None,
                detector: DetectorName::new("Door").unwrap(),
                seen_at: time("2026-06-10T10:00:00Z"),
                arrived: Some(Instant::now()),
                shot: 1,
                live: None,
                answer: Answer::NoFace,
            },
            quality: 0.8,
            now: DateTime::UNIX_EPOCH,
            zone: chrono_tz::Europe::Berlin,
        };
        let mut words = text.split_whitespace();
        let outcome = words.next().expect("a case starts with the outcome");
        // How sure the engine is of the person, and of the face.
        let (mut match_confidence, mut confidence) =
            if outcome == "known" { (Some(0.9), Some(0.99)) } else { (None, None) };
        let mut known = Known {
            person: Person { id: "ann".into(), name: Some("Ann Example".into()) },
            tags: vec![],
            fields: vec![],
            confidence: None,
            match_confidence: None,
            face_id: None,
            detect_id: None,
            left_out: None,
        };
        let (mut now, mut nearest) = (None, None);
        for word in words {
            let word = word.replace('_', " ");
            let (key, value) = word.split_once('=').unwrap_or((&word, ""));
            let mut field = |name: &str, value| known.fields.push(Field { name: name.into(), value });
            match key.split_once(':').unwrap_or((key, "")) {
                ("id", _) => known.person.id = value.into(),
                ("name", _) => known.person.name = (value != "none").then(|| value.into()),
                ("tag", _) => {
                    let (name, expires) = value.split_once('@').unwrap_or((value, ""));
                    let expires = (!expires.is_empty()).then(|| time(expires));
                    known.tags.push(Tag { name: name.into(), expires });
                }
                ("text", name) => field(name, FieldValue::Text(value.into())),
                ("num", name) => field(name, FieldValue::Number(value.parse().unwrap())),
                ("bool", name) => field(name, FieldValue::Bool(value.parse().unwrap())),
                ("date", name) => field(name, FieldValue::Date(time(value))),
                ("empty", name) => field(name, FieldValue::Empty),
                ("conf", _) if outcome == "known" => {
                    match_confidence = (value != "none").then(|| value.parse().unwrap())
                }
                ("conf" | "face", _) => confidence = (value != "none").then(|| value.parse().unwrap()),
                ("nearest", _) => {
                    let name = Some("Ann Example".into());
                    nearest = Some(Nearest { person: Person { id: value.into(), name }, score: 0.41, threshold: 0.43 });
                }
                ("cut", _) => known.left_out = Some(LeftOut { tags: value == "tags", ..LeftOut::default() }),
                ("q", _) => case.quality = value.parse().unwrap(),
                ("live", _) => case.recognition.live = Some(value.parse().unwrap()),
                ("at", _) => case.recognition.seen_at = time(value),
                ("now", _) => now = Some(time(value)),
                // Time zones are spelt with the underscores.
                ("zone", _) => case.zone = value.replace(' ', "_").parse().unwrap(),
                ("detector", _) => case.recognition.detector = DetectorName::new(value).unwrap(),
                ("stay", _) => case.recognition.stay = Some(VisitId(Uuid::from_u128(value.parse().unwrap()))),
                ("visit", _) => case.recognition.visit = VisitId(Uuid::from_u128(value.parse().unwrap())),
                ("shot", _) => case.recognition.shot = value.parse().unwrap(),
                ("late", _) => case.recognition.arrived = None,
                _ => panic!("a case knows no {key}"),
            }
        }
        (known.confidence, known.match_confidence) = (confidence, match_confidence);
        case.now = now.unwrap_or(case.recognition.seen_at);
        case.recognition.answer = match outcome {
            "known" => Answer::Known(known),
            "unknown" => Answer::Unknown { confidence, nearest },
            "no_face" => Answer::NoFace,
            "accepted" => Answer::Accepted,
            "refused" => Answer::Refused { reason: "too small".into() },
            other => panic!("there is no outcome {other}"),
        };
        case
    }

    pub fn clock(&self) -> RuleClock {
        RuleClock { utc: self.now, late: false }
    }
}

/// What the guards of vaults ask of a visit's liveness.
pub const VAULT_LIVE: f32 = 0.5;

/// Rules from `[[rule]]` blocks; actions called `door…` are actuators nothing guards, those called `gate…` are
/// actuators at their defaults, and `vault…` those that want a person alive as well.
pub fn rules(toml: &str, zone: Tz) -> Rules {
    let mut file: BTreeMap<String, Vec<RuleConfig>> = from_toml(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
    let holidays = ["12-25", "2026-06-10"].map(|days| Days::parse(days).unwrap());
    let open = GuardConfig {
        sightings: 1,
        min_confidence: 0.0,
        min_quality: 0.0,
        needs_tag: false,
        banned_tags: Vec::new(),
        max_age_ms: 60_000,
        per_minute: 600,
        ..GuardConfig::default()
    };
    let guard = |name: &str| match name {
        name if name.starts_with("door") => Some(open.clone()),
        name if name.starts_with("gate") => Some(GuardConfig::default()),
        name if name.starts_with("vault") => Some(GuardConfig { min_live: VAULT_LIVE, ..GuardConfig::default() }),
        _ => None,
    };
    let rules = Rules::new(file.remove("rule").unwrap_or_default(), zone, Duration::from_secs(5), guard);
    rules.unwrap().with_holidays(holidays.into())
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a time"))
}

#[test]
fn every_case_of_the_table() {
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let [when, recognition, wanted] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}")
        };
        let wanted = match wanted {
            "yes" => true,
            "no" => false,
            other => panic!("yes or no, not {other}: {line}"),
        };
        let case = Case::parse(recognition);
        let (when, rest) = when.split_once(";;").unwrap_or((when, ""));
        let toml = format!("[[rule]]\nname = 'r'\nactions = ['a']\nwhen = {{ {when} }}\n{rest}");
        let mut rules = rules(&toml, case.zone);
        let judged = rules.judge(&case.recognition, case.quality, case.clock(), &[]);
        let (verdict, fired) = (&judged.verdicts[0], !judged.requests.is_empty());
        let explained = verdict.checks.iter().all(|check: &Check| check.held);
        let decided = matches!(verdict.decision, Decision::Fire { .. });
        if (fired, explained, decided) != (wanted, wanted, wanted) {
            let checks: Vec<_> = verdict.checks.iter().map(|c| (c.matcher, &c.wanted, &c.found, c.held)).collect();
            wrong.push(format!("{line}\n    {checks:?}"));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{} of {rows} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rows >= 150, "{rows} rows");
}
