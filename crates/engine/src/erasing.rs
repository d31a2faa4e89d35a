//! Erasing people, photos, strangers and times: on the disk, in memory, and in the audit log as ids and numbers.
//!
//! In: whom or what, from a caller or from the command line. Out: what goes with it, to be shown before; then what
//! went. What is chosen and deleted is written in [`store::erase`](crate::store::erase).

use std::path::Path;

use ::faces::embed::{self, FaceModel};
use rusqlite::{Connection, Transaction};
use uuid::Uuid;

use super::auth::{Caller, OPERATOR};
use super::engine::Engine;
use super::error::{EngineError, Refusal};
use super::store::erase::{self, Erased, Whom};
use super::store::{Stop, Store, meta, users};

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

fn carried_out(
    transaction: &Transaction,
    username: &str,
    whom: &Whom,
    model: Option<&FaceModel>,
) -> Result<Erased, Stop> {
    let erased = erase::carry_out(transaction, &planned(transaction, whom, model)?)?;
    let (operation, subject) = match whom {
        Whom::Person(person) => ("erasePerson", person.to_string()),
        Whom::Stranger(_) => ("eraseStranger", numbers(&erased)),
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
