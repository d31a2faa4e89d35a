//! Which face of a new frame belongs to which known person.
//!
//! In: where each person was last seen, how they moved and what they look like, and the faces of a frame. Out: at
//! most one face per person, the best for all together. It knows geometry, colours and the optimal assignment; it
//! does not know what a visit is.

use std::time::Duration;

use faces::detect::{Point, Rect};
use pathfinding::prelude::{Matrix, kuhn_munkres_min};

use super::look::Look;

/// Where a person's face is and how it moves.
#[derive(Debug, Clone)]
pub struct Motion {
    pub bbox: Rect,
    /// Pixels per second.
    velocity: Point,
    at: Duration,
}

/// A person to find again.
pub struct Known<'a> {
    pub motion: &'a Motion,
    pub look: &'a Look,
    /// Not found in the last few frames: found again by place and look, after everybody else.
    pub lost: bool,
}

/// A face to give to somebody.
pub struct Found<'a> {
    pub bbox: &'a Rect,
    pub look: &'a Look,
    /// Another face is so close that some of the colours may be the other's.
    pub crowded: bool,
}

/// A pair that costs more than this is not made; the unit is roughly one size of the face (see [`cost`]).
const LIMIT: f32 = 3.0;
/// A face walking past a door moves about 7 of its own heights a second (1.5 m/s against 22 cm).
const SPEED: f32 = 8.0;
/// Beyond that, the detector's own jitter between two frames.
const JITTER: f32 = 0.75;
/// However long nobody was seen, a face this many sizes away is taken for another person.
const FURTHEST: f32 = 3.0;
/// A lost person is found again only by somebody who looks no more different than this (see [`Look::distance`]),
/// unless who stands before them colours the picture. Over whole clips, a person is within 0.18 of themselves in 95 %
/// of pairs of frames (0.36 at most, while tilting the head), and of others at 0.3 to 0.65 as a rule.
const LOOKS_LIKE: f32 = 0.36;
/// How long a movement is believed to go on unseen: people stop.
const MOMENTUM: f32 = 0.4;
/// How much of a surprise in position goes into the velocity (the beta of an alpha-beta filter).
const BETA: f32 = 0.5;

/// For each of `known`, the index of its face in `found`. Those seen a moment ago choose first, so that somebody
/// long gone cannot take the face of somebody present.
pub fn associate(known: &[Known], found: &[Found], now: Duration) -> Vec<Option<usize>> {
    let mut result = vec![None; known.len()];
    for lost in [false, true] {
        let rows: Vec<usize> = (0..known.len()).filter(|&k| known[k].lost == lost).collect();
        let columns: Vec<usize> = (0..found.len()).filter(|f| !result.contains(&Some(*f))).collect();
        let costs: Vec<Vec<f32>> = rows
            .iter()
            .map(|&k| columns.iter().map(|&f| cost(&known[k], &found[f], now).unwrap_or(f32::INFINITY)).collect())
            .collect();
        for (row, column) in assign(&costs, LIMIT).into_iter().enumerate() {
            result[rows[row]] = column.map(|column| columns[column]);
        }
    }
    result
}

impl Motion {
    pub fn new(bbox: Rect, at: Duration) -> Self {
        Self { bbox, velocity: Point { x: 0.0, y: 0.0 }, at }
    }

    /// Where the face is at `now` if it goes on as it did, slowing down with [`MOMENTUM`].
    pub fn predicted(&self, now: Duration) -> Rect {
        let gap = now.saturating_sub(self.at).as_secs_f32();
        let onward = MOMENTUM * (1.0 - (-gap / MOMENTUM).exp());
        let (dx, dy) = (self.velocity.x * onward, self.velocity.y * onward);
        Rect { x: self.bbox.x + dx, y: self.bbox.y + dy, ..self.bbox }
    }

    /// Takes in where the face really is. Two frames of one time teach nothing of movement.
    pub fn moved(&mut self, to: Rect, now: Duration) {
        let gap = now.saturating_sub(self.at).as_secs_f32();
        if gap > 1e-3 {
            let (from, to) = (self.predicted(now).centre(), to.centre());
            self.velocity.x += BETA * (to.x - from.x) / gap;
            self.velocity.y += BETA * (to.y - from.y) / gap;
        }
        self.bbox = to;
        self.at = now;
    }
}

/// How unlikely it is that the face is this person; `None` when it cannot be. The sum of: the distance from the
/// predicted place in face sizes; one half of the part of the boxes that does not overlap; the logarithm of the ratio
/// of sizes; twice the difference in looks.
fn cost(known: &Known, found: &Found, now: Duration) -> Option<f32> {
    let gap = now.saturating_sub(known.motion.at).as_secs_f32();
    let predicted = known.motion.predicted(now);
    let (was, is) = (side(&predicted), side(found.bbox));
    let (from, to) = (predicted.centre(), found.bbox.centre());
    let distance = (to.x - from.x).hypot(to.y - from.y) / ((was + is) / 2.0);
    let ratio = (is / was).ln().abs();
    let looks = known.look.distance(found.look);

    // Walking up, a face doubles in about two seconds; a detector's boxes alone differ by up to a half.
    let possible = distance <= (JITTER + SPEED * gap).min(FURTHEST)
        && ratio <= (0.45 + 0.35 * gap).min(1.1)
        && !(known.lost && !found.crowded && looks.is_some_and(|looks| looks > LOOKS_LIKE));
    let cost = distance + 0.5 * (1.0 - predicted.iou(found.bbox)) + ratio + 2.0 * looks.unwrap_or(LOOKS_LIKE);
    (possible && cost.is_finite()).then_some(cost)
}

/// The side of a square as large as the box: steadier than width or height when a head turns.
pub fn side(bbox: &Rect) -> f32 {
    bbox.area().sqrt()
}

/// The assignment of rows to columns with the least total cost, where a row may stay without at the price of `limit`
/// (so no pair above it is ever made); infinite costs are pairs that cannot be.
fn assign(costs: &[Vec<f32>], limit: f32) -> Vec<Option<usize>> {
    let (rows, real) = (costs.len(), costs.first().map_or(0, Vec::len));
    // Whole numbers, so that sums are exact; what cannot be costs more than everybody's staying without.
    let millionths = |cost: f32| (f64::from(cost) * 1e6) as i64;
    let impossible = millionths(limit) * (rows as i64 + 1);
    // One column more per row, for staying without.
    let weights = Matrix::from_fn(rows, real + rows, |(row, column)| match costs[row].get(column) {
        Some(cost) if *cost <= limit => millionths(*cost),
        Some(_) => impossible,
        None => millionths(limit),
    });
    let (_, columns) = kuhn_munkres_min(&weights);
    let made =
        |(row, column): (usize, usize)| costs[row].get(column).is_some_and(|cost| *cost <= limit).then_some(column);
    columns.into_iter().enumerate().map(made).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use faces::picture::Picture;

    fn at(x: f32, y: f32, side: f32) -> Rect {
        Rect { x, y, width: side, height: side }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn plain() -> Look {
        Look::of(&Picture::filled(2000, 400, [90, 100, 110]), &at(100.0, 10.0, 40.0))
    }

    #[test]
    fn a_steady_walk_is_predicted_and_dies_down_unseen() {
        let mut motion = Motion::new(at(0.0, 0.0, 50.0), ms(0));
        for step in 1..20u32 {
            motion.moved(at(step as f32 * 20.0, 0.0, 50.0), ms(u64::from(step) * 100));
        }
        let next = motion.predicted(ms(2000)).x;
        assert!((next - 400.0).abs() < 5.0, "{next}");
        let much_later = motion.predicted(ms(60_000)).x;
        assert!(much_later < 380.0 + 100.0, "{much_later}");
    }

    #[test]
    fn who_belongs_to_whom() {
        let look = plain();
        // (what, boxes known, lost, boxes found, expected), all 100 ms after they were known.
        type Case<'a> = (&'a str, &'a [(Rect, bool)], &'a [Rect], &'a [Option<usize>]);
        let cases: [Case; 7] = [
            ("in place", &[(at(0.0, 0.0, 50.0), false)], &[at(4.0, 2.0, 52.0)], &[Some(0)]),
            ("too far", &[(at(0.0, 0.0, 50.0), false)], &[at(200.0, 0.0, 50.0)], &[None]),
            ("too large", &[(at(0.0, 0.0, 50.0), false)], &[at(-10.0, -10.0, 90.0)], &[None]),
            ("nobody there", &[(at(0.0, 0.0, 50.0), false)], &[], &[None]),
            (
                "each their own",
                &[(at(0.0, 0.0, 50.0), false), (at(60.0, 0.0, 50.0), false)],
                &[at(62.0, 0.0, 50.0), at(20.0, 0.0, 50.0)],
                &[Some(1), Some(0)],
            ),
            (
                "the nearer one first, and both when that is better for all",
                &[(at(0.0, 0.0, 50.0), false), (at(40.0, 0.0, 50.0), false)],
                &[at(30.0, 0.0, 50.0), at(70.0, 0.0, 50.0)],
                &[Some(0), Some(1)],
            ),
            (
                "the lost one does not take a face from the one present",
                &[(at(10.0, 0.0, 50.0), true), (at(30.0, 0.0, 50.0), false)],
                &[at(12.0, 0.0, 50.0)],
                &[None, Some(0)],
            ),
        ];
        for (what, known, found, expected) in cases {
            let motions: Vec<_> = known.iter().map(|(bbox, lost)| (Motion::new(*bbox, ms(0)), *lost)).collect();
            let known: Vec<_> =
                motions.iter().map(|(motion, lost)| Known { motion, look: &look, lost: *lost }).collect();
            let found: Vec<_> = found.iter().map(|bbox| Found { bbox, look: &look, crowded: false }).collect();
            assert_eq!(associate(&known, &found, ms(100)), expected, "{what}");
        }
    }

    #[test]
    fn looks_decide_between_places_equally_good() {
        let picture = |colour| Picture::filled(400, 400, colour);
        let looks = [[200, 60, 40], [40, 60, 200]].map(|c| Look::of(&picture(c), &at(50.0, 50.0, 50.0)));
        let motions = [Motion::new(at(95.0, 0.0, 50.0), ms(0)), Motion::new(at(105.0, 0.0, 50.0), ms(0))];
        let known: Vec<_> =
            motions.iter().zip(&looks).map(|(motion, look)| Known { motion, look, lost: false }).collect();
        let boxes = [at(85.0, 0.0, 50.0), at(115.0, 0.0, 50.0)];
        let found = [
            Found { bbox: &boxes[0], look: &looks[1], crowded: false },
            Found { bbox: &boxes[1], look: &looks[0], crowded: false },
        ];
        assert_eq!(associate(&known, &found, ms(100)), [Some(1), Some(0)]);
        let known = [Known { lost: true, ..Known { motion: &motions[0], look: &looks[0], lost: false } }];
        assert_eq!(associate(&known, &found[..1], ms(1000)), [None], "somebody else in the same place");
    }

    /// Every way to give each row a column or none.
    fn cheapest(costs: &[Vec<f32>], limit: f32, row: usize, taken: &mut Vec<bool>) -> f32 {
        if row == costs.len() {
            return 0.0;
        }
        let mut best = limit + cheapest(costs, limit, row + 1, taken);
        for column in 0..taken.len() {
            if !taken[column] && costs[row][column] <= limit {
                taken[column] = true;
                best = best.min(costs[row][column] + cheapest(costs, limit, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_assignment_is_cheaper_than_the_one_found(
            columns in 0usize..5,
            flat in proptest::collection::vec(prop_oneof![4 => 0f32..4.0, 1 => Just(f32::INFINITY)], 0..25),
        ) {
            let costs: Vec<Vec<f32>> = match columns {
                0 => vec![Vec::new(); flat.len().min(4)],
                _ => flat.chunks_exact(columns).map(<[f32]>::to_vec).collect(),
            };
            let result = assign(&costs, LIMIT);
            let mut used: Vec<usize> = result.iter().flatten().copied().collect();
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), result.iter().flatten().count(), "a column given twice");
            let total: f32 = result.iter().enumerate().map(|(row, c)| c.map_or(LIMIT, |c| costs[row][c])).sum();
            let best = cheapest(&costs, LIMIT, 0, &mut vec![false; columns]);
            prop_assert!((total - best).abs() < 1e-3, "{total} against {best}");
        }
    }
}
