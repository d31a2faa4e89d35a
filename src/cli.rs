//! The command line: every command, its arguments and its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{DetectorName, Subject};

/// Watches a door camera, finds faces on the box, asks an Identities engine who they are, and acts.
#[derive(Debug, Parser)]
#[command(name = "doorward", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the configured detectors until told to stop
    Run(RunArgs),
    /// Check the configuration and everything it names, without running
    Check(CheckArgs),
    /// Show the whole thing at work on this machine, with an engine and a visitor of its own
    Demo(DemoArgs),
    /// Send a recording through the whole agent
    Replay(ReplayArgs),
    /// Find the faces in pictures
    Detect(DetectArgs),
    /// Turn the largest face of each picture into a vector
    Embed(EmbedArgs),
    /// Tell what became of a visit, and why
    Explain(ExplainArgs),
    /// The rules of the configuration
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Fetch, list and verify model files
    #[command(subcommand)]
    Models(ModelsCommand),
    /// The embedded Identities engine
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Talk to an Identities engine
    #[command(subcommand)]
    Identities(IdentitiesCommand),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// The main file; detectors are read from `detectors/*.toml` beside it [default: config/doorward.toml, then
    /// /etc/doorward/doorward.toml]
    #[arg(long, value_name = "FILE", env = "DOORWARD_CONFIG")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Only this detector; may be given several times
    #[arg(long, value_name = "NAME", value_parser = DetectorName::new)]
    pub detector: Vec<DetectorName>,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also log in to the engine
    #[arg(long)]
    pub online: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
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
    #[arg(long, value_parser = Subject::parse, value_name = "largest|each")]
    pub subject: Option<Subject>,
    /// Needs no engine and fires nothing: what would be sent
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON line per visit
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

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Send made-up answers through the rules, and tell which fire and why the others do not
    Test(RulesTestArgs),
}

#[derive(Debug, Args)]
pub struct RulesTestArgs {
    /// Events as the journal writes them, or just the keys that matter: one, a list, or one per line; `-` reads standard
    /// input. `"expect": ["RULE", …]` makes it a test
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print one JSON line per event
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

#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Serve the Identities API
    Serve {
        /// Address and port; port 0 takes a free one and prints it
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6009")]
        listen: SocketAddr,
        /// Where everything is kept; made if missing
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Embedding model of the manifest
        #[arg(long, default_value = "auto", value_name = "NAME")]
        model: String,
    },
    /// Users of the engine
    #[command(subcommand)]
    User(EngineUserCommand),
}

#[derive(Debug, Subcommand)]
pub enum EngineUserCommand {
    /// Add a user, or give an existing one a new role and password
    Add {
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        #[arg(long)]
        username: String,
        /// Administrator, Edge Publisher, Enroller or Viewer, or any role defined in the data folder
        #[arg(long)]
        role: String,
        /// Its first line is the password; `-` reads standard input
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
}

/// How to reach and enter an engine: from the configuration, unless said here.
#[derive(Debug, Clone, Args)]
pub struct EngineAccess {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The engine's base URL
    #[arg(long, value_name = "URL", requires = "username")]
    pub url: Option<url::Url>,
    #[arg(long, requires = "url")]
    pub username: Option<String>,
    /// Its first line is the password; without it the prompt asks
    #[arg(long, value_name = "FILE", requires = "url")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum IdentitiesCommand {
    /// Enrol a face as a new person, or as another photo of a known one
    Enroll(EnrollArgs),
}

#[derive(Debug, Args)]
pub struct EnrollArgs {
    #[command(flatten)]
    pub access: EngineAccess,
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
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Subject {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "largest" => Ok(Self::Largest),
            "each" => Ok(Self::Each),
            _ => Err("it is `largest` or `each`".into()),
        }
    }
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', 'X']).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match sides {
        Some((w, h)) if (1..=16384).contains(&w) && (1..=16384).contains(&h) => Ok((w, h)),
        _ => Err("it is like 640x480, each side 1 to 16384".into()),
    }
}
