//! Making and finding the work tree.

use crate::host::process;
use crate::kernel::git::{self, git};
use anyhow::{Context, Result, bail};
use git2::{Oid, Repository};
use std::fs;
use std::path::Path;
use std::time::Duration;
use xshell::Shell;

/// A file in the work tree's git folder that says: the checkout came to its end.
const WHOLE: &str = "lockstep-whole";

pub(super) fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

pub(super) fn base_ref(branch: &str) -> String {
    format!("refs/lockstep/{branch}/base")
}

pub(super) fn open_or_create(
    repository: &Path,
    worktree: &Path,
    branch: &str,
    base: Option<&str>,
) -> Result<Repository> {
    git::refuse_old(&Shell::new()?)?;
    let main = Repository::open(repository).with_context(|| {
        format!(
            "{} is no git repository; a kernel tree has to be one (an unpacked tarball becomes one by `git init && git add -A && git commit`)",
            repository.display()
        )
    })?;
    if !is_whole(worktree) {
        remove_half_made(&main, worktree)?;
        create(&main, repository, worktree, branch, base)?;
    }
    let repo = Repository::open(worktree)?;
    if repo.commondir().canonicalize()? != main.commondir().canonicalize()? {
        bail!(
            "{} is a work tree of {}, not of {}",
            worktree.display(),
            repo.commondir().display(),
            main.commondir().display()
        );
    }
    let head = repo.find_reference("HEAD")?;
    let target = head
        .symbolic_target()
        .ok()
        .flatten()
        .unwrap_or("a detached commit")
        .to_string();
    drop(head);
    if target != branch_ref(branch) {
        bail!(
            "{} has {target} checked out, not {branch}: `git -C {} switch {branch}` first",
            worktree.display(),
            worktree.display()
        );
    }
    if let Some(base) = base {
        follow_base(&repo, branch, base)?;
    }
    Ok(repo)
}

fn is_whole(worktree: &Path) -> bool {
    Repository::open(worktree).is_ok_and(|repo| repo.path().join(WHOLE).is_file())
}

/// Takes away a work tree whose making was interrupted. Errors: the folder is not ours to remove.
fn remove_half_made(main: &Repository, worktree: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(worktree) else {
        return Ok(());
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let link = fs::read_to_string(worktree.join(".git")).unwrap_or_default();
    let ours = link
        .strip_prefix("gitdir: ")
        .is_some_and(|folder| Path::new(folder.trim()).starts_with(main.commondir().join("worktrees")));
    if !ours {
        bail!(
            "{} is there, and is no work tree that was made here; move it away, or remove it",
            worktree.display()
        );
    }
    fs::remove_dir_all(worktree)
        .with_context(|| format!("removing the half-made work tree {}", worktree.display()))
}

/// `git worktree add` itself: it writes the files with all cores (10 s for a kernel of 94,000 files from an uncompressed
/// pack on two cores). Hooks of the user's repository do not run, and no line end is converted.
fn create(
    main: &Repository,
    repository: &Path,
    worktree: &Path,
    branch: &str,
    base: Option<&str>,
) -> Result<()> {
    let remembered = main.find_reference(&base_ref(branch)).ok();
    let start = match (base, remembered) {
        (Some(base), _) => commit_of(main, base)?,
        (None, Some(remembered)) => remembered.peel_to_commit()?.id(),
        (None, None) => main
            .head()
            .and_then(|head| head.peel_to_commit())
            .with_context(|| {
                format!(
                    "{} has no commit that patches could be applied to",
                    repository.display()
                )
            })?
            .id(),
    };
    let name = branch_ref(branch);
    if main.find_reference(&name).is_err() {
        main.reference(&base_ref(branch), start, true, "lockstep: base")?;
        main.reference(&name, start, false, "lockstep: new branch")?;
    } else if main.find_reference(&base_ref(branch)).is_err() {
        main.reference(&base_ref(branch), start, true, "lockstep: base")?;
    }
    if let Some(folder) = worktree.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let sh = Shell::new()?;
    // A work tree that was deleted by hand is still registered.
    process::run(
        git(&sh, repository).args(["worktree", "prune"]),
        Duration::from_secs(600),
    )?;
    let add = git(&sh, repository)
        .args(["-c", "checkout.workers=0", "worktree", "add", "--quiet"])
        .arg(worktree)
        .arg(branch);
    process::run(add, Duration::from_secs(3600))?;
    let marker = Repository::open(worktree)?.path().join(WHOLE);
    crate::host::files::write_atomic(&marker, b"")
}

pub(super) fn commit_of(repo: &Repository, revision: &str) -> Result<Oid> {
    repo.revparse_single(revision)
        .and_then(|object| object.peel_to_commit())
        .map(|commit| commit.id())
        .with_context(|| format!("`{revision}` names no commit of {}", repo.path().display()))
}

/// Another base than the remembered one is taken while no patch is applied, and refused otherwise.
fn follow_base(repo: &Repository, branch: &str, base: &str) -> Result<()> {
    let wanted = commit_of(repo, base)?;
    let remembered = repo.find_reference(&base_ref(branch))?.peel_to_commit()?.id();
    if wanted == remembered {
        return Ok(());
    }
    bail!(
        "{branch} counts its patches from {remembered}, not from `{base}` ({wanted}); take the work tree away with \
         `git worktree remove` and `git branch -D {branch}` and `git update-ref -d {}` to start from there",
        base_ref(branch)
    )
}
