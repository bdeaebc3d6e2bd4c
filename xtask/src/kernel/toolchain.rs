//! The cross compiler, and small programs made with it.

use crate::host::process;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Cmd, Shell, cmd};

/// The target that Lockstep builds for, as rustc and the `cc` crate call it.
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// `ARCH` of the kernel's Makefile for [`TARGET`].
pub const KERNEL_ARCH: &str = "arm64";
/// Size at which ccache drops its oldest results; a debug kernel takes about 1 GB of it.
const CCACHE_SIZE: &str = "10G";
const LIMIT: Duration = Duration::from_secs(60);

/// A compiler for [`TARGET`] that was seen to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler, absolute.
    pub compiler: PathBuf,
    /// What stands before `gcc` in its name, with its folder where it is not in PATH: `CROSS_COMPILE` of the kernel's Makefile.
    pub prefix: String,
    /// First line of `--version`.
    pub version: String,
    /// ccache, if it is there.
    pub ccache: Option<PathBuf>,
}

impl Toolchain {
    /// Finds the compiler with the `cc` crate (which honours `CC_aarch64_unknown_linux_gnu` and `CROSS_COMPILE`) and asks it what it
    /// builds for. Errors: none there (names the package), one for another machine.
    pub fn find() -> Result<Self> {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let tool = cc::Build::new()
            .target(TARGET)
            .host(&host)
            .opt_level(2)
            .cargo_metadata(false)
            .cargo_warnings(false)
            .cargo_debug(false)
            .try_get_compiler()
            .with_context(missing)?;
        // cc names a compiler whether it is there or not.
        let compiler = which::which(tool.path()).with_context(missing)?;
        let sh = Shell::new()?;
        let machine = process::read(cmd!(sh, "{compiler} -dumpmachine"), LIMIT)
            .context("asking the compiler for its target")?;
        refuse_other_machine(&compiler, &machine)?;
        let version = process::read(cmd!(sh, "{compiler} --version"), LIMIT)?;
        Ok(Toolchain {
            prefix: prefix_of(tool.path())?,
            compiler,
            version: version.lines().next().unwrap_or_default().to_string(),
            ccache: which::which("ccache").ok(),
        })
    }

    /// `CC` for make: the compiler, behind ccache if that is there.
    pub fn cc(&self) -> String {
        match &self.ccache {
            Some(ccache) => format!("{} {}", ccache.display(), self.compiler.display()),
            None => self.compiler.display().to_string(),
        }
    }

    /// Adds what ccache needs to give the same results to every checkout of this user: its folder below `cache`, and
    /// paths relative to that.
    pub fn with_ccache<'a>(&self, cmd: Cmd<'a>, cache: &Path) -> Cmd<'a> {
        cmd.env("CCACHE_DIR", cache.join("ccache"))
            .env("CCACHE_BASEDIR", cache)
            .env("CCACHE_NOHASHDIR", "1")
            .env("CCACHE_MAXSIZE", CCACHE_SIZE)
    }

    /// Builds a small C program for the board, linked statically so that it does not depend on the board's libraries. Any warning
    /// is an error. Dies half-way: `out` is old, new or not there.
    pub fn compile_probe(&self, sources: &[&Path], out: &Path) -> Result<()> {
        let folder = out
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let doing = || format!("compiling {}", out.display());
        std::fs::create_dir_all(folder).with_context(doing)?;
        let scratch = tempfile::tempdir_in(folder).with_context(doing)?;
        let written = scratch.path().join("program");
        let compiler = &self.compiler;
        let sh = Shell::new()?;
        process::run(
            cmd!(
                sh,
                "{compiler} -O2 -Wall -Wextra -Werror -static -pthread -o {written} {sources...}"
            ),
            Duration::from_secs(300),
        )
        .with_context(doing)?;
        std::fs::rename(&written, out).with_context(doing)
    }
}

fn missing() -> String {
    format!(
        "there is no C compiler for {TARGET} on this machine; on Debian it is in the package gcc-aarch64-linux-gnu \
         (`cargo xtask doctor` lists all that is missing)"
    )
}

/// `-dumpmachine` says `aarch64-linux-gnu` for the right one.
fn refuse_other_machine(compiler: &Path, machine: &str) -> Result<()> {
    if machine.starts_with("aarch64") && machine.contains("linux") {
        return Ok(());
    }
    bail!(
        "{} builds for `{machine}`, not for {TARGET}; is one of CC_aarch64_unknown_linux_gnu, TARGET_CC and CROSS_COMPILE set?",
        compiler.display()
    )
}

/// `aarch64-linux-gnu-` of `aarch64-linux-gnu-gcc` or `aarch64-linux-gnu-gcc-12`; empty for `gcc` itself.
fn prefix_of(compiler: &Path) -> Result<String> {
    let name = compiler.file_name().unwrap_or_default().to_string_lossy();
    let Some((prefix, _)) = name
        .rsplit_once("gcc")
        .filter(|(_, version)| version.is_empty() || version.starts_with('-'))
    else {
        bail!(
            "{} is not gcc; only gcc is known here (`gcc-aarch64-linux-gnu`)",
            compiler.display()
        );
    };
    Ok(
        match compiler.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => format!("{}/{prefix}", folder.display()),
            None => prefix.to_string(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_what_stands_before_gcc() {
        let prefix = |path: &str| prefix_of(Path::new(path)).unwrap();
        assert_eq!(prefix("aarch64-linux-gnu-gcc"), "aarch64-linux-gnu-");
        assert_eq!(
            prefix("/opt/x/bin/aarch64-none-linux-gnu-gcc-12"),
            "/opt/x/bin/aarch64-none-linux-gnu-"
        );
        assert_eq!(prefix("gcc"), "");
        assert!(
            prefix_of(Path::new("clang"))
                .unwrap_err()
                .to_string()
                .contains("is not gcc")
        );
    }

    #[test]
    fn a_compiler_for_another_machine_is_noticed() {
        refuse_other_machine(Path::new("gcc"), "aarch64-linux-gnu").unwrap();
        let error = refuse_other_machine(Path::new("/usr/bin/gcc"), "x86_64-linux-gnu")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/usr/bin/gcc builds for `x86_64-linux-gnu`, not for aarch64"),
            "{error}"
        );
    }
}
