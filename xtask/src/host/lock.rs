//! A lock that says who holds it. The operating system's lock is the truth (it is gone when its holder is); what stands in the file is for a
//! person, and for file systems that cannot lock.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Who holds a lock. A process id alone says little: it is used again, and after a restart of this machine all of them are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// When that process started, in clock ticks since this machine booted (field 22 of `/proc/PID/stat`, proc_pid_stat(5)).
    pub started: Option<u64>,
    /// Boot id of this machine.
    pub host_boot_id: Option<String>,
    /// Since when it holds the lock, RFC 3339.
    pub since: String,
    /// What it does, as a command.
    pub command: String,
}

impl Holder {
    /// This process.
    fn this(command: &str) -> Self {
        let pid = std::process::id();
        Holder {
            pid,
            started: started(pid),
            host_boot_id: host_boot_id(),
            since: jiff::Timestamp::now().to_string(),
            command: command.to_string(),
        }
    }

    /// In a sentence.
    pub fn sentence(&self) -> String {
        format!("process {} (`{}`) since {}", self.pid, self.command, self.since)
    }
}

/// A held lock; free when it is dropped.
#[derive(Debug)]
pub struct Held {
    file: File,
    /// Somebody who held it before and died without giving it back.
    pub stale: Option<Holder>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // An empty file is a lock that was given back. The system's lock goes with the file.
        drop(self.file.set_len(0));
    }
}

/// What came of trying to take a lock.
#[derive(Debug)]
pub enum Taken {
    /// It is ours.
    Held(Held),
    /// Somebody else has it.
    Busy(Option<Holder>),
}

/// What a lock's file says, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "lock")]
pub enum State {
    /// Nobody holds it.
    Free,
    /// This process holds it, and is alive.
    Held(Holder),
    /// This process held it, and is gone.
    Stale(Holder),
}

/// Tries to take the lock at `path`, for `command`. Errors: the file cannot be made.
pub fn take(path: &Path, command: &str) -> Result<Taken> {
    let doing = || format!("taking the lock {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(doing)?;
    }
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .with_context(doing)?;
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(doing)?;
    let before: Option<Holder> = serde_json::from_str(&text).ok();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Taken::Busy(before)),
        // This file system cannot lock: what the file says has to do.
        Err(TryLockError::Error(_)) => {
            if let Some(holder) = before.filter(alive_now) {
                return Ok(Taken::Busy(Some(holder)));
            }
        }
    }
    let stale: Option<Holder> = serde_json::from_str(&text).ok();
    file.set_len(0).with_context(doing)?;
    file.rewind().with_context(doing)?;
    file.write_all(&serde_json::to_vec(&Holder::this(command))?)
        .with_context(doing)?;
    file.sync_data().with_context(doing)?;
    Ok(Taken::Held(Held { file, stale }))
}

/// Looks at a lock without taking it.
pub fn look(path: &Path) -> State {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str::<Holder>(&text) {
        Err(_) => State::Free,
        Ok(holder) if alive_now(&holder) => State::Held(holder),
        Ok(holder) => State::Stale(holder),
    }
}

fn alive_now(holder: &Holder) -> bool {
    is_alive(holder, host_boot_id().as_deref(), started(holder.pid))
}

/// The rule: the holder is alive if this machine was not restarted since and its process id still belongs to a process that started when it did.
fn is_alive(holder: &Holder, boot_id_now: Option<&str>, started_now: Option<u64>) -> bool {
    holder.host_boot_id.as_deref() == boot_id_now && started_now.is_some() && holder.started == started_now
}

fn host_boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_string())
}

fn started(pid: u32) -> Option<u64> {
    start_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat`. The second field, the name in parentheses, may hold anything, so what follows its last `)` is counted.
fn start_time(stat: &str) -> Option<u64> {
    let rest = stat.rsplit_once(')')?.1;
    rest.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_and_by_the_boot_of_this_machine() {
        let holder = Holder {
            pid: 7,
            started: Some(100),
            host_boot_id: Some("a".into()),
            since: String::new(),
            command: String::new(),
        };
        assert!(is_alive(&holder, Some("a"), Some(100)));
        assert!(!is_alive(&holder, Some("b"), Some(100)), "another boot");
        assert!(
            !is_alive(&holder, Some("a"), Some(101)),
            "another process of this id"
        );
        assert!(!is_alive(&holder, Some("a"), None), "no process of this id");
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let fields: Vec<String> = (4..=30).map(|n| n.to_string()).collect();
        let stat = format!("7 (a ) b) S {}", fields.join(" "));
        assert_eq!(start_time(&stat), Some(22));
    }

    #[test]
    fn a_lock_is_refused_while_it_is_held_and_told_to_be_stale_when_its_holder_died() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("board.lock");
        let Taken::Held(held) = take(&path, "one").unwrap() else {
            panic!("it was free")
        };
        assert!(held.stale.is_none());
        assert!(matches!(look(&path), State::Held(holder) if holder.command == "one"));
        match take(&path, "two").unwrap() {
            Taken::Busy(Some(holder)) => assert_eq!(holder.command, "one"),
            other => panic!("{other:?}"),
        }
        drop(held);
        assert_eq!(look(&path), State::Free);
        let gone = Holder {
            host_boot_id: Some("another boot".into()),
            ..Holder::this("killed")
        };
        std::fs::write(&path, serde_json::to_vec(&gone).unwrap()).unwrap();
        assert_eq!(look(&path), State::Stale(gone.clone()));
        let Taken::Held(held) = take(&path, "three").unwrap() else {
            panic!("a stale lock is taken over")
        };
        assert_eq!(held.stale.as_ref(), Some(&gone));
    }
}
