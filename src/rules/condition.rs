//! The `if` of a rule: a minijinja expression over the event, for what the matchers cannot say.
//!
//! In: the event document without `id` and `action`, which it has not got yet. Out: whether the expression is true; one
//! that fails (a field this person does not have) is not, and says why.

use std::collections::HashSet;

use identities::text;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde_json::Value as Json;

use super::check::Check;
use super::event;

/// Instructions one evaluation may take: a template that loops over every field of a person takes a few hundred.
const FUEL: u64 = 100_000;
const NAME: &str = "if";

/// A compiled expression.
pub struct Condition {
    environment: Environment<'static>,
    source: String,
}

impl Condition {
    /// Compiles it and checks the names it uses; the error is for people.
    ///
    /// The expression is composed as the event is, so that what it names is found in whichever way it was typed.
    pub fn new(source: &str) -> Result<Self, String> {
        let source = &*text::composed(source);
        let mut environment = environment();
        let told = |error: minijinja::Error| match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        // As an expression first: what is one cannot break out of the braces.
        let names = environment.compile_expression(source).map_err(told)?.undeclared_variables(true);
        check_names(&names, &environment)?;
        let template = format!("{{% if {source} %}}true{{% endif %}}");
        environment.add_template_owned(NAME, template).map_err(told)?;
        Ok(Self { environment, source: source.to_owned() })
    }

    /// Evaluates it over an event.
    pub fn check(&self, event: &Json) -> Check {
        let context = Value::from(minijinja::value::Serde(event));
        let rendered = self.environment.get_template(NAME).and_then(|template| template.render(context));
        let (found, held) = match rendered {
            Ok(text) => (if text.is_empty() { "false".into() } else { "true".into() }, text == "true"),
            Err(error) => (error.kind().to_string(), false),
        };
        Check { matcher: "if", wanted: self.source.clone(), found, held }
    }
}

/// What expressions and templates over the event are compiled and evaluated in.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(false);
    environment
}

/// Every name an expression or a template uses must be one an event has, or the environment.
pub fn check_names(names: &HashSet<String>, environment: &Environment<'_>) -> Result<(), String> {
    event::check_names(names.iter().filter(|name| !environment.globals().any(|(global, _)| global == *name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_over_the_event() {
        let event = json!({
            "rule": "r", "detector": "Front door", "quality": 0.5, "confidence": null, "late": false, "seen_at": "x",
            "person": {
                "id": "p", "name": "Ann Example", "tags": [{"name": "Staff"}],
                "fields": {"Level": 3, "Büro": "Küche"},
            },
        });
        for (source, found, held) in [
            ("quality > 0.4", "true", true),
            ("quality > 0.6 or late", "false", false),
            ("person.name.startswith('Ann')", "unknown method", false),
            ("person.name is startingwith('Ann')", "true", true),
            ("'Staff' in person.tags | map(attribute='name')", "true", true),
            ("person.fields.Level * 2 >= 6", "true", true),
            ("person.fields.Other == 1", "undefined value", false),
            ("person.fields.Other is defined", "false", false),
            ("confidence is none", "true", true),
            ("confidence > 0.5", "false", false),
            ("detector | length", "true", true),
            ("person.fields['Bu\u{308}ro'] == 'Ku\u{308}che'", "true", true),
        ] {
            let check = Condition::new(source).unwrap().check(&event);
            assert_eq!((check.found.as_str(), check.held), (found, held), "{source}");
        }
    }

    #[test]
    fn mistakes_are_found_at_start() {
        for (source, wanted) in [
            ("quality >", "syntax error"),
            ("true %}{% if true", "syntax error"),
            ("qualty > 1", "an event has no `qualty` (did you mean `quality`?)"),
            ("person.nam == 1", "an event has no `person.nam` (did you mean `name`?)"),
        ] {
            let error = Condition::new(source).err().unwrap();
            assert!(error.starts_with(wanted), "{source}: {error}");
        }
    }
}
