//! The `journal` action: files that rotate, vanish and fill up.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn journal(path: &Path, more: &str) -> String {
    format!("[action.a]\ntype = 'journal'\npath = '{}'\n{more}\n", path.display())
}

/// The names in a journal's lines; every line must be whole.
fn names(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let name =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"))["person"]["name"].clone();
    text.lines().map(|line| name(line).as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_journal_makes_its_folder_and_keeps_lines_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/journal");
    let actions = actions(&journal(&path, "")).unwrap();
    for name in ["Ann", "line\nbreak", "Bob"] {
        assert_eq!(actions.perform(request(name)).await.result, ActionResult::Done);
    }
    assert_eq!(names(&path), ["Ann", "line\nbreak", "Bob"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0, "not for everybody");
}

#[tokio::test]
async fn a_journal_rotates_and_keeps_as_many_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let nth = |n: usize| folder.path().join(format!("journal.{n}"));
    let line = request("P00").inputs.to_string().len() + 1;
    let actions = actions(&journal(&path, &format!("max_bytes = {}\nkeep = 2", 3 * line))).unwrap();
    for n in 0..11 {
        assert_eq!(actions.perform(request(&format!("P{n:02}"))).await.result, ActionResult::Done);
    }
    assert_eq!(names(&path), ["P09", "P10"]);
    assert_eq!(names(&nth(1)), ["P06", "P07", "P08"]);
    assert_eq!(names(&nth(2)), ["P03", "P04", "P05"]);
    assert!(!nth(3).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_journal_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    // Two actions of one process on one file, and another process (here: another set of actions) on it too.
    let two = journal(&path, "") + &journal(&path, "").replace("action.a", "action.b");
    let sets = [Arc::new(actions(&two).unwrap()), Arc::new(actions(&two).unwrap())];
    let mut all = tokio::task::JoinSet::new();
    for n in 0..200 {
        let actions = sets[n % 2].clone();
        let action = if n % 4 < 2 { "a" } else { "b" };
        let long = format!("P{n} {}", "x".repeat(n * 100));
        all.spawn(async move { actions.perform(ActionRequest { action: action.into(), ..request(&long) }).await });
    }
    while let Some(outcome) = all.join_next().await {
        assert_eq!(outcome.unwrap().result, ActionResult::Done);
    }
    let mut numbers: Vec<usize> =
        names(&path).iter().map(|name| name[1..].split_once(' ').unwrap().0.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_journal_that_is_moved_or_deleted_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("logs/journal");
    let moved = folder.path().join("moved");
    let actions = actions(&journal(&path, "")).unwrap();
    let write = async |name| assert_eq!(actions.perform(request(name)).await.result, ActionResult::Done);
    write("Ann").await;
    fs::rename(&path, &moved).unwrap();
    write("Bob").await;
    assert_eq!((names(&moved), names(&path)), (vec!["Ann".into()], vec!["Bob".into()]));
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    write("Eve").await;
    assert_eq!(names(&path), ["Eve"]);
}

#[tokio::test]
async fn a_line_cut_off_by_a_crash_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    fs::write(&path, "{\"torn").unwrap();
    assert_eq!(actions(&journal(&path, "")).unwrap().perform(request("Ann")).await.result, ActionResult::Done);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "{\"torn"));
    assert_eq!(serde_json::from_str::<Value>(lines[1]).unwrap(), request("Ann").inputs);
}

#[tokio::test]
async fn a_full_disk_or_a_bad_path_is_a_failure_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (path, wanted) in [
        ("/dev/full".into(), "No space left on device"),
        (folder.path().join("file/journal"), "File exists"),
        (folder.path().to_owned(), "Is a directory"),
    ] {
        let outcome = actions(&journal(&path, "")).unwrap().perform(request("Ann")).await;
        assert!(reason(&outcome).contains(wanted), "{outcome:?}");
        assert!(reason(&outcome).contains(path.to_str().unwrap()), "{outcome:?}");
    }
}
