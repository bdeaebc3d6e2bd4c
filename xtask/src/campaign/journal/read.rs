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

/// Parses the bytes of the journal that is called `name`. Errors name file and line: a line that is no JSON object of ours and is
/// neither the last one, cut off, nor marked as cut off by the writer that went on; a newer format.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Read> {
    let mut read = Read::default();
    let mut pieces: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // What follows the last line break: nothing, or a line without its end.
    let rest = pieces.pop().unwrap_or_default();
    let parsed: Vec<Result<Line>> = pieces.iter().map(|piece| line(piece)).collect();
    let is_mark = |at: usize| matches!(parsed.get(at), Some(Ok(line)) if line.event == Event::Torn);
    let marked: Vec<bool> = (0..parsed.len())
        .map(|at| is_mark(at.saturating_add(1)))
        .collect();
    for (at, (parsed, marked)) in parsed.into_iter().zip(marked).enumerate() {
        match parsed {
            _ if marked => read.torn.push(at.saturating_add(1)),
            Ok(line) if line.event == Event::Torn => {}
            Ok(line) => read.lines.push(line),
            Err(error) => return Err(error).with_context(|| format!("{name}:{}", at.saturating_add(1))),
        }
    }
    if !rest.is_empty() {
        read.torn.push(pieces.len().saturating_add(1));
    }
    Ok(read)
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
