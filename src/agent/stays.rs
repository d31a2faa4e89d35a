//! Which visits are of one face, so that who is lost and found again is one visitor.
//!
//! In: the embedding of each shot, which visits are in view, and the pipeline's clock. Out: the stay of a visit, named
//! by the first visit of that face. It knows no person, asks no engine and keeps nothing across a restart; who is told
//! apart wrongly is only told of once more, and who is joined wrongly is told of no later than `absent` after.
//!
//! ```text
//! shot of a visit seen before ------------------------------------------▶ the stay it has
//! first shot, alike a face that was there within `absent`, none of
//!   whose visits is in view ---------------------------------------------▶ that face's stay
//! first shot otherwise --------------------------------------------------▶ a stay of its own
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use faces::embed::FaceModel;

use crate::track::VisitId;

/// Two embeddings are of one face from this [confidence](FaceModel::confidence) on, above the half at which the model
/// takes them for it: a second telling is a nuisance, and a stranger taken for the one before is not told of at all.
const SURE: f32 = 0.9;
/// Stays remembered; beyond this who has been away longest is taken for somebody new.
const STAYS: usize = 256;
/// Embeddings kept of each: the newest, as people turn and come nearer.
const FACES: usize = 4;
/// Visits kept of each: the newest. One before these is over.
const VISITS: usize = 16;

/// The stays at one detector.
pub struct Stays {
    model: FaceModel,
    absent: Duration,
    stays: Vec<FaceStay>,
}

/// The visits of one face.
struct FaceStay {
    /// The visit it began with, which gives it its name.
    first: VisitId,
    visits: VecDeque<VisitId>,
    faces: VecDeque<Vec<f32>>,
    last_seen: Duration,
}

impl Stays {
    /// Nobody has been there. A face is away when it has not been seen for `absent`.
    pub fn new(model: FaceModel, absent: Duration) -> Self {
        Self { model, absent, stays: Vec::new() }
    }

    /// These visits are in the newest frame.
    pub fn in_view(&mut self, visits: &[VisitId], now: Duration) {
        for stay in self.stays.iter_mut().filter(|stay| stay.has_any(visits)) {
            stay.last_seen = now;
        }
        self.stays.retain(|stay| now.saturating_sub(stay.last_seen) <= self.absent);
    }

    /// The stay of the visit whose shot gave this embedding; `in_view` are the visits that are there now.
    pub fn of(&mut self, visit: VisitId, embedding: &[f32], in_view: &[VisitId], now: Duration) -> VisitId {
        let known = self.stays.iter().position(|stay| stay.visits.contains(&visit));
        let at = known.or_else(|| self.alike(embedding, in_view)).unwrap_or_else(|| self.begin(visit, now));
        let stay = &mut self.stays[at];
        if known.is_none() {
            push(&mut stay.visits, visit, VISITS);
        }
        push(&mut stay.faces, embedding.to_vec(), FACES);
        stay.last_seen = stay.last_seen.max(now);
        stay.first
    }

    /// The stay of the face most alike, of those that are not in view.
    fn alike(&self, embedding: &[f32], in_view: &[VisitId]) -> Option<usize> {
        let sure = |face: &Vec<f32>| self.model.confidence(self.model.metric.score(face, embedding));
        let away = self.stays.iter().enumerate().filter(|(_, stay)| !stay.has_any(in_view));
        let surest = away.map(|(at, stay)| (at, stay.faces.iter().map(sure).fold(0.0, f32::max)));
        surest.filter(|(_, sure)| *sure >= SURE).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
    }

    fn begin(&mut self, first: VisitId, now: Duration) -> usize {
        if self.stays.len() >= STAYS {
            let oldest = self.stays.iter().enumerate().min_by_key(|(_, stay)| stay.last_seen).map(|(at, _)| at);
            oldest.map(|at| self.stays.swap_remove(at));
        }
        self.stays.push(FaceStay { first, visits: VecDeque::new(), faces: VecDeque::new(), last_seen: now });
        self.stays.len() - 1
    }
}

/// Adds one more, and forgets the oldest beyond so many.
fn push<T>(newest: &mut VecDeque<T>, one: T, most: usize) {
    newest.push_back(one);
    if newest.len() > most {
        newest.pop_front();
    }
}

impl FaceStay {
    fn has_any(&self, visits: &[VisitId]) -> bool {
        self.visits.iter().any(|visit| visits.contains(visit))
    }
}

#[cfg(test)]
mod tests {
    use faces::embed;
    use uuid::Uuid;

    use super::*;

    // Of MobileFaceNet, whose threshold is 0.43, 0.58 are sure.
    const ANN: [f32; 3] = [1.0, 0.0, 0.0];
    const ANN_TURNED: [f32; 3] = [0.8, 0.6, 0.0];
    const ANN_FAR_TURNED: [f32; 3] = [0.28, 0.96, 0.0];
    const BOB: [f32; 3] = [0.0, 0.0, 1.0];

    fn visit(n: u128) -> VisitId {
        VisitId(Uuid::from_u128(n))
    }

    /// The stays of shots `(second, visit, face, also in view)`, with `absent` = 60 s.
    fn stays(shots: &[(u64, u128, [f32; 3], &[u128])]) -> Vec<u128> {
        let mut stays = Stays::new(embed::known("mobilefacenet").unwrap(), Duration::from_secs(60));
        let shot = |(second, of, face, others): &(u64, u128, [f32; 3], &[u128])| {
            let now = Duration::from_secs(*second);
            let in_view: Vec<_> = others.iter().copied().chain([*of]).map(visit).collect();
            stays.in_view(&in_view, now);
            stays.of(visit(*of), face, &in_view, now).0.as_u128()
        };
        shots.iter().map(shot).collect()
    }

    #[test]
    fn visits_of_one_face_are_one_stay() {
        for (why, shots, wanted) in [
            ("found again", &[(0, 1, ANN, &[][..]), (20, 2, ANN_TURNED, &[])][..], &[1, 1][..]),
            (
                "and again, by the newest of its faces",
                &[(0, 1, ANN, &[]), (20, 2, ANN_TURNED, &[]), (40, 3, ANN_FAR_TURNED, &[])],
                &[1, 1, 1],
            ),
            ("away for too long", &[(0, 1, ANN, &[]), (61, 2, ANN, &[])], &[1, 2]),
            (
                "there all the time without a shot",
                &[(0, 1, ANN, &[]), (50, 9, BOB, &[1]), (100, 2, ANN, &[9])],
                &[1, 9, 1],
            ),
            ("alike, and not sure", &[(0, 1, ANN, &[]), (20, 2, [0.5, 0.7, 0.5], &[])], &[1, 2]),
            ("somebody else", &[(0, 1, ANN, &[]), (20, 2, BOB, &[])], &[1, 2]),
            ("alike, and both in view", &[(0, 1, ANN, &[]), (20, 2, ANN, &[1])], &[1, 2]),
            ("a visit stays what it was", &[(0, 1, ANN, &[]), (1, 2, BOB, &[1]), (20, 2, ANN, &[])], &[1, 2, 2]),
            (
                "two who cross, each found again",
                &[(0, 1, ANN, &[]), (1, 2, BOB, &[1]), (9, 3, BOB, &[]), (9, 4, ANN, &[3])],
                &[1, 2, 2, 1],
            ),
        ] {
            assert_eq!(stays(shots), wanted, "{why}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut stays = Stays::new(embed::known("faceapi_resnet").unwrap(), Duration::from_secs(60));
        for n in 0..2 * STAYS as u128 {
            let now = Duration::from_millis(n as u64);
            stays.of(visit(n), &[n as f32, 0.0], &[], now);
            (0..9).for_each(|_| assert_eq!(stays.of(visit(n), &[n as f32, 0.0], &[], now), visit(n)));
        }
        assert_eq!(stays.stays.len(), STAYS);
        assert!(stays.stays.iter().all(|stay| stay.faces.len() == FACES && stay.visits.len() == 1));
        for n in 1000..1100 {
            let now = Duration::from_secs(1);
            assert_eq!(stays.of(visit(n), &[1e6, 0.0], &[], now), visit(1000), "who comes again and again is one");
        }
        assert!(stays.stays.iter().all(|stay| stay.visits.len() <= VISITS));
        assert_eq!(stays.of(visit(1200), &[0.0, 0.0], &[], Duration::ZERO), visit(1200), "the oldest is forgotten");
    }
}
