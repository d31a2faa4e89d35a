//! The configuration through the real binary: `doorward check` on files with every kind of mistake.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A box with one detector that has nothing wrong with it.
const MAIN: &str = "[identities]
url = \"https://engine.example/identities\"
username = \"box\"
password = \"${PASSWORD:secret}\"
";
const FRONT: &str = "time_zone = \"Europe/Stockholm\"
[camera]
type = \"replay\"
path = \"/\"
";

struct Box {
    folder: tempfile::TempDir,
}

impl Box {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("detectors")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, more: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = doorward();
        command.arg("check").arg("--config").arg(self.path("doorward.toml")).args(more);
        command.env("DOORWARD__STATE_DIR", self.path("state")).env("DOORWARD_MODELS_DIR", self.path("models"));
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// The details of every check of this result.
    fn details(&self, output: &Output, result: &str) -> Vec<String> {
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        });
        assert_eq!(document["ok"], Value::Bool(output.status.success()));
        let checks = document["checks"].as_array().unwrap().iter().filter(|check| check["result"] == result);
        let prefix = format!("{}/", self.folder.path().display());
        checks.map(|check| check["detail"].as_str().unwrap().replace(&prefix, "")).collect()
    }
}

fn doorward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
    command.env_remove("CREDENTIALS_DIRECTORY").env_remove("DOORWARD_CONFIG").env_remove("STATE_DIRECTORY");
    command
}

#[test]
fn every_mistake_names_file_line_key_and_what_to_do() {
    // What stands in the main file beside MAIN, in the detector's file instead of FRONT when it is not empty, and the
    // mistakes expected. MAIN has four lines: the first of the added is line 5.
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[&str])] = &[
        // Unknown keys: a slip of the finger, another section, another file, another type, nothing close.
        ("[outbox]\nmax_age_hour = 3", "", &["doorward.toml:6: `outbox.max_age_hour`: there is no such key here; did you mean `max_age_hours`?"]),
        ("[detector.track]\nmin_face_px = 60", "", &["doorward.toml:6: `detector.track.min_face_px`: there is no such key here; it belongs in `[quality]`"]),
        ("", "time_zone = \"UTC\"\nlisten = \"off\"\n[camera]\ntype = \"replay\"\npath = \"/\"", &["detectors/front.toml:2: `listen`: there is no such key here; it belongs in `[status]`"]),
        ("[camera]\ntype = \"v4l2\"", "", &["doorward.toml:5: `camera`: there is no such key here; it belongs to a detector: write it in a file under `detectors/`, or as `detector.camera` for all detectors"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n[identities]\n", &["detectors/front.toml:5: `identities`: there is no such key here; it belongs in `doorward.toml`, not in a detector's file"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\nurl = \"rtsp://x\"", &["detectors/front.toml:5: `camera.url`: there is no such key here; it belongs in `type = \"stream\"` or"]),
        ("[indentities]", "", &["doorward.toml:5: `indentities`: there is no such key here; did you mean `identities`?"]),
        ("dry_run = 1", "", &["doorward.toml:5: `identities.dry_run`: there is no such key here"]),
        ("[log]\nxyzzy = 1", "", &["doorward.toml:6: `log.xyzzy`: there is no such key here; the keys here are `filter` and `format`"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\ntags_any = [\"staff\"]\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:8: `rule.tags_any`: there is no such key here; it belongs in the rule's `when`"]),
        ("[detector]\nname = \"x\"", "", &["doorward.toml:6: `detector.name`: every detector has a name of its own"]),
        ("[[detector.rule]]\nname = \"x\"", "", &["`detector.rule`: rules for all detectors stand at the top level"]),
        // Wrong types.
        ("[outbox]\nmax_age_hours = \"3\"", "", &["doorward.toml:6: `outbox.max_age_hours`: it is text; it must be a whole number from 0 to 4294967295"]),
        ("[models]\nthreads = -1", "", &["doorward.toml:6: `models.threads`: it is -1; it must be a whole number from 0 to 65535"]),
        ("[models]\nthreads = 1.5", "", &["doorward.toml:6: `models.threads`: it is 1.5; it must be a whole number"]),
        ("log = \"info\"", "", &["doorward.toml:5: `identities.log`: there is no such key here"]),
        ("[detector.identify]\ninclude_tags = \"yes\"", "", &["doorward.toml:6: `detector.identify.include_tags`: it is text; it must be true or false"]),
        ("[[rule]]\nname = \"a\"\nactions = \"j\"", "", &["doorward.toml:7: `rule.actions`: it is text; it must be a list in square brackets"]),
        ("[[rule]]\nname = \"a\"\nactions = []\nwhen = { fields = { X = [1] } }", "", &["doorward.toml:7: `rule.actions`: it is empty", "doorward.toml:8: `rule.when.fields.X`: it is a list; it must be text in quotes, a number, or true or false; or a comparison like { at_least = 18 }"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\ncontrols = { gain = 1.5 }", &["detectors/front.toml:5: `camera.controls.gain`: it is 1.5; it must be a whole number, true or false, or the name of a menu's entry in quotes"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\ncontrols = 3", &["detectors/front.toml:5: `camera.controls`: it is 3; it must be a table"]),
        // Words that are not among the choices.
        ("[detector.identify]\ncall = \"publishWithResponse\"", "", &["doorward.toml:6: `detector.identify.call`: `publishWithResponse` is not one of `publish_with_response`, `publish`, `recognize` and `lookup`; did you mean `publish_with_response`?"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"usb\"\ndevice = \"0\"", &["detectors/front.toml:3: `camera.type`: `usb` is not one of `v4l2`, `stream`, `snapshot`, `program` and `replay`"]),
        ("[action.x]\ntype = \"webhok\"\nurl = \"https://a.example\"", "", &["doorward.toml:6: `action.x.type`: `webhok` is not one of `journal`, `webhook`, `exec`, `relay`, `email`, `syslog`, `identities` and `mqtt`; did you mean `webhook`?"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\nwhen = { weekdays = [\"mon\", \"tues\"] }\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:8: `rule.when.weekdays`: `tues` is not one of `mon`, `tue`"]),
        // Missing keys.
        ("[action.x]\nurl = \"https://a.example\"", "", &["doorward.toml:5: `action.x.type`: this is missing; write `type = \"KIND\"`, where KIND is one of `journal`, `webhook`"]),
        ("[action.x]\ntype = \"exec\"", "", &["doorward.toml:5: `action.x.program`: this is missing; write `program = "]),
        ("[[rule]]\nactions = [\"x\"]", "", &["doorward.toml:5: `rule.name`: this is missing"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"", &["detectors/front.toml:2: `camera.device`: this is missing; write `device = \"/dev/video0\"`"]),
        ("", "[camera]\ntype = \"replay\"\npath = \"/\"", &["detectors/front.toml: `time_zone`: this is missing; write where the door is, for example `time_zone = \"Europe/Stockholm\"`"]),
        ("", "time_zone = \"UTC\"", &["detectors/front.toml: `camera`: this is missing; add a `[camera]` section"]),
        // Impossible values.
        ("[detector.crop]\njpeg_quality = 101", "", &["doorward.toml:6: `detector.crop.jpeg_quality`: 101 is out of range; it must be from 1 to 100"]),
        ("[detector.detect]\nmin_score = 60", "", &["doorward.toml:6: `detector.detect.min_score`: 60 is out of range; it must be from 0 to 1"]),
        ("[detector.detect]\nmin_score = nan", "", &["doorward.toml:6: `detector.detect.min_score`: NaN is out of range"]),
        ("[models]\nthreads = 0", "", &["doorward.toml:6: `models.threads`: 0 is out of range; it must be from 1 to 64"]),
        ("[outbox]\ndrain_per_sec = 1001", "", &["doorward.toml:6: `outbox.drain_per_sec`: 1001 is out of range; it must be from 0 to 1000"]),
        ("timeout_ms = 5", "", &["doorward.toml:5: `identities.timeout_ms`: 5 is out of range; it must be from 100 to 600000"]),
        ("[outbox]\nmax_bytes = 1000000", "", &["doorward.toml:6: `outbox.max_bytes`: 1000000 is out of range; it must be from 1048576 to"]),
        ("[outbox]\nmax_sightings = 9", "", &["doorward.toml:6: `outbox.max_sightings`: 9 is out of range; it must be from 10 to 1000000"]),
        ("[outbox]\nkeep_known_hours = 9000", "", &["doorward.toml:6: `outbox.keep_known_hours`: 9000 is out of range; it must be from 0 to 8760"]),
        ("[outbox]\nkeep_max_bytes = 0", "", &["doorward.toml:6: `outbox.keep_max_bytes`: 0 is out of range"]),
        ("[outbox]\ndrain = \"fifo\"", "", &["doorward.toml:6: `outbox.drain`: `fifo` is not one of `in_order` and `newest_first`"]),
        ("[outbox]\nkey = \"${KEY:too short}\"", "", &["doorward.toml:6: `outbox.key`: it must be 32 bytes in hexadecimal digits or Base64; `openssl rand -hex 32` makes one"]),
        ("[status]\nlisten = \"8780\"", "", &["doorward.toml:6: `status.listen`: `8780` is neither an address like"]),
        ("[status]\nlisten = \"127.0.0.1:87800\"", "", &["doorward.toml:6: `status.listen`: `127.0.0.1:87800` is neither an address like"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\npace = \"fixed\"", &["detectors/front.toml:5: `camera.pace`: `fixed` also needs `fps`, from 0.1 to 240"]),
        ("[log]\nfilter = \"info,doorward=loud\"", "", &["doorward.toml:6: `log.filter`: it is not like"]),
        // Names that lead nowhere, and names given twice.
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\n[camera.controls]\n\"%\" = 1", &["detectors/front.toml:6: `camera.controls.%`: this is no control's name; `doorward camera list` shows"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"v4l2\"\ndevice = \"0\"\ncontrols = { Gain = 1, gain = 2 }", &["detectors/front.toml:5: `camera.controls.gain`: this control stands here twice"]),
        ("", "time_zone = \"Europe/Stokholm\"\n[camera]\ntype = \"replay\"\npath = \"/\"", &["detectors/front.toml:1: `time_zone`: there is no time zone `Europe/Stokholm`; did you mean `Europe/Stockholm`?"]),
        ("", "time_zone = \"stockholm\"\n[camera]\ntype = \"replay\"\npath = \"/\"", &["did you mean `Europe/Stockholm`?"]),
        ("", "time_zone = \"GMT+2\"\n[camera]\ntype = \"replay\"\npath = \"/\"", &["detectors/front.toml:1: `time_zone`: there is no time zone `GMT+2`; for 2 hours ahead of Greenwich name a place, such as `Europe/Helsinki`"]),
        // An address that is none is told of with the reason, and never with its password.
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://admin:hunter/2@cam.local/x\"", &["detectors/front.toml:4: `camera.url`: it is no address: invalid port number; a `/`, `?`, `#`, `%` or `@` in its user name or password must be percent-encoded"]),
        // Hosts a camera may lead to, and addresses that lead nowhere.
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = [\"*\"]", &["detectors/front.toml:5: `camera.allow_hosts`: `*` is neither a host's name nor an address or a network; write it like `media.example`, `10.0.0.8`, `10.0.0.8:8080` or `10.0.9.0/24`"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = [\"10.0.0.8/24\"]", &["detectors/front.toml:5: `camera.allow_hosts`: the network of `10.0.0.8/24` is written `10.0.0.0/24`"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = [\"10.0.0.0/33\"]", &["detectors/front.toml:5: `camera.allow_hosts`: `10.0.0.0/33` is no network; write it like `media.example`, `10.0.0.8`, `10.0.0.8:8080` or `10.0.9.0/24`"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = [\"a.example\", \"b.example:0\"]", &["detectors/front.toml:5: `camera.allow_hosts`: `b.example:0` has no port from 1 to 65535 after its colon; write it like `media.example`, `10.0.0.8`, `10.0.0.8:8080` or `10.0.9.0/24`"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = [\"http://u:hidden@nvr/\"]", &["detectors/front.toml:5: `camera.allow_hosts`: the host alone is wanted, without a scheme and an account; write it like `media.example`, `10.0.0.8`, `10.0.0.8:8080` or `10.0.9.0/24`"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_hosts = \"nvr\"", &["detectors/front.toml:5: `camera.allow_hosts`: it is text; it must be a list in square brackets"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://cam\"\nallow_host = [\"nvr\"]", &["detectors/front.toml:5: `camera.allow_host`: there is no such key here; did you mean `allow_hosts`?"]),
        ("", "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"gopher://cam/x\"", &["detectors/front.toml:4: `camera.url`: it must begin with `rtsp://`, `rtsps://`"]),
        ("[mqtt]\nurl = \"mqtt://door:hunter/2@broker.local\"", "", &["doorward.toml:6: `mqtt.url`: it is no address: invalid port number; a `/`"]),
        ("[action.a]\ntype = \"webhook\"\nurl = \"https://door:hunter#2@host/\"", "", &["doorward.toml:7: `action.a.url`: it is no address: invalid port number"]),
        ("[detector]\ntime_zone = \"Mars/Olympus\"", "[camera]\ntype = \"replay\"\npath = \"/\"", &["doorward.toml:6: `detector.time_zone`: there is no time zone `Mars/Olympus`; write it like `Europe/Stockholm`"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"jornal\"]\n[action.journal]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:7: `rule.actions`: there is no action `jornal`; did you mean `journal`?"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"open\"]", "", &["doorward.toml:7: `rule.actions`: there is no action `open`; there is none; add a section `[action.open]`"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\n[[rule]]\nname = \"a\"\nactions = [\"j\"]\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:9: `rule.name`: another rule is called `a` too at doorward.toml:6; rename one"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/\"\n[[rule]]\nname = \"a\"\nactions = [\"j\"]", &["detectors/front.toml:6: `rule.name`: another rule is called `a` too at doorward.toml:6; rename one"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\nwhen = { detectors = [\"front-door\"] }\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:8: `rule.when.detectors`: there is no detector `front-door`; did you mean `front`?"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\nwhen = { between = [\"8-18\"] }\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:8: `rule.when.between`: `8-18` is not a time window like \"08:00-18:00\""]),
        ("[[rule]]\nname = \"a\"\nactions = [\"j\"]\nunless = { between = [\"00:00-00:00\"] }\n[action.j]\ntype = \"journal\"\npath = \"/tmp/j\"", "", &["doorward.toml:8: `rule.unless.between`: a time window that ends when it starts is empty; for the whole day leave it out"]),
        // Actions.
        ("[action.x]\ntype = \"webhook\"\nurl = \"chat.example/hook\"\nmethod = \"FETCH\"", "", &["doorward.toml:7: `action.x.url`: it must start with https:// or http://", "doorward.toml:8: `action.x.method`: it must be one of `GET`, `POST`"]),
        ("ca_file = \"/x\"\npin_sha256 = [\"sha256//abc\"]", "", &["doorward.toml:6: `identities.pin_sha256`: this is not the SHA-256 of a public key in Base64"]),
        ("[action.x]\ntype = \"webhook\"\nurl = \"http://127.0.0.1/\"\nca_file = \"/x\"", "", &["doorward.toml:8: `action.x.ca_file`: there is no certificate to check over http"]),
        // Actions that make no sense.
        ("[action.x]\ntype = \"webhook\"", "", &["doorward.toml:5: `action.x.url`: this is missing; write `url = \"https://host.example/path\"`, or a `preset`"]),
        ("[action.x]\ntype = \"webhook\"\nurl = \"http://a/\"\nbody = \"{}\"\nbody_format = \"picture\"\nconcurrency = 0", "", &["doorward.toml:8: `action.x.body`: it stands beside another body", "doorward.toml:10: `action.x.concurrency`: 0 is out of range"]),
        ("[action.x]\ntype = \"webhook\"\nurl = \"http://a/\"\npreset = { type = \"shelly_gen1\", url = \"10.0.0.7\", pulse_ms = 5 }", "", &["doorward.toml:7: `action.x.url`: the preset fills this in", "doorward.toml:8: `action.x.preset.pulse_ms`: 5 is out of range; it must be from 100 to 60000", "doorward.toml:8: `action.x.preset.url`: it must start with https:// or http://"]),
        ("[action.x]\ntype = \"webhook\"\npreset = { type = \"shelly\", url = \"http://a\" }", "", &["doorward.toml:5: `action.x.url`: this is missing", "doorward.toml:7: `action.x.preset.type`: `shelly` is not one of `shelly_gen1`"]),
        ("[action.x]\ntype = \"webhook\"\npreset = { type = \"tasmota\", url = \"http://a\", channel = 0, topic = \"x\" }", "", &["doorward.toml:7: `action.x.preset.channel`: it must be from 1 to 32", "doorward.toml:7: `action.x.preset.topic`: there is no such key here"]),
        ("[action.x]\ntype = \"webhook\"\npreset = { type = \"tasmota\", url = \"http://a\", channel = 0 }", "", &["doorward.toml:7: `action.x.preset.channel`: it must be from 1 to 32"]),
        ("[action.x]\ntype = \"relay\"\nline = 17", "", &["doorward.toml:7: `action.x.line`: a number is one of a chip's; name the chip as well"]),
        ("[action.x]\ntype = \"relay\"\nline = -1\nchip = \"a\"", "", &["doorward.toml:7: `action.x.line`: lines are numbered from 0"]),
        ("[action.x]\ntype = \"relay\"\nline = true", "", &["doorward.toml:7: `action.x.line`: it is true; it must be the number of a line on its chip, or its name in quotes"]),
        ("[action.x]\ntype = \"relay\"\nline = \"DOOR\"\npulse_ms = 5000\nlongest_ms = 1000", "", &["doorward.toml:9: `action.x.longest_ms`: it is shorter than one pulse of 5000 ms"]),
        ("[action.x]\ntype = \"email\"\nhost = \"smtp://a\"\nfrom = \"a@b\"\nto = []\nusername = \"a\"", "", &["doorward.toml:7: `action.x.host`: it must be the name of an SMTP server", "doorward.toml:9: `action.x.to`: it is empty", "doorward.toml:10: `action.x.username`: there is no `password` with it"]),
        ("[action.x]\ntype = \"syslog\"\nto = \"log.example\"", "", &["doorward.toml:7: `action.x.to`: `log.example` is none of \"local\""]),
        ("[action.x]\ntype = \"identities\"\ntag_for_secs = 5", "", &["doorward.toml:5: `action.x`: it does nothing; write `add_tag`", "doorward.toml:7: `action.x.tag_for_secs`: there is no `add_tag` with it"]),
        ("[action.x]\ntype = \"exec\"\nprogram = \"/bin/true\"\nactuator = true\nguard = { sightings = 4, of = 3 }", "", &["doorward.toml:9: `action.x.guard.sightings`: 4 is out of range; it must be from 1 to 3"]),
        ("[action.x]\ntype = \"exec\"\nprogram = \"/bin/true\"\nactuator = true\n[action.x.guard]\nmin_quality = 1.5\nneeds_tag = false\ntags_any = [\"a\"]", "", &["doorward.toml:10: `action.x.guard.min_quality`: 1.5 is out of range", "doorward.toml:12: `action.x.guard.tags_any`: it has no effect with `needs_tag = false`"]),
        ("[action.x]\ntype = \"exec\"\nprogram = \"/bin/true\"\nsightings = 2", "", &["doorward.toml:8: `action.x.sightings`: there is no such key here; it belongs in `[action.NAME.guard]`"]),
        ("[detector]\npresence = { absent_secs = 0 }", "", &["doorward.toml:6: `detector.presence.absent_secs`: 0 is out of range; it must be from 1 to 86400"]),
        ("[[rule]]\nname = \"a\"\nactions = [\"x\"]\nwhen = { event = [\"left\"] }\n[action.x]\ntype = \"exec\"\nprogram = \"/bin/true\"\nactuator = true", "", &["doorward.toml:7: `rule.actions`: `x` is an actuator, and nothing is opened for somebody who has left"]),
        // The MQTT broker.
        ("[mqtt]\ntopic = \"x\"", "", &["doorward.toml:5: `mqtt.url`: this is missing; write `url = \"mqtt://broker.example:1883\"`"]),
        ("[mqtt]\nurl = \"http://h\"\nhome_asistant = true", "", &["doorward.toml:6: `mqtt.url`: `http` is not a way to reach a broker; use mqtts or mqtt", "doorward.toml:7: `mqtt.home_asistant`: there is no such key here; did you mean `home_assistant`?"]),
        ("[mqtt]\nurl = \"mqtt://u:hidden@h\"", "", &["doorward.toml:6: `mqtt.url`: it holds an account; write that as `username` and `password`"]),
        ("[mqtt]\nurl = \"mqtt://h/house\"\ntopic = \"house/#\"", "", &["doorward.toml:6: `mqtt.url`: after the broker's name and port nothing may follow", "doorward.toml:7: `mqtt.topic`: it must be a topic like `doorward`"]),
        ("[mqtt]\nurl = \"mqtts://[::1]\"\nclient_id = \"a/b\"", "", &["doorward.toml:6: `mqtt.url`: with TLS the broker needs a name or an IPv4 address", "doorward.toml:7: `mqtt.client_id`: it must be 1 to 64 letters"]),
        ("[mqtt]\nurl = \"mqtt://h\"\npassword = \"hidden\"\nca_file = \"/ca.pem\"\nkeep_alive_secs = 1", "", &["doorward.toml:7: `mqtt.password`: MQTT knows no password without a user name", "doorward.toml:8: `mqtt.ca_file`: it has an effect with `mqtts://` alone", "doorward.toml:9: `mqtt.keep_alive_secs`: 1 is out of range"]),
        ("[action.m]\ntype = \"mqtt\"\ntopic = \"t\"", "", &["doorward.toml:5: `action.m`: it needs a broker, and none is configured: add `[mqtt]`"]),
        ("[mqtt]\nurl = \"mqtt://h\"\n[action.m]\ntype = \"mqtt\"\ntopic = \" \"\nqos = 2\nretain = true\nactuator = true", "", &["doorward.toml:9: `action.m.topic`: it is empty", "doorward.toml:10: `action.m.qos`: 2 is out of range; it must be from 0 to 1", "doorward.toml:11: `action.m.retain`: the broker would repeat the command"]),
        // Secrets that are not there.
        ("ca_file = \"${CA_FILE}\"", "", &["doorward.toml:5: `identities.ca_file`: `CA_FILE` is set neither as a credential nor in the environment; add `LoadCredential=CA_FILE:/path/to/file` to the unit"]),
        // Not TOML.
        ("[outbox\nmax", "", &["doorward.toml:5: this is not TOML: "]),
        ("[outbox]\n[outbox]", "", &["doorward.toml:6: this is not TOML: duplicate key"]),
        ("", "time_zone = UTC", &["detectors/front.toml:1: this is not TOML: "]),
        // Several at once, in the order of the lines.
        ("[models]\nthreads = 0\nthread = 1\n[outbox]\nmax_bytes = \"1 GB\"\nhistory_day = 7", "", &[
            "doorward.toml:6: `models.threads`: 0 is out of range",
            "doorward.toml:7: `models.thread`: there is no such key here; did you mean `threads`?",
            "doorward.toml:9: `outbox.max_bytes`: it is text; it must be a whole number",
            "doorward.toml:10: `outbox.history_day`: there is no such key here; did you mean `history_days`?",
        ]),
    ];
    for (main, front, expected) in cases {
        let front = if front.is_empty() { FRONT } else { front };
        let the_box = Box::new(&[("doorward.toml", &format!("{MAIN}{main}\n")), ("detectors/front.toml", front)]);
        let output = the_box.check(&["--json"], &[]);
        let found = the_box.details(&output, "error");
        assert_eq!(output.status.code(), Some(78), "{main}\n{front}\n{found:#?}");
        assert_eq!(found.len(), expected.len(), "{main}\n{front}\n{found:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            let hit = if expected.starts_with("doorward.toml") || expected.starts_with("detectors/") {
                found.starts_with(expected)
            } else {
                found.contains(expected)
            };
            assert!(hit, "{main}\n{front}\nfound    {found}\nexpected {expected}");
        }
        let everything = String::from_utf8_lossy(&output.stdout);
        assert!(!everything.contains("secret\"") && !everything.contains("hidden"), "the password shows: {everything}");
    }
}

#[test]
fn two_detectors_of_one_name_are_both_named() {
    let named = format!("name = \"front\"\n{FRONT}");
    let the_box =
        Box::new(&[("doorward.toml", MAIN), ("detectors/back.toml", &named), ("detectors/front.toml", FRONT)]);
    let output = the_box.check(&["--json"], &[]);
    let found = the_box.details(&output, "error");
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(
        found,
        ["detectors/front.toml: `name`: detectors/back.toml is also called `front`; give one of them another name"]
    );
}

#[test]
fn a_detectors_name_is_checked() {
    let the_box = Box::new(&[("doorward.toml", MAIN), ("detectors/a.toml", &format!("name = \"a/b\"\n{FRONT}"))]);
    let found = the_box.details(&the_box.check(&["--json"], &[]), "error");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("detectors/a.toml:1: `name`: `a/b` is not a detector name: 1 to 64 letters"),
        "{found:?}"
    );
}

#[test]
fn a_mistake_in_a_variable_names_the_variable() {
    let the_box = Box::new(&[("doorward.toml", MAIN), ("detectors/front door.toml", FRONT)]);
    for (name, value, expected) in [
        ("DOORWARD__MODELS__THREADS", "0", "0 is out of range"),
        ("DOORWARD__MODELS__THREAD", "1", "did you mean `threads`?"),
        ("DOORWARD__DETECTORS__FRONT_DOOR__CROP__MARGIN", "9", "9 is out of range; it must be from 0 to 3"),
        ("DOORWARD__DETECTORS__BACK__CROP__MARGIN", "1", "no detector is called `BACK`"),
    ] {
        let output = the_box.check(&["--json"], &[(name, value)]);
        let found = the_box.details(&output, "error");
        assert_eq!(output.status.code(), Some(78));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with(&format!("environment variable {name}: ")) && found[0].contains(expected),
            "{found:?}"
        );
    }
}

#[test]
fn what_the_configuration_names_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    let plain = plain.display();
    let main = format!(
        "{MAIN}ca_file = \"{plain}\"\n[action.a]\ntype = \"exec\"\nprogram = \"/nowhere/open\"\n[action.b]\ntype = \"exec\"\n\
         program = \"{plain}\"\n[action.c]\ntype = \"exec\"\nprogram = \"sh\"\n[action.d]\ntype = \"exec\"\nprogram = \"no-such-program\"\n\
         [[rule]]\nname = \"r\"\nactions = [\"a\", \"b\", \"c\", \"d\"]\n[detector.detect]\nmodel = \"yunet\"\n"
    );
    let front = "time_zone = \"UTC\"\n[camera]\ntype = \"replay\"\npath = \"/nowhere/clip.mp4\"\n";
    let the_box = Box::new(&[("doorward.toml", &main), ("detectors/front.toml", front)]);
    let output = the_box.check(&["--json"], &[("PASSWORD", "secret")]);
    let found = the_box.details(&output, "error");
    assert_eq!(output.status.code(), Some(78));
    for expected in [
        "doorward.toml:5: `identities.ca_file`: ",
        "doorward.toml:8: `action.a.program`: ",
        "doorward.toml:11: `action.b.program`: ",
        "doorward.toml:17: `action.d.program`: ",
        "doorward.toml:22: `detector.detect.model`: ",
        "detectors/front.toml:4: `camera.path`: cannot find /nowhere/clip.mp4",
    ] {
        assert!(found.iter().any(|found| found.starts_with(expected)), "{expected}\n{found:#?}");
    }
    assert!(!found.iter().any(|found| found.contains("action.c")), "{found:#?}");
    assert!(!the_box.path("state").exists(), "check made the state folder");
}

#[test]
fn nothing_to_read_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    // What somebody else has put where the program happens to be started is not taken, and that is said.
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/doorward.toml"), MAIN).unwrap();
    let output = doorward().arg("check").current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if Path::new("/etc/doorward/doorward.toml").exists() {
        // This machine has a configuration of its own; then that is the one.
        assert!(text.contains("read from /etc/doorward/doorward.toml"), "{text}");
    } else {
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains("/etc/doorward/doorward.toml is not there; write it"), "{text}");
        assert!(text.contains("config/doorward.toml in this folder is only taken when it is named"), "{text}");
    }
    let output = doorward().args(["check", "--config", "/nowhere/doorward.toml"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("error    configuration: /nowhere/doorward.toml: cannot read this file"), "{text}");
}

#[test]
fn an_unfinished_machine_is_told_from_a_wrong_configuration() {
    let the_box = Box::new(&[("doorward.toml", MAIN), ("detectors/front.toml", FRONT)]);
    let not_a_folder = the_box.path("doorward.toml").join("state").display().to_string();
    let variables = [("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so"), ("DOORWARD__STATE_DIR", not_a_folder.as_str())];
    let output = the_box.check(&["--json"], &variables);
    let found = the_box.details(&output, "error");
    assert_eq!(output.status.code(), Some(1), "{found:?}");
    assert!(found.iter().any(|found| found.contains("ORT_DYLIB_PATH names /nowhere/libonnxruntime.so")), "{found:?}");
    assert!(found.iter().any(|found| found.contains("doorward models pull")), "{found:?}");
    assert!(found.iter().any(|found| found.ends_with("doorward.toml is not a folder")), "{found:?}");

    // The same in a line each, for people.
    let text = String::from_utf8(the_box.check(&[], &variables).stdout).unwrap();
    assert!(text.starts_with("ok       configuration: read from "), "{text}");
    assert!(text.contains("\nerror    state folder: "), "{text}");
}

#[test]
fn plain_http_to_another_machine_is_refused_unless_it_is_meant() {
    for (url, more, code, said) in [
        (
            "http://10.0.0.7:5009",
            "",
            78,
            "doorward.toml:2: `identities.url`: passwords and faces would travel unencrypted",
        ),
        ("http://10.0.0.7:5009", "pin_sha256 = []\nallow_plain_http = false", 78, "say `allow_plain_http = true`"),
        ("http://10.0.0.7:5009", "allow_plain_http = true", 1, "travel unencrypted, as `allow_plain_http` says"),
        ("http://127.0.0.1:5009", "", 1, "not asked without --online"),
    ] {
        let main = MAIN.replace("https://engine.example/identities", url);
        let the_box = Box::new(&[("doorward.toml", &format!("{main}{more}\n")), ("detectors/front.toml", FRONT)]);
        let output = the_box.check(&["--json"], &[("ORT_DYLIB_PATH", "/nowhere/lib.so")]);
        assert_eq!(output.status.code(), Some(code), "{url} {more}");
        let all = ["ok", "warning", "error"].iter().flat_map(|result| the_box.details(&output, result));
        assert!(all.collect::<Vec<_>>().iter().any(|found| found.contains(said)), "{url} {more}: {said}");
    }
}

#[test]
fn a_password_file_everyone_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let the_box =
        Box::new(&[("doorward.toml", ""), ("detectors/front.toml", FRONT), ("password", "s3cret-in-a-file\n")]);
    let file = the_box.path("password");
    let main = MAIN.replace("${PASSWORD:secret}", &format!("${{{}}}", file.display()));
    std::fs::write(the_box.path("doorward.toml"), main).unwrap();
    for (mode, refused) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = the_box.check(&["--json"], &[("ORT_DYLIB_PATH", "/nowhere/lib.so")]);
        let found = the_box.details(&output, "error");
        let told = found.iter().any(|found| found.contains("`identities.password`: everyone on this machine can use"));
        assert_eq!((told, output.status.code() == Some(78)), (refused, refused), "{found:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("s3cret-in-a-file"));
    }
}

#[test]
fn the_configuration_is_printed_as_it_is_in_effect_and_without_secrets() {
    let main = format!(
        "{MAIN}[outbox]\nmax_age_hours = 5\n[action.a]\ntype = \"webhook\"\nurl = \"https://h.example/s3cret-1\"\n\
         headers = {{ X = \"s3cret-2\" }}\n[action.b]\ntype = \"exec\"\nprogram = \"sh\"\nargs = [\"s3cret-3\"]\n\
         [[rule]]\nname = \"r\"\nactions = [\"a\", \"b\"]\n[detector.crop]\nmargin = 0.25\n"
    );
    let front = "time_zone = \"UTC\"\n[camera]\ntype = \"stream\"\nurl = \"rtsp://u:s3cret-4@camera/1\"\n";
    let the_box = Box::new(&[("doorward.toml", &main), ("detectors/front.toml", front)]);
    let variables = [
        ("PASSWORD", "s3cret-5"),
        ("DOORWARD__OUTBOX__MAX_AGE_HOURS", "7"),
        ("DOORWARD__LOG__FILTER", "s3cret_6=debug"),
    ];
    let output = the_box.check(&["--print"], &variables);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !printed.contains("s3cret"), "{printed}");
    let (main, front) = printed.split_once("\n# The detector front").unwrap();
    let main: toml::Table = main.parse().unwrap();
    let front: toml::Table = front.split_once('\n').unwrap().1.parse().unwrap();
    assert_eq!(main["identities"]["url"].as_str(), Some("https://engine.example/identities"));
    assert_eq!(main["identities"]["password"].as_str(), Some("(hidden)"));
    assert_eq!(main["action"]["b"]["program"].as_str(), Some("sh"));
    assert_eq!(front["crop"]["margin"].as_float(), Some(0.25));
    assert_eq!(the_box.check(&["--print"], &[("DOORWARD__MODELS__THREADS", "0")]).status.code(), Some(78));
}

#[test]
fn templates_are_tried() {
    let main = format!(
        "{MAIN}[action.hook]\ntype = \"webhook\"\nurl = \"https://chat.example/\"\nbody = \"{{{{ persn.name }}}}\"\n\
         [action.run]\ntype = \"exec\"\nprogram = \"sh\"\nargs = [\"-c\", \"{{{{ detector\"]\n\
         [[rule]]\nname = \"r\"\nactions = [\"hook\", \"run\"]\nif = \"qualty > 1\"\n"
    );
    let the_box = Box::new(&[("doorward.toml", &main), ("detectors/front.toml", FRONT)]);
    let output = the_box.check(&["--json"], &[]);
    let found = the_box.details(&output, "error");
    assert_eq!(output.status.code(), Some(78));
    for expected in [
        "doorward.toml:8: `action.hook.body`: this is not a template that can be filled in: an event has no `persn.name`",
        "doorward.toml:12: `action.run.args`: this is not a template that can be filled in: line 1: ",
        "doorward.toml:16: `rule.if`: this is not an expression over the event: an event has no `qualty` (did you mean",
    ] {
        assert!(found.iter().any(|found| found.starts_with(expected)), "{expected}\n{found:#?}");
    }
}

#[test]
fn the_manuals_examples_work_and_its_event_is_the_rules_own() {
    let manual = include_str!("../config/doorward.toml");
    let (_, examples) = manual.split_once("# Actions: ").unwrap();
    for key in doorward::rules::EVENT_KEYS {
        assert!(examples.contains(&format!("#   {key} ")), "the manual does not tell of the event's `{key}`");
    }
    let person = examples.lines().find(|line| line.starts_with("#   person ")).unwrap();
    assert!(doorward::rules::PERSON_KEYS.iter().all(|key| person.contains(key)), "{person}");

    // Every line of the examples that is TOML, with programs and files that are here.
    let is_toml =
        |line: &&str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines = examples.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_toml);
    let examples = lines.collect::<Vec<_>>().join("\n").replace("/usr/local/bin/open-door", "/bin/sh");
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, rcgen::generate_simple_self_signed(["a.example".into()]).unwrap().cert.pem()).unwrap();
    let examples = examples.replace("/etc/doorward/ca.pem", &authority.display().to_string());
    let examples = examples.replace("/var/lib/doorward/", "/tmp/").replace("\"front-door\"", "\"front\"");
    let certificate = tempfile::NamedTempFile::new().unwrap();
    let authority = rcgen::generate_simple_self_signed(vec!["smtp.site.example".into()]).unwrap();
    std::fs::write(certificate.path(), authority.cert.pem()).unwrap();
    let examples = examples.replace("/etc/doorward/mail-ca.pem", certificate.path().to_str().unwrap());
    assert!(
        ["[action.log]", "[action.notify]", "[action.open]", "[action.door]", "[action.mark]", "[rule.when]"]
            .iter()
            .all(|part| examples.contains(part))
    );
    let the_box = Box::new(&[
        ("doorward.toml", &format!("{MAIN}{examples}\n[mqtt]\nurl = \"mqtt://broker.example\"\n")),
        ("detectors/front.toml", FRONT),
    ]);
    let output = the_box.check(
        &["--json"],
        &[
            ("CHAT_TOKEN", "x"),
            ("CHAT_SIGNING_KEY", "x"),
            ("MAIL_PASSWORD", "x"),
            ("ORT_DYLIB_PATH", "/nowhere/lib.so"),
        ],
    );
    let wrong = the_box.details(&output, "error").into_iter().filter(|found| found.contains("doorward.toml:"));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new(), "{examples}");
    let fine = the_box.details(&output, "ok");
    assert!(fine.iter().any(|found| found == "/bin/sh can be run"), "{fine:?}");
}

#[test]
fn a_dry_run_names_actions_that_exist() {
    for (value, wanted) in [
        ("true", None),
        ("[\"log\"]", None),
        ("[\"lock\"]", Some("doorward.toml:1: `dry_run`: there is no action `lock`; did you mean `log`?")),
        (
            "\"log\"",
            Some("doorward.toml:1: `dry_run`: it is text; it must be true, false, or a list of names of actions"),
        ),
    ] {
        let action =
            "[action.log]\ntype = \"journal\"\npath = \"/tmp/j\"\n[[rule]]\nname = \"r\"\nactions = [\"log\"]\n";
        let main = format!("dry_run = {value}\n{MAIN}{action}");
        let the_box = Box::new(&[("doorward.toml", &main), ("detectors/front.toml", FRONT)]);
        let output = the_box.check(&["--json"], &[]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        match wanted {
            Some(wanted) => assert!(told.contains(wanted), "{value}: {told}"),
            None => assert!(!told.contains("dry_run"), "{value}: {told}"),
        }
    }
}

/// An engine that knows one thing: its answer to a login.
fn engine(status: &'static str, body: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The request in full, or the client may see a reset instead of the answer.
            let mut seen = Vec::new();
            let mut part = [0; 4096];
            while !seen.ends_with(b"}") {
                match stream.read(&mut part) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => seen.extend_from_slice(&part[..count]),
                }
            }
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
            let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
        }
    });
    port
}

/// Needs a detector model and ONNX Runtime where `doorward models pull` puts them, or where the environment says.
#[test]
fn a_ready_box_passes_and_logs_in_only_when_asked() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token = r#"{"username":"box","token":"eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.x"}"#;
    for (port, more, code, detail) in [
        (closed, &["--json"][..], 0, "which is not asked without --online"),
        (closed, &["--json", "--online"], 1, "cannot reach the engine at 127.0.0.1"),
        (engine("200 OK", token), &["--json", "--online"], 0, "lets us in"),
        (engine("401 Unauthorized", "{}"), &["--json", "--online"], 1, "the engine refuses the login"),
    ] {
        let main = MAIN.replace("https://engine.example/identities", &format!("http://127.0.0.1:{port}"));
        let the_box = Box::new(&[("doorward.toml", &main), ("detectors/front.toml", FRONT)]);
        let mut command = doorward();
        command.arg("check").arg("--config").arg(the_box.path("doorward.toml")).args(more);
        let output = command.env("DOORWARD__STATE_DIR", the_box.path("state")).env("PASSWORD", "x").output().unwrap();
        let (wrong, fine) = (the_box.details(&output, "error"), the_box.details(&output, "ok"));
        assert_eq!(output.status.code(), Some(code), "{wrong:#?}; the models come with `doorward models pull`");
        assert!(wrong.iter().chain(&fine).any(|found| found.contains(detail)), "{detail}: {wrong:#?} {fine:#?}");
        assert!(fine.iter().any(|found| found.contains("finds the built-in face")), "{fine:#?}");
        assert!(!the_box.path("state").exists());
    }
}

/// One run shows the mistakes of every kind: in keys, in templates, in expressions.
#[test]
fn mistakes_of_every_kind_come_together() {
    let more = "[action.tell]\ntype = \"webhook\"\nurl = \"http://127.0.0.1/\"\nbody = \"{{ persn }}\"\n\
                [action.mail]\ntype = \"email\"\nhost = \"127.0.0.1\"\nsecurity = \"none\"\nfrom = \"a@b.example\"\n\
                to = [\"c@d.example\"]\nsubject = \"{{ detector\"\n\
                [[rule]]\nname = \"r\"\nactions = [\"tell\", \"mail\"]\nif = \"person.name is\"\n\
                [outbox]\nmax_age_hour = 3\n";
    let files = Box::new(&[("doorward.toml", &format!("{MAIN}{more}")), ("detectors/front.toml", FRONT)]);
    let output = files.check(&["--json"], &[]);
    assert_eq!(output.status.code(), Some(78));
    let errors = files.details(&output, "error");
    for key in ["outbox.max_age_hour", "action.tell.body", "action.mail.subject", "rule"] {
        assert!(errors.iter().any(|error| error.contains(key)), "{key}: {errors:#?}");
    }
    assert_eq!(errors.len(), 4, "{errors:#?}");
}

/// A name from a file is text on a terminal, whatever is in it.
#[test]
fn no_text_of_a_file_is_obeyed_by_a_terminal() {
    let more = "dry_run = [\"\\u001b[31m\\u202egone\\u009b\"]\n";
    let files = Box::new(&[("doorward.toml", &format!("{more}{MAIN}")), ("detectors/front.toml", FRONT)]);
    for args in [&[][..], &["--json"], &["--print"]] {
        let output = files.check(args, &[]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("31m"), "{args:?}: {text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{args:?}: {text:?}");
    }
}
