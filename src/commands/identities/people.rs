//! `doorward identities person` and `search`: records, read and changed part by part.

use anyhow::{Context, anyhow, bail};
use chrono::Utc;
use identities::text;
use identities::wire::{
    EntityField, IdentityPersonItem, PersonAlias, PersonNote, PersonTag, PersonTagUpsert, TagWrite,
};
use identities::{Client, ClientError};
use serde::Serialize;
use uuid::Uuid;

use super::{access, tags};
use crate::cli::{Asking, Expiry, PersonCommand, PersonPart, SearchArgs};
use crate::commands::doors::Doors;
use crate::commands::{CommandResult, print_json, print_line, table};
use crate::terminal::ExitCode;

pub async fn run(command: PersonCommand) -> CommandResult {
    match command {
        PersonCommand::Show { person, asking } => {
            let record = access::connect(&asking.access)?.person(&person).await?;
            show(&record, asking.json)
        }
        PersonCommand::Tag { person, tag, expires, asking } => {
            let client = access::connect(&asking.access)?;
            let expires = expires.map(|expires| moment(expires, &asking)).transpose()?;
            let given = give_tag(&client, &person, &tag, expires).await?;
            done(&given, &format!("{person} carries `{tag}` now"), &asking)
        }
        PersonCommand::Untag { person, tag, asking } => {
            let client = access::connect(&asking.access)?;
            let taken = take_tag(&client, &person, &tag).await?;
            let told = if taken { "no longer carries" } else { "did not carry" };
            done(&taken, &format!("{person} {told} `{tag}`"), &asking)
        }
        PersonCommand::Name { person, first_name, last_name, middle_name, title, asking } => {
            let person_alias_id = Some(Uuid::new_v4().to_string());
            let alias = PersonAlias { person_alias_id, first_name, last_name, middle_name, title };
            let stored = access::connect(&asking.access)?.put_alias(&person, &alias).await?;
            done(&stored.unwrap_or(alias), "the name is added", &asking)
        }
        PersonCommand::Field { person, name, value, asking } => {
            let client = access::connect(&asking.access)?;
            // The field of that name, if there is one, keeps its id: nobody has two of a name.
            let known = client.entity_fields(&person, None).await?;
            let known = known.into_iter().find(|field| text::same(&field.name, &name));
            let id = known.and_then(|field| field.entity_field_id).unwrap_or_else(|| Uuid::new_v4().to_string());
            let field =
                EntityField { entity_field_id: Some(id), name, string_value: Some(value), ..EntityField::default() };
            let stored = client.put_entity_field(&person, &field).await?;
            done(&stored.unwrap_or(field), "the field is set", &asking)
        }
        PersonCommand::Note { person, text, summary, asking } => {
            let note_id = Some(Uuid::new_v4().to_string());
            let note = PersonNote { note_id, summary, body: Some(text), ..PersonNote::default() };
            let stored = access::connect(&asking.access)?.put_note(&person, &note).await?;
            done(&stored.unwrap_or(note), "the note is added", &asking)
        }
        PersonCommand::Remove { person, what, id, asking } => {
            let client = access::connect(&asking.access)?;
            let removed = match what {
                PersonPart::Name => client.delete_alias(&person, &id).await?,
                PersonPart::Tag => client.delete_person_tag(&person, &id).await?,
                PersonPart::Note => client.delete_note(&person, &id).await?,
                PersonPart::Field => client.delete_entity_field(&person, &id).await?,
            };
            done(&removed, if removed { "removed" } else { "there was none" }, &asking)
        }
    }
}

pub async fn search(args: SearchArgs) -> CommandResult {
    let client = access::connect(&args.asking.access)?;
    let people = match (&args.tag, &args.field) {
        (Some(tag), _) => client.people_with_tag(&tags::find(&client, tag).await?.tag_id).await?,
        (None, Some(field)) => client.people_with_field(field, args.value.as_deref()).await?,
        (None, None) => return Err(anyhow!("give --tag or --field").into()),
    };
    if args.asking.json {
        return print_json(&people);
    }
    if people.is_empty() {
        print_line("nobody");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = table::table(&["person", "name", "tags", "fields"]);
    for person in &people {
        let name = person.aliases.first().map(full_name).unwrap_or_default();
        rows.add_row([table::plain(&person.person_id), name, tag_names(&person.tags), fields(&person.entity_fields)]);
    }
    table::print(&rows);
    Ok(ExitCode::SUCCESS)
}

/// What was stored, as JSON, or that it was.
fn done(stored: &impl Serialize, told: &str, asking: &Asking) -> CommandResult {
    if asking.json {
        return print_json(stored);
    }
    print_line(&table::plain(told));
    Ok(ExitCode::SUCCESS)
}

/// A day is over when it is over at the doors.
fn moment(expires: Expiry, asking: &Asking) -> anyhow::Result<chrono::DateTime<Utc>> {
    match expires {
        Expiry::At(moment) => Ok(moment),
        Expiry::Day(day) => {
            let doors = Doors::new(None, asking.access.config.config.as_deref());
            doors.end_of(day).with_context(|| format!("{day} is beyond the calendar"))
        }
    }
}

/// Gives a person a tag; one they carry already gets the new end, if one is given.
async fn give_tag(
    client: &Client,
    person: &str,
    name: &str,
    expires: Option<chrono::DateTime<Utc>>,
) -> anyhow::Result<PersonTag> {
    let now = Utc::now();
    if expires.is_some_and(|expires| expires <= now) {
        bail!("a tag cannot end in the past");
    }
    let carried = client.person_tags(person, None).await?;
    let valid = |tag: &PersonTag| tag.is_called(name) && tag.expires.is_none_or(|expires| expires > now);
    let carried = carried.into_iter().find(valid);
    if let Some(carried) = carried.clone().filter(|carried| expires.is_none() || carried.expires == expires) {
        return Ok(carried);
    }
    let id = carried.and_then(|tag| tag.person_tag_id).unwrap_or_else(|| Uuid::new_v4().to_string());
    let tag_id = client.ensure_tag(&TagWrite::named(name)).await?;
    let tag = PersonTagUpsert { person_tag_id: Some(id), tag_id, expires };
    let stored = client.put_person_tag(person, &tag).await?;
    Ok(stored.unwrap_or(PersonTag {
        person_tag_id: tag.person_tag_id,
        tag_id: tag.tag_id,
        expires,
        ..PersonTag::default()
    }))
}

/// Takes every application of a tag off a person; whether there was one.
async fn take_tag(client: &Client, person: &str, name: &str) -> Result<bool, ClientError> {
    let mut taken = false;
    for tag in client.person_tags(person, None).await?.iter().filter(|tag| tag.is_called(name)) {
        // Engines that do not tell the application's id take the tag's.
        let id = tag.person_tag_id.as_ref().unwrap_or(&tag.tag_id);
        taken |= client.delete_person_tag(person, id).await?;
    }
    Ok(taken)
}

fn show(person: &IdentityPersonItem, json: bool) -> CommandResult {
    if json {
        return print_json(person);
    }
    table::line("person", &person.person_id);
    for alias in &person.aliases {
        table::line("name", &full_name(alias));
    }
    for tag in &person.tags {
        let ends = tag.expires.map(|expires| format!(", until {}", table::time(expires))).unwrap_or_default();
        table::line("tag", &format!("{}{ends}", tag.name().unwrap_or(&tag.tag_id)));
    }
    for field in &person.entity_fields {
        table::line("field", &format!("{} = {}", field.name, value(field)));
    }
    for address in &person.addresses {
        let parts =
            [&address.street, &address.street2, &address.postal_code, &address.city, &address.state, &address.country];
        table::line("address", &table::joined(parts, ", "));
    }
    for note in &person.notes {
        table::line("note", &table::joined([&note.summary, &note.body], ": "));
    }
    Ok(ExitCode::SUCCESS)
}

pub fn full_name(alias: &PersonAlias) -> String {
    table::joined([&alias.title, &alias.first_name, &alias.middle_name, &alias.last_name], " ")
}

fn tag_names(tags: &[PersonTag]) -> String {
    let names = tags.iter().map(|tag| table::plain(tag.name().unwrap_or(&tag.tag_id)));
    names.collect::<Vec<_>>().join(", ")
}

fn fields(fields: &[EntityField]) -> String {
    let fields = fields.iter().map(|field| format!("{}={}", table::plain(&field.name), value(field)));
    fields.collect::<Vec<_>>().join(", ")
}

fn value(field: &EntityField) -> String {
    let text = field.string_value.as_deref().map(table::plain);
    text.or_else(|| field.date_value.map(table::time))
        .or_else(|| field.number_value.map(|number| number.to_string()))
        .or_else(|| field.bool_value.map(|yes| yes.to_string()))
        .unwrap_or_default()
}
