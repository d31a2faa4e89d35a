//! What to write for a key that is missing.

use wording::listed;

/// What to write for the key at the end of this path; `choices` are the words it may be, where it is one of some.
pub(super) fn example(path: &[&str], choices: &[&str]) -> String {
    match path {
        ["camera"] => {
            "add a `[camera]` section, for example with `type = \"v4l2\"` and `device = \"/dev/video0\"`".into()
        }
        [.., "time_zone"] => "write where the door is, for example `time_zone = \"Europe/Stockholm\"`, here or as \
             `detector.time_zone` in the main file"
            .into(),
        [.., "type"] => format!("write `type = \"KIND\"`, where KIND is one of {}", listed(choices)),
        [.., "device"] => "write `device = \"/dev/video0\"`, or a name under /dev/v4l/by-id".into(),
        ["camera", "url"] => "write `url = \"rtsp://camera.example/stream\"`".into(),
        ["camera", "path"] => "write `path = \"/path/to/recording.mp4\"`, or a folder of pictures".into(),
        ["identities", "url"] => "write `url = \"https://customer.econnectcloud.com/identities\"`".into(),
        ["identities", "username"] => "write the name of the account doorward logs in with".into(),
        ["identities", "password"] => {
            "write `password = \"${IDENTITIES_PASSWORD}\"` and provide it as a credential or variable".into()
        }
        ["mqtt", "url"] => "write `url = \"mqtt://broker.example:1883\"`".into(),
        ["action", _, "topic"] => "write `topic = \"house/door/{{ detector }}\"`".into(),
        [.., "url"] => "write `url = \"https://host.example/path\"`".into(),
        [.., "path"] => "write `path = \"/var/log/doorward/events.jsonl\"`".into(),
        [.., "program"] => "write `program = \"/path/to/program\"`".into(),
        [.., "name"] => "give it a name of its own".into(),
        [.., "actions"] => "write `actions = [\"NAME\"]` with the names of `[action.NAME]` sections".into(),
        [.., key] => format!("write `{key} = …`"),
        [] => "write it".into(),
    }
}
