//! Names of labels that are not ours.

use crate::host::one_line::is_invisible;
use anyhow::{Result, ensure};

/// Longest name, bytes. U-Boot has no limit; a menu's line and a message have.
const LONGEST: usize = 255;

/// A name that a label of a distribution may have: what `label` of an extlinux.conf takes, to the
/// end of the line (`parse_label` in U-Boot's `boot/pxe_utils.c`), and what can be shown. Blanks
/// and punctuation are ordinary: `Arch Linux ARM`, `Fedora (6.9.7-200.fc40.aarch64) 40`. Such a
/// name is no word of a shell and no part of a path: it goes through `board::quote` and
/// `host::file_name` there.
pub fn check_foreign_name(name: &str) -> Result<()> {
    let shown = name.escape_debug();
    ensure!(!name.is_empty(), "a label without a name");
    ensure!(
        name.len() <= LONGEST,
        "label name `{}…`: {} bytes, and at most {LONGEST} are allowed",
        name.chars()
            .take(40)
            .flat_map(char::escape_debug)
            .collect::<String>(),
        name.len()
    );
    ensure!(
        !name.starts_with(|c: char| c.is_whitespace() || c == '#'),
        "label name `{shown}`: U-Boot reads none that begins with a blank or `#`"
    );
    ensure!(
        !name.starts_with('-'),
        "label name `{shown}`: it begins with `-`, as options of programs do"
    );
    ensure!(
        !name.chars().any(|c| c.is_control() || is_invisible(c)),
        "label name `{shown}`: it has control characters or invisible ones in it; letters, digits, blanks \
         and punctuation are allowed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_distributions_are_names() {
        for good in [
            "Arch Linux ARM",
            "Fedora (6.9.7-200.fc40.aarch64) 40 (Server Edition)",
            "AML s9xxx",
            "l0r",
            "NixOS - Default",
            "Ünïcode & Söhne; $(reboot) `x` \"y\" 'z' \\",
            "ends with a blank ",
        ] {
            check_foreign_name(good).unwrap();
        }
        for bad in [
            "",
            " a",
            "#a",
            "-rf",
            "a\nb",
            "a\tb",
            "a\u{1b}[2J",
            "a\u{202e}b",
            &"x".repeat(256),
        ] {
            let error = check_foreign_name(bad).unwrap_err().to_string();
            assert!(!error.contains(['\n', '\u{1b}', '\u{202e}']), "{error:?}");
        }
    }
}
