//! Presets: requests of well-known receivers, from a few keys.
//!
//! In: a webhook's configuration. Out: the same with method, address, query, headers and body filled in ([`Filled`]).
//! What is sent is what the receivers' own pages document; a relay is told to end its pulse by itself, so that it
//! closes again even when the network does not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::digest::Digest;
use crate::config::{BodyFormat, NtfyPreset, Preset, PushoverPreset, SwitchPreset, WebhookConfig};

/// A webhook without a preset.
pub struct Filled {
    pub config: WebhookConfig,
    pub digest: Option<Digest>,
    /// What stands in an answer that says 200 and means no.
    pub refusals: &'static [&'static str],
}

/// Tasmota answers 200 to almost everything.
const TASMOTA_REFUSALS: &[&str] = &["\"WARNING\"", "\"Command\":\"Unknown\"", "\"Command\":\"Error\""];
/// Who logs in at a Shelly of a later generation.
const SHELLY_USER: &str = "admin";

/// Fills in what the preset knows; without one, the configuration as it is.
pub fn fill_in(config: &WebhookConfig) -> Filled {
    let mut filled = Filled { config: config.clone(), digest: None, refusals: &[] };
    match &config.preset {
        None => {}
        Some(Preset::ShellyGen1(switch)) => shelly_gen1(switch, &mut filled.config),
        Some(Preset::ShellyGen2(switch)) => {
            shelly_gen2(switch, &mut filled.config);
            let user = switch.username.as_deref().unwrap_or(SHELLY_USER);
            filled.digest = switch.password.clone().map(|password| Digest::new(user, password));
        }
        Some(Preset::Tasmota(switch)) => {
            tasmota(switch, &mut filled.config);
            filled.refusals = TASMOTA_REFUSALS;
        }
        Some(Preset::Ntfy(preset)) => ntfy(preset, &mut filled.config),
        Some(Preset::Pushover(preset)) => pushover(preset, &mut filled.config),
    }
    filled
}

/// `GET /relay/0?turn=on&timer=SECONDS`: <https://shelly-api-docs.shelly.cloud/gen1/#shelly1-1pm-relay-0>.
fn shelly_gen1(switch: &SwitchPreset, config: &mut WebhookConfig) {
    let path = format!("relay/{}", switch.channel.unwrap_or(0));
    get(config, &switch.url, &path, &[("turn", "on".into()), ("timer", seconds(switch.pulse_ms))]);
    if let Some(password) = &switch.password {
        let account = format!("{}:{}", switch.username.as_deref().unwrap_or(SHELLY_USER), password.expose_secret());
        header(config, "Authorization", format!("Basic {}", STANDARD.encode(account)));
    }
}

/// `GET /rpc/Switch.Set?id=0&on=true&toggle_after=SECONDS`:
/// <https://shelly-api-docs.shelly.cloud/gen2/ComponentsAndServices/Switch#switchset>.
fn shelly_gen2(switch: &SwitchPreset, config: &mut WebhookConfig) {
    let channel = switch.channel.unwrap_or(0).to_string();
    let query = [("id", channel), ("on", "true".into()), ("toggle_after", seconds(switch.pulse_ms))];
    get(config, &switch.url, "rpc/Switch.Set", &query);
}

/// `GET /cm?cmnd=Backlog PulseTime1 TIME; Power1 On`: <https://tasmota.github.io/docs/Commands/>.
fn tasmota(switch: &SwitchPreset, config: &mut WebhookConfig) {
    let channel = switch.channel.unwrap_or(1);
    // 1 to 111 are tenths of a second, 113 and more are seconds and a hundred.
    let time = match switch.pulse_ms.div_ceil(100) {
        tenths @ 0..=111 => tenths.max(1),
        _ => switch.pulse_ms.div_ceil(1000).max(13) + 100,
    };
    let mut query = vec![("cmnd", format!("Backlog PulseTime{channel} {time}; Power{channel} On"))];
    if let Some(password) = &switch.password {
        query.push(("user", switch.username.clone().unwrap_or_else(|| SHELLY_USER.into())));
        query.push(("password", password.expose_secret().to_owned()));
    }
    get(config, &switch.url, "cm", &query);
}

/// Everything in the query, which takes any text, and the picture as the body: <https://docs.ntfy.sh/publish/>.
fn ntfy(preset: &NtfyPreset, config: &mut WebhookConfig) {
    config.url = Some(preset.url.clone());
    config.query.insert("title".into(), preset.title.clone().into());
    config.query.insert("message".into(), preset.message.clone().into());
    if let Some(priority) = preset.priority {
        config.query.insert("priority".into(), priority.to_string().into());
    }
    if let Some(token) = &preset.token {
        header(config, "Authorization", format!("Bearer {}", token.expose_secret()));
    }
    match std::mem::take(&mut config.picture) {
        true => config.body_format = BodyFormat::Picture,
        // Nothing in the body: the message stands in the query.
        false => {
            config.body = Some(String::new());
            config.headers.insert("Content-Type".into(), "text/plain".into());
        }
    }
}

/// <https://pushover.net/api>
fn pushover(preset: &PushoverPreset, config: &mut WebhookConfig) {
    config.url = Some(literal(&preset.url).into());
    config.picture_name = "attachment".into();
    for (name, secret) in [("token", &preset.token), ("user", &preset.user)] {
        config.form.insert(name.into(), literal(secret.expose_secret()).into());
    }
    config.form.insert("title".into(), preset.title.clone().into());
    config.form.insert("message".into(), preset.message.clone().into());
    if let Some(priority) = preset.priority {
        config.form.insert("priority".into(), priority.to_string().into());
    }
}

fn get(config: &mut WebhookConfig, base: &str, path: &str, query: &[(&str, String)]) {
    config.method = "GET".into();
    config.url = Some(format!("{}/{path}", base.trim_end_matches('/')).into());
    for (name, value) in query {
        config.query.insert((*name).into(), literal(value).into());
    }
}

/// The operator's own header of this name wins.
fn header(config: &mut WebhookConfig, name: &str, value: String) {
    if !config.headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
        config.headers.insert(name.into(), SecretString::from(literal(&value)));
    }
}

/// A text that stands for itself as a template.
fn literal(text: &str) -> String {
    if text.contains(['{', '}']) { format!("{{% raw %}}{text}{{% endraw %}}") } else { text.to_owned() }
}

/// As few digits as it takes: `3`, `0.5`.
fn seconds(ms: u64) -> String {
    (ms as f64 / 1000.0).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ActionConfig, from_toml};

    fn filled(preset: &str, more: &str) -> Filled {
        let toml = format!("type = 'webhook'\npreset = {{ {preset} }}\n{more}");
        let ActionConfig::Webhook(config) = from_toml(&toml).unwrap_or_else(|error| panic!("{error}")) else {
            panic!("another type")
        };
        fill_in(&config)
    }

    #[test]
    fn relays_end_their_pulse_by_themselves() {
        for (preset, url, query) in [
            ("type = 'shelly_gen1', url = 'http://h/'", "http://h/relay/0", "timer=3&turn=on"),
            (
                "type = 'shelly_gen1', url = 'http://h', channel = 1, pulse_ms = 500",
                "http://h/relay/1",
                "timer=0.5&turn=on",
            ),
            (
                "type = 'shelly_gen2', url = 'http://h', pulse_ms = 1500",
                "http://h/rpc/Switch.Set",
                "id=0&on=true&toggle_after=1.5",
            ),
            ("type = 'tasmota', url = 'http://h'", "http://h/cm", "cmnd=Backlog PulseTime1 30; Power1 On"),
            (
                "type = 'tasmota', url = 'http://h', channel = 2, pulse_ms = 20000, password = 'p{{w'",
                "http://h/cm",
                "cmnd=Backlog PulseTime2 120; Power2 On&password={% raw %}p{{w{% endraw %}&user=admin",
            ),
        ] {
            let filled = filled(preset, "").config;
            let texts = filled.query.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
            assert_eq!((filled.method.as_str(), texts.collect::<Vec<_>>().join("&").as_str()), ("GET", query));
            assert_eq!(filled.url.as_ref().unwrap().expose_secret(), url);
            assert!(filled.is_actuator());
        }
    }

    #[test]
    fn accounts_go_where_the_receiver_wants_them() {
        let gen1 = filled("type = 'shelly_gen1', url = 'http://h', username = 'u', password = 'p'", "").config;
        assert_eq!(gen1.headers["Authorization"].expose_secret(), "Basic dTpw");
        assert!(filled("type = 'shelly_gen2', url = 'http://h', password = 'p'", "").digest.is_some());
        let ntfy = filled("type = 'ntfy', url = 'http://h/t', token = 'tk_1'", "picture = true").config;
        assert_eq!(ntfy.headers["Authorization"].expose_secret(), "Bearer tk_1");
        assert_eq!((ntfy.body_format, ntfy.picture, ntfy.is_actuator()), (BodyFormat::Picture, false, false));
    }
}
