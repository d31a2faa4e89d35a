//! Rules about cameras: what is to be done when one is in trouble, and when it is well again.
//!
//! In: [`CameraNews`]. Out: the same [`Judgement`] as of a visitor. Only rules whose `event` names cameras are asked;
//! who was told of a trouble is told of its end, and nobody else.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::event::{self, Moment};
use super::groups::ActionGroup;
use super::request::{ActionRequest, key};
use super::verdict::{Decision, Judgement, Verdict};
use super::{Firing, Rule, Rules};
use crate::config::{DetectorName, EventKind};
use crate::track::VisitId;

/// A camera is in trouble, or well again.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraNews {
    pub detector: DetectorName,
    /// Tells one trouble from the next.
    pub trouble: VisitId,
    /// `camera`, `picture` or `detection`, as `/health` names it.
    pub part: &'static str,
    /// What is wrong, or was.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    pub at: DateTime<Utc>,
    pub over: bool,
}

/// Whom the rules have told of what.
#[derive(Debug, Default)]
pub struct Told {
    /// By rule: the trouble it was last told of, and when.
    by_rule: BTreeMap<String, (VisitId, DateTime<Utc>)>,
}

impl Rules {
    /// A camera's news. Nothing is opened for them, and nothing is stored: after a restart a trouble that is still
    /// there is told of again.
    pub fn camera(&mut self, news: &CameraNews) -> Judgement {
        let mut judgement = Judgement::default();
        let local = news.at.with_timezone(&self.zone);
        for rule in &self.rules {
            let checks = rule.checks(
                |matchers| matchers.checks_of_camera(&news.detector, local, &self.holidays),
                || self.document(rule, "", "", news),
            );
            let before = self.told.by_rule.get(&*rule.name).copied();
            let decision = match before {
                _ if !checks.iter().all(|check| check.held) => Decision::NoMatch,
                Some((trouble, _)) if trouble == news.trouble && !news.over => Decision::Repeated,
                Some((trouble, since)) if trouble != news.trouble && news.over => Decision::Resting { since },
                None if news.over => Decision::NoMatch,
                Some((trouble, since)) if trouble != news.trouble && news.at - since < rule.cooldown => {
                    Decision::Resting { since }
                }
                _ => Decision::Fire { actions: rule.telling(), withheld: Vec::new(), refused: Vec::new() },
            };
            if let Decision::Fire { actions, .. } = &decision {
                judgement.requests.extend(actions.iter().map(|action| self.request(rule, action, news)));
                self.told.by_rule.insert(rule.name.to_string(), (news.trouble, news.at));
            }
            judgement.verdicts.push(Verdict { rule: rule.name.to_string(), checks, decision });
        }
        judgement
    }

    fn request(&self, rule: &Rule, action: &str, news: &CameraNews) -> ActionRequest {
        let CameraNews { detector, trouble, at, over, .. } = news;
        let firing = Firing {
            rule: rule.name.to_string(),
            event: EventKind::Camera,
            detector: detector.clone(),
            person: None,
            visit: *trouble,
            stay: *trouble,
            seen_at: *at,
        };
        // A key of its own for the end, as of somebody's having left.
        let group = if *over { ActionGroup::Left } else { ActionGroup::Tell };
        let key = key(&firing, group, action);
        ActionRequest {
            inputs: self.document(rule, action, &key, news),
            action: action.to_owned(),
            event: EventKind::Camera,
            rule: firing.rule,
            detector: firing.detector,
            visit: *trouble,
            sighting: Uuid::nil(),
            person: None,
            seen_at: *at,
            key,
            picture: None,
            late: false,
            expires_at: None,
        }
    }

    /// The event: as a visitor's, with null where that says something of somebody.
    fn document(&self, rule: &Rule, action: &str, key: &str, news: &CameraNews) -> Value {
        let CameraNews { detector, part, reason, since, at, over, .. } = news;
        let moment = Moment { event: EventKind::Camera, detector, at: *at, zone: self.zone };
        let mut document = event::of_moment(&moment, &rule.name, action, key);
        document["since"] = json!(since.to_rfc3339_opts(SecondsFormat::Millis, true));
        if *over {
            document["stayed_secs"] = json!((*at - *since).num_milliseconds() as f64 / 1e3);
        }
        document["late"] = json!(false);
        document["reason"] = json!(reason);
        document["camera"] = json!({ "ok": over, "part": part });
        document
    }
}

impl Rule {
    /// Its actions that only tell somebody.
    fn telling(&self) -> Vec<String> {
        let telling = self.actions.iter().filter(|action| action.guard.is_none());
        telling.map(|action| action.name.clone()).collect()
    }
}
