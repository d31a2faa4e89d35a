//! What can be set per detector: its camera and every step from frame to answer.
//!
//! In: `[detector]` of `doorward.toml` for the defaults, `detectors/*.toml` for each detector. Out:
//! [`DetectorConfig`]. It does not know which rooms read which section.

use std::path::PathBuf;

use chrono_tz::Tz;
use faces::detect::SearchOptions;
use faces::quality::QualityOptions;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Days, DetectorName, RuleConfig};

/// One detector: `[detector]` of `doorward.toml` gives the defaults, `detectors/<name>.toml` the rest.
#[derive(Debug, Clone)]
pub struct DetectorConfig {
    pub name: DetectorName,
    pub time_zone: Tz,
    /// What rules call a holiday here.
    pub holidays: Vec<Days>,
    pub camera: CameraConfig,
    pub detect: DetectConfig,
    pub track: TrackConfig,
    pub quality: QualityConfig,
    pub crop: CropConfig,
    pub embed: EmbedConfig,
    pub identify: IdentifyConfig,
    pub presence: PresenceConfig,
    /// The global rules that apply here and the detector's own, in order.
    pub rules: Vec<RuleConfig>,
}

/// `[camera]`: the kind its `type` names. Read with [`from_toml`](super::from_toml) or from a file: serde's own tags
/// lose the place of a mistake, so the tag is the configuration's deserializer's business.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraConfig {
    V4l2(V4l2Config),
    Stream(StreamConfig),
    Replay(ReplayConfig),
}

/// `type = "v4l2"`: a camera on this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct V4l2Config {
    /// `/dev/video0`, an index (`"0"`), or a name under `/dev/v4l/by-id`.
    pub device: String,
    /// The nearest mode the camera has is taken, and logged.
    #[serde(default = "default::width_px")]
    pub width_px: u32,
    #[serde(default = "default::height_px")]
    pub height_px: u32,
    /// Frames per second.
    #[serde(default = "default::fps")]
    pub fps: u32,
    #[serde(default)]
    pub format: PixelFormat,
    /// No frame for this long is a fault: the camera is reopened.
    #[serde(default = "default::stall_ms")]
    pub stall_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFormat {
    /// Whatever gives the wanted size and rate: MJPEG, then YUYV, then the rest.
    #[default]
    Auto,
    Mjpeg,
    Yuyv,
    Nv12,
    Grey,
    Rgb,
}

/// `type = "stream"`: RTSP, HTTP MJPEG, or any address FFmpeg reads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// May hold a user name and password, and then never shows up in a log.
    pub url: SecretString,
    #[serde(default)]
    pub transport: RtspTransport,
    #[serde(default = "default::stall_ms")]
    pub stall_ms: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspTransport {
    #[default]
    Tcp,
    Udp,
}

/// `type = "replay"`: a video file or a folder of pictures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayConfig {
    pub path: PathBuf,
    #[serde(default)]
    pub pace: Pace,
    /// Frames per second for `pace = "fixed"`, and the clock of a folder of pictures.
    #[serde(default)]
    pub fps: Option<f64>,
    /// Start again at the end.
    #[serde(default, rename = "loop")]
    pub looped: bool,
    /// Dates the first frame; the recording's clock runs from here. Without it, the moment of opening.
    #[serde(default)]
    pub starts_at: Option<chrono::DateTime<chrono::Utc>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As recorded, like a live camera: frames that come too fast are dropped.
    #[default]
    Recorded,
    /// At `fps`, like a live camera.
    Fixed,
    /// As fast as possible: every frame is processed, on the recording's clock.
    Fast,
}

/// `[detect]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// A model of the manifest, or `auto`: the first of its preference order whose file is present.
    pub model: String,
    /// The frame is shrunk until its longest side is no more than this before it is searched.
    pub longest_side_px: u32,
    /// Faces below this score are not reported, 0 to 1.
    pub min_score: f32,
    /// Two boxes that overlap more than this (IoU) are one face.
    pub nms_iou: f32,
    /// Frames searched per second at most; the rest are dropped. 0 is without limit.
    pub max_fps: f32,
}

/// `[track]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackConfig {
    /// Which visits are sent: the largest face's, or each.
    pub subject: Subject,
    /// A visit ends when its face has not been seen for this long.
    pub lost_after_ms: u64,
    /// A face must be seen in this many frames to be believed.
    pub min_frames: u32,
    /// The first good-enough shot is sent within this time of the first usable face.
    pub first_shot_ms: u64,
    /// A second shot is sent when its quality exceeds the first by this much, 0 to 1.
    pub better_by: f32,
    /// A better shot is looked for until this long after the first.
    pub better_within_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Largest,
    Each,
}

/// `[quality]`: what a face must reach to be sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityConfig {
    /// Smallest height of the face's box.
    pub min_face_px: u32,
    /// Smallest total quality, 0 to 1.
    pub min_total: f32,
}

/// `[crop]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CropConfig {
    /// Added on each side, as a share of the face's box.
    pub margin: f32,
    /// Of the JPEG, 1 to 100.
    pub jpeg_quality: u8,
    /// The crop is shrunk to this.
    pub longest_side_px: u32,
}

/// `[embed]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbedConfig {
    /// A model of the manifest, or `auto`.
    pub model: String,
}

/// `[identify]`: what is asked of the engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentifyConfig {
    pub call: Call,
    pub largest_face_only: bool,
    pub allow_double_detection: bool,
    pub include_person: bool,
    pub include_names: bool,
    pub include_addresses: bool,
    pub include_tags: bool,
    pub include_fields: bool,
    /// The engine accepts `croppedAligned` with publish and publishWithResponse (eConnect's does not ask for it).
    pub send_aligned: bool,
    /// The engine accepts `embeddings` and `recognitionModel` of the `[embed]` model.
    pub send_embedding: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    PublishWithResponse,
    Publish,
    Recognize,
    Lookup,
}

/// `[presence]`: when somebody has left.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PresenceConfig {
    /// Who has not been seen for this long has left; never shorter than a visit waits for a face that is gone
    /// (`track.lost_after_ms`).
    pub absent_secs: u64,
}

impl DetectorConfig {
    /// Everything but the name and the camera at its default, in UTC, without rules.
    pub fn new(name: DetectorName, camera: CameraConfig) -> Self {
        Self {
            name,
            time_zone: Tz::UTC,
            holidays: Vec::new(),
            camera,
            detect: DetectConfig::default(),
            track: TrackConfig::default(),
            quality: QualityConfig::default(),
            crop: CropConfig::default(),
            embed: EmbedConfig::default(),
            identify: IdentifyConfig::default(),
            presence: PresenceConfig::default(),
            rules: Vec::new(),
        }
    }
}

impl V4l2Config {
    /// A camera of this machine, in the default mode.
    pub fn new(device: impl Into<String>) -> Self {
        Self {
            device: device.into(),
            width_px: default::width_px(),
            height_px: default::height_px(),
            fps: default::fps(),
            format: PixelFormat::default(),
            stall_ms: default::stall_ms(),
        }
    }
}

impl StreamConfig {
    /// A stream over TCP, with the default patience.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self { url: url.into(), transport: RtspTransport::default(), stall_ms: default::stall_ms() }
    }
}

impl ReplayConfig {
    /// A recording, once, at its own pace, dated now.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), pace: Pace::default(), fps: None, looped: false, starts_at: None }
    }
}

impl Default for DetectConfig {
    fn default() -> Self {
        let SearchOptions { model, longest_side_px, min_score, nms_iou } = SearchOptions::default();
        Self { model, longest_side_px, min_score, nms_iou, max_fps: 0.0 }
    }
}

impl DetectConfig {
    /// The part of it that the search itself goes by.
    pub fn search(&self) -> SearchOptions {
        SearchOptions {
            model: self.model.clone(),
            longest_side_px: self.longest_side_px,
            min_score: self.min_score,
            nms_iou: self.nms_iou,
        }
    }
}

impl Default for TrackConfig {
    fn default() -> Self {
        Self {
            subject: Subject::Largest,
            lost_after_ms: 2000,
            min_frames: 2,
            first_shot_ms: 400,
            better_by: 0.15,
            better_within_ms: 10_000,
        }
    }
}

impl Default for QualityConfig {
    fn default() -> Self {
        let QualityOptions { min_face_px, min_total } = QualityOptions::default();
        Self { min_face_px, min_total }
    }
}

impl QualityConfig {
    /// What a face is held against.
    pub fn options(&self) -> QualityOptions {
        QualityOptions { min_face_px: self.min_face_px, min_total: self.min_total }
    }
}

impl Default for CropConfig {
    fn default() -> Self {
        Self { margin: 0.5, jpeg_quality: 90, longest_side_px: 640 }
    }
}

impl Default for EmbedConfig {
    fn default() -> Self {
        Self { model: "auto".into() }
    }
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self { absent_secs: 60 }
    }
}

impl Default for IdentifyConfig {
    fn default() -> Self {
        Self {
            call: Call::PublishWithResponse,
            largest_face_only: true,
            allow_double_detection: false,
            include_person: true,
            include_names: true,
            include_addresses: false,
            include_tags: true,
            include_fields: true,
            send_aligned: false,
            send_embedding: false,
        }
    }
}

/// Defaults of keys in sections that have required ones.
mod default {
    pub fn width_px() -> u32 {
        1280
    }
    pub fn height_px() -> u32 {
        720
    }
    pub fn fps() -> u32 {
        15
    }
    pub fn stall_ms() -> u64 {
        5_000
    }
}
