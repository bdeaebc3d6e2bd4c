//! What git says about the diffs of patches: nothing is said about a patch that git would say
//! otherwise.
//!
//! `git apply --numstat -z --summary` (git-apply(1)) needs no tree: it lists the files with the
//! number of lines that come and go, and which files are made, taken away, renamed or copied. Our
//! own scan has to come to the same list.

use super::{Patch, headers_of_others, mail};
use crate::host::one_line::one_line;
use crate::host::process;
use crate::host::scratch;
use crate::kernel::diff::FileChange;
use crate::kernel::git::git;
use anyhow::{Context, Result, bail};
use regex::bytes::Regex;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use xshell::Shell;

const LIMIT: Duration = Duration::from_secs(600);

/// Patches that one process is given: their names are its arguments.
const AT_ONCE: usize = 500;

/// Asks git about all of the patches. Errors, with the patch's name: git cannot read it (git's
/// words), or reads it otherwise than Lockstep does.
pub fn refuse_other_reading(patches: &[&Patch]) -> Result<()> {
    for some in patches.chunks(AT_ONCE) {
        // Where all at once is not as it should be, each on its own says which it is.
        if some.len() > 1 && differs(some)?.is_none() {
            continue;
        }
        for patch in some {
            if let Some(why) = differs(std::slice::from_ref(patch))? {
                bail!("{}: {why}", patch.name);
            }
        }
    }
    Ok(())
}

/// Why git's list is not ours; `None`: it is.
fn differs(patches: &[&Patch]) -> Result<Option<String>> {
    let folder = scratch::folder()?;
    let root = folder.path().canonicalize()?;
    let mut names: Vec<OsString> = Vec::new();
    for (at, patch) in patches.iter().enumerate() {
        let name = format!("{at:04}");
        fs::write(root.join(&name), diff_as_mailed(patch)?).context("writing a patch for git")?;
        names.push(name.into());
    }
    let sh = Shell::new()?;
    let command = git(&sh, &root)
        .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(Path::new("/")))
        .args(["apply", "--numstat", "--summary", "-z"])
        .args(&names);
    let said = process::finish(command, LIMIT)?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        let words: Vec<String> = words
            .lines()
            .map(|line| one_line(line.strip_prefix("error: ").unwrap_or(line)))
            .collect();
        return Ok(Some(format!("git cannot read the diff: {}", words.join("; "))));
    }
    let ours: Vec<u8> = patches.iter().flat_map(|patch| list(patch)).collect();
    let (ours, theirs) = (names_and_counts(&ours), names_and_counts(&said.stdout));
    if ours == theirs {
        return Ok(None);
    }
    let shown = |list: &[u8]| one_line(&String::from_utf8_lossy(list).replace(['\0', '\n'], "; "));
    Ok(Some(format!(
        "git reads the diff as `{}`, and Lockstep as `{}`; write the patch again with `git format-patch`",
        shown(&theirs),
        shown(&ours)
    )))
}

/// The diff as the mail has it, with the words around it, as git is given it.
fn diff_as_mailed(patch: &Patch) -> Result<Vec<u8>> {
    Ok(mail::read(&headers_of_others::as_mail(&patch.mail), super::Scissors::Kept)?.patch)
}

/// The list of git for one patch: counts and names first, then what happens to files as a whole.
fn list(patch: &Patch) -> Vec<u8> {
    let mut list = Vec::new();
    for file in &patch.files {
        let count = |origin: u8| {
            let lines = file.hunks.iter().flat_map(|hunk| &hunk.lines);
            lines.filter(|line| line.origin == origin).count()
        };
        let counts = match &file.binary {
            Some(_) => "-\t-".to_string(),
            None => format!("{}\t{}", count(b'+'), count(b'-')),
        };
        list.extend(
            [
                counts.as_bytes(),
                b"\t",
                name(file.new.as_ref().or(file.old.as_ref())),
                b"\0",
            ]
            .concat(),
        );
    }
    for file in &patch.files {
        list.extend(summary(file));
    }
    list
}

fn name(path: Option<&std::path::PathBuf>) -> &[u8] {
    path.map(|path| path.as_os_str().as_encoded_bytes())
        .unwrap_or_default()
}

/// `show_file_mode_name()` and `show_rename_copy()` of git's apply.c.
fn summary(file: &FileChange) -> Vec<u8> {
    let (old, new) = (name(file.old.as_ref()), name(file.new.as_ref()));
    let whole = |what: &str, path: &[u8]| [b" ", what.as_bytes(), b" ", path, b"\n"].concat();
    match (&file.old, &file.new) {
        (None, _) => whole("create", new),
        (_, None) => whole("delete", old),
        _ if old == new && !file.copied => Vec::new(),
        _ => {
            let what = if file.copied { "copy" } else { "rename" };
            let slashes = old.iter().zip(new).take_while(|(old, new)| old == new);
            let same = slashes.enumerate().filter(|(_, (byte, _))| **byte == b'/').last();
            let (both, old, new) = match same.map(|(at, _)| at.saturating_add(1)) {
                Some(at) => {
                    let (both, old) = old.split_at_checked(at).unwrap_or_default();
                    (both, old, new.get(at..).unwrap_or_default())
                }
                None => (b"".as_slice(), old, new),
            };
            let (open, close) = if both.is_empty() { ("", "") } else { ("{", "}") };
            let parts = [
                b" ",
                what.as_bytes(),
                b" ",
                both,
                open.as_bytes(),
                old,
                b" => ",
                new,
                close.as_bytes(),
                b"\n",
            ];
            parts.concat()
        }
    }
}

/// A list without modes, and without how similar two files are: git is right about both in the
/// commit. What happens to whole files begins behind the NUL of the last name.
fn names_and_counts(list: &[u8]) -> Vec<u8> {
    static NOT_SAID: LazyLock<[(Regex, &[u8]); 3]> = LazyLock::new(|| {
        let forms: [(&str, &[u8]); 3] = [
            (r"(?m-u) \(\d+%\)$", b""),
            (
                r"(?m-u)(^|\x00) (mode change \d{6} => \d{6}|rewrite)( .*)?\n",
                b"$1",
            ),
            (r"(?m-u)(^|\x00) (create|delete) mode \d{6} ", b"$1 $2 "),
        ];
        forms.map(|(form, kept)| (Regex::new(form).expect("the expression is a constant"), kept))
    });
    NOT_SAID.iter().fold(list.to_vec(), |list, (form, kept)| {
        form.replace_all(&list, *kept).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "From: Ann <a@b.c>\nSubject: x\n\n---\n\
        diff --git a/d/x y b/d/z\nsimilarity index 90%\nrename from d/x y\nrename to d/z\n\
        diff --git a/new b/new\nnew file mode 100755\nindex 0000000..e69de29\n\
        diff --git a/m b/m\nold mode 100644\nnew mode 100755\n\
        diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";

    #[test]
    fn a_reading_that_is_not_git_s_is_refused() {
        let good = Patch::parse("good", MAIL.as_bytes()).unwrap();
        refuse_other_reading(&[&good, &good]).unwrap();
        let file = |at: usize, path: &str| {
            let mut bad = good.clone();
            bad.name = "bad".into();
            bad.files[at].old = bad.files[at].old.as_ref().map(|_| path.into());
            bad
        };
        let error = |patch: &Patch| refuse_other_reading(&[&good, patch]).unwrap_err().to_string();
        for bad in [file(0, "d/x"), file(3, "other")] {
            let said = error(&bad);
            assert!(
                said.starts_with("bad: git reads the diff as `0\\t0\\td/z; "),
                "{said}"
            );
        }
        let mut less = good.clone();
        less.files[3].hunks[0].lines.clear();
        assert!(error(&less).contains("and Lockstep as"));
    }

    #[test]
    fn what_git_cannot_read_is_refused_in_its_words() {
        let mail = MAIL.replace("-a\n", " a\n").replace("+0,0", "+1");
        let patch = Patch::parse("p", mail.replace("deleted file mode 100644\n", "").as_bytes()).unwrap();
        let said = refuse_other_reading(&[&patch]).unwrap_err().to_string();
        assert!(said.starts_with("p: git cannot read the diff: "), "{said}");
    }
}
