//! The series and the kernel tree of a verb that works on them.

use super::Context;
use crate::kernel::patch::MadeOn;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::series::Series;
use crate::kernel::tree::{Compared, Stack, Tree, Weight};
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// The series that is used where none is named, below the project.
const DEFAULT_SERIES: &str = "patches/release-fences";

/// Which series and which tree: the arguments that `series`, `apply` and `revert` share.
#[derive(Debug, Clone, clap::Args)]
pub struct Where {
    /// Folder of the series: a `series` file, or numbered *.patch files [default: patches/release-fences]
    #[arg(long, value_name = "FOLDER")]
    pub series: Option<PathBuf>,
    /// A kernel git tree of yours; it gets a work tree of our own, your checkout is not touched [default: Debian's
    /// newest, as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// The commit that patches are counted from [default: HEAD of the tree when it was first used]
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
}

impl Where {
    /// The series.
    pub(super) fn patches(&self, context: &Context) -> Result<Series> {
        let folder = self
            .series
            .clone()
            .unwrap_or_else(|| context.folders.project.join(DEFAULT_SERIES));
        Series::open(&folder)
    }

    /// The tree.
    pub(super) fn place(&self, context: &Context) -> Result<Place> {
        let mut place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        place.base = self.base.clone();
        Ok(place)
    }

    /// The commits of the tree, to look at. Without any tree a series is still of use, so there may be none; a tree
    /// that was named has to be there.
    pub(super) fn stack(&self, context: &Context) -> Result<Option<Stack>> {
        match self.place(context) {
            Err(_) if self.kernel.is_none() => Ok(None),
            place => Ok(Some(Stack::peek(&place?.repository, BRANCH)?)),
        }
    }

    /// Compares what a series says it was made on with the tree, and prints what came of it: doubts
    /// as warnings. `None`: the series says nothing, or there is no tree.
    pub(super) fn base_of(&self, context: &Context, made_on: &MadeOn) -> Result<Option<Compared>> {
        if made_on.is_empty() {
            return Ok(None);
        }
        match self.stack(context)? {
            Some(stack) => tell_base(context, &stack, made_on),
            None => {
                for line in made_on.to_string().lines() {
                    context
                        .ui
                        .say(&format!("{line} (there is no kernel tree yet to look for it)"));
                }
                Ok(None)
            }
        }
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

    /// `--kernel PATH` again, for the next command.
    pub(super) fn kernel_flag(&self) -> String {
        self.kernel
            .as_ref()
            .map(|path| format!(" --kernel {}", path.display()))
            .unwrap_or_default()
    }
}

/// [`Where::base_of`] for an open tree.
pub(super) fn tell_base(context: &Context, stack: &Stack, made_on: &MadeOn) -> Result<Option<Compared>> {
    let compared = stack.compare_base(made_on)?;
    for remark in compared.iter().flat_map(Compared::remarks) {
        match remark.weight {
            Weight::Fine => context.ui.say(&remark.to_string()),
            Weight::Doubt => context.ui.warn(&remark.to_string()),
        }
    }
    Ok(compared)
}

/// Opens the work tree with a task on the screen if it has to be made, and says what was repaired.
pub(super) fn open(context: &Context, place: &Place) -> Result<Tree> {
    let making =
        (!place.worktree.exists()).then(|| context.ui.task("making a work tree of the kernel", None));
    let tree = place
        .open()
        .with_context(|| format!("opening the kernel tree of {}", place.repository.display()))?;
    if let Some(task) = making {
        task.done(&place.worktree.display().to_string());
    }
    if !tree.repaired().is_empty() {
        context.ui.say(&format!(
            "an interrupted change was finished: {} files were brought up to the branch",
            tree.repaired().len()
        ));
    }
    Ok(tree)
}
