//! When each piece of a build was done: recorded by every build, and what the next one's estimate is made of.

use super::work::Work;
use std::collections::HashMap;
use std::fmt::Write as _;

/// First line of the file; a reader takes nothing else.
const HEADER: &str = "# lockstep timeline 1: milliseconds since the start of make, kind, target";

/// Pieces of work in the order in which they were done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Milliseconds since the start of make, and the piece.
    pub rows: Vec<(u64, Work)>,
    /// When make ended, milliseconds.
    pub end: u64,
}

impl Timeline {
    /// As a file: tab-separated rows under a header, and a last row of kind `END`.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (at, work) in &self.rows {
            let _ = writeln!(text, "{at}\t{}\t{}", work.kind, work.target);
        }
        let _ = writeln!(text, "{}\tEND\t.", self.end);
        text
    }

    /// Reads what [`Timeline::to_text`] wrote. `None`: something else, or a file that was cut off.
    pub fn parse(text: &str) -> Option<Timeline> {
        let mut lines = text.lines();
        if lines.next()? != HEADER {
            return None;
        }
        let mut rows = Vec::new();
        for line in lines {
            let mut columns = line.split('\t');
            let at: u64 = columns.next()?.parse().ok()?;
            let (kind, target) = (columns.next()?.to_string(), columns.next()?.to_string());
            if kind == "END" {
                return Some(Timeline { rows, end: at });
            }
            rows.push((at, Work { kind, target }));
        }
        None
    }

    /// Each piece with the seconds from the one before it.
    pub fn steps(&self) -> impl Iterator<Item = (&Work, f64)> {
        let befores = std::iter::once(0).chain(self.rows.iter().map(|(at, _)| *at));
        self.rows
            .iter()
            .zip(befores)
            .map(|((at, work), before)| (work, at.saturating_sub(before) as f64 / 1000.0))
    }

    /// Seconds that each target took from the end of the build's point of view: from the piece before it to it. With several jobs that is
    /// not the time of this one compiler, but the sum over a build is its length, which is what an estimate needs.
    pub fn seconds(&self) -> HashMap<&str, f64> {
        let mut seconds: HashMap<&str, f64> = HashMap::new();
        for (work, took) in self.steps() {
            *seconds.entry(&work.target).or_default() += took;
        }
        seconds
    }

    /// Whether it tells more about a whole build than `earlier`: it compiled where that did not, or has more pieces, or as many.
    pub fn is_better_than(&self, earlier: &Timeline) -> bool {
        match (self.is_of_compiling(), earlier.is_of_compiling()) {
            (false, _) => false,
            (true, false) => true,
            (true, true) => self.rows.len().saturating_mul(2) > earlier.rows.len(),
        }
    }

    /// Whether compilers did the work, rather than a cache: then a file takes much longer than an archive of files. In a build from nothing
    /// it was 22 to 27 times as long, in one out of ccache 4 times.
    pub fn is_of_compiling(&self) -> bool {
        let (mut files, mut archives) = ((0.0, 0.0), (0.0, 0.0));
        for (work, took) in self.steps() {
            let sum = match work.kind.as_str() {
                "CC" => &mut files,
                "AR" => &mut archives,
                _ => continue,
            };
            *sum = (sum.0 + took, sum.1 + 1.0);
        }
        // took / number of files > 8 * took / number of archives, without a division by nothing.
        archives.1 > 0.0 && files.0 * archives.1 > 8.0 * archives.0 * files.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(rows: &[(u64, &str)]) -> Timeline {
        Timeline {
            rows: rows
                .iter()
                .map(|(at, target)| {
                    let work = Work {
                        kind: "CC".into(),
                        target: target.to_string(),
                    };
                    (*at, work)
                })
                .collect(),
            end: rows.last().map_or(0, |row| row.0),
        }
    }

    #[test]
    fn what_is_written_is_read_and_a_torn_file_is_not() {
        let written = timeline(&[(10, "a.o"), (500, "b.o")]);
        assert_eq!(Timeline::parse(&written.to_text()), Some(written.clone()));
        let text = written.to_text();
        assert_eq!(Timeline::parse(text.trim_end_matches("500\tEND\t.\n")), None);
        assert_eq!(Timeline::parse("1\tCC\ta.o\n"), None);
    }

    #[test]
    fn the_seconds_of_all_targets_are_the_length_of_the_build() {
        let built = timeline(&[(1000, "a.o"), (1500, "b.o"), (4000, "c.o")]);
        let seconds = built.seconds();
        assert_eq!(seconds["b.o"], 0.5);
        assert_eq!(seconds.values().sum::<f64>(), 4.0);
    }

    #[test]
    fn a_build_out_of_a_cache_does_not_replace_a_real_one() {
        let with_archive = |rows: &[(u64, &str)]| {
            let mut built = timeline(rows);
            built.rows.last_mut().unwrap().1.kind = "AR".into();
            built
        };
        let cold = with_archive(&[(1000, "a.o"), (2000, "b.o"), (2010, "c.a")]);
        let warm = with_archive(&[(40, "a.o"), (80, "b.o"), (90, "c.a")]);
        assert!(cold.is_of_compiling() && !warm.is_of_compiling());
        assert!(!warm.is_better_than(&cold) && cold.is_better_than(&warm));
        assert!(cold.is_better_than(&Timeline::default()));
        let one = with_archive(&[(9000, "a.a")]);
        assert!(!one.is_better_than(&cold), "one file is no whole build");
    }
}
