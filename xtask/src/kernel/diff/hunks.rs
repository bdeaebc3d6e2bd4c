//! Hunks, and the file that they make of another: the places are those that `git apply` finds.
//!
//! Its rule (git's apply.c: `find_pos()`, `match_fragment()`, `apply_one_fragment()`): every context line has to be
//! there, newline included; the search begins where the header says and goes outward, forwards first; a hunk that
//! begins at line 1 stays at the beginning, one without context behind it at the end; no hunk takes lines that an
//! earlier one has put there.

/// A range of lines in a hunk header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First line, from 1; with no lines, the line before.
    pub start: usize,
    /// Number of lines.
    pub count: usize,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// ` `, `-` or `+`.
    pub origin: u8,
    /// Its text, with its newline unless the file ends without one there.
    pub text: Vec<u8>,
}

/// A hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Its header as it is, without the newline.
    pub header: String,
    /// Lines before.
    pub old: Range,
    /// Lines after.
    pub new: Range,
    /// Its lines, in their order.
    pub lines: Vec<Line>,
}

impl Hunk {
    /// The lines that have to be there.
    pub fn before(&self) -> Vec<&[u8]> {
        self.side(b'-')
    }

    fn side(&self, origin: u8) -> Vec<&[u8]> {
        let of_side = |line: &&Line| line.origin == b' ' || line.origin == origin;
        self.lines
            .iter()
            .filter(of_side)
            .map(|line| line.text.as_slice())
            .collect()
    }

    /// Where its lines are in `image`, if anywhere.
    fn place(&self, image: &[(&[u8], bool)]) -> Option<usize> {
        let before = self.before();
        let last = image.len().checked_sub(before.len())?;
        let at_beginning = self.old.start <= 1;
        let at_end = self.lines.last().is_some_and(|line| line.origin != b' ');
        let fits = |at: &usize| {
            *at <= last
                && (!at_beginning || *at == 0)
                && (!at_end || *at == last)
                && before
                    .iter()
                    .zip(image.iter().skip(*at))
                    .all(|(wanted, (there, ours))| !ours && wanted == there)
        };
        let expected = match (at_beginning, at_end) {
            (true, _) => 0,
            (false, true) => last,
            (false, false) => self.new.start.saturating_sub(1).min(image.len()),
        };
        let outward = (0..=image.len()).flat_map(|step| {
            let backwards = expected.checked_sub(step).filter(|_| step > 0);
            [expected.checked_add(step), backwards].into_iter().flatten()
        });
        outward.into_iter().find(fits)
    }
}

/// The file that the hunks make of `content`; `Err`: the first hunk that has no place, from 0.
pub fn apply(hunks: &[Hunk], content: &[u8]) -> Result<Vec<u8>, usize> {
    let mut image: Vec<(&[u8], bool)> = content
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| (line, false))
        .collect();
    for (number, hunk) in hunks.iter().enumerate() {
        let at = hunk.place(&image).ok_or(number)?;
        let after = hunk.side(b'+').into_iter().map(|line| (line, true));
        image.splice(at..at.saturating_add(hunk.before().len()), after);
    }
    Ok(image
        .into_iter()
        .flat_map(|(line, _)| line.iter().copied())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::*;

    const DIFF: &str = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -2,3 +2,4 @@ fn\n b\n c\n+new\n d\n@@ -7,3 +8,2 @@\n g\n-h\n i\n";

    fn check(content: &str, expected: Result<&str, usize>) {
        let hunks = scan("p", DIFF.as_bytes(), 1).unwrap().files.remove(0).hunks;
        let found = apply(&hunks, content.as_bytes()).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(found, expected.map(String::from), "{content}");
    }

    #[test]
    fn hunks_stay_where_they_fit() {
        check(
            "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n",
            Ok("a\nb\nc\nnew\nd\ne\nf\ng\ni\nj\n"),
        );
    }

    #[test]
    fn hunks_follow_their_lines() {
        check(
            "x\ny\na\nb\nc\nd\ne\ng\nh\ni\nj\n",
            Ok("x\ny\na\nb\nc\nnew\nd\ne\ng\ni\nj\n"),
        );
        check("b\nc\nd\ng\nh\ni\nj\n", Ok("b\nc\nnew\nd\ng\ni\nj\n"));
    }

    #[test]
    fn a_context_line_that_changed_has_no_place() {
        check("a\nb\nC\nd\ne\nf\ng\nh\ni\nj\n", Err(0));
        check("a\nb\nc\nd\ne\nf\ng\nh\nI\nj\n", Err(1));
    }

    #[test]
    fn of_two_places_the_nearer_is_taken_and_forwards_first() {
        check(
            "b\nc\nd\nx\nb\nc\nd\ng\nh\ni\nj\n",
            Ok("b\nc\nnew\nd\nx\nb\nc\nd\ng\ni\nj\n"),
        );
    }
}
