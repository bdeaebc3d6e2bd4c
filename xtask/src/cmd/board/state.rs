//! `cargo xtask board state`.

use super::super::Context;
use super::super::open_board::{BoardFlags, label_name};
use crate::board::name::Name;
use crate::board::slot::USUAL_LABEL;
use crate::board::state::{self, BoardState};
use crate::exit::Outcome;
use anyhow::Result;

/// Whose pre-flight says what vanilla is.
#[derive(Debug, clap::Args)]
pub struct StateFlags {
    /// Campaign whose backup tells what vanilla is
    #[arg(long, default_value = "rehearsal")]
    campaign: Name,
    /// Name of the label that is ours
    #[arg(long, value_name = "NAME", default_value = USUAL_LABEL, value_parser = label_name)]
    label: String,
}

/// Runs the verb.
pub fn run(flags: &StateFlags, board: &str, context: &Context) -> Result<Outcome> {
    let flags = BoardFlags {
        board: board.parse()?,
        campaign: flags.campaign.clone(),
        label: flags.label.clone(),
    };
    let protected = flags.protected(context)?;
    let board = flags.open(context)?;
    let state = state::look(board.as_ref(), &protected)?;
    context.ui.json(&state)?;
    told(&state).iter().for_each(|line| context.ui.line(line));
    let next = if state.label.as_deref() == Some(&protected.vanilla_label) {
        format!(
            "next: `cargo xtask deploy{}`, or `cargo xtask bisect-apply`",
            flags.typed()
        )
    } else {
        format!("next: `cargo xtask boot vanilla{}`", flags.typed())
    };
    context.ui.line(&next);
    Ok(Outcome::Success)
}

fn told(state: &BoardState) -> Vec<String> {
    let seen = &state.seen;
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "not known".into());
    let mut rows = vec![
        (
            "label",
            state
                .label
                .clone()
                .unwrap_or_else(|| "neither vanilla's nor ours".into()),
        ),
        ("release", or_unknown(&seen.release)),
        ("build id", or_unknown(&seen.build_id)),
        ("boot id", or_unknown(&seen.boot_id)),
        ("up", format!("{} s", seen.uptime.unwrap_or(0))),
        (
            "taint",
            match state.taint.as_slice() {
                [] => "none".to_string(),
                flags => flags.join(", "),
            },
        ),
        (
            "lockdep",
            match state.lockdep_alive {
                Some(true) => "alive".into(),
                Some(false) => "DEAD: it checks nothing until the next boot".into(),
                None => "not in this kernel".into(),
            },
        ),
        (
            "lease",
            match (&seen.lease, state.lease_left) {
                (Some(lease), Some(left)) => format!("ends this boot in {left} s; {lease}"),
                (Some(lease), None) => lease.to_string(),
                (None, _) => "none held".into(),
            },
        ),
        ("modules", format!("{} loaded", seen.modules.len())),
    ];
    rows.extend(
        state
            .last_reset
            .iter()
            .map(|reason| ("last reset", reason.clone())),
    );
    rows.extend(seen.logged_in.iter().map(|user| ("logged in", user.clone())));
    rows.iter()
        .map(|(name, text)| format!("{name:<11}{text}"))
        .collect()
}
