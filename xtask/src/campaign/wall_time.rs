//! When a finding was said, by what lies beside its log: the recorder's index, or when the kernel began. See [`kernel_log::wall`].

use crate::capture::index;
use crate::host::bounded;
use crate::host::files;
use anyhow::{Context, Result};
use kernel_log::finding::{self, Finding};
use kernel_log::wall::{self, Wall};
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// When the kernel of a log began, by the board's clock: RFC 3339, in a file with `.began` behind the log's name.
fn began_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_os_string();
    name.push(".began");
    name.into()
}

/// Writes down when the kernel of this log began, in microseconds since 1970.
pub fn keep_began(log: &Path, began: u64) -> Result<()> {
    let text = format!("{}\n", wall::rfc3339(began));
    files::write_atomic(&began_path(log), text.as_bytes())
}

/// Gives findings of this log their wall time where they have none yet and something beside the log tells it. Errors: what is there cannot be
/// read; the findings are as they were.
pub fn date(findings: &mut [Finding], log: &Path) -> Result<()> {
    if findings.iter().all(|finding| finding.wall.is_some()) {
        return Ok(());
    }
    let (index, began) = (index::path_of(log), began_path(log));
    let doing = |path: &Path| format!("reading when it was said, {}", path.display());
    if let Some(file) = bounded::open_if_there(&index).with_context(|| doing(&index))? {
        let offsets: Vec<u64> = findings.iter().map(|finding| finding.offset as u64).collect();
        let times = index::times_of(BufReader::new(file), &offsets).with_context(|| doing(&index))?;
        for (finding, time) in findings.iter_mut().zip(times) {
            finding.wall = finding.wall.or(time.map(Wall::of_host));
        }
    }
    if let Some(text) = bounded::read_if_there(&began, bounded::MIB).with_context(|| doing(&began))?
        && let Some((began, _)) = wall::iso(&text)
    {
        finding::since_boot(findings, began);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_log::{finder, reader};

    const LOG: &str = "[    0.000000] Linux version 7\n[    2.500000] WARNING: CPU: 0 PID: 1 at drivers/x.c:12 broken+0x10/0x20\n";

    fn dated(beside: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        for (name, text) in beside {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut findings = finder::find(&reader::read(LOG.as_bytes()), "a");
        assert_eq!(findings.len(), 1);
        date(&mut findings, &log).unwrap();
        findings[0].wall.as_ref().map(Wall::text)
    }

    #[test]
    fn a_finding_has_the_time_of_its_bytes_or_that_since_its_boot() {
        let index = "0 1795412760000000000\n31 1795412763000000000\n";
        let began = "2026-11-23T05:46:00.000000Z\n";
        let by_index = Some("2026-11-23T05:46:03.000Z by the host's clock".to_string());
        assert_eq!(dated(&[("a.log.index", index)]), by_index);
        assert_eq!(
            dated(&[("a.log.began", began)]),
            Some("2026-11-23T05:46:02.500Z by the board's clock".to_string())
        );
        assert_eq!(dated(&[("a.log.index", index), ("a.log.began", began)]), by_index);
        assert_eq!(dated(&[]), None);
        assert_eq!(
            dated(&[("a.log.index", "rubbish\n"), ("a.log.began", "yesterday\n")]),
            None
        );
    }

    #[test]
    fn what_is_kept_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("kmsg.log");
        keep_began(&log, 1_795_412_760_000_000).unwrap();
        let mut findings = finder::find(&reader::read(LOG.as_bytes()), "kmsg");
        date(&mut findings, &log).unwrap();
        assert_eq!(findings[0].wall, Some(Wall::of_board(1_795_412_762_500_000)));
    }
}
