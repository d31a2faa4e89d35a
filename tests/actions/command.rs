//! `doorward actions test`, the real program.

use super::support::doorward;
use super::*;

fn test(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("doorward.toml");
    std::fs::write(&file, config).unwrap();
    for (name, text) in [
        ("unknown.json", r#"{"outcome": "unknown", "detector": "back"}"#),
        ("late.json", r#"{"late": true}"#),
        ("picture.jpg", "JPEG"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let arguments = arguments.iter().map(|argument| argument.replace("FOLDER", folder.path().to_str().unwrap()));
    let output = doorward().args(["actions", "test", "--config"]).arg(&file).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_is_tried_without_a_visitor() {
    let (receiver, address) = Receiver::start(vec![]).await;
    let config = format!(
        "[action.hook]\ntype = 'webhook'\nurl = 'http://{address}/'\npicture = true\n\
         [action.door]\ntype = 'webhook'\nurl = 'http://{address}/open'\nactuator = true\n"
    );
    let (code, text) = test(&config, &["hook"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("hook: done after ") && text.ends_with("  it said: fine\n"), "{text}");
    let (code, text) =
        test(&config, &["hook", "--event", "FOLDER/unknown.json", "--picture", "FOLDER/picture.jpg", "--json"]);
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &line["result"], &line["reason"], &line["said"]),
        (Some(0), &json!("done"), &Value::Null, &json!("fine"))
    );
    let (code, text) = test(&config, &["door"]);
    assert!(code == Some(0) && text.starts_with("door: done after "), "{text}");
    // Late is late, also in a test.
    let (code, text) = test(&config, &["door", "--event", "FOLDER/late.json"]);
    assert!(code == Some(1) && text.contains("door: expired"), "{text}");

    let got = receiver.got();
    assert_eq!(got.iter().map(|got| got.uri.path()).collect::<Vec<_>>(), ["/", "/", "/open"]);
    let bodies: Vec<_> = got.iter().map(|got| String::from_utf8_lossy(&got.body).into_owned()).collect();
    assert!(bodies[0].contains(r#""name":"Test Visitor""#) && !bodies[0].contains("JPEG"), "{}", bodies[0]);
    assert!(bodies[1].contains(r#""outcome":"unknown""#) && bodies[1].contains("JPEG"), "{}", bodies[1]);
    assert!(bodies[1].contains(r#""detector":"back""#));
    let ids: std::collections::HashSet<_> = got.iter().map(|got| got.headers["idempotency-key"].clone()).collect();
    assert_eq!(ids.len(), 3, "every test is a new event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_is_told() {
    let (_, address) = Receiver::start(vec![status(400)]).await;
    let config = format!("[action.hook]\ntype = 'webhook'\nurl = 'http://{address}/s3cret'\n");
    let (code, text) = test(&config, &["hook"]);
    assert!(code == Some(1) && text.contains("ms: it answered 400") && !text.contains("s3cret"), "{text}");
    let (code, text) = test(&config, &["hok"]);
    assert!(code == Some(1) && text.contains("there is no action `hok`; there are hook"), "{text}");
    let (code, text) = test("", &["hook"]);
    assert!(
        code == Some(1) && text.contains("there is no action; the configuration needs a section `[action.hook]`"),
        "{text}"
    );
    let (code, text) = test("[action.door]\ntype = 'relay'\nchip = '/dev/gpiochip4711'\nline = 1\n", &["door"]);
    assert!(code == Some(1) && text.contains("cannot open /dev/gpiochip4711: No such file"), "{text}");
    let (code, text) = test("[action.door]\ntype = 'relay'\nline = 1\n", &["door"]);
    assert!(code == Some(78) && text.contains("name the chip as well"), "{text}");
}
