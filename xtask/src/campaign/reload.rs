//! A step that is first tried by unloading and loading its modules in the kernel of the step before it (`reload = true`): the rules. When that
//! is possible, which modules go in which order, and what is an early warning. No verdict comes of it: the reboot gives that.
//!
//! Formats: `/proc/modules` is `name size references users state address` (kernel/module/procfs.c: `m_show()`, `print_unload_info()`);
//! `modules.dep` is `path: paths of all modules that it needs` (modules.dep(5)).

use super::attempt::Booted;
use crate::board::inventory::Inventory;
use crate::board::quote;
use crate::board::slot::{Record, State};
use crate::host::json::json;
use crate::kernel::changes;
use crate::manifest::{File, Kind, Manifest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Folder on the board for the modules, on a file system in memory: a reset takes it away.
pub const FOLDER: &str = "/run/lockstep-reload";
/// What the board's kernel log says before anything is unloaded.
pub const MARK: &str = "lockstep: modules are unloaded and loaded from here on";
/// Begins a line of [`look`] that tells what kind of file system [`FOLDER`] would be on.
const ON: &str = "lockstep-on ";
/// Begins a line of [`exchange`] that says what was done to a module.
const DID: &str = "lockstep-did ";

/// What came of `reload = true`.
#[derive(Debug)]
pub enum Tried {
    /// Nothing was booted for it: why.
    NotPossible(String),
    /// The board was booted into the step before, and is back on vanilla unless [`Booted::not_back`] says otherwise.
    Done {
        /// What was seen.
        booted: Box<Booted>,
        /// Why it ended before the tests, where it did; then it shows nothing.
        ended: Option<String>,
    },
}

/// The modules of `now` that are another content than in `before`. Errors: why what changed cannot be tried without a reboot.
pub fn changed<'n>(before: &Manifest, now: &'n Manifest) -> Result<Vec<&'n File>, String> {
    let changes = changes::changed(before, now);
    if changes.release {
        return Err("its release is another one".into());
    }
    if changes.image {
        return Err("the Image differs, too".into());
    }
    if let Some(first) = changes.dtbs.first() {
        return Err(format!("device trees differ, too: {}", first.display()));
    }
    let gone = |source: &&PathBuf| source.to_string_lossy().contains(".ko");
    if let Some(gone) = changes.gone.iter().find(gone) {
        return Err(format!("{} is not built any more", gone.display()));
    }
    if changes.modules.is_empty() {
        return Err("no module is of another content".into());
    }
    Ok(changes
        .modules
        .iter()
        .filter_map(|name| now.module(name))
        .collect())
}

/// What a try depends on, for the journal: the modules by name and hash, and the commit of the kernel that they are loaded into.
pub fn inputs(files: &[&File], before: &Manifest) -> Value {
    let module = |file: &&File| Some((file.module_name()?, file.sha256.clone()));
    let modules: BTreeMap<String, String> = files.iter().filter_map(module).collect();
    json!({ "modules": modules, "in": before.commit })
}

/// Why the slot on the board is not what `before` built, whole; none where it is. `modules` is where its modules lie on the board.
pub fn another_slot(slot: Option<&Record>, before: &Manifest, modules: &Path) -> Option<String> {
    let Some(slot) = slot else {
        return Some("there is no slot on the board".into());
    };
    let (of, short) = (&slot.commit, slot.commit.get(..12).unwrap_or(&slot.commit));
    if slot.state != State::Whole {
        return Some("the slot on the board is not whole".into());
    }
    if *of != before.commit || slot.build_id != before.build_id || slot.release != before.release {
        return Some(format!(
            "the slot on the board is of commit {short}, and not of the step before"
        ));
    }
    let differs = |file: &&File| lies_there(&slot.inventory, modules, file) != Some(file.sha256.as_str());
    before.of_kind(Kind::Module).find(differs).map(|file| {
        let name = file.module_name().unwrap_or_default();
        format!("the slot on the board has another {name} than the step before")
    })
}

fn lies_there<'i>(inventory: &'i Inventory, modules: &Path, file: &File) -> Option<&'i str> {
    inventory.get(&modules.join(below_release(file)?))?.sha256()
}

/// The path of a module below its release's folder, as `modules.dep` has it.
pub fn below_release(file: &File) -> Option<&Path> {
    let mut parts = file.source.components();
    // lib/modules/<release>/
    parts.by_ref().take(3).for_each(drop);
    Some(parts.as_path()).filter(|path| path.components().next().is_some())
}

/// A module that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its name, with underscores.
    pub name: String,
    /// How often it is held, by modules and others; none where this kernel unloads nothing.
    pub references: Option<u64>,
    /// Modules that hold it.
    pub users: Vec<String>,
    /// It cannot be unloaded: it has no way out.
    pub is_permanent: bool,
}

/// Shell that prints what [`loaded`] and [`is_in_memory`] read.
pub fn look() -> String {
    format!(
        "echo '{ON}'\"$(stat -f -c %T /run)\"\ncommand -v udevadm >/dev/null && udevadm settle --timeout=20\ncat /proc/modules\n"
    )
}

/// Whether [`FOLDER`] would lie in memory.
pub fn is_in_memory(answer: &str) -> bool {
    let on = answer.lines().find_map(|line| line.strip_prefix(ON));
    on.is_some_and(|kind| kind.trim() == "tmpfs")
}

/// Reads `/proc/modules`.
pub fn loaded(answer: &str) -> Vec<Loaded> {
    let module = |line: &str| -> Option<Loaded> {
        let mut words = line.split_whitespace();
        let (name, _size) = (words.next()?, words.next()?.parse::<u64>().ok()?);
        let (references, users) = (words.next()?, words.next()?);
        let users = users.split(',').filter(|user| !user.is_empty() && *user != "-");
        let (permanent, users): (Vec<&str>, Vec<&str>) = users.partition(|user| *user == "[permanent]");
        Some(Loaded {
            name: name.to_string(),
            references: references.parse().ok(),
            users: users.into_iter().map(String::from).collect(),
            is_permanent: !permanent.is_empty(),
        })
    };
    answer.lines().filter_map(module).collect()
}

/// The order in which these modules are unloaded, with all that use them: each behind its users. Errors: what cannot be unloaded, and why; then
/// nothing is.
pub fn unloading(modules: &[String], loaded: &[Loaded]) -> Result<Vec<String>, String> {
    let mut order = Vec::new();
    for name in modules {
        unload(name, loaded, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

fn unload<'l>(
    name: &'l str,
    loaded: &'l [Loaded],
    path: &mut Vec<&'l str>,
    order: &mut Vec<String>,
) -> Result<(), String> {
    let Some(module) = loaded.iter().find(|known| known.name == name) else {
        return Ok(());
    };
    if order.iter().any(|known| known == name) {
        return Ok(());
    }
    if path.contains(&name) {
        return Err(format!("{name} is used by itself, by way of {}", path.join(", ")));
    }
    let held = match module.references {
        None => {
            return Err(format!(
                "{name} cannot be unloaded: this kernel unloads no module"
            ));
        }
        Some(_) if module.is_permanent => {
            return Err(format!(
                "{name} cannot be unloaded: it has no way out (permanent)"
            ));
        }
        Some(references) => references.saturating_sub(module.users.len() as u64),
    };
    if held > 0 {
        return Err(format!(
            "{name} cannot be unloaded: it is held {held} times by something that is no module (an open device, a driver of a device that is in \
             use)"
        ));
    }
    path.push(name);
    for user in &module.users {
        unload(user, loaded, path, order)?;
    }
    path.pop();
    order.push(name.to_string());
    Ok(())
}

/// The order in which these modules are loaded, with all that they need by `modules_dep`, without what stays loaded: paths below the release's
/// folder, each behind what it needs. A name that is no module there is built in, or is none; it is left out.
pub fn loading(modules: &[String], modules_dep: &str, stays: &[String]) -> Vec<String> {
    let needs: BTreeMap<&str, Vec<&str>> = modules_dep
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needed)| (path, needed.split_whitespace().collect()))
        .collect();
    let mut order: Vec<String> = Vec::new();
    for name in modules {
        let name = name.replace('-', "_");
        let path = needs.keys().find(|path| name_of(path) == name);
        if let Some(path) = path {
            load(path, &needs, stays, &mut Vec::new(), &mut order);
        }
    }
    order
}

fn load<'d>(
    path: &'d str,
    needs: &BTreeMap<&'d str, Vec<&'d str>>,
    stays: &[String],
    way: &mut Vec<&'d str>,
    order: &mut Vec<String>,
) {
    let is_there = stays.contains(&name_of(path)) || order.iter().any(|known| known == path);
    if is_there || way.contains(&path) {
        return;
    }
    way.push(path);
    for needed in needs.get(path).into_iter().flatten() {
        load(needed, needs, stays, way, order);
    }
    way.pop();
    order.push(path.to_string());
}

/// Name of a module by its path, as /proc/modules has it.
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// The script that unloads `out`, in this order, then loads the files `into`, in this order. It writes [`MARK`] into the kernel log first, ends at the first
/// that fails, with its words, and prints what it did (see [`did`]).
pub fn exchange(out: &[String], into: &[String]) -> String {
    let mut script = format!("set -e\necho '{MARK}' >/dev/kmsg\n");
    for (does, program, words) in [("unloaded", "rmmod", out), ("loaded", "insmod", into)] {
        for word in words {
            script.push_str(&format!(
                "{program} {}\necho '{DID}{does} '{}\n",
                quote(word),
                quote(&name_of(word))
            ));
        }
    }
    script + "if command -v udevadm >/dev/null; then udevadm settle --timeout=20; fi\n"
}

/// What [`exchange`] did, in words: `vim2m unloaded`.
pub fn did(answer: &str) -> Vec<String> {
    let words = answer.lines().filter_map(|line| line.strip_prefix(DID));
    words
        .filter_map(|words| words.split_once(' '))
        .map(|(does, name)| format!("{name} {does}"))
        .collect()
}

/// What a log says behind [`MARK`]; none where it is not there.
pub fn behind_mark(log: &[u8]) -> Option<&[u8]> {
    let at = log
        .windows(MARK.len())
        .position(|words| words == MARK.as_bytes())?;
    let rest = log.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    rest.get(end.checked_add(1)?..)
}

/// What a try showed that a person should know before the reboot that gives the verdict. `new` are titles of findings that the baseline lacks.
pub fn warnings(booted: &Booted, new: &[String]) -> Vec<String> {
    let seen = &booted.seen;
    let all = [
        &seen.lost,
        &seen.wrong_kernel,
        &seen.failed_tests,
        &seen.new_findings,
        &seen.dead_checkers,
    ];
    let mut told: Vec<String> = all.into_iter().flatten().cloned().collect();
    told.extend(
        new.iter()
            .map(|title| format!("the kernel said what the baseline lacks: {title}")),
    );
    told
}

#[cfg(test)]
mod tests;
