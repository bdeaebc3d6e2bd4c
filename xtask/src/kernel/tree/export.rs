//! Commits written as patches, by git itself: `git format-patch` is what everybody's tools read.

use super::Stack;
use super::lookup::Lookup;
use crate::host::files;
use crate::host::process;
use crate::kernel::git::git;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Cmd, Shell};

const LIMIT: Duration = Duration::from_secs(600);

/// What a user's configuration could change about the form of a patch (git-config(1), `format.*` and `diff.*`).
const FORM: [&str; 18] = [
    "--binary",
    "--zero-commit",
    "--no-signature",
    "--find-renames",
    "--unified=3",
    "--diff-algorithm=default",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--no-attach",
    "--no-thread",
    "--no-cover-letter",
    "--no-from",
    "--no-to",
    "--no-cc",
    "--no-add-header",
    "--no-notes",
    "--no-ext-diff",
    "--no-textconv",
];

impl Stack {
    fn format_patch<'s>(&self, sh: &'s Shell, arguments: &[&str]) -> Cmd<'s> {
        let folder = self.repo.path();
        let set = ["i18n.logOutputEncoding=UTF-8", "format.mboxrd=false"];
        // Where there are files, git finds the attributes that say where a function begins.
        git(sh, self.repo.workdir().unwrap_or(folder))
            .arg("--git-dir")
            .arg(folder)
            .args(set.iter().flat_map(|setting| ["-c", setting]))
            .arg("format-patch")
            .args(FORM)
            .args(arguments)
    }

    /// A commit (full hex) as `git format-patch` writes it, with ids of at least `digits` in its `index` lines
    /// (those of binary files are always whole).
    pub fn mail_of(&self, commit: &str, digits: usize) -> Result<Vec<u8>> {
        let sh = Shell::new()?;
        let digits = match digits {
            40.. => "--full-index".to_string(),
            _ => format!("--abbrev={}", digits.max(7)),
        };
        let arguments = [
            "--stdout",
            "--no-numbered",
            "--subject-prefix=PATCH",
            &digits,
            "-1",
            commit,
        ];
        Ok(process::run(self.format_patch(&sh, &arguments), LIMIT)?.stdout)
    }

    /// Writes the commits between base and HEAD as numbered files into a new or empty folder, with a `series` file;
    /// gives the names in their order. Errors: nothing is applied; the folder holds something.
    ///
    /// Dies half-way: the folder holds some of the files, and no `series` file.
    pub fn export(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let doing = || format!("exporting the applied patches to {}", folder.display());
        if files::is_there(folder)? && std::fs::read_dir(folder).with_context(doing)?.next().is_some() {
            bail!(
                "{}: the folder is not empty, and nothing is overwritten; name a new one",
                doing()
            );
        }
        let range = format!("{}..{}", self.base()?, self.head()?);
        if self.commits()?.is_empty() {
            bail!(
                "{}: no patch is applied on {}; nothing was written",
                doing(),
                self.branch()
            );
        }
        let out = std::path::absolute(folder).with_context(doing)?;
        let out = out
            .to_str()
            .with_context(|| format!("{}: its name is not UTF-8", doing()))?;
        let sh = Shell::new()?;
        let arguments = [
            "--full-index",
            "--numbered",
            "--subject-prefix=PATCH",
            "-o",
            out,
            &range,
        ];
        let listed = process::run(self.format_patch(&sh, &arguments), LIMIT)
            .with_context(doing)?
            .text();
        let names: Vec<PathBuf> = listed
            .lines()
            .filter_map(|line| Some(PathBuf::from(Path::new(line).file_name()?)))
            .collect();
        let list: String = names.iter().map(|name| format!("{}\n", name.display())).collect();
        crate::host::files::write_atomic(&folder.join("series"), list.as_bytes()).with_context(doing)?;
        Ok(names)
    }

    /// Reads text files as HEAD has them; `None` where there is none. Each folder on the way is read once.
    pub fn files(&self) -> Result<impl Fn(&Path) -> Option<String>> {
        let doing = "reading the files of the tree";
        let tree = self
            .head_commit()
            .and_then(|head| Ok(head.tree()?))
            .context(doing)?;
        let files = Lookup::new(&self.repo, tree);
        Ok(move |path: &Path| {
            let bytes = files.content(path).ok()??;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        })
    }
}
