//! A web server in a process of its own: see `tests/capture/web_server.py`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct WebServer {
    child: Child,
    pub port: u16,
    /// The first line of every request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    /// Serves the files of a folder.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capture/web_server.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(folder)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Debian's python3 must be installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.next().and_then(|port| port.parse().ok()).expect("the web server must start");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        thread::spawn(move || lines.for_each(|line| seen.lock().unwrap().push(line)));
        Self { child, port, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
