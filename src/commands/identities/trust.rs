//! `doorward identities trust`: which certificate a server shows, and the line that trusts it.

use anyhow::bail;
use identities::trust::{self, Presented};
use serde_json::json;

use crate::cli::TrustArgs;
use crate::commands::{CommandResult, print_either, print_lines, table};

pub async fn run(args: TrustArgs) -> CommandResult {
    let (host, port) = match (args.url.scheme(), args.url.host_str(), args.url.port_or_known_default()) {
        ("https", Some(host), Some(port)) => (host, port),
        ("https", ..) => bail!("the address names no host"),
        (scheme, ..) => {
            bail!("only https has certificates, and this is {scheme}; write https://HOST");
        }
    };
    let shown = trust::present(host, port, args.ca_file.as_deref()).await?;
    let authorities = match &args.ca_file {
        Some(file) => format!("{}", file.display()),
        None => "system roots".into(),
    };
    print_either(args.json, &as_json(&shown, &authorities), || tell(&shown, &authorities, args.ca_file.is_some()))
}

fn tell(shown: &Presented, authorities: &str, named: bool) {
    let day = |date: chrono::DateTime<chrono::Utc>| date.format("%Y-%m-%d %H:%M UTC");
    let itself = if shown.self_signed { " (itself)" } else { "" };
    let names = if shown.names.is_empty() { "none".into() } else { shown.names.join(", ") };
    let accepted = match &shown.refused {
        None => format!("{authorities} accept it"),
        Some(why) => format!("{authorities} do not accept it: {why}"),
    };
    table::line("subject", &shown.subject);
    table::line("issuer", &format!("{}{itself}", shown.issuer));
    table::line("names", &names);
    table::line("valid", &format!("{} to {}", day(shown.not_before), day(shown.not_after)));
    table::line("key", &shown.key);
    table::line("certificate", &format!("SHA-256 {}", shown.fingerprint));
    table::line("public key", &format!("sha256//{}", shown.pin));
    table::line("trust", &accepted);
    let advice = match &shown.refused {
        None if named => "Name that file as `ca_file` under [identities]. To believe this key alone:",
        None => "Nothing needs to be configured. To believe this key alone:",
        Some(_) => {
            "Anybody in between could have shown this. Compare it with what the server says of itself, for example\n\
             with `openssl x509 -in CERTIFICATE -noout -fingerprint -sha256` there. If it is the same, put this under\n\
             [identities], or where a camera shows it under its [camera]:"
        }
    };
    print_lines(&format!("\n{advice}\n\npin_sha256 = [\"{}\"]", shown.pin));
}

fn as_json(shown: &Presented, authorities: &str) -> serde_json::Value {
    json!({
        "subject": shown.subject,
        "issuer": shown.issuer,
        "self_signed": shown.self_signed,
        "names": shown.names,
        "not_before": shown.not_before,
        "not_after": shown.not_after,
        "key": shown.key,
        "certificate_sha256": shown.fingerprint,
        "pin_sha256": shown.pin.to_string(),
        "further_certificates": shown.others,
        "authorities": authorities,
        "accepted": shown.refused.is_none(),
        "refused_because": shown.refused,
    })
}
