//! `cargo xtask series import`.

use super::Context;
use crate::cmd::open_tree::Where;
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::files;
use crate::host::files::write_atomic;
use crate::host::json::json;
use crate::kernel::patch::{Patch, Scissors, refuse_other_reading};
use crate::kernel::series::chosen::Chosen;
use crate::kernel::series::import;
use crate::ui;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask series import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every mail with a diff becomes a numbered file, byte for byte, in the order of its [PATCH n/m]; cover letter and answers are left \
out. The quoting of an mboxrd (public-inbox, b4) is undone. Nothing is overwritten, and a series that is \
not complete is refused unless \
--cherry-pick names the patches that are wanted.

What the series says it was made on (base-commit: and prerequisite-patch-id: of git-format-patch(1)) is \
compared with the kernel tree, \
where there is one, and kept in the series file.

Example:
  b4 am -o /tmp 20261101-fences-v3@example.org
  cargo xtask series import /tmp/v3_20261101_fences.mbx --into patches/fences
  cargo xtask series import /tmp/v3_20261101_fences.mbx -P 1-3,5"
)]
pub struct Import {
    /// The mailbox
    mbox: PathBuf,
    /// A new or empty folder for the series [default: patches/ and the name of the mailbox]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Leave out what stands before a scissors line (`-- >8 --`), as `git am --scissors` does
    #[arg(long)]
    scissors: bool,
    /// Import only these patches of the series, by their numbers, as b4 does: `5`, `1-3,5`, `6-`
    #[arg(short = 'P', long, value_name = "NUMBERS")]
    cherry_pick: Option<Chosen>,
    /// The kernel tree that the base is looked for in [default: Debian's newest, as `setup`
    /// imported it]
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
}

impl Import {
    /// Runs the verb. Dies half-way: the folder holds some patches, and no `series` file.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let doing = || format!("importing {}", self.mbox.display());
        let bytes = bounded::read(&self.mbox, bounded::LOG).with_context(doing)?;
        let scissors = if self.scissors {
            Scissors::Cut
        } else {
            Scissors::Kept
        };
        let found = import::read(&bytes, scissors, self.cherry_pick.as_ref()).with_context(doing)?;
        let patches: Vec<&Patch> = found.files.iter().map(|file| &file.patch).collect();
        refuse_other_reading(&patches).with_context(doing)?;
        let folder = self.folder(context)?;
        if files::is_there(&folder)? && std::fs::read_dir(&folder).with_context(doing)?.next().is_some() {
            bail!(
                "{}: {} is there and not empty, and nothing is overwritten; name a new folder with `--into`",
                doing(),
                folder.display()
            );
        }
        for file in &found.files {
            context.ui.line(&format!("{}  {}", file.name, file.patch.subject));
            if let Some(line) = file.patch.scissors {
                context.ui.warn(&format!(
                    "{}:{line}: a scissors line; what stands before it became part of the message, as with `git am` (`--scissors` leaves it out)",
                    file.name
                ));
            }
        }
        let silent: Vec<&str> = found
            .files
            .iter()
            .filter(|file| !file.names_a_licence())
            .map(|file| file.name.as_str())
            .collect();
        if !silent.is_empty() {
            context.ui.warn(&format!(
                "no licence is named in {} (SPDX-License-Identifier): they are kept as they came; where your own repository asks for one, write it \
                 behind the message's `---`, which changes neither commit nor patch-id",
                silent.join(", ")
            ));
        }
        for subject in &found.left_out {
            context.ui.say(&format!("left out, no patch: {subject}"));
        }
        for subject in &found.not_chosen {
            context.ui.say(&format!("left out, not chosen: {subject}"));
        }
        let compared = self.tree().base_of(context, &found.made_on)?;
        let names: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
        context.ui.json(&json!({
            "dry_run": context.global.dry_run, "series": ui::path_name(&folder), "patches": names, "left_out": found.left_out,
            "not_chosen": found.not_chosen, "made_on": compared,
            "without_licence": silent
        }))?;
        if context.global.dry_run {
            return Ok(Outcome::Success);
        }
        for file in &found.files {
            write_atomic(&folder.join(&file.name), &file.bytes).with_context(doing)?;
        }
        let list = import::list(&found, &self.mbox);
        write_atomic(&folder.join("series"), list.as_bytes()).with_context(doing)?;
        context.ui.say(&format!(
            "{} in {}",
            ui::count(names.len(), "patch file"),
            folder.display()
        ));
        context.ui.say(&format!(
            "next: cargo xtask series check --series {}",
            folder.display()
        ));
        Ok(Outcome::Success)
    }

    /// The tree that the series is compared with.
    fn tree(&self) -> Where {
        Where {
            series: None,
            kernel: self.kernel.clone(),
            base: None,
        }
    }

    fn folder(&self, context: &Context) -> Result<PathBuf> {
        if let Some(folder) = &self.into {
            return Ok(folder.clone());
        }
        let name = self.mbox.file_stem().unwrap_or_default();
        if name.is_empty() {
            bail!("{} names no file", self.mbox.display());
        }
        Ok(context.folders.project.join("patches").join(Path::new(name)))
    }
}
