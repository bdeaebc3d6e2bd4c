//! The plan in print: lines for a terminal, Markdown, and one JSON value. All three tell the same value, the one that is executed.

use super::{Planned, Source};
use crate::campaign::action::Action;
use crate::campaign::file::Campaign;
use crate::campaign::gates::{self, Asked, OpenedBy};
use crate::host::json::json;
use crate::ui::short;
use serde_json::Value;
use std::time::Duration;

/// Everything that a plan tells.
pub struct Told<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its rows.
    pub plan: &'a [Planned],
}

impl Told<'_> {
    /// The whole estimate.
    fn estimate(&self) -> Duration {
        self.plan.iter().map(|row| row.estimate).sum()
    }

    fn asked(&self) -> Vec<Asked> {
        let actions: Vec<Action> = self.plan.iter().map(|row| row.action).collect();
        gates::asked(self.campaign, &actions)
    }

    fn ends(&self) -> Vec<(&'static str, String)> {
        let ends = &self.campaign.ends;
        let or = |text: &str, default: &str| match text {
            "" => default.to_string(),
            text => text.to_string(),
        };
        vec![
            (
                "success",
                or(&ends.success, "every step has the verdict that is asked of it"),
            ),
            (
                "partial success",
                or(
                    &ends.partial_success,
                    "some patches passed; a later one did not and was taken back",
                ),
            ),
            (
                "failure",
                or(
                    &ends.failure,
                    "the first patch, or the debug kernel itself, did not pass",
                ),
            ),
            (
                "a person is needed",
                "the board or the tree is not in a state that is known to be safe".to_string(),
            ),
        ]
    }

    /// One object.
    pub fn json(&self) -> Value {
        let campaign = self.campaign;
        let ends: Vec<Value> = self
            .ends()
            .into_iter()
            .map(|(end, means)| json!({ "end": end, "means": means }))
            .collect();
        json!({
            "campaign": campaign.name,
            "goal": campaign.goal,
            "board": campaign.board,
            "plan": self.plan,
            "estimate_s": self.estimate().as_secs(),
            "asked": self.asked(),
            "risks": campaign.risks,
            "ends": ends,
            "closing": campaign.closing,
        })
    }

    /// Lines for a terminal.
    pub fn lines(&self) -> Vec<String> {
        let campaign = self.campaign;
        let mut lines = vec![
            format!("Campaign {}: {}", campaign.name, campaign.goal),
            format!("Board {}, series {}", campaign.board, campaign.series.display()),
            String::new(),
        ];
        for row in self.plan {
            let minutes = row.estimate.as_secs_f64() / 60.0;
            lines.push(format!("{:<5} {:>4.0} min  {}", row.id, minutes, row.title));
            for part in &row.parts {
                let number = if part.id == row.id && row.parts.len() < 4 {
                    ""
                } else {
                    &part.id
                };
                lines.push(format!("{:<15} {number:<4}{}", "", part.title));
                lines.push(format!("{:<19} verified by: {}", "", part.verified_by));
            }
            for need in &row.needs {
                lines.push(format!("{:<15} needs: {need}", ""));
            }
            if let Some(note) = &row.note {
                lines.push(format!("{:<15} {note}", ""));
            }
            lines.push(format!("{:<15} passes when: {}", "", row.verified_by));
            lines.push(format!("{:<15} on failure: {}", "", row.on_failure));
        }
        lines.push(format!(
            "About {} in all, {}.",
            short(self.estimate()),
            sources(self.plan)
        ));
        lines.push(String::new());
        lines.push("What is asked of people:".into());
        lines.extend(
            self.asked()
                .iter()
                .map(|asked| format!("  {}", asked_line(asked))),
        );
        if !campaign.risks.is_empty() {
            lines.push(String::new());
            lines.push("Risks, and what answers each:".into());
            for risk in &campaign.risks {
                lines.push(format!("  {}", risk.risk));
                lines.push(format!("      {}", risk.answer));
            }
        }
        lines.push(String::new());
        lines.push(format!(
            "Ends (each writes {} in the run's folder):",
            campaign.closing
        ));
        lines.extend(self.ends().iter().map(|(end, means)| format!("  {end}: {means}")));
        lines
    }

    /// A Markdown document.
    pub fn markdown(&self) -> String {
        let campaign = self.campaign;
        let mut text = format!(
            "# Plan of campaign {}\n\n{}\n\nBoard `{}`, series `{}`, about {} in all.\n\n\
             | Row | What | Verified by | Needs | On failure | Minutes |\n|---|---|---|---|---|---|\n",
            cell(&campaign.name),
            cell(&campaign.goal),
            campaign.board,
            campaign.series.display(),
            short(self.estimate())
        );
        for row in self.plan {
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {:.0} |\n",
                row.id,
                cell(&row.title),
                cell(&row.verified_by),
                cell(&row.needs.join("; ")),
                cell(&row.on_failure),
                row.estimate.as_secs_f64() / 60.0
            ));
            if let Some(note) = &row.note {
                text.push_str(&format!("| {} | {} | | | | |\n", row.id, cell(note)));
            }
            for part in &row.parts {
                let (title, verified) = (cell(&part.title), cell(&part.verified_by));
                text.push_str(&format!("| {} | {title} | {verified} | | | |\n", part.id));
            }
        }
        text.push_str("\n## What is asked of people\n\n");
        for asked in self.asked() {
            text.push_str(&format!("- {}\n", cell(&asked_line(&asked))));
        }
        if !campaign.risks.is_empty() {
            text.push_str("\n## Risks\n\n| Risk | Answer |\n|---|---|\n");
            for risk in &campaign.risks {
                text.push_str(&format!("| {} | {} |\n", cell(&risk.risk), cell(&risk.answer)));
            }
        }
        text.push_str(&format!(
            "\n## Ends\n\nEach writes `{}` in the run's folder.\n\n",
            campaign.closing
        ));
        for (end, means) in self.ends() {
            text.push_str(&format!("- **{end}**: {}\n", cell(&means)));
        }
        text
    }
}

/// Where the estimates of a plan are from.
fn sources(plan: &[Planned]) -> String {
    let learned = plan
        .iter()
        .filter(|row| row.estimated_from != Source::Plan)
        .count();
    match learned {
        0 => "from the plan".into(),
        learned if learned == plan.len() => "learned from earlier runs".into(),
        learned => format!(
            "{learned} of {} rows learned from earlier runs, the rest from the plan",
            plan.len()
        ),
    }
}

fn asked_line(asked: &Asked) -> String {
    let when = match asked.steps.as_slice() {
        [] => String::new(),
        steps => format!("before {}: ", steps.join(", ")),
    };
    let yes = match asked.opened_by {
        OpenedBy::Person => " (`--yes` does not answer this)",
        OpenedBy::Answer | OpenedBy::Looking => "",
    };
    format!("{when}{}: {}{yes}", asked.what, asked.how)
}

/// Text for a cell of a Markdown table: data, never markup of its own.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}
