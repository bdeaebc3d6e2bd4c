//! Configuring and building a kernel outside its tree, in an `O=` folder for each profile.
//!
//! Time, user, host and number of the build are fixed (Documentation/kbuild/reproducible-builds.rst), so that a link of unchanged
//! objects gives the same bytes, build id included; measured with 7.3.4: built twice from nothing in the same folder, every file of the
//! manifest has the same hash. `LOCALVERSION` is set, to nothing, since scripts/setlocalversion
//! appends a `+` where it is unset and HEAD is no release tag.
//!
//! One make call for all goals: with nothing to do `Image modules dtbs` takes 5.4 s on two busy cores, `dtbs` alone 1.4 s of it.
//!
//! Nothing here needs root, and under `sudo` a person is told so: what root builds only root can build again. Real root (a container, a
//! build machine) has no other user to become, and builds as it is.

mod complete;
mod failure;
mod freshness;
mod jobs;
mod make;
mod plan;
mod progress;
mod space;
mod timeline;
mod warnings;
mod work;

pub use complete::{Compiler, Completion, complete};
pub use failure::{Cause, Failure};
pub use make::{Failed, Made, alone_in};
pub use progress::Figure;
pub use warnings::{Warning, Warnings};
pub use work::Work;

use super::kconfig::{self, Config, Definitions, Hints, Merged, SymbolVerdict};
pub use super::profile::Profile;
use super::toolchain::Toolchain;
use super::{Event, Report};
use crate::host::bounded;
use crate::host::files;
use crate::host::files::write_atomic;
use crate::host::process;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Cmd, Shell, cmd};

/// In the build folder: the base configuration, where it had to be completed.
const WHOLE_BASE: &str = "lockstep-base.config";
const CONFIG_LIMIT: Duration = Duration::from_secs(600);

/// What the fragments are laid upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Everything off that nobody asks for: small and quick.
    AllNo,
    /// A `.config` of the user's, brought up to this kernel by `olddefconfig`.
    File(PathBuf),
}

impl Base {
    /// The configuration, if it is one.
    pub fn config(&self) -> Result<Option<Config>> {
        Ok(match self {
            Base::AllNo => None,
            Base::File(path) => Some(Config::parse(
                &bounded::read_text(path, bounded::WRITTEN)
                    .with_context(|| format!("reading the base configuration {}", path.display()))?,
            )),
        })
    }
}

/// A configuration that is in force.
#[derive(Debug, Clone)]
pub struct Configured {
    /// A verdict for each request; all are good.
    pub verdicts: Vec<SymbolVerdict>,
    /// Requests that a later fragment replaced.
    pub overrides: Vec<kconfig::Override>,
    /// What `make kernelrelease` says.
    pub release: String,
    /// The final configuration.
    pub config: Config,
    /// The `.config` that was there before, kept as `.config.pre-<campaign>`.
    pub kept: Option<PathBuf>,
}

/// Some requests did not come true. `.config` is as it was.
#[derive(Debug)]
pub struct NotTaken {
    /// A verdict for each request, explained where it is not good.
    pub verdicts: Vec<SymbolVerdict>,
}

impl std::error::Error for NotTaken {}

impl std::fmt::Display for NotTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let failed: Vec<_> = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.is_good())
            .collect();
        write!(
            f,
            "{} of {} requested symbols are not as asked:",
            failed.len(),
            self.verdicts.len()
        )?;
        for SymbolVerdict {
            request,
            got,
            why,
            outcome,
            ..
        } in failed
        {
            write!(
                f,
                "\n    CONFIG_{}={} ({}:{}) became {got}: {outcome}",
                request.symbol, request.value, request.fragment, request.line
            )?;
            for line in why {
                write!(f, "\n        {line}")?;
            }
        }
        Ok(())
    }
}

/// Builds one profile of one tree.
#[derive(Debug, Clone)]
pub struct Builder {
    /// The tree.
    pub source: PathBuf,
    /// The `O=` folder.
    pub out: PathBuf,
    /// The user's cache: ccache is below it.
    pub cache: PathBuf,
    /// The profile.
    pub profile: Profile,
    /// The compiler.
    pub toolchain: Toolchain,
    /// `-j`.
    pub jobs: usize,
    /// Time stamp that the kernel shows, seconds since 1970; has to stay the same from patch to patch:
    /// [`super::tree::Tree::base_time`].
    pub timestamp: i64,
    /// Files that patches changed since the base, relative to the tree. Empty: this is the base, and its warnings are the baseline.
    pub patched: Vec<PathBuf>,
}

impl Builder {
    /// Number of jobs for this machine: its cores, and fewer where memory is short.
    pub fn default_jobs() -> usize {
        jobs::of_this_machine()
    }

    /// Memory that can be had without swapping, bytes, where the kernel says so.
    pub fn available_memory() -> Option<u64> {
        jobs::available_memory()
    }

    /// Makes the profile's configuration beside `.config`, verifies each request, refuses traps, and only then puts it in
    /// force. A configuration that comes out the same leaves `.config` as it is, so that nothing is built anew. The `.config`
    /// that was there (the user's, for [`Base::File`]) is kept as `.config.pre-<campaign>`, once.
    ///
    /// `vanilla` are the releases that this build must not have (invariant 10). Errors, with `.config` as it was: a
    /// fragment with a syntax error, [`NotTaken`], a trap, make fails. Dies half-way: `.config` is old or new.
    pub fn configure(
        &self,
        base: &Base,
        campaign: &str,
        vanilla: &[String],
        report: Report,
    ) -> Result<Configured> {
        let doing = || {
            format!(
                "configuring profile {} of {}",
                self.profile.name,
                self.source.display()
            )
        };
        let merged = self.profile.merged().with_context(doing)?;
        self.refuse_no_kernel()?;
        self.toolchain
            .require_versions_of(&self.source)
            .with_context(doing)?;
        let requests = merged.to_config();
        let base_file = match base {
            Base::File(path) => path.as_path(),
            Base::AllNo => Path::new(""),
        };
        if let Some(stamp) = self.still_configured(base_file, &requests) {
            return self
                .as_it_is(stamp.release, merged, base, campaign, vanilla, report)
                .with_context(doing);
        }
        fs::create_dir_all(&self.out).with_context(doing)?;
        report(Event::Step(format!("configuring {}", self.profile.name)));
        let next = self.out.join(".config.next");
        self.make_config(base, &merged, &next).with_context(doing)?;
        let text = fs::read_to_string(&next).with_context(doing)?;
        let config = Config::parse(&text);
        let whole = self.complete_base(base, report).with_context(doing)?;
        let verdicts = self
            .verdicts(base, whole.as_ref(), &merged, &config)
            .with_context(doing)?;
        if !verdicts.iter().all(SymbolVerdict::is_good) {
            return Err(anyhow::Error::new(NotTaken { verdicts }).context(doing()));
        }
        let release = self.release_with(&config).with_context(doing)?;
        tell_traps(&config, &release, vanilla, report).with_context(doing)?;
        let kept = self.keep_config(base, campaign).with_context(doing)?;
        self.put_in_force(&next).with_context(doing)?;
        // The tree may add to it (`localversion*` files), so that make has the last word.
        let release = self.release().with_context(doing)?;
        refuse_release(&release, vanilla).with_context(doing)?;
        self.remember_configured(base_file, &requests, &release)
            .with_context(doing)?;
        Ok(Configured {
            verdicts,
            overrides: merged.overrides,
            release,
            config,
            kept,
        })
    }

    /// The base as a whole `.config` of this tree: what a defconfig leaves out has its default, which is no one's request. It is kept for
    /// [`Builder::as_it_is`].
    fn complete_base(&self, base: &Base, report: Report) -> Result<Option<Config>> {
        let kept = self.out.join(WHOLE_BASE);
        let _ = fs::remove_file(&kept);
        let Base::File(path) = base else {
            return Ok(None);
        };
        let text = bounded::read_text(path, bounded::WRITTEN)?;
        let Some(completion) = complete(
            &self.source,
            &self.out,
            Compiler::Found(&self.toolchain),
            path,
            &text,
        )?
        else {
            return Ok(Some(Config::parse(&text)));
        };
        report(Event::Step(format!("{}: {completion}", path.display())));
        write_atomic(&kept, completion.text.as_bytes())?;
        Ok(Some(Config::parse(&completion.text)))
    }

    /// What became of each request, with the reasons.
    fn verdicts(
        &self,
        base: &Base,
        whole: Option<&Config>,
        merged: &Merged,
        config: &Config,
    ) -> Result<Vec<SymbolVerdict>> {
        let base = base.config()?;
        let definitions = Definitions::read(&self.source, self.toolchain.arch.folder);
        let mut verdicts = kconfig::verify(&merged.requests, config, whole);
        let elsewhere = kconfig::elsewhere(&self.source, &definitions.undefined(&verdicts));
        let hints = Hints {
            base: base.as_ref(),
            elsewhere: &elsewhere,
        };
        definitions.explain_all(&mut verdicts, config, hints);
        Ok(verdicts)
    }

    /// The configuration in force, found to be what making it anew would give. The rules are asked all the same: vanilla's releases may
    /// be others than last time.
    fn as_it_is(
        &self,
        release: String,
        merged: Merged,
        base: &Base,
        campaign: &str,
        vanilla: &[String],
        report: Report,
    ) -> Result<Configured> {
        let config = Config::parse(&fs::read_to_string(self.out.join(".config"))?);
        let whole = match fs::read_to_string(self.out.join(WHOLE_BASE)) {
            Ok(text) if *base != Base::AllNo => Some(Config::parse(&text)),
            _ => base.config()?,
        };
        let verdicts = kconfig::verify(&merged.requests, &config, whole.as_ref());
        tell_traps(&config, &release, vanilla, report)?;
        refuse_release(&release, vanilla)?;
        Ok(Configured {
            verdicts,
            overrides: merged.overrides,
            release,
            config,
            kept: self.keep_config(base, campaign)?,
        })
    }

    /// The release of the configuration in force, as `make kernelrelease` says it.
    pub fn release(&self) -> Result<String> {
        let sh = Shell::new()?;
        // kernelrelease reads include/config/auto.conf without bringing it up to date.
        let modified = |path: &str| {
            fs::metadata(self.out.join(path))
                .and_then(|metadata| metadata.modified())
                .ok()
        };
        if modified("include/config/auto.conf") < modified(".config") {
            process::run(self.environment(cmd!(sh, "make -s syncconfig")), CONFIG_LIMIT)?;
        }
        let text = process::read(self.environment(cmd!(sh, "make -s kernelrelease")), CONFIG_LIMIT)?;
        let release = text.lines().last().unwrap_or_default().trim().to_string();
        if release.is_empty() {
            bail!("make kernelrelease said nothing");
        }
        Ok(release)
    }

    /// The release that a configuration will give: version of the Makefile, then CONFIG_LOCALVERSION (with LOCALVERSION set to
    /// nothing and LOCALVERSION_AUTO off there is no more to it: scripts/setlocalversion).
    fn release_with(&self, config: &Config) -> Result<String> {
        let sh = Shell::new()?;
        let version = process::read(self.environment(cmd!(sh, "make -s kernelversion")), CONFIG_LIMIT)?;
        let version = version.lines().last().unwrap_or_default().trim().to_string();
        Ok(match config.get("LOCALVERSION") {
            Some(kconfig::Value::Text(local)) => format!("{version}{local}"),
            _ => version,
        })
    }

    fn refuse_no_kernel(&self) -> Result<()> {
        super::place::refuse_no_kernel(&self.source)?;
        super::place::refuse_path_for_make(&self.source)?;
        super::place::refuse_path_for_make(&self.out)
    }

    fn make_config(&self, base: &Base, merged: &Merged, next: &Path) -> Result<()> {
        let sh = Shell::new()?;
        let cmd = match base {
            Base::AllNo => {
                let requests = self.out.join("lockstep-requests.config");
                write_atomic(&requests, merged.to_config().as_bytes())?;
                let _ = fs::remove_file(next);
                self.environment(cmd!(sh, "make -s allnoconfig"))
                    .env("KCONFIG_ALLCONFIG", requests)
            }
            Base::File(path) => {
                let base = bounded::read_text(path, bounded::WRITTEN)
                    .with_context(|| format!("reading the base configuration {}", path.display()))?;
                write_atomic(next, format!("{base}\n{}", merged.to_config()).as_bytes())?;
                self.environment(cmd!(sh, "make -s olddefconfig"))
            }
        };
        // The configuration in force stays as it is until the new one is found good.
        process::run(cmd.env("KCONFIG_CONFIG", next), CONFIG_LIMIT)?;
        Ok(())
    }

    /// Keeps what was there before this campaign; what a first run kept is never overwritten.
    fn keep_config(&self, base: &Base, campaign: &str) -> Result<Option<PathBuf>> {
        let kept = self.out.join(format!(".config.pre-{campaign}"));
        if files::is_there(&kept)? {
            return Ok(Some(kept));
        }
        let earlier = match base {
            Base::File(path) => path.clone(),
            Base::AllNo => self.out.join(".config"),
        };
        match fs::read(&earlier) {
            Ok(bytes) => {
                write_atomic(&kept, &bytes)?;
                Ok(Some(kept))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("keeping {}", earlier.display())),
        }
    }

    fn put_in_force(&self, next: &Path) -> Result<()> {
        let config = self.out.join(".config");
        let bytes = fs::read(next)?;
        if fs::read(&config).is_ok_and(|there| there == bytes) {
            return Ok(fs::remove_file(next)?);
        }
        Ok(fs::rename(next, config)?)
    }

    /// The environment and variables of every make call; the same each time, or everything would be built anew.
    pub(super) fn environment<'a>(&self, cmd: Cmd<'a>) -> Cmd<'a> {
        complete::in_folders(cmd, &self.source, &self.out, &self.toolchain).envs(self.variables())
    }

    /// Variables of the environment of every make call; see [`Builder::environment`].
    fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut variables: Vec<(&str, OsString)> = vec![
            ("LOCALVERSION", "".into()),
            ("KBUILD_BUILD_TIMESTAMP", shown_time(self.timestamp).into()),
            ("KBUILD_BUILD_USER", "lockstep".into()),
            ("KBUILD_BUILD_HOST", "lockstep".into()),
            ("KBUILD_BUILD_VERSION", "1".into()),
            ("LC_ALL", "C".into()),
        ];
        variables.extend(self.toolchain.ccache_variables(&self.cache));
        variables
    }

    /// A command as a shell takes it, with its variables: the same build by hand.
    fn for_a_shell(&self, cmd: &Cmd) -> String {
        let quoted = |value: &OsString| format!("'{}'", value.to_string_lossy().replace('\'', "'\\''"));
        let variables: Vec<String> = self
            .variables()
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        format!("env -u MAKEFLAGS -u MAKELEVEL {} {cmd}", variables.join(" "))
    }
}

/// Traps in a configuration: an error for one that is refused, a warning for the others.
fn tell_traps(config: &Config, release: &str, vanilla: &[String], report: Report) -> Result<()> {
    for trap in kconfig::traps(config, release, vanilla) {
        match trap.severity {
            kconfig::Severity::Refuse => bail!("{}", trap.text),
            kconfig::Severity::Warn => report(Event::Warning(trap.text)),
            // For those who ask: nothing about this build is wrong.
            kconfig::Severity::Tell => {}
        }
    }
    Ok(())
}

/// Invariant 10, with make's own word for the release.
fn refuse_release(release: &str, vanilla: &[String]) -> Result<()> {
    if vanilla.iter().any(|taken| taken == release) {
        bail!("the release would be `{release}`, which vanilla needs; ask for another CONFIG_LOCALVERSION");
    }
    Ok(())
}

/// A time as `date` shows it, which is what the kernel's own build takes.
fn shown_time(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a %b %e %H:%M:%S UTC %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_like_those_of_date() {
        assert_eq!(shown_time(1_767_225_600), "Thu Jan  1 00:00:00 UTC 2026");
    }

    #[test]
    fn failures_are_told_symbol_by_symbol() {
        let asked = kconfig::Fragment::parse("f.config", "CONFIG_A=y\nCONFIG_B=y\n").unwrap();
        let mut verdicts = kconfig::verify(&asked.requests, &Config::parse("CONFIG_A=y\n"), None);
        verdicts[1].why = vec!["x/Kconfig:3: depends on C; here C=n".into()];
        let text = NotTaken { verdicts }.to_string();
        assert_eq!(
            text,
            "1 of 2 requested symbols are not as asked:\n    CONFIG_B=y (f.config:2) became n: dropped\n        \
             x/Kconfig:3: depends on C; here C=n"
        );
    }
}
