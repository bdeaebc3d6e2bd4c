//! `cargo xtask resume`.

use super::bisect_apply::Prepared;
use super::notify::NotifyFlags;
use super::{Context, run_campaign, runs_of};
use crate::campaign::journal::past::Ended;
use crate::campaign::runs::Run;
use crate::exit::Outcome;
use crate::host::json::json;
use anyhow::Result;

/// Arguments of `cargo xtask resume`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It looks at the board and the tree first: what an interrupted step left is taken back, and that step is done again from its beginning. A step that \
                  has passed is not repeated while nothing has changed that its result depends on (Lockstep itself, the kernel tree, compiler, campaign, \
                  fragments, patch); where something has, the run begins anew and says why. A verdict that was given stands, even if the run was cut off right \
                  behind it. The exit codes are those of bisect-apply.\n\nExample:\n  cargo xtask resume\n  cargo xtask resume --continue-without 0007\n  cargo xtask resume --escalate kasan"
)]
pub struct Resume {
    /// Campaign [default: that of the newest run]
    campaign: Option<String>,
    /// Leave this patch out and go on with the rest, as a control; may be repeated
    #[arg(long, value_name = "PATCH")]
    continue_without: Vec<String>,
    /// Do the step that wedged without a word again on this profile's kernel (kasan, kcsan); may be repeated
    #[arg(long, value_name = "PROFILE")]
    escalate: Vec<String>,
    /// Whom to tell.
    #[command(flatten)]
    notify: NotifyFlags,
}

impl Resume {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let mut run = runs_of::newest(context, self.campaign.as_deref())?;
        let past = std::mem::replace(&mut run.past, Ok(Default::default()))?;
        let (None, Some(begin)) = (run.unsaid, &past.begin) else {
            return cannot(context, &run, past.end.as_ref());
        };
        let mut begin = begin.clone();
        begin.tool = run_campaign::tool()?;
        for patch in &self.continue_without {
            if !begin.options.without.contains(patch) {
                begin.options.without.push(patch.clone());
            }
        }
        if !self.escalate.is_empty() {
            begin.options.escalate.clone_from(&self.escalate);
        }
        let prepared = Prepared::like(context, begin, false)?.telling(self.notify.clone());
        if context.global.dry_run {
            context.ui.line(&format!(
                "would go on with the run in {}, after a look at the board and the tree",
                run.folder.display()
            ));
            return prepared.tell(context);
        }
        let consent = prepared.ask(context)?;
        prepared.go_on_with(context, Some((run, past)), consent)
    }
}

/// A run whose journal does not say how it was started cannot be continued.
fn cannot(context: &Context, run: &Run, ended: Option<&Ended>) -> Result<Outcome> {
    let why = run.unsaid.map(|unsaid| unsaid.to_string()).unwrap_or_default();
    context.ui.json(&json!({
        "run": run.folder, "cannot_be_continued": run.unsaid, "end": ended.map(|ended| ended.end)
    }))?;
    context.ui.line(&format!(
        "The newest run ({}) cannot be continued: {why}. It stays as it is.",
        run.folder.display()
    ));
    context.ui.line(&format!(
        "next: `cargo xtask bisect-apply` begins anew, after a look at the board and the tree; `cargo xtask abort {}` only takes back what is ours",
        run.campaign
    ));
    Ok(Outcome::PersonNeeded)
}
