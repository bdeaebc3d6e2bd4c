//! Why a patch does not apply: which hunk of which file, what was expected there, what is there, and who wrote that.
//!
//! This is for the reader of an error only: that the patch does not apply is git's judgement.

use super::lookup::{At, Lookup};
use super::short;
use crate::kernel::diff::FileChange;
use crate::kernel::diff::hunks::{self, Hunk};
use crate::kernel::patch::Patch;
use git2::{BlameOptions, Commit, Oid, Repository, Sort, Tree};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Commits of a history that are looked through for the one that last touched a line. A kernel's whole history
/// would take minutes.
const COMMITS: usize = 20_000;

/// Why a file of a patch does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Misfit {
    /// It is to be changed and is not there.
    Absent,
    /// It is to be made and is there.
    There,
    /// A folder is where the patch has a file.
    Folder,
    /// A file or a link is where the patch has a folder.
    Beyond(PathBuf),
    /// A link where the patch has a file, or the other way round.
    OtherKind,
    /// This hunk has no place, counted from 0.
    Hunk(usize),
    /// It is to be taken away, but has more lines than the patch knows.
    Rest,
}

/// The first part of the patch for whose file a reason can be seen.
fn first_misfit<'p>(repo: &Repository, tree: &Tree, patch: &'p Patch) -> Option<(&'p FileChange, Misfit)> {
    let tree = Lookup::new(repo, tree.clone());
    let goes = |change: &&FileChange| !change.copied && change.old != change.new;
    let gone: HashSet<&Path> = patch
        .files
        .iter()
        .filter(goes)
        .filter_map(|change| change.old.as_deref())
        .collect();
    let mut seen: HashSet<&Path> = HashSet::new();
    for change in &patch.files {
        // What an earlier part of the patch does to the same file is not known here.
        if change.paths().any(|path| seen.contains(path)) {
            return None;
        }
        seen.extend(change.paths());
        if let Some(misfit) = misfit_of(repo, &tree, &gone, change) {
            return Some((change, misfit));
        }
    }
    None
}

/// `gone`: the files that the patch takes away.
fn misfit_of(repo: &Repository, tree: &Lookup, gone: &HashSet<&Path>, change: &FileChange) -> Option<Misfit> {
    let at = |path: &Path| tree.at(path).ok();
    if let Some(new) = change.new.as_deref().filter(|_| change.old != change.new) {
        match at(new)? {
            At::File(..) if !gone.contains(new) => return Some(Misfit::There),
            At::Beyond(link, ..) if !gone.contains(link.as_path()) => return Some(Misfit::Beyond(link)),
            _ => {}
        }
    }
    let (id, mode) = match at(change.old.as_deref()?)? {
        At::File(id, mode) => (id, u32::try_from(mode).ok()?),
        At::Nothing => return Some(Misfit::Absent),
        At::Folder(_) => return Some(Misfit::Folder),
        At::Beyond(link, ..) => return Some(Misfit::Beyond(link)),
    };
    if change
        .old_mode
        .is_some_and(|said| said & 0o170_000 != mode & 0o170_000)
    {
        return Some(Misfit::OtherKind);
    }
    if change.binary.is_some() {
        return None;
    }
    let content = repo.find_blob(id).ok()?.content().to_vec();
    match hunks::apply(&change.hunks, &content) {
        Err(hunk) => Some(Misfit::Hunk(hunk)),
        Ok(after) => (change.new.is_none() && !after.is_empty()).then_some(Misfit::Rest),
    }
}

/// Whether lines are what does not fit: only then do the places of a merge say why.
pub(super) fn is_of_lines(repo: &Repository, tree: &Tree, patch: &Patch) -> bool {
    matches!(first_misfit(repo, tree, patch), None | Some((_, Misfit::Hunk(_))))
}

/// Says what part of the patch does not fit the tree of the commit `head`; `None` where only git knows.
pub(super) fn explain(repo: &Repository, tree: &Tree, head: Option<Oid>, patch: &Patch) -> Option<String> {
    let (change, misfit) = first_misfit(repo, tree, patch)?;
    let old = change
        .old
        .as_deref()
        .or(change.new.as_deref())
        .unwrap_or(Path::new(""));
    let new = change.new.as_deref().unwrap_or(old);
    // Where patches are tried one on the other, a file may be one that no commit has: nobody can be named then.
    let head = head.filter(|head| {
        let of_head = repo.find_commit(*head).and_then(|commit| commit.tree());
        let id = |tree: &Tree, path| tree.get_path(path).ok().map(|entry| entry.id());
        of_head.is_ok_and(|of_head| [old, new].iter().all(|path| id(&of_head, path) == id(tree, path)))
    });
    let said = match &misfit {
        Misfit::Absent => format!(
            "{}: the patch changes this file, but the tree does not have it",
            old.display()
        ),
        Misfit::There => format!(
            "{}: the patch makes this file, but the tree has it already",
            new.display()
        ),
        Misfit::Folder => format!(
            "{}: the patch changes this file, but the tree has a folder there",
            old.display()
        ),
        Misfit::Beyond(link) => format!(
            "{}: the tree has a file or a symbolic link at {}, where the patch has a folder",
            new.display(),
            link.display()
        ),
        Misfit::OtherKind => format!(
            "{}: the tree has a symbolic link where the patch has a file, or the other way round",
            old.display()
        ),
        Misfit::Rest => format!(
            "{}: the patch takes this file away, but the file has more lines than the patch knows",
            old.display()
        ),
        Misfit::Hunk(at) => {
            let content = Lookup::new(repo, tree.clone()).content(old).ok()??;
            let said = hunk_misfit(repo, head, change, *at, old, &content)?;
            return Some(format!("{}: {said}", old.display()));
        }
    };
    Some(match (misfit, head) {
        (Misfit::There, Some(head)) => said + &last_change(repo, head, new),
        (Misfit::Rest, Some(head)) => said + &last_change(repo, head, old),
        _ => said,
    })
}

fn hunk_misfit(
    repo: &Repository,
    head: Option<Oid>,
    change: &FileChange,
    at: usize,
    path: &Path,
    content: &[u8],
) -> Option<String> {
    let hunk = change.hunks.get(at)?;
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let start = hunk.old.start.saturating_sub(1);
    let said = format!(
        "hunk {} of {} (`{}`) does not fit: ",
        at.saturating_add(1),
        change.hunks.len(),
        hunk.header
    );
    let Some(misfit) = misfit(&hunk.before(), &lines, start) else {
        return Some(said + &all_there(hunk, change, at, content));
    };
    let found = match &misfit.found {
        Some(line) if line.trim_end_matches('\n') == misfit.expected.trim_end_matches('\n') => {
            format!(
                "`{}` with another end of line or file",
                line.trim_end_matches('\n')
            )
        }
        Some(line) => format!("`{}`", line.trim_end_matches('\n')),
        None => "the end of the file".to_string(),
    };
    let author = head
        .map(|head| last_touch(repo, head, path, misfit.line.min(lines.len())))
        .unwrap_or_default();
    Some(format!(
        "{said}line {} was expected to be `{}`, but there is {found}{author}",
        misfit.line,
        misfit.expected.trim_end_matches('\n')
    ))
}

/// Every line that the hunk needs stands together somewhere, and it has no place all the same.
fn all_there(hunk: &Hunk, change: &FileChange, at: usize, content: &[u8]) -> String {
    let place = if hunk.old.start <= 1 {
        "the beginning"
    } else {
        "the end"
    };
    if hunks::apply(std::slice::from_ref(hunk), content).is_err() {
        return format!(
            "its lines are there, but not at {place} of the file, where a hunk without context on that side belongs (`git diff` with context \
             lines, without `-U0`, tells where)"
        );
    }
    format!(
        "its lines are there, but the {} before it changed them",
        if at == 1 || change.hunks.len() == 2 {
            "hunk"
        } else {
            "hunks"
        }
    )
}

/// `; COMMIT "SUBJECT" (AUTHOR, DATE) last touched that line`.
fn last_touch(repo: &Repository, head: Oid, path: &Path, line: usize) -> String {
    if line == 0 || longer_than(repo, head, COMMITS) {
        return last_change(repo, head, path);
    }
    let mut options = BlameOptions::new();
    options.newest_commit(head).min_line(line).max_line(line);
    let Ok(blame) = repo.blame_file(path, Some(&mut options)) else {
        return String::new();
    };
    let Some(hunk) = blame.get_line(line) else {
        return String::new();
    };
    match repo.find_commit(hunk.final_commit_id()) {
        Ok(commit) => format!("; {} last touched that line", named(repo, &commit)),
        Err(_) => String::new(),
    }
}

fn longer_than(repo: &Repository, head: Oid, limit: usize) -> bool {
    let Ok(mut walk) = repo.revwalk() else { return true };
    walk.push(head).is_err() || walk.nth(limit).is_some()
}

/// `; COMMIT … last touched the file`: for a history that is too long for more, along first parents.
fn last_change(repo: &Repository, head: Oid, path: &Path) -> String {
    let Ok(mut walk) = repo.revwalk() else {
        return String::new();
    };
    let started = walk.push(head).and_then(|()| walk.set_sorting(Sort::TOPOLOGICAL));
    if started.is_err() || walk.simplify_first_parent().is_err() {
        return String::new();
    }
    let blob = |commit: &Commit| commit.tree().ok()?.get_path(path).ok().map(|entry| entry.id());
    for commit in walk
        .take(COMMITS)
        .filter_map(|id| repo.find_commit(id.ok()?).ok())
    {
        let before = commit.parent(0).ok().and_then(|parent| blob(&parent));
        if blob(&commit) != before {
            return format!("; {} last touched the file", named(repo, &commit));
        }
    }
    String::new()
}

fn named(repo: &Repository, commit: &Commit) -> String {
    let author = commit.author();
    let day = jiff::Timestamp::from_second(commit.time().seconds())
        .map(|time| time.strftime("%Y-%m-%d").to_string());
    let id = short(&commit.id().to_string()).to_string();
    // What a shallow clone, or an import, begins with says nothing about who wrote a line.
    let first = if commit.parent_count() == 0 || repo.is_shallow() && commit.parent(0).is_err() {
        ", the first commit of this history,"
    } else {
        ""
    };
    format!(
        "{} \"{}\" ({}, {}){first}",
        id,
        super::subject(commit),
        String::from_utf8_lossy(author.name_bytes()),
        day.unwrap_or_default()
    )
}

/// Lines that are compared at most: a long hunk is compared with fewer places, those nearest to its own.
const COMPARED: usize = 10_000_000;

#[derive(Debug, PartialEq, Eq)]
struct NearMiss {
    /// Line of the file, from 1.
    line: usize,
    expected: String,
    found: Option<String>,
}

/// Where the lines come nearest to what is `expected` (the most equal lines; among equals nearest to `start`, from
/// 0), the first line that differs; `None` if they are there somewhere.
fn misfit(expected: &[&[u8]], lines: &[&[u8]], start: usize) -> Option<NearMiss> {
    let line_at = |offset: usize, at: usize| lines.get(offset.saturating_add(at));
    let equal_at = |offset: usize| {
        let pairs = expected.iter().enumerate();
        pairs
            .filter(|(at, line)| line_at(offset, *at) == Some(line))
            .count()
    };
    let reach = COMPARED.checked_div(expected.len()).unwrap_or(COMPARED);
    let start = start.min(lines.len());
    let near = start.saturating_sub(reach)..=start.saturating_add(reach).min(lines.len());
    let best = near.max_by_key(|offset| (equal_at(*offset), std::cmp::Reverse(offset.abs_diff(start))))?;
    let (at, line) = expected
        .iter()
        .enumerate()
        .find(|(at, line)| line_at(best, *at) != Some(*line))?;
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    Some(NearMiss {
        line: best.saturating_add(at).saturating_add(1),
        expected: text(line),
        found: line_at(best, at).map(|line| text(line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<'a>(lines: &[&'a str]) -> Vec<&'a [u8]> {
        lines.iter().map(|line| line.as_bytes()).collect()
    }

    #[test]
    fn the_nearest_place_is_compared() {
        let file = lines(&["a", "b", "c", "d", "b", "X", "d"]);
        let misfit = misfit(&lines(&["b", "Y", "d"]), &file, 4).unwrap();
        assert_eq!(
            (misfit.line, misfit.expected.as_str(), misfit.found.as_deref()),
            (6, "Y", Some("X"))
        );
    }

    /// 300,000 lines at as many places would be compared for an hour.
    #[test]
    fn a_long_hunk_is_compared_near_its_own_place_only() {
        let mut file = vec![b"x\n".as_slice(); 300_000];
        let mut hunk = file.clone();
        file[150_000] = b"there\n";
        hunk[150_007] = b"wanted\n";
        let misfit = misfit(&hunk, &file, 0).unwrap();
        assert_eq!(
            (misfit.line, misfit.expected.as_str(), misfit.found.as_deref()),
            (150_001, "x\n", Some("there\n"))
        );
    }

    #[test]
    fn lines_that_moved_fit() {
        assert_eq!(
            misfit(&lines(&["c", "d"]), &lines(&["a", "b", "c", "d"]), 0),
            None
        );
    }

    #[test]
    fn the_end_of_the_file_is_named() {
        let misfit = misfit(&lines(&["d", "e"]), &lines(&["c", "d"]), 1).unwrap();
        assert_eq!((misfit.line, misfit.found), (3, None));
    }
}
