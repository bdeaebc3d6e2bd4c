//! Patches of a history, written in every form that `git format-patch` and other programs have,
//! given to `git am` and to Lockstep on the same parent: the same commit, or a refusal by both.

use crate::mail_forms::{FORMS, Form, mail_of};
use crate::mail_history::{git, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::{How, Tree};

/// How often each outcome occurred.
pub type Counts = BTreeMap<&'static str, usize>;

/// What a comparison came to.
#[derive(Default)]
pub struct Compared {
    /// All outcomes.
    pub counts: Counts,
    /// Differences, each with its commit, form and both answers.
    pub different: Vec<String>,
    /// Forms of which at least one patch was applied by both.
    pub forms: BTreeSet<&'static str>,
}

/// Two work trees of one history: `git am` works in one, Lockstep in the other.
pub struct Both {
    folder: TempDir,
    ours: Tree,
}

/// What an answer begins with where the parent itself could not be made.
const NOT_THERE: &str = "NO PARENT";

/// A commit as far as a patch decides it.
type Commit = (String, String);

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).trim_end().to_string()
}

impl Both {
    /// Of the repository at `source`, which is not changed; `start` is a commit of it.
    pub fn of(source: &Path, start: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("repo");
        let names = (source.to_str().unwrap(), repo.to_str().unwrap());
        git(
            folder.path(),
            &["clone", "-q", "--shared", "--no-checkout", names.0, names.1],
        );
        git(&repo, &["checkout", "-q", "-f", "--detach", start]);
        let worktree = folder.path().join("trees/key/tree");
        let ours = Tree::open(&repo, &worktree, "lockstep/tree", Some(start)).unwrap();
        Both { folder, ours }
    }

    fn judge(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    fn commit(&self, revision: &str) -> Commit {
        let form = "--format=%T%n%an <%ae> %ad%n%B";
        let tree = ["rev-parse", &format!("{revision}^{{tree}}")];
        let log = ["log", "-1", "--encoding=UTF-8", "--date=raw", form, revision];
        (text(git(&self.judge(), &tree)), text(git(&self.judge(), &log)))
    }

    /// What `git am` makes of the file on `parent`; `Err`: its words.
    fn am(&self, parent: &str, file: &Path, more: &[&str]) -> Result<Commit, String> {
        let repo = self.judge();
        git(&repo, &["checkout", "-q", "-f", "--detach", parent]);
        let mut arguments = vec!["am", "-q"];
        arguments.extend(more);
        arguments.push(file.to_str().unwrap());
        let output = run(&repo, &arguments);
        if !output.status.success() {
            // There is nothing to abort where the file was not taken for a mail at all.
            drop(run(&repo, &["am", "-q", "--abort"]));
            git(&repo, &["reset", "-q", "--hard", parent]);
            git(&repo, &["clean", "-q", "-f", "-d"]);
            return Err(text(output.stderr));
        }
        Ok(self.commit("HEAD"))
    }

    /// What Lockstep makes of it, and that it can take it back.
    fn lockstep(&mut self, parent: &str, file: &Path) -> Result<(Commit, How, Patch), String> {
        // What is counted as applied begins here: a history of thousands of commits is none of the
        // patch's.
        git(
            &self.judge(),
            &["update-ref", "refs/lockstep/lockstep/tree/base", parent],
        );
        self.ours
            .move_to(parent)
            .map_err(|error| format!("{NOT_THERE} {error:#}"))?;
        let patch = Patch::read(file).map_err(|error| format!("{error:#}"))?;
        let applied = self.ours.apply(&patch).map_err(|error| format!("{error:#}"))?;
        let commit = self.commit(&applied.commit);
        let back = self.ours.take_back(&patch, xtask::kernel::tree::Later::Stay);
        match back {
            Ok(reverted) => assert_eq!(reverted.head, parent),
            Err(error) => return Err(format!("NOT TAKEN BACK {error:#}")),
        }
        Ok((commit, applied.how, patch))
    }

    /// Compares both on the mail of `commit` in one form, applied to `parent`.
    pub fn compare(&mut self, commit: &str, parent: &str, form: &Form, all: &mut Compared) {
        let Some(mail) = mail_of(&self.judge(), commit, form) else {
            *all.counts.entry("not in this form").or_default() += 1;
            return;
        };
        let file = self.folder.path().join("0001-x.patch");
        fs::write(&file, &mail).unwrap();
        let keep = if form.carriage_returns_went_along {
            &[][..]
        } else {
            &["--keep-cr"]
        };
        let wanted = self.am(parent, &file, keep);
        let got = self.lockstep(parent, &file);
        let outcome = match (&wanted, &got) {
            (Ok(wanted), Ok((got, How::Directly, patch))) if got == wanted => {
                match self.told(commit, parent, got, patch) {
                    None => {
                        all.forms.insert(form.name);
                        "same commit"
                    }
                    Some(told) => {
                        all.different
                            .push(format!("{commit} on {parent} {}: {told}", form.name));
                        "different"
                    }
                }
            }
            (_, Err(said)) if said.starts_with(NOT_THERE) => "parent not made: it changes a submodule",
            (Err(_), Err(said)) if !said.starts_with("NOT TAKEN BACK") => "refused by both",
            // Where lines moved, Lockstep goes on as `git am --3way` does.
            (Err(_), Ok((got, How::ThreeWay, _)))
                if self.am(parent, &file, &[keep, &["-3"]].concat()).as_ref() == Ok(got) =>
            {
                "same merge"
            }
            // A kernel has none; said in the error.
            (Ok(_), Err(said)) if said.contains("submodule") => "submodule, refused by rule",
            _ => {
                all.different.push(format!(
                    "{commit} on {parent} {}:\n  git am {wanted:?}\n  Lockstep {:?}",
                    form.name,
                    got.map(|(commit, how, _)| (commit, how))
                ));
                "different"
            }
        };
        *all.counts.entry(outcome).or_default() += 1;
    }

    /// Where what Lockstep says about a patch is not what its commit is.
    fn told(&self, commit: &str, parent: &str, made: &Commit, patch: &Patch) -> Option<String> {
        let names = [
            "diff-tree",
            "-r",
            "-z",
            "--name-only",
            "--no-renames",
            parent,
            &made.0,
        ];
        let listed = git(&self.judge(), &names);
        let changed: BTreeSet<&[u8]> = listed
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .collect();
        let copied: BTreeSet<&[u8]> = patch
            .files
            .iter()
            .filter(|file| file.copied)
            .filter_map(|file| Some(file.old.as_ref()?.as_os_str().as_encoded_bytes()))
            .collect();
        let touched: BTreeSet<&[u8]> = patch
            .touched_files()
            .iter()
            .map(|path| path.as_os_str().as_encoded_bytes())
            .collect();
        let read_only: BTreeSet<&[u8]> = touched.difference(&changed).copied().collect();
        if !changed.is_subset(&touched) || !read_only.is_subset(&copied) {
            return Some(format!("files of {commit}: {touched:?}, changed are {changed:?}"));
        }
        let subject = made.1.lines().nth(2).unwrap_or_default().to_string();
        let author = made.1.lines().nth(1).unwrap_or_default();
        let said = format!("{} <{}> ", patch.author, patch.email);
        if !author.starts_with(&said) || patch.message().lines().next() != Some(subject.as_str()) {
            return Some(format!("{said}{}: {author} {subject}", patch.subject));
        }
        None
    }
}

/// Each commit in one form, the forms in turn; where a commit has an older one `back` places before
/// it, the patch is also put there, where it may not fit.
pub fn run_all(source: &Path, commits: &[(String, String)], back: usize, each: usize) -> Compared {
    let mut all = Compared::default();
    let Some((_, first)) = commits.first() else {
        return all;
    };
    let mut both = Both::of(source, first);
    let mut shown = 0;
    for (at, (commit, parent)) in commits.iter().enumerate() {
        for turn in 0..each {
            let form = &FORMS[(at * each + turn) % FORMS.len()];
            both.compare(commit, parent, form, &mut all);
        }
        if let Some((_, elsewhere)) = at.checked_sub(back).and_then(|at| commits.get(at)) {
            both.compare(commit, elsewhere, &FORMS[at % FORMS.len()], &mut all);
        }
        for difference in &all.different[shown..] {
            println!("{difference}");
        }
        shown = all.different.len();
        if at % 50 == 49 {
            println!("{} of {} commits: {:?}", at + 1, commits.len(), all.counts);
        }
    }
    all
}
