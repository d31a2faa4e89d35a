//! Stories: what the rules ask for, step by step, when people come, come back and leave.

use chrono_tz::Europe::Berlin;

use super::cases::{Case, rules};
use super::*;

pub const KNOWN: &str = "[[rule]]\nname = 'known'\nactions = ['log', 'door']\ncooldown_secs = 60\n";
pub const UNKNOWN: &str =
    "[[rule]]\nname = 'unknown'\nactions = ['log']\nwhen = { outcome = ['unknown', 'no_face'] }\n";

/// The `rule>action` pairs asked for at each step of a story, `!` behind those that are late. A step is a case with a
/// second to be seen at.
fn story(steps: &[(i64, &str)]) -> Vec<String> {
    let mut rules = rules(&format!("{KNOWN}{UNKNOWN}"), Berlin);
    let told = |(second, case): &(i64, &str)| {
        let mut case = Case::parse(case);
        case.recognition.seen_at += TimeDelta::seconds(*second);
        case.now = case.recognition.seen_at;
        let requests = rules.evaluate(&case.recognition, case.quality, case.clock());
        let told = |r: &ActionRequest| format!("{}>{}{}", r.rule, r.action, if r.late { "!" } else { "" });
        requests.iter().map(told).collect::<Vec<_>>().join(" ")
    };
    steps.iter().map(told).collect()
}

#[test]
fn stories_of_visits() {
    let both = "known>log known>door";
    for (why, steps, wanted) in [
        ("a better shot with the same answer", &[(0, "known"), (3, "known shot=2")][..], &[both, ""][..]),
        ("the same recognition once more", &[(0, "known"), (0, "known")], &[both, ""]),
        ("back within the cooldown", &[(0, "known"), (59, "known visit=3")], &[both, ""]),
        ("back after it", &[(0, "known"), (60, "known visit=3")], &[both, both]),
        (
            "the cooldown counts from firing",
            &[(0, "known"), (59, "known visit=3"), (61, "known visit=4")],
            &[both, "", both],
        ),
        ("a second person at once", &[(0, "known"), (1, "known visit=3 id=bob")], &[both, both]),
        ("two people in one visit", &[(0, "known"), (1, "known id=bob shot=2")], &[both, both]),
        ("two unknown people", &[(0, "unknown"), (1, "unknown visit=3")], &["unknown>log", "unknown>log"]),
        ("an unknown, seen better, still unknown", &[(0, "unknown"), (3, "unknown shot=2")], &["unknown>log", ""]),
        ("no face, then unknown: one visit", &[(0, "no_face"), (3, "unknown shot=2")], &["unknown>log", ""]),
        ("unknown, then known", &[(0, "unknown"), (3, "known shot=2")], &["unknown>log", both]),
        ("… whose answers come the other way round", &[(3, "known shot=2"), (0, "unknown")], &[both, ""]),
        ("known, then unknown", &[(0, "known"), (3, "unknown shot=2")], &[both, ""]),
        (
            "late, then live: the door has not been used up",
            &[(0, "known late"), (3, "known shot=2")],
            &["known>log! known>door!", "known>door"],
        ),
        ("late twice", &[(0, "known late"), (3, "known shot=2 late")], &["known>log! known>door!", ""]),
        ("live, then late", &[(0, "known"), (3, "known shot=2 late")], &[both, ""]),
        ("answers out of order", &[(30, "known visit=3"), (0, "known")], &[both, ""]),
        (
            "the clock set back by a day",
            &[(86_400, "known visit=3"), (0, "known"), (30, "known visit=4")],
            &[both, both, ""],
        ),
        ("another detector", &[(0, "known"), (1, "known visit=3 detector=Gate")], &[both, both]),
    ] {
        assert_eq!(story(steps), wanted, "{why}");
    }
}

/// The README's first rule, as it stands there: a record of everybody leaves out nobody, however soon they come back.
#[test]
fn the_journal_of_everybody_has_every_visit() {
    let readme = include_str!("../../README.md");
    let from = readme.find("[[rule]]\nname = \"everybody\"").expect("the README has the rule");
    let rule = readme[from..].split("```").next().unwrap();
    let mut rules = rules(rule, Berlin);
    for (second, case) in [
        (0, "known"),
        (5, "unknown visit=3"),
        (20, "known visit=4"),
        (25, "unknown visit=5"),
        (35, "unknown visit=6 stay=5"),
    ] {
        let mut case = Case::parse(case);
        case.recognition.seen_at += TimeDelta::seconds(second);
        case.now = case.recognition.seen_at;
        let requests = rules.evaluate(&case.recognition, case.quality, case.clock());
        assert_eq!(requests.iter().map(|it| it.action.as_str()).collect::<Vec<_>>(), ["journal"], "at {second}");
    }
}

/// Which of the rules fire at each step, by the first letter of their names.
#[test]
fn stories_of_the_past() {
    let toml = [
        ("today", "when = { first_today = true }"),
        ("absent", "when = { absent_secs = 3600 }"),
        ("often", "when = { visits = { within_mins = 60, at_least = 3 } }"),
        ("others", "when = { others = true }"),
        ("strangers", "when = { outcome = ['unknown'], visits = { within_mins = 10, at_least = 2 } }"),
    ]
    .map(|(name, when)| format!("[[rule]]\nname = '{name}'\nactions = ['log']\ncooldown_secs = 0\n{when}\n"))
    .concat();
    for (why, steps, wanted) in [
        ("one visit, two shots", &[(0, "known"), (3, "known shot=2")][..], &["today absent", ""][..]),
        ("back after a while", &[(0, "known"), (600, "known visit=3")], &["today absent", ""]),
        ("back after an hour", &[(0, "known"), (3600, "known visit=3")], &["today absent", "absent"]),
        // Seen at noon: twelve hours on it is tomorrow beside the door, though not yet in UTC.
        ("back the next day", &[(0, "known"), (12 * 3600, "known visit=3")], &["today absent", "today absent"]),
        (
            "absence counts from the last sight",
            &[(0, "known"), (300, "known shot=2"), (3700, "known visit=3")],
            &["today absent", "", ""],
        ),
        (
            "three times in an hour",
            &[(0, "known"), (600, "known visit=3"), (3599, "known visit=4")],
            &["today absent", "", "often"],
        ),
        (
            "three times, but not in an hour",
            &[(0, "known"), (600, "known visit=3"), (3600, "known visit=4")],
            &["today absent", "", ""],
        ),
        ("two people together", &[(0, "known"), (5, "known visit=3 id=bob")], &["today absent", "today absent others"]),
        (
            "two people after each other",
            &[(0, "known"), (31, "known visit=3 id=bob")],
            &["today absent", "today absent"],
        ),
        ("a stranger beside somebody", &[(0, "unknown"), (5, "known visit=3")], &["", "today absent others"]),
        ("two strangers", &[(0, "unknown"), (400, "unknown visit=3")], &["", "strangers"]),
        (
            "a stranger who turned out to be known is none",
            &[(0, "unknown"), (3, "known shot=2"), (400, "unknown visit=3")],
            &["", "today absent", ""],
        ),
        (
            "somebody else's visits do not count",
            &[(0, "known id=bob"), (600, "known visit=3")],
            &["today absent", "today absent"],
        ),
        ("answers out of order", &[(600, "known visit=3"), (0, "known")], &["today absent", "today absent"]),
    ] {
        let mut rules = rules(&toml, Berlin);
        let told = |(second, case): &(i64, &str)| {
            let mut case = Case::parse(case);
            case.recognition.seen_at += TimeDelta::seconds(*second);
            let requests = rules.evaluate(&case.recognition, case.quality, case.clock());
            requests.into_iter().map(|request| request.rule).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(steps.iter().map(told).collect::<Vec<_>>(), wanted, "{why}");
    }
}

#[test]
fn a_restart_forgets_nobody_who_was_seen() {
    let toml = "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { first_today = true }";
    let case = Case::parse("known visit=3");
    let mut restarted = rules(toml, Berlin);
    restarted.restore_seen(Seen::of(&Case::parse("known at=2026-06-10T09:00:00Z").recognition));
    assert_eq!(restarted.evaluate(&case.recognition, case.quality, case.clock()), []);
}

#[test]
fn what_does_not_match_uses_nothing_up() {
    let toml = "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { tags_any = ['Staff'] }";
    let mut rules = rules(toml, Berlin);
    let fired = |rules: &mut Rules, case| {
        let case = Case::parse(case);
        rules.evaluate(&case.recognition, case.quality, case.clock()).len()
    };
    assert_eq!(fired(&mut rules, "known"), 0);
    assert_eq!(fired(&mut rules, "known tag=Staff"), 1);
}

fn look(rules: &Rules, case: &Case) -> Vec<Verdict> {
    rules.look(&VisitorEvent::answer(&case.recognition, case.quality, case.clock()), &[])
}

#[test]
fn verdicts_remember_nothing_and_say_why() {
    let mut rules = rules(&format!("{KNOWN}{UNKNOWN}"), Berlin);
    let case = Case::parse("known");
    let decisions = |rules: &Rules, case: &Case| {
        let verdicts = look(rules, case);
        verdicts.into_iter().map(|verdict| verdict.decision).collect::<Vec<_>>()
    };
    let fires = Decision::Fire { actions: vec!["log".into(), "door".into()], withheld: vec![], refused: vec![] };
    assert_eq!(decisions(&rules, &case), [fires.clone(), Decision::NoMatch]);
    assert_eq!(decisions(&rules, &case), [fires, Decision::NoMatch]);
    rules.evaluate(&case.recognition, case.quality, case.clock());
    assert_eq!(decisions(&rules, &case), [Decision::Repeated, Decision::NoMatch]);
    let since = case.recognition.seen_at;
    assert_eq!(decisions(&rules, &Case::parse("known visit=3")), [Decision::Resting { since }, Decision::NoMatch]);
    assert_eq!(decisions(&rules, &Case::parse("unknown")), [Decision::NoMatch, Decision::VisitKnown]);
    let late = Decision::Fire { actions: vec!["log".into()], withheld: vec!["door".into()], refused: vec![] };
    assert_eq!(decisions(&rules, &Case::parse("known visit=4 id=bob late"))[0], late);
}

#[test]
fn a_restart_forgets_nothing_that_fired() {
    let case = Case::parse("known");
    let fired = rules(KNOWN, Berlin).evaluate(&case.recognition, case.quality, case.clock());
    let mut restarted = rules(KNOWN, Berlin);
    restarted.restore(fired.iter().map(ActionRequest::fired));
    for blocked in ["known", "known visit=3", "known late", "known visit=3 late"] {
        let case = Case::parse(blocked);
        assert_eq!(restarted.evaluate(&case.recognition, case.quality, case.clock()), [], "{blocked}");
    }
    let bob = Case::parse("known visit=3 id=bob");
    assert_eq!(restarted.evaluate(&bob.recognition, bob.quality, bob.clock()).len(), 2);
}

#[test]
fn nothing_personal_is_in_the_debug_text() {
    let case = Case::parse("known tag=Staff text:Badge=C-1187");
    let toml =
        "[[rule]]\nname = 'r'\nactions = ['log']\nwhen = { tags_any = ['Staff'], fields = { Badge = 'C-1187' } }";
    let mut rules = rules(toml, Berlin);
    let verdicts = format!("{:?}", look(&rules, &case));
    let requests = format!("{:?}", rules.evaluate(&case.recognition, case.quality, case.clock()));
    for secret in ["Ann", "C-1187", "Staff"] {
        assert!(!verdicts.contains(secret) && !requests.contains(secret), "{secret}: {verdicts} {requests}");
    }
}

#[test]
fn rules_of_one_name_are_turned_down() {
    let rule = || RuleConfig::new("r", Vec::new());
    let error = Rules::new(vec![rule(), rule()], Berlin, Duration::ZERO, |_| None).err().unwrap();
    assert!(error.to_string().starts_with("two rules are called `r`"));
}

/// Which requests a leaving makes after some answers, with what the event says of it.
#[test]
fn stories_of_leaving() {
    let toml = "[[rule]]\nname = 'gone'\ncooldown_secs = 60
        actions = ['log', 'door']\nwhen = { event = ['left'], outcome = ['known', 'unknown'] }
        [[rule]]\nname = 'staff'\ncooldown_secs = 60
        actions = ['log']\nwhen = { event = ['left'], tags_any = ['Staff'] }
        [[rule]]\nname = 'both'\ncooldown_secs = 60\nactions = ['log']\nwhen = { event = ['recognition', 'left'] }
        [[rule]]\nname = 'came'\ncooldown_secs = 60\nactions = ['log']
        [[rule]]\nname = 'not left'\ncooldown_secs = 60\nactions = ['log']\nunless = { event = ['left'] }";
    let mut rules = rules(toml, Berlin);
    let told = |requests: &[ActionRequest]| {
        requests.iter().map(|r| format!("{}>{}", r.rule, r.action)).collect::<Vec<_>>().join(" ")
    };
    let stay = |case: &str| {
        let Case { recognition, quality, .. } = Case::parse(case);
        let since = recognition.seen_at;
        Stay { recognition, quality, since, last_seen: since + TimeDelta::milliseconds(42_500) }
    };
    let clock = Case::parse("known").clock();
    for (why, event, case, wanted) in [
        ("an answer", "", "known tag=Staff", "both>log came>log not left>log"),
        ("the leaving", "left", "known tag=Staff", "gone>log staff>log both>log"),
        ("told twice, done once", "left", "known tag=Staff", ""),
        ("another visit, within the cooldown of leaving", "left", "known visit=3 tag=Staff", ""),
        ("a second person", "left", "known visit=4 id=bob", "gone>log both>log"),
        ("somebody unknown", "left", "unknown visit=5", "gone>log"),
        ("another somebody", "left", "unknown visit=6", "gone>log"),
        ("after a restart", "left", "known visit=7 id=eve late", "gone>log both>log"),
    ] {
        let case_of = Case::parse(case);
        let requests = match event {
            "left" => rules.left(&stay(case), clock).requests,
            _ => rules.evaluate(&case_of.recognition, case_of.quality, clock),
        };
        assert_eq!(told(&requests), wanted, "{why}");
        for request in requests.iter().filter(|_| event == "left") {
            let event = &request.inputs;
            assert_eq!((&event["event"], &event["stayed_secs"]), (&"left".into(), &42.5.into()), "{why}");
            assert_eq!((&event["since"], request.expires_at), (&"2026-06-10T10:00:00.000Z".into(), None), "{why}");
            assert_eq!(event["seen_at"], "2026-06-10T10:00:42.500Z");
            assert_eq!(event["late"], case.contains("late"));
        }
    }
}

#[test]
fn a_restart_remembers_which_event_a_rule_fired_on() {
    let toml = "[[rule]]\nname = 'both'\nactions = ['log']\nwhen = { event = ['recognition', 'left'] }";
    let case = Case::parse("known");
    let came = rules(toml, Berlin).evaluate(&case.recognition, case.quality, case.clock());
    let since = case.recognition.seen_at;
    let stay = Stay { recognition: case.recognition.clone(), quality: 0.5, since, last_seen: since };
    let mut restarted = rules(toml, Berlin);
    restarted.restore(came.iter().map(ActionRequest::fired));
    let left = restarted.left(&stay, case.clock()).requests;
    assert_eq!(left.len(), 1, "coming does not use up leaving");
    let mut again = rules(toml, Berlin);
    again.restore(came.iter().chain(&left).map(ActionRequest::fired));
    assert_eq!(again.left(&stay, case.clock()).requests, []);
}

/// What a guarded actuator does at each answer: `opens`, the guards that held it back, with the pictures asked for, or
/// nothing.
#[test]
fn stories_of_a_guarded_gate() {
    const GATE: &str = "[[rule]]\nname = 'open'\nactions = ['log', 'gate']\nwhen = { outcome = ['known', 'unknown'] }";
    const STRANGER: &str = "sightings, min_confidence, needs_tag";
    const STRANGER_AGAIN: &str = "sightings, min_confidence, needs_tag +1";
    let staff = |n: u8| (0, format!("known tag=Staff shot={n}"));
    let at = |second: i64, case: &str| (second, case.to_owned());
    for (why, steps, wanted) in [
        ("two answers", vec![staff(1), staff(2)], vec!["sightings +1", "opens"]),
        ("and then no more", vec![staff(1), staff(2), staff(3)], vec!["sightings +1", "opens", ""]),
        ("the same one twice", vec![staff(1), staff(1)], vec!["sightings +1", "sightings +1"]),
        (
            "somebody who may not",
            vec![at(0, "known"), at(0, "known shot=2")],
            vec!["sightings, needs_tag", "needs_tag"],
        ),
        (
            "a poor picture needs two good ones",
            vec![at(0, "known tag=Staff q=0.3"), staff(2), staff(3)],
            vec!["sightings, min_quality +2", "sightings +1", "opens"],
        ),
        (
            "somebody banned comes between, and stays around for a minute",
            vec![staff(1), at(1, "known visit=3 id=eve tag=Banned"), staff(2), at(62, "known tag=Staff shot=3")],
            vec!["sightings +1", "sightings, banned_tags", "banned_tags", "opens"],
        ),
        (
            "a stranger may be somebody in a poor picture, and is not asked about for ever",
            vec![at(0, "unknown shot=1"), at(0, "unknown shot=2"), at(1, "unknown shot=3")],
            vec![STRANGER_AGAIN, STRANGER_AGAIN, STRANGER],
        ),
        (
            "a picture that shows nobody comes between",
            vec![staff(1), at(0, "unknown shot=2"), staff(3)],
            vec!["sightings +1", " +1", "opens"],
        ),
        ("one without a face", vec![staff(1), at(0, "no_face shot=2"), staff(3)], vec!["sightings +1", " +1", "opens"]),
        (
            "one that is refused",
            vec![staff(1), at(0, "refused shot=2"), staff(3)],
            vec!["sightings +1", " +1", "opens"],
        ),
        (
            "somebody else is seen in one of them",
            vec![staff(1), at(0, "known id=bob shot=2"), staff(3)],
            vec!["sightings +1", "sightings, needs_tag +1", "opens"],
        ),
        (
            "late: withheld, whoever it is",
            vec![staff(1), at(1, "known tag=Staff shot=2 late")],
            vec!["sightings +1", "late"],
        ),
    ] {
        let mut rules = rules(GATE, Berlin);
        let told = |(second, case): &(i64, String)| {
            let mut case = Case::parse(case);
            case.recognition.seen_at += TimeDelta::seconds(*second);
            case.recognition.sighting = uuid::Uuid::from_u128(case.recognition.shot.into());
            case.now = case.recognition.seen_at;
            let judged = rules.judge(&case.recognition, case.quality, case.clock(), &[]);
            let gate = judged.requests.iter().find(|request| request.action == "gate");
            let more = judged.confirm.map(|confirm| format!(" +{}", confirm.more)).unwrap_or_default();
            match (gate, judged.refused.first()) {
                (Some(gate), _) if gate.late => "late".to_owned(),
                (Some(_), None) => "opens".to_owned(),
                (None, Some(refused)) => format!("{}{more}", refused.refusal.guards()),
                (None, None) => more,
                both => panic!("{both:?}"),
            }
        };
        assert_eq!(steps.iter().map(told).collect::<Vec<_>>(), wanted, "{why}");
    }
}

#[test]
fn a_restart_keeps_a_gate_still_rather_than_move_it() {
    let toml = "[[rule]]\nname = 'open'\nactions = ['gate']\ncooldown_secs = 0";
    let answer = |rules: &mut Rules, visit: u128, n: u128| {
        let mut case = Case::parse(&format!("known tag=Staff visit={visit} id=p{visit}"));
        case.recognition.sighting = uuid::Uuid::from_u128(n);
        rules.judge(&case.recognition, case.quality, case.clock(), &[])
    };
    let mut before = rules(toml, Berlin);
    assert_eq!(answer(&mut before, 2, 1).requests, []);
    let mut restarted = rules(toml, Berlin);
    assert_eq!(answer(&mut restarted, 2, 2).requests, [], "what confirmed before a restart does not after it");

    let mut fired = Vec::new();
    for visit in 10..16 {
        answer(&mut before, visit, 10);
        fired.extend(answer(&mut before, visit, 11).requests.iter().map(ActionRequest::fired));
    }
    assert_eq!(fired.len(), 6);
    let mut restarted = rules(toml, Berlin);
    restarted.restore(fired);
    answer(&mut restarted, 7, 20);
    let judged = answer(&mut restarted, 7, 21);
    assert_eq!(judged.refused[0].refusal.guards(), "per_minute", "how often it moved is not forgotten");
}
