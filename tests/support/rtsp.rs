//! A GStreamer camera in a process that can be killed: see `tests/capture/rtsp_server.py`.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

pub struct RtspServer {
    child: Child,
    /// What it is to show and to lose, a line each.
    pub orders: ChildStdin,
    pub port: u16,
}

impl RtspServer {
    pub fn start(options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capture/rtsp_server.py");
        // Debian's own Python: the GObject bindings are not there for any other.
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3 must be installed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect(
            "the RTSP server must start: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 \
             glib-networking gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
        );
        let orders = child.stdin.take().unwrap();
        Self { child, orders, port }
    }

    pub fn kill(self) {}
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
