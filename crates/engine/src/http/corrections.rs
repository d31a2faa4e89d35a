//! What somebody says on the page of who was seen: that strangers are a person, that a match is wrong, that something
//! is to be erased, and that it was not meant so.
//!
//! In: JSON, with the permissions of the contract's operations of the same kind. Out: what would come of it, and what
//! came of it. These operations are the page's own, and none of the contract's.

use axum::Json;
use axum::http::Method;
use chrono::DateTime;
use identities::operation::{CONFIGURE_STRING_FIELD, DETECTIONS_OF_PERSON, FACE_ENROLL, Operation};
use identities::wire::Base64;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::extract::{Id, Json as Body, Query};
use super::{PICTURES, Route};
use crate::auth::Caller;
use crate::engine::Engine;
use crate::erasing::REGRET;
use crate::error::Refusal;
use crate::recognition::assign::Assignment;
use crate::store::assign::Which;
use crate::store::denials::Before;
use crate::store::erase::Whom;
use crate::store::erasures::What;
use crate::store::groups;

/// Groups of one page at most.
const MOST: u32 = 100;

const LIST_GROUPS: Operation = Operation { id: "pageListGroups", path: "/page/groups", ..DETECTIONS_OF_PERSON };
const GROUP: Operation = Operation { id: "pageGroup", path: "/page/groups/{groupId}", ..DETECTIONS_OF_PERSON };
const LOOK: Operation = Operation { id: "pageLookAssignment", path: "/page/assignments/look", ..FACE_ENROLL };
const LOOK_PORTRAIT: Operation = Operation { id: "pageLookPortrait", path: "/page/portraits/look", ..FACE_ENROLL };
const ASSIGN: Operation = Operation { id: "pageAssign", path: "/page/assignments", ..FACE_ENROLL };
const DENY: Operation = Operation { id: "pageDeny", path: "/page/denials", ..FACE_ENROLL };
const UNDO_DENIAL: Operation = Operation { id: "pageUndoDenial", path: "/page/denials/undo", ..FACE_ENROLL };
const LOOK_ERASURE: Operation = Operation { id: "pageLookErasure", path: "/page/erasures/look", ..BEGIN_ERASURE };
const BEGIN_ERASURE: Operation =
    Operation { id: "pageErase", method: &Method::POST, path: "/page/erasures", ..CONFIGURE_STRING_FIELD };
const UNDO_ERASURE: Operation = Operation {
    id: "pageUndoErasure",
    method: &Method::DELETE,
    path: "/page/erasures/{erasureId}",
    ..CONFIGURE_STRING_FIELD
};

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    skip: u32,
    #[serde(default)]
    take: u32,
}

/// A sighting or a group, and who it is: a person there is, or somebody new of this name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assigning {
    detect_id: Option<Uuid>,
    group_id: Option<Uuid>,
    person_id: Option<Uuid>,
    first_name: Option<String>,
    last_name: Option<String>,
    #[serde(default)]
    force: bool,
}

/// A photo to enrol, and for whom; for somebody new where that is not said.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Portraying {
    image: Base64,
    person_id: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Denying {
    detect_id: Uuid,
}

/// A denied sighting, and what its denial said it had been before.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UndoingDenial {
    detect_id: Uuid,
    person_id: Uuid,
    face_id: Uuid,
    match_confidence: Option<f32>,
}

/// What is to be erased: one of these, or a time.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Erasing {
    person_id: Option<Uuid>,
    group_id: Option<Uuid>,
    /// An enrolled photo; with `denied` it is not the person's.
    photo_id: Option<Uuid>,
    #[serde(default)]
    denied: bool,
    /// Milliseconds since 1970.
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    detector: Option<String>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::reading(&LIST_GROUPS, |connection, Query(Paging { skip, take })| {
            groups::list(connection, skip, take.min(MOST))
        }),
        Route::reading(&GROUP, |connection, Id(group)| {
            groups::read(connection, group)?.ok_or_else(|| Refusal::NotFound("group").into())
        }),
        Route::new(&LOOK, |engine: Engine, caller: Caller, Body(asked): Body<Assigning>| async move {
            engine.would_assign(&caller, asked.which()?, asked.person_id).await.map(Json)
        }),
        Route::new(&LOOK_PORTRAIT, |engine: Engine, caller: Caller, Body(asked): Body<Portraying>| async move {
            engine.look_at_portrait(&caller, asked.image.0, asked.person_id).await.map(Json)
        })
        .with_body(PICTURES),
        Route::new(&ASSIGN, |engine: Engine, caller: Caller, Body(asked): Body<Assigning>| async move {
            let which = asked.which()?;
            let Assigning { person_id, first_name, last_name, force, .. } = asked;
            engine.assign(caller, Assignment { which, person: person_id, first_name, last_name, force }).await.map(Json)
        })
        .growing(),
        Route::new(&DENY, |engine: Engine, caller: Caller, Body(asked): Body<Denying>| async move {
            let before = engine.deny(caller, asked.detect_id).await?;
            let Before { person, face, match_confidence } = before;
            // Sent back to undo it.
            Ok::<_, Refusal>(Json(json!({
                "detectId": asked.detect_id, "personId": person, "faceId": face, "matchConfidence": match_confidence,
            })))
        })
        .growing(),
        Route::new(&UNDO_DENIAL, |engine: Engine, caller: Caller, Body(asked): Body<UndoingDenial>| async move {
            let UndoingDenial { detect_id, person_id: person, face_id: face, match_confidence } = asked;
            engine.undo_denial(caller, detect_id, Before { person, face, match_confidence }).await
        }),
        Route::new(&LOOK_ERASURE, |engine: Engine, Body(asked): Body<Erasing>| async move {
            engine.would_begin_erasing(asked.what()?).await.map(Json)
        }),
        Route::new(&BEGIN_ERASURE, |engine: Engine, caller: Caller, Body(asked): Body<Erasing>| async move {
            let (erasure, erased) = engine.begin_erasing(caller, asked.what()?).await?;
            let ms = REGRET.num_milliseconds();
            Ok::<_, Refusal>(Json(json!({ "erasureId": erasure, "undoMs": ms, "erased": erased })))
        }),
        Route::new(&UNDO_ERASURE, |engine: Engine, Id(erasure): Id| async move { engine.undo_erasing(erasure).await }),
    ]
}

impl Assigning {
    fn which(&self) -> Result<Which, Refusal> {
        match (self.detect_id, self.group_id) {
            (Some(detection), None) => Ok(Which::Sighting(detection)),
            (None, Some(group)) => Ok(Which::Group(group)),
            _ => Err(Refusal::bad_input("either detectId or groupId must say what was seen")),
        }
    }
}

impl Erasing {
    fn what(self) -> Result<What, Refusal> {
        match (self.person_id, self.group_id, self.photo_id) {
            (Some(person), None, None) => Ok(What::Whom(Whom::Person(person))),
            (None, Some(group), None) => Ok(What::Whom(Whom::Group(group))),
            (None, None, Some(photo)) if self.denied => Ok(What::Denied(photo)),
            (None, None, Some(photo)) => Ok(What::Photo(photo)),
            (None, None, None) => {
                let moment = |millis: Option<i64>| millis.and_then(DateTime::from_timestamp_millis);
                match (moment(self.from_ms), moment(self.to_ms)) {
                    (Some(from), Some(to)) if from < to => {
                        Ok(What::Whom(Whom::Seen { from, to, detector: self.detector.filter(|name| !name.is_empty()) }))
                    }
                    _ => Err(Refusal::bad_input("fromMs must be before toMs, in milliseconds since 1970")),
                }
            }
            _ => Err(Refusal::bad_input("one thing is erased at a time")),
        }
    }
}
