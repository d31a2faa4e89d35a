//! What the world hears of a camera: its state on the watch channel, and few lines in the log.
//!
//! In: frames' sizes and looks, faults, the end. Out: the newest [`CameraState`], a log line when something changed
//! that the operator should know, and once a minute while it stays bad. It does not decide what is done about it.

use std::time::Instant;

use chrono::Utc;
use telemetry::Repeated;
use tokio::sync::watch;
use tracing::{debug, info, warn};
use wording::with_causes;

use super::{CameraState, CaptureError, Lens, Unmet};

/// Publishes one camera's state.
pub(super) struct News {
    state: watch::Sender<CameraState>,
    trouble: Repeated,
    /// What was told last of what the camera cannot be brought to do.
    unmet: Vec<Unmet>,
}

impl News {
    pub fn new(state: watch::Sender<CameraState>) -> Self {
        state.send_replace(CameraState::Connecting);
        Self { state, trouble: Repeated::default(), unmet: Vec::new() }
    }

    /// Publishes a state of streaming when it is news, and logs what the operator should know of the change.
    pub fn streaming(&mut self, now: CameraState) {
        if *self.state.borrow() == now {
            return;
        }
        let CameraState::Streaming { size: (width, height), source, lens, .. } = &now else { return };
        let before = self.state.borrow().clone();
        match before {
            CameraState::Streaming { size, lens: lens_before, .. } => {
                if size != (*width, *height) {
                    info!("the camera now sends frames of {width}x{height}");
                }
                if lens_before != *lens {
                    tell_of_lens(*lens);
                }
            }
            CameraState::Failed { since, tries, .. } => {
                let away_secs = (Utc::now() - since).num_seconds();
                if self.trouble.is_over() {
                    info!(tries, away_secs, "the camera is back after {away_secs} s: {source}, {width}x{height}");
                } else {
                    debug!(tries, away_secs, "the camera is back after {away_secs} s");
                }
            }
            CameraState::Connecting | CameraState::Ended => {
                info!("the camera is streaming: {source}, {width}x{height}");
            }
        }
        self.state.send_replace(now);
    }

    /// Logs what an opened camera cannot be brought to do, once for as long as it stays the same.
    pub fn opened(&mut self, unmet: &[Unmet]) {
        for one in unmet {
            if !self.unmet.contains(one) {
                let Unmet { key, problem } = one;
                warn!(key = format!("camera.{key}"), "{problem}; the camera goes on without");
                self.unmet.push(one.clone());
            }
        }
    }

    /// With its first picture everything is known that a camera cannot be brought to do: the rest is over, and would be
    /// news again.
    pub fn shown(&mut self, unmet: &[Unmet]) {
        self.unmet.retain(|told| unmet.contains(told));
    }

    /// Publishes and logs a fault; the same trouble is told once a minute.
    pub fn failed(&mut self, fault: &CaptureError) {
        let reason = with_causes(fault);
        let (since, tries) = match &*self.state.borrow() {
            CameraState::Failed { since, tries, .. } => (*since, tries + 1),
            _ => (Utc::now(), 1),
        };
        match self.trouble.note(Instant::now(), &reason) {
            Some(line) => warn!(tries, "the camera gives no frames: {line}"),
            None => debug!(tries, "the camera gives no frames: {reason}"),
        }
        let hanging = matches!(fault, CaptureError::Stuck { .. });
        self.state.send_replace(CameraState::Failed { reason, since, tries, hanging });
    }

    pub fn ended(&mut self) {
        self.state.send_replace(CameraState::Ended);
    }
}

fn tell_of_lens(lens: Lens) {
    match lens {
        Lens::Clear => info!("the picture is clear again"),
        _ => warn!("the picture is {lens}: who comes may not be seen; look at the camera"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_counts_its_tries_and_keeps_its_beginning() {
        let (state, seen) = watch::channel(CameraState::Ended);
        let mut news = News::new(state);
        assert_eq!(*seen.borrow(), CameraState::Connecting);
        let streaming = CameraState::showing(Lens::Clear);
        let failed = |news: &mut News| {
            news.failed(&CaptureError::Stalled { waited_ms: 5000 });
            match &*seen.borrow() {
                CameraState::Failed { reason, since, tries, .. } => (reason.clone(), *since, *tries),
                other => panic!("{other:?}"),
            }
        };
        let first = failed(&mut news);
        assert_eq!((first.0.as_str(), first.2), ("no frame for 5000 ms", 1));
        let second = failed(&mut news);
        assert_eq!((second.1, second.2), (first.1, 2));
        news.streaming(streaming.clone());
        assert_eq!(*seen.borrow(), streaming);
        assert_eq!(failed(&mut news).2, 1, "a new outage");
    }

    #[test]
    fn what_is_unmet_is_told_once_until_a_picture_comes_without_it() {
        let mut news = News::new(watch::channel(CameraState::Ended).0);
        let unmet = [Unmet { key: "decode".into(), problem: "no".into() }];
        // Only the first picture shows it, each time the camera is opened.
        for _ in 0..3 {
            news.opened(&[]);
            assert!(news.unmet.is_empty() || news.unmet == unmet);
            news.opened(&unmet);
            news.shown(&unmet);
            assert_eq!(news.unmet, unmet, "it will not be told again");
        }
        news.opened(&[]);
        news.shown(&[]);
        assert!(news.unmet.is_empty(), "it would be news");
    }

    #[test]
    fn readers_are_woken_only_by_news() {
        let (state, mut seen) = watch::channel(CameraState::Ended);
        let mut news = News::new(state);
        for (lens, changed) in [(Lens::Clear, true), (Lens::Clear, false), (Lens::Dark, true), (Lens::Dark, false)] {
            seen.mark_unchanged();
            news.streaming(CameraState::showing(lens));
            assert_eq!(seen.has_changed().ok(), Some(changed), "{lens:?}");
        }
    }
}
