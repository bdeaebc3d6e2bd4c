//! Values behind a word that says what they are, whatever joins the two: `=`, `:`, `=>`, blanks
//! behind an option, JSON, YAML, XML's attributes and elements, headers of HTTP, members of a struct
//! in C.

use super::found::{Found, Spread};
use super::odd::is_plain;
use super::rules::{is_word, name};
use super::secrets::assigned;
use super::view::View;
use super::{Kind, moved};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

/// Which values a word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All.
    All,
    /// Those that are not plain words, numbers or addresses: the kernel uses the word too.
    NotPlain,
    /// All behind `=`, an option or a word in quotes, else those that are not plain.
    Assigned,
    /// Names behind `=`, an option or a word in quotes, else those that are not plain.
    Named,
    /// Those with a digit, of eight characters and more.
    Number,
    /// Decimal fractions: a place on earth.
    Fraction,
    /// Words in capitals behind `=`: a device's name that a person chose.
    Sentence,
}

/// How a label and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// `=`.
    Equals,
    /// A word in quotes, an option, an element.
    Firm,
    /// `:`.
    Colon,
    /// A blank.
    Blank,
}

/// Words with what they announce. A label ends with one of them: in `wpa_psk`, `GITHUB_TOKEN`,
/// `accessToken`, `db.pw` that is the word. One of fewer than six letters is a word of its own there.
const WORDS: &[(Kind, Which, &str)] = &[
    (
        Kind::Secret,
        Which::All,
        "password passwort passwd passwrd passord passphrase passcode passkey pswd psswd pwd kennwort wachtwoord \
         contrasena senha motdepasse token secret credential credentials apikey appkey accesskey secretkey \
         privatekey encryptionkey cryptkey authkey sharedkey accountkey signingkey presharedkey clientkey \
         masterkey sessionkey appskey nwkskey nwkkey licensekey networkkey wpakey wifikey devicekey lukskey \
         hostkey statickey noncekey wepkey keydata secretkeybase psk pincode pairingcode puk cookie sessionid \
         sessid csrf csrftoken connectionstring mnemonic totpseed otpseed otpkey otp totp jwt bearer rootpass \
         userpass rootpw bindpw adminpw ownerauth community",
    ),
    (Kind::Secret, Which::Assigned, "pass pw pin auth"),
    (
        Kind::Secret,
        Which::NotPlain,
        "key hmac salt seed signature creds ticket session sid authorization dsn webhook keyfile license \
         activation voucher recovery challenge authenticator response",
    ),
    (
        Kind::User,
        Which::Named,
        "user username userid login loginname nick nickname account acct member",
    ),
    (
        Kind::Host,
        Which::Named,
        "host hostname node nodename server gateway computer machine workgroup peer",
    ),
    (
        Kind::Host,
        Which::NotPlain,
        "domain realm site tenant neighbour neighbor client apn",
    ),
    (
        Kind::Serial,
        Which::Number,
        "imei imsi iccid ccid meid msisdn deveui joineui appeui eui iban asset inventory barcode phone tel mobile",
    ),
    (Kind::Ssid, Which::All, "ssid essid"),
    (
        Kind::Person,
        Which::Sentence,
        "name alias realname fullname displayname",
    ),
    (
        Kind::Id,
        Which::Fraction,
        "lat lon lng latitude longitude altitude gps position location coordinates",
    ),
];
/// How a secret is written, at the end of its label.
const WRITTEN: &str = "b64 base64 base hex raw data value text enc encrypted";
/// The last two letters of every label, so that most words are passed by.
static ENDS: LazyLock<HashSet<[u8; 2]>> = LazyLock::new(|| {
    let words = WORDS
        .iter()
        .flat_map(|(_, _, words)| words.split_ascii_whitespace());
    let ends = words.chain(WRITTEN.split_ascii_whitespace()).flat_map(|word| {
        let last = |back: usize| word.as_bytes().get(word.len().checked_sub(back)?).copied();
        [
            last(2).zip(last(1)).map(|(a, b)| [a, b]),
            last(1).map(|letter| [letter, b's']),
        ]
    });
    ends.flatten().collect()
});
/// A label is not longer.
const LONGEST: usize = 48;

/// Adds every value of the view that a label announces.
pub(super) fn find(view: &View, into: &mut Vec<Found>) {
    let text = &view.text;
    let mut end = 0;
    for at in memchr::memchr3_iter(b'=', b':', b'>', text) {
        // `=>`, `:=`, `::`: the first is the sign.
        if at < end {
            continue;
        }
        let signs = text.get(at..).unwrap_or_default();
        let signs = signs.iter().take_while(|byte| b"=:>".contains(byte)).count();
        end = at.saturating_add(signs);
        let value = match text.get(at) {
            // `<b>Password</b>: x`
            Some(b'>') if signs > 1 => joined(text, at.saturating_add(1), end),
            Some(b'>') => element(text, at),
            _ => joined(text, at, end),
        };
        add(view, value, into);
    }
    for at in memchr::memchr2_iter(b' ', b'\t', text) {
        add(view, spaced(text, at), into);
    }
}

fn add(view: &View, found: Option<(Kind, Range<usize>)>, into: &mut Vec<Found>) {
    if let Some((kind, range)) = found {
        into.push(Found {
            range: view.origin(range),
            kind,
            spread: Spread::Everywhere,
            value: None,
        });
    }
}

/// `label = value`, with quotes, brackets and a closing tag between the two.
fn joined(text: &[u8], at: usize, end: usize) -> Option<(Kind, Range<usize>)> {
    let mut label = text
        .get(at.saturating_sub(LONGEST.saturating_mul(2))..at)?
        .trim_ascii_end();
    if label.last() == Some(&b'>') {
        let open = memchr::memmem::rfind(label, b"</")?;
        label = label.get(..open)?.trim_ascii_end();
    }
    let quotes = run(label.iter().rev(), b"\"'[])}\\");
    let announced = announced(label.get(..label.len().saturating_sub(quotes))?)?;
    let join = match text.get(at) {
        Some(b'=') => Join::Equals,
        _ if quotes > 0 => Join::Firm,
        _ => Join::Colon,
    };
    let start = end.saturating_add(run(text.get(end..)?, b" \t"));
    // YAML's tags
    let tag = text.get(start..)?.strip_prefix(b"!!");
    let tag = tag.map_or(0, |rest| {
        rest.iter()
            .take_while(|byte| **byte > b' ')
            .count()
            .saturating_add(3)
    });
    let start = start.saturating_add(tag);
    let list = list(text, start);
    let start = start.saturating_add(run(text.get(start..)?, b"["));
    list.filter(|_| announced.1 == Which::All)
        .map(|range| (announced.0, range))
        .or_else(|| checked(text, announced, join, value(text, start)?))
}

/// How many of these bytes are at the beginning.
fn run<'a>(text: impl IntoIterator<Item = &'a u8>, bytes: &[u8]) -> usize {
    text.into_iter().take_while(|byte| bytes.contains(byte)).count()
}

/// Numbers or characters, one by one, in brackets.
fn list(text: &[u8], start: usize) -> Option<Range<usize>> {
    let inner = text
        .get(start..)?
        .strip_prefix(b"[")
        .or(text.get(start..)?.strip_prefix(b"{"))?;
    let end = inner.iter().take(400).position(|byte| b"]}\n".contains(byte))?;
    let mut items = inner.get(..end)?.split(|byte| *byte == b',');
    let short = |item: &[u8]| (1..=6).contains(&item.trim_ascii().len());
    let many = memchr::memchr_iter(b',', inner.get(..end)?).count() >= 3;
    let start = start.saturating_add(1);
    (many && items.all(short)).then(|| start..start.saturating_add(end))
}

/// `<label>value<`, with attributes behind the label's name.
fn element(text: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let start = at.saturating_sub(LONGEST.saturating_mul(4));
    let tag = text.get(start..at)?;
    let tag = tag.get(memchr::memrchr(b'<', tag)?.saturating_add(1)..)?;
    let name = tag.split(|byte| byte.is_ascii_whitespace()).next()?;
    let announced = announced(name)?;
    let from = at.saturating_add(1);
    let length = memchr::memchr2(b'<', b'\n', text.get(from..)?)?;
    let range = from..from.saturating_add(length);
    let closed = text.get(range.end) == Some(&b'<');
    if closed {
        checked(text, announced, Join::Firm, range)
    } else {
        None
    }
}

/// `--label value`, and a label with a blank behind it.
fn spaced(text: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let before = text.get(at.saturating_sub(LONGEST)..at)?;
    if !before.last()?.is_ascii_alphanumeric() {
        return None;
    }
    let word = before
        .rsplit(|byte| *byte <= b' ' || b"\"'".contains(byte))
        .next()?;
    let start = at.saturating_add(run(text.get(at..)?, b" \t"));
    let option = word.starts_with(b"-");
    let found = match word {
        b"-u" | b"-U" | b"-l" => (Kind::User, Which::NotPlain),
        b"-p" | b"-P" | b"-w" | b"-k" | b"-a" => (Kind::Secret, Which::NotPlain),
        _ if option => announced(word)?,
        _ => announced(before)?,
    };
    let (join, found) = match found {
        found if option => (Join::Firm, found),
        (kind, Which::All) => (Join::Blank, (kind, Which::NotPlain)),
        found => (Join::Blank, found),
    };
    if text.get(start) == Some(&b'-') && found.1 != Which::Fraction {
        return None;
    }
    checked(text, found, join, value(text, start)?)
}

/// In quotes whatever is in them, else up to the next blank.
fn value(text: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = text.get(start..)?;
    let quote = rest.first().copied().filter(|byte| b"\"'".contains(byte));
    let range = match quote {
        Some(quote) => {
            let inner = rest.get(1..)?;
            let mut escaped = false;
            let length = inner.iter().position(|byte| {
                let end = !escaped && (*byte == quote || *byte == b'\n');
                escaped = !escaped && *byte == b'\\' && quote == b'"';
                end
            });
            1..length.unwrap_or(inner.len()).saturating_add(1)
        }
        None => {
            let end = |byte: &u8| *byte <= b' ' || b"\"'<>".contains(byte);
            0..rest.iter().position(end).unwrap_or(rest.len())
        }
    };
    (!range.is_empty()).then(|| moved(start, &range))
}

/// The value, if it is one.
fn checked(
    text: &[u8],
    (kind, which): (Kind, Which),
    join: Join,
    range: Range<usize>,
) -> Option<(Kind, Range<usize>)> {
    let range = assigned(text, range)?;
    let value = text.get(range.clone())?;
    let before = range.start.checked_sub(1).and_then(|before| text.get(before));
    let quoted = before.is_some_and(|sign| b"\"'".contains(sign) && text.get(range.end) == Some(sign));
    let address = value.starts_with(b"0x") || value.iter().all(u8::is_ascii_hexdigit);
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let mixed = value.len() >= 6 && letters && value.iter().any(u8::is_ascii_digit) && !address;
    let shortest = if join == Join::Blank { 6 } else { 4 };
    let made_up = value.len() >= shortest && !is_plain(value);
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let firm = matches!(join, Join::Equals | Join::Firm);
    // The kernel's hosts and nodes are devices.
    if kind == Kind::Host && !firm {
        return None;
    }
    let wanted = match which {
        Which::All => true,
        Which::NotPlain => made_up || (mixed && join != Join::Colon && quoted),
        Which::Assigned => firm || quoted || (made_up && join != Join::Blank),
        Which::Named if firm && value.len() >= 3 => {
            return Some((kind, name(text, range).filter(|range| is_name(text, range))?));
        }
        Which::Named => made_up || mixed,
        Which::Number => value.len() >= 8 && digits >= 4,
        Which::Sentence => {
            let mut words = value.split(|byte| *byte == b' ');
            let title = |word: &[u8]| word.first().is_some_and(|first| !first.is_ascii_lowercase());
            join == Join::Equals && value.contains(&b' ') && value.len() <= 40 && words.all(title)
        }
        Which::Fraction => {
            let dot = value.iter().position(|byte| *byte == b'.');
            dot.is_some_and(|dot| value.len().saturating_sub(dot) > 3)
                && value
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b".,-+".contains(byte))
        }
    };
    wanted.then_some((kind, range))
}

/// Letters, digits and the signs of names; no address.
fn is_name(text: &[u8], range: &Range<usize>) -> bool {
    let value = text.get(range.clone()).unwrap_or_default();
    let sign = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"._-\\@ ".contains(byte);
    !is_word(value) && value.iter().all(sign)
}

/// What the label at the end of this text announces: its last words, without signs between them,
/// without a number or a way of writing at the end.
fn announced(text: &[u8]) -> Option<(Kind, Which)> {
    let text = text.get(text.len().saturating_sub(LONGEST)..)?;
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let end = text.len().saturating_sub(digits);
    let two = [text.get(end.checked_sub(2)?)?, text.get(end.checked_sub(1)?)?];
    if !ENDS.contains(&two.map(u8::to_ascii_lowercase)) {
        return None;
    }
    // Letters of the label from its end, and whether a word begins at each.
    let mut name = Vec::with_capacity(text.len());
    let mut starts = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        let before = at
            .checked_sub(1)
            .and_then(|before| text.get(before))
            .copied()
            .unwrap_or(b' ');
        if byte.is_ascii_alphanumeric() {
            starts.push(!before.is_ascii_alphanumeric() || byte.is_ascii_uppercase());
            name.push(byte.to_ascii_lowercase());
        } else if !b"_-. \t".contains(byte) {
            name.clear();
            starts.clear();
        }
    }
    let trimmed = |name: &[u8]| name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = name.len();
    for written in WRITTEN.split_ascii_whitespace() {
        let kept = name.len().saturating_sub(written.len());
        if name.ends_with(written.as_bytes()) && starts.get(kept) == Some(&true) && kept > 0 {
            length = kept;
        }
    }
    let found = |length: usize| {
        let name = name.get(..length)?;
        let length = length.saturating_sub(trimmed(name));
        word(name.get(..length)?, &starts)
    };
    found(name.len()).or_else(|| found(length))
}

fn word(name: &[u8], starts: &[bool]) -> Option<(Kind, Which)> {
    WORDS.iter().find_map(|(kind, which, words)| {
        let ends = |word: &str| {
            let plural = name.strip_suffix(b"s").filter(|_| word.len() > 4).unwrap_or(name);
            [name, plural].iter().any(|name| {
                let start = name.len().saturating_sub(word.len());
                name.ends_with(word.as_bytes()) && (word.len() >= 6 || starts.get(start) == Some(&true))
            })
        };
        let mut words = words.split_ascii_whitespace();
        words.any(ends).then_some((*kind, *which))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        find(&View::of(text.as_bytes()), &mut found);
        found.into_iter().map(|found| &text[found.range]).collect()
    }

    #[test]
    fn whatever_joins_a_word_and_its_value() {
        for text in [
            "password=v1 x",
            "DB_PASSWORD: v1",
            "dbPassword := 'v1'",
            r#"{"db.pw" : "v1"}"#,
            "'secret' => 'v1',",
            "a --api-key v1 x",
            "<ns:Token a=\"b\">v1</ns:Token>",
            "<b>Pass phrase</b>: v1",
            r#".psk = "v1","#,
            "X-Auth-Token: v1",
            "token[]=v1&x=y",
            r#"passwords: ["v1", "v2"]"#,
        ] {
            assert!(matches!(values(text)[..], ["v1"]), "{text}: {:?}", values(text));
        }
    }

    #[test]
    fn words_of_the_kernel_announce_only_what_is_not_plain() {
        for text in [
            "key: ffff800080003d60",
            "key=value",
            "user: 1000",
            "host: ahci",
            "login: root",
            "tokens=3",
        ] {
            assert_eq!(values(text), Vec::<&str>::new(), "{text}");
        }
        assert_eq!(values("secret=s3c; key=key196val"), ["s3c", "key196val"]);
        assert_eq!(values("lat=52.520008 lat=3 lat: x"), ["52.520008"]);
    }
}
