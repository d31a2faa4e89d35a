//! Which topics the MQTT broker keeps something of ours under, remembered across restarts.
//!
//! In: topics as they are told under, and those that were cleared. Out: all that may still be there. They are names of
//! detectors and of this box, not of people. It does not know MQTT.

use rusqlite::{Connection, params};

use super::error::{OutboxError, storage};

/// A topic this box tells things under, at a broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerTopic {
    /// The broker's host and port.
    pub broker: String,
    pub topic: String,
    /// The topic that shows whose this one is: a detector's `state`, a box's `availability`.
    pub witness: String,
    /// This box's `client_id`, as the broker knew it.
    pub owner: String,
}

pub(super) fn read(db: &Connection) -> Result<Vec<BrokerTopic>, OutboxError> {
    let read = || {
        let mut statement =
            db.prepare("SELECT broker, topic, witness, owner FROM broker_topic ORDER BY broker, topic")?;
        let rows = statement.query_map([], |row| {
            Ok(BrokerTopic { broker: row.get(0)?, topic: row.get(1)?, witness: row.get(2)?, owner: row.get(3)? })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(storage("read what the MQTT broker keeps"))
}

pub(super) fn keep(db: &mut Connection, topics: &[BrokerTopic]) -> Result<(), OutboxError> {
    let mut write = || {
        let tx = db.transaction()?;
        for BrokerTopic { broker, topic, witness, owner } in topics {
            tx.prepare_cached(
                "INSERT INTO broker_topic (broker, topic, witness, owner) VALUES (?, ?, ?, ?)
                 ON CONFLICT (broker, topic) DO UPDATE SET witness = excluded.witness, owner = excluded.owner",
            )?
            .execute(params![broker, topic, witness, owner])?;
        }
        tx.commit()
    };
    write().map_err(storage("record what the MQTT broker keeps"))
}

pub(super) fn forget(db: &mut Connection, broker: &str, topics: &[String]) -> Result<(), OutboxError> {
    let mut write = || {
        let tx = db.transaction()?;
        for topic in topics {
            tx.prepare_cached("DELETE FROM broker_topic WHERE broker = ? AND topic = ?")?.execute([broker, topic])?;
        }
        tx.commit()
    };
    write().map_err(storage("record what the MQTT broker keeps"))
}
