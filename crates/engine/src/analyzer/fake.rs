//! An analyser without models, for tests: every vertical band of a picture that is not dark is a face, and its colour
//! is who it is.
//!
//! In: pictures of bands 40 pixels wide. Out: one face per bright band, the brightest first; two bands of about the
//! same colour are the same person. A picture less than 40 pixels high is a poor one. A model whose name says so is
//! blind to green, one called `wide` draws boxes that leave the picture, and one called `distance` measures distances.

use faces::detect::{Face, Point, Rect};
use faces::embed::{Embedding, Metric};
use faces::picture::Picture;
use faces::quality::{Part, Quality};

use super::{Analyzed, FaceAnalyzer, FaceModel, Stands, Wanted};
use crate::error::EngineError;

const BAND: u32 = 40;

pub struct FakeAnalyzer {
    model: FaceModel,
}

impl FakeAnalyzer {
    pub fn boxed(model: &str) -> Box<dyn FaceAnalyzer> {
        let (metric, threshold) = if model == "distance" { (Metric::L2, 0.3) } else { (Metric::Cosine, 0.95) };
        let model = FaceModel { name: model.into(), dimensions: 3, metric, threshold };
        Box::new(Self { model })
    }

    fn embedding(&self, [b, g, r]: [u8; 3]) -> Embedding {
        let values: Vec<f32> = [b, g, r].iter().map(|value| f32::from(*value) - 128.0).collect();
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-3);
        Embedding { model: self.model.name.clone(), values: values.iter().map(|value| value / length).collect() }
    }
}

impl FaceAnalyzer for FakeAnalyzer {
    fn model(&self) -> &FaceModel {
        &self.model
    }

    fn analyze(&mut self, picture: &Picture, wanted: Wanted) -> Result<Vec<Analyzed>, EngineError> {
        let height = picture.height();
        let score = if height < BAND { 0.1 } else { 0.9 };
        let part = Part { score, value: height as f32 };
        let row = picture.row(height / 2);
        let mut found: Vec<_> = (0..picture.width().div_ceil(BAND))
            .filter_map(|band| {
                let x = (band * BAND + BAND / 2).min(picture.width() - 1) as usize * 3;
                let colour = [row[x], row[x + 1], row[x + 2]];
                let brightest = *colour.iter().max()?;
                let unseen = self.model.name.ends_with("blind to green") && colour[1] == brightest;
                (brightest > 40 && !unseen).then(|| {
                    // Real detectors draw boxes beyond the picture's edges, too.
                    let over = if self.model.name == "wide" { BAND as f32 } else { 0.0 };
                    let bbox = Rect {
                        x: (band * BAND) as f32 - over,
                        y: -over,
                        width: BAND as f32 + 2.0 * over,
                        // The brighter, the larger.
                        height: height as f32 * f32::from(brightest) / 255.0 + 2.0 * over,
                    };
                    let face = Face { bbox, landmarks: [Point { x: 0.0, y: 0.0 }; 5], score: 0.8 };
                    let quality = Quality { total: score, ..Quality::of([part; 6]) };
                    Analyzed { face, embedding: self.embedding(colour), quality }
                })
            })
            .collect();
        found.sort_by(|a, b| b.face.bbox.area().total_cmp(&a.face.bbox.area()));
        if wanted == Wanted::Largest {
            found.truncate(1);
        }
        Ok(found)
    }

    fn stands(&mut self, _: &Picture, _: &Analyzed) -> Result<Stands, EngineError> {
        Ok(Stands { sure: 1.0, unmistakable: true })
    }

    fn embed_crop(&mut self, crop: &Picture) -> Result<Option<Embedding>, EngineError> {
        Ok(self.analyze(crop, Wanted::Largest)?.pop().map(|found| found.embedding))
    }
}

/// An analyser for one photo, in which a face stands more or less surely by the way the photo is turned.
pub mod standing {
    use super::*;
    use faces::align::ARCFACE;

    /// A face in one of the four directions.
    #[derive(Clone, Copy)]
    pub struct Glimpse {
        pub sure: f32,
        /// Of its landmarks, in degrees.
        pub roll: f32,
    }

    /// What is seen in the photo as it is, and after one, two and three quarter turns.
    pub struct Standing {
        model: FaceModel,
        glimpses: [Option<Glimpse>; 4],
    }

    impl Standing {
        pub fn new(glimpses: [Option<Glimpse>; 4]) -> Self {
            let model = FaceModel { name: "standing".into(), dimensions: 1, metric: Metric::Cosine, threshold: 0.9 };
            Self { model, glimpses }
        }

        /// 100 pixels wide, 60 high, and white in its upper left corner, by which the turn is known.
        pub fn photo() -> Picture {
            let pixel = |x: u32, y: u32| [if x < 50 && y < 30 { 255 } else { 0 }; 3];
            let pixels = (0..60).flat_map(|y| (0..100).flat_map(move |x| pixel(x, y))).collect();
            Picture::new(100, 60, pixels).unwrap()
        }

        fn glimpse(&self, picture: &Picture) -> Option<Glimpse> {
            let white = |x: u32, y: u32| picture.row(y)[x as usize * 3] > 0;
            let (right, bottom) = (picture.width() - 1, picture.height() - 1);
            let corners = [(0, 0), (right, 0), (right, bottom), (0, bottom)];
            let turns = corners.iter().position(|&(x, y)| white(x, y)).unwrap();
            self.glimpses[turns]
        }
    }

    impl FaceAnalyzer for Standing {
        fn model(&self) -> &FaceModel {
            &self.model
        }

        fn analyze(&mut self, picture: &Picture, _: Wanted) -> Result<Vec<Analyzed>, EngineError> {
            let Some(Glimpse { roll, .. }) = self.glimpse(picture) else { return Ok(vec![]) };
            let (sin, cos) = roll.to_radians().sin_cos();
            let landmarks = ARCFACE.map(|Point { x, y }| Point { x: x * cos - y * sin, y: x * sin + y * cos });
            let bbox = Rect { x: 0.0, y: 0.0, width: 40.0, height: 50.0 };
            let part = Part { score: 1.0, value: 1.0 };
            let quality = Quality::of([part; 6]);
            let embedding = Embedding { model: self.model.name.clone(), values: vec![1.0] };
            Ok(vec![Analyzed { face: Face { bbox, landmarks, score: 0.9 }, embedding, quality }])
        }

        fn stands(&mut self, picture: &Picture, _: &Analyzed) -> Result<Stands, EngineError> {
            let sure = self.glimpse(picture).map_or(0.0, |glimpse| glimpse.sure);
            Ok(Stands { sure, unmistakable: false })
        }

        fn embed_crop(&mut self, _: &Picture) -> Result<Option<Embedding>, EngineError> {
            Ok(None)
        }
    }
}
