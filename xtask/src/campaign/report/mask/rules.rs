//! A rule: a pattern whose groups are the values, what they are, and what is none after all.

use super::found::{Found, Spread};
use super::view::View;
use super::{Kind, rule};
use regex::bytes::Regex;
use std::ops::Range;

/// What a value must be, beyond its pattern; it may be cut to a part of itself.
pub(super) type Check = fn(&[u8], Range<usize>) -> Option<Range<usize>>;

/// A rule over text.
#[derive(Debug)]
pub(super) struct Rule {
    pattern: Regex,
    kinds: &'static [Kind],
    spread: Spread,
    check: Check,
}

impl Rule {
    /// Each group of the pattern that takes part is a value; the first has the first kind, and so
    /// on, the last kind counts for the rest.
    pub(super) fn new(kinds: &'static [Kind], spread: Spread, check: Check, pattern: &str) -> Self {
        Rule {
            pattern: rule(pattern),
            kinds,
            spread,
            check,
        }
    }

    /// Adds what the rule finds in a view.
    pub(super) fn find(&self, view: &View, into: &mut Vec<Found>) {
        for found in self.pattern.captures_iter(&view.text) {
            for (index, group) in found.iter().skip(1).enumerate() {
                let kind = self.kinds.get(index).or(self.kinds.last());
                let (Some(group), Some(kind)) = (group, kind) else {
                    continue;
                };
                if let Some(range) = (self.check)(&view.text, group.range()) {
                    into.push(Found {
                        range: view.origin(range),
                        kind: *kind,
                        spread: self.spread,
                        value: None,
                    });
                }
            }
        }
    }
}

/// Whatever the pattern took.
pub(super) fn any(_: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    (!range.is_empty()).then_some(range)
}

/// Names that belong to no one: of every system, of accounts that Debian's base-passwd and systemd
/// make, of no value.
const NAMELESS: &[&str] = &[
    "root",
    "user",
    "users",
    "nobody",
    "nogroup",
    "daemon",
    "admin",
    "administrator",
    "guest",
    "test",
    "home",
    "debian",
    "ubuntu",
    "fedora",
    "arch",
    "archlinux",
    "alarm",
    "linux",
    "localhost",
    "localdomain",
    "host",
    "none",
    "null",
    "virtual",
    "board",
    "kernel",
    "systemd",
    "console",
    "server",
    "builder",
    "lockstep",
    "build",
    "git",
    "unknown",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "gnats",
    "messagebus",
    "sshd",
    "avahi",
    "polkitd",
    "colord",
    "sddm",
    "gdm",
    "lightdm",
    "greeter",
    "wheel",
    "sudo",
    "adm",
    "tty",
    "disk",
    "dialout",
    "cdrom",
    "audio",
    "video",
    "render",
    "plugdev",
    "netdev",
    "input",
    "kvm",
    "shadow",
    "staff",
    "operator",
    "dnsmasq",
    "chrony",
    "ntp",
    "rtkit",
    "tss",
    "uuidd",
    "statd",
    "invalid",
    "authenticating",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesync",
    "systemd-coredump",
    "systemd-oom",
    "_apt",
    "dbus",
    "y",
    "n",
    "m",
    "the",
    "for",
    "off",
    "on",
    "any",
    "dhcp",
    "both",
    "key",
    "ip",
    "mac",
    "person",
    "secret",
    "serial",
    "ssid",
    "uuid",
    "id",
    "type",
    "is",
    "syzkaller",
];

/// Words of every kernel log: a person or a board may be called so, but only where it is said to be
/// a name is it masked.
const WORDS: &[&str] = &[
    "bug",
    "warning",
    "call",
    "trace",
    "lock",
    "locks",
    "task",
    "tasks",
    "info",
    "error",
    "oops",
    "panic",
    "cpu",
    "comm",
    "pid",
    "code",
    "stack",
    "page",
    "mem",
    "memory",
    "mm",
    "net",
    "usb",
    "pci",
    "media",
    "sound",
    "block",
    "char",
    "driver",
    "drivers",
    "device",
    "module",
    "modules",
    "work",
    "worker",
    "thread",
    "irq",
    "timer",
    "read",
    "write",
    "open",
    "close",
    "from",
    "with",
    "and",
    "not",
    "has",
    "was",
    "been",
    "which",
    "process",
    "function",
    "context",
    "sleeping",
    "hardware",
    "name",
    "version",
    "boot",
    "init",
    "start",
    "end",
    "size",
    "addr",
    "address",
    "free",
    "alloc",
    "data",
    "dev",
    "run",
    "var",
    "etc",
    "usr",
    "lib",
    "ext4",
    "vfat",
    "mmc",
    "eth",
    "wlan",
    "arm",
    "arm64",
    "aarch64",
    "x86",
    "rockchip",
    "qemu",
    "google",
    "dump",
    "log",
    "time",
    "state",
    "flags",
    "value",
    "possible",
    "recursive",
    "circular",
    "locking",
    "dependency",
    "detected",
    "swapper",
    "current",
    "hung",
    "blocked",
    "running",
    "last",
    "first",
    "next",
    "dma",
    "fence",
    "may",
    "will",
    "mark",
    "pat",
    "bill",
    "sue",
    "art",
    "max",
    "min",
    "ray",
    "tag",
    "main",
    "master",
    "slave",
    "raid",
    "disable",
    "enable",
    "default",
    "desktop",
    "laptop",
    "phone",
    "tablet",
    "gateway",
    "router",
];

/// A name that says nothing about anybody.
pub(super) fn is_nameless(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name).to_ascii_lowercase();
    NAMELESS.contains(&text.as_str())
        || !text
            .bytes()
            .any(|byte| byte.is_ascii_alphabetic() || byte >= 0x80)
}

/// A name that is also a word of the kernel's.
pub(super) fn is_word(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name).to_ascii_lowercase();
    WORDS.contains(&text.as_str()) || text.starts_with("0x")
}

/// A name that someone chose; a full stop or hyphen at its end is the sentence's.
pub(super) fn name(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let ends = value
        .iter()
        .rev()
        .take_while(|byte| b".-:,".contains(byte))
        .count();
    let range = range.start..range.end.saturating_sub(ends);
    let value = text.get(range.clone())?;
    (!value.is_empty() && !is_nameless(value)).then_some(range)
}

/// A serial number: at least four characters with a digit, not all the same.
pub(super) fn serial(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let digit = value.iter().any(u8::is_ascii_digit);
    let mut letters = value.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let first = letters.next()?;
    let telling = letters.any(|byte| byte != first);
    // `Serial: 8250/16550 driver` is a driver's name.
    let driver = text.get(range.end) == Some(&b'/');
    (value.len() >= 4 && digit && telling && !driver).then_some(range)
}

/// Whether a letter, a digit or one of these stands at either end.
pub(super) fn touches(text: &[u8], range: &Range<usize>, signs: &[u8]) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || signs.contains(byte);
    let before = range.start.checked_sub(1).and_then(|before| text.get(before));
    before.is_some_and(part) || text.get(range.end).is_some_and(part)
}
