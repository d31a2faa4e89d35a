//! What somebody else puts on the machine does not run as doorward: attacks on the real program.
//!
//! The files are real: a library that leaves a mark when it is loaded, the models of `make models` and copies of them.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use faces::models::{ModelStore, Role};
use support::{doorward, run};

/// What ONNX Runtime's library needs and the program has not loaded before.
const NEEDED: [&str; 3] = ["libdl.so.2", "libpthread.so.0", "librt.so.1"];
const WRONG_CONFIGURATION: i32 = 78;

/// A folder with links to the files of `make models`, which the tests may change.
fn models(root: &Path) -> PathBuf {
    let dir = root.join("models");
    fs::create_dir(&dir).unwrap();
    for file in fs::read_dir(ModelStore::locate(None).dir().canonicalize().unwrap()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            symlink(file.path(), dir.join(file.file_name())).unwrap();
        }
    }
    dir
}

/// Puts a file of its own in the place of a link.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Looks for faces with the models of this folder.
fn look(models: &Path) -> Command {
    let picture = ModelStore::locate(None).picture("astronaut").unwrap().canonicalize().unwrap();
    let mut command = doorward();
    command.env("DOORWARD_MODELS_DIR", models).args(["detect", "--json"]).arg(picture);
    command
}

fn refused(output: &Output, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(why), "{}\n{said}", output.status);
}

#[test]
fn a_library_beside_onnx_runtime_does_not_run() {
    let root = tempfile::tempdir().unwrap();
    let dir = models(root.path());
    let runtime = ModelStore::locate(None).auto(Role::Runtime).unwrap().file.clone();
    // Not a link: what is beside the library is found from where it really is.
    let bytes = fs::read(dir.join(&runtime)).unwrap();
    replace(&dir.join(&runtime), &bytes);
    let (source, mark) = (root.path().join("planted.c"), root.path().join("planted"));
    let code = "#include <stdio.h>\n#include <stdlib.h>\n\
                __attribute__((constructor)) static void run(void) { fclose(fopen(getenv(\"PLANTED\"), \"w\")); }\n";
    fs::write(&source, code).unwrap();
    let compiler = ["-shared", "-fPIC", "-o"];
    for name in NEEDED {
        let soname = format!("-Wl,-soname,{name}");
        run(Command::new("cc").args(compiler).arg(dir.join(name)).arg(&source).arg(soname));
    }
    // It does run for whoever opens the library by its name.
    let open = "import ctypes, sys; ctypes.CDLL(sys.argv[1])";
    let _ = Command::new("python3").args(["-c", open]).arg(dir.join(&runtime)).env("PLANTED", &mark).output().unwrap();
    assert!(mark.exists(), "the attack itself works");
    fs::remove_file(&mark).unwrap();

    run(look(&dir).current_dir(&dir).env("PLANTED", &mark));
    assert!(!mark.exists(), "a library beside ONNX Runtime's has run");
}

#[test]
fn a_swapped_model_is_refused_at_every_start() {
    let root = tempfile::tempdir().unwrap();
    let dir = models(root.path());
    run(&mut look(&dir));
    let store = ModelStore::locate(None);
    for role in [Role::Detector, Role::Runtime] {
        let entry = store.auto(role).unwrap();
        let (path, right) = (dir.join(&entry.file), fs::read(store.path(entry)).unwrap());
        let mut wrong = right.clone();
        *wrong.last_mut().unwrap() ^= 1;
        replace(&path, &wrong);
        refused(&look(&dir).output().unwrap(), "does not have the sha256 of the manifest");
        replace(&path, &right);
        run(&mut look(&dir));
    }
}

#[test]
fn models_that_others_can_write_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = models(root.path());
    let entry = ModelStore::locate(None).auto(Role::Detector).unwrap().file.clone();
    let bytes = fs::read(dir.join(&entry)).unwrap();
    replace(&dir.join(&entry), &bytes);
    for (path, mode, back) in [(&dir, 0o777, 0o755), (&dir.join(&entry), 0o666, 0o644)] {
        allow(path, mode);
        refused(&look(&dir).output().unwrap(), "can be written by everybody");
        let verified = doorward().env("DOORWARD_MODELS_DIR", &dir).args(["models", "verify"]).output().unwrap();
        assert!(!verified.status.success(), "`models verify` sees it too");
        allow(path, back);
        run(&mut look(&dir));
    }
}

#[test]
fn a_configuration_that_others_can_write_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let main = root.path().join("doorward.toml");
    fs::write(&main, "state_dir = \"state\"\n").unwrap();
    let detector = root.path().join("detectors/door.toml");
    fs::create_dir(detector.parent().unwrap()).unwrap();
    fs::write(&detector, "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/nowhere\"\n").unwrap();
    for command in ["run", "check"] {
        for path in [&main, &detector, &root.path().to_owned()] {
            let before = fs::metadata(path).unwrap().permissions();
            allow(path, before.mode() | 0o002);
            let output = doorward().arg(command).arg("--config").arg(&main).output().unwrap();
            fs::set_permissions(path, before).unwrap();
            let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(WRONG_CONFIGURATION), "{command}: {said}");
            assert!(said.contains("can be written by everybody"), "{command}: {said}");
        }
    }
}

#[test]
fn a_program_that_others_can_write_is_no_action() {
    let root = tempfile::tempdir().unwrap();
    let program = root.path().join("open-door");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let main = root.path().join("doorward.toml");
    let action = format!("[action.open]\ntype = \"exec\"\nprogram = \"{}\"\n", program.display());
    fs::write(&main, action).unwrap();
    let check = |mode| {
        allow(&program, mode);
        let output = doorward().arg("check").arg("--config").arg(&main).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let said = check(0o757);
    assert!(said.contains("action.open.program") && said.contains("can be written by everybody"), "{said}");
    let said = check(0o755);
    assert!(!said.contains("can be written"), "{said}");
}
