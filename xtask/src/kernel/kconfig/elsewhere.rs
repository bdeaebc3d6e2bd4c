//! Symbols that a tree defines, but not for the architecture that is built.

use super::definitions::Place;
use std::collections::BTreeMap;
use std::path::Path;

/// Where any Kconfig file of the tree defines one of `symbols`, whether it is read for this architecture or not. Takes about a second.
pub fn elsewhere(tree: &Path, symbols: &[&str]) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    if symbols.is_empty() {
        return found;
    }
    let files = walkdir::WalkDir::new(tree)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "Documentation" && entry.file_name() != ".git")
        .filter_map(|entry| entry.ok())
        .filter(|entry| {
            entry.file_name().to_string_lossy().starts_with("Kconfig")
                // Test data of Kconfig itself defines symbols of no kernel.
                && !entry.path().components().any(|part| part.as_os_str() == "tests")
        });
    for file in files {
        let Ok(text) = std::fs::read_to_string(file.path()) else {
            continue;
        };
        let name = file
            .path()
            .strip_prefix(tree)
            .unwrap_or(file.path())
            .to_string_lossy();
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            if let (Some("config" | "menuconfig"), Some(symbol), None) =
                (words.next(), words.next(), words.next())
                && symbols.contains(&symbol)
            {
                found.entry(symbol.to_string()).or_insert_with(|| Place {
                    file: (&*name).into(),
                    line: at.saturating_add(1),
                });
            }
        }
    }
    found
}
