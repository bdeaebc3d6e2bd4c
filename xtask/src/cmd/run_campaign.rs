//! Runs a campaign for the verbs that do (`bisect-apply`, `rehearse`, `resume`): opens what it needs, goes on with a run that was cut off or begins
//! one, and tells how it ended.

use super::Context;
use super::hold_board::hold;
use super::notify::NotifyFlags;
use super::open_board::{backup_folder, board_file};
use super::programs::{compile, smoke_files};
use crate::board::Board;
use crate::board::boot::{self, ConsentGiven, Reset};
use crate::board::file::Kind;
use crate::board::nonce;
use crate::board::virt::VirtualBoard;
use crate::campaign::base_config;
use crate::campaign::build::Workshop;
use crate::campaign::engine::{Course, Engine, Inputs, Start};
use crate::campaign::file::Campaign;
use crate::campaign::inputs::{self, Around};
use crate::campaign::journal::Input;
use crate::campaign::journal::past::{Begin, Past};
use crate::campaign::known;
use crate::campaign::live::Live;
use crate::campaign::plan::Planned;
use crate::campaign::record::{End, RunRecord};
use crate::campaign::resume::{self, BoardSeen, Decision};
use crate::campaign::runs::{self, Run};
use crate::campaign::{report, way_home};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::interrupt;
use crate::host::json::json;
use crate::host::{awake, files};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a board may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(20);

/// A campaign that is to be run.
pub struct Order {
    /// How it is started.
    pub begin: Begin,
    /// The campaign, without what the options leave out.
    pub campaign: Campaign,
    /// Its plan.
    pub plan: Vec<Planned>,
    /// The run to go on with.
    pub found: Option<(Run, Past)>,
    /// Somebody said yes.
    pub consent: ConsentGiven,
    /// Whom to tell how it ended.
    pub notify: NotifyFlags,
}

/// Tells which tool this is: its version, and the hash of the program's file.
pub fn tool() -> Result<String> {
    let program = std::env::current_exe().context("finding this program's own file")?;
    let hash = files::sha256_file(&program)?;
    Ok(format!("{} {hash:.16}", env!("CARGO_PKG_VERSION")))
}

/// The run that the same command would go on with, if there is one.
pub fn find_unfinished(context: &Context, begin: &Begin) -> Result<Option<(Run, Past)>> {
    let runs = runs::list(&context.folders.state)?;
    let Some(run) = runs::newest(runs, Some(&begin.campaign), Some(&begin.board)) else {
        return Ok(None);
    };
    let past = match &run.past {
        Ok(past) => past.clone(),
        Err(error) => {
            context.ui.warn(&format!(
                "the last run cannot be read, so this one begins anew: {error:#}"
            ));
            return Ok(None);
        }
    };
    if let Some(unsaid) = run.unsaid {
        context.ui.say(&format!(
            "the last run ({}) cannot be continued, so this one begins anew: {unsaid}",
            run.folder.display()
        ));
        return Ok(None);
    }
    match runs::continues(&past, begin) {
        Ok(()) => Ok(Some((run, past))),
        Err(why) => {
            why.iter().for_each(|why| context.ui.say(why));
            Ok(None)
        }
    }
}

/// Runs it and tells how it ended. One run a board: a second one is refused.
pub fn run(context: &Context, mut order: Order) -> Result<Outcome> {
    let mut held = hold(context, &order.begin.board, Some(&order.campaign.name))?;
    let awake = awake::hold("a kernel campaign runs");
    if let awake::Awake::No(said) = &awake {
        context.ui.warn(said);
    }
    if let Some((run, past)) = &mut order.found {
        // Another process may have gone on with it while this one waited for an answer.
        *past = runs::open(run.folder.clone(), run.campaign.clone()).past?;
    }
    let folder = match &order.found {
        Some((run, _)) => run.folder.clone(),
        None => new_folder(context, &order.campaign)?,
    };
    held.is_for_run(&folder)?;
    let mut board = held.power_on(context, ANSWER)?;
    if order.found.is_none() {
        board = held.open(context)?;
    }
    let base = base(context, &order.campaign, board.as_ref(), &folder)?;
    let workshop = Workshop::open(
        &context.folders.project,
        &context.folders.cache,
        order.begin.kernel.as_deref(),
        &base.campaign,
    )?;
    let inputs = inputs_of(context, &order, &workshop, base.extra)?;
    let mut engine = Engine {
        campaign: &order.campaign,
        board: board.as_ref(),
        workshop,
        smoke_files: smoke_files(context, &order.campaign)?,
        slot_init: compile(context, "slot_init", "slot-init")?,
        backups: backup_folder(
            context,
            &order.begin.board.parse()?,
            &order.campaign.name.parse()?,
        ),
        baseline: known::path_of(&context.folders.state, &order.campaign.name, &order.begin.board),
        state: context.folders.state.clone(),
        folder,
        consent: order.consent,
        notify: order.notify.whom(),
        ui: context.ui,
        interrupt: interrupt::Watch::begin(),
        live: Live::default(),
        prepared: None,
    };
    let start = match decide(context, &order, &inputs, &mut engine)? {
        Ok(start) => start,
        Err(decision) => return tell_decision(context, &decision),
    };
    context
        .ui
        .say(&format!("this run is kept in {}", engine.folder.display()));
    let ended = engine.run(&order.plan, &order.begin.options, &inputs, start);
    order.notify.tell(context.ui, &engine.folder);
    tell(context, &ended?, &engine.folder)
}

/// Where to begin, after a look at board and tree; the inner error is a decision with nothing to run.
fn decide<'a>(
    context: &Context,
    order: &'a Order,
    inputs: &Inputs,
    engine: &mut Engine,
) -> Result<std::result::Result<Start<'a>, Decision>> {
    use crate::campaign::engine::hands::Hands;
    let anew = |vanilla: Option<Reset>| Start::Anew {
        begin: order.begin.clone(),
        vanilla,
    };
    let known = crate::board::backup::host_manifest(&engine.backups)?.map(|known| known.protected);
    let Some((run, past)) = &order.found else {
        // Whatever else runs there, pre-flight says more about it.
        let ours = matches!(
            way_home::see(engine.board, known.as_ref(), ANSWER),
            BoardSeen::Ours { .. }
        );
        return Ok(Ok(anew(ours.then_some(Reset::Orderly))));
    };
    context.ui.say(&format!(
        "a run of {} was not finished ({}): looking at the board and the tree",
        past.started,
        run.folder.display()
    ));
    let course = Course {
        campaign: &order.campaign,
        plan: &order.plan,
        options: &order.begin.options,
        inputs,
    };
    let seen = engine.see(past)?;
    Ok(match resume::decide(&course.rows(), past, &seen) {
        Decision::Anew { why, vanilla } => {
            for why in why {
                context.ui.say(&format!("it cannot be continued: {why}"));
            }
            engine.folder = new_folder(context, &order.campaign)?;
            Ok(anew(vanilla))
        }
        decision @ (Decision::Person { .. } | Decision::Over { .. }) => Err(decision),
        decision => Ok(Start::Resume(past, decision)),
    })
}

/// A campaign with the configuration that its debug kernel is laid upon, and what that adds to the inputs.
struct Based {
    campaign: Campaign,
    extra: Vec<Input>,
}

/// Where the campaign names no configuration and the board is not ours to make, it is the board's own: read once, kept with the run.
fn base(context: &Context, campaign: &Campaign, board: &dyn Board, folder: &Path) -> Result<Based> {
    let mut based = Based {
        campaign: campaign.clone(),
        extra: Vec::new(),
    };
    let is_ours = matches!(board_file(context, &campaign.board)?.kind, Kind::Virtual);
    if is_ours || campaign.kernel.base.is_some() {
        return Ok(based);
    }
    let path = folder.join("kept/base.config");
    let bytes = match bounded::read_if_there(&path, bounded::WRITTEN)? {
        Some(bytes) => bytes,
        None => {
            let running = boot::look(board)?;
            ensure!(
                !nonce::is_of_ours(&running.cmdline),
                "the campaign names no configuration (`base` in [kernel]), so it is the board's own; but {}, a debug kernel of ours, runs there: \
                 `cargo xtask boot vanilla --board {name} --campaign {} --label {}` first",
                running.release,
                campaign.name,
                campaign.kernel.label,
                name = campaign.board
            );
            let bytes = base_config::of_board(board)?;
            files::write_atomic(&path, &bytes)?;
            bytes
        }
    };
    context
        .ui
        .say("the debug kernel is laid upon the board's own configuration: the campaign names none");
    based.extra.push(Input::new(
        "the board's own configuration",
        &files::sha256(&bytes),
    ));
    based.campaign.kernel.base = Some(std::path::absolute(path)?);
    Ok(based)
}

fn inputs_of(context: &Context, order: &Order, workshop: &Workshop, extra: Vec<Input>) -> Result<Inputs> {
    let project = &context.folders.project;
    let content = |path: &Path| -> Result<Vec<u8>> { bounded::read(&project.join(path), bounded::LOG) };
    let board = match VirtualBoard::open(&context.folders) {
        Ok(made) if order.begin.board == "virtual" => made.instance().to_string(),
        _ => order.begin.board.clone(),
    };
    let around = Around {
        tool: order.begin.tool.clone(),
        base: workshop.base()?,
        compiler: workshop.compiler().to_string(),
        board,
    };
    let mut inputs = Inputs {
        shared: inputs::shared(&order.campaign, &around, &content)?,
        ..Inputs::default()
    };
    inputs.shared.extend(extra);
    for profile in &order.campaign.kernel.escalate {
        let of_profile = inputs::of_profile(&order.campaign, profile, &content)?;
        inputs.profiles.insert(profile.clone(), of_profile);
    }
    for step in &order.campaign.steps {
        let patch = workshop.patch_hash(&step.patch)?;
        let of_step = inputs::of_step(step, &patch, &inputs.shared, &content)?;
        inputs.steps.insert(step.id.clone(), of_step);
    }
    Ok(inputs)
}

/// `.lockstep/runs/<campaign>/<time>`: one folder a run, never used twice.
fn new_folder(context: &Context, campaign: &Campaign) -> Result<PathBuf> {
    let runs = context.folders.state.join("runs").join(&campaign.name);
    let doing = || format!("making a folder for the run in {}", runs.display());
    std::fs::create_dir_all(&runs).with_context(doing)?;
    for _ in 0..50 {
        let folder = runs.join(jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string());
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            // A run of this very second.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(error).with_context(doing),
        }
    }
    bail!("{}: there is one of every name that was tried", doing())
}

fn tell_decision(context: &Context, decision: &Decision) -> Result<Outcome> {
    context.ui.json(decision)?;
    match decision {
        Decision::Person { what, why } => {
            context.ui.line(&format!("A person is needed: {what}."));
            context.ui.line(&format!("Why: {why}."));
            context
                .ui
                .line("next: then `cargo xtask resume`, or `cargo xtask abort` to give the run up");
            Ok(Outcome::PersonNeeded)
        }
        Decision::Over { end, why } => {
            context
                .ui
                .line(&format!("The run is over ({}): {why}.", end.text()));
            Ok(outcome(*end))
        }
        other => bail!("{other:?} is nothing to tell"),
    }
}

/// The exit code of an end.
pub fn outcome(end: End) -> Outcome {
    match end {
        End::Success => Outcome::Success,
        End::PartialSuccess => Outcome::PartialSuccess,
        End::Failure | End::Aborted => Outcome::RolledBack,
        End::PersonNeeded => Outcome::PersonNeeded,
    }
}

fn tell(context: &Context, record: &RunRecord, folder: &Path) -> Result<Outcome> {
    context
        .ui
        .json(&json!({ "end": record.end, "report": report::html_path(folder), "run": record }))?;
    context.ui.line("");
    for line in report::summary(record) {
        context.ui.line(&line);
    }
    context
        .ui
        .line(&format!("Report: {}", report::html_path(folder).display()));
    tell_next(context, record);
    Ok(record.end.map_or(Outcome::Stopped, outcome))
}

/// What to do next, a line each, in the order in which it is typed.
pub fn tell_next(context: &Context, record: &RunRecord) {
    for (at, next) in report::ends::next(record).iter().enumerate() {
        let mark = if at == 0 { "next" } else { "  or" };
        context.ui.line(&format!("{mark}: {next}"));
    }
}
