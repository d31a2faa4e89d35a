//! What can be wrong with a picture, in words for whoever took or sent it.
//!
//! In: what a codec or an operation found out. Out: [`PictureError`]. It never holds a file's content.

/// Why a picture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("cannot read {file}")]
    Read { file: String, source: std::io::Error },
    /// Another format, named where it is one people know, or no picture at all.
    #[error("{}", not_taken(*format))]
    NotTaken { format: Option<&'static str> },
    #[error("the picture is incomplete: its end is missing; copy or send it again")]
    CutShort,
    #[error("the picture is damaged ({what}); copy or send it again, or save it anew")]
    Damaged { what: String },
    #[error(
        "the picture is {width}x{height} pixels large; at most {} million pixels are taken, and {side} on a side; \
         save it smaller",
        limit / 1_000_000,
        side = super::MAX_SIDE
    )]
    TooLarge { width: u64, height: u64, limit: u64 },
    /// Of a picture whose decoder does not say by how much.
    #[error("a side of the picture is longer than {} pixels; save it smaller", super::MAX_SIDE)]
    TooLong,
    #[error("{got} bytes of pixels do not make a {width}x{height} picture")]
    WrongSize { width: u32, height: u32, got: usize },
    #[error("the picture has no pixels")]
    Empty,
    #[error("cannot {operation} the picture")]
    Operation { operation: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

impl PictureError {
    /// For `map_err`: the library's failure at an operation, named by its verb.
    pub(super) fn at<E: std::error::Error + Send + Sync + 'static>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Operation { operation, source: Box::new(source) }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

fn not_taken(format: Option<&str>) -> String {
    match format {
        Some(format) => {
            let article = if format.starts_with(['A', 'I']) { "an" } else { "a" };
            format!("{article} {format} picture is not taken (JPEG, PNG, WebP and BMP are); export it as JPEG")
        }
        None => "it is not a picture that is taken (JPEG, PNG, WebP and BMP are)".into(),
    }
}
