//! Kinds of kernels: the fragments that make one, and the names that keep it apart from the others.

use super::kconfig::{self, Fragment, Merged, nearest};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// What the virtual board needs, without a `.config` of the user's below.
const BOARD: &str = "virtual-board";
/// What the virtual board's debug kernels have beside that: there a root file system that is thrown away, and netconsole, are tried.
const BOARD_DEBUG: [&str; 2] = ["overlay-root", "netconsole"];

/// What ends a test boot (invariant 4), and what a wedged kernel is asked by. Every kernel but
/// vanilla has it, on any base.
const TEST_BOOT: &str = "test-boot";

/// A kind of kernel that comes with Lockstep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// Its fragments of `kconfig-fragments/`, without what the board needs.
    fragments: &'static [&'static str],
    /// Words for the kernel's command line, where configuration cannot say it.
    append: &'static [&'static str],
    /// What it is for.
    pub about: &'static str,
}

const VANILLA: Known = Known {
    name: "vanilla",
    fragments: &["vanilla"],
    append: &[],
    about: "the kernel that must survive",
};

const LOCKDEP: Known = Known {
    name: "lockdep",
    fragments: &["lockdep", "function-trace", "lockups", "debug-info", TEST_BOOT],
    append: &[],
    about: "lock order, sleeping in atomic context, RCU use",
};

/// All of them. Each sanitizer is a kernel of its own: KCSAN depends on !KASAN, and under emulation one of them costs enough.
pub const KNOWN: &[Known] = &[
    VANILLA,
    LOCKDEP,
    Known {
        name: "kasan",
        fragments: &["kasan", "function-trace", "lockups", "debug-info", TEST_BOOT],
        // KASAN reports the first bad access only (mm/kasan/report.c, KASAN_BIT_MULTI_SHOT): a known finding of the baseline would hide
        // every other.
        append: &["kasan_multi_shot"],
        about: "use after free, accesses out of bounds",
    },
    Known {
        name: "kcsan",
        fragments: &["kcsan", "function-trace", "lockups", "debug-info", TEST_BOOT],
        // Its own parameters (kernel/kcsan/core.c) only tune what the configuration sets.
        append: &[],
        about: "data races",
    },
];

/// One kind of kernel: its name and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// `vanilla`, `lockdep`: name of the `O=` folder and of the staging folder.
    pub name: String,
    /// Fragments in order; a later one wins.
    pub fragments: Vec<PathBuf>,
}

/// What a profile's fragments are laid upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Nothing: the fragment of the virtual board comes first.
    Nothing,
    /// A `.config` of the user's.
    Config,
}

impl Profile {
    /// Vanilla of the virtual board; `project` has `kconfig-fragments/`. It is configured as the
    /// debug kernel is, under a release of its own: built in the same folder, the two share all but
    /// a few objects, and a rehearsal from nothing compiles one kernel instead of two.
    pub fn vanilla(project: &Path) -> Self {
        Self::known(project, &VANILLA, Below::Nothing)
    }

    /// The debug kernel of the virtual board.
    pub fn lockdep(project: &Path) -> Self {
        Self::known(project, &LOCKDEP, Below::Nothing)
    }

    /// A profile by its name. Errors name what there is.
    pub fn named(project: &Path, name: &str, below: Below) -> Result<Self> {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            let near = match nearest(name, names.iter().copied()).as_slice() {
                [] => String::new(),
                near => format!(" (did you mean {}?)", near.join(" or ")),
            };
            bail!(
                "there is no profile `{name}`{near}; there are {}; what is no kernel of its own is added by `--fragment FILE`",
                names.join(", ")
            );
        };
        Ok(Self::known(project, known, below))
    }

    fn known(project: &Path, known: &Known, below: Below) -> Self {
        let mut fragments = Vec::new();
        if below == Below::Nothing {
            fragments.push(BOARD);
            match known.name == VANILLA.name {
                true => fragments.extend(LOCKDEP.fragments),
                false => fragments.extend(BOARD_DEBUG),
            }
        }
        fragments.extend(known.fragments);
        Self::of(project, known.name, &fragments)
    }

    /// A profile made of fragments of `kconfig-fragments/`, by their names without `.config`.
    pub fn of(project: &Path, name: &str, fragments: &[&str]) -> Self {
        let path = |fragment: &&str| {
            project
                .join("kconfig-fragments")
                .join(format!("{fragment}.config"))
        };
        Profile {
            name: name.to_string(),
            fragments: fragments.iter().map(path).collect(),
        }
    }

    /// The same profile with one more fragment behind the others, such as `release-fences` once patch 0004 is there.
    pub fn with(mut self, fragment: PathBuf) -> Self {
        self.fragments.push(fragment);
        self
    }

    /// The label that boots it: vanilla's own for vanilla, with the profile's name behind it for others.
    pub fn label(&self, vanilla: &str) -> String {
        match self.name.as_str() {
            "vanilla" => vanilla.to_string(),
            name => format!("{vanilla}_{name}"),
        }
    }

    /// Words that its label has on the command line, beside those of every test label.
    pub fn append(&self) -> Vec<String> {
        let known = KNOWN.iter().find(|known| known.name == self.name);
        let words = known.map_or(&[][..], |known| known.append);
        words.iter().map(|word| word.to_string()).collect()
    }

    /// Reads and merges the fragments. Errors: one that cannot be read or parsed, requests that contradict each other.
    pub fn merged(&self) -> Result<Merged> {
        let fragments = self
            .fragments
            .iter()
            .map(|path| Fragment::read(path))
            .collect::<Result<Vec<_>>>()?;
        let merged = kconfig::merge(&fragments);
        if let Some(contradiction) = kconfig::contradictory(&merged.requests) {
            bail!("profile {}: {contradiction}", self.name);
        }
        Ok(merged)
    }
}

/// Adds the fragment that every test kernel needs to a list that lacks it. A later fragment wins:
/// who wants another value names this one first, and then their own.
pub fn ends_by_itself(fragments: &mut Vec<PathBuf>) {
    let needed = Profile::of(Path::new(""), "", &[TEST_BOOT]).fragments;
    if !needed.iter().all(|fragment| fragments.contains(fragment)) {
        fragments.extend(needed);
    }
}

/// The fragments of a kernel for another profile: those that are its own profile's alone give way to the other's, and what is of neither (what the
/// board needs, what a person added) stays where it is. A profile that is not among the [`KNOWN`] ones has none of its own to give way.
pub fn instead_of(own: &str, other: &str, fragments: &[PathBuf]) -> Vec<PathBuf> {
    let of = |name: &str| -> Vec<PathBuf> {
        let known = KNOWN.iter().find(|known| known.name == name);
        Profile::of(Path::new(""), name, known.map_or(&[], |known| known.fragments)).fragments
    };
    let (own, other) = (of(own), of(other));
    let gives_way = |path: &PathBuf| own.contains(path) && !other.contains(path);
    let new: Vec<PathBuf> = other
        .iter()
        .filter(|path| !fragments.contains(path))
        .cloned()
        .collect();
    let at = fragments.iter().position(gives_way).unwrap_or(fragments.len());
    let (before, behind) = fragments.split_at_checked(at).unwrap_or((fragments, &[]));
    let mut changed = before.to_vec();
    changed.extend(new);
    changed.extend(behind.iter().filter(|path| !gives_way(path)).cloned());
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn error(result: Result<impl Sized>) -> String {
        format!("{:#}", result.err().unwrap())
    }

    fn project() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .to_path_buf()
    }

    #[test]
    fn every_profile_has_its_own_release_and_label() {
        let mut releases = Vec::new();
        let mut labels = Vec::new();
        for known in KNOWN {
            let profile = Profile::named(&project(), known.name, Below::Nothing).unwrap();
            let merged = profile.merged().unwrap();
            let asked = |symbol: &str| {
                merged
                    .requests
                    .iter()
                    .find(|request| request.symbol == symbol)
                    .map(|request| request.value.clone())
            };
            releases.push(
                asked("LOCALVERSION")
                    .expect("a profile has a LOCALVERSION")
                    .to_string(),
            );
            assert_eq!(
                asked("LOCALVERSION_AUTO"),
                Some(kconfig::Value::No),
                "{}",
                known.name
            );
            labels.push(profile.label("arch_devices"));
            let wanted: &[&str] = if known.name == "kasan" {
                &["kasan_multi_shot"]
            } else {
                &[]
            };
            assert_eq!(profile.append(), wanted, "{}", known.name);
            let replaced: Vec<&str> = merged
                .overrides
                .iter()
                .map(|change| change.earlier.symbol.as_str())
                .collect();
            // Vanilla is the debug kernel under another release.
            let wanted: &[&str] = match known.name {
                "vanilla" => &["LOCALVERSION"],
                _ => &[],
            };
            assert_eq!(replaced, wanted, "{}", known.name);
        }
        assert_eq!(
            labels,
            [
                "arch_devices",
                "arch_devices_lockdep",
                "arch_devices_kasan",
                "arch_devices_kcsan"
            ]
        );
        releases.sort();
        releases.dedup();
        assert_eq!(releases.len(), KNOWN.len());
    }

    fn asked(profile: &Profile) -> std::collections::BTreeMap<String, String> {
        let requests = profile.merged().unwrap().requests;
        requests
            .into_iter()
            .map(|request| (request.symbol, request.value.to_string()))
            .collect()
    }

    /// Invariant 4: the means of the lease, and the end of a panic that comes before the command
    /// line is read.
    #[test]
    fn every_debug_profile_asks_for_what_ends_its_boot() {
        for below in [Below::Nothing, Below::Config] {
            for known in KNOWN.iter().filter(|known| known.name != "vanilla") {
                let asked = asked(&Profile::named(&project(), known.name, below).unwrap());
                for (symbol, value) in [
                    ("PANIC_TIMEOUT", "10"),
                    ("MAGIC_SYSRQ", "y"),
                    ("MAGIC_SYSRQ_DEFAULT_ENABLE", "0x1"),
                    ("MAGIC_SYSRQ_SERIAL", "y"),
                    ("WATCHDOG", "y"),
                    ("PROC_FS", "y"),
                    ("TMPFS", "y"),
                ] {
                    assert_eq!(
                        asked.get(symbol).map(String::as_str),
                        Some(value),
                        "{} on {below:?}: {symbol}",
                        known.name
                    );
                }
            }
        }
    }

    /// The virtual board's kernels stay as they are: its own fragment asks for the same.
    #[test]
    fn the_virtual_board_asks_for_nothing_new_by_it() {
        for known in KNOWN.iter().filter(|known| known.name != "vanilla") {
            let with = Profile::named(&project(), known.name, Below::Nothing).unwrap();
            let mut without = with.clone();
            without
                .fragments
                .retain(|path| !path.ends_with("test-boot.config"));
            assert_eq!(without.fragments.len() + 1, with.fragments.len());
            let text = |profile: &Profile| profile.merged().unwrap().to_config();
            assert_eq!(text(&with), text(&without), "{}", known.name);
        }
    }

    #[test]
    fn a_list_of_ones_own_gets_what_ends_its_boot_once() {
        let mut mine = vec![PathBuf::from("mine.config")];
        for _ in 0..2 {
            ends_by_itself(&mut mine);
            assert_eq!(
                mine,
                [
                    Path::new("mine.config"),
                    Path::new("kconfig-fragments/test-boot.config")
                ]
            );
        }
    }

    #[test]
    fn another_profile_s_fragments_take_the_place_of_the_own_ones() {
        let path = |name: &&str| PathBuf::from(format!("kconfig-fragments/{name}.config"));
        let paths = |names: &[&str]| names.iter().map(path).collect::<Vec<_>>();
        let own = paths(&[
            "virtual-board",
            "lockdep",
            "function-trace",
            "lockups",
            "debug-info",
            "test-boot",
            "ramoops",
        ]);
        assert_eq!(
            instead_of("lockdep", "kasan", &own),
            paths(&[
                "virtual-board",
                "kasan",
                "function-trace",
                "lockups",
                "debug-info",
                "test-boot",
                "ramoops"
            ])
        );
        assert_eq!(
            instead_of("mine", "kcsan", &paths(&["mine"])),
            paths(&[
                "mine",
                "kcsan",
                "function-trace",
                "lockups",
                "debug-info",
                "test-boot"
            ])
        );
    }

    #[test]
    fn an_unknown_profile_is_answered_with_those_that_there_are() {
        let said = error(Profile::named(Path::new("/p"), "kassan", Below::Nothing));
        assert!(
            said.contains(
                "no profile `kassan` (did you mean kasan?); there are vanilla, lockdep, kasan, kcsan"
            ),
            "{said}"
        );
        let profile = Profile::named(Path::new("/p"), "kasan", Below::Config).unwrap();
        assert_eq!(
            profile.fragments,
            [
                Path::new("/p/kconfig-fragments/kasan.config"),
                Path::new("/p/kconfig-fragments/function-trace.config"),
                Path::new("/p/kconfig-fragments/lockups.config"),
                Path::new("/p/kconfig-fragments/debug-info.config"),
                Path::new("/p/kconfig-fragments/test-boot.config")
            ]
        );
    }

    #[test]
    fn a_bad_fragment_or_a_contradiction_stops_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(folder.path().join("kconfig-fragments")).unwrap();
            fs::write(folder.path().join("kconfig-fragments").join(name), text).unwrap();
        };
        let merged = |fragments: &[&str]| error(Profile::of(folder.path(), "p", fragments).merged());
        write("a.config", "CONFIG_A=yes\n");
        assert!(merged(&["a"]).contains("a.config:1:10: found `yes`"));
        write("a.config", "CONFIG_KASAN=y\n");
        write("b.config", "CONFIG_KCSAN=y\n");
        assert!(merged(&["a", "b"]).contains("Build a kernel for each"));
        let said = merged(&["c"]);
        assert!(
            said.contains("reading the fragment") && said.contains("c.config"),
            "{said}"
        );
    }
}
