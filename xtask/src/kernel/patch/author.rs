//! Who wrote a patch and when, as git reads it.

use anyhow::{Result, bail};

/// When the author wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorDate {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Offset of the author's clock from UTC, minutes.
    pub offset_minutes: i32,
}

/// Name and address of a `From:` value, by the rules of `handle_from` in git's mailinfo.c and of ident.c: the word
/// with the first `@` is the address, what remains is the name. `None`: neither.
pub(super) fn name_and_address(from: &str) -> Option<(String, String)> {
    let text = without_quotes(&single_spaced(from));
    let (name, address) = match text.split_once('@') {
        Some((before, behind)) => {
            let starts = |c: char| c == '<' || c.is_ascii_whitespace();
            let ends = |c: char| c == '>' || c.is_ascii_whitespace();
            let local = before.rsplit(starts).next().unwrap_or_default();
            let name = before.strip_suffix(local).unwrap_or_default();
            let (domain, more) = behind.split_once(ends).unwrap_or((behind, ""));
            let name = name.strip_suffix('<').unwrap_or(name);
            (format!("{name} {more}"), format!("{local}@{domain}"))
        }
        None => {
            let (name, rest) = text.split_once('<')?;
            let (address, _) = rest.split_once('>')?;
            (name.to_string(), address.to_string())
        }
    };
    let name = single_spaced(&name);
    let name = name
        .strip_prefix('(')
        .and_then(|name| name.strip_suffix(')'))
        .unwrap_or(&name);
    // Longer names are an address list gone wrong, by git's rule.
    let usable = !name.is_empty() && name.len() <= 60 && !name.contains(['@', '<', '>']);
    let name = clean(if usable { name } else { &address });
    let address = clean(&address);
    (!name.is_empty() && !address.is_empty()).then_some((name, address))
}

/// What git leaves out of a name: control characters and punctuation at both ends, `<` and `>` anywhere.
fn clean(name: &str) -> String {
    let crud = |c: char| c <= ' ' || ",:;<>\"\\'".contains(c);
    name.trim_matches(crud).replace(['<', '>', '\n'], "")
}

/// Takes quoted strings out of their quotes, and the backslashes out of them (RFC 5322 quoted pairs); comments keep their
/// parentheses.
fn without_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut depth) = (false, 0usize);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted || depth > 0 => out.extend(characters.next()),
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => {
                depth = depth.saturating_add(1);
                out.push(c);
            }
            ')' if depth > 0 => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// White space made single, and none at the ends.
pub(super) fn single_spaced(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A date as mails have it (RFC 5322), as git shows it, in ISO 8601, or in seconds since 1970. Errors name what is
/// allowed.
pub(super) fn date(text: &str) -> Result<AuthorDate> {
    let text = single_spaced(text);
    let found = rfc5322(&text)
        .or_else(|| seconds(&text))
        .or_else(|| other_forms(&text));
    match found {
        Some(date) => Ok(date),
        None => bail!(
            "found `{text}`; a date is like `Tue, 3 Mar 2026 10:11:12 +0100`, `2026-03-03 10:11:12 +0100` or `@1772529072 +0100`"
        ),
    }
}

fn rfc5322(text: &str) -> Option<AuthorDate> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    Some(of(&parser.parse_zoned(text).ok()?))
}

/// `@1772529072 +0100`.
fn seconds(text: &str) -> Option<AuthorDate> {
    let (seconds, zone) = text.split_once(' ').unwrap_or((text, "+0000"));
    let seconds = match seconds.strip_prefix('@') {
        Some(seconds) => seconds,
        // Without the sign, eight digits and fewer are a day.
        None if seconds.len() > 8 => seconds,
        None => return None,
    };
    let number: i32 = zone.parse().ok().filter(|_| zone.len() == 5)?;
    let (hours, minutes) = (number.checked_div(100)?, number.checked_rem(100)?);
    Some(AuthorDate {
        seconds: seconds.parse().ok()?,
        offset_minutes: hours.checked_mul(60)?.checked_add(minutes)?,
    })
}

fn other_forms(text: &str) -> Option<AuthorDate> {
    [
        "%Y-%m-%d %H:%M:%S %z",
        "%Y-%m-%dT%H:%M:%S%:z",
        "%Y-%m-%dT%H:%M:%S%z",
        "%a %b %d %H:%M:%S %Y %z",
    ]
    .iter()
    .find_map(|form| jiff::Zoned::strptime(form, text).ok())
    .map(|date| of(&date))
}

fn of(date: &jiff::Zoned) -> AuthorDate {
    AuthorDate {
        seconds: date.timestamp().as_second(),
        offset_minutes: date.offset().seconds() / 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_taken_apart_as_git_does() {
        for (from, name, address) in [
            ("Ann Other <ann@x.org>", "Ann Other", "ann@x.org"),
            ("\"Other, Ann\" <ann@x.org>", "Other, Ann", "ann@x.org"),
            ("ann@x.org (Ann Other)", "Ann Other", "ann@x.org"),
            (
                "Ann (work) Other <ann@x.org> (x)",
                "Ann (work) Other (x)",
                "ann@x.org",
            ),
            (
                "\"Ann \\\"A\\\" Other\" <ann@x.org>",
                "Ann \"A\" Other",
                "ann@x.org",
            ),
            ("<ann@x.org>", "ann@x.org", "ann@x.org"),
            ("ann@x.org", "ann@x.org", "ann@x.org"),
            ("Ann <ann>", "Ann", "ann"),
        ] {
            let found = name_and_address(from);
            assert_eq!(found, Some((name.to_string(), address.to_string())), "{from}");
        }
        assert_eq!(name_and_address("Ann"), None);
    }

    #[test]
    fn dates_are_read_in_the_forms_that_occur() {
        let wanted = AuthorDate {
            seconds: 1_772_545_272,
            offset_minutes: -210,
        };
        for text in [
            "Tue, 3 Mar 2026 10:11:12 -0330",
            "Wed, 3 Mar 2026 10:11:12 -0330",
            "3 Mar 2026 10:11:12 -0330",
            "Tue, 03 Mar 2026 10:11:12 -0330 (NST)",
            "2026-03-03 10:11:12 -0330",
            "2026-03-03T10:11:12-03:30",
            "Tue Mar 3 10:11:12 2026 -0330",
            "@1772545272 -0330",
            "1772545272 -0330",
        ] {
            assert_eq!(date(text).unwrap(), wanted, "{text}");
        }
        assert!(
            date("yesterday")
                .unwrap_err()
                .to_string()
                .contains("found `yesterday`")
        );
    }
}
