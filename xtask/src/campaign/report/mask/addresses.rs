//! Network addresses in every spelling: MAC with `:`, `-`, `_`, `.`, blanks or nothing between its
//! bytes, EUI-64, DHCP's identifiers, IPv4, IPv6.

use super::found::{Found, Spread};
use super::rules::{Rule, any, touches};
use super::view::View;
use super::{Kind, moved, rule};
use regex::bytes::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

/// Six bytes and more: an EUI-64, a DHCP client identifier or DUID (RFC 8415), InfiniBand's twenty.
static BYTES: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?i)[0-9a-f]{2}(?::[0-9a-f]{2}){5,31}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5,31}|[0-9a-f]{2}(?:_[0-9a-f]{2}){5,31}|[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}",
    )
});
static IPV4: LazyLock<Regex> = LazyLock::new(|| rule(r"[0-9]+(?:\.[0-9]+)+"));
static IPV6: LazyLock<Regex> = LazyLock::new(|| rule(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"));
/// An address as a number, and in its usual form behind it.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| rule(r"\b(0x[0-9a-fA-F]{8})\b[^\w\n]{1,4}(\d+\.\d+\.\d+\.\d+)"));
/// What makes four numbers a version.
static VERSION: LazyLock<Regex> =
    LazyLock::new(|| rule(r"(?i)(?:version|ver\.?|revision|rev\.?|firmware|fw|bios)[ :=]{1,2}$"));

/// Bytes without a sign between them, behind a word that says what they are.
static SAID: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let word = r"(?:mac|bdaddr|hwaddr|eth\d{0,2}addr|wlan\d?addr|bt_?addr|lladdr|hw[ _-]?addr(?:ess)?|mac[ _-]?addr(?:ess)?|bd[ _-]?address|bssid|duid|client[ _-]?id(?:entifier)?|default-duid|perm_addr|link/ether)";
    [
        format!(r#"(?i)(?:\b|_){word}["']?[ \t]*[=:]?[ \t]*["'\[<]?(?:0x)?([0-9a-f]{{12,64}})\b"#),
        format!(r#"(?i)(?:\b|_){word}["']?[ \t]*[=:]?[ \t]*["'\[<]?((?:[0-9a-f]{{2}}[ ,]){{5,19}}[0-9a-f]{{2}})\b"#),
        format!(r#"(?i)(?:\b|_){word}["']?[ \t]*[=:]?[ \t]*["'\[<{{]?[ \t]*((?:0x[0-9a-f]{{2}}[ ,]{{1,2}}){{5,19}}0x[0-9a-f]{{2}})\b"#),
        r"\b(?:en|wl|ww|ib)x([0-9a-f]{12})\b".into(),
        r"\bwifi_([0-9a-f]{12})_".into(),
        r"(?i)\b(000[13]0001[0-9a-f]{12,24})\b".into(),
    ]
    .iter()
    .map(|pattern| Rule::new(&[Kind::Mac], Spread::Everywhere, any, pattern))
    .collect()
});

/// Every address of the view.
pub(super) fn find(view: &View, into: &mut Vec<Found>) {
    let text = &view.text;
    let mut add = |range: Range<usize>, kind, spread| {
        into.push(Found {
            range: view.origin(range),
            kind,
            spread,
            value: None,
        });
    };
    for found in BYTES.find_iter(text) {
        if is_bytes(text, &found.range()) {
            add(found.range(), Kind::Mac, Spread::Everywhere);
        }
    }
    for found in NUMBER.captures_iter(text) {
        if let (Some(number), Some(address)) = (found.get(1), found.get(2))
            && is_ipv4(text, &address.range())
            && is_number_of(number.as_bytes(), address.as_bytes())
        {
            add(number.range(), Kind::Ip, Spread::Here);
        }
    }
    for found in IPV4.find_iter(text) {
        // tcpdump(8) writes the port behind a fifth full stop.
        let arrow = text
            .get(..found.start())
            .is_some_and(|before| before.ends_with(b"> "))
            || text
                .get(found.end()..)
                .is_some_and(|rest| rest.starts_with(b" > "));
        let port = memchr::memrchr(b'.', found.as_bytes()).filter(|_| arrow);
        let short = port.map(|port| found.start()..found.start().saturating_add(port));
        let address = |range: &Range<usize>| {
            let number = text.get(range.end) == Some(&b'.');
            is_ipv4(text, range) || (number && is_ipv4(text.get(..range.end).unwrap_or_default(), range))
        };
        if let Some(range) = [Some(found.range()), short].into_iter().flatten().find(address) {
            add(range, Kind::Ip, Spread::Here);
        }
    }
    for found in IPV6.find_iter(text) {
        if let Some(range) = ipv6(text, found.range()) {
            add(range, Kind::Ip, Spread::Here);
        }
    }
    for rule in SAID.iter() {
        rule.find(view, into);
    }
}

/// Not a part of something longer, and not the same digit all over (broadcast, unset).
fn is_bytes(text: &[u8], range: &Range<usize>) -> bool {
    let Some(bytes) = text.get(range.clone()) else {
        return false;
    };
    let digits: Vec<u8> = bytes.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let telling = digits.iter().any(|byte| Some(byte) != digits.first());
    let sign = bytes
        .iter()
        .copied()
        .find(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(b':');
    let part = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_hexdigit() || (*byte == sign && sign != b'_'))
    };
    let before = range.start.checked_sub(1).and_then(|before| text.get(before));
    // A colon behind it is the sentence's, unless more follows.
    let after = match text.get(range.end) {
        Some(next) if *next == sign => text
            .get(range.end.saturating_add(1))
            .is_some_and(u8::is_ascii_hexdigit),
        next => part(next),
    };
    // `client-52:54:...`: another sign stands between words.
    let hyphen = sign == b'-'
        && before == Some(&b'-')
        && !range
            .start
            .checked_sub(2)
            .and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_hexdigit);
    telling && (!part(before) || hyphen) && !after
}

/// Four numbers up to 255 that are an address of someone: not loopback, not a mask, not a version.
fn is_ipv4(text: &[u8], range: &Range<usize>) -> bool {
    let Some(value) = text.get(range.clone()) else {
        return false;
    };
    let Ok(address) = String::from_utf8_lossy(value).parse::<Ipv4Addr>() else {
        return false;
    };
    let nobody = address.is_loopback() || address.is_unspecified() || address.octets()[0] == 255;
    let private = address.is_private()
        || address.is_link_local()
        || (address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64);
    let before = text
        .get(range.start.saturating_sub(16)..range.start)
        .unwrap_or_default();
    let signs: &[u8] = if private { b"" } else { b"_-" };
    !nobody && !touches(text, range, signs) && (private || !VERSION.is_match(before))
}

/// Whether a number is this address, in the byte order of the network or of a little machine.
fn is_number_of(number: &[u8], address: &[u8]) -> bool {
    let digits = number.get(2..).map(String::from_utf8_lossy);
    let number = digits.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
    let address: Option<Ipv4Addr> = String::from_utf8_lossy(address).parse().ok();
    let bits = address.map(|address| address.to_bits());
    number.is_some() && (number == bits || number == bits.map(u32::swap_bytes))
}

/// The address in a run of digits and colons; a colon or full stop behind it is the sentence's.
fn ipv6(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let whole = std::str::from_utf8(text.get(range.clone())?).ok()?;
    let bare = whole.trim_end_matches('.');
    let bare = match bare.strip_suffix(':') {
        Some(cut) if !cut.ends_with(':') => cut,
        _ => bare,
    };
    // `src:fe80::1`, `addr=:fe80::1`
    let cut = usize::from(bare.starts_with(':') && !bare.starts_with("::"));
    let bare = bare.get(cut..)?;
    let address: Ipv6Addr = bare.parse().ok()?;
    let range = moved(range.start, &(cut..cut.saturating_add(bare.len())));
    let nobody = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    // `a::b` is a path of a program: an address has a digit, or more than two parts.
    let telling = bare.bytes().any(|byte| byte.is_ascii_digit()) || bare.matches(':').count() > 3;
    (!nobody && telling && !touches(text, &range, b"_")).then_some(range)
}
