//! Actions that look as if they opened a door, and are not marked as actuators.
//!
//! In: a program, a request or a message, with its name. Out: the word or address that gives it away. An action that is
//! no actuator is performed however late its answer comes; for a door that is a fault nobody sees until it opens an
//! hour after the visitor has left. It knows no receiver beyond the addresses that switch a relay.

use std::path::Path;

/// Words of names, programs, addresses and topics that are about opening something.
const WORDS: [&str; 13] = [
    "open", "opens", "opener", "unlock", "unlocks", "lock", "door", "doors", "gate", "gates", "barrier", "strike",
    "latch",
];
/// The same within longer words.
const PARTS: [&str; 7] = ["turnstile", "unlock", "opendoor", "dooropen", "opengate", "gateopen", "doorlock"];
/// What the addresses and topics of relays hold: Shelly of both generations, Tasmota, ESPHome.
const RELAYS: [&str; 9] =
    ["/relay/", "/rpc/switch.", "/rpc/cover.", "/cm?", "cmnd=power", "cmnd/", "/rpc/script.", "/switch/", "/cover/"];

/// The word that gives a program or its arguments away.
pub(super) fn in_program(program: &Path, args: &[String]) -> Option<String> {
    // Of a path the last part says what it does; those before only say where it is.
    let last = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(args.iter().cloned());
    words
        .filter_map(|word| if word.contains("://") { Some(word) } else { last(&word) })
        .find_map(|word| in_address(&word))
}

/// The word, or the part of a relay's address, that gives an address or a topic away.
pub(super) fn in_address(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let relay = RELAYS.iter().find(|relay| lower.contains(**relay)).map(|relay| (*relay).to_owned());
    relay.or_else(|| in_words(text))
}

/// The word that gives a text away. What a template fills in says nothing of what it is for: `{{ detector }}` may well
/// be called a door.
pub(super) fn in_words(text: &str) -> Option<String> {
    let literal: String = text
        .split("{{")
        .enumerate()
        .map(|(n, part)| match n {
            0 => part,
            _ => part.split_once("}}").map_or("", |(_, rest)| rest),
        })
        .collect();
    let lower = literal.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    let word = words.find(|word| WORDS.contains(word) || PARTS.iter().any(|part| word.contains(part)));
    word.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use crate::config::{ActionConfig, from_toml};

    #[test]
    fn what_looks_like_a_door() {
        for (name, action, found) in [
            ("open", "type = 'exec'\nprogram = '/bin/x'", Some("open")),
            ("hall", "type = 'exec'\nprogram = '/usr/local/bin/unlock-hall'", Some("unlock")),
            (
                "hall",
                "type = 'exec'\nprogram = '/bin/curl'\nargs = ['http://10.0.0.7/relay/0?turn=on']",
                Some("/relay/"),
            ),
            ("hall", "type = 'exec'\nprogram = '/opt/door/bin/log'", None),
            ("hall", "type = 'exec'\nprogram = '/bin/x'\nactuator = true", None),
            ("doorbell", "type = 'exec'\nprogram = '/bin/ring'", None),
            ("Haupt-Gate", "type = 'webhook'\nurl = 'https://a.example/x'", Some("gate")),
            ("hall", "type = 'webhook'\nurl = 'http://a.example/rpc/Switch.Set?id=0&on=true'", Some("/rpc/switch.")),
            ("hall", "type = 'webhook'\nurl = 'http://a.example/cm?cmnd=Power%20On'", Some("/cm?")),
            ("hall", "type = 'webhook'\nurl = 'http://a.example/api/opendoor'", Some("opendoor")),
            ("hall", "type = 'webhook'\nurl = 'http://a.example/{{ detector }}/seen'\nbody = '{{ door }}'", None),
            ("hall", "type = 'webhook'\nurl = 'https://doorward.example/visits'", None),
            ("hall", "type = 'webhook'\npreset = { type = 'shelly_gen1', url = 'http://a.example' }", None),
            ("hall", "type = 'mqtt'\ntopic = 'cmnd/hall/POWER'", Some("cmnd/")),
            ("hall", "type = 'mqtt'\ntopic = 'house/{{ detector }}'\npayload = 'seen'", None),
            ("open", "type = 'journal'\npath = '/tmp/x'", None),
        ] {
            let action: ActionConfig = from_toml(action).unwrap();
            assert_eq!(action.looks_like_a_door(name).as_deref(), found, "{name}: {action:?}");
        }
    }
}
