//! What can be set per detector: its camera and every step from frame to answer.
//!
//! In: `[detector]` of `doorward.toml` for the defaults, `detectors/*.toml` for each detector. Out:
//! [`DetectorConfig`]. It does not know which rooms read which section.

use chrono_tz::Tz;
use faces::detect::SearchOptions;
use faces::quality::QualityOptions;

use super::camera::CameraConfig;
use super::liveness::LivenessConfig;
use super::name::DetectorName;
use super::reading::At;
use super::rules::RuleConfig;
use super::section::section;
use super::time::Days;
use super::value::words;
use super::view::ViewConfig;

section! {
    /// One detector: `[detector]` of `doorward.toml` gives the defaults, `detectors/<name>.toml` the rest.
    pub struct DetectorConfig: new(name: DetectorName, camera: CameraConfig) {
        /// Where the file says none, it is the file's own.
        pub name: DetectorName;
        /// A file has to say it.
        pub time_zone: Tz = Tz::UTC;
        /// What rules call a holiday here.
        pub holidays: Vec<Days> = Vec::new();
        pub camera: CameraConfig;
        pub view: ViewConfig = ViewConfig::default();
        pub detect: DetectConfig = DetectConfig::default();
        pub track: TrackConfig = TrackConfig::default();
        pub quality: QualityConfig = QualityConfig::default();
        pub crop: CropConfig = CropConfig::default();
        pub embed: EmbedConfig = EmbedConfig::default();
        pub liveness: LivenessConfig = LivenessConfig::default();
        pub identify: IdentifyConfig = IdentifyConfig::default();
        pub presence: PresenceConfig = PresenceConfig::default();
        /// The rules of `doorward.toml` that apply here and the detector's own, in order.
        pub rules named "rule": Vec<RuleConfig> = Vec::new();
    }
}

section! {
    /// `[detect]`
    pub struct DetectConfig: Default {
        /// A model of the manifest, or `auto`: the first of its preference order whose file is present.
        pub model: String = SearchOptions::default().model;
        /// The frame is shrunk until its longest side is no more than this before it is searched.
        pub longest_side_px: u32 = SearchOptions::default().longest_side_px, in 32..=8_192;
        /// Faces below this score are not reported.
        pub min_score: f32 = SearchOptions::default().min_score, in 0.0..=1.0;
        /// Two boxes that overlap more than this (IoU) are one face.
        pub nms_iou: f32 = SearchOptions::default().nms_iou, in 0.0..=1.0;
        /// Frames searched per second at most; the rest are not decoded where that can be. 0 is without limit.
        pub max_fps: f32 = 0.0, in 0.0..=240.0;
        /// Only where something moves is searched, and everything once a second.
        pub motion_gate: bool = true;
    }
}

section! {
    /// `[track]`
    pub struct TrackConfig: Default {
        /// Whose shots go first: the largest face's, then the next, one at a time; or everybody's at once.
        pub subject: Subject = Subject::Largest;
        /// A visit ends when its face has not been seen for this long.
        pub lost_after_ms: u64 = 2_000, in 100..=60_000;
        /// A face must be seen in this many frames to be believed.
        pub min_frames: u32 = 2, in 1..=100;
        /// The first good-enough shot is sent within this time of the first usable face.
        pub first_shot_ms: u64 = 400, in 0..=60_000;
        /// A shot whose quality exceeds those before by this much is sent without waiting for their answer.
        pub better_by: f32 = 0.15, in 0.0..=1.0;
        /// A better shot is looked for until this long after the first.
        pub better_within_ms: u64 = 10_000, in 0..=600_000;
        /// Shots of a visit at most while the engine knows nobody in them; a known visitor is not asked for again.
        /// Five: `make recall` finds everybody with it, at 4.1 calls for a stranger; the chance that a stranger is
        /// taken for somebody grows at most as many times as there are shots (README, Who is recognised).
        pub most_shots: u32 = 5, in 1..=20;
    }
}

words! {
    /// Whose visits are sent.
    pub enum Subject {
        Largest,
        Each,
    }
}

section! {
    /// `[quality]`: what a face must reach to be sent.
    pub struct QualityConfig: Default {
        /// Smallest height of the face's box.
        pub min_face_px: u32 = QualityOptions::default().min_face_px, in 8..=8_192;
        /// Smallest total quality.
        pub min_total: f32 = QualityOptions::default().min_total, in 0.0..=1.0;
    }
}

section! {
    /// `[crop]`
    pub struct CropConfig: Default {
        /// Added on each side, as a share of the face's box.
        pub margin: f32 = 0.5, in 0.0..=3.0;
        /// The quality of the JPEG.
        pub jpeg_quality: u8 = 90, in 1..=100;
        /// The crop is shrunk until its longest side is no more than this.
        pub longest_side_px: u32 = 640, in 32..=8_192;
    }
}

section! {
    /// `[embed]`
    pub struct EmbedConfig: Default {
        /// A model of the manifest, or `auto`.
        pub model: String = "auto".into();
    }
}

section! {
    /// `[identify]`: what is asked of the engine.
    pub struct IdentifyConfig: Default, checked by check_identify {
        pub call: Call = Call::PublishWithResponse;
        pub largest_face_only: bool = true;
        pub allow_double_detection: bool = false;
        pub include_person: bool = true;
        pub include_names: bool = true;
        pub include_addresses: bool = false;
        pub include_tags: bool = true;
        pub include_fields: bool = true;
        /// The engine accepts `croppedAligned` with publish and publishWithResponse (eConnect's does not ask for it).
        pub send_aligned: bool = false;
        /// The engine accepts `embeddings` and `recognitionModel` of the `[embed]` model.
        pub send_embedding: bool = false;
    }
}

words! {
    /// The operation of the API that a sighting is sent by.
    pub enum Call {
        PublishWithResponse,
        Publish,
        Recognize,
        Lookup,
    }
}

section! {
    /// `[presence]`: who is still the same visitor, and when somebody has left.
    pub struct PresenceConfig: Default {
        /// Who has not been seen for this long has left; never shorter than a visit waits for a face that is gone
        /// (`track.lost_after_ms`).
        pub absent_secs: u64 = 60, in 1..=86_400;
        /// Visits of the same face, by the `[embed]` model where its file is there, are one stay.
        pub same_face: bool = true;
    }
}

fn check_identify(identify: &IdentifyConfig, at: &At<'_>) {
    if identify.send_aligned && matches!(identify.call, Call::Recognize | Call::Lookup) {
        at.unwise(&["send_aligned"], "it has no effect: these calls always send the aligned face");
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
            thorough: false,
        }
    }
}

impl QualityConfig {
    /// What a face is held against.
    pub fn options(&self) -> QualityOptions {
        QualityOptions { min_face_px: self.min_face_px, min_total: self.min_total }
    }
}
