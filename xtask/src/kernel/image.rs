//! What a build makes for each architecture: its boot image, its device trees, and the goals of make that give them.

use super::build::Builder;
use crate::host::process;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

const LIMIT: Duration = Duration::from_secs(120);

/// How much of a kernel is asked for. What ships is another question, which the build's content answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Image, modules and device trees.
    Kernel,
    /// Every module.
    Modules,
    /// One folder of the tree first, so that its errors are seen soonest, and then every module.
    Folder(PathBuf),
}

impl Scope {
    /// From `--scope`: `kernel`, `modules`, or a folder of the tree with a Makefile. Errors: no such folder in `tree`.
    pub fn named(name: &str, tree: &Path) -> Result<Self> {
        match name {
            "kernel" => return Ok(Scope::Kernel),
            "modules" => return Ok(Scope::Modules),
            _ => {}
        }
        let given = Path::new(name);
        let inside = given.strip_prefix(tree).unwrap_or(given);
        let folder = tree.join(inside);
        let is_below = inside
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if is_below && (folder.join("Makefile").is_file() || folder.join("Kbuild").is_file()) {
            return Ok(Scope::Folder(inside.to_path_buf()));
        }
        bail!(
            "`--scope {name}`: {} is no folder of the kernel tree with a Makefile; allowed are `kernel`, `modules` and such a folder (drivers/media/mc)",
            folder.display()
        )
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Scope::Kernel => write!(f, "kernel"),
            Scope::Modules => write!(f, "modules"),
            Scope::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl Builder {
    /// The boot image, relative to the build folder. Where the architecture does not fix it, the kernel's own Makefile says which it is
    /// for this configuration (`make image_name`).
    pub fn image(&self) -> Result<PathBuf> {
        let arch = self.toolchain.arch;
        if let Some(name) = arch.image {
            return Ok(Path::new("arch").join(arch.folder).join("boot").join(name));
        }
        let sh = Shell::new()?;
        let said = process::read(self.environment(cmd!(sh, "make -s image_name")), LIMIT)
            .context("asking for the name of the boot image")?;
        let name = said.lines().last().unwrap_or_default().trim();
        if name.is_empty() {
            bail!("make image_name said nothing");
        }
        Ok(PathBuf::from(name))
    }

    /// Folder of the device trees, relative to source and build folder; not every architecture has it.
    pub fn dts(&self) -> PathBuf {
        Path::new("arch")
            .join(self.toolchain.arch.folder)
            .join("boot/dts")
    }

    /// Whether the configuration in force has loadable modules.
    pub fn has_modules(&self) -> bool {
        self.is_on("CONFIG_MODULES=y")
    }

    fn is_on(&self, line: &str) -> bool {
        std::fs::read_to_string(self.out.join(".config"))
            .is_ok_and(|text| text.lines().any(|other| other == line))
    }

    /// Calls of make, one after the other, that give what is asked for. The `dtbs` goal is only there with device trees (CONFIG_OF).
    pub fn goals(&self, scope: &Scope) -> Result<Vec<Vec<String>>> {
        let modules = if self.has_modules() {
            vec!["modules".to_string()]
        } else {
            Vec::new()
        };
        Ok(match scope {
            Scope::Kernel => {
                let image = self.image()?;
                let name = image
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let dtbs = self.source.join(self.dts()).is_dir() && self.is_on("CONFIG_OF=y");
                let dtbs = dtbs.then(|| "dtbs".to_string());
                vec![[name].into_iter().chain(modules).chain(dtbs).collect()]
            }
            Scope::Modules => vec![modules],
            Scope::Folder(folder) => vec![vec![format!("{}/", folder.display())], modules],
        }
        .into_iter()
        .filter(|goals| !goals.is_empty())
        .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_word_or_a_folder_of_the_tree() {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("drivers/a");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("Makefile"), "").unwrap();
        let named = |name: &str| Scope::named(name, tree.path());
        assert_eq!(named("kernel").unwrap(), Scope::Kernel);
        assert_eq!(named("modules").unwrap(), Scope::Modules);
        assert_eq!(named("drivers/a/").unwrap(), Scope::Folder("drivers/a".into()));
        assert_eq!(
            named(folder.to_str().unwrap()).unwrap(),
            Scope::Folder("drivers/a".into())
        );
        for wrong in ["drivers", "kernels", "../x", "/etc"] {
            let error = named(wrong).unwrap_err().to_string();
            assert!(error.contains("allowed are `kernel`, `modules`"), "{error}");
        }
    }
}
