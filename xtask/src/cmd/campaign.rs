//! `cargo xtask campaign`: a new campaign file, what is wrong with one, and what its defaults come to.

use super::Context;
use super::open_tree::Where;
use crate::campaign::build;
use crate::campaign::file::problem::{self, Found, Problem};
use crate::campaign::file::{Campaign, Kernel, present, read, schema};
use crate::campaign::foresight::ahead::{Ahead, Below};
use crate::campaign::foresight::mistakes;
use crate::campaign::foresight::proposal::{self, Proposal};
use crate::campaign::foresight::skeleton;
use crate::exit::Outcome;
use crate::host::files;
use crate::host::json::json;
use crate::kernel::build::{Base, Profile};
use crate::kernel::patch::Patch;
use crate::kernel::place::Place;
use crate::kernel::series::Series;
use crate::kernel::stage;
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
        after_help = "The tree is looked at as it is after each patch: modules are loaded from the step on that has them, functions that a \
                      tracer can find are put in, and what builds the code of the patches (new Kconfig symbols and what they depend on) goes into \
                      fragments, kconfig-fragments/NAME-PATCH.config. Nothing is written over.\n\nExample:\n  cargo xtask campaign new mine --series patches/release-fences --board virtual"
    )]
    New(New),
    /// Look for mistakes: all of them, each with file, line and column; change nothing
    #[command(
        after_help = "Beside the file itself: what it names, and what the kernel tree shows after each patch (modules and Kconfig symbols that \
                      are not there yet, code that the configuration leaves out, patches that do not apply or lack a file). Without a file all of `campaigns/` are checked.\n\nExample:\n  cargo xtask campaign check campaigns/iter6.toml"
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
        let kernel = Kernel::default();
        let mut fragments = kernel.fragments_of_profile(&self.board);
        let proposal = self.proposal(context, &series, &kernel, &fragments)?;
        fragments.extend(proposal.kernel.iter().map(|wanted| wanted.path.clone()));
        let shown: Vec<String> = fragments.iter().map(|path| path.display().to_string()).collect();
        let text = skeleton::text(&skeleton::New {
            name: &self.name,
            board: &self.board,
            series: &self.series.display().to_string(),
            patches: &series.patches,
            proposal: &proposal,
            fragments: if proposal.kernel.is_some() { &shown } else { &[] },
        });
        let campaign =
            problem::parse(&text).map_err(|problems| problem::error("the new campaign", &problems))?;
        let written = proposal.to_write();
        let missing = problem::placed(&text, present::missing(&without(&campaign, &written), project));
        if !missing.is_empty() {
            return Err(problem::error("the new campaign", &missing));
        }
        let file = Path::new("campaigns").join(format!("{}.toml", self.name));
        for path in written.iter().map(|(path, _)| *path).chain([file.as_path()]) {
            if files::is_there(&project.join(path))? {
                bail!(
                    "writing a new campaign: {} is there already; choose another name, or edit it",
                    path.display()
                );
            }
        }
        if context.global.dry_run {
            for (path, text) in &written {
                context
                    .ui
                    .text(&format!("# {}:\n{}", path.display(), text.trim_end()));
            }
            context.ui.text(text.trim_end());
        } else {
            for (path, text) in &written {
                files::write_atomic(&project.join(path), text.as_bytes())?;
                context.ui.line(&format!(
                    "{} is written: what builds code of the patches",
                    path.display()
                ));
            }
            files::write_atomic(&project.join(&file), text.as_bytes())?;
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
        let fragments: Vec<_> = written
            .iter()
            .map(|(path, text)| json!({ "file": path, "text": text }))
            .collect();
        context.ui.json(
            &json!({ "dry_run": context.global.dry_run, "file": file, "text": text, "fragments": fragments }),
        )?;
        Ok(Outcome::Success)
    }

    /// What the imported tree shows of the patches; without one, what they show themselves.
    fn proposal(
        &self,
        context: &Context,
        series: &Series,
        kernel: &Kernel,
        fragments: &[PathBuf],
    ) -> Result<Proposal> {
        let project = &context.folders.project;
        let Ok(place) = Place::of(&context.folders.cache, None) else {
            context.ui.warn(
                "there is no kernel tree yet, so that modules and configuration of the patches are not filled in: `cargo xtask setup`, and \
                 then this again",
            );
            return Ok(proposal::without_a_tree(series));
        };
        let profile = Profile {
            name: kernel.profile.clone(),
            fragments: fragments.iter().map(|path| project.join(path)).collect(),
        };
        let patches: Vec<&Patch> = series.patches.iter().collect();
        let ahead = Ahead::of(&place, &kernel.profile, &vanilla_config(context), patches)?;
        if let Some((refused, why)) = ahead.refused() {
            let patch = series.patches.get(refused).map(Patch::short_name);
            context
                .ui
                .warn(&format!("{} does not apply: {why}", patch.unwrap_or_default()));
        }
        let new = proposal::New {
            name: &self.name,
            series,
            project,
            requests: profile.merged()?.requests,
            below: match kernel.begins_from_nothing(&self.board) {
                true => Below::Nothing,
                false => Below::Unknown,
            },
        };
        Ok(proposal::of(new, &ahead))
    }
}

/// The configuration of the vanilla kernel that set-up built.
fn vanilla_config(context: &Context) -> PathBuf {
    context.folders.cache.join("vanilla").join(stage::CONFIG)
}

/// A campaign without fragments that are still to be written.
fn without(campaign: &Campaign, written: &[(&Path, &str)]) -> Campaign {
    let mut campaign = campaign.clone();
    let is_there = |path: &PathBuf| !written.iter().any(|(written, _)| path == written);
    let lists = campaign.steps.iter_mut().map(|step| &mut step.fragments);
    for list in lists.chain([&mut campaign.kernel.fragments]) {
        list.retain(is_there);
    }
    campaign
}

/// A campaign file that was looked at.
struct Looked {
    /// As far as it could be read.
    campaign: Option<Campaign>,
    /// Everything that is wrong with it, with what it names, and with what it asks of the tree.
    problems: Vec<Problem>,
    /// See [`OnTheTree`].
    not_looked_at: Vec<String>,
}

fn look_at(context: &Context, file: &Path) -> Result<Looked> {
    let project = &context.folders.project;
    let text = read(&project.join(file))?;
    let (campaign, mut problems) = problem::look(&text);
    let mut not_looked_at = Vec::new();
    if let Some(campaign) = &campaign {
        problem::add(
            &mut problems,
            problem::placed(&text, present::missing(campaign, project)),
        );
        let found = on_the_tree(context, campaign, campaign.tree.as_deref())?;
        problem::add(&mut problems, problem::placed(&text, found.of_patches));
        problem::add(&mut problems, problem::placed(&text, found.of_file));
        not_looked_at = found.not_looked_at;
    }
    Ok(Looked {
        campaign,
        problems,
        not_looked_at,
    })
}

/// What a tree shows to be wrong with a campaign.
#[derive(Default)]
pub(super) struct OnTheTree {
    /// With the patches themselves.
    of_patches: Vec<Found>,
    /// With what the file says.
    of_file: Vec<Found>,
    /// What could not be looked at, and why: sentences for a person.
    not_looked_at: Vec<String>,
}

/// What the tree (Debian's newest without one) shows to be wrong, and what it could not be asked.
fn on_the_tree(context: &Context, campaign: &Campaign, tree: Option<&Path>) -> Result<OnTheTree> {
    let project = &context.folders.project;
    let without = |why: String| OnTheTree {
        not_looked_at: vec![format!(
            "the patches, and which modules, symbols and functions there are at each step: {why}"
        )],
        ..OnTheTree::default()
    };
    let place = match Place::of(&context.folders.cache, tree) {
        Ok(place) => place,
        Err(error) => return Ok(without(format!("{error:#}"))),
    };
    let patches = match build::patches(project, campaign) {
        Ok(patches) => patches,
        Err(error) => return Ok(without(format!("{error:#}"))),
    };
    let mut not_looked_at = Vec::new();
    let mut unknown = |why: &str| {
        not_looked_at.push(format!("which code of the patches is built: {why}"));
        Below::Unknown
    };
    let below = match &campaign.kernel.base {
        _ if campaign.kernel.begins_from_nothing(&campaign.board) => Below::Nothing,
        Some(path) => {
            Below::of(&Base::File(project.join(path))).unwrap_or_else(|error| unknown(&format!("{error:#}")))
        }
        None => unknown("the configuration is the board's own, which is read when the campaign is run"),
    };
    let patches: Vec<&Patch> = patches.iter().map(|(_, patch)| patch).collect();
    let ahead = Ahead::of(
        &place,
        &campaign.kernel.profile,
        &vanilla_config(context),
        patches,
    )?;
    Ok(OnTheTree {
        of_patches: mistakes::of_patches(campaign, &ahead),
        of_file: mistakes::of_file(campaign, &ahead, &below, project),
        not_looked_at,
    })
}

/// Errors where the tree shows a mistake in the file of a campaign that is to be run, so that no
/// board is touched for it. A patch that does not apply is judged in its turn.
pub(super) fn refuse_mistakes(
    context: &Context,
    file: &Path,
    campaign: &Campaign,
    tree: Option<&Path>,
) -> Result<()> {
    let found = on_the_tree(context, campaign, tree)?.of_file;
    if found.is_empty() {
        return Ok(());
    }
    let text = read(&context.folders.project.join(file))?;
    let problems = problem::placed(&text, found);
    Err(problem::error(&file.display().to_string(), &problems))
        .context("the campaign would go wrong; nothing was touched")
}

fn check(context: &Context, named: &[PathBuf]) -> Result<Outcome> {
    let files = match named {
        [] => all(context)?,
        files => files.to_vec(),
    };
    let mut answers = Vec::new();
    let mut wrong = 0;
    for file in &files {
        let Looked {
            campaign,
            problems,
            not_looked_at,
        } = look_at(context, file)?;
        wrong = usize::saturating_add(wrong, problems.len());
        for problem in &problems {
            context.ui.line(&format!("{}:{problem}", file.display()));
        }
        if let Some(campaign) = &campaign {
            if problems.is_empty() {
                let steps = count(campaign.steps.len(), "step");
                let tests = count(campaign.smoke_tests.len(), "smoke test");
                let of_what = match not_looked_at.is_empty() {
                    true => "",
                    false => " in what was looked at",
                };
                context.ui.line(&format!(
                    "{}: {steps}, {tests}, nothing wrong{of_what}",
                    file.display()
                ));
            }
            for what in &not_looked_at {
                context
                    .ui
                    .warn(&format!("{}: not looked at: {what}", file.display()));
            }
            let told = tell_made_on(context, campaign);
            // A series or a tree that cannot be looked at is among the problems.
            if problems.is_empty() {
                told?;
            }
        }
        answers.push(json!({ "file": file, "problems": problems, "not_looked_at": not_looked_at }));
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
