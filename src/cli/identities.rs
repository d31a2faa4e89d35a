//! The arguments of `doorward identities`.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand, ValueEnum};
use identities::trust::KeyPin;
use identities::wire::{TimeSpan, parse_time};

use super::ConfigArgs;
use crate::config::parse_time_zone;

/// How to reach and enter an engine: from the configuration, unless said here.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineAccess {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The engine's base URL, with or without `/identities`
    #[arg(long, global = true, value_name = "URL", requires = "username")]
    pub url: Option<url::Url>,
    #[arg(long, global = true, requires = "url")]
    pub username: Option<String>,
    /// Its first line is the password, `-` reads standard input; without it the credential or variable
    /// IDENTITIES_PASSWORD, then the prompt
    #[arg(long, global = true, value_name = "FILE", requires = "url")]
    pub password_file: Option<PathBuf>,
    /// A PEM file with the certificates the engine is signed by
    #[arg(long, global = true, value_name = "FILE", requires = "url")]
    pub ca_file: Option<PathBuf>,
    /// The engine's key, as `doorward identities trust URL` prints it; may be given several times
    #[arg(long, global = true, value_name = "SHA256", requires = "url")]
    pub pin: Vec<KeyPin>,
    /// Send password and faces unencrypted, where the URL says http and names another machine
    #[arg(long, global = true, requires = "url")]
    pub allow_plain_http: bool,
}

/// What every command that talks to an engine takes.
#[derive(Debug, Clone, Args)]
pub struct Asking {
    /// Print JSON; what an engine answers has the API's own names there
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub access: EngineAccess,
}

/// A group of commands that talk to an engine, and what each of them takes.
#[derive(Debug, Args)]
pub struct Asked<C: Subcommand> {
    #[command(subcommand)]
    pub command: C,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Debug, Subcommand)]
pub enum IdentitiesCommand {
    /// Prove address, user name and password, and tell what the account may do; nothing is kept
    Login(Asking),
    /// Tell whom the engine takes us for
    Whoami(Asking),
    /// Enrol a face as a new person, or as another photo of a known one
    Enroll(EnrollArgs),
    /// Enrol many people: a folder for each, or a row for each in a CSV file
    Import(ImportArgs),
    /// List the faces in a photo, and whose they are
    Detect {
        #[arg(value_name = "PHOTO")]
        photo: PathBuf,
        #[command(flatten)]
        asking: Asking,
    },
    /// Tell whether two photos show the same face
    Compare {
        #[arg(value_name = "PHOTO")]
        first: PathBuf,
        #[arg(value_name = "PHOTO")]
        second: PathBuf,
        #[command(flatten)]
        asking: Asking,
    },
    /// Read and change a person's record
    Person(Asked<PersonCommand>),
    /// Find people by tag or by custom field
    Search(SearchArgs),
    /// Tag definitions
    Tags(Asked<TagsCommand>),
    /// The history of sightings
    Detections(DetectionsArgs),
    /// Download photos
    Photo(Asked<PhotoCommand>),
    /// Files attached to people
    Document(Asked<DocumentCommand>),
    /// Show the certificate a server presents, whether it is trusted, and the line that trusts it
    Trust(TrustArgs),
}

#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The server's base URL; nothing is sent to it
    #[arg(value_name = "URL")]
    pub url: url::Url,
    /// Hold the certificate against the authorities of this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// JPEG, PNG, WebP or BMP with the face in it
    #[arg(long, value_name = "FILE")]
    pub photo: PathBuf,
    /// The person to add the photo to, instead of a new one
    #[arg(long, value_name = "ID")]
    pub person_id: Option<String>,
    #[arg(long)]
    pub first_name: Option<String>,
    #[arg(long)]
    pub last_name: Option<String>,
    /// Give the person this tag, defining it if need be; may be given several times
    #[arg(long)]
    pub tag: Vec<String>,
    /// Enrol even if the photo is poor
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub asking: Asking,
}

/// Running it again goes on where it stopped and adds what is new: each photo is enrolled under a reference made from
/// its content, and what is there already is left alone.
#[derive(Debug, Args)]
#[command(after_help = "\
A folder: one folder per person inside, named `Ada Lovelace`, `Ada_Lovelace` or `Lovelace, Ada`, with photos (JPEG, PNG,
WebP, BMP), and if need be a person.json as `doorward engine export` writes it.

A CSV file, separated by commas, semicolons or tabs, with a first line of column names: photo (one or several, separated
by `;` or `|`, or a folder), first_name, last_name, middle_name, title or just name, tags (`VIP; Guest until
2026-12-31`, which includes that day), note, field:NAME for each custom field, ignore:NAME for what is to be left out,
person for a key that makes several rows one person, person_id for somebody the engine knows. All but photo may be
missing.

Nothing outside the folder, or outside the one that the CSV file is in, is read, and no link below it is followed.

Exit codes: 0 everything is in, 1 something is not.")]
pub struct ImportArgs {
    #[command(flatten)]
    pub what: ImportedPeople,
    #[command(flatten)]
    pub access: EngineAccess,
    /// Read and check everything, and send nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Who is imported, and how, into whichever engine.
#[derive(Debug, Args)]
pub struct ImportedPeople {
    /// A folder with a folder per person, or a CSV file
    #[arg(value_name = "DIR_OR_CSV")]
    pub source: PathBuf,
    /// People under way at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub jobs: u16,
    /// Enrol poor photos as well, and those of a face that is another person's
    #[arg(long)]
    pub force: bool,
    /// Where the doors are, for tags "until" a day; without it the configured detectors' zone, then this machine's
    #[arg(long, value_name = "ZONE", value_parser = parse_time_zone)]
    pub time_zone: Option<chrono_tz::Tz>,
    /// Write what became of every photo, and why, into this file: CSV, or JSON if it is called so
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PersonCommand {
    /// Show everything known of a person
    Show { person: String },
    /// Give a person a tag, defining it if need be, or change when it lapses
    Tag {
        person: String,
        tag: String,
        /// When it lapses: with the day `2026-12-31` at the doors, at `2026-12-31T18:00:00Z`, or in `8h`, `30d`;
        /// without it the tag's own period
        #[arg(long, value_name = "WHEN", value_parser = parse_expiry)]
        expires: Option<Expiry>,
    },
    /// Take a tag off a person
    Untag { person: String, tag: String },
    /// Add a name to a person
    Name {
        person: String,
        #[arg(long, required_unless_present = "last_name")]
        first_name: Option<String>,
        #[arg(long)]
        last_name: Option<String>,
        #[arg(long)]
        middle_name: Option<String>,
        #[arg(long)]
        title: Option<String>,
    },
    /// Set a custom field of a person to a text
    Field { person: String, name: String, value: String },
    /// Add a note to a person
    Note {
        person: String,
        text: String,
        #[arg(long)]
        summary: Option<String>,
    },
    /// Remove a part of a person's record by its id, which `person show --json` tells
    Remove {
        person: String,
        #[arg(value_enum)]
        what: PersonPart,
        id: String,
    },
}

/// What can be removed from a record.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PersonPart {
    Name,
    Tag,
    Note,
    Field,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Everybody with this tag
    #[arg(long, value_name = "NAME", required_unless_present = "field", conflicts_with = "field")]
    pub tag: Option<String>,
    /// Everybody with this custom field
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,
    /// … of this value
    #[arg(long, value_name = "TEXT", requires = "field")]
    pub value: Option<String>,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Debug, Subcommand)]
pub enum TagsCommand {
    /// List the definitions
    List {
        /// Only this one
        name: Option<String>,
    },
    /// Show one definition
    Show {
        /// Its name or id
        tag: String,
    },
    /// Define a tag
    Create {
        name: String,
        #[command(flatten)]
        definition: TagDefinition,
    },
    /// Change a definition; what is not said stays
    Update {
        /// Its name or id
        tag: String,
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[command(flatten)]
        definition: TagDefinition,
    },
    /// Delete a definition
    Delete {
        /// Its name or id
        tag: String,
    },
}

#[derive(Debug, Args)]
pub struct TagDefinition {
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// How long it lasts when it is given without an end: `8h`, `90d` or `90.00:00:00`; `0` for ever
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    pub expires_after: Option<TimeSpan>,
    /// Hide it from everyday use
    #[arg(long, value_name = "true|false")]
    pub disabled: Option<bool>,
}

/// Whose sightings they are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Sighted {
    Person,
    Face,
}

#[derive(Debug, Args)]
pub struct DetectionsArgs {
    /// Of a person or of a face
    #[arg(value_enum)]
    pub of: Sighted,
    /// The person's or the face's
    pub id: String,
    /// Not before: `2026-03-04`, `2026-03-04T05:06:07Z`, or `2h`, `30d` ago
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<DateTime<Utc>>,
    /// Not after
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub until: Option<DateTime<Utc>>,
    /// Oldest first
    #[arg(long)]
    pub oldest_first: bool,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// Save the pictures into this folder
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Debug, Subcommand)]
pub enum PhotoCommand {
    /// The photo a face was enrolled from
    Enrollment {
        face: String,
        #[command(flatten)]
        output: Output,
    },
    /// The photo of one sighting of a face
    Detection {
        face: String,
        detection: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum DocumentCommand {
    /// Attach a file to a person
    Upload {
        person: String,
        file: PathBuf,
        /// Shown to users [default: the file's name]
        #[arg(long)]
        name: Option<String>,
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// The id to download it by [default: a new one, which is printed]
        #[arg(long)]
        id: Option<String>,
        /// As in `application/pdf`
        #[arg(long, value_name = "TYPE")]
        media_type: Option<String>,
    },
    /// Download a file of a person
    Download {
        person: String,
        /// The document's id
        id: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Output {
    /// Where to; `-` is standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    pub overwrite: bool,
}

/// When a tag lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// With the end of this day at the doors.
    Day(NaiveDate),
    At(DateTime<Utc>),
}

/// A day, or a moment to come: written out, or so long from now.
fn parse_expiry(text: &str) -> Result<Expiry, String> {
    match text.trim().parse() {
        Ok(day) => Ok(Expiry::Day(day)),
        Err(_) => moment(text, 1).map(Expiry::At),
    }
}

/// A moment gone by: written out, or so long ago.
fn parse_since(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, -1)
}

fn moment(text: &str, direction: i32) -> Result<DateTime<Utc>, String> {
    if let Some(time) = parse_time(text) {
        return Ok(time);
    }
    let span = short_span(text).and_then(|span| chrono::TimeDelta::from_std(span.0).ok());
    span.and_then(|span| Utc::now().checked_add_signed(span * direction))
        .ok_or_else(|| "it is like 2026-12-31, 2026-12-31T18:00:00Z, 45m, 8h or 30d".into())
}

fn parse_span(text: &str) -> Result<TimeSpan, String> {
    short_span(text)
        .or_else(|| TimeSpan::parse(text))
        .ok_or_else(|| "it is like 45m, 8h, 90d or 90.00:00:00, and 0 for none".into())
}

/// `45m`, `8h`, `30d`, or `0`.
fn short_span(text: &str) -> Option<TimeSpan> {
    if text == "0" {
        return Some(TimeSpan::default());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let digits = (1..=7).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| digits)?;
    Some(TimeSpan(std::time::Duration::from_secs(number * seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_short_and_long() {
        for (text, written) in [
            ("0", "00:00:00"),
            ("45m", "00:45:00"),
            ("36h", "1.12:00:00"),
            ("90d", "90.00:00:00"),
            ("1.02:03:04", "1.02:03:04"),
        ] {
            assert_eq!(parse_span(text).unwrap().to_string(), written, "{text}");
        }
        for wrong in ["", "d", "1w", "-1d", "1.5h", "soon", "99999999d", "1ä"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_are_written_out_or_relative() {
        let end = NaiveDate::from_ymd_opt(2026, 12, 31).unwrap();
        assert_eq!(parse_expiry("2026-12-31"), Ok(Expiry::Day(end)));
        assert_eq!(parse_since("2026-12-31").unwrap().to_rfc3339(), "2026-12-31T00:00:00+00:00");
        let Ok(Expiry::At(after)) = parse_expiry("8h") else { panic!("8h is a moment") };
        let before = parse_since("8h").unwrap();
        let hours = (after - before).num_minutes();
        assert!((959..=961).contains(&hours), "{hours}");
        assert!(parse_expiry("tomorrow").is_err() && parse_since("").is_err());
    }
}
