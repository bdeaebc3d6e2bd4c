//! Which tree, and where its work tree and build folders are.

use super::source;
use super::tree::Tree;
use crate::host::files::sha256;
use crate::host::json::require_utf8;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The branch that patches are applied on, in every repository.
pub const BRANCH: &str = "lockstep/tree";

/// The places of one kernel in the user's cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The git repository: an imported one in the cache, or the user's.
    pub repository: PathBuf,
    /// Names its folders in the cache.
    pub key: String,
    /// Our own work tree of it.
    pub worktree: PathBuf,
    /// Folder of the `O=` folders, one for each profile.
    pub builds: PathBuf,
    /// Folder of the staging folders, one for each profile.
    pub staging: PathBuf,
    /// Revision that patches are counted from, where the user named one.
    pub base: Option<String>,
}

impl Place {
    /// The place of the tree at `kernel`, or of the newest imported one. Errors: no git repository there, no kernel in it; nothing
    /// imported yet.
    pub fn of(cache: &Path, kernel: Option<&Path>) -> Result<Self> {
        let (repository, key) = match kernel {
            Some(path) => {
                let doing = || format!("looking for a kernel tree in {}", path.display());
                let repository = path.canonicalize().with_context(doing)?;
                // As given and as it is: journals and manifests hold both.
                for path in [path, &repository] {
                    require_utf8(path).with_context(doing)?;
                }
                refuse_no_kernel_repository(&repository).with_context(doing)?;
                let name = repository
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let hash = sha256(repository.as_os_str().as_encoded_bytes());
                let key = format!("{}-{hash:.8}", plain(&name));
                (repository, key)
            }
            None => {
                let newest = source::newest_imported(cache)?.with_context(|| {
                    format!(
                        "there is no kernel tree in {} yet: `cargo xtask setup` fetches Debian's newest, `--kernel PATH` takes a git tree of yours",
                        cache.join("linux").display()
                    )
                })?;
                (newest.repository, plain(&newest.version))
            }
        };
        Ok(Place {
            worktree: cache.join("trees").join(&key).join("tree"),
            builds: cache.join("build").join(&key),
            staging: cache.join("staging").join(&key),
            repository,
            key,
            base: None,
        })
    }

    /// Where its source is, in one line: the repository, and the work tree that patches are applied
    /// in.
    pub fn told(&self) -> String {
        let repository = self.repository.display();
        match self.worktree.is_dir() {
            true => format!(
                "git repository {repository}, patches are applied in {}",
                self.worktree.display()
            ),
            false => format!("git repository {repository}, without a work tree yet"),
        }
    }

    /// Why there is nothing at [`Place::of`] any more: it was deleted or moved, or nothing was ever imported; none where something is there. Errors:
    /// it could not be looked at, which is another thing.
    pub fn gone(cache: &Path, kernel: Option<&Path>) -> Result<Option<String>> {
        let Some(path) = kernel else {
            let why = || format!("no kernel tree is imported in {}", cache.join("linux").display());
            return Ok(source::newest_imported(cache)?.is_none().then(why));
        };
        let doing = || format!("looking for a kernel tree in {}", path.display());
        if !path.try_exists().with_context(doing)? {
            return Ok(Some(format!("{} is not there any more", path.display())));
        }
        // A repository that is damaged is not gone: what opens it says what is wrong.
        for part in [".git", "HEAD"] {
            if path.join(part).try_exists().with_context(doing)? {
                return Ok(None);
            }
        }
        Ok(Some(format!(
            "{} is not a git repository any more",
            path.display()
        )))
    }

    /// Opens the work tree, and makes it when it is not there.
    pub fn open(&self) -> Result<Tree> {
        let tree = Tree::open(&self.repository, &self.worktree, BRANCH, self.base.as_deref())?;
        refuse_no_kernel(&self.worktree)?;
        Ok(tree)
    }
}

/// What make, the shell scripts of the kernel and file systems take in a path without a thought: `7.3.4-1-bpo13-1`.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// Errors if the HEAD of a git repository holds no kernel (bare ones count, too).
fn refuse_no_kernel_repository(path: &Path) -> Result<()> {
    let repo = git2::Repository::open(path).with_context(|| {
        format!(
            "{} is no git repository; a kernel tree has to be one (an unpacked tarball becomes one by `git init && git add -A && git commit`)",
            path.display()
        )
    })?;
    let tree = repo
        .head()
        .and_then(|head| head.peel_to_tree())
        .context("its HEAD is no commit")?;
    let makefile = tree
        .get_path(Path::new("Makefile"))
        .ok()
        .and_then(|entry| repo.find_blob(entry.id()).ok());
    let text = makefile
        .map(|blob| String::from_utf8_lossy(blob.content()).into_owned())
        .unwrap_or_default();
    if is_kernel_makefile(&text) && tree.get_path(Path::new("Kconfig")).is_ok() {
        return Ok(());
    }
    bail!("{} holds no Linux kernel: {NO_KERNEL}", path.display())
}

const NO_KERNEL: &str =
    "a Makefile with VERSION, PATCHLEVEL and SUBLEVEL and a Kconfig stand at the root of a kernel tree";

fn is_kernel_makefile(text: &str) -> bool {
    ["VERSION", "PATCHLEVEL", "SUBLEVEL"]
        .iter()
        .all(|name| text.lines().any(|line| line.starts_with(&format!("{name} ="))))
}

/// Errors if a folder is no kernel tree.
pub fn refuse_no_kernel(folder: &Path) -> Result<()> {
    let makefile = std::fs::read_to_string(folder.join("Makefile")).unwrap_or_default();
    if is_kernel_makefile(&makefile) && folder.join("Kconfig").is_file() {
        return Ok(());
    }
    bail!("{} is no kernel tree: {NO_KERNEL}", folder.display())
}

/// The kernel's Makefile refuses folders with spaces or colons in their names; say so before anything is done.
pub fn refuse_path_for_make(folder: &Path) -> Result<()> {
    let text = folder.to_string_lossy();
    if text.contains([' ', ':', '\t']) {
        bail!(
            "the kernel cannot be built in {text}: its Makefile takes no spaces or colons in paths; set LOCKSTEP_CACHE to another folder"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(result: Result<impl Sized>) -> String {
        format!("{:#}", result.err().unwrap())
    }

    #[test]
    fn without_an_import_the_command_that_makes_one_is_named() {
        let cache = tempfile::tempdir().unwrap();
        assert!(error(Place::of(cache.path(), None)).contains("`cargo xtask setup` fetches"));
    }

    #[test]
    fn what_is_no_kernel_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: &Path| error(Place::of(Path::new("/nowhere"), Some(path)));
        assert!(of(&folder.path().join("no")).contains("looking for a kernel tree in"));
        assert!(of(folder.path()).contains("is no git repository"));
        let repo = git2::Repository::init(folder.path()).unwrap();
        assert!(of(folder.path()).contains("its HEAD is no commit"));
        let tree = repo
            .find_tree(repo.treebuilder(None).unwrap().write().unwrap())
            .unwrap();
        let me = git2::Signature::now("a", "a@b").unwrap();
        repo.commit(Some("HEAD"), &me, &me, "empty", &tree, &[]).unwrap();
        assert!(of(folder.path()).contains("holds no Linux kernel: a Makefile with VERSION"));
    }

    #[test]
    fn paths_that_make_cannot_take_are_named() {
        assert!(error(refuse_path_for_make(Path::new("/home/a b/c"))).contains("takes no spaces or colons"));
        refuse_path_for_make(Path::new("/home/7.3.4-1~bpo13+1")).unwrap();
    }
}
