//! The tables, and how a database of any earlier version becomes one of this version.
//!
//! In: an open database. Out: the same, at version [`VERSION`], or an error that leaves it untouched. A schema that
//! has been released is never edited; a change is a new entry in [`MIGRATIONS`].

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{functions, users};
use crate::EngineError;

/// Tells an engine's database from any other SQLite file: "door" in ASCII.
const APPLICATION_ID: i32 = 0x646f_6f72;

/// The schema this build reads and writes.
const VERSION: i32 = MIGRATIONS.len() as i32;

/// `MIGRATIONS[n]` takes version `n` to `n + 1`.
///
/// Ids are UUIDs in their usual text form; times are milliseconds since 1970 in UTC; vectors are float32, little
/// endian. `rowid` keeps lists in the order they were made in.
const MIGRATIONS: [&str; 3] = [FIRST, SECOND, THIRD];

const FIRST: &str = "
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE roles (
        role_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        built_in INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE role_permissions (
        role_id INTEGER NOT NULL REFERENCES roles ON DELETE CASCADE,
        category TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (role_id, category, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE users (
        user_id TEXT PRIMARY KEY,
        username TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password_hash TEXT NOT NULL,
        role_id INTEGER NOT NULL REFERENCES roles,
        -- Counts up with each new password: older tokens are void.
        token_version INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE audit (
        audit_id INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        username TEXT NOT NULL,
        operation TEXT NOT NULL,
        subject TEXT
    ) STRICT;

    CREATE TABLE people (
        person_id TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE aliases (
        alias_id TEXT NOT NULL UNIQUE,
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        first_name TEXT, last_name TEXT, middle_name TEXT, title TEXT
    ) STRICT;
    CREATE INDEX aliases_of_person ON aliases (person_id);
    CREATE TABLE addresses (
        address_id TEXT NOT NULL UNIQUE,
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        street TEXT, street2 TEXT, city TEXT, state TEXT, postal_code TEXT, country TEXT
    ) STRICT;
    CREATE INDEX addresses_of_person ON addresses (person_id);
    CREATE TABLE notes (
        note_id TEXT NOT NULL UNIQUE,
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        summary TEXT, body TEXT, author TEXT, shared_id TEXT
    ) STRICT;
    CREATE INDEX notes_of_person ON notes (person_id);
    CREATE TABLE entity_fields (
        field_id TEXT NOT NULL UNIQUE,
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        string_value TEXT, date_value INTEGER, number_value REAL, bool_value INTEGER,
        UNIQUE (person_id, name)
    ) STRICT;
    CREATE INDEX entity_fields_by_name ON entity_fields (name, string_value);
    CREATE TABLE tags (
        tag_id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        disabled INTEGER NOT NULL,
        description TEXT,
        default_expire_secs INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE person_tags (
        person_tag_id TEXT NOT NULL UNIQUE,
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        tag_id TEXT NOT NULL REFERENCES tags (tag_id) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        expires INTEGER,
        UNIQUE (person_id, tag_id)
    ) STRICT;
    CREATE INDEX person_tags_by_tag ON person_tags (tag_id);
    CREATE TABLE documents (
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        public_id TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        file_name TEXT,
        media_type TEXT,
        created INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (person_id, public_id)
    ) STRICT;
    CREATE TABLE entity_field_settings (
        entity_type TEXT NOT NULL,
        field_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (entity_type, field_id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE photos (
        photo_id INTEGER PRIMARY KEY,
        jpeg BLOB NOT NULL
    ) STRICT;
    -- A face is an enrolled photo of a person, or somebody seen whom nobody knows (no person).
    CREATE TABLE faces (
        face_id TEXT NOT NULL UNIQUE,
        person_id TEXT REFERENCES people (person_id) ON DELETE CASCADE,
        -- Enrolled faces only: the id of the enrolment itself, its photo, and the caller's key for it.
        detect_id TEXT UNIQUE,
        photo_id INTEGER REFERENCES photos,
        photo_reference TEXT UNIQUE,
        quality REAL NOT NULL,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX faces_of_person ON faces (person_id);
    CREATE TABLE embeddings (
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (face_id, model)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE detections (
        detect_id TEXT NOT NULL UNIQUE,
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        person_id TEXT REFERENCES people (person_id) ON DELETE CASCADE,
        detector TEXT NOT NULL,
        time INTEGER NOT NULL,
        time_zone TEXT NOT NULL,
        confidence REAL NOT NULL,
        quality REAL NOT NULL,
        x INTEGER NOT NULL, y INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
        photo_id INTEGER NOT NULL REFERENCES photos
    ) STRICT;
    CREATE INDEX detections_of_face ON detections (face_id, time);
    CREATE INDEX detections_of_person ON detections (person_id, time) WHERE person_id IS NOT NULL;
";

/// Which model answers is remembered, and which photos a model finds no face in; and what is asked for by time or by
/// photo is found.
const SECOND: &str = "
    CREATE TABLE faceless (
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        PRIMARY KEY (face_id, model)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO meta (key, value)
        SELECT 'model', CAST(model AS BLOB) FROM embeddings JOIN faces USING (face_id)
        WHERE person_id IS NOT NULL GROUP BY model ORDER BY count(*) DESC LIMIT 1;
    CREATE INDEX detections_by_time ON detections (time);
    CREATE INDEX detections_of_photo ON detections (photo_id);
    CREATE INDEX faces_of_photo ON faces (photo_id) WHERE photo_id IS NOT NULL;
";

/// How sure a match was has a column of its own. Until then `confidence` was that of a person who was recognised, and the
/// detection's of a stranger; nobody can tell them apart any more, so that neither is taken for the other.
///
/// Names are kept tidy, and a tag has one spelling: of several the oldest stays, and whoever carried another carries it.
/// A person who carried several keeps the one that lasts longest.
const THIRD: &str = "
    ALTER TABLE detections ADD COLUMN match_confidence REAL;

    CREATE TEMPORARY TABLE kept AS
        SELECT tag_id, first_value(tag_id) OVER (PARTITION BY folded(name) ORDER BY rowid) AS into_id FROM tags;
    DELETE FROM person_tags WHERE rowid NOT IN (
        SELECT first_value(person_tags.rowid) OVER (
            PARTITION BY person_id, into_id ORDER BY expires IS NULL DESC, expires DESC, person_tags.rowid
        ) FROM person_tags JOIN temp.kept USING (tag_id));
    UPDATE person_tags SET tag_id = (SELECT into_id FROM temp.kept WHERE kept.tag_id = person_tags.tag_id);
    DELETE FROM tags WHERE tag_id NOT IN (SELECT into_id FROM temp.kept);
    DROP TABLE temp.kept;
    UPDATE tags SET name = tidy(name);
    UPDATE OR IGNORE entity_fields SET name = tidy(name);
";

/// Brings the database to [`VERSION`], all steps in one transaction.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), EngineError> {
    let failed = |source| EngineError::Database { operation: "bring the database up to date", source };
    functions::add(connection).map_err(failed)?;
    // Immediate: of two processes that start on a new folder, one waits for the other.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(failed);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let foreign = application != APPLICATION_ID && (application != 0 || tables != 0);
    if foreign || version < 0 {
        return Err(EngineError::NotOurDatabase { path: path.to_owned() });
    }
    if version > VERSION {
        return Err(EngineError::NewerDatabase { path: path.to_owned(), found: version, known: VERSION });
    }
    for step in &MIGRATIONS[version as usize..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    users::refresh_built_in_roles(&transaction).map_err(failed)?;
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objects of a schema and how each is defined.
    fn objects(connection: &Connection) -> Vec<(String, Option<String>)> {
        let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_folder_of_the_first_version_keeps_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.db");
        let mut old = Connection::open(&path).unwrap();
        old.execute_batch(FIRST).unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute_batch(
            "INSERT INTO people VALUES ('p', 1), ('q', 1);
             INSERT INTO aliases VALUES ('a', 'p', 'Mara', NULL, NULL, NULL);
             INSERT INTO photos VALUES (1, x'ffd8ff');
             INSERT INTO faces VALUES ('f', 'p', 'd', 1, NULL, 0.5, 1, 1), ('g', 'q', 'e', 1, NULL, 0.5, 1, 1),
                 ('u', NULL, NULL, NULL, NULL, 0.5, 1, 1);
             INSERT INTO tags VALUES ('t', 'VIP', 0, NULL, 0), ('t2', 'vip ', 0, NULL, 0),
                 ('g', 'Ga' || char(776) || 'ste', 0, NULL, 0);
             INSERT INTO person_tags VALUES ('1', 'p', 't', 1, 5), ('2', 'p', 't2', 1, NULL), ('3', 'q', 't2', 1, 9),
                 ('4', 'q', 'g', 1, NULL);
             INSERT INTO embeddings VALUES ('f', 'new', x'00'), ('f', 'old', x'00'), ('g', 'new', x'00'),
                 ('u', 'old', x'00');",
        )
        .unwrap();
        migrate(&mut old, &path).unwrap();
        let text = |query: &str| old.query_row(query, [], |row| row.get::<_, String>(0)).unwrap();
        assert_eq!(text("SELECT first_name FROM aliases WHERE person_id = 'p'"), "Mara");
        assert_eq!(text("SELECT CAST(value AS TEXT) FROM meta WHERE key = 'model'"), "new");
        assert_eq!(
            text("SELECT group_concat(name, '|') FROM (SELECT name FROM tags ORDER BY rowid)"),
            "VIP|Gäste",
            "one of each spelling"
        );
        assert_eq!(
            text(
                "SELECT group_concat(person_id || name || ifnull(expires, '-'), ' ') FROM
                 (SELECT person_id, name, expires FROM person_tags JOIN tags USING (tag_id) ORDER BY person_id, name)"
            ),
            "pVIP- qGäste- qVIP9",
            "nobody loses a tag, and nobody has one twice"
        );
        assert_eq!(text("PRAGMA integrity_check"), "ok");
        // It is the same as one that is made today.
        let mut fresh = Connection::open_in_memory().unwrap();
        migrate(&mut fresh, &path).unwrap();
        assert_eq!(objects(&old), objects(&fresh));
        migrate(&mut old, &path).unwrap();
    }
}
