//! `cargo xtask apply`.

use super::Context;
use super::open_tree::{Where, open, tell_base};
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::series::makefile::is_makefile;
use crate::kernel::series::{Refusal, Series, lacking, may_apply, needs};
use crate::kernel::tree::{How, Stack, short};
use crate::ui;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Arguments of `cargo xtask apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each patch becomes a commit as `git am` makes it, in a work tree of our own; only the files that differ \
are written. A patch that does not apply changes nothing.

Examples:
  cargo xtask apply 0004 0005
  cargo xtask apply 0005 --series patches/rehearsal --kernel ~/src/linux-rockchip"
)]
pub struct Apply {
    /// Patches by number, file name or subject, in the order in which they are applied
    #[arg(required = true, value_name = "PATCH")]
    patches: Vec<String>,
    /// The commit that the patches were made on: where their lines are not there and their `index` lines name
    /// unknown blobs, they are merged from it
    #[arg(long, value_name = "REVISION")]
    made_on: Option<String>,
    #[command(flatten)]
    which: Where,
}

impl Apply {
    /// Runs the verb. Either all named patches apply (tried in memory first), or nothing is changed.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let wanted: Vec<usize> = self
            .patches
            .iter()
            .map(|name| series.find(name))
            .collect::<Result<_>>()?;
        let place = self.which.place(context)?;
        let mut stack = Stack::peek(&place.repository, BRANCH)?;
        if let Some(revision) = &self.made_on {
            stack.made_on(revision)?;
        }
        let todo = in_order(&series, &stack, &wanted, &self.which.flags())?;
        tell_base(context, &stack, &series.made_on)?;
        stack.check_all(&todo.iter().map(|at| &series.patches[*at]).collect::<Vec<_>>())?;
        let foreign = foreign(&series, &stack)?;
        drop(stack);
        if !foreign.is_empty() && !todo.is_empty() {
            context.ui.say(&format!(
                "on top of what is applied and not of {}: {}",
                series.folder.display(),
                foreign.join("; ")
            ));
        }
        for at in wanted.iter().filter(|at| !todo.contains(at)) {
            context.ui.say(&format!(
                "{} is applied already",
                series.patches[*at].short_name()
            ));
        }
        if context.global.dry_run {
            return self.show_plan(context, &place, &series, &todo);
        }
        let mut tree = open(context, &place)?;
        if let Some(revision) = &self.made_on {
            tree.made_on(revision)?;
        }
        let mut commits = Vec::new();
        let mut symbols = Vec::new();
        for at in todo {
            let patch = &series.patches[at];
            let makefiles = patch.touched_files().into_iter().filter(|path| is_makefile(path));
            let before: BTreeMap<&Path, Option<String>> = {
                let read = tree.files()?;
                makefiles.map(|path| (path, read(path))).collect()
            };
            let applied = tree.apply(patch)?;
            symbols.extend(needs::new_symbols(patch));
            let merged = if applied.how == How::ThreeWay {
                " (merged: its context is another one here)"
            } else {
                ""
            };
            context.ui.line(&format!(
                "{} {}  {}{merged}, {}",
                patch.short_name(),
                short(&applied.commit),
                patch.subject,
                ui::count(applied.files.len(), "file")
            ));
            let after = tree.files()?;
            let lacking = lacking::of(
                patch,
                &|path| before.get(path).cloned().flatten(),
                &after,
                &|path| tree.path().join(path).is_file(),
            );
            lacking
                .iter()
                .for_each(|lacking| context.ui.warn(&lacking.to_string()));
            commits.push(json!({
                "patch": patch.name, "commit": applied.commit, "files": ui::path_names(&applied.files), "merged": applied.how == How::ThreeWay
            }));
        }
        context.ui.json(&json!({
            "tree": ui::path_name(tree.path()), "branch": tree.branch(), "applied": commits, "underneath": foreign
        }))?;
        context.ui.say(&format!(
            "the tree is {} on {}",
            tree.path().display(),
            tree.branch()
        ));
        let mut fragment = "";
        if !symbols.is_empty() {
            context.ui.say(&format!(
                "new Kconfig symbols: {}; a fragment has to ask for what they build (`cargo xtask campaign new` writes one)",
                symbols.join(", ")
            ));
            fragment = " --fragment FILE";
        }
        context.ui.say(&format!(
            "next: cargo xtask build-debug-kernel{}{fragment}",
            self.which.kernel_flag()
        ));
        Ok(Outcome::Success)
    }

    fn show_plan(
        &self,
        context: &Context,
        place: &Place,
        series: &Series,
        todo: &[usize],
    ) -> Result<Outcome> {
        let names: Vec<&str> = todo.iter().map(|at| series.patches[*at].name.as_str()).collect();
        let make = !place.worktree.exists();
        if make {
            context
                .ui
                .line(&format!("make the work tree {}", place.worktree.display()));
        }
        for name in &names {
            context
                .ui
                .line(&format!("apply {name} in {}", place.worktree.display()));
        }
        context.ui.json(&json!({
            "dry_run": true, "tree": ui::path_name(&place.worktree), "make_work_tree": make, "apply": names
        }))?;
        Ok(Outcome::Success)
    }
}

/// Subjects of the commits on the base that are no patch of the series, oldest first.
fn foreign(series: &Series, stack: &Stack) -> Result<Vec<String>> {
    let own: Vec<String> = stack.applied(series)?.into_iter().flatten().collect();
    let commits = stack.commits()?.into_iter();
    let foreign = commits.filter(|(commit, _)| !own.contains(commit));
    Ok(foreign.map(|(_, subject)| subject).collect())
}

/// The patches of `wanted` that are not applied yet, refused where the order of the series is broken.
fn in_order(series: &Series, stack: &Stack, wanted: &[usize], flags: &str) -> Result<Vec<usize>> {
    let mut applied: Vec<bool> = stack.applied(series)?.iter().map(Option::is_some).collect();
    let mut todo = Vec::new();
    for at in wanted {
        match may_apply(&applied, &[], *at) {
            Ok(()) => {
                applied[*at] = true;
                todo.push(*at);
            }
            Err(Refusal::AlreadyApplied) => {}
            Err(refusal) => bail!("{}; nothing was changed", series.explain(&refusal, *at, flags)),
        }
    }
    Ok(todo)
}
