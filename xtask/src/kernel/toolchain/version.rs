//! Versions of compilers and linkers, against the least that a tree takes.

use anyhow::{Context, Result, bail};
use std::path::Path;

/// `12.2.0` or `2.40` as three numbers.
pub type Version = [u32; 3];

/// The version in the first line of `--version`: the last run of digits and dots of at least two numbers that stands outside brackets, and
/// for a line with `version N` that one. gcc writes `gcc (Debian 12.2.0-14) 12.2.0`, GNU ld `GNU ld (GNU Binutils for Debian) 2.40`,
/// clang `Debian clang version 19.1.7 (3)`, LLD `Debian LLD 19.1.7 (compatible with GNU linkers)`.
pub fn parse(said: &str) -> Option<Version> {
    let line = said.lines().next()?;
    let mut outside = String::new();
    let mut depth = 0_u32;
    for c in line.chars() {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside.split_whitespace().rev().find_map(numbers)
}

/// `19.1.7` and `2.40.50.20230119` or `12.2.0-14` to three numbers; a lone number is none.
fn numbers(word: &str) -> Option<Version> {
    let head: String = word
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let mut parts = head.split('.').map(str::parse::<u32>);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    let patch = parts.next().and_then(Result::ok).unwrap_or(0);
    Some([major, minor, patch])
}

/// Errors if what a program says of itself is older than `least`, the answer of the tree's `scripts/min-tool-version.sh`.
pub fn require(program: &Path, said: &str, least: &str, tree: &Path) -> Result<()> {
    let first = said.lines().next().unwrap_or_default();
    let least_version = numbers(least.trim())
        .with_context(|| format!("`{least}` of scripts/min-tool-version.sh is no version"))?;
    let Some(version) = parse(said) else {
        bail!(
            "{} does not say its version; `--version` says `{first}`",
            program.display()
        );
    };
    if version < least_version {
        bail!(
            "{} is too old: it is version {}, and the kernel in {} takes {} or newer (scripts/min-tool-version.sh)",
            program.display(),
            version.map(|number| number.to_string()).join("."),
            tree.display(),
            least.trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_says_it_in_its_own_way() {
        for (said, version) in [
            (
                "aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0\nCopyright",
                [12, 2, 0],
            ),
            ("GNU ld (GNU Binutils for Debian) 2.40", [2, 40, 0]),
            ("GNU ld version 2.38-24.fc36", [2, 38, 0]),
            ("GNU ld (Linaro) 2.28.2.20170706", [2, 28, 2]),
            ("Debian clang version 19.1.7 (3)", [19, 1, 7]),
            ("Debian LLD 19.1.7 (compatible with GNU linkers)", [19, 1, 7]),
            ("gcc (GCC) 14.2.1 20250110 (Red Hat 14.2.1-7)", [14, 2, 1]),
        ] {
            assert_eq!(parse(said), Some(version), "{said}");
        }
        assert_eq!(parse("a compiler"), None);
    }

    #[test]
    fn one_that_is_too_old_is_refused_with_both_numbers() {
        let ask = |said: &str| require(Path::new("/usr/bin/gcc"), said, "8.1.0", Path::new("/tree"));
        ask("gcc (x) 8.1.0").unwrap();
        ask("gcc (x) 12.2.0").unwrap();
        let error = ask("gcc (x) 7.5.0").unwrap_err().to_string();
        assert_eq!(
            error,
            "/usr/bin/gcc is too old: it is version 7.5.0, and the kernel in /tree takes 8.1.0 or newer (scripts/min-tool-version.sh)"
        );
        assert!(
            ask("tcc")
                .unwrap_err()
                .to_string()
                .contains("does not say its version")
        );
    }
}
