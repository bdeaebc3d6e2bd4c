//! The diff of a patch, scanned: what it does to which files, and whether it is whole, so that an error names a
//! line of the patch file.
//!
//! Grammar: "Generating patch text with -p" of git-diff(1), and the unified format of POSIX diff(1).

mod header_lines;
pub mod hunks;
pub mod patch_id;
mod paths;

use anyhow::{Result, bail};
use header_lines::{
    PlainPath, Prefix, blob_ids, hunk_counts, octal, plain_path, shorter, strip_any, trim_end,
};
use hunks::{Hunk, Line};
use paths::{header_paths, named_path, unquote};
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
    /// Mode before, where the patch says it.
    pub old_mode: Option<u32>,
    /// The file of the old name stays.
    pub copied: bool,
    /// Its hunks; none for a pure rename, a mode change or a binary patch.
    pub hunks: Vec<Hunk>,
    /// The lines from `GIT binary patch` on.
    pub binary: Option<Vec<u8>>,
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
    /// The bytes of the diff alone: no notes before it, no signature behind it, and a space in front of context
    /// lines that a mail program emptied (`git apply` takes them so, too).
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
        plain_prefix: None,
    };
    let mut files = Vec::new();
    while let Some(line) = scanner.peek() {
        if line.starts_with(b"diff --git ") {
            files.extend(scanner.file()?);
        } else if scanner.at_plain_header() {
            files.push(scanner.plain_file()?);
        } else {
            scanner.at = scanner.at.saturating_add(1);
        }
    }
    if files.is_empty() {
        bail!(
            "{name}: holds no diff, so it changes nothing; a patch has to be as `git format-patch` writes it"
        );
    }
    Ok(Scanned {
        files,
        text: scanner.text,
    })
}

/// Whether a diff, or what is left of one, stands anywhere in the bytes.
pub fn is_there(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"diff --git ") || line.starts_with(b"@@ -"))
}

/// What happens to a file as a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
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
    /// Whether names of a diff that git did not write begin with a folder that goes away; the first
    /// file decides.
    plain_prefix: Option<Prefix>,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    fn line_number(&self) -> usize {
        self.first_line.saturating_add(self.at)
    }

    /// Takes the line at hand into the text.
    fn take(&mut self) {
        self.text.extend_from_slice(self.peek().unwrap_or_default());
        self.at = self.at.saturating_add(1);
    }

    /// At `--- `, `+++ ` and a hunk without `diff --git` before them, as quilt and diff(1) write it.
    fn at_plain_header(&self) -> bool {
        let starts = |offset: usize, with: &[u8]| {
            self.lines
                .get(self.at.saturating_add(offset))
                .is_some_and(|line| line.starts_with(with))
        };
        starts(0, b"--- ") && starts(1, b"+++ ") && starts(2, b"@@ -")
    }

    /// A file of a diff that git did not write (`parse_traditional_patch()` in git's apply.c): the
    /// first folder of its names goes away (`-p1`), unless a new name has none; of two names the
    /// new one is taken, or the shorter one if the new one only adds to it.
    fn plain_file(&mut self) -> Result<FileChange> {
        let line = self.line_number();
        let header = |offset: usize, prefix: &[u8]| {
            let line = self.lines.get(self.at.saturating_add(offset));
            line.and_then(|line| line.strip_prefix(prefix))
                .unwrap_or_default()
        };
        let (old, new) = (header(0, b"--- "), header(1, b"+++ "));
        let prefix = self.plain_prefix.or_else(|| Prefix::of(new));
        self.plain_prefix = prefix;
        let prefix = prefix.unwrap_or_default();
        let (old, new) = (plain_path(old, prefix), plain_path(new, prefix));
        let (life, path) = match (old, new) {
            (PlainPath::Nothing, PlainPath::Is(new)) => (Life::New, new),
            (PlainPath::Is(old), PlainPath::Nothing) => (Life::Deleted, old),
            (PlainPath::Was(old), PlainPath::Is(new)) => (Life::New, shorter(old, new)),
            (PlainPath::Is(old), PlainPath::Was(new)) => (Life::Deleted, shorter(old, new)),
            (PlainPath::Is(old), PlainPath::Is(new)) => (Life::Stays, shorter(old, new)),
            _ => bail!(
                "{}:{line}: `{}` and the line behind it name no file below a folder such as `a/` and `b/`",
                self.name,
                String::from_utf8_lossy(trim_end(self.peek().unwrap_or_default()))
            ),
        };
        let mut change = FileChange {
            old: (life != Life::New).then(|| path.clone()),
            new: (life != Life::Deleted).then(|| path.clone()),
            blobs: None,
            new_mode: None,
            old_mode: None,
            copied: false,
            hunks: Vec::new(),
            binary: None,
            line,
        };
        self.refuse_escapes(&change)?;
        let path = path.as_os_str().as_encoded_bytes();
        let (a, b) = ([b"a/", path].concat(), [b"b/", path].concat());
        let text = &mut self.text;
        text.extend([b"diff --git ".as_slice(), &a, b" ", &b, b"\n"].concat());
        match life {
            Life::New => text.extend_from_slice(b"new file mode 100644\n"),
            Life::Deleted => text.extend_from_slice(b"deleted file mode 100644\n"),
            Life::Stays => {}
        }
        let nothing = b"/dev/null".to_vec();
        let (a, b) = match life {
            Life::New => (nothing, b),
            Life::Deleted => (a, nothing),
            Life::Stays => (a, b),
        };
        text.extend([b"--- ".as_slice(), &a, b"\n+++ ", &b, b"\n"].concat());
        self.at = self.at.saturating_add(2);
        self.hunks(&mut change, life)?;
        Ok(change)
    }

    /// A file of a diff that git wrote; `None` where `diff --git` is followed by no line of a
    /// header: such a line is text to git.
    fn file(&mut self) -> Result<Option<FileChange>> {
        let header = self.peek().unwrap_or_default();
        let (line, start) = (self.line_number(), self.text.len());
        let shown = trim_end(header.strip_prefix(b"diff --git ").unwrap_or_default());
        let (old, new) = header_paths(shown).unzip();
        let mut change = FileChange {
            old,
            new,
            blobs: None,
            new_mode: None,
            old_mode: None,
            copied: false,
            hunks: Vec::new(),
            binary: None,
            line,
        };
        self.take();
        let header_ends = self.at;
        let life = self.header_lines(&mut change)?;
        if self.at == header_ends {
            self.text.truncate(start);
            return Ok(None);
        }
        let renamed = change.old != change.new;
        change.old = change.old.filter(|_| life != Life::New);
        change.new = change.new.filter(|_| life != Life::Deleted);
        if change.old.is_none() && change.new.is_none() {
            bail!(
                "{}:{line}: `diff --git {}` does not name a file below a folder such as `a/` and `b/`",
                self.name,
                String::from_utf8_lossy(shown)
            );
        }
        self.refuse_escapes(&change)?;
        self.content(&mut change, life)?;
        let mode =
            change.new_mode.is_some() && change.old_mode.is_some() && change.new_mode != change.old_mode;
        let changes_name_or_mode = life != Life::Stays || renamed || change.copied || mode;
        if change.hunks.is_empty() && change.binary.is_none() && !changes_name_or_mode {
            bail!(
                "{}:{line}: `diff --git` is followed by no hunk and no change of a name or a mode: the \
                 patch is cut off or was edited by hand",
                self.name
            );
        }
        Ok(Some(change))
    }

    /// Hunks, or a binary patch, or nothing.
    fn content(&mut self, change: &mut FileChange, life: Life) -> Result<()> {
        let Some(line) = self.peek() else { return Ok(()) };
        let start = self.text.len();
        if line.starts_with(b"@@ -") {
            return self.hunks(change, life);
        }
        if trim_end(line) == b"GIT binary patch" {
            self.refuse_short_ids(change)?;
            self.binary();
        } else if strip_any(line, &[b"Binary files ", b"Files "]).is_some()
            && trim_end(line).ends_with(b" differ")
        {
            // git takes the content from its own objects where the `index` line names one that is
            // there.
            if self.refuse_short_ids(change).is_err() {
                bail!(
                    "{}:{}: the content of this binary file is not in the patch; `git format-patch` without `--no-binary` puts it there",
                    self.name,
                    self.line_number()
                );
            }
            self.take();
        } else {
            return Ok(());
        }
        change.binary = self.text.get(start..).map(<[u8]>::to_vec);
        Ok(())
    }

    /// The lines behind `diff --git`, up to the first that is none of a header
    /// (`parse_git_diff_header()` in git's apply.c).
    fn header_lines(&mut self, change: &mut FileChange) -> Result<Life> {
        let mut life = Life::Stays;
        while let Some(line) = self.peek() {
            if let Some(path) = line.strip_prefix(b"--- ") {
                change.old = named_path(path).or(change.old.take());
            } else if let Some(path) = line.strip_prefix(b"+++ ") {
                change.new = named_path(path).or(change.new.take());
            } else if let Some(path) = strip_any(line, &[b"rename from ", b"rename old ", b"copy from "]) {
                change.old = Some(unquote(trim_end(path)));
                change.copied = line.starts_with(b"copy");
            } else if let Some(path) = strip_any(line, &[b"rename to ", b"rename new ", b"copy to "]) {
                change.new = Some(unquote(trim_end(path)));
            } else if let Some(mode) = line.strip_prefix(b"new file mode ") {
                (life, change.new_mode) = (Life::New, Some(self.mode(mode)?));
            } else if let Some(mode) = line.strip_prefix(b"new mode ") {
                change.new_mode = Some(self.mode(mode)?);
            } else if let Some(mode) = line.strip_prefix(b"old mode ") {
                change.old_mode = octal(mode);
            } else if let Some(mode) = line.strip_prefix(b"deleted file mode ") {
                (life, change.old_mode) = (Life::Deleted, octal(mode));
            } else if let Some(ids) = line.strip_prefix(b"index ") {
                change.blobs = blob_ids(ids);
                let mode = ids.split(|byte| *byte == b' ').nth(1).and_then(octal);
                change.old_mode = mode.or(change.old_mode);
            } else if strip_any(line, &[b"similarity index ", b"dissimilarity index "]).is_none() {
                break;
            }
            self.take();
        }
        Ok(life)
    }

    /// A mode that a file of the kernel can have, as git keeps it: 0644, 0755, or a symbolic link.
    fn mode(&self, text: &[u8]) -> Result<u32> {
        match octal(text) {
            Some(mode) if mode & 0o170_000 == 0o100_000 && mode & 0o100 != 0 => Ok(0o100_755),
            Some(mode) if mode & 0o170_000 == 0o100_000 => Ok(0o100_644),
            Some(mode) if mode & 0o170_000 == 0o120_000 => Ok(0o120_000),
            _ => bail!(
                "{}:{}: found the mode `{}`; allowed are 100644, 100755 and 120000 (a submodule has no place in a kernel patch)",
                self.name,
                self.line_number(),
                String::from_utf8_lossy(trim_end(text))
            ),
        }
    }

    /// git's rule: without full ids nobody can tell that the binary content is the one that is meant.
    fn refuse_short_ids(&self, change: &FileChange) -> Result<()> {
        let full = |id: &str| id.len() >= 40;
        if change
            .blobs
            .as_ref()
            .is_some_and(|(old, new)| full(old) && full(new))
        {
            return Ok(());
        }
        bail!(
            "{}:{}: a binary patch needs the full ids in its `index` line; `git format-patch --full-index` writes them",
            self.name,
            change.line
        )
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

    fn hunks(&mut self, change: &mut FileChange, life: Life) -> Result<()> {
        while let Some(header) = self.peek() {
            if !header.starts_with(b"@@ -") {
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
            let (misfit, what) = match life {
                Life::New => (old.count > 0, "makes a new file, but needs lines that are there"),
                Life::Deleted => (new.count > 0, "takes a file away, but leaves lines of it"),
                Life::Stays => (false, ""),
            };
            if misfit {
                bail!(
                    "{}:{at}: `{}` {what}",
                    self.name,
                    String::from_utf8_lossy(trim_end(header))
                );
            }
            self.take();
            let mut hunk = Hunk {
                header: String::from_utf8_lossy(trim_end(header)).into_owned(),
                old,
                new,
                lines: Vec::new(),
            };
            self.hunk_lines(at, &mut hunk)?;
            change.hunks.push(hunk);
        }
        Ok(())
    }

    /// The lines of one hunk, whose header stands in line `header`.
    fn hunk_lines(&mut self, header: usize, hunk: &mut Hunk) -> Result<()> {
        let (mut old, mut new) = (hunk.old.count, hunk.new.count);
        let less_one = |count: usize| count.saturating_sub(1);
        loop {
            let line = self.peek();
            if line.is_some_and(|line| line.starts_with(b"\\")) {
                // "\ No newline at end of file", in whatever language: of the line before.
                if let Some(last) = hunk.lines.last_mut().filter(|last| last.text.ends_with(b"\n")) {
                    last.text.pop();
                }
                self.take();
                continue;
            }
            if old == 0 && new == 0 {
                return Ok(());
            }
            let mut empty = false;
            match line.and_then(|line| line.first()) {
                Some(b' ') if old > 0 && new > 0 => (old, new) = (less_one(old), less_one(new)),
                Some(b'-') if old > 0 => old = less_one(old),
                Some(b'+') if new > 0 => new = less_one(new),
                Some(b'\n') if old > 0 && new > 0 => {
                    (old, new) = (less_one(old), less_one(new));
                    self.text.push(b' ');
                    empty = true;
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
            let text = line.unwrap_or_default();
            hunk.lines.push(Line {
                origin: text.first().copied().filter(|_| !empty).unwrap_or(b' '),
                text: text.get(usize::from(!empty)..).unwrap_or_default().to_vec(),
            });
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

#[cfg(test)]
mod tests;
