//! Templates over the event: text with `{{ person.name }}` in it, escaped for where it goes.
//!
//! In: a template from the configuration, compiled once, and the event document. Out: text that is safe in its place
//! ([`Place`]), or what is wrong, which never shows a value. It knows the event's keys, so that a misspelt one is
//! found at start.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::rules::{EVENT_KEYS, check_names, environment};

/// Where the rendered text goes, and so how the values in it are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Values are written as they are; `null` is empty.
    Text,
    /// Values are percent-encoded, all but letters, digits, `-`, `.`, `_` and `~`; `null` is empty.
    Url,
    /// Values are levels of an MQTT topic: `/`, `+`, `#` and control characters become `_`; `null` is empty.
    Topic,
    /// Values are written as the inside of a string within JSON strings (`null` is empty), elsewhere as JSON values.
    Json,
}

/// A compiled template, which knows the key it was written under.
pub struct Template {
    key: String,
    environment: Environment<'static>,
    place: Place,
}

const NAME: &str = "template";
/// What is percent-encoded in an address: all but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// These two stand around a value until the text around it is known (Unicode's private use area; escaped within
/// values).
const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

impl Template {
    /// Compiles the text of a key, and checks every name it uses against the event's.
    pub fn new(key: &str, source: &str, place: Place) -> Result<Self, String> {
        let mut environment = environment();
        // Text goes out as it was written, to the last line break.
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(in_short)?);
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("for its place".into()));
        environment.set_formatter(move |out, _, value| {
            if value.is_undefined() {
                return Err(ErrorKind::UndefinedError.into());
            }
            let written = if value.is_safe() { value.to_string() } else { write(value, place)? };
            out.write_str(&written).map_err(|_| ErrorKind::WriteFailure.into())
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(in_short)?;
        let template = environment.get_template(NAME).map_err(in_short)?;
        check_names(&template.undeclared_variables(true), &environment)?;
        // Filters, tests and functions are looked up only when they are come by; with a visitor or without one, the
        // rest of what can go wrong depends on the event.
        let person =
            json!({"id": "x", "face_id": "x", "name": "x", "tags": [{"name": "x", "expires": null}], "fields": {}});
        let nearest = json!({"id": "x", "name": "x", "score": 0.4, "threshold": 0.5});
        for (person, nearest) in [(person, json!(null)), (json!(null), nearest), (json!(null), json!(null))] {
            let mut event: serde_json::Map<_, _> = EVENT_KEYS.iter().map(|key| (key.to_string(), json!("x"))).collect();
            event.insert("person".into(), person);
            event.insert("nearest".into(), nearest);
            if let Err(error) = template.render(context(&event.into()))
                && matches!(
                    error.kind(),
                    ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
                )
            {
                return Err(in_short(error));
            }
        }
        Ok(Self { key: key.to_owned(), environment, place })
    }

    /// A template that stands in for one that does not compile; it renders to an error.
    pub fn empty(key: &str) -> Self {
        Self { key: key.to_owned(), environment: Environment::new(), place: Place::Text }
    }

    /// Renders the template over an event; the reason why it cannot be rendered names the key.
    pub fn fill(&self, event: &Value) -> Result<String, String> {
        self.render(event).map_err(|error| self.cannot(error))
    }

    /// Why nothing can be made of what this template rendered to.
    pub fn cannot(&self, problem: impl std::fmt::Display) -> String {
        format!("cannot fill in `{}`: {problem}", self.key)
    }

    fn render(&self, event: &Value) -> Result<String, String> {
        let help = "a key that is not always there is written `person.name if person else ''`";
        let failed = |error| format!("{}; {help}", in_short(error));
        let text = self.environment.get_template(NAME).and_then(|template| template.render(event)).map_err(failed)?;
        if self.place != Place::Json {
            return Ok(text);
        }
        let text = settle_json(&text);
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| "it does not render to JSON")?;
        Ok(text)
    }
}

/// The event, as templates take it.
pub fn context(event: &serde_json::Value) -> Value {
    Value::from(Serde(event))
}

/// Where an error is and of which kind. Its own text is left out on purpose: it may quote a value or a secret.
fn in_short(error: minijinja::Error) -> String {
    format!("line {}: {}", error.line().unwrap_or(1), error.kind())
}

/// A value as it is written into a template's text.
fn write(value: &Value, place: Place) -> Result<String, minijinja::Error> {
    match place {
        Place::Json => {
            let json = serde_json::to_string(value).map_err(|_| minijinja::Error::from(ErrorKind::BadSerialization))?;
            // Within JSON these two can only stand in strings, where their escapes mean the same.
            let json = json.replace(OPEN, "\\ue000").replace(CLOSE, "\\ue001");
            Ok(format!("{OPEN}{json}{CLOSE}"))
        }
        _ if value.is_none() => Ok(String::new()),
        Place::Text => Ok(plain(value)),
        Place::Topic => Ok(plain(value).replace(|c: char| "/+#".contains(c) || c.is_control(), "_")),
        Place::Url => Ok(utf8_percent_encode(&plain(value), RESERVED).to_string()),
    }
}

/// As JSON writes it, not as Python does: `true`, not `True`.
fn plain(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    }
}

/// Puts every value down as its surroundings want it: within quotes as the inside of a string, elsewhere as it is.
fn settle_json(text: &str) -> String {
    let mut settled = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if character == OPEN
            && let Some((json, after)) = rest.split_once(CLOSE)
        {
            rest = after;
            match (in_string, json) {
                (false, json) => settled.push_str(json),
                (true, "null") => {}
                (true, json) => settled.push_str(&inside_of_string(json)),
            }
            continue;
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        settled.push(character);
    }
    settled
}

/// A JSON value as the inside of a JSON string: a string without its quotes, anything else as text.
fn inside_of_string(json: &str) -> String {
    match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
        Some(inside) => inside.to_owned(),
        None => json.replace('\\', "\\\\").replace('"', "\\\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        context(&json!({
            "event": "recognition", "rule": "r", "detector": "Front door", "shot": 2, "late": false, "quality": 0.5,
            "confidence": 0.93, "reason": null,
            "person": {"id": "p/1", "name": "Zoë \"Z\" O'Neil\n\\ \u{E000}x\u{E001} & {{ rule }}",
                       "tags": [{"name": "Staff"}, {"name": "A/B"}], "fields": {"Badge": "C-1187"}},
        }))
    }

    #[test]
    fn values_are_written_for_their_place() {
        for (place, template, wanted) in [
            (Place::Text, "{{ detector }} {{ shot }} {{ late }} {{ reason }}|", "Front door 2 false |"),
            (Place::Text, "{{ person.fields.Badge }}{% if reason %} no{% endif %}\n", "C-1187\n"),
            (Place::Text, "{{ person.tags | map(attribute='name') | join(', ') }}", "Staff, A/B"),
            (Place::Text, "{% for tag in person.tags %}{{ loop.index }}{{ tag.name }} {% endfor %}", "1Staff 2A/B "),
            (
                Place::Url,
                "https://h/p/{{ person.id }}?d={{ detector }}&r={{ reason }}",
                "https://h/p/p%2F1?d=Front%20door&r=",
            ),
            (Place::Url, "{{ person.tags | map(attribute='name') | join(',') }}", "Staff%2CA%2FB"),
            (Place::Topic, "a/{{ person.id }}/{{ reason }}/{{ detector }}", "a/p_1//Front door"),
            (
                Place::Json,
                r#"{"a": {{ confidence }}, "b": {{ reason }}, "c": {{ detector }}}"#,
                r#"{"a": 0.93, "b": null, "c": "Front door"}"#,
            ),
            (Place::Json, r#"{"a": "at {{ detector }}, {{ reason }}{{ shot }}"}"#, r#"{"a": "at Front door, 2"}"#),
            (Place::Json, r#"{"a": "\"{{ shot }}"}"#, r#"{"a": "\"2"}"#),
            (Place::Json, r#"{{ person.fields | tojson }}"#, r#"{"Badge": "C-1187"}"#),
            (Place::Json, r#""{{ person.fields }}""#, r#""{\"Badge\":\"C-1187\"}""#),
        ] {
            let rendered = Template::new("key", template, place).unwrap().render(&event()).unwrap();
            assert_eq!(rendered, wanted, "{template}");
        }
    }

    #[test]
    fn a_hostile_name_stays_one_value() {
        let name = event().get_attr("person").unwrap().get_attr("name").unwrap().to_string();
        for template in [r#"{"text": "Hello {{ person.name }}!", "x": 1}"#, r#"{"text": {{ person.name }}, "x": 1}"#] {
            let json = Template::new("key", template, Place::Json).unwrap().render(&event()).unwrap();
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let text = json["text"].as_str().unwrap();
            assert!(text == name || text == format!("Hello {name}!"), "{text}");
            assert_eq!(json.as_object().unwrap().len(), 2);
        }
        let url = Template::new("url", "http://h/?n={{ person.name }}", Place::Url).unwrap().render(&event()).unwrap();
        let url = url::Url::parse(&url).unwrap();
        assert_eq!(url.query_pairs().collect::<Vec<_>>(), [("n".into(), name.into())]);
    }

    #[test]
    fn mistakes_are_found_at_start() {
        for (template, wanted) in [
            ("{{ rule", "line 1: syntax error"),
            ("\n{% for %}", "line 2: syntax error"),
            ("{{ persn.name }}", "an event has no `persn.name` (did you mean `person`?); it has event, id, "),
            (
                "{{ person.nam }}",
                "an event has no `person.nam` (did you mean `name`?); it has id, face_id, name, tags, fields",
            ),
            ("{{ rule | shout }}", "line 1: unknown filter"),
        ] {
            let error =
                Template::new("key", template, Place::Text).map(|_| ()).map_err(|error| error.to_string()).unwrap_err();
            assert!(error.starts_with(wanted), "{template}: {error}");
        }
    }

    #[test]
    fn what_fails_while_rendering_says_where_and_shows_no_value() {
        for (place, template, wanted) in [
            (Place::Text, "{{ person.fields.Door }}", "undefined value"),
            (Place::Text, "\n{{ person.name + 1 }}", "line 2: invalid operation"),
            (Place::Json, r#"{"a": {{ shot }} {{ shot }}}"#, "does not render to JSON"),
            (Place::Text, "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "fuel"),
        ] {
            let error = Template::new("key", template, place).unwrap().render(&event()).unwrap_err().to_string();
            assert!(error.contains(wanted) && !error.contains("Zoë"), "{template}: {error}");
        }
    }
}
