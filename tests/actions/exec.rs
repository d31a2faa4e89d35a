//! The `exec` action: programs that hang, fork, flood their output or die.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A shell script in a file of its own, and the `[action.a]` block that runs it.
fn script(folder: &Path, text: &str, more: &str) -> String {
    let path = folder.join("script.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("[action.a]\ntype = 'exec'\nprogram = '{}'\n{more}", path.display())
}

async fn run(text: &str, more: &str, name: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    actions(&script(folder.path(), text, more)).unwrap().perform(request(name)).await
}

#[tokio::test]
async fn arguments_never_become_shell() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let name = format!("a 'b' \"c\"\n$(touch {0}) `touch {0}`; touch {0} & | > * \\ --help", mark.display());
    let args = r#"args = ["{{ person.name }}", "", "x {{ shot }} y", "{{ person.tags | map(attribute='name') | join(',') }}"]
        env = { GREETING = "Hello {{ person.name }}" }"#;
    let outcome = run(r#"printf '%s\0' "$#" "$@" "$GREETING" "$DOORWARD_PERSON_NAME""#, args, &name).await;
    assert_eq!(outcome.result, ActionResult::Done);
    let said = outcome.said.unwrap();
    let said: Vec<_> = said.split('\0').collect();
    assert_eq!(said, ["4", &name, "", "x 1 y", "Staff", &format!("Hello {name}"), &name, ""]);
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_nul_byte_is_a_clear_failure_only_where_it_cannot_go() {
    let nul = "A\0B";
    for (more, key) in [("args = ['{{ person.name }}']", "args[0]"), ("env = { X = '{{ person.name }}' }", "env.X")] {
        let outcome = run("true", more, nul).await;
        assert_eq!(
            reason(&outcome),
            format!("cannot fill in `{key}`: a value holds a NUL byte, which no program can be given")
        );
    }
    let outcome = run(r#"printf %s "$DOORWARD_PERSON_NAME""#, "", nul).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("AB")));
}

/// Nobody has to live on to write it: a program whose doorward is killed meanwhile acts on the whole event, too.
#[tokio::test]
async fn a_program_has_the_whole_event_from_its_start() {
    let longer_than_a_pipe_holds = "Ann".repeat(30_000);
    let outcome = run("stat --dereference --format %s /dev/stdin", "", &longer_than_a_pipe_holds).await;
    let length = request(&longer_than_a_pipe_holds).inputs.to_string().len();
    assert_eq!(outcome.said.as_deref().map(str::trim), Some(length.to_string().as_str()));
}

#[tokio::test]
async fn a_program_gets_the_event_and_nothing_of_ours() {
    let outcome = run("cat", "", "Ann").await;
    assert_eq!(serde_json::from_str::<Value>(&outcome.said.unwrap()).unwrap(), request("Ann").inputs);

    let outcome = run("/usr/bin/env", "env = { EXTRA = 'x' }", "Ann").await;
    let said = outcome.said.unwrap();
    let names: Vec<_> = said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        // The last three are the shell's own.
        assert!(
            name.starts_with("DOORWARD_") || ["PATH", "EXTRA", "PWD", "SHLVL", "_", "OLDPWD"].contains(name),
            "{name}"
        );
    }
    assert!(names.contains(&"EXTRA") && !names.iter().any(|name| name.starts_with("DOORWARD__")));
    for line in ["DOORWARD_OUTCOME=known", "DOORWARD_DETECTOR=Front door", "DOORWARD_LATE=false", "DOORWARD_REASON="] {
        assert!(said.lines().any(|said| said == line), "{line}");
    }
}

#[tokio::test]
async fn how_it_ended_is_told() {
    for (text, wanted) in [
        ("exit 3", "it ended with exit code 3"),
        ("kill -SEGV $$", "it was ended by SIGSEGV (11)"),
        ("kill -KILL $$", "it was ended by SIGKILL (9)"),
        ("exec /nonexistent/program", "it ended with exit code 127"),
    ] {
        assert_eq!(reason(&run(text, "", "Ann").await), wanted, "{text}");
    }
    // Not reading is within a program's rights, even when the event does not fit into a pipe.
    let outcome = run("exec <&-; exit 0", "", &"x".repeat(1 << 20)).await;
    assert!(
        matches!(&outcome.result, ActionResult::Failed { reason } if reason.starts_with("cannot start")),
        "{outcome:?}"
    );
    let mut large = request("Ann");
    large.inputs["padding"] = json!("x".repeat(1 << 20));
    let folder = tempfile::tempdir().unwrap();
    let outcome = actions(&script(folder.path(), "exec <&-; exit 0", "")).unwrap().perform(large).await;
    assert_eq!(outcome.result, ActionResult::Done);
}

/// Waits for a process to be gone, or a zombie nobody has asked after yet.
async fn gone(pid: &str) -> bool {
    for _ in 0..500 {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_everything_it_started() {
    for (text, ended) in [
        ("sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; sleep 1000", "and was ended"),
        (
            "trap '' TERM; sh -c 'sleep 1000' & echo $! >PIDS; echo $$ >>PIDS; while :; do sleep 1000; done",
            "and was killed",
        ),
        // Asleep before a pipe that nobody reads is how a program hangs without meaning to.
        ("sleep 1000 & echo $! >PIDS; echo $$ >>PIDS; mkfifo PIPE; cat <PIPE", "and was ended"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name).display().to_string();
        let text = text.replace("PIDS", &path("pids")).replace("PIPE", &path("pipe"));
        let toml = script(folder.path(), &text, "timeout_ms = 300");
        let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
        assert_eq!(reason(&outcome), format!("it did not end within 300 ms {ended}"));
        let pids = fs::read_to_string(path("pids")).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            assert!(gone(pid).await, "{pid} of: {text}");
        }
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_neither_holds_us_up_nor_stays() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("sleep 1000 & echo $! >{}; echo said; exit 0", pids.display());
    let toml = script(folder.path(), &text, "timeout_ms = 600000");
    let outcome = actions(&toml).unwrap().perform(request("Ann")).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("said\n")));
    assert!(gone(fs::read_to_string(&pids).unwrap().trim()).await);

    // One that left the group keeps the pipes open; we do not wait for it.
    let text = format!(
        "setsid sh -c 'echo $$ >{}; exec sleep 1000' & while ! [ -s {0} ]; do :; done; echo said",
        pids.display()
    );
    fs::remove_file(&pids).unwrap();
    let outcome = actions(&script(folder.path(), &text, "timeout_ms = 600000")).unwrap().perform(request("Ann")).await;
    assert_eq!((outcome.result, outcome.said.as_deref()), (ActionResult::Done, Some("said\n")));
    let pid = fs::read_to_string(&pids).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_flood_of_output_is_read_but_not_kept() {
    let flood = "head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2";
    let outcome = run(flood, "timeout_ms = 600000", "Ann").await;
    assert_eq!((outcome.result, outcome.said.unwrap().len()), (ActionResult::Done, 2 * (64 << 10)));
    let outcome = run("exec yes", "timeout_ms = 300", "Ann").await;
    assert_eq!(reason(&outcome), "it did not end within 300 ms and was ended");
    assert_eq!(outcome.said.unwrap().len(), 64 << 10);
}

#[tokio::test]
async fn giving_up_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let text = format!("sleep 1000 & echo $! >{0}.new; echo $$ >>{0}.new; mv {0}.new {0}; sleep 1000", pids.display());
    let actions = actions(&script(folder.path(), &text, "timeout_ms = 600000")).unwrap();
    let started = async {
        while !pids.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        outcome = actions.perform(request("Ann")) => panic!("{outcome:?}"),
        () = started => {}
    }
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(gone(pid).await, "{pid}");
    }
}

#[test]
fn programs_are_looked_for_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let _runtime = tokio::runtime::Runtime::new().unwrap().enter();
    for (program, wanted) in [
        ("/nonexistent/program", "there is no such file"),
        ("no-such-program-anywhere", "no folder of PATH has a program of this name"),
        (plain.to_str().unwrap(), "it may not be executed"),
        (folder.path().to_str().unwrap(), "there is no such file"),
    ] {
        let error = actions(&format!("[action.a]\ntype = 'exec'\nprogram = '{program}'")).err().unwrap();
        assert!(error.starts_with(&format!("action `a`: `program` is wrong: {wanted}")), "{error}");
    }
    let error = actions("[action.a]\ntype = 'exec'\nprogram = 'sh'\nargs = ['-c', '{{ persn.name }}']").err().unwrap();
    assert!(error.contains("`args[1]`") && error.contains("did you mean `person`?"), "{error}");
}
