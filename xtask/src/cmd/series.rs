//! `cargo xtask series`.

use super::Context;
use crate::exit::Outcome;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::series::Series as Patches;
use crate::kernel::tree::Stack;
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

/// The series that is used where none is named, below the project.
pub(super) const DEFAULT_SERIES: &str = "patches/release-fences";

/// Which series and which tree: the arguments that `series`, `apply` and `revert` share.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// Folder of the series: a `series` file, or numbered *.patch files [default: patches/release-fences]
    #[arg(long, value_name = "FOLDER")]
    pub series: Option<PathBuf>,
    /// A kernel git tree of yours; it gets a work tree of our own, your checkout is not touched [default: Debian's newest,
    /// as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// The commit that patches are counted from [default: HEAD of the tree when it was first used]
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
}

impl Where {
    /// The series.
    pub(super) fn patches(&self, context: &Context) -> Result<Patches> {
        let folder = self
            .series
            .clone()
            .unwrap_or_else(|| context.folders.project.join(DEFAULT_SERIES));
        Patches::open(&folder)
    }

    /// The tree.
    pub(super) fn place(&self, context: &Context) -> Result<Place> {
        let mut place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        place.base = self.base.clone();
        Ok(place)
    }

    /// The flags that name the same series and tree in another command, with a space in front.
    pub(super) fn flags(&self) -> String {
        let mut flags = String::new();
        for (flag, path) in [("--series", &self.series), ("--kernel", &self.kernel)] {
            if let Some(path) = path {
                flags += &format!(" {flag} {}", path.display());
            }
        }
        flags
    }
}

/// Arguments of `cargo xtask series`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask series
  cargo xtask series --series patches/rehearsal --kernel ~/src/linux-rockchip")]
pub struct Series {
    #[command(flatten)]
    which: Where,
}

#[derive(Serialize)]
struct Row {
    number: Option<u32>,
    name: String,
    subject: String,
    author: String,
    sha256: String,
    files: Vec<PathBuf>,
    /// The commit that is this patch by content; absent where it is not applied.
    applied: Option<String>,
}

impl Series {
    /// Runs the verb. Reads only.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        // Without any tree the list is still of use; a tree that was named has to be there.
        let place = match self.which.place(context) {
            Err(_) if self.which.kernel.is_none() => None,
            place => Some(place?),
        };
        let applied = match &place {
            Some(place) => Stack::peek(&place.repository, BRANCH)?.applied(&series)?,
            None => vec![None; series.patches.len()],
        };
        let rows: Vec<Row> = series
            .patches
            .iter()
            .zip(applied)
            .map(|(patch, applied)| Row {
                number: patch.number,
                name: patch.name.clone(),
                subject: patch.subject.clone(),
                author: format!("{} <{}>", patch.author, patch.email),
                sha256: patch.sha256.clone(),
                files: patch.touched_files().into_iter().map(PathBuf::from).collect(),
                applied,
            })
            .collect();
        for (patch, row) in series.patches.iter().zip(&rows) {
            let state = row
                .applied
                .as_ref()
                .map_or("-".to_string(), |commit| commit[..12].to_string());
            context.ui.line(&format!(
                "{:<6} {state:<12}  {}  ({})",
                patch.short_name(),
                row.subject,
                patch.author
            ));
        }
        let tree = place.as_ref().map(|place| place.repository.display().to_string());
        context
            .ui
            .json(&serde_json::json!({ "series": series.folder, "tree": tree, "patches": rows }))?;
        match (place, rows.iter().position(|row| row.applied.is_none())) {
            (None, _) => context.ui.say("no kernel tree yet; next: cargo xtask setup"),
            (Some(_), Some(at)) => context.ui.say(&format!(
                "next: cargo xtask apply {}{}",
                series.patches[at].short_name(),
                self.which.flags()
            )),
            (Some(_), None) => context
                .ui
                .say("all are applied; next: cargo xtask build-debug-kernel"),
        }
        Ok(Outcome::Success)
    }
}
