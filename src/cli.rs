//! The command line: every command, its arguments and its help. Those of `camera`, `engine`, `identities` and
//! `liveness` have files of their own.

mod camera;
#[cfg(feature = "engine")]
mod engine;
mod identities;
mod liveness;

use std::path::PathBuf;

use ::identities::wire;
use chrono::{DateTime, Utc};
use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use strum::VariantNames;

use crate::config::{DetectorName, Subject};

pub use camera::*;
#[cfg(feature = "engine")]
pub use engine::*;
pub use identities::*;
pub use liveness::*;

/// Watches a door camera, finds faces on the box, asks an Identities engine who they are, and acts.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Let a crash leave a core file, for debugging; it holds faces, tokens and passwords
    #[arg(long, global = true, env = "DOORWARD_ALLOW_DUMPS", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub allow_dumps: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the configured detectors until told to stop
    Run(RunArgs),
    /// Check the configuration and everything it names, without running
    Check(CheckArgs),
    /// Show the whole thing at work on this machine, with an engine and a visitor of its own
    #[cfg(feature = "engine")]
    Demo(DemoArgs),
    /// Send a recording through the whole agent
    Replay(ReplayArgs),
    /// The cameras of this machine, and what a camera shows
    #[command(subcommand)]
    Camera(CameraCommand),
    /// Find the faces in pictures
    Detect(DetectArgs),
    /// Turn the largest face of each picture into a vector
    Embed(EmbedArgs),
    /// Tell what became of a visit, and why
    Explain(ExplainArgs),
    /// Erase what is stored of a person, of the past, or everything, and look whether it is gone
    Purge(PurgeArgs),
    /// The pictures that `outbox.keep_known_hours` and its like keep
    #[command(subcommand)]
    Pictures(PicturesCommand),
    /// The rules of the configuration
    #[command(subcommand)]
    Rules(RulesCommand),
    /// The actions of the configuration
    #[command(subcommand)]
    Actions(ActionsCommand),
    /// Fetch, list and verify model files
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Whether a picture shows a person, or a picture of one
    #[command(subcommand)]
    Liveness(LivenessCommand),
    /// The embedded Identities engine
    #[cfg(feature = "engine")]
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Talk to an Identities engine
    #[command(subcommand)]
    Identities(Box<IdentitiesCommand>),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The main file; detectors are read from `detectors/*.toml` beside it [default: /etc/doorward/doorward.toml]
    #[arg(long, global = true, value_name = "FILE", env = "DOORWARD_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only this detector; may be given several times
    #[arg(long, value_name = "NAME", value_parser = detector_of_unit)]
    pub detector: Vec<DetectorName>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also take a picture from every camera, and log in to the engine and the broker
    #[arg(long)]
    pub online: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Print the configuration all files and variables come to, without its secrets, and check nothing else
    #[arg(long, conflicts_with_all = ["online", "json"])]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop after one walk past the camera
    #[arg(long)]
    pub once: bool,
    /// Print JSON lines; the last one is the summary
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A video file or a folder of pictures
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Whose settings apply; the only one when there is but one
    #[arg(long, value_name = "NAME", value_parser = DetectorName::new)]
    pub detector: Option<DetectorName>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Which visits are sent, whatever the configuration says
    #[arg(long, value_parser = PossibleValuesParser::new(Subject::VARIANTS).try_map(|word| word.parse::<Subject>()))]
    pub subject: Option<Subject>,
    /// Needs no engine and fires nothing: what would be sent
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON line per visit, and where frames of the recording could not be decoded, or only with damage, a
    /// last one that counts them
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DetectArgs {
    /// JPEG, PNG, WebP or BMP
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Print one JSON line per image
    #[arg(long)]
    pub json: bool,
    /// A detector model of the manifest
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub model: String,
    /// Faces below this score are left out, 0 to 1
    #[arg(long, value_name = "SCORE")]
    pub min_score: Option<f32>,
    /// Repeat the whole detection stage N times and report how long it takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub bench: Option<u32>,
    /// Resize the picture to this first
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<(u32, u32)>,
    /// Threads of one inference
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
}

#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// JPEG, PNG, WebP or BMP
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Print one JSON line per image
    #[arg(long)]
    pub json: bool,
    /// An embedding model of the manifest
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub model: String,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The visit's id, or its first few letters
    pub visit: String,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["person", "before", "all"])]
pub struct PurgeArgs {
    /// Every visit in which the engine recognised the person with this id
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// Every visit that ended before this: 2026-01-31, or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub before: Option<DateTime<Utc>>,
    /// Everything; also the key, unless doorward is running or the configuration gives it
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum PicturesCommand {
    /// What is kept
    List(PicturesArgs),
    /// Write them to a folder, unencrypted
    Export {
        /// Made if missing
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        which: PicturesArgs,
    },
}

/// Which pictures.
#[derive(Debug, Args)]
pub struct PicturesArgs {
    /// Only of visits whose id starts so
    #[arg(long, value_name = "VISIT")]
    pub visit: Option<String>,
    /// Only of the person with this id
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON line per picture
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Send made-up answers through the rules, and tell which fire and why the others do not
    Test(RulesTestArgs),
    /// Tell which rules matched a visit, which matcher failed otherwise, and with what value
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
pub struct RulesTestArgs {
    /// Events as the journal writes them, or just the keys that matter: one, a list, or one per line; `-` reads
    /// standard input. `"expect": ["RULE", …]` makes it a test
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON line per event
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ActionsCommand {
    /// Perform one action for a made-up visitor: a relay really switches, a mail really goes out
    Test(ActionsTestArgs),
}

#[derive(Debug, Args)]
pub struct ActionsTestArgs {
    /// As in `[action.NAME]`
    pub name: String,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Whom it is for: an event as the journal writes it, or just the keys that matter; `-` reads standard input
    /// [default: a known person called Test Visitor]
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
    /// A JPEG to send along
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Fetch what is missing, check it and prepare it
    Pull {
        /// Only these; without any, everything in the manifest
        names: Vec<String>,
        /// Look in this folder first: a file is known by its hash, not its name; may be given several times
        #[arg(long, value_name = "DIR")]
        from: Vec<PathBuf>,
    },
    /// What the manifest holds and what is here
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hash every file that is here against the manifest
    Verify {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A detector's name as it stands, or as systemd-escape(1) writes it into the name of a unit (`Loading\x20bay`). A dash
/// stays a dash, unlike in systemd's own unescaping: `doorward@front-door` is the detector `front-door`.
fn detector_of_unit(text: &str) -> Result<DetectorName, String> {
    let mut parts = text.split("\\x");
    let mut name = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.ok_or_else(|| format!("`\\x{part}` does not begin with the two digits of a byte"))?;
        name.push(byte);
        name.extend(part[2..].bytes());
    }
    DetectorName::new(&String::from_utf8_lossy(&name))
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    wire::parse_time(text).ok_or_else(|| "it is like 2026-01-31, or 2026-01-31T08:00:00Z".into())
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w, h)) if (1..=16384).contains(&w) && (1..=16384).contains(&h) => Ok((w, h)),
        _ => Err("it is like 640x480, each side 1 to 16384".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_known_by_the_name_of_its_unit() {
        for (unit, name) in [
            ("front-door", "front-door"),
            ("front\\x2ddoor", "front-door"),
            ("Loading\\x20bay", "Loading bay"),
            ("T\\xc3\\xbcr", "T\u{fc}r"),
        ] {
            assert_eq!(detector_of_unit(unit).unwrap().as_str(), name);
        }
        for wrong in ["", "a/b", "a\\x2", "a\\xzz", "a\\x2fb"] {
            assert!(detector_of_unit(wrong).is_err(), "{wrong}");
        }
    }
}
