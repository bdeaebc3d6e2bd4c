//! `cargo xtask deploy`.

use super::Context;
use super::open_board::BoardFlags;
use super::programs::compile;
use crate::board::deploy::{self, Deployed, Dtb, Plan, Request, Stage};
use crate::board::nonce::Nonce;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::stage;
use crate::kernel::tree::{Stack, short};
use crate::manifest::Manifest;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask deploy`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask deploy --board virtual\n\nOnly what \
                  differs is sent. Vanilla stays the default and is not touched; our label is absent while its files \
                  change, and comes back when all of them verify on the board.")]
pub struct Deploy {
    #[command(flatten)]
    board: BoardFlags,
    /// Staging folder of the build, with its manifest.json [default: the last lockdep kernel of the imported tree]
    #[arg(long, value_name = "FOLDER")]
    manifest: Option<PathBuf>,
    /// Device tree of the build to boot with (`dtbs/rockchip/x.dtb`) [default: a copy of vanilla's own]
    #[arg(long, value_name = "PATH")]
    dtb: Option<PathBuf>,
    /// A word for the end of the kernel's command line; may be given more than once
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    append: Vec<String>,
    /// How many older slots stay on the board, without a label; the others of ours are removed, never vanilla's files
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep: usize,
}

impl Deploy {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let protected = self.board.protected(context)?;
        let folder = match &self.manifest {
            Some(folder) => folder.clone(),
            None => Place::of(&context.folders.cache, None)?.staging.join("lockdep"),
        };
        let manifest = stage::read_manifest(&folder)?;
        let older = older_than_the_tree(context, &folder, &manifest)?;
        older.iter().for_each(|older| context.ui.warn(older));
        let mut held = self.board.hold(context)?;
        let board = held.open(context)?;
        let board = board.as_ref();
        let request = Request {
            manifest: &manifest,
            protected: &protected,
            nonce: Nonce::fresh()?,
            dtb: self.dtb.clone().map_or(Dtb::Vanilla, Dtb::Built),
            extra_append: self.append.clone(),
            init: Some(compile(context, "slot_init", "slot-init")?),
            keep: self.keep,
        };
        let task = context
            .ui
            .task("comparing the build with what is on the board", None);
        let plan = deploy::plan(board, &request)?;
        task.done("");
        told(&plan).iter().for_each(|line| context.ui.line(line));
        if context.global.dry_run {
            plan.doubt().iter().for_each(|doubt| context.ui.warn(doubt));
            context
                .ui
                .json(&json!({ "dry_run": true, "plan": plan, "older_than_the_tree": older }))?;
            return Ok(Outcome::Success);
        }
        context.ui.confirm(
            context.global.consent(),
            &format!("Install {} on board `{}`?", plan.release, self.board.board),
        )?;
        let task = context.ui.task("installing", None);
        let deployed = deploy::execute(board, &request, &plan, &mut |stage| task.detail(doing(stage)))?;
        task.done(&sent(&deployed));
        for note in deployed.notes.iter().chain(&deployed.sent.remarks) {
            context.ui.warn(note);
        }
        context.ui.json(&deployed)?;
        context.ui.line(&format!(
            "label `{}` boots {} (nonce {}); vanilla is untouched and the default",
            deployed.label,
            deployed.release,
            deployed.nonce.as_str()
        ));
        context.ui.line(&format!(
            "next: `cargo xtask boot {}{}`",
            deployed.label,
            self.board.typed()
        ));
        Ok(Outcome::Success)
    }
}

/// What the tree holds that a build of it in `folder` does not, or the other way round; `None`:
/// they are the same, or it is a build of another tree.
fn older_than_the_tree(context: &Context, folder: &Path, manifest: &Manifest) -> Result<Option<String>> {
    let Ok(place) = Place::of(&context.folders.cache, None) else {
        return Ok(None);
    };
    if !folder.starts_with(&place.staging) {
        return Ok(None);
    }
    let stack = Stack::peek(&place.repository, BRANCH)?;
    let standing = Standing {
        base: &stack.base()?,
        commits: &stack.commits()?,
    };
    Ok(standing.differs_from(&manifest.commit))
}

/// What a tree holds: its base, and the commits on it with their subjects, oldest first.
struct Standing<'a> {
    base: &'a str,
    commits: &'a [(String, String)],
}

impl Standing<'_> {
    /// What a build of the commit `built` lacks of it; `None`: it is of exactly this.
    fn differs_from(&self, built: &str) -> Option<String> {
        let head = self.commits.last().map_or(self.base, |(commit, _)| commit);
        if head == built {
            return None;
        }
        let behind = match self.commits.iter().position(|(commit, _)| commit == built) {
            Some(at) => Some(at.saturating_add(1)),
            None => (self.base == built).then_some(0),
        };
        let missing = behind
            .and_then(|behind| self.commits.get(behind..))
            .unwrap_or_default();
        let subjects: Vec<&str> = missing.iter().map(|(_, subject)| subject.as_str()).collect();
        let what = match subjects.as_slice() {
            [] => "what it was built from is not in the tree any more".to_string(),
            subjects => format!("it lacks {}", subjects.join("; ")),
        };
        Some(format!(
            "this build is of commit {}, and the tree is at {}: {what}. `cargo xtask build-debug-kernel` builds what the tree holds",
            short(built),
            short(head)
        ))
    }
}

/// A plan for people.
fn told(plan: &Plan) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} files to send ({:.1} MB), {} there already, {} to remove",
        plan.release,
        plan.send.len(),
        plan.send_bytes as f64 / 1e6,
        plan.unchanged,
        plan.remove.len()
    )];
    lines.push(format!("  Image    {}", plan.place.image.display()));
    if let Some(dtb) = &plan.place.dtb {
        lines.push(format!("  dtb      {}", dtb.display()));
    }
    if let Some(initramfs) = &plan.place.initramfs {
        let what = plan
            .initramfs
            .as_ref()
            .map_or("as it is".into(), |why| format!("made on the board: {why}"));
        lines.push(format!("  initramfs {} ({what})", initramfs.display()));
    }
    if !plan.keep.is_empty() {
        lines.push(format!("  kept     {} (without a label)", plan.keep.join(", ")));
    }
    lines.push(format!("  modules  {}", plan.place.modules.display()));
    lines.push(format!("  append   {}", plan.append));
    if let Some(ends) = &plan.ends {
        lines.push(format!("  ends     {ends}"));
    }
    lines
}

fn sent(deployed: &Deployed) -> String {
    let sent = &deployed.sent;
    format!(
        "{} files, {:.1} MB, {:.2} MB on the wire",
        sent.files,
        sent.bytes as f64 / 1e6,
        sent.wire_bytes as f64 / 1e6
    )
}

fn doing(stage: Stage) -> &'static str {
    match stage {
        Stage::CheckingVanilla => "comparing vanilla's hashes",
        Stage::RemovingLabel => "taking our label out",
        Stage::RemovingFiles => "removing files of the older slot",
        Stage::SendingModules => "sending modules",
        Stage::MakingInitramfs => "making the initramfs with the board's own tool",
        Stage::SendingBootFiles => "sending Image and device tree",
        Stage::VerifyingSlot => "hashing the slot",
        Stage::WritingLabel => "writing the label",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_lacks_something_of_the_tree_is_older() {
        let commits = [
            ("c1".to_string(), "one".to_string()),
            ("c2".to_string(), "two".to_string()),
        ];
        let tree = Standing {
            base: "c0",
            commits: &commits,
        };
        assert_eq!(tree.differs_from("c2"), None);
        let told = |built: &str| tree.differs_from(built).unwrap();
        assert!(
            told("c1").contains("the tree is at c2: it lacks two."),
            "{}",
            told("c1")
        );
        assert!(told("c0").contains("it lacks one; two."), "{}", told("c0"));
        assert!(
            told("gone").contains("what it was built from is not in the tree any more"),
            "{}",
            told("gone")
        );
        let base = Standing {
            base: "c0",
            commits: &[],
        };
        assert_eq!(base.differs_from("c0"), None);
    }
}
