//! What is masked before a run is given to strangers, by rules over bytes.
//!
//! A block of a file is matched as it is, with escapes undone and with record prefixes taken off
//! ([`view`]); what a rule finds is replaced in the block, and nothing else in it changes. Every
//! file is shown to the rules before the first is masked, so that a value that one place gives away
//! is masked in all of them ([`known`]), and the same value has the same placeholder in every file.
//!
//! Masked: names of hosts, users and persons, IPv4 and IPv6 addresses, MAC addresses, `user@host`
//! and e-mail addresses, keys, their fingerprints and the paths below `.ssh`, passwords and tokens,
//! names of wireless networks, machine ids and UUIDs, serial numbers of devices; and words that are
//! not understood ([`odd`]).
//!
//! Kept: loopback, broadcast, multicast and netmask addresses; names that say nothing (`root`,
//! `localhost`, `debian`); nodes of the device tree (`serial@feb50000`) and units of systemd
//! (`getty@tty1.service`), which only look like addresses; mailing lists; hashes, commits and build
//! ids that a place names, and addresses of the kernel, without which nothing can be compared; and
//! in the mail for upstream whom it goes to.

mod addresses;
mod found;
mod key;
mod known;
mod labels;
mod left;
mod machines;
mod odd;
mod people;
mod prefix;
mod rules;
mod secrets;
mod view;

pub use left::{Left, Leftovers};

use found::{Found, Spread};
use known::Known;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::LazyLock;
use view::View;

/// What a masked value was. Its name is the placeholder's. Where two rules find values at one
/// place, the earlier kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Key, its fingerprint, or the path of one.
    Key,
    /// Password or token.
    Secret,
    /// E-mail address.
    Email,
    /// Serial number of a device, a disk, a phone card.
    Serial,
    /// Ethernet or Bluetooth address, and what is made of one.
    Mac,
    /// IPv4 or IPv6 address.
    Ip,
    /// Number of a machine, a boot, a file system.
    Id,
    /// A wireless network's name.
    Ssid,
    /// A machine's name.
    Host,
    /// A person's login name.
    User,
    /// A person's name.
    Person,
    /// A word that is not understood.
    Random,
}

impl Kind {
    /// In print, and the beginning of a placeholder.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::Secret => "secret",
            Kind::Email => "mail",
            Kind::Serial => "serial",
            Kind::Mac => "mac",
            Kind::Ip => "ip",
            Kind::Id => "id",
            Kind::Ssid => "ssid",
            Kind::Host => "host",
            Kind::User => "user",
            Kind::Person => "person",
            Kind::Random => "random",
        }
    }
}

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

/// What a file needs to be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Whom a mail goes to: its lines `To:` and `Cc:`.
    Recipients,
}

/// Placeholders of one kind that are told apart; all further values share one.
const MOST: usize = 100_000;

/// The rules, with what they have learned and put in so far.
#[derive(Debug, Default)]
pub struct Mask {
    known: Known,
    hashes: odd::Hashes,
    /// Number of a value, by its hash: a log may hold millions of them.
    numbers: HashMap<(Kind, [u8; 32]), usize>,
    counts: BTreeMap<(Kind, usize), usize>,
    used: BTreeMap<Kind, usize>,
}

/// Hosts and users that a board file speaks of (`host = "alice@ampere"`, `jump`, `second-host`):
/// its text, whatever else is in it.
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

/// Bytes, not characters: a log may hold any, and `\w` for every alphabet makes patterns large. The
/// engine takes time linear in the text.
fn rule(pattern: &str) -> Regex {
    let pattern = RegexBuilder::new(pattern).unicode(false).build();
    pattern.expect("the pattern is a constant")
}

static BOARD_HOST: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"(?m)^\s*(?:host|jump|second-host)\s*=\s*"([^"]+)""#));
static RECIPIENTS: LazyLock<Regex> = LazyLock::new(|| rule(r"(?m)^(?:To|Cc): [^\n]*$"));
/// A message of the journal that is no UTF-8: `"MESSAGE":[27,91,49]` (systemd.journal-fields(7),
/// journalctl(1)).
static BYTE_LIST: LazyLock<Regex> = LazyLock::new(|| rule(r"\[\d{1,3}(?:, ?\d{1,3}){5,}\]"));

impl Mask {
    /// With names that are known from elsewhere: this machine's, its user's, the boards'.
    pub fn new(names: &[(Kind, String)]) -> Self {
        let mut mask = Mask::default();
        for (kind, name) in names {
            if !rules::is_nameless(name.as_bytes()) && name.parse::<std::net::IpAddr>().is_err() {
                mask.known.add(*kind, name.as_bytes());
            }
        }
        mask
    }

    /// Notes what a block gives away. Every block has to be shown to it before the first is masked.
    pub fn learn(&mut self, block: &[u8]) {
        let block = readable(block);
        let views = view::views(&block);
        views.last().into_iter().for_each(|view| self.hashes.learn(view));
        for found in found::resolve(by_rules(&views, &block)) {
            if found.spread == Spread::Everywhere
                && let Some(value) = block.get(found.range)
            {
                self.known.add(found.kind, &bare(&view::plain(value)));
            }
        }
    }

    /// The block with everything masked.
    pub fn apply(&mut self, block: &[u8], keep: Keep) -> Vec<u8> {
        let block = readable(block);
        let views = view::views(&block);
        let mut all = by_rules(&views, &block);
        for view in &views {
            self.known.find(view, &mut all);
        }
        if let Some(last) = views.last() {
            self.hashes.find_others(last, &mut all);
        }
        if keep == Keep::Recipients {
            let lines: Vec<_> = RECIPIENTS.find_iter(&block).map(|line| line.range()).collect();
            all.retain(|found| !lines.iter().any(|line| line.contains(&found.range.start)));
        }
        let mut out = Vec::with_capacity(block.len());
        let mut end = 0;
        for found in found::resolve(all) {
            let Some(value) = block.get(found.range.clone()) else {
                continue;
            };
            // What is left between two others may be a mere sign.
            if !value
                .iter()
                .any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
                && found.value.is_none()
            {
                continue;
            }
            let value = found
                .value
                .unwrap_or_else(|| self.one_spelling(found.kind, value));
            out.extend_from_slice(block.get(end..found.range.start).unwrap_or_default());
            out.extend(self.put(found.kind, &value));
            end = found.range.end;
        }
        out.extend_from_slice(block.get(end..).unwrap_or_default());
        out
    }

    /// Everything that was put in, in the order of the placeholders.
    pub fn masked(&self) -> Vec<Masked> {
        let masked = |((kind, number), count): (&(Kind, usize), &usize)| Masked {
            kind: *kind,
            placeholder: format!("{}-{number}", kind.name()),
            count: *count,
        };
        self.counts.iter().map(masked).collect()
    }

    /// How many values of each kind are masked only where a rule finds them: they are short, or
    /// words of the kernel's too.
    pub fn only_in_place(&self) -> &BTreeMap<Kind, usize> {
        &self.known.only_in_place
    }

    /// The placeholder of a value.
    fn put(&mut self, kind: Kind, value: &[u8]) -> Vec<u8> {
        use sha2::Digest;
        let used = self.used.entry(kind).or_default();
        let full = *used >= MOST;
        let key = (kind, sha2::Sha256::digest(value).into());
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None if full => MOST,
            None => {
                *used = used.saturating_add(1);
                self.numbers.insert(key, *used);
                *used
            }
        };
        let count = self.counts.entry((kind, number)).or_default();
        *count = count.saturating_add(1);
        format!("{}-{number}", kind.name()).into_bytes()
    }

    /// A value as it is counted: escapes undone, and in one of the spellings that its kind allows.
    fn one_spelling(&self, kind: Kind, value: &[u8]) -> Vec<u8> {
        let value = bare(&view::plain(value));
        let lower = value.to_ascii_lowercase();
        match kind {
            Kind::Mac | Kind::Id => {
                let digits: Vec<u8> = lower.iter().copied().filter(u8::is_ascii_hexdigit).collect();
                if digits.is_empty() { lower } else { digits }
            }
            Kind::Ip => match String::from_utf8_lossy(&lower).parse::<std::net::IpAddr>() {
                Ok(address) => address.to_string().into_bytes(),
                Err(_) => lower,
            },
            Kind::Host => self.known.full_host(&lower).map_or(lower.clone(), <[u8]>::to_vec),
            Kind::User | Kind::Email | Kind::Serial => lower,
            Kind::Key | Kind::Secret | Kind::Ssid | Kind::Person | Kind::Random => value,
        }
    }
}

/// What all rules find, in the block's own offsets.
fn by_rules(views: &[View], block: &[u8]) -> Vec<Found> {
    let mut all = Vec::new();
    let anywhere = [&secrets::ANYWHERE, &machines::ANYWHERE, &people::ANYWHERE];
    let message = [&secrets::MESSAGE, &machines::MESSAGE, &people::MESSAGE];
    let messages = view::message_views(views);
    for view in views {
        for rules in anywhere.into_iter().chain(message) {
            rules.iter().for_each(|rule| rule.find(view, &mut all));
        }
        addresses::find(view, &mut all);
        labels::find(view, &mut all);
        people::addresses(view, &mut all);
    }
    for view in &messages {
        for rules in message {
            rules.iter().for_each(|rule| rule.find(view, &mut all));
        }
    }
    for view in views.last().into_iter().chain(&messages) {
        key::find(view, block, &mut all);
    }
    all
}

/// Quotes and blanks around a value are not its own.
fn bare(value: &[u8]) -> Vec<u8> {
    let text = value.trim_ascii();
    let quote = |byte: &u8| b"\"'\\".contains(byte);
    let start = text.iter().take_while(|byte| quote(byte)).count();
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.iter().rev().take_while(|byte| quote(byte)).count();
    rest.get(..rest.len().saturating_sub(end))
        .unwrap_or_default()
        .to_vec()
}

/// Lists of bytes in JSON as the texts that they are, where they are texts.
fn readable(block: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let text = |found: &regex::bytes::Captures| -> Vec<u8> {
        let list = &found[0];
        let bytes: Option<Vec<u8>> = serde_json::from_slice(list).ok();
        let text = bytes.filter(|bytes| {
            let printable = bytes.iter().filter(|byte| (0x20..0x7f).contains(*byte));
            printable.count().saturating_mul(10) >= bytes.len().saturating_mul(8)
        });
        let text = text.and_then(|bytes| serde_json::to_vec(&String::from_utf8_lossy(&bytes)).ok());
        text.unwrap_or_else(|| list.to_vec())
    };
    BYTE_LIST.replace_all(block, text)
}

/// A range of what begins at `start`, as one of the text that this is a part of.
fn moved(start: usize, range: &Range<usize>) -> Range<usize> {
    start.saturating_add(range.start)..start.saturating_add(range.end)
}

/// Where a block has to end so that no line and no key is cut: the length of its head that can be
/// masked by itself.
pub fn whole_lines(block: &[u8]) -> usize {
    let behind_lines = |text: &[u8]| memchr::memrchr(b'\n', text).map_or(0, |end| end.saturating_add(1));
    let line = behind_lines(block);
    match block.get(..line).and_then(key::unfinished) {
        Some(begin) if line.saturating_sub(begin) < key::LONGEST => {
            let start = behind_lines(block.get(..begin).unwrap_or_default());
            if start > 0 { start } else { line }
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests;
