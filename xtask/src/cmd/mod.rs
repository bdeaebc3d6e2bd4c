//! A file per verb: reads flags, calls the engine, prints.

pub mod apply;
pub mod backup;
pub mod baseline;
pub mod bisect_apply;
pub mod board;
pub mod boot;
pub mod build;
pub mod build_debug_kernel;
pub mod config;
pub mod deploy;
pub mod doctor;
pub mod extlinux;
pub mod logs;
pub mod open_board;
pub mod preflight;
pub mod rehearse;
pub mod revert;
pub mod review;
pub mod rollback;
pub mod series;
pub mod setup;
pub mod test;

use crate::cli::{Cli, Command, Global};
use crate::exit::Outcome;
use crate::host::folders::Folders;
use crate::ui::Ui;
use anyhow::Result;

/// What every verb gets.
pub struct Context<'a> {
    /// Flags of every command.
    pub global: &'a Global,
    /// Where things live.
    pub folders: Folders,
    /// The screen.
    pub ui: &'a Ui,
}

/// Runs the verb.
pub fn run(cli: &Cli, ui: &Ui) -> Result<Outcome> {
    let context = Context {
        global: &cli.global,
        folders: Folders::find()?,
        ui,
    };
    match &cli.command {
        Command::Rehearse(verb) => verb.run(&context),
        Command::Doctor(verb) => verb.run(&context),
        Command::Setup(verb) => verb.run(&context),
        Command::Test(verb) => verb.run(&context),
        Command::Build(verb) => verb.run(&context),
        Command::BuildDebugKernel(verb) => verb.run(&context),
        Command::Config(verb) => verb.run(&context),
        Command::Series(verb) => verb.run(&context),
        Command::Apply(verb) => verb.run(&context),
        Command::Revert(verb) => verb.run(&context),
        Command::Review(verb) => verb.run(&context),
        Command::Preflight(verb) => verb.run(&context),
        Command::Deploy(verb) => verb.run(&context),
        Command::BisectApply(verb) => verb.run(&context),
        Command::Boot(verb) => verb.run(&context),
        Command::Rollback(verb) => verb.run(&context),
        Command::Backup(verb) => verb.run(&context),
        Command::Extlinux(verb) => verb.run(&context),
        Command::Logs(verb) => verb.run(&context),
        Command::Baseline(verb) => verb.run(&context),
        Command::Board(verb) => verb.run(&context),
    }
}
