//! A camera's address with everything secret left out.
//!
//! In: an address as configured, however it is spelt. Out: what may be shown. Better too little than too much:
//! cameras take passwords before the host, in the query and in the path, and people forget to escape them.

/// `scheme://host:port/…` of an address, for logs, errors and pages: user, password, path, query and fragment are
/// left out. When it is not certain where the host is (an unescaped `@`, `/`, `?` or `#` in the password, a
/// missing host), only `scheme://…` is shown, and `…` when there is no scheme. A plain file name is shown whole.
pub fn redacted(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        let plain = address.starts_with(['/', '.']) && !address.contains(['@', '?', '=', ':']);
        return if plain { address.into() } else { "…".into() };
    };
    let scheme_is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    if !scheme_is_one {
        return "…".into();
    }
    if scheme.eq_ignore_ascii_case("file") {
        return if rest.contains(['@', '?']) { format!("{scheme}://…") } else { address.into() };
    }
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if after.contains('@') || !is_host(host) {
        return format!("{scheme}://…");
    }
    format!("{scheme}://{host}{}", if after.len() > 1 { "/…" } else { after })
}

/// Host name or address with an optional numeric port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let ipv6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let name_is_one = match ipv6 {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || ".-_".contains(c)),
    };
    name_is_one && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_survives_however_the_address_is_spelt() {
        let table = [
            ("rtsp://10.0.0.5/stream1", "rtsp://10.0.0.5/…"),
            ("rtsp://10.0.0.5:8554", "rtsp://10.0.0.5:8554"),
            ("rtsp://cam.local:554/", "rtsp://cam.local:554/"),
            ("rtsp://admin:hunter2@10.0.0.5:554/h264", "rtsp://10.0.0.5:554/…"),
            ("rtsp://user:p@ss@host/x", "rtsp://host/…"),
            ("rtsp://user:p%40ss%2Fhunter2@host:554/x", "rtsp://host:554/…"),
            ("rtsp://hunter2@host/x", "rtsp://host/…"),
            ("rtsp://:hunter2@host/x", "rtsp://host/…"),
            ("rtsp://user:hunter/2@host/x", "rtsp://…"),
            ("rtsp://user:hunter?2@host/x", "rtsp://…"),
            ("rtsp://user:hunter#2@host/x", "rtsp://…"),
            ("rtsp://user:hunter2", "rtsp://…"),
            ("rtsp://user:hunter2/stream", "rtsp://…"),
            ("http://host/video.mjpg?user=admin&pwd=hunter2", "http://host/…"),
            ("http://host?token=hunter2", "http://host/…"),
            ("http://host/path?token=a@hunter2", "http://…"),
            ("http://host/#hunter2", "http://host/…"),
            ("rtsp://10.0.0.5:554/user=admin&password=hunter2&channel=1", "rtsp://10.0.0.5:554/…"),
            ("https://u:hunter2@[fe80::1]:8443/x", "https://[fe80::1]:8443/…"),
            ("https://u:hunter2@[hunter2]/x", "https://…"),
            ("http://ünïcode.example/x", "http://ünïcode.example/…"),
            ("rtsp://user:hunter2@ho st/x", "rtsp://…"),
            ("user:hunter2@host/stream", "…"),
            ("admin:hunter2://host/x", "…"),
            ("hunter2", "…"),
            ("/srv/clips/door.mp4", "/srv/clips/door.mp4"),
            ("file:///srv/clips/door.mp4", "file:///srv/clips/door.mp4"),
            ("./user:hunter2@host", "…"),
            ("", "…"),
            ("://", "…"),
            ("rtsp://", "rtsp://…"),
        ];
        for (address, shown) in table {
            assert_eq!(redacted(address), shown, "{address}");
            assert!(!redacted(address).contains("hunter2"), "{address}");
        }
    }
}
