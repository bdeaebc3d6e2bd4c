//! The answer of a smoke test's script: parts with a name and a length, so that nothing that a test prints can be taken for something else.

/// Begins the head of a part: `lockstep-part NAME BYTES`.
pub const HEAD: &str = "lockstep-part";

/// The parts of an answer.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    parts: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    /// Reads an answer; what is cut off is left out. Lengths count bytes as the board sent them: where bytes that are no UTF-8 were replaced, the
    /// next head is looked for.
    pub fn of(answer: &'a str) -> Self {
        let mut parts = Vec::new();
        let mut rest = answer;
        while let Some((name, length, after)) = head(rest) {
            let exact = after.get(..length).filter(|_| {
                let next = after.get(length..).unwrap_or_default().trim_start_matches('\n');
                next.is_empty() || next.starts_with(HEAD)
            });
            let content = exact.unwrap_or_else(|| {
                let end = after.find(&format!("\n{HEAD} ")).unwrap_or(after.len());
                after.get(..end).unwrap_or_default()
            });
            parts.push((name, content));
            rest = after
                .get(content.len()..)
                .unwrap_or_default()
                .trim_start_matches('\n');
        }
        Parts { parts }
    }

    /// The content of a part; empty where there is none.
    pub fn text(&self, name: &str) -> &'a str {
        let found = self.parts.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, text)| text)
    }

    /// A `key=value` line of the part `facts`; the last one counts.
    pub fn fact(&self, key: &str) -> Option<&'a str> {
        let lines = self.text("facts").lines();
        lines
            .filter_map(|line| line.split_once('='))
            .filter(|(name, value)| *name == key && !value.is_empty())
            .map(|(_, value)| value)
            .next_back()
    }

    /// The last part is there, so all are.
    pub fn are_whole(&self) -> bool {
        self.parts.last().is_some_and(|(name, _)| *name == "end")
    }
}

fn head(text: &str) -> Option<(&str, usize, &str)> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    let (name, length) = line.strip_prefix(HEAD)?.trim().split_once(' ')?;
    Some((name, length.trim().parse().ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_prints_a_head_does_not_forge_a_part() {
        let printed = "lockstep-part facts 5\nrun=0\n";
        let answer = format!(
            "lockstep-part facts 6\nrun=7\n\nlockstep-part printed {}\n{printed}\nlockstep-part end 0\n",
            printed.len()
        );
        let parts = Parts::of(&answer);
        assert_eq!(parts.fact("run"), Some("7"));
        assert_eq!(parts.text("printed"), printed);
        assert!(parts.are_whole());
    }

    #[test]
    fn an_answer_that_is_cut_off_is_not_whole() {
        assert!(!Parts::of("lockstep-part facts 6\nrun=0\n").are_whole());
        assert!(!Parts::of("").are_whole());
    }
}
