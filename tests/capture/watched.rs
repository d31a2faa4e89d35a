//! A camera's loop run as the agent runs it, with its frames, states and metrics kept for a test to look at.

use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use doorward::capture::{self, CameraState, Frame, View};
use doorward::config::{CameraConfig, DetectorConfig, DetectorName};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes on a busy or emulated machine; only a failing test waits for it.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// `capture::run` as the agent runs it, with a detector that needs `thinks` for a frame.
pub struct Watched {
    pub states: watch::Receiver<CameraState>,
    pub frames: Arc<Mutex<Vec<Frame>>>,
    cancel: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl Watched {
    pub fn start(name: &str, camera: CameraConfig, thinks: Duration) -> Self {
        Self::start_detector(DetectorConfig::new(DetectorName::new(name).unwrap(), camera), thinks)
    }

    pub fn start_detector(config: DetectorConfig, thinks: Duration) -> Self {
        metrics();
        let (sender, receiver) = capture::channel(&config.camera);
        let (state, states) = watch::channel(CameraState::Connecting);
        let cancel = CancellationToken::new();
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (stop, seen) = (cancel.clone(), frames.clone());
        let mut view = View::new(&config.camera, &config.view);
        let camera = thread::spawn(move || {
            capture::run(&config, sender, stop, state);
        });
        let watcher = thread::spawn(move || {
            while let Some(frame) = receiver.recv() {
                let frame = frame.developed(&mut view).unwrap();
                seen.lock().unwrap().push(frame);
                thread::sleep(thinks);
            }
        });
        Self { states, frames, cancel, threads: vec![camera, watcher] }
    }

    pub fn state(&self) -> CameraState {
        self.states.borrow().clone()
    }

    pub fn wait_for(&self, wanted: impl Fn(&CameraState) -> bool) -> CameraState {
        let seen = std::cell::RefCell::new(self.state());
        self.until(
            || {
                *seen.borrow_mut() = self.state();
                wanted(&seen.borrow())
            },
            || format!("{:?}", self.state()),
        );
        seen.into_inner()
    }

    pub fn wait_for_frames(&self, count: usize) {
        let seen = || self.frames.lock().unwrap().len();
        self.until(|| seen() >= count, || format!("{} of {count} frames, {:?}", seen(), self.state()));
    }

    pub fn until(&self, done: impl Fn() -> bool, otherwise: impl Fn() -> String) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "still: {}", otherwise());
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn stop(self) -> Vec<Frame> {
        self.cancel.cancel();
        for thread in self.threads {
            thread.join().unwrap();
        }
        assert_eq!(*self.states.borrow(), CameraState::Ended);
        std::mem::take(&mut self.frames.lock().unwrap())
    }
}

/// One recorder for the whole process; each test's detector has a name of its own.
fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
}

/// The value of a series, written as on the metrics page.
pub fn metric(series: &str) -> f64 {
    let page = metrics().render();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).map(str::trim);
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).parse().unwrap()
}
