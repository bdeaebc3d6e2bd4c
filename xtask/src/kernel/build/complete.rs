//! A defconfig, a fragment or the `.config` of another kernel becomes a whole `.config` of a tree, by the tree's own make.

use super::CONFIG_LIMIT;
use crate::host::process;
use crate::host::scratch;
use crate::kernel::arch::{self, Architecture};
use crate::kernel::kconfig::{Config, Definitions, Gaps, Values, gaps};
use crate::kernel::toolchain::Toolchain;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use xshell::{Cmd, Shell, cmd};

/// A configuration that was not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The text of the whole `.config`.
    pub text: String,
    /// What it lacked.
    pub gaps: Gaps,
    /// The kernel that it says that it was made for, where that is another one than the tree: `Linux/arm64 6.1.0`.
    pub made_for: Option<String>,
    /// The command that completed it, without its folders.
    pub command: String,
}

impl std::fmt::Display for Completion {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.made_for {
            Some(other) => write!(
                f,
                "a .config of {other}, brought up to this tree by `{}`",
                self.command
            )?,
            None => write!(
                f,
                "not a whole .config of this tree, completed by `{}`",
                self.command
            )?,
        }
        write!(f, ": {}", self.gaps)
    }
}

/// The compiler that make asks for what it can do.
#[derive(Debug, Clone, Copy)]
pub enum Compiler<'a> {
    /// This one.
    Found(&'a Toolchain),
    /// The default one, looked for when it is needed.
    Default,
}

impl Compiler<'_> {
    fn arch(self) -> &'static Architecture {
        match self {
            Compiler::Found(toolchain) => toolchain.arch,
            Compiler::Default => arch::DEFAULT,
        }
    }

    fn found(self) -> Result<Toolchain> {
        match self {
            Compiler::Found(toolchain) => Ok(toolchain.clone()),
            Compiler::Default => Toolchain::find(),
        }
    }
}

/// Completes the configuration `text` of the file `name`; `None` if it is whole. `folder` is where make works, in a folder of its own that is gone in
/// the end. Errors: the file is for another architecture or another project; no compiler; make fails.
pub fn complete(
    source: &Path,
    folder: &Path,
    toolchain: Compiler,
    name: &Path,
    text: &str,
) -> Result<Option<Completion>> {
    let arch = toolchain.arch();
    let definitions = Definitions::read(source, arch.folder);
    let config = Config::parse(text);
    let gaps = gaps(&Values::new(&definitions, &config));
    if gaps.is_whole() {
        return Ok(None);
    }
    let doing = || {
        format!(
            "completing {}, which is not a whole .config of {} ({gaps})",
            name.display(),
            source.display()
        )
    };
    refuse_foreign(&config, &gaps, arch.kernel).with_context(doing)?;
    let toolchain = toolchain.found().with_context(doing)?;
    let completed = olddefconfig(source, folder, &toolchain, text).with_context(doing)?;
    let there = config.title().map(String::from);
    Ok(Some(Completion {
        made_for: there.filter(|title| Config::parse(&completed).title() != Some(title)),
        text: completed,
        gaps,
        command: format!("make ARCH={} olddefconfig", arch.kernel),
    }))
}

fn refuse_foreign(config: &Config, gaps: &Gaps, arch: &str) -> Result<()> {
    if gaps.named == 0 {
        bail!("it has neither a line `CONFIG_NAME=VALUE` nor `# CONFIG_NAME is not set`");
    }
    // conf_write_heading(): `Linux/arm64 7.3.4`.
    let made_for = config.title().and_then(|title| title.strip_prefix("Linux/"));
    let made_for = made_for.and_then(|rest| rest.split_whitespace().next());
    let folder = |name: &str| crate::kernel::kconfig::source_architecture(name).to_string();
    if let Some(other) = made_for.filter(|other| folder(other) != folder(arch)) {
        bail!("it was made for {other}, and this is about {arch}: it cannot be completed");
    }
    if gaps.is_foreign() {
        bail!(
            "{} of its {} symbols are defined by no Kconfig file that {arch} reads: it is for another architecture or another project, and cannot \
             be completed",
            gaps.undefined,
            gaps.named
        );
    }
    Ok(())
}

fn olddefconfig(source: &Path, folder: &Path, toolchain: &Toolchain, text: &str) -> Result<String> {
    toolchain.require_versions_of(source)?;
    fs::create_dir_all(folder)?;
    let out = scratch::folder_in(folder).context("making a folder for the configuration")?;
    crate::kernel::place::refuse_path_for_make(out.path())?;
    let config = out.path().join(".config");
    fs::write(&config, text)?;
    let sh = Shell::new()?;
    let cmd = cmd!(sh, "make -s olddefconfig").env("LC_ALL", "C");
    process::run(in_folders(cmd, source, out.path(), toolchain), CONFIG_LIMIT)?;
    Ok(fs::read_to_string(config)?)
}

/// The folders and the compiler of a make call, without what the user's own environment would change.
pub(super) fn in_folders<'a>(cmd: Cmd<'a>, source: &Path, out: &Path, toolchain: &Toolchain) -> Cmd<'a> {
    let mut output = OsString::from("O=");
    output.push(out);
    cmd.arg("-C")
        .arg(source)
        .arg(output)
        .args(toolchain.make_variables())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .env_remove("KCONFIG_CONFIG")
        .env_remove("KCONFIG_ALLCONFIG")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, gaps: Gaps) -> String {
        refuse_foreign(&Config::parse(text), &gaps, "arm64")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_cannot_be_completed_is_refused_with_its_reason() {
        let gaps = Gaps {
            named: 4,
            undefined: 1,
            ..Gaps::default()
        };
        let heading = |arch: &str| format!("#\n# Linux/{arch} 7.3.4 Kernel Configuration\n#\nCONFIG_A=y\n");
        assert_eq!(
            refused(&heading("x86_64"), gaps),
            "it was made for x86_64, and this is about arm64: it cannot be completed"
        );
        refuse_foreign(&Config::parse(&heading("arm64")), &gaps, "arm64").unwrap();
        refuse_foreign(&Config::parse("CONFIG_A=y\n"), &gaps, "arm64").unwrap();
        assert!(refused("", Gaps::default()).contains("neither a line `CONFIG_NAME=VALUE`"));
        let foreign = Gaps { undefined: 3, ..gaps };
        assert!(
            refused("CONFIG_A=y\n", foreign).starts_with("3 of its 4 symbols are defined by no Kconfig file")
        );
    }
}
