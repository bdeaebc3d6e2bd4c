//! Locks that every user of this host shares, by name, with a note of who holds them.
//!
//! The system's lock (flock(2)) is the truth: it ends with its holder, however that ends. The note in the file is for people. A thing
//! may have several names; whoever takes it takes all of those that are known, so that two who know different ones still meet.
//!
//! The files lie in a folder where everyone may write, so nothing in it is trusted: no symbolic link is followed, only a plain file
//! with one name is opened, and a note is read as foreign text. What is left: any user of this host can hold any lock, and the one who
//! first made a file can remove it.

mod place;

pub use place::Place;

use super::identity::Identity;
use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A name of what is locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alias {
    /// What tells it from all others, whatever it is made of.
    pub key: String,
    /// For a message: `its ssh host key ssh-ed25519 SHA256:…`.
    pub shown: String,
}

/// What a lock is wanted for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The command, as it was typed.
    pub command: String,
    /// The board, as its holder calls it.
    pub board: String,
    /// Campaign.
    pub campaign: Option<String>,
    /// Folder of the run.
    pub run: Option<PathBuf>,
}

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process, told from a later one with the same id.
    pub process: Option<Identity>,
    /// Its user, as this host knows it.
    pub user: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// What for.
    pub purpose: Purpose,
}

impl Holder {
    fn this(purpose: &Purpose) -> Self {
        Holder {
            process: Identity::of(std::process::id()),
            user: place::user_name(rustix::process::getuid().as_raw()),
            since: jiff::Timestamp::now().to_string(),
            purpose: purpose.clone(),
        }
    }

    /// In a sentence: who, since when, what for.
    pub fn sentence(&self) -> String {
        let purpose = &self.purpose;
        let process = self.process.as_ref().map_or("a process".to_string(), |process| {
            format!("process {}", process.pid)
        });
        let mut text = format!(
            "{process} of user {} (`{}`) since {}, as board `{}`",
            self.user, purpose.command, self.since, purpose.board
        );
        if let Some(campaign) = &purpose.campaign {
            text.push_str(&format!(", campaign {campaign}"));
        }
        if let Some(run) = &purpose.run {
            text.push_str(&format!(", run {}", run.display()));
        }
        place::on_one_line(&text)
    }
}

/// A held lock; free when it is dropped.
#[derive(Debug)]
pub struct Held {
    place: Place,
    files: Vec<(Alias, File)>,
    holder: Holder,
    /// Holders that ended without giving it back.
    pub stale: Vec<Holder>,
    alive: Arc<()>,
}

/// Shows that a lock is held, for as long as its [`Held`] lives. Only a held lock gives one.
#[derive(Debug, Clone)]
pub struct Proof(Weak<()>);

impl Proof {
    /// Whether the lock is still held.
    pub fn holds(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for (_, file) in &self.files {
            // An empty file is a lock that was given back. The system's lock goes with the file.
            drop(file.set_len(0));
        }
    }
}

/// Someone else holds the lock.
#[derive(Debug)]
pub struct Busy {
    /// Who, where the note can be read.
    pub holder: Option<Holder>,
    /// The name by which it is the same thing.
    pub name: Alias,
    /// The file.
    pub path: PathBuf,
}

impl std::error::Error for Busy {}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let holder = self
            .holder
            .as_ref()
            .map_or("a process that left no note".to_string(), Holder::sentence);
        write!(
            f,
            "it is in use: {holder}. It is the same machine by {} (lock {}). Nothing was done: wait for that process, or stop it",
            self.name.shown,
            self.path.display()
        )
    }
}

/// What a lock's file shows to one who only looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "lock")]
pub enum State {
    /// No process holds it.
    Free,
    /// A process holds it.
    Held {
        /// Who, where the note can be read.
        holder: Option<Holder>,
    },
    /// A process held it, and ended without giving it back.
    Stale {
        /// Who.
        holder: Holder,
    },
    /// It could not be looked at.
    Unknown {
        /// Why.
        why: String,
    },
}

/// How long a lock may be busy with others who only look at it.
const LOOKS: Duration = Duration::from_millis(400);

/// Takes all of these names in `place`, or none. Errors: [`Busy`]; a file cannot be opened or locked.
pub fn take(place: &Place, names: &[Alias], purpose: &Purpose) -> Result<Held> {
    let mut held = Held {
        place: place.clone(),
        files: Vec::new(),
        holder: Holder::this(purpose),
        stale: Vec::new(),
        alive: Arc::new(()),
    };
    held.add(names)?;
    Ok(held)
}

impl Held {
    /// For whoever has to see that it is held.
    pub fn proof(&self) -> Proof {
        Proof(Arc::downgrade(&self.alive))
    }

    /// Takes more names of the same thing. Errors: as [`take`]; what was held stays held.
    pub fn add(&mut self, names: &[Alias]) -> Result<()> {
        let mut names = names.to_vec();
        names.retain(|name| self.files.iter().all(|(held, _)| held.key != name.key));
        // In one order for everyone: of those who want the same names at the same time, one gets them all.
        names.sort();
        names.dedup();
        let mut taken = Vec::new();
        for name in names {
            let mut file = self.lock(&name)?;
            if let Some(stale) = read(&mut file).filter(|stale| !self.stale.contains(stale)) {
                self.stale.push(stale);
            }
            taken.push((name, file));
        }
        self.files.extend(taken);
        self.write()
    }

    /// Says in the note which run it is held for.
    pub fn is_for_run(&mut self, folder: &std::path::Path) -> Result<()> {
        self.holder.purpose.run = Some(std::path::absolute(folder)?);
        self.write()
    }

    fn lock(&self, name: &Alias) -> Result<File> {
        let path = self.place.path(name);
        let doing = || format!("taking the lock {}", path.display());
        let since = Instant::now();
        loop {
            let mut file = self.place.open(&path).with_context(doing)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // A file that is not the one of this name any more locks nothing.
                Ok(()) if place::is_at(&file, &path) => return Ok(file),
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) if since.elapsed() < LOOKS => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(anyhow::Error::new(Busy {
                        holder: read(&mut file),
                        name: name.clone(),
                        path,
                    }));
                }
                Err(error) => return Err(error).with_context(doing),
            }
        }
    }

    fn write(&mut self) -> Result<()> {
        let note = serde_json::to_vec(&self.holder)?;
        for (name, file) in &mut self.files {
            let written = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(&note));
            match written {
                Ok(()) => {}
                // A file of another user's that may only be read: the lock holds, its note stays empty.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
                Err(error) if Errno::from_io_error(&error) == Some(Errno::BADF) => {}
                Err(error) => {
                    let path = self.place.path(name);
                    return Err(error).with_context(|| format!("writing the lock {}", path.display()));
                }
            }
        }
        Ok(())
    }
}

/// Looks at a lock by any of its names without taking it.
pub fn look(place: &Place, names: &[Alias]) -> State {
    let mut found = State::Free;
    for name in names {
        match look_at(place, name) {
            Ok(State::Free) => {}
            Ok(held @ State::Held { .. }) => return held,
            Ok(other) => found = other,
            Err(error) => {
                found = State::Unknown {
                    why: format!("{error:#}"),
                }
            }
        }
    }
    found
}

fn look_at(place: &Place, name: &Alias) -> Result<State> {
    let path = place.path(name);
    let doing = || format!("looking at the lock {}", path.display());
    let Some(mut file) = place.open_to_look(&path).with_context(doing)? else {
        return Ok(State::Free);
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(read(&mut file).map_or(State::Free, |holder| State::Stale { holder })),
        Err(Errno::WOULDBLOCK) => Ok(State::Held {
            holder: read(&mut file),
        }),
        Err(error) => Err(error).with_context(doing),
    }
}

/// Longest note that is read.
const LONGEST: u64 = 64 << 10;

/// The note in a lock's file; none where it is empty, cut off or something else.
fn read(file: &mut File) -> Option<Holder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests;
