//! Journal entries as fields: `journalctl -o export` (systemd's "Journal Export Format") and `-o verbose`.

use super::journal::{Entry, Raw};
use super::record::LONGEST_LINE;

/// Collects the fields of an entry, line by line.
#[derive(Debug, Default)]
pub(super) struct Fields {
    entry: Raw,
    /// Nothing of this entry was seen yet.
    filled: bool,
    /// A binary field of the export format: its name, and its length and bytes as far as they came.
    binary: Option<(String, Vec<u8>)>,
    /// In the verbose format, the column of the last field's value: further lines of it are indented so far.
    column: usize,
    last: String,
}

impl Fields {
    /// Takes a line of the export format; returns the entry that ended before it.
    pub fn export(&mut self, line: &[u8]) -> Option<Entry> {
        if let Some((name, mut bytes)) = self.binary.take() {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            self.binary(name, bytes);
            return None;
        }
        // A copy may have the line ends of other systems, and the mark of their encoding.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return self.end();
        }
        match line.iter().position(|&byte| byte == b'=') {
            Some(at) => {
                let value = String::from_utf8_lossy(line.get(at.saturating_add(1)..).unwrap_or_default())
                    .into_owned();
                self.set(
                    &String::from_utf8_lossy(line.get(..at).unwrap_or_default()),
                    value,
                );
            }
            None => self.binary = Some((String::from_utf8_lossy(line).into_owned(), Vec::new())),
        }
        None
    }

    /// A 64-bit length, little-endian, so many bytes, a line feed.
    fn binary(&mut self, name: String, bytes: Vec<u8>) {
        let length = bytes
            .first_chunk::<8>()
            .and_then(|length| usize::try_from(u64::from_le_bytes(*length)).ok())
            .filter(|_| bytes.len() > 8);
        match length {
            None if bytes.len() <= 8 => self.binary = Some((name, bytes)),
            Some(length) if length <= LONGEST_LINE => {
                let value = bytes.get(8..).unwrap_or_default();
                match value.get(..length).filter(|_| value.len() > length) {
                    Some(value) => self.set(&name, String::from_utf8_lossy(value).into_owned()),
                    None => self.binary = Some((name, bytes)),
                }
            }
            // A length that no message has: the log is damaged here, and the next entry begins with a line of its own.
            _ => {}
        }
    }

    /// Takes a line of the verbose format; returns the entry that ended before it.
    pub fn verbose(&mut self, line: &str) -> Option<Entry> {
        let line = line.trim_end_matches('\r');
        let indented = line.bytes().take_while(|&byte| byte == b' ').count();
        if indented == 0 && !line.is_empty() {
            return self.end();
        }
        if self.column > 0 && indented >= self.column {
            let more = line.get(self.column..).unwrap_or_default();
            let name = self.last.clone();
            if let Some(value) = self.entry.field(&name) {
                value.push('\n');
                value.push_str(more);
            }
            return None;
        }
        if let Some((name, value)) = line.trim_start().split_once('=') {
            self.column = indented.saturating_add(name.len()).saturating_add(1);
            self.last = name.to_string();
            self.set(name, value.to_string());
        }
        None
    }

    fn set(&mut self, name: &str, value: String) {
        self.filled = true;
        if let Some(field) = self.entry.field(name) {
            *field = value;
        }
    }

    /// Ends the log, or an entry.
    pub fn end(&mut self) -> Option<Entry> {
        self.column = 0;
        let entry = std::mem::take(&mut self.entry);
        std::mem::take(&mut self.filled).then(|| entry.entry())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_export_format_with_a_binary_field() {
        let mut fields = Fields::default();
        let mut text = b"__CURSOR=s\n_BOOT_ID=x\nPRIORITY=4\nMESSAGE\n".to_vec();
        // Its length is a line feed, and so is a byte of it.
        text.extend(10_u64.to_le_bytes());
        text.extend(b"one\ntwo\n=x\n\n__CURSOR=t\nMESSAGE=three\n");
        let mut found: Vec<Entry> = text
            .split(|&byte| byte == b'\n')
            .filter_map(|line| fields.export(line))
            .collect();
        found.extend(fields.end());
        let texts: Vec<&str> = found.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["one\ntwo\n=x", "three"]);
        assert_eq!(found[0].priority, Some(4));
    }

    #[test]
    fn the_verbose_format_with_a_message_of_two_lines() {
        let text = "Mon 2026-11-30 01:00:00 UTC [s=a;i=1]\n    PRIORITY=4\n    MESSAGE=one\n            two\n    _BOOT_ID=x\nMon [s=a;i=2]\n    MESSAGE=three\n";
        let mut fields = Fields::default();
        let mut found: Vec<Entry> = text.lines().filter_map(|line| fields.verbose(line)).collect();
        found.extend(fields.end());
        let texts: Vec<&str> = found.iter().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["one\ntwo", "three"]);
    }

    #[test]
    fn hostile_lengths_are_survived() {
        let mut fields = Fields::default();
        fields.export(b"MESSAGE");
        fields.export(&[0xff; 20]);
        assert_eq!(fields.end(), None);
    }
}
