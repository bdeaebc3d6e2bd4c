//! Programs that Lockstep brings to a board, compiled for it here.

use super::Context;
use crate::campaign::file::Campaign;
use crate::kernel::toolchain::Toolchain;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Builds one of our C programs for the board: all that is in a folder of `xtask/`.
pub fn compile(context: &Context, name: &str, folder: &str) -> Result<PathBuf> {
    let folder = context.folders.project.join("xtask").join(folder);
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    let out = context.folders.cache.join("probe").join(name);
    let sources: Vec<&Path> = sources.iter().map(PathBuf::as_path).collect();
    Toolchain::find()?.compile_probe(&sources, &out)?;
    Ok(out)
}

/// What the smoke tests of a campaign need in `$LOCKSTEP`: its programs, compiled for the board, and files of this machine.
pub fn smoke_files(context: &Context, campaign: &Campaign) -> Result<Vec<(String, PathBuf)>> {
    let project = &context.folders.project;
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for (name, folder) in &campaign.programs {
        // An absolute path stands for itself when it is joined.
        let folder = project.join(folder).display().to_string();
        found.push((name.clone(), compile(context, name, &folder)?));
    }
    for file in campaign.smoke_tests.iter().flat_map(|test| &test.push) {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let path = project.join(file);
        match found.iter().find(|(known, _)| *known == name) {
            Some((_, other)) if *other != path => bail!(
                "pushing {} and {} for the smoke tests: both would be `{name}` in $LOCKSTEP; rename one",
                other.display(),
                path.display()
            ),
            Some(_) => {}
            None => found.push((name, path)),
        }
    }
    Ok(found)
}
