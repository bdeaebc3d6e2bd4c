//! Parses a journal. A last line that was cut off is tolerated and told; a bad line anywhere else is an error.

use super::{Event, Line, SCHEMA_VERSION};
use crate::document::Format;
use anyhow::{Context, Result};

/// A journal as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Numbers of lines that were cut off when their writer died, from 1. They do not count.
    pub torn: Vec<usize>,
}

/// Parses the bytes of the journal that is called `name`. Errors: as [`each`].
pub fn parse(name: &str, bytes: &[u8]) -> Result<Read> {
    let mut lines = Vec::new();
    let torn = each(name, bytes, |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok(Read { lines, torn })
}

/// Hands on the lines of the journal that is called `name`, one after the other, so that only what is kept of them takes memory (the values of a
/// line take ten times its length); gives the numbers of those that were cut off. Errors name file and line: a line that is no JSON object of ours
/// and is neither the last one, cut off, nor marked as cut off by the writer that went on; a newer format. Those of `take` are passed on.
pub fn each(name: &str, bytes: &[u8], mut take: impl FnMut(Line) -> Result<()>) -> Result<Vec<usize>> {
    let mut torn = Vec::new();
    // What follows the last line break: nothing, or a line without its end.
    let end = bytes.iter().rposition(|byte| *byte == b'\n');
    let (whole, rest) = match end.and_then(|end| bytes.split_at_checked(end.saturating_add(1))) {
        Some((whole, rest)) => (whole, rest),
        None => (b"".as_slice(), bytes),
    };
    let mut hand_on = |number: usize, parsed: Result<Line>| match parsed {
        Ok(line) if line.event == Event::Torn => Ok(()),
        Ok(line) => take(line),
        Err(error) => Err(error).with_context(|| format!("{name}:{number}")),
    };
    // A line counts unless the one behind it says that it was cut off.
    let mut before: Option<(usize, Result<Line>)> = None;
    let mut count = 0_usize;
    for piece in whole.split_inclusive(|byte| *byte == b'\n') {
        count = count.saturating_add(1);
        let parsed = line(piece);
        let marks = matches!(&parsed, Ok(line) if line.event == Event::Torn);
        match before.replace((count, parsed)) {
            Some((number, _)) if marks => torn.push(number),
            Some((number, parsed)) => hand_on(number, parsed)?,
            None => {}
        }
    }
    if let Some((number, parsed)) = before {
        hand_on(number, parsed)?;
    }
    if !rest.is_empty() {
        torn.push(count.saturating_add(1));
    }
    Ok(torn)
}

fn line(bytes: &[u8]) -> Result<Line> {
    const FORMAT: Format = Format {
        what: "a line of a journal",
        oldest: 1,
        newest: SCHEMA_VERSION,
    };
    FORMAT.read(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::measured;

    fn bytes(action: &str) -> String {
        format!(
            "{{\"schema_version\":2,\"time\":\"2026-11-22T10:00:00Z\",\"event\":\"intent\",\"step\":\"2.1\",\"action\":\"{action}\",\"detail\":null}}\n"
        )
    }

    #[test]
    fn a_cut_off_last_line_does_not_count_and_is_told() {
        let text = bytes("apply") + &bytes("build");
        for cut in 1..=bytes("build").len() {
            let read = parse("j", &text.as_bytes()[..text.len() - cut]).unwrap();
            let expected = usize::from(cut < bytes("build").len());
            assert_eq!((read.lines.len(), read.torn.len()), (1, expected), "cut {cut}");
        }
        assert_eq!(parse("j", b"").unwrap(), Read::default());
    }

    #[test]
    fn a_bad_line_in_the_middle_is_an_error_that_names_file_and_line() {
        let text = bytes("apply") + "{\"half\n" + &bytes("build");
        let error = format!("{:#}", parse("run/journal.jsonl", text.as_bytes()).unwrap_err());
        assert!(
            error.starts_with("run/journal.jsonl:2: this is not a line of a journal"),
            "{error}"
        );
    }

    /// A journal of some megabytes is one of a long campaign, and all runs are read for a list of them.
    #[test]
    fn the_lines_of_a_long_journal_are_not_held_together() {
        let name = "campaign::journal::read::tests::the_lines_of_a_long_journal_are_not_held_together";
        measured::within(100, name, &[], || {
            let detail = r#""detail":{"rows":[{"a":1,"b":[1,2,3],"c":{"d":"e"}},{"a":1,"b":[1,2,3]}]}"#;
            let text = bytes("apply").replace("\"detail\":null", detail).repeat(100_000);
            let mut count = 0;
            let torn = each("j", text.as_bytes(), |line| {
                count += usize::from(line.detail["rows"][0]["a"] == 1);
                Ok(())
            });
            assert!(torn.unwrap().is_empty() && count == 100_000);
        });
    }

    #[test]
    fn a_newer_format_is_refused() {
        let text = bytes("apply").replace("_version\":2", "_version\":9");
        let error = format!("{:#}", parse("j", text.as_bytes()).unwrap_err());
        assert!(error.contains("j:1") && error.contains("format 9"), "{error}");
    }

    #[test]
    fn a_journal_of_the_first_format_can_be_read() {
        let text = bytes("apply").replace("_version\":2", "_version\":1");
        assert_eq!(parse("j", text.as_bytes()).unwrap().lines.len(), 1);
    }
}
