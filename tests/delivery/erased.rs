//! Somebody who came by, and is erased while the agent runs: no byte is left on the box, then or after it is killed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::fake::{Fake, Reply};
use super::*;

const ANN: &str = "7a2f5e10-9c3d-4b1e-8f60-52d1c04be9aa";
const FACE: &str = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
const NAME: &str = "Marguerite-7319";

const ACTIONS: &str = "
[outbox]\nkeep_known_hours = 1
[action.log]\ntype = \"journal\"\npath = \"JOURNAL\"
[[rule]]\nname = \"all\"\nactions = [\"log\"]\nwhen = { outcome = [\"known\"] }
";

/// The files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

impl Site {
    /// What of the person stands in any file of the box, but for the recording.
    fn remains(&self) -> Vec<String> {
        let mut found = Vec::new();
        for file in walk(self.folder.path()).iter().filter(|file| !file.starts_with(self.path("recording"))) {
            // One that is gone meanwhile holds nothing.
            let bytes = std::fs::read(file).unwrap_or_default();
            let is_there = |needle: &&&str| memchr::memmem::find(&bytes, needle.as_bytes()).is_some();
            found.extend(
                [ANN, FACE, NAME].iter().filter(is_there).map(|needle| format!("{needle} in {}", file.display())),
            );
        }
        found
    }

    fn pictures(&self) -> usize {
        let listed =
            doorward().args(["pictures", "list", "--json", "--config"]).arg(self.path("doorward.toml")).output();
        String::from_utf8(listed.unwrap().stdout).unwrap().lines().count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_who_is_purged_no_byte_is_left_on_the_box() {
    let fake = Fake::start(|request| match request.is("/publishWithResponse") {
        false => Reply::json(200, r#"{"username":"x"}"#),
        true => Reply::json(
            200,
            &json!({"detectedFaces": [{"faceId": FACE, "confidence": 0.9, "matchConfidence": 0.97,
                "person": {"personId": ANN, "friendlyName": NAME, "aliases": [{"lastName": NAME}]}}]})
            .to_string(),
        ),
    })
    .await;
    let site = Site::new("", "fps = 10.0\n");
    let journal = site.path("journal");
    let text = std::fs::read_to_string(site.path("doorward.toml")).unwrap();
    let actions = ACTIONS.replace("JOURNAL", journal.to_str().unwrap());
    std::fs::write(site.path("doorward.toml"), format!("{text}{}{actions}", identities(&fake.url(), ""))).unwrap();
    recording::visit(&site.path("recording"));
    let agent = site.agent();
    support::until("the visitor to be told", || journal.exists() && site.settled() > 0 && site.pictures() > 0).await;
    let before = site.remains();
    assert!([ANN, NAME].iter().all(|needle| before.iter().any(|found| found.starts_with(needle))), "{before:?}");

    let purged =
        doorward().args(["purge", "--json", "--person", ANN, "--config"]).arg(site.path("doorward.toml")).output();
    let purged: Value = serde_json::from_slice(&purged.unwrap().stdout).unwrap();
    assert!(purged["erased"]["visits"].as_u64() >= Some(1), "{purged}");
    assert_eq!(site.remains(), Vec::<String>::new(), "while the agent runs");
    assert_eq!(site.pictures(), 0);
    drop(agent); // killed
    assert_eq!(site.remains(), Vec::<String>::new(), "after a kill");
}
