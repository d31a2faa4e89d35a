//! The arguments of `doorward engine`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use engine::{IpNet, Proxies};
use uuid::Uuid;

use super::ImportedPeople;

#[derive(Debug, Subcommand)]
pub enum EngineCommand {
    /// Serve the Identities API and a page for people
    Serve(EngineServeArgs),
    /// Write everybody and their photos into a folder, to be imported into another engine; works beside a running one
    Export {
        #[command(flatten)]
        folder: EngineFolder,
        /// A folder that is new or empty
        #[arg(value_name = "DIR")]
        target: PathBuf,
    },
    /// Take in what `engine export` has written, or a folder of photos per person, while no engine serves the folder
    Import(EngineImportArgs),
    /// Users of the engine
    #[command(subcommand)]
    User(EngineUserCommand),
    /// What users may do
    #[command(subcommand)]
    Role(EngineRoleCommand),
    /// Tell whose photos are poor, too few, or like somebody else's, and what to do; the exit code is 1 when people may
    /// be mistaken or missed
    Quality {
        #[command(flatten)]
        folder: EngineFolder,
        /// Print one JSON line per finding
        #[arg(long)]
        json: bool,
    },
    /// Erase a person, a stranger or a time for good, as the page does
    Erase(EngineEraseArgs),
    /// Who changed what, newest first
    Audit {
        #[command(flatten)]
        folder: EngineFolder,
        /// So many entries
        #[arg(long, default_value_t = 50, value_name = "N")]
        last: u32,
        /// Print one JSON line per entry
        #[arg(long)]
        json: bool,
    },
}

/// The folder that holds everything an engine knows. Commands on it work while an engine serves it.
#[derive(Debug, Clone, Args)]
pub struct EngineFolder {
    /// The engine's data folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
}

#[derive(Debug, Args)]
pub struct EngineServeArgs {
    /// Address and port; port 0 takes a free one and prints it
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6009")]
    pub listen: SocketAddr,
    /// Where everything is kept; made if missing
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Embedding model of the manifest
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub model: String,
    /// Serve HTTPS with this certificate (PEM, the engine's own first); without it one is made and kept in the data
    /// folder
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's private key (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// A host name or address the self-made certificate is to be good for, beside this machine's own; may be given
    /// several times
    #[arg(long, value_name = "NAME", conflicts_with = "certificate")]
    pub name: Vec<String>,
    /// HTTPS on a loopback address too, where it is HTTP otherwise
    #[arg(long)]
    pub https: bool,
    /// HTTP on every address: passwords and faces cross the network in the clear
    #[arg(long, conflicts_with_all = ["https", "certificate", "name"])]
    pub http: bool,
    /// Erase what was seen, of people and of strangers, after so many days, or keep it `forever`
    #[arg(long, default_value = "90", value_name = "DAYS")]
    pub keep_detections_days: KeepDays,
    /// Erase strangers so many days after they were last seen, with what was seen of them, or keep them `forever`
    #[arg(long, default_value = "30", value_name = "DAYS")]
    pub keep_unknown_days: KeepDays,
    /// Keep photos of what was seen of so many megabytes, of one account half as much at most: the oldest are erased
    #[arg(long, default_value_t = 10_000, value_name = "MB")]
    pub keep_detections_mb: u64,
    /// Keep documents of so many megabytes, of one account half as much at most: more are refused
    #[arg(long, default_value_t = 2_000, value_name = "MB")]
    pub keep_documents_mb: u64,
    /// Take in nothing while the disk has less than so many megabytes free
    #[arg(long, default_value_t = 500, value_name = "MB")]
    pub keep_free_mb: u64,
    /// A reverse proxy, by address or network, which says in X-Forwarded-For who is asking: guesses and connections are
    /// then counted by client; may be given several times
    #[arg(long, value_name = "ADDR", value_parser = proxy)]
    pub trusted_proxy: Vec<IpNet>,
}

fn proxy(text: &str) -> Result<IpNet, &'static str> {
    Proxies::parse(text).ok_or("it is an address, or a network like 10.0.0.0/8")
}

/// For how many days something is kept, at least one; shown as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, derive_more::Display)]
pub enum KeepDays {
    #[display("{_0} days")]
    For(u32),
    #[display("ever")]
    Forever,
}

impl KeepDays {
    pub fn days(self) -> Option<u32> {
        match self {
            Self::For(days) => Some(days),
            Self::Forever => None,
        }
    }
}

impl FromStr for KeepDays {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "forever" => Ok(Self::Forever),
            days => match days.parse() {
                Ok(days @ 1..=36_500) => Ok(Self::For(days)),
                _ => Err("it is a number of days from 1 to 36500, or `forever`"),
            },
        }
    }
}

/// Whom or what to erase for good.
#[derive(Debug, Args)]
pub struct EngineEraseArgs {
    #[command(flatten)]
    pub folder: EngineFolder,
    /// A person: record, photos, documents, and all that was seen of them, also before they were enrolled
    #[arg(long, value_name = "PERSON_ID", group = "whom")]
    pub person: Option<Uuid>,
    /// Somebody nobody knows, by any of their faces
    #[arg(long, value_name = "FACE_ID", group = "whom")]
    pub stranger: Option<Uuid>,
    /// What was seen from this moment on, as in 2026-01-31T18:00:00+01:00
    #[arg(long, value_name = "TIME", group = "whom", requires = "to")]
    pub from: Option<DateTime<Utc>>,
    /// And before this one
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<DateTime<Utc>>,
    /// Only what this detector saw
    #[arg(long, value_name = "NAME", requires = "from")]
    pub detector: Option<String>,
    /// Tell what would be erased, and erase nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum EngineUserCommand {
    /// Add a user, or give an existing one a new role and password
    Add {
        #[command(flatten)]
        user: EngineUser,
        /// Administrator, Edge Publisher, Enroller or Viewer, or one made with `engine role set`
        #[arg(long)]
        role: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Show all users and their roles
    List {
        #[command(flatten)]
        folder: EngineFolder,
        /// Print one JSON line per user
        #[arg(long)]
        json: bool,
    },
    /// Remove a user; their tokens are void at once
    Remove(EngineUser),
    /// Give a user a new password; older tokens are void at once
    Password {
        #[command(flatten)]
        user: EngineUser,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Give a user another role; it counts at once
    Role {
        #[command(flatten)]
        user: EngineUser,
        #[arg(long)]
        role: String,
    },
}

/// A user of the engine whose folder it is.
#[derive(Debug, Args)]
pub struct EngineUser {
    #[command(flatten)]
    pub folder: EngineFolder,
    #[arg(long)]
    pub username: String,
}

#[derive(Debug, Clone, Args)]
pub struct NewPassword {
    /// Its first line is the password, `-` is standard input; without it the prompt asks
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum EngineRoleCommand {
    /// Make a role, or give one other permissions
    Set {
        #[command(flatten)]
        folder: EngineFolder,
        #[arg(long)]
        role: String,
        /// Like `Face Publishing`, or `Tags/Read Tags` where two categories have one of that name; may be given several
        /// times
        #[arg(long, required = true)]
        permission: Vec<String>,
    },
    /// Show all roles and what they may do
    List {
        #[command(flatten)]
        folder: EngineFolder,
        /// Print one JSON line per role
        #[arg(long)]
        json: bool,
    },
    /// Remove a role that nobody has
    Remove {
        #[command(flatten)]
        folder: EngineFolder,
        #[arg(long)]
        role: String,
    },
}

/// Running it again goes on where it stopped; `doorward identities import --help` tells what is read.
#[derive(Debug, Args)]
pub struct EngineImportArgs {
    #[command(flatten)]
    pub folder: EngineFolder,
    #[command(flatten)]
    pub what: ImportedPeople,
    /// Embedding model of the manifest
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub model: String,
}
