//! Users and roles from the command line, while an engine serves the folder.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::server::{Server, doorward};

/// `doorward engine …` on the server's folder, with this on standard input.
fn engine(server: &Server, words: &[&str], input: &str) -> Output {
    let (command, arguments) = words.split_at(words.len().min(2));
    let command = if words[0] == "audit" { &words[..1] } else { command };
    let arguments = if words[0] == "audit" { &words[1..] } else { arguments };
    let mut child = doorward()
        .arg("engine")
        .args(command)
        .arg("--data")
        .arg(server.data())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that needs no input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn users_and_roles_are_looked_after_beside_the_engine() {
    let server = Server::start();
    let ok = |words: &[&str], input: &str| {
        let output = engine(&server, words, input);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = |words: &[&str], why: &str| {
        let output = engine(&server, words, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why), "{words:?}: {said}");
    };
    ok(&["role", "set", "--role", "Guard", "--permission", "Read Detections", "--permission", "Tags/Read Tags"], "");
    ok(&["user", "add", "--username", "guard", "--role", "Guard", "--password-file", "-"], "first\n");
    let guard = server.log_in("guard", "first").await;
    guard.get("/api/v1/Tags").await.ok();
    guard.post("/api/v1/Tags", &json!({"tagName": "VIP"})).await.is_problem(403);

    // A role changed, a role given, a password replaced, a user removed: each counts at once.
    ok(&["role", "set", "--role", "Guard", "--permission", "Add Tags"], "");
    guard.get("/api/v1/Tags").await.is_problem(403);
    guard.post("/api/v1/Tags", &json!({"tagName": "VIP"})).await.ok();
    ok(&["user", "role", "--username", "guard", "--role", "Viewer"], "");
    guard.get("/api/v1/Tags").await.ok();
    ok(&["user", "password", "--username", "guard", "--password-file", "-"], "second\n");
    guard.get("/api/v1/Tags").await.is_problem(401);
    let guard = server.log_in("guard", "second").await;
    let listed = lines(&engine(&server, &["user", "list", "--json"], ""));
    let named: Vec<_> = listed.iter().map(|user| (user["username"].as_str(), user["role"].as_str())).collect();
    assert_eq!(named, [(Some("admin"), Some("Administrator")), (Some("guard"), Some("Viewer"))]);
    assert!(ok(&["user", "list"], "").contains("guard"));
    ok(&["user", "remove", "--username", "guard"], "");
    guard.get("/api/v1/Tags").await.is_problem(401);

    refused(&["user", "remove", "--username", "guard"], "no user guard");
    refused(&["user", "remove", "--username", "admin"], "no administrator");
    refused(&["role", "remove", "--role", "Viewer"], "built in");
    refused(&["role", "set", "--role", "Guard", "--permission", "Read Tags"], "Tags/Read Tags");
    refused(&["user", "add", "--username", "x", "--role", "Viewer", "--password-file", "-"], "must be the password");
    refused(&["user", "add", "--username", "x", "--role", "Viewer"], "give --password-file");
    ok(&["role", "remove", "--role", "Guard"], "");
    let roles = lines(&engine(&server, &["role", "list", "--json"], ""));
    assert_eq!(roles.len(), 4);
    assert!(ok(&["role", "list"], "").contains("Edge Publisher"));

    // The audit log has it all, and what came over the API, without a name or value.
    let log = lines(&engine(&server, &["audit", "--json"], ""));
    let done: Vec<_> = log.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    let expected = [
        "removeRole",
        "removeUser",
        "setPassword",
        "setUserRole",
        "createTag",
        "setRole",
        "putUser",
        "setRole",
        "putUser",
    ];
    assert_eq!(done, expected);
    assert_eq!(log[4]["username"], "guard");
    assert!(ok(&["audit", "--last", "1"], "").contains("removeRole"));
}
