//! The configuration as a whole: the shipped files, the layers, and what must never show.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::advice::sections;
use super::*;

const SHIPPED: &str = include_str!("../../config/doorward.toml");
const DETECTOR: &str = "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\n";

fn write(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("detectors")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let main = folder.path().join("doorward.toml");
    (folder, main)
}

fn with(variables: &[(&str, &str)]) -> Surroundings {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Surroundings { variables, credentials: None }
}

fn shown(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// The manual with every optional key uncommented; kinds that exclude each other are taken one at a time.
fn uncommented(section: &str, kind: Option<&str>) -> String {
    let mut out = String::new();
    let (mut inside, mut right_kind) = (false, true);
    for line in SHIPPED.lines() {
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if bare.starts_with('[') && bare.ends_with(']') && !bare.contains(' ') {
            let header = bare.trim_matches(['[', ']']);
            let below = header.split('.').take(section.split('.').count()).eq(section.split('.'));
            inside = header == section || (below && !header.ends_with(".guard"));
            right_kind = kind.is_none();
            continue;
        }
        if let Some(named) = bare.strip_prefix("type = ") {
            right_kind = kind.is_none_or(|kind| named.trim_matches('"') == kind);
        }
        let is_key = bare.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty()
                && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                && !bare.ends_with('.')
        });
        if inside && right_kind && is_key && !out.contains(&format!("{bare}\n")) {
            out.push_str(bare);
            out.push('\n');
        }
    }
    out
}

#[test]
fn the_shipped_files_load_and_say_the_defaults() {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/doorward.toml");
    let loaded = load_in(Some(&main), &Surroundings::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let settings = loaded.settings;
    let expected = Settings::default();
    assert_eq!(shown(&Settings { detectors: Vec::new(), ..settings.clone() }), shown(&expected));
    let mut detector = DetectorConfig::new(
        DetectorName::new("front-door").unwrap(),
        CameraConfig::V4l2(V4l2Config::new("/dev/video0")),
    );
    detector.time_zone = chrono_tz::Europe::Stockholm;
    assert_eq!(shown(&settings.detectors), shown(&[detector]));
}

#[test]
fn an_empty_file_is_the_defaults() {
    let (_folder, main) = write(&[("doorward.toml", "")]);
    let settings = load_in(Some(&main), &with(&[])).unwrap().settings;
    assert_eq!(shown(&settings), shown(&Settings::default()));
}

#[test]
fn the_manual_has_every_key_and_its_optional_keys_show_their_defaults() {
    for section in sections() {
        let path = match (section.name, section.per_detector) {
            ("rule.when", _) => "rule.when".to_owned(),
            ("action.guard", _) => "action.open.guard".to_owned(),
            (name, true) if !name.is_empty() => format!("detector.{name}"),
            (name, _) => name.to_owned(),
        };
        for key in section.keys {
            let written = match section.name {
                "rule" if *key == "when" => SHIPPED.contains("[rule.when]"),
                "action" if *key == "guard" => SHIPPED.contains("[action.open.guard]"),
                "" => SHIPPED.contains(&format!("{key} = ")) || *key == "name",
                _ => uncommented(&path, section.tag).lines().any(|line| line.starts_with(&format!("{key} = "))),
            };
            assert!(written, "config/doorward.toml does not mention `{key}` of `[{path}]` {:?}", section.tag);
        }
    }

    let camera = |kind| from_toml::<CameraConfig>(&uncommented("detector.camera", Some(kind))).unwrap();
    assert_eq!(shown(&camera("v4l2")), shown(&CameraConfig::V4l2(V4l2Config::new("/dev/video0"))));
    // Whom an unencrypted stream is from cannot be checked.
    let stream = uncommented("detector.camera", Some("stream"));
    let (trusted, plain): (Vec<_>, Vec<_>) = stream.lines().partition(|line| line.starts_with("ca_file"));
    assert_eq!(trusted.len(), 1);
    let stream = from_toml::<CameraConfig>(&plain.join("\n")).unwrap();
    let defaults = StreamConfig { height_px: Some(720), ..StreamConfig::new("") };
    assert_eq!(shown(&stream), shown(&CameraConfig::Stream(defaults)));
    let CameraConfig::Replay(replay) = camera("replay") else { panic!("another type") };
    let defaults = ReplayConfig::new("/path/to/recording.mp4");
    assert_eq!((replay.pace, replay.looped, &replay.path), (defaults.pace, defaults.looped, &defaults.path));

    let action = |name| from_toml::<ActionConfig>(&uncommented(name, None)).unwrap();
    let journal = JournalConfig::new("/var/lib/doorward/events.jsonl");
    assert_eq!(shown(&action("action.log")), shown(&ActionConfig::Journal(journal)));
    let ActionConfig::Webhook(webhook) = action("action.notify") else { panic!("another type") };
    let defaults = WebhookConfig::new("");
    assert_eq!(
        (webhook.method, webhook.timeout_ms, webhook.tries, webhook.within_ms, webhook.actuator),
        (defaults.method, defaults.timeout_ms, defaults.tries, defaults.within_ms, defaults.actuator)
    );
    let (formats, names) = (webhook.body_format == defaults.body_format, webhook.picture_name == defaults.picture_name);
    assert!(formats && names && webhook.concurrency == defaults.concurrency);
    let ActionConfig::Exec(exec) = action("action.open") else { panic!("another type") };
    let defaults = ExecConfig::new("");
    assert_eq!((exec.timeout_ms, exec.concurrency), (defaults.timeout_ms, defaults.concurrency));
    let relay = RelayConfig::new(Some("gpiochip0"), LineName::Offset(17));
    assert_eq!(shown(&action("action.door")), shown(&ActionConfig::Relay(relay)));
    let ActionConfig::Email(email) = action("action.mail") else { panic!("another type") };
    let mut defaults = EmailConfig::new("smtp.site.example", "", Vec::new());
    assert_eq!((&email.subject, &email.body, email.port()), (&defaults.subject, &defaults.body, defaults.port()));
    (defaults.ca_file, defaults.username) = (email.ca_file.clone(), email.username.clone());
    (defaults.to, defaults.port, defaults.password) = (email.to.clone(), email.port, email.password.clone());
    assert_eq!(shown(&email), shown(&defaults));
    let syslog = SyslogConfig::default();
    assert_eq!(shown(&action("action.audit")), shown(&ActionConfig::Syslog(syslog)));
    let ActionConfig::Identities(mark) = action("action.mark") else { panic!("another type") };
    let defaults: ActionConfig = from_toml("type = 'identities'\nnote = 'x'").unwrap();
    let ActionConfig::Identities(defaults) = defaults else { panic!("another type") };
    assert_eq!(
        (mark.timeout_ms, mark.tries, mark.within_ms, mark.concurrency),
        (defaults.timeout_ms, defaults.tries, defaults.within_ms, defaults.concurrency)
    );
    assert_eq!(from_toml::<GuardConfig>(&uncommented("action.open.guard", None)).unwrap(), GuardConfig::default());

    let identities: IdentitiesConfig = from_toml(&uncommented("identities", None)).unwrap();
    let mut defaults = IdentitiesConfig::new(identities.url.clone(), identities.username.clone(), "");
    defaults.ca_file = Some("/etc/doorward/ca.pem".into());
    defaults.pin_sha256.clone_from(&identities.pin_sha256); // an example: it has no default
    assert_eq!(shown(&identities), shown(&defaults));
    assert_eq!(identities.connect_timeout_ms, defaults.connect_timeout_ms);
    assert_eq!(identities.retry_max_ms, defaults.retry_max_ms);

    let mqtt: MqttConfig = from_toml(&uncommented("mqtt", None)).unwrap();
    let mut defaults = MqttConfig::new(mqtt.url.clone());
    (defaults.username, defaults.ca_file) = (mqtt.username.clone(), mqtt.ca_file.clone());
    (defaults.client_id, defaults.password) = (mqtt.client_id.clone(), mqtt.password.clone());
    assert_eq!(shown(&mqtt), shown(&defaults));
    let ActionConfig::Mqtt(message) = action("action.lamp") else { panic!("another type") };
    let defaults = MqttActionConfig { payload: message.payload.clone(), ..MqttActionConfig::new(&message.topic) };
    assert_eq!((shown(&message), message.concurrency), (shown(&defaults), defaults.concurrency));

    let outbox: OutboxConfig =
        from_toml(&uncommented("outbox", None).replace("key = \"${OUTBOX_KEY}\"\n", "")).unwrap();
    assert_eq!(shown(&outbox), shown(&OutboxConfig::default()));

    let when: WhenConfig = from_toml(&uncommented("rule.when", None)).unwrap();
    assert_eq!(when.weekdays.len(), 5);
    let actions =
        BTreeMap::from([("log".to_owned(), action("action.log")), ("lamp".to_owned(), action("action.lamp"))]);
    for (names, rests) in [(&["log"][..], 0), (&["log", "lamp"], 60)] {
        let mut rule = RuleConfig::new("", names.iter().map(|name| (*name).to_owned()).collect());
        rule.fill_cooldown(&actions);
        assert_eq!(rule.cooldown_secs, Some(rests), "{names:?}");
    }
    assert!(uncommented("rule", None).contains("cooldown_secs = 60\n"));
}

#[test]
fn later_layers_win() {
    let main_text = "
        [detector]
        time_zone = \"Europe/Stockholm\"
        [detector.track]
        min_frames = 3
        better_by = 0.2
        [detector.camera]
        type = \"v4l2\"
        device = \"/dev/video0\"
        width_px = 640
        [action.\"Open Door\"]
        type = \"exec\"
        program = \"/bin/true\"
        [[rule]]
        name = \"everywhere\"
        actions = [\"Open Door\"]
        [[rule]]
        name = \"back only\"
        actions = [\"Open Door\"]
        when = { detectors = [\"Back Door\"] }
    ";
    let front = "[track]\nmin_frames = 4\n[camera]\ntype = \"stream\"\nurl = \"rtsp://camera/1\"\n";
    let back = "name = \"Back Door\"\n[camera]\nwidth_px = 320\n[[rule]]\nname = \"own\"\nactions = [\"Open Door\"]\n";
    let (_folder, main) =
        write(&[("doorward.toml", main_text), ("detectors/front-door.toml", front), ("detectors/b.toml", back)]);
    let variables = with(&[
        ("DOORWARD__OUTBOX__MAX_AGE_HOURS", "24"),
        ("DOORWARD__STATUS__LISTEN", "off"),
        ("DOORWARD__DETECTOR__QUALITY__MIN_FACE_PX", "60"),
        ("DOORWARD__ACTION__OPEN_DOOR__ARGS", "[\"a\", \"b c\"]"),
        ("DOORWARD__ACTION__OPEN_DOOR__PROGRAM", "/bin/${X}"),
        ("DOORWARD__DETECTORS__FRONT_DOOR__CAMERA__URL", "rtsp://u:p$$@camera/2"),
        ("DOORWARD__DETECTORS__BACK_DOOR__TRACK__BETTER_BY", "0.5"),
        ("DOORWARD__DETECTORS__BACK_DOOR__DETECT__MODEL", "1"),
        ("DOORWARD_CONFIG", "not for us"),
    ]);
    let settings = load_in(Some(&main), &variables).unwrap().settings;
    assert_eq!((settings.outbox.max_age_hours, settings.status.listen), (24, None));
    let ActionConfig::Exec(exec) = &settings.actions["Open Door"] else { panic!("another type") };
    assert_eq!((exec.args.as_slice(), &*exec.program), (&["a".into(), "b c".into()][..], Path::new("/bin/${X}")));

    let names: Vec<&str> = settings.detectors.iter().map(|detector| detector.name.as_str()).collect();
    assert_eq!(names, ["Back Door", "front-door"]);
    let (back, front) = (settings.detector("Back Door").unwrap(), settings.detector("front-door").unwrap());
    assert_eq!((back.track.min_frames, back.track.better_by, back.detect.model.as_str()), (3, 0.5, "1"));
    assert_eq!((front.track.min_frames, front.track.better_by, front.quality.min_face_px), (4, 0.2, 60));
    let CameraConfig::V4l2(camera) = &back.camera else { panic!("another type") };
    assert_eq!((camera.width_px, camera.device.as_str()), (320, "/dev/video0"));
    let CameraConfig::Stream(camera) = &front.camera else { panic!("another type") };
    assert_eq!(camera.url.expose_secret(), "rtsp://u:p$$@camera/2");
    let rules = |detector: &DetectorConfig| detector.rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (rules(back), rules(front)),
        (vec!["everywhere".into(), "back only".into(), "own".into()], vec!["everywhere".to_owned()])
    );
}

#[test]
fn what_is_filled_in_takes_the_type_its_key_wants() {
    let main_text = "
        [models]
        threads = \"${THREADS:2}\"
        [detector.detect]
        min_score = \"${SCORE}\"
        [detector.identify]
        include_names = \"${NAMES}\"
        [outbox]
        max_age_hours = \"${HOURS}\"
    ";
    let (_folder, main) = write(&[("doorward.toml", main_text), ("detectors/a.toml", DETECTOR)]);
    let good = with(&[("SCORE", "0.7"), ("NAMES", "false"), ("HOURS", " 5 ")]);
    let settings = load_in(Some(&main), &good).unwrap().settings;
    let detector = &settings.detectors[0];
    assert_eq!(
        (
            settings.models.threads,
            settings.outbox.max_age_hours,
            detector.detect.min_score,
            detector.identify.include_names
        ),
        (2, 5, 0.7, false)
    );
    let bad = with(&[("SCORE", "0.7"), ("NAMES", "hunter2"), ("HOURS", "s3cret")]);
    let error = load_in(Some(&main), &bad).unwrap_err().to_string();
    assert!(error.contains("`outbox.max_age_hours`: it is another text; it must be a whole number"), "{error}");
    assert!(
        error.contains("`detector.identify.include_names`: it is another text; it must be true or false"),
        "{error}"
    );
    assert!(!error.contains("hunter2") && !error.contains("s3cret"), "{error}");
}

#[test]
fn secrets_do_not_show() {
    let main_text = "
        [identities]
        url = \"https://engine.example\"
        username = \"box\"
        password = \"${PASSWORD}\"
        [action.hook]
        type = \"webhook\"
        url = \"https://chat.example/${PASSWORD}\"
        headers = { Authorization = \"Bearer ${PASSWORD}\" }
        body = \"${PASSWORD}\"
        [action.run]
        type = \"exec\"
        program = \"/bin/true\"
        args = [\"${PASSWORD}\"]
        env = { TOKEN = \"${PASSWORD}\" }
        [action.push]
        type = \"webhook\"
        preset = { type = \"pushover\", token = \"${PASSWORD}\", user = \"${PASSWORD}\", message = \"${PASSWORD}\" }
        [action.ntfy]
        type = \"webhook\"
        preset = { type = \"ntfy\", url = \"https://ntfy.example/${PASSWORD}\", token = \"${PASSWORD}\" }
        [action.gate]
        type = \"webhook\"
        preset = { type = \"shelly_gen2\", url = \"http://x:${PASSWORD}@shelly\", password = \"${PASSWORD}\" }
        [action.mail]
        type = \"email\"
        host = \"smtp.example\"
        from = \"a@site.example\"
        to = [\"${PASSWORD}@site.example\"]
        username = \"${PASSWORD}\"
        password = \"${PASSWORD}\"
        [action.mark]
        type = \"identities\"
        note = \"${PASSWORD}\"
        [[rule]]
        name = \"all\"
        actions = [\"hook\", \"run\", \"push\", \"ntfy\", \"gate\", \"mail\", \"mark\"]
    ";
    let camera = "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://u:${PASSWORD}@camera/1\"\n";
    let (_folder, main) = write(&[("doorward.toml", main_text), ("detectors/a.toml", camera)]);
    let surroundings = with(&[("PASSWORD", "hunter2")]);
    let loaded = load_in(Some(&main), &surroundings).unwrap();
    assert_eq!(loaded.settings.identities.as_ref().unwrap().password.expose_secret(), "hunter2");
    let text = format!("{loaded:?} {loaded:#?} {surroundings:?}");
    assert!(text.contains("engine.example") && !text.contains("hunter2"), "{text}");
    let mut address = loaded.settings.identities.clone().unwrap();
    address.url = "https://u:hunter2@engine.example".parse().unwrap();
    assert!(!shown(&address).contains("hunter2"));
}

#[test]
fn secrets_written_into_open_files_and_unencrypted_engines_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let main_text = "[identities]\nurl = \"http://engine.example\"\nallow_plain_http = true\nusername = \"box\"\n\
                     password = \"hunter2\"\n";
    let (_folder, main) = write(&[("doorward.toml", main_text)]);
    for (mode, count) in [(0o644, 2), (0o640, 1)] {
        std::fs::set_permissions(&main, std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = load_in(Some(&main), &with(&[])).unwrap().warnings;
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert!(warnings[0].to_string().contains("doorward.toml:2: `identities.url`"), "{warnings:?}");
        assert!(!shown(&warnings).contains("hunter2"));
    }
}

#[test]
fn a_later_mistake_is_told_at_its_key() {
    let main_text = "[detector.detect]\nmodel = \"yunet\"\n[models]\nthreads = 1\n";
    let (_folder, main) = write(&[("doorward.toml", main_text), ("detectors/a.toml", DETECTOR)]);
    let loaded = load_in(Some(&main), &with(&[])).unwrap();
    let name = loaded.settings.detectors[0].name.clone();
    let cases = [
        (Some(&name), "detect.model", "doorward.toml:2: `detector.detect.model`: x"),
        (Some(&name), "camera.device", "detectors/a.toml:4: `camera.device`: x"),
        (None, "models.dir", "doorward.toml:3: `models.dir`: x"),
        (None, "state_dir", "doorward.toml: `state_dir`: x"),
    ];
    for (detector, key, expected) in cases {
        let text = loaded.mistake(detector, key, "x").to_string();
        assert!(text.ends_with(expected), "{text}");
    }
}

#[test]
fn variables_for_no_detector_are_mistakes() {
    let (_folder, main) = write(&[("doorward.toml", ""), ("detectors/front-door.toml", DETECTOR)]);
    let cases = [
        ("DOORWARD__DETECTORS__FRONT_DOR__CAMERA__DEVICE", "did you mean `FRONT_DOOR`?"),
        ("DOORWARD__DETECTORS__GARAGE__CAMERA__DEVICE", "there are `FRONT_DOOR`"),
        ("DOORWARD__DETECTORS__FRONT_DOOR", "a section and a key must follow"),
        ("DOORWARD__OUTBOX__MAX_AGE", "environment variable DOORWARD__OUTBOX__MAX_AGE: `outbox.max_age`"),
        ("DOORWARD__OUTBOX__MAX_AGE_HOURS", "it is another text; it must be a whole number"),
        ("DOORWARD__OUTBOX", "it is another text; it must be a table"),
    ];
    for (name, expected) in cases {
        let error = load_in(Some(&main), &with(&[(name, "xyzzy")])).unwrap_err();
        assert_eq!(error.mistakes.len(), 1, "{error}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(expected) && !text.contains("xyzzy"), "{text}");
    }
}

#[test]
fn what_is_missing_in_a_table_of_a_variable_is_told_at_the_variable() {
    let (_folder, main) = write(&[("doorward.toml", "")]);
    let error = load_in(Some(&main), &with(&[("DOORWARD__ACTION__X", "{ type = \"exec\" }")])).unwrap_err().to_string();
    let told = "environment variable DOORWARD__ACTION__X: `action.x.program`: this is missing; write `program = ";
    assert!(error.contains(told), "{error}");
}

#[test]
fn names_of_detectors() {
    let cases = BTreeMap::from([
        ("front-door", true),
        ("Front Door 2", true),
        ("Dörr", true),
        ("Do\u{308}rr", true),
        ("q\u{323}\u{307}", true),
        ("\u{308}rr", false),
        ("", false),
        (" x", false),
        ("x ", false),
        ("-x", false),
        ("a/b", false),
    ]);
    for (name, good) in cases {
        assert_eq!(DetectorName::new(name).is_ok(), good, "{name:?}");
    }
    assert_eq!(DetectorName::new("Do\u{308}rr"), DetectorName::new("Dörr"), "as some systems name files");
    assert!(DetectorName::new(&"x".repeat(64)).is_ok());
    assert!(DetectorName::new(&"x".repeat(65)).is_err());
}

#[test]
fn a_key_is_read_as_hexadecimal_digits_or_base64() {
    let hexadecimal = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let key: Vec<u8> = (0..32).collect();
    for (text, good) in [
        (hexadecimal, true),
        (&hexadecimal.to_uppercase(), true),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true),
        (" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8 ", true),
        (&hexadecimal[2..], false),
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd", false),
        ("a password", false),
        ("", false),
    ] {
        let config = OutboxConfig { key: Some(text.to_owned().into()), ..OutboxConfig::default() };
        let read = config.key_bytes().map(|key| key.unwrap().to_vec());
        assert_eq!(read.ok(), good.then(|| key.clone()), "{text}");
        assert!(text.len() < 10 || !shown(&config).contains(text));
    }
    assert!(OutboxConfig::default().key_bytes().unwrap().is_none());
}
