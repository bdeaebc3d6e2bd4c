//! `cargo xtask rehearse`: all set-up, and the whole campaign on the virtual board.

use super::bisect_apply::{Prepared, RunFlags};
use super::{Context, setup};
use crate::campaign::stopwatch::Stopwatch;
use crate::exit::Outcome;
use crate::ui::Part;
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// Arguments of `cargo xtask rehearse`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It says what it is going to install, download and write, asks once, and ends with a report. The exit codes are those \
                        of bisect-apply.\n\nExample:\n  cargo xtask rehearse\n  cargo xtask rehearse --dry-run\n  \
                        cargo xtask rehearse --yes --break lock-inversion"
)]
pub struct Rehearse {
    #[command(flatten)]
    flags: RunFlags,
}

const CAMPAIGN: &str = "campaigns/rehearsal.toml";
/// The last part of it.
const THE_CAMPAIGN: Part = setup::part("campaign", 270, true);

impl Rehearse {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let started = Instant::now();
        context.ui.tell_as_json();
        let prepared = Prepared::of(context, Path::new(CAMPAIGN), &self.flags)?;
        let needs = setup::needs(context, &self.flags.tree)?;
        needs.tell(context);
        if context.global.dry_run {
            return prepared.tell(context);
        }
        let consent = prepared.ask(context)?;
        let mut watch = Stopwatch::default();
        let parts = context.ui.begin_parts(&[needs.parts(), &[THE_CAMPAIGN]].concat());
        setup::ensure(context, &self.flags.tree, &mut watch)?;
        context.ui.begin_part(THE_CAMPAIGN);
        let outcome = prepared.run(context, consent)?;
        drop(parts);
        for (phase, seconds) in watch.phases.iter().filter(|(_, seconds)| *seconds >= 1.0) {
            context.ui.line(&format!("Set-up: {phase} took {seconds:.0} s"));
        }
        context.ui.line(&format!(
            "All of it took {:.1} minutes.",
            started.elapsed().as_secs_f64() / 60.0
        ));
        Ok(outcome)
    }
}
