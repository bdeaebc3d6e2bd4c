//! `cargo xtask campaign`: a new campaign file, what is wrong with one, and what its defaults come to.

use super::Context;
use super::open_tree::Where;
use crate::campaign::file::problem::{self, Problem};
use crate::campaign::file::{Campaign, present, read, schema, skeleton};
use crate::exit::Outcome;
use crate::host::files;
use crate::host::json::json;
use crate::kernel::patch::Patch;
use crate::kernel::place::Place;
use crate::kernel::series::Series;
use crate::kernel::series::scope::{self, Scope};
use crate::ui::count;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask campaign`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 3: `check` found a mistake.\n\nExample:\n  cargo xtask campaign new mine --series patches/release-fences\n  \
                  cargo xtask campaign check campaigns/mine.toml\n  cargo xtask campaign show campaigns/mine.toml"
)]
pub struct CampaignCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write a campaign file for a series: short, valid, with what has to be decided said in it
    #[command(
        after_help = "Example:\n  cargo xtask campaign new mine --series patches/release-fences --board virtual"
    )]
    New(New),
    /// Look for mistakes: each with file, line and column; change nothing
    #[command(
        after_help = "Without a file all of `campaigns/` are checked.\n\nExample:\n  cargo xtask campaign check campaigns/iter6.toml"
    )]
    Check {
        /// Campaign files
        files: Vec<PathBuf>,
    },
    /// Print a campaign with everything that its file leaves out
    #[command(after_help = "Example:\n  cargo xtask campaign show campaigns/rehearsal.toml")]
    Show {
        /// Campaign file
        #[arg(default_value = "campaigns/rehearsal.toml")]
        file: PathBuf,
    },
    /// Print the JSON schema of campaign files, which editors read
    #[command(after_help = "Example:\n  cargo xtask campaign schema > campaigns/campaign.schema.json")]
    Schema,
}

#[derive(Debug, clap::Args)]
struct New {
    /// Its name: the file is campaigns/NAME.toml
    name: String,
    /// Folder of the series
    #[arg(long, value_name = "FOLDER", default_value = "patches/release-fences")]
    series: PathBuf,
    /// Board, as in boards/NAME.toml
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    board: String,
}

impl CampaignCommand {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.verb {
            Verb::New(new) => new.run(context),
            Verb::Check { files } => check(context, files),
            Verb::Show { file } => show(context, file),
            Verb::Schema => {
                let text = schema::text()?;
                context.ui.text(text.trim_end());
                context
                    .ui
                    .json(&serde_json::from_str::<serde_json::Value>(&text)?)?;
                Ok(Outcome::Success)
            }
        }
    }
}

impl New {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let project = &context.folders.project;
        let series = Series::open(&project.join(&self.series))?;
        let text = skeleton::text(&skeleton::New {
            name: &self.name,
            board: &self.board,
            series: &self.series.display().to_string(),
            patches: &series.patches,
            scopes: &scopes(context, &series.patches),
        });
        let campaign =
            problem::parse(&text).map_err(|problems| problem::error("the new campaign", &problems))?;
        let missing = problem::placed(&text, present::missing(&campaign, project));
        if !missing.is_empty() {
            return Err(problem::error("the new campaign", &missing));
        }
        let file = Path::new("campaigns").join(format!("{}.toml", self.name));
        let path = project.join(&file);
        if files::is_there(&path)? {
            bail!(
                "writing a new campaign: {} is there already; choose another name, or edit it",
                file.display()
            );
        }
        if context.global.dry_run {
            context.ui.text(text.trim_end());
        } else {
            files::write_atomic(&path, text.as_bytes())?;
            context.ui.line(&format!(
                "{} is written: {}. Put in smoke tests that run the patches' code.",
                file.display(),
                count(campaign.steps.len(), "step")
            ));
            context.ui.line(&format!(
                "next: edit it, then cargo xtask campaign check {}",
                file.display()
            ));
        }
        context
            .ui
            .json(&json!({ "dry_run": context.global.dry_run, "file": file, "text": text }))?;
        Ok(Outcome::Success)
    }
}

/// What each patch makes make build anew, as the Makefiles of the imported tree tell; nothing before there is one.
fn scopes(context: &Context, patches: &[Patch]) -> Vec<Scope> {
    let Ok(place) = Place::of(&context.folders.cache, None) else {
        return Vec::new();
    };
    let read = |path: &Path| std::fs::read_to_string(place.worktree.join(path)).ok();
    match place.worktree.is_dir() {
        true => patches.iter().map(|patch| scope::of(patch, read)).collect(),
        false => Vec::new(),
    }
}

/// Everything that is wrong with a file, and what it names that is not there.
fn problems_of(context: &Context, file: &Path) -> Result<(Option<Campaign>, Vec<Problem>)> {
    let project = &context.folders.project;
    let text = read(&project.join(file))?;
    Ok(match problem::parse(&text) {
        Err(problems) => (None, problems),
        Ok(campaign) => {
            let missing = problem::placed(&text, present::missing(&campaign, project));
            (Some(campaign), missing)
        }
    })
}

fn check(context: &Context, named: &[PathBuf]) -> Result<Outcome> {
    let files = match named {
        [] => all(context)?,
        files => files.to_vec(),
    };
    let mut answers = Vec::new();
    let mut wrong = 0;
    for file in &files {
        let (campaign, problems) = problems_of(context, file)?;
        wrong = usize::saturating_add(wrong, problems.len());
        for problem in &problems {
            context.ui.line(&format!("{}:{problem}", file.display()));
        }
        if let (Some(campaign), []) = (&campaign, problems.as_slice()) {
            let steps = count(campaign.steps.len(), "step");
            let tests = count(campaign.smoke_tests.len(), "smoke test");
            context
                .ui
                .line(&format!("{}: {steps}, {tests}, nothing wrong", file.display()));
            tell_made_on(context, campaign)?;
        }
        answers.push(json!({ "file": file, "problems": problems }));
    }
    context.ui.json(&json!({ "files": answers }))?;
    if wrong > 0 {
        context
            .ui
            .line(&format!("{}; nothing was changed", count(wrong, "mistake")));
        return Ok(Outcome::CheckFailed);
    }
    if let [file] = files.as_slice() {
        context
            .ui
            .line(&format!("next: cargo xtask plan {}", file.display()));
    }
    Ok(Outcome::Success)
}

/// Says where the series' base is in the campaign's tree. A campaign may be checked where neither
/// is there yet.
fn tell_made_on(context: &Context, campaign: &Campaign) -> Result<()> {
    let series = Series::open(&context.folders.project.join(&campaign.series))?;
    let tree = Where {
        series: None,
        kernel: campaign.tree.clone(),
        base: None,
    };
    if campaign.tree.is_none() || campaign.tree.as_ref().is_some_and(|tree| tree.exists()) {
        tree.base_of(context, &series.made_on)?;
    }
    Ok(())
}

/// All of `campaigns/`, by name.
fn all(context: &Context) -> Result<Vec<PathBuf>> {
    let folder = context.folders.project.join("campaigns");
    let doing = || format!("looking for campaigns in {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(doing)? {
        let path = entry.with_context(doing)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.extend(path.file_name().map(|name| Path::new("campaigns").join(name)));
        }
    }
    files.sort();
    Ok(files)
}

fn show(context: &Context, file: &Path) -> Result<Outcome> {
    let campaign = Campaign::load(&context.folders.project.join(file))?;
    context.ui.json(&campaign)?;
    let text = toml::to_string(&campaign).context("writing the campaign as TOML")?;
    context.ui.text(text.trim_end());
    Ok(Outcome::Success)
}
