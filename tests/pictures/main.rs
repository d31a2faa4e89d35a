//! Pictures on their way in: every format and every way to get one wrong, in the library and in the real program.

mod cases;
mod formats;
#[path = "../support/pictures.rs"]
mod made;
mod memory;
#[path = "../support/mod.rs"]
mod support;
