//! Why a patch does not apply: which hunk of which file, what was expected there, what is there.

use git2::{Delta, Diff, Patch, Repository, Tree};

/// Says which part of the diff has no place in the tree. `reason` is libgit2's own word, for what is not seen here.
pub(super) fn explain(repo: &Repository, tree: &Tree, diff: &Diff, reason: &str) -> String {
    for at in 0..diff.deltas().len() {
        let Ok(Some(patch)) = Patch::from_diff(diff, at) else {
            continue;
        };
        let Some(path) = patch
            .delta()
            .old_file()
            .path()
            .or(patch.delta().new_file().path())
            .map(|p| p.to_path_buf())
        else {
            continue;
        };
        let there = tree
            .get_path(&path)
            .ok()
            .and_then(|entry| repo.find_blob(entry.id()).ok())
            .map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
        match (patch.delta().status() == Delta::Added, there) {
            (true, Some(_)) => {
                return format!(
                    "{}: the patch makes this file, but the tree has it already",
                    path.display()
                );
            }
            (true, None) => {}
            (false, None) => {
                return format!(
                    "{}: the patch changes this file, but the tree does not have it",
                    path.display()
                );
            }
            (false, Some(text)) => {
                let lines: Vec<&str> = text.lines().collect();
                if let Some(said) = first_misfit(&patch, &lines) {
                    return format!("{}: {said}", path.display());
                }
            }
        }
    }
    reason.to_string()
}

fn first_misfit(patch: &Patch, lines: &[&str]) -> Option<String> {
    for hunk_at in 0..patch.num_hunks() {
        let (hunk, count) = patch.hunk(hunk_at).ok()?;
        let mut expected = Vec::new();
        for line_at in 0..count {
            let line = patch.line_in_hunk(hunk_at, line_at).ok()?;
            if matches!(line.origin(), ' ' | '-') {
                expected.push(
                    String::from_utf8_lossy(line.content())
                        .trim_end_matches('\n')
                        .to_string(),
                );
            }
        }
        let header = String::from_utf8_lossy(hunk.header()).trim_end().to_string();
        let start = (hunk.old_start() as usize).saturating_sub(1);
        if let Some(misfit) = misfit(&expected, lines, start) {
            let found = match misfit.found {
                Some(line) => format!("`{line}`"),
                None => "the end of the file".to_string(),
            };
            return Some(format!(
                "hunk {} (`{header}`) does not fit: line {} was expected to be `{}`, but there is {found}",
                hunk_at + 1,
                misfit.line,
                misfit.expected
            ));
        }
    }
    None
}

#[derive(Debug, PartialEq, Eq)]
struct Misfit {
    /// Line of the file, from 1.
    line: usize,
    expected: String,
    found: Option<String>,
}

/// Where the lines come nearest to what is `expected` (the most equal lines; among equals nearest to `start`, from 0), the first
/// line that differs; `None` if they are there somewhere.
fn misfit(expected: &[String], lines: &[&str], start: usize) -> Option<Misfit> {
    let equal_at = |offset: usize| {
        expected
            .iter()
            .enumerate()
            .filter(|(at, line)| lines.get(offset + at) == Some(&line.as_str()))
            .count()
    };
    let best = (0..=lines.len())
        .max_by_key(|offset| (equal_at(*offset), std::cmp::Reverse(offset.abs_diff(start))))?;
    if equal_at(best) == expected.len() {
        return None;
    }
    let (at, line) = expected
        .iter()
        .enumerate()
        .find(|(at, line)| lines.get(best + at) != Some(&line.as_str()))?;
    Some(Misfit {
        line: best + at + 1,
        expected: line.clone(),
        found: lines.get(best + at).map(|line| line.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| line.to_string()).collect()
    }

    #[test]
    fn the_nearest_place_is_compared() {
        let file = ["a", "b", "c", "d", "b", "X", "d"];
        let misfit = misfit(&expected(&["b", "Y", "d"]), &file, 4).unwrap();
        assert_eq!(
            (misfit.line, misfit.expected.as_str(), misfit.found.as_deref()),
            (6, "Y", Some("X"))
        );
    }

    #[test]
    fn lines_that_moved_fit() {
        assert_eq!(misfit(&expected(&["c", "d"]), &["a", "b", "c", "d"], 0), None);
    }

    #[test]
    fn the_end_of_the_file_is_named() {
        let misfit = misfit(&expected(&["d", "e"]), &["c", "d"], 1).unwrap();
        assert_eq!((misfit.line, misfit.found), (3, None));
    }
}
