//! Erasing people and photos, from the disk and from memory.
//!
//! In: whom, or which photo, and who asks. Out: nothing of it is known any more, and the audit log says who had it
//! erased.

use rusqlite::Transaction;
use uuid::Uuid;

use super::auth::Caller;
use super::engine::{Engine, Inner};
use super::refusal::Refusal;
use super::serving::Serving;
use super::store::{Stop, audit, erase};

impl Engine {
    /// Erases a person: record, photos, vectors, documents and everything seen of them.
    pub async fn erase_person(&self, caller: &Caller, person: Uuid) -> Result<(), Refusal> {
        let (username, serving) = (caller.username.clone(), self.serving().await);
        self.blocking(move |inner| {
            inner.erase(&serving, |transaction| {
                erase::person(transaction, person)?;
                audit::record(transaction, &username, "erasePerson", Some(&person.to_string()))
            })
        })
        .await
    }

    /// Erases an enrolled photo; refused for a person's last one.
    pub async fn erase_photo(&self, caller: &Caller, face: Uuid) -> Result<(), Refusal> {
        let (username, serving) = (caller.username.clone(), self.serving().await);
        self.blocking(move |inner| {
            inner.erase(&serving, |transaction| {
                let person = erase::photo(transaction, face)?;
                audit::record(transaction, &username, "erasePhoto", Some(&person.to_string()))
            })
        })
        .await
    }
}

impl Inner {
    /// Before the next writer, so that nobody is matched who is not there any more.
    fn erase(&self, serving: &Serving, erase: impl FnOnce(&Transaction) -> Result<(), Stop>) -> Result<(), Refusal> {
        let erased = self.store.write_then("erase", erase, |()| serving.gallery.write().reload_known(&self.store))?;
        Ok(erased?)
    }
}
