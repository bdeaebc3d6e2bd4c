//! `cargo xtask build`, and what it shares with `build-debug-kernel`.

use super::Context;
use super::build_debug_kernel::BuildDebugKernel;
use super::config::{overridden, verdicts};
use super::open_tree::open;
use crate::campaign::foresight::after_build;
use crate::campaign::screen::Screen;
use crate::exit::Outcome;
use crate::host::json::json;
use crate::host::requirements::{self, Purpose};
use crate::kernel::arch::Architecture;
use crate::kernel::build::{Base, Builder, Configured, Made, NotTaken};
use crate::kernel::built::BuiltIn;
use crate::kernel::dtb;
use crate::kernel::image::Scope;
use crate::kernel::kconfig::Rows;
use crate::kernel::place::Place;
use crate::kernel::profile::Profile;
use crate::kernel::ships::{self, Ships};
use crate::kernel::stage;
use crate::kernel::toolchain::{Family, Toolchain, Wanted, Wrapper};
use crate::kernel::tree::Tree;
use crate::manifest::{Kind, Manifest};
use crate::ui::{Ui, count};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The scope says what make is asked for. What must ship is another question: it follows from comparing the content of what was \
staged before with what is staged now, and for each module that changed the header or symbol that pulled it in is named.

Examples:
  cargo xtask build --scope modules
  cargo xtask build --scope drivers/media/platform/verisilicon
  cargo xtask build --arch riscv --llvm --config ~/riscv.config --kernel ~/src/linux
  cargo xtask build --scope kernel --against slot/manifest.json"
)]
pub struct Build {
    /// `kernel` (image, modules, device trees), `modules`, or a folder of the tree: it is compiled first, then what depends on it
    #[arg(long, value_name = "kernel|modules|DIR", default_value = "kernel")]
    scope: String,
    /// A manifest to compare with, such as that of the board's slot [default: what was staged here before]
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The `fdt` of the board's label: its device tree is looked for in what was built, and its ramoops region is checked
    #[arg(long, value_name = "PATH")]
    fdt: Option<String>,
    /// An overlay (.dtbo) to merge into it, in this order; may be repeated. The merged blob is put beside the staged files
    #[arg(long, value_name = "FILE", requires = "fdt")]
    overlay: Vec<PathBuf>,
    #[command(flatten)]
    kernel: BuildDebugKernel,
}

/// Flags that choose the compiler.
#[derive(Debug, clap::Args)]
pub struct CompilerFlags {
    /// Architecture, as `ARCH=` of the kernel's Makefile or as `uname -m` says it
    #[arg(long, value_name = "ARCH", default_value = "arm64")]
    arch: String,
    /// Build with clang and LLVM's tools: 1, a suffix with its dash (-19), or a folder with its slash
    #[arg(
        long,
        value_name = "1|-SUFFIX|FOLDER/",
        num_args = 0..=1,
        default_missing_value = "1",
        require_equals = true
    )]
    llvm: Option<String>,
    /// What stands before the compiler: distcc, icecc, sccache, another program, or none [default: ccache where it is, or
    /// LOCKSTEP_COMPILER_WRAPPER]
    #[arg(long, value_name = "PROGRAM")]
    compiler_wrapper: Option<String>,
    /// The same as --compiler-wrapper distcc
    #[arg(long, conflicts_with_all = ["compiler_wrapper", "icecc"])]
    distcc: bool,
    /// The same as --compiler-wrapper icecc
    #[arg(long, conflicts_with = "compiler_wrapper")]
    icecc: bool,
}

impl CompilerFlags {
    fn wanted(&self) -> Result<Wanted> {
        let wrapper = match (&self.compiler_wrapper, self.distcc, self.icecc) {
            (Some(name), _, _) => Wrapper::named(name),
            (None, true, _) => Wrapper::named("distcc"),
            (None, _, true) => Wrapper::named("icecc"),
            (None, false, false) => Wrapper::from_environment(),
        };
        Ok(Wanted {
            arch: Architecture::named(&self.arch)?,
            family: self.llvm.as_deref().map_or(Ok(Family::Gnu), Family::llvm)?,
            wrapper,
        })
    }

    /// What keeps builds of other architectures and compilers apart from the profile's usual folder: `lockdep-riscv`, `lockdep-llvm`.
    pub fn folder(&self, profile: &str) -> Result<String> {
        let wanted = self.wanted()?;
        let mut name = profile.to_string();
        if wanted.arch != Wanted::default().arch {
            name.push('-');
            name.push_str(wanted.arch.kernel);
        }
        if wanted.family != Family::Gnu {
            name.push_str("-llvm");
        }
        Ok(name)
    }
}

impl Build {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let asked = Asked {
            scope: &self.scope,
            against: self.against.as_deref(),
            fdt: self.fdt.as_deref(),
            overlays: &self.overlay,
        };
        run(&self.kernel, &asked, context)
    }
}

/// What `build` can be asked for beyond `build-debug-kernel`.
pub(super) struct Asked<'a> {
    /// `--scope`.
    pub scope: &'a str,
    /// `--against`.
    pub against: Option<&'a Path>,
    /// `--fdt`.
    pub fdt: Option<&'a str>,
    /// `--overlay`.
    pub overlays: &'a [PathBuf],
}

/// Configures, builds, stages, and says what must ship.
pub(super) fn run(flags: &BuildDebugKernel, asked: &Asked, context: &Context) -> Result<Outcome> {
    let place = Place::of(&context.folders.cache, flags.kernel.as_deref())?;
    let profile = flags.profile(&context.folders.project)?;
    // Mistakes in a fragment, in a manifest or in the name of an architecture are told before a work tree is made.
    overridden(context.ui, &profile.merged()?.overrides);
    let wanted = flags.compiler.wanted()?;
    let folder = flags.compiler.folder(&flags.profile)?;
    let dest = place.staging.join(&folder);
    let against = asked.against.map(read_against).transpose()?;
    if context.global.dry_run {
        return show_plan(
            context,
            &place,
            &profile,
            asked.scope,
            &place.builds.join(&folder),
            &dest,
        );
    }
    let compiler: Vec<_> = Toolchain::requirement(&wanted).into_iter().collect();
    requirements::require_with(&[Purpose::Kernel], &compiler)?;
    let toolchain = Toolchain::look(&wanted)?;
    let tree = open(context, &place)?;
    let scope = Scope::named(asked.scope, &place.worktree)?;
    let builder = Builder {
        source: place.worktree.clone(),
        out: place.builds.join(&folder),
        cache: context.folders.cache.clone(),
        profile,
        toolchain,
        jobs: flags.jobs.unwrap_or_else(Builder::default_jobs),
        timestamp: tree.base_time()?,
        patched: tree.changed_between(&tree.base()?, &tree.head()?)?,
    };
    let before = match against {
        Some(manifest) => Some(manifest),
        None => stage::read_manifest(&dest).ok(),
    };
    let config_before = fs::read_to_string(dest.join(stage::CONFIG)).ok();
    let changed = changed_since(&tree, before.as_ref())?;
    let built = build(flags, context, &builder, &scope, &changed)?;
    let mut screen = Screen::new(context.ui);
    let manifest = builder.stage(&dest, &tree.head()?, &mut |event| screen.show(event))?;
    screen.end();
    let blob = asked
        .fdt
        .map(|fdt| device_tree(context.ui, &manifest, fdt, asked.overlays))
        .transpose()?;
    let ships =
        before.map(|before| Ships::between(&builder, &before, &manifest, changed, config_before.as_deref()));
    tell_result(context, flags, &manifest, &built, ships.as_ref(), blob)
}

/// What was configured and made.
struct Built {
    configured: Configured,
    made: Vec<Made>,
}

fn build(
    flags: &BuildDebugKernel,
    context: &Context,
    builder: &Builder,
    scope: &Scope,
    changed: &BTreeSet<PathBuf>,
) -> Result<Built> {
    let base = flags.config.clone().map_or(Base::AllNo, Base::File);
    let mut screen = Screen::new(context.ui);
    let configured = builder
        .configure(
            &base,
            &flags.campaign,
            &flags.vanilla(&context.folders.cache),
            &mut |event| screen.show(event),
        )
        .inspect_err(|error| {
            // Those that are not as asked are in the error itself.
            if let Some(failed) = error.downcast_ref::<NotTaken>().filter(|_| flags.verbose) {
                verdicts(context.ui, &failed.verdicts, Rows::All);
            }
        })?;
    let is_on = |symbol: &str| configured.config.is_yes(symbol);
    requirements::require_with(&[], &requirements::required_by(is_on))?;
    flags.tell(context, &configured);
    if *scope != Scope::Kernel {
        let mut files: Vec<PathBuf> = builder.patched.clone();
        files.extend(changed.iter().cloned());
        ships::refuse_stale_image(builder, &files)?;
    }
    let mut made = Vec::new();
    for goals in builder.goals(scope)? {
        let goals: Vec<&str> = goals.iter().map(String::as_str).collect();
        made.push(builder.make(&goals, &mut |event| screen.show(event))?);
    }
    screen.end();
    refuse_absent(flags, builder, scope)?;
    // Each call of make moved the log of the one before aside.
    let last = made.len().saturating_sub(1);
    for (at, made) in made.iter_mut().enumerate().filter(|(at, _)| *at < last) {
        made.log = PathBuf::from(format!("{}.{}", made.log.display(), last.saturating_sub(at)));
    }
    Ok(Built { configured, made })
}

/// Errors where code of an applied patch is not in the kernel: what was built would show nothing
/// about it. A single folder is no whole kernel.
fn refuse_absent(flags: &BuildDebugKernel, builder: &Builder, scope: &Scope) -> Result<()> {
    if matches!(scope, Scope::Folder(_)) {
        return Ok(());
    }
    let built = BuiltIn {
        tree: &builder.source,
        out: &builder.out,
        arch: builder.toolchain.arch.folder,
    };
    let (absent, _) = after_build::undeclared(&builder.patched, &flags.not_built, &built);
    if absent.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = absent.iter().map(|absent| format!("  {absent}")).collect();
    bail!(
        "code of the applied patches is not in this kernel, so nothing was staged:\n{}\nput what brings it into a fragment (`--fragment FILE`), or \
         name the file with `--not-built`, if this configuration is not meant to build it",
        lines.join("\n")
    )
}

/// Finds the board's own device tree, merges overlays into a copy of it, and looks whether its ramoops region can work. Gives where it is.
fn device_tree(ui: &Ui, manifest: &Manifest, fdt: &str, overlays: &[PathBuf]) -> Result<PathBuf> {
    let staged = ships::dtbs(manifest);
    let own = manifest.root.join(dtb::find(&staged, fdt)?);
    let blob = if overlays.is_empty() {
        own
    } else {
        // Beside the staging folder, whose files are exactly those of the manifest.
        let name = own
            .file_name()
            .context("the device tree has no name")?
            .to_string_lossy()
            .into_owned();
        let merged = PathBuf::from(format!("{}.merged", manifest.root.display()));
        fs::create_dir_all(&merged).with_context(|| format!("making {}", merged.display()))?;
        let overlays: Vec<&Path> = overlays.iter().map(PathBuf::as_path).collect();
        dtb::merge(&own, &overlays, &merged.join(&name))?;
        merged.join(name)
    };
    dtb::verify(&blob)?;
    let bytes = fs::read(&blob).with_context(|| format!("reading {}", blob.display()))?;
    let found =
        dtb::check_ramoops(&bytes).with_context(|| format!("looking for ramoops in {}", blob.display()))?;
    let ramoops = found.map_or(
        "no ramoops region: what a reset ends is lost unless it is captured otherwise".into(),
        |found| {
            format!(
                "ramoops of {} kB at {:#x}",
                found.region.size / 1024,
                found.region.start
            )
        },
    );
    ui.line(&format!("fdt       {}: {ramoops}", blob.display()));
    Ok(blob)
}

/// A manifest that a person names. Errors: none there, of a newer format.
fn read_against(file: &Path) -> Result<Manifest> {
    let folder = if file.is_dir() { Some(file) } else { file.parent() };
    let folder = folder
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    stage::read_manifest(folder)
        .with_context(|| format!("reading the manifest to compare with, {}", file.display()))
}

/// Files that differ between the commit of a manifest and HEAD. A manifest of a commit that this tree does not have explains nothing.
fn changed_since(tree: &Tree, before: Option<&Manifest>) -> Result<BTreeSet<PathBuf>> {
    let head = tree.head()?;
    let files = before.and_then(|before| tree.changed_between(&before.commit, &head).ok());
    Ok(files.unwrap_or_default().into_iter().collect())
}

fn show_plan(
    context: &Context,
    place: &Place,
    profile: &Profile,
    scope: &str,
    out: &Path,
    dest: &Path,
) -> Result<Outcome> {
    let fragments: Vec<String> = profile
        .fragments
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    for line in [
        format!("configure {} from {}", out.display(), fragments.join(", ")),
        "compare every requested symbol with the final .config".into(),
        format!("build {scope} of {}", place.worktree.display()),
        format!("stage it in {}", dest.display()),
        "compare what is staged with what was staged before".into(),
    ] {
        context.ui.line(&line);
    }
    context.ui.json(&json!({
        "dry_run": true, "tree": place.worktree, "out": out, "scope": scope, "fragments": fragments, "staging": dest
    }))?;
    Ok(Outcome::Success)
}

fn tell_result(
    context: &Context,
    flags: &BuildDebugKernel,
    manifest: &Manifest,
    built: &Built,
    ships: Option<&Ships>,
    fdt: Option<PathBuf>,
) -> Result<Outcome> {
    let ui = context.ui;
    let file = manifest.root.join(stage::MANIFEST);
    let configured = &built.configured;
    let number = |kind| manifest.of_kind(kind).count();
    ui.line(&format!("release   {}", manifest.release));
    ui.line(&format!("build id  {}", manifest.build_id));
    ui.line(&format!(
        "files     {}, {}, {}",
        count(number(Kind::Image), "image"),
        count(number(Kind::Module), "module"),
        count(number(Kind::Dtb), "dtb")
    ));
    if let Some(kept) = &configured.kept {
        ui.line(&format!("before    {}", kept.display()));
    }
    for made in &built.made {
        tell_made(ui, flags.verbose, made);
    }
    for line in ships.map(Ships::lines).unwrap_or_default() {
        ui.line(&line);
    }
    ui.line(&format!("manifest  {}", file.display()));
    let seconds: f64 = built.made.iter().map(|made| made.seconds).sum();
    ui.json(&json!({
        "release": manifest.release, "build_id": manifest.build_id, "manifest": file,
        "log": built.made.last().map(|made| &made.log), "config_before": configured.kept, "seconds": seconds.round(),
        "made": built.made, "ships": ships, "fdt": fdt, "verdicts": configured.verdicts, "overrides": configured.overrides,
    }))?;
    ui.say(&flags.next(manifest));
    Ok(Outcome::Success)
}

fn tell_made(ui: &Ui, verbose: bool, made: &Made) {
    ui.line(&format!(
        "log       {} ({}, {:.1} s)",
        made.log.display(),
        count(made.pieces, "piece"),
        made.seconds
    ));
    let warnings = &made.warnings;
    if !warnings.list.is_empty() {
        let new = match warnings.new {
            Some(new) => format!("{new} new since the baseline"),
            None => "no baseline to compare with yet".into(),
        };
        ui.line(&format!(
            "warnings  {}: {new}, {} in files of the patch",
            warnings.list.len(),
            warnings.in_patch
        ));
        let shown = if verbose { warnings.list.len() } else { 10 };
        for warning in warnings.list.iter().take(shown) {
            ui.line(&format!("          {}", warning.line()));
        }
    }
    if verbose {
        for figure in &made.figures {
            ui.line(&format!(
                "estimate  at {} % of the time: {:.0} s were said to remain, {:.0} s did ({:+.0} %)",
                figure.at_percent, figure.predicted, figure.actual, figure.error_percent
            ));
        }
    }
}
