//! The serial line of the virtual board: QEMU appends every byte to a log file by itself; a socket is opened only
//! to write.

use super::{qemu, qmp::Qmp};
use crate::board::SerialLine;
use crate::capture::client::Recorder;
use crate::capture::control::MenuEntry;
use crate::capture::line::Way;
use crate::capture::source::Source;
use crate::host::identity::Identity;
use crate::host::json::json;
use crate::host::{deadline, socket};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the socket is kept open (and drained) after the last byte: QEMU drops what the guest's 16-byte FIFO has
/// not taken when the client goes away.
const LINGER: Duration = Duration::from_millis(300);
/// Longest wait for the line while something else writes, and for the guest to take the bytes.
const LIMIT: Duration = Duration::from_secs(10);
/// Held by whoever has the socket: QEMU serves one client, a second one would wait unseen and its bytes with it.
const LOCK: &str = "serial.lock";
/// Folder of the recorder, which adds times to QEMU's log.
const RECORDER: &str = "recorder";

/// The line of the board whose files are in one folder.
#[derive(Debug, Clone)]
pub struct Serial {
    folder: PathBuf,
}

/// The open line. Must be read all the time: a client that does not read stops the guest at its next console
/// write.
pub struct Connection {
    /// Both directions.
    pub stream: UnixStream,
    _lock: File,
}

impl Serial {
    /// The line of the board in `folder`.
    pub fn new(folder: &Path) -> Self {
        Serial {
            folder: folder.to_path_buf(),
        }
    }

    /// Opens the line for writing. Errors: the board is off, or something else has the line for longer than `limit`.
    pub fn connect(&self, limit: Duration) -> Result<Connection> {
        let path = self.folder.join(LOCK);
        let doing = || format!("opening the serial line in {}", self.folder.display());
        let lock = File::create(path).with_context(doing)?;
        let deadline = deadline::after(limit);
        while lock.try_lock().is_err() {
            if Instant::now() >= deadline {
                bail!(
                    "{}: something else writes to it (`cargo xtask board console --write`?)",
                    doing()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let stream = socket::connect(&self.folder, qemu::SERIAL_SOCKET)
            .with_context(|| format!("{}: is the board on? `cargo xtask board up`", doing()))?;
        Ok(Connection { stream, _lock: lock })
    }

    /// Has a recorder follow the log of the QEMU with this process id, for as long as that one runs: it adds times and phases, and
    /// answers a menu that waits while no command runs. Errors: it cannot be started.
    pub fn record(&self, pid: u32) -> Result<()> {
        let Some(qemu) = Identity::of(pid) else {
            return Ok(());
        };
        self.recorder().ensure(&Source::File(self.log()), Some(&qemu))?;
        Ok(())
    }

    /// The recorder that follows the log.
    pub fn recorder(&self) -> Recorder {
        Recorder::at(&self.folder.join(RECORDER))
    }

    /// Length of the log now: what comes later is what came after this call.
    pub fn mark(&self) -> u64 {
        std::fs::metadata(self.log()).map_or(0, |data| data.len())
    }

    /// The log from `mark` on, as text.
    pub fn since(&self, mark: u64) -> Result<String> {
        let doing = || format!("reading {}", self.log().display());
        let bytes = Recorder::read(&self.log(), mark).with_context(doing)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until `text` stands in the log behind `mark`. Errors: not within `limit`; they carry the end of what
    /// came instead.
    pub fn wait_for(&self, mark: u64, text: &str, limit: Duration) -> Result<()> {
        let deadline = deadline::after(limit);
        loop {
            let came = self.since(mark)?;
            if came.contains(text) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = limit.as_secs();
                bail!(
                    "{text:?} did not come over the serial line within {seconds} s; it ends with:\n{}",
                    end(&came)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl SerialLine for Serial {
    fn log(&self) -> PathBuf {
        self.folder.join(qemu::SERIAL_LOG)
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut connection = self.connect(LIMIT)?;
        write_and_drain(&mut connection.stream, bytes)
            .with_context(|| format!("writing to the serial line in {}", self.folder.display()))
    }

    fn send_break(&self) -> Result<()> {
        let arguments = json!({ "id": qemu::SERIAL_ID });
        Qmp::connect(&self.folder, qemu::QMP_SOCKET)?.execute("chardev-send-break", arguments)?;
        Ok(())
    }

    /// The PL011 of QEMU has one, as a command of QMP.
    fn has_break(&self) -> bool {
        true
    }

    fn vanilla_is(&self, entry: &MenuEntry) -> Result<()> {
        self.recorder().vanilla_is(entry.clone())
    }
}

/// For the recorder, which follows a file and has no line of its own.
impl Way for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        SerialLine::write(self, bytes)
    }

    fn send_break(&mut self) -> Result<()> {
        SerialLine::send_break(self)
    }
}

/// The last lines of some text.
pub fn end(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(15)..)
        .unwrap_or_default()
        .join("\n")
}

/// Writes while reading, then reads on for [`LINGER`]. What is read is in the log already.
fn write_and_drain(stream: &mut UnixStream, bytes: &[u8]) -> Result<()> {
    stream.set_nonblocking(true)?;
    let mut left = bytes;
    let deadline = deadline::after(LIMIT);
    let mut close_at = None;
    let mut scrap = [0; 4096];
    while close_at.is_none_or(|at| Instant::now() < at) {
        if !left.is_empty() {
            match stream.write(left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if left.is_empty() && close_at.is_none() {
            close_at = Some(deadline::after(LINGER));
        }
        if Instant::now() >= deadline {
            bail!(
                "the board took only {} of {} bytes",
                bytes.len().saturating_sub(left.len()),
                bytes.len()
            );
        }
        match stream.read(&mut scrap) {
            Ok(0) => bail!("QEMU closed the line"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
