//! Whether a camera sends the same picture again and again, also under a clock that goes on, or under noise.
//!
//! In: glances, and the stills made of them. Out: whether the picture is frozen. The same picture, point for point, is
//! frozen. One that differs in a corner alone, or by what is noise at every point, may be a still corridor just as
//! well: it counts only where this camera has shown more life before, and never again once it came back to life by
//! itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::glance::{CELLS, Glance, PER_CELL, POINTS};
use super::still::{BLACK, Still, quantile};

/// Longer than the distance between two key frames: an encoder may repeat a still scene exactly until the next one.
/// What the status page adds until it calls a picture a fault must still end within a minute.
pub const FROZEN_AFTER: Duration = Duration::from_secs(20);
/// The share of the picture that a clock and a name take. In the test clips at least 93 % of the points change within
/// 20 s, also where one person stands still in an empty room.
const CLOCK: f32 = 0.06;
/// What else changes where a clock alone does not: as much as this, or it is a picture that hardly changes anyway.
const LIVELY: f32 = 0.3;
/// Over so many stills, 20 s, it is measured how a cell's brightness varies (as a logarithm), against what noise that
/// is another at every point and every glance leaves: about 1 where there is nothing but such noise. In the test clips
/// four fifths of the cells stay below a number of 6 (a class that sits still) to 1500 (a door).
const STILLS: usize = 10;
const OF_CELLS: f32 = 0.8;
const NOISE_ALONE: f32 = 2.5;
/// Cells without any noise, bars beside the picture say, tell nothing of it: so many others must be left.
const NOISY: usize = CELLS / 2;
/// Noise hides what varies less than so many times as much as it does.
const HIDDEN: f32 = 5.0;
/// What rounding to whole levels of brightness leaves, in levels squared: less is no noise.
const ROUNDING: f32 = 1e-5;

/// Watches for change.
#[derive(Debug, Clone)]
pub struct Stillness {
    before: Option<Glance>,
    size: (u32, u32),
    /// When that was. What is shown until the next one is not known.
    seen: Duration,
    /// When each point last differed from the glance before, and any of them.
    changed: Vec<Duration>,
    any: Duration,
    stills: VecDeque<Sample>,
    /// The least life this camera has shown: the share of points that change, and how its cells vary.
    least: Option<(f32, f32)>,
    /// It seemed frozen and came back to life by itself: its scene may be that still.
    calm: bool,
    nearly: bool,
    /// The camera was reopened because it is frozen: what ends that is no life of its own.
    reopened: bool,
}

/// Of a still what is needed to tell noise from life.
#[derive(Debug, Clone)]
struct Sample {
    logs: [f32; CELLS],
    /// What noise at every point leaves of a cell's variance; 0 where there is none.
    noise: [f32; CELLS],
}

impl Stillness {
    pub fn new() -> Self {
        Self {
            before: None,
            size: (0, 0),
            seen: Duration::ZERO,
            changed: vec![Duration::ZERO; POINTS],
            any: Duration::ZERO,
            stills: VecDeque::new(),
            least: None,
            calm: false,
            nearly: false,
            reopened: false,
        }
    }

    /// The glance before the next one.
    pub fn before(&self) -> Option<&Glance> {
        self.before.as_ref()
    }

    /// Takes a glance at a picture of this size.
    pub fn glance(&mut self, glance: Glance, size: (u32, u32), offset: Duration) {
        match &self.before {
            Some(before) if self.size == size && offset >= self.any => {
                for (changed, (now, before)) in self.changed.iter_mut().zip(glance.light.iter().zip(&before.light)) {
                    if now != before {
                        *changed = offset;
                    }
                }
                if glance != *before {
                    self.any = offset;
                }
            }
            _ => {
                self.changed.fill(offset);
                self.any = offset;
            }
        }
        (self.before, self.size, self.seen) = (Some(glance), size, offset);
    }

    /// Takes the still that the last glances make.
    pub fn still(&mut self, still: &Still) {
        if self.stills.len() == STILLS {
            self.stills.pop_front();
        }
        let noise = std::array::from_fn(|cell| {
            let noise = still.flicker[cell] / (PER_CELL * still.glances as f32);
            if noise > ROUNDING { noise / (still.levels[cell] + BLACK).powi(2) } else { 0.0 }
        });
        self.stills.push_back(Sample { logs: still.logs, noise });
        if self.stills.len() < STILLS {
            self.nearly = false;
            return;
        }
        let recent = self.seen.saturating_sub(FROZEN_AFTER);
        let changing = self.changed.iter().filter(|&&changed| changed > recent).count() as f32 / POINTS as f32;
        let [varies, noise, ratio] = self.life();
        let clock = changing <= CLOCK;
        let noise_alone = ratio < NOISE_ALONE;
        if self.nearly && !clock && !noise_alone {
            self.calm |= !std::mem::take(&mut self.reopened);
        }
        let least = self.least;
        self.nearly = !self.calm
            && least
                .is_some_and(|(changing, varies)| clock && changing > LIVELY || noise_alone && varies > HIDDEN * noise);
        if !self.nearly {
            let least = least.unwrap_or((1.0, f32::MAX));
            self.least = Some((least.0.min(changing), least.1.min(varies)));
        }
    }

    /// How the cells vary, what noise alone would leave of that, and the one against the other: what four fifths of the
    /// cells stay below.
    fn life(&self) -> [f32; 3] {
        let count = self.stills.len() as f32;
        let (mut varies, mut noise, mut ratio) = (Vec::with_capacity(CELLS), Vec::new(), Vec::new());
        for cell in 0..CELLS {
            let log = |sample: &Sample| sample.logs[cell];
            let mean = self.stills.iter().map(log).sum::<f32>() / count;
            let here = self.stills.iter().map(|it| (log(it) - mean).powi(2)).sum::<f32>() / (count - 1.0);
            varies.push(here);
            if self.stills.iter().all(|it| it.noise[cell] > 0.0) {
                let alone = self.stills.iter().map(|it| it.noise[cell]).sum::<f32>() / count;
                noise.push(alone);
                ratio.push(here / alone);
            }
        }
        if ratio.len() < NOISY {
            ratio = vec![f32::MAX];
        }
        [varies, noise, ratio].map(|mut values| quantile(&mut values, OF_CELLS))
    }

    pub fn frozen(&self) -> bool {
        self.before.is_some() && self.seen.saturating_sub(self.any) >= FROZEN_AFTER || self.nearly
    }

    /// The camera was reopened: the next picture follows nothing. One that was frozen stays so until another picture
    /// comes: a camera that sends the same after reopening has been frozen all the time.
    pub fn restart(&mut self, was_frozen: bool) {
        if was_frozen {
            self.reopened = true;
            return;
        }
        self.before = None;
        self.stills.clear();
        self.nearly = false;
    }
}
