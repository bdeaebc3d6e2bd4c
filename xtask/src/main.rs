//! `cargo xtask`, the only front door: parse, dispatch, exit code.

use clap::Parser;
use xtask::cli::Cli;
use xtask::ui::Ui;

fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return xtask::exit::usage(&error, std::env::args_os()),
    };
    let ui = Ui::new(cli.global.format());
    let outcome = xtask::cmd::run(&cli, &ui);
    xtask::exit::report(&ui, outcome)
}
