-- Waiting to be answered. What is here is personal, and leaves with its answer.
CREATE TABLE sighting (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    visit       TEXT NOT NULL,
    shot        INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    stored_ms   INTEGER NOT NULL,
    key_id      BLOB NOT NULL,      -- which key it was sealed with
    sealed      BLOB NOT NULL       -- last, because what follows a large value is slow to read
) STRICT;

-- What is told of a visit: ids, times and outcomes, no picture and no name.
CREATE TABLE visit (
    id          TEXT PRIMARY KEY,
    detector    TEXT NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    outcome     TEXT,               -- NULL until it is closed
    reason      TEXT,
    detail      TEXT,               -- JSON
    told_ms     INTEGER NOT NULL    -- when something was last written of it, by this machine's clock
) STRICT, WITHOUT ROWID;
CREATE INDEX visit_told ON visit (told_ms);

-- The sightings of a visit, and how each was settled.
CREATE TABLE shot (
    sighting    TEXT PRIMARY KEY,
    visit       TEXT NOT NULL,
    shot        INTEGER NOT NULL,
    seen_ms     INTEGER NOT NULL,
    quality     REAL NOT NULL,
    stored_ms   INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    outcome     TEXT,               -- NULL until it is settled
    reason      TEXT,
    person      TEXT,
    confidence  REAL,               -- how sure the engine is of the face
    match_confidence REAL,          -- how sure the engine is of the person
    late        INTEGER NOT NULL DEFAULT 0,
    settled_ms  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX shot_visit ON shot (visit);
CREATE INDEX shot_person ON shot (person) WHERE person IS NOT NULL;

-- The ledger: each key is planned once, claimed once, ended once. One held back by a guard has a key of its own.
CREATE TABLE action (
    key         TEXT PRIMARY KEY,
    visit       TEXT NOT NULL,
    sighting    TEXT NOT NULL,
    detector    TEXT NOT NULL,
    rule        TEXT NOT NULL,
    event       TEXT NOT NULL DEFAULT 'recognition',
    action      TEXT NOT NULL,
    person      TEXT,
    seen_us     INTEGER NOT NULL,
    state       TEXT NOT NULL,      -- planned, claimed, done, expired, failed, interrupted, dry_run, refused
    reason      TEXT,
    key_id      BLOB,               -- which key the request was sealed with
    request     BLOB,               -- sealed; NULL once it has ended
    planned_ms  INTEGER NOT NULL,
    ended_ms    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX action_visit ON action (visit);
CREATE INDEX action_planned ON action (planned_ms);
CREATE INDEX action_open ON action (state) WHERE state IN ('planned', 'claimed');

-- What the rules made of an answer, or of somebody having left: which matcher found what.
CREATE TABLE judged (
    seq         INTEGER PRIMARY KEY,
    visit       TEXT NOT NULL,
    sighting    TEXT NOT NULL,
    event       TEXT NOT NULL,
    judged_ms   INTEGER NOT NULL,
    record      BLOB NOT NULL       -- sealed
) STRICT;
CREATE INDEX judged_visit ON judged (visit);

-- Who is present, with the name of those the engine knows; gone when they are.
CREATE TABLE stay (
    seq         INTEGER PRIMARY KEY,
    detector    TEXT NOT NULL,
    key_id      BLOB NOT NULL,
    record      BLOB NOT NULL       -- sealed
) STRICT;
CREATE INDEX stay_detector ON stay (detector);

-- Pictures of answered sightings that are kept for a while (outbox.keep_*).
CREATE TABLE picture (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    sighting    TEXT NOT NULL UNIQUE,
    visit       TEXT NOT NULL,
    until_ms    INTEGER NOT NULL,
    key_id      BLOB NOT NULL,
    bytes       INTEGER NOT NULL,
    sealed      BLOB NOT NULL
) STRICT;
CREATE INDEX picture_until ON picture (until_ms);
CREATE INDEX picture_visit ON picture (visit);

-- Topics the MQTT broker keeps something of ours under, so that it can be cleared when they are ours no more.
CREATE TABLE broker_topic (
    broker      TEXT NOT NULL,      -- host and port
    topic       TEXT NOT NULL,
    witness     TEXT NOT NULL,      -- the topic that shows whose it is
    owner       TEXT NOT NULL,      -- this box, as the broker knew it
    PRIMARY KEY (broker, topic)
) STRICT, WITHOUT ROWID;
