//! `doorward identities tags`: the definitions people's tags come from.

use anyhow::{Context, anyhow};
use identities::Client;
use identities::wire::{Tag, TagWrite};
use uuid::Uuid;

use super::access;
use crate::cli::{TagDefinition, TagsCommand};
use crate::commands::{CommandResult, print_json, print_line, table};
use crate::terminal::ExitCode;

pub async fn run(command: TagsCommand) -> CommandResult {
    match command {
        TagsCommand::List { name, asking } => {
            show(&access::connect(&asking.access)?.tags(name.as_deref()).await?, asking.json)
        }
        TagsCommand::Show { tag, asking } => {
            let tag = find(&access::connect(&asking.access)?, &tag).await?;
            show_one(&tag, asking.json)
        }
        TagsCommand::Create { name, definition, asking } => {
            let client = access::connect(&asking.access)?;
            let wanted = changed(TagWrite::named(&name), definition);
            let made = match client.create_tag(&wanted).await? {
                Some(made) => made,
                None => find(&client, &name).await?,
            };
            show_one(&made, asking.json)
        }
        TagsCommand::Update { tag, name, definition, asking } => {
            let client = access::connect(&asking.access)?;
            let known = find(&client, &tag).await?;
            let before = TagWrite {
                tag_name: name.unwrap_or(known.tag_name),
                disabled: known.disabled,
                description: known.description,
                default_expire_period: known.default_expire_period,
            };
            let stored = client.update_tag(&known.tag_id, &changed(before, definition)).await?;
            let stored = match stored {
                Some(stored) => stored,
                None => client.tag(&known.tag_id).await?,
            };
            show_one(&stored, asking.json)
        }
        TagsCommand::Delete { tag, asking } => {
            let client = access::connect(&asking.access)?;
            let known = find(&client, &tag).await?;
            let deleted = client.delete_tag(&known.tag_id).await?;
            let told = if deleted { "deleted" } else { "it was gone already" };
            if asking.json {
                return print_json(&deleted);
            }
            print_line(told);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The definition of this name, or of this id.
pub async fn find(client: &Client, tag: &str) -> anyhow::Result<Tag> {
    match client.tag_of_any_spelling(tag).await? {
        Some(known) => Ok(known),
        None if tag.parse::<Uuid>().is_ok() => client.tag(tag).await.with_context(|| format!("no tag is called {tag}")),
        None => Err(anyhow!("no tag is called `{tag}`; `doorward identities tags list` shows those there are")),
    }
}

fn changed(tag: TagWrite, definition: TagDefinition) -> TagWrite {
    TagWrite {
        description: definition.description.or(tag.description),
        default_expire_period: definition.expires_after.unwrap_or(tag.default_expire_period),
        disabled: definition.disabled.unwrap_or(tag.disabled),
        tag_name: tag.tag_name,
    }
}

fn show_one(tag: &Tag, json: bool) -> CommandResult {
    if json { print_json(tag) } else { show(std::slice::from_ref(tag), false) }
}

fn show(tags: &[Tag], json: bool) -> CommandResult {
    if json {
        return print_json(&tags);
    }
    let mut rows = table::table(&["name", "lasts", "in use", "description", "id"]);
    for tag in tags {
        let period = tag.default_expire_period;
        rows.add_row([
            table::plain(&tag.tag_name),
            if period.is_zero() { "for ever".into() } else { period.to_string() },
            if tag.disabled { "no".into() } else { "yes".into() },
            table::plain(tag.description.as_deref().unwrap_or_default()),
            table::plain(&tag.tag_id),
        ]);
    }
    table::print(&rows);
    Ok(ExitCode::SUCCESS)
}
