//! `cargo xtask backup`.

use super::Context;
use super::open_board::{backup_folder, backups_of, board_file, look_answering, typed};
use crate::board::Board as _;
use crate::board::backup::{self, Copies, Manifest, NO_HASH, Proof};
use crate::board::name::Name;
use crate::board::ours::{self, Kept};
use crate::board::second_host;
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask backup`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  cargo xtask backup list --board ampere\n  cargo xtask backup verify --board ampere --campaign iter6\n\n\
                  `cargo xtask preflight` makes them; a backup is never overwritten."
)]
pub struct Backup {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Backups of a board that this host has
    #[command(
        after_help = "Example:\n  cargo xtask backup list\n  cargo xtask backup list --board ampere --on-board"
    )]
    List {
        /// Board: a file of boards/, without .toml
        #[arg(long, value_name = "NAME", default_value = "virtual")]
        board: Name,
        /// Also the copies on the board, which has to answer: each with its day, the newest first, and what removes it
        #[arg(long)]
        on_board: bool,
    },
    /// Read every byte of a backup back, on the board, on this host and on the second host (exit code 3: not whole)
    #[command(after_help = "Example:\n  cargo xtask backup verify --campaign iter6 --offline")]
    Verify {
        #[command(flatten)]
        which: Which,
        /// Only the archive on this host: the board is not asked
        #[arg(long)]
        offline: bool,
    },
    /// What a backup holds
    #[command(after_help = "Example:\n  cargo xtask backup show --campaign iter6")]
    Show {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, clap::Args)]
struct Which {
    /// Board: a file of boards/, without .toml
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    board: Name,
    /// Campaign
    #[arg(long, default_value = "rehearsal")]
    campaign: Name,
}

impl Which {
    fn manifest(&self, context: &Context) -> Result<(PathBuf, Manifest)> {
        let folder = backup_folder(context, &self.board, &self.campaign);
        let manifest = backup::host_manifest(&folder)?.with_context(|| {
            format!(
                "there is no backup in {}: `cargo xtask preflight --board {} --campaign {}` makes one",
                folder.display(),
                self.board,
                self.campaign
            )
        })?;
        Ok((folder, manifest))
    }
}

impl Backup {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.action {
            Action::List { board, on_board } => list(context, board, *on_board),
            Action::Verify { which, offline } => verify(context, which, *offline),
            Action::Show { which } => show(context, which),
        }
    }
}

fn list(context: &Context, board: &Name, also_on_board: bool) -> Result<Outcome> {
    let folder = backups_of(context, board);
    let found = list_of_host(context, &folder)?;
    if found.is_empty() {
        context.ui.line(&format!(
            "there is no backup of board `{board}` in {}",
            folder.display()
        ));
    }
    let on_board = match also_on_board {
        true => Some(list_of_board(context, board)?),
        false => None,
    };
    context
        .ui
        .json(&json!({ "folder": folder, "backups": found, "on_board": on_board }))?;
    let first = found.first().and_then(|one| one["campaign"].as_str());
    let next = match first {
        Some(campaign) => format!("backup verify{}", typed(board, campaign)),
        None => format!("preflight{}", typed(board, "rehearsal")),
    };
    context.ui.line(&format!("next: `cargo xtask {next}`"));
    Ok(Outcome::Success)
}

fn list_of_host(context: &Context, folder: &Path) -> Result<Vec<serde_json::Value>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match backup::host_manifest(&path) {
            Ok(Some(manifest)) => {
                context.ui.line(&format!(
                    "{name:<20} vanilla {}, {} files, {:.1} MB, label `{}`",
                    manifest.protected.release,
                    manifest.inventory.len(),
                    manifest.inventory.bytes() as f64 / 1e6,
                    manifest.protected.test_label
                ));
                found.push(json!({ "campaign": name, "release": manifest.protected.release, "files": manifest.inventory.len() }));
            }
            Ok(None) => context.ui.warn(&format!(
                "{} has no manifest: a backup that was not finished",
                path.display()
            )),
            Err(error) => context.ui.warn(&format!("{error:#}")),
        }
    }
    Ok(found)
}

fn list_of_board(context: &Context, board: &str) -> Result<Vec<Kept>> {
    let open = look_answering(context, board)?;
    let found = ours::backups(&open)?;
    let folder = open.description().backup_folder.display();
    context.ui.line(&match found.len() {
        0 => format!("there is no backup on board `{board}`, in {folder}"),
        _ => format!(
            "on board `{board}`, in {folder}, the newest first (there, `rm -r` removes one from which no rollback is wanted any more):"
        ),
    });
    for kept in &found {
        let made = kept.backup.as_ref().and_then(|backup| backup.made);
        let made = made.map_or("at a time that is not known".to_string(), ours::day);
        context.ui.line(&format!("  {made}  {}", kept.place));
    }
    Ok(found)
}

/// A copy: where it is, and whether it is whole.
type Checked = (String, Result<()>);

fn verify(context: &Context, which: &Which, offline: bool) -> Result<Outcome> {
    let (proof, copies) = check(context, which, offline)?;
    let mut answers = Vec::new();
    for (place, outcome) in &copies {
        let said = match outcome {
            Err(error) => format!("NOT WHOLE: {error:#}"),
            Ok(()) if proof == Proof::None => format!("every byte was read back, but: {NO_HASH}"),
            Ok(()) => "whole: every byte was read back".to_string(),
        };
        context.ui.line(&format!("{place}: {said}"));
        let whole = outcome.is_ok() && proof == Proof::Hash;
        answers.push(json!({ "place": place, "whole": whole, "said": said }));
    }
    context
        .ui
        .json(&json!({ "campaign": which.campaign, "proof": proof, "copies": answers }))?;
    let good: Vec<&str> = copies
        .iter()
        .filter(|(_, outcome)| outcome.is_ok())
        .map(|(place, _)| place.as_str())
        .collect();
    if proof == Proof::Hash && good.len() == copies.len() {
        context.ui.line(&format!(
            "next: `cargo xtask rollback{} --dry-run` says what it would put back",
            typed(&which.board, &which.campaign)
        ));
        return Ok(Outcome::Success);
    }
    if good.len() < copies.len() {
        context.ui.line(&match good.is_empty() {
            true => "no copy is whole".to_string(),
            false => format!("good copies: {}; a rollback uses one of these", good.join(", ")),
        });
        context.ui.line(&format!(
            "next: move the damaged copy away; `cargo xtask preflight{}` makes it again from the one that is whole",
            typed(&which.board, &which.campaign)
        ));
    }
    Ok(Outcome::CheckFailed)
}

/// Every copy that can be reached. Errors: there is no backup.
fn check(context: &Context, which: &Which, offline: bool) -> Result<(Proof, Vec<Checked>)> {
    let folder = backup_folder(context, &which.board, &which.campaign);
    let here = "on this host".to_string();
    let there = "on the board".to_string();
    let board = match offline {
        true => None,
        false => Some(look_answering(context, &which.board)),
    };
    let mut checked = Vec::new();
    let found = match &board {
        Some(Ok(board)) => Copies::find(board, &which.campaign, &folder),
        None | Some(Err(_)) => Copies::find_here(&folder),
    };
    let proof = match found {
        Ok(None) => bail!(
            "there is no backup in {}: `cargo xtask preflight{}` makes one",
            folder.display(),
            typed(&which.board, &which.campaign)
        ),
        // Which of the copies is at fault is not known then; the error tells what was found of each.
        Err(error) => {
            checked.push((here, Err(error)));
            Proof::Hash
        }
        Ok(Some(copies)) => {
            backup::check_owner(&copies.known.manifest, &which.board, &which.campaign, &folder)?;
            checked.push((here, copies.check_host()));
            match board {
                None => {}
                Some(Ok(board)) => checked.push((there, copies.check_board(&board))),
                Some(Err(error)) => checked.push((there, Err(error))),
            }
            copies.known.proof
        }
    };
    if !offline && let Some(second) = board_file(context, &which.board)?.description.second_host {
        let outcome = second_host::verify(&second, &which.board, &which.campaign, &folder);
        checked.push((format!("on {}", second.host), outcome));
    }
    Ok((proof, checked))
}

fn show(context: &Context, which: &Which) -> Result<Outcome> {
    let (folder, manifest) = which.manifest(context)?;
    let protected = &manifest.protected;
    context
        .ui
        .json(&json!({ "folder": folder, "manifest": manifest }))?;
    for line in [
        format!(
            "vanilla {} of board `{}`, label `{}`",
            protected.release, protected.board, protected.vanilla_label
        ),
        format!("archive  {}", folder.join(backup::ARCHIVE).display()),
        format!("append   {}", protected.append),
    ] {
        context.ui.line(&line);
    }
    for (path, entry) in &manifest.inventory {
        let what = entry.sha256().map_or("", |hash| hash.get(..16).unwrap_or(hash));
        context.ui.line(&format!(
            "{:04o} {:>5}:{:<5} {:>12} {what:<16} {}",
            entry.mode,
            entry.owner.0,
            entry.owner.1,
            entry.size(),
            path
        ));
    }
    context.ui.line(&format!(
        "next: `cargo xtask backup verify{}`",
        typed(&which.board, &which.campaign)
    ));
    Ok(Outcome::Success)
}
