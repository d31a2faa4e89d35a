//! A web server in a process of its own: see `tests/capture/web_server.py`.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use super::support::script::Script;

pub struct WebServer {
    _script: Script,
    pub port: u16,
    /// The first line of every request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    /// Serves the files of a folder.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        let args: Vec<&OsStr> = [folder.as_os_str()].into_iter().chain(options.iter().map(OsStr::new)).collect();
        let mut script = Script::start("tests/capture/web_server.py", &args, "it needs Python alone");
        let lines = script.lines.take().unwrap().map_while(Result::ok);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        thread::spawn(move || lines.for_each(|line| seen.lock().unwrap().push(line)));
        Self { port: script.port, _script: script, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}
