//! Time zones as people write them.
//!
//! In: the text of `time_zone`. Out: the zone of that name, or a sentence that suggests places: `stockholm`,
//! `Europe/Stokholm`, `AEST` and `GMT+2` all mean some. It knows that `Etc/GMT+2` is not what it looks like.

use chrono_tz::{TZ_VARIANTS, Tz};
use wording::{listed, nearest};

use super::reading::At;
use super::value::Value;

/// A place for every whole hour ahead of Greenwich, from -11 on, as its clocks stand in winter.
const PLACES: [&str; 26] = [
    "Pacific/Pago_Pago",
    "Pacific/Honolulu",
    "America/Anchorage",
    "America/Los_Angeles",
    "America/Denver",
    "America/Chicago",
    "America/New_York",
    "America/Halifax",
    "America/Sao_Paulo",
    "America/Noronha",
    "Atlantic/Azores",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Helsinki",
    "Europe/Istanbul",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Dhaka",
    "Asia/Bangkok",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Brisbane",
    "Pacific/Noumea",
    "Pacific/Auckland",
    "Pacific/Tongatapu",
    "Pacific/Kiritimati",
];
const FIRST_HOUR: i32 = -11;

/// Places that a short name means. Short names are no zones: several places share one, and it changes with the season.
const SHORT: [(&str, &[&str]); 31] = [
    ("ACDT", &["Australia/Adelaide"]),
    ("ACST", &["Australia/Adelaide", "Australia/Darwin"]),
    ("AEDT", &["Australia/Sydney"]),
    ("AEST", &["Australia/Sydney", "Australia/Brisbane"]),
    ("AKST", &["America/Anchorage"]),
    ("ART", &["America/Argentina/Buenos_Aires"]),
    ("AST", &["America/Halifax", "Asia/Riyadh"]),
    ("AWST", &["Australia/Perth"]),
    ("BRT", &["America/Sao_Paulo"]),
    ("BST", &["Europe/London"]),
    ("CAT", &["Africa/Harare"]),
    ("CDT", &["America/Chicago"]),
    ("CEST", &["Europe/Berlin", "Europe/Paris"]),
    ("CST", &["America/Chicago", "Asia/Shanghai"]),
    ("EAT", &["Africa/Nairobi"]),
    ("EDT", &["America/New_York"]),
    ("EEST", &["Europe/Helsinki", "Europe/Athens"]),
    ("HKT", &["Asia/Hong_Kong"]),
    ("IST", &["Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"]),
    ("JST", &["Asia/Tokyo"]),
    ("KST", &["Asia/Seoul"]),
    ("MDT", &["America/Denver"]),
    ("MSK", &["Europe/Moscow"]),
    ("NZDT", &["Pacific/Auckland"]),
    ("NZST", &["Pacific/Auckland"]),
    ("PDT", &["America/Los_Angeles"]),
    ("PKT", &["Asia/Karachi"]),
    ("PST", &["America/Los_Angeles", "Asia/Manila"]),
    ("SAST", &["Africa/Johannesburg"]),
    ("SGT", &["Asia/Singapore"]),
    ("WAT", &["Africa/Lagos"]),
];

/// The time zone of this name; the error suggests places.
pub fn parse(text: &str) -> Result<Tz, String> {
    if let Ok(zone) = text.parse() {
        return Ok(zone);
    }
    let there_is_none = format!("there is no time zone `{text}`");
    if let Some(minutes) = offset(text) {
        return Err(format!("{there_is_none}; {}", by_offset(minutes)));
    }
    if let Some((_, places)) = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(text.trim())) {
        return Err(format!("{there_is_none}; name a place, such as {}", listed(places)));
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |name: &'static str| name.rsplit('/').next().unwrap_or(name);
    let wanted = text.rsplit('/').next().unwrap_or(text).replace(' ', "_");
    // Zones of an offset alone are never suggested: their signs are turned.
    let places = || names().filter(|name| !name.starts_with("Etc/") && !name.contains(['+', '-', '0']));
    let near = places()
        .find(|name| city(name).eq_ignore_ascii_case(&wanted) && name.contains('/'))
        .or_else(|| nearest(text, places(), 0.7));
    Err(match near {
        Some(near) => format!("{there_is_none}; did you mean `{near}`?"),
        None => format!("{there_is_none}; write it like `Europe/Stockholm`, as in the IANA time zone database"),
    })
}

impl Value for Tz {
    fn read(at: &At<'_>) -> Option<Self> {
        let zone = at.parsed(parse)?;
        if let Some(caution) = caution(zone) {
            at.unwise(&[], caution);
        }
        Some(zone)
    }
}

/// What to think of before using a zone that exists.
fn caution(zone: Tz) -> Option<String> {
    let hours: i32 = zone.name().strip_prefix("Etc/GMT")?.parse().ok().filter(|hours| *hours != 0)?;
    let meant = -hours;
    Some(format!("the sign of `{}` is turned: it is {}; {}", zone.name(), ahead(meant * 60), by_offset(hours * 60)))
}

/// A suggestion for somebody who wants clocks this many minutes ahead of Greenwich.
fn by_offset(minutes: i32) -> String {
    let place = (minutes % 60 == 0).then(|| PLACES.get(usize::try_from(minutes / 60 - FIRST_HOUR).ok()?)).flatten();
    let Some(place) = place else {
        return "name a place, like `Asia/Kolkata`".into();
    };
    let hours = minutes / 60;
    match hours {
        0 => format!("name a place, such as `{place}`, or write `UTC`"),
        _ => format!(
            "for {} name a place, such as `{place}`, which also knows its summer time (`Etc/GMT{:+}` is that all the \
             year, its sign is turned)",
            ahead(minutes),
            -hours
        ),
    }
}

fn ahead(minutes: i32) -> String {
    let (hours, way) = (minutes.abs() / 60, if minutes < 0 { "behind" } else { "ahead of" });
    format!("{hours} hour{} {way} Greenwich", if hours == 1 { "" } else { "s" })
}

/// The minutes ahead of Greenwich that `GMT+2`, `UTC-05:30`, `+0200` or `Etc/GMT +2` say.
fn offset(text: &str) -> Option<i32> {
    let text = text.trim().to_ascii_uppercase().replace(' ', "").replace('\u{2212}', "-");
    let text = text.strip_prefix("ETC/").unwrap_or(&text);
    let text = ["GMT", "UTC", "Z"].iter().find_map(|name| text.strip_prefix(name)).unwrap_or(text);
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() == 4 && digits.is_ascii() => digits.split_at(2),
        None => (digits, "0"),
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use chrono::{Offset, TimeZone, Utc};

    use super::*;

    #[test]
    fn a_name_that_is_none_suggests_places_and_never_a_turned_sign() {
        for (text, suggested) in [
            ("GMT+2", "`Europe/Helsinki`"),
            ("UTC+02:00", "`Europe/Helsinki`"),
            ("+0200", "`Europe/Helsinki`"),
            ("GMT-5", "5 hours behind Greenwich name a place, such as `America/New_York`"),
            ("UTC+5:30", "`Asia/Kolkata`"),
            ("UTC+0", "`UTC`"),
            ("AEST", "`Australia/Sydney` and `Australia/Brisbane`"),
            ("cest", "`Europe/Berlin`"),
            ("PDT", "`America/Los_Angeles`"),
            ("stockholm", "`Europe/Stockholm`"),
            ("CET/Stockholm", "`Europe/Stockholm`"),
            ("Europe/Stokholm", "`Europe/Stockholm`"),
            ("Mars/Olympus", "write it like `Europe/Stockholm`"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(suggested), "{text}: {problem}");
        }
        assert!(parse("GMT+2").unwrap_err().contains("`Etc/GMT-2`"));
        assert_eq!(parse("Australia/Sydney").unwrap(), Tz::Australia__Sydney);
    }

    #[test]
    fn every_place_is_a_zone_and_its_clocks_stand_as_the_table_says() {
        // Winter is in July south of the equator.
        let at = |zone: Tz, month| {
            let moment = Utc.with_ymd_and_hms(2026, month, 15, 12, 0, 0).unwrap().naive_utc();
            zone.offset_from_utc_datetime(&moment).fix().local_minus_utc()
        };
        for (hour, place) in (FIRST_HOUR..).zip(PLACES) {
            let zone: Tz = place.parse().unwrap();
            assert_eq!(at(zone, 1).min(at(zone, 7)), hour * 3600, "{place}");
        }
        for place in SHORT.iter().flat_map(|(_, places)| places.iter()) {
            assert!(place.parse::<Tz>().is_ok(), "{place}");
        }
    }

    #[test]
    fn a_zone_whose_sign_is_turned_is_cautioned_of() {
        let caution_of = |name: &str| caution(name.parse().unwrap());
        let said = caution_of("Etc/GMT+2").unwrap();
        assert!(said.contains("2 hours behind Greenwich") && said.contains("`Europe/Helsinki`"), "{said}");
        for harmless in ["Europe/Berlin", "UTC", "Etc/GMT", "Etc/GMT+0", "Etc/UTC", "EST"] {
            assert_eq!(caution_of(harmless), None, "{harmless}");
        }
    }
}
