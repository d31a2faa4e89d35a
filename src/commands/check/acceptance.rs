//! The acceptance test of a box at its engine: what each detector will ask, asked once without harm.
//!
//! In: the configuration and a client of the engine. Out: a line per detector and question, each with what to do, and
//! what the engine has told of itself. The picture that is sent shows no face: an engine finds nobody in it, answers
//! so, and keeps nothing. Rights are tried out on a person who does not exist.

use chrono::{TimeDelta, Utc};
use faces::detect::Rect;
use faces::picture::Picture;
use identities::{Client, Heard, Right};
use uuid::Uuid;

use super::report::{Report, Verdict};
use crate::config::{Call, DetectorConfig, GuardConfig, Settings};
use crate::crop::Sighting;
use crate::recognition::{Answer, identify, wants_aligned};
use crate::terminal::with_causes;
use crate::track::VisitId;

/// Clocks that differ by this much date things wrongly for people; that much, and logins and tags end at the wrong
/// time.
const CLOCK_DIFFERS: TimeDelta = TimeDelta::seconds(5);
const CLOCK_WRONG: TimeDelta = TimeDelta::seconds(120);
/// Of the aligned face, which an engine may insist on.
const SIDE_PX: u32 = 112;

/// Logs in, and asks what every detector will ask. Gives what the engine has told of itself; `None` where it let nobody
/// in.
pub(super) async fn run(settings: &Settings, client: &Client, report: &mut Report) -> Option<Heard> {
    if let Err(error) = client.authenticate().await {
        report.error("engine", with_causes(&error));
        return None;
    }
    report.ok("engine", format!("{} lets us in", client.host()));
    let rights = client.rights_to_parts().await;
    for detector in &settings.detectors {
        call(detector, client, report).await;
        match &rights {
            Ok(rights) => parts(settings, detector, rights, report),
            Err(error) => {
                let depends = ["names", "tags", "fields"].iter().any(|part| needed(settings, detector, part));
                let verdict = if depends { Verdict::Error } else { Verdict::Warning };
                let detail = format!("what the account may read could not be tried out: {error}; run the check again");
                report.add(format!("detector {}: permissions", detector.name), verdict, detail);
            }
        }
    }
    let heard = client.heard();
    clock(&heard, report);
    Some(heard)
}

/// The detector's own call, with a picture that shows nobody.
async fn call(detector: &DetectorConfig, client: &Client, report: &mut Report) {
    let check = format!("detector {}: {}", detector.name, detector.identify.call.as_str());
    let sighting = match without_a_face(detector) {
        Ok(sighting) => sighting,
        Err(error) => return report.error(check, format!("the picture to try it with could not be made: {error}")),
    };
    match identify(client, &sighting, &detector.identify).await.map(|recognition| recognition.answer) {
        Ok(Answer::Known(_)) => report.error(
            check,
            "the engine recognised somebody in a plain grey picture; do not let it open a door before its \
             administrator has found out why",
        ),
        Ok(Answer::Unknown { .. }) if detector.identify.call == Call::PublishWithResponse => report.warning(
            check,
            "the engine found a face in a plain grey picture and has written it down; ask its administrator for the \
             least score of its face detector",
        ),
        Ok(_) => report.ok(check, "the engine takes pictures from this account and finds nobody where there is nobody"),
        Err(error) => report.error(check, error.reason()),
    }
}

/// A grey picture, as the detector would send one.
fn without_a_face(detector: &DetectorConfig) -> Result<Sighting, faces::picture::PictureError> {
    let grey = |side| Picture::filled(side, side, [128; 3]).jpeg(90).map(bytes::Bytes::from);
    let aligned = wants_aligned(&detector.identify).then(|| grey(SIDE_PX)).transpose()?;
    let side = (2 * SIDE_PX) as f32;
    Ok(Sighting {
        id: Uuid::now_v7(),
        visit: VisitId(Uuid::now_v7()),
        stay: None,
        detector: detector.name.clone(),
        time_zone: detector.time_zone,
        seen_at: Utc::now(),
        arrived: None,
        shot: 1,
        quality: 0.0,
        expanded: grey(2 * SIDE_PX)?,
        face: Rect { x: side / 4.0, y: side / 4.0, width: side / 2.0, height: side / 2.0 },
        aligned,
        embedding: None,
        liveness: None,
    })
}

/// The parts of a person that are asked for, and whether the account may read them: what it may not read is left out of
/// every answer without a word.
fn parts(settings: &Settings, detector: &DetectorConfig, rights: &[Right], report: &mut Report) {
    let identify = &detector.identify;
    if identify.call != Call::PublishWithResponse || !identify.include_person {
        return;
    }
    let wanted = [
        ("names", "include_names", identify.include_names),
        ("tags", "include_tags", identify.include_tags),
        ("fields", "include_fields", identify.include_fields),
        ("addresses", "include_addresses", identify.include_addresses),
    ];
    for ((part, key, _), right) in wanted.into_iter().zip(rights).filter(|((.., wanted), _)| *wanted) {
        let check = format!("detector {}: {part}", detector.name);
        if right.held {
            report.ok(check, format!("the account may read them (`identify.{key}`)"));
            continue;
        }
        let needed = needed(settings, detector, part);
        let permission = match right.permission.name() {
            "Read All Identity" => "\"Read All Identity\" or \"Read Addresses\"".to_owned(),
            narrow => format!("\"{narrow}\" or \"Read All Identity\""),
        };
        let consequence = if needed { "rules or guards here depend on them" } else { "no rule here depends on them" };
        let verdict = if needed { Verdict::Error } else { Verdict::Warning };
        report.add(
            check,
            verdict,
            format!(
                "the account may not read them, so that answers come without, and {consequence}; give its role the \
                 permission {permission} (category {}, under System, System settings, Roles), or write \
                 `identify.{key} = false`",
                right.permission.category()
            ),
        );
    }
}

/// Whether a rule or a guard of the detector goes by this part of a person.
fn needed(settings: &Settings, detector: &DetectorConfig, part: &str) -> bool {
    let guards = detector.rules.iter().flat_map(|rule| &rule.actions);
    let mut guards = guards.filter_map(|name| settings.actions.get(name)?.guard());
    let mut whens = detector.rules.iter().flat_map(|rule| std::iter::once(&rule.when).chain(&rule.unless));
    match part {
        "tags" => {
            guards.any(|guard: &GuardConfig| guard.needs_tag || !guard.banned_tags.is_empty())
                || whens
                    .any(|when| [&when.tags_any, &when.tags_all, &when.tags_none].iter().any(|tags| !tags.is_empty()))
        }
        "names" => whens.any(|when| !when.names.is_empty()),
        "fields" => whens.any(|when| !when.fields.is_empty()),
        _ => false,
    }
}

/// How far the engine's clock is from this box's.
fn clock(heard: &Heard, report: &mut Report) {
    let check = "engine's clock";
    let Some(ahead) = heard.clock_ahead else {
        return report.warning(check, "the engine does not tell the time; compare its clock with this box's");
    };
    let seconds = ahead.num_milliseconds() as f64 / 1e3;
    let side = if seconds > 0.0 { "ahead of" } else { "behind" };
    let told = format!("it is {:.0} s {side} this box's", seconds.abs());
    let what_to_do = "let both follow a time server; on this box `timedatectl set-ntp true`";
    if ahead.abs() >= CLOCK_WRONG {
        report.error(check, format!("{told}: tags end and logins lapse at the wrong time; {what_to_do}"));
    } else if ahead.abs() >= CLOCK_DIFFERS {
        let detail = format!("{told}: visits are dated wrongly in the engine's history; {what_to_do}");
        report.warning(check, detail);
    } else {
        report.ok(check, format!("within {} s of this box's", CLOCK_DIFFERS.num_seconds()));
    }
}
