//! `doorward identities enroll`: one photo, and what else is to be known of the person.

use anyhow::{Context, anyhow};
use identities::wire::{Base64, FaceEnrollQuery, FaceEnrollRequest, PersonAlias};
use identities::{Client, ClientError};
use serde_json::json;

use super::people::{give_tag, new_id};
use super::{access, photo};
use crate::cli::EnrollArgs;
use crate::commands::{CommandResult, print_either, table};

pub async fn run(args: EnrollArgs) -> CommandResult {
    let photo = photo::read(&args.photo)?;
    let client = access::connect(&args.asking.access)?;
    let query = FaceEnrollQuery { person_id: args.person_id.clone(), force_enrollment: args.force };
    let request = FaceEnrollRequest { face_image: Base64::from(photo), photo_reference_id: None };
    let enrolled = client.face_enroll(&query, &request).await;
    let person = enrolled.map_err(|error| refused_photo(error, &args))?.person_id;

    describe(&client, &person, &args).await.with_context(|| {
        let photo = args.photo.display();
        format!("{photo} is enrolled as person {person}, but what else was asked for was not done")
    })?;
    let EnrollArgs { first_name, last_name, tag, asking, .. } = &args;
    let new = args.person_id.is_none();
    let done =
        json!({ "person_id": person, "new": new, "first_name": first_name, "last_name": last_name, "tags": tag });
    print_either(asking.json, &done, || {
        table::line("person", &format!("{person}{}", if new { "" } else { " (one more photo)" }));
        table::line("name", &table::joined([first_name, last_name], " "));
        table::line("tags", &tag.join(", "));
    })
}

/// Names and tags. What a known person has already is not given twice.
async fn describe(client: &Client, person: &str, args: &EnrollArgs) -> anyhow::Result<()> {
    let known = args.person_id.is_some();
    if args.first_name.is_some() || args.last_name.is_some() {
        let same = |alias: &PersonAlias| alias.first_name == args.first_name && alias.last_name == args.last_name;
        if !(known && client.person(person).await?.aliases.iter().any(same)) {
            let alias = PersonAlias {
                person_alias_id: new_id(),
                first_name: args.first_name.clone(),
                last_name: args.last_name.clone(),
                ..PersonAlias::default()
            };
            client.put_alias(person, &alias).await.context("the name was not set")?;
        }
    }
    for name in &args.tag {
        let carried = if known { client.person_tags(person, Some(name)).await? } else { Vec::new() };
        let given = give_tag(client, person, carried, name, None).await;
        given.with_context(|| format!("the tag `{name}` was not set"))?;
    }
    Ok(())
}

/// What to do about a photo the engine would not take.
fn refused_photo(error: ClientError, args: &EnrollArgs) -> anyhow::Error {
    let advice = match &error {
        ClientError::NotFound { .. } if args.person_id.is_some() => "no person has that id",
        refusal => match photo::advice(refusal, args.force) {
            Some(advice) => advice,
            None => return error.into(),
        },
    };
    anyhow!(error).context(format!("{} was not enrolled; {advice}", args.photo.display()))
}
