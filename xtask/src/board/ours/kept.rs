//! What of ours a rollback leaves on purpose, and how it is told.

use super::{Files as _, INITRAMFS_WORK, Running};
use crate::board::writer::UNFINISHED;
use crate::board::{Board, quote};
use crate::host::one_line;
use jiff::Timestamp;
use serde::Serialize;
use std::path::Path;

/// Longest line for people, in characters: names of folders on a board are in it.
const LINE: usize = 2000;
/// More backups of other campaigns than these are told in one line.
const FEW: usize = 2;

/// Something of ours that a rollback leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kept {
    /// What it is, and why it stays.
    pub what: String,
    /// Where it is.
    pub place: String,
    /// What removes it when nobody needs it any more.
    pub remove: String,
    /// The backup on the board that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupOnBoard>,
}

/// A backup in the board's folder of backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BackupOnBoard {
    /// The campaign that it was made for, by the name of its folder.
    pub campaign: String,
    /// When its folder was finished, by the board's clock; not known of a disk in this host.
    #[serde(serialize_with = "in_words")]
    pub made: Option<Timestamp>,
}

fn in_words<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

impl Kept {
    /// As a line for people.
    pub fn line(&self) -> String {
        let line = format!("{}: {}; {}", self.what, self.place, self.remove);
        one_line::one_line_of(&line, LINE)
    }

    /// What has this name in the board's folder of backups.
    pub(super) fn backup(folder: &Path, name: String, made: Option<Timestamp>) -> Self {
        let place = folder.join(&name).display().to_string();
        let finished = !name.starts_with(UNFINISHED);
        let what = match finished {
            true => "a backup stays on the board",
            false => "a backup that was not finished stays on the board",
        };
        Kept {
            what: what.into(),
            remove: format!(
                "when no rollback is wanted any more, there: `rm -r {}`",
                quote(&place)
            ),
            place,
            backup: finished.then_some(BackupOnBoard { campaign: name, made }),
        }
    }
}

/// What is kept, for people: one line each, but for the backups of other campaigns where there are many. `list` is the command that names all of
/// them.
pub fn lines(kept: &[Kept], campaign: &str, list: &str) -> Vec<String> {
    let of_another = |kept: &&Kept| {
        kept.backup
            .as_ref()
            .is_some_and(|backup| backup.campaign != campaign)
    };
    let others: Vec<&Kept> = kept.iter().filter(of_another).collect();
    if others.len() <= FEW {
        return kept.iter().map(Kept::line).collect();
    }
    let alone = kept.iter().filter(|kept| !of_another(kept));
    let mut lines: Vec<String> = alone.map(Kept::line).collect();
    lines.push(together(&others, list));
    lines
}

fn together(others: &[&Kept], list: &str) -> String {
    let newest = others
        .iter()
        .filter_map(|kept| kept.backup.as_ref())
        .filter_map(|backup| Some((backup.made?, backup.campaign.as_str())))
        .max();
    let newest = newest.map_or(String::new(), |(made, campaign)| {
        format!(", the newest `{}` of {}", one_line::one_line(campaign), day(made))
    });
    let folder = others.first().and_then(|kept| Path::new(&kept.place).parent());
    let folder = folder.unwrap_or(Path::new("/"));
    format!(
        "{} backups of other campaigns stay on the board{newest}: {}; `{list}` names each and how to remove it",
        others.len(),
        folder.display()
    )
}

/// A time as a person reads it: `2026-11-23 09:05 UTC`.
pub fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The backups that a board keeps, whatever campaign they were made for, the newest first. One that was not finished is none.
pub fn backups(board: &dyn Board) -> anyhow::Result<Vec<Kept>> {
    let folder = &board.description().backup_folder;
    let mut found: Vec<(String, Option<Timestamp>)> = Running(board).entries(folder)?.into_iter().collect();
    found.retain(|(name, _)| name != INITRAMFS_WORK);
    found.sort_by_key(|(_, made)| std::cmp::Reverse(*made));
    let found = found.into_iter();
    Ok(found
        .map(|(name, made)| Kept::backup(folder, name, made))
        .filter(|kept| kept.backup.is_some())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(campaign: &str, day: &str) -> Kept {
        let made = format!("2026-11-{day}T09:05:00Z").parse().ok();
        Kept::backup(Path::new("/var/b"), campaign.into(), made)
    }

    #[test]
    fn many_backups_are_one_line_and_the_campaigns_own_is_another() {
        let archive = Kept {
            what: "the archive".into(),
            place: "/h".into(),
            remove: "rm".into(),
            backup: None,
        };
        let list = "cargo xtask backup list --on-board";
        let mut kept = vec![backup("mine", "01"), backup("a", "03"), backup("b", "02")];
        kept.push(archive);
        let few = lines(&kept, "mine", list);
        assert_eq!(few.len(), 4, "{few:?}");
        assert!(few.iter().all(|line| !line.contains(list)), "{few:?}");

        kept.extend([backup("old", "23"), backup("unknown", "no day")]);
        let many = lines(&kept, "mine", list);
        let own = "a backup stays on the board: /var/b/mine; when no rollback is wanted any more, there: `rm -r /var/b/mine`";
        assert_eq!(
            many,
            [
                own,
                "the archive: /h; rm",
                "4 backups of other campaigns stay on the board, the newest `old` of 2026-11-23 09:05 UTC: /var/b; \
                 `cargo xtask backup list --on-board` names each and how to remove it"
            ]
        );
        // On a disk in this host their times are not known.
        for kept in &mut kept {
            kept.backup = kept
                .backup
                .take()
                .map(|backup| BackupOnBoard { made: None, ..backup });
        }
        let offline = lines(&kept, "mine", list);
        assert!(
            offline[2].starts_with("4 backups of other campaigns stay on the board: /var/b;"),
            "{offline:?}"
        );
    }
}
