//! The place between a camera and its detector: one frame that the next one replaces, or a short lossless queue.
//!
//! In: frames in order. Out: the newest of them (a live camera), or all of them (a recording that is replayed as
//! fast as possible, which then waits for the detector). It knows nothing of what is in a frame.
//!
//! ```text
//! newest wins   send --▶ [ newest ] --▶ recv      a frame still here when the next one comes is dropped, counted
//! lossless      send --▶ [ · · · · ] --▶ recv     send waits while it is full
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::RawFrame;
use crate::config::{CameraConfig, Pace};

/// Frames read ahead of the detector in a lossless replay: enough to keep both busy, little memory.
const LOSSLESS_FRAMES: usize = 4;

/// The camera's end. Dropping it ends the receiver's frames after those still waiting.
#[derive(Debug)]
pub struct FrameSender(Arc<Slot>);

/// The detector's end. Dropping it makes every later send answer [`Sent::Closed`].
#[derive(Debug)]
pub struct FrameReceiver(Arc<Slot>);

/// What became of a frame that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Waiting,
    /// The frame is waiting; an older one that nobody had taken was dropped for it.
    Replaced,
    /// Nobody receives any more.
    Closed,
}

/// Makes the pair for a camera: lossless for `pace = "fast"`, newest-wins for everything live.
pub fn channel(config: &CameraConfig) -> (FrameSender, FrameReceiver) {
    match config {
        CameraConfig::Replay(replay) if replay.pace == Pace::Fast => pair(WhenFull::Wait),
        _ => pair(WhenFull::Replace),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    Replace,
    Wait,
}

#[derive(Debug)]
struct Slot {
    when_full: WhenFull,
    /// No other lock is taken with it.
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    frames: VecDeque<RawFrame>,
    dropped: u64,
    sender_gone: bool,
    receiver_gone: bool,
}

impl FrameSender {
    /// Hands a frame over. Never waits when the newest wins; waits for room when lossless.
    pub fn send(&self, frame: RawFrame) -> Sent {
        let mut inside = self.0.inside.lock();
        if self.0.when_full == WhenFull::Wait {
            while inside.frames.len() >= LOSSLESS_FRAMES && !inside.receiver_gone {
                self.0.changed.wait(&mut inside);
            }
        }
        if inside.receiver_gone {
            return Sent::Closed;
        }
        let replaced = self.0.when_full == WhenFull::Replace && inside.frames.pop_front().is_some();
        inside.dropped += u64::from(replaced);
        inside.frames.push_back(frame);
        self.0.changed.notify_all();
        if replaced { Sent::Replaced } else { Sent::Waiting }
    }
}

impl FrameReceiver {
    /// Waits for the next frame; `None` once the sender is gone and nothing is waiting.
    pub fn recv(&self) -> Option<RawFrame> {
        let mut inside = self.0.inside.lock();
        loop {
            if let Some(frame) = inside.frames.pop_front() {
                self.0.changed.notify_all();
                return Some(frame);
            }
            if inside.sender_gone {
                return None;
            }
            self.0.changed.wait(&mut inside);
        }
    }

    /// Frames that a newer one replaced before they were taken, since the beginning.
    pub fn dropped(&self) -> u64 {
        self.0.inside.lock().dropped
    }
}

impl Drop for FrameSender {
    fn drop(&mut self) {
        self.0.inside.lock().sender_gone = true;
        self.0.changed.notify_all();
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        let mut inside = self.0.inside.lock();
        inside.receiver_gone = true;
        inside.frames.clear();
        self.0.changed.notify_all();
    }
}

fn pair(when_full: WhenFull) -> (FrameSender, FrameReceiver) {
    let slot = Arc::new(Slot { when_full, inside: Mutex::default(), changed: Condvar::new() });
    (FrameSender(slot.clone()), FrameReceiver(slot))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::capture::CaptureTime;
    use crate::config::DetectorName;
    use faces::picture::Picture;

    fn frame(seq: u64) -> RawFrame {
        RawFrame {
            detector: DetectorName::new("door").unwrap(),
            seq,
            time: CaptureTime {
                utc: chrono::Utc::now(),
                offset: Duration::from_millis(seq * 40),
                arrived: Instant::now(),
            },
            image: Picture::filled(2, 2, [0; 3]).into(),
            damaged: false,
        }
    }

    #[test]
    fn the_newest_frame_replaces_the_one_nobody_took() {
        let (sender, receiver) = pair(WhenFull::Replace);
        let sent: Vec<Sent> = (0..4).map(|seq| sender.send(frame(seq))).collect();
        assert_eq!(sent, [Sent::Waiting, Sent::Replaced, Sent::Replaced, Sent::Replaced]);
        assert_eq!(receiver.recv().map(|frame| frame.seq), Some(3));
        assert_eq!(receiver.dropped(), 3);
        assert_eq!(sender.send(frame(4)), Sent::Waiting, "the slot was empty again");
    }

    #[test]
    fn a_frame_left_behind_by_a_gone_sender_is_still_received() {
        for when_full in [WhenFull::Replace, WhenFull::Wait] {
            let (sender, receiver) = pair(when_full);
            sender.send(frame(7));
            drop(sender);
            assert_eq!(receiver.recv().map(|frame| frame.seq), Some(7));
            assert!(receiver.recv().is_none() && receiver.recv().is_none());
        }
    }

    #[test]
    fn lossless_waits_for_the_receiver_and_keeps_every_frame_in_order() {
        let (sender, receiver) = pair(WhenFull::Wait);
        let (progress, seen) = mpsc::channel();
        let camera = thread::spawn(move || {
            for seq in 0..50 {
                assert_eq!(sender.send(frame(seq)), Sent::Waiting);
                progress.send(seq).unwrap();
            }
        });
        for seq in 0..LOSSLESS_FRAMES as u64 {
            assert_eq!(seen.recv().unwrap(), seq);
        }
        assert!(seen.recv_timeout(Duration::from_millis(50)).is_err(), "a full queue must hold the camera back");
        let received: Vec<u64> = std::iter::from_fn(|| receiver.recv()).map(|frame| frame.seq).collect();
        assert_eq!(received, (0..50).collect::<Vec<_>>());
        assert_eq!(receiver.dropped(), 0);
        camera.join().unwrap();
    }

    #[test]
    fn either_side_going_away_wakes_the_other() {
        let (sender, receiver) = pair(WhenFull::Wait);
        for seq in 0..LOSSLESS_FRAMES as u64 {
            sender.send(frame(seq));
        }
        let blocked = thread::spawn(move || sender.send(frame(99)));
        thread::sleep(Duration::from_millis(20));
        drop(receiver);
        assert_eq!(blocked.join().unwrap(), Sent::Closed);

        let (sender, receiver) = pair(WhenFull::Replace);
        let blocked = thread::spawn(move || receiver.recv().is_none());
        thread::sleep(Duration::from_millis(20));
        drop(sender);
        assert!(blocked.join().unwrap());
    }
}
