//! The embedded engine from outside: the real program, a real socket, a data folder of its own.

mod access;
mod accounts;
mod crash;
mod erasing;
mod limits;
mod load;
#[path = "../support/pictures.rs"]
mod made;
mod model_change;
mod nearest;
mod openapi;
mod operations;
mod people;
mod pictures;
mod recognition;
mod roster;
mod server;
#[path = "../support/shared.rs"]
mod shared;
mod tls;
mod tolerance;
