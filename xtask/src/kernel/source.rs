//! A kernel tree from Debian's newest 7.x `linux-source` package, as a git repository in the user's cache.
//!
//! One package is fetched with a private apt configuration (apt.conf(5)): sources, lists and caches of its own, so that the
//! machine's apt is neither read beyond the address of its mirror nor changed.
//!
//! Measured with 7.3.4 (94,000 files, 1.8 GB) on two idle cores: unpacking the tarball 12 s, `git add` 25 s, commit 1 s; the work tree that
//! [`super::tree`] makes of it 10 s. (With both cores busy with something else: 20, 111 and 26 s.) `git add` streams every blob into
//! one pack without compression (`core.bigFileThreshold=1`, `core.compression=0`); with git's defaults it took 90 s. The repository is
//! bare, so that the files are on the disk once, in the work tree.

pub mod apt;

use super::git::git;
use super::{Event, Report};
use crate::host::files;
use crate::host::files::write_atomic;
use crate::host::process;
use anyhow::{Context, Result, bail};
use apt::Available;
use rustix::fs::{FlockOperation, flock};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Cmd, Shell, cmd};

/// What an import needs on the disk while it runs, bytes: the package twice (0.4 GB), the unpacked tree (1.9 GB), the pack
/// (1.7 GB), and room for the work tree made after it (1.9 GB, once the unpacked tree is gone).
pub const SPACE_NEEDED: u64 = 5 * 1000 * 1000 * 1000;
/// Places of the Debian archive's keys (package debian-archive-keyring).
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];
const APT_LIMIT: Duration = Duration::from_secs(1800);
const UNPACK_LIMIT: Duration = Duration::from_secs(3600);

/// A tree that was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Debian version that it was made from: `7.3.4-1~bpo13+1`.
    pub version: String,
    /// The bare git repository.
    pub repository: PathBuf,
}

/// The imported trees of a cache, oldest version first. A folder gets its name when its import is whole.
pub fn imported(cache: &Path) -> Result<Vec<Imported>> {
    let folder = cache.join("linux");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with(|c: char| c.is_ascii_digit()) && path.join("HEAD").is_file() {
            found.push(Imported {
                version: name,
                repository: path,
            });
        }
    }
    found.sort_by(|a, b| apt::compare_versions(&a.version, &b.version));
    Ok(found)
}

/// The newest imported tree.
pub fn newest_imported(cache: &Path) -> Result<Option<Imported>> {
    Ok(imported(cache)?.pop())
}

/// Gives the newest imported tree; without one, finds the newest package, fetches and imports it.
pub fn ensure(cache: &Path, report: Report) -> Result<Imported> {
    if let Some(there) = newest_imported(cache)? {
        return Ok(there);
    }
    let apt = Apt::new(cache)?;
    apt.update(report)?;
    let available = apt.newest()?;
    import(cache, &apt, &available, report)
}

/// The private apt.
#[derive(Debug, Clone)]
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Writes the private configuration into `<cache>/apt`. Errors: no apt, no Debian mirror in the machine's configuration, no
    /// keyring.
    pub fn new(cache: &Path) -> Result<Self> {
        let sh = Shell::new()?;
        let format = apt::TARGETS;
        let targets = process::read(cmd!(sh, "apt-get indextargets --format {format} 'Created-By: Packages'"), APT_LIMIT)
            .context("asking apt for this machine's Debian mirror (without apt, use `--kernel PATH` with a kernel git tree of yours)")?;
        let mirror = apt::mirror(&targets).context(
            "this machine's apt has no Debian mirror in its sources, so that Debian's kernel source cannot be fetched; \
             use `--kernel PATH` with a kernel git tree of yours",
        )?;
        let keyring = KEYRINGS
            .into_iter()
            .find(|path| Path::new(path).is_file())
            .with_context(|| {
                format!(
                    "{} is not there: install the package debian-archive-keyring",
                    KEYRINGS[0]
                )
            })?;
        let folder = cache.join("apt");
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("making {}", folder.display()))?;
        }
        write_atomic(
            &folder.join("sources.list"),
            apt::sources_list(&mirror, keyring).as_bytes(),
        )?;
        Ok(Apt { folder })
    }

    /// Fetches the lists of packages.
    pub fn update(&self, report: Report) -> Result<()> {
        report(Event::Step(
            "fetching Debian's lists of packages (sid, trixie-backports)".into(),
        ));
        let sh = Shell::new()?;
        process::run(self.private(cmd!(sh, "apt-get -q update")), APT_LIMIT)
            .context("fetching Debian's lists of packages")?;
        Ok(())
    }

    /// The newest `linux-source-7.*` that the lists have.
    pub fn newest(&self) -> Result<Available> {
        let sh = Shell::new()?;
        let names = process::read(
            self.private(cmd!(sh, "apt-cache pkgnames linux-source-7.")),
            APT_LIMIT,
        )?;
        let packages = apt::source_packages(&names);
        let none = "neither sid nor trixie-backports has a linux-source-7.x package; use `--kernel PATH` with a kernel git tree of yours";
        if packages.is_empty() {
            bail!(none);
        }
        let madison = process::read(
            self.private(cmd!(sh, "apt-cache madison {packages...}")),
            APT_LIMIT,
        )?;
        apt::newest(&madison).context(none)
    }

    /// Downloads a package into `folder`; apt checks its hash against the signed lists. Gives the file.
    pub fn download(&self, available: &Available, folder: &Path) -> Result<PathBuf> {
        let wanted = format!("{}={}", available.package, available.version);
        let doing = || format!("downloading {wanted}");
        fs::create_dir_all(folder).with_context(doing)?;
        let sh = Shell::new()?;
        sh.change_dir(folder);
        process::run(self.private(cmd!(sh, "apt-get -q download {wanted}")), APT_LIMIT)
            .with_context(doing)?;
        let found = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok())
            .map(|entry| entry.path())
            .find(|path| {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                name.starts_with(&format!("{}_", available.package)) && name.ends_with(".deb")
            });
        found.with_context(|| format!("{}: apt left no file in {}", doing(), folder.display()))
    }

    fn private<'a>(&self, cmd: Cmd<'a>) -> Cmd<'a> {
        let path = |option: &str, part: &str| format!("{option}={}", self.folder.join(part).display());
        let mut options = vec![
            path("Dir::Etc::sourcelist", "sources.list"),
            path("Dir::State::Lists", "lists"),
            path("Dir::Cache::archives", "archives"),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Dir::Cache::pkgcache=".into(),
            "Dir::Cache::srcpkgcache=".into(),
            "Acquire::Languages=none".into(),
            "Acquire::Retries=3".into(),
            // Other packages' hooks into `update` (appstream, command-not-found) do not belong to these lists.
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "Acquire::IndexTargets::deb::CNF::DefaultEnabled=false".into(),
            "APT::Update::Post-Invoke-Success=".into(),
            "APT::Get::List-Cleanup=true".into(),
        ];
        if rustix::process::geteuid().is_root() {
            // apt's own user cannot write into a root user's cache.
            options.push("APT::Sandbox::User=root".into());
        }
        options
            .into_iter()
            .fold(cmd, |cmd, option| cmd.arg("-o").arg(option))
            .env("LC_ALL", "C")
    }
}

/// Makes a git repository of the package's tree. Errors: less than [`SPACE_NEEDED`] free, another import runs, a program
/// fails. Dies half-way: a folder `<cache>/linux/.importing` is left, which is never taken for a tree, and the next import removes
/// it.
pub fn import(cache: &Path, apt: &Apt, available: &Available, report: Report) -> Result<Imported> {
    let doing = || format!("importing {} {}", available.package, available.version);
    let folder = cache.join("linux");
    fs::create_dir_all(&folder).with_context(doing)?;
    let lock = fs::File::create(folder.join(".lock")).with_context(doing)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "{}: another process imports a kernel tree into {}; wait for its end",
            doing(),
            folder.display()
        );
    }
    refuse_full_disk(free_space(&folder)?, SPACE_NEEDED, &folder).with_context(doing)?;
    let scratch = folder.join(".importing");
    if files::is_there(&scratch)? {
        fs::remove_dir_all(&scratch).with_context(doing)?;
    }
    report(Event::Step(format!(
        "downloading {} {}",
        available.package, available.version
    )));
    let package = apt
        .download(available, &scratch.join("package"))
        .with_context(doing)?;
    report(Event::Step("unpacking the kernel source".into()));
    let source = unpack(&package, &scratch).with_context(doing)?;
    show_new_files(&source).with_context(doing)?;
    report(Event::Step("making a git repository of it".into()));
    let git = scratch.join("repository");
    let time = fs::metadata(source.join("Makefile"))
        .and_then(|m| m.modified())
        .with_context(doing)?;
    let seconds = time
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let message = format!(
        "Linux {} ({} {} of Debian)",
        upstream(&available.version),
        available.package,
        available.version
    );
    commit_all(&git, &source, &message, seconds).with_context(doing)?;
    let done = folder.join(&available.version);
    fs::rename(&git, &done).with_context(doing)?;
    fs::remove_dir_all(&scratch).with_context(doing)?;
    Ok(Imported {
        version: available.version.clone(),
        repository: done,
    })
}

/// `7.3.4` of `7.3.4-1~bpo13+1`.
fn upstream(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

/// Takes the lines out of the tree's .gitignore with which Debian hides everything but its
/// packaging: they would hide every new file of a patch from `git add` and `git status`.
fn show_new_files(source: &Path) -> Result<()> {
    let path = source.join(".gitignore");
    if !files::is_file(&path)? {
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let (shown, hiding): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| !HIDING.contains(line));
    if hiding.is_empty() {
        return Ok(());
    }
    let text = shown.join("\n") + "\n";
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// The last lines of .gitignore in Debian's linux source package: everything at the top is ignored,
/// but debian/.
const HIDING: [&str; 2] = ["/*", "!/debian/"];

/// Unpacks the package and the tarball in it; gives the folder of the tree. The package is removed as soon as it is
/// not needed any more.
fn unpack(package: &Path, scratch: &Path) -> Result<PathBuf> {
    let sh = Shell::new()?;
    let unpacked = scratch.join("unpacked");
    process::run(cmd!(sh, "dpkg-deb --extract {package} {unpacked}"), UNPACK_LIMIT)?;
    fs::remove_file(package)?;
    let tarball = fs::read_dir(unpacked.join("usr/src"))
        .with_context(|| format!("{} has no usr/src", package.display()))?
        .filter_map(|entry| entry.ok())
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().contains(".tar"))
        })
        .with_context(|| format!("{} has no tarball in usr/src", package.display()))?;
    let source = scratch.join("source");
    fs::create_dir_all(&source)?;
    process::run(
        cmd!(
            sh,
            "tar --extract --file {tarball} --directory {source} --strip-components=1 --no-same-owner"
        ),
        UNPACK_LIMIT,
    )?;
    fs::remove_dir_all(unpacked)?;
    Ok(source)
}

/// One commit of all files in a bare repository, with a time that follows from the source: the same package gives the
/// same commit everywhere.
fn commit_all(repository: &Path, source: &Path, message: &str, seconds: u64) -> Result<()> {
    let sh = Shell::new()?;
    let date = format!("{seconds} +0000");
    let run = |arguments: Cmd<'_>| -> Result<()> {
        let dated = arguments
            .env("GIT_DIR", repository)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date);
        process::run(dated, UNPACK_LIMIT).map(drop)
    };
    let init = ["init", "--quiet", "--bare", "--initial-branch=main"];
    run(git(&sh, Path::new(".")).args(init).arg(repository))?;
    for (key, value) in [
        ("core.compression", "0"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
    ] {
        run(git(&sh, Path::new(".")).args(["config", key, value]))?;
    }
    let stream = ["-c", "core.bigFileThreshold=1", "-c", "core.looseCompression=0"];
    let add = git(&sh, Path::new("."))
        .args(stream)
        .arg("--work-tree")
        .arg(source);
    run(add.args(["add", "--all", "--force"]))?;
    let identity = [
        "-c",
        "user.name=Debian Kernel Team",
        "-c",
        "user.email=debian-kernel@lists.debian.org",
    ];
    let commit = git(&sh, Path::new("."))
        .args(identity)
        .arg("--work-tree")
        .arg(source);
    run(commit.args(["commit", "--quiet", "--no-verify", "-m", message]))
}

/// Bytes that an ordinary user may still write on the file system of `folder`, which has to exist.
pub fn free_space(folder: &Path) -> Result<u64> {
    let status = rustix::fs::statvfs(folder)
        .with_context(|| format!("asking for the free space of {}", folder.display()))?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// Errors if there is less free than needed.
pub fn refuse_full_disk(free: u64, needed: u64, folder: &Path) -> Result<()> {
    if free >= needed {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    bail!(
        "{} has {:.1} GB free, and {:.1} GB are needed: make room, or set LOCKSTEP_CACHE to a folder on a larger disk",
        folder.display(),
        gigabytes(free),
        gigabytes(needed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_one_clear_error() {
        refuse_full_disk(5_000_000_000, SPACE_NEEDED, Path::new("/c")).unwrap();
        let error = refuse_full_disk(1_250_000_000, SPACE_NEEDED, Path::new("/c/linux"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "/c/linux has 1.2 GB free, and 5.0 GB are needed: make room, or set LOCKSTEP_CACHE to a folder on a larger disk"
        );
    }

    #[test]
    fn new_files_of_a_patch_are_not_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let ignore = folder.path().join(".gitignore");
        show_new_files(folder.path()).unwrap();
        assert!(!ignore.exists());
        fs::write(&ignore, "*.o\n/vmlinux\n\n# Debian packaging\n/*\n!/debian/\n").unwrap();
        show_new_files(folder.path()).unwrap();
        assert_eq!(
            fs::read_to_string(&ignore).unwrap(),
            "*.o\n/vmlinux\n\n# Debian packaging\n"
        );
        let sh = Shell::new().unwrap();
        let run = |arguments: &[&str]| {
            process::finish(git(&sh, folder.path()).args(arguments), UNPACK_LIMIT).unwrap()
        };
        assert!(run(&["init", "--quiet"]).status.success());
        assert!(
            !run(&["check-ignore", "drivers/new.c"]).status.success(),
            "it is not ignored"
        );
        assert!(run(&["check-ignore", "drivers/new.o"]).status.success());
    }

    #[test]
    fn an_interrupted_import_is_no_tree() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(newest_imported(cache.path()).unwrap(), None);
        for name in [".importing/repository", "7.2.13-1", "7.3.4-1~bpo13+1", "7.3.9-1"] {
            fs::create_dir_all(cache.path().join("linux").join(name)).unwrap();
        }
        assert_eq!(newest_imported(cache.path()).unwrap(), None);
        for name in [".importing/repository", "7.2.13-1", "7.3.4-1~bpo13+1"] {
            fs::write(cache.path().join("linux").join(name).join("HEAD"), "").unwrap();
        }
        let versions: Vec<String> = imported(cache.path())
            .unwrap()
            .into_iter()
            .map(|tree| tree.version)
            .collect();
        assert_eq!(versions, ["7.2.13-1", "7.3.4-1~bpo13+1"]);
    }

    #[test]
    fn free_space_is_known() {
        assert!(free_space(Path::new("/")).unwrap() > 0);
    }

    #[test]
    fn the_upstream_version_stands_before_the_revision() {
        assert_eq!(upstream("7.3.4-1~bpo13+1"), "7.3.4");
    }
}
