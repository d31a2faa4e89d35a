//! Which topics the MQTT broker keeps something of ours under, remembered across restarts.
//!
//! In: topics as they are told under, and those that were cleared. Out: all that may still be there. They are names of
//! detectors and of this box, not of people. It does not know MQTT.

use rusqlite::Connection;

use super::sql;

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

pub(super) fn read(db: &Connection) -> rusqlite::Result<Vec<BrokerTopic>> {
    let sql = "SELECT broker, topic, witness, owner FROM broker_topic ORDER BY broker, topic";
    sql::rows(db, sql, [], |row| {
        Ok(BrokerTopic { broker: row.get(0)?, topic: row.get(1)?, witness: row.get(2)?, owner: row.get(3)? })
    })
}

pub(super) fn keep(tx: &Connection, topics: &[BrokerTopic]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO broker_topic (broker, topic, witness, owner) VALUES (?, ?, ?, ?)
               ON CONFLICT (broker, topic) DO UPDATE SET witness = excluded.witness, owner = excluded.owner";
    topics.iter().try_for_each(|BrokerTopic { broker, topic, witness, owner }| {
        sql::execute(tx, sql, [broker, topic, witness, owner]).map(drop)
    })
}

pub(super) fn forget(tx: &Connection, broker: &str, topics: &[String]) -> rusqlite::Result<()> {
    let sql = "DELETE FROM broker_topic WHERE broker = ? AND topic = ?";
    topics.iter().try_for_each(|topic| sql::execute(tx, sql, [broker, topic]).map(drop))
}
