//! Proof of boot: that what runs is this very build (invariant 15). One script gathers, one pure function judges; what could not be seen is
//! unknown, never proven.

use super::lease::{self, Held};
use super::{Board, nonce, script};
use crate::host::one_line::one_line;
use crate::manifest::{Kind, Manifest};
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What has to run.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// The build.
    pub manifest: &'a Manifest,
    /// The nonce of its deploy.
    pub nonce: &'a str,
    /// The boot id before the reboot.
    pub boot_id_before: Option<&'a str>,
    /// Whether the profile's lock checker has to be alive.
    pub lockdep: Lockdep,
    /// Modules that have to be loaded, as `/sys/module` names them.
    pub modules: &'a [String],
}

/// Whether lockdep belongs to the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lockdep {
    /// `debug_locks` has to be 1.
    Alive,
    /// Not asked for.
    NotAsked,
}

/// What the board says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// `uname -r`.
    pub release: Option<String>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<String>,
    /// `/proc/cmdline`.
    pub cmdline: Option<String>,
    /// GNU build id in `/sys/kernel/notes`, lower-case hex.
    pub build_id: Option<String>,
    /// Loaded modules with the build id of each, if it has one.
    pub modules: BTreeMap<String, Option<String>>,
    /// `debug_locks` in `/proc/lockdep_stats`.
    pub debug_locks: Option<String>,
    /// `/proc/sys/kernel/tainted`: see Documentation/admin-guide/tainted-kernels.rst.
    pub taint: Option<u64>,
    /// `/proc/uptime`, whole seconds.
    pub uptime: Option<u64>,
    /// Users that are logged in, one line each (`who`).
    pub logged_in: Vec<String>,
    /// The lease of this boot; `None` where none is held.
    pub lease: Option<Held>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fact {
    /// What it is about.
    pub what: Subject,
    /// Whether it holds.
    pub state: State,
    /// What was wanted.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

/// What a fact is about. Who has to tell one from another does it by this value, never by its
/// words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// `uname -r`.
    Release,
    /// The GNU build id of the kernel.
    BuildId,
    /// The word of this deploy on the command line.
    Nonce,
    /// The id of this boot.
    BootId,
    /// Whether the lock checker still looks.
    Lockdep,
    /// Whether a module that has to be loaded is. It says nothing about which kernel runs.
    Loaded(String),
    /// Of which build a module is that is loaded.
    Module(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Subject::Release => "release",
            Subject::BuildId => "kernel build id",
            Subject::Nonce => "nonce of this deploy",
            Subject::BootId => "new boot id",
            Subject::Lockdep => "lockdep alive (debug_locks)",
            Subject::Loaded(name) => return write!(out, "loading of module {}", one_line(name)),
            Subject::Module(name) => return write!(out, "module {}", one_line(name)),
        })
    }
}

/// Whether a fact holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Seen as wanted.
    Proven,
    /// Seen, and something else.
    Mismatch,
    /// Not seen. It proves nothing.
    Unknown,
}

/// The facts of one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proof {
    /// All of them.
    pub facts: Vec<Fact>,
    /// What ends this boot by itself. It proves nothing about the build.
    pub lease: Option<Held>,
}

impl Proof {
    /// Every fact is proven.
    pub fn holds(&self) -> bool {
        !self.facts.is_empty() && self.facts.iter().all(|fact| fact.state == State::Proven)
    }

    /// Facts that are not proven.
    pub fn open(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| fact.state != State::Proven)
    }
}

/// The script that asks for all of it. The shell's own words where they do: each program costs a slow board with a debug kernel some hundredths of a
/// second. Numbers below /proc/sys want a program: they answer the first read(2) only (kernel/sysctl.c, `do_proc_dointvec`), and a shell may read byte by
/// byte.
pub const GATHER: &str = concat!(
    r#"set -u
export LC_ALL=C
say() { { IFS= read -r line <"$2"; } 2>/dev/null && printf '%s=%s\n' "$1" "$line"; }
say release /proc/sys/kernel/osrelease
say boot_id /proc/sys/kernel/random/boot_id
say cmdline /proc/cmdline
say uptime /proc/uptime
printf 'taint='
cat /proc/sys/kernel/tainted
sed -n 's/^ *debug_locks: */debug_locks=/p' /proc/lockdep_stats 2>/dev/null
set -- /sys/kernel/notes
while read -r module _; do
    printf 'module=%s\n' "$module"
    set -- "$@" "/sys/module/$module/notes/.note.gnu.build-id"
done </proc/modules
# All of them at once, each behind a line with its name. Not every head has -v.
echo notes=
{ head -v -c 4096 -- "$@" 2>/dev/null ||
    for note; do printf '\n==> %s <==\n' "$note"; cat "$note" 2>/dev/null; done; } | od -An -v -tx1
who 2>/dev/null | while read -r line; do printf 'who=%s\n' "$line"; done
"#,
    lease::looking!(),
    "echo end=1\n"
);

/// Asks the board. Errors: it does not answer, or not to the end.
pub fn gather(board: &dyn Board) -> Result<Seen> {
    parse(&script::ask(board, "gathering the proof of boot", GATHER, script::LOOK)?.text())
}

/// The answer to [`GATHER`]. Errors: it is cut off.
pub fn parse(text: &str) -> Result<Seen> {
    let fields = script::fields(text);
    if !fields.contains_key("end") {
        bail!("the board's answer is cut off: it proves nothing");
    }
    let field = |name: &str| {
        fields
            .get(name)
            .filter(|value| !value.is_empty())
            .map(|value| value.to_string())
    };
    let lines = |key: &'static str| {
        text.lines()
            .filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
    };
    // od breaks them into lines, which no line of a field looks like.
    let notes = text.split_once("notes=").map_or("", |(_, notes)| notes);
    let notes: String = notes.lines().take_while(|line| !line.contains('=')).collect();
    let notes = hex::decode(notes.replace(' ', "")).unwrap_or_default();
    let notes = each_note(&notes);
    let note = |file: &str| build_id_of(notes.get(file.as_bytes()).copied().unwrap_or_default());
    let of_module = |name: &str| format!("/sys/module/{name}/notes/.note.gnu.build-id");
    let modules = lines("module")
        .map(|name| (name.to_string(), note(&of_module(name))))
        .collect();
    Ok(Seen {
        release: field("release"),
        boot_id: field("boot_id"),
        cmdline: field("cmdline"),
        build_id: note("/sys/kernel/notes"),
        modules,
        debug_locks: field("debug_locks"),
        taint: field("taint").and_then(|taint| taint.parse().ok()),
        uptime: field("uptime").and_then(|uptime| uptime.split('.').next()?.parse().ok()),
        logged_in: lines("who").map(String::from).collect(),
        lease: lease::held(text),
    })
}

/// What each file's notes are: behind its name, where it was printed last. One that is not there
/// has a name with nothing behind it, or none.
fn each_note(notes: &[u8]) -> HashMap<&[u8], &[u8]> {
    const BEGIN: &[u8] = b"==> /sys/";
    let mut all = HashMap::new();
    let mut begins = memchr::memmem::find_iter(notes, BEGIN)
        .filter(|at| *at == 0 || notes.get(at.saturating_sub(1)) == Some(&b'\n'))
        .peekable();
    while let Some(at) = begins.next() {
        // The newline before the next name is head's.
        let end = begins.peek().map_or(notes.len(), |next| next.saturating_sub(1));
        let one = notes.get(at..end).unwrap_or_default();
        let Some(line) = memchr::memchr(b'\n', one) else {
            continue;
        };
        let head = one.get(..line).unwrap_or_default();
        let name = head
            .strip_prefix(b"==> ")
            .and_then(|name| name.strip_suffix(b" <=="));
        if let Some(name) = name {
            all.insert(name, one.get(line.saturating_add(1)..).unwrap_or_default());
        }
    }
    all
}

/// The GNU build id among ELF notes (elf(5): name size, descriptor size, type, then both padded to 4 bytes; `NT_GNU_BUILD_ID`
/// is 3). Little-endian, as arm64 and x86-64 are.
pub fn build_id_of(notes: &[u8]) -> Option<String> {
    let mut rest = notes;
    while rest.len() >= 12 {
        let word = |at: usize| Some(u32::from_le_bytes(*rest.get(at..)?.first_chunk()?) as usize);
        let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
        let at = name_size.checked_next_multiple_of(4)?.checked_add(12)?;
        let name = rest.get(12..name_size.checked_add(12)?)?;
        let content = rest.get(at..at.checked_add(size)?)?;
        if kind == 3 && name == b"GNU\0" {
            return Some(hex::encode(content));
        }
        rest = rest.get(size.checked_next_multiple_of(4)?.checked_add(at)?..)?;
    }
    None
}

/// Judges what was seen.
pub fn prove(expected: &Expected, seen: &Seen) -> Proof {
    let manifest = expected.manifest;
    let mut facts = vec![
        equal(Subject::Release, &manifest.release, seen.release.as_deref()),
        equal(Subject::BuildId, &manifest.build_id, seen.build_id.as_deref()),
        of_this_deploy(expected.nonce, seen.cmdline.as_deref()),
    ];
    if let Some(before) = expected.boot_id_before {
        facts.push(new_boot_id(before, seen.boot_id.as_deref()));
    }
    if expected.lockdep == Lockdep::Alive {
        facts.push(equal(Subject::Lockdep, "1", seen.debug_locks.as_deref()));
    }
    for name in expected.modules {
        let name = name.replace('-', "_");
        if !seen.modules.contains_key(&name) {
            facts.push(fact(
                Subject::Loaded(name),
                State::Mismatch,
                "loaded",
                "not loaded",
            ));
        }
    }
    let mut of_build = HashMap::new();
    for file in manifest.of_kind(Kind::Module) {
        if let Some(name) = file.module_name() {
            of_build.entry(name).or_insert(file);
        }
    }
    for (name, build_id) in &seen.modules {
        let what = Subject::Module(name.clone());
        facts.push(match of_build.get(name.as_str()) {
            None => fact(
                what,
                State::Mismatch,
                "a module of this build",
                "the build made none of this name",
            ),
            Some(file) => match &file.build_id {
                Some(expected) => equal(what, expected, build_id.as_deref()),
                None => fact(
                    what,
                    State::Unknown,
                    "the manifest has no build id",
                    build_id.as_deref().unwrap_or(""),
                ),
            },
        });
    }
    Proof {
        facts,
        lease: seen.lease.clone(),
    }
}

fn fact(what: Subject, state: State, expected: &str, seen: &str) -> Fact {
    Fact {
        what,
        state,
        expected: expected.into(),
        seen: seen.into(),
    }
}

fn equal(what: Subject, expected: &str, seen: Option<&str>) -> Fact {
    match seen {
        None => fact(what, State::Unknown, expected, "could not be seen"),
        // An expectation that is empty would be met by anything.
        Some(seen) if seen == expected && !expected.is_empty() => fact(what, State::Proven, expected, seen),
        Some(seen) => fact(what, State::Mismatch, expected, seen),
    }
}

fn of_this_deploy(nonce: &str, cmdline: Option<&str>) -> Fact {
    let wanted = nonce::word(nonce);
    match cmdline {
        None => fact(Subject::Nonce, State::Unknown, &wanted, "could not be seen"),
        Some(line) => {
            let found = !nonce.is_empty() && line.split_whitespace().any(|word| word == wanted);
            let state = if found { State::Proven } else { State::Mismatch };
            fact(Subject::Nonce, state, &wanted, if found { &wanted } else { line })
        }
    }
}

fn new_boot_id(before: &str, now: Option<&str>) -> Fact {
    let expected = format!("another than {before}");
    match now {
        None => fact(Subject::BootId, State::Unknown, &expected, "could not be seen"),
        Some(now) if now != before => fact(Subject::BootId, State::Proven, &expected, now),
        Some(now) => fact(Subject::BootId, State::Mismatch, &expected, now),
    }
}

#[cfg(test)]
mod tests;
