//! Foreign words as names of files: whatever a board, a log or an archive calls something becomes one component of a path here, and nowhere else.

use super::files::sha256;
use std::path::Path;

/// Longest name that is kept as it is, bytes: ext4, btrfs and FAT allow 255, and callers put endings behind it.
const LONGEST: usize = 120;
/// Bytes of the foreign word that a changed name begins with, for whoever reads the folder.
const READABLE: usize = 60;
/// Hexadecimal digits of the hash that a changed name ends with.
const DIGITS: usize = 16;
/// Stands before the hash. No name that is kept as it is has one, so that no other word can be made to share a changed name.
const MARK: char = '~';

/// One component of a path: never empty, never `.` or `..`, no separator, no control character, at most 120 bytes, and not the start of an
/// option. Two different words never give the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct FileName(String);

impl FileName {
    /// The word itself where it is harmless: ASCII letters, digits and `-_.+@`, beginning with none of `-` and `.`; else what is
    /// harmless of it, with a hash of all of it.
    pub fn of_foreign(word: impl AsRef<[u8]>) -> Self {
        let word = word.as_ref();
        if let Ok(text) = std::str::from_utf8(word)
            && is_harmless(text)
        {
            return FileName(text.to_string());
        }
        let readable: String = String::from_utf8_lossy(word)
            .chars()
            .map(|c| if is_plain(c) { c } else { '_' })
            .take(READABLE)
            .collect();
        let readable = readable.trim_start_matches(['-', '.']);
        let hash = sha256(word);
        let hash = hash.get(..DIGITS).unwrap_or(&hash);
        FileName(match readable {
            "" => format!("x{MARK}{hash}"),
            readable => format!("{readable}{MARK}{hash}"),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for FileName {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl std::fmt::Display for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.+@".contains(c)
}

/// Whether a word can be a file's name as it is.
pub fn is_harmless(word: &str) -> bool {
    !word.is_empty() && word.len() <= LONGEST && !word.starts_with(['-', '.']) && word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Component;

    const HOSTILE: &[&str] = &[
        "",
        ".",
        "..",
        "...",
        "-rf",
        "/",
        "//",
        "a/b",
        "a_b",
        "../../etc/passwd",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "a\u{202e}b",
        "ä",
        "~",
        "x~0000000000000000",
        "a/../b",
        " ",
        "$(reboot)",
        "'; reboot; '",
        "C:\\x",
    ];

    #[test]
    fn harmless_words_are_kept() {
        for word in ["dmesg-ramoops-0", "7.3.4-lockdep+", "user@1000.service", "a"] {
            assert_eq!(FileName::of_foreign(word).as_str(), word);
        }
    }

    #[test]
    fn every_name_is_one_component_of_its_own() {
        let long = ["a".repeat(121), "a".repeat(122), "ä/".repeat(1 << 20)];
        let words: Vec<&str> = HOSTILE
            .iter()
            .copied()
            .chain(long.iter().map(String::as_str))
            .collect();
        let mut seen = BTreeSet::new();
        for word in &words {
            let name = FileName::of_foreign(word);
            let path: &Path = name.as_ref();
            let parts: Vec<Component> = path.components().collect();
            assert!(matches!(parts[..], [Component::Normal(_)]), "{word:?}: {name}");
            assert!(
                name.as_str().len() <= LONGEST && !name.as_str().starts_with(['-', '.']),
                "{name}"
            );
            assert!(name.as_str().chars().all(|c| is_plain(c) || c == MARK), "{name}");
            assert!(
                seen.insert(name.clone()),
                "{word:?} shares {name} with another word"
            );
            // What was made of a word cannot be asked for by another one.
            let again = FileName::of_foreign(name.as_str());
            assert!(again == name || !words.contains(&name.as_str()) && seen.insert(again));
        }
        assert_ne!(FileName::of_foreign(b"\xff"), FileName::of_foreign(b"\xfe"));
    }
}
