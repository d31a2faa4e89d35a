//! Who is nearest: exact nearest neighbour over the vectors of all faces, in memory.
//!
//! In: vectors with the face and person they belong to, one by one. Out: the entry nearest to a probe, never an
//! approximation of it. It does not know what near enough is, nor anything of the database the vectors are kept in.
//!
//! Rows lie in blocks, so that growing never copies what is there. Every row is there twice: as it is, and in codes of
//! eight bits, which a search goes through first; only rows whose codes do not rule them out are looked at in full.
//!
//! ```text
//! block 0: │ codes of rows 0..4096 │ scales, rests │ rows 0..4096 in full │     entries[0..4096]
//! block 1: │ codes of rows 4096..  │ …                                          entries[4096..]
//! ```

mod coarse;
mod kernel;

use coarse::{Probe, Row};
use faces::embed::Metric;
use uuid::Uuid;

/// Rows of one block: 2.6 MB at 128 dimensions.
const BLOCK_ROWS: usize = 4096;

/// Rows start at multiples of this many values; the rest of a row is zero.
const LANE: usize = 32;

/// Whose vector a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub face: Uuid,
    /// `None` for somebody seen whom nobody knows.
    pub person: Option<Uuid>,
}

/// The entry nearest to a probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    pub entry: Entry,
    /// In the metric's own terms: a similarity for cosine, a distance for L2.
    pub value: f32,
    row: usize,
}

/// A row and how it scores.
#[derive(Clone, Copy)]
struct Scored {
    row: usize,
    score: f32,
}

impl Scored {
    const NONE: Self = Self { row: usize::MAX, score: f32::NEG_INFINITY };
}

/// All vectors of one model.
pub struct Index {
    metric: Metric,
    dimensions: usize,
    stride: usize,
    blocks: Vec<Block>,
    entries: Vec<Entry>,
    /// The length of the longest row.
    longest: f32,
}

/// [`BLOCK_ROWS`] rows; those not yet taken are zero.
struct Block {
    codes: Box<[i8]>,
    scales: Box<[f32]>,
    rests: Box<[f32]>,
    /// Half a row's squared length, negative, for L2: added to the dot product with a probe, the largest sum is the
    /// smallest distance. Zero for cosine.
    biases: Box<[f32]>,
    rows: Box<[f32]>,
}

/// A vector that cannot be compared: of another length, not finite, or of no length where only directions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the vector has not got {dimensions} finite values with a length")]
pub struct Incomparable {
    pub dimensions: usize,
}

impl Index {
    pub fn new(metric: Metric, dimensions: usize) -> Self {
        let stride = dimensions.next_multiple_of(LANE);
        Self { metric, dimensions, stride, blocks: Vec::new(), entries: Vec::new(), longest: 0.0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a vector can be compared.
    pub fn check(&self, vector: &[f32]) -> Result<(), Incomparable> {
        self.row(vector).map(drop)
    }

    /// Adds a vector; directions are normalised where the metric is cosine.
    pub fn insert(&mut self, entry: Entry, vector: &[f32]) -> Result<(), Incomparable> {
        let row = self.row(vector)?;
        let slot = self.entries.len() % BLOCK_ROWS;
        if slot == 0 {
            self.blocks.push(Block::new(self.stride));
        }
        let length = kernel::dot(&row, &row).sqrt();
        if let Some(block) = self.blocks.last_mut() {
            let bias = if self.metric == Metric::L2 { -length * length / 2.0 } else { 0.0 };
            block.set(slot, &row, bias);
        }
        self.longest = self.longest.max(length);
        self.entries.push(entry);
        Ok(())
    }

    /// The entry nearest to `probe`; of several equally near, the one added first. `None` when there are none.
    pub fn nearest(&self, probe: &[f32]) -> Result<Option<Nearest>, Incomparable> {
        self.nearest_of(probe, |_| true)
    }

    /// The same among those entries that `counts` says yes to; it is asked of the few that come into question.
    pub fn nearest_of(&self, probe: &[f32], counts: impl Fn(&Entry) -> bool) -> Result<Option<Nearest>, Incomparable> {
        let mut best = Scored::NONE;
        let values = self.search(probe, |row, score| {
            if score > best.score && counts(&self.entries[row]) {
                best = Scored { row, score };
            }
            best.score
        })?;
        Ok(self.found(&values, best))
    }

    /// The nearest entry that `counts` says yes to, and the nearest of those that belong to somebody else.
    pub fn nearest_two(
        &self,
        probe: &[f32],
        counts: impl Fn(&Entry) -> bool,
    ) -> Result<Option<(Nearest, Option<Nearest>)>, Incomparable> {
        let (mut best, mut other) = (Scored::NONE, Scored::NONE);
        let values = self.search(probe, |row, score| {
            if score <= other.score || !counts(&self.entries[row]) {
                return other.score;
            }
            let of_best = best.row != Scored::NONE.row && self.entries[row].person == self.entries[best.row].person;
            if score > best.score {
                if !of_best {
                    other = best;
                }
                best = Scored { row, score };
            } else if !of_best && score > other.score {
                other = Scored { row, score };
            }
            other.score
        })?;
        Ok(self.found(&values, best).map(|nearest| (nearest, self.found(&values, other))))
    }

    /// What comparing two entries gives that were found.
    pub fn compared(&self, one: &Nearest, other: &Nearest) -> f32 {
        self.metric.score(self.row_of(one.row), self.row_of(other.row))
    }

    /// Hands every row that may score above the last answer of `offer` to it, with its score; gives the probe as it is
    /// compared. A score is the dot product, for L2 minus half the squared distance.
    fn search(&self, probe: &[f32], mut offer: impl FnMut(usize, f32) -> f32) -> Result<Vec<f32>, Incomparable> {
        let values = self.row(probe)?;
        let probe = Probe::new(&values);
        // For L2 all is told in minus half the squared distance: dot product less both half squared lengths.
        let (shift, rounding) = match self.metric {
            Metric::Cosine => (0.0, 0.0),
            Metric::L2 => (-probe.length.powi(2) / 2.0, 4.0 * f32::EPSILON * self.longest.max(probe.length).powi(2)),
        };
        let slack = probe.slack(self.longest) + rounding + shift;
        let mut floor = f32::NEG_INFINITY;
        for (n, block) in self.blocks.iter().enumerate() {
            let first = n * BLOCK_ROWS;
            let taken = (self.entries.len() - first).min(BLOCK_ROWS);
            block.scan(&probe, taken, |row, bound| {
                if bound + slack <= floor {
                    return;
                }
                let score = match self.metric {
                    Metric::Cosine => kernel::dot(block.row(row), &values),
                    Metric::L2 => -kernel::squared_distance(block.row(row), &values) / 2.0,
                };
                floor = offer(first + row, score);
            });
        }
        Ok(values)
    }

    fn found(&self, values: &[f32], Scored { row, .. }: Scored) -> Option<Nearest> {
        let entry = *self.entries.get(row)?;
        Some(Nearest { entry, value: self.metric.score(values, self.row_of(row)), row })
    }

    fn row_of(&self, row: usize) -> &[f32] {
        self.blocks[row / BLOCK_ROWS].row(row % BLOCK_ROWS)
    }

    /// The row as it is compared: of the right length, padded, and normalised for cosine.
    fn row(&self, vector: &[f32]) -> Result<Vec<f32>, Incomparable> {
        let incomparable = Incomparable { dimensions: self.dimensions };
        if vector.len() != self.dimensions {
            return Err(incomparable);
        }
        let length = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let scale = match self.metric {
            Metric::Cosine if length < 1e-6 => return Err(incomparable),
            Metric::Cosine => 1.0 / length,
            Metric::L2 => 1.0,
        };
        // A length beyond 1e15 would overflow when squared in single precision.
        if !length.is_finite() || length > 1e15 {
            return Err(incomparable);
        }
        let padding = std::iter::repeat_n(0.0, self.stride - self.dimensions);
        Ok(vector.iter().map(|v| (f64::from(*v) * scale) as f32).chain(padding).collect())
    }
}

impl Block {
    fn new(stride: usize) -> Self {
        let zeros = |values: usize| vec![0.0f32; values].into_boxed_slice();
        Self {
            codes: vec![0; BLOCK_ROWS * stride].into_boxed_slice(),
            scales: zeros(BLOCK_ROWS),
            rests: zeros(BLOCK_ROWS),
            biases: zeros(BLOCK_ROWS),
            rows: zeros(BLOCK_ROWS * stride),
        }
    }

    fn set(&mut self, slot: usize, row: &[f32], bias: f32) {
        let at = slot * row.len()..(slot + 1) * row.len();
        let coarse = Row::encode(row, &mut self.codes[at.clone()]);
        (self.scales[slot], self.rests[slot], self.biases[slot]) = (coarse.scale, coarse.rest, bias);
        self.rows[at].copy_from_slice(row);
    }

    fn row(&self, row: usize) -> &[f32] {
        let stride = self.rows.len() / BLOCK_ROWS;
        &self.rows[row * stride..][..stride]
    }

    /// Calls `each` with every row taken and the most its dot product with the probe plus its bias can be, but for the
    /// probe's slack.
    #[inline]
    fn scan(&self, probe: &Probe, taken: usize, mut each: impl FnMut(usize, f32)) {
        let stride = probe.codes.len();
        let groups = taken.next_multiple_of(kernel::GROUP);
        kernel::scan(&self.codes[..groups * stride], &probe.codes, |first, products| {
            for (n, product) in products.into_iter().enumerate() {
                let row = first + n;
                let coarse = product as f32 * probe.scale * self.scales[row];
                let bound = coarse + self.rests[row] * probe.length + self.biases[row];
                if row < taken {
                    each(row, bound);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn entry(n: usize) -> Entry {
        Entry { face: Uuid::from_u128(n as u128), person: None }
    }

    fn vector(rng: &mut StdRng, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| rng.random_range(-1.0f32..1.0)).collect()
    }

    /// The definition, in double precision.
    fn slow(metric: Metric, rows: &[Vec<f32>], probe: &[f32]) -> (usize, f64) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let value = |row: &Vec<f32>| match metric {
            Metric::Cosine => dot(row, probe) / dot(row, row).sqrt() / dot(probe, probe).sqrt(),
            Metric::L2 => -(dot(row, row) - 2.0 * dot(row, probe) + dot(probe, probe)).max(0.0).sqrt(),
        };
        let values = rows.iter().map(value).enumerate();
        let (row, value) = values.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        (row, if metric == Metric::L2 { -value } else { value })
    }

    #[test]
    fn the_nearest_is_the_nearest_by_definition() {
        let mut rng = StdRng::seed_from_u64(7);
        for metric in [Metric::Cosine, Metric::L2] {
            for (dimensions, count) in [(1, 3), (3, 50), (128, 1), (128, 700), (130, 64), (16, 2 * BLOCK_ROWS + 5)] {
                let rows: Vec<_> = (0..count).map(|_| vector(&mut rng, dimensions)).collect();
                let mut index = Index::new(metric, dimensions);
                rows.iter().enumerate().for_each(|(n, row)| index.insert(entry(n), row).unwrap());
                for _ in 0..20 {
                    let probe = vector(&mut rng, dimensions);
                    let (row, value) = slow(metric, &rows, &probe);
                    let found = index.nearest(&probe).unwrap().unwrap();
                    assert!((f64::from(found.value) - value).abs() < 1e-4, "{metric:?} {dimensions} {count}");
                    if dimensions > 1 {
                        assert_eq!(found.entry, entry(row), "{metric:?} {dimensions} {count}");
                    }
                }
            }
        }
    }

    #[test]
    fn crowds_of_near_equals_are_told_apart() {
        let mut rng = StdRng::seed_from_u64(9);
        for (metric, spread, size) in [
            (Metric::Cosine, 1e-2, 1.0),
            (Metric::Cosine, 1e-4, 1.0),
            (Metric::L2, 1e-2, 1.0),
            (Metric::L2, 1e-3, 50.0),
        ] {
            // A few people with many almost identical photos, in an order that makes each the nearest so far.
            let centres: Vec<_> = (0..5).map(|_| vector(&mut rng, 128)).collect();
            let near = |rng: &mut StdRng, centre: &[f32], spread: f32| -> Vec<f32> {
                centre.iter().map(|value| size * (value + spread * rng.random_range(-1.0f32..1.0))).collect()
            };
            let rows: Vec<_> =
                (0..2000).map(|n| near(&mut rng, &centres[n % 5], spread * (2000 - n) as f32 / 100.0)).collect();
            let mut index = Index::new(metric, 128);
            rows.iter().enumerate().for_each(|(n, row)| index.insert(entry(n), row).unwrap());
            for _ in 0..50 {
                let probe = near(&mut rng, &centres[0], spread);
                let (_, value) = slow(metric, &rows, &probe);
                let found = index.nearest(&probe).unwrap().unwrap();
                // What single precision cannot tell apart may be either.
                let row = found.entry.face.as_u128() as usize;
                let (_, its_own) = slow(metric, &rows[row..=row], &probe);
                assert!(
                    (its_own - value).abs() <= 1e-6 * f64::from(size),
                    "{metric:?} {spread}: {its_own} for {value}"
                );
            }
        }
    }

    #[test]
    fn lengths_of_all_sizes_keep_their_order() {
        let mut rng = StdRng::seed_from_u64(10);
        let mut index = Index::new(Metric::L2, 40);
        let rows: Vec<Vec<f32>> = (-6..=6)
            .flat_map(|power| (0..20).map(move |_| 10f32.powi(power)))
            .map(|size| vector(&mut rng, 40).into_iter().map(|value| value * size).collect())
            .chain([vec![0.0; 40]])
            .collect();
        rows.iter().enumerate().for_each(|(n, row)| index.insert(entry(n), row).unwrap());
        for probe in rows.iter().rev().take(60).chain([&vec![1e-20; 40]]) {
            let (_, value) = slow(Metric::L2, &rows, probe);
            let found = index.nearest(probe).unwrap().unwrap();
            assert!(f64::from(found.value) <= value * (1.0 + 1e-6) + 1e-20, "{} for {value}", found.value);
        }
    }

    #[test]
    fn an_entry_finds_itself_as_soon_as_it_is_in() {
        let mut rng = StdRng::seed_from_u64(8);
        let mut index = Index::new(Metric::Cosine, 128);
        assert_eq!(index.nearest(&vector(&mut rng, 128)).unwrap(), None);
        for n in 0..BLOCK_ROWS + 3 {
            let row = vector(&mut rng, 128);
            index.insert(entry(n), &row).unwrap();
            if n % 500 == 0 || n >= BLOCK_ROWS - 1 {
                let found = index.nearest(&row).unwrap().unwrap();
                assert_eq!(found.entry, entry(n));
                assert!((found.value - 1.0).abs() < 1e-5);
            }
        }
        assert_eq!(index.len(), BLOCK_ROWS + 3);
    }

    #[test]
    fn the_nearest_of_some_is_the_nearest_of_an_index_of_those() {
        let mut rng = StdRng::seed_from_u64(12);
        for metric in [Metric::Cosine, Metric::L2] {
            let rows: Vec<_> = (0..3000).map(|_| vector(&mut rng, 16)).collect();
            let (mut all, mut odd) = (Index::new(metric, 16), Index::new(metric, 16));
            for (n, row) in rows.iter().enumerate() {
                all.insert(entry(n), row).unwrap();
                if n % 2 == 1 {
                    odd.insert(entry(n), row).unwrap();
                }
            }
            for probe in rows.iter().take(50) {
                let found = all.nearest_of(probe, |entry| entry.face.as_u128() % 2 == 1).unwrap();
                let told = |found: Option<Nearest>| found.map(|found| (found.entry, found.value));
                assert_eq!(told(found), told(odd.nearest(probe).unwrap()));
            }
            assert_eq!(all.nearest_of(&rows[0], |_| false).unwrap(), None);
        }
    }

    #[test]
    fn the_two_nearest_belong_to_two_people() {
        let mut rng = StdRng::seed_from_u64(13);
        for (metric, people) in [(Metric::Cosine, 1), (Metric::Cosine, 3), (Metric::L2, 2), (Metric::L2, 900)] {
            let rows: Vec<_> = (0..3000).map(|_| vector(&mut rng, 16)).collect();
            let of = |n: usize| Entry { person: Some(Uuid::from_u128((n % people) as u128)), ..entry(n) };
            let mut index = Index::new(metric, 16);
            rows.iter().enumerate().for_each(|(n, row)| index.insert(of(n), row).unwrap());
            for _ in 0..50 {
                let probe = vector(&mut rng, 16);
                let (best, other) = index.nearest_two(&probe, |_| true).unwrap().unwrap();
                let one = index.nearest(&probe).unwrap().unwrap();
                assert_eq!((best.entry, best.value), (one.entry, one.value));
                let second = index.nearest_of(&probe, |entry| entry.person != best.entry.person).unwrap();
                assert_eq!(other.map(|it| it.value), second.map(|it| it.value), "{metric:?} {people}");
                assert_eq!(other.is_some(), people > 1);
                if let Some(other) = other {
                    let row = |of: Nearest| &rows[of.entry.face.as_u128() as usize];
                    let by_definition = metric.score(row(best), row(other));
                    assert!((index.compared(&best, &other) - by_definition).abs() < 1e-5);
                }
            }
        }
        assert_eq!(Index::new(Metric::Cosine, 4).nearest_two(&[1.0; 4], |_| true).unwrap(), None);
    }

    #[test]
    fn of_equals_the_first_wins() {
        let mut index = Index::new(Metric::Cosine, 4);
        (0..20).for_each(|n| index.insert(entry(n), &[0.0, 1.0, 0.0, 0.0]).unwrap());
        assert_eq!(index.nearest(&[0.0, 2.0, 0.0, 0.0]).unwrap().unwrap().entry, entry(0));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let mut index = Index::new(Metric::Cosine, 3);
        for wrong in [&[1.0, 2.0][..], &[1.0; 4], &[f32::NAN, 1.0, 1.0], &[f32::INFINITY, 0.0, 0.0], &[0.0; 3]] {
            assert_eq!(index.insert(entry(0), wrong), Err(Incomparable { dimensions: 3 }));
            assert_eq!(index.nearest(wrong), Err(Incomparable { dimensions: 3 }));
        }
        assert_eq!(index.len(), 0);
        let mut distances = Index::new(Metric::L2, 3);
        distances.insert(entry(0), &[0.0; 3]).unwrap();
        assert_eq!(distances.insert(entry(1), &[f32::MAX; 3]), Err(Incomparable { dimensions: 3 }));
    }
}
