//! Who comes nearest to a face that matches nobody, where the engine says so: what an operator needs to know to enrol
//! a better photo, and nothing to act upon.
//!
//! In: the engine's own words. Out: a [`Nearest`], as text and as JSON. It is nobody's identity: no rule, guard or
//! presence looks at it, and whoever erases the person erases this, too.

use identities::text;
use identities::wire::NearestPerson;
use serde_json::{Value, json};

use super::Person;

/// The person enrolled who is nearest to somebody unknown. Logs show the id only.
#[derive(Clone, PartialEq, derive_more::Debug)]
#[debug("Nearest({}, {score} of {threshold})", person.id)]
pub struct Nearest {
    pub person: Person,
    /// What comparing the two gave, in the numbers of the engine's model.
    pub score: f32,
    /// What a match would have taken. A likeness stays below it; a distance, which is the nearer the smaller it is,
    /// above.
    pub threshold: f32,
}

impl Nearest {
    /// What the engine said; `None` where that makes no sense.
    pub fn of(told: NearestPerson) -> Option<Self> {
        let NearestPerson { person_id, name, score, threshold } = told;
        let name = name.map(|name| text::tidy(&name)).filter(|name| !name.is_empty());
        let is_whole = super::is_id(&person_id) && score.is_finite() && threshold.is_finite();
        is_whole.then_some(Self { person: Person { id: person_id, name }, score, threshold })
    }

    /// `0.41 of 0.43`; of a distance `0.65, where 0.60 is near enough`. What was missed by little has so many
    /// decimals that this shows.
    pub fn measured(&self) -> String {
        let Self { score, threshold, .. } = self;
        let decimals = [2, 4].into_iter().find(|n| format!("{score:.n$}") != format!("{threshold:.n$}")).unwrap_or(6);
        match score > threshold {
            false => format!("{score:.decimals$} of {threshold:.decimals$}"),
            true => format!("{score:.decimals$}, where {threshold:.decimals$} is near enough"),
        }
    }

    /// `Ann Lee 0.41 of 0.43`, or the id of who has no name.
    pub fn told(&self) -> String {
        format!("{} {}", self.person.name.as_deref().unwrap_or(&self.person.id), self.measured())
    }

    /// By how much the threshold was missed, whichever way the model measures.
    pub fn missed_by(&self) -> f32 {
        (self.score - self.threshold).abs()
    }

    /// As events, the history and `explain` have it; without the name where names are not told.
    pub fn to_json(&self, names: bool) -> Value {
        let name = self.person.name.as_ref().filter(|_| names);
        let [score, threshold] = [self.score, self.threshold].map(|n| (f64::from(n) * 1e4).round() / 1e4);
        json!({ "id": self.person.id, "name": name, "score": score, "threshold": threshold })
    }

    /// What [`to_json`](Self::to_json) wrote.
    pub fn from_json(json: &Value) -> Option<Self> {
        let number = |key: &str| json[key].as_f64().map(|number| number as f32);
        Self::of(NearestPerson {
            person_id: json["id"].as_str()?.to_owned(),
            name: json["name"].as_str().map(str::to_owned),
            score: number("score")?,
            threshold: number("threshold")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(score: f32, threshold: f32) -> Option<Nearest> {
        Nearest::of(NearestPerson { person_id: "p".into(), name: Some(" Ann\n Lee ".into()), score, threshold })
    }

    #[test]
    fn it_is_told_as_an_operator_reads_it() {
        for (score, threshold, text) in [
            (0.41, 0.43, "Ann Lee 0.41 of 0.43"),
            (-0.1, 0.43, "Ann Lee -0.10 of 0.43"),
            (0.4299, 0.43, "Ann Lee 0.4299 of 0.4300"),
            (0.65, 0.6, "Ann Lee 0.65, where 0.60 is near enough"),
            (0.600_1, 0.6, "Ann Lee 0.6001, where 0.6000 is near enough"),
        ] {
            assert_eq!(nearest(score, threshold).unwrap().told(), text);
        }
        let unnamed = Nearest { person: Person { id: "p".into(), name: None }, ..nearest(0.1, 0.4).unwrap() };
        assert_eq!(
            (unnamed.told().as_str(), format!("{unnamed:?}").as_str()),
            ("p 0.10 of 0.40", "Nearest(p, 0.1 of 0.4)")
        );
    }

    #[test]
    fn it_goes_to_json_and_back() {
        let whole = nearest(0.41, 0.43).unwrap();
        let json = whole.to_json(true);
        assert_eq!(json, json!({ "id": "p", "name": "Ann Lee", "score": 0.41, "threshold": 0.43 }));
        assert_eq!(Nearest::from_json(&json), Some(whole.clone()));
        assert_eq!(whole.to_json(false)["name"], Value::Null);
        for odd in [json!(null), json!({}), json!({ "id": "p", "score": null, "threshold": 1 }), json!("p")] {
            assert_eq!(Nearest::from_json(&odd), None, "{odd}");
        }
        assert!(nearest(f32::NAN, 0.4).is_none() && nearest(0.4, f32::INFINITY).is_none());
    }
}
