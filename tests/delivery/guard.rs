//! A guarded door whose engine does not say the same of every picture.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::fake::{Fake, Reply};
use super::*;

const KNOWN: &str = r#"{"detectedFaces":[{"faceId":"f","detectId":"d","confidence":0.99,"matchConfidence":0.9,
    "person":{"personId":"6f1e2f0c-0000-4000-8000-000000000000","personTags":[{"tagId":"t","tag":{"name":"Staff"}}]}}]}"#;

/// Two of three pictures must agree; whatever the engine says of one between them, the door opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_answer_in_between_that_recognises_nobody_does_not_shut_the_door() {
    for (what, status, between) in [
        ("unknown", 200, r#"{"detectedFaces":[{"faceId":"g","detectId":"e","confidence":0.9}]}"#),
        ("no_face", 200, r#"{"detectedFaces":[]}"#),
        ("refused", 400, ""),
    ] {
        let asked = AtomicUsize::new(0);
        let fake = Fake::start(move |request| match request.is("/publishWithResponse") {
            false => Reply::json(200, r#"{"username":"x"}"#),
            true if asked.fetch_add(1, SeqCst) == 1 => Reply::json(status, between),
            true => Reply::json(200, KNOWN),
        })
        .await;
        let door = "[action.door]\ntype = \"exec\"\nactuator = true\nprogram = \"PROGRAM\"\nargs = [\"OPENED\"]\n\
                    [[rule]]\nname = \"open\"\nactions = [\"door\"]\n";
        let site = Site::new("", "fps = 10.0\n[track]\nbetter_by = 1.0\n");
        let (program, opened) = (site.path("open"), site.path("opened"));
        std::fs::write(&program, "#!/bin/sh\necho opened >> \"$1\"\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let text = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
        let door = door.replace("PROGRAM", program.to_str().unwrap()).replace("OPENED", opened.to_str().unwrap());
        std::fs::write(site.path("doorward.toml"), format!("{text}{}{door}", identities(&fake.url(), ""))).unwrap();
        recording::slow_visit(&site.path("recording"));
        let agent = site.agent();
        support::until("the door to open", || opened.exists()).await;
        assert!(agent.stop().success());
        let outcomes: Vec<_> = site.shots().into_iter().filter_map(|shot| shot.outcome).collect();
        assert_eq!(outcomes, ["known", what, "known"], "three pictures are enough, and no fourth is asked for");
    }
}
