//! Erasing people and photos, from the disk and from memory.
//!
//! In: whom, or which photo, and who asks. Out: nothing of it is known any more, and the audit log says who had it
//! erased.

use rusqlite::Transaction;
use uuid::Uuid;

use super::auth::Caller;
use super::engine::Engine;
use super::refusal::Refusal;
use super::store::{Stop, audit, erase};

impl Engine {
    /// Erases a person: record, photos, vectors, documents and everything seen of them.
    pub async fn erase_person(&self, caller: &Caller, person: Uuid) -> Result<(), Refusal> {
        let erase = move |transaction: &Transaction| erase::person(transaction, person).map(|()| person);
        self.erase(caller, "erasePerson", erase).await
    }

    /// Erases an enrolled photo; refused for a person's last one.
    pub async fn erase_photo(&self, caller: &Caller, face: Uuid) -> Result<(), Refusal> {
        self.erase(caller, "erasePhoto", move |transaction| erase::photo(transaction, face)).await
    }

    /// Erases something of a person, whom `erase` names for the audit log. The gallery follows before the next writer,
    /// so that nobody is matched who is not there any more.
    async fn erase(
        &self,
        caller: &Caller,
        operation: &'static str,
        erase: impl FnOnce(&Transaction) -> Result<Uuid, Stop> + Send + 'static,
    ) -> Result<(), Refusal> {
        let (username, serving) = (caller.username.clone(), self.serving().await);
        self.blocking(move |inner| {
            let erase_and_record = |transaction: &Transaction| {
                let person = erase(transaction)?;
                audit::record(transaction, &username, operation, Some(&person.to_string()))
            };
            let follow = |()| serving.gallery.write().reload(&inner.store, true);
            Ok(inner.store.write_then("erase", erase_and_record, follow)??)
        })
        .await
    }
}
