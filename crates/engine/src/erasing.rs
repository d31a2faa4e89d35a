//! Erasing people, photos, strangers and times: on the disk, in memory, and in the audit log as ids and numbers.
//!
//! In: whom or what, from a caller or from the command line. Out: what goes with it, to be shown before; then what
//! went. What is chosen and deleted is written in [`store::erase`](crate::store::erase).

use std::path::Path;

use ::faces::embed::{self, FaceModel};
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::auth::{Caller, OPERATOR};
use super::engine::Engine;
use super::error::{EngineError, Refusal};
use super::store::erase::{self, Erased, Whom};
use super::store::erasures::{self, Erasure, What};
use super::store::{Stop, Store, denials, meta, users};

/// How long what is being erased from the page can be undone.
pub(crate) const REGRET: TimeDelta = TimeDelta::seconds(10);

impl Engine {
    /// What goes with it if it is erased now.
    pub(crate) async fn would_erase(&self, whom: Whom) -> Result<Erased, Refusal> {
        let serving = self.serving().await;
        let plan = move |connection: &Connection| planned(connection, &whom, Some(&serving.analyzers.model));
        self.read("look what would be erased", move |connection| Ok(plan(connection)?.told)).await
    }

    /// Erases for good. The gallery follows before the next writer, so that nobody is matched who is not there any
    /// more.
    pub(crate) async fn erase(&self, caller: Caller, whom: Whom) -> Result<Erased, Refusal> {
        let model = self.serving().await.analyzers.model.clone();
        self.erasing(move |transaction| carried_out(transaction, &caller.username, &whom, Some(&model))).await
    }

    /// Erases an enrolled photo; see [`erase::photo`].
    pub(crate) async fn erase_photo(&self, caller: Caller, face: Uuid) -> Result<(), Refusal> {
        let erase = move |transaction: &Transaction| {
            let person = erase::photo(transaction, face)?;
            users::record_change(transaction, &caller.username, "erasePhoto", Some(&person.to_string()))
        };
        self.erasing(erase).await
    }

    /// Begins to erase: from now on it is neither shown nor recognised, and gone after [`REGRET`], whether anybody
    /// waits for that or not. Gives the id by which it can be undone until then, and what goes.
    pub(crate) async fn begin_erasing(&self, caller: Caller, what: What) -> Result<(Uuid, Erased), Refusal> {
        let model = self.serving().await.analyzers.model.clone();
        self.erasing(move |transaction| {
            let told = told(transaction, &what, &model)?;
            let id = Uuid::new_v4();
            erasures::begin(transaction, id, &what, &caller.username, Utc::now() + REGRET)?;
            Ok((id, told))
        })
        .await
    }

    /// What would go with it.
    pub(crate) async fn would_begin_erasing(&self, what: What) -> Result<Erased, Refusal> {
        let model = self.serving().await.analyzers.model.clone();
        self.read("look what would be erased", move |connection| told(connection, &what, &model)).await
    }

    /// Undoes what was begun and is not over: it is shown and recognised as before.
    pub(crate) async fn undo_erasing(&self, erasure: Uuid) -> Result<(), Refusal> {
        self.erasing(move |transaction| erasures::end(transaction, erasure)).await
    }

    /// Carries out what was begun and is due by then, each in a transaction of its own.
    pub(crate) async fn finish_erasing(&self, by: DateTime<Utc>) -> Result<(), Refusal> {
        let due = self.read("look what is to be erased", move |connection| erasures::due(connection, by)).await?;
        for Erasure { id, what, username } in due {
            let model = self.serving().await.analyzers.model.clone();
            self.erasing(move |transaction| {
                erasures::end(transaction, id)?;
                let done = match what {
                    What::Whom(whom) => carried_out(transaction, &username, &whom, Some(&model)).map(drop),
                    What::Photo(face) => erase::photo(transaction, face)
                        .and_then(|person| changed(transaction, &username, "erasePhoto", person)),
                    What::Denied(face) => denials::photo(transaction, face)
                        .and_then(|person| changed(transaction, &username, "denyPhoto", person)),
                };
                // It may have gone another way meanwhile.
                if let Err(Stop::Refused(refusal)) = &done {
                    tracing::info!("an erasure had nothing left to erase: {refusal:?}");
                    return Ok(());
                }
                done
            })
            .await?;
        }
        Ok(())
    }

    /// Deletes entries of the history in one transaction, of which the gallery holds nothing.
    pub(super) async fn erasing_sightings<T: Send + 'static>(
        &self,
        erase: impl FnOnce(&Transaction) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.blocking(move |inner| inner.store.write("erase", erase)).await
    }

    /// Deletes in one transaction, which the gallery follows.
    pub(super) async fn erasing<T: Send + 'static>(
        &self,
        erase: impl FnOnce(&Transaction) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, Refusal> {
        let serving = self.serving().await;
        self.blocking(move |inner| {
            let follow = |erased| serving.gallery.write().reload(&inner.store).map(|()| erased);
            Ok(inner.store.write_then("erase", erase, follow)??)
        })
        .await
    }
}

/// Erases from a data folder, which an engine may be serving: it notices within a second. With `only_tell` nothing is
/// changed, and what would be erased is told.
pub fn erase(data: &Path, whom: &Whom, only_tell: bool) -> Result<Erased, EngineError> {
    if !data.is_dir() {
        return Err(EngineError::NotAFolderOfOurs { path: data.to_owned() });
    }
    let store = Store::open(data)?;
    let model = store.read("read which model answered last", meta::model)?.and_then(|name| embed::known(&name));
    Ok(match only_tell {
        true => {
            store.read("look what would be erased", |connection| Ok(planned(connection, whom, model.as_ref())?.told))?
        }
        false => store.write("erase", |transaction| carried_out(transaction, OPERATOR, whom, model.as_ref()))?,
    })
}

/// What goes with it; refused where it is not there, or is the last photo.
fn told(connection: &Connection, what: &What, model: &FaceModel) -> Result<Erased, Stop> {
    match what {
        What::Whom(whom) => Ok(planned(connection, whom, Some(model))?.told),
        What::Photo(face) | What::Denied(face) => {
            erase::a_photo_among_others(connection, *face)?;
            match erasures::photos_left(connection, *face)? {
                ..=1 => Err(Refusal::bad_input("the person's other photos are being erased already").into()),
                _ => Ok(Erased { photos: 1, ..Erased::default() }),
            }
        }
    }
}

fn changed(transaction: &Transaction, username: &str, operation: &str, person: Uuid) -> Result<(), Stop> {
    users::record_change(transaction, username, operation, Some(&person.to_string()))
}

fn carried_out(
    transaction: &Transaction,
    username: &str,
    whom: &Whom,
    model: Option<&FaceModel>,
) -> Result<Erased, Stop> {
    let erased = erase::carry_out(transaction, &planned(transaction, whom, model)?)?;
    let (operation, subject) = match whom {
        Whom::Person(person) => ("erasePerson", person.to_string()),
        Whom::Stranger(_) | Whom::Group(_) => ("eraseStranger", numbers(&erased)),
        Whom::Seen { .. } => ("eraseSeen", numbers(&erased)),
    };
    users::record_change(transaction, username, operation, Some(&subject))?;
    Ok(erased)
}

/// What the audit log says of faces nobody knew: how many, and no more.
pub(super) fn numbers(erased: &Erased) -> String {
    format!("{} sightings, {} strangers", erased.sightings, erased.strangers)
}

/// `answering` is the model that answers, where one does; vectors of those before it count, too.
fn planned(connection: &Connection, whom: &Whom, answering: Option<&FaceModel>) -> Result<erase::Plan, Stop> {
    erase::plan(connection, whom, &|name, one, other| {
        let answering = answering.filter(|model| model.name == name).cloned();
        let model = answering.or_else(|| embed::known(name));
        model.is_some_and(|model| model.metric.accepts(model.metric.score(one, other), model.threshold))
    })
}
