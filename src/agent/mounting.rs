//! Which way up a camera hangs, by the faces it shows.
//!
//! In: for each visitor how far the picture must be turned for their face to stand. Out: what is wrong with the
//! camera's mounting, once several visitors agree. Pure; one visitor alone proves nothing: people bend and lie down.

use std::collections::VecDeque;

use faces::detect::SecondLook;

/// The last visitors that count.
const VISITORS: usize = 12;
/// So many are needed, and this share of them must agree: of faces upside down YuNet-n takes one in six for upright.
const ENOUGH: usize = 5;
const AGREE: f32 = 0.7;

/// The last visitors of one camera.
pub struct Mounting {
    /// What the configuration turns its frames by, in degrees clockwise.
    rotate: u32,
    /// They are mirrored after that.
    mirror: bool,
    /// Quarter turns their faces needed, the newest last.
    quarters: VecDeque<u8>,
}

impl Mounting {
    pub fn new(rotate: u32, mirror: bool) -> Self {
        Self { rotate, mirror, quarters: VecDeque::new() }
    }

    /// Takes in a visitor's first shot, and says what is wrong now.
    pub fn seen(&mut self, look: &SecondLook) -> Option<String> {
        self.quarters.push_back(look.quarter());
        if self.quarters.len() > VISITORS {
            self.quarters.pop_front();
        }
        self.problem()
    }

    fn problem(&self) -> Option<String> {
        let visitors = self.quarters.len();
        let agreeing = |quarter: u8| self.quarters.iter().filter(|it| **it == quarter).count();
        let enough = |quarter: &u8| visitors >= ENOUGH && agreeing(*quarter) as f32 >= AGREE * visitors as f32;
        let quarter = (1..4).find(enough)?;
        let how = if quarter == 2 { "upside down" } else { "on its side" };
        // In a mirror a turn goes the other way round.
        let before_mirror = if self.mirror { 4 - quarter } else { quarter };
        let rotate = (self.rotate + 90 * u32::from(before_mirror)) % 360;
        let (agreeing, key) = (agreeing(quarter), format!("set `rotate = {rotate}` in its [camera] section"));
        Some(format!("the camera hangs {how}, as the faces of {agreeing} of {visitors} visitors show; {key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_visitors_must_agree() {
        let upside = Some("upside down");
        // (what, quarter turns of the visitors, configured, how it hangs, what to set)
        type Case<'a> = (&'a str, &'a [u8], u32, Option<&'a str>, u32);
        let cases: [Case; 8] = [
            ("upright", &[0, 0, 0, 0, 0, 0], 0, None, 0),
            ("too few", &[2, 2, 2, 2], 0, None, 0),
            ("upside down", &[2, 2, 2, 2, 2], 0, upside, 180),
            ("one of them taken for upright", &[2, 0, 2, 2, 2], 0, upside, 180),
            ("on its side", &[3, 3, 3, 3, 3], 0, Some("on its side"), 270),
            ("turned the wrong way", &[2, 2, 2, 2, 2], 90, upside, 270),
            ("somebody bent down", &[0, 0, 2, 0, 0, 1, 0], 0, None, 0),
            ("mended", &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0], 0, None, 0),
        ];
        for (what, quarters, rotate, how, set) in cases {
            let quarters = quarters.iter().copied().rev().take(VISITORS).rev().collect();
            let problem = Mounting { rotate, mirror: false, quarters }.problem();
            match how {
                None => assert_eq!(problem, None, "{what}"),
                Some(how) => {
                    let problem = problem.unwrap_or_else(|| panic!("{what}"));
                    assert!(problem.contains(how) && problem.contains(&format!("`rotate = {set}`")), "{problem}");
                }
            }
        }
    }

    #[test]
    fn in_a_mirror_the_other_turn_helps() {
        for (quarter, rotate) in [(1, 270), (2, 180), (3, 90)] {
            let problem = Mounting { rotate: 0, mirror: true, quarters: [quarter; 5].into() }.problem().unwrap();
            assert!(problem.contains(&format!("`rotate = {rotate}`")), "{problem}");
        }
    }
}
