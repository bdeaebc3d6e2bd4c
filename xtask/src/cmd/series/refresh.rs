//! `cargo xtask series refresh`.

use super::Context;
use crate::cmd::open_tree::{Where, open};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::files::write_atomic;
use crate::host::json::json;
use crate::kernel::patch::{Patch, with_diff_of};
use crate::kernel::place::BRANCH;
use crate::kernel::review;
use crate::kernel::series::Series;
use crate::kernel::tree::{Stack, Tree, short};
use crate::ui;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask series refresh`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Edit files in the work tree (`cargo xtask apply` says where it is), then refresh: the edits go into the commit of the patch, later \
patches are made anew on it, and the patch file gets the new diff; its message and notes stay. Its approval is lost. Files that git does not know are \
left out until `git add`.

Examples:
  cargo xtask series refresh
  cargo xtask series refresh 0004 --series patches/rehearsal"
)]
pub struct Refresh {
    /// The patch, by number, file name or subject [default: the one on top]
    patch: Option<String>,
    #[command(flatten)]
    which: Where,
}

impl Refresh {
    /// Runs the verb. Dies half-way: the commit has the edits and the patch file has not; the same command writes
    /// the file then.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let place = self.which.place(context)?;
        let applied = Stack::peek(&place.repository, BRANCH)?.applied(&series)?;
        let at = self.wanted(&series, &applied)?;
        let patch = &series.patches[at];
        if context.global.dry_run {
            context.ui.line(&format!(
                "take the edits of {} into {}, and write {} anew",
                place.worktree.display(),
                patch.short_name(),
                series.paths[at].display()
            ));
            context.ui.json(&json!({
                "dry_run": true, "tree": ui::path_name(&place.worktree), "patch": patch.name, "file": ui::path_name(&series.paths[at])
            }))?;
            return Ok(Outcome::Success);
        }
        let before = review::state(patch, &review::read(&series.paths[at])?);
        let mut tree = open(context, &place)?;
        let refreshed = tree.refresh(patch)?;
        let mut written = Vec::new();
        if rewrite(&tree, patch, &series.paths[at], &refreshed.commit)? {
            written.push(series.paths[at].clone());
        }
        written.extend(follow(&tree, &series, &applied, at)?);
        if refreshed.files.is_empty() && written.is_empty() {
            bail!(
                "refreshing {}: no file of {} was edited; nothing was changed",
                patch.name,
                tree.path().display()
            );
        }
        context.ui.line(&format!(
            "{} {}  {}",
            patch.short_name(),
            short(&refreshed.commit),
            patch.subject
        ));
        for file in &written {
            context.ui.line(&format!("  written: {}", file.display()));
        }
        for subject in &refreshed.restacked {
            context.ui.say(&format!("made anew on it: {subject}"));
        }
        if !refreshed.unknown.is_empty() {
            context.ui.warn(&format!(
                "left out, since git does not know them (`git add` takes them in): {}",
                list(&refreshed.unknown)
            ));
        }
        if before.is_open() {
            context.ui.warn(&format!(
                "{} was approved; the edited patch needs a new review",
                patch.short_name()
            ));
        }
        context.ui.json(&json!({
            "patch": patch.name, "commit": refreshed.commit, "files": ui::path_names(&refreshed.files), "written": ui::path_names(&written),
            "restacked": refreshed.restacked, "left_out": ui::path_names(&refreshed.unknown)
        }))?;
        context.ui.say(&format!(
            "next: cargo xtask build-debug-kernel{}",
            self.which.kernel_flag()
        ));
        Ok(Outcome::Success)
    }

    /// The named patch, or the last of the series that is applied.
    fn wanted(&self, series: &Series, applied: &[Option<String>]) -> Result<usize> {
        if let Some(name) = &self.patch {
            return series.find(name);
        }
        match applied.iter().rposition(Option::is_some) {
            Some(at) => Ok(at),
            None => bail!(
                "no patch of {} is applied, so there is none that edits could go into; next: cargo xtask apply{} {}",
                series.folder.display(),
                self.which.flags(),
                series.patches[0].short_name()
            ),
        }
    }
}

/// Writes the patch file with the diff of the commit; `false`: it has it already.
fn rewrite(tree: &Tree, patch: &Patch, file: &Path, commit: &str) -> Result<bool> {
    let doing = || format!("writing {} anew", file.display());
    let old = bounded::read(file, bounded::LOG).with_context(doing)?;
    let ids = patch
        .files
        .iter()
        .filter(|file| file.binary.is_none())
        .filter_map(|file| file.blobs.as_ref());
    let digits = ids.map(|(old, _)| old.len()).max().unwrap_or(40);
    let mail = tree.mail_of(commit, digits).with_context(doing)?;
    let new = with_diff_of(patch, &old, &mail);
    // What cannot be read again, or says something else, is never written over a patch.
    let read = Patch::parse(&patch.name, &new).with_context(doing)?;
    let wanted = Patch::parse("mail", &mail).with_context(doing)?;
    if read.message() != patch.message() || read.patch_id() != wanted.patch_id() {
        bail!(
            "{}: the new file would not be the commit {commit}; it was left as it is",
            doing()
        );
    }
    if new == old || read.patch_id() == patch.patch_id() {
        return Ok(false);
    }
    write_atomic(file, &new).with_context(doing)?;
    Ok(true)
}

/// Later patches whose diff is another one now are written anew, too: they would not be known in the tree any more.
fn follow(tree: &Tree, series: &Series, before: &[Option<String>], at: usize) -> Result<Vec<PathBuf>> {
    let now = tree.applied(series)?;
    let mut written = Vec::new();
    for later in (at.saturating_add(1)..series.patches.len())
        .filter(|later| before[*later].is_some() && now[*later].is_none())
    {
        let patch = &series.patches[later];
        let commits = tree.commits()?;
        let Some((commit, _)) = commits.iter().rfind(|(_, subject)| *subject == patch.subject) else {
            continue;
        };
        if rewrite(tree, patch, &series.paths[later], commit)? {
            written.push(series.paths[later].clone());
        }
    }
    Ok(written)
}

fn list(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
