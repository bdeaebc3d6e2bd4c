//! Which of a board's labels a person means by a name, from what pre-flight wrote down: no board is asked.

use crate::board::extlinux::Config;
use crate::board::protected::Protected;
use crate::host::toml::nearest;
use anyhow::{Result, bail};

/// The word that means vanilla's label, whatever that is called.
const VANILLA: &str = "vanilla";

/// A label that can be booted from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Vanilla's.
    Vanilla,
    /// Ours.
    Ours,
}

/// The label that `name` means. Errors: there is none of that name, with those that there are; or it is one that is neither vanilla's nor
/// ours, and so nothing that is started from here.
pub fn named(protected: &Protected, name: &str) -> Result<Named> {
    let (vanilla, ours) = (&protected.vanilla_label, &protected.test_label);
    if name == VANILLA || name == vanilla {
        return Ok(Named::Vanilla);
    }
    if name == ours {
        return Ok(Named::Ours);
    }
    let board = &protected.board;
    let labels = Config::parse(&protected.foreign()?).menu.labels;
    if labels.iter().any(|label| label.name == name) {
        bail!(
            "label `{}` of board `{board}` is neither vanilla's nor ours: nothing here vouches for what it boots, so choose it by hand at \
             U-Boot's menu; what can be booted from here: `{vanilla}` (or `{VANILLA}`) and `{ours}`",
            name.escape_debug()
        );
    }
    let meant = nearest(name, [VANILLA, vanilla, ours])
        .map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    bail!(
        "board `{board}` has no label `{}`: what can be booted is `{vanilla}` (or `{VANILLA}`) and, once it is deployed, our own `{ours}`{meant}",
        name.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::protected::tests::example;

    #[test]
    fn a_name_is_vanilla_ours_somebody_elses_or_nobodys() {
        let protected = Protected {
            foreign_hex: hex::encode("label arch_devices\n kernel /Image-7.3.4\nlabel rescue\n kernel /r\n"),
            ..example()
        };
        let is = |name| named(&protected, name);
        assert_eq!(is("vanilla").unwrap(), Named::Vanilla);
        assert_eq!(is("arch_devices").unwrap(), Named::Vanilla);
        assert_eq!(is("arch_devices_lockdep").unwrap(), Named::Ours);
        let refused = |name| is(name).unwrap_err().to_string();
        for (wrong, meant) in [
            ("vanila", "did you mean `vanilla`?"),
            ("arch_device", "did you mean `arch_devices`?"),
            ("arch_devices_lockdp", "did you mean `arch_devices_lockdep`?"),
        ] {
            let said = refused(wrong);
            assert!(said.contains(&format!("no label `{wrong}`")), "{said}");
            assert!(said.contains("`arch_devices` (or `vanilla`)"), "{said}");
            assert!(said.ends_with(meant), "{said}");
        }
        let said = refused("zzz");
        assert!(!said.contains("did you mean"), "{said}");
        let said = refused("rescue");
        assert!(said.contains("neither vanilla's nor ours"), "{said}");
        // U-Boot takes a name by its bytes; so does this.
        assert!(is("Vanilla").is_err() && is("").is_err());
        let said = refused("a\x1b[31m\nb");
        assert!(said.contains("a\\u{1b}[31m\\nb"), "{said}");
    }
}
