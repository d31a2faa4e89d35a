//! The program: one arm per command, and the one place that reports an error.

use clap::Parser;

use doorward::cli::{Cli, Command};
use doorward::commands::{self, CommandResult};
use doorward::dumps;
use doorward::terminal::{self, ExitCode, complain};

fn main() {
    // SAFETY: nothing else has been started; no other thread can be reading the environment.
    unsafe { faces::onnx::prepare() };
    telemetry::panic_hook();
    let cli = Cli::parse();
    if !cli.allow_dumps
        && let Err(error) = dumps::forbid()
    {
        terminal::leave(report(error));
    }
    identities::trust::crypto();
    let result = match cli.command {
        Command::Run(args) => block_on(commands::run::run(args)),
        Command::Check(args) => block_on(commands::check::run(args)),
        #[cfg(feature = "engine")]
        Command::Demo(args) => block_on(commands::demo::run(args)),
        Command::Replay(args) => block_on(commands::replay::run(args)),
        Command::Camera(command) => commands::camera::run(command),
        Command::Detect(args) => commands::detect::run(args),
        Command::Embed(args) => commands::embed::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Actions(command) => block_on(commands::actions::run(command)),
        Command::Purge(args) => block_on(commands::purge::run(args)),
        Command::Pictures(command) => commands::pictures::run(command),
        Command::Rules(command) => commands::rules::run(command),
        Command::Liveness(command) => commands::liveness::run(command),
        Command::Models(command) => block_on(commands::models::run(command)),
        #[cfg(feature = "engine")]
        Command::Engine(command) => block_on(commands::engine::run(command)),
        Command::Identities(command) => block_on(commands::identities::run(*command)),
    };
    terminal::leave(result.unwrap_or_else(report))
}

fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // What hangs on a dead disk must not hold up the end of the process.
    runtime.shutdown_background();
    result
}

/// Prints the whole chain of an error: what was tried, then why it did not work.
fn report(error: anyhow::Error) -> ExitCode {
    // A message may be a list of mistakes, a line each.
    let message = format!("doorward: {error}");
    message.lines().for_each(complain);
    for cause in error.chain().skip(1) {
        complain(&format!("  because {cause}"));
    }
    commands::exit_code(&error)
}
