//! `doorward identities tags`: the definitions people's tags come from.

use anyhow::{Context, anyhow};
use identities::Client;
use identities::wire::{Tag, TagWrite};
use uuid::Uuid;

use super::access;
use crate::cli::{Asked, TagDefinition, TagsCommand};
use crate::commands::{CommandResult, print_either, print_line, table};

pub async fn run(Asked { command, asking }: Asked<TagsCommand>) -> CommandResult {
    let client = access::connect(&asking.access)?;
    let shown = match command {
        TagsCommand::List { name } => {
            let tags = client.tags(name.as_deref()).await?;
            return print_either(asking.json, &tags, || show(&tags));
        }
        TagsCommand::Delete { tag } => {
            let deleted = client.delete_tag(&find(&client, &tag).await?.tag_id).await?;
            let told = if deleted { "deleted" } else { "it was gone already" };
            return print_either(asking.json, &deleted, || print_line(told));
        }
        TagsCommand::Show { tag } => find(&client, &tag).await?,
        TagsCommand::Create { name, definition } => {
            match client.create_tag(&changed(TagWrite::named(&name), definition)).await? {
                Some(made) => made,
                None => find(&client, &name).await?,
            }
        }
        TagsCommand::Update { tag, name, definition } => {
            let known = find(&client, &tag).await?;
            let before = TagWrite {
                tag_name: name.unwrap_or(known.tag_name),
                disabled: known.disabled,
                description: known.description,
                default_expire_period: known.default_expire_period,
            };
            match client.update_tag(&known.tag_id, &changed(before, definition)).await? {
                Some(stored) => stored,
                None => client.tag(&known.tag_id).await?,
            }
        }
    };
    print_either(asking.json, &shown, || show(std::slice::from_ref(&shown)))
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

fn show(tags: &[Tag]) {
    let row = |tag: &Tag| {
        let period = tag.default_expire_period;
        [
            tag.tag_name.clone(),
            if period.is_zero() { "for ever".into() } else { period.to_string() },
            if tag.disabled { "no".into() } else { "yes".into() },
            tag.description.clone().unwrap_or_default(),
            tag.tag_id.clone(),
        ]
    };
    table::print(["name", "lasts", "in use", "description", "id"], tags.iter().map(row), "none");
}
