//! Tags: the definitions people's tags come from.

use axum::Json as Answer;
use identities::operation::{CREATE_TAG, DELETE_TAG, GET_TAG, LIST_TAGS, UPDATE_TAG};
use identities::wire::TagWrite;
use serde::Deserialize;
use uuid::Uuid;

use super::Route;
use super::extract::{Id, Json, Query, filled, filled_if_given};
use crate::store::tags;

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&LIST_TAGS, |connection, Query(TagFilter { tag_name })| {
            filled_if_given("tagName", &tag_name)?;
            tags::list(connection, tag_name.as_deref())
        }),
        Route::changing(&CREATE_TAG, |transaction, _, Json(tag): Json<TagWrite>| {
            filled("tagName", &tag.tag_name)?;
            let id = Uuid::new_v4();
            Ok((id.to_string(), Answer(tags::create(transaction, id, &tag)?)))
        }),
        Route::reading(&GET_TAG, |connection, Id(id)| tags::read(connection, id)),
        Route::changing(&UPDATE_TAG, |transaction, _, (Id(id), Json(tag)): (Id, Json<TagWrite>)| {
            filled("tagName", &tag.tag_name)?;
            Ok((id.to_string(), Answer(tags::update(transaction, id, &tag)?)))
        }),
        Route::changing(&DELETE_TAG, |transaction, _, Id(id)| {
            tags::delete(transaction, id)?;
            Ok((id.to_string(), ()))
        }),
    ]
}

/// The query of lists of tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagFilter {
    pub tag_name: Option<String>,
}
