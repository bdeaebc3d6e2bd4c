//! `cargo xtask plan`.

use super::{Context, run_campaign};
use crate::campaign::build;
use crate::campaign::earlier::shelf;
use crate::campaign::estimates;
use crate::campaign::file::Campaign;
use crate::campaign::inputs;
use crate::campaign::plan::print::Told;
use crate::campaign::plan::{self, Planned};
use crate::campaign::walk::Options;
use crate::exit::Outcome;
use crate::host::bounded;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It is the value that `bisect-apply` executes: rows with their estimates, gates and what follows a failure, what is asked of \
                  people, the risks with what answers each, the ends. No board and no kernel tree is needed.\n\n\
                  Example:\n  cargo xtask plan\n  cargo xtask plan campaigns/iter6.toml --format markdown > plan.md"
)]
pub struct Plan {
    /// Campaign file
    #[arg(default_value = "campaigns/rehearsal.toml")]
    campaign: PathBuf,
    /// How it is printed; `--json` for programs
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Lines for a terminal
    Text,
    /// A document
    Markdown,
}

impl Plan {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let campaign = Campaign::load(&context.folders.project.join(&self.campaign))?;
        let plan = plan_of(context, &campaign, &Options::default())?;
        tell(context, &campaign, &plan, self.format)?;
        if self.format == Form::Text {
            context.ui.line("");
            context.ui.line(&format!(
                "next: cargo xtask bisect-apply {}",
                self.campaign.display()
            ));
        }
        Ok(Outcome::Success)
    }
}

/// The plan of a campaign, with the subjects of its patches.
pub fn plan_of(context: &Context, campaign: &Campaign, options: &Options) -> Result<Vec<Planned>> {
    let patches = build::patches(&context.folders.project, campaign)?;
    let subject = |name: &str| {
        patches
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, patch)| patch.subject.clone())
            .unwrap_or_default()
    };
    let mut plan = plan::plan(campaign, subject);
    let earlier = estimates::history(&context.folders.state.join("runs").join(&campaign.name));
    estimates::learn(&mut plan, &earlier, &campaign.name, &campaign.board);
    let content =
        |path: &Path| -> Result<Vec<u8>> { bounded::read(&context.folders.project.join(path), bounded::LOG) };
    let known = inputs::of_campaign(campaign, &run_campaign::tool()?, &content);
    shelf::foretell(&mut plan, campaign, options, &context.folders.state, known)?;
    Ok(plan)
}

/// Prints a plan, and nothing else.
pub fn tell(context: &Context, campaign: &Campaign, plan: &[Planned], form: Form) -> Result<()> {
    let told = Told { campaign, plan };
    context.ui.json(&told.json())?;
    match form {
        Form::Text => told.lines().iter().for_each(|line| context.ui.line(line)),
        Form::Markdown => context.ui.text(told.markdown().trim_end()),
    }
    Ok(())
}
