//! A patch applied by `git am` itself, in a throw-away repository that holds only the files that the patch touches.
//!
//! git reads the mail, applies the diff and makes the commit: what git refuses is refused, and what it makes is what
//! comes into the tree. Nothing of the user's repository is written.

use super::graft::{Files, differences, small_tree};
use super::three_way;
use crate::host::one_line::one_line;
use crate::host::process;
use crate::host::scratch;
use crate::kernel::git::git;
use crate::kernel::patch::Patch;
use anyhow::{Context, Result, bail};
use git2::{Commit, Oid, Repository, RepositoryInitOptions, Signature, Time, Tree};
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;
use xshell::Shell;

const LIMIT: Duration = Duration::from_secs(600);

/// Most lines of git's words that are shown.
const WORDS: usize = 12;

/// No attribute of the tree may change a byte of a file, or start a program (gitattributes(5)).
const ATTRIBUTES: &str = "* -text !eol -ident !filter !working-tree-encoding !merge\n";

/// What `git am` does where the lines of the patch are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// Refuse.
    Refuse,
    /// `--3way`: merge from the blobs that the patch's `index` lines name.
    Merge,
}

/// What came of it.
pub(super) enum Outcome {
    /// A commit.
    Made(Made),
    /// The tree has all of the patch already.
    Nothing,
    /// A merge in which both sides changed the same lines: the places.
    Conflict(String),
    /// It does not apply; git's words.
    Refused(String),
}

/// The commit that `git am` made, without its tree.
pub(super) struct Made {
    /// Who wrote it, and when.
    pub(super) author: Signature<'static>,
    /// Its message.
    pub(super) message: String,
    /// The files that it changes; their blobs are in the repository that was asked.
    pub(super) files: Files,
}

/// Applies `patch` to `tree`. Only blobs are written into `repo`. Errors: git cannot be run; the patch changes what
/// [`Patch::touched_files`] does not name, so that it could not be taken back.
pub(super) fn am(repo: &Repository, tree: &Tree, patch: &Patch, otherwise: Otherwise) -> Result<Outcome> {
    let folder = scratch::folder()?;
    let root = folder.path().canonicalize()?.join("tree");
    let bench = throw_away(repo, &root)?;
    let before = commit_small_tree(&bench, repo, tree, patch)?;
    let sh = Shell::new()?;
    process::run(git(&sh, &root).args(["reset", "--quiet", "--hard"]), LIMIT)?;
    let ended = run_am(&sh, &root, patch, otherwise)?;
    if !ended.status.success() {
        let index = bench.index()?;
        return Ok(match index.has_conflicts() {
            true => Outcome::Conflict(three_way::conflicts(&bench, &index)?),
            false => Outcome::Refused(words(&ended.stderr)),
        });
    }
    let after = bench.head()?.peel_to_commit()?;
    if after.id() == before {
        return Ok(Outcome::Nothing);
    }
    if after.parent_ids().collect::<Vec<_>>() != [before] {
        bail!("`git am` made more than one commit of it: a patch file may hold one patch");
    }
    let old = bench.find_commit(before)?.tree()?;
    Ok(Outcome::Made(Made {
        author: owned(&after)?,
        message: String::from_utf8_lossy(after.message_raw_bytes()).into_owned(),
        files: changed(&bench, &old, &after.tree()?, patch, repo)?,
    }))
}

fn run_am(sh: &Shell, root: &Path, patch: &Patch, otherwise: Otherwise) -> Result<process::Finished> {
    let mail = root.with_file_name("mail");
    fs::write(&mail, &patch.mail).context("writing the mail for git")?;
    let merge = match otherwise {
        Otherwise::Refuse => "--no-3way",
        Otherwise::Merge => "--3way",
    };
    let am = git(sh, root)
        .args([
            "am",
            "--quiet",
            "--keep-cr",
            "--no-scissors",
            "--no-gpg-sign",
            merge,
        ])
        .arg(&mail)
        .env("GIT_COMMITTER_NAME", "Lockstep")
        .env("GIT_COMMITTER_EMAIL", "lockstep@localhost");
    process::finish(am, LIMIT)
}

/// A new repository at `root` that also reads the objects of `repo`.
fn throw_away(repo: &Repository, root: &Path) -> Result<Repository> {
    let objects = repo.commondir().join("objects");
    let objects = objects
        .canonicalize()
        .with_context(|| format!("looking for {}", objects.display()))?;
    let mut alternates = objects.into_os_string().into_encoded_bytes();
    if alternates.contains(&b'\n') {
        bail!("the path of the repository holds a line break; git cannot name it as a source of objects");
    }
    alternates.push(b'\n');
    let mut options = RepositoryInitOptions::new();
    options.external_template(false).no_reinit(true);
    let bench = Repository::init_opts(root, &options).context("making a temporary repository")?;
    let info = bench.path().join("info");
    fs::create_dir_all(&info)?;
    fs::write(info.join("attributes"), ATTRIBUTES)?;
    fs::create_dir_all(bench.path().join("objects/info"))?;
    fs::write(bench.path().join("objects/info/alternates"), alternates)?;
    Ok(Repository::open(root)?)
}

fn commit_small_tree(bench: &Repository, repo: &Repository, tree: &Tree, patch: &Patch) -> Result<Oid> {
    let small = small_tree(repo, tree, patch, bench)?;
    let me = Signature::new("Lockstep", "lockstep@localhost", &Time::new(0, 0))?;
    Ok(bench.commit(Some("HEAD"), &me, &me, "before\n", &small, &[])?)
}

/// The files that differ, with their blobs taken over into `repo`.
pub(super) fn changed(
    bench: &Repository,
    old: &Tree,
    new: &Tree,
    patch: &Patch,
    repo: &Repository,
) -> Result<Files> {
    let files = differences(bench, old, new)?;
    let touched: HashSet<&Path> = patch.touched_files().into_iter().collect();
    for (path, file) in &files {
        if !touched.contains(&path.as_path()) {
            bail!(
                "it changes {}, which its headers do not name in a form that Lockstep reads, so it could not be taken back",
                path.display()
            );
        }
        if let Some((id, _)) = file {
            repo.blob(bench.find_blob(*id)?.content())?;
        }
    }
    Ok(files)
}

fn owned(commit: &Commit) -> Result<Signature<'static>> {
    Ok(commit.author().to_owned())
}

/// What git said, line by line, without the advice for a person at its prompt. The text of a patch may be in it.
fn words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with("hint: "))
        .map(|line| line.strip_prefix("error: ").unwrap_or(line))
        .take(WORDS)
        .map(|line| format!("    {}", one_line(line)))
        .collect();
    lines.join("\n")
}
