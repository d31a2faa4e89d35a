//! Whether a face is a person's, or a picture of one that is held to the camera.
//!
//! In: a picture and the box of a face in it. Out: a [`Liveness`], 0 to 1, by each model that was loaded and by all of
//! them together. It looks at one picture alone: several pictures of a visitor are joined by whoever has them. It is no
//! lock by itself: a model fails on cameras it was not trained on, in either direction, which is why there are several.

use ort::session::Session;
use ort::value::TensorRef;

use crate::face::Rect;
use crate::models::{Model, ModelError, ModelStore, Role};
use crate::onnx::{self, OnnxError};
use crate::picture::{Picture, PictureError};

pub mod agreement;
mod antispoof;
mod minifasnet;

/// What the models say of one face in one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Liveness {
    /// What they say together, 0 (a picture of a face) to 1 (a person); see [`agreement::of_models`].
    pub live: f32,
    /// What each says, in the order they were loaded.
    pub models: Vec<ModelScore>,
}

/// What one model says of one face.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelScore {
    /// Its name in the manifest.
    pub model: String,
    /// 0 (a picture of a face) to 1 (a person).
    pub live: f32,
}

/// Why it cannot be told whether a face is a person's.
#[derive(Debug, thiserror::Error)]
pub enum LivenessError {
    #[error("cannot choose a liveness model")]
    Choose { source: ModelError },
    #[error("cannot load ONNX Runtime for the liveness models")]
    Runtime { source: OnnxError },
    #[error("cannot load the liveness model {model}")]
    Load { model: String, source: OnnxError },
    #[error("{model} is not a liveness model this build knows")]
    Unknown { model: String },
    #[error("cannot cut out the face for the liveness model {model}")]
    Cut { model: String, source: PictureError },
    #[error("the liveness model {model} failed on a face")]
    Run { model: String, source: ort::Error },
    #[error("the liveness model {model} gave no figures that make sense; check it with `doorward models verify`")]
    Senseless { model: String },
}

/// The models of these names; for none of them all whose files are present.
///
/// # Errors
/// When none is present, and when one that is named is not; each says what to do.
pub fn choose(store: &ModelStore, names: &[String]) -> Result<Vec<Model>, ModelError> {
    if !names.is_empty() {
        return names.iter().map(|name| store.choose(Role::Liveness, name)).collect();
    }
    let all = store.manifest().preference(Role::Liveness);
    let present: Vec<_> = all.iter().filter_map(|entry| store.choose(Role::Liveness, &entry.name).ok()).collect();
    // What is asked for when nothing is there tells why.
    if present.is_empty() { store.choose(Role::Liveness, "auto").map(|model| vec![model]) } else { Ok(present) }
}

/// Loads the models that [`choose`] gives. `threads` is how many one inference may use.
pub fn load(store: &ModelStore, names: &[String], threads: u16) -> Result<LivenessCheck, LivenessError> {
    let failed = |source| LivenessError::Choose { source };
    let files = choose(store, names).map_err(failed)?;
    onnx::init(&store.runtime().map_err(failed)?).map_err(|source| LivenessError::Runtime { source })?;
    let network = |file: Model| Network::load(&file.name, &store.read(&file).map_err(failed)?, threads);
    let networks = files.into_iter().map(network).collect::<Result<Vec<_>, _>>()?;
    let check = LivenessCheck { networks, input: Vec::new() };
    tracing::info!(threads, "the liveness models are {}", check.models().collect::<Vec<_>>().join(", "));
    Ok(check)
}

/// Tells faces from pictures of faces, by one model or several.
pub struct LivenessCheck {
    networks: Vec<Network>,
    /// The memory of a network's input, used again for every face.
    input: Vec<f32>,
}

/// A model that is loaded.
struct Network {
    name: String,
    layout: Layout,
    session: Session,
}

/// How a face becomes the input of a network, and its output a figure.
#[derive(Clone, Copy)]
struct Layout {
    /// Cuts the square around the box of a face, at the size the network takes.
    cut: fn(&Picture, &Rect) -> Result<Picture, PictureError>,
    /// Which byte of a pixel each channel of the input is; pixels are blue, green, red.
    channels: [usize; 3],
    /// Values of 0 to 255 are multiplied by it.
    factor: f32,
    /// The network's figures as 0 to 1; `None` where there are not as many as there should be.
    live: fn(&[f32]) -> Option<f32>,
}

impl LivenessCheck {
    /// The names of the models, in their order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.networks.iter().map(|network| network.name.as_str())
    }

    /// What the models say of the face in this box.
    pub fn look(&mut self, picture: &Picture, face: &Rect) -> Result<Liveness, LivenessError> {
        let models = self.networks.iter_mut().map(|network| network.look(picture, face, &mut self.input));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        let live = agreement::of_models(&models.iter().map(|score| score.live).collect::<Vec<_>>());
        Ok(Liveness { live, models })
    }
}

impl Network {
    fn load(name: &str, bytes: &[u8], threads: u16) -> Result<Self, LivenessError> {
        let layout = match name {
            "antispoof_minifas_128" => antispoof::LAYOUT,
            "minifasnet_v2_2_7" => minifasnet::LAYOUT_2_7,
            "minifasnet_v1se_4_0" => minifasnet::LAYOUT_4_0,
            _ => return Err(LivenessError::Unknown { model: name.into() }),
        };
        let session = onnx::session(name, bytes, threads);
        let session = session.map_err(|source| LivenessError::Load { model: name.into(), source })?;
        Ok(Self { name: name.into(), layout, session })
    }

    fn look(&mut self, picture: &Picture, face: &Rect, input: &mut Vec<f32>) -> Result<ModelScore, LivenessError> {
        let name = || self.name.clone();
        let Layout { cut, channels, factor, live } = self.layout;
        let chip = cut(picture, face).map_err(|source| LivenessError::Cut { model: name(), source })?;
        let plane = chip.width() as usize * chip.height() as usize;
        input.resize(3 * plane, 0.0);
        for (at, pixel) in chip.bgr().as_chunks::<3>().0.iter().enumerate() {
            for (channel, byte) in channels.into_iter().enumerate() {
                input[channel * plane + at] = f32::from(pixel[byte]) * factor;
            }
        }
        let run = |source| LivenessError::Run { model: name(), source };
        let shape = [1, 3, i64::from(chip.height()), i64::from(chip.width())];
        let tensor = TensorRef::from_array_view((shape, input.as_slice())).map_err(run)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(run)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(run)?;
        match live(values).filter(|live| live.is_finite()) {
            Some(live) => Ok(ModelScore { model: name(), live: live.clamp(0.0, 1.0) }),
            None => Err(LivenessError::Senseless { model: name() }),
        }
    }
}
