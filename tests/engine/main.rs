//! The embedded engine from outside: the real program, a real socket, a data folder of its own.

mod access;
mod crash;
mod operations;
mod people;
mod recognition;
mod server;
