//! How long damage lasts: what is built on a damaged frame is damaged, and no decoder says so.
//!
//! In: each frame, whether it stands by itself (a key frame), and whether the decoder had to make up parts of it.
//! Out: whether it is to be taken for damaged. It does not look at the pictures: where one whole face in 500 may be
//! taken for smeared, straight steps along the coder's blocks tell only one in eight of those that are. But in H.264
//! that lost 2 % of its packets (15 frames a second, 400 to 1,500 kbit/s) half of the faces between a damaged frame
//! and the next key frame were visibly smeared, and three of four that were are found here instead of one in eleven.
//!
//! ```text
//!          damaged, or lost                  MOST_IN_DOUBT frames
//! (whole) ------------------▶ in doubt ------------------------------▶ trusted again
//!    ▲                            │ a key frame                              │ a key frame
//!    └----------------------------┴------------------------------------------┘
//! ```

/// Frames from the damage on that are taken for damaged at most: two to four seconds of a camera. Most cameras send a
/// key frame within that time. Where one does not, a visitor in pictures that may be smeared is better than none.
pub(super) const MOST_IN_DOUBT: u32 = 60;

/// What is known of the frames since the last key frame.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// Frames since the first that was damaged, itself included.
    frames: Option<u32>,
}

impl Doubt {
    /// Whether the next frame is to be taken for damaged.
    pub fn marks(&mut self, key: bool, damaged: bool) -> bool {
        if key {
            self.frames = None;
        }
        if damaged {
            self.lost();
        }
        let Some(frames) = &mut self.frames else { return false };
        *frames = frames.saturating_add(1);
        damaged || *frames <= MOST_IN_DOUBT
    }

    /// A frame could not be decoded at all.
    pub fn lost(&mut self) {
        self.frames.get_or_insert(0);
    }
}
