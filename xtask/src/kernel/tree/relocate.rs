//! Finding the place of each hunk whose lines have moved, since libgit2 looks only where the hunk header says.
//!
//! The rule is `git apply`'s (git's apply.c: `find_pos()`, `apply_one_fragment()`): every context line has to be there; the search begins where
//! the header says and goes outward, forwards first; a hunk that begins at line 1 stays at the beginning, one without
//! context behind it at the end.

use crate::kernel::diff::FileChange;
use std::path::Path;

/// The diff with its hunk headers rewritten to where their lines are. `content` gives a file as it is. `None` if a hunk has no place, or
/// the diff is not of the form that `files` was read from.
pub(super) fn relocate(
    diff: &[u8],
    files: &[FileChange],
    content: impl Fn(&Path) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = diff.split_inclusive(|&byte| byte == b'\n').collect();
    let mut out = Vec::with_capacity(diff.len());
    let mut files = files.iter();
    let mut place = None;
    let mut at = 0;
    while at < lines.len() {
        if lines[at].starts_with(b"diff --git ") {
            let old = files.next()?.old.as_deref();
            place = old.and_then(&content).map(File::new);
        }
        let Some(header) = Header::parse(lines[at]) else {
            out.extend_from_slice(lines[at]);
            at += 1;
            continue;
        };
        let body = header.body(&lines[at + 1..])?;
        let moved = match &mut place {
            Some(file) => file.place(&header, body)?,
            // A new file has its one hunk where it has to be.
            None => header,
        };
        out.extend(moved.line());
        body.iter().for_each(|line| out.extend_from_slice(line));
        at += 1 + body.len();
    }
    Some(out)
}

/// `@@ -old_start,old_count +new_start,new_count @@ rest`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header<'a> {
    old: (usize, usize),
    new: (usize, usize),
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let text = line.strip_prefix(b"@@ -")?;
        let end = text.windows(3).position(|window| window == b" @@")?;
        let (old, new) = std::str::from_utf8(&text[..end]).ok()?.split_once(" +")?;
        let range = |range: &str| -> Option<(usize, usize)> {
            let (start, count) = range.split_once(',').unwrap_or((range, "1"));
            Some((start.parse().ok()?, count.parse().ok()?))
        };
        Some(Header {
            old: range(old)?,
            new: range(new)?,
            rest: &text[end + 3..],
        })
    }

    fn line(&self) -> Vec<u8> {
        let ((old, old_count), (new, new_count)) = (self.old, self.new);
        let mut line = format!("@@ -{old},{old_count} +{new},{new_count} @@").into_bytes();
        line.extend_from_slice(self.rest);
        line
    }

    /// The lines of the hunk, `\ No newline` remarks included. `None`: fewer than the header says.
    fn body<'b>(&self, lines: &'b [&'b [u8]]) -> Option<&'b [&'b [u8]]> {
        let (mut old, mut new) = (0, 0);
        let mut length = 0;
        for line in lines {
            let whole = old == self.old.1 && new == self.new.1;
            match line.first() {
                Some(b'\\') => {}
                _ if whole => break,
                Some(b' ') => (old, new) = (old + 1, new + 1),
                Some(b'-') => old += 1,
                Some(b'+') => new += 1,
                _ => return None,
            }
            length += 1;
        }
        (old == self.old.1 && new == self.new.1).then(|| &lines[..length])
    }
}

/// A file that hunks are placed in, from its beginning to its end.
struct File {
    lines: Vec<Vec<u8>>,
    /// First line that no hunk has taken yet, from 0.
    free: usize,
    /// Lines that hunks so far added, less those that they removed.
    grown: isize,
}

impl File {
    fn new(content: Vec<u8>) -> Self {
        let lines = content
            .split_inclusive(|&byte| byte == b'\n')
            .map(|line| ended(line).to_vec())
            .collect();
        File {
            lines,
            free: 0,
            grown: 0,
        }
    }

    fn place<'a>(&mut self, header: &Header<'a>, body: &[&[u8]]) -> Option<Header<'a>> {
        let before: Vec<&[u8]> = body
            .iter()
            .filter(|line| matches!(line[0], b' ' | b'-'))
            .map(|line| ended(&line[1..]))
            .collect();
        let at_beginning = header.old.0 <= 1;
        let mut changes = body.iter().filter(|line| line[0] != b'\\');
        let at_end = changes.next_back().is_some_and(|line| line[0] != b' ');
        let fits = |at: usize| {
            at >= self.free
                && at + before.len() <= self.lines.len()
                && (!at_beginning || at == 0)
                && (!at_end || at + before.len() == self.lines.len())
                && before
                    .iter()
                    .zip(&self.lines[at..])
                    .all(|(wanted, there)| wanted == there)
        };
        let expected = (header.new.0 as isize - 1 - self.grown).max(0) as usize;
        let expected = expected.min(self.lines.len());
        let outward = (0..=self.lines.len()).flat_map(|step| {
            let forwards = expected.checked_add(step);
            let backwards = if step == 0 {
                None
            } else {
                expected.checked_sub(step)
            };
            [forwards, backwards].into_iter().flatten()
        });
        let at = outward.into_iter().find(|at| fits(*at))?;
        // A range of no lines names the line before it (POSIX diff, unified format).
        let start = |at: usize, count: usize| if count == 0 { at } else { at + 1 };
        let new_at = (at as isize + self.grown).max(0) as usize;
        let moved = Header {
            old: (start(at, header.old.1), header.old.1),
            new: (start(new_at, header.new.1), header.new.1),
            rest: header.rest,
        };
        self.free = at + before.len();
        self.grown += header.new.1 as isize - header.old.1 as isize;
        Some(moved)
    }
}

/// A line without its end.
fn ended(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const DIFF: &str = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -2,3 +2,4 @@ fn\n b\n c\n+new\n d\n@@ -7,3 +8,2 @@\n g\n-h\n i\n";

    fn files() -> Vec<FileChange> {
        let path = Some(PathBuf::from("f"));
        vec![FileChange {
            old: path.clone(),
            new: path,
            blobs: None,
            new_mode: None,
            hunks: 2,
            line: 1,
        }]
    }

    fn check(content: &str, expected: Option<[&str; 2]>) {
        let found = relocate(DIFF.as_bytes(), &files(), |_| Some(content.as_bytes().to_vec()));
        let headers = found.map(|text| {
            let text = String::from_utf8(text).unwrap();
            let headers: Vec<String> = text
                .lines()
                .filter(|line| line.starts_with("@@"))
                .map(String::from)
                .collect();
            <[String; 2]>::try_from(headers).unwrap()
        });
        assert_eq!(
            headers,
            expected.map(|headers| headers.map(String::from)),
            "{content}"
        );
    }

    #[test]
    fn hunks_stay_where_they_fit() {
        check(
            "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n",
            Some(["@@ -2,3 +2,4 @@ fn", "@@ -7,3 +8,2 @@"]),
        );
    }

    #[test]
    fn hunks_follow_their_lines() {
        check(
            "x\ny\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n",
            Some(["@@ -4,3 +4,4 @@ fn", "@@ -9,3 +10,2 @@"]),
        );
        check(
            "b\nc\nd\nf\ng\nh\ni\nj\n",
            Some(["@@ -1,3 +1,4 @@ fn", "@@ -5,3 +6,2 @@"]),
        );
    }

    #[test]
    fn a_context_line_that_changed_has_no_place() {
        check("a\nb\nC\nd\ne\nf\ng\nh\ni\nj\n", None);
        check("a\nb\nc\nd\ne\nf\ng\nh\nI\nj\n", None);
    }

    #[test]
    fn a_hunk_is_never_put_before_the_one_before_it() {
        check("g\nh\ni\na\nb\nc\nd\n", None);
    }

    #[test]
    fn of_two_places_the_nearer_is_taken_and_forwards_first() {
        let content = "b\nc\nd\nx\nb\nc\nd\ng\nh\ni\nj\n";
        check(content, Some(["@@ -1,3 +1,4 @@ fn", "@@ -8,3 +9,2 @@"]));
    }
}
