//! The tables, and how a database of any released version becomes one of this version.
//!
//! In: an open database. Out: the same, at version [`VERSION`], or an error that leaves it untouched. A schema that
//! has been released is never edited; a change is a new entry in [`MIGRATIONS`].

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::statement::value;
use super::{Stop, users};
use crate::error::EngineError;

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
        -- Tidy, and one spelling of each word.
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
    CREATE INDEX faces_of_photo ON faces (photo_id) WHERE photo_id IS NOT NULL;
    CREATE TABLE embeddings (
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        vector BLOB NOT NULL,
        PRIMARY KEY (face_id, model)
    ) STRICT, WITHOUT ROWID;
    -- Enrolled faces in whose photo a model finds no face.
    CREATE TABLE faceless (
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        model TEXT NOT NULL,
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
        photo_id INTEGER NOT NULL REFERENCES photos,
        -- How sure the match was; NULL for a stranger.
        match_confidence REAL
    ) STRICT;
    CREATE INDEX detections_of_face ON detections (face_id, time);
    CREATE INDEX detections_of_person ON detections (person_id, time) WHERE person_id IS NOT NULL;
    CREATE INDEX detections_by_time ON detections (time);
    CREATE INDEX detections_of_photo ON detections (photo_id);
";

const SECOND: &str = "
    -- Sessions that were signed out of, until their tokens would be void anyway.
    CREATE TABLE ended_sessions (
        session_id TEXT PRIMARY KEY,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Who sent it, by user name; NULL for photos of people who are enrolled, which are not counted.
    ALTER TABLE photos ADD COLUMN account TEXT;
    ALTER TABLE documents ADD COLUMN account TEXT NOT NULL DEFAULT '';
    -- What each account holds; empty for what was there before this was counted.
    CREATE TABLE usage (
        account TEXT NOT NULL,
        kind TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (account, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX photos_of_account ON photos (account) WHERE account IS NOT NULL;
    CREATE TRIGGER photo_added AFTER INSERT ON photos WHEN NEW.account IS NOT NULL BEGIN
        INSERT INTO usage VALUES (NEW.account, 'seen', length(NEW.jpeg))
            ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER photo_changed AFTER UPDATE OF jpeg ON photos WHEN NEW.account IS NOT NULL BEGIN
        UPDATE usage SET bytes = bytes + length(NEW.jpeg) - length(OLD.jpeg)
            WHERE account = NEW.account AND kind = 'seen';
    END;
    CREATE TRIGGER photo_deleted AFTER DELETE ON photos WHEN OLD.account IS NOT NULL BEGIN
        UPDATE usage SET bytes = bytes - length(OLD.jpeg) WHERE account = OLD.account AND kind = 'seen';
    END;
    CREATE TRIGGER document_added AFTER INSERT ON documents BEGIN
        INSERT INTO usage VALUES (NEW.account, 'documents', length(NEW.bytes))
            ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER document_deleted AFTER DELETE ON documents BEGIN
        UPDATE usage SET bytes = bytes - length(OLD.bytes) WHERE account = OLD.account AND kind = 'documents';
    END;
    UPDATE photos SET account = '' WHERE photo_id IN (SELECT photo_id FROM detections);
    INSERT INTO usage SELECT '', 'seen', sum(length(jpeg)) FROM photos WHERE account = '' HAVING count(*) > 0;
    INSERT INTO usage SELECT '', 'documents', sum(length(bytes)) FROM documents HAVING count(*) > 0;
";

const THIRD: &str = "
    -- Strangers' faces that are one person's, as far as can be told, share a group; NULL for people.
    ALTER TABLE faces ADD COLUMN group_id TEXT;
    UPDATE faces SET group_id = face_id WHERE person_id IS NULL;
    CREATE INDEX faces_of_group ON faces (group_id, last_seen) WHERE group_id IS NOT NULL;

    -- Somebody has said that this face is not this person's.
    CREATE TABLE denials (
        person_id TEXT NOT NULL REFERENCES people (person_id) ON DELETE CASCADE,
        face_id TEXT NOT NULL REFERENCES faces (face_id) ON DELETE CASCADE,
        PRIMARY KEY (person_id, face_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX denials_of_face ON denials (face_id);

    -- What is erased as soon as that cannot be undone any more. Until then it is neither shown nor recognised.
    CREATE TABLE erasures (
        erasure_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        -- The id of a person, a face or a group; of a time it is NULL, and from when until when.
        subject TEXT,
        from_ms INTEGER, to_ms INTEGER, detector TEXT,
        username TEXT NOT NULL,
        due INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Brings the database to [`VERSION`], all steps in one transaction.
pub fn migrate(connection: &mut Connection, path: &Path) -> Result<(), EngineError> {
    let mut migrate = || {
        // Immediate: of two processes that start on a new folder, one waits for the other.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        let tables: u32 = value(&transaction, "SELECT count(*) FROM sqlite_schema", [])?;
        let foreign = application != APPLICATION_ID && (application != 0 || tables != 0);
        if foreign || version < 0 {
            return Err(EngineError::NotOurDatabase { path: path.to_owned() }.into());
        }
        if version > VERSION {
            let newer = EngineError::NewerDatabase { path: path.to_owned(), found: version, known: VERSION };
            return Err(newer.into());
        }
        for step in &MIGRATIONS[version as usize..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        users::refresh_built_in_roles(&transaction)?;
        Ok(transaction.commit()?)
    };
    Ok(migrate().map_err(|stop: Stop| stop.into_refusal("bring the database up to date"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_once_and_only_its_own_is_opened() {
        let path = Path::new("engine.db");
        let mut database = Connection::open_in_memory().unwrap();
        for _ in 0..2 {
            migrate(&mut database, path).unwrap();
        }
        assert_eq!(value::<String>(&database, "PRAGMA integrity_check", []).unwrap_or_default(), "ok");
        database.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let newer = migrate(&mut database, path).unwrap_err();
        assert!(matches!(newer, EngineError::NewerDatabase { found, .. } if found == VERSION + 1), "{newer}");
        let mut other = Connection::open_in_memory().unwrap();
        other.execute_batch("CREATE TABLE somebody_elses (x)").unwrap();
        assert!(matches!(migrate(&mut other, path), Err(EngineError::NotOurDatabase { .. })));
    }

    #[test]
    fn strangers_of_an_older_folder_are_a_group_each_and_people_none() {
        let mut database = Connection::open_in_memory().unwrap();
        for step in &MIGRATIONS[..2] {
            database.execute_batch(step).unwrap();
        }
        database
            .execute_batch(
                "INSERT INTO people VALUES ('ada', 0);
                 INSERT INTO faces (face_id, person_id, quality, created, last_seen) VALUES
                    ('hers', 'ada', 1, 0, 0), ('one', NULL, 1, 0, 0), ('other', NULL, 1, 0, 0);",
            )
            .unwrap();
        database.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        database.pragma_update(None, "user_version", 2).unwrap();
        migrate(&mut database, Path::new("engine.db")).unwrap();
        let mut statement = database.prepare("SELECT group_id FROM faces ORDER BY face_id").unwrap();
        let groups: Vec<Option<String>> = statement.query_map([], |row| row.get(0)).unwrap().flatten().collect();
        assert_eq!(groups, [None, Some("one".into()), Some("other".into())]);
    }
}
