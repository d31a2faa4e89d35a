-- Who comes nearest to somebody unknown, and how near. The id stands outside the seal, so that whoever erases the
-- person finds it without the key.
ALTER TABLE shot ADD COLUMN nearest_person TEXT;
ALTER TABLE shot ADD COLUMN nearest BLOB;       -- sealed, as it may hold a name
CREATE INDEX shot_nearest ON shot (nearest_person) WHERE nearest_person IS NOT NULL;
