//! What is left where others can read it: the state folder, logs, metrics, pages, what commands print, core files. None
//! of it may hold the plain bytes of a picture, an embedding, a token or a password that was used in the run.
//!
//! What this cannot show: root reads the memory of any running process. A core file, though, holds none of it, also one
//! that root forces out of the running process with gcore.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use support::{Engine, Running, USER, doorward, recording, run, shared, wait_for};

const HOOK_TOKEN: &str = "hook-token-4f1d8b5a";
const HOOK_PATH: &str = "hook-path-93b1c07e";
const SIGNING_KEY: &str = "signing-key-0c9f6e2d";
const PROGRAM_SECRET: &str = "program-secret-b7a3d91f";
const CAMERA_PASSWORD: &str = "camera-password-5e8c2f60";
/// The known person's name: in the journal, which is meant to have it, and in no log, metric or page.
const NAME: &str = "Philippa";

/// What must not be found, and what to call it in a message.
struct Needle {
    what: String,
    bytes: Vec<u8>,
}

fn needle(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Needle {
    Needle { what: what.into(), bytes: bytes.into() }
}

/// A text and its Base64, as headers carry it.
fn text_needles(what: &str, text: &str) -> Vec<Needle> {
    let encoded = BASE64_STANDARD.encode(text);
    let whole = encoded.trim_end_matches('=');
    // The last character depends on what follows.
    vec![needle(what, text), needle(format!("{what} in Base64"), &whole[..whole.len() - 1])]
}

/// Pieces of something long, so near each other that one is found in any page of a database; raw and in Base64. What
/// all pictures begin with is left out.
fn piece_needles(what: &str, bytes: &[u8]) -> Vec<Needle> {
    const PIECE: usize = 32;
    let encoded = BASE64_STANDARD.encode(bytes).into_bytes();
    let pieces = |bytes: &[u8]| {
        let start = if bytes.len() > 4096 { 1024 } else { 0 };
        (start..bytes.len().saturating_sub(PIECE))
            .step_by(509)
            .map(|at| bytes[at..at + PIECE].to_vec())
            .collect::<Vec<_>>()
    };
    let raw = pieces(bytes).into_iter().map(|piece| needle(what, piece));
    raw.chain(pieces(&encoded).into_iter().map(|piece| needle(format!("{what} in Base64"), piece))).collect()
}

/// What of all that is in there.
fn found(needles: &[Needle], hay: &[u8]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for needle in needles {
        if memchr::memmem::find(hay, &needle.bytes).is_some() {
            found.push(needle.what.clone());
        }
    }
    found.dedup();
    found
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The bytes of every file below a folder, at this moment.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: PathBuf| Some((path.display().to_string(), std::fs::read(&path).ok()?));
    files(folder).into_iter().filter_map(read).collect()
}

/// What went by between the agent and its engine, and what a webhook received.
#[derive(Default)]
struct Seen {
    /// `expanded` and `croppedAligned`, decoded.
    pictures: Vec<Vec<u8>>,
    embeddings: Vec<Vec<f32>>,
    tokens: Vec<String>,
    hooks: usize,
}

/// Stands between the agent and the engine, and is the webhook's receiver.
struct Between {
    url: String,
    seen: Arc<Mutex<Seen>>,
    /// While it is down it answers nothing but 503.
    down: Arc<AtomicBool>,
    runtime: tokio::runtime::Runtime,
}

impl Between {
    fn start(engine: &str) -> Self {
        identities::trust::crypto();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (seen, down) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let forward = {
            let (client, engine, seen, down) = (reqwest::Client::new(), engine.to_owned(), seen.clone(), down.clone());
            move |request: Request| forward(client.clone(), engine.clone(), seen.clone(), down.clone(), request)
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, axum::Router::new().fallback(forward)).await });
        Self { url, seen, down, runtime }
    }

    fn get(&self, url: &str) -> Option<Vec<u8>> {
        self.runtime.block_on(async { Some(reqwest::get(url).await.ok()?.bytes().await.ok()?.to_vec()) })
    }

    fn count(&self, count: impl Fn(&Seen) -> usize) -> usize {
        count(&self.seen.lock().unwrap())
    }
}

async fn forward(
    client: reqwest::Client,
    engine: String,
    seen: Arc<Mutex<Seen>>,
    down: Arc<AtomicBool>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let path = head.uri.path().to_owned();
    if path.contains(HOOK_PATH) {
        let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("authorization"), Some(format!("Bearer {HOOK_TOKEN}")));
        assert!(header("webhook-signature").is_some());
        seen.lock().unwrap().hooks += 1;
        return StatusCode::OK.into_response();
    }
    if path.ends_with("publishWithResponse") {
        let sent: Value = serde_json::from_slice(&body).unwrap();
        let picture = |key: &str| BASE64_STANDARD.decode(sent[key].as_str().unwrap()).unwrap();
        let vector = sent["embeddings"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32);
        let mut seen = seen.lock().unwrap();
        seen.pictures.extend([picture("expanded"), picture("croppedAligned")]);
        seen.embeddings.push(vector.collect());
    }
    if down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let mut onward = client.request(head.method, format!("{engine}{}", head.uri)).body(body);
    for name in ["authorization", "content-type"] {
        if let Some(value) = head.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let Ok(answer) = onward.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut back = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        back = back.header("content-type", kind);
    }
    let body = answer.bytes().await.unwrap();
    if let Some(token) =
        serde_json::from_slice::<Value>(&body).ok().and_then(|body| Some(body["token"].as_str()?.into()))
    {
        seen.lock().unwrap().tokens.push(token);
    }
    back.body(Body::from(body)).unwrap()
}

/// A folder with everything a box needs, secrets from every source there is.
struct TheBox {
    folder: tempfile::TempDir,
    page: String,
}

impl TheBox {
    fn new(between: &Between, password: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["detectors", "credentials", "cwd"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        std::fs::write(path("credentials/ENGINE_PASSWORD"), format!("{password}\n")).unwrap();
        std::fs::write(path("signing-key"), SIGNING_KEY).unwrap();
        std::fs::set_permissions(path("signing-key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (root, url) = (folder.path().display(), &between.url);
        let main = format!(
            "state_dir = \"{root}/state\"\n\
             [log]\nfilter = \"trace\"\n\
             [identities]\nurl = \"{url}\"\nusername = \"{USER}\"\npassword = \"${{ENGINE_PASSWORD}}\"\nretry_max_ms = 500\n\
             [status]\nlisten = \"127.0.0.1:{port}\"\n\
             [detector.identify]\nsend_aligned = true\nsend_embedding = true\nallow_double_detection = true\n\
             [action.journal]\ntype = \"journal\"\npath = \"{root}/journal.jsonl\"\n\
             [action.hook]\ntype = \"webhook\"\nurl = \"{url}/{HOOK_PATH}/${{HOOK_PATH_END:x}}\"\npicture = true\n\
             headers = {{ Authorization = \"Bearer ${{HOOK_TOKEN}}\" }}\nsigning_key = \"${{{root}/signing-key}}\"\n\
             [action.program]\ntype = \"exec\"\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"cat >/dev/null; test -n $SECRET\"]\n\
             env = {{ SECRET = \"${{PROGRAM_SECRET}}\" }}\n\
             [action.lan]\ntype = \"webhook\"\nurl = \"http://192.0.2.1/never\"\n\
             [[rule]]\nname = \"everybody\"\ncooldown_secs = 0\nwhen = {{ outcome = [\"known\", \"unknown\"] }}\n\
             actions = [\"journal\", \"hook\", \"program\"]\n\
             [[rule]]\nname = \"never\"\nwhen = {{ names = [\"Nobody\"] }}\nactions = [\"lan\"]\n"
        );
        std::fs::write(path("doorward.toml"), main).unwrap();
        recording::visit(&path("visit"));
        let clip = shared("video/head-pose-face-detection-female.mjpg.avi");
        for (name, clip) in [("door", Some(path("visit"))), ("clip", clip)] {
            let Some(clip) = clip else { continue };
            let door = format!(
                "time_zone = \"Europe/Helsinki\"\n[camera]\ntype = \"replay\"\npath = \"{}\"\npace = \"fixed\"\nfps = 15.0\n\
                 loop = true\n[track]\nlost_after_ms = 500\nbetter_within_ms = 1000\n",
                clip.display()
            );
            std::fs::write(path(&format!("detectors/{name}.toml")), door).unwrap();
        }
        let gone = "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://door:${CAMERA_PASSWORD}@127.0.0.1:1/live\"\n";
        std::fs::write(path("detectors/gone.toml"), gone).unwrap();
        Self { folder, page: format!("http://127.0.0.1:{port}") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command with this box's secrets around it.
    fn command(&self) -> Command {
        let mut command = doorward();
        command.env("CREDENTIALS_DIRECTORY", self.path("credentials")).env("HOOK_TOKEN", HOOK_TOKEN);
        command.env("PROGRAM_SECRET", PROGRAM_SECRET).env("CAMERA_PASSWORD", CAMERA_PASSWORD);
        if std::env::var_os("DOORWARD_MODELS_DIR").is_none() {
            command.env("DOORWARD_MODELS_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
        }
        command
    }

    /// The agent, in a folder of its own where core files of any size may be written.
    fn run(&self, more: &[&str], log: &str) -> Running {
        let mut command = self.command();
        command.arg("run").args(more).arg("--config").arg(self.path("doorward.toml")).current_dir(self.path("cwd"));
        command.stdout(Stdio::null()).stderr(std::fs::File::create(self.path(log)).unwrap());
        cores_allowed(&mut command);
        Running(command.spawn().unwrap())
    }

    fn status(&self, between: &Between) -> Option<Value> {
        serde_json::from_slice(&between.get(&format!("{}/status.json", self.page))?).ok()
    }
}

/// As much as this user may allow.
fn cores_allowed(command: &mut Command) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    // SAFETY: two system calls, which may be made between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
            let hard = if setrlimit(Resource::RLIMIT_CORE, u64::MAX, u64::MAX).is_ok() { u64::MAX } else { hard };
            setrlimit(Resource::RLIMIT_CORE, hard, hard)?;
            Ok(())
        })
    };
}

/// Crashes it the way an assertion does.
fn abort(mut running: Running) -> ExitStatus {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(running.0.id() as i32), nix::sys::signal::SIGABRT).unwrap();
    wait_for("the crash", || running.0.try_wait().unwrap())
}

/// The core files a crash left in its folder.
fn cores(folder: &Path) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|file| file.file_name().unwrap().to_string_lossy().contains("core")).collect()
}

/// The image gdb takes out of a running process; `None` where only root may, and this is somebody else.
fn forced_core(pid: u32, folder: &Path) -> Option<Vec<u8>> {
    let output = Command::new("gcore").arg("-o").arg(folder.join("forced")).arg(pid.to_string()).output();
    let output = output.expect("the tests need gdb; `make test` installs it");
    let image = std::fs::read(folder.join(format!("forced.{pid}"))).ok();
    assert!(image.is_some() || !nix::unistd::geteuid().is_root(), "{output:?}");
    image
}

#[test]
fn nothing_used_in_a_run_is_left_in_plain_where_others_can_read_it() {
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), NAME, &["VIP"]);
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let between = Between::start(&engine.url);
    let the_box = TheBox::new(&between, &password);
    let mut left: Vec<(String, Vec<u8>)> = Vec::new();
    let agent = the_box.run(&[], "log");
    wait_for("a visitor to be announced", || (between.count(|seen| seen.hooks) >= 1).then_some(()));
    wait_for("the warning", || {
        let status = the_box.status(&between)?;
        let reason = status["warnings"][0]["reason"].as_str()?.to_owned();
        reason.contains("`lan`").then_some(())
    });

    between.down.store(true, Ordering::SeqCst);
    wait_for("the outbox to fill", || (the_box.status(&between)?["outbox"]["pending"].as_u64()? >= 2).then_some(()));
    left.extend(contents(&the_box.path("state")));
    for page in ["", "page.js", "status.json", "health", "metrics"] {
        let url = format!("{}/{page}", the_box.page);
        left.push((url.clone(), between.get(&url).unwrap()));
    }
    if let Some(image) = forced_core(agent.0.id(), &the_box.path("cwd")) {
        left.push(("a core forced while the outbox was full".into(), image));
    }
    let waiting = between.count(|seen| seen.pictures.len());
    between.down.store(false, Ordering::SeqCst);
    wait_for("the outbox to be delivered", || {
        let status = the_box.status(&between)?;
        (between.count(|seen| seen.pictures.len()) > waiting + 2 && status["engine"]["state"] == "answering")
            .then_some(())
    });
    for page in ["status.json", "metrics"] {
        let url = format!("{}/{page}", the_box.page);
        left.push((format!("{url} afterwards"), between.get(&url).unwrap()));
    }
    left.extend(contents(&the_box.path("state")));

    let ended = abort(agent);
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(nix::libc::SIGABRT), false));
    let dumped = cores(&the_box.path("cwd")).into_iter().filter(|file| !file.display().to_string().contains("forced"));
    assert_eq!(dumped.collect::<Vec<_>>(), Vec::<PathBuf>::new());

    // What an operator would look at next.
    let main = the_box.path("doorward.toml");
    for arguments in
        [&["check", "--online"][..], &["check", "--json"], &["check", "--print"], &["run", "--detector", "nobody"]]
    {
        let output = the_box.command().args(arguments).arg("--config").arg(&main).output().unwrap();
        left.push((format!("{arguments:?}"), [output.stdout, output.stderr].concat()));
    }
    let told = std::fs::read_to_string(the_box.path("journal.jsonl")).unwrap();
    let line: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    let explain = run(the_box.command().args(["explain", line["visit"].as_str().unwrap(), "--config"]).arg(&main));
    left.push(("explain".into(), explain.stdout));
    left.push(("the journal".into(), told.into_bytes()));
    let log = std::fs::read(the_box.path("log")).unwrap();
    left.push(("the log".into(), log));
    left.extend(contents(&the_box.path("state")));

    let seen = between.seen.lock().unwrap();
    assert!(seen.pictures.len() >= 6 && seen.embeddings.len() >= 3 && !seen.tokens.is_empty());
    let mut secrets = text_needles("the engine's password", &password);
    for (what, text) in [
        ("the webhook's token", HOOK_TOKEN),
        ("the webhook's path", HOOK_PATH),
        ("the signing key", SIGNING_KEY),
        ("the program's secret", PROGRAM_SECRET),
        ("the camera's password", CAMERA_PASSWORD),
    ] {
        secrets.extend(text_needles(what, text));
    }
    secrets.extend(seen.tokens.iter().flat_map(|token| text_needles("a token", token)));
    secrets.extend(seen.pictures.iter().flat_map(|picture| piece_needles("a picture", picture)));
    for vector in &seen.embeddings {
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        secrets.extend(piece_needles("an embedding", &bytes));
        // As text: two neighbours as JSON writes them.
        let text = serde_json::to_string(&vector[8..12]).unwrap();
        secrets.push(needle("an embedding as text", text.trim_matches(['[', ']'])));
    }
    // The search finds what is there: every picture, whole and cut into pages.
    for picture in &seen.pictures {
        assert!(!found(&secrets, picture).is_empty());
        assert!(
            picture
                .chunks(4096)
                .filter(|page| page.len() == 4096)
                .skip(1)
                .all(|page| !found(&secrets, page).is_empty())
        );
        assert!(!found(&secrets, BASE64_STANDARD.encode(picture).as_bytes()).is_empty());
    }

    let mut leaks: Vec<String> = Vec::new();
    for (place, bytes) in &left {
        leaks.extend(found(&secrets, bytes).into_iter().map(|what| format!("{what} in {place}")));
    }
    let name = [needle("the name", NAME)];
    for (place, bytes) in left.iter().filter(|(place, _)| place.starts_with("http") || place.starts_with("the log")) {
        leaks.extend(found(&name, bytes).into_iter().map(|what| format!("{what} in {place}")));
    }
    leaks.sort();
    leaks.dedup();
    assert!(leaks.is_empty(), "{} places searched:\n{}", left.len(), leaks.join("\n"));
}

/// The other half of the proof: allowed to, the same crash leaves a core file, and the same search finds the secrets in
/// it.
#[test]
fn core_files_are_there_when_they_are_asked_for_and_then_hold_secrets() {
    let engine = Engine::start();
    let password = std::fs::read_to_string(&engine.password_file).unwrap();
    let between = Between::start(&engine.url);
    let the_box = TheBox::new(&between, &password);
    let agent = the_box.run(&["--allow-dumps"], "log");
    wait_for("the login", || (between.count(|seen| seen.tokens.len()) >= 1).then_some(()));
    let needles = text_needles("the engine's password", &password);
    let image = forced_core(agent.0.id(), &the_box.path("cwd")).expect("who owns a process may dump it if it allows");
    assert!(!found(&needles, &image).is_empty(), "the image of a process that may be dumped holds no password");
    assert!(abort(agent).core_dumped(), "the kernel wrote no core file though it was allowed");
}

/// ONNX Runtime makes an id of the machine and reports to its maker, unless it is kept from it before it starts.
#[test]
fn nothing_is_kept_in_the_home_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut detect = doorward();
    detect.args(["detect", "--json"]).arg(recording::known_person());
    detect.env("HOME", folder.path()).env_remove("XDG_CACHE_HOME").env_remove("XDG_DATA_HOME");
    detect.env_remove("ORT_DISABLE_TELEMETRY");
    run(&mut detect);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

/// A process of an ordinary user, waiting with a secret in its environment, and what another process of that user
/// reads.
#[test]
fn no_other_process_of_the_same_user_can_look_into_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("doorward");
    std::fs::copy(env!("CARGO_BIN_EXE_doorward"), &program).unwrap();
    // Root may look into anything: then somebody else has to try.
    let ordinary = |command: &mut Command| {
        if nix::unistd::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
    };
    for (more, readable) in [(&[][..], false), (&["--allow-dumps"], true)] {
        let mut command = Command::new(&program);
        command.args([
            "engine",
            "user",
            "add",
            "--username",
            "u",
            "--role",
            "Viewer",
            "--password-file",
            "-",
            "--data",
        ]);
        command.arg(folder.path().join("data")).args(more).env("SECRET", PROGRAM_SECRET).stdin(Stdio::piped());
        ordinary(&mut command);
        let waiting = Running(command.spawn().unwrap());
        let pid = waiting.0.id();
        let limits = || std::fs::read_to_string(format!("/proc/{pid}/limits")).ok();
        if !readable {
            wait_for("the limit", || {
                let limits = limits()?;
                let core = limits.lines().find(|line| line.starts_with("Max core file size"))?;
                (core.split_whitespace().filter(|word| *word == "0").count() == 2).then_some(())
            });
        }
        // Until the program has got so far the loader has it, and anybody may look.
        let looks = || {
            let mut look = Command::new("cat");
            look.arg(format!("/proc/{pid}/environ")).stderr(Stdio::null());
            ordinary(&mut look);
            let output = look.output().unwrap();
            let seen = memchr::memmem::find(&output.stdout, PROGRAM_SECRET.as_bytes()).is_some();
            (output.status.success(), seen)
        };
        wait_for("what another process may see", || (looks() == (readable, readable)).then_some(()));
        let mut memory = Command::new("head");
        memory.args(["-c", "1", &format!("/proc/{pid}/maps")]).stderr(Stdio::null());
        ordinary(&mut memory);
        assert_eq!(memory.output().unwrap().status.success(), readable);
    }
}
