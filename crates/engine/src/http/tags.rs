//! Tags: the definitions people's tags come from.

use axum::Json as Answer;
use axum::extract::State;
use axum::routing::{delete, get, post, put};
use identities::wire::{Tag, TagWrite};
use serde::Deserialize;
use uuid::Uuid;

use super::extract::{Guid, Json, Query, Segments, filled};
use super::{Access, RECORD, Route};
use crate::Engine;
use crate::auth::Caller;
use crate::permission::Permission::*;
use crate::refusal::Refusal;
use crate::store::{audit, tags};

const ALL: &str = "/api/v1/Tags";
const ONE: &str = "/api/v1/Tags/{tagId}";

pub fn routes() -> Vec<Route> {
    let reading = Access::AnyOf(&[ReadTagDefinitions]);
    vec![
        Route::new("listTags", ALL, reading, RECORD, get(list)),
        Route::new("createTag", ALL, Access::AnyOf(&[AddTags]), RECORD, post(create)),
        Route::new("getTag", ONE, reading, RECORD, get(read)),
        Route::new("updateTag", ONE, Access::AnyOf(&[EditTags]), RECORD, put(update)),
        Route::new("deleteTag", ONE, Access::AnyOf(&[DeleteTags]), RECORD, delete(remove)),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    tag_name: Option<String>,
}

async fn list(State(engine): State<Engine>, Query(filter): Query<Filter>) -> Result<Answer<Vec<Tag>>, Refusal> {
    let name = filter.tag_name;
    filled("tagName", name.as_deref().unwrap_or("absent"))?;
    let listed = engine.blocking(move |inner| {
        inner.store.read("list tags", |connection| Ok(tags::list(connection, name.as_deref())?))
    });
    listed.await.map(Answer)
}

async fn create(
    State(engine): State<Engine>,
    caller: Caller,
    Json(tag): Json<TagWrite>,
) -> Result<Answer<Tag>, Refusal> {
    filled("tagName", &tag.tag_name)?;
    let id = Uuid::new_v4();
    let created = engine.blocking(move |inner| {
        inner.store.write("create a tag", |transaction| {
            let tag = tags::create(transaction, id, &tag)?;
            audit::record(transaction, &caller.username, "createTag", Some(&tag.tag_id))?;
            Ok(tag)
        })
    });
    created.await.map(Answer)
}

async fn read(State(engine): State<Engine>, Segments(Guid(id)): Segments<Guid>) -> Result<Answer<Tag>, Refusal> {
    let read = engine.blocking(move |inner| inner.store.read("read a tag", |connection| tags::read(connection, id)));
    read.await.map(Answer)
}

async fn update(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(id)): Segments<Guid>,
    Json(tag): Json<TagWrite>,
) -> Result<Answer<Tag>, Refusal> {
    filled("tagName", &tag.tag_name)?;
    let updated = engine.blocking(move |inner| {
        inner.store.write("change a tag", |transaction| {
            let tag = tags::update(transaction, id, &tag)?;
            audit::record(transaction, &caller.username, "updateTag", Some(&tag.tag_id))?;
            Ok(tag)
        })
    });
    updated.await.map(Answer)
}

async fn remove(
    State(engine): State<Engine>,
    caller: Caller,
    Segments(Guid(id)): Segments<Guid>,
) -> Result<(), Refusal> {
    let removed = engine.blocking(move |inner| {
        inner.store.write("delete a tag", |transaction| {
            tags::delete(transaction, id)?;
            Ok(audit::record(transaction, &caller.username, "deleteTag", Some(&id.to_string()))?)
        })
    });
    removed.await
}
