//! What a patch or a cover letter says it was made on.
//!
//! git-format-patch(1), "Base tree information": a line `base-commit: ID` and, for each patch that
//! has to be there between that commit and the series, a line `prerequisite-patch-id: ID` in the
//! order in which they were applied (an id of git-patch-id(1) `--stable`). They stand behind the
//! diff of the first patch, or in the cover letter, where b4 puts them, too.

use std::fmt;

/// What a series was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeOn {
    /// The commit, full hex (40 digits, 64 in a repository of SHA-256); `None`: it is not named.
    pub commit: Option<String>,
    /// Stable patch ids, full hex, the first applied first.
    pub prerequisites: Vec<String>,
}

const COMMIT: &str = "base-commit:";
const PREREQUISITE: &str = "prerequisite-patch-id:";

impl MadeOn {
    /// Reads the lines of a mail. A line of a diff begins with a mark and one of an answer with
    /// `>`, so neither is taken; what is no full id is passed over.
    pub fn read(text: &[u8]) -> Self {
        let mut found = MadeOn::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            if let Some(id) = line.strip_prefix(COMMIT).and_then(id) {
                found.commit.get_or_insert(id);
            } else if let Some(id) = line.strip_prefix(PREREQUISITE).and_then(id) {
                found.prerequisites.push(id);
            }
        }
        found
    }

    /// Adds what a later mail of the series says: the first commit that is named counts.
    pub fn add(&mut self, later: &MadeOn) {
        if self.commit.is_none() {
            self.commit.clone_from(&later.commit);
        }
        for id in &later.prerequisites {
            if !self.prerequisites.contains(id) {
                self.prerequisites.push(id.clone());
            }
        }
    }

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        self.commit.is_none() && self.prerequisites.is_empty()
    }
}

/// The lines, as git-format-patch(1) writes them.
impl fmt::Display for MadeOn {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let commit = self.commit.iter().map(|id| (COMMIT, id));
        let prerequisites = self.prerequisites.iter().map(|id| (PREREQUISITE, id));
        for (key, id) in commit.chain(prerequisites) {
            writeln!(f, "{key} {id}")?;
        }
        Ok(())
    }
}

fn id(value: &str) -> Option<String> {
    let id = value.trim();
    let whole = [40, 64].contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| id.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_ids_at_the_beginning_of_a_line_count() {
        let (one, two) = ("1".repeat(40), "A".repeat(40));
        let text = format!(
            "+base-commit: {two}\n> base-commit: {two}\nbase-commit: 123\nbase-commit: \
             {one}\r\nbase-commit: {two}\n\
             prerequisite-patch-id: {two}\nprerequisite-patch-id: {two}x\n"
        );
        let read = MadeOn::read(text.as_bytes());
        assert_eq!(
            read.to_string(),
            format!("base-commit: {one}\nprerequisite-patch-id: {}\n", "a".repeat(40))
        );
        assert_eq!(MadeOn::read(read.to_string().as_bytes()), read);
        let mut first = MadeOn::default();
        first.add(&read);
        first.add(&MadeOn {
            commit: Some(two),
            prerequisites: vec!["a".repeat(40)],
        });
        assert_eq!(first, read);
        assert!(MadeOn::read(b"base-commit: none\n").is_empty());
    }
}
