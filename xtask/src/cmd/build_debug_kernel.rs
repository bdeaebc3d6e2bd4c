//! `cargo xtask build-debug-kernel`.

use super::Context;
use super::apply::open;
use crate::campaign::screen::Screen;
use crate::exit::Outcome;
use crate::host::requirements::{self, Purpose};
use crate::kernel::build::{Base, Builder, Configured, NotTaken, Profile};
use crate::kernel::kconfig::SymbolVerdict;
use crate::kernel::place::Place;
use crate::kernel::stage;
use crate::kernel::toolchain::Toolchain;
use crate::manifest::{Kind, Manifest};
use crate::ui::Ui;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask build-debug-kernel`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The configuration is made beside .config, every requested symbol is compared with what came out, and only then it is \
put in force. The tree itself gets no file: everything is built in the cache folder.

Examples:
  cargo xtask build-debug-kernel
  cargo xtask build-debug-kernel --fragment kconfig-fragments/release-fences.config
  cargo xtask build-debug-kernel --kernel ~/src/linux-rockchip --config ~/src/linux-rockchip/.config"
)]
pub struct BuildDebugKernel {
    /// A kernel git tree of yours; it gets a work tree of our own [default: Debian's newest, as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
    /// A .config to start from; it is kept as .config.pre-CAMPAIGN [default: what the virtual board needs, and nothing else]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One more fragment on top, may be repeated; a later one wins
    #[arg(long, value_name = "FILE")]
    fragment: Vec<PathBuf>,
    /// The profile: a fragment of kconfig-fragments/ with its own release
    #[arg(long, default_value = "lockdep")]
    profile: String,
    /// Name for the copy of the .config that was there
    #[arg(long, value_name = "NAME", default_value = "lockstep")]
    campaign: String,
    /// A release that the board's vanilla kernel needs and that this build must not have; may be repeated
    #[arg(long, value_name = "RELEASE")]
    vanilla_release: Vec<String>,
    /// Jobs of make [default: the number of cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Print the verdict on every requested symbol
    #[arg(long, short)]
    verbose: bool,
}

impl BuildDebugKernel {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        let profile = self.profile(&context.folders.project)?;
        // A mistake in a fragment is told before a work tree is made.
        profile.merged()?;
        let dest = place.staging.join(&self.profile);
        if context.global.dry_run {
            return self.show_plan(context, &place, &profile, &dest);
        }
        requirements::require(&[Purpose::Kernel])?;
        let toolchain = Toolchain::find()?;
        let tree = open(context, &place)?;
        let builder = Builder {
            source: place.worktree.clone(),
            out: place.builds.join(&self.profile),
            cache: context.folders.cache.clone(),
            profile,
            toolchain,
            jobs: self.jobs.unwrap_or_else(Builder::default_jobs),
            timestamp: tree.base_time()?,
            patched: Vec::new(),
        };
        let base = self.config.clone().map_or(Base::AllNo, Base::File);
        let mut screen = Screen::new(context.ui);
        let started = Instant::now();
        let configured = builder
            .configure(
                &base,
                &self.campaign,
                &self.vanilla(&context.folders.cache),
                &mut |event| screen.show(event),
            )
            .inspect_err(|error| {
                if let Some(failed) = error.downcast_ref::<NotTaken>() {
                    table(context.ui, &failed.verdicts);
                }
            })?;
        self.tell(context, &configured);
        builder.make(&["Image", "modules", "dtbs"], &mut |event| screen.show(event))?;
        let built = started.elapsed();
        let manifest = builder.stage(&dest, &tree.head()?, &mut |event| screen.show(event))?;
        screen.end();
        self.tell_result(context, &manifest, &configured, &builder.log(), built)
    }

    fn profile(&self, project: &Path) -> Result<Profile> {
        let own = project
            .join("kconfig-fragments")
            .join(format!("{}.config", self.profile));
        if !own.is_file() {
            bail!(
                "there is no profile `{}`: {} is not there; `lockdep` and `vanilla` are",
                self.profile,
                own.display()
            );
        }
        let mut names = Vec::new();
        if self.config.is_none() {
            names.push("virtual-board");
        }
        names.push(&self.profile);
        if self.profile != "vanilla" {
            names.push("function-trace");
        }
        let profile = Profile::of(project, &self.profile, &names);
        Ok(self.fragment.iter().cloned().fold(profile, Profile::with))
    }

    /// Releases that are taken: those named, and that of the vanilla kernel built here.
    fn vanilla(&self, cache: &Path) -> Vec<String> {
        let mut releases = self.vanilla_release.clone();
        if self.profile != "vanilla" {
            releases.extend(
                stage::read_manifest(&cache.join("vanilla"))
                    .ok()
                    .map(|manifest| manifest.release),
            );
        }
        releases
    }

    fn show_plan(&self, context: &Context, place: &Place, profile: &Profile, dest: &Path) -> Result<Outcome> {
        let fragments: Vec<String> = profile
            .fragments
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let out = place.builds.join(&self.profile);
        for line in [
            format!("configure {} from {}", out.display(), fragments.join(", ")),
            "compare every requested symbol with the final .config".into(),
            format!("build Image modules dtbs of {}", place.worktree.display()),
            format!("stage them in {}", dest.display()),
        ] {
            context.ui.line(&line);
        }
        context.ui.json(&serde_json::json!({
            "dry_run": true, "tree": place.worktree, "out": out, "fragments": fragments, "staging": dest
        }))?;
        Ok(Outcome::Success)
    }

    fn tell(&self, context: &Context, configured: &Configured) {
        for lost in &configured.overrides {
            context.ui.say(&format!(
                "CONFIG_{}={} of {}:{} is overridden by {} of {}:{}",
                lost.earlier.symbol,
                lost.earlier.value,
                lost.earlier.fragment,
                lost.earlier.line,
                lost.later.value,
                lost.later.fragment,
                lost.later.line
            ));
        }
        if self.verbose {
            table(context.ui, &configured.verdicts);
        }
        context.ui.say(&format!(
            "release {}: all {} requested symbols are as asked",
            configured.release,
            configured.verdicts.len()
        ));
    }

    fn tell_result(
        &self,
        context: &Context,
        manifest: &Manifest,
        configured: &Configured,
        log: &Path,
        built: Duration,
    ) -> Result<Outcome> {
        let file = manifest.root.join(stage::MANIFEST);
        let count = |kind| manifest.of_kind(kind).count();
        context.ui.line(&format!("release   {}", manifest.release));
        context.ui.line(&format!("build id  {}", manifest.build_id));
        context.ui.line(&format!(
            "files     Image, {} modules, {} dtbs",
            count(Kind::Module),
            count(Kind::Dtb)
        ));
        if let Some(kept) = &configured.kept {
            context.ui.line(&format!("before    {}", kept.display()));
        }
        context.ui.line(&format!("log       {}", log.display()));
        context.ui.line(&format!("manifest  {}", file.display()));
        context.ui.json(&serde_json::json!({
            "release": manifest.release, "build_id": manifest.build_id, "manifest": file, "log": log,
            "config_before": configured.kept, "seconds": built.as_secs(), "verdicts": configured.verdicts,
            "overrides": configured.overrides,
        }))?;
        context.ui.say("next: cargo xtask deploy");
        Ok(Outcome::Success)
    }
}

/// What was asked for beside what came out, a line a symbol.
fn table(ui: &Ui, verdicts: &[SymbolVerdict]) {
    for verdict in verdicts {
        let request = &verdict.request;
        let outcome = format!("{:?}", verdict.outcome).to_lowercase();
        ui.line(&format!(
            "{:<28} asked {:<12} got {:<12} {outcome}",
            request.symbol,
            request.value.to_string(),
            verdict.got.to_string()
        ));
    }
}
