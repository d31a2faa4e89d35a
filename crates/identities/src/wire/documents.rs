//! fileDocuments: files attached to people.

/// The part names of the form `POST /api/v1/people/fileDocuments/upload` takes; answered with an empty body.
pub mod upload_part {
    /// The file, with a file name.
    pub const FILE: &str = "file";
    pub const PERSON_ID: &str = "personId";
    /// The name that users are shown.
    pub const NAME: &str = "name";
    pub const DESCRIPTION: &str = "description";
    /// The caller's own id of the document, by which it is downloaded; without it nobody learns the id.
    pub const PUBLIC_ID: &str = "publicId";
}
