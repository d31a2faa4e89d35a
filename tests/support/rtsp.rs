//! A GStreamer camera in a process that can be killed: see `tests/capture/rtsp_server.py`.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};

use super::script::Script;

/// It takes orders, what it is to show and to lose, a line each.
pub struct RtspServer(Script);

impl RtspServer {
    pub fn start(options: &[&str]) -> Self {
        let options: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        let needs = "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 glib-networking gstreamer1.0-plugins-base \
                     gstreamer1.0-plugins-good";
        Self(Script::start("tests/capture/rtsp_server.py", &options, needs))
    }

    pub fn kill(self) {}
}

impl Deref for RtspServer {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.0
    }
}

impl DerefMut for RtspServer {
    fn deref_mut(&mut self) -> &mut Script {
        &mut self.0
    }
}
