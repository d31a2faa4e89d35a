//! The embedded engine from outside: the real program, a real socket, a data folder of its own.

mod access;
mod accounts;
mod crash;
mod load;
mod model_change;
mod openapi;
mod operations;
mod people;
mod recognition;
mod roster;
mod server;
mod tls;
mod tolerance;
