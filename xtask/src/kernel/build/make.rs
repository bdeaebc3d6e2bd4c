//! Running make: what it will have to do, how far it is, what it warned of, why it failed.

use super::failure::{self, Cause, Failure};
use super::plan::{self, LISTER, Piece, Plan};
use super::progress::{Figure, Progress};
use super::timeline::Timeline;
use super::warnings::{Collector, Known, Warnings};
use super::work::Work;
use super::{Builder, space};
use crate::host::files::write_atomic;
use crate::host::{deadline, process};
use crate::kernel::debug_files::has_debug_info;
use crate::kernel::{Event, Report};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Longest time for a build: a debug kernel of a distribution's size on two slow cores.
const BUILD_LIMIT: Duration = Duration::from_secs(6 * 3600);
const LIST_LIMIT: Duration = Duration::from_secs(120);
/// Logs of earlier builds that are kept beside the newest.
const LOGS_KEPT: usize = 9;
/// Longest output that is searched for the cause of a failure, lines.
const LINES_SEARCHED: usize = 200_000;

/// What one call of make did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Made {
    /// Pieces of work: files compiled, linked, generated. 0: there was nothing to do.
    pub pieces: usize,
    /// Seconds that make took.
    pub seconds: f64,
    /// What it warned of.
    pub warnings: Warnings,
    /// How right the time that was said to remain was, at 25, 50 and 75 % of a build with a plan.
    pub figures: Vec<Figure>,
    /// Its whole output.
    #[serde(serialize_with = "crate::host::json::named")]
    pub log: PathBuf,
}

/// make failed. The context names command and log.
#[derive(Debug)]
pub struct Failed {
    /// The first fault.
    pub failure: Failure,
    /// The command as it can be given to a shell.
    pub command: String,
    /// The whole output.
    pub log: PathBuf,
    /// Bytes that are free where the build is, for a full disk.
    pub free: Option<u64>,
}

impl std::error::Error for Failed {}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", self.failure.summary())?;
        if let Some(free) = self.free {
            write!(
                f,
                " ({} are free there now; make room and run the same command again, it goes on where it stopped)",
                space::shown(free)
            )?;
        }
        for line in &self.failure.lines {
            write!(f, "\n    {line}")?;
        }
        write!(
            f,
            "\nthe command: {}\nits whole output: {}",
            self.command,
            self.log.display()
        )
    }
}

impl Builder {
    /// The log of the newest build; those before it are beside it, as `.1` (the one before) to `.9`.
    pub fn log(&self) -> PathBuf {
        self.out.join("lockstep-make.log")
    }

    /// The last call of make as a shell script, to run the same build by hand.
    pub fn script(&self) -> PathBuf {
        self.out.join("lockstep-make.sh")
    }

    /// When each piece of the newest whole build that really compiled was done; `lockstep-timeline.last.tsv` is of the newest of any kind.
    pub fn timeline(&self) -> PathBuf {
        self.out.join("lockstep-timeline.tsv")
    }

    /// Builds `goals` (`Image`, `modules`, `dtbs`, …). The whole output goes to [`Builder::log`]. Errors: another make is at work there; too little room on the disk, before
    /// anything is built; [`Failed`] with the first fault; stopped by Ctrl-C. Dies half-way: make is ended with it, what is compiled
    /// stays, and the same call goes on from there.
    pub fn make(&self, goals: &[&str], report: Report) -> Result<Made> {
        let doing = || format!("building {} of {}", goals.join(" "), self.source.display());
        warn_of_sudo(report);
        let alone = alone_in(&self.out).with_context(doing)?;
        let pieces = self.missing_pieces(goals);
        let objects = pieces.iter().filter(|piece| piece.work.kind == "CC").count();
        space::require(
            &self.out,
            space::needed(objects, has_debug_info(&self.out)),
            space::free(&self.out)?,
        )
        .with_context(doing)?;
        let earlier = self.earlier_timeline(&pieces);
        let plan = Plan::of(&pieces, earlier.as_ref());
        let title = format!("building {} of {}", goals.join(" "), self.profile.name);
        report(if plan.is_empty() {
            Event::Step(title)
        } else {
            Event::Work { title, total: WHOLE }
        });
        rotate(&self.log()).with_context(doing)?;
        let mut run = Run {
            started: Instant::now(),
            progress: Progress::new(plan),
            timeline: Timeline::default(),
            collector: Collector::new(&self.source, &self.patched, self.known_warnings()),
            lines: Vec::new(),
        };
        let sh = Shell::new()?;
        let jobs = self.jobs.to_string();
        let cmd = self.environment(cmd!(sh, "make -j{jobs} --output-sync=target {goals...}"));
        let command = self.for_a_shell(&cmd);
        write_atomic(&self.script(), format!("#!/bin/sh\nexec {command}\n").as_bytes())
            .with_context(doing)?;
        let ended = process::follow_aside(cmd, alone.into(), &self.log(), BUILD_LIMIT, |line| {
            run.line(line, report)
        })
        .map_err(|error| {
            // The log itself is on the same disk.
            let is_full = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::StorageFull;
            if error
                .chain()
                .filter_map(|cause| cause.downcast_ref())
                .any(is_full)
            {
                self.failed(failure::first(&["No space left on device".to_string()]))
            } else {
                error
            }
        });
        let ended = ended.with_context(doing)?;
        if !ended.status.success() {
            return Err(self.failed(failure::first(&run.lines)).context(doing()));
        }
        self.remember(run).with_context(doing)
    }

    fn failed(&self, mut failure: Failure) -> anyhow::Error {
        let free = space::free(&self.out).ok();
        // Not every program says why it could not write: the shell's own echo says "I/O error".
        if free.is_some_and(|free| free < space::NOTHING) {
            failure.cause = Cause::DiskFull;
        }
        anyhow::Error::new(Failed {
            free: free.filter(|_| failure.cause == Cause::DiskFull),
            failure,
            command: format!("sh {}", self.script().display()),
            log: self.log(),
        })
    }

    /// Keeps what the next build wants to know: times, and warnings of what was compiled.
    fn remember(&self, mut run: Run) -> Result<Made> {
        let took = run.started.elapsed();
        run.timeline.end = took.as_millis() as u64;
        let figures = run.progress.figures(run.timeline.end);
        let text = run.timeline.to_text();
        write_atomic(&self.out.join("lockstep-timeline.last.tsv"), text.as_bytes())?;
        let file = self.timeline();
        let earlier = read_timeline(&file).unwrap_or_default();
        if run.timeline.is_better_than(&earlier) {
            write_atomic(&file, text.as_bytes())?;
        }
        if !figures.is_empty() {
            write_atomic(
                &self.out.join("lockstep-estimate.json"),
                &serde_json::to_vec_pretty(&figures)?,
            )?;
        }
        let before = self.known_warnings();
        let (warnings, known) = run.collector.finish(self.patched.is_empty());
        if known != before {
            write_atomic(&self.warnings_file(), &serde_json::to_vec(&known)?)?;
        }
        Ok(Made {
            pieces: run.progress.pieces(),
            seconds: took.as_secs_f64(),
            warnings,
            figures,
            log: self.log(),
        })
    }

    fn warnings_file(&self) -> PathBuf {
        self.out.join("lockstep-warnings.json")
    }

    /// What is known of warnings; nothing where the file is not there or of another format.
    fn known_warnings(&self) -> Known {
        let bytes = fs::read(self.warnings_file()).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// What a build has to make that is not there, by the kernel's own Makefiles. Empty where a kernel was built already (make knows better
    /// then what has changed), and where the list cannot be had: a bar is not worth a failure.
    fn missing_pieces(&self, goals: &[&str]) -> Vec<Piece> {
        if self.out.join("vmlinux").exists() {
            return Vec::new();
        }
        let list = self.planned(goals).unwrap_or_default();
        let source_of = |target: &Path| {
            ["c", "S", "dts", "dtso", "rs"].iter().find_map(|ending| {
                let metadata = fs::metadata(self.source.join(target).with_extension(ending)).ok()?;
                Some((*ending, metadata.len()))
            })
        };
        list.into_iter()
            .filter(|work| !self.out.join(&work.target).exists())
            .map(|mut work| {
                let source = source_of(Path::new(&work.target));
                // The Makefiles' lists do not tell one from the other.
                if let Some(("S", _)) = source {
                    work.kind = "AS".into();
                }
                Piece {
                    bytes: source.map(|(_, bytes)| bytes),
                    work,
                }
            })
            .collect()
    }

    /// What the kernel's Makefiles list for the configuration in force: objects, and device trees with the goal `dtbs`. Errors: make cannot be
    /// started; what it has to say about a Makefile is left out, and the list is then shorter.
    pub fn planned(&self, goals: &[&str]) -> Result<Vec<Work>> {
        let sh = Shell::new()?;
        let arch = self.toolchain.arch.folder;
        let variable = |name: &str, path: &Path| format!("{name}={}", path.display());
        let dts = if goals.contains(&"dtbs") {
            format!("arch/{arch}/boot/dts")
        } else {
            String::new()
        };
        let variables = [
            variable("srctree", &self.source),
            variable("objtree", &self.out),
            format!("SRCARCH={arch}"),
            format!("ARCH={}", self.toolchain.arch.kernel),
            format!("dts={dts}"),
        ];
        // auto.conf is only there after syncconfig; `release` sees to it.
        let cmd = cmd!(sh, "make -s -f - {variables...} lockstep-list").env_remove("MAKEFLAGS");
        let said = process::finish_with_input(cmd, LISTER.as_bytes(), LIST_LIMIT)?;
        Ok(plan::parse_list(&String::from_utf8_lossy(&said.stdout)))
    }

    /// A record of a whole build that may weigh these pieces: of this folder, else of another profile of the same tree, else of any tree.
    fn earlier_timeline(&self, pieces: &[Piece]) -> Option<Timeline> {
        let own = self.timeline();
        let name = own.file_name()?;
        let folders = |of: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(of).into_iter().flatten().flatten();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            paths.sort();
            paths
        };
        let siblings = folders(self.out.parent()?);
        let others = folders(self.out.parent()?.parent()?);
        std::iter::once(self.out.clone())
            .chain(siblings)
            .chain(others.iter().flat_map(|tree| folders(tree)))
            .filter_map(|folder| read_timeline(&folder.join(name)))
            .find(|timeline| plan::is_steady(pieces, timeline))
    }
}

/// How long a make of a process that was killed is waited for: the system ends make with its starter, and make waits for what it
/// has started.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);

/// Waits until no make of ours is at work in a build folder, and keeps others out for as long as the returned file, or a program that has it as
/// its standard input, lives. make keeps it until it has ended when the process that started it is killed; two of them would spoil the folder. Errors: it
/// is at work for too long.
pub fn alone_in(out: &Path) -> Result<fs::File> {
    let path = out.join("lockstep-make.lock");
    let doing = || format!("locking {}", path.display());
    fs::create_dir_all(out).with_context(doing)?;
    let mut options = fs::File::options();
    options.create(true).truncate(false).read(true).write(true);
    let file = options.open(&path).with_context(doing)?;
    let deadline = deadline::after(ORPHAN_LIMIT);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(fs::TryLockError::WouldBlock) => bail!(
                "another make is at work in {}, maybe of a process that was killed: wait for its end",
                out.display()
            ),
            // A file system that cannot lock.
            Err(fs::TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// A whole bar.
const WHOLE: u64 = 1000;

/// What is gathered while make runs.
struct Run {
    started: Instant,
    progress: Progress,
    timeline: Timeline,
    collector: Collector,
    lines: Vec<String>,
}

impl Run {
    fn line(&mut self, line: &str, report: Report) {
        if self.lines.len() < LINES_SEARCHED {
            self.lines.push(line.to_string());
        }
        if let Some(work) = Work::parse(line) {
            let at = self.started.elapsed().as_millis() as u64;
            self.progress.piece(at, &work);
            self.collector.piece(&work);
            report(Event::Estimate {
                done: (self.progress.share() * WHOLE as f64) as u64,
                left: self.progress.remaining(at),
                pieces: self.progress.pieces(),
                piece: format!("{} {}", work.kind, work.target),
            });
            self.timeline.rows.push((at, work));
        } else if let Some(warning) = self.collector.line(line)
            && (warning.new || warning.in_patch)
        {
            report(Event::Warning(warning.line()));
        }
    }
}

/// A record that says how long compiling takes.
fn read_timeline(file: &Path) -> Option<Timeline> {
    Timeline::parse(&fs::read_to_string(file).ok()?).filter(Timeline::is_of_compiling)
}

/// Moves the logs of earlier builds one further and drops the oldest.
fn rotate(log: &Path) -> Result<()> {
    let numbered = |number: usize| match number {
        0 => log.to_path_buf(),
        number => PathBuf::from(format!("{}.{number}", log.display())),
    };
    for number in (1..=LOGS_KEPT).rev() {
        let from = numbered(number.saturating_sub(1));
        if from.exists() {
            fs::rename(&from, numbered(number)).with_context(|| format!("keeping {}", from.display()))?;
        }
    }
    Ok(())
}

/// `sudo` leaves the name of who called it (sudo(8), SUDO_UID).
fn warn_of_sudo(report: Report) {
    let by = std::env::var("SUDO_UID").unwrap_or_default();
    if rustix::process::geteuid().is_root() && !by.is_empty() && by != "0" {
        report(Event::Warning(
            "a kernel build needs no root: it runs programs of the tree, and what it makes here will belong to root; run it without sudo"
                .into(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_kept_up_to_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("make.log");
        for number in 0..12 {
            rotate(&log).unwrap();
            fs::write(&log, format!("{number}")).unwrap();
        }
        assert_eq!(fs::read_to_string(&log).unwrap(), "11");
        assert_eq!(fs::read_to_string(folder.path().join("make.log.9")).unwrap(), "2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 10);
    }
}
