//! What is masked before a run is given to strangers, by rules over bytes.
//!
//! Masked: host names, user names and home folders, IPv4 and IPv6 addresses, MAC addresses, `user@host` and e-mail addresses, ssh keys,
//! their fingerprints and the paths below `.ssh`, passwords and tokens, machine ids and serial numbers of devices. The same value has the
//! same placeholder in every file, so that what belongs together still does.
//!
//! Kept: loopback, broadcast and netmask addresses; names that say nothing (`root`, `localhost`, `debian`); nodes of the device tree
//! (`serial@feb50000`) and units of systemd (`getty@tty1.service`), which only look like addresses; e-mail addresses in the
//! trailers and headers of a patch (`Signed-off-by:`, `From:`), which are public by the wish of their owners and which a
//! report to the kernel's lists needs; boot ids, build ids and hashes, without which nothing can be compared.

use regex::bytes::{Captures, Regex};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

/// What a masked value was. Its name is the placeholder's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A machine's name.
    Host,
    /// A person's login name.
    User,
    /// IPv4 or IPv6 address.
    Ip,
    /// Ethernet or Bluetooth address.
    Mac,
    /// E-mail address.
    Email,
    /// Key, its fingerprint, or the path of one.
    SshKey,
    /// Password or token.
    Secret,
    /// Machine id or serial number.
    Serial,
}

impl Kind {
    /// In print, and the beginning of a placeholder.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Host => "HOST",
            Kind::User => "USER",
            Kind::Ip => "IP",
            Kind::Mac => "MAC",
            Kind::Email => "EMAIL",
            Kind::SshKey => "SSHKEY",
            Kind::Secret => "SECRET",
            Kind::Serial => "SERIAL",
        }
    }
}

/// Every kind.
const ALL: [Kind; 8] = [
    Kind::Host,
    Kind::User,
    Kind::Ip,
    Kind::Mac,
    Kind::Email,
    Kind::SshKey,
    Kind::Secret,
    Kind::Serial,
];

/// A placeholder and how often it was put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// What the value was.
    pub kind: Kind,
    /// What stands in its place.
    pub placeholder: String,
    /// How often.
    pub count: usize,
}

/// The rules, with what they have learned and put in so far.
#[derive(Debug, Default)]
pub struct Mask {
    /// Names that are masked wherever they stand as a word.
    names: BTreeMap<Vec<u8>, Kind>,
    placeholders: BTreeMap<(Kind, Vec<u8>), (usize, usize)>,
    used: BTreeMap<Kind, usize>,
}

/// Names that tell nothing about anybody, or that are words of every log.
const NAMELESS: &[&str] = &[
    "root",
    "user",
    "users",
    "nobody",
    "daemon",
    "admin",
    "guest",
    "test",
    "home",
    "debian",
    "ubuntu",
    "fedora",
    "linux",
    "localhost",
    "host",
    "none",
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
];

/// Shorter names are part of too many words.
const SHORTEST: usize = 3;

/// Hosts and users that a board file speaks of (`host = "alice@ampere"`, `jump`, `second-host`): its text, whatever else is in it.
pub fn names_of_board(text: &str) -> Vec<(Kind, String)> {
    let mut names = Vec::new();
    for found in BOARD_HOST.captures_iter(text.as_bytes()) {
        let value = String::from_utf8_lossy(&found[1]).into_owned();
        let (user, host) = value.rsplit_once('@').unwrap_or(("", &value));
        names.push((Kind::Host, host.to_string()));
        names.push((Kind::User, user.to_string()));
    }
    names
}

fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant")
}

/// What gives a host's name away: the journal's field, a login prompt (agetty(8)), systemd's own line, an `ssh_config`.
static HOST_TOLD: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    vec![
        rule(r#""_HOSTNAME"\s*:\s*"([A-Za-z0-9][A-Za-z0-9.-]*)""#),
        rule(r"(?m)^([A-Za-z0-9][A-Za-z0-9.-]*) login: "),
        rule(r"[Hh]ostname set to <?([A-Za-z0-9][A-Za-z0-9.-]*)>?"),
    ]
});
static BOARD_HOST: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"(?m)^\s*(?:host|jump|second-host)\s*=\s*"([^"]+)""#));
static HOME: LazyLock<Regex> = LazyLock::new(|| rule(r"/home/([A-Za-z0-9_][A-Za-z0-9_.-]*)"));
static MACHINE_ID: LazyLock<Regex> = LazyLock::new(|| rule(r#""_MACHINE_ID"\s*:\s*"([0-9a-f]{32})""#));
static SERIAL_NUMBER: LazyLock<Regex> = LazyLock::new(|| rule(r"(SerialNumber: )([^\s\x22]+)"));
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[A-Za-z0-9+/=:,.\s\\-]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z|\n\n)",
    )
});
static PUBLIC_KEY: LazyLock<Regex> = LazyLock::new(|| rule(r"\bAAAA[BCE][0-9A-Za-z+/]{20,}={0,3}"));
static FINGERPRINT: LazyLock<Regex> =
    LazyLock::new(|| rule(r"\bSHA256:[A-Za-z0-9+/]{43}=?|\bMD5:(?:[0-9a-f]{2}:){15}[0-9a-f]{2}"));
static KEY_PATH: LazyLock<Regex> = LazyLock::new(|| rule(r#"[~/][^\s"':,<>]*/?\.ssh/[^\s"':,<>)]+"#));
static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r#"(?i)(\b(?:password|passwd|passphrase|token|secret|api[_-]?key|psk|bearer)"?\s*[=:]\s*"?|://[^\s/:@]+:)([^\s"',;&@]{3,})"#,
    )
});
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"([A-Za-z0-9][A-Za-z0-9._%+-]*)@([A-Za-z0-9][A-Za-z0-9.,-]*[A-Za-z0-9]|[A-Za-z0-9])")
});
static TRAILER: LazyLock<Regex> = LazyLock::new(|| {
    rule(r"^[\s>+-]*(?:From|To|Cc|Author|Link|Message-I[Dd]|[A-Z][a-z-]*-(?:by|to)): ?[^\r\n]*$")
});
static MAC: LazyLock<Regex> = LazyLock::new(|| rule(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2})+"));
static IPV4: LazyLock<Regex> = LazyLock::new(|| rule(r"[0-9]+(?:\.[0-9]+)+"));
static IPV6: LazyLock<Regex> = LazyLock::new(|| rule(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"));

impl Mask {
    /// With names that are known from elsewhere: this machine's, its user's, the boards'.
    pub fn new(names: &[(Kind, String)]) -> Self {
        let mut mask = Mask::default();
        for (kind, name) in names {
            mask.name(*kind, name.as_bytes());
        }
        mask
    }

    /// Notes a name; of a name with dots its first part as well.
    fn name(&mut self, kind: Kind, name: &[u8]) {
        let text = String::from_utf8_lossy(name).to_ascii_lowercase();
        let nameless = NAMELESS.contains(&text.as_str()) || text.parse::<Ipv4Addr>().is_ok();
        if name.len() < SHORTEST || nameless || text.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        self.names.entry(name.to_vec()).or_insert(kind);
        if kind == Kind::Host
            && let Some(dot) = name.iter().position(|&byte| byte == b'.')
        {
            self.name(kind, &name[..dot]);
        }
    }

    /// Notes the names that a text gives away. Every text has to be shown to it before the first is masked.
    pub fn learn(&mut self, text: &[u8]) {
        for rule in HOST_TOLD.iter() {
            for found in rule.captures_iter(text) {
                self.name(Kind::Host, &found[1]);
            }
        }
        for found in HOME.captures_iter(text) {
            self.name(Kind::User, &found[1]);
        }
        for found in MACHINE_ID.captures_iter(text) {
            self.names.insert(found[1].to_vec(), Kind::Serial);
        }
        for found in ADDRESS.captures_iter(text) {
            if is_login(&found, &self.names) {
                self.name(Kind::User, &found[1]);
                self.name(Kind::Host, &found[2]);
            }
        }
    }

    /// The text with everything masked.
    pub fn apply(&mut self, text: &[u8]) -> Vec<u8> {
        let whole: [(&Regex, Kind); 4] = [
            (&PRIVATE_KEY, Kind::SshKey),
            (&PUBLIC_KEY, Kind::SshKey),
            (&FINGERPRINT, Kind::SshKey),
            (&KEY_PATH, Kind::SshKey),
        ];
        let mut text = text.to_vec();
        for (rule, kind) in whole {
            text = replace(&text, rule, |found| Some(self.put(kind, &found[0])));
        }
        for (rule, kind) in [(&*SECRET, Kind::Secret), (&*SERIAL_NUMBER, Kind::Serial)] {
            text = replace(&text, rule, |found| {
                Some([&found[1], &self.put(kind, &found[2])].concat())
            });
        }
        text = self.addresses(&text);
        let source = text.clone();
        text = replace(&text, &MAC, |found| {
            is_mac(&source, found).then(|| self.put(Kind::Mac, &found[0].to_ascii_lowercase()))
        });
        let source = text.clone();
        text = replace(&text, &IPV6, |found| self.ipv6(&source, found));
        let source = text.clone();
        text = replace(&text, &IPV4, |found| {
            is_ipv4(&source, found).then(|| self.put(Kind::Ip, &found[0]))
        });
        self.words(&text)
    }

    /// Everything that was put in, in the order of the placeholders.
    pub fn masked(&self) -> Vec<Masked> {
        let mut all: Vec<((Kind, usize), usize)> = self
            .placeholders
            .iter()
            .map(|((kind, _), (number, count))| ((*kind, *number), *count))
            .collect();
        all.sort();
        let masked = |((kind, number), count): ((Kind, usize), usize)| Masked {
            kind,
            placeholder: format!("{}{number}", kind.name()),
            count,
        };
        all.into_iter().map(masked).collect()
    }

    /// The placeholder of a value.
    fn put(&mut self, kind: Kind, value: &[u8]) -> Vec<u8> {
        let used = self.used.entry(kind).or_default();
        let entry = self
            .placeholders
            .entry((kind, value.to_vec()))
            .or_insert_with(|| {
                *used += 1;
                (*used, 0)
            });
        entry.1 += 1;
        format!("{}{}", kind.name(), entry.0).into_bytes()
    }

    /// `user@host` and e-mail addresses, line by line: a trailer keeps its own.
    fn addresses(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            if TRAILER.is_match(bare) {
                out.extend_from_slice(line);
                continue;
            }
            out.extend(replace(line, &ADDRESS, |found| {
                if is_login(found, &self.names) {
                    let user = self.part(Kind::User, &found[1]);
                    let host = self.part(Kind::Host, &found[2]);
                    Some([user, b"@".to_vec(), host].concat())
                } else {
                    is_email(found).then(|| self.put(Kind::Email, &found[0]))
                }
            }));
        }
        out
    }

    /// One side of `user@host`, unless it is a name that says nothing, or masked already.
    fn part(&mut self, kind: Kind, value: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(value).to_ascii_lowercase();
        let letters = value.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let placeholder = ALL.iter().any(|kind| kind.name().as_bytes() == &value[..letters]);
        if NAMELESS.contains(&text.as_str()) || text.starts_with("127.") || placeholder {
            return value.to_vec();
        }
        let address = text.parse::<Ipv4Addr>().is_ok();
        self.put(if address { Kind::Ip } else { kind }, value)
    }

    fn ipv6(&mut self, text: &[u8], found: &Captures) -> Option<Vec<u8>> {
        let all = found.get(0)?;
        // A colon or full stop behind it is the sentence's.
        let whole = std::str::from_utf8(all.as_bytes()).ok()?;
        let bare = whole.trim_end_matches('.');
        let bare = match bare.strip_suffix(':') {
            Some(cut) if !cut.ends_with(':') => cut,
            _ => bare,
        };
        let address: Ipv6Addr = bare.parse().ok()?;
        let alone = !touches(text, all.start(), all.end(), b"_-");
        if address.is_loopback() || address.is_unspecified() || !alone {
            return None;
        }
        let rest = &whole.as_bytes()[bare.len()..];
        Some([&self.put(Kind::Ip, bare.as_bytes()), rest].concat())
    }

    /// Known names, where they stand as words.
    fn words(&mut self, text: &[u8]) -> Vec<u8> {
        if self.names.is_empty() {
            return text.to_vec();
        }
        // The longest first: of two names at one place the regex takes the one that stands first.
        let mut names: Vec<&Vec<u8>> = self.names.keys().collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let pattern: Vec<String> = names
            .iter()
            .map(|name| regex::escape(&String::from_utf8_lossy(name)))
            .collect();
        let Ok(rule) = Regex::new(&pattern.join("|")) else {
            return text.to_vec();
        };
        let kinds = self.names.clone();
        replace(text, &rule, |found| {
            let all = found.get(0)?;
            let kind = *kinds.get(all.as_bytes())?;
            (!touches(text, all.start(), all.end(), b"_")).then(|| self.put(kind, all.as_bytes()))
        })
    }
}

/// Puts `with` in the place of each match that it has something for.
fn replace(text: &[u8], rule: &Regex, mut with: impl FnMut(&Captures) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut end = 0;
    for found in rule.captures_iter(text) {
        let Some(all) = found.get(0) else { continue };
        if let Some(new) = with(&found) {
            out.extend_from_slice(&text[end..all.start()]);
            out.extend_from_slice(&new);
            end = all.end();
        }
    }
    out.extend_from_slice(&text[end..]);
    out
}

/// Whether a letter, a digit or one of `also` stands right before or behind.
fn touches(text: &[u8], start: usize, end: usize, also: &[u8]) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || also.contains(byte);
    start
        .checked_sub(1)
        .and_then(|before| text.get(before))
        .is_some_and(part)
        || text.get(end).is_some_and(part)
}

fn side(found: &Captures, index: usize) -> String {
    String::from_utf8_lossy(&found[index]).to_ascii_lowercase()
}

/// Ends of names that systemd gives to its units (systemd.unit(5)).
const UNITS: &[&str] = &[
    ".service",
    ".socket",
    ".slice",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".scope",
    ".device",
];

/// `user@host`: no dot in the host, or an address of a network; neither a unit nor a node of a device tree, whose part behind the `@` is
/// a number (Devicetree Specification, section 2.2.1).
fn is_login(found: &Captures, names: &BTreeMap<Vec<u8>, Kind>) -> bool {
    let (user, host) = (side(found, 1), side(found, 2));
    if UNITS.iter().any(|end| host.ends_with(end)) {
        return false;
    }
    let number = is_number(&host);
    let person = user == "root" || names.contains_key(&found[1]);
    (!number || person) && !host.contains(',') && (!host.contains('.') || host.parse::<Ipv4Addr>().is_ok())
}

/// An address in memory or the unit address of a node: `feb50000`, `0x70000000`, `1,0`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b',')
}

/// An address with a domain that is no unit and no name of an algorithm (`curve25519-sha256@libssh.org`).
fn is_email(found: &Captures) -> bool {
    let host = side(found, 2);
    let domain = host.rsplit('.').next().unwrap_or_default();
    let first = host.split('.').next().unwrap_or_default();
    // `usb@fe800000.usb` is a node with its driver.
    let node = is_number(first) && first.bytes().any(|byte| byte.is_ascii_digit());
    host.contains('.')
        && !node
        && !host.contains(',')
        && !UNITS.iter().any(|end| host.ends_with(end))
        && domain.len() >= 2
        && domain.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !matches!(host.as_str(), "openssh.com" | "libssh.org")
}

/// Exactly six bytes, with the same sign between them, and not a part of something longer.
fn is_mac(text: &[u8], found: &Captures) -> bool {
    let Some(all) = found.get(0) else { return false };
    let bytes = all.as_bytes();
    let digits: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let same = bytes
        .iter()
        .filter(|byte| !byte.is_ascii_hexdigit())
        .all(|byte| *byte == bytes[2]);
    let telling = digits.iter().any(|byte| *byte != digits[0]);
    digits.len() == 12 && same && telling && !touches(text, all.start(), all.end(), b":-_")
}

/// Four numbers up to 255 that are an address of somebody: not loopback, not a mask, not a part of something longer.
fn is_ipv4(text: &[u8], found: &Captures) -> bool {
    let Some(all) = found.get(0) else { return false };
    let Ok(address) = String::from_utf8_lossy(all.as_bytes()).parse::<Ipv4Addr>() else {
        return false;
    };
    let nobody = address.is_loopback() || address.is_unspecified() || address.octets()[0] == 255;
    !nobody && !touches(text, all.start(), all.end(), b"_-")
}

#[cfg(test)]
mod tests;
