//! The diff of a patch, scanned: which files it touches, and whether it is whole. Applying is libgit2's work; this
//! finds damage first, so that the error names a line of the patch file.
//!
//! Grammar: "Generating patch text with -p" of git-diff(1), and the unified format of POSIX diff(1).

mod paths;

use anyhow::{Result, bail};
use paths::{either, header_paths, named_path, unquote, with_quotes};
use std::path::{Component, Path, PathBuf};

/// One file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path before; `None` for a new file.
    pub old: Option<PathBuf>,
    /// Path after; `None` for a deleted file.
    pub new: Option<PathBuf>,
    /// Abbreviated or full blob id before and after, from the `index` line.
    pub blobs: Option<(String, String)>,
    /// Mode after, where the patch sets it (new file or changed mode), for example `0o100755`.
    pub new_mode: Option<u32>,
    /// Number of hunks; 0 for a pure rename, a mode change or a binary patch.
    pub hunks: usize,
    /// Line of `diff --git` in the patch file, from 1.
    pub line: usize,
}

impl FileChange {
    /// Path before and path after, once if they are the same.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let new = self
            .new
            .as_deref()
            .filter(|new| Some(*new) != self.old.as_deref());
        self.old.as_deref().into_iter().chain(new)
    }
}

/// A diff that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The files, in the order of the patch.
    pub files: Vec<FileChange>,
    /// The bytes of the diff alone: no notes before it, no signature behind it, and a space in front of context lines that a
    /// mail program emptied (`git apply` takes them so, too).
    pub text: Vec<u8>,
}

/// Scans what stands behind the commit message of a patch. `first_line` is the number of the first line of `bytes` in
/// the patch file `name`, for errors. Errors: no `diff --git`, CR LF line ends, a hunk that is shorter or longer than
/// its header says, a header that cannot be read.
pub fn scan(name: &str, bytes: &[u8], first_line: usize) -> Result<Scanned> {
    let mut scanner = Scanner {
        name,
        lines: bytes.split_inclusive(|byte| *byte == b'\n').collect(),
        at: 0,
        first_line,
        text: Vec::with_capacity(bytes.len()),
    };
    let mut files = Vec::new();
    while let Some(line) = scanner.peek() {
        if line.starts_with(b"diff --git ") {
            files.push(scanner.file()?);
        } else {
            scanner.at += 1;
        }
    }
    if files.is_empty() {
        bail!(
            "{name}: holds no `diff --git` line, so it changes nothing; a patch has to be as `git format-patch` writes it"
        );
    }
    Ok(Scanned {
        files,
        text: scanner.text,
    })
}

/// What happens to a file as a whole.
#[derive(PartialEq, Eq)]
enum Life {
    Stays,
    New,
    Deleted,
}

struct Scanner<'a> {
    name: &'a str,
    lines: Vec<&'a [u8]>,
    at: usize,
    first_line: usize,
    text: Vec<u8>,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    fn line_number(&self) -> usize {
        self.first_line + self.at
    }

    /// Takes the line at hand into the text.
    fn take(&mut self) {
        self.text.extend_from_slice(self.lines[self.at]);
        self.at += 1;
    }

    fn file(&mut self) -> Result<FileChange> {
        let header = self.lines[self.at];
        let line = self.line_number();
        if header.ends_with(b"\r\n") {
            bail!(
                "{}:{line}: the line ends in CR LF: a mail program or an editor has converted the line ends of this patch; \
                 write it anew with `git format-patch`, or take it from the list with `b4 am`",
                self.name
            );
        }
        let shown = trim_end(&header["diff --git ".len()..]);
        let (old, new) = header_paths(shown).unzip();
        let mut change = FileChange {
            old,
            new,
            blobs: None,
            new_mode: None,
            hunks: 0,
            line,
        };
        let header_at = self.text.len();
        self.take();
        let header_end = self.text.len();
        let kind = self.header_lines(&mut change)?;
        change.old = change.old.filter(|_| kind != Life::New);
        change.new = change.new.filter(|_| kind != Life::Deleted);
        if change.old.is_none() && change.new.is_none() {
            bail!(
                "{}:{line}: `diff --git {}` does not name a file below `a/` and `b/`",
                self.name,
                String::from_utf8_lossy(shown)
            );
        }
        if shown.iter().filter(|byte| **byte == b' ').count() > 1 && !shown.starts_with(b"\"") {
            let old = either(&change.old, &change.new, "a/");
            let new = either(&change.new, &change.old, "b/");
            let header = [b"diff --git ".as_slice(), &old, b" ", &new, b"\n"].concat();
            self.text.splice(header_at..header_end, header);
        }
        self.refuse_escapes(&change)?;
        Ok(change)
    }

    /// The lines behind `diff --git`, up to the next file.
    fn header_lines(&mut self, change: &mut FileChange) -> Result<Life> {
        let mut life = Life::Stays;
        while let Some(line) = self.peek() {
            if line.starts_with(b"diff --git ") || line == b"-- \n" || line.trim_ascii().is_empty() {
                break;
            }
            if line.starts_with(b"@@ ") {
                self.hunks(change)?;
                break;
            }
            if line.starts_with(b"GIT binary patch") {
                self.binary();
                break;
            }
            if let Some(path) = line.strip_prefix(b"--- ") {
                change.old = named_path(path, b"a/").or(change.old.take());
            } else if let Some(path) = line.strip_prefix(b"+++ ") {
                change.new = named_path(path, b"b/").or(change.new.take());
            } else if let Some(path) = strip_any(line, &[b"rename from ", b"copy from "]) {
                change.old = Some(unquote(trim_end(path)));
            } else if let Some(path) = strip_any(line, &[b"rename to ", b"copy to "]) {
                change.new = Some(unquote(trim_end(path)));
            } else if let Some(mode) = line.strip_prefix(b"new file mode ") {
                (life, change.new_mode) = (Life::New, octal(mode));
            } else if let Some(mode) = line.strip_prefix(b"new mode ") {
                change.new_mode = octal(mode);
            } else if line.starts_with(b"deleted file mode ") {
                life = Life::Deleted;
            } else if let Some(ids) = line.strip_prefix(b"index ") {
                change.blobs = blob_ids(ids);
            } else if strip_any(
                line,
                &[b"old mode ", b"similarity index ", b"dissimilarity index "],
            )
            .is_none()
            {
                bail!(
                    "{}:{}: found `{}` in the header of a file's diff; allowed here: an extended header of git-diff(1), \
                     `--- `, `+++ ` or `@@ `",
                    self.name,
                    self.line_number(),
                    String::from_utf8_lossy(trim_end(line))
                );
            }
            self.text.extend(with_quotes(line));
            self.at += 1;
        }
        Ok(life)
    }

    fn refuse_escapes(&self, change: &FileChange) -> Result<()> {
        let escapes = |path: &&Path| !path.components().all(|part| matches!(part, Component::Normal(_)));
        match change.paths().find(escapes) {
            Some(path) => bail!(
                "{}:{}: the path `{}` leaves the tree; a patch may name files below the tree's root only",
                self.name,
                change.line,
                path.display()
            ),
            None => Ok(()),
        }
    }

    fn hunks(&mut self, change: &mut FileChange) -> Result<()> {
        while let Some(header) = self.peek() {
            if !header.starts_with(b"@@ ") {
                break;
            }
            let at = self.line_number();
            let Some((old, new)) = hunk_counts(header) else {
                bail!(
                    "{}:{at}: found `{}`; a hunk header is `@@ -LINE[,COUNT] +LINE[,COUNT] @@`",
                    self.name,
                    String::from_utf8_lossy(trim_end(header))
                );
            };
            self.take();
            self.hunk_lines(at, old, new)?;
            change.hunks += 1;
        }
        if let Some(line) = self.peek() {
            let surplus =
                matches!(line.first(), Some(b'+' | b'-' | b' ')) && !trim_end(line).starts_with(b"--");
            if surplus {
                bail!(
                    "{}:{}: found `{}` behind the last line of a hunk: the hunk has more lines than its header says",
                    self.name,
                    self.line_number(),
                    String::from_utf8_lossy(trim_end(line))
                );
            }
        }
        Ok(())
    }

    /// The lines of one hunk, whose header stands in line `header` and promises `old` and `new` lines.
    fn hunk_lines(&mut self, header: usize, mut old: usize, mut new: usize) -> Result<()> {
        loop {
            let line = self.peek();
            if line.is_some_and(|line| line.starts_with(b"\\")) {
                self.take();
                continue;
            }
            if old == 0 && new == 0 {
                return Ok(());
            }
            match line.and_then(|line| line.first()) {
                Some(b' ') if old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
                Some(b'-') if old > 0 => old -= 1,
                Some(b'+') if new > 0 => new -= 1,
                Some(b'\n') if old > 0 && new > 0 => {
                    (old, new) = (old - 1, new - 1);
                    self.text.push(b' ');
                }
                _ => {
                    let found = match line {
                        Some(line) => format!("`{}`", String::from_utf8_lossy(trim_end(line))),
                        None => "the end of the file".to_string(),
                    };
                    bail!(
                        "{}:{}: found {found}, but the hunk of line {header} still needs {old} old and {new} new lines \
                         (each starts with a space, `-` or `+`): the patch is cut off or was edited by hand",
                        self.name,
                        self.line_number()
                    );
                }
            }
            self.take();
        }
    }

    /// A binary patch: blocks of lines, each block ended by an empty line.
    fn binary(&mut self) {
        self.take();
        while let Some(line) = self.peek() {
            let goes_on = line.starts_with(b"literal ")
                || line.starts_with(b"delta ")
                || line == b"\n"
                || line.first().is_some_and(u8::is_ascii_alphabetic) && !line.starts_with(b"diff ");
            if !goes_on {
                return;
            }
            self.take();
        }
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

fn strip_any<'a>(line: &'a [u8], prefixes: &[&[u8]]) -> Option<&'a [u8]> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(*prefix))
}

fn octal(mode: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(trim_end(mode)).ok()?, 8).ok()
}

/// Old and new line counts of `@@ -l,s +l,s @@`; a missing count is 1.
fn hunk_counts(header: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(header.strip_prefix(b"@@ -")?)
        .map_or_else(
            |error| std::str::from_utf8(&header[4..4 + error.valid_up_to()]),
            Ok,
        )
        .ok()?;
    let (ranges, _) = text.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((line, count)) => line.parse::<usize>().ok().and(count.parse().ok()),
        None => range.parse::<usize>().ok().map(|_| 1),
    };
    Some((count(old)?, count(new)?))
}

/// `abc123..def456[ 100644]`.
fn blob_ids(ids: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(ids).ok()?;
    let (old, new) = text.split_whitespace().next()?.split_once("..")?;
    Some((old.to_string(), new.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &str = "diff --git a/f b/f\nindex 1234567..89abcde 100644\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@ fn\n a\n+b\n c\n";

    fn error(text: &str) -> String {
        scan("p.patch", text.as_bytes(), 10).unwrap_err().to_string()
    }

    #[test]
    fn notes_and_signature_are_left_out() {
        let text = format!("---\n notes\n f | 1 +\n\n{CHANGE}-- \n2.39.2\n\n");
        let scanned = scan("p.patch", text.as_bytes(), 10).unwrap();
        assert_eq!(String::from_utf8(scanned.text).unwrap(), CHANGE);
        assert_eq!(scanned.files[0].line, 14);
        assert_eq!(scanned.files[0].hunks, 1);
        assert_eq!(scanned.files[0].blobs, Some(("1234567".into(), "89abcde".into())));
    }

    #[test]
    fn a_short_hunk_is_named_with_its_lines() {
        let error = error("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n a\n+b\n-- \n2.39\n");
        // `-- ` is taken for a removed line, as git takes it; what is missing then shows at the line after it.
        assert!(error.starts_with("p.patch:17: found `2.39`"), "{error}");
        assert!(
            error.contains("the hunk of line 13 still needs 0 old and 1 new lines"),
            "{error}"
        );
    }

    #[test]
    fn a_long_hunk_is_named() {
        let error = error(&format!("{CHANGE}+d\n"));
        assert!(error.starts_with("p.patch:18: found `+d`"), "{error}");
    }

    #[test]
    fn converted_line_ends_are_named_as_such() {
        let error = error(&CHANGE.replace('\n', "\r\n"));
        assert!(error.contains("p.patch:10: the line ends in CR LF"), "{error}");
    }

    #[test]
    fn a_carriage_return_inside_a_line_of_the_file_is_no_damage() {
        scan("p", CHANGE.replace("+b\n", "+b\r\n").as_bytes(), 1).unwrap();
    }

    #[test]
    fn emptied_context_lines_get_their_space_back() {
        let text = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n\n+b\n c\n";
        let scanned = scan("p", text.as_bytes(), 1).unwrap();
        assert!(
            String::from_utf8(scanned.text)
                .unwrap()
                .contains("@@\n \n+b\n c\n")
        );
    }

    #[test]
    fn renames_new_deleted_and_quoted_files_are_known() {
        let text = "diff --git a/x y b/z\nsimilarity index 100%\nrename from x y\nrename to z\n\
                    diff --git a/new b/new\nnew file mode 100644\nindex 0000000..e69de29\n\
                    diff --git a/gone b/gone\ndeleted file mode 100644\nindex e69de29..0000000\n\
                    diff --git \"a/\\303\\244\" \"b/\\303\\244\"\nold mode 100644\nnew mode 100755\n";
        let files = scan("p", text.as_bytes(), 1).unwrap().files;
        let paths: Vec<_> = files.iter().map(|f| (f.old.clone(), f.new.clone())).collect();
        let path = |p: &str| Some(PathBuf::from(p));
        assert_eq!(paths[0], (path("x y"), path("z")));
        assert_eq!(paths[1], (None, path("new")));
        assert_eq!(paths[2], (path("gone"), None));
        assert_eq!(paths[3], (path("ä"), path("ä")));
    }

    #[test]
    fn a_path_that_leaves_the_tree_is_refused() {
        let error = error("diff --git a/../f b/../f\n--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-a\n+b\n");
        assert!(error.contains("leaves the tree"), "{error}");
    }

    #[test]
    fn a_patch_without_a_diff_changes_nothing() {
        assert!(error("some text\n").contains("no `diff --git` line"));
    }

    #[test]
    fn a_broken_hunk_header_is_shown() {
        let error = error("diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,x +1 @@\n");
        assert!(error.starts_with("p.patch:13: found `@@ -1,x +1 @@`"), "{error}");
    }
}
