//! One piece of work of a build, as make announces it.

/// A line like `  CC [M]  drivers/media/mc/mc.o`: two spaces, a word in capitals (`quiet_cmd_*` of the kernel's Makefiles), the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// `CC`, `LD`, `DTC`, …
    pub kind: String,
    /// What is made, relative to the build folder.
    pub target: String,
}

impl Work {
    /// Reads one line of make's output; `None` for any other line, and for what is looked at rather than made.
    pub fn parse(line: &str) -> Option<Work> {
        let rest = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        let mut words = rest.split_whitespace();
        let kind = words.next()?;
        let is_name = kind.len() > 1
            && kind.starts_with(|c: char| c.is_ascii_uppercase())
            && kind
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if !is_name || matches!(kind, "CALL" | "CHK" | "SYNC" | "UPD" | "DESCEND") {
            return None;
        }
        let target = words.find(|word| !matches!(*word, "[M]" | "[U]"))?;
        Some(Work {
            kind: kind.to_string(),
            target: target.to_string(),
        })
    }

    /// How long it takes beside compiling an average file, where nothing better is known: seconds of builds of 7.3.4 without a warm ccache (2,031
    /// pieces in 533 s with two jobs). `bytes` is the size of the source, where there is one.
    pub fn usual_seconds(&self, bytes: Option<u64>) -> f64 {
        match self.kind.as_str() {
            // Headers are most of it: a base for each file, and a little for each 10 kB of its own. Those of the device model are longer.
            "CC" | "RUSTC" => match bytes {
                Some(bytes) => {
                    let headers = if self.target.starts_with("drivers/") {
                        1.1
                    } else {
                        1.0
                    };
                    (0.42 + 0.014 * bytes as f64 / 10_000.0) * headers
                }
                None => 0.18,
            },
            // Assembly includes little.
            "AS" => 0.08,
            "MODPOST" => 0.4,
            "NM" => 0.15,
            "KSYMS" => 0.1,
            "HOSTCC" | "HOSTLD" => 0.057,
            "DTC" => 0.034,
            "AR" | "LD" => 0.03,
            _ => 0.02,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_work_have_a_kind_and_a_target() {
        let parse = |line: &str| Work::parse(line).map(|work| (work.kind, work.target));
        let some = |kind: &str, target: &str| Some((kind.to_string(), target.to_string()));
        assert_eq!(parse("  CC      drivers/a.o"), some("CC", "drivers/a.o"));
        assert_eq!(parse("  CC [M]  drivers/b.o"), some("CC", "drivers/b.o"));
        assert_eq!(parse("  LD [M]  x.ko"), some("LD", "x.ko"));
        assert_eq!(parse("  HOSTCC  scripts/a"), some("HOSTCC", "scripts/a"));
        for line in [
            "make[1]: Entering directory",
            "  CALL    scripts/checksyscalls.sh",
            "  UPD     include/x.h",
            "    CC x",
            "drivers/a.c:1: warning: x",
            "  | ^~~",
            "  29 | int x;",
            "",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
