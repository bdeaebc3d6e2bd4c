//! `cargo xtask config`.

use super::Context;
use super::open_tree::open;
use crate::campaign::screen::Screen;
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::json::json;
use crate::host::requirements::{self, Purpose};
use crate::host::scratch;
use crate::kernel::build::{Base, Builder, Compiler, Completion, Configured, NotTaken, complete};
use crate::kernel::kconfig::{self, Definitions, Override, Request, Rows, Severity, SymbolVerdict, Values};
use crate::kernel::place::Place;
use crate::kernel::profile::{Below, KNOWN, Profile};
use crate::kernel::stage;
use crate::kernel::toolchain::{KERNEL_ARCH, Toolchain};
use crate::ui::Ui;
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask config`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A configuration is named by a profile that was built (`lockdep`), by a .config file, or by a folder with a .config in it.

Examples:
  cargo xtask config verify --profile kasan
  cargo xtask config diff vanilla lockdep
  cargo xtask config why PROVE_RCU --profile lockdep"
)]
pub struct Config {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Make a profile's configuration, say what became of every requested symbol, and throw it away; nothing is built
    Verify(Verify),
    /// What differs between two configurations, line for line as the kernel's scripts/diffconfig prints it
    Diff(Diff),
    /// Why a symbol has the value that it has: its definitions, conditions, who selects it, what would change it
    Why(Why),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing that was built is touched: the configuration is made in a folder of its own. Exit code 3 if a symbol is not as asked.

Example:
  cargo xtask config verify --profile kcsan --fragment kconfig-fragments/ramoops.config"
)]
struct Verify {
    /// The kind of kernel: vanilla, lockdep, kasan or kcsan
    #[arg(long, value_name = "NAME", default_value = "lockdep")]
    profile: String,
    /// One more fragment on top, may be repeated; a later one wins
    #[arg(long, value_name = "FILE")]
    fragment: Vec<PathBuf>,
    /// A .config or defconfig to start from [default: what the virtual board needs, and nothing else]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A kernel git tree of yours [default: Debian's newest, as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
    /// Print the verdict on every requested symbol, not only on those that a person should look at
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask config diff vanilla lockdep
  cargo xtask config diff ~/old.config .config")]
struct Diff {
    /// The first: a profile that was built, a file, or a folder with a .config
    #[arg(value_name = "A")]
    before: String,
    /// The second
    #[arg(value_name = "B")]
    after: String,
    /// The kernel git tree whose profiles are meant [default: Debian's newest, as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  cargo xtask config why LOCKDEP
  cargo xtask config why KCSAN --profile vanilla
  cargo xtask config why PSTORE_RAM --config ~/board.config")]
struct Why {
    /// The symbol, with or without CONFIG_
    symbol: String,
    /// The profile whose configuration is looked at; it must have been configured once
    #[arg(long, value_name = "NAME", default_value = "lockdep")]
    profile: String,
    /// A .config to look at instead; a defconfig or a fragment is completed by the tree's own `make olddefconfig` first
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A kernel git tree of yours [default: Debian's newest, as `setup` imported it]
    #[arg(long, value_name = "PATH")]
    kernel: Option<PathBuf>,
}

impl Config {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.question {
            Question::Verify(verify) => verify.run(context),
            Question::Diff(diff) => diff.run(context),
            Question::Why(why) => why.run(context),
        }
    }
}

impl Verify {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let below = if self.config.is_some() {
            Below::Config
        } else {
            Below::Nothing
        };
        let profile = Profile::named(&context.folders.project, &self.profile, below)?;
        let profile = self.fragment.iter().cloned().fold(profile, Profile::with);
        let merged = profile.merged()?;
        let place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        if context.global.dry_run {
            context.ui.line(&format!(
                "configure {} of {} in a folder of its own, compare {} symbols, throw it away",
                profile.name,
                place.worktree.display(),
                merged.requests.len()
            ));
            context.ui.json(&json!({
                "dry_run": true, "profile": profile.name, "tree": place.worktree, "symbols": merged.requests.len()
            }))?;
            return Ok(Outcome::Success);
        }
        overridden(context.ui, &merged.overrides);
        let label = profile.label("arch_devices");
        let base = self.config.clone().map_or(Base::AllNo, Base::File);
        match made(context, &place, profile, &base) {
            Ok((configured, _)) => self.told(context, &configured, &label),
            Err(error) => match error.downcast_ref::<NotTaken>() {
                Some(failed) => self.told_failed(context, &failed.verdicts),
                None => Err(error),
            },
        }
    }

    fn told(&self, context: &Context, configured: &Configured, label: &str) -> Result<Outcome> {
        notes(context.ui, &configured.config, &configured.release);
        verdicts(context.ui, &configured.verdicts, self.rows());
        context.ui.line(&format!(
            "{}: {}",
            configured.release,
            kconfig::counts(&configured.verdicts)
        ));
        context.ui.json(&json!({
            "profile": self.profile, "release": configured.release, "label": label,
            "verdicts": configured.verdicts, "overrides": configured.overrides,
        }))?;
        context.ui.say(&format!(
            "next: cargo xtask build-debug-kernel --profile {}",
            self.profile
        ));
        Ok(Outcome::Success)
    }

    fn told_failed(&self, context: &Context, failed: &[SymbolVerdict]) -> Result<Outcome> {
        let rows = if self.verbose { Rows::All } else { Rows::Bad };
        verdicts(context.ui, failed, rows);
        context.ui.line(&kconfig::counts(failed));
        context
            .ui
            .json(&json!({ "profile": self.profile, "verdicts": failed }))?;
        let bad = failed.iter().find(|verdict| !verdict.is_good());
        if let Some(bad) = bad {
            let way = if bad.remedy.is_empty() {
                "take it out of the fragment"
            } else {
                "ask for what would bring it, or take it out of the fragment"
            };
            context.ui.say(&format!(
                "next: {way} ({}:{})",
                bad.request.fragment, bad.request.line
            ));
        }
        Ok(Outcome::CheckFailed)
    }

    fn rows(&self) -> Rows {
        if self.verbose { Rows::All } else { Rows::NotPlain }
    }
}

impl Diff {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let kernel = self.kernel.as_deref();
        let read = |name: &str| {
            Ok::<_, anyhow::Error>(whole_for_diff(
                context,
                configuration(context, name, kernel)?,
                kernel,
            ))
        };
        let differences = kconfig::diff(&read(&self.before)?.text, &read(&self.after)?.text);
        for one in &differences {
            context.ui.line(&one.to_string());
        }
        context
            .ui
            .json(&json!({ "before": self.before, "after": self.after, "differences": differences }))?;
        context.ui.say(&format!(
            "{}; next: cargo xtask config why SYMBOL",
            crate::ui::count(differences.len(), "difference")
        ));
        Ok(Outcome::Success)
    }
}

impl Why {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let symbol = self.symbol.strip_prefix("CONFIG_").unwrap_or(&self.symbol);
        let place = Place::of(&context.folders.cache, self.kernel.as_deref())?;
        if !place.worktree.is_dir() {
            bail!(
                "there is no work tree of the kernel yet in {}: `cargo xtask setup` makes one",
                place.worktree.display()
            );
        }
        let (found, requests) = match &self.config {
            Some(path) => (whole(context, file(path)?, &place)?, Vec::new()),
            None => (
                configuration(context, &self.profile, self.kernel.as_deref())?,
                self.requests(context)?,
            ),
        };
        let definitions = Definitions::read(&place.worktree, KERNEL_ARCH);
        let config = kconfig::Config::parse(&found.text);
        let story = match kconfig::story(&Values::new(&definitions, &config), symbol, &requests) {
            Ok(story) => story,
            Err(near) => bail!("{}", unknown(symbol, &near, &place.worktree)),
        };
        context.ui.text(&story.to_string());
        context.ui.json(&story)?;
        context.ui.say(&format!(
            "looked at {} of {}; next: cargo xtask config verify --fragment FILE",
            found.name,
            config.title().unwrap_or("a kernel that it does not name")
        ));
        Ok(Outcome::Success)
    }

    fn requests(&self, context: &Context) -> Result<Vec<Request>> {
        let profile = Profile::named(&context.folders.project, &self.profile, Below::Nothing)?;
        Ok(profile.merged()?.requests)
    }
}

fn unknown(symbol: &str, near: &[String], tree: &Path) -> String {
    if let Some(place) = kconfig::elsewhere(tree, &[symbol]).get(symbol) {
        return format!(
            "{symbol} is defined in {place}, which {KERNEL_ARCH} does not read: it is for another architecture"
        );
    }
    let meant = match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    };
    format!("no Kconfig file of {} defines {symbol}{meant}", tree.display())
}

/// A configuration that a person named.
struct Found {
    name: String,
    text: String,
}

fn file(path: &Path) -> Result<Found> {
    Ok(Found {
        name: path.display().to_string(),
        text: bounded::read_text(path, bounded::WRITTEN)?,
    })
}

fn completion(found: &Found, place: &Place) -> Result<Option<Completion>> {
    let name = Path::new(&found.name);
    complete(
        &place.worktree,
        &place.builds,
        Compiler::Default,
        name,
        &found.text,
    )
}

/// The configuration as a whole `.config` of the tree, and says what was done for that.
fn whole(context: &Context, found: Found, place: &Place) -> Result<Found> {
    let Some(completion) = completion(&found, place)? else {
        return Ok(found);
    };
    context.ui.say(&format!("{} is {completion}", found.name));
    Ok(Found {
        text: completion.text,
        ..found
    })
}

/// [`whole`] where there is a tree to complete it with. What was made for another kernel is compared as it is: what differs may be that.
fn whole_for_diff(context: &Context, found: Found, kernel: Option<&Path>) -> Found {
    let place = Place::of(&context.folders.cache, kernel);
    let place = place.ok().filter(|place| place.worktree.is_dir());
    let done = match &place {
        Some(place) => completion(&found, place),
        None => Ok(None),
    };
    match done {
        Ok(Some(completion)) if completion.made_for.is_none() => {
            context.ui.say(&format!("{} is {completion}", found.name));
            Found {
                text: completion.text,
                ..found
            }
        }
        Ok(_) => found,
        Err(error) => {
            context
                .ui
                .say(&format!("{} is compared as it is: {error:#}", found.name));
            found
        }
    }
}

/// A `.config` by its name: a file, a folder with one in it, or a profile. That of a profile which was never built is made, and thrown away.
fn configuration(context: &Context, name: &str, kernel: Option<&Path>) -> Result<Found> {
    let path = Path::new(name);
    if path.is_file() {
        return file(path);
    }
    if path.join(".config").is_file() {
        return file(&path.join(".config"));
    }
    let profile = Profile::named(&context.folders.project, name, Below::Nothing).with_context(|| {
        format!("looking for a configuration: `{name}` is no file and no folder with a .config")
    })?;
    let place = Place::of(&context.folders.cache, kernel)?;
    let path = place.builds.join(name).join(".config");
    if path.is_file() {
        return file(&path);
    }
    let (_, text) = made(context, &place, profile, &Base::AllNo)?;
    Ok(Found {
        name: format!("profile {name}, made for this question"),
        text,
    })
}

/// Makes the configuration of a profile in a folder of its own, which is gone again in the end. Gives the text of the .config as well.
fn made(context: &Context, place: &Place, profile: Profile, base: &Base) -> Result<(Configured, String)> {
    requirements::require(&[Purpose::Kernel])?;
    let tree = open(context, place)?;
    std::fs::create_dir_all(&place.builds)?;
    let out = scratch::folder_in(&place.builds).context("making a folder for the configuration")?;
    let vanilla = vanilla_releases(context, &profile.name);
    let builder = Builder {
        source: place.worktree.clone(),
        out: out.path().to_path_buf(),
        cache: context.folders.cache.clone(),
        profile,
        toolchain: Toolchain::find()?,
        jobs: Builder::default_jobs(),
        timestamp: tree.base_time()?,
        patched: Vec::new(),
    };
    let mut screen = Screen::new(context.ui);
    let configured = builder.configure(base, "verify", &vanilla, &mut |event| screen.show(event));
    screen.end();
    let text = std::fs::read_to_string(out.path().join(".config"));
    Ok((configured?, text?))
}

/// Releases that a profile must not have: that of the vanilla kernel built here.
fn vanilla_releases(context: &Context, profile: &str) -> Vec<String> {
    if KNOWN.first().is_some_and(|known| known.name == profile) {
        return Vec::new();
    }
    stage::read_manifest(&context.folders.cache.join("vanilla"))
        .map(|manifest| vec![manifest.release])
        .unwrap_or_default()
}

/// Requests that a later fragment replaced.
pub(super) fn overridden(ui: &Ui, overrides: &[Override]) {
    for Override { earlier, later } in overrides {
        ui.say(&format!(
            "CONFIG_{}={} of {}:{} is overridden by {} of {}:{}",
            earlier.symbol,
            earlier.value,
            earlier.fragment,
            earlier.line,
            later.value,
            later.fragment,
            later.line
        ));
    }
}

/// What is not wrong, and good to know all the same.
pub(super) fn notes(ui: &Ui, config: &kconfig::Config, release: &str) {
    for trap in kconfig::traps(config, release, &[]) {
        if trap.severity == Severity::Tell {
            ui.say(&format!("note: {}", trap.text));
        }
    }
}

/// What was asked for beside what came out.
pub(super) fn verdicts(ui: &Ui, verdicts: &[SymbolVerdict], rows: Rows) {
    for line in kconfig::table(verdicts, rows) {
        ui.line(&line);
    }
}
