//! What a campaign knows of its debug kernel from one run to the next: its baseline file, which a person may add to
//! (`cargo xtask baseline accept`).

use super::file::Campaign;
use crate::board::boot::Method;
use crate::host::files;
use anyhow::{Context, Result, anyhow};
use kernel_log::baseline_file::{Acceptance, BaselineFile, Boot, Conditions};
use std::path::{Path, PathBuf};

/// Where the baseline of a campaign on a board is kept.
pub fn path_of(state: &Path, campaign: &str, board: &str) -> PathBuf {
    state
        .join("baselines")
        .join(campaign)
        .join(format!("{board}.json"))
}

/// Under what the debug kernel of a campaign is watched: with every smoke test and the longest soak.
pub fn conditions(campaign: &Campaign, method: Method) -> Conditions {
    let asks = campaign.tests_of_baseline();
    let tests: Vec<String> = asks.tests.iter().map(|(test, _)| test.name.clone()).collect();
    let soak = asks.soak.map_or(0, |soak| soak.length.as_secs());
    Conditions::new(method.name(), &tests, soak)
}

/// Reads the file; none where there is none. Errors: it cannot be read, or holds something else.
pub fn read(path: &Path) -> Result<Option<BaselineFile>> {
    let doing = || format!("reading the baseline {}", path.display());
    let Some(bytes) = files::read_kept(path).with_context(doing)? else {
        return Ok(None);
    };
    BaselineFile::parse(&bytes)
        .map(Some)
        .map_err(|why| anyhow!("{}: {why}", doing()))
}

/// Adds a boot. Dies half-way: the file is the old one or the new one.
pub fn add(path: &Path, campaign: &Campaign, conditions: &Conditions, boot: Boot) -> Result<()> {
    let mut file = read(path)?.unwrap_or_else(|| BaselineFile::new(&campaign.name, &campaign.board));
    file.record(conditions, boot);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    files::write_atomic(path, &file.bytes())
}

/// What a person has accepted under these conditions.
pub fn accepted(path: &Path, conditions: &Conditions) -> Result<Vec<Acceptance>> {
    let file = read(path)?;
    let known = file.as_ref().and_then(|file| file.under(conditions));
    Ok(known.map_or(Vec::new(), |known| known.accepted.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_log::baseline_file::Person;
    use kernel_log::{finder, reader};

    #[test]
    fn an_accepted_finding_counts_under_its_own_conditions_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(folder.path(), "rehearsal", "virtual");
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let campaign = Campaign::load(&project.join("campaigns/rehearsal.toml")).unwrap();
        let here = conditions(&campaign, Method::SerialMenu);
        assert!(accepted(&path, &here).unwrap().is_empty());
        let log = b"[    1.000000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";
        let found = finder::find(&reader::read(log), "serial");
        let boot = Boot {
            id: "a".into(),
            release: "r".into(),
            when: String::new(),
            findings: found.clone(),
        };
        add(&path, &campaign, &here, boot).unwrap();
        let mut file = read(&path).unwrap().unwrap();
        let person = Person {
            why: "harmless",
            by: "Ann",
            when: "",
        };
        file.accept(&here, &found[0], person).unwrap();
        files::write_atomic(&path, &file.bytes()).unwrap();
        assert_eq!(accepted(&path, &here).unwrap()[0].by, "Ann");
        let other = conditions(&campaign, Method::Kexec);
        assert!(accepted(&path, &other).unwrap().is_empty());
    }
}
