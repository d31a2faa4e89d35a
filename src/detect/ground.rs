//! What is usual in a camera's picture, and which of its places are not as usual.
//!
//! In: each frame's light. Out: the blocks in motion. It follows the light in seconds, takes a change of exposure out,
//! and learns how restless each block is. It does not know what anybody makes of it.

use std::ops::Range;
use std::time::Duration;

use crate::capture::{COLUMNS, LEVEL, POINTS, ROWS};

/// So many points across and down make a block: a twentieth of a picture's height.
const BLOCK: usize = 5;
/// Blocks across and down.
pub const ACROSS: usize = COLUMNS / BLOCK;
pub const DOWN: usize = ROWS / BLOCK;
pub const BLOCKS: usize = ACROSS * DOWN;

/// The light of each point, on average over the last seconds, and what is known of each block.
#[derive(Debug, Default)]
pub struct Ground {
    light: Vec<f32>,
    blocks: Vec<Block>,
    /// Frames since it was taken anew.
    age: u32,
    /// Of [`gain`](Self::gain), to use its memory again.
    ratios: Vec<f32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    /// Whether it counts.
    seen: bool,
    moved: bool,
    /// How far its points are from the ground now, and usually.
    apart: f32,
    noise: f32,
    /// Which part of the time it moves, 0 to 1.
    restless: f32,
}

/// The ground follows the light within this time: who comes slowly must be apart from it, and who stays is known.
const LIGHT_FOLLOWS: Duration = Duration::from_secs(2);
/// What is usual follows what is; in a block in motion more slowly, because a tree always moves, and a visitor not.
const NOISE_FOLLOWS: Duration = Duration::from_secs(5);
const MOTION_FOLLOWS: Duration = Duration::from_secs(30);
/// A point is apart from the ground when it is further away than so many times what is usual, and than these levels of
/// brightness at least and at most: a face is, and what compression does to a still picture is not.
const APART: f32 = 5.0;
const APART_LEAST: f32 = 3.0 * LEVEL;
const APART_MOST: f32 = 12.0 * LEVEL;
/// So many of its points move a block.
const POINTS_APART: usize = 3;
/// A block that moves for more than this part of the time is restless.
const RESTLESS: f32 = 0.3;

impl Ground {
    /// Takes this light for the ground. Only the blocks that are seen count from now on.
    pub fn begin(&mut self, light: &[u16], seen: impl Iterator<Item = bool>) {
        self.blocks.clear();
        self.blocks.extend(seen.map(|seen| Block { seen, ..Block::default() }));
        self.set(light);
    }

    /// Takes this light for the ground; which blocks are restless stays known.
    pub fn set(&mut self, light: &[u16]) {
        self.age = 0;
        self.light.clear();
        self.light.extend(light.iter().copied().map(f32::from));
    }

    /// Compares the light with the ground, which then follows it by the time that has passed. Gives back which part of
    /// the blocks that are seen is in motion.
    pub fn compare(&mut self, light: &[u16], step: Duration) -> f32 {
        let gain = self.gain(light);
        let (mut seen, mut moved) = (0, 0);
        for (n, block) in self.blocks.iter_mut().enumerate().filter(|(_, block)| block.seen) {
            let limit = (APART * block.noise).clamp(APART_LEAST, APART_MOST);
            let (mut points_apart, mut sum) = (0, 0.0);
            for row in rows_of(n) {
                for (light, ground) in light[row.clone()].iter().zip(&self.light[row]) {
                    let apart = (f32::from(*light) - gain * ground).abs();
                    points_apart += usize::from(apart > limit);
                    sum += apart;
                }
            }
            block.moved = points_apart >= POINTS_APART;
            block.apart = sum / (BLOCK * BLOCK) as f32;
            seen += 1;
            moved += usize::from(block.moved);
        }
        self.follow(light, step);
        moved as f32 / seen.max(1) as f32
    }

    /// Whether the block moved in the frame compared last.
    pub fn moved(&self, block: usize) -> bool {
        self.blocks[block].moved
    }

    /// Whether it always does.
    pub fn is_restless(&self, block: usize) -> bool {
        self.blocks[block].restless > RESTLESS
    }

    /// Forgets that a block is restless: it is a face that moves there.
    pub fn calm(&mut self, block: usize) {
        self.blocks[block].restless = 0.0;
    }

    fn follow(&mut self, light: &[u16], step: Duration) {
        self.age = self.age.saturating_add(1);
        // At first the mean of all there was, because nothing else is known.
        let (lights, noises) = (1.0 / (self.age + 1) as f32, 1.0 / self.age as f32);
        let part = |within: Duration| 1.0 - (-step.as_secs_f32() / within.as_secs_f32()).exp();
        let (usual, quiet, moving) = (part(LIGHT_FOLLOWS).max(lights), part(NOISE_FOLLOWS), part(MOTION_FOLLOWS));
        for (ground, light) in self.light.iter_mut().zip(light) {
            *ground += usual * (f32::from(*light) - *ground);
        }
        for block in self.blocks.iter_mut().filter(|block| block.seen) {
            block.noise += if block.moved { moving } else { quiet }.max(noises) * (block.apart - block.noise);
            block.restless += moving * (f32::from(u8::from(block.moved)) - block.restless);
        }
    }

    /// How many times as light as the ground it is: exposure changes all of it, and a visitor not the median.
    fn gain(&mut self, light: &[u16]) -> f32 {
        self.ratios.clear();
        for (n, _) in self.blocks.iter().enumerate().filter(|(_, block)| block.seen) {
            let points = || rows_of(n).flatten();
            let now: f32 = points().map(|point| f32::from(light[point])).sum();
            let usual: f32 = points().map(|point| self.light[point]).sum();
            // Where all is dark, noise is no ratio.
            self.ratios.push((now + DARK) / (usual + DARK));
        }
        let middle = self.ratios.len() / 2;
        if self.ratios.is_empty() { 1.0 } else { *self.ratios.select_nth_unstable_by(middle, f32::total_cmp).1 }
    }
}

/// Four levels of brightness all over a block.
const DARK: f32 = 4.0 * LEVEL * (BLOCK * BLOCK) as f32;

/// The points of a block, row by row.
fn rows_of(block: usize) -> impl Iterator<Item = Range<usize>> {
    let (left, top) = (block % ACROSS * BLOCK, block / ACROSS * BLOCK);
    (top..top + BLOCK).map(move |row| row * COLUMNS + left..row * COLUMNS + left + BLOCK)
}

const _: () = assert!(BLOCKS * BLOCK * BLOCK == POINTS);
