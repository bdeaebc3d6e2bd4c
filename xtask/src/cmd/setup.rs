//! `cargo xtask setup`: everything that a rehearsal needs, each part made once and kept in the cache.

use super::Context;
use super::hold_board::hold;
use crate::board::virt::{self, Different, VirtualBoard};
use crate::campaign::job::{self, Order};
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
        ensure(context, &self.tree, &mut watch)?;
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

/// What is not there yet, as lines for a person.
pub struct Needs {
    lines: Vec<String>,
}

impl Needs {
    /// Nothing has to be made.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Says it.
    pub fn tell(&self, context: &Context) {
        if self.is_empty() {
            context.ui.line("Set-up: everything is there.");
            return;
        }
        context.ui.line(&format!(
            "Set-up will do this, in {}:",
            context.folders.cache.display()
        ));
        self.lines
            .iter()
            .for_each(|line| context.ui.line(&format!("  - {line}")));
    }
}

/// Looks at what is there. Changes nothing. The sizes are those of Debian 12 and Linux 7.3.
pub fn needs(context: &Context, tree: &TreeFlags) -> Result<Needs> {
    let cache = &context.folders.cache;
    let mut lines = Vec::new();
    let missing = requirements::missing(&[]);
    if !missing.is_empty() {
        let packages = requirements::missing_debian_packages(&missing);
        lines.push(format!(
            "install {} packages with apt (up to 150 MB to download, 700 MB on the disk): {}",
            packages.len(),
            packages.join(" ")
        ));
    }
    let place = Place::of(cache, tree.kernel.as_deref());
    match (&tree.kernel, &place) {
        (None, Err(_)) => lines.push(
            "fetch Debian's newest linux-source-7.x (170 MB) and import it as a git repository (1.6 GB), with a work \
             tree (1.7 GB)"
                .into(),
        ),
        (Some(_), Err(_)) => drop(place?),
        (_, Ok(_)) => {}
    }
    let board_is_there = VirtualBoard::open(&context.folders).is_ok();
    if !vanilla_is_current(context, tree) {
        lines.push("build the vanilla kernel (about 8 minutes on two cores, 600 MB)".into());
        if board_is_there {
            lines.push("make the virtual board anew around it: what is on its disk now is lost".into());
        }
    }
    if !board_is_there {
        lines.push(
            "make the virtual board: a Debian arm64 root file system (100 MB to download, about 5 minutes), a disk of \
             2 GB (700 MB in use)"
                .into(),
        );
    }
    Ok(Needs { lines })
}

fn vanilla_manifest(cache: &Path) -> Option<Manifest> {
    stage::read_manifest(&cache.join("vanilla")).ok()
}

/// Makes what is missing, in order. Dying half-way it leaves whole parts only: each gets its name when it is complete.
pub fn ensure(context: &Context, tree: &TreeFlags, watch: &mut Stopwatch) -> Result<VirtualBoard> {
    let cache = &context.folders.cache;
    std::fs::create_dir_all(cache).with_context(|| format!("making the cache folder {}", cache.display()))?;
    if !needs(context, tree)?.is_empty() {
        authenticate()?;
    }
    watch.time("install packages", || install(context))?;
    if tree.kernel.is_none() {
        watch.time("fetch and import the kernel source", || import(context))?;
    }
    let vanilla = vanilla(context, tree, watch)?;
    let held = hold(context, "virtual", None)?;
    let made = watch.time("make the virtual board", || {
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
    let task = context.ui.task("prepare the work tree", None);
    let mut tree = watch.time("prepare the work tree", || place.open())?;
    task.done(&place.key);
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
        out: place.builds.join(&profile.name),
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
