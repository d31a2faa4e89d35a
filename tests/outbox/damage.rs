//! Files that are torn, foreign, of another version, or somebody else's.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use doorward::outbox::{OutboxError, explain};

use super::*;

const FILE: &str = "outbox/outbox.sqlite";

#[test]
fn only_its_owner_can_look_inside() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(&dir.path().join("made/on/the/way"));
    outbox.accept(&sighting(1, 10)).wait().unwrap();
    let folder = dir.path().join("made/on/the/way/outbox");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

#[test]
fn only_one_process_uses_it() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let error = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap_err();
    assert!(matches!(error, OutboxError::InUse { .. }));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(outbox);
    open(dir.path());
}

#[test]
fn a_damaged_file_is_put_aside_and_a_new_one_started() {
    for damage in ["garbage", "cut", "overwritten", "pages swapped"] {
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        for n in 1..=20 {
            outbox.accept(&sighting(n, 5000)).wait().unwrap();
        }
        drop(outbox);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "garbage" => bytes = b"this is no database at all".repeat(1000),
            "cut" => bytes.truncate(bytes.len() * 3 / 4),
            "overwritten" => bytes[4096 * 3..4096 * 9].fill(0xa5),
            _ => {
                let (a, b) = (4096..8192, 16384..20480);
                let page = bytes[a.clone()].to_vec();
                bytes.copy_within(b.clone(), a.start);
                bytes[b].copy_from_slice(&page);
            }
        }
        fs::write(&path, &bytes).unwrap();

        // What could still be read has been taken over, as it was.
        let outbox = open(dir.path());
        let saved: Vec<_> = std::iter::from_fn(|| outbox.next(Instant::now()).wait().unwrap()).collect();
        for queued in &saved {
            let n = queued.sighting.id.as_u128() as u64;
            assert_eq!(queued.sighting.expanded, sighting(n, 5000).expanded, "{damage}");
        }
        match damage {
            "garbage" => assert!(saved.is_empty()),
            _ => assert!((1..=20).contains(&saved.len()), "{damage}: {} of 20 saved", saved.len()),
        }
        saved.iter().for_each(|queued| assert!(outbox.answered(known(queued.sighting.id)).wait().unwrap().first));
        assert!(outbox.accept(&sighting(21, 10)).wait().unwrap().new, "{damage}");
        let aside: Vec<_> = fs::read_dir(dir.path().join("outbox"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("damaged"))
            .collect();
        assert!(aside.iter().any(|file| fs::read(file).unwrap() == bytes), "{damage}: nothing is thrown away");
    }
}

#[test]
fn an_empty_file_is_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("outbox")).unwrap();
    fs::write(dir.path().join(FILE), b"").unwrap();
    assert!(open(dir.path()).accept(&sighting(1, 10)).wait().unwrap().new);
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join(FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    let error = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap_err();
    assert!(matches!(error, OutboxError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("update doorward"), "{error}");
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outbox"), b"a file where the folder should be").unwrap();
    let error = Outbox::open(dir.path(), &OutboxConfig::default()).unwrap_err();
    assert!(matches!(error, OutboxError::Directory { .. }), "{error:?}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    assert!(matches!(
        explain(&dir.path().join("none"), &OutboxConfig::default(), "").unwrap_err(),
        OutboxError::Missing { .. }
    ));
}

/// Power was lost: of the write-ahead log, any length may be on the disk. What is there is a beginning of what was
/// accepted, whole.
#[test]
fn a_torn_log_loses_only_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    for n in 1..=12 {
        outbox.accept(&sighting(n, 6000)).wait().unwrap();
    }
    let database = fs::read(dir.path().join(FILE)).unwrap();
    let log = fs::read(dir.path().join("outbox/outbox.sqlite-wal")).unwrap();
    assert!(log.len() > 70_000, "everything is in the log: {}", log.len());
    let mut lengths = Vec::new();
    for cut in (0..=log.len()).step_by(log.len() / 40).chain([log.len()]) {
        let torn = tempfile::tempdir().unwrap();
        fs::create_dir(torn.path().join("outbox")).unwrap();
        fs::write(torn.path().join(FILE), &database).unwrap();
        fs::copy(dir.path().join("outbox.key"), torn.path().join("outbox.key")).unwrap();
        fs::write(torn.path().join("outbox/outbox.sqlite-wal"), &log[..cut]).unwrap();
        let outbox = open(torn.path());
        let found = drain(&outbox);
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "cut at {cut}");
        lengths.push(found.len());
    }
    assert!(lengths.is_sorted() && lengths[0] == 0 && lengths.last() == Some(&12), "{lengths:?}");
}
