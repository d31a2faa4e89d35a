//! `[view]`: what of a camera's picture is looked at.
//!
//! In: shares of the picture, 0 to 1 from its upper left corner. Out: [`ViewConfig`]. How it is done is the capture
//! room's affair.

use super::reading::At;
use super::section::section;
use super::value::Value;

section! {
    /// `[view]`
    pub struct ViewConfig: Default {
        /// Left for right, after `camera.rotate`.
        pub mirror: bool = false;
        /// Only this part of the picture is looked at.
        pub crop: Option<Part> = None;
        /// Blacked out before a face is looked for; of the picture after `crop`.
        pub ignore: Vec<Polygon> = Vec::new();
        /// The middle of a face lies in one of them, or it is nobody; without any it may lie anywhere. After `crop`.
        pub watch: Vec<Polygon> = Vec::new();
    }
}

impl ViewConfig {
    /// Whether a face whose middle is here, in shares of the picture, counts.
    pub fn watches(&self, point: Point) -> bool {
        self.watch.is_empty() || self.watch.iter().any(|polygon| polygon.holds(point))
    }
}

/// A place in a picture: how far to the right and down, as shares of its width and height.
pub type Point = [f32; 2];

/// A rectangle in a picture, in shares of it: not empty, and inside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
}

/// A polygon in a picture, of three corners at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon(pub Vec<Point>);

impl Polygon {
    /// Whether a point lies within. Where its sides cross, what they enclose twice is outside.
    pub fn holds(&self, [x, y]: Point) -> bool {
        self.crossings(y).into_iter().filter(|crossing| *crossing <= x).count() % 2 == 1
    }

    /// Where a horizontal line crosses its sides, from left to right.
    pub fn crossings(&self, y: f32) -> Vec<f32> {
        let Self(corners) = self;
        let sides = corners.iter().zip(corners.iter().cycle().skip(1));
        let mut crossings: Vec<f32> = sides
            .filter(|([_, from], [_, to])| (*from <= y) != (*to <= y))
            .map(|([x, from], [to_x, to])| x + (y - from) / (to - from) * (to_x - x))
            .collect();
        crossings.sort_by(f32::total_cmp);
        crossings
    }
}

/// So many numbers, each a share.
fn shares<const N: usize>(at: &At<'_>, wanted: &str) -> Option<[f32; N]> {
    let numbers: Vec<f32> = at.items()?.iter().filter_map(f32::read).collect();
    match <[f32; N]>::try_from(numbers) {
        Ok(numbers) if numbers.iter().all(|number| (0.0..=1.0).contains(number)) => Some(numbers),
        _ => {
            at.wrong(&[], format!("it must be {wanted}, each from 0 to 1"));
            None
        }
    }
}

impl Value for Part {
    fn read(at: &At<'_>) -> Option<Self> {
        let [left, top, width, height] = shares(at, "four numbers: left, top, width and height")?;
        // What is written in decimals need not add up to one exactly.
        if width <= 0.0 || height <= 0.0 || left + width > 1.0001 || top + height > 1.0001 {
            at.wrong(
                &[],
                "nothing of it, or not all of it, is inside the picture; left + width and top + height are at most 1",
            );
            return None;
        }
        Some(Self { left, top, width, height })
    }
}

impl Value for Polygon {
    fn read(at: &At<'_>) -> Option<Self> {
        let items = at.items()?;
        let corners: Vec<Point> =
            items.iter().filter_map(|corner| shares(corner, "a corner: two numbers, to the right and down")).collect();
        if items.len() < 3 {
            at.wrong(&[], "it must be a polygon: a list of three corners or more, each like [0.5, 1.0]");
            return None;
        }
        (corners.len() == items.len()).then_some(Self(corners))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_inside_or_not() {
        let square = Polygon(vec![[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]);
        let notched = Polygon(vec![[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5], [0.0, 1.0]]);
        for (polygon, point, inside) in [
            (&square, [0.5, 0.5], true),
            (&square, [0.1, 0.5], false),
            (&square, [0.5, 0.9], false),
            (&square, [0.9, 0.2], false),
            (&notched, [0.5, 0.4], true),
            (&notched, [0.5, 0.9], false),
            (&notched, [0.1, 0.8], true),
            (&notched, [0.9, 0.8], true),
        ] {
            assert_eq!(polygon.holds(point), inside, "{polygon:?} {point:?}");
        }
        let view = ViewConfig { watch: vec![square], ..ViewConfig::default() };
        assert!(view.watches([0.3, 0.3]) && !view.watches([0.9, 0.9]) && ViewConfig::default().watches([0.9, 0.9]));
    }
}
