//! `cargo xtask bisect-apply`: a campaign, row by row.

use super::Context;
use super::open_board::{backup_folder, lock};
use super::setup::TreeFlags;
use crate::board::Board;
use crate::board::boot::ConsentGiven;
use crate::board::virt::VirtualBoard;
use crate::campaign::build::{self, Workshop};
use crate::campaign::engine::Engine;
use crate::campaign::file::Campaign;
use crate::campaign::plan::{self, Planned};
use crate::campaign::record::{End, RunRecord};
use crate::campaign::report;
use crate::exit::Outcome;
use crate::host::awake;
use crate::kernel::toolchain::Toolchain;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask bisect-apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 success; 10 the first patch or the debug kernel failed, all is taken back and vanilla runs; 11 some \
                        patches passed, a later one failed and was taken back, vanilla runs; 20 a person is needed; 1 an error.\n\n\
                        Example:\n  cargo xtask bisect-apply --dry-run\n  cargo xtask bisect-apply campaigns/rehearsal.toml --yes"
)]
pub struct BisectApply {
    /// Campaign file
    #[arg(default_value = "campaigns/rehearsal.toml")]
    campaign: PathBuf,
    #[command(flatten)]
    flags: RunFlags,
}

/// Flags of a run.
#[derive(Debug, Clone, clap::Args)]
pub struct RunFlags {
    /// Put a variant that is known to be bad in the place of its patch, to see that it is found
    #[arg(long = "break", value_name = "NAME")]
    pub break_with: Option<String>,
    /// Which kernel tree.
    #[command(flatten)]
    pub tree: TreeFlags,
}

impl BisectApply {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let campaign = load(context, &self.campaign, &self.flags)?;
        let plan = plan_of(context, &campaign)?;
        if context.global.dry_run {
            return tell_plan(context, &campaign, &plan);
        }
        let consent = ask(context, &campaign)?;
        let board = VirtualBoard::open(&context.folders)?;
        run(context, &campaign, &plan, &board, &self.flags, consent)
    }
}

/// Reads a campaign, relative to the project where it is not absolute.
pub fn load(context: &Context, path: &Path, flags: &RunFlags) -> Result<Campaign> {
    let mut campaign = Campaign::load(&context.folders.project.join(path))?;
    if let Some(name) = &flags.break_with {
        campaign.break_with(name)?;
    }
    if campaign.board != "virtual" {
        bail!(
            "the campaign is for the board {:?}; only the board \"virtual\" can be driven yet",
            campaign.board
        );
    }
    Ok(campaign)
}

/// The plan of a campaign, with the subjects of its patches.
pub fn plan_of(context: &Context, campaign: &Campaign) -> Result<Vec<Planned>> {
    let patches = build::patches(&context.folders.project, campaign)?;
    let subject = |name: &str| {
        patches
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, patch)| patch.subject.clone())
            .unwrap_or_default()
    };
    Ok(plan::plan(campaign, subject))
}

/// Prints the plan, and nothing else.
pub fn tell_plan(context: &Context, campaign: &Campaign, plan: &[Planned]) -> Result<Outcome> {
    context
        .ui
        .json(&serde_json::json!({ "campaign": campaign.name, "plan": plan }))?;
    context
        .ui
        .line(&format!("Campaign {}: {}", campaign.name, campaign.goal));
    for row in plan {
        let minutes = row.estimate.as_secs_f64() / 60.0;
        context
            .ui
            .line(&format!("{:<5} {:>4.0} min  {}", row.id, minutes, row.title));
        context
            .ui
            .line(&format!("{:<15} passes when: {}", "", row.verified_by));
    }
    let minutes = plan.iter().map(|row| row.estimate.as_secs_f64()).sum::<f64>() / 60.0;
    context.ui.line(&format!(
        "About {minutes:.0} minutes in all. Nothing was touched."
    ));
    Ok(Outcome::Success)
}

/// Asks for everything that the run will ask of the board (invariant 9).
pub fn ask(context: &Context, campaign: &Campaign) -> Result<ConsentGiven> {
    let boots = campaign.steps.len() + 1;
    context.ui.confirm(
        context.global.consent(),
        &format!(
            "Back up vanilla on board `{}`, install the label `{}` beside it, and reboot it up to {} times?",
            campaign.board,
            campaign.kernel.label,
            // Each boot of ours has its way back, and each path back to vanilla is tried once before.
            2 * boots + 4
        ),
    )?;
    Ok(ConsentGiven::after_asking())
}

/// Runs a campaign on a board and tells how it ended. One run a board: a second one is refused.
pub fn run(
    context: &Context,
    campaign: &Campaign,
    plan: &[Planned],
    board: &VirtualBoard,
    flags: &RunFlags,
    consent: ConsentGiven,
) -> Result<Outcome> {
    let _lock = lock(context, &campaign.board)?;
    let awake = awake::hold("a kernel campaign runs");
    if let awake::Awake::No(said) = &awake {
        context.ui.warn(said);
    }
    let kernel = flags.tree.kernel.as_deref();
    let workshop = Workshop::open(&context.folders.project, &context.folders.cache, kernel, campaign)?;
    let probe = compile(context, "release_fence", "probe")?;
    let slot_init = compile(context, "slot_init", "slot-init")?;
    let task = context.ui.task("switch the board on", None);
    board.up(&context.folders)?;
    board.wait_for_ssh(board.description().boot_limit)?;
    task.done("it answers");
    let folder = run_folder(context, campaign)?;
    let mut engine = Engine {
        campaign,
        board,
        workshop,
        smoke_files: vec![("release_fence".into(), probe)],
        slot_init,
        backups: backup_folder(context, &campaign.board, &campaign.name),
        folder: folder.clone(),
        consent,
        ui: context.ui,
    };
    let record = engine.run(plan)?;
    tell(context, &record, &folder)
}

/// `.lockstep/runs/<campaign>/<time>`: one folder a run, never used twice.
fn run_folder(context: &Context, campaign: &Campaign) -> Result<PathBuf> {
    let time = jiff::Zoned::now().strftime("%Y%m%dT%H%M%S").to_string();
    let folder = context.folders.state.join("runs").join(&campaign.name).join(time);
    let doing = || format!("making the run's folder {}", folder.display());
    std::fs::create_dir_all(folder.parent().with_context(doing)?).with_context(doing)?;
    std::fs::create_dir(&folder).with_context(doing)?;
    Ok(folder)
}

/// Builds one of our C programs for the board: all that is in a folder of `xtask/`.
pub fn compile(context: &Context, name: &str, folder: &str) -> Result<PathBuf> {
    let folder = context.folders.project.join("xtask").join(folder);
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    let out = context.folders.cache.join("probe").join(name);
    let sources: Vec<&Path> = sources.iter().map(PathBuf::as_path).collect();
    Toolchain::find()?.compile_probe(&sources, &out)?;
    Ok(out)
}

fn tell(context: &Context, record: &RunRecord, folder: &Path) -> Result<Outcome> {
    let end = record.end.unwrap_or(End::PersonNeeded);
    context
        .ui
        .json(&serde_json::json!({ "end": end, "report": folder.join("report.md"), "run": record }))?;
    context.ui.line("");
    for line in report::summary(record) {
        context.ui.line(&line);
    }
    context
        .ui
        .line(&format!("Report: {}", folder.join("report.md").display()));
    Ok(match end {
        End::Success => Outcome::Success,
        End::PartialSuccess => Outcome::PartialSuccess,
        End::Failure => Outcome::RolledBack,
        End::PersonNeeded => Outcome::PersonNeeded,
    })
}
