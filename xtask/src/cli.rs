//! Every flag. The verbs' own arguments stand in their files in `cmd/`.

use crate::cmd;
use crate::ui::{Consent, Format};
use clap::{Args, Parser, Subcommand};

/// Apply a kernel patch series to a board one patch at a time: one boot and one verdict each, and the board is
/// never lost.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    propagate_version = true
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command has.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Print the plan that would be executed, and touch nothing
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// Answer every question with yes
    #[arg(short = 'y', long, global = true, conflicts_with = "no_input")]
    yes: bool,
    /// Never ask: fail, naming the flag that would have answered
    #[arg(long, global = true)]
    no_input: bool,
}

impl Global {
    /// How results are printed.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }

    /// How questions are answered.
    pub fn consent(&self) -> Consent {
        match (self.yes, self.no_input) {
            (true, _) => Consent::Given,
            (false, true) => Consent::NoInput,
            (false, false) => Consent::Ask,
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole campaign on the virtual board, set-up included
    Rehearse(cmd::rehearse::Rehearse),
    /// Tell what is missing on this machine and what to do about it; change nothing
    Doctor(cmd::doctor::Doctor),
    /// Install, fetch and make everything that a rehearsal needs
    Setup(cmd::setup::Setup),
    /// Run every test: format and lint, fast tests, the virtual board
    Test(cmd::test::Test),
    /// Build a kernel, its modules or one folder, and say what must ship and why
    Build(cmd::build::Build),
    /// Build the debug kernel and stage it: Image, modules, dtbs and a manifest
    BuildDebugKernel(cmd::build_debug_kernel::BuildDebugKernel),
    /// Ask about kernel configurations: verdicts of a profile, what differs, why a symbol is what it is
    Config(cmd::config::Config),
    /// The patches of a series: list, show, import, export, refresh, check
    Series(cmd::series::Series),
    /// Apply patches of a series to the tree, a commit for each
    Apply(cmd::apply::Apply),
    /// Take exactly one patch back
    Revert(cmd::revert::Revert),
    /// Approve or reject the content of a patch, or list the reviews
    Review(cmd::review::Review),
    /// Look whether a campaign may start on this board: backups, capture, protected files
    Preflight(cmd::preflight::Preflight),
    /// Install the debug kernel beside vanilla, under its own release and label
    Deploy(cmd::deploy::Deploy),
    /// Boot our label once, or go back to vanilla
    Boot(cmd::boot::Boot),
    /// Campaign files: write a new one, find mistakes, show what the defaults come to
    Campaign(cmd::campaign::CampaignCommand),
    /// Print what a campaign will do: rows, gates, what is asked, risks, ends
    Plan(cmd::plan::Plan),
    /// Run a campaign: patch by patch, one boot and one verdict each
    BisectApply(cmd::bisect_apply::BisectApply),
    /// Where the newest run stands, what is next, and what a person must do
    Status(cmd::status::Status),
    /// Go on with a run that was cut off, or that needed a person
    Resume(cmd::resume::Resume),
    /// Give a run up: vanilla, no label of ours, no patch in the tree
    Abort(cmd::abort::Abort),
    /// The verdict of a step, and a person's word on it
    Verdict(cmd::verdict::Verdict),
    /// All runs, with their ends and verdicts
    History(cmd::history::History),
    /// Put vanilla back exactly as it was, and take away all that is ours
    Rollback(cmd::rollback::Rollback),
    /// List, read back and show the backups of a board
    Backup(cmd::backup::Backup),
    /// Read an extlinux.conf as U-Boot does: check it, show it, add or remove our label
    Extlinux(cmd::extlinux::Extlinux),
    /// Find splats, oopses and warnings in kernel logs
    Logs(cmd::logs::Logs),
    /// Read a run: as a web page, for CI, as a mail for upstream, as a bundle for others
    Report(cmd::report::Report),
    /// Decode the frames of a kernel log to files and lines, with the build that ran
    Symbolise(cmd::symbolise::Symbolise),
    /// Take everything off a board that its kernels said, and find what they complained about
    Harvest(cmd::harvest::Harvest),
    /// What the debug kernel says without the patches: show it, add to it, accept a finding
    Baseline(cmd::baseline::Baseline),
    /// A board: what runs there, shell, serial line, reset, a file for a new one; power of the virtual one
    Board(cmd::board::Board),
    /// Record a serial line: the process that other verbs start
    #[command(hide = true)]
    SerialRecord(cmd::serial_record::SerialRecord),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
