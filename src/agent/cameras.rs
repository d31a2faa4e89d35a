//! Watching the cameras' threads and states, until all of them have ended.
//!
//! In: running [`Pipeline`]s. Out: how each ended, no later than a deadline; and what each camera does, to whoever
//! listens and to the supervisor.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::events::{Event, Events};
use super::pipeline::{End, Pipeline};
use super::supervisor::Beat;
use crate::capture::CameraState;
use crate::config::DetectorName;

/// Once told to stop: how long the detectors' threads may take to run empty.
const THREADS_END_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the detectors' threads have ended, while they run and while they are to end.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOK_OFTEN: Duration = Duration::from_millis(10);

/// Waits for the detectors' threads. They end when the cameras are told to stop, or with their recordings; a service
/// whose recordings are over stays. A thread that broke stops everything, so that the service manager starts anew: a
/// door nobody watches must not look like one where nobody comes.
pub async fn watch_over(
    mut running: Vec<Pipeline>,
    ends_with_recording: bool,
    stop: &CancellationToken,
    cameras: &CancellationToken,
) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    let mut deadline = None;
    loop {
        let now = Instant::now();
        let out_of_time = deadline.is_some_and(|deadline| now >= deadline);
        let ended: Vec<_> = running.extract_if(.., |pipeline| out_of_time || pipeline.has_ended()).collect();
        ends.extend(ended.into_iter().map(|pipeline| pipeline.join_until(now)));
        if ends.iter().any(|end| end.broken) {
            cameras.cancel();
        }
        if running.is_empty() && (ends_with_recording || cameras.is_cancelled()) {
            return ends;
        }
        if cameras.is_cancelled() {
            deadline.get_or_insert(now + THREADS_END_WITHIN);
            tokio::time::sleep(LOOK_OFTEN).await;
        } else {
            // A recording that is over is waited for by somebody.
            let pause = if ends_with_recording { LOOK_OFTEN } else { LOOK_EVERY };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }
}

/// Reports what a camera is doing, whenever that changes; and to the supervisor that its connections hang.
pub async fn watch_camera(
    detector: DetectorName,
    mut camera: watch::Receiver<CameraState>,
    events: Events,
    connections: Beat,
) {
    let mut hung = false;
    loop {
        let state = camera.borrow_and_update().clone();
        let hangs = matches!(state, CameraState::Failed { hanging: true, .. });
        // Each try that fails is a new state; they hang since the first.
        match (hung, hangs) {
            (false, true) => connections.busy("waiting for connections that hang in the camera's driver or decoder"),
            (true, false) => connections.idle(),
            _ => {}
        }
        hung = hangs;
        events.tell(Event::Camera { detector: detector.clone(), state });
        if camera.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::super::pipeline::HANGS_AFTER;
    use super::super::supervisor::Supervisor;
    use super::*;

    #[tokio::test]
    async fn connections_that_hang_are_named_from_the_first_try_that_found_them_so() {
        let (supervisor, (events, _stream)) = (Supervisor::default(), Events::stream(Vec::new()));
        let connections = supervisor.watch("camera:door".into(), HANGS_AFTER);
        let (state, camera) = watch::channel(CameraState::Connecting);
        let watching = tokio::spawn(watch_camera(DetectorName::new("door").unwrap(), camera, events, connections));
        let begun = Instant::now();
        let later = begun + HANGS_AFTER + Duration::from_secs(60);
        let show = async |tries, hanging| {
            let failed = CameraState::Failed { reason: "r".into(), since: Utc::now(), tries, hanging };
            state.send_replace(failed);
            // One thread: the task that watches runs until it waits for the next state.
            tokio::task::yield_now().await;
            supervisor.hangs(later)
        };
        assert!(show(4, false).await.is_empty(), "a camera that is away is no hang");
        let first = show(5, true).await;
        assert_eq!(first[0].name, "camera:door");
        assert!(first[0].with.contains("driver"), "{first:?}");
        assert_eq!(show(6, true).await, first, "since the first of them");
        assert!(show(7, false).await.is_empty(), "the driver let go");
        drop(state);
        watching.await.unwrap();
    }
}
