//! The rules of the house, held against the source itself.

use std::path::{Path, PathBuf};

/// The rooms of the agent in the order of the flow; a room may import from those before it. Between crates Cargo sees
/// to it.
const FLOW: &[&str] = &[
    "clock",
    "config",
    "terminal",
    "models",
    "capture",
    "detect",
    "track",
    "crop",
    "recognition",
    "rules",
    "visits",
    "outbox",
    "actions",
    "status",
];
/// Outside the flow: they may import from everywhere.
const OUTSIDE: &[&str] = &["agent", "cli", "commands", "dumps", "lib", "main"];

/// Which rooms of the agent and which crates alone may use what.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("opencv::", &["faces", "capture"], "cameras, decoders and image operations"),
    ("turbojpeg::", &["faces"], "picture formats"),
    ("image::", &["faces"], "picture formats"),
    ("ffmpeg_next::", &["capture"], "decoders"),
    ("nokhwa::", &["capture"], "cameras"),
    ("v4l::", &["capture"], "cameras"),
    ("icu_casemap::", &["identities"], "spellings of a text"),
    ("icu_normalizer::", &["identities"], "spellings of a text"),
    ("ort::", &["faces"], "ONNX Runtime"),
    ("rusqlite::", &["outbox", "engine"], "the state directory"),
    ("chacha20poly1305::", &["outbox"], "what is stored encrypted"),
    ("reqwest::", &["identities", "actions", "models", "capture"], "outgoing requests"),
    ("process_wrap::", &["actions"], "child processes"),
    ("gpiocdev::", &["actions"], "GPIO lines"),
    ("lettre::", &["actions"], "mail"),
    ("std::process::Command", &["actions", "models", "capture"], "child processes"),
    ("tokio::process", &["actions", "models"], "child processes"),
    ("rumqttc::", &["actions"], "the MQTT broker"),
    ("rcgen::", &["engine"], "certificates we make"),
    ("tokio_rustls::", &["engine", "identities"], "TLS connections of our own"),
    ("TcpListener", &["serving", "status", "engine", "agent", "commands"], "listening"),
    ("tokio::signal", &["agent", "commands"], "signals"),
    ("sd_notify", &["agent"], "the service manager"),
    (".dangerous()", &["identities"], "checking certificates"),
    ("danger_accept", &[], "trusting everybody"),
    ("dangerous_accept", &[], "trusting everybody"),
];

/// Where code lies.
const CODE: &[&str] = &["src", "crates"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir` with one of these endings.
fn files(dir: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(dir)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every source file without its unit tests.
struct Source {
    /// From the repository's root.
    path: PathBuf,
    /// The room of the agent or the crate it belongs to.
    room: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let tests = test_modules();
    // A module's own modules are in the folder of its name.
    let is_a_test = |path: &PathBuf| tests.iter().any(|it| path == it || path.starts_with(it.with_extension("")));
    let sources: Vec<Source> = CODE
        .iter()
        .flat_map(|dir| files(dir, &[".rs"]))
        .filter(|path| !is_a_test(path))
        .map(|path| {
            let inside = path.strip_prefix(root()).unwrap().to_path_buf();
            let room = inside.iter().nth(1).unwrap().to_string_lossy().trim_end_matches(".rs").to_string();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_string();
            Source { path: inside, room, code }
        })
        .collect();
    assert!(sources.len() > FLOW.len(), "the source was not found");
    sources
}

/// Files that a `#[cfg(test)] mod NAME;` brings in.
fn test_modules() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in CODE.iter().flat_map(|dir| files(dir, &[".rs"])) {
        let text = std::fs::read_to_string(&path).unwrap();
        for after in text.split("#[cfg(test)]\n").skip(1) {
            let line = after.lines().next().unwrap_or_default();
            let name = line.split_once("mod ").and_then(|(_, name)| name.strip_suffix(';'));
            found.extend(name.map(|name| path.with_file_name(format!("{name}.rs"))));
        }
    }
    found
}

fn code_lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn rooms_import_upstream_only() {
    let mut wrong = Vec::new();
    for Source { path: file, room, code } in sources() {
        if !file.starts_with("src") || OUTSIDE.contains(&room.as_str()) {
            continue;
        }
        let place = FLOW.iter().position(|r| *r == room);
        let place = place.unwrap_or_else(|| panic!("{} is in no room of the flow: add it to FLOW", file.display()));
        for (n, line) in code_lines(&code) {
            for import in line.split("crate::").skip(1) {
                let name: String = import.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let upstream = FLOW.iter().position(|r| *r == name).is_some_and(|p| p <= place);
                if !upstream && !name.is_empty() {
                    wrong.push(format!("{}:{n} imports {name}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the flow:\n{}", wrong.join("\n"));
}

#[test]
fn each_tool_is_used_in_its_own_rooms() {
    let mut wrong = Vec::new();
    for Source { path: file, room, code } in sources() {
        for (n, line) in code_lines(&code) {
            for (tool, allowed, what) in RESERVED {
                let used = line.match_indices(tool).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                });
                if used && !allowed.contains(&room.as_str()) {
                    wrong.push(format!("{}:{n} uses {tool} ({what} belong to {allowed:?})", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "tools outside their rooms:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    for path in CODE.iter().flat_map(|dir| files(dir, &[".rs"])) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} has no module documentation", path.display());
    }
}

/// What a box is built of, with these further arguments.
fn dependencies(more: &[&str]) -> Vec<String> {
    let mut tree = std::process::Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--package", "doorward", "--edges", "normal", "--prefix", "none"]);
    let output = tree.args(more).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_box_whose_engine_is_elsewhere_carries_nothing_of_one() {
    let (whole, without) = (dependencies(&[]), dependencies(&["--no-default-features"]));
    for name in ["argon2", "jsonwebtoken", "rcgen", "engine"] {
        assert!(whole.iter().any(|one| one == name), "{name} is not what the engine is made of");
        assert!(!without.iter().any(|one| one == name), "{name}");
    }
    for name in ["onnx-protobuf", "zip"] {
        assert!(!whole.iter().any(|one| one == name), "{name} prepares model files, which the daemon does not");
    }
}

/// OpenCV's other libraries bring a third of all packages onto an empty box: see packaging/measure-packages.
#[test]
fn of_opencv_the_program_needs_two_libraries() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_doorward")).unwrap();
    let starts = program.windows(10).enumerate().filter(|(_, bytes)| *bytes == b"libopencv_").map(|(at, _)| at + 10);
    let names = starts.map(|at| program[at..].split(|byte| !byte.is_ascii_lowercase()).next().unwrap_or_default());
    let mut names: Vec<_> = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["core", "imgproc"]);
}

#[test]
fn no_line_is_wider_than_a_page() {
    let mut wide = Vec::new();
    for path in CODE.iter().flat_map(|dir| files(dir, &[".rs"])) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120);
        wide.extend(lines.map(|(n, _)| format!("{}:{}", path.display(), n + 1)));
    }
    assert!(wide.is_empty(), "lines of more than 120 columns:\n{}", wide.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TODO", "FIXME", "todo!(", "unimplemented!(", "#[ignore"];
    for path in ["src", "crates", "tests", "benches", "config", "fuzz", "systemd", "packaging"]
        .iter()
        .flat_map(|dir| files(dir, &[""]))
    {
        if path.ends_with("tests/repository.rs") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            for mark in marks {
                assert!(!line.contains(mark), "{}:{} says {mark}", path.display(), n + 1);
            }
        }
    }
}

/// A call that ends the process belongs in tests alone, unless a sentence says why it cannot fail.
#[test]
fn nothing_panics_without_saying_why_it_cannot() {
    let mut wrong = Vec::new();
    for Source { path: file, code, .. } in sources() {
        let lines: Vec<&str> = code.lines().collect();
        for (n, line) in code_lines(&code) {
            let calls = [".unwrap()", "panic!(", "unreachable!()"].iter().any(|call| line.contains(call));
            let explained = lines[n.saturating_sub(3)..n].iter().any(|l| l.contains("//"));
            if calls && !explained {
                wrong.push(format!("{}:{n}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "these may panic and say nothing about it:\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_names_only_commands_that_exist() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let mut named = 0;
    let mut in_code = false;
    for line in readme.lines().map(str::trim) {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        if !in_code {
            continue;
        }
        if let Some(target) = line.strip_prefix("make ") {
            let target = target.split_whitespace().next().unwrap();
            assert!(
                makefile.contains(&format!("\n{target}:")),
                "the README says `make {target}`, the Makefile does not"
            );
            named += 1;
        }
        let command = line.strip_prefix("sudo ").unwrap_or(line);
        let command = command.strip_prefix("target/release/").unwrap_or(command);
        if let Some(arguments) = command.strip_prefix("doorward ") {
            let words: Vec<&str> =
                arguments.split_whitespace().take_while(|w| w.chars().all(char::is_lowercase)).collect();
            let help =
                std::process::Command::new(env!("CARGO_BIN_EXE_doorward")).args(&words).arg("--help").output().unwrap();
            assert!(help.status.success(), "the README says `{command}`, which the program does not know");
            named += 1;
        }
    }
    assert!(named >= 5, "only {named} commands found in the README");
}
