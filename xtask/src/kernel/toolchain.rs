//! The compiler of a kernel: gcc or LLVM, cross or native, behind ccache, distcc or icecc; and small programs made with it.

mod version;
mod wrapper;

pub use wrapper::Wrapper;

use super::arch::{self, Architecture};
use crate::host::environment;
use crate::host::process;
use crate::host::requirements::{Probe, Purpose, Requirement, Weight};
use crate::host::scratch;
use anyhow::{Context, Result, bail};
use object::Object;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

/// `ARCH` of the kernel's Makefile where nobody says another.
pub const KERNEL_ARCH: &str = arch::DEFAULT.kernel;
/// Size at which ccache drops its oldest results; a debug kernel takes about 1 GB of it.
const CCACHE_SIZE: &str = "10G";
const LIMIT: Duration = Duration::from_secs(60);

/// Whose compiler, linker and binary tools.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Family {
    /// gcc and GNU binutils.
    #[default]
    Gnu,
    /// clang and LLVM's tools, chosen as `LLVM=` of the kernel's Makefile (Documentation/kbuild/llvm.rst): `1`, a suffix with its dash
    /// (`-19`), or a folder with its slash (`/opt/llvm/bin/`).
    Llvm(String),
}

impl Family {
    /// From the value of `--llvm`. Errors: not what the kernel's Makefile takes.
    pub fn llvm(value: &str) -> Result<Self> {
        if value == "1" || value.ends_with('/') || (value.starts_with('-') && value.len() > 1) {
            return Ok(Family::Llvm(value.to_string()));
        }
        bail!(
            "`--llvm {value}`: the kernel's Makefile takes 1, a suffix with its dash (-19) or a folder with its slash (/opt/llvm/bin/)"
        )
    }

    /// The name of one of LLVM's programs: `clang` is `clang-19` or `/opt/llvm/bin/clang`.
    fn program(value: &str, name: &str) -> String {
        match value {
            "1" => name.to_string(),
            suffix if suffix.starts_with('-') => format!("{name}{suffix}"),
            folder => format!("{folder}{name}"),
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For which machine.
    pub arch: &'static Architecture,
    /// Whose tools.
    pub family: Family,
    /// What stands before the compiler.
    pub wrapper: Wrapper,
}

impl Default for Wanted {
    /// gcc for the default architecture, behind ccache where it is.
    fn default() -> Self {
        Wanted {
            arch: arch::DEFAULT,
            family: Family::Gnu,
            wrapper: Wrapper::Ccache,
        }
    }
}

/// A compiler that was seen to build for its architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// What it builds for.
    pub arch: &'static Architecture,
    /// Whose it is.
    pub family: Family,
    /// The compiler, absolute.
    pub compiler: PathBuf,
    /// What stands before `gcc` in its name, with its folder where it is not in PATH: `CROSS_COMPILE` of the kernel's Makefile. Empty for
    /// the machine's own compiler, and for LLVM.
    pub prefix: String,
    /// First line of `--version`.
    pub version: String,
    /// The linker, absolute.
    pub linker: PathBuf,
    /// ccache, if it is there and wanted.
    pub ccache: Option<PathBuf>,
    /// Another wrapper, absolute.
    pub wrapper: Option<PathBuf>,
}

impl Toolchain {
    /// The default one, with what `LOCKSTEP_COMPILER_WRAPPER` names before it. Errors as for [`Toolchain::look`].
    pub fn find() -> Result<Self> {
        let wanted = Wanted {
            wrapper: Wrapper::from_environment(),
            ..Wanted::default()
        };
        Self::look(&wanted)
    }

    /// Finds the compiler and lets it compile an empty file, so that a compiler for another machine, or a clang without the target, is
    /// noticed here. A gcc is looked for with the `cc` crate (which honours `CC_aarch64_unknown_linux_gnu` and `CROSS_COMPILE`), then under
    /// the names that distributions give it. Errors: none there (names the package), one for another machine, a wrapper that is not there.
    pub fn look(wanted: &Wanted) -> Result<Self> {
        let arch = wanted.arch;
        let (named, flags) = match &wanted.family {
            Family::Gnu => (gcc(arch), Vec::new()),
            Family::Llvm(value) => {
                if arch.clang.is_empty() {
                    bail!(
                        "LLVM does not build Linux for {} (scripts/Makefile.clang has no target for it)",
                        arch.kernel
                    );
                }
                let flags = vec![format!("--target={}", arch.clang)];
                (Some(PathBuf::from(Family::program(value, "clang"))), flags)
            }
        };
        let named = named.with_context(|| missing(wanted))?;
        let compiler = which::which(&named)
            .with_context(|| format!("`{}` is not there: {}", named.display(), missing(wanted)))?;
        let sh = Shell::new()?;
        let said = process::read(cmd!(sh, "{compiler} --version"), LIMIT)?;
        let prefix = match &wanted.family {
            Family::Gnu => prefix_of(&named)?,
            Family::Llvm(_) => String::new(),
        };
        refuse_other_family(&wanted.family, &compiler, &said)?;
        refuse_other_machine(arch, &compiler, &flags)?;
        let ld = match &wanted.family {
            Family::Gnu => format!("{prefix}ld"),
            Family::Llvm(value) => Family::program(value, "ld.lld"),
        };
        let linker = which::which(&ld).with_context(|| {
            format!(
                "{} is there, but its linker `{ld}` is not; install binutils (or lld) for {}",
                compiler.display(),
                arch.kernel
            )
        })?;
        let (ccache, wrapper) = wanted.wrapper.find()?;
        Ok(Toolchain {
            arch,
            family: wanted.family.clone(),
            version: said.lines().next().unwrap_or_default().to_string(),
            prefix,
            compiler,
            linker,
            ccache,
            wrapper,
        })
    }

    /// Errors if compiler or linker are older than this very tree takes (its `scripts/min-tool-version.sh`, which the kernel's own
    /// build asks too, later), or if the tree lacks the architecture. A tree from before that script (5.10) is taken as it is.
    pub fn require_versions_of(&self, tree: &Path) -> Result<()> {
        self.arch.require_in(tree)?;
        let script = tree.join("scripts/min-tool-version.sh");
        if !script.is_file() {
            return Ok(());
        }
        let (compiler, linker) = match self.family {
            Family::Gnu => ("gcc", "binutils"),
            Family::Llvm(_) => ("llvm", "llvm"),
        };
        let sh = Shell::new()?;
        for (program, tool) in [(&self.compiler, compiler), (&self.linker, linker)] {
            let least = cmd!(sh, "sh {script} {tool}")
                .env("ARCH", self.arch.kernel)
                .env("SRCARCH", self.arch.folder);
            let least = process::read(least, LIMIT)
                .with_context(|| format!("asking the tree for its minimum of {tool}"))?;
            let said = process::read(cmd!(sh, "{program} --version"), LIMIT)?;
            version::require(program, &said, &least, tree)?;
        }
        Ok(())
    }

    /// The program and the package that a person lacks who has no such compiler, for the list of all that is missing.
    pub fn requirement(wanted: &Wanted) -> Option<Requirement> {
        let (program, package) = match (&wanted.family, wanted.arch.gcc.first()) {
            (Family::Gnu, Some(_)) if wanted.arch.is_native() => ("gcc", "gcc"),
            (Family::Gnu, Some(program)) => (*program, wanted.arch.package),
            (Family::Llvm(value), _) if value == "1" => ("clang", "clang"),
            _ => return None,
        };
        Some(Requirement {
            probe: Probe::Program(program),
            debian: package,
            fedora: None,
            arch: None,
            purpose: Purpose::Kernel,
            weight: Weight::Needed,
        })
    }

    /// `CC` for make: the compiler, behind its wrapper.
    pub fn cc(&self) -> String {
        let first = self.ccache.as_ref().or(self.wrapper.as_ref());
        match first {
            Some(first) => format!("{} {}", first.display(), self.compiler.display()),
            None => self.compiler.display().to_string(),
        }
    }

    /// Variables of every make call.
    pub fn make_variables(&self) -> Vec<String> {
        let mut variables = vec![format!("ARCH={}", self.arch.kernel)];
        match &self.family {
            Family::Gnu => variables.push(format!("CROSS_COMPILE={}", self.prefix)),
            Family::Llvm(value) => variables.push(format!("LLVM={value}")),
        }
        variables.push(format!("CC={}", self.cc()));
        variables
    }

    /// What ccache needs to give the same results to every checkout of this user: its folder below `cache`, and
    /// paths relative to that; the other wrapper, if any, for the rest (CCACHE_PREFIX of ccache(1)); includes by -MMD, without a preprocessor.
    pub fn ccache_variables(&self, cache: &Path) -> Vec<(&'static str, OsString)> {
        let Some(_) = self.ccache else { return Vec::new() };
        let mut variables: Vec<(&str, OsString)> = vec![
            ("CCACHE_DIR", cache.join("ccache").into()),
            ("CCACHE_BASEDIR", cache.into()),
            ("CCACHE_NOHASHDIR", "1".into()),
            ("CCACHE_DEPEND", "1".into()),
            ("CCACHE_MAXSIZE", CCACHE_SIZE.into()),
        ];
        if let Some(wrapper) = &self.wrapper {
            variables.push(("CCACHE_PREFIX", wrapper.into()));
        }
        variables
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
        let scratch = scratch::folder_in(folder).with_context(doing)?;
        let written = scratch.path().join("program");
        let compiler = &self.compiler;
        let sh = Shell::new()?;
        process::run(
            cmd!(
                sh,
                "{compiler} -O2 -Wall -Wextra -Werror -static -pthread -o {written} {sources...}"
            )
            // Its own temporary files go with ours where it is killed.
            .env(environment::TEMPORARY, scratch.path()),
            Duration::from_secs(300),
        )
        .with_context(doing)?;
        std::fs::rename(&written, out).with_context(doing)
    }
}

/// The gcc that builds for `arch`, as somebody or some distribution names it.
fn gcc(arch: &Architecture) -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(prefix) = named("CROSS_COMPILE") {
        let mut name = prefix;
        name.push("gcc");
        return Some(PathBuf::from(name));
    }
    if let Some(target) = arch.rust {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let tool = cc::Build::new()
            .target(target)
            .host(&host)
            .opt_level(2)
            .cargo_metadata(false)
            .cargo_warnings(false)
            .cargo_debug(false)
            .try_get_compiler();
        let variables = [
            format!("CC_{target}"),
            format!("CC_{}", target.replace('-', "_")),
            "TARGET_CC".into(),
        ];
        // What a person names is taken, there or not; else cc names a compiler whether it is there or not, and `cc` for the machine's own.
        let is_named = variables.iter().any(|name| named(name).is_some());
        let is_there = |path: &Path| path != Path::new("cc") && which::which(path).is_ok();
        if let Some(tool) = tool.ok().filter(|tool| is_named || is_there(tool.path())) {
            return Some(tool.path().to_path_buf());
        }
    }
    let own = arch.is_native().then_some("gcc");
    own.into_iter()
        .chain(arch.gcc.iter().copied())
        .find(|name| which::which(name).is_ok())
        .map(PathBuf::from)
}

fn missing(wanted: &Wanted) -> String {
    let arch = wanted.arch;
    let kernel = arch.kernel;
    match &wanted.family {
        Family::Gnu if arch.gcc.is_empty() => {
            format!("no gcc builds Linux for {kernel}; use `--llvm 1`")
        }
        Family::Gnu => format!(
            "there is no C compiler for {kernel} on this machine (looked for {}); on Debian it is in the package {} \
             (`cargo xtask doctor` lists all that is missing)",
            arch.gcc.join(", "),
            if arch.is_native() { "gcc" } else { arch.package }
        ),
        Family::Llvm(value) => format!(
            "there is no `{}` on this machine; on Debian it is in the package clang, and the linker in lld",
            Family::program(value, "clang")
        ),
    }
}

/// A `gcc` that is clang (as on some systems), or the other way round, takes other flags than the Makefile would give it.
fn refuse_other_family(family: &Family, compiler: &Path, said: &str) -> Result<()> {
    let is_clang = said.to_lowercase().contains("clang");
    match (family, is_clang) {
        (Family::Gnu, true) => bail!("{} is clang, not gcc: use `--llvm 1`", compiler.display()),
        (Family::Llvm(_), false) => bail!(
            "{} is not clang; it says `{}`",
            compiler.display(),
            said.lines().next().unwrap_or_default()
        ),
        _ => Ok(()),
    }
}

/// Compiles an empty file and looks what the object is for.
fn refuse_other_machine(arch: &Architecture, compiler: &Path, flags: &[String]) -> Result<()> {
    let sh = Shell::new()?;
    let scratch = scratch::folder().context("trying the compiler")?;
    let (source, object) = (scratch.path().join("try.c"), scratch.path().join("try.o"));
    std::fs::write(&source, "int lockstep;\n").context("trying the compiler")?;
    let compile = cmd!(sh, "{compiler} {flags...} -c {source} -o {object}");
    process::run(compile.env(environment::TEMPORARY, scratch.path()), LIMIT)
        .with_context(|| format!("{} cannot compile for {}", compiler.display(), arch.kernel))?;
    let bytes = std::fs::read(&object).context("trying the compiler")?;
    let machine = machine_of(&bytes).with_context(|| format!("{} made no ELF object", compiler.display()))?;
    if arch.machines.contains(&machine) {
        return Ok(());
    }
    let target = process::read(cmd!(sh, "{compiler} -dumpmachine"), LIMIT).unwrap_or_default();
    bail!(
        "{} builds for `{target}` (ELF machine {machine}), not for {} (ELF machine {}); is one of CROSS_COMPILE, TARGET_CC and \
         CC_<target> set?",
        compiler.display(),
        arch.kernel,
        arch.machines
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(" or ")
    )
}

/// `e_machine` of an ELF file: two bytes at offset 18, in the file's own byte order (`e_ident[5]`; elf(5)).
fn machine_of(bytes: &[u8]) -> Result<u16> {
    let file = object::File::parse(bytes)?;
    let at: [u8; 2] = bytes
        .get(18..20)
        .context("the file ends in its header")?
        .try_into()?;
    Ok(if file.is_little_endian() {
        u16::from_le_bytes(at)
    } else {
        u16::from_be_bytes(at)
    })
}

/// `aarch64-linux-gnu-` of `aarch64-linux-gnu-gcc` or `aarch64-linux-gnu-gcc-12`; empty for `gcc` itself.
fn prefix_of(compiler: &Path) -> Result<String> {
    let name = compiler.file_name().unwrap_or_default().to_string_lossy();
    let Some((prefix, _)) = name
        .rsplit_once("gcc")
        .filter(|(_, version)| version.is_empty() || version.starts_with('-'))
    else {
        bail!(
            "{} has not the name of a gcc (`aarch64-linux-gnu-gcc`, `gcc-12`), so that its linker cannot be found; for clang there is `--llvm`",
            compiler.display()
        );
    };
    Ok(
        match compiler.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) if !prefix.is_empty() => format!("{}/{prefix}", folder.display()),
            _ => prefix.to_string(),
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
        assert_eq!(
            prefix("/usr/bin/gcc"),
            "",
            "binutils of the machine itself are in PATH"
        );
        let error = prefix_of(Path::new("clang")).unwrap_err().to_string();
        assert!(error.contains("not the name of a gcc"), "{error}");
    }

    #[test]
    fn a_compiler_for_another_machine_is_noticed() {
        let gcc = which::which("gcc").unwrap();
        let other = if cfg!(target_arch = "aarch64") {
            "x86_64"
        } else {
            "arm64"
        };
        let other = Architecture::named(other).unwrap();
        let error = refuse_other_machine(other, &gcc, &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("not for {}", other.kernel)), "{error}");
        let own = Architecture::named(std::env::consts::ARCH).unwrap();
        refuse_other_machine(own, &gcc, &[]).unwrap();
    }

    #[test]
    fn the_machine_builds_for_itself_without_a_prefix() {
        let wanted = Wanted {
            arch: Architecture::named(std::env::consts::ARCH).unwrap(),
            ..Wanted::default()
        };
        let found = Toolchain::look(&wanted).unwrap();
        assert_eq!(found.prefix, "");
        assert!(
            found.make_variables().contains(&"CROSS_COMPILE=".to_string()),
            "{found:?}"
        );
    }

    #[test]
    fn llvm_is_named_as_the_kernels_makefile_names_it() {
        assert_eq!(Family::program("1", "clang"), "clang");
        assert_eq!(Family::program("-19", "ld.lld"), "ld.lld-19");
        assert_eq!(Family::program("/opt/llvm/bin/", "clang"), "/opt/llvm/bin/clang");
        assert!(
            Family::llvm("19")
                .unwrap_err()
                .to_string()
                .contains("a suffix with its dash")
        );
        let wanted = Wanted {
            family: Family::llvm("-99").unwrap(),
            ..Wanted::default()
        };
        let error = format!("{:#}", Toolchain::look(&wanted).unwrap_err());
        assert!(error.contains("there is no `clang-99`"), "{error}");
        let wanted = Wanted {
            arch: Architecture::named("alpha").unwrap(),
            family: Family::llvm("1").unwrap(),
            ..Wanted::default()
        };
        let error = Toolchain::look(&wanted).unwrap_err().to_string();
        assert!(error.contains("LLVM does not build Linux for alpha"), "{error}");
    }

    #[test]
    fn variables_say_the_whole_toolchain() {
        let toolchain = Toolchain {
            arch: arch::DEFAULT,
            family: Family::Llvm("-19".into()),
            compiler: "/usr/bin/clang-19".into(),
            prefix: String::new(),
            version: String::new(),
            linker: "/usr/bin/ld.lld-19".into(),
            ccache: Some("/usr/bin/ccache".into()),
            wrapper: None,
        };
        assert_eq!(
            toolchain.make_variables(),
            ["ARCH=arm64", "LLVM=-19", "CC=/usr/bin/ccache /usr/bin/clang-19"]
        );
    }
}
