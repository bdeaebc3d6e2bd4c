//! `manifest.sha256`: hashes of a backup's manifest and archive, in a file of their own beside them, so that damage to any of the three is
//! found. It is what sha256sum(1) prints, and so can be checked by hand: `sha256sum -c manifest.sha256`.

use super::super::inventory::is_sha256;
use super::archive::ARCHIVE;
use super::manifest::MANIFEST;
use anyhow::{Context, Result, bail, ensure};

/// Name of the file, on the board and on the host.
pub const HASHES: &str = "manifest.sha256";

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashes {
    /// SHA-256 of the manifest.
    pub manifest: String,
    /// SHA-256 of the archive; the board has none.
    pub archive: Option<String>,
}

impl Hashes {
    /// Parses its bytes. Errors: anything but the lines that this program writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).with_context(|| format!("{HASHES} is damaged"))?;
        let mut manifest = None;
        let mut archive = None;
        for line in text.lines() {
            let (hash, name) = line
                .split_once("  ")
                .with_context(|| format!("{HASHES} is damaged"))?;
            ensure!(is_sha256(hash), "{HASHES} is damaged: a hash in it is none");
            let known = match name {
                MANIFEST => &mut manifest,
                ARCHIVE => &mut archive,
                _ => bail!("{HASHES} is damaged: it names a file that no backup has"),
            };
            ensure!(
                known.replace(hash.to_string()).is_none(),
                "{HASHES} is damaged: it names {name} twice"
            );
        }
        let hashes = Hashes {
            manifest: manifest
                .with_context(|| format!("{HASHES} is damaged: it does not name {MANIFEST}"))?,
            archive,
        };
        ensure!(
            hashes.text().as_bytes() == bytes,
            "{HASHES} is damaged: it is not as this program writes it"
        );
        Ok(hashes)
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = format!("{}  {MANIFEST}\n", self.manifest);
        if let Some(archive) = &self.archive {
            text.push_str(&format!("{archive}  {ARCHIVE}\n"));
        }
        text
    }

    /// The board's: it has no archive.
    pub fn of_manifest(manifest: &str) -> Self {
        Hashes {
            manifest: manifest.to_string(),
            archive: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_is_read() {
        let both = Hashes {
            manifest: "a".repeat(64),
            archive: Some("b".repeat(64)),
        };
        for hashes in [both.clone(), Hashes::of_manifest(&both.manifest)] {
            let text = hashes.text();
            assert_eq!(Hashes::parse(text.as_bytes()).unwrap(), hashes);
            // Another hash is another hash; everything else is damage.
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut flipped = text.clone().into_bytes();
                    flipped[at] ^= 1 << bit;
                    assert_ne!(Hashes::parse(&flipped).ok().as_ref(), Some(&hashes), "{at}.{bit}");
                }
            }
        }
        let twice = format!("{0}  manifest.json\n{0}  manifest.json\n", "a".repeat(64));
        for text in [
            "",
            "\n",
            "x",
            &twice,
            &both.text().replace("manifest.json", "../x"),
        ] {
            assert!(Hashes::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
