//! `cargo xtask build-debug-kernel`.

use super::Context;
use super::apply::open;
use super::config::{notes, overridden, verdicts};
use crate::campaign::screen::Screen;
use crate::exit::Outcome;
use crate::host::requirements::{self, Purpose};

use crate::kernel::build::{Base, Builder, Configured, NotTaken};
use crate::kernel::kconfig::{self, Rows};
use crate::kernel::place::Place;
use crate::kernel::profile::{Below, Profile};
use crate::kernel::stage;
use crate::kernel::toolchain::Toolchain;
use crate::manifest::{Kind, Manifest};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `cargo xtask build-debug-kernel`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The configuration is made beside .config, every requested symbol is compared with what came out, and only then it is \
put in force. The tree itself gets no file: everything is built in the cache folder.

Examples:
  cargo xtask build-debug-kernel
  cargo xtask build-debug-kernel --profile kasan --fragment kconfig-fragments/ramoops.config
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
    /// The kind of kernel: vanilla, lockdep, kasan or kcsan, each with its own release, build folder and label
    #[arg(long, value_name = "NAME", default_value = "lockdep")]
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
    /// Print the verdict on every requested symbol, not only on those that a person should look at
    #[arg(long, short)]
    verbose: bool,
}

impl BuildDebugKernel {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        let profile = self.profile(&context.folders.project)?;
        // A mistake in a fragment is told before a work tree is made.
        overridden(context.ui, &profile.merged()?.overrides);
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
                // Those that are not as asked are in the error itself.
                if let Some(failed) = error.downcast_ref::<NotTaken>().filter(|_| self.verbose) {
                    verdicts(context.ui, &failed.verdicts, Rows::All);
                }
            })?;
        self.tell(context, &configured);
        builder.make(&["Image", "modules", "dtbs"], &mut |event| screen.show(event))?;
        let built = started.elapsed();
        let manifest = builder.stage(&dest, &tree.head()?, &mut |event| screen.show(event))?;
        screen.end();
        let label = builder.profile.label("arch_devices");
        self.tell_result(context, &manifest, &configured, &builder.log(), built, &label)
    }

    /// The next sensible command: each kind of debug kernel goes under its own label.
    fn next(&self, manifest: &Manifest, label: &str) -> String {
        match self.profile.as_str() {
            "vanilla" => "next: cargo xtask build-debug-kernel".into(),
            "lockdep" => "next: cargo xtask deploy".into(),
            _ => format!(
                "next: cargo xtask deploy --manifest {} --label {label}",
                manifest.root.display()
            ),
        }
    }

    fn profile(&self, project: &Path) -> Result<Profile> {
        let below = if self.config.is_some() {
            Below::Config
        } else {
            Below::Nothing
        };
        let profile = Profile::named(project, &self.profile, below)?;
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
        notes(context.ui, &configured.config, &configured.release);
        verdicts(context.ui, &configured.verdicts, self.rows());
        context.ui.say(&format!(
            "release {}: {} requested symbols are as asked: {}",
            configured.release,
            configured.verdicts.len(),
            kconfig::counts(&configured.verdicts)
        ));
    }

    fn rows(&self) -> Rows {
        if self.verbose { Rows::All } else { Rows::NotPlain }
    }

    fn tell_result(
        &self,
        context: &Context,
        manifest: &Manifest,
        configured: &Configured,
        log: &Path,
        built: Duration,
        label: &str,
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
        context.ui.say(&self.next(manifest, label));
        Ok(Outcome::Success)
    }
}
