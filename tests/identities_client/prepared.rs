//! Import folders that somebody has prepared: nothing outside them is read, whatever leads there, and nothing in them
//! makes an import wait; what is fine in them goes in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use super::commands::{command, complaint, json_of, text};
use super::support::{Engine, doorward, recording};

/// What a command says, which must not wait for anything.
fn at_once(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{command:?} waits for something");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// A photo that no other is like.
fn photo(mark: u8) -> Vec<u8> {
    faces::picture::Picture::filled(8, 8, [mark * 20; 3]).jpeg(90).unwrap()
}

/// What an import would send of a source: how many people and photos there are, and why each part of it is not sent,
/// by person and file.
fn planned(source: &Path) -> (usize, usize, BTreeMap<(String, String), String>) {
    let report = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    let mut command = doorward();
    command.args(["identities", "import", "--dry-run", "--time-zone", "UTC", "--json", "--report"]).arg(report.path());
    let output = at_once(command.arg(source));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let rows: Vec<Value> = serde_json::from_slice(&fs::read(report.path()).unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!rows.is_empty())), "{rows:?}");
    let name = |path: &Value| PathBuf::from(path.as_str().unwrap()).file_name().map(|name| name.display().to_string());
    let rows = rows.iter().map(|row| {
        let key = (row["person"].as_str().unwrap().to_owned(), name(&row["photo"]).unwrap_or_default());
        (key, row["reason"].as_str().unwrap().to_owned())
    });
    let rows: BTreeMap<_, _> = rows.collect();
    let count = |what: &str| summary[what].as_u64().unwrap() as usize;
    (
        count("people") - count("people_failed"),
        count("photos") - count("photos_rejected") - count("photos_repeated"),
        rows,
    )
}

fn told(rows: &BTreeMap<(String, String), String>, wanted: &[(&str, &str, &str)]) {
    for (person, file, reason) in wanted {
        let row = rows.get(&((*person).to_owned(), (*file).to_owned())).unwrap_or_else(|| panic!("{file} in {rows:?}"));
        assert!(row.contains(reason), "{person} {file}: {row}");
    }
    assert_eq!(rows.len(), wanted.len(), "{rows:?}");
}

#[test]
fn nothing_outside_the_folder_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (people, outside) = (dir.path().join("people"), dir.path().join("outside"));
    for folder in ["Ann", "Bob", "Dan", "Eve", "Flo", "Gil", "Hal"] {
        fs::create_dir_all(people.join(folder)).unwrap();
    }
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("photo.jpg"), photo(1)).unwrap();
    fs::write(outside.join("person.json"), json!({"tags": [{"name": "VIP"}]}).to_string()).unwrap();
    for (n, name) in ["Ann", "Bob", "Dan", "Eve", "Flo", "Gil", "Hal"].iter().enumerate() {
        fs::write(people.join(name).join("own.jpg"), photo(2 + n as u8)).unwrap();
    }
    let document = |file: &str| json!({"documents": [{"file": file, "publicId": "d", "name": "D"}]}).to_string();
    symlink(outside.join("photo.jpg"), people.join("Ann/photo.jpg")).unwrap();
    symlink("../../outside", people.join("Ann/whatever")).unwrap();
    fs::write(people.join("Bob/person.json"), document("passwd")).unwrap();
    symlink("/etc/passwd", people.join("Bob/passwd")).unwrap();
    symlink(&outside, people.join("Cid")).unwrap();
    symlink(outside.join("person.json"), people.join("Dan/person.json")).unwrap();
    fs::write(people.join("Eve/person.json"), document("../../outside/photo.jpg")).unwrap();
    fs::write(people.join("Flo/person.json"), document("/etc/passwd")).unwrap();
    mkfifo(&people.join("Gil/pipe.jpg"), Mode::S_IRWXU).unwrap();
    fs::write(people.join("Hal/person.json"), document("contract.txt")).unwrap();
    fs::write(people.join("Hal/contract.txt"), "Day shift only.").unwrap();

    let copy = "is a link, or behind one; copy the file into the folder";
    let (sent, photos, rows) = planned(&people);
    told(
        &rows,
        &[
            ("Ann", "photo.jpg", copy),
            ("Ann", "whatever", copy),
            ("Bob", "", &format!("a document is left out: {}/Bob/passwd {copy}", people.display())),
            ("Cid", "Cid", copy),
            ("Dan", "", &format!("Dan/person.json {copy}")),
            ("Eve", "", "`../../outside/photo.jpg` is not the name of a file beside it"),
            ("Flo", "", "`/etc/passwd` is not the name of a file beside it"),
            ("Gil", "pipe.jpg", "is no regular file but a FIFO"),
        ],
    );
    assert_eq!((sent, photos), (4, 4), "Ann, Bob, Gil and Hal");

    // The way to the folder is the user's own word.
    let way = dir.path().join("way");
    symlink(&people, &way).unwrap();
    assert_eq!(planned(&way).1, 4);

    for (name, wanted) in [("person.json", "Hal/person.json is no regular file"), ("contract.txt", "but a FIFO")] {
        fs::remove_file(people.join("Hal").join(name)).unwrap();
        mkfifo(&people.join("Hal").join(name), Mode::S_IRWXU).unwrap();
        let reason = planned(&people).2.remove(&("Hal".to_owned(), String::new()));
        assert!(reason.as_ref().is_some_and(|reason| reason.contains(wanted)), "{name}: {reason:?}");
        fs::remove_file(people.join("Hal").join(name)).unwrap();
        fs::write(people.join("Hal/person.json"), document("contract.txt")).unwrap();
    }
}

#[test]
fn a_sheet_names_photos_of_its_own_folder_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("people");
    fs::create_dir_all(folder.join("photos/b")).unwrap();
    fs::write(dir.path().join("outside.jpg"), photo(1)).unwrap();
    fs::write(folder.join("photos/a.jpg"), photo(2)).unwrap();
    fs::write(folder.join("photos/b/b.jpg"), photo(3)).unwrap();
    symlink("../outside.jpg", folder.join("link.jpg")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    mkfifo(&folder.join("pipe.jpg"), Mode::S_IRWXU).unwrap();
    let absolute = dir.path().join("outside.jpg");
    let rows = format!(
        "person,photo\na,photos/a.jpg\nb,photos/b\nc,link.jpg\nd,up/outside.jpg\ne,../outside.jpg\nf,{}\n\
         g,pipe.jpg\nh,up\n",
        absolute.display()
    );
    let sheet = folder.join("people.csv");
    fs::write(&sheet, rows).unwrap();
    let (_, photos, rows) = planned(&sheet);
    assert_eq!(photos, 2);
    told(
        &rows,
        &[
            ("c", "link.jpg", "is a link"),
            ("d", "outside.jpg", "is a link, or behind one"),
            ("e", "outside.jpg", "leads out of"),
            ("f", "outside.jpg", "leads out of"),
            ("g", "pipe.jpg", "no regular file but a FIFO"),
            ("h", "up", "is a link"),
        ],
    );
    // The sheet is named by the user; it must be a file all the same.
    fs::write(&sheet, "person,photo\na,photos/a.jpg\n").unwrap();
    symlink(&sheet, folder.join("link.csv")).unwrap();
    assert_eq!(planned(&folder.join("link.csv")).1, 1);
    let pipe = folder.join("pipe.csv");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let output = at_once(doorward().args(["identities", "import", "--dry-run"]).arg(&pipe));
    assert!(text(&output.stderr).contains("pipe.csv is no regular file but a FIFO"), "{}", text(&output.stderr));
}

#[test]
fn what_is_fine_goes_in_and_no_file_of_the_machine_with_it() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let folder = dir.path().join("people/Mara Lindqvist");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(recording::known_person(), folder.join("photo.png")).unwrap();
    fs::write(folder.join("contract.txt"), "Day shift only.").unwrap();
    symlink("/etc/passwd", folder.join("passwd")).unwrap();
    let document = |file: &str| json!({"file": file, "publicId": file, "name": file});
    let record = json!({"documents": [document("passwd"), document("contract.txt")], "tags": [{"name": "VIP"}]});
    fs::write(folder.join("person.json"), record.to_string()).unwrap();
    let people = dir.path().join("people");
    let output = at_once(&mut command(&engine, &["import", people.to_str().unwrap()]));
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 enrolled") && said.contains("passwd is a link"), "{said}");
    let person = json_of(&engine, &["search", "--tag", "VIP"])[0]["personId"].as_str().unwrap().to_owned();
    let download = |id: &str| at_once(&mut command(&engine, &["document", "download", &person, id, "--output", "-"]));
    assert_eq!(text(&download("contract.txt").stdout), "Day shift only.");
    assert!(text(&download("passwd").stderr).contains("no such document"));
}

#[test]
fn a_file_named_alone_may_be_a_link_and_no_fifo() {
    let (engine, dir) = (Engine::start(), tempfile::tempdir().unwrap());
    let (link, pipe) = (dir.path().join("link.png"), dir.path().join("pipe"));
    symlink(recording::known_person(), &link).unwrap();
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let [link, pipe] = [&link, &pipe].map(|path| path.to_str().unwrap());
    let enrolled = at_once(&mut command(&engine, &["enroll", "--photo", link, "--first-name", "Mara", "--json"]));
    let enrolled: Value = serde_json::from_slice(&enrolled.stdout).unwrap();
    let person = enrolled["person_id"].as_str().unwrap();
    let uploaded = at_once(&mut command(&engine, &["document", "upload", person, link]));
    assert!(uploaded.status.success(), "{}", text(&uploaded.stderr));
    for words in [&["enroll", "--photo", pipe][..], &["detect", pipe], &["document", "upload", person, pipe]] {
        let output = at_once(&mut command(&engine, words));
        assert!(text(&output.stderr).contains("is no regular file but a FIFO"), "{words:?}: {}", text(&output.stderr));
    }
    let error = complaint(&mut command(&engine, &["compare", link, dir.path().to_str().unwrap()]));
    assert!(error.contains("is no regular file but a folder"), "{error}");
}
