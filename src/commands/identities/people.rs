//! `doorward identities person` and `search`: records, read and changed part by part.

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use identities::text;
use identities::wire::{
    EntityField, IdentityPersonItem, PersonAlias, PersonNote, PersonTag, PersonTagUpsert, TagWrite,
};
use identities::{Client, ClientError};
use serde::Serialize;
use uuid::Uuid;

use super::{access, tags};
use crate::cli::{Asked, Asking, Expiry, PersonCommand, PersonPart, SearchArgs};
use crate::commands::doors::Doors;
use crate::commands::{CommandResult, print_either, print_line, table};

pub async fn run(Asked { command, asking }: Asked<PersonCommand>) -> CommandResult {
    let client = access::connect(&asking.access)?;
    match command {
        PersonCommand::Show { person } => {
            let record = client.person(&person).await?;
            print_either(asking.json, &record, || show(&record))
        }
        PersonCommand::Tag { person, tag, expires } => {
            let expires = expires.map(|expires| moment(expires, &asking)).transpose()?;
            let carried = client.person_tags(&person, None).await?;
            let given = give_tag(&client, &person, carried, &tag, expires).await?;
            done(&given, &format!("{person} carries `{tag}` now"), &asking)
        }
        PersonCommand::Untag { person, tag } => {
            let taken = take_tag(&client, &person, &tag).await?;
            let told = if taken { "no longer carries" } else { "did not carry" };
            done(&taken, &format!("{person} {told} `{tag}`"), &asking)
        }
        PersonCommand::Name { person, first_name, last_name, middle_name, title } => {
            let alias = PersonAlias { person_alias_id: new_id(), first_name, last_name, middle_name, title };
            let stored = client.put_alias(&person, &alias).await?;
            done(&stored.unwrap_or(alias), "the name is added", &asking)
        }
        PersonCommand::Field { person, name, value } => {
            // The field of that name, if there is one, keeps its id: nobody has two of a name.
            let known = client.entity_fields(&person, None).await?;
            let known = known.into_iter().find(|field| text::same(&field.name, &name));
            let entity_field_id = known.and_then(|field| field.entity_field_id).or_else(new_id);
            let field = EntityField { entity_field_id, name, string_value: Some(value), ..EntityField::default() };
            let stored = client.put_entity_field(&person, &field).await?;
            done(&stored.unwrap_or(field), "the field is set", &asking)
        }
        PersonCommand::Note { person, text, summary } => {
            let note = PersonNote { note_id: new_id(), summary, body: Some(text), ..PersonNote::default() };
            let stored = client.put_note(&person, &note).await?;
            done(&stored.unwrap_or(note), "the note is added", &asking)
        }
        PersonCommand::Remove { person, what, id } => {
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
    let people = match &args.tag {
        Some(tag) => client.people_with_tag(&tags::find(&client, tag).await?.tag_id).await?,
        // Without a tag the command line has a field.
        None => client.people_with_field(&args.field.unwrap_or_default(), args.value.as_deref()).await?,
    };
    let row = |person: &IdentityPersonItem| {
        let name = person.aliases.first().map(full_name).unwrap_or_default();
        let tags = person.tags.iter().map(|tag| tag.name().unwrap_or(&tag.tag_id)).collect::<Vec<_>>().join(", ");
        let fields = person.entity_fields.iter().map(|field| format!("{}={}", field.name, value(field)));
        [person.person_id.clone(), name, tags, fields.collect::<Vec<_>>().join(", ")]
    };
    print_either(args.asking.json, &people, || {
        table::print(["person", "name", "tags", "fields"], people.iter().map(row), "nobody");
    })
}

/// What was stored, as JSON, or that it was.
fn done(stored: &impl Serialize, told: &str, asking: &Asking) -> CommandResult {
    print_either(asking.json, stored, || print_line(told))
}

/// The id of a part of a record that is new.
pub fn new_id() -> Option<String> {
    Some(Uuid::new_v4().to_string())
}

/// A day is over when it is over at the doors.
fn moment(expires: Expiry, asking: &Asking) -> anyhow::Result<DateTime<Utc>> {
    match expires {
        Expiry::At(moment) => Ok(moment),
        Expiry::Day(day) => {
            let doors = Doors::new(None, asking.access.config.config.as_deref());
            doors.end_of(day).with_context(|| format!("{day} is beyond the calendar"))
        }
    }
}

/// Gives a person a tag, unless they carry it already; of one they carry the end changes, if one is given.
pub async fn give_tag(
    client: &Client,
    person: &str,
    carried: Vec<PersonTag>,
    name: &str,
    expires: Option<DateTime<Utc>>,
) -> anyhow::Result<PersonTag> {
    let now = Utc::now();
    ensure!(expires.is_none_or(|expires| expires > now), "a tag cannot end in the past");
    let valid = |tag: &PersonTag| tag.is_called(name) && tag.expires.is_none_or(|expires| expires > now);
    let carried = carried.into_iter().find(valid);
    if let Some(carried) = carried.clone().filter(|carried| expires.is_none() || carried.expires == expires) {
        return Ok(carried);
    }
    let person_tag_id = carried.and_then(|tag| tag.person_tag_id).or_else(new_id);
    let tag_id = client.ensure_tag(&TagWrite::named(name)).await?;
    let tag = PersonTagUpsert { person_tag_id, tag_id, expires };
    let stored = client.put_person_tag(person, &tag).await?;
    let PersonTagUpsert { person_tag_id, tag_id, expires } = tag;
    Ok(stored.unwrap_or(PersonTag { person_tag_id, tag_id, expires, ..PersonTag::default() }))
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

fn show(person: &IdentityPersonItem) {
    table::line("person", &person.person_id);
    person.aliases.iter().for_each(|alias| table::line("name", &full_name(alias)));
    for tag in &person.tags {
        let ends = tag.expires.map(|expires| format!(", until {}", table::time(expires))).unwrap_or_default();
        table::line("tag", &format!("{}{ends}", tag.name().unwrap_or(&tag.tag_id)));
    }
    let field = |field: &EntityField| format!("{} = {}", field.name, value(field));
    person.entity_fields.iter().for_each(|one| table::line("field", &field(one)));
    for address in &person.addresses {
        let parts =
            [&address.street, &address.street2, &address.postal_code, &address.city, &address.state, &address.country];
        table::line("address", &table::joined(parts, ", "));
    }
    for note in &person.notes {
        table::line("note", &table::joined([&note.summary, &note.body], ": "));
    }
}

pub fn full_name(alias: &PersonAlias) -> String {
    table::joined([&alias.title, &alias.first_name, &alias.middle_name, &alias.last_name], " ")
}

fn value(field: &EntityField) -> String {
    let text = field.string_value.clone();
    text.or_else(|| field.date_value.map(table::time))
        .or_else(|| field.number_value.map(|number| number.to_string()))
        .or_else(|| field.bool_value.map(|yes| yes.to_string()))
        .unwrap_or_default()
}
