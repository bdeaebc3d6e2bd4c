//! Every flag. The verbs' own arguments stand in their files in `cmd/`.

use crate::cmd;
use crate::front_door;
use crate::ui::{Consent, Format};
use clap::{Args, CommandFactory, Parser, Subcommand};

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
    #[arg(short = 'y', long, global = true)]
    yes: bool,
    /// Never ask: fail, naming the flag that would have answered (with --yes: every answer is yes)
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
    /// Run the whole campaign on the virtual board, set-up too
    Rehearse(cmd::rehearse::Rehearse),
    /// Report what is missing on this machine; change nothing
    Doctor(cmd::doctor::Doctor),
    /// Install, fetch and build all that a rehearsal needs
    Setup(cmd::setup::Setup),
    /// Run all tests: lint, fast tests, virtual board
    Test(cmd::test::Test),
    /// Build a kernel or parts of it, and report what must ship
    Build(cmd::build::Build),
    /// Build and stage the debug kernel: Image, modules, dtbs
    BuildDebugKernel(cmd::build_debug_kernel::BuildDebugKernel),
    /// Explain kernel configurations and symbols; compare them
    Config(cmd::config::Config),
    /// List, show, import, export, refresh or check patches
    Series(cmd::series::Series),
    /// Apply patches to the tree, one commit each
    Apply(cmd::apply::Apply),
    /// Take exactly one patch back
    Revert(cmd::revert::Revert),
    /// Approve or reject a patch, or list the reviews
    Review(cmd::review::Review),
    /// Check whether a campaign may start on this board
    Preflight(cmd::preflight::Preflight),
    /// Install the debug kernel next to vanilla, as its own entry
    Deploy(cmd::deploy::Deploy),
    /// Boot our entry once, or return to vanilla
    Boot(cmd::boot::Boot),
    /// Write, check or show a campaign file
    Campaign(cmd::campaign::CampaignCommand),
    /// Print what a campaign will do: rows, gates, risks
    Plan(cmd::plan::Plan),
    /// Run a campaign: one boot and one verdict per patch
    BisectApply(cmd::bisect_apply::BisectApply),
    /// Show where the newest run stands and what is next
    Status(cmd::status::Status),
    /// Continue a run that was interrupted or needed a person
    Resume(cmd::resume::Resume),
    /// Give a run up: back to vanilla, our entry and patches out
    Abort(cmd::abort::Abort),
    /// Show the verdict of a step, or overrule it
    Verdict(cmd::verdict::Verdict),
    /// List all runs with their ends and verdicts
    History(cmd::history::History),
    /// Restore vanilla exactly, and remove all that is ours
    Rollback(cmd::rollback::Rollback),
    /// List, verify and show the backups of a board
    Backup(cmd::backup::Backup),
    /// Read extlinux.conf as U-Boot does; edit our entry
    Extlinux(cmd::extlinux::Extlinux),
    /// Find splats, oopses and warnings in kernel logs
    Logs(cmd::logs::Logs),
    /// Export a run: web page, CI, mail for upstream, bundle
    Report(cmd::report::Report),
    /// Decode stack frames to files and lines of that build
    Symbolise(cmd::symbolise::Symbolise),
    /// Collect what the board's kernels logged, and judge it
    Harvest(cmd::harvest::Harvest),
    /// Show or extend what the debug kernel reports unpatched
    Baseline(cmd::baseline::Baseline),
    /// Describe, probe, log in to, reset or power a board
    Board(cmd::board::Board),
    /// Record a serial line: the process that other verbs start
    #[command(hide = true)]
    SerialRecord(cmd::serial_record::SerialRecord),
    /// Bring the board of a run to vanilla behind the second Ctrl-C.
    #[command(hide = true)]
    BackToVanilla(cmd::back_to_vanilla::BackToVanilla),
    /// Print the completion script of a shell
    Completions(cmd::completions::Completions),
    /// Print the manual page, or write one per verb to a folder
    Man(cmd::man::Man),
}

/// The verbs as `--help` lists them. Every verb is in one group.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Run a campaign",
        &[
            "rehearse",
            "campaign",
            "preflight",
            "plan",
            "bisect-apply",
            "status",
            "resume",
            "abort",
        ],
    ),
    ("Look at runs", &["report", "history", "verdict", "baseline"]),
    (
        "Tree and kernel",
        &[
            "series",
            "apply",
            "revert",
            "review",
            "build",
            "build-debug-kernel",
            "config",
        ],
    ),
    (
        "Board",
        &[
            "board", "deploy", "boot", "harvest", "backup", "rollback", "extlinux",
        ],
    ),
    ("Kernel logs", &["logs", "symbolise"]),
    ("This machine", &["setup", "doctor", "test", "completions", "man"]),
];

/// The command line as `name` (`cargo xtask`, `lockstep`), its verbs grouped in the help.
pub fn command(name: &'static str) -> clap::Command {
    let mut command = Cli::command().name(name).bin_name(name);
    if name != front_door::ALIAS {
        command = with_examples_of(command, name);
    }
    let verbs = verb_list(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{verbs}Options:\n{{options}}{{after-help}}"
    ))
}

/// The command and all below it, with the examples of their help under `name`.
fn with_examples_of(command: clap::Command, name: &str) -> clap::Command {
    let examples = command.get_after_help().map(ToString::to_string);
    let command = match examples {
        Some(examples) => command.after_help(examples.replace(front_door::ALIAS, name)),
        None => command,
    };
    command.mut_subcommands(|verb| with_examples_of(verb, name))
}

/// The groups, each verb with the first line of what it does.
fn verb_list(command: &clap::Command) -> String {
    let width = GROUPS
        .iter()
        .flat_map(|(_, verbs)| verbs.iter())
        .map(|verb| verb.len())
        .max();
    let width = width.unwrap_or_default();
    let mut list = String::new();
    for (title, verbs) in GROUPS {
        list.push_str(&format!("{title}:\n"));
        for verb in *verbs {
            let about = command.find_subcommand(verb).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            list.push_str(&format!("  {verb:width$}  {about}\n"));
        }
        list.push('\n');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_command_line_is_consistent() {
        command("lockstep").debug_assert();
    }

    #[test]
    fn the_help_groups_each_verb_once() {
        let command = command("lockstep");
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        let shown: BTreeSet<&str> = shown.map(clap::Command::get_name).collect();
        let grouped: Vec<&str> = GROUPS
            .iter()
            .flat_map(|(_, verbs)| verbs.iter().copied())
            .collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), shown);
        assert_eq!(grouped.len(), shown.len(), "none is there twice");
        let list = verb_list(&command);
        let long: Vec<&str> = list.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:?}");
    }
}
