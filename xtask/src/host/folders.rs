//! Where things live: what cannot be made again in the project's `.lockstep/`, what can in the user's cache.

use super::environment;
use super::json::require_utf8;
use super::project::{self, Found};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folders of one checkout and one user. Nothing here creates them; whoever writes does.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The checkout: `patches/`, `kconfig-fragments/`, `boards/`, `campaigns/` are below it.
    pub project: PathBuf,
    /// How `project` was found.
    pub found: Found,
    /// What cannot be made again: backups, journals, evidence, reports (`<project>/.lockstep`).
    pub state: PathBuf,
    /// What can be made again, shared by every checkout of this user (`$LOCKSTEP_CACHE`, else
    /// `$XDG_CACHE_HOME/lockstep`, else `~/.cache/lockstep`).
    pub cache: PathBuf,
}

impl Folders {
    /// Finds them ([`project::find`]). Errors: there is no project, or no place for the cache ([`environment::Unusable`]).
    pub fn find() -> Result<Self> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built_from = built_from
            .parent()
            .context("finding the project folder: the xtask package has no parent folder")?;
        let (project, found) = project::find(project::Candidates {
            working_directory: &std::env::current_dir().context("finding the working directory")?,
            variable: environment::folder(environment::PROJECT)?.as_deref(),
            built_from,
            trusted_owners: &project::trusted_owners(),
        })?;
        let cache = std::path::absolute(environment::cache()?).context("finding the cache folder")?;
        // The manifests of builds hold paths below it. That of the project is UTF-8: rustc takes no other value into a program.
        require_utf8(&cache).context("finding the cache folder (LOCKSTEP_CACHE names another one)")?;
        Ok(Folders {
            state: project.join(".lockstep"),
            project,
            found,
            cache,
        })
    }
}
