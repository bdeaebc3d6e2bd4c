//! Kernel-log records from any source: a serial line, `dmesg`, `/dev/kmsg`, the board's journal, pstore.

use super::prefix::Caller;
use serde::Serialize;
use std::borrow::Cow;

/// The layout is recognised in so many bytes.
pub const HEAD: usize = 1 << 16;
/// What a line has beyond this is passed over: the kernel's own lines have at most some thousand bytes, a journal's entry more.
pub const LONGEST_LINE: usize = 1 << 20;

/// One line that the kernel (or, on a shared console, somebody else) said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Microseconds since boot.
    pub time: Option<u64>,
    /// Microseconds since 1970 by the clock of whoever wrote the log, where the source has it.
    pub wall: Option<u64>,
    /// 0 (emergency) to 7 (debug), as in `include/linux/kern_levels.h`; a console does not tell.
    pub level: Option<u8>,
    /// syslog facility; 0 is the kernel.
    pub facility: u32,
    /// Task or CPU that printed, with `CONFIG_PRINTK_CALLER`.
    pub caller: Option<Caller>,
    /// Sequence number, from `/dev/kmsg` only.
    pub seq: Option<u64>,
    /// Which boot of this log, from 0.
    pub boot: u32,
    /// The log says that records were lost right before this one.
    pub lost: bool,
    /// Who wrote the line.
    pub origin: Origin,
    /// The message without its prefix, terminal codes and line end.
    pub text: Cow<'a, str>,
    /// Line in the source, from 1.
    pub line: usize,
    /// Offset of that line in the source, in bytes.
    pub offset: usize,
}

impl Record<'_> {
    /// The same record, with a text of its own.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            text: Cow::Owned(self.text.into_owned()),
            ..self
        }
    }

    /// Whether the line has a time or a level in front: a program that writes to the same console has none.
    pub fn has_prefix(&self) -> bool {
        self.time.is_some() || self.level.is_some()
    }
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The kernel, or anyone where nothing tells them apart.
    Kernel,
    /// A program on the same console, or in the same log.
    Program,
    /// Firmware, before the kernel's first record.
    Firmware,
}

/// How a source writes records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Lines of text: serial line, `dmesg`, pstore, syslog, `journalctl -o short*`.
    Text,
    /// `/dev/kmsg`.
    Kmsg,
    /// `journalctl -o json`, `json-pretty`, `json-seq`, `json-sse`.
    Journal,
    /// `journalctl -o export`.
    JournalExport,
    /// `journalctl -o verbose`.
    JournalVerbose,
    /// `dmesg --json`.
    DmesgJson,
    /// LAVA's log, as a JSON array or as lines of YAML.
    Lava,
}

/// Something that the log says was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Loss {
    /// Sequence numbers `from..=to` are missing before this line.
    Gap {
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
        /// Line in the source.
        line: usize,
    },
    /// The console was too slow: `** N printk messages dropped **`.
    Dropped {
        /// How many.
        count: u64,
        /// Line in the source.
        line: usize,
    },
}

/// A log as records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log<'a> {
    /// How it was written.
    pub format: Format,
    /// Records in the order of the source.
    pub records: Vec<Record<'a>>,
    /// What is known to be missing.
    pub losses: Vec<Loss>,
    /// How many boots the log shows, at least 1 if there are records.
    pub boots: u32,
    /// Records that are a kernel's beyond doubt: by their prefix, or because the source has nothing else.
    pub marked: usize,
}
