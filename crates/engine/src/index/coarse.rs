//! Rows and probes as small integers, and how far from the truth that may be.
//!
//! In: a vector. Out: its codes, and bounds that make a search with them exact: a row is `scale * codes + rest`, a
//! probe likewise, so by Cauchy and Schwarz
//!
//! ```text
//! | row·probe − scale·scale'·(codes·codes') |  ≤  |rest|·|probe|  +  |row|·|rest'|  (+ rounding)
//! ```
//!
//! A row whose coarse product plus this bound does not reach the best exact product so far cannot be the nearest. With
//! codes of eight bits the bound is below 0.01 for a row of length one and 128 values, and all but a handful of rows
//! in 100,000 are settled by a quarter of the memory traffic of the exact products.

/// The largest code of a row.
const ROW_MOST: f32 = 127.0;

/// The largest code of a probe, if sums of its products with a row's codes can be told to fit an `i32`.
const PROBE_MOST: f32 = 16_000.0;

/// What single-precision sums of some hundred products may be wrong by, relative to the lengths of both vectors.
const ROUNDING: f32 = 2e-5;

/// A row's codes, written in place.
pub struct Row {
    pub scale: f32,
    /// The length of what the codes leave out, rounded up.
    pub rest: f32,
}

/// A probe's codes and what its bounds are made of.
pub struct Probe {
    pub codes: Vec<i16>,
    /// What a row's coarse product is multiplied by, beside the row's own scale.
    pub scale: f32,
    /// What a row's rest is multiplied by in the bound.
    pub length: f32,
    rest: f32,
}

impl Row {
    pub fn encode(values: &[f32], codes: &mut [i8]) -> Self {
        let (scale, inverse) = scale(values, ROW_MOST);
        let mut rest = 0.0f64;
        for (code, value) in codes.iter_mut().zip(values) {
            let rounded = (value * inverse).round();
            *code = rounded as i8;
            rest += (f64::from(*value) - f64::from(scale) * f64::from(*code)).powi(2);
        }
        Self { scale, rest: up(rest.sqrt()) }
    }
}

impl Probe {
    pub fn new(values: &[f32]) -> Self {
        let most = PROBE_MOST.min((i32::MAX as f32 / ROW_MOST / values.len() as f32).floor());
        let (scale, inverse) = scale(values, most);
        let codes: Vec<i16> = values.iter().map(|value| (value * inverse).round() as i16).collect();
        let rest =
            codes.iter().zip(values).map(|(code, value)| f64::from(*value) - f64::from(scale) * f64::from(*code));
        let length = |values: &mut dyn Iterator<Item = f64>| up(values.map(|value| value * value).sum::<f64>().sqrt());
        Self {
            length: length(&mut values.iter().map(|value| f64::from(*value))),
            rest: length(&mut { rest }),
            codes,
            scale,
        }
    }

    /// The part of the bound that is the same for all rows no longer than `longest`.
    pub fn slack(&self, longest: f32) -> f32 {
        longest * (self.rest + self.length * ROUNDING)
    }
}

/// The scale that takes the largest value to `most`, and its inverse; both zero for nothing but zeros.
fn scale(values: &[f32], most: f32) -> (f32, f32) {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest < f32::MIN_POSITIVE * 1e6 { (0.0, 0.0) } else { (largest / most, most / largest) }
}

/// Rounded up to single precision.
fn up(length: f64) -> f32 {
    (length as f32) * (1.0 + 1e-6)
}
