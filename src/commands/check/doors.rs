//! Whether the doors can open, and for whom: what guards and rules ask of an answer, against what the engine answers.
//!
//! In: a detector with its rules, and what the engine has told of itself, if it was asked. Out: a line for each
//! actuator and for each rule that can never match. It asks nobody anything; a question that only the engine can settle
//! is a warning as long as the engine has not been asked.

use std::collections::BTreeMap;

use identities::Heard;
use identities::text::folded;
use identities::wire::{ANSWERS_REPEATS, MATCH_SCORES};

use super::report::{Report, Verdict};
use crate::config::{
    ActionConfig, Call, DetectorConfig, GuardConfig, IdentifyConfig, LivenessModels, Loaded, OutcomeKind, RuleConfig,
};

/// One thing that is wrong with a guard, or that whoever answers for the door must know.
struct Finding {
    verdict: Verdict,
    /// The key to change: of the action, or with `identify.` or `liveness.` of the detector.
    key: String,
    text: String,
}

/// A guard at one detector.
struct Door<'a> {
    action: &'a str,
    guard: &'a GuardConfig,
    identify: &'a IdentifyConfig,
    liveness: &'a LivenessModels,
    /// What the engine has told of itself; `None` when it was not asked.
    heard: Option<&'a Heard>,
}

/// A line for every actuator of a detector, and for every rule that waits for something no answer holds.
pub(super) fn look(loaded: &Loaded, detector: &DetectorConfig, heard: Option<&Heard>, report: &mut Report) {
    for rule in &detector.rules {
        rule_never_matches(loaded, detector, rule, report);
    }
    let mut guards: BTreeMap<&str, &GuardConfig> = BTreeMap::new();
    for name in detector.rules.iter().flat_map(|rule| &rule.actions) {
        let guard = loaded.settings.actions.get(name).and_then(ActionConfig::guard);
        guards.extend(guard.map(|guard| (name.as_str(), guard)));
    }
    for (action, guard) in guards {
        let (identify, liveness) = (&detector.identify, &detector.liveness.models);
        let door = Door { action, guard, identify, liveness, heard };
        let check = format!("detector {}: actuator {action}", detector.name);
        let findings = door.findings();
        for Finding { verdict, key, text } in &findings {
            let of_detector = key.starts_with("identify.") || key.starts_with("liveness.");
            let of = of_detector.then_some(&detector.name);
            report.add(&check, *verdict, loaded.mistake(of, key, text));
        }
        if findings.is_empty() {
            report.ok(&check, format!("its guard can be met: {}", door.conditions()));
        }
    }
}

impl Door<'_> {
    fn findings(&self) -> Vec<Finding> {
        if let Some(never) = nobody_is_known(self.identify) {
            let text = format!("{never}, so that `{}` never moves", self.action);
            return vec![Finding { verdict: Verdict::BadConfiguration, key: "identify.call".into(), text }];
        }
        [self.match_score(), self.repeats(), self.tags(), self.alive()].into_iter().flatten().collect()
    }

    /// Whether the match is as sure as the guard wants, and whether anybody can say so.
    fn match_score(&self) -> Option<Finding> {
        let key = format!("action.{}.guard.min_confidence", self.action);
        let action = self.action;
        if self.guard.min_confidence <= 0.0 {
            let text = format!(
                "it is 0, so that nothing asks how sure the engine is that a face is this person's: whoever it takes \
                 for somebody with the right tag, in {} of {} pictures, moves `{action}`; with an engine that gives \
                 match scores (doorward's own does), write 0.6 or more",
                self.guard.sightings, self.guard.of
            );
            return Some(Finding { verdict: Verdict::Warning, key, text });
        }
        let without = "or write `min_confidence = 0.0` and answer for it that nothing asks how sure the engine is";
        let (verdict, text) = match (self.identify.call, self.heard) {
            (Call::Recognize | Call::Lookup, _) => (
                Verdict::BadConfiguration,
                format!(
                    "`identify.call = \"{}\"` is answered without a match score, so that `{action}` never moves; use \
                     `call = \"publish_with_response\"` with an engine that gives one (doorward's own does), {without}",
                    self.identify.call.as_str()
                ),
            ),
            (_, Some(heard)) if promises(heard, MATCH_SCORES) => return None,
            (_, Some(_)) => (
                Verdict::Error,
                format!(
                    "the engine does not say that it gives match scores (the vendor's documents know none; its \
                     `confidence` is how sure it is of a face, not of a person), and without one `{action}` never \
                     moves; use an engine that gives one (doorward's own does), {without}"
                ),
            ),
            (_, None) => (
                Verdict::Warning,
                format!(
                    "`{action}` only moves when the engine gives a match score: doorward's own does, the vendor's \
                     documents know none; `doorward check --online` asks the engine; if it gives none, {}",
                    without.trim_start_matches("or ")
                ),
            ),
        };
        Some(Finding { verdict, key, text })
    }

    /// Whether a second picture of the same face is answered at all.
    fn repeats(&self) -> Option<Finding> {
        let Door { identify, guard, action, .. } = self;
        let told = self.heard.is_some_and(|heard| promises(heard, ANSWERS_REPEATS));
        let asks = identify.call == Call::PublishWithResponse && !identify.allow_double_detection;
        (guard.sightings > 1 && asks && !told).then(|| Finding {
            verdict: Verdict::Warning,
            key: "identify.allow_double_detection".into(),
            text: format!(
                "it is false, and `{action}` wants {} pictures of a visit to agree: an engine that answers the same \
                 face within moments with an empty list (which is not documented either way; doorward's own answers \
                 it) keeps it shut; write `allow_double_detection = true`, or try it with a person who may enter",
                guard.sightings
            ),
        })
    }

    /// Whether the tags that let people in and keep them out come along.
    fn tags(&self) -> Option<Finding> {
        let Door { identify, guard, action, .. } = self;
        let unseen = identify.call == Call::PublishWithResponse && !identify.include_tags;
        let both = |tag: &String| guard.banned_tags.iter().any(|banned| folded(banned) == folded(tag));
        let (key, text) = if unseen && guard.needs_tag {
            let text = format!("it is false, and the guard of `{action}` wants a tag: it never moves; write true");
            ("identify.include_tags".to_owned(), text)
        } else if unseen && !guard.banned_tags.is_empty() {
            let text = format!(
                "it is false, so that `banned_tags` of `{action}` keeps nobody out: answers come without tags; write \
                 true, or say that nobody is banned with `banned_tags = []`"
            );
            ("identify.include_tags".to_owned(), text)
        } else if !guard.tags_any.is_empty() && guard.tags_any.iter().all(both) {
            let text = format!("each of these is in `banned_tags`, too, so that `{action}` never moves");
            (format!("action.{action}.guard.tags_any"), text)
        } else {
            return None;
        };
        Some(Finding { verdict: Verdict::BadConfiguration, key, text })
    }

    /// Whether anybody looks whether the visitor is a person or a picture of one, and often enough.
    fn alive(&self) -> Option<Finding> {
        let Door { guard, action, .. } = self;
        let (bound, key) = (guard.min_live, format!("action.{action}.guard"));
        if bound > 0.0 && *self.liveness == LivenessModels::Off {
            let text = format!(
                "it is \"off\", and the guard of `{action}` wants `min_live = {bound}`: it never moves; write \
                 \"auto\", or leave `min_live` out"
            );
            return Some(Finding { verdict: Verdict::BadConfiguration, key: "liveness.models".into(), text });
        }
        (bound > 0.0 && guard.sightings < 2).then(|| Finding {
            verdict: Verdict::Warning,
            key: format!("{key}.sightings"),
            text: format!(
                "one picture is enough for `{action}`, and a single picture of a picture passes now and then \
                 (`min_live = {bound}`); write 2 or more"
            ),
        })
    }

    /// What must hold, in a line.
    fn conditions(&self) -> String {
        let GuardConfig { sightings, of, min_confidence, min_live, needs_tag, tags_any, .. } = self.guard;
        let live = if *min_live > 0.0 { format!(", a liveness of {min_live}") } else { String::new() };
        let tag = match (needs_tag, tags_any.as_slice()) {
            (false, _) => "no tag asked for".into(),
            (true, []) => "any tag".into(),
            (true, tags) => format!("one of the tags {}", tags.join(", ")),
        };
        format!("{sightings} of {of} pictures agree, a match score of {min_confidence}{live}, {tag}")
    }
}

/// A rule that waits for something that answers to this call never hold.
fn rule_never_matches(loaded: &Loaded, detector: &DetectorConfig, rule: &RuleConfig, report: &mut Report) {
    let (when, identify) = (&rule.when, &detector.identify);
    let mut warn = |problem| {
        let mistake = loaded.rule_mistake(&detector.name, &rule.name, "when", problem);
        report.warning(format!("rule {}", rule.name), mistake);
    };
    let about_known = when.outcome.is_empty() || when.outcome.contains(&OutcomeKind::Known);
    if let Some(never) = nobody_is_known(identify) {
        if about_known && when.outcome.len() < 2 {
            warn(format!("the rule never fires: {never}"));
        }
        return;
    }
    let published = identify.call == Call::PublishWithResponse;
    let tags = [&when.tags_any, &when.tags_all].iter().any(|tags| !tags.is_empty());
    let call = identify.call.as_str();
    let gone = |key: &str| format!("`identify.{key}` is false, so that answers come without");
    let sure = when.min_confidence.is_some_and(|least| least > 0.0);
    let (strange, scoreless) = (
        "it is about the match with a person, and a stranger has none".to_owned(),
        format!("`call = \"{call}\"` is answered without a match score"),
    );
    let lacking = [
        (sure && !about_known, "min_confidence", strange),
        (sure && about_known && !published, "min_confidence", scoreless),
        (!when.fields.is_empty() && !published, "fields", format!("`call = \"{call}\"` is answered without fields")),
        (!when.fields.is_empty() && published && !identify.include_fields, "fields", gone("include_fields")),
        (!when.names.is_empty() && published && !identify.include_names, "names", gone("include_names")),
        (tags && published && !identify.include_tags, "tags", gone("include_tags")),
        (!when.tags_none.is_empty() && published && !identify.include_tags, "tags_none", gone("include_tags")),
    ];
    for (_, key, why) in lacking.iter().filter(|(lacks, ..)| *lacks) {
        let end = if *key == "tags_none" { "it keeps nobody out" } else { "the rule never fires" };
        warn(format!("`{key}`: {why}; {end}"));
    }
}

/// Why no answer to this detector ever names a person, if none does.
fn nobody_is_known(identify: &IdentifyConfig) -> Option<&'static str> {
    match identify.call {
        Call::Publish => Some("`identify.call = \"publish\"` is not answered, and nobody is ever recognised"),
        Call::PublishWithResponse if !identify.include_person => {
            Some("with `identify.include_person = false` answers name nobody")
        }
        Call::PublishWithResponse | Call::Recognize | Call::Lookup => None,
    }
}

fn promises(heard: &Heard, promise: &str) -> bool {
    heard.promises.iter().any(|kept| kept == promise)
}
