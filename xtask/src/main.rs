//! `cargo xtask`, the only front door: parse, dispatch, exit code.

use clap::FromArgMatches;
use xtask::cli::{Cli, Command};
use xtask::host::{environment, interrupt};
use xtask::ui::Ui;

fn main() -> std::process::ExitCode {
    let parsed = xtask::cli::command(xtask::front_door::name())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(mut error) => return xtask::exit::usage(&mut error, std::env::args_os()),
    };
    let ui = Ui::new(cli.global.format());
    if let Err(why) = environment::check() {
        return xtask::exit::report(&ui, Err(why.into()));
    }
    let outcome = match cli.command {
        // Whoever started the recorder ends it by a signal.
        Command::SerialRecord(_) => xtask::cmd::run(&cli, &ui),
        _ => interrupt::guarded(ui.speaker(), || xtask::cmd::run(&cli, &ui))
            .unwrap_or_else(|why| Err(why.into())),
    };
    xtask::exit::report(&ui, outcome)
}
