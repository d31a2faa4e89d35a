//! A camera that does what a test tells it: the fake among the sources.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use faces::picture::Picture;

use super::{About, CameraSource, CaptureError, Next, Shot, ShotTime, SkipReason, Skipped};

/// What the scripted camera does next; when a script is over, the connection breaks.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Shot,
    /// A shot of a recording at this position, ms.
    At(u64),
    /// A shot of a recording at this position, with damage.
    DamagedAt(u64),
    /// So many frames that cannot be decoded.
    Lost(u64),
    Rubbish,
    RubbishForEver,
    Fault,
    Panic,
    Hang,
    End,
}

pub struct Scripted {
    pub steps: VecDeque<Step>,
    /// Hangs until the other end is dropped.
    pub hang: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl CameraSource for Scripted {
    fn about(&self) -> About {
        About { name: "a scripted camera".into(), fps: 10.0 }
    }

    fn next_shot(&mut self) -> Result<Next, CaptureError> {
        let shot = |time, damaged| Next::Shot(Shot { picture: Picture::filled(8, 6, [90, 90, 90]), time, damaged });
        let at = |ms| ShotTime::Recording { position: Duration::from_millis(ms), utc: None };
        let rubbish = || Next::Skipped(Skipped { reason: SkipReason::Undecodable, what: "rubbish".into() });
        match self.steps.pop_front().unwrap_or(Step::Fault) {
            Step::Shot => Ok(shot(ShotTime::Arrival, false)),
            Step::At(ms) => Ok(shot(at(ms), false)),
            Step::DamagedAt(ms) => Ok(shot(at(ms), true)),
            Step::Lost(frames) => Ok(Next::Lost(frames)),
            Step::Rubbish => Ok(rubbish()),
            Step::RubbishForEver => {
                self.steps.push_front(Step::RubbishForEver);
                thread::sleep(Duration::from_millis(1));
                Ok(rubbish())
            }
            Step::Fault => Err(CaptureError::Panicked { what: "scripted fault".into() }),
            // This is a test's camera: it does what it is told.
            Step::Panic => panic!("scripted panic"),
            Step::Hang => {
                // Compiled for tests only.
                let _ = self.hang.lock().unwrap().recv();
                Ok(Next::End)
            }
            Step::End => Ok(Next::End),
        }
    }
}
