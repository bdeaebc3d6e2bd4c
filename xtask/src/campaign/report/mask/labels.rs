//! Values behind a word that says what they are, whatever joins the two: `=`, `:`, `=>`, blanks
//! behind an option, JSON, YAML, XML's attributes and elements, headers of HTTP, members of a struct
//! in C.

use super::found::{Found, Spread};
use super::odd::is_plain;
use super::secrets::assigned;
use super::view::View;
use super::{Kind, moved};
use std::ops::Range;

/// Which values a word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All.
    All,
    /// Those that are not plain words, numbers or addresses: the kernel uses the word too.
    NotPlain,
    /// All behind `=` or a word in quotes, else those that are not plain.
    Assigned,
    /// Decimal fractions: a place on earth.
    Fraction,
    /// What has a blank in it, behind `=`: a device's name that a person chose.
    Sentence,
}

/// Words with what they announce. A label ends with one of them: in `wpa_psk`, `GITHUB_TOKEN`,
/// `accessToken`, `db.pw` that is the word. One of fewer than six letters is a word of its own there.
const WORDS: &[(Kind, Which, &[&str])] = &[
    (
        Kind::Secret,
        Which::All,
        &[
            "password",
            "passwort",
            "passwd",
            "passwrd",
            "passphrase",
            "passcode",
            "pswd",
            "psswd",
            "pwd",
            "passord",
            "wachtwoord",
            "contrasena",
            "senha",
            "kennwort",
            "motdepasse",
            "token",
            "secret",
            "credential",
            "credentials",
            "apikey",
            "accesskey",
            "secretkey",
            "privatekey",
            "encryptionkey",
            "authkey",
            "sharedkey",
            "accountkey",
            "signingkey",
            "presharedkey",
            "clientkey",
            "masterkey",
            "sessionkey",
            "licensekey",
            "networkkey",
            "lukskey",
            "hostkey",
            "statickey",
            "noncekey",
            "secretkeybase",
            "keydata",
            "psk",
            "wepkey",
            "pincode",
            "puk",
            "cookie",
            "sessionid",
            "sessid",
            "csrf",
            "csrftoken",
            "connectionstring",
            "mnemonic",
            "totpseed",
            "otpseed",
            "otpkey",
            "passkey",
            "cryptkey",
            "wpakey",
            "wifikey",
            "devicekey",
            "appkey",
            "userpass",
            "rootpass",
            "rootpw",
            "bindpw",
            "adminpw",
            "otp",
            "totp",
            "jwt",
            "bearer",
            "xauth",
        ],
    ),
    (
        Kind::Secret,
        Which::NotPlain,
        &[
            "key",
            "hmac",
            "salt",
            "seed",
            "signature",
            "community",
            "creds",
            "ticket",
            "login",
            "session",
            "sid",
            "authorization",
            "passwords",
            "dsn",
            "webhook",
            "keyfile",
            "license",
            "activation",
            "voucher",
            "recovery",
            "challenge",
            "authenticator",
        ],
    ),
    (Kind::Secret, Which::Assigned, &["pass", "pw", "pin", "auth"]),
    (
        Kind::User,
        Which::NotPlain,
        &[
            "nick", "nickname", "account", "acct", "member", "login", "username", "user",
        ],
    ),
    (
        Kind::Host,
        Which::NotPlain,
        &[
            "domain",
            "workgroup",
            "realm",
            "server",
            "gateway",
            "host",
            "computer",
            "machine",
            "site",
            "tenant",
        ],
    ),
    (
        Kind::Serial,
        Which::NotPlain,
        &[
            "asset",
            "inventory",
            "iban",
            "phone",
            "tel",
            "mobile",
            "badge",
            "barcode",
        ],
    ),
    (
        Kind::Person,
        Which::Sentence,
        &["name", "alias", "realname", "fullname", "displayname"],
    ),
    (
        Kind::Id,
        Which::Fraction,
        &["lat", "lon", "lng", "latitude", "longitude", "altitude"],
    ),
];
/// How a secret is written, at the end of its label.
const WRITTEN: &[&str] = &[
    "b64",
    "base64",
    "base",
    "hex",
    "raw",
    "data",
    "value",
    "text",
    "enc",
    "encrypted",
];
/// A label is not longer.
const LONGEST: usize = 48;

/// Adds every value of the view that a label announces.
pub(super) fn find(view: &View, into: &mut Vec<Found>) {
    let text = &view.text;
    let mut end = 0;
    for at in memchr::memchr3_iter(b'=', b':', b'>', text) {
        // `=>`, `:=`, `::`: the first is the sign.
        if at >= end {
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
    }
    for at in memchr::memchr_iter(b'-', text) {
        add(view, option(text, at), into);
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
        label = label.get(..open)?;
    }
    let label = label.trim_ascii_end();
    let quotes = label
        .iter()
        .rev()
        .take_while(|byte| b"\"'[])}\\".contains(byte))
        .count();
    let (kind, which) = announced(label.get(..label.len().saturating_sub(quotes))?)?;
    let rest = text.get(end..)?;
    let blanks = rest.iter().take_while(|byte| b" \t[".contains(byte)).count();
    let start = end.saturating_add(blanks);
    let which = match (which, text.get(at)) {
        (Which::Assigned, _) if quotes > 0 => Which::All,
        (Which::Assigned, Some(b'=')) => Which::All,
        (Which::Sentence, Some(b':')) => return None,
        _ => which,
    };
    checked(text, kind, which, value(text, start)?)
}

/// `<label>value<`, also with a space in front of the label's name.
fn element(text: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let start = at.saturating_sub(LONGEST.saturating_mul(4));
    let tag = text.get(start..at)?;
    let tag = tag.get(memchr::memrchr(b'<', tag)?.saturating_add(1)..)?;
    let name = tag.split(|byte| byte.is_ascii_whitespace()).next()?;
    let (kind, which) =
        announced(name.get(memchr::memchr(b':', name).map_or(0, |at| at.saturating_add(1))..)?)?;
    let from = at.saturating_add(1);
    let length = text
        .get(from..)?
        .iter()
        .take_while(|byte| !b"<\n".contains(byte))
        .count();
    let closed = text.get(from.saturating_add(length)) == Some(&b'<');
    let range = from..from.saturating_add(length);
    if closed {
        checked(text, kind, which, range)
    } else {
        None
    }
}

/// `--label value`.
fn option(text: &[u8], at: usize) -> Option<(Kind, Range<usize>)> {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    if before.is_some_and(|byte| !b" \t\"'\n".contains(byte)) {
        return None;
    }
    let rest = text.get(at..)?;
    let length = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
        .count();
    let blanks = rest
        .iter()
        .skip(length)
        .take_while(|byte| b" \t".contains(byte))
        .count();
    if length < 2 || blanks == 0 {
        return None;
    }
    let (kind, which) = match rest.get(..length)? {
        b"-u" | b"-U" | b"-l" => (Kind::User, Which::NotPlain),
        b"-p" | b"-P" | b"-w" | b"-k" | b"-a" => (Kind::Secret, Which::NotPlain),
        name => announced(name)?,
    };
    let start = at.saturating_add(length).saturating_add(blanks);
    let value = value(text, start)?;
    let next = text.get(start) == Some(&b'-');
    if next {
        None
    } else {
        checked(text, kind, which, value)
    }
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
            0..rest
                .iter()
                .position(|byte| *byte <= b' ' || b"\"'<>".contains(byte))
                .unwrap_or(rest.len())
        }
    };
    (!range.is_empty()).then(|| moved(start, &range))
}

/// The value, if it is one.
fn checked(text: &[u8], kind: Kind, which: Which, range: Range<usize>) -> Option<(Kind, Range<usize>)> {
    let range = assigned(text, range)?;
    let value = text.get(range.clone())?;
    let wanted = match which {
        Which::All => true,
        Which::NotPlain | Which::Assigned => value.len() >= 4 && !is_plain(value),
        Which::Sentence => value.contains(&b' '),
        Which::Fraction => {
            let dot = value.iter().position(|byte| *byte == b'.');
            dot.is_some_and(|dot| value.len().saturating_sub(dot) > 3)
                && value
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b".-+".contains(byte))
        }
    };
    wanted.then_some((kind, range))
}

/// What the label at the end of this text announces: its last words, without signs between them,
/// without a number or a way of writing at the end.
fn announced(text: &[u8]) -> Option<(Kind, Which)> {
    let text = text.get(text.len().saturating_sub(LONGEST)..)?;
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
    for written in WRITTEN {
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
        let ends = |word: &&&str| {
            let plural = name.strip_suffix(b"s").filter(|_| word.len() > 4).unwrap_or(name);
            [name, plural].iter().any(|name| {
                let start = name.len().saturating_sub(word.len());
                name.ends_with(word.as_bytes()) && (word.len() >= 6 || starts.get(start) == Some(&true))
            })
        };
        words.iter().find(ends).map(|_| (*kind, *which))
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
