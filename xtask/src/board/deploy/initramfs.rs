//! The slot's initramfs, where vanilla has one: made by the board's own tool for our release alone, without the hooks by which
//! distributions write boot files, and made anew only when a module in it changed (invariant 6).
//!
//! The tools look into `/boot/config-<release>` for what the kernel can unpack. mkinitramfs (initramfs-tools 0.142) makes none at all without that
//! file, and dracut (059) then believes that the kernel unpacks whatever is asked for. So the tool runs in a mount name space of its own, where `/boot` is a
//! file system in memory with nothing in it but the configuration of the build: what it wants is there, and a hook that writes boot files has
//! none before it.

use super::super::inventory::{self, Inventory};
use super::super::ours::INITRAMFS_WORK;
use super::super::slot::{Initramfs, Place, Tool};
use super::super::writer::{Put, Sent, Source, Writer};
use super::super::{Board, quote, script};
use super::Plan;
use super::contents::file_name;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    fn making(self, release: &str, out: &str, packing: Packing) -> String {
        let release = quote(release);
        match self {
            Tool::Mkinitcpio => {
                // It asks the version of the kernel, not its configuration, and would take zstd.
                let gzip = match packing {
                    Packing::Gzip => " -z gzip",
                    Packing::ToolsChoice => "",
                };
                format!(
                    "nopost=\nif mkinitcpio --help 2>&1 | grep -q -e --nopost; then nopost=--nopost; fi\n\
                     mkinitcpio $nopost{gzip} -k {release} -g {out} >&2"
                )
            }
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

/// What the initramfs is packed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    /// What the tool takes by itself.
    ToolsChoice,
    /// The kernel cannot unpack zstd.
    Gzip,
}

/// Ways to pack one, by the first bytes of the file and the symbol with which a kernel unpacks it (`lib/decompress.c`, `compressed_formats`).
const PACKED: [(&str, &str); 7] = [
    ("1f8b", "CONFIG_RD_GZIP"),
    ("28b5", "CONFIG_RD_ZSTD"),
    ("fd37", "CONFIG_RD_XZ"),
    ("0221", "CONFIG_RD_LZ4"),
    ("425a", "CONFIG_RD_BZIP2"),
    ("5d00", "CONFIG_RD_LZMA"),
    ("894c", "CONFIG_RD_LZO"),
];

/// What the kernel of a build does with an initramfs, by its configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Kernel {
    /// The configuration; none where the build kept none.
    config: Option<String>,
}

impl Kernel {
    /// The kernel of a build with this configuration.
    pub fn of(config: Option<String>) -> Self {
        Kernel { config }
    }

    fn lacks(&self, symbol: &str) -> bool {
        let wanted = format!("{symbol}=y");
        self.config
            .as_ref()
            .is_some_and(|config| !config.lines().any(|line| line == wanted))
    }

    /// Errors: it takes none, whatever it is packed with. It would go on without a word, and look for its root by itself.
    fn takes_one(&self) -> Result<()> {
        ensure!(
            !self.lacks("CONFIG_BLK_DEV_INITRD"),
            "vanilla boots with an initramfs, and this kernel was built without CONFIG_BLK_DEV_INITRD=y: it would ignore one; switch it on with \
             CONFIG_RD_GZIP=y and build again; nothing was changed"
        );
        ensure!(
            PACKED.iter().any(|(_, symbol)| !self.lacks(symbol)),
            "vanilla boots with an initramfs, and this kernel was built without any way to unpack one: switch on CONFIG_RD_GZIP=y and build \
             again; nothing was changed"
        );
        Ok(())
    }

    fn packing(&self) -> Packing {
        match self.lacks("CONFIG_RD_ZSTD") && !self.lacks("CONFIG_RD_GZIP") {
            true => Packing::Gzip,
            false => Packing::ToolsChoice,
        }
    }

    /// Errors: it cannot unpack a file that begins with these bytes (hex). An archive that is not packed, or begins with one (for microcode), is
    /// not judged.
    fn unpacks(&self, first_bytes: &str) -> Result<()> {
        let packed = PACKED.iter().find(|(magic, _)| first_bytes.starts_with(magic));
        match packed {
            Some((_, symbol)) if self.lacks(symbol) => bail!(
                "the board's tool packed the initramfs in a way that this kernel cannot unpack ({symbol} is off): switch it on and build again, or \
                 have the tool use gzip; the label stays out"
            ),
            _ => Ok(()),
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
    /// The kernel that will unpack it.
    pub kernel: Kernel,
}

/// What is made, and for which kernel.
pub(super) struct Job<'a> {
    pub tool: Tool,
    pub kernel: &'a Kernel,
}

/// Looks what has to be done.
pub(super) fn plan(
    board: &dyn Board,
    place: &Place,
    seen: &Inventory,
    wanted: &[(PathBuf, Put)],
    kernel: Kernel,
    old: Option<&Initramfs>,
) -> Result<Todo> {
    let Some(path) = &place.initramfs else {
        return Ok(Todo::default());
    };
    kernel.takes_one()?;
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
        kernel,
    })
}

/// Makes it in a folder of its own with the board's tool, then puts it in its place like any other file. When it dies half-way the folder is left, and
/// the next call begins by removing it.
pub(super) fn make(
    board: &dyn Board,
    writer: &Writer,
    plan: &Plan,
    job: &Job,
    sent: &mut Sent,
) -> Result<Initramfs> {
    let target = plan
        .place
        .initramfs
        .as_ref()
        .context("the slot has no place for an initramfs")?;
    let folder = board.description().backup_folder.join(INITRAMFS_WORK);
    let out = folder.join(file_name(target)?);
    ensure!(
        !folder.starts_with("/boot"),
        "the board's backup folder is below /boot, where the tools that make an initramfs see nothing: name another one in the board's file"
    );
    let making = making_script(job, &plan.release, &script::word(&folder)?, &script::word(&out)?);
    let config = job.kernel.config.as_deref().unwrap_or_default();
    let answer = writer
        .produce("making the initramfs", &folder, &making, config.as_bytes())?
        .text();
    let fields = script::fields(&answer);
    let field = |name: &str| {
        fields
            .get(name)
            .copied()
            .with_context(|| format!("the board did not say the {name} of the initramfs"))
    };
    job.kernel.unpacks(field("first")?)?;
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
    let modules = contained(&answer, &plan.release, &plan.place, &seen);
    Ok(Initramfs {
        tool: job.tool,
        listed: modules.is_some(),
        modules: modules.unwrap_or_default(),
    })
}

/// Prints the programs that the board has.
const LOOK: &str = "for program in mkinitcpio dracut mkinitramfs; do if command -v $program >/dev/null; then echo $program; fi; done";

/// The body of the script that makes it at `out` and says its hash, its size, its first bytes and what is in it. What cannot be listed is said, too.
/// On standard input it gets the kernel's configuration, or nothing where there is none.
fn making_script(job: &Job, release: &str, folder: &str, out: &str) -> String {
    let (tool, making) = (job.tool, job.tool.making(release, out, job.kernel.packing()));
    // In a name space of its own (unshare(1)): nobody else sees that /boot, and it is gone with the tool.
    let apart = quote(&format!(
        "set -eu\nmount -t tmpfs -o mode=755 tmpfs /boot\ncp {folder}/config {}\n{making}",
        quote(&format!("/boot/config-{release}"))
    ));
    format!(
        "rm -rf -- {folder}\nmkdir -p -m 700 {folder}\ncat >{folder}/config\n\
         if [ -s {folder}/config ] && [ -d /boot ]; then\nunshare -m sh -c {apart}\nelse\n{making}\nfi\n\
         [ -s {out} ]\nsync -f {out}\n\
         printf 'sha256=%s\\n' \"$(sha256sum {out} | cut -d' ' -f1)\"\nprintf 'size=%s\\n' \"$(stat -c %s {out})\"\n\
         printf 'first=%s\\n' \"$(od -An -v -tx1 -N2 {out} | tr -d ' \\n')\"\n\
         if listing=$({}); then printf '%s\\n' \"$listing\" | sed 's/^/in=/'; else echo unlisted=yes; fi\n",
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
    if !old.listed {
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
            let kernel = Kernel::default();
            let job = Job {
                tool,
                kernel: &kernel,
            };
            let text = making_script(&job, "7.3.4-lockdep+", "/var/tmp/x", "/var/tmp/x/out");
            for word in ["update-initramfs", "kernel-install", "mkinitcpio -P"] {
                assert!(!text.contains(word), "{tool:?}: {text}");
            }
            // The only /boot that it sees is one in memory.
            let apart = text.find("unshare -m").unwrap();
            assert!(apart < text.find("mount -t tmpfs").unwrap(), "{text}");
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
            listed: true,
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
        let none_in_it = Initramfs {
            modules: BTreeMap::new(),
            ..old.clone()
        };
        assert_eq!(stale(Some(&none_in_it), true, &wanted), None);
        let unknown = Initramfs {
            listed: false,
            ..none_in_it
        };
        assert!(stale(Some(&unknown), true, &wanted).is_some());
    }

    fn kernel(config: &str) -> Kernel {
        Kernel {
            config: Some(config.into()),
        }
    }

    #[test]
    fn a_kernel_that_takes_no_initramfs_is_refused_before_anything_is_made() {
        let refused = |config: &str| kernel(config).takes_one().unwrap_err().to_string();
        assert!(refused("CONFIG_RD_GZIP=y\n").contains("without CONFIG_BLK_DEV_INITRD=y"));
        assert!(
            refused("CONFIG_BLK_DEV_INITRD=y\n# CONFIG_RD_GZIP is not set\n").contains("any way to unpack")
        );
        kernel("CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\n")
            .takes_one()
            .unwrap();
        // A build that kept no configuration is not judged.
        Kernel::default().takes_one().unwrap();
    }

    #[test]
    fn what_the_kernel_cannot_unpack_is_told_by_its_first_bytes() {
        let gzip = kernel("CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n");
        assert_eq!(gzip.packing(), Packing::Gzip);
        gzip.unpacks("1f8b").unwrap();
        // "07", the beginning of an archive (Documentation/driver-api/early-userspace/buffer-format.rst).
        gzip.unpacks("3037").unwrap();
        let error = gzip.unpacks("28b5").unwrap_err().to_string();
        assert!(error.contains("CONFIG_RD_ZSTD is off"), "{error}");
        Kernel::default().unpacks("28b5").unwrap();
        assert_eq!(Kernel::default().packing(), Packing::ToolsChoice);
        let both = kernel("CONFIG_RD_GZIP=y\nCONFIG_RD_ZSTD=y\n");
        assert_eq!(both.packing(), Packing::ToolsChoice);
        let job = Job {
            tool: Tool::Mkinitcpio,
            kernel: &gzip,
        };
        assert!(making_script(&job, "r", "/var/x", "/var/x/out").contains(" -z gzip -k r "));
    }

    #[test]
    fn names_in_a_listing_are_found_packed_or_not() {
        assert_eq!(plain_name("kernel/fs/ext4.ko.zst"), "kernel/fs/ext4.ko");
        assert_eq!(plain_name("kernel/fs/ext4.ko -> x"), "kernel/fs/ext4.ko");
    }
}
