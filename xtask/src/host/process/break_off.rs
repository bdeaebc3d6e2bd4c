//! The word by which one thread ends what another waits for.

use super::super::bounded::MIB;
use anyhow::Result;
use std::fs::File;
use std::sync::{Arc, OnceLock};

/// Another thread's word that a program is not worth waiting for any more. Said once, it stays said; clones are the same word.
#[derive(Debug, Clone, Default)]
pub struct BreakOff {
    word: Arc<OnceLock<String>>,
    /// Words of others that count here, too ([`BreakOff::or`]).
    others: Vec<Arc<OnceLock<String>>>,
    watch: bool,
    most: Option<u64>,
    file: Option<Arc<File>>,
}

/// Most bytes of what a program prints, where no one says otherwise. Its text may be held twice, as bytes and as characters.
const MOST: u64 = 64 * MIB;

impl BreakOff {
    /// The same word, for a program that may print so many bytes: one that prints more is ended, too.
    pub fn up_to(self, most: u64) -> Self {
        BreakOff {
            most: Some(most),
            ..self
        }
    }

    /// The same word, for a program whose standard output goes to this file, from where the file
    /// stands, and not to memory. Who does not
    /// run the program in this process may give what it printed all the same.
    pub fn into_file(self, file: File) -> Self {
        BreakOff {
            file: Some(Arc::new(file)),
            ..self
        }
    }

    /// See [`BreakOff::into_file`].
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// Most bytes that the program may print on its standard output ([`BreakOff::up_to`]).
    pub fn most(&self) -> u64 {
        self.most.unwrap_or(MOST)
    }

    /// The word of somebody who watches what the program talks to, and says it when that is gone.
    pub fn of_a_watch() -> Self {
        BreakOff {
            watch: true,
            ..BreakOff::default()
        }
    }

    /// Whether somebody watches ([`BreakOff::of_a_watch`]).
    pub fn is_of_a_watch(&self) -> bool {
        self.watch
    }

    /// Says it, with the reason. Only the first reason counts.
    pub fn say(&self, why: &str) {
        let _ = self.word.set(why.into());
    }

    /// The reason, once it was said.
    pub fn why(&self) -> Option<&str> {
        let mut words = std::iter::once(&self.word).chain(&self.others);
        words.find_map(|word| word.get()).map(String::as_str)
    }

    /// What is said as soon as either of the two is; saying it says this one alone.
    pub fn or(&self, other: &BreakOff) -> BreakOff {
        let mut either = self.clone();
        either.others.push(other.word.clone());
        either.others.extend(other.others.iter().cloned());
        either.watch |= other.watch;
        either.most = [self.most, other.most].into_iter().flatten().min();
        either.file = self.file.clone().or(other.file.clone());
        either
    }

    /// Errors: it was said.
    pub fn check(&self) -> Result<()> {
        match self.why() {
            Some(why) => Err(anyhow::Error::new(BrokenOff(why.into()))),
            None => Ok(()),
        }
    }
}

/// A program was ended before its time because a [`BreakOff`] said so; the reason.
#[derive(Debug)]
pub struct BrokenOff(pub String);

impl BrokenOff {
    /// Whether an error came of a [`BreakOff`], whatever was added to it on the way.
    pub fn is(error: &anyhow::Error) -> bool {
        error.chain().any(|cause| cause.is::<BrokenOff>())
    }
}

impl std::error::Error for BrokenOff {}

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "broken off: {}", self.0)
    }
}
