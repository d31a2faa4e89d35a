//! The engine under test: the real program on a free port with a data folder of its own, and a client to talk to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shared::shared;

/// A running engine; killed when dropped.
pub struct Server {
    pub base: String,
    pub folder: TempDir,
    /// Of the first administrator, when this start has made one.
    pub password: Option<String>,
    /// Of its certificate, when it has one.
    pub pin: Option<String>,
    child: Child,
}

/// A user of an engine.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub token: Option<String>,
    http: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Server {
    /// Starts one with a new folder.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    /// Starts one on the folder of an earlier one.
    pub fn start_in(folder: TempDir) -> Self {
        Self::start_with(folder, &["--listen", "127.0.0.1:0"])
    }

    /// Starts one that listens, and perhaps more, as told; it keeps what it sees: sightings of the tests are as old as
    /// their dates.
    pub fn start_with(folder: TempDir, arguments: &[&str]) -> Self {
        let forever = ["--keep-detections-days", "forever", "--keep-unknown-days", "forever"];
        Self::start_as(folder, &[arguments, &forever].concat())
    }

    /// The same, and nothing beside what is told.
    pub fn start_as(folder: TempDir, arguments: &[&str]) -> Self {
        let log = folder.path().join("log");
        let mut child = doorward()
            .args(["engine", "serve", "--data"])
            .arg(data(&folder))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut password, mut pin) = (None, None);
        let base = loop {
            let Some(line) = lines.next() else {
                panic!("the engine did not start:\n{}", std::fs::read_to_string(&log).unwrap());
            };
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("first administrator: admin, password: ") {
                password = Some(rest.split(' ').next().unwrap().to_owned());
            }
            if let Some(rest) = line.strip_prefix("certificate pin, for a client's pin_sha256: ") {
                pin = Some(rest.to_owned());
            }
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        Self { base, folder, password, pin, child }
    }

    pub fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    /// As the first administrator.
    pub async fn administrator(&self) -> Api {
        let password = self.password.as_deref().expect("this start made the administrator");
        self.log_in("admin", password).await
    }

    pub async fn log_in(&self, username: &str, password: &str) -> Api {
        let mut api = self.anonymous();
        let reply = api.post("/api/v1/authenticate", &json!({"username": username, "password": password})).await;
        api.token = Some(reply.ok()["token"].as_str().unwrap().to_owned());
        api
    }

    pub fn anonymous(&self) -> Api {
        // The program installs one for itself; a test has to.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Api { base: self.base.clone(), token: None, http }
    }

    /// Adds a user as the command line does, beside the running engine.
    pub fn add_user(&self, username: &str, role: &str, password: &str) -> ExitStatus {
        let file = self.folder.path().join("password");
        std::fs::write(&file, format!("{password}\nsecond line\n")).unwrap();
        doorward()
            .args(["engine", "user", "add", "--username", username, "--role", role, "--data"])
            .arg(self.data())
            .arg("--password-file")
            .arg(&file)
            .status()
            .expect("the program starts")
    }

    /// The most memory it has held at once, in bytes.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// SIGKILL, and the folder as it was left.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        let id = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(id, nix::sys::signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Api {
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::of(request).await
    }

    /// With the token, and without a body as yet.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn form(&self, path: &str, form: reqwest::multipart::Form) -> Reply {
        Reply::of(self.request(Method::POST, path).multipart(form)).await
    }

    /// Enrols a photo as a new person and gives the id.
    pub async fn enroll(&self, photo: &[u8]) -> String {
        let reply = self.post("/api/v1/faces/faceEnroll", &json!({"faceImage": base64(photo)})).await;
        reply.ok()["personId"].as_str().unwrap().to_owned()
    }

    /// Enrols a photo of somebody who is enrolled as one more person and gives the id.
    pub async fn enroll_again(&self, photo: &[u8]) -> String {
        let path = "/api/v1/faces/faceEnroll?forceEnrollment=true";
        let reply = self.post(path, &json!({"faceImage": base64(photo)})).await;
        reply.ok()["personId"].as_str().unwrap().to_owned()
    }

    /// The faces publishWithResponse finds, with these options on top.
    pub async fn publish(&self, photo: &[u8], options: Value) -> Vec<Value> {
        let reply = self.post("/api/v1/faceEdge/publishWithResponse", &sighting(photo, options)).await;
        reply.ok()["detectedFaces"].as_array().unwrap().clone()
    }
}

impl Reply {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("a whole answer").to_vec() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Fails unless it is a problem of this status.
    pub fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        assert!(StatusCode::from_u16(status).unwrap().is_client_error() || status == 500);
    }
}

/// The program under test, with nothing of the caller's configuration.
pub fn doorward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("DOORWARD_CONFIG").stdin(Stdio::null());
    command.stderr(Stdio::null());
    command
}

fn data(folder: &TempDir) -> PathBuf {
    folder.path().join("engine")
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The body of publish and publishWithResponse, with more properties on top.
pub fn sighting(photo: &[u8], more: Value) -> Value {
    let mut body = json!({
        "expanded": base64(photo), "detectorName": "gate", "ianaTimeZone": "Europe/Helsinki",
        "detectTimeUtc": "2026-03-04T05:06:07Z",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The photos of each person, both in the order of their names, and no photo twice.
pub fn johns() -> Option<Vec<Vec<Vec<u8>>>> {
    let folder = shared("photos/johns")?;
    let people = sorted(&folder).into_iter().filter(|path| path.is_dir());
    let photos = |person: PathBuf| {
        let mut photos: Vec<Vec<u8>> = Vec::new();
        for photo in sorted(&person).iter().map(|photo| std::fs::read(photo).unwrap()) {
            if !photos.contains(&photo) {
                photos.push(photo);
            }
        }
        photos
    };
    Some(people.map(photos).collect())
}

/// A photo with one face in it: the portrait the models come with, or one of the test data.
pub fn portrait() -> Option<Vec<u8>> {
    let store = faces::models::ModelStore::locate(None);
    match store.picture("astronaut") {
        Ok(path) => Some(std::fs::read(path).unwrap()),
        Err(_) => johns().map(|people| people[0][0].clone()),
    }
}

/// A picture without a face.
pub fn wall() -> Vec<u8> {
    faces::picture::Picture::filled(320, 240, [90, 120, 140]).jpeg(90).unwrap()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
