//! Values that have the right type and still make no sense.
//!
//! In: a section that was read, and its branch for the places. Out: [`Mistake`]s with the allowed range, and warnings
//! for what is allowed but not wise. Nothing outside the configuration is looked at: files, cameras and engines are
//! for `doorward check`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use chrono_tz::{TZ_VARIANTS, Tz};
use secrecy::ExposeSecret;
use url::{Host, Url};

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

    fn range<T: PartialOrd + Display>(&mut self, path: &[&str], value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (low, high) = allowed.into_inner();
            self.wrong(path, format!("{value} is out of range; it must be from {low} to {high}"));
        }
    }

    /// The sections of the main file.
    pub fn main(&mut self, main: &MainFile) {
        self.range(&["models", "threads"], main.models.threads, 1..=64);
        self.range(&["outbox", "max_bytes"], main.outbox.max_bytes, 1 << 20..=1 << 44);
        self.range(&["outbox", "max_age_hours"], main.outbox.max_age_hours, 1..=8_760);
        self.range(&["outbox", "late_after_ms"], main.outbox.late_after_ms, 100..=60_000);
        self.range(&["outbox", "history_days"], main.outbox.history_days, 1..=366);
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
        for (name, action) in &main.action {
            self.action(name, action);
        }
    }

    fn identities(&mut self, identities: &IdentitiesConfig) {
        let url = &identities.url;
        let path = ["identities", "url"];
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" => self.unwise(&path, "passwords and faces travel unencrypted; use https"),
            scheme => self.wrong(&path, format!("`{scheme}` is not a way to reach an engine; use https or http")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong(&path, "it holds an account; write that as `username` and `password`");
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong(&path, "it ends in a query or fragment; write the address without `?` and `#`");
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

    fn action(&mut self, name: &str, action: &ActionConfig) {
        match action {
            ActionConfig::Journal(journal) => {
                if journal.path.as_os_str().is_empty() {
                    self.wrong(&["action", name, "path"], "it must name a file");
                }
                self.range(&["action", name, "max_bytes"], journal.max_bytes, 4096..=1 << 44);
                self.range(&["action", name, "keep"], journal.keep, 0..=1000);
            }
            ActionConfig::Webhook(webhook) => {
                let url = webhook.url.expose_secret().trim_start();
                if !["http://", "https://", "{"].iter().any(|start| url.starts_with(start)) {
                    self.wrong(&["action", name, "url"], "it must start with https:// or http://");
                }
                const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
                if !METHODS.iter().any(|method| method.eq_ignore_ascii_case(&webhook.method)) {
                    self.wrong(&["action", name, "method"], format!("it must be one of {}", listed(&METHODS)));
                }
                for header in webhook.headers.keys() {
                    if header.is_empty()
                        || !header.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~!#$%&'*+^`|".contains(c))
                    {
                        self.wrong(&["action", name, "headers", header], "this is not the name of a header");
                    }
                }
                self.range(&["action", name, "timeout_ms"], webhook.timeout_ms, 100..=60_000);
                self.range(&["action", name, "tries"], webhook.tries, 1..=20);
                self.range(&["action", name, "within_ms"], webhook.within_ms, 100..=3_600_000);
            }
            ActionConfig::Exec(exec) => {
                if exec.program.as_os_str().is_empty() {
                    self.wrong(&["action", name, "program"], "it must name a program");
                }
                for variable in exec.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
                    self.wrong(&["action", name, "env", variable], "this is not the name of a variable");
                }
                self.range(&["action", name, "timeout_ms"], exec.timeout_ms, 100..=600_000);
            }
        }
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
                if url.is_empty() || (url.contains("://") && Url::parse(url).is_err()) {
                    self.wrong(&["camera", "url"], "it is not an address like `rtsp://camera.example/stream`");
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
        let DetectorFile { detect, track, quality, crop, identify, .. } = detector;
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
        for (key, wanted) in [("send_aligned", identify.send_aligned), ("send_embedding", identify.send_embedding)] {
            if wanted && matches!(identify.call, Call::Recognize | Call::Lookup) {
                self.unwise(&["identify", key], "it has no effect: only publish and publish_with_response carry it");
            }
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

/// The time zone of this name; the error names the nearest: `stockholm`, `CET/Stockholm` and `Europe/Stokholm` all mean
/// one place.
pub(super) fn parse_time_zone(zone: &str) -> Result<Tz, String> {
    if let Ok(zone) = zone.parse() {
        return Ok(zone);
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let wanted = zone.rsplit('/').next().unwrap_or(zone).replace(' ', "_");
    let near = names()
        .find(|name| city(name).eq_ignore_ascii_case(&wanted) && name.contains('/'))
        .or_else(|| nearest(zone, names(), 0.7));
    Err(match near {
        Some(near) => format!("there is no time zone `{zone}`; did you mean `{near}`?"),
        None => format!(
            "there is no time zone `{zone}`; write it like `Europe/Stockholm`, as in the IANA time zone database"
        ),
    })
}

/// Whether something of this node was taken out after a mistake.
fn has_removed(node: &Node) -> bool {
    match &node.body {
        super::tree::Body::List(list) => list.iter().any(Node::is_removed),
        _ => node.is_removed(),
    }
}

/// Whether an address stays on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}
