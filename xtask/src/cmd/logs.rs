//! `cargo xtask logs`.

use super::Context;
use crate::evidence::score;
use crate::exit::Outcome;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask logs`.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Logs
    files: Vec<PathBuf>,
    /// Score against a folder of logs with expected answers
    #[arg(long, value_name = "FOLDER")]
    score: Option<PathBuf>,
}

impl Logs {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if let Some(folder) = &self.score {
            return run_score(context, folder);
        }
        bail!("not yet")
    }
}

fn run_score(context: &Context, folder: &Path) -> Result<Outcome> {
    let mut marks = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_file() && name.bytes().all(|b| b.is_ascii_digit()) {
            let bytes = std::fs::read(entry.path()).with_context(|| format!("reading {}", entry.path().display()))?;
            marks.extend(score::judge(&name, &bytes));
        }
    }
    for mark in &marks {
        let mut wrong = Vec::new();
        if !mark.found { wrong.push("found"); }
        if mark.kind == Some(false) { wrong.push("kind"); }
        if mark.function == Some(false) { wrong.push("function"); }
        if mark.damaged == Some(false) { wrong.push("damaged"); }
        if !wrong.is_empty() {
            context.ui.line(&format!("{}: {}: {}", mark.name, wrong.join(","), mark.shown));
        }
    }
    context.ui.line(&format!("{:?}", score::total(&marks)));
    Ok(Outcome::Success)
}
