//! The lock of a board, for every verb that could disturb it: one process of this host at a time, from whichever checkout, by whichever user
//! and board file ([`crate::host::lock`]). Verbs that only look need none ([`open_board::look`]).

use super::Context;
use super::open_board::{self, BoardFlags, FIRST_ANSWER};
use crate::board::Board;
use crate::board::file::{BoardFile, Kind};
use crate::board::ssh::machine_id;
use crate::board::ssh_board::SshBoard;
use crate::board::virt;
use crate::host::bounded;
use crate::host::files;
use crate::host::lock::{self, Alias, Held, Place, Purpose, State};
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The machine id that a board of this user had when it was last asked.
const MACHINE_ID: &str = "machine-id";
/// Most bytes of it.
const MOST: u64 = 4096;

/// A board that this process alone may disturb, as long as this value lives.
pub struct HeldBoard {
    file: BoardFile,
    lock: Held,
}

/// Takes the lock of a board, by all the names of it that are known without asking it. Errors: another process holds it, with who that is; there is no
/// such board.
pub fn hold(context: &Context, name: &str, campaign: Option<&str>) -> Result<HeldBoard> {
    let file = open_board::board_file(context, name)?;
    let cache = &context.folders.cache;
    std::fs::create_dir_all(cache).with_context(|| format!("making the cache {}", cache.display()))?;
    let names = names(context, &file)?;
    let purpose = Purpose {
        command: command_line(std::env::args_os()),
        board: name.to_string(),
        campaign: campaign.map(String::from),
        run: None,
    };
    let lock = lock::take(&Place::of_this_host()?, &names, &purpose).with_context(|| doing(name))?;
    for stale in &lock.stale {
        context.ui.say(&format!(
            "board `{name}` was held by {}; that process has ended without giving it back",
            stale.sentence()
        ));
    }
    Ok(HeldBoard { file, lock })
}

/// The words of a command line behind the program, for the note of who holds a board. Paths on it need not be UTF-8.
fn command_line(words: impl Iterator<Item = OsString>) -> String {
    let words: Vec<String> = words
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// Whether the board of a run is held, and by whom. Nothing is asked of the board.
pub fn state(context: &Context, name: &str) -> State {
    let look = || -> Result<State> {
        let names = names(context, &open_board::board_file(context, name)?)?;
        Ok(lock::look(&Place::of_this_host()?, &names))
    };
    look().unwrap_or_else(|error| State::Unknown {
        why: format!("{error:#}"),
    })
}

/// Asks one who is about to act on a board by hand while another process works there. Errors: the
/// answer was not yes, or nobody can be asked and
/// `--yes` was not given.
pub fn ask_if_held(context: &Context, name: &str) -> Result<()> {
    let warning = match state(context, name) {
        State::Held { holder: Some(holder) } => holder.sentence(),
        State::Held { holder: None } => "a process that left no note".to_string(),
        State::Free | State::Stale { .. } => return Ok(()),
        State::Unknown { why } => {
            context
                .ui
                .warn(&format!("whether board `{name}` is in use is not known: {why}"));
            return Ok(());
        }
    };
    context.ui.confirm(
        context.global.consent(),
        &format!("Board `{name}` is in use: {warning}. What you do there may spoil its result. Go on?"),
    )
}

fn doing(name: &str) -> String {
    format!("taking board `{name}` for this command")
}

fn names(context: &Context, file: &BoardFile) -> Result<Vec<Alias>> {
    if file.kind == Kind::Virtual {
        return Ok(vec![virt::machine_name(&context.folders)?]);
    }
    let board = open_board::ssh_board(context, file)?;
    let mut names = board.ssh().machine_names()?;
    let path = remembered(board.ssh().target().folder.as_path());
    // One that cannot be read is not known: the board says it again when it answers.
    let known = bounded::read_text_if_there(&path, MOST).ok().flatten();
    names.extend(known.as_deref().and_then(machine_id));
    Ok(names)
}

fn remembered(folder: &Path) -> PathBuf {
    folder.join(MACHINE_ID)
}

impl HeldBoard {
    /// The board, which answers, by one name more than was known before. Errors: it does not answer; it is a machine that another process holds.
    pub fn open(&mut self, context: &Context) -> Result<Box<dyn Board>> {
        let name = self.file.description.name.clone();
        if self.file.kind == Kind::Virtual {
            return Ok(Box::new(open_board::open(context, &name, self.lock.proof())?));
        }
        let board = open_board::ssh_board(context, &self.file)?;
        self.learn(&board, FIRST_ANSWER)?;
        Ok(Box::new(board.held(self.lock.proof())))
    }

    /// The board, whether it answers or not. One that does not is known by its address, its host keys and the machine id that it had.
    pub fn open_silent(&mut self, context: &Context, limit: Duration) -> Result<Box<dyn Board>> {
        let name = &self.file.description.name;
        if self.file.kind == Kind::Virtual {
            return Ok(Box::new(open_board::find(context, name, self.lock.proof())?));
        }
        let board = open_board::ssh_board(context, &self.file)?;
        self.learn_if_it_answers(&board, limit)?;
        Ok(Box::new(board.held(self.lock.proof())))
    }

    /// A board for a run: the virtual one is switched on. Whether it answers is left to whoever looks.
    pub fn power_on(&mut self, context: &Context, limit: Duration) -> Result<Box<dyn Board>> {
        match self.file.kind {
            Kind::Virtual => open_board::power_on(context, self.file.clone(), self.lock.proof()),
            Kind::Ssh(_) => self.open_silent(context, limit),
        }
    }

    /// The lock's note names the run from now on.
    pub fn is_for_run(&mut self, folder: &Path) -> Result<()> {
        self.lock.is_for_run(folder)
    }

    /// [`HeldBoard::learn`] for a board that may be silent.
    fn learn_if_it_answers(&mut self, board: &SshBoard, limit: Duration) -> Result<()> {
        match board.check_way(limit) {
            Ok(id) => self.know(board, id),
            Err(_) => Ok(()),
        }
    }

    fn learn(&mut self, board: &SshBoard, limit: Duration) -> Result<()> {
        let name = &self.file.description.name;
        let id = board
            .check_way(limit)
            .with_context(|| format!("board `{name}` does not answer as root"))?;
        self.know(board, id)
    }

    fn know(&mut self, board: &SshBoard, id: Option<String>) -> Result<()> {
        let Some(name) = id.as_deref().and_then(machine_id) else {
            return Ok(());
        };
        self.lock
            .add(&[name])
            .with_context(|| doing(&self.file.description.name))?;
        let path = remembered(&board.ssh().target().folder);
        let id = id.unwrap_or_default();
        match bounded::read_text_if_there(&path, MOST) {
            Ok(Some(known)) if known == id => Ok(()),
            _ => files::write_atomic(&path, id.as_bytes()),
        }
    }
}

impl BoardFlags {
    /// Takes the lock of the board that they name, for the campaign that they name.
    pub fn hold(&self, context: &Context) -> Result<HeldBoard> {
        hold(context, &self.board, Some(&self.campaign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_path_that_is_not_utf_8_is_no_reason_to_die() {
        let words = ["xtask", "rollback", "--offline"].map(OsString::from);
        let disk = OsString::from_vec(b"/media/card\xff".to_vec());
        assert_eq!(
            command_line(words.into_iter().chain([disk])),
            "rollback --offline /media/card\u{fffd}"
        );
    }
}
