//! `cargo xtask build-debug-kernel`.

use super::Context;
use super::build::{self, Asked, CompilerFlags};
use super::config::{notes, verdicts};
use crate::board::name::Name;
use crate::exit::Outcome;
use crate::kernel::build::Configured;
use crate::kernel::kconfig::{self, Rows};
use crate::kernel::profile::{Below, Profile};
use crate::kernel::stage;
use crate::manifest::Manifest;
use anyhow::Result;
use std::path::{Path, PathBuf};

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
    pub(super) kernel: Option<PathBuf>,
    /// A .config to start from; it is kept as .config.pre-CAMPAIGN [default: what the virtual board needs, and nothing else]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One more fragment on top, may be repeated; a later one wins
    #[arg(long, value_name = "FILE")]
    fragment: Vec<PathBuf>,
    /// A file or folder of the tree whose code this configuration does not build, on purpose; may
    /// be repeated. Without it a build that lacks code of an applied patch ends with an error
    #[arg(long, value_name = "PATH")]
    pub(super) not_built: Vec<PathBuf>,
    /// The kind of kernel: vanilla, lockdep, kasan or kcsan, each with its own release, build folder and label
    #[arg(long, value_name = "NAME", default_value = "lockdep")]
    pub(super) profile: String,
    /// Name for the copy of the .config that was there
    #[arg(long, value_name = "NAME", default_value = "lockstep")]
    pub(super) campaign: Name,
    /// A release that the board's vanilla kernel needs and that this build must not have; may be repeated
    #[arg(long, value_name = "RELEASE")]
    vanilla_release: Vec<String>,
    /// Jobs of make [default: the number of cores, fewer where memory is short]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// Print the verdict on every requested symbol, not only on those that a person should look at
    #[arg(long, short)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) compiler: CompilerFlags,
}

impl BuildDebugKernel {
    /// Runs the verb: `build` of the whole kernel.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let asked = Asked {
            scope: "kernel",
            against: None,
            fdt: None,
            overlays: &[],
        };
        build::run(self, &asked, context)
    }

    /// The profile that the flags name.
    pub(super) fn profile(&self, project: &Path) -> Result<Profile> {
        let below = if self.config.is_some() {
            Below::Config
        } else {
            Below::Nothing
        };
        let profile = Profile::named(project, &self.profile, below)?;
        Ok(self.fragment.iter().cloned().fold(profile, Profile::with))
    }

    /// Releases that are taken: those named, and that of the vanilla kernel built here.
    pub(super) fn vanilla(&self, cache: &Path) -> Vec<String> {
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

    /// Tells what the configuration came to.
    pub(super) fn tell(&self, context: &Context, configured: &Configured) {
        notes(context.ui, &configured.config, &configured.release);
        let rows = if self.verbose { Rows::All } else { Rows::NotPlain };
        verdicts(context.ui, &configured.verdicts, rows);
        context.ui.say(&format!(
            "release {}: {} requested symbols are as asked: {}",
            configured.release,
            configured.verdicts.len(),
            kconfig::counts(&configured.verdicts)
        ));
    }

    /// The next sensible command: each kind of debug kernel goes under its own label.
    pub(super) fn next(&self, manifest: &Manifest) -> String {
        match self.profile.as_str() {
            "vanilla" => "next: cargo xtask build-debug-kernel".into(),
            "lockdep" => "next: cargo xtask deploy".into(),
            name => format!(
                "next: cargo xtask deploy --manifest {} --label arch_devices_{name}",
                manifest.root.display()
            ),
        }
    }
}
