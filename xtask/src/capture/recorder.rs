//! The recorder: the process that has the line open, appends every byte to the log and the times to the index, and does to the line what
//! it is asked to over its socket. It outlives the tool, and connects again when the line was lost.
//!
//! The log is whole whenever the recorder dies: bytes go to the file as they are read, without a buffer of ours, and to the disk once
//! a second.

use super::control::{
    ABOUT, About, LOCK, LOG, MenuEntry, Request, Response, SOCKET, Status, VANILLA, Writer,
};
use super::index::{self, Stamp};
use super::line::{self, Dropped, Follower, Way};
use super::source::Source;
use crate::host::{files, identity::Identity};
use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Stamps are at least so far apart.
const GRAIN: Duration = Duration::from_millis(1);
/// How often waiting menus, the disk and the end are looked at.
const TICK: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// Longest wait for the question of somebody who has connected, and for him to take the answer.
const ASKING: Duration = Duration::from_secs(2);
/// Between two attempts to open a line.
const AGAIN: Duration = Duration::from_secs(2);
/// Longest question, bytes.
const LONGEST: u64 = 1 << 20;

/// Knows what the line shows and what may be written to it (invariant 8).
pub trait Guard: Send {
    /// Takes the next bytes; gives what they showed, for the index.
    fn feed(&mut self, bytes: &[u8]) -> Vec<String>;
    /// The line was lost: what it showed is no longer known.
    fn lost(&mut self);
    /// What it showed last, in a word.
    fn phase(&self) -> String;
    /// Whether these bytes may be written now; without bytes, whether a BREAK may be sent. Errors: why not.
    fn may_write(&self, bytes: &[u8]) -> Result<()>;
    /// Vanilla's entry of the menu.
    fn vanilla_is(&mut self, entry: MenuEntry);
    /// What has to be written to a menu that waits, when nothing came for so long.
    fn answer(&mut self, quiet: Duration) -> Option<Vec<u8>>;
}

/// What a recorder is to do.
pub struct Job {
    /// Its folder; it is made, for this user alone.
    pub folder: PathBuf,
    /// What is read.
    pub source: Source,
    /// What may be written.
    pub guard: Box<dyn Guard>,
    /// With [`Source::File`]: how that line is written.
    pub way: Option<Box<dyn Way>>,
    /// It ends when this process has ended.
    pub until: Option<Identity>,
}

/// How a recorder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Another one has the folder.
    AnotherRecords,
    /// It was asked to.
    Asked,
    /// What it followed has ended.
    Over,
}

/// Everything that both threads touch. The way out is apart: a line that takes no bytes must not hold up its reader.
struct Shared {
    guard: Box<dyn Guard>,
    log: Option<File>,
    index: File,
    offset: u64,
    /// What lies before it came while nobody looked.
    watched_from: u64,
    stamped: Option<Instant>,
    grain: Duration,
    last_byte: Instant,
    connected: bool,
    problem: Option<String>,
    dirty: bool,
    /// What the line that is open dropped, and how much of that is in the index.
    dropped: Dropped,
    told: u64,
}

type Locked = Arc<Mutex<Shared>>;
type Out = Arc<Mutex<Option<Box<dyn Way>>>>;

/// Records until it is asked to stop, or what it follows has ended. Errors: its folder cannot be used. Dies half-way: the log and the
/// index have everything up to that instant; the operating system gives the lock back.
pub fn run(job: Job) -> Result<End> {
    // In a session of its own nobody's Ctrl-C or hang-up reaches it. A process group's leader cannot do that, and has it already.
    let _ = rustix::process::setsid();
    let Job {
        folder,
        source,
        guard,
        way,
        until,
    } = job;
    let doing = || format!("recording in {}", folder.display());
    std::fs::create_dir_all(&folder).with_context(doing)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&folder, private).with_context(doing)?;
    let lock = File::create(folder.join(LOCK)).with_context(doing)?;
    if lock.try_lock().is_err() {
        return Ok(End::AnotherRecords);
    }
    // The name of a socket is short: see `host::socket`.
    std::env::set_current_dir(&folder).with_context(doing)?;
    let shared = Shared::open(&source, guard).with_context(doing)?;
    let from = shared.offset;
    let listener = listen().with_context(doing)?;
    let about = About {
        identity: Identity::of(std::process::id()).context("reading /proc/self/stat")?,
        source: source.clone(),
    };
    files::write_atomic(Path::new(ABOUT), &serde_json::to_vec_pretty(&about)?)?;
    let shared: Locked = Arc::new(Mutex::new(shared));
    let out: Out = Arc::new(Mutex::new(way));
    let over = Arc::new(AtomicBool::new(false));
    let (reading, writing, ended) = (shared.clone(), out.clone(), over.clone());
    // What is followed in a file is read to its end; a line has nothing more to say when its machine has ended.
    let alive = match &source {
        Source::File(_) => None,
        _ => until.clone(),
    };
    std::thread::spawn(move || {
        match &source {
            Source::File(path) => follow(path, from, until, &reading),
            source => read_for_ever(source, &reading, &writing),
        }
        ended.store(true, Ordering::Relaxed);
    });
    let is_over =
        || over.load(Ordering::Relaxed) || alive.as_ref().is_some_and(|process| !process.is_alive());
    let end = serve(&listener, &shared, &out, &is_over);
    held(&shared).note(match &end {
        Ok(End::Asked) => "stopped: asked to",
        Ok(_) => "stopped: what was followed has ended",
        Err(_) => "stopped: its socket failed",
    });
    let _ = std::fs::remove_file(SOCKET);
    drop(lock);
    end
}

impl Shared {
    /// The files of this folder, which is the current one, to be gone on with.
    fn open(source: &Source, mut guard: Box<dyn Guard>) -> Result<Self> {
        let append = |path: &Path| File::options().create(true).append(true).read(true).open(path);
        let (log, log_path) = match source {
            Source::File(path) => (None, path.clone()),
            _ => (Some(append(Path::new(LOG))?), PathBuf::from(LOG)),
        };
        let mut index = append(&index::path_of(&log_path))?;
        let mut known = Vec::new();
        index.read_to_end(&mut known)?;
        if known.last().is_some_and(|&byte| byte != b'\n') {
            index.write_all(b"\n")?;
        }
        let length = std::fs::metadata(&log_path)?.len();
        let offset = match source {
            Source::File(_) => index::read(&known)
                .last()
                .map_or(0, |stamp| stamp.offset)
                .min(length),
            _ => length,
        };
        if let Some(entry) = std::fs::read(VANILLA)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            guard.vanilla_is(entry);
        }
        let mut shared = Shared {
            guard,
            log,
            index,
            offset,
            watched_from: length,
            stamped: None,
            // What one datagram is, only its stamp tells.
            grain: match source.is_of_messages() {
                true => Duration::ZERO,
                false => GRAIN,
            },
            last_byte: Instant::now(),
            connected: false,
            problem: None,
            dirty: false,
            dropped: Dropped::default(),
            told: 0,
        };
        if offset < length {
            shared.note(index::UNWATCHED);
        }
        Ok(shared)
    }

    /// Takes bytes that came just now.
    fn take(&mut self, bytes: &[u8]) {
        let watched = self.offset >= self.watched_from;
        if watched && self.stamped.is_none_or(|at| at.elapsed() >= self.grain) {
            self.stamp(None);
            self.stamped = Some(Instant::now());
        }
        if let Some(log) = &mut self.log {
            // A full disk: what was read is held, and nothing more is read, until there is room.
            while let Err(error) = log.write_all(bytes) {
                self.problem = Some(format!("the log cannot be written: {error}"));
                std::thread::sleep(AGAIN);
            }
        }
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        self.last_byte = Instant::now();
        self.dirty = true;
        for event in self.guard.feed(bytes) {
            self.stamp(Some(event));
        }
    }

    /// Writes down how many datagrams of others were dropped since this was last done.
    fn note_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let new = dropped.saturating_sub(self.told);
        if new > 0 {
            self.told = dropped;
            self.note(&index::dropped(new));
        }
    }

    fn note(&mut self, event: &str) {
        self.stamp(Some(event.to_string()));
    }

    fn stamp(&mut self, event: Option<String>) {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let stamp = Stamp {
            offset: self.offset,
            nanoseconds: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            event,
        };
        // A time that cannot be written costs no byte of the log.
        if let Err(error) = self.index.write_all(stamp.line().as_bytes()) {
            self.problem = Some(format!("the index cannot be written: {error}"));
        }
    }

    fn status(&self) -> Status {
        Status {
            connected: self.connected,
            problem: self.problem.clone(),
            offset: self.offset,
            phase: self.guard.phase(),
            quiet: self.last_byte.elapsed().as_secs(),
        }
    }
}

fn held(shared: &Locked) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn way_out(out: &Out) -> MutexGuard<'_, Option<Box<dyn Way>>> {
    out.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the line, and again when it was lost.
fn read_for_ever(source: &Source, shared: &Locked, out: &Out) {
    loop {
        match line::open(source) {
            Ok(line) => {
                *way_out(out) = Some(line.way);
                let mut held_now = held(shared);
                held_now.connected = true;
                held_now.problem = None;
                held_now.dropped = line.dropped;
                held_now.told = 0;
                held_now.note(&format!("connected to {}", source.name()));
                drop(held_now);
                let why = read_line(line.reader, shared);
                *way_out(out) = None;
                let mut held_now = held(shared);
                held_now.connected = false;
                held_now.guard.lost();
                held_now.note(&format!("lost: {why}"));
                held_now.problem = Some(why);
            }
            Err(error) => {
                let why = format!("{error:#}");
                let mut held_now = held(shared);
                if held_now.problem.as_ref() != Some(&why) {
                    held_now.note(&format!("not connected: {why}"));
                    held_now.problem = Some(why);
                }
            }
        }
        std::thread::sleep(AGAIN);
    }
}

/// Reads until the end; says why it ended.
fn read_line(mut reader: impl Read, shared: &Locked) -> String {
    let mut buffer = [0; 16 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return "it was closed".into(),
            Ok(read) => held(shared).take(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.to_string(),
        }
    }
}

fn follow(path: &Path, from: u64, until: Option<Identity>, shared: &Locked) {
    match Follower::new(path, from, until) {
        Ok(reader) => {
            held(shared).connected = true;
            read_line(reader, shared);
        }
        Err(error) => held(shared).problem = Some(format!("{error:#}")),
    }
}

/// The socket in the current folder. What a recorder left that was killed is taken away: the lock says that it is dead.
fn listen() -> Result<UnixListener> {
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(UnixListener::bind(SOCKET)?)
}

/// Answers questions, and menus that wait, until the end.
fn serve(listener: &UnixListener, shared: &Locked, out: &Out, is_over: &dyn Fn() -> bool) -> Result<End> {
    loop {
        let mut waiting = [PollFd::new(listener, PollFlags::IN)];
        let somebody = match poll(&mut waiting, Some(&TICK)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => return Err(error).context("waiting at the recorder's socket"),
        };
        if is_over() {
            return Ok(End::Over);
        }
        if somebody {
            let (stream, _) = listener.accept().context("accepting at the recorder's socket")?;
            // Who goes away in the middle, or asks nonsense, is his own affair.
            if matches!(converse(stream, shared, out), Ok(Request::Stop)) {
                return Ok(End::Asked);
            }
        }
        tick(shared, out);
    }
}

fn tick(shared: &Locked, out: &Out) {
    let mut held_now = held(shared);
    held_now.note_dropped();
    let quiet = held_now.last_byte.elapsed();
    let answer = held_now.guard.answer(quiet);
    let log = match (held_now.dirty, &held_now.log) {
        (true, Some(log)) => log.try_clone().ok(),
        _ => None,
    };
    held_now.dirty = false;
    drop(held_now);
    if let Some(bytes) = answer {
        let done = write_out(out, &bytes);
        held(shared).note(&match done {
            Ok(()) => format!("answered a menu that waited: {}", bytes.escape_ascii()),
            Err(error) => format!("a menu waits and could not be answered: {error:#}"),
        });
    }
    if let Some(log) = log {
        let _ = log.sync_data();
    }
}

fn write_out(out: &Out, bytes: &[u8]) -> Result<()> {
    match way_out(out).as_mut() {
        Some(way) => way.write(bytes),
        None => bail!("the line is not open"),
    }
}

fn converse(mut stream: UnixStream, shared: &Locked, out: &Out) -> Result<Request> {
    stream.set_read_timeout(Some(ASKING))?;
    stream.set_write_timeout(Some(ASKING))?;
    let mut question = String::new();
    BufReader::new((&stream).take(LONGEST)).read_line(&mut question)?;
    let request: Request = serde_json::from_str(&question)?;
    let response = match obey(&request, shared, out) {
        Ok(()) => Response::Done(held(shared).status()),
        Err(error) => Response::Refused(format!("{error:#}")),
    };
    let mut answer = serde_json::to_vec(&response)?;
    answer.push(b'\n');
    stream.write_all(&answer)?;
    Ok(request)
}

fn obey(request: &Request, shared: &Locked, out: &Out) -> Result<()> {
    match request {
        Request::Status | Request::Stop => Ok(()),
        Request::Vanilla(entry) => {
            held(shared).guard.vanilla_is(entry.clone());
            files::write_atomic(Path::new(VANILLA), &serde_json::to_vec(entry)?)
        }
        Request::Write { hex: text, by } => {
            let bytes = hex::decode(text).context("reading the bytes to write")?;
            ensure!(!bytes.is_empty(), "there is nothing to write");
            if *by == Writer::Tool {
                held(shared).guard.may_write(&bytes)?;
            }
            write_out(out, &bytes)?;
            held(shared).note(&format!("wrote {}", bytes.escape_ascii()));
            Ok(())
        }
        Request::Break => {
            held(shared).guard.may_write(&[])?;
            match way_out(out).as_mut() {
                Some(way) => way.send_break()?,
                None => bail!("the line is not open"),
            }
            held(shared).note("break");
            Ok(())
        }
    }
}
