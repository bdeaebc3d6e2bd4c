//! `cargo xtask series check`.

use super::Context;
use crate::cmd::open_tree::{Where, tell_base};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::files::write_atomic;
use crate::host::json::json;
use crate::host::process;
use crate::host::scratch::{self, ScratchFolder};
use crate::kernel::patch::Patch;
use crate::kernel::place::BRANCH;
use crate::kernel::series::lacking;
use crate::kernel::tree::Stack;
use crate::ui;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

/// Arguments of `cargo xtask series check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The checkpatch.pl is the tree's own. What it says is kept beside each patch as PATCH.check (git ignores it: it is made again at any time), \
with the hash of what it looked at, and `series` shows its summary. Exit code 3 if it found errors.

What the series says it was made on (base-commit: and prerequisite-patch-id: of git-format-patch(1)) is \
compared with the tree.

Example:
  cargo xtask series check --series patches/rehearsal"
)]
pub struct Check {
    /// Only these, by number, file name or subject
    patches: Vec<String>,
    #[command(flatten)]
    which: Where,
}

/// What checkpatch.pl reads beside itself.
const FILES: [&str; 3] = [
    "scripts/checkpatch.pl",
    "scripts/spelling.txt",
    "scripts/const_structs.checkpatch",
];

/// Longest time for one patch.
const LIMIT: Duration = Duration::from_secs(300);

const CHECKED: &str = "# checked: sha256 ";

impl Check {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let series = self.which.patches(context)?;
        let mut wanted: Vec<usize> = Vec::new();
        for name in &self.patches {
            wanted.push(series.find(name)?);
        }
        if wanted.is_empty() {
            wanted = (0..series.patches.len()).collect();
        }
        let place = self.which.place(context)?;
        let stack = Stack::peek(&place.repository, BRANCH)?;
        if context.global.dry_run {
            for at in &wanted {
                context.ui.line(&format!("check {}", series.paths[*at].display()));
            }
            context.ui.json(&json!({ "dry_run": true }))?;
            return Ok(Outcome::Success);
        }
        let made_on = tell_base(context, &stack, &series.made_on)?;
        let tools = tools(&stack)?;
        let (mut found_errors, mut results) = (false, Vec::new());
        let stages = stack.stages(&series.patches.iter().collect::<Vec<_>>())?;
        for at in wanted {
            let (patch, file) = (&series.patches[at], &series.paths[at]);
            let said = checkpatch(tools.path(), file)?;
            let Some(summary) = summary(&said) else {
                bail!(
                    "checkpatch.pl came to no result about {}; it said:\n{said}",
                    file.display()
                );
            };
            found_errors |= !summary.starts_with("total: 0 errors");
            let text = format!(
                "# SPDX-License-Identifier: GPL-2.0-only\n{CHECKED}{}\n{said}\n",
                patch.sha256
            );
            write_atomic(&beside(file), text.as_bytes())?;
            context
                .ui
                .line(&format!("{:<6} {summary}  {}", patch.short_name(), patch.subject));
            for line in said.lines().filter(|line| is_finding(line)) {
                context.ui.line(&format!("       {line}"));
            }
            let after = at.saturating_add(1);
            let lacking = lacking::of(
                patch,
                &|path| stages.text(at, path),
                &|path| stages.text(after, path),
                &|path| stages.has_file(after, path),
            );
            found_errors |= !lacking.is_empty();
            for lacking in &lacking {
                context.ui.line(&format!("       {lacking}"));
            }
            results.push(json!({
                "patch": patch.name, "summary": summary, "file": ui::path_name(&beside(file)),
                "lacking": lacking.iter().map(ToString::to_string).collect::<Vec<_>>()
            }));
        }
        context.ui.json(
            &json!({ "series": ui::path_name(&series.folder), "made_on": made_on, "checked": results }),
        )?;
        context.ui.say(&format!(
            "the whole of it is in *.check beside the patches; next: cargo xtask series{}",
            self.which.flags()
        ));
        Ok(if found_errors {
            Outcome::CheckFailed
        } else {
            Outcome::Success
        })
    }
}

/// The tree's checkpatch.pl with its lists, in a folder that goes away. A bare repository has them as well.
fn tools(stack: &Stack) -> Result<ScratchFolder> {
    let folder = scratch::folder().context("making a folder for checkpatch.pl")?;
    let text_of = stack.files()?;
    for name in FILES {
        match text_of(Path::new(name)) {
            Some(text) => write_atomic(&folder.path().join(name), text.as_bytes())?,
            None if name == FILES[0] => {
                bail!("the kernel tree has no {name}, so there is nothing to check with")
            }
            None => {}
        }
    }
    Ok(folder)
}

/// What checkpatch.pl says; its exit status is 1 where it has found something.
fn checkpatch(tools: &Path, patch: &Path) -> Result<String> {
    which::which("perl")
        .context("looking for perl, which checkpatch.pl is written in: `apt install perl`")?;
    let sh = Shell::new()?;
    let patch = patch.canonicalize()?;
    sh.change_dir(tools);
    let command = cmd!(
        sh,
        "perl scripts/checkpatch.pl --no-tree --color=never --show-types {patch}"
    );
    let finished = process::finish(command, LIMIT).context("running checkpatch.pl")?;
    Ok(format!(
        "{}{}",
        finished.text(),
        String::from_utf8_lossy(&finished.stderr)
    ))
}

/// `total: 0 errors, 1 warnings, 20 lines checked`.
fn summary(said: &str) -> Option<&str> {
    said.lines()
        .find(|line| line.starts_with("total: "))
        .map(str::trim_end)
}

fn is_finding(line: &str) -> bool {
    ["ERROR:", "WARNING:"].iter().any(|kind| line.starts_with(kind))
}

/// `0004-x.patch` → `0004-x.patch.check`.
fn beside(patch: &Path) -> PathBuf {
    let mut name = patch.as_os_str().to_owned();
    name.push(".check");
    PathBuf::from(name)
}

/// The summary of the last check of exactly this content.
pub(super) fn last_result(file: &Path, patch: &Patch) -> Option<String> {
    let text = bounded::read_text(&beside(file), bounded::WRITTEN).ok()?;
    let of = text.lines().find_map(|line| line.strip_prefix(CHECKED))?;
    (of == patch.sha256).then(|| summary(&text).map(String::from))?
}
