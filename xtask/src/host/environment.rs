//! Folders that environment variables name.
//!
//! A relative one would be another folder for each working directory, and another one again for git, make and
//! gcc, which run elsewhere. So it is refused, as `LOCKSTEP_PROJECT` always was, and not made absolute as
//! cargo does with `CARGO_HOME`. An empty value counts as none (XDG Base Directory Specification, "Environment
//! variables", for its own).

use anyhow::Result;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Names the cache folder.
pub const CACHE: &str = "LOCKSTEP_CACHE";
/// Names the folder for the locks of boards.
pub const LOCKS: &str = "LOCKSTEP_LOCKS";
/// Names the project folder for commands that are run outside of it.
pub const PROJECT: &str = "LOCKSTEP_PROJECT";
/// Names the folder for temporary files, of ours and of the programs that we start (environ(7)).
pub const TEMPORARY: &str = "TMPDIR";
/// Names the user's cache folder.
pub const USER_CACHE: &str = "XDG_CACHE_HOME";
/// Names the user's folder.
pub const HOME: &str = "HOME";

/// All of them that have to be absolute.
const CHECKED: [&str; 5] = [PROJECT, CACHE, LOCKS, TEMPORARY, HOME];

/// Why the environment cannot be used; nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A folder is named by a path that is not absolute.
    Relative {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: PathBuf,
    },
    /// No variable says where the cache is.
    NoCache,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unusable::Relative { variable, value } => write!(
                f,
                "the environment variable {variable} is {value:?}: expected an absolute path, beginning with `/`"
            ),
            Unusable::NoCache => write!(
                f,
                "no place for the cache: none of {CACHE}, {USER_CACHE} and {HOME} names a folder; set {CACHE} to one"
            ),
        }
    }
}

impl std::error::Error for Unusable {}

/// Errors: one of the variables names a folder by a path that is not absolute.
pub fn check() -> Result<(), Unusable> {
    CHECKED.iter().try_for_each(|name| folder(name).map(drop))
}

/// The folder that a variable names; `None` where it is not set, or empty. Errors: the path is not absolute.
pub fn folder(variable: &'static str) -> Result<Option<PathBuf>, Unusable> {
    named(variable, std::env::var_os(variable))
}

/// Where the cache is. Errors: the path is not absolute; nothing names a place.
pub fn cache() -> Result<PathBuf, Unusable> {
    cache_of(std::env::var_os)
}

/// Where temporary files are.
pub fn temporary() -> Result<PathBuf, Unusable> {
    Ok(folder(TEMPORARY)?.unwrap_or_else(|| Path::new("/tmp").to_path_buf()))
}

fn named(variable: &'static str, value: Option<OsString>) -> Result<Option<PathBuf>, Unusable> {
    match value.filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(value) if value.is_absolute() => Ok(Some(value)),
        Some(value) => Err(Unusable::Relative { variable, value }),
        None => Ok(None),
    }
}

fn cache_of(value: impl Fn(&'static str) -> Option<OsString>) -> Result<PathBuf, Unusable> {
    if let Some(folder) = named(CACHE, value(CACHE))? {
        return Ok(folder);
    }
    // The specification has a relative one ignored.
    if let Ok(Some(folder)) = named(USER_CACHE, value(USER_CACHE)) {
        return Ok(folder.join("lockstep"));
    }
    match named(HOME, value(HOME))? {
        Some(folder) => Ok(folder.join(".cache/lockstep")),
        None => Err(Unusable::NoCache),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_absolute_or_refused_and_an_empty_variable_is_none() {
        let at = |values: &'static [(&str, &str)]| {
            cache_of(move |wanted| {
                let found = values.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let relative = |variable, value: &str| {
            Err(Unusable::Relative {
                variable,
                value: value.into(),
            })
        };
        for (values, expected) in [
            (
                &[(CACHE, "/c"), (USER_CACHE, "/x"), (HOME, "/h")][..],
                Ok("/c".into()),
            ),
            (
                &[(CACHE, ""), (USER_CACHE, "/x"), (HOME, "/h")],
                Ok("/x/lockstep".into()),
            ),
            (
                &[(USER_CACHE, "x"), (HOME, "/h")],
                Ok("/h/.cache/lockstep".into()),
            ),
            (&[(USER_CACHE, ""), (HOME, "/h")], Ok("/h/.cache/lockstep".into())),
            (&[(CACHE, "c"), (HOME, "/h")], relative(CACHE, "c")),
            (&[(CACHE, "./c"), (HOME, "/h")], relative(CACHE, "./c")),
            (&[(CACHE, "~/c"), (HOME, "/h")], relative(CACHE, "~/c")),
            (&[(HOME, "h")], relative(HOME, "h")),
            (&[(USER_CACHE, "x"), (HOME, "")], Err(Unusable::NoCache)),
            (&[], Err(Unusable::NoCache)),
        ] {
            assert_eq!(at(values), expected, "{values:?}");
        }
    }
}
