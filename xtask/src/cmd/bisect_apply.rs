//! `cargo xtask bisect-apply`: a campaign, row by row.

use super::Context;
use super::notify::NotifyFlags;
use super::open_board::board_file;
use super::plan;
use super::run_campaign::{self, Order};
use super::setup::TreeFlags;
use crate::board::boot::ConsentGiven;
use crate::board::preflight::root_at_risk;
use crate::campaign::file::{Campaign, InUse, QuietHours, Step};
use crate::campaign::journal::past::Begin;
use crate::campaign::plan::Planned;
use crate::campaign::walk::Options;
use crate::exit::Outcome;
use crate::ui::Consent;
use anyhow::Result;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask bisect-apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The same command again goes on with a run that was cut off or that needed a person: after a look at the board and the tree, and only where \
                        nothing has changed that its results depend on. What has passed is not repeated.\n\nExit codes: 0 success; 10 the first patch or the \
                        debug kernel failed, all is taken back and vanilla runs; 11 some patches passed, a later one failed and was taken back (or was left \
                        out), vanilla runs; 12 stopped by Ctrl-C, vanilla runs; 20 a person is needed; 1 an error.\n\nExample:\n  cargo \
                        xtask bisect-apply --dry-run\n  cargo xtask bisect-apply campaigns/rehearsal.toml --yes\n  cargo xtask bisect-apply \
                        --continue-without 0007\n  cargo xtask bisect-apply --only 2.2 --repeat 5\n  cargo xtask bisect-apply --escalate kasan --escalate kcsan\n  cargo xtask bisect-apply --search"
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
    /// Hours in which nobody uses the board: it is rebooted then whoever is logged in (22:00-07:00)
    #[arg(long, value_name = "FROM-TO")]
    pub quiet_hours: Option<QuietHours>,
    /// Which kernel tree.
    #[command(flatten)]
    pub tree: TreeFlags,
    /// Whom to tell.
    #[command(flatten)]
    pub notify: NotifyFlags,
    /// Which part, and how.
    #[command(flatten)]
    pub walk: WalkFlags,
    /// Begin a run of its own, from the first row, even where one could be continued; a baseline that holds is taken all the same
    #[arg(long)]
    pub anew: bool,
}

/// Which part of a campaign is run, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct WalkFlags {
    /// Judge from this step on; the patches before it are applied and not judged
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// Judge only this step, on the patches before it
    #[arg(long, value_name = "STEP", conflicts_with_all = ["from", "search"])]
    only: Option<String>,
    /// Leave this patch out and go on with the rest, as a control; may be repeated
    #[arg(long, value_name = "PATCH")]
    continue_without: Vec<String>,
    /// Boot each step so often: good and bad boots together are the verdict "flaky"
    #[arg(long, value_name = "N", default_value = "1")]
    repeat: NonZeroU32,
    /// Do a step that wedges without a word again on this profile's kernel (kasan, kcsan), too; may be repeated
    #[arg(long, value_name = "PROFILE", conflicts_with = "search")]
    escalate: Vec<String>,
    /// Bisect: find the first bad patch of the series in about log2(N) boots, and judge no other
    #[arg(long, conflicts_with = "from")]
    search: bool,
    /// Do not build the next step while the board tests this one: this machine is for others then
    #[arg(long)]
    no_prefetch: bool,
    /// Boot the debug kernel without any patch, even where an earlier run did: same build, board, tests and tool, a day ago at most
    #[arg(long)]
    fresh_baseline: bool,
}

impl WalkFlags {
    fn options(&self) -> Options {
        Options {
            from: self.from.clone(),
            only: self.only.clone(),
            without: self.continue_without.clone(),
            repeat: self.repeat,
            search: self.search,
            escalate: self.escalate.clone(),
            prefetch: !self.no_prefetch,
            fresh_baseline: self.fresh_baseline,
        }
    }
}

impl BisectApply {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let prepared = Prepared::of(context, &self.campaign, &self.flags)?;
        if context.global.dry_run {
            return prepared.tell(context);
        }
        // A variant that is known to be bad is put in to see what finds it.
        if self.flags.break_with.is_none() {
            let campaign = Campaign::load(&context.folders.project.join(&self.campaign))?;
            let tree = prepared.begin.kernel.as_deref();
            super::campaign::refuse_mistakes(context, &self.campaign, &campaign, tree)?;
        }
        let consent = prepared.ask(context)?;
        prepared.run(context, consent)
    }
}

/// A campaign that was read and chosen from.
pub struct Prepared {
    begin: Begin,
    campaign: Campaign,
    plan: Vec<Planned>,
    anew: bool,
    notify: NotifyFlags,
}

impl Prepared {
    /// Reads a campaign, relative to the project where it is not absolute, and applies the flags.
    pub fn of(context: &Context, path: &Path, flags: &RunFlags) -> Result<Self> {
        let begin = Begin {
            campaign: String::new(),
            file: path.to_path_buf(),
            board: String::new(),
            tool: run_campaign::tool()?,
            options: flags.walk.options(),
            break_with: flags.break_with.clone(),
            kernel: flags.tree.kernel.clone(),
            rows: Vec::new(),
        };
        let mut prepared = Prepared::like(context, begin, flags.anew)?;
        let people = &mut prepared.campaign.people;
        people.quiet_hours = flags.quiet_hours.or(people.quiet_hours);
        prepared.notify = flags.notify.clone();
        Ok(prepared)
    }

    /// The same as a run that was there.
    pub fn like(context: &Context, mut begin: Begin, anew: bool) -> Result<Self> {
        let mut campaign = Campaign::load(&context.folders.project.join(&begin.file))?;
        if let Some(name) = &begin.break_with {
            campaign.break_with(name)?;
        }
        super::open_board::board_file(context, &campaign.board)?;
        let mut campaign = begin.options.apply(&campaign)?;
        if context.global.consent() == Consent::Given {
            campaign.people.in_use = InUse::Go;
        }
        begin.kernel = begin.kernel.or_else(|| campaign.tree.clone());
        let mut plan = plan::plan_of(context, &campaign, &begin.options)?;
        let is_carried = |step: &&Step| begin.options.carries(&campaign, step);
        for step in campaign.steps.iter().filter(is_carried) {
            for row in plan.iter_mut().filter(|row| row.id == step.id) {
                row.verified_by = "it is applied, and not judged".into();
            }
        }
        begin.campaign.clone_from(&campaign.name);
        begin.board.clone_from(&campaign.board);
        begin.rows = plan
            .iter()
            .map(|row| (row.id.clone(), row.title.clone()))
            .collect();
        Ok(Prepared {
            begin,
            campaign,
            plan,
            anew,
            notify: NotifyFlags::default(),
        })
    }

    /// The same, and whom to tell of it.
    pub fn telling(self, notify: NotifyFlags) -> Self {
        Prepared { notify, ..self }
    }

    /// Prints the plan, and nothing else.
    pub fn tell(&self, context: &Context) -> Result<Outcome> {
        plan::tell(context, &self.campaign, &self.plan, plan::Form::Text)?;
        context
            .ui
            .line(&format!("By {}.", self.begin.options.method(&self.campaign)));
        context.ui.line("Nothing was touched.");
        Ok(Outcome::Success)
    }

    /// Asks for everything that the run will ask of the board (invariant 9).
    pub fn ask(&self, context: &Context) -> Result<ConsentGiven> {
        let steps = self.campaign.steps.len();
        let boots = steps
            .saturating_mul(self.begin.options.repeat.get() as usize)
            .saturating_add(1)
            .saturating_add(self.campaign.kernel.escalate.len().saturating_mul(2));
        let root = board_file(context, &self.campaign.board)?.description.root;
        context.ui.say(&format!(
            "The root of the test kernels: {}.",
            root_at_risk(root).reason
        ));
        context.ui.confirm(
            context.global.consent(),
            &format!(
                "Back up vanilla on board `{}`, install the label `{}` beside it, and reboot it up to {} times, by resets and crashes on purpose, \
                 too?",
                self.campaign.board,
                self.campaign.kernel.label,
                // Each boot of ours has its way back; each path back to vanilla is tried once before; and one boot of the debug kernel is
                // crashed, to see what comes back.
                boots.saturating_mul(2).saturating_add(4 + 2)
            ),
        )?;
        Ok(ConsentGiven::after_asking())
    }

    /// Runs it, from where the last run was cut off if there is such a run.
    pub fn run(self, context: &Context, consent: ConsentGiven) -> Result<Outcome> {
        let found = match self.anew {
            true => None,
            false => run_campaign::find_unfinished(context, &self.begin)?,
        };
        self.go_on_with(context, found, consent)
    }

    /// Runs it, going on with this run.
    pub fn go_on_with(
        self,
        context: &Context,
        found: Option<(crate::campaign::runs::Run, crate::campaign::journal::past::Past)>,
        consent: ConsentGiven,
    ) -> Result<Outcome> {
        let order = Order {
            begin: self.begin,
            campaign: self.campaign,
            plan: self.plan,
            found,
            consent,
            notify: self.notify,
        };
        run_campaign::run(context, order)
    }
}
