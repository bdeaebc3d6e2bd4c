//! The engine: executes a plan, row by row. What a row finds wrong with the kernel under test ends the campaign with a verdict;
//! what goes wrong with the board or this machine is an error, and the board is left to vanilla.
//!
//! [`rows`] walks through the plan, [`fixed_rows`] does what stands around the patches and [`patch_row`] a step, [`reloading`] tries its modules
//! before, [`ahead`] begins the next one, all with any [`hands::Hands`]; [`real`] are the engine's own. [`resuming`] carries out what the rule in
//! `campaign::resume` decided, [`searching`] a bisection, [`escalating`] a wedged step on other kernels.

mod ahead;
mod course;
#[cfg(test)]
mod ends;
mod escalating;
mod fixed_rows;
pub mod hands;
#[cfg(test)]
mod killed;
mod patch_row;
mod real;
mod reloading;
mod resuming;
mod rows;
mod searching;
#[cfg(test)]
mod simulated;

use super::build::Workshop;
use super::file::Campaign;
use super::journal::Journal;
use super::journal::past::{Begin, Past};
use super::live::Live;
use super::notify::Notify;
use super::plan::Planned;
use super::preflight::Ready;
use super::record::RunRecord;
use super::resume::Decision;
use super::walk::Options;
use crate::board::Board;
use crate::board::boot::{ConsentGiven, Reset};
use crate::host::interrupt;
use crate::ui::Ui;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use course::{Course, Inputs};

/// Everything that a run needs.
pub struct Engine<'a> {
    /// The campaign, without what the options leave out.
    pub campaign: &'a Campaign,
    /// The board.
    pub board: &'a dyn Board,
    /// Tree, series, compiler.
    pub workshop: Workshop,
    /// Files for `$LOCKSTEP` on the board: name and where they are on this host.
    pub smoke_files: Vec<(String, PathBuf)>,
    /// The slot's first user space, built for the board.
    pub slot_init: PathBuf,
    /// Folder of backups on this host.
    pub backups: PathBuf,
    /// What is known of the debug kernel from one run to the next.
    pub baseline: PathBuf,
    /// `.lockstep`, with all runs.
    pub state: PathBuf,
    /// Folder of this run.
    pub folder: PathBuf,
    /// Somebody agreed to reboots.
    pub consent: ConsentGiven,
    /// Whom to tell that a person is needed.
    pub notify: Notify,
    /// The screen.
    pub ui: &'a Ui,
    /// Whether somebody asked to stop.
    pub interrupt: interrupt::Watch,
    /// What a person sees while it runs.
    pub live: Live,
    /// What pre-flight made of the board; none before.
    pub prepared: Option<Prepared>,
}

/// A board that a campaign may use now.
pub struct Prepared {
    ready: Ready,
    /// pstore records that are on the board now, by file name.
    known_dumps: BTreeSet<String>,
}

/// Where a run begins.
pub enum Start<'a> {
    /// At the first row, in a folder of its own.
    Anew {
        /// How the run was started.
        begin: Begin,
        /// How the board is brought to vanilla first, where it does not run it.
        vanilla: Option<Reset>,
    },
    /// Where another process left it.
    Resume(&'a Past, Decision),
}

impl Engine<'_> {
    /// Executes the plan and gives the record, which is also in the run's folder, with the report. Dying at any instant it leaves a board
    /// whose next reset boots vanilla, a tree with the patches that were applied, and a journal from which
    /// [`super::resume::decide`] goes on.
    pub fn run(
        &mut self,
        plan: &[Planned],
        options: &Options,
        inputs: &Inputs,
        start: Start,
    ) -> Result<RunRecord> {
        let file = match &start {
            Start::Anew { begin, .. } => Some(&begin.file),
            Start::Resume(past, _) => past.begin.as_ref().map(|begin| &begin.file),
        };
        let mut journal = Journal::open(&self.folder.join(super::journal::FILE))?;
        let record = RunRecord {
            schema_version: super::record::SCHEMA_VERSION,
            campaign: self.campaign.name.clone(),
            goal: self.campaign.goal.clone(),
            board: self.campaign.board.clone(),
            tree: self.workshop.tree_name()?,
            release: String::new(),
            started: jiff::Timestamp::now().to_string(),
            end: None,
            rows: Vec::new(),
            planned: super::record::planned(plan),
            closing: super::record::Closing::of(self.campaign, file.map_or(Path::new(""), PathBuf::as_path)),
        };
        let title = format!("{} on {}", self.campaign.name, self.campaign.board);
        let log = self.board.serial().map(|line| line.log());
        self.live = Live::begin(self.ui, &title, plan, log);
        if let Start::Resume(past, _) = &start {
            let done = past.rows.iter().filter(|row| row.counts_as_done());
            let done = done.filter_map(|row| row.ended.as_ref());
            self.live.done_before(done.map(|ended| &ended.record));
        }
        self.interrupt.answer_with(self.live.answers(&self.folder));
        let campaign = self.campaign;
        let course = Course {
            campaign,
            plan,
            options,
            inputs,
        };
        let ended = rows::Walk::new(self, course, &mut journal, record).run(start);
        // What is printed behind it stands on its own.
        self.live = Live::default();
        ended
    }
}
