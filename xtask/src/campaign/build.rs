//! The workshop: series, tree and compiler of a campaign, and what one build of it gives.

use super::ahead::{Ahead, Finished};
use super::decode::{self, Traced};
use super::file::{Campaign, Kernel, Step};
use super::foresight::after_build::{self, Faults};
use super::hints;
use super::job::{Built, Job};
use super::ours;
use super::record::PatchRecord;
use super::screen::Screen;
use super::stopwatch::Stopwatch;
use crate::kernel::build::{Base, Builder, Profile, alone_in};
use crate::kernel::built::BuiltIn;
use crate::kernel::changes;
use crate::kernel::debug_files::DebugFiles;
use crate::kernel::patch::Patch;
use crate::kernel::place::Place;
use crate::kernel::review;
use crate::kernel::series::Series;
use crate::kernel::stage;
use crate::kernel::symbolise::touched::Touched;
use crate::kernel::symbolise::{BuildFolder, Expected, Symboliser};
use crate::kernel::toolchain::Toolchain;
use crate::kernel::tree::{Compared, Tree};
use crate::manifest::Manifest;
use anyhow::{Context, Result, bail};
use kernel_log::finding::Finding;
use std::path::{Path, PathBuf};

/// Everything that makes kernels of a campaign.
pub struct Workshop {
    project: PathBuf,
    cache: PathBuf,
    place: Place,
    tree: Tree,
    /// Patches in the order of the campaign's steps.
    patches: Vec<(String, Patch)>,
    /// Their files, under the same names.
    paths: Vec<(String, PathBuf)>,
    profile: Profile,
    base: Base,
    campaign: String,
    toolchain: Toolchain,
    vanilla: Vec<String>,
    /// What is built beside something else, and with what.
    ahead: Option<(Builder, Ahead)>,
}

impl Workshop {
    /// Opens the tree, and leaves it as it is. Errors: no tree, somebody builds in the build folder, no compiler, a patch that is not there.
    pub fn open(project: &Path, cache: &Path, kernel: Option<&Path>, campaign: &Campaign) -> Result<Self> {
        let place = Place::of(cache, kernel)?;
        let tree = place.open()?;
        // What a process that was killed had begun to build; the tree must not change under it.
        drop(alone_in(&place.builds.join(&campaign.kernel.profile))?);
        let patches = patches(project, campaign)?;
        Ok(Workshop {
            project: project.to_path_buf(),
            cache: cache.to_path_buf(),
            tree,
            place,
            patches,
            paths: paths(project, campaign)?,
            profile: profile_of(project, &campaign.kernel),
            base: campaign
                .kernel
                .base
                .as_ref()
                .map_or(Base::AllNo, |path| Base::File(project.join(path))),
            campaign: campaign.name.clone(),
            toolchain: Toolchain::find()?,
            vanilla: Vec::new(),
            ahead: None,
        })
    }

    /// The tree, for print: its name and the commit that the series stands on.
    pub fn tree_name(&self) -> Result<String> {
        let base = self.tree.base()?;
        Ok(format!(
            "{} at {}",
            self.place.key,
            base.get(..12).unwrap_or(&base)
        ))
    }

    /// Where the base and the prerequisites that the series names are in the tree; nothing where it
    /// names none.
    pub fn made_on(&self) -> Result<Vec<String>> {
        let Some((_, patch)) = self.patches.first() else {
            return Ok(Vec::new());
        };
        let compared = self.tree.compare_base(&patch.made_on)?;
        let remarks = compared.iter().flat_map(Compared::remarks);
        Ok(remarks.map(|remark| remark.to_string()).collect())
    }

    /// Where the work tree is.
    pub fn tree_path(&self) -> &Path {
        self.tree.path()
    }

    /// HEAD of the work tree, full hex.
    pub fn head(&self) -> Result<String> {
        self.tree.head()
    }

    /// A release that no build may have (invariant 10).
    pub fn protect_release(&mut self, release: &str) {
        self.vanilla = vec![release.to_string()];
    }

    /// Builds this kernel from now on, in its own folder.
    pub fn use_kernel(&mut self, kernel: &Kernel) {
        self.profile = profile_of(&self.project, kernel);
    }

    /// Takes back every patch that an earlier run left; gives how many commits went.
    pub fn start_over(&mut self) -> Result<usize> {
        let base = self.tree.base()?;
        self.go_back_to(&base)
    }

    /// Takes back every patch that was applied on top of a commit; gives how many commits went.
    pub fn go_back_to(&mut self, commit: &str) -> Result<usize> {
        if self.ahead.is_none() {
            // What a process left that was killed.
            stage::discard(&self.staging_ahead())?;
        }
        let stack = self.stack()?;
        let at = stack.iter().position(|known| known == commit);
        let at = at.with_context(|| format!("the commit {commit} is not in the tree's branch"))?;
        self.tree.move_to(commit)?;
        Ok(stack.len().saturating_sub(1).saturating_sub(at))
    }

    /// The commits of the tree: its base, then what was applied on it, HEAD last. Full hex.
    pub fn stack(&self) -> Result<Vec<String>> {
        let mut stack = vec![self.tree.base()?];
        stack.extend(self.tree.commits()?.into_iter().map(|(id, _)| id));
        Ok(stack)
    }

    /// Checks, in memory, that these patches apply on HEAD, one on the other. Errors name the first that does not.
    pub fn check(&self, names: &[&str]) -> Result<()> {
        let patches: Result<Vec<&Patch>> = names.iter().map(|name| find(&self.patches, name)).collect();
        self.tree
            .check_all(&patches?)
            .context("trying the series in memory")
    }

    /// What was staged last.
    pub fn staged(&self) -> Result<Manifest> {
        stage::read_manifest(&self.staging())
    }

    /// The commit that the series stands on, full hex.
    pub fn base(&self) -> Result<String> {
        self.tree.base()
    }

    /// The compiler, as it names itself.
    pub fn compiler(&self) -> &str {
        &self.toolchain.version
    }

    /// Who approved or rejected the very content of a patch of the campaign.
    pub fn review(&self, name: &str) -> Result<review::State> {
        let patch = find(&self.patches, name)?;
        let path = find_path(&self.paths, name)?;
        Ok(review::state(patch, &review::read(path)?))
    }

    /// Applies a patch of the campaign; gives the commit.
    pub fn apply(&mut self, patch: &str) -> Result<String> {
        let patch = find(&self.patches, patch)?;
        Ok(self.tree.apply(patch)?.commit)
    }

    /// Takes exactly this patch back; gives HEAD.
    pub fn revert(&mut self, patch: &str) -> Result<String> {
        let patch = find(&self.patches, patch)?;
        Ok(self.tree.revert(patch)?.head)
    }

    /// SHA-256 of a patch file.
    pub fn patch_hash(&self, patch: &str) -> Result<String> {
        Ok(find(&self.patches, patch)?.sha256.clone())
    }

    /// What the record keeps of a patch that became `commit`.
    pub fn patch_record(&self, patch: &str, commit: &str) -> Result<PatchRecord> {
        let found = find(&self.patches, patch)?;
        let files = found.touched_files();
        Ok(PatchRecord {
            name: patch.to_string(),
            subject: found.subject.clone(),
            commit: commit.to_string(),
            sha256: found.sha256.clone(),
            author: format!("{} <{}>", found.author, found.email),
            files: files.iter().map(|path| path.display().to_string()).collect(),
            functions: ours::functions(&found.diff),
            modules: Vec::new(),
        })
    }

    /// Where the frames of an excerpt are in the source of the build that `manifest` describes, and which are of `commit`, the patch under
    /// test. The build folder and the tree may hold the next step already: files are found by their build ids, lines in the commit that
    /// was built. What is not found gives the reason in the place of places. Besides, the function to look at first. Errors: the tree has no
    /// such commit.
    pub fn decode(&self, manifest: &Manifest, commit: &str, finding: &Finding) -> Result<Traced> {
        let out = self.place.builds.join(&self.profile.name);
        let build = BuildFolder::of(&out, self.tree.path(), manifest);
        let touched = Touched::of(&self.tree.changes_of(commit)?);
        let mut hints = hints::of_patches(&touched);
        // The next step may be at its build there: what cannot be read, or is of that one, costs a hint and no trace.
        hints::add_symbols(&mut hints, &out.join("Module.symvers")).ok();
        let lines = Symboliser::new(build, Expected::of(manifest), touched)
            .with_kept(DebugFiles::of(&self.cache))
            .decode(&finding.excerpt);
        let source = |file: &Path| self.tree.file_at(&manifest.commit, file).ok().flatten();
        let decoded = decode::frames(&lines, &source);
        Ok(Traced {
            suspect: hints::suspect_of(&hints, finding, &decoded),
            decoded,
        })
    }

    /// Subject of a patch.
    pub fn subject(&self, patch: &str) -> String {
        find(&self.patches, patch)
            .map(|patch| patch.subject.clone())
            .unwrap_or_default()
    }

    /// Configures (with the fragments that came with patches), builds and stages what the tree holds now.
    pub fn build(&self, fragments: &[PathBuf], watch: &mut Stopwatch, mut screen: Screen) -> Result<Built> {
        let built = self
            .job(fragments, self.staging())?
            .run(watch, &mut |event| screen.show(event))?;
        screen.end();
        Ok(built)
    }

    /// Begins to do the same beside whatever else is done, into a staging folder of its own. `over` is called at its end. What the tree holds
    /// must not change before [`Workshop::end_ahead`] or [`Workshop::drop_ahead`].
    pub fn begin_ahead(&mut self, fragments: &[PathBuf], over: impl FnOnce() + Send + 'static) -> Result<()> {
        let job = self.job(fragments, self.staging_ahead())?;
        self.ahead = Some((job.builder.clone(), Ahead::begin(job, over)));
        Ok(())
    }

    /// Waits for it; what it staged is what is staged from now on. Errors: nothing was begun; what it staged cannot be put in place. Dies
    /// half-way: what is staged is old or new.
    pub fn end_ahead(&mut self) -> Result<Finished> {
        let (builder, ahead) = self.ahead.take().context("nothing is built ahead")?;
        let mut finished = ahead.finish();
        if let Ok(built) = &mut finished.built {
            built.manifest = builder.stage_moves(&self.staging_ahead(), &self.staging())?;
        }
        Ok(finished)
    }

    /// Breaks it off, and removes what it staged.
    pub fn drop_ahead(&mut self) -> Result<()> {
        self.ahead = None;
        stage::discard(&self.staging_ahead())
    }

    /// What a step asks of what was built last and does not get. Errors: the build folder has no
    /// kernel in it.
    pub fn faults(&self, step: &Step) -> Result<Faults> {
        let files = find(&self.patches, &step.patch)?.touched_files();
        let files: Vec<PathBuf> = files.into_iter().map(Path::to_path_buf).collect();
        let build = BuiltIn {
            tree: self.tree.path(),
            out: &self.place.builds.join(&self.profile.name),
            arch: self.toolchain.arch.folder,
        };
        after_build::of_step(step, &files, &build)
            .with_context(|| format!("looking at what step {} asks of its build", step.id))
    }

    fn staging(&self) -> PathBuf {
        self.place.staging.join(&self.profile.name)
    }

    fn staging_ahead(&self) -> PathBuf {
        self.place.staging.join(format!("{}.ahead", self.profile.name))
    }

    /// All that a build of what the tree holds now needs.
    fn job(&self, fragments: &[PathBuf], staging: PathBuf) -> Result<Job> {
        let mut profile = self.profile.clone();
        for fragment in fragments {
            profile = profile.with(self.project.join(fragment));
        }
        let commit = self.tree.head()?;
        let before = stage::read_manifest(&self.staging()).ok();
        let config = std::fs::read_to_string(self.staging().join(stage::CONFIG)).ok();
        let files = before.as_ref().map_or_else(Vec::new, |before| {
            self.tree
                .changed_between(&before.commit, &commit)
                .unwrap_or_default()
        });
        Ok(Job {
            builder: Builder {
                source: self.tree.path().to_path_buf(),
                out: self.place.builds.join(&profile.name),
                cache: self.cache.clone(),
                profile,
                toolchain: self.toolchain.clone(),
                jobs: Builder::default_jobs(),
                timestamp: self.tree.base_time()?,
                patched: self.tree.changed_between(&self.tree.base()?, &commit)?,
            },
            base: self.base.clone(),
            campaign: self.campaign.clone(),
            vanilla: self.vanilla.clone(),
            staging,
            commit,
            before,
            config,
            files,
        })
    }
}

fn profile_of(project: &Path, kernel: &Kernel) -> Profile {
    Profile {
        name: kernel.profile.clone(),
        fragments: kernel.fragments.iter().map(|path| project.join(path)).collect(),
    }
}

/// Modules whose content differs between two builds.
pub fn changed_modules(before: Option<&Manifest>, now: Option<&Manifest>) -> Vec<String> {
    match (before, now) {
        (Some(before), Some(now)) => changes::changed(before, now).modules,
        _ => Vec::new(),
    }
}

/// What the plan says is rebuilt, beside what really changed (invariant 12): the difference is told.
pub fn told_and_real(planned: &[String], before: Option<&Manifest>, now: Option<&Manifest>) -> Vec<String> {
    let (Some(before), Some(now)) = (before, now) else {
        return Vec::new();
    };
    let changes = changes::changed(before, now);
    let image = if changes.image { "Image, " } else { "" };
    let mut facts = vec![format!(
        "changed by content: {image}modules {}",
        list(&changes.modules)
    )];
    if !changes.relinked.is_empty() {
        facts.push(format!(
            "the same by content, with other build ids (lines of a header have moved): modules {}; they are sent as well",
            list(&changes.relinked)
        ));
    }
    if !planned.iter().any(|module| module == "*") {
        let difference = changes::compare_with_plan(planned, &changes);
        if !difference.unexpected.is_empty() {
            facts.push(format!(
                "changed, though the plan does not name them: {}",
                list(&difference.unexpected)
            ));
        }
        if !difference.unchanged.is_empty() {
            facts.push(format!(
                "named by the plan, but unchanged: {}",
                list(&difference.unchanged)
            ));
        }
    }
    facts
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".into()
    } else {
        names.join(", ")
    }
}

fn find<'a>(patches: &'a [(String, Patch)], name: &str) -> Result<&'a Patch> {
    let found = patches.iter().find(|(known, _)| known == name);
    found
        .map(|(_, patch)| patch)
        .with_context(|| format!("the campaign has no patch {name}"))
}

/// The patches of the steps, under the names that the steps use.
pub fn patches(project: &Path, campaign: &Campaign) -> Result<Vec<(String, Patch)>> {
    let series = Series::open(&project.join(&campaign.series))?;
    let mut patches = Vec::new();
    for step in &campaign.steps {
        let patch = match campaign.replacements.iter().find(|(name, _)| *name == step.patch) {
            Some((_, file)) => Patch::read(&project.join(file))?,
            None => {
                let index = series
                    .find(&step.patch)
                    .with_context(|| format!("in step {}", step.id))?;
                series.patches.get(index).context("the series has it")?.clone()
            }
        };
        patches.push((step.patch.clone(), patch));
    }
    if patches.is_empty() {
        bail!("campaign {} has no step", campaign.name);
    }
    Ok(patches)
}

/// The files of the patches of the steps, under the names that the steps use.
fn paths(project: &Path, campaign: &Campaign) -> Result<Vec<(String, PathBuf)>> {
    let series = Series::open(&project.join(&campaign.series))?;
    let mut paths = Vec::new();
    for step in &campaign.steps {
        let path = match campaign.replacements.iter().find(|(name, _)| *name == step.patch) {
            Some((_, file)) => project.join(file),
            None => {
                let path = series.paths.get(series.find(&step.patch)?);
                path.context("the series has it")?.clone()
            }
        };
        paths.push((step.patch.clone(), path));
    }
    Ok(paths)
}

fn find_path<'a>(paths: &'a [(String, PathBuf)], name: &str) -> Result<&'a Path> {
    let found = paths.iter().find(|(known, _)| known == name);
    found
        .map(|(_, path)| path.as_path())
        .with_context(|| format!("the campaign has no patch {name}"))
}
