//! A simulated world for the walk: a board, a tree, a compiler and a disk in memory, which can be killed at any instant: before, in and behind
//! each write of the journal, and before and behind each change of board and tree.

mod hands;
mod world;

pub use world::World;

use super::Start;
use super::course::{Course, Inputs};
use super::hands::Hands;
use super::rows::Walk;
use crate::campaign::file::Campaign;
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{Begin, Past, fold};
use crate::campaign::journal::{Journal, read};
use crate::campaign::plan::{self, Planned};
use crate::campaign::record::{self, RunRecord};
use crate::campaign::resume::{self, Decision};
use crate::campaign::walk::Options;
use anyhow::Result;
use hands::Simulated;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::rc::Rc;
use world::{Killed, Shared, SimulatedDisk};

/// A campaign in this world.
pub struct Run {
    pub world: Shared,
    pub campaign: Campaign,
    pub options: Options,
    plan: Vec<Planned>,
    inputs: Inputs,
}

/// How a process ended.
#[derive(Debug)]
pub enum Process {
    Killed,
    Ended(Box<RunRecord>),
    /// It had nothing to run.
    Said(Decision),
}

impl Run {
    pub fn new(world: World, options: Options) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
        let campaign = options.apply(&Campaign::load(&path).unwrap()).unwrap();
        let shared = vec![Input::new("tool", "1")];
        let of_step = |patch: &str| [&shared[..], &[Input::new("patch", patch)]].concat();
        let steps = campaign
            .steps
            .iter()
            .map(|step| (step.id.clone(), of_step(&step.patch)))
            .collect();
        Run {
            world: Rc::new(RefCell::new(world)),
            plan: plan::plan(&campaign, |_| String::new()),
            inputs: Inputs {
                shared,
                steps,
                profiles: std::collections::BTreeMap::new(),
            },
            campaign,
            options,
        }
    }

    pub fn course(&self) -> Course<'_> {
        Course {
            campaign: &self.campaign,
            plan: &self.plan,
            options: &self.options,
            inputs: &self.inputs,
        }
    }

    /// What the journal says now. Whatever was killed, it can be read.
    pub fn past(&self) -> Past {
        let read = read::parse("journal", &self.world.borrow().journal).unwrap();
        fold(&read.lines).unwrap()
    }

    /// One process: looks, decides, walks, until its end or its death.
    pub fn process(&self) -> Process {
        let walked = catch_unwind(AssertUnwindSafe(|| self.walk()));
        match walked {
            Ok(process) => process.unwrap(),
            Err(payload) if payload.is::<Killed>() => Process::Killed,
            Err(payload) => resume_unwind(payload),
        }
    }

    fn walk(&self) -> Result<Process> {
        let mut hands = Simulated {
            world: self.world.clone(),
            prepared: false,
            profile: "lockdep".into(),
            ahead: None,
        };
        let past = self.past();
        let start = if past.begin.is_none() {
            // As in a run folder in which nothing began: another one is made.
            self.world.borrow_mut().journal.clear();
            Start::Anew {
                begin: begin(&self.plan, &self.options),
                vanilla: None,
            }
        } else {
            let seen = hands.see(&past)?;
            match resume::decide(&self.course().rows(), &past, &seen) {
                said @ (Decision::Anew { .. } | Decision::Person { .. } | Decision::Over { .. }) => {
                    return Ok(Process::Said(said));
                }
                decision => Start::Resume(&past, decision),
            }
        };
        let bytes = self.world.borrow().journal.clone();
        let mut journal = Journal::on(Box::new(SimulatedDisk(self.world.clone())), &bytes)?;
        let record = RunRecord {
            schema_version: 1,
            campaign: self.campaign.name.clone(),
            goal: String::new(),
            board: String::new(),
            tree: String::new(),
            release: String::new(),
            started: String::new(),
            end: None,
            rows: Vec::new(),
            planned: record::planned(&self.plan),
            closing: record::Closing::of(&self.campaign, Path::new("campaigns/rehearsal.toml")),
        };
        let walk = Walk::new(&mut hands, self.course(), &mut journal, record);
        Ok(Process::Ended(Box::new(walk.run(start)?)))
    }
}

fn begin(plan: &[Planned], options: &Options) -> Begin {
    Begin {
        campaign: "rehearsal".into(),
        file: "campaigns/rehearsal.toml".into(),
        board: "virtual".into(),
        tool: "1".into(),
        options: options.clone(),
        break_with: None,
        kernel: None,
        rows: plan
            .iter()
            .map(|row| (row.id.clone(), row.title.clone()))
            .collect(),
    }
}
