//! Names of files that are written to a board.

use anyhow::{Result, ensure};
use std::path::{Component, Path};

/// Names that no script, list or file system can misread; and none of them leads out of its folder.
pub(super) fn check_name(target: &Path) -> Result<()> {
    let plain = |name: &str| {
        !name.starts_with('-')
            && !name.starts_with(".lockstep")
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.+,=@:~".contains(c))
    };
    let good = target.components().all(|component| match component {
        Component::Normal(name) => name.to_str().is_some_and(plain),
        _ => false,
    });
    ensure!(
        good && target.file_name().is_some(),
        "`{}` is no name that is written to a board: letters, digits and `-_.+,=@:~` below its folder only",
        target.to_string_lossy().escape_debug()
    );
    Ok(())
}

/// Names that vanilla has may have blanks and letters of any language; what the lists of the script cannot hold is refused.
pub(super) fn check_restored_name(target: &Path) -> Result<()> {
    let plain = |name: &str| {
        !name.starts_with('-')
            && !name.starts_with(".lockstep")
            && !name.contains(|c: char| c.is_control() || c == '\\')
    };
    let good = target.components().all(|component| match component {
        Component::Normal(name) => name.to_str().is_some_and(plain),
        _ => false,
    });
    ensure!(
        good && target.file_name().is_some(),
        "`{}` cannot be restored over the network: a name with control characters or `\\`, or one that begins with `-` or `.lockstep`; \
         `cargo xtask rollback --offline` can",
        target.to_string_lossy().escape_debug()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "",
            "../x",
            "/x",
            "a/../b",
            "a\nb",
            "a b",
            "$(x)",
            "a;b",
            "-rf",
            ".lockstep-list",
            "a/-x",
            "ä",
        ] {
            assert!(check_name(Path::new(name)).is_err(), "{name:?}");
        }
        for name in [
            "Image-7.3.4-lockdep+",
            "7.3.4/kernel/drivers/x_y.ko.zst",
            "modules.dep",
        ] {
            assert!(check_name(Path::new(name)).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn vanillas_own_names_are_restored_whatever_their_language() {
        for name in ["a b.ko", "kernel/ä.dtb", "it's.conf", "a;b"] {
            assert!(check_restored_name(Path::new(name)).is_ok(), "{name:?}");
        }
        for name in [
            "",
            "../x",
            "/x",
            "a/../b",
            "a\nb",
            "a\tb",
            "a\\b",
            "-x",
            ".lockstep-list",
            "a\u{9b}",
        ] {
            assert!(check_restored_name(Path::new(name)).is_err(), "{name:?}");
        }
    }
}
