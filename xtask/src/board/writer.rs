//! The one place that writes to a board: everything passes [`Writer::act`], which refuses what is protected (invariant 1), and every file
//! is written beside its target, flushed, hashed on the board, renamed and flushed again (invariant 5).

mod pack;
mod scripts;

use super::extlinux::{self, Config};
use super::inventory::Inventory;
use super::protected::{self, Protected};
use super::{Board, script};
use crate::host::files::sha256;
use crate::host::process::Finished;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

pub use pack::Packing;

/// Writes to one board. [`Writer::new`] refuses all that is protected; only `rollback` gets one that restores.
pub struct Writer<'a> {
    board: &'a dyn Board,
    protected: &'a Protected,
    /// Protected paths that may be written, with exactly these contents: those of a verified backup.
    restoring: Option<&'a Inventory>,
}

/// One file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Where, below the base of the call.
    pub target: PathBuf,
    /// Where the bytes are.
    pub source: Source,
    /// SHA-256 that they have to have, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner and time, where they are to be kept; root and now otherwise.
    pub keep: Option<Keep>,
}

/// Owner and time of a file that is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Owner and group.
    pub owner: (u32, u32),
    /// Last change, seconds since 1970.
    pub modified: i64,
}

/// Where the bytes of a [`Put`] are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file of the host.
    HostFile(PathBuf),
    /// In a file of the board.
    BoardFile(PathBuf),
}

/// What a write sent.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sent {
    /// Files that were written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that crossed the line, compressed.
    pub wire_bytes: u64,
    /// Seconds that it took, check included.
    pub seconds: f64,
    /// What a person should know: leftovers of an interrupted write on FAT, a mount that could not be made synchronous.
    pub remarks: Vec<String>,
}

impl Sent {
    /// Adds what another write sent.
    pub fn add(&mut self, other: Sent) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.wire_bytes += other.wire_bytes;
        self.seconds += other.seconds;
        self.remarks.extend(other.remarks);
    }
}

/// Why a target may be written although it is protected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excuse {
    /// It must not be protected.
    None,
    /// It is extlinux.conf, and only our own label differs.
    OwnLabel,
    /// It gets the content that the verified backup has.
    Restored,
}

impl<'a> Writer<'a> {
    /// A writer that refuses everything that is protected.
    pub fn new(board: &'a dyn Board, protected: &'a Protected) -> Self {
        Writer {
            board,
            protected,
            restoring: None,
        }
    }

    /// The writer of `rollback`: protected paths may be written with what `backup` (verified by the caller) holds for them.
    pub(super) fn restoring(board: &'a dyn Board, protected: &'a Protected, backup: &'a Inventory) -> Self {
        Writer {
            board,
            protected,
            restoring: Some(backup),
        }
    }

    /// Writes files below `base` in one connection. When it dies half-way each target is the old file or the new one, and
    /// `base/.lockstep-<random>` may be left over: the next write removes it, except on FAT (see [`Sent::remarks`]).
    pub fn put(&self, base: &Path, puts: &[Put]) -> Result<Sent> {
        let excuses: Result<Vec<Excuse>> = puts
            .iter()
            .map(|put| self.excuse(&base.join(&put.target), put))
            .collect();
        self.put_excused(base, puts, &excuses?)
    }

    /// Writes extlinux.conf. Errors: something else than our own label would change (invariant 7).
    pub fn put_extlinux(&self, bytes: &[u8]) -> Result<Sent> {
        let foreign = extlinux::foreign(&Config::parse(bytes), &self.protected.test_label)?;
        let restored = self
            .restoring
            .and_then(|backup| backup.get(&self.protected.extlinux)?.sha256());
        ensure!(
            foreign == self.protected.foreign()? || restored == Some(&sha256(bytes)),
            "the new extlinux.conf would change more than our own label `{}`: it is not written",
            self.protected.test_label
        );
        let (base, name) = split(&self.protected.extlinux)?;
        let put = Put {
            target: name,
            sha256: sha256(bytes),
            size: bytes.len() as u64,
            source: Source::Bytes(bytes.to_vec()),
            mode: 0o644,
            keep: None,
        };
        let sent = self.put_excused(&base, &[put], &[Excuse::OwnLabel])?;
        let now = script::read(self.board, &self.protected.extlinux)?;
        ensure!(
            now.as_deref() == Some(bytes),
            "extlinux.conf does not read back as it was written"
        );
        Ok(sent)
    }

    /// Removes files and folders of ours with all that is in them; what is not there is no error. When it dies half-way some
    /// of them are gone.
    pub fn remove(&self, paths: &[PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let targets: Vec<(PathBuf, Excuse)> = paths.iter().map(|path| (path.clone(), Excuse::None)).collect();
        self.act("removing files", &targets, scripts::REMOVE, &nul_list(paths)?)?;
        Ok(())
    }

    /// Removes files from vanilla's own folders that the verified backup does not have. Only `rollback` can.
    pub(super) fn remove_strangers(&self, paths: &[PathBuf]) -> Result<()> {
        let backup = self
            .restoring
            .context("only a rollback removes files from protected folders")?;
        if let Some(kept) = paths.iter().find(|path| backup.contains_key(*path)) {
            bail!("{} is in the backup: it is not removed", kept.display());
        }
        let targets: Vec<(PathBuf, Excuse)> = paths
            .iter()
            .map(|path| (path.clone(), Excuse::Restored))
            .collect();
        if !targets.is_empty() {
            self.act(
                "removing files that vanilla did not have",
                &targets,
                scripts::REMOVE,
                &nul_list(paths)?,
            )?;
        }
        Ok(())
    }

    /// Runs `depmod` for a release of ours (no distribution hook). When it dies half-way the index files of that release are
    /// old or new, each whole.
    pub fn depmod(&self, modules: &Path, release: &str) -> Result<()> {
        let command = scripts::depmod(release, &script::word(modules)?);
        self.act(
            "running depmod",
            &[(modules.to_path_buf(), Excuse::None)],
            &command,
            &[],
        )?;
        Ok(())
    }

    /// Copies files of the board into the new folder `into/files`, attributes kept, and gives the folder that holds them for now;
    /// [`Writer::keep_snapshot`] gives it its name. When it dies half-way that folder is left over and the next call replaces it.
    pub fn take_snapshot(&self, paths: &[PathBuf], into: &Path) -> Result<PathBuf> {
        let (parent, name) = split(into)?;
        let stage = parent.join(format!(".new-{}", name.display()));
        let relative: Result<Vec<PathBuf>> = paths
            .iter()
            .map(|path| {
                Ok(path
                    .strip_prefix("/")
                    .context("a path is not absolute")?
                    .to_path_buf())
            })
            .collect();
        let targets = [(into.to_path_buf(), Excuse::None), (stage.clone(), Excuse::None)];
        let copying = scripts::snapshot(&script::word(&stage)?, &script::word(into)?);
        self.act(
            "copying files into the backup folder",
            &targets,
            &copying,
            &nul_list(&relative?)?,
        )?;
        Ok(stage)
    }

    /// Writes `manifest` beside the copies and gives the folder its name. Errors: the name is taken (a backup is never overwritten).
    pub fn keep_snapshot(&self, stage: &Path, into: &Path, manifest: &[u8]) -> Result<()> {
        let targets = [
            (into.to_path_buf(), Excuse::None),
            (stage.to_path_buf(), Excuse::None),
        ];
        let keeping = scripts::keep_snapshot(&script::word(stage)?, &script::word(into)?, &sha256(manifest));
        self.act("keeping the backup", &targets, &keeping, manifest)?;
        Ok(())
    }

    fn put_excused(&self, base: &Path, puts: &[Put], excuses: &[Excuse]) -> Result<Sent> {
        if puts.is_empty() {
            return Ok(Sent::default());
        }
        let started = Instant::now();
        for put in puts {
            check_name(&put.target)?;
        }
        let targets: Vec<(PathBuf, Excuse)> = puts
            .iter()
            .zip(excuses)
            .map(|(put, excuse)| (base.join(&put.target), *excuse))
            .collect();
        // Asked before anything is packed, so that a refusal costs nothing.
        let seen = self.permit(&targets)?;
        let packed = pack::pack(puts, seen)?;
        let writing = scripts::put(
            &script::word(base)?,
            &random_name()?,
            seen,
            puts.iter().any(|put| put.keep.is_some()),
        );
        let finished = self.run("writing files", &writing, &packed)?;
        let remarks = finished
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("remark="))
            .map(String::from)
            .collect();
        Ok(Sent {
            files: puts.len(),
            bytes: puts.iter().map(|put| put.size).sum(),
            wire_bytes: packed.len() as u64,
            seconds: started.elapsed().as_secs_f64(),
            remarks,
        })
    }

    fn excuse(&self, target: &Path, put: &Put) -> Result<Excuse> {
        let Some(known) = self.restoring.and_then(|backup| backup.get(target)) else {
            return Ok(Excuse::None);
        };
        ensure!(
            known.sha256() == Some(&put.sha256),
            "{} may only be restored to what the backup has",
            target.display()
        );
        Ok(Excuse::Restored)
    }

    /// The only way to a script that writes.
    fn act(
        &self,
        doing: &str,
        targets: &[(PathBuf, Excuse)],
        writing: &str,
        input: &[u8],
    ) -> Result<Finished> {
        self.permit(targets)?;
        self.run(doing, writing, input)
    }

    fn run(&self, doing: &str, writing: &str, input: &[u8]) -> Result<Finished> {
        script::ask_with_input(self.board, doing, writing, input, WRITE)
    }

    /// Invariant 1: refuses protected paths, by their letters and by what they are on the board with symlinks resolved, parent
    /// folders included.
    fn permit(&self, targets: &[(PathBuf, Excuse)]) -> Result<Packing> {
        let named: Vec<PathBuf> = targets.iter().map(|(path, _)| path.clone()).collect();
        self.refuse(&named, targets)?;
        let listed = script::words(named.iter().map(PathBuf::as_path))?;
        let looking = scripts::resolve(&listed);
        let answer = script::ask(
            self.board,
            "resolving what is to be written",
            &looking,
            script::LOOK,
        )?;
        let text = String::from_utf8(answer.stdout).context("a path on the board is not UTF-8")?;
        let mut real: Vec<PathBuf> = text.split_terminator('\0').map(PathBuf::from).collect();
        let zstd = real.pop().is_some_and(|last| last == Path::new("zstd"));
        ensure!(
            real.len() == 2 * named.len(),
            "the board did not resolve every path that is to be written"
        );
        let parents = real.split_off(named.len());
        self.refuse(&real, targets)?;
        let joined: Vec<PathBuf> = parents
            .iter()
            .zip(&named)
            .map(|(parent, path)| {
                path.file_name()
                    .map_or_else(|| parent.clone(), |name| parent.join(name))
            })
            .collect();
        self.refuse(&joined, targets)?;
        Ok(if zstd { Packing::Zstd } else { Packing::Plain })
    }

    fn refuse(&self, paths: &[PathBuf], targets: &[(PathBuf, Excuse)]) -> Result<()> {
        for (path, (named, excuse)) in paths.iter().zip(targets) {
            let Some(reason) = self.protected.refuses(path) else {
                continue;
            };
            let clean = protected::normalise(path).context("a path is not absolute")?;
            let excused = match excuse {
                Excuse::None => false,
                Excuse::OwnLabel => clean == self.protected.extlinux,
                Excuse::Restored => self.restoring.is_some() && clean == *named,
            };
            if !excused {
                bail!(
                    "refused to write {} on board `{}`: {reason}",
                    named.display(),
                    self.protected.board
                );
            }
        }
        Ok(())
    }
}

/// Limit of one write: a kernel and its modules over a slow line.
const WRITE: Duration = Duration::from_secs(1800);

/// Folder and name of a path.
fn split(path: &Path) -> Result<(PathBuf, PathBuf)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent.to_path_buf(), name.into())),
        _ => bail!("{} has no folder and name", path.display()),
    }
}

/// Names that no script, list or file system can misread; and none of them leads out of its folder.
fn check_name(target: &Path) -> Result<()> {
    let plain = |name: &str| {
        !name.starts_with('-')
            && !name.starts_with(".lockstep")
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.+,=@:~".contains(c))
    };
    let good = target.components().all(|component| match component {
        Component::Normal(name) => name.to_str().is_some_and(plain),
        _ => false,
    });
    ensure!(
        good && target.file_name().is_some(),
        "`{}` is no name that is written to a board: letters, digits and `-_.+,=@:~` below its folder only",
        target.to_string_lossy().escape_debug()
    );
    Ok(())
}

fn nul_list(paths: &[PathBuf]) -> Result<Vec<u8>> {
    let mut list = Vec::new();
    for path in paths {
        list.extend(path.to_str().context("a path is not UTF-8")?.bytes());
        list.push(0);
    }
    Ok(list)
}

/// A name that no interrupted write before has used.
fn random_name() -> Result<String> {
    let mut bytes = [0; 6];
    let mut source = std::fs::File::open("/dev/urandom").context("opening /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).context("reading /dev/urandom")?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "",
            "../x",
            "/x",
            "a/../b",
            "a\nb",
            "a b",
            "$(x)",
            "a;b",
            "-rf",
            ".lockstep-list",
            "a/-x",
            "ä",
        ] {
            assert!(check_name(Path::new(name)).is_err(), "{name:?}");
        }
        for name in [
            "Image-7.3.4-lockdep+",
            "7.3.4/kernel/drivers/x_y.ko.zst",
            "modules.dep",
        ] {
            assert!(check_name(Path::new(name)).is_ok(), "{name:?}");
        }
    }
}
