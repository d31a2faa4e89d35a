//! A camera that shows what it is given: v4l2loopback.
//!
//! In: pictures, as a driver would deliver them. Out: a device that delivers them, in a round, until it is dropped.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use v4l::video::Output;
use v4l::{Device, Format, FourCC};

pub const DEVICE: &str = "/dev/video9";

/// Fed until it is dropped.
pub struct Loopback {
    over: Arc<AtomicBool>,
    feeds: Option<JoinHandle<()>>,
}

impl Loopback {
    pub fn showing(fourcc: &[u8; 4], (width, height): (u32, u32), frames: Vec<Vec<u8>>, fps: u32) -> Self {
        let mut device = Device::with_path(DEVICE).unwrap();
        let set = Output::set_format(&device, &Format::new(width, height, FourCC::new(fourcc))).unwrap();
        assert_eq!((set.width, set.height, &set.fourcc.repr), (width, height, fourcc));
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        let feeds = std::thread::spawn(move || {
            for frame in frames.iter().cycle() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                device.write_all(frame).unwrap();
                std::thread::sleep(Duration::from_secs(1) / fps);
            }
        });
        Self { over, feeds: Some(feeds) }
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(feeds) = self.feeds.take() {
            let _ = feeds.join();
        }
    }
}
