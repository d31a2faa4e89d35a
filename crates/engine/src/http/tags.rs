//! Tags: the definitions people's tags come from.

use axum::Json as Answer;
use identities::operation::{CREATE_TAG, DELETE_TAG, GET_TAG, LIST_TAGS, UPDATE_TAG};
use identities::wire::{Tag, TagWrite};
use serde::Deserialize;
use uuid::Uuid;

use super::extract::{Id, Json, Query, filled, filled_if_given};
use super::{Answered, Route};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::refusal::Refusal;
use crate::store::tags;

pub fn routes() -> Vec<Route> {
    vec![
        Route::new(&LIST_TAGS, list),
        Route::new(&CREATE_TAG, create),
        Route::new(&GET_TAG, read),
        Route::new(&UPDATE_TAG, update),
        Route::new(&DELETE_TAG, remove),
    ]
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    tag_name: Option<String>,
}

async fn list(engine: Engine, Query(Filter { tag_name }): Query<Filter>) -> Answered<Vec<Tag>> {
    filled_if_given("tagName", &tag_name)?;
    engine.read("list tags", move |connection| tags::list(connection, tag_name.as_deref())).await.map(Answer)
}

async fn create(engine: Engine, caller: Caller, Json(tag): Json<TagWrite>) -> Answered<Tag> {
    filled("tagName", &tag.tag_name)?;
    let id = Uuid::new_v4();
    let created = engine.change(caller, &CREATE_TAG, id.to_string(), "create a tag", move |transaction, _| {
        tags::create(transaction, id, &tag)
    });
    created.await.map(Answer)
}

async fn read(engine: Engine, Id(id): Id) -> Answered<Tag> {
    engine.read("read a tag", move |connection| tags::read(connection, id)).await.map(Answer)
}

async fn update(engine: Engine, caller: Caller, Id(id): Id, Json(tag): Json<TagWrite>) -> Answered<Tag> {
    filled("tagName", &tag.tag_name)?;
    let updated = engine.change(caller, &UPDATE_TAG, id.to_string(), "change a tag", move |transaction, _| {
        tags::update(transaction, id, &tag)
    });
    updated.await.map(Answer)
}

async fn remove(engine: Engine, caller: Caller, Id(id): Id) -> Result<(), Refusal> {
    let removed = engine.change(caller, &DELETE_TAG, id.to_string(), "delete a tag", move |transaction, _| {
        tags::delete(transaction, id)
    });
    removed.await
}
