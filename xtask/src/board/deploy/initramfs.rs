//! The slot's initramfs, where vanilla has one: made by the board's own tool for our release alone, without the hooks by which
//! distributions write boot files, and made anew only when a module in it changed (invariant 6).

use super::super::inventory::{self, Inventory};
use super::super::slot::Place;
use super::super::writer::{Put, Sent, Source, Writer};
use super::super::{Board, quote, script};
use super::Plan;
use super::contents::file_name;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known of the initramfs of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Initramfs {
    /// The tool that made it.
    pub tool: Tool,
    /// Modules in it by their path below the modules' folder, with their hashes when it was made.
    pub modules: BTreeMap<PathBuf, String>,
}

/// Tools that make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Arch Linux's mkinitcpio.
    Mkinitcpio,
    /// dracut (Fedora and others).
    Dracut,
    /// Debian's initramfs-tools.
    InitramfsTools,
}

impl Tool {
    /// The tool that a board has, from the programs that [`LOOK`] found. Errors: it has none that is known.
    pub fn of(programs: &str) -> Result<Self> {
        let has = |name: &str| programs.split_whitespace().any(|program| program == name);
        if has("mkinitcpio") {
            Ok(Tool::Mkinitcpio)
        } else if has("mkinitramfs") {
            Ok(Tool::InitramfsTools)
        } else if has("dracut") {
            Ok(Tool::Dracut)
        } else {
            bail!(
                "vanilla boots with an initramfs, and the board has none of mkinitcpio, dracut and initramfs-tools: a slot \
                 without one, or with vanilla's, would not be the same system; nothing was changed"
            )
        }
    }

    /// Makes one at `out`. None of these runs a hook that writes boot files: `update-initramfs` and `kernel-install` would (flash-kernel,
    /// u-boot-menu), the programs below them do not; mkinitcpio's own post hooks are switched off where it has them.
    fn making(self, release: &str, out: &str) -> String {
        let release = quote(release);
        match self {
            Tool::Mkinitcpio => format!(
                "nopost=\nif mkinitcpio --help 2>&1 | grep -q -e --nopost; then nopost=--nopost; fi\n\
                 mkinitcpio $nopost -k {release} -g {out} >&2"
            ),
            Tool::Dracut => format!("dracut --force --kver {release} {out} >&2"),
            Tool::InitramfsTools => format!("mkinitramfs -o {out} {release} >&2"),
        }
    }

    /// Lists what is in `out`, one path a line.
    fn listing(self, out: &str) -> String {
        match self {
            Tool::Mkinitcpio => format!("lsinitcpio {out}"),
            Tool::Dracut => format!("lsinitrd --kver '' {out} 2>/dev/null || lsinitrd {out}"),
            Tool::InitramfsTools => format!("lsinitramfs {out}"),
        }
    }
}

/// What a deploy has to do about the initramfs.
#[derive(Default)]
pub(super) struct Todo {
    /// Why it is made anew.
    pub why: Option<String>,
    /// With what; none where vanilla has none.
    pub tool: Option<Tool>,
    /// What stays as it is.
    pub known: Option<Initramfs>,
}

/// Looks what has to be done.
pub(super) fn plan(
    board: &dyn Board,
    place: &Place,
    seen: &Inventory,
    wanted: &[(PathBuf, Put)],
    old: Option<&Initramfs>,
) -> Result<Todo> {
    let Some(path) = &place.initramfs else {
        return Ok(Todo::default());
    };
    let programs = script::ask(
        board,
        "looking for the tool that makes an initramfs",
        LOOK,
        script::LOOK,
    )?;
    let tool = Tool::of(&programs.text())?;
    let modules: BTreeMap<PathBuf, String> = wanted
        .iter()
        .filter_map(|(path, put)| {
            Some((
                path.strip_prefix(&place.modules).ok()?.to_path_buf(),
                put.sha256.clone(),
            ))
        })
        .collect();
    let old = old.filter(|old| old.tool == tool);
    let why = stale(old, seen.contains_key(path), &modules);
    Ok(Todo {
        known: old.filter(|_| why.is_none()).cloned(),
        why,
        tool: Some(tool),
    })
}

/// Makes it in a folder of its own with the board's tool, then puts it in its place like any other file. When it dies half-way the folder is left, and
/// the next call begins by removing it.
pub(super) fn make(
    board: &dyn Board,
    writer: &Writer,
    plan: &Plan,
    tool: Tool,
    sent: &mut Sent,
) -> Result<Initramfs> {
    let target = plan
        .place
        .initramfs
        .as_ref()
        .context("the slot has no place for an initramfs")?;
    let folder = board.description().backup_folder.join(".initramfs");
    let out = folder.join(file_name(target)?);
    let making = making_script(tool, &plan.release, &script::word(&folder)?, &script::word(&out)?);
    let answer = writer.produce("making the initramfs", &folder, &making)?.text();
    let fields = script::fields(&answer);
    let field = |name: &str| {
        fields
            .get(name)
            .copied()
            .with_context(|| format!("the board did not say the {name} of the initramfs"))
    };
    let put = Put {
        target: file_name(target)?,
        source: Source::BoardFile(out),
        sha256: field("sha256")?.to_string(),
        size: field("size")?
            .parse()
            .context("reading the size of the initramfs")?,
        mode: 0o600,
        keep: None,
    };
    let beside = target.parent().context("the initramfs has no folder")?;
    sent.add(writer.put(beside, &[put])?);
    writer.remove(&[folder])?;
    let seen = inventory::take(board, std::slice::from_ref(&plan.place.modules))?;
    Ok(Initramfs {
        tool,
        modules: contained(&answer, &plan.release, &plan.place, &seen).unwrap_or_default(),
    })
}

/// Prints the programs that the board has.
const LOOK: &str = "for program in mkinitcpio dracut mkinitramfs; do if command -v $program >/dev/null; then echo $program; fi; done";

/// The body of the script that makes it at `out` and says its hash, its size and what is in it. What cannot be listed is said, too.
fn making_script(tool: Tool, release: &str, folder: &str, out: &str) -> String {
    format!(
        "rm -rf -- {folder}\nmkdir -p -m 700 {folder}\n{}\n[ -s {out} ]\nsync -f {out}\n\
         printf 'sha256=%s\\n' \"$(sha256sum {out} | cut -d' ' -f1)\"\nprintf 'size=%s\\n' \"$(stat -c %s {out})\"\n\
         if listing=$({}); then printf '%s\\n' \"$listing\" | sed 's/^/in=/'; else echo unlisted=yes; fi\n",
        tool.making(release, out),
        tool.listing(out)
    )
}

/// The modules of `release` in a listing, with their hashes on the board. `None`: it could not be listed, so any change counts.
fn contained(
    answer: &str,
    release: &str,
    place: &Place,
    seen: &Inventory,
) -> Option<BTreeMap<PathBuf, String>> {
    if answer.lines().any(|line| line == "unlisted=yes") {
        return None;
    }
    let marker = format!("lib/modules/{release}/");
    let below = |line: &str| {
        let path = line.strip_prefix("in=")?.split_once(&marker)?.1;
        path.contains(".ko").then(|| PathBuf::from(plain_name(path)))
    };
    Some(
        answer
            .lines()
            .filter_map(below)
            .filter_map(|module| {
                let found = seen
                    .iter()
                    .filter_map(|(path, entry)| Some((path.strip_prefix(&place.modules).ok()?, entry)))
                    .find(|(path, _)| plain_name(&path.to_string_lossy()) == module.to_string_lossy())?;
                Some((found.0.to_path_buf(), found.1.sha256()?.to_string()))
            })
            .collect(),
    )
}

/// Without what packing adds: an initramfs may hold `x.ko` where the folder has `x.ko.zst`.
fn plain_name(path: &str) -> &str {
    let path = path.split(" -> ").next().unwrap_or(path).trim_end();
    ["zst", "xz", "gz"]
        .iter()
        .find_map(|packed| path.strip_suffix(&format!(".{packed}")))
        .unwrap_or(path)
}

/// Why the initramfs has to be made anew; `None`: it is as it would be.
fn stale(old: Option<&Initramfs>, there: bool, wanted: &BTreeMap<PathBuf, String>) -> Option<String> {
    let Some(old) = old.filter(|_| there) else {
        return Some("the slot has none yet".into());
    };
    if old.modules.is_empty() {
        return Some("what is in it is not known".into());
    }
    old.modules
        .iter()
        .find(|(path, hash)| wanted.get(*path) != Some(hash))
        .map(|(path, _)| format!("{} changed, which is in it", name(path)))
}

fn name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tool_runs_the_hooks_that_write_boot_files() {
        for tool in [Tool::Mkinitcpio, Tool::Dracut, Tool::InitramfsTools] {
            let text = making_script(tool, "7.3.4-lockdep+", "/var/tmp/x", "/var/tmp/x/out");
            for word in ["update-initramfs", "kernel-install", "mkinitcpio -P", "/boot"] {
                assert!(!text.contains(word), "{tool:?}: {text}");
            }
        }
        assert_eq!(Tool::of("dracut\nmkinitramfs\n").unwrap(), Tool::InitramfsTools);
        assert!(Tool::of("").is_err());
    }

    #[test]
    fn it_is_made_anew_when_a_module_in_it_changed_and_only_then() {
        let known = |hash: &str| BTreeMap::from([(PathBuf::from("kernel/ext4.ko"), hash.to_string())]);
        let old = Initramfs {
            tool: Tool::Dracut,
            modules: known("aa"),
        };
        let mut wanted = known("aa");
        wanted.insert("kernel/other.ko".into(), "bb".into());
        assert_eq!(stale(Some(&old), true, &wanted), None);
        assert!(stale(Some(&old), false, &wanted).is_some());
        assert!(
            stale(Some(&old), true, &known("cc"))
                .unwrap()
                .contains("ext4.ko changed")
        );
        assert!(
            stale(Some(&old), true, &BTreeMap::new()).is_some(),
            "it is gone from the build"
        );
        assert!(stale(None, true, &wanted).is_some());
    }

    #[test]
    fn names_in_a_listing_are_found_packed_or_not() {
        assert_eq!(plain_name("kernel/fs/ext4.ko.zst"), "kernel/fs/ext4.ko");
        assert_eq!(plain_name("kernel/fs/ext4.ko -> x"), "kernel/fs/ext4.ko");
    }
}
