//! The `identities` action: something written back about the recognised person: a tag given or taken away, a note, a
//! custom field.
//!
//! In: an event about a known person. Out: done when the engine has all of it. Everything written has an id made from
//! the request's key, so that a repetition writes the same thing again and never another: retries are safe here.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use identities::text;
use identities::wire::{EntityField, PersonNote, PersonTagUpsert, TagWrite};
use identities::{Client, ClientError, Verdict};
use sha2::{Digest, Sha256};

use super::Performed;
use super::retry::{Again, Failure, Retry, in_time};
use super::setup::{ActionError, Setup};
use super::template::{Template, context};
use crate::config::WriteBackConfig;
use crate::rules::ActionRequest;

/// A note's first line.
const NOTE_SUMMARY: &str = "doorward";

/// What is written back, made ready.
pub struct WriteBack {
    client: Option<Client>,
    add_tag: Option<Template>,
    tag_for: Option<TimeDelta>,
    remove_tag: Option<Template>,
    note: Option<Template>,
    set_fields: Vec<(String, Template)>,
    retry: Retry,
}

/// One event's changes, in the order they are made.
struct Changes {
    person: String,
    key: String,
    add_tag: Option<String>,
    /// When the tag ends; the same on every try.
    expires: Option<DateTime<Utc>>,
    remove_tag: Option<String>,
    note: Option<String>,
    set_fields: Vec<(String, String)>,
}

impl WriteBack {
    /// Compiles the templates.
    pub fn new(action: &str, config: &WriteBackConfig, client: Option<&Client>) -> Result<Self, ActionError> {
        let mut setup = Setup::new(action);
        let ready = Self {
            client: client.cloned(),
            add_tag: setup.optional("add_tag", config.add_tag.as_ref()),
            tag_for: config.tag_for_secs.and_then(|secs| TimeDelta::try_seconds(secs.try_into().ok()?)),
            remove_tag: setup.optional("remove_tag", config.remove_tag.as_ref()),
            note: setup.optional("note", config.note.as_ref()),
            set_fields: setup.templates("set_fields", &config.set_fields, String::as_str),
            retry: Retry::new(config.timeout_ms, config.tries, config.within_ms),
        };
        setup.finish(ready)
    }

    /// Makes every change; what was done comes back.
    pub async fn perform(&self, request: &ActionRequest) -> Performed {
        let client = self.client.as_ref().ok_or("no engine is configured: add `[identities]`")?;
        let changes = &self.changes(request)?;
        let once = |timeout| async move {
            let made = in_time(timeout, "the engine did not take all of it", changes.make(client)).await?;
            Ok((!made.is_empty()).then(|| made.join(", ")))
        };
        self.retry.run(request, once).await
    }

    fn changes(&self, request: &ActionRequest) -> Result<Changes, String> {
        let person = request.inputs["person"]["id"].as_str().filter(|id| !id.is_empty());
        let person = person
            .ok_or("nobody was recognised, so there is nobody to write about; let the rule's `outcome` be \"known\"")?;
        let event = context(&request.inputs);
        // What renders to nothing is not done: a template may decide by an `if`.
        let filled = |template: &Option<Template>| match template {
            Some(template) => Ok::<_, String>(Some(template.fill(&event)?).filter(|text| !text.trim().is_empty())),
            None => Ok(None),
        };
        let fields = self.set_fields.iter().map(|(name, value)| Ok((name.clone(), value.fill(&event)?)));
        Ok(Changes {
            person: person.to_owned(),
            key: request.key.clone(),
            add_tag: filled(&self.add_tag)?.map(|name| name.trim().to_owned()),
            expires: self.tag_for.and_then(|period| Utc::now().checked_add_signed(period)),
            remove_tag: filled(&self.remove_tag)?.map(|name| name.trim().to_owned()),
            note: filled(&self.note)?,
            set_fields: fields.collect::<Result<_, String>>()?,
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let again = match error.verdict() {
            Verdict::Again { after } => Again::MaybeSent { after },
            Verdict::Final => Again::Never,
        };
        Self::new(error.to_string(), again)
    }
}

impl Changes {
    /// Makes all changes, whatever was made before.
    async fn make(&self, client: &Client) -> Result<Vec<String>, Failure> {
        let mut made = Vec::new();
        if let Some(name) = &self.remove_tag {
            let removed = self.remove(client, name).await?;
            made.push(if removed { "tag taken away" } else { "there was no such tag to take away" }.to_owned());
        }
        if let Some(name) = &self.add_tag {
            self.add(client, name).await?;
            made.push(match self.expires {
                Some(expires) => format!("tag given until {}", expires.to_rfc3339_opts(SecondsFormat::Secs, true)),
                None => "tag given".into(),
            });
        }
        if let Some(body) = &self.note {
            let note = PersonNote {
                note_id: Some(self.own_id("note")),
                summary: Some(NOTE_SUMMARY.into()),
                body: Some(body.clone()),
                ..PersonNote::default()
            };
            client.put_note(&self.person, &note).await?;
            made.push("note added".into());
        }
        for (name, value) in &self.set_fields {
            self.set(client, name, value).await?;
            made.push(format!("field {name} set"));
        }
        Ok(made)
    }

    /// Gives the person a tag; one that is there already is given its new end.
    async fn add(&self, client: &Client, name: &str) -> Result<(), Failure> {
        let there = client.person_tags(&self.person, None).await?;
        let there = there.into_iter().find(|tag| tag.is_called(name));
        let (person_tag_id, tag_id) = match there {
            Some(tag) => (tag.person_tag_id, tag.tag_id),
            None => (None, client.ensure_tag(&TagWrite::named(name)).await?),
        };
        let person_tag_id = Some(person_tag_id.unwrap_or_else(|| self.own_id("tag")));
        client.put_person_tag(&self.person, &PersonTagUpsert { person_tag_id, tag_id, expires: self.expires }).await?;
        Ok(())
    }

    async fn remove(&self, client: &Client, name: &str) -> Result<bool, Failure> {
        let mut removed = false;
        for tag in client.person_tags(&self.person, None).await? {
            if tag.is_called(name) {
                // An engine that does not tell the application's id takes the tag's.
                let id = tag.person_tag_id.as_deref().unwrap_or(&tag.tag_id);
                removed |= client.delete_person_tag(&self.person, id).await?;
            }
        }
        Ok(removed)
    }

    /// Sets a field; one that is there keeps its type, a new one is text.
    async fn set(&self, client: &Client, name: &str, value: &str) -> Result<(), Failure> {
        let there = client.entity_fields(&self.person, None).await?;
        let there = there.into_iter().find(|field| text::same(&field.name, name));
        let wrong =
            |kind: &str| Failure::for_good(format!("the field `{name}` holds {kind}, and its new value is none"));
        let mut field = EntityField { name: name.into(), ..EntityField::default() };
        let value = value.trim();
        match &there {
            Some(EntityField { number_value: Some(_), .. }) => {
                let number = value.parse().ok().filter(|number: &f64| number.is_finite());
                field.number_value = Some(number.ok_or_else(|| wrong("a number"))?);
            }
            Some(EntityField { bool_value: Some(_), .. }) => {
                field.bool_value = Some(value.parse().map_err(|_| wrong("true or false"))?);
            }
            Some(EntityField { date_value: Some(_), .. }) => {
                field.date_value = Some(value.parse().map_err(|_| wrong("a date, like 2026-01-31T08:00:00Z"))?);
            }
            _ => field.string_value = Some(value.to_owned()),
        }
        let id = there.and_then(|field| field.entity_field_id);
        field.entity_field_id = Some(id.unwrap_or_else(|| self.own_id(&format!("field {name}"))));
        client.put_entity_field(&self.person, &field).await?;
        Ok(())
    }

    /// An id that is the same for the same request and part, and for no other.
    fn own_id(&self, part: &str) -> String {
        let hash = Sha256::digest(format!("{}\n{part}", self.key));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}
