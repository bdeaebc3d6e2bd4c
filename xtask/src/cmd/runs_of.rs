//! The run that a verb is about.

use super::Context;
use crate::campaign::runs::{self, Run};
use anyhow::{Result, bail};

/// The newest run, of this campaign where one is named. Errors: there is none; what there is.
pub fn newest(context: &Context, campaign: Option<&str>) -> Result<Run> {
    let runs = runs::list(&context.folders.state)?;
    let mut names: Vec<String> = runs.iter().map(|run| run.campaign.clone()).collect();
    names.sort();
    names.dedup();
    match (runs::newest(runs, campaign, None), campaign) {
        (Some(run), _) => Ok(run),
        (None, Some(campaign)) if !names.is_empty() => bail!(
            "there is no run of a campaign `{}`; there are runs of: {}",
            campaign.escape_debug(),
            names.join(", ")
        ),
        (None, _) => bail!(
            "there is no run yet in {}: `cargo xtask rehearse` or `cargo xtask bisect-apply` makes one",
            context.folders.state.join("runs").display()
        ),
    }
}
