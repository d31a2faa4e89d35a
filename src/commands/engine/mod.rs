//! `doorward engine`: serve the Identities API, look after its users and roles and the photos of people, take people in
//! and out as files, erase them.
//!
//! Standard output holds what a person or a program must read; everything else is log, on standard error.

mod accounts;
mod erase;
mod quality;
mod serve;
mod transfer;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::cli::EngineCommand;
use crate::commands::CommandResult;

pub async fn run(command: EngineCommand) -> CommandResult {
    match command {
        EngineCommand::Serve(args) => serve::run(args).await,
        EngineCommand::Export { folder, target } => transfer::export(&folder.data, &target),
        EngineCommand::Import(args) => transfer::import(args).await,
        EngineCommand::User(command) => accounts::user(command),
        EngineCommand::Role(command) => accounts::role(command),
        EngineCommand::Quality { folder, json } => quality::run(&folder.data, json),
        EngineCommand::Erase(args) => erase::run(args),
        EngineCommand::Audit { folder, last, json } => accounts::audit(&folder, last, json),
    }
}

/// A free port of this machine, and its address.
pub(super) async fn loopback() -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on this machine")?;
    let url = format!("http://{}", listener.local_addr().context("cannot tell the port")?);
    Ok((listener, url))
}
