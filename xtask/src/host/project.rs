//! Which project folder a command works on.

use super::environment::PROJECT as VARIABLE;
use super::files;
use anyhow::{Context, Result, bail};
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folders that every project has at its top; a kernel tree has neither.
const MARKS: [&str; 2] = ["kconfig-fragments", "campaigns"];

/// How the project folder was found, in the order in which it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The working directory is in it.
    WorkingDirectory,
    /// `LOCKSTEP_PROJECT` names it.
    Variable,
    /// This program was built from it.
    BuiltFrom,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::WorkingDirectory => f.write_str("the working directory is in it"),
            Found::Variable => write!(f, "named by {VARIABLE}"),
            Found::BuiltFrom => write!(
                f,
                "this program was built from it; the working directory is in no project, and {VARIABLE} is not set"
            ),
        }
    }
}

/// Where the project folder is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// The working directory, absolute.
    pub working_directory: &'a Path,
    /// Value of `LOCKSTEP_PROJECT`.
    pub variable: Option<&'a Path>,
    /// The checkout that this program was built from.
    pub built_from: &'a Path,
    /// Users whose project may be taken from the working directory: a campaign file in it can name programs to run.
    pub trusted_owners: &'a [u32],
}

/// The project folder, and how it was found. Errors: `LOCKSTEP_PROJECT` names something else, the project around the working directory belongs
/// to another user, or there is none anywhere.
pub fn find(candidates: Candidates<'_>) -> Result<(PathBuf, Found)> {
    let here = candidates.working_directory;
    let mut around = None;
    for folder in here.ancestors() {
        if is_project(folder)? {
            around = Some(folder);
            break;
        }
    }
    if let Some(project) = around {
        let built = || same_folder(project, candidates.built_from);
        let owner = std::fs::metadata(project)
            .with_context(|| format!("looking at the project {}", project.display()))?
            .uid();
        if !candidates.trusted_owners.contains(&owner) && !built() {
            bail!(
                "the project {} belongs to the user with the ID {owner}, and its files can name programs to run: \
                 change its owner, or run the command from another folder with {VARIABLE} set to the project to use",
                project.display()
            );
        }
        return Ok((project.to_path_buf(), Found::WorkingDirectory));
    }
    if let Some(project) = candidates.variable {
        if !is_project(project)? {
            bail!(
                "{VARIABLE} is {project:?}: expected the absolute path of a folder that has {}",
                MARKS.map(|mark| format!("{mark}/")).join(" and ")
            );
        }
        return Ok((project.to_path_buf(), Found::Variable));
    }
    if is_project(candidates.built_from)? {
        return Ok((candidates.built_from.to_path_buf(), Found::BuiltFrom));
    }
    bail!(
        "no project: neither {} nor a folder above it has {}, {VARIABLE} is not set, and {}, from which this program was built, is gone",
        here.display(),
        MARKS.map(|mark| format!("{mark}/")).join(" and "),
        candidates.built_from.display()
    )
}

/// Users whose projects this process may use unasked: its own, and the one who called sudo, as git's `safe.directory` has it.
pub fn trusted_owners() -> Vec<u32> {
    let own = rustix::process::geteuid();
    let caller = std::env::var("SUDO_UID")
        .ok()
        .filter(|_| own.is_root())
        .and_then(|caller| caller.parse().ok());
    std::iter::once(own.as_raw()).chain(caller).collect()
}

fn is_project(folder: &Path) -> Result<bool> {
    for mark in MARKS {
        if !files::is_folder(&folder.join(mark))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn same_folder(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(at: &Path) -> PathBuf {
        for mark in MARKS {
            std::fs::create_dir_all(at.join(mark)).unwrap();
        }
        at.to_path_buf()
    }

    #[test]
    fn the_nearest_around_the_working_directory_comes_first_then_the_variable_then_where_it_was_built() {
        let scratch = tempfile::tempdir().unwrap();
        let outer = project(&scratch.path().join("outer"));
        let inner = project(&outer.join("inner"));
        let other = project(&scratch.path().join("other"));
        let below = inner.join("kconfig-fragments");
        let me = [rustix::process::geteuid().as_raw()];
        let from = |working_directory, variable, built_from| {
            find(Candidates {
                working_directory,
                variable,
                built_from,
                trusted_owners: &me,
            })
        };
        let outside = scratch.path();
        let named = Some(other.as_path());
        assert_eq!(
            from(&below, named, &outer).unwrap(),
            (inner.clone(), Found::WorkingDirectory)
        );
        assert_eq!(
            from(outside, named, &outer).unwrap(),
            (other.clone(), Found::Variable)
        );
        assert_eq!(
            from(outside, None, &outer).unwrap(),
            (outer.clone(), Found::BuiltFrom)
        );

        let wrong = from(outside, Some(outside), &outer).unwrap_err().to_string();
        assert!(
            wrong.contains("expected the absolute path of a folder that has"),
            "{wrong}"
        );
        let none = from(outside, None, &outside.join("gone"))
            .unwrap_err()
            .to_string();
        assert!(none.contains("no project"), "{none}");
    }

    #[test]
    fn another_user_s_project_around_the_working_directory_is_refused_unless_this_program_is_its() {
        let scratch = tempfile::tempdir().unwrap();
        let foreign = project(&scratch.path().join("foreign"));
        let from = |built_from| {
            find(Candidates {
                working_directory: &foreign,
                variable: None,
                built_from,
                trusted_owners: &[rustix::process::geteuid().as_raw() + 1],
            })
        };
        let refused = from(scratch.path()).unwrap_err().to_string();
        assert!(refused.contains("belongs to the user with the ID"), "{refused}");
        assert_eq!(from(&foreign).unwrap().1, Found::WorkingDirectory);
    }
}
