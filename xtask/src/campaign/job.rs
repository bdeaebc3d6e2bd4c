//! One build as a piece of work that needs nothing of a git repository: it can be done on any thread.

use super::screen::Screen;
use super::stopwatch::Stopwatch;
use crate::campaign::phase;
use crate::kernel::Report;
use crate::kernel::build::{Base, Builder, Configured, Made};
use crate::kernel::pulled::Why;
use crate::kernel::ships::Ships;
use crate::manifest::Manifest;
use crate::ui::Ui;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// One build with all that it needs, the files of the tree apart.
pub struct Job {
    pub(super) builder: Builder,
    pub(super) base: Base,
    pub(super) campaign: String,
    pub(super) vanilla: Vec<String>,
    pub(super) staging: PathBuf,
    pub(super) commit: String,
    /// What was staged before.
    pub(super) before: Option<Manifest>,
    /// The configuration of that.
    pub(super) config: Option<String>,
    /// Files that differ between the commits of both.
    pub(super) files: Vec<PathBuf>,
}

impl Job {
    /// Configures, makes and stages; says what ships, and what pulled it in.
    pub fn run(self, watch: &mut Stopwatch, report: Report) -> Result<Built> {
        let mut built = make_and_stage(&self.builder, &self.order(), watch, report)?;
        if let Some(before) = &self.before {
            let files = self.files.iter().cloned().collect();
            let ships = Ships::between(
                &self.builder,
                before,
                &built.manifest,
                files,
                self.config.as_deref(),
            );
            let pulled = ships.why.iter().filter(|why| why.is_from_elsewhere());
            built.facts.extend(pulled.map(Why::line));
        }
        Ok(built)
    }

    pub(super) fn order(&self) -> Order<'_> {
        Order {
            base: &self.base,
            campaign: &self.campaign,
            vanilla: &self.vanilla,
            goals: &["Image", "modules", "dtbs"],
            staging: &self.staging,
            commit: &self.commit,
        }
    }
}

/// What is asked of one build.
pub struct Order<'a> {
    /// What the fragments are laid upon.
    pub base: &'a Base,
    /// Names the copy of a `.config` that was there before.
    pub campaign: &'a str,
    /// Releases that it must not have (invariant 10).
    pub vanilla: &'a [String],
    /// Goals of make.
    pub goals: &'a [&'a str],
    /// Staging folder.
    pub staging: &'a Path,
    /// What is built, full hex.
    pub commit: &'a str,
}

/// What a build gave.
pub struct Built {
    /// The staged files.
    pub manifest: Manifest,
    /// Facts for the report.
    pub facts: Vec<String>,
    /// Warnings about files of the patches that no build before gave.
    pub warnings: Vec<String>,
}

/// Configures, makes and stages one kernel; shows it on the screen.
pub fn build(builder: &Builder, order: &Order, watch: &mut Stopwatch, ui: &Ui) -> Result<Built> {
    let mut screen = Screen::new(ui);
    let built = make_and_stage(builder, order, watch, &mut |event| screen.show(event))?;
    screen.end();
    Ok(built)
}

/// Brings the build folder to what the source holds.
pub(super) fn make(
    builder: &Builder,
    order: &Order,
    watch: &mut Stopwatch,
    report: Report,
) -> Result<(Configured, Made)> {
    let configured = watch.time(phase::CONFIGURE, || {
        builder.configure(order.base, order.campaign, order.vanilla, report)
    })?;
    let made = watch.time(phase::BUILD, || builder.make(order.goals, report))?;
    Ok((configured, made))
}

fn make_and_stage(builder: &Builder, order: &Order, watch: &mut Stopwatch, report: Report) -> Result<Built> {
    let (configured, made) = make(builder, order, watch, report)?;
    let manifest = watch.time(phase::STAGE, || {
        builder.stage(order.staging, order.commit, report)
    })?;
    let mut facts = vec![format!(
        "{} built: {} of {} requested symbols are as asked, {} files staged",
        manifest.release,
        configured.verdicts.len(),
        configured.verdicts.len(),
        manifest.files.len()
    )];
    let to_read = made
        .warnings
        .list
        .iter()
        .filter(|warning| warning.new || warning.in_patch);
    facts.extend(to_read.map(|warning| format!("the compiler warns, {}", warning.line())));
    let of_patch = made.warnings.list.iter();
    let of_patch = of_patch.filter(|warning| warning.new && warning.in_patch);
    Ok(Built {
        manifest,
        facts,
        warnings: of_patch.map(|warning| warning.line()).collect(),
    })
}
