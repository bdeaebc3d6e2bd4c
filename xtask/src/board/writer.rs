//! The one place that writes to a board: everything passes [`Writer::act`], which refuses what is protected (invariant 1), and every file
//! is written beside its target, flushed, hashed on the board, renamed and flushed again (invariant 5).

mod label;
mod names;
mod pack;
mod scripts;
mod sent;

use super::inventory::{BoardPath, Content, Inventory};
use super::protected::{self, Protected};
use super::{Board, script};
use crate::host::files::sha256;
use crate::host::process::{Finished, Input};
use anyhow::{Context, Result, bail, ensure};
use names::{check_name, check_restored_name};
use scripts::{How, Rule};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use label::Order;
pub use pack::Packing;
pub(super) use scripts::PACKING;
pub use sent::Sent;

/// First letters of a folder on the board that is not finished: nothing but the one who writes it uses it.
pub(super) const UNFINISHED: &str = ".new-";

/// Writes to one board. [`Writer::new`] refuses all that is protected; only `rollback` gets one that restores.
pub struct Writer<'a> {
    board: &'a dyn Board,
    protected: &'a Protected,
    /// Protected paths that may be written, with exactly these contents: those of a verified backup.
    restoring: Option<&'a Inventory>,
    /// What the board can unpack, once it was asked.
    packing: Cell<Option<Packing>>,
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
            packing: Cell::new(None),
        }
    }

    /// The writer of `rollback`: protected paths may be written with what `backup` (verified by the caller) holds for them.
    pub(super) fn restoring(board: &'a dyn Board, protected: &'a Protected, backup: &'a Inventory) -> Self {
        Writer {
            board,
            protected,
            restoring: Some(backup),
            packing: Cell::new(None),
        }
    }

    /// The same, where it is known already what the board can unpack.
    pub(super) fn packing_as(self, packing: Packing) -> Self {
        self.packing.set(Some(packing));
        self
    }

    /// Writes files below `base` in one connection. When it dies half-way each target is the old file or the new one, and
    /// `base/.lockstep-<random>` may be left over: the next write removes it, except on FAT (see [`Sent::remarks`]).
    pub fn put(&self, base: &Path, puts: &[Put]) -> Result<Sent> {
        let excuses: Result<Vec<Excuse>> = puts
            .iter()
            .map(|put| self.excuse(&base.join(&put.target), put))
            .collect();
        self.put_excused(base, puts, &excuses?, "")
    }

    /// Removes files and folders of ours with all that is in them; what is not there is no error. When it dies half-way some
    /// of them are gone.
    pub fn remove(&self, paths: &[PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let targets: Vec<(PathBuf, Excuse)> = paths.iter().map(|path| (path.clone(), Excuse::None)).collect();
        self.remove_as("removing files", Rule::Nothing, &targets)
    }

    /// Removes files from vanilla's own folders that the verified backup does not have. Only `rollback` can.
    pub(super) fn remove_strangers(&self, paths: &[PathBuf]) -> Result<()> {
        let backup = self
            .restoring
            .context("only a rollback removes files from protected folders")?;
        for path in paths {
            let path = BoardPath::new(path)?;
            ensure!(
                !backup.keys().any(|kept| kept.starts_with(&path)),
                "{path} is in the backup, or something in it is: it is not removed"
            );
            // Elsewhere the backup does not know what was there.
            let mut above = path.ancestors().skip(1).filter_map(|above| backup.get(above));
            ensure!(
                above.any(|entry| entry.content == Content::Folder),
                "{path} lies in no folder of the backup: it is not removed"
            );
        }
        let targets: Vec<(PathBuf, Excuse)> = paths
            .iter()
            .map(|path| (path.clone(), Excuse::Restored))
            .collect();
        if targets.is_empty() {
            return Ok(());
        }
        self.remove_as(
            "removing files that vanilla did not have",
            Rule::ThesePaths,
            &targets,
        )
    }

    /// Makes folders and links of the verified backup again, with their modes, owners and (links) targets. Only `rollback` can. When it dies half-way
    /// some of them are as they were.
    pub(super) fn reshape(&self, paths: &[PathBuf]) -> Result<()> {
        let backup = self
            .restoring
            .context("only a rollback makes protected folders again")?;
        if paths.is_empty() {
            return Ok(());
        }
        let mut making = String::new();
        for path in paths {
            let entry = backup
                .get(path)
                .with_context(|| format!("{} is not in the backup", path.display()))?;
            making.push_str(&scripts::reshape(&script::word(path)?, entry));
        }
        let targets: Vec<(PathBuf, Excuse)> = paths
            .iter()
            .map(|path| (path.clone(), Excuse::Restored))
            .collect();
        let words: Result<Vec<String>> = paths
            .iter()
            .map(|path| script::word(path.parent().unwrap_or(path)))
            .collect();
        let words = words?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let guard = scripts::guard_words(&words);
        self.act(
            "making folders and links again",
            Rule::ThesePaths,
            &targets,
            &(guard + &making),
            Input::NOTHING,
        )?;
        Ok(())
    }

    /// Whether [`Writer::put`] would restore these, as far as their names can tell: asked before anything is written.
    pub(super) fn check_restored(&self, base: &Path, puts: &[Put]) -> Result<()> {
        for put in puts {
            let target = base.join(&put.target);
            ensure!(
                self.excuse(&target, put)? == Excuse::Restored,
                "{} is not in the backup",
                target.display()
            );
            check_restored_name(&put.target)?;
        }
        Ok(())
    }

    fn remove_as(&self, doing: &str, rule: Rule, targets: &[(PathBuf, Excuse)]) -> Result<()> {
        let paths: Vec<PathBuf> = targets.iter().map(|(path, _)| path.clone()).collect();
        let removing = format!("files={}\n{}", paths.len(), scripts::REMOVE);
        self.act(doing, rule, targets, &removing, Input::Bytes(&nul_list(&paths)?))?;
        Ok(())
    }

    /// Gives a file another name in its folder; nothing that is there is overwritten. When it dies half-way it has the one name or the other.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        ensure!(
            from.parent() == to.parent(),
            "{} would leave its folder",
            from.display()
        );
        let (old, new) = (script::word(from)?, script::word(to)?);
        let targets = [
            (from.to_path_buf(), Excuse::None),
            (to.to_path_buf(), Excuse::None),
        ];
        let renaming = scripts::rename(&old, &new);
        self.act(
            "renaming a file",
            Rule::Nothing,
            &targets,
            &renaming,
            Input::NOTHING,
        )?;
        Ok(())
    }

    /// Runs `depmod` for a release of ours (no distribution hook). When it dies half-way the index files of that release are
    /// old or new, each whole.
    pub fn depmod(&self, modules: &Path, release: &str) -> Result<()> {
        let command = scripts::depmod(release, &script::word(modules)?);
        let target = [(modules.to_path_buf(), Excuse::None)];
        self.act("running depmod", Rule::Nothing, &target, &command, Input::NOTHING)?;
        Ok(())
    }

    /// [`Writer::put`] of modules below `base`, if there are any, and then [`Writer::depmod`], in one connection.
    pub fn put_modules(&self, base: &Path, puts: &[Put], modules: &Path, release: &str) -> Result<Sent> {
        if puts.is_empty() {
            return self.depmod(modules, release).map(|()| Sent::default());
        }
        self.refuse(&[(modules.to_path_buf(), Excuse::None)])?;
        let depmod = scripts::depmod(release, &script::word(modules)?);
        let excuses = vec![Excuse::None; puts.len()];
        self.put_excused(base, puts, &excuses, &format!("(\n{depmod})\n"))
    }

    /// Runs a script that writes only below `folder`, with tools of the board and with `input`. When it dies half-way that folder holds
    /// anything, and the next call has to begin by removing it.
    pub(super) fn produce(&self, doing: &str, folder: &Path, script: &str, input: &[u8]) -> Result<Finished> {
        let guard = scripts::guard_words(&[&script::word(folder)?]);
        let targets = [(folder.to_path_buf(), Excuse::None)];
        self.act(
            doing,
            Rule::Nothing,
            &targets,
            &(guard + script),
            Input::Bytes(input),
        )
    }

    /// Copies files of the board into the new folder `into/files`, attributes kept, and gives the folder that holds them for now;
    /// [`Writer::keep_snapshot`] gives it its name. When it dies half-way that folder is left over and the next call replaces it.
    pub fn take_snapshot(&self, paths: &[PathBuf], into: &Path) -> Result<PathBuf> {
        let (parent, name) = split(into)?;
        let stage = parent.join(format!("{UNFINISHED}{}", name.display()));
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
            Rule::Nothing,
            &targets,
            &copying,
            Input::Bytes(&nul_list(&relative?)?),
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
        self.act(
            "keeping the backup",
            Rule::Nothing,
            &targets,
            &keeping,
            Input::Bytes(manifest),
        )?;
        Ok(())
    }

    /// Writes files; the script `then` goes on behind them.
    fn put_excused(&self, base: &Path, puts: &[Put], excuses: &[Excuse], then: &str) -> Result<Sent> {
        if puts.is_empty() {
            return Ok(Sent::default());
        }
        let started = Instant::now();
        for (put, excuse) in puts.iter().zip(excuses) {
            match excuse {
                Excuse::Restored => check_restored_name(&put.target)?,
                Excuse::None | Excuse::OwnLabel => check_name(&put.target)?,
            }
        }
        let targets: Vec<(PathBuf, Excuse)> = puts
            .iter()
            .zip(excuses)
            .map(|(put, excuse)| (base.join(&put.target), *excuse))
            .collect();
        let rule = match excuses {
            _ if excuses.contains(&Excuse::OwnLabel) => {
                Rule::NothingButThis(on_one_line(&self.protected.extlinux)?)
            }
            [Excuse::None, ..] => Rule::NothingThroughLinks,
            _ => Rule::ThesePaths,
        };
        ensure!(
            !excuses.contains(&Excuse::Restored) || excuses.iter().all(|excuse| *excuse == Excuse::Restored),
            "what is restored and what is not are never written together"
        );
        // By their letters first, so that a refusal costs nothing; what they are on the board is the script's to see.
        self.refuse(&targets)?;
        let packing = self.packing()?;
        let (packed, wire_bytes) = pack::pack(puts, packing)?;
        let own_label = excuses.iter().position(|excuse| *excuse == Excuse::OwnLabel);
        let own_label = own_label.and_then(|at| Some((&targets.get(at)?.0, puts.get(at)?)));
        let how = How {
            packing,
            keeps: puts.iter().any(|put| put.keep.is_some()),
            in_order: own_label.is_some(),
        };
        let base = script::word(base)?;
        let mut writing = scripts::put(&base, &script::random_hex::<6>()?, how, puts.len());
        if let Some((target, _)) = own_label {
            // A file that everything depends on is read once more where it is now.
            writing.push_str(&scripts::read_back(&script::word(target)?));
        }
        writing.push_str(then);
        let finished = self.act("writing files", rule, &targets, &writing, Input::File(&packed))?;
        let said = finished.text();
        if let Some((_, put)) = own_label {
            let back = said.lines().find_map(|line| line.strip_prefix("back="));
            ensure!(
                back == Some(&put.sha256),
                "extlinux.conf does not read back as it was written"
            );
        }
        let remarks = said
            .lines()
            .filter_map(|line| line.strip_prefix("remark="))
            .map(String::from)
            .collect();
        Ok(Sent {
            files: puts.len(),
            bytes: puts.iter().map(|put| put.size).fold(0, u64::saturating_add),
            wire_bytes,
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

    /// The only way to a script that writes. It refuses protected paths by their letters here, and by what they are on the board in the
    /// script itself.
    fn act(
        &self,
        doing: &str,
        rule: Rule,
        targets: &[(PathBuf, Excuse)],
        writing: &str,
        input: Input,
    ) -> Result<Finished> {
        self.board.may_change()?;
        self.refuse(targets)?;
        let guarded = scripts::guarded(&self.protected_lines()?, &rule);
        script::ask_with_input(self.board, doing, &(guarded + writing), input, WRITE)
    }

    /// What the script on the board compares with: see `scripts::guarded`.
    fn protected_lines(&self) -> Result<String> {
        let mut lines = vec![format!("M{}", on_one_line(&self.protected.boot_mount)?)];
        for path in self.protected.roots().iter().chain([&self.protected.extlinux]) {
            lines.push(format!("P{}", on_one_line(path)?));
        }
        Ok(lines.join("\n"))
    }

    /// Asked once for each writer.
    fn packing(&self) -> Result<Packing> {
        if let Some(known) = self.packing.get() {
            return Ok(known);
        }
        let answer = script::ask(self.board, "looking for zstd", PACKING, script::LOOK)?;
        let packing = Packing::read(&answer.text());
        self.packing.set(Some(packing));
        Ok(packing)
    }

    /// Invariant 1, by the letters of the paths alone.
    fn refuse(&self, targets: &[(PathBuf, Excuse)]) -> Result<()> {
        for (named, excuse) in targets {
            let Some(reason) = self.protected.refuses(named) else {
                continue;
            };
            let clean = protected::normalise(named).context("a path is not absolute")?;
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

/// A path as a line: newlines become \001, as the script on the board has them.
fn on_one_line(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(text.replace('\n', "\u{1}"))
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

fn nul_list(paths: &[PathBuf]) -> Result<Vec<u8>> {
    let mut list = Vec::new();
    for path in paths {
        list.extend(path.to_str().context("a path is not UTF-8")?.bytes());
        list.push(0);
    }
    Ok(list)
}
