//! The whole agent on a disk that is really full: the door opens all the same, and what happened is written once there
//! is room.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Engine, Running, doorward, json_lines, recording, run, wait_for};

#[test]
fn a_full_disk_keeps_no_door_shut() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let mut mount = Command::new("unshare");
    mount.args(["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs tmpfs \"$0\""]).arg(&state);
    if !mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("this machine lets nobody mount a small disk, so the agent on a full one was not checked");
        return;
    }
    let engine = Engine::start();
    engine.enroll(&recording::known_person(), "Eileen", &["VIP"]);
    let visit = folder.path().join("visit");
    recording::visit(&visit);
    let (opened, script) = (folder.path().join("door-opened"), folder.path().join("open"));
    std::fs::write(&script, "#!/bin/sh\necho opened >> \"$1\"\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = folder.path().join("doorward.toml");
    let text = format!(
        "state_dir = {state:?}\n{}[status]\nlisten = \"off\"\n\
         [action.door]\ntype = \"exec\"\nprogram = {script:?}\nargs = [{opened:?}]\nactuator = true\n\
         [[rule]]\nname = \"vip\"\nwhen = {{ tags_any = [\"VIP\"] }}\nactions = [\"door\"]\n",
        engine.section(&engine.url)
    );
    std::fs::write(&config, text).unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    let door = format!("time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = {visit:?}\nfps = 10.0\n");
    std::fs::write(folder.path().join("detectors/door.toml"), door).unwrap();

    // A disk of its own, filled to the last block before the agent starts.
    let program = doorward();
    let script = "mount -t tmpfs -o size=4m tmpfs \"$0\" && head -c 8m /dev/zero > \"$0\"/filler 2>/dev/null; exec \"$1\" run --config \"$2\"";
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&state);
    command.arg(program.get_program()).arg(&config).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let agent = Running(command.env_remove("DOORWARD_CONFIG").stdout(Stdio::null()).stderr(log).spawn().unwrap());

    let told = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    wait_for("the door to open", || {
        assert!(!told().contains("doorward: "), "{}", told());
        opened.exists().then_some(())
    });
    assert!(told().contains("the disk does not take what the outbox stores"), "{}", told());

    // The same disk, seen from outside.
    let inside = Path::new("/proc").join(agent.0.id().to_string()).join("root").join(state.strip_prefix("/").unwrap());
    std::fs::remove_file(inside.join("filler")).unwrap();
    let history = wait_for("what happened to be written", || {
        // From inside: SQLite follows links itself, and the one to another's files leads nowhere.
        let mut explain = Command::new("nsenter");
        explain.args(["--preserve-credentials", "--user", "--mount", "--target", &agent.0.id().to_string()]);
        explain.arg(program.get_program()).args(["explain", "", "--json", "--config"]).arg(&config);
        let output = explain.output().unwrap();
        (output.status.success() && !json_lines(&output).is_empty()).then(|| json_lines(&run(&mut explain)))
    });
    assert_eq!((history.len(), &history[0]["outcome"]), (1, &"known".into()), "{history:#?}");
    let actions = history[0]["actions"].as_array().unwrap();
    assert_eq!((&actions[0]["action"], &actions[0]["state"]), (&"door".into(), &"done".into()));
    assert!(told().contains("the outbox is on disk again"), "{}", told());
    assert!(agent.stop().success());
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), "opened\n", "once");
    let lines = told().lines().filter(|line| line.contains("the disk does not take")).count();
    assert_eq!(lines, 1, "it says so once: {}", told());
}
