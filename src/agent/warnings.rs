//! What is not wrong and should not stay as it is: for the status page, as long as it lasts.
//!
//! In: the settings, and the certificate the engine showed last. Out: the board's warnings. A warning is never a fault:
//! the agent does its work.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use identities::Client;
use identities::stays_private;
use tokio_util::sync::CancellationToken;

use crate::config::{ActionConfig, Settings};
use crate::status::{Board, Warning};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A certificate that ends within this time is warned of: its renewal is overdue by any schedule.
const ENDS_SOON: TimeDelta = TimeDelta::days(21);

/// Keeps the board's warnings up to date until `stop`.
pub async fn watch(settings: std::sync::Arc<Settings>, client: Client, board: Board, stop: CancellationToken) {
    let lasting = of_settings(&settings);
    loop {
        let ends = client.certificate_ends();
        if let Some(ends) = ends {
            metrics::gauge!("doorward_identities_certificate_end_timestamp_seconds").set(ends.timestamp() as f64);
        }
        let certificate = ends.and_then(|ends| of_certificate(ends, Utc::now()));
        board.warnings(lasting.iter().cloned().chain(certificate).collect());
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return;
        }
    }
}

fn of_settings(settings: &Settings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if settings.identities.as_ref().is_some_and(|identities| !stays_private(&identities.url)) {
        let reason = "passwords and faces travel unencrypted to the engine: identities.url says http";
        warnings.push(Warning { part: "engine", reason: reason.into() });
    }
    for (name, action) in &settings.actions {
        let ActionConfig::Webhook(webhook) = action else { continue };
        if webhook.origin().is_some_and(|origin| !stays_private(&origin)) {
            let reason = format!("events travel unencrypted to the receiver of `{name}`: its url says http");
            warnings.push(Warning { part: "action", reason });
        }
    }
    warnings
}

fn of_certificate(ends: DateTime<Utc>, now: DateTime<Utc>) -> Option<Warning> {
    let day = ends.format("%Y-%m-%d");
    let reason = match ends - now {
        left if left < TimeDelta::zero() => {
            format!("the engine's certificate ended on {day}; only its pin is believed")
        }
        left if left < ENDS_SOON => format!("the engine's certificate ends on {day}, in {} days", left.num_days()),
        _ => return None,
    };
    Some(Warning { part: "engine", reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{IdentitiesConfig, WebhookConfig};

    #[test]
    fn plain_http_to_another_machine_is_warned_of() {
        for (url, hook, expected) in [
            ("http://10.0.0.7:5009", "https://hooks.example/{{ visit }}", &["engine"][..]),
            ("https://10.0.0.7:5009", "http://user:hunter2@10.0.0.8/x", &["action"]),
            ("http://127.0.0.1:6009", "http://localhost:8123/?v={{ visit }}", &[]),
            ("http://engine.example", "http://localhost.example", &["engine", "action"]),
        ] {
            let settings = Settings {
                identities: Some(IdentitiesConfig::new(url.parse().unwrap(), "box", "p")),
                actions: [("notify".to_owned(), ActionConfig::Webhook(WebhookConfig::new(hook)))].into(),
                ..Settings::default()
            };
            let warnings = of_settings(&settings);
            assert_eq!(warnings.iter().map(|warning| warning.part).collect::<Vec<_>>(), expected, "{url} {hook}");
            assert!(warnings.iter().all(|warning| !warning.reason.contains("hunter2")), "{warnings:?}");
        }
    }

    #[test]
    fn a_certificate_is_warned_of_before_it_ends() {
        let now = DateTime::UNIX_EPOCH;
        for (days, said) in
            [(400, None), (22, None), (20, Some("in 20 days")), (0, Some("in 0 days")), (-1, Some("ended"))]
        {
            let warning = of_certificate(now + TimeDelta::days(days), now);
            assert_eq!(warning.is_some(), said.is_some(), "{days}");
            assert!(warning.is_none_or(|warning| warning.reason.contains(said.unwrap())), "{days}");
        }
    }
}
