//! The conditions by which lists and recognition look away from what is being erased.
//!
//! In: nothing. Out: SQL for a WHERE. The table behind it holds what somebody chose in the last seconds,
//! mostly nothing.

/// The condition that a row of `faces` is not being erased.
pub const FACE_STAYS: &str = "NOT EXISTS (SELECT 1 FROM erasures WHERE subject = faces.face_id \
                              OR subject = faces.person_id OR subject = faces.group_id)";

/// The condition that `subject`, which has a `person_id`, is no person who is being erased.
pub const PERSON_STAYS: &str =
    "NOT EXISTS (SELECT 1 FROM erasures WHERE kind = 'person' AND erasures.subject = subject.person_id)";

/// The condition that the sighting `subject` is not being erased.
pub const SIGHTING_STAYS: &str = "NOT EXISTS (SELECT 1 FROM erasures WHERE CASE kind \
    WHEN 'person' THEN erasures.subject = subject.person_id \
    WHEN 'group' THEN subject.person_id IS NULL AND EXISTS (SELECT 1 FROM faces \
        WHERE faces.face_id = subject.face_id AND faces.group_id = erasures.subject) \
    WHEN 'time' THEN time >= from_ms AND time < to_ms \
        AND (erasures.detector IS NULL OR erasures.detector = subject.detector) \
    ELSE FALSE END)";
