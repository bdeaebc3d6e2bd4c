//! A file per verb: reads flags, calls the engine, prints.

pub mod abort;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a patch is what the same series answered: it has a file and a state for each"
)]
pub mod apply;
pub mod back_to_vanilla;
pub mod backup;
pub mod baseline;
pub mod bisect_apply;
pub mod board;
pub mod boot;
pub mod build;
pub mod build_debug_kernel;
pub mod campaign;
pub mod completions;
pub mod config;
pub mod deploy;
pub mod doctor;
pub mod extlinux;
pub mod harvest;
pub mod history;
pub mod hold_board;
pub mod logs;
pub mod man;
pub mod notify;
pub mod open_board;
pub mod open_tree;
pub mod plan;
pub mod preflight;
pub mod programs;
pub mod rehearse;
pub mod report;
pub mod resume;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a patch is what the same series answered: it has a file and a state for each"
)]
pub mod revert;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a patch is what the same series answered: it has a file and a state for each"
)]
pub mod review;
pub mod rollback;
pub mod run_campaign;
pub mod runs_of;
pub mod serial_record;
#[allow(
    clippy::indexing_slicing,
    reason = "an index of a patch is what the same series answered: it has a file and a state for each"
)]
pub mod series;
pub mod setup;
pub mod status;
pub mod symbolise;
pub mod test;
pub mod verdict;

use crate::cli::{Cli, Command, Global};
use crate::exit::Outcome;
use crate::host::folders::Folders;
use crate::host::project::Found;
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
    // A completion script or a manual page is made where there is no project, too.
    match &cli.command {
        Command::Completions(verb) => return verb.run(ui),
        Command::Man(verb) => return verb.run(ui),
        _ => {}
    }
    let folders = Folders::find()?;
    let is_recorder = matches!(cli.command, Command::SerialRecord(_));
    if folders.found != Found::WorkingDirectory && !is_recorder {
        ui.say(&format!(
            "project {} ({})",
            folders.project.display(),
            folders.found
        ));
    }
    let context = Context {
        global: &cli.global,
        folders,
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
        Command::Campaign(verb) => verb.run(&context),
        Command::Plan(verb) => verb.run(&context),
        Command::BisectApply(verb) => verb.run(&context),
        Command::Boot(verb) => verb.run(&context),
        Command::Status(verb) => verb.run(&context),
        Command::Resume(verb) => verb.run(&context),
        Command::Abort(verb) => verb.run(&context),
        Command::Verdict(verb) => verb.run(&context),
        Command::History(verb) => verb.run(&context),
        Command::Rollback(verb) => verb.run(&context),
        Command::Backup(verb) => verb.run(&context),
        Command::Extlinux(verb) => verb.run(&context),
        Command::Logs(verb) => verb.run(&context),
        Command::Report(verb) => verb.run(&context),
        Command::Symbolise(verb) => verb.run(&context),
        Command::Harvest(verb) => verb.run(&context),
        Command::Baseline(verb) => verb.run(&context),
        Command::Board(verb) => verb.run(&context),
        Command::SerialRecord(verb) => verb.run(&context),
        Command::BackToVanilla(verb) => verb.run(&context),
        Command::Completions(_) | Command::Man(_) => unreachable!("answered above, without a project"),
    }
}
