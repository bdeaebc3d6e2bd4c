//! Our label as the default, for one boot: a `default` line at the end of our own block, so that
//! everything that is not ours stays as it is, byte for byte (invariant 7).
//!
//! U-Boot ends a label at the first keyword that a label does not have, and reads on at the top
//! level; of several `default` lines the last one counts (`boot/pxe_utils.c`: `parse_label`,
//! `parse_pxefile_top`).

use super::{Config, edit};
use anyhow::{Context, Result, ensure};

/// The file with our label as the default. Errors: our label is not there, or U-Boot would take
/// another one after all.
pub fn default_once(config: &Config, name: &str) -> Result<Vec<u8>> {
    let range =
        edit::ours(config, name)?.with_context(|| format!("extlinux.conf has no label `{name}` of ours"))?;
    let block = config.bytes().get(range.clone()).unwrap_or_default();
    let last = block.trim_ascii_end().iter().rposition(|byte| *byte == b'\n');
    let last = last.map_or(range.start, |at| range.start.saturating_add(at).saturating_add(1));
    let mut bytes = config.bytes().to_vec();
    bytes.splice(last..last, format!("default {name}\n").into_bytes());
    let new = Config::parse(&bytes);
    let default = new.default_label().map(|label| label.name.as_str());
    ensure!(
        default == Some(name),
        "with `default {name}` in our block U-Boot would still boot {} by default",
        default.map_or("another label".to_string(), |other| format!("`{other}`"))
    );
    ensure!(
        edit::foreign(&new, name)? == edit::foreign(config, name)?,
        "making `{name}` the default would change more than our own block"
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Block, set};
    use super::*;

    fn with_ours(text: &str) -> Config {
        let block = Block {
            name: "ours".into(),
            menu_label: None,
            kernel: "/Image-x".into(),
            fdt: None,
            initrd: None,
            append: "root=/dev/x".into(),
        };
        Config::parse(&set(&Config::parse(text.as_bytes()), &block).unwrap().bytes)
    }

    #[test]
    fn our_label_is_the_default_and_nothing_else_changes() {
        for text in [
            "prompt 1\ntimeout 30\ndefault vanilla\nlabel vanilla\n  kernel /Image\n",
            "timeout 30\nlabel vanilla\n  menu default\n  kernel /Image",
            "label vanilla\n\tkernel /Image\nontimeout vanilla\n",
        ] {
            let config = with_ours(text);
            assert_eq!(
                config.default_label().map_or("vanilla", |label| &label.name),
                "vanilla"
            );
            let swapped = Config::parse(&default_once(&config, "ours").unwrap());
            assert_eq!(swapped.default_label().unwrap().name, "ours", "{text}");
            assert_eq!(
                swapped.label("ours").unwrap().append.as_ref().unwrap().value,
                "root=/dev/x"
            );
            assert_eq!(edit::foreign(&swapped, "ours").unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn without_our_label_there_is_nothing_to_swap() {
        let config = Config::parse(b"default vanilla\nlabel vanilla\nkernel /Image\n");
        assert!(default_once(&config, "ours").is_err());
    }
}
