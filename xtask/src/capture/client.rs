//! The recorder as the tool sees it: found again, started, asked.

use super::control::{ABOUT, About, LOG, MenuEntry, OWN_LOG, Request, Response, SOCKET, Status, Writer};
use super::index;
use super::source::Source;
use crate::front_door::PROGRAM;
use crate::host::files;
use crate::host::identity::Identity;
use crate::host::{bounded, one_line, process, socket};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// The hidden verb that becomes a recorder.
pub const VERB: &str = "serial-record";
/// Closes what this program was given beside its standard files: a recorder that kept the lock of a script around it would hold it for ever.
/// A POSIX shell names descriptors up to 9.
const BARE: &str = r#"exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$0" "$@""#;
/// Longest time that a new recorder takes to listen: a busy host with a cold disk.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Longest wait for an answer: a line that takes no bytes is given up after less.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// The recorder of one folder, whether it runs or not.
#[derive(Debug, Clone)]
pub struct Recorder {
    folder: PathBuf,
}

/// What [`Recorder::ensure`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It ran already.
    Running,
    /// It was started just now.
    Started,
}

impl Recorder {
    /// The recorder whose files are in `folder`.
    pub fn at(folder: &Path) -> Self {
        Recorder {
            folder: folder.to_path_buf(),
        }
    }

    /// Every byte of the line.
    pub fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// The log from an offset on. Errors: it cannot be read, or more than 64 MiB came.
    pub fn since(&self, from: u64) -> Result<Vec<u8>> {
        Self::read(&self.log(), from)
    }

    /// A log that grows, from an offset on. Errors: as [`Recorder::since`].
    pub fn read(log: &Path, from: u64) -> Result<Vec<u8>> {
        let mut file = bounded::open(log)?;
        let doing = || format!("reading {}", log.display());
        file.seek(SeekFrom::Start(from)).with_context(doing)?;
        bounded::take(file, &one_line::path(log), bounded::LOG)
    }

    /// Times and events beside [`Recorder::log`].
    pub fn index(&self) -> PathBuf {
        index::path_of(&self.log())
    }

    /// The process, if it runs: one that has the id of a recorder that died is not taken for it.
    pub fn running(&self) -> Option<About> {
        let bytes = std::fs::read(self.folder.join(ABOUT)).ok()?;
        let about: About = serde_json::from_slice(&bytes).ok()?;
        about.identity.is_alive().then_some(about)
    }

    /// Has it run on this source; it ends with the process `until`, where one is named. One that reads another source is stopped
    /// first. Errors: it cannot be started, with its own words. Dies half-way: it runs or not, and the next call knows.
    pub fn ensure(&self, source: &Source, until: Option<&Identity>) -> Result<Found> {
        match self.running() {
            Some(about) if about.source == *source && self.status().is_ok() => return Ok(Found::Running),
            Some(_) => self.stop()?,
            None => {}
        }
        let doing = || format!("starting the recorder of {}", source.name());
        std::fs::create_dir_all(&self.folder).with_context(doing)?;
        let sh = Shell::new()?;
        let (program, folder) = (program()?, &self.folder);
        let source_text = serde_json::to_string(source)?;
        let mut command = cmd!(
            sh,
            "sh -c {BARE} {program} {VERB} --folder {folder} --source {source_text}"
        );
        if let Some(until) = until {
            command = command.args(["--until".to_string(), serde_json::to_string(until)?]);
        }
        process::spawn_detached(command, &self.folder.join(OWN_LOG)).with_context(doing)?;
        let started = Instant::now();
        while self.running().is_none_or(|about| about.source != *source) || self.status().is_err() {
            if started.elapsed() > START_LIMIT {
                let said = std::fs::read_to_string(self.folder.join(OWN_LOG)).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing");
                bail!("{}: it does not answer; its last words: {last}", doing());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Found::Started)
    }

    /// How it is. Errors: none runs here.
    pub fn status(&self) -> Result<Status> {
        self.ask(&Request::Status)
    }

    /// Waits until the line is open. Errors: it is not within `limit`; they say why.
    pub fn wait_connected(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.status()?;
            if status.connected {
                return Ok(());
            }
            if started.elapsed() > limit {
                bail!(
                    "{}",
                    status.problem.unwrap_or_else(|| "the line is not open".into())
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Writes to the line. Errors: what it showed last forbids it (invariant 8; not for a person), or it is not open.
    pub fn write(&self, bytes: &[u8], by: Writer) -> Result<()> {
        let hex = hex::encode(bytes);
        self.ask(&Request::Write { hex, by }).map(|_| ())
    }

    /// Sends a BREAK. Errors: the same, or this kind of line cannot.
    pub fn send_break(&self) -> Result<()> {
        self.ask(&Request::Break).map(|_| ())
    }

    /// Tells it vanilla's entry of the boot menu.
    pub fn vanilla_is(&self, entry: MenuEntry) -> Result<()> {
        self.ask(&Request::Vanilla(entry)).map(|_| ())
    }

    /// Ends it. Errors: it does not end.
    pub fn stop(&self) -> Result<()> {
        let Some(about) = self.running() else {
            return Ok(());
        };
        let asked = self.ask(&Request::Stop);
        let started = Instant::now();
        while about.identity.is_alive() {
            let waited = started.elapsed();
            if asked.is_err() || waited > Duration::from_secs(5) {
                // It does not listen: the kernel's own way, to this very process.
                if let Some(pid) = rustix::process::Pid::from_raw(about.identity.pid as i32) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
                }
            }
            if waited > Duration::from_secs(10) {
                bail!("the recorder, process {}, does not end", about.identity.pid);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn ask(&self, request: &Request) -> Result<Status> {
        let doing = || format!("asking the recorder in {}", self.folder.display());
        let mut stream = socket::connect(&self.folder, SOCKET).with_context(doing)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT)).with_context(doing)?;
        let mut question = serde_json::to_vec(request)?;
        question.push(b'\n');
        stream.write_all(&question).with_context(doing)?;
        let mut answer = String::new();
        BufReader::new(stream)
            .read_line(&mut answer)
            .with_context(doing)?;
        match serde_json::from_str(&answer).with_context(doing)? {
            Response::Done(status) => Ok(status),
            Response::Refused(why) => bail!("{why}"),
        }
    }
}

/// This very program, also when its file was replaced since it was started (proc(5), `/proc/<pid>/exe`). A test of this package is
/// another program, which cargo puts into `deps`: the one that it belongs to lies one folder above.
fn program() -> Result<PathBuf> {
    let me = std::env::current_exe().context("looking for this program")?;
    let folder = me.parent().unwrap_or(&me);
    if !folder.ends_with("deps") {
        return Ok(format!("/proc/{}/exe", std::process::id()).into());
    }
    let beside = folder.parent().map(|folder| folder.join(PROGRAM));
    beside
        .filter(|path| matches!(files::is_file(path), Ok(true)))
        .with_context(|| format!("there is no {PROGRAM} above {}", me.display()))
}
