//! `cargo xtask`, the only front door: parse, dispatch, exit code.

use clap::Parser;
use xtask::cli::Cli;
use xtask::ui::Ui;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.global.format());
    let outcome = xtask::cmd::run(&cli, &ui);
    xtask::exit::report(&ui, outcome)
}
