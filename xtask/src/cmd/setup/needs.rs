//! What set-up has to make, and what that asks of this machine.

use super::super::Context;
use super::{TreeFlags, vanilla_is_current};
use crate::board::virt::VirtualBoard;
use crate::host::files;
use crate::host::requirements;
use crate::kernel::build::Builder;
use crate::kernel::place::Place;
use crate::kernel::source;
use crate::ui::Part;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

// The parts of `ensure`. Their usual times are guesses from the CPU times of docs/performance.md.
pub(super) const PACKAGES: Part = part("packages of this machine", 60, false);
pub(super) const SOURCE: Part = part("kernel source, user land", 80, true);
pub(super) const VANILLA: Part = part("vanilla kernel", 480, true);
pub(super) const VIRTUAL_BOARD: Part = part("virtual board", 15, true);

/// A part of a long command, with its usual seconds.
pub const fn part(name: &'static str, usual_s: u64, is_work: bool) -> Part {
    Part {
        name,
        usual: Duration::from_secs(usual_s),
        is_work,
    }
}

/// What is not there yet, as lines for a person.
pub struct Needs {
    lines: Vec<String>,
    parts: Vec<Part>,
    asks: Asks,
}

/// What the parts that are missing ask of this machine, and what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asks {
    /// Bytes on the disk of the cache, at the most that there is at a time.
    disk: u64,
    /// Bytes that an ordinary user may still write there.
    free: u64,
    /// Bytes of memory that are available, where the kernel says so.
    memory: Option<u64>,
}

/// Memory that is asked for, bytes: 1 GiB of the virtual board, 512 MiB for each of two jobs
/// (`kernel/build/jobs.rs`), and as much again for this program, the link of vmlinux and the page cache.
const MEMORY: u64 = 3_000_000_000;
/// What the vanilla kernel and the debug kernel take on the disk, staged, with their objects and the compiler cache, bytes.
const KERNEL: u64 = 2_500_000_000;
/// The same of the board and its user land.
const BOARD: u64 = 1_500_000_000;

impl Asks {
    /// The sentence for a person: what is needed, what there is, and what to do where that is not enough.
    fn sentence(self) -> String {
        let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let mut said = format!(
            "It needs {} of disk ({} are free) and {} of memory",
            gb(self.disk),
            gb(self.free),
            gb(MEMORY)
        );
        if let Some(memory) = self.memory {
            said += &format!(" ({} are free)", gb(memory));
        }
        said.push('.');
        if self.disk > self.free {
            said += " The disk is too small: make room, or set LOCKSTEP_CACHE to a folder on a larger one.";
        }
        if self.memory.is_some_and(|memory| memory < MEMORY) {
            said += " With less memory it may be very slow, or be killed: close what you do not need.";
        }
        said
    }
}

impl Needs {
    /// Nothing has to be made.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What [`ensure`] has to do, in its order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Says it.
    pub fn tell(&self, context: &Context) {
        if self.is_empty() {
            context.ui.line("Set-up: everything is there.");
            return;
        }
        context.ui.line(&format!(
            "Set-up will do this, in {}:",
            context.folders.cache.display()
        ));
        self.lines
            .iter()
            .for_each(|line| context.ui.line(&format!("  - {line}")));
        context.ui.line(&self.asks.sentence());
    }
}

/// Looks at what is there. Changes nothing. The sizes are those of Debian 12 and Linux 7.3.
pub fn needs(context: &Context, tree: &TreeFlags) -> Result<Needs> {
    let cache = &context.folders.cache;
    let (mut lines, mut parts) = (Vec::new(), Vec::new());
    let missing = requirements::missing(&[]);
    if !missing.is_empty() {
        parts.push(PACKAGES);
        let packages = requirements::missing_debian_packages(&missing);
        lines.push(format!(
            "install {} packages with apt (up to 150 MB to download, 700 MB on the disk): {}",
            packages.len(),
            packages.join(" ")
        ));
    }
    let place = Place::of(cache, tree.kernel.as_deref());
    let board_is_there = VirtualBoard::open(&context.folders).is_ok();
    if place.is_err() || !board_is_there {
        parts.push(SOURCE);
    }
    let mut disk = 0_u64;
    match (&tree.kernel, &place) {
        (None, Err(_)) => {
            disk = disk.saturating_add(source::SPACE_NEEDED);
            lines.push(
            "fetch Debian's newest linux-source-7.x (170 MB) and import it as a git repository (1.6 GB), with a work \
             tree (1.7 GB)"
                .into(),
            );
        }
        (Some(_), Err(_)) => drop(place?),
        (_, Ok(_)) => {}
    }
    let vanilla_is_there = vanilla_is_current(context, tree);
    if !vanilla_is_there {
        parts.push(VANILLA);
    }
    if !vanilla_is_there || !board_is_there {
        parts.push(VIRTUAL_BOARD);
    }
    if !vanilla_is_there {
        disk = disk.saturating_add(KERNEL);
        lines.push(
            "build the vanilla kernel (about 8 minutes on two cores, 2.5 GB with the debug kernel)".into(),
        );
        if board_is_there {
            lines.push("make the virtual board anew around it: what is on its disk now is lost".into());
        }
    }
    if !board_is_there {
        disk = disk.saturating_add(BOARD);
        lines.push(
            "make the virtual board: a Debian arm64 root file system (100 MB to download, about 5 minutes), a disk of \
             2 GB (700 MB in use)"
                .into(),
        );
    }
    Ok(Needs {
        lines,
        parts,
        asks: Asks {
            disk,
            free: free_below(cache)?,
            memory: Builder::available_memory(),
        },
    })
}

/// Bytes that are free where a folder is, or will be.
fn free_below(folder: &Path) -> Result<u64> {
    let mut there = folder;
    while !files::is_there(there)? {
        let Some(parent) = there.parent() else { break };
        there = parent;
    }
    source::free_space(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_little_is_said_before_anything_starts() {
        let enough = Asks {
            disk: 9_000_000_000,
            free: 50_000_000_000,
            memory: Some(4_000_000_000),
        };
        assert_eq!(
            enough.sentence(),
            "It needs 9.0 GB of disk (50.0 GB are free) and 3.0 GB of memory (4.0 GB are free)."
        );
        let short = Asks {
            free: 8_000_000_000,
            memory: Some(1_000_000_000),
            ..enough
        };
        assert!(short.sentence().contains("The disk is too small: make room"));
        assert!(short.sentence().contains("With less memory it may be very slow"));
        let unknown = Asks {
            memory: None,
            ..enough
        };
        assert!(unknown.sentence().ends_with("and 3.0 GB of memory."));
    }

    #[test]
    fn the_space_of_a_folder_that_is_not_there_yet_is_that_of_the_next_one_above() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_below(&folder.path().join("a/b/c")).unwrap() > 0);
    }
}
