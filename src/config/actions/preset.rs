//! Presets of webhooks: requests that are known already, from a few keys.

use secrecy::{ExposeSecret, SecretString};

use crate::config::address;
use crate::config::reading::At;
use crate::config::section::{hidden, kinds, section};

kinds! {
    /// A request that is known already; told by its `type`.
    pub enum Preset, checked by check_preset {
        /// A Shelly relay of the first generation.
        "shelly_gen1" => ShellyGen1(SwitchPreset),
        /// A Shelly relay of a later generation.
        "shelly_gen2" => ShellyGen2(SwitchPreset),
        /// A relay with Tasmota firmware.
        "tasmota" => Tasmota(SwitchPreset),
        /// A message to a topic of ntfy.
        "ntfy" => Ntfy(NtfyPreset),
        /// A message through Pushover.
        "pushover" => Pushover(PushoverPreset),
    }
}

section! {
    /// One pulse of a relay that ends it by itself.
    pub struct SwitchPreset, checked by check_switch {
        /// The device: `http://10.0.0.7`.
        pub url: String, shown as hidden;
        /// The relay, as the device counts: from 0 at Shelly's, from 1 at Tasmota's.
        pub channel: Option<u8> = None;
        pub pulse_ms: u64 = 3_000, in 100..=60_000;
        /// Shelly's later generations know `admin` only.
        pub username: Option<String> = None, shown as Option::is_some;
        pub password: Option<SecretString> = None;
    }
}

section! {
    /// `type = "ntfy"`
    pub struct NtfyPreset {
        /// The topic's address. Whoever knows it can read along.
        pub url: SecretString;
        pub token: Option<SecretString> = None;
        /// A template.
        pub title: String = "{{ detector }}".into(), shown as hidden;
        /// A template.
        pub message: String = "{{ person.name if person else 'Somebody unknown' }}".into(), shown as hidden;
        pub priority: Option<u8> = None, in 1..=5;
    }
}

section! {
    /// `type = "pushover"`
    pub struct PushoverPreset {
        /// Pushover's own address, or that of something that speaks like it.
        pub url: String = "https://api.pushover.net/1/messages.json".into(), shown as hidden;
        pub token: SecretString;
        pub user: SecretString;
        /// A template.
        pub title: String = "{{ detector }}".into(), shown as hidden;
        /// A template.
        pub message: String = "{{ person.name if person else 'Somebody unknown' }}".into(), shown as hidden;
        pub priority: Option<i8> = None, in -2..=1;
    }
}

fn check_switch(switch: &SwitchPreset, at: &At<'_>) {
    let no_password = switch.username.is_some() && switch.password.is_none();
    at.wrong_if(no_password, &["username"], "there is no `password` with it");
}

fn check_preset(preset: &Preset, at: &At<'_>) {
    let channels = match preset {
        Preset::Tasmota(switch) => Some((1..=32, switch.channel)),
        Preset::ShellyGen1(switch) | Preset::ShellyGen2(switch) => Some((0..=32, switch.channel)),
        Preset::Ntfy(_) | Preset::Pushover(_) => None,
    };
    if let Some((there_are, Some(channel))) = channels
        && !there_are.contains(&channel)
    {
        let (low, high) = there_are.into_inner();
        at.wrong(&["channel"], format!("it must be from {low} to {high}"));
    }
    check_url(&["url"], preset.url(), at);
}

impl Preset {
    /// Where the receiver is; a secret for some.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::ShellyGen1(switch) | Self::ShellyGen2(switch) | Self::Tasmota(switch) => &switch.url,
            Self::Ntfy(ntfy) => ntfy.url.expose_secret(),
            Self::Pushover(pushover) => &pushover.url,
        }
    }

    /// It switches a relay.
    pub fn is_switch(&self) -> bool {
        matches!(self, Self::ShellyGen1(_) | Self::ShellyGen2(_) | Self::Tasmota(_))
    }
}

/// Notes an address that is none, as far as it can be told before its templates are filled in.
pub(super) fn check_url(path: &[&str], url: &str, at: &At<'_>) {
    if !["http://", "https://", "{"].iter().any(|start| url.trim_start().starts_with(start)) {
        at.wrong(path, "it must start with https:// or http://");
        return;
    }
    // What a template makes of an address is known once it is filled in.
    if !["{{", "{%"].iter().any(|template| url.contains(template))
        && let Err(problem) = address::parse(url.trim())
    {
        at.wrong(path, problem);
    }
}
