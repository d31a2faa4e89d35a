//! What is wrong with the photos people were enrolled with; pure.
//!
//! In: the vectors and qualities of all photos, and how each person's sightings were matched. Out: [`Problem`]s, the
//! most urgent first. Photos are compared with those of others through the index, not pair by pair.

use std::collections::{BTreeMap, BTreeSet};

use ::faces::embed::FaceModel;
use serde::Serialize;
use uuid::Uuid;

use crate::index::{Entry, Index};

/// Photos of one person each photo is compared with, at the most.
const MOST_OWN: usize = 100;

/// Another person's photo is close from this confidence on (0.5 is a match): of cosine 0.074 below the threshold, of
/// distance 0.058 above it. Of 1,166 pairs of two people among 54 photos none comes so near, with either model.
const CLOSE: f32 = 0.25;

/// Photos of one person that are all so sure of the first are about the same picture: of cosine 0.47 above the
/// threshold. Of 265 pairs of photos of one person, 12 with one model and 14 with the other come there.
const SAME_PICTURE: f32 = 0.999;

/// A match of less confidence than this is a bare one …
pub const BARE: f32 = 0.7;
/// … and who is matched barely this often of at least so many sightings is missed as often.
const BARE_SHARE: f32 = 0.5;
const BARE_LEAST: u32 = 5;

/// So many photos are enough.
const ENOUGH: usize = 2;

/// A photo somebody was enrolled with.
pub struct Photo {
    pub face: Uuid,
    pub quality: f32,
    /// `None` where the model finds no face in it.
    pub vector: Option<Vec<f32>>,
}

/// Sightings of a person by the engine, and those of them that were a bare match.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sightings {
    pub all: u32,
    pub bare: u32,
}

/// A person as enrolled.
pub struct Enrolled {
    pub person: Uuid,
    pub photos: Vec<Photo>,
    pub sightings: Sightings,
}

/// What is wrong, in the order in which it is worth mending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A photo is unlike the person's others and matches another person: it is probably theirs.
    WrongFace,
    /// A photo matches another person: either may be taken for the other.
    Alike,
    /// The model sees no face in any of the person's photos, or there is none: nobody is recognised by them.
    Unseen,
    /// Photos that match none of the person's others.
    Unlike,
    /// Photos below what an enrolment asks for, or in which the model sees no face.
    Poor,
    /// Recognised, but barely most of the time, and so missed at other times.
    Barely,
    /// A single photo.
    TooFew,
    /// All photos are about the same one.
    SamePicture,
    /// A photo is close to matching another person.
    Close,
}

/// Something that is wrong with a person's photos.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub kind: Kind,
    pub person: Uuid,
    /// The photos in question.
    pub faces: Vec<Uuid>,
    pub other: Option<Other>,
}

/// The nearest photo of somebody else, and what comparing the two gave, in the model's own numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Other {
    pub person: Uuid,
    pub face: Uuid,
    pub score: f32,
}

impl Kind {
    /// Whether people are mistaken or missed by it; the others are hints.
    pub fn harms(self) -> bool {
        self <= Self::Barely
    }
}

/// Everything that is wrong, the most urgent first. A photo worse than `gate` is poor. `each` is told after every
/// person.
pub fn judge(model: &FaceModel, everybody: &[Enrolled], gate: f32, each: &dyn Fn()) -> Vec<Problem> {
    let mut index = Index::new(model.metric, model.dimensions);
    for Enrolled { person, photos, .. } in everybody {
        for Photo { face, vector, .. } in photos {
            // A vector that cannot be compared is one the engine does not see either.
            let _ = vector.as_ref().map(|vector| index.insert(Entry { face: *face, person: Some(*person) }, vector));
        }
    }
    let mut pairs = BTreeMap::new();
    let mut problems = Vec::new();
    for enrolled in everybody {
        problems.extend(of_their_own(model, enrolled, gate));
        problems.extend(among_others(model, enrolled, &index, &mut pairs));
        each();
    }
    problems.extend(pairs.into_values());
    let sureness = |problem: &Problem| problem.other.map_or(0.0, |other| model.confidence(other.score));
    problems.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| sureness(b).total_cmp(&sureness(a))));
    problems
}

/// What a person's photos show without anybody else's.
fn of_their_own(model: &FaceModel, enrolled: &Enrolled, gate: f32) -> Vec<Problem> {
    let Enrolled { person, photos, sightings } = enrolled;
    let seen: Vec<_> = photos.iter().filter_map(|photo| photo.vector.as_deref()).collect();
    let all = || photos.iter().map(|photo| photo.face).collect::<Vec<_>>();
    let problem = |kind, faces| Problem { kind, person: *person, faces, other: None };
    let Some((first, others)) = seen.split_first() else { return vec![problem(Kind::Unseen, all())] };
    let mut problems = Vec::new();
    let poor: Vec<_> = photos.iter().filter(|photo| photo.vector.is_none() || photo.quality < gate).collect();
    if !poor.is_empty() {
        problems.push(problem(Kind::Poor, poor.iter().map(|photo| photo.face).collect()));
    }
    if sightings.all >= BARE_LEAST && sightings.bare as f32 >= BARE_SHARE * sightings.all as f32 {
        problems.push(problem(Kind::Barely, all()));
    }
    let same = |other: &&[f32]| model.confidence(model.metric.score(first, other)) >= SAME_PICTURE;
    if seen.len() < ENOUGH {
        problems.push(problem(Kind::TooFew, all()));
    } else if others.iter().all(same) {
        problems.push(problem(Kind::SamePicture, all()));
    }
    problems
}

/// What a person's photos show beside everybody else's. Of two people who are alike only the pair that is most so is
/// kept, in `pairs`.
fn among_others(
    model: &FaceModel,
    Enrolled { person, photos, .. }: &Enrolled,
    index: &Index,
    pairs: &mut BTreeMap<BTreeSet<Uuid>, Problem>,
) -> Vec<Problem> {
    let accepts = |score| model.metric.accepts(score, model.threshold);
    let seen: Vec<_> = photos.iter().filter_map(|photo| Some((photo.face, photo.vector.as_deref()?))).collect();
    let (mut problems, mut unlike) = (Vec::new(), Vec::new());
    for (face, vector) in &seen {
        let own = seen.iter().filter(|(own, _)| own != face).take(MOST_OWN);
        let is_alone = seen.len() > 1 && !own.map(|(_, own)| model.metric.score(vector, own)).any(accepts);
        let others = index.nearest_of(vector, |entry| entry.person != Some(*person)).ok().flatten();
        let other = others
            .and_then(|found| Some(Other { person: found.entry.person?, face: found.entry.face, score: found.value }));
        let matches = other.filter(|other| accepts(other.score));
        let problem = |kind, other| Problem { kind, person: *person, faces: vec![*face], other };
        match (is_alone, matches, other) {
            (true, Some(_), _) => problems.push(problem(Kind::WrongFace, matches)),
            (true, None, _) => unlike.push(*face),
            (false, _, Some(other)) if model.confidence(other.score) >= CLOSE => {
                let kind = if matches.is_some() { Kind::Alike } else { Kind::Close };
                let pair = pairs.entry([*person, other.person].into()).or_insert_with(|| problem(kind, Some(other)));
                let before = pair.other.map_or(0.0, |before| model.confidence(before.score));
                if model.confidence(other.score) > before {
                    *pair = problem(kind, Some(other));
                }
            }
            _ => {}
        }
    }
    if !unlike.is_empty() {
        problems.push(Problem { kind: Kind::Unlike, person: *person, faces: unlike, other: None });
    }
    problems
}

#[cfg(test)]
mod tests {
    use ::faces::embed::Metric;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    const GATE: f32 = 0.15;

    fn model(metric: Metric) -> FaceModel {
        let threshold = if metric == Metric::L2 { 0.6 } else { 0.43 };
        FaceModel { name: "any".into(), dimensions: 2, metric, threshold }
    }

    /// Photos at these angles, in degrees, on the unit circle: 64.5 degrees are cosine 0.43, 35 are distance 0.6.
    fn enrolled(n: u128, angles: &[f32]) -> Enrolled {
        let photo = |(at, angle): (usize, &f32)| {
            let (sin, cos) = angle.to_radians().sin_cos();
            Photo { face: Uuid::from_u128(n * 100 + at as u128), quality: 0.8, vector: Some(vec![cos, sin]) }
        };
        let photos = angles.iter().enumerate().map(photo).collect();
        Enrolled { person: Uuid::from_u128(n), photos, sightings: Sightings::default() }
    }

    /// Kind, person, number of photos and the other person of each problem.
    fn told(metric: Metric, everybody: &[Enrolled]) -> Vec<(Kind, u128, usize, Option<u128>)> {
        let problems = judge(&model(metric), everybody, GATE, &|| {});
        let other = |problem: &Problem| problem.other.map(|other| other.person.as_u128());
        problems.iter().map(|it| (it.kind, it.person.as_u128(), it.faces.len(), other(it))).collect()
    }

    #[test]
    fn photos_that_are_as_they_should_be_are_not_told() {
        for metric in [Metric::Cosine, Metric::L2] {
            assert_eq!(told(metric, &[enrolled(1, &[0.0, 30.0]), enrolled(2, &[150.0, 180.0])]), []);
        }
        assert_eq!(told(Metric::Cosine, &[]), []);
    }

    #[test]
    fn whoever_may_be_taken_for_another_is_told_once_and_with_the_nearest_photos() {
        for (metric, alike, close) in [(Metric::Cosine, 60.0, 66.0), (Metric::L2, 33.0, 36.0)] {
            for (apart, kind) in [(alike, Kind::Alike), (close, Kind::Close)] {
                let (ann, bob) = (enrolled(1, &[0.0, 30.0]), enrolled(2, &[30.0 + apart, 60.0 + apart]));
                assert_eq!(told(metric, &[ann, bob]), [(kind, 1, 1, Some(2))], "{metric:?}");
            }
        }
    }

    #[test]
    fn a_face_among_the_wrong_persons_photos_is_told_first() {
        let (ann, bob) = (enrolled(1, &[0.0, 30.0, 180.0]), enrolled(2, &[170.0, 200.0]));
        assert_eq!(told(Metric::Cosine, &[ann, bob])[0], (Kind::WrongFace, 1, 1, Some(2)));
        // Nobody's, it is unlike; of two that do not match nobody can tell which is wrong.
        assert_eq!(told(Metric::Cosine, &[enrolled(1, &[0.0, 30.0, 180.0])]), [(Kind::Unlike, 1, 1, None)]);
        assert_eq!(told(Metric::Cosine, &[enrolled(1, &[0.0, 180.0])]), [(Kind::Unlike, 1, 2, None)]);
    }

    #[test]
    fn too_few_the_same_poor_and_unseen_photos() {
        assert_eq!(told(Metric::Cosine, &[enrolled(1, &[0.0])]), [(Kind::TooFew, 1, 1, None)]);
        assert_eq!(told(Metric::Cosine, &[enrolled(1, &[0.0, 1.0, 2.0])]), [(Kind::SamePicture, 1, 3, None)]);
        assert_eq!(told(Metric::Cosine, &[enrolled(1, &[])]), [(Kind::Unseen, 1, 0, None)]);
        let mut poor = enrolled(1, &[0.0, 30.0, 40.0]);
        (poor.photos[0].quality, poor.photos[1].vector) = (0.1, None);
        assert_eq!(told(Metric::Cosine, &[poor]), [(Kind::Poor, 1, 2, None)]);
        let mut unseen = enrolled(1, &[0.0]);
        unseen.photos[0].vector = None;
        assert_eq!(told(Metric::Cosine, &[unseen]), [(Kind::Unseen, 1, 1, None)]);
    }

    #[test]
    fn who_is_barely_recognised_most_of_the_time_is_told() {
        for (all, bare, is_told) in [(5, 3, true), (4, 4, false), (10, 4, false), (0, 0, false)] {
            let seen = Enrolled { sightings: Sightings { all, bare }, ..enrolled(1, &[0.0, 30.0]) };
            assert_eq!(told(Metric::Cosine, &[seen]).is_empty(), !is_told, "{bare} of {all}");
        }
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let (near, nearer) = (enrolled(2, &[180.0, 200.0, 260.0]), enrolled(3, &[265.0, 290.0]));
        let kinds = told(Metric::Cosine, &[enrolled(1, &[0.0]), near, nearer, enrolled(4, &[])]);
        assert!(kinds.is_sorted_by_key(|it| it.0) && kinds.len() >= 3, "{kinds:?}");
        assert!(Kind::Alike.harms() && Kind::Barely.harms() && !Kind::TooFew.harms() && !Kind::Close.harms());
    }

    #[test]
    fn a_crowd_is_gone_through_by_the_index() {
        let mut rng = StdRng::seed_from_u64(11);
        let mut somebody = |n: u128| {
            let centre: Vec<f32> = (0..128).map(|_| rng.random_range(-1.0f32..1.0)).collect();
            let mut photo = |at: u128| {
                let vector = centre.iter().map(|value| value + rng.random_range(-0.4f32..0.4)).collect();
                Photo { face: Uuid::from_u128(n * 100 + at), quality: 0.8, vector: Some(vector) }
            };
            let photos = (0..2).map(&mut photo).collect();
            Enrolled { person: Uuid::from_u128(n), photos, sightings: Sightings::default() }
        };
        let mut crowd: Vec<_> = (0..1000).map(&mut somebody).collect();
        // One of them under another name.
        let twin = crowd[7].photos[0].vector.clone();
        crowd[500].photos[1].vector = twin;
        let model = FaceModel { dimensions: 128, ..model(Metric::Cosine) };
        let problems = judge(&model, &crowd, GATE, &|| {});
        let first = problems.first().map(|it| (it.kind, it.person.as_u128(), it.other.map(|it| it.person.as_u128())));
        assert_eq!(first, Some((Kind::WrongFace, 500, Some(7))));
    }
}
