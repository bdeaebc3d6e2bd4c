//! What a value of a board file may be: nothing that a program takes for an option, or a shell for more than a word. Errors name the place.

use crate::board::extlinux::check_foreign_name;
use crate::host::toml::place;
use ::toml::Spanned;
use anyhow::{Result, bail};
use std::path::{Component, Path, PathBuf};

/// The text, for the place of what is wrong in it.
pub(super) struct Checker<'a>(pub(super) &'a str);

impl Checker<'_> {
    pub(super) fn wrong<T, R>(&self, at: &Spanned<T>, what: &str) -> Result<R> {
        bail!("{}: {what}", place(self.0, at.span()))
    }

    /// A host or label that no program takes for an option and no shell for more than a word.
    pub(super) fn plain(&self, at: &Spanned<String>, key: &str, more: &str) -> Result<String> {
        let word = at.get_ref();
        let good = !word.is_empty()
            && !word.starts_with('-')
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || more.contains(c));
        if !good {
            let what = format!(
                "`{key}` is `{}`: letters, digits and `-_.{more}` only, and no dash at the beginning",
                word.escape_debug()
            );
            return self.wrong(at, &what);
        }
        Ok(word.clone())
    }

    /// The name of a label in an extlinux.conf.
    pub(super) fn label(&self, at: &Spanned<String>, key: &str) -> Result<String> {
        match check_foreign_name(at.get_ref()) {
            Ok(()) => Ok(at.get_ref().clone()),
            Err(error) => self.wrong(at, &format!("`{key}`: {error}")),
        }
    }

    /// A path on the board.
    pub(super) fn absolute(&self, at: &Spanned<PathBuf>, key: &str) -> Result<PathBuf> {
        let path = at.get_ref();
        let straight = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let printable = path
            .to_str()
            .is_some_and(|text| !text.chars().any(char::is_control));
        if !path.is_absolute() || !straight || !printable || path == Path::new("/") {
            let what = format!(
                "`{key}` is `{}`: an absolute path of the board without `..` is needed",
                path.to_string_lossy().escape_debug()
            );
            return self.wrong(at, &what);
        }
        Ok(path.clone())
    }

    /// A file of this host; `~/` is the home folder.
    pub(super) fn host_file(&self, at: &Option<Spanned<PathBuf>>, key: &str) -> Result<Option<PathBuf>> {
        let Some(at) = at else { return Ok(None) };
        let path = match at.get_ref().strip_prefix("~") {
            Ok(below) => std::env::home_dir().unwrap_or_default().join(below),
            Err(_) => at.get_ref().clone(),
        };
        if !path.is_absolute() {
            let what = format!(
                "`{key}` is `{}`: an absolute path, or one that begins with `~/`",
                path.display()
            );
            return self.wrong(at, &what);
        }
        Ok(Some(path))
    }
}
