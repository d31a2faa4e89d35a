//! From a best shot to its sighting: looked at again, cut out, held against the faces before, and against pictures.
//!
//! In: a shot, and which visits are in view. Out: a [`Sighting`], and what a second look showed of the face put into
//! the shot. It knows the models; it does not know what becomes of the sighting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use faces::detect::FaceDetector;
use faces::embed::{Embedding, FaceEmbedder};
use faces::liveness::{Liveness, LivenessCheck, LivenessError};
use parking_lot::Mutex;

use super::mounting::Mounting;
use super::presence::absent;
use super::stays::Stays;
use crate::config::DetectorConfig;
use crate::crop::{self, Sighting};
use crate::recognition::{wants_aligned, wants_embedding};
use crate::status::Board;
use crate::terminal::with_causes;
use crate::track::{BestShot, VisitId};

/// Makes the sightings of one detector.
pub struct Shots {
    config: Arc<DetectorConfig>,
    /// Shared with the thread that searches frames: one model, which is not small.
    detector: Arc<Mutex<FaceDetector>>,
    embedder: Option<Arc<Mutex<FaceEmbedder>>>,
    /// Which visits are of one face; `None` where nothing tells faces apart.
    stays: Option<Stays>,
    liveness: Option<Arc<Mutex<LivenessCheck>>>,
    mounting: Mounting,
    board: Board,
}

impl Shots {
    pub fn new(
        config: Arc<DetectorConfig>,
        detector: Arc<Mutex<FaceDetector>>,
        embedder: Option<Arc<Mutex<FaceEmbedder>>>,
        liveness: Option<Arc<Mutex<LivenessCheck>>>,
        board: Board,
    ) -> Self {
        let stays = embedder.as_ref().filter(|_| config.presence.same_face);
        let stays = stays.map(|embedder| Stays::new(embedder.lock().model.clone(), absent(&config)));
        let mounting = Mounting::new(config.camera.rotate(), config.view.mirror);
        Self { config, detector, embedder, stays, liveness, mounting, board }
    }

    /// These visits are in the newest frame.
    pub fn in_view(&mut self, visits: &[VisitId], now: Duration) {
        if let Some(stays) = &mut self.stays {
            stays.in_view(visits, now);
        }
    }

    /// The shot as a second look shows it, cut out. What that look finds of the face goes into the shot; one it does
    /// not find is sent as it was seen.
    pub fn sighting(&mut self, shot: &mut BestShot, in_view: &[VisitId]) -> Option<Sighting> {
        let config = Arc::clone(&self.config);
        let look = match self.detector.lock().look_again(&shot.frame.picture, &shot.face) {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(visit = %shot.visit, %error, "a shot is sent without a second look");
                None
            }
        };
        if let Some(look) = &look {
            (shot.face.landmarks, shot.quality) = (look.face.landmarks, shot.quality.clone().with_pose(look.pose()));
            if shot.number == 1 {
                self.board.mounting(&config.name, self.mounting.seen(look), Instant::now());
            }
        }
        let cut = crop::cut(shot, look.as_ref(), &config.crop, config.time_zone, wants_aligned(&config.identify));
        let wrong = |error: &_| tracing::error!(visit = %shot.visit, %error, "a shot could not be cropped");
        let mut sighting = cut.inspect_err(wrong).ok()?;
        let embedding = self.embedding(shot);
        if let (Some(stays), Some(embedding)) = (&mut self.stays, &embedding) {
            sighting.stay = Some(stays.of(shot.visit, &embedding.values, in_view, shot.frame.time.offset));
        }
        sighting.embedding = embedding.filter(|_| wants_embedding(&config.identify));
        sighting.liveness = self.liveness(shot);
        Some(sighting)
    }

    fn embedding(&mut self, shot: &BestShot) -> Option<Embedding> {
        let embedded = self.embedder.as_ref()?.lock().embed(&shot.frame.picture, &shot.face);
        // The engine can do without it, and so can presence.
        let failed = |error: &_| tracing::warn!(visit = %shot.visit, %error, "a shot is sent without its embedding");
        embedded.inspect_err(failed).ok()
    }

    /// Whether the shot shows a person or a picture of one, where models are asked.
    fn liveness(&mut self, shot: &BestShot) -> Option<Liveness> {
        let looked = self.liveness.as_ref()?.lock().look(&shot.frame.picture, &shot.face.bbox);
        // Guards that ask for it keep their actuators still without it.
        let failed = |error: &LivenessError| {
            tracing::warn!(visit = %shot.visit, error = with_causes(error), "a shot is sent without its liveness");
        };
        looked.inspect_err(failed).ok()
    }
}
