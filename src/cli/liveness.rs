//! The arguments of `doorward liveness`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigArgs;
use crate::config::DetectorName;

#[derive(Debug, Subcommand)]
pub enum LivenessCommand {
    /// What the liveness models say of pictures: whether they show a person, or a picture of one
    Look(LivenessLookArgs),
    /// How often the visitors of the last days would have been turned away by `guard.min_live`
    Measure(LivenessMeasureArgs),
}

#[derive(Debug, Args)]
pub struct LivenessLookArgs {
    /// JPEG, PNG, WebP or BMP; the pictures of a folder are taken for the shots of one visit
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// Print one JSON line per image or folder
    #[arg(long)]
    pub json: bool,
    /// Only this liveness model of the manifest; may be given several times [default: all that are here]
    #[arg(long, value_name = "NAME")]
    pub model: Vec<String>,
}

#[derive(Debug, Args)]
pub struct LivenessMeasureArgs {
    /// At which camera
    #[arg(long, value_name = "NAME", value_parser = DetectorName::new)]
    pub detector: DetectorName,
    /// How far back [default: as far as `outbox.history_days` goes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: Option<u32>,
    /// A bound to try, 0 to 1; may be given several times [default: those of the guards there, and some more]
    #[arg(long, value_name = "LIVE", value_parser = parse_bound)]
    pub bound: Vec<f32>,
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_bound(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|bound| (0.0..=1.0).contains(bound)).ok_or_else(|| "it is a number from 0 to 1".into())
}
