//! From a branch of the configuration to its struct, and from what went wrong to a [`Mistake`] that helps.
//!
//! In: a [`Node`]. Out: the struct, with every mistake of the branch, not only the first: what is wrong is noted and
//! taken out, and the rest is read again. It knows which keys every section has, to say where a stray one belongs.

use std::path::PathBuf;

use serde::de::{DeserializeOwned, Visitor};
use serde::forward_to_deserialize_any;

use super::load::{DetectorFile, MainFile};
use super::place::{Mistake, Place};
use super::tree::{Body, Node, Problem, Rejection};
use super::*;

/// Which file is being read, for the names of keys and the advice.
#[derive(Debug)]
pub(super) struct Scope {
    pub main_file: PathBuf,
    /// The detector's file; `None` while the main file is read.
    pub detector_file: Option<PathBuf>,
}

/// A section, how to point at it, and its keys.
pub(super) struct Section {
    /// As in a detector's file, or as in the main file for what stands only there.
    pub name: &'static str,
    pub tag: Option<&'static str>,
    pub keys: &'static [&'static str],
    pub per_detector: bool,
}

/// Reads a branch. Every mistake is added to the list; `None` when the branch as a whole is unusable.
pub(super) fn read<T: DeserializeOwned>(node: &mut Node, scope: &Scope, mistakes: &mut Vec<Mistake>) -> Option<T> {
    loop {
        let rejection = match T::deserialize(&*node) {
            Ok(value) => return Some(value),
            Err(rejection) => rejection,
        };
        let mut path = rejection.path.clone();
        match &rejection.problem {
            Problem::UnknownKey { key, .. } => path.push(key.clone()),
            Problem::MissingKey(key) => {
                // Already told of, if it is missing because it was taken out.
                path.push((*key).to_owned());
                let told = node.get(&path).is_some_and(Node::is_removed);
                path.pop();
                if !told {
                    mistakes.push(describe(&rejection, node, scope));
                }
                take_out(node, &path)?;
                continue;
            }
            _ => {}
        }
        mistakes.push(describe(&rejection, node, scope));
        take_out(node, &path)?;
    }
}

/// `None` for the root, or for a path that leads nowhere: then reading again would not end.
fn take_out(node: &mut Node, path: &[String]) -> Option<()> {
    let wrong = (!path.is_empty()).then(|| node.get_mut(path)).flatten()?;
    let progress = !wrong.is_removed();
    wrong.body = Body::Removed;
    progress.then_some(())
}

impl Scope {
    /// A mistake at a path of the branch that is being read.
    pub fn mistake<S: AsRef<str>>(&self, node: &Node, path: &[S], problem: impl Into<String>) -> Mistake {
        let place = node.place_of(path).unwrap_or_else(|| self.file());
        Mistake::new(Some(place.clone()), self.key(path, &place), problem)
    }

    /// The file as a whole.
    fn file(&self) -> Place {
        Place::file(self.detector_file.as_ref().unwrap_or(&self.main_file))
    }

    /// The key as the file writes it, without the numbers of list items, which the line tells better.
    fn key<S: AsRef<str>>(&self, path: &[S], place: &Place) -> String {
        let default_of_all =
            self.detector_file.is_some() && matches!(place, Place::File { file, .. } if **file == *self.main_file);
        let steps = path.iter().map(AsRef::as_ref).filter(|step| step.parse::<usize>().is_err());
        default_of_all.then_some("detector").into_iter().chain(steps).collect::<Vec<_>>().join(".")
    }
}

fn describe(rejection: &Rejection, node: &Node, scope: &Scope) -> Mistake {
    let mut path = rejection.path.clone();
    let problem = match &rejection.problem {
        Problem::UnknownKey { key, expected } => {
            let section = rejection.path.clone();
            path.push(key.clone());
            let per_detector = scope.detector_file.is_some();
            format!("there is no such key here; {}", stray_key(&section, key, expected, node, per_detector))
        }
        Problem::MissingKey(key) => {
            let place = node.place_of(&path).unwrap_or_else(|| scope.file());
            path.push((*key).to_owned());
            let problem = format!("this is missing; {}", example(&path));
            return Mistake::new(Some(place.clone()), scope.key(&path, &place), problem);
        }
        Problem::WrongType { wanted, found } if found == "text" && !wanted.starts_with(['a', 't']) => {
            format!("this text is not accepted: {wanted}")
        }
        Problem::WrongType { wanted, found } => format!("it is {found}; it must be {wanted}"),
        Problem::UnknownVariant { value, expected } => {
            let all = listed(expected);
            match value.as_deref().map(|value| (value, nearest(value, expected.iter().copied(), 0.5))) {
                Some((value, Some(near))) => format!("`{value}` is not one of {all}; did you mean `{near}`?"),
                Some((value, None)) => format!("`{value}` is not one of {all}"),
                None => format!("it must be one of {all}"),
            }
        }
        Problem::Other(message) => message.clone(),
    };
    scope.mistake(node, &path, problem)
}

/// Where a key that is not known where it stands may belong.
fn stray_key(path: &[String], key: &str, expected: &[&'static str], node: &Node, per_detector: bool) -> String {
    if path.is_empty() && per_detector && keys_of::<MainFile>().contains(&key) {
        return "it belongs in `doorward.toml`, not in a detector's file".into();
    }
    if path.is_empty() && !per_detector && keys_of::<DetectorFile>().contains(&key) {
        return format!(
            "it belongs to a detector: write it in a file under `detectors/`, or as `detector.{key}` for all detectors"
        );
    }
    if let Some(near) = nearest(key, expected.iter().copied(), 0.8) {
        return format!("did you mean `{near}`?");
    }
    let all = sections();
    let here = path.iter().filter(|step| step.parse::<usize>().is_err()).map(String::as_str).collect::<Vec<_>>();
    let mut type_path = path.to_vec();
    type_path.push("type".into());
    let tag = match node.get(&type_path).map(|node| &node.body) {
        Some(Body::Text(text)) => text.as_str(),
        _ => "",
    };
    let elsewhere = |wanted: &dyn Fn(&Section) -> bool| {
        let mut found: Vec<&Section> = all.iter().filter(|section| wanted(section)).collect();
        // What belongs within this section belongs nowhere else.
        let within =
            |section: &&Section| here.first().is_some_and(|first| section.name.starts_with(&format!("{first}.")));
        if found.iter().any(within) {
            found.retain(within);
        }
        // The same section with another type first, then the sections of the same file.
        found.sort_by_key(|section| (!section.is_at(&here), section.per_detector != per_detector));
        found.iter().take(3).map(|section| section.pointer(&here, tag)).collect::<Vec<_>>()
    };
    let exact = elsewhere(&|section| section.keys.contains(&key));
    if !exact.is_empty() {
        return format!("it belongs in {}", exact.join(" or "));
    }
    if let Some(near) = nearest(key, expected.iter().copied(), 0.5) {
        return format!("did you mean `{near}`?");
    }
    let every = all.iter().flat_map(|section| section.keys.iter().copied());
    if let Some(near) = nearest(key, every, 0.85) {
        return format!(
            "did you mean `{near}` in {}?",
            elsewhere(&|section| section.keys.contains(&near)).join(" or ")
        );
    }
    format!("the keys here are {}", listed(expected))
}

impl Section {
    /// Whether a path leads to this section, in whichever file.
    fn is_at(&self, here: &[&str]) -> bool {
        let here = here.strip_prefix(&["detector"]).unwrap_or(here);
        match (self.name, here) {
            ("action", ["action", _]) => true,
            ("action.guard", ["action", _, "guard"]) => true,
            ("rule.when", ["rule", "when"]) => true,
            (name, [one]) => name == *one,
            _ => false,
        }
    }

    fn pointer(&self, here: &[&str], tag: &str) -> String {
        match (self.name, self.tag) {
            ("", _) => "the top of the file, above the first section".into(),
            ("action.guard", _) => "`[action.NAME.guard]`".into(),
            ("rule.when", _) => "the rule's `when`".into(),
            ("rule", _) => "`[[rule]]`".into(),
            (_, Some(own)) if self.is_at(here) && own != tag => format!("`type = \"{own}\"`"),
            ("action", Some(own)) => format!("`[action.NAME]` with `type = \"{own}\"`"),
            (name, Some(own)) => format!("`[{name}]` with `type = \"{own}\"`"),
            (name, None) => format!("`[{name}]`"),
        }
    }
}

/// Every section there is.
pub(super) fn sections() -> Vec<Section> {
    let of_box = |name, keys| Section { name, tag: None, keys, per_detector: false };
    let of_detector = |name, keys| Section { name, tag: None, keys, per_detector: true };
    let camera = |tag, keys| Section { name: "camera", tag: Some(tag), keys, per_detector: true };
    let action = |(tag, keys)| Section { name: "action", tag: Some(tag), keys, per_detector: false };
    let mut sections = vec![
        of_box("", &["state_dir", "dry_run"]),
        of_box("log", keys_of::<LogConfig>()),
        of_box("models", keys_of::<ModelsConfig>()),
        of_box("identities", keys_of::<IdentitiesConfig>()),
        of_box("outbox", keys_of::<OutboxConfig>()),
        of_box("status", keys_of::<StatusConfig>()),
        of_box("mqtt", keys_of::<MqttConfig>()),
        of_detector("", &["name", "time_zone", "holidays"]),
        camera("v4l2", keys_of::<V4l2Config>()),
        camera("stream", keys_of::<StreamConfig>()),
        camera("replay", keys_of::<ReplayConfig>()),
        of_detector("detect", keys_of::<DetectConfig>()),
        of_detector("track", keys_of::<TrackConfig>()),
        of_detector("quality", keys_of::<QualityConfig>()),
        of_detector("crop", keys_of::<CropConfig>()),
        of_detector("embed", keys_of::<EmbedConfig>()),
        of_detector("identify", keys_of::<IdentifyConfig>()),
        of_detector("presence", keys_of::<PresenceConfig>()),
        of_box("action.guard", keys_of::<GuardConfig>()),
        of_box("rule", keys_of::<RuleConfig>()),
        of_box("rule.when", keys_of::<WhenConfig>()),
    ];
    sections.extend(super::actions::kinds().into_iter().map(action));
    sections
}

/// What to write for a key that is missing.
fn example(path: &[String]) -> String {
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    match steps.as_slice() {
        ["camera"] => {
            "add a `[camera]` section, for example with `type = \"v4l2\"` and `device = \"/dev/video0\"`".into()
        }
        [.., "type"] if steps.contains(&"camera") => "write `type = \"v4l2\"`, \"stream\" or \"replay\"".into(),
        [.., "type"] => {
            let kinds: Vec<_> = super::actions::kinds().into_iter().map(|(kind, _)| kind).collect();
            format!("write `type = \"KIND\"`, where KIND is one of {}", listed(&kinds))
        }
        [.., "device"] => "write `device = \"/dev/video0\"`, or a name under /dev/v4l/by-id".into(),
        ["camera", "url"] => "write `url = \"rtsp://camera.example/stream\"`".into(),
        ["camera", "path"] => "write `path = \"/path/to/recording.mp4\"`, or a folder of pictures".into(),
        ["identities", "url"] => "write `url = \"https://customer.econnectcloud.com/identities\"`".into(),
        ["identities", "username"] => "write the name of the account doorward logs in with".into(),
        ["identities", "password"] => {
            "write `password = \"${IDENTITIES_PASSWORD}\"` and provide it as a credential or variable".into()
        }
        ["mqtt", "url"] => "write `url = \"mqtt://broker.example:1883\"`".into(),
        ["action", _, "topic"] => "write `topic = \"house/door/{{ detector }}\"`".into(),
        [.., "url"] => "write `url = \"https://host.example/path\"`".into(),
        [.., "path"] => "write `path = \"/var/log/doorward/events.jsonl\"`".into(),
        [.., "program"] => "write `program = \"/path/to/program\"`".into(),
        [.., "name"] => "give it a name of its own".into(),
        [.., "actions"] => "write `actions = [\"NAME\"]` with the names of `[action.NAME]` sections".into(),
        [.., key] => format!("write `{key} = …`"),
        [] => "write it".into(),
    }
}

/// The most alike of the candidates, when at least this alike (0 to 1).
pub(super) fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>, least: f64) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let wanted = fold(wanted);
    let scored = candidates.map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &fold(name)), name));
    scored.filter(|(score, _)| *score >= least).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// "`a`, `b` and `c`"
pub(super) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => "none".into(),
    }
}

/// The keys a struct reads, asked of its own `Deserialize`.
pub(super) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    T::deserialize(Probe).err().map_or(&[], |Keys(keys)| keys)
}

/// Gives nothing to whoever asks, and remembers which fields were asked for.
struct Probe;

#[derive(Debug, thiserror::Error)]
#[error("a probe")]
struct Keys(&'static [&'static str]);

impl serde::de::Error for Keys {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

impl<'de> serde::Deserializer<'de> for Probe {
    type Error = Keys;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Keys> {
        Err(Keys(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Keys> {
        Err(Keys(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
