//! `doorward camera`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::config::DetectorName;

#[derive(Debug, Subcommand)]
pub enum CameraCommand {
    /// The cameras of this machine, and what they can do
    List {
        /// Print one JSON line per camera
        #[arg(long)]
        json: bool,
    },
    /// Take a picture from a detector's camera
    Snapshot(SnapshotArgs),
    /// Try every mode of a camera of this machine: what it really delivers, and at what cost
    Probe(ProbeArgs),
}

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The detector; may be left out where there is one alone
    #[arg(value_name = "DETECTOR", value_parser = DetectorName::new)]
    pub detector: Option<DetectorName>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Where to write the JPEG
    #[arg(long, value_name = "FILE", default_value = "snapshot.jpg")]
    pub out: PathBuf,
    /// Draw a box around every face, with its height and quality beside it
    #[arg(long)]
    pub boxes: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The camera: /dev/video0, an index, or a name under /dev/v4l/by-id [default: the detector's, or the only one]
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
    /// How long each mode is tried, seconds
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// Print one JSON line per mode
    #[arg(long)]
    pub json: bool,
}
