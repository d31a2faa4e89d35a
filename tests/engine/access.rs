//! Who gets in: the life of a token, every permission against every operation, and the order in which a request is
//! judged.

use std::os::unix::fs::PermissionsExt;

use identities::operation::Access;
use identities::{OPERATIONS, Permission};
use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::operations::path_with;
use crate::server::{Reply, Server, doorward, portrait};

const ID: &str = "2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10";

#[tokio::test]
async fn a_token_lives_until_the_password_or_the_user_changes() {
    let server = Server::start();
    let admin = server.administrator().await;
    let profile = admin.get("/auth/v1/user/profile").await.ok();
    assert_eq!(profile["roles"], json!(["Administrator"]));
    assert_eq!(profile["token"], json!(admin.token));

    assert!(server.add_user("desk@site.example", "Viewer", "first password").success());
    let desk = server.log_in("desk@site.example", "first password").await;
    let renewed = desk.get("/api/v1/renewToken").await.ok();
    assert_eq!(renewed["username"], "desk@site.example");
    assert_ne!(renewed["token"], json!(desk.token));
    let profile = desk.get("/auth/v1/user/profile").await.ok();
    assert_eq!((&profile["email"], &profile["roles"]), (&json!("desk@site.example"), &json!(["Viewer"])));

    // Another role counts for the token at hand; another password makes it void, and the renewed one with it.
    assert_eq!(desk.get("/api/v1/Tags").await.status, 200);
    assert!(server.add_user("desk@site.example", "Edge Publisher", "second password").success());
    let mut old = desk.clone();
    old.token = Some(renewed["token"].as_str().unwrap().to_owned());
    for api in [&desk, &old] {
        let reply = api.get("/auth/v1/user/profile").await;
        reply.is_problem(401);
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    let desk = server.log_in("DESK@site.example", "second password").await;
    desk.get("/api/v1/Tags").await.is_problem(403);

    // The first administrator is made once only.
    let folder = server.kill();
    let server = Server::start_in(folder);
    assert_eq!(server.password, None);
    assert_eq!(server.anonymous().get("/auth/v1/user/profile").await.status, 401);
    let mut survivor = server.anonymous();
    survivor.token = desk.token;
    assert_eq!(survivor.get("/auth/v1/user/profile").await.status, 200, "tokens outlive a restart");
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_guessing_is_slowed_down() {
    let server = Server::start();
    let password = server.password.clone().unwrap();
    let api = server.anonymous();
    let attempt = |username: &str, password: &str| {
        let body = json!({"username": username, "password": password});
        let api = api.clone();
        async move { api.post("/api/v1/authenticate", &body).await }
    };
    for (username, wrong) in [("admin", "wrong"), ("nobody", "wrong"), ("admin", " ")] {
        attempt(username, wrong).await.is_problem(401);
    }
    for body in [json!({}), json!({"username": "admin"}), json!({"username": "", "password": "x"}), json!([]), json!(1)]
    {
        api.post("/api/v1/authenticate", &body).await.is_problem(400);
    }
    // Many at once: some are heard, one or two wait for their turn, the others are told when to come again.
    let replies: Vec<_> = (0..12).map(|_| tokio::spawn(attempt("admin", "guess"))).collect();
    let mut throttled = 0;
    for reply in replies {
        let reply = reply.await.unwrap();
        reply.is_problem(401);
        if let Some(retry) = reply.headers.get("retry-after") {
            assert!(retry.to_str().unwrap().parse::<u32>().unwrap() > 0);
            throttled += 1;
        }
    }
    assert!((4..=7).contains(&throttled), "{throttled}");
    // The right one is heard in its turn.
    attempt("admin", &password).await.ok();
}

#[tokio::test]
async fn wrong_passwords_keep_nobody_else_out() {
    let server = Server::start();
    assert!(server.add_user("gate", "Edge Publisher", "gate's own").success());
    let guesses: Vec<_> = (0..60)
        .map(|n| {
            let api = server.anonymous();
            let body = json!({"username": format!("name{}", n / 2), "password": "guess"});
            tokio::spawn(async move { api.post("/api/v1/authenticate", &body).await.status })
        })
        .collect();
    for guess in guesses {
        assert_eq!(guess.await.unwrap(), 401);
    }
    server.log_in("gate", "gate's own").await;
}

#[tokio::test]
async fn guesses_are_counted_by_the_client_a_trusted_proxy_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder, &["--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.0/8"]);
    assert!(server.add_user("gate", "Edge Publisher", "gate's own").success());
    let attempt = |client: &str, password: &str| {
        let request = server.anonymous().request(Method::POST, "/api/v1/authenticate");
        let request =
            request.header("x-forwarded-for", client).json(&json!({"username": "gate", "password": password}));
        tokio::spawn(Reply::of(request))
    };
    let guesses: Vec<_> = (0..12).map(|_| attempt("198.51.100.7", "guess")).collect();
    // Somebody else behind the proxy, while the guesser waits.
    let started = std::time::Instant::now();
    attempt("192.0.2.1", "gate's own").await.unwrap().ok();
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    let mut throttled = 0;
    for guess in guesses {
        throttled += usize::from(guess.await.unwrap().headers.contains_key("retry-after"));
    }
    assert!((3..=5).contains(&throttled), "{throttled}");
}

#[tokio::test]
async fn half_open_connections_keep_nobody_out() {
    let server = Server::start();
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let mut held = Vec::new();
    for _ in 0..600 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(b"POST /api/v1/authenticate HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            .await
            .unwrap();
        held.push(stream);
    }
    let started = std::time::Instant::now();
    server.administrator().await;
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[tokio::test]
async fn a_session_ends_when_it_is_signed_out_of() {
    let server = Server::start();
    let admin = server.administrator().await;
    let mut renewed = admin.clone();
    renewed.token = Some(admin.get("/api/v1/renewToken").await.ok()["token"].as_str().unwrap().to_owned());
    let other = server.administrator().await;
    assert_eq!(renewed.send(Method::POST, "/page/signOut", None).await.status, 200);
    for api in [&admin, &renewed] {
        api.get("/auth/v1/user/profile").await.is_problem(401);
        api.get("/api/v1/renewToken").await.is_problem(401);
    }
    assert_eq!(other.get("/auth/v1/user/profile").await.status, 200);
    // Also for an engine that starts anew.
    let server = Server::start_in(server.kill());
    let mut gone = server.anonymous();
    gone.token = admin.token;
    gone.get("/auth/v1/user/profile").await.is_problem(401);
}

#[tokio::test]
async fn who_may_only_publish_sees_no_enrolled_photo() {
    let Some(photo) = portrait() else { return };
    let server = Server::start();
    let admin = server.administrator().await;
    admin.enroll(&photo).await;
    for (name, role) in [("gate", "Edge Publisher"), ("desk", "Enroller"), ("guard", "Viewer")] {
        assert!(server.add_user(name, role, "password").success());
    }
    let gate = server.log_in("gate", "password").await;
    let seen = gate.publish(&photo, json!({})).await.remove(0);
    let path = format!("/api/v1/people/enrollmentPhoto/{}", seen["faceId"].as_str().unwrap());
    gate.get(&path).await.is_problem(404);
    for name in ["desk", "guard"] {
        assert_eq!(server.log_in(name, "password").await.get(&path).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn many_clients_log_in_at_once() {
    let server = Server::start();
    assert!(server.add_user("gate", "Edge Publisher", "gate's own").success());
    let log_ins: Vec<_> = (0..24)
        .map(|_| {
            let api = server.anonymous();
            let body = json!({"username": "gate", "password": "gate's own"});
            tokio::spawn(async move { api.post("/api/v1/authenticate", &body).await.status })
        })
        .collect();
    for log_in in log_ins {
        assert_eq!(log_in.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn nothing_but_a_good_token_opens_anything() {
    let server = Server::start();
    let good = server.administrator().await;
    let mut forged = good.clone();
    forged.token = good.token.as_ref().map(|token| format!("{}A", &token[..token.len() - 1]));
    if forged.token == good.token {
        forged.token = good.token.as_ref().map(|token| format!("{}B", &token[..token.len() - 1]));
    }
    for operation in OPERATIONS.iter().filter(|operation| operation.access != Access::Anonymous) {
        for prefix in ["", "/identities"] {
            // 401 comes first, whatever else is wrong with the request.
            let path = format!("{prefix}{}", path_with(operation, "no-guid"));
            server.anonymous().send(operation.method.clone(), &path, None).await.is_problem(401);
            forged.send(operation.method.clone(), &path, Some(&json!({"wrong": 1}))).await.is_problem(401);
        }
    }
    let basic =
        Reply::of(server.anonymous().request(Method::GET, "/auth/v1/user/profile").basic_auth("admin", Some("x")));
    basic.await.is_problem(401);
}

#[tokio::test]
async fn each_permission_opens_what_it_should_and_nothing_else() {
    let server = Server::start();
    let opens = |held: &&Permission| OPERATIONS.iter().any(|operation| operation.permissions().contains(held));
    let permissions: Vec<_> = Permission::ALL.iter().filter(opens).collect();
    // Roles of one permission each, as an operator may define them in the data folder.
    let database = rusqlite::Connection::open(server.data().join("engine.db")).unwrap();
    database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    for (n, permission) in permissions.iter().enumerate() {
        let role = format!("only {n}");
        database.execute("INSERT INTO roles (name, built_in) VALUES (?, 0)", [&role]).unwrap();
        let insert = "INSERT INTO role_permissions SELECT role_id, ?, ? FROM roles WHERE name = ?";
        database.execute(insert, (permission.category(), permission.name(), &role)).unwrap();
    }
    drop(database);
    assert!(!server.add_user("x", "no such role", "password").success());
    for (n, held) in permissions.iter().enumerate() {
        let name = format!("user{n}");
        assert!(server.add_user(&name, &format!("only {n}"), "password").success());
        let api = server.log_in(&name, "password").await;
        for operation in OPERATIONS {
            // Nothing in the request is right but the caller: 403 comes before 400 and 404.
            let body = json!({"wrong": null});
            let body = (operation.method != Method::GET).then_some(&body);
            let reply = api.send(operation.method.clone(), &path_with(operation, "no-guid"), body).await;
            let open = match operation.access {
                Access::AnyOf(permissions) => permissions.contains(held),
                _ => true,
            };
            if open {
                assert!(![401, 403].contains(&reply.status), "{held:?} should open {}", operation.id);
                assert!(
                    operation.statuses().any(|status| status == reply.status),
                    "{} answered {}",
                    operation.id,
                    reply.status
                );
            } else {
                assert_eq!(reply.status, 403, "{held:?} should not open {}", operation.id);
                reply.is_problem(403);
            }
        }
    }
}

#[tokio::test]
async fn bad_input_is_400_before_anything_is_looked_up() {
    let server = Server::start();
    let admin = server.administrator().await;
    for operation in OPERATIONS {
        // Where an id must be a GUID, nothing else will do.
        if operation.path.contains("{personId}") || operation.path.contains("{tagId}") {
            for id in
                ["no-guid", "2c9f9a4e6d0c4b57b3f80b9a7f7f2e10", "%7B2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10%7D", "%ff"]
            {
                let body = json!({"tagId": ID, "name": "n", "tagName": "t"});
                let body = (operation.method == Method::PUT).then_some(&body);
                let path = operation.path.replace("{personId}", id).replace("{tagId}", id);
                let path = path.replace("{aliasId}", ID).replace("{personTagId}", ID).replace("{noteId}", ID);
                let path = path.replace("{entityId}", ID).replace("{documentId}", "d");
                admin.send(operation.method.clone(), &path, body).await.is_problem(400);
            }
        }
        if [Method::GET, Method::DELETE].contains(operation.method) {
            continue;
        }
        // A body must be there, and be JSON (or a form where it is one); other media types are bad input too.
        let path = path_with(operation, ID);
        let request = || admin.request(operation.method.clone(), &path);
        for (media_type, body) in [
            ("application/json", ""),
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "\"text\""),
            ("application/json", "{} {}"),
            ("text/plain", "{}"),
            ("application/xml", "<a/>"),
            ("multipart/form-data", "x"),
        ] {
            Reply::of(request().header("content-type", media_type).body(body)).await.is_problem(400);
        }
        Reply::of(request()).await.is_problem(400);
        // Far too much of a body is read to its end, so that the answer is heard.
        if ["authenticate", "faceEnroll", "upsertPersonAlias", "uploadFileDocument"].contains(&operation.id) {
            let body = vec![b' '; 70 << 20];
            Reply::of(request().header("content-type", "application/json").body(body)).await.is_problem(400);
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let server = Server::start();
    let admin = server.administrator().await;
    for path in ["/api/v1", "/api/v1/nothing", "/identities/api/v2/people", "/api/v1/people/"] {
        admin.get(path).await.is_problem(404);
    }
    admin.delete("/api/v1/authenticate").await.is_problem(405);
    admin.get("/identities/api/v1/faces/faceEnroll").await.is_problem(405);
}

#[test]
fn the_data_folder_is_closed_to_others_and_served_by_one_engine() {
    let mut server = Server::start();
    let mode = std::fs::metadata(server.data()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    for file in ["engine.db", "engine.db-wal", "engine.db-shm"] {
        let mode = std::fs::metadata(server.data().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let serve = |listen: &str, data: &std::path::Path| {
        doorward()
            .args(["engine", "serve", "--listen", listen, "--data"])
            .arg(data)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap()
    };
    let second = serve("127.0.0.1:0", &server.data());
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another engine is serving"));
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("letter.txt"), "somebody's").unwrap();
    let foreign = serve("127.0.0.1:0", elsewhere.path());
    assert_eq!(foreign.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&foreign.stderr).contains("holds no engine's data"));
    assert!(server.terminate().success());
}

#[test]
fn a_folder_of_a_newer_version_is_left_alone() {
    let mut server = Server::start();
    assert!(server.terminate().success());
    let database = rusqlite::Connection::open(server.data().join("engine.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let output = doorward()
        .args(["engine", "serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data())
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("newer doorward"));
    assert!(!server.add_user("x", "Viewer", "password").success());
}
