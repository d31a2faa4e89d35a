//! Values that have the right type and still make no sense.
//!
//! In: a section that was read, and its branch for the places. Out: [`Mistake`]s with the allowed range, and warnings
//! for what is allowed but not wise. Nothing outside the configuration is looked at: files, cameras and engines are
//! for `doorward check`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use identities::is_loopback;
use secrecy::ExposeSecret;

use super::diagnose::{Scope, listed, nearest};
use super::load::{DetectorFile, MainFile};
use super::place::Mistake;
use super::tree::Node;
use super::*;

/// Notes mistakes and warnings of one branch.
pub(super) struct Checker<'a> {
    pub scope: &'a Scope,
    pub node: &'a Node,
    pub mistakes: &'a mut Vec<Mistake>,
    pub warnings: &'a mut Vec<Mistake>,
}

impl Checker<'_> {
    pub fn wrong<S: AsRef<str>>(&mut self, path: &[S], problem: impl Into<String>) {
        self.mistakes.push(self.scope.mistake(self.node, path, problem));
    }

    pub fn unwise<S: AsRef<str>>(&mut self, path: &[S], problem: impl Into<String>) {
        self.warnings.push(self.scope.mistake(self.node, path, problem));
    }

    pub fn range<T: PartialOrd + Display>(&mut self, path: &[&str], value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.wrong(path, format!("{value} is out of range; it must be from {low} to {high}"));
        }
    }

    /// The sections of the main file.
    pub fn main(&mut self, main: &MainFile) {
        self.range(&["models", "threads"], main.models.threads, 1..=64);
        self.outbox(&main.outbox);
        if main.state_dir.as_os_str().is_empty() {
            self.wrong(&["state_dir"], "it must name a folder");
        }
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&main.log.filter) {
            self.wrong(&["log", "filter"], format!("it is not like `info,doorward::capture=debug`: {error}"));
        }
        if main.status.listen.is_some_and(|address| !address.ip().is_loopback()) {
            self.unwise(&["status", "listen"], "everyone who reaches this address can read the status page");
        }
        if let Some(identities) = &main.identities {
            self.identities(identities);
        }
        if let Some(mqtt) = &main.mqtt {
            self.mqtt(mqtt);
        }
        if let DryRun::Actions(names) = &main.dry_run {
            for name in names.iter().filter(|name| !main.action.contains_key(*name)) {
                let help = match nearest(name, main.action.keys().map(String::as_str), 0.5) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "for every action write `dry_run = true`".into(),
                };
                self.wrong(&["dry_run"], format!("there is no action `{name}`; {help}"));
            }
        }
        for (name, action) in &main.action {
            action.check(&mut ActionChecker { checker: self, name });
            if matches!(action, ActionConfig::Identities(_)) && main.identities.is_none() {
                self.wrong(&["action", name], "it writes to the engine, and none is configured: add `[identities]`");
            }
            if matches!(action, ActionConfig::Mqtt(_)) && main.mqtt.is_none() && self.node.get(&["mqtt"]).is_none() {
                self.wrong(&["action", name], "it needs a broker, and none is configured: add `[mqtt]` with its `url`");
            }
        }
    }

    fn outbox(&mut self, outbox: &OutboxConfig) {
        if let Err(problem) = outbox.key_bytes() {
            self.wrong(&["outbox", "key"], problem);
        }
        self.range(&["outbox", "max_bytes"], outbox.max_bytes, 1 << 20..=1 << 44);
        self.range(&["outbox", "max_sightings"], outbox.max_sightings, 10..=1_000_000);
        self.range(&["outbox", "max_age_hours"], outbox.max_age_hours, 1..=8_760);
        self.range(&["outbox", "late_after_ms"], outbox.late_after_ms, 100..=60_000);
        self.range(&["outbox", "drain_per_sec"], outbox.drain_per_sec, 0..=1_000);
        self.range(&["outbox", "history_days"], outbox.history_days, 1..=366);
        for (key, hours) in [
            ("keep_known_hours", outbox.keep_known_hours),
            ("keep_unknown_hours", outbox.keep_unknown_hours),
            ("keep_other_hours", outbox.keep_other_hours),
        ] {
            self.range(&["outbox", key], hours, 0..=8_760);
        }
        self.range(&["outbox", "keep_max_bytes"], outbox.keep_max_bytes, 1 << 20..=1 << 44);
    }

    fn identities(&mut self, identities: &IdentitiesConfig) {
        let url = &identities.url;
        let path = ["identities", "url"];
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" if identities.allow_plain_http => {
                self.unwise(&path, "passwords and faces travel unencrypted, as `allow_plain_http` says; use https");
            }
            "http" => self.wrong(
                &path,
                "passwords and faces would travel unencrypted; use https, or say `allow_plain_http = true` beside it",
            ),
            scheme => self.wrong(&path, format!("`{scheme}` is not a way to reach an engine; use https or http")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(&path, "it holds an account; write that as `username` and `password`");
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong(&path, "it ends in a query or fragment; write the address without `?` and `#`");
        }
        if url.scheme() == "http" && (identities.ca_file.is_some() || !identities.pin_sha256.is_empty()) {
            let key = if identities.ca_file.is_some() { "ca_file" } else { "pin_sha256" };
            self.wrong(&["identities", key], "there is no certificate to check over http; use https");
        }
        if identities.username.is_empty() {
            self.wrong(&["identities", "username"], "it is empty; write the account doorward logs in with");
        }
        if identities.password.expose_secret().is_empty() {
            self.wrong(&["identities", "password"], "it is empty; provide it as a credential or variable");
        }
        self.range(&["identities", "timeout_ms"], identities.timeout_ms, 100..=600_000);
        self.range(&["identities", "connect_timeout_ms"], identities.connect_timeout_ms, 100..=60_000);
        self.range(&["identities", "retry_max_ms"], identities.retry_max_ms, 100..=3_600_000);
        self.range(&["identities", "concurrency"], identities.concurrency, 1..=32);
    }

    /// The sections of one detector.
    pub fn detector(&mut self, detector: &DetectorFile) {
        match &detector.camera {
            None => {}
            Some(CameraConfig::V4l2(camera)) => {
                if camera.device.is_empty() {
                    self.wrong(
                        &["camera", "device"],
                        "it is empty; write `/dev/video0` or a name under /dev/v4l/by-id",
                    );
                }
                self.range(&["camera", "width_px"], camera.width_px, 16..=16_384);
                self.range(&["camera", "height_px"], camera.height_px, 16..=16_384);
                self.range(&["camera", "fps"], camera.fps, 1..=240);
                self.range(&["camera", "stall_ms"], camera.stall_ms, 500..=600_000);
            }
            Some(CameraConfig::Stream(camera)) => {
                let url = camera.url.expose_secret();
                match url.contains("://").then(|| address::parse(url)) {
                    None if url.is_empty() => {
                        self.wrong(&["camera", "url"], "it is empty; write it like `rtsp://camera.example/stream`");
                    }
                    None => {}
                    Some(Err(problem)) => self.wrong(&["camera", "url"], problem),
                    Some(Ok(url)) => {
                        if let Some(doubt) = address::doubt(&url) {
                            self.unwise(&["camera", "url"], doubt);
                        }
                    }
                }
                self.range(&["camera", "stall_ms"], camera.stall_ms, 500..=600_000);
            }
            Some(CameraConfig::Replay(camera)) => {
                if camera.path.as_os_str().is_empty() {
                    self.wrong(&["camera", "path"], "it must name a video file or a folder of pictures");
                }
                match (camera.pace, camera.fps) {
                    (_, Some(fps)) => self.range(&["camera", "fps"], fps, 0.1..=240.0),
                    (Pace::Fixed, None) => self.wrong(&["camera", "pace"], "`fixed` also needs `fps`, from 0.1 to 240"),
                    _ => {}
                }
            }
        }
        let DetectorFile { detect, track, quality, crop, identify, presence, .. } = detector;
        self.range(&["detect", "longest_side_px"], detect.longest_side_px, 32..=8_192);
        self.range(&["detect", "min_score"], detect.min_score, 0.0..=1.0);
        self.range(&["detect", "nms_iou"], detect.nms_iou, 0.0..=1.0);
        self.range(&["detect", "max_fps"], detect.max_fps, 0.0..=240.0);
        self.range(&["track", "lost_after_ms"], track.lost_after_ms, 100..=60_000);
        self.range(&["track", "min_frames"], track.min_frames, 1..=100);
        self.range(&["track", "first_shot_ms"], track.first_shot_ms, 0..=60_000);
        self.range(&["track", "better_by"], track.better_by, 0.0..=1.0);
        self.range(&["track", "better_within_ms"], track.better_within_ms, 0..=600_000);
        self.range(&["quality", "min_face_px"], quality.min_face_px, 8..=8_192);
        self.range(&["quality", "min_total"], quality.min_total, 0.0..=1.0);
        self.range(&["crop", "margin"], crop.margin, 0.0..=3.0);
        self.range(&["crop", "jpeg_quality"], crop.jpeg_quality, 1..=100);
        self.range(&["crop", "longest_side_px"], crop.longest_side_px, 32..=8_192);
        self.range(&["presence", "absent_secs"], presence.absent_secs, 1..=86_400);
        if identify.send_aligned && matches!(identify.call, Call::Recognize | Call::Lookup) {
            self.unwise(&["identify", "send_aligned"], "it has no effect: these calls always send the aligned face");
        }
    }

    /// The rules of this branch. `detectors` is `None` in a detector's file, where `when.detectors` has no meaning.
    pub fn rules(
        &mut self,
        rules: &[RuleConfig],
        actions: &BTreeMap<String, ActionConfig>,
        detectors: Option<&[DetectorName]>,
    ) {
        // Rules that were taken out leave holes: the number in the file is the n-th that is still there.
        let list = match self.node.get(&["rule"]).map(|node| &node.body) {
            Some(super::tree::Body::List(list)) => list.iter().enumerate(),
            _ => return,
        };
        let numbers: Vec<String> = list.filter(|(_, node)| !node.is_removed()).map(|(n, _)| n.to_string()).collect();
        for (number, rule) in numbers.iter().zip(rules) {
            let at =
                |rest: &[&str]| ["rule", number].iter().chain(rest).map(|step| step.to_string()).collect::<Vec<_>>();
            if rule.name.trim().is_empty() {
                self.wrong(&at(&["name"]), "it is empty; give the rule a name of its own");
            }
            if rule.actions.is_empty() && !self.node.get(&at(&["actions"])).is_some_and(has_removed) {
                self.wrong(&at(&["actions"]), "it is empty; write the names of `[action.NAME]` sections");
            }
            for action in rule.actions.iter().filter(|name| !actions.contains_key(*name)) {
                // An action that is there and wrong has been told of already.
                if self.node.get(&["action", action]).is_some() {
                    continue;
                }
                let help = match nearest(action, actions.keys().map(String::as_str), 0.5) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if actions.is_empty() => format!("there is none; add a section `[action.{action}]`"),
                    None => format!("there are {}", listed(&actions.keys().collect::<Vec<_>>())),
                };
                self.wrong(&at(&["actions"]), format!("there is no action `{action}`; {help}"));
            }
            if rule.when.event == [EventKind::Left] {
                let moves = |name: &&String| actions.get(*name).is_some_and(ActionConfig::is_actuator);
                for action in rule.actions.iter().filter(moves) {
                    let problem = format!("`{action}` is an actuator, and nothing is opened for somebody who has left");
                    self.wrong(&at(&["actions"]), problem);
                }
            }
            self.when(&rule.when, &at(&["when"]), detectors);
            let known = rule.when.outcome.is_empty() || rule.when.outcome.contains(&OutcomeKind::Known);
            let when = &rule.when;
            let of_person = [
                ("tags_any", !when.tags_any.is_empty()),
                ("tags_all", !when.tags_all.is_empty()),
                ("person_ids", !when.person_ids.is_empty()),
                ("names", !when.names.is_empty()),
                ("fields", !when.fields.is_empty()),
            ];
            for (key, _) in of_person.iter().filter(|(_, given)| *given && !known) {
                let problem = "the rule never fires: only a known person has this, and `outcome` excludes `known`";
                self.unwise(&at(&["when", key]), problem);
            }
            if let Some(unless) = &rule.unless {
                self.when(unless, &at(&["unless"]), detectors);
            }
        }
    }

    fn when(&mut self, when: &WhenConfig, path: &[String], detectors: Option<&[DetectorName]>) {
        let at = |key: &str| path.iter().cloned().chain([key.to_owned()]).collect::<Vec<_>>();
        for (key, least) in [("min_confidence", when.min_confidence), ("min_quality", when.min_quality)] {
            if let Some(least) = least.filter(|least| !(0.0..=1.0).contains(least)) {
                self.wrong(&at(key), format!("{least} is out of range; it must be from 0 to 1"));
            }
        }
        if when.between.iter().any(|window| window.start == window.end) {
            self.wrong(
                &at("between"),
                "a time window that ends when it starts is empty; for the whole day leave it out",
            );
        }
        match detectors {
            Some(known) => {
                for name in when.detectors.iter().filter(|name| !known.contains(name)) {
                    let help = match nearest(name.as_str(), known.iter().map(DetectorName::as_str), 0.5) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("there are {}", listed(&known.iter().map(|n| n.as_str()).collect::<Vec<_>>())),
                    };
                    self.wrong(&at("detectors"), format!("there is no detector `{name}`; {help}"));
                }
            }
            None if !when.detectors.is_empty() => {
                self.wrong(&at("detectors"), "a rule in a detector's file is for that detector alone; leave this out");
            }
            None => {}
        }
    }
}

/// Notes mistakes of one `[action.NAME]`.
pub(super) struct ActionChecker<'a, 'b> {
    checker: &'a mut Checker<'b>,
    name: &'a str,
}

impl ActionChecker<'_, '_> {
    pub fn wrong(&mut self, path: &[&str], problem: impl Into<String>) {
        self.checker.wrong(&[&["action", self.name][..], path].concat(), problem);
    }

    pub fn unwise(&mut self, path: &[&str], problem: impl Into<String>) {
        self.checker.unwise(&[&["action", self.name][..], path].concat(), problem);
    }

    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether the key stands there, whatever its value.
    pub fn is_written(&self, key: &str) -> bool {
        self.checker.node.get(&["action", self.name, key]).is_some()
    }

    pub fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>) {
        self.checker.range(&["action", self.name, key], value, allowed);
    }

    /// A key of a section within the action's.
    pub fn within<T: PartialOrd + Display>(&mut self, section: &str, key: &str, value: T, allowed: RangeInclusive<T>) {
        self.checker.range(&["action", self.name, section, key], value, allowed);
    }
}

/// Whether something of this node was taken out after a mistake.
fn has_removed(node: &Node) -> bool {
    match &node.body {
        super::tree::Body::List(list) => list.iter().any(Node::is_removed),
        _ => node.is_removed(),
    }
}
