//! Opening a serial line: a tty, a terminal server, a socket, a program, or a file that grows.

use super::ethernet;
use super::rfc2217::{ComPort, Telnet};
use super::source::Source;
use crate::host::identity::Identity;
use crate::host::process::Piped;
use crate::host::socket;
use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_getfl, fcntl_setfl, flock, inotify};
use rustix::net::sockopt;
use rustix::termios::{
    ControlModes, OptionalActions, SpecialCodeIndex, ioctl_tiocexcl, tcgetattr, tcsendbreak, tcsetattr,
};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time to connect, and to get bytes rid of.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a BREAK is: tcsendbreak(3) says 0.25 to 0.5 s.
const BREAK: Duration = Duration::from_millis(300);
/// Bytes of datagrams that may wait to be read: some thousand messages.
const WAITING: usize = 4 << 20;

/// An open line. Reading gives 0 bytes when it is closed.
pub struct Line {
    /// What the board says.
    pub reader: Box<dyn Read + Send>,
    /// What can be done to it.
    pub way: Box<dyn Way>,
    /// Datagrams of other senders that were dropped so far.
    pub dropped: Dropped,
}

/// A number that the reader of a line counts up, and its owner looks at.
pub type Dropped = Arc<AtomicU64>;

/// The way to a board.
pub trait Way: Send {
    /// Writes all bytes. Errors: the line does not take them.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Sends a BREAK. Errors: this kind of line cannot, or it failed.
    fn send_break(&mut self) -> Result<()>;
}

/// Opens a line. Errors: it is not there, is held by another program, or cannot be set as asked.
pub fn open(source: &Source) -> Result<Line> {
    let doing = || format!("opening the serial line {}", source.name());
    match source {
        Source::Device { device, speed } => self::device(device, *speed),
        Source::Tcp(address) => tcp(address).and_then(|stream| bare(stream, "tcp")),
        Source::Rfc2217 { address, speed } => rfc2217(address, *speed),
        Source::Socket(path) => unix(path),
        Source::Command(words) => command(words),
        Source::Udp { at, from } => udp(*at, *from),
        Source::Frames { at, from, port } => frames(at, from, *port),
        Source::File(_) => bail!("a file is followed, not opened"),
    }
    .with_context(doing)
}

/// A tty, raw, at this speed, with nobody else on it.
fn device(path: &Path, speed: u32) -> Result<Line> {
    // Without O_NONBLOCK the open waits for a carrier that a board does not have (termios(3), CLOCAL).
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    flock(&fd, FlockOperation::NonBlockingLockExclusive)
        .context("another program has the line (it holds a lock on it)")?;
    let mut settings = tcgetattr(&fd).context("this is no tty")?;
    settings.make_raw();
    // HUPCL would drop DTR, which resets some boards, each time the line is closed.
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings
        .control_modes
        .remove(ControlModes::HUPCL | ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB);
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    settings
        .set_speed(speed)
        .with_context(|| format!("{speed} baud is no speed"))?;
    tcsetattr(&fd, OptionalActions::Now, &settings).context("setting speed and raw mode")?;
    // It succeeds when any part of it was done (tcsetattr(3)).
    let got = tcgetattr(&fd)?.output_speed();
    ensure!(
        got.abs_diff(speed) <= speed / 50,
        "the adapter runs at {got} baud and cannot do {speed}: use one that can"
    );
    ioctl_tiocexcl(&fd).context("keeping other programs off the line")?;
    fcntl_setfl(&fd, fcntl_getfl(&fd)?.difference(OFlags::NONBLOCK))?;
    let file = File::from(fd);
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(file.try_clone()?),
        way: Box::new(Tty(file)),
    })
}

struct Tty(File);

impl Way for Tty {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.write_all(bytes)?)
    }

    fn send_break(&mut self) -> Result<()> {
        Ok(tcsendbreak(&self.0)?)
    }
}

/// A connection that is noticed to be dead although nothing is ever sent on it.
fn tcp(address: &str) -> Result<TcpStream> {
    let mut last = None;
    for address in address.to_socket_addrs().context("looking the host up")? {
        match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(LIMIT))?;
                sockopt::set_socket_keepalive(&stream, true)?;
                sockopt::set_tcp_keepidle(&stream, Duration::from_secs(15))?;
                sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(5))?;
                sockopt::set_tcp_keepcnt(&stream, 3)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("the host has no address"), anyhow::Error::from))
}

fn bare(stream: TcpStream, kind: &'static str) -> Result<Line> {
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(stream.try_clone()?),
        way: Box::new(Bare { stream, kind }),
    })
}

/// Bytes and nothing else.
struct Bare<S> {
    stream: S,
    kind: &'static str,
}

impl<S: Write + Send> Way for Bare<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes)?;
        Ok(self.stream.flush()?)
    }

    fn send_break(&mut self) -> Result<()> {
        bail!(
            "a line of kind `{}` carries bytes alone and cannot send a BREAK: use a terminal server with RFC 2217 (`rfc2217 = \
             \"host:port\"`, `speed`), or a tty of this host",
            self.kind
        )
    }
}

fn unix(path: &Path) -> Result<Line> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().context("the path names no socket")?;
    let stream: UnixStream = socket::connect(folder, &name.to_string_lossy())?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(stream.try_clone()?),
        way: Box::new(Bare {
            stream,
            kind: "socket",
        }),
    })
}

/// One datagram of the one sender for each read. The port that it sends from is not asked for: a router may change it.
fn udp(at: SocketAddr, from: IpAddr) -> Result<Line> {
    let reader = Datagrams {
        socket: datagrams(at)?,
        from,
        dropped: Dropped::default(),
    };
    Ok(Line {
        dropped: reader.dropped.clone(),
        reader: Box::new(reader),
        way: Box::new(OneWay),
    })
}

/// A socket at this address that holds as much as the kernel grants until it is read: a splat comes all at once, and what finds no room is
/// lost (socket(7), SO_RCVBUF).
fn datagrams(address: impl ToSocketAddrs) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    if sockopt::set_socket_recv_buffer_size_force(&socket, WAITING).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, WAITING)?;
    }
    Ok(socket)
}

struct Datagrams {
    socket: UdpSocket,
    from: IpAddr,
    dropped: Dropped,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let (length, sender) = self.socket.recv_from(buffer)?;
            if sender.ip() != self.from {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            } else if length > 0 {
                // An empty datagram is none of a log, and no end.
                return Ok(length);
            }
        }
    }
}

/// One UDP payload for each read; of the frames only those that carry one for this port. Whatever else this host sends to the socket is
/// dropped by the kernel: it is connected to the one sender (connect(2)).
fn frames(at: &str, from: &str, port: u16) -> Result<Line> {
    let socket = datagrams(at)?;
    socket.connect(from)?;
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(Frames { socket, port }),
        way: Box::new(OneWay),
    })
}

struct Frames {
    socket: UdpSocket,
    port: u16,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        // The longest frame that a network card of QEMU sends is shorter than the longest datagram.
        let mut frame = [0; 1 << 16];
        loop {
            let length = self.socket.recv(&mut frame)?;
            match ethernet::udp(frame.get(..length).unwrap_or_default()) {
                Some((to, text)) if to == self.port && !text.is_empty() => {
                    // What a datagram has too much is lost, as with recv(2).
                    let mut text = text;
                    return text.read(buffer);
                }
                _ => {}
            }
        }
    }
}

struct OneWay;

impl Way for OneWay {
    fn write(&mut self, _bytes: &[u8]) -> Result<()> {
        bail!("netconsole goes one way: nothing can be written to it")
    }

    fn send_break(&mut self) -> Result<()> {
        bail!("netconsole goes one way: it cannot send a BREAK")
    }
}

fn command(words: &[String]) -> Result<Line> {
    let (child, reader, writer) = Piped::start(words)?;
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(reader),
        way: Box::new(Program {
            bare: Bare {
                stream: writer,
                kind: "command",
            },
            _child: child,
        }),
    })
}

/// The program ends with its line.
struct Program<W> {
    bare: Bare<W>,
    _child: Piped,
}

impl<W: Write + Send> Way for Program<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bare.write(bytes)
    }

    fn send_break(&mut self) -> Result<()> {
        self.bare.send_break()
    }
}

fn rfc2217(address: &str, speed: u32) -> Result<Line> {
    let mut stream = tcp(address)?;
    stream.write_all(&Telnet::hello())?;
    let shared = Arc::new(Mutex::new(Negotiated {
        stream: stream.try_clone()?,
        telnet: Telnet::new(speed),
    }));
    Ok(Line {
        dropped: Dropped::default(),
        reader: Box::new(TelnetReader {
            stream,
            shared: shared.clone(),
            left: Vec::new(),
        }),
        way: Box::new(TelnetWay(shared)),
    })
}

/// Replies and what is written go through one hand, so that neither lands inside the other.
struct Negotiated {
    stream: TcpStream,
    telnet: Telnet,
}

struct TelnetReader {
    stream: TcpStream,
    shared: Arc<Mutex<Negotiated>>,
    left: Vec<u8>,
}

impl Read for TelnetReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.left.is_empty() {
            let mut raw = [0; 4096];
            let read = self.stream.read(&mut raw)?;
            if read == 0 {
                return Ok(0);
            }
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let came = shared.telnet.feed(raw.get(..read).unwrap_or_default());
            shared.stream.write_all(&came.reply)?;
            self.left = came.data;
        }
        let taken = self.left.as_slice().read(buffer)?;
        self.left.drain(..taken);
        Ok(taken)
    }
}

struct TelnetWay(Arc<Mutex<Negotiated>>);

impl Way for TelnetWay {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = shared.telnet.encode(bytes);
        Ok(shared.stream.write_all(&encoded)?)
    }

    fn send_break(&mut self) -> Result<()> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            shared.telnet.com_port() == ComPort::Agreed,
            "the terminal server did not agree to RFC 2217 (it said: {:?}), so it cannot send a BREAK",
            shared.telnet.com_port()
        );
        let (on, off) = Telnet::sending_break();
        shared.stream.write_all(&on)?;
        std::thread::sleep(BREAK);
        Ok(shared.stream.write_all(&off)?)
    }
}

/// A file that something else appends to, from an offset on. Ends when that process has ended and all is read, or when the file is removed.
pub struct Follower {
    file: File,
    changes: OwnedFd,
    until: Option<Identity>,
}

impl Follower {
    /// Follows from `offset`.
    pub fn new(path: &Path, offset: u64, until: Option<Identity>) -> Result<Self> {
        let doing = || format!("following {}", path.display());
        let mut file = File::open(path).with_context(doing)?;
        file.seek(SeekFrom::Start(offset)).with_context(doing)?;
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .with_context(doing)?;
        let what = inotify::WatchFlags::MODIFY | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&changes, path, what).with_context(doing)?;
        Ok(Follower { file, changes, until })
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            // Asked before the look at the file, so that its last words are read.
            let over = self.until.as_ref().is_some_and(|process| !process.is_alive());
            let read = self.file.read(buffer)?;
            if read > 0 || over || self.file.metadata()?.nlink() == 0 {
                return Ok(read);
            }
            let second = Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            };
            let mut waiting = [PollFd::new(&self.changes, PollFlags::IN)];
            match poll(&mut waiting, Some(&second)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // What changed does not matter, only that the queue is empty again.
            let mut scrap = [0; 4096];
            while rustix::io::read(&self.changes, &mut scrap).is_ok_and(|read| read > 0) {}
        }
    }
}
