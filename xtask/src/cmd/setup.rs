//! `cargo xtask setup`: everything that a rehearsal needs, each part made once and kept in the cache.

mod needs;

use needs::{PACKAGES, SOURCE, VANILLA, VIRTUAL_BOARD};
pub use needs::{needs, part};

use super::Context;
use super::hold_board::hold;
use crate::board::virt::{self, Different, VirtualBoard};
use crate::campaign::job::{self, Order};
use crate::campaign::phase;
use crate::campaign::screen::Screen;
use crate::campaign::stopwatch::Stopwatch;
use crate::exit::Outcome;
use crate::host::files;
use crate::host::json::json;
use crate::host::packages;
use crate::host::process;
use crate::host::requirements::{self, Distribution, Weight};
use crate::kernel::build::{Base, Builder, Profile};
use crate::kernel::place::{BRANCH, Place};
use crate::kernel::source;
use crate::kernel::stage;
use crate::kernel::toolchain::Toolchain;
use crate::kernel::tree::Stack;
use crate::manifest::Manifest;
use crate::ui;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Arguments of `cargo xtask setup`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each part is made once and kept in the cache ($LOCKSTEP_CACHE, else ~/.cache/lockstep); running it again makes \
                        only what is missing.\n\nExample:\n  cargo xtask setup\n  cargo xtask setup --kernel ~/src/linux --yes"
)]
pub struct Setup {
    /// Install the packages that are missing, and make nothing
    #[arg(long)]
    packages: bool,
    #[command(flatten)]
    tree: TreeFlags,
}

/// Which kernel tree.
#[derive(Debug, Clone, clap::Args)]
pub struct TreeFlags {
    /// A kernel git tree to use instead of Debian's newest 7.x source; your checkout is not touched
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
}

impl Setup {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if self.packages {
            return only_packages(context);
        }
        let needs = needs(context, &self.tree)?;
        needs.tell(context);
        if context.global.dry_run {
            return Ok(Outcome::Success);
        }
        if !needs.is_empty() {
            context.ui.confirm(context.global.consent(), "Do this?")?;
        }
        let mut watch = Stopwatch::default();
        context.ui.tell_as_json();
        let parts = context.ui.begin_parts(needs.parts());
        ensure(context, &self.tree, &mut watch)?;
        drop(parts);
        let place = Place::of(&context.folders.cache, self.tree.kernel.as_deref())?;
        context.ui.json(
            &json!({ "phases": watch.phases, "kernel": ui::path_name(&place.repository), "work_tree": ui::path_name(&place.worktree) }),
        )?;
        context.ui.line(&format!("Kernel source: {}", place.told()));
        context.ui.line("Everything is there. Next: cargo xtask rehearse");
        Ok(Outcome::Success)
    }
}

fn only_packages(context: &Context) -> Result<Outcome> {
    let missing = requirements::missing_debian_packages(&requirements::missing(&[]));
    context.ui.json(&json!({ "packages": missing }))?;
    if missing.is_empty() {
        context.ui.line("No package is missing.");
        return Ok(Outcome::Success);
    }
    context
        .ui
        .line(&format!("packages to install: {}", missing.join(" ")));
    if !context.global.dry_run {
        context.ui.confirm(context.global.consent(), "Install them?")?;
        authenticate()?;
        install(context)?;
    }
    Ok(Outcome::Success)
}

fn vanilla_manifest(cache: &Path) -> Option<Manifest> {
    stage::read_manifest(&cache.join("vanilla")).ok()
}

/// Makes what is missing. Dying half-way it leaves whole parts only: each gets its name when it is complete.
pub fn ensure(context: &Context, tree: &TreeFlags, watch: &mut Stopwatch) -> Result<VirtualBoard> {
    let cache = &context.folders.cache;
    std::fs::create_dir_all(cache).with_context(|| format!("making the cache folder {}", cache.display()))?;
    if !needs(context, tree)?.is_empty() {
        authenticate()?;
    }
    context.ui.begin_part(PACKAGES);
    watch.time(phase::INSTALL, || install(context))?;
    context.ui.begin_part(SOURCE);
    source_and_user_land(context, tree, watch)?;
    context.ui.begin_part(VANILLA);
    let vanilla = vanilla(context, tree, watch)?;
    context.ui.begin_part(VIRTUAL_BOARD);
    let held = hold(context, "virtual", None)?;
    let made = watch.time(phase::MAKE_BOARD, || {
        let task = context.ui.task("make the virtual board", None);
        let board = virt::create(&context.folders, &vanilla, Different::Replace, &mut |line| {
            task.detail(line)
        })?;
        task.done(board.vanilla_release());
        Ok(board)
    });
    drop(held);
    made
}

/// The kernel source and the board's user land, side by side: each keeps one core busy, and they wait for different servers.
fn source_and_user_land(context: &Context, tree: &TreeFlags, watch: &mut Stopwatch) -> Result<()> {
    let mut beside = Stopwatch::default();
    std::thread::scope(|scope| {
        let user_land = scope.spawn(|| {
            beside.time(phase::MAKE_USER_LAND, || -> Result<()> {
                // A board that is there has its own.
                if VirtualBoard::open(&context.folders).is_ok() {
                    return Ok(());
                }
                let task = context.ui.task("make the board's user land", None);
                virt::make_user_land(&context.folders, &mut |line| task.detail(line))?;
                task.done("");
                Ok(())
            })
        });
        let imported = match tree.kernel {
            None => watch.time(phase::IMPORT, || import(context)),
            Some(_) => Ok(()),
        };
        let prepared = imported.and_then(|()| {
            let place = Place::of(&context.folders.cache, tree.kernel.as_deref())?;
            let task = context.ui.task("prepare the work tree", None);
            watch.time(phase::PREPARE_TREE, || place.open())?;
            task.done(&place.key);
            Ok(())
        });
        let made = user_land
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        prepared.and(made)
    })?;
    watch.phases.append(&mut beside.phases);
    Ok(())
}

/// Where sudo is needed it asks for the password now, while the terminal is free.
fn authenticate() -> Result<()> {
    let prefix = packages::root_prefix()?;
    if prefix == "sudo" {
        let sh = Shell::new()?;
        let status = process::run_interactive(cmd!(sh, "sudo -v"))?;
        ensure!(status.success(), "sudo was refused, and set-up needs it");
    }
    Ok(())
}

fn install(context: &Context) -> Result<()> {
    let missing = requirements::missing(&[]);
    let needed: Vec<_> = missing
        .iter()
        .filter(|requirement| requirement.weight == Weight::Needed)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let distribution = Distribution::of_this_host();
    if distribution != Distribution::Debian {
        for requirement in &missing {
            context.ui.warn(&format!(
                "{}: {}",
                requirement.name(),
                requirement.remedy(distribution)
            ));
        }
        if needed.is_empty() {
            return Ok(());
        }
        bail!(
            "{} things are missing, and this is no Debian: install them as said above",
            needed.len()
        );
    }
    let names = requirements::missing_debian_packages(&missing);
    let task = context
        .ui
        .task(&format!("install {} packages", names.len()), None);
    let log = context.folders.cache.join("apt.log");
    packages::install(&names, &log, |line| task.detail(line))?;
    task.done("");
    let still = requirements::missing(&[]);
    if still
        .iter()
        .any(|requirement| requirement.weight == Weight::Needed)
    {
        let names: Vec<_> = still.iter().map(|requirement| requirement.name()).collect();
        bail!(
            "still missing after the installation: {} (see {})",
            names.join(", "),
            log.display()
        );
    }
    Ok(())
}

fn import(context: &Context) -> Result<()> {
    let mut screen = Screen::new(context.ui);
    let imported = source::ensure(&context.folders.cache, &mut |event| screen.show(event))?;
    screen.end();
    context.ui.say(&format!(
        "kernel source: Linux {} as Debian has it",
        imported.version
    ));
    Ok(())
}

/// Builds vanilla from the tree's base, without any patch of ours, and stages it as `<cache>/vanilla`: once for each tree, configuration and
/// compiler. The board's vanilla is what must survive; it does not change under a campaign.
fn vanilla(context: &Context, flags: &TreeFlags, watch: &mut Stopwatch) -> Result<Manifest> {
    let cache = &context.folders.cache;
    let place = Place::of(cache, flags.kernel.as_deref())?;
    let mut tree = place.open()?;
    let base = tree.base()?;
    let toolchain = Toolchain::find()?;
    let profile = Profile::vanilla(&context.folders.project);
    let key = key(&base, &toolchain, &profile)?;
    let key_file = cache.join("vanilla.key");
    if std::fs::read_to_string(&key_file).is_ok_and(|known| known == key)
        && let Some(there) = vanilla_manifest(cache)
    {
        return Ok(there);
    }
    tree.move_to(&base)?;
    let builder = Builder {
        source: tree.path().to_path_buf(),
        // Where the debug kernel goes on: see `Profile::vanilla`.
        out: place.builds.join(Profile::lockdep(&context.folders.project).name),
        cache: cache.clone(),
        profile,
        toolchain,
        jobs: Builder::default_jobs(),
        timestamp: tree.base_time()?,
        patched: Vec::new(),
    };
    let order = Order {
        base: &Base::AllNo,
        campaign: "setup",
        vanilla: &[],
        // The board boots with its own machine's tree.
        goals: &["Image", "modules"],
        staging: &cache.join("vanilla"),
        commit: &base,
    };
    let built = job::build(&builder, &order, watch, context.ui)?;
    files::write_atomic(&key_file, key.as_bytes())?;
    Ok(built.manifest)
}

/// Whether the vanilla kernel that was staged is what would be built now.
fn vanilla_is_current(context: &Context, flags: &TreeFlags) -> bool {
    let cache = &context.folders.cache;
    let now = || -> Result<String> {
        let place = Place::of(cache, flags.kernel.as_deref())?;
        let base = Stack::peek(&place.repository, BRANCH)?.base()?;
        key(
            &base,
            &Toolchain::find()?,
            &Profile::vanilla(&context.folders.project),
        )
    };
    let known = std::fs::read_to_string(cache.join("vanilla.key")).ok();
    vanilla_manifest(cache).is_some() && known.is_some() && known == now().ok()
}

/// Names everything that vanilla is made from.
fn key(base: &str, toolchain: &Toolchain, profile: &Profile) -> Result<String> {
    let mut inputs = format!("{base}\n{}\n", toolchain.version);
    for fragment in &profile.fragments {
        inputs.push_str(&files::sha256_file(fragment)?);
    }
    Ok(files::sha256(inputs.as_bytes()))
}
