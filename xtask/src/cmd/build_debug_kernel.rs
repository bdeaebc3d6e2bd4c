//! `cargo xtask build-debug-kernel`.

use super::Context;
use super::build::{self, Asked, CompilerFlags};
use crate::exit::Outcome;
use crate::kernel::build::{Configured, Profile};
use crate::kernel::kconfig::SymbolVerdict;
use crate::kernel::stage;
use crate::ui::Ui;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

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
    pub(super) kernel: Option<PathBuf>,
    /// A .config to start from; it is kept as .config.pre-CAMPAIGN [default: what the virtual board needs, and nothing else]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One more fragment on top, may be repeated; a later one wins
    #[arg(long, value_name = "FILE")]
    fragment: Vec<PathBuf>,
    /// The profile: a fragment of kconfig-fragments/ with its own release
    #[arg(long, default_value = "lockdep")]
    pub(super) profile: String,
    /// Name for the copy of the .config that was there
    #[arg(long, value_name = "NAME", default_value = "lockstep")]
    pub(super) campaign: String,
    /// A release that the board's vanilla kernel needs and that this build must not have; may be repeated
    #[arg(long, value_name = "RELEASE")]
    vanilla_release: Vec<String>,
    /// Jobs of make [default: the number of cores, fewer where memory is short]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// Print the verdict on every requested symbol
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
}

/// What was asked for beside what came out, a line a symbol.
pub(super) fn table(ui: &Ui, verdicts: &[SymbolVerdict]) {
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
