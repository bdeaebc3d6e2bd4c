//! `cargo xtask backup`.

use super::Context;
use super::open_board::{backup_folder, backups_of, board_file, look_answering, typed};
use crate::board::Board as _;
use crate::board::backup::{self, Manifest};
use crate::board::name::Name;
use crate::board::ours::{self, Kept};
use crate::board::second_host;
use crate::exit::Outcome;
use anyhow::{Context as _, Result};
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
        .json(&serde_json::json!({ "folder": folder, "backups": found, "on_board": on_board }))?;
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
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
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
                    bytes(&manifest) as f64 / 1e6,
                    manifest.protected.test_label
                ));
                found.push(serde_json::json!({ "campaign": name, "release": manifest.protected.release, "files": manifest.inventory.len() }));
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

fn bytes(manifest: &Manifest) -> u64 {
    manifest.inventory.values().map(|entry| entry.size()).sum()
}

fn verify(context: &Context, which: &Which, offline: bool) -> Result<Outcome> {
    let (folder, manifest) = which.manifest(context)?;
    let mut copies: Vec<(String, Result<()>)> = vec![("on this host".into(), archive(&manifest, &folder))];
    if !offline {
        copies.push(("on the board".into(), on_board(context, which, &manifest)));
        let second = board_file(context, &which.board)?.description.second_host;
        if let Some(second) = second {
            let checked = second_host::verify(&second, &which.board, &which.campaign, &folder);
            copies.push((format!("on {}", second.host), checked));
        }
    }
    let mut answers = Vec::new();
    let mut whole = true;
    for (place, outcome) in &copies {
        let said = match outcome {
            Ok(()) => "whole: every byte was read back".to_string(),
            Err(error) => format!("NOT WHOLE: {error:#}"),
        };
        context.ui.line(&format!("{place}: {said}"));
        answers.push(serde_json::json!({ "place": place, "whole": outcome.is_ok(), "said": said }));
        whole &= outcome.is_ok();
    }
    context
        .ui
        .json(&serde_json::json!({ "campaign": which.campaign, "copies": answers }))?;
    if whole {
        context.ui.line(&format!(
            "next: `cargo xtask rollback{} --dry-run` says what it would put back",
            typed(&which.board, &which.campaign)
        ));
        return Ok(Outcome::Success);
    }
    context.ui.line(&format!(
        "next: `cargo xtask preflight{}` makes a copy that is gone anew from the one that is whole; one that is damaged has to be moved away first",
        typed(&which.board, &which.campaign)
    ));
    Ok(Outcome::CheckFailed)
}

fn archive(manifest: &Manifest, folder: &Path) -> Result<()> {
    backup::whole(
        "the archive",
        folder,
        backup::archive_differences(manifest, folder)?,
    )
}

fn on_board(context: &Context, which: &Which, manifest: &Manifest) -> Result<()> {
    let board = look_answering(context, &which.board)?;
    let folder = backup::board_folder(&board, &which.campaign)?;
    let found = backup::board_copy_differences(&board, manifest, &folder)?;
    backup::whole("the copy", &folder, found)
}

fn show(context: &Context, which: &Which) -> Result<Outcome> {
    let (folder, manifest) = which.manifest(context)?;
    let protected = &manifest.protected;
    context
        .ui
        .json(&serde_json::json!({ "folder": folder, "manifest": manifest }))?;
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
            path.display()
        ));
    }
    context.ui.line(&format!(
        "next: `cargo xtask backup verify{}`",
        typed(&which.board, &which.campaign)
    ));
    Ok(Outcome::Success)
}
