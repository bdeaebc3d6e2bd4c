//! `cargo xtask extlinux`: an extlinux.conf, of a file or of a board, read as U-Boot reads it.

use super::Context;
use super::hold_board::HeldBoard;
use super::open_board::{BoardFlags, look_answering};
use crate::board::Board;
use crate::board::extlinux::files::{self as named_files, Wanted};
use crate::board::extlinux::{self, Block, Config, Edit, Finding, Severity};
use crate::board::name::Name;
use crate::board::protected::{self, Protected};
use crate::board::script::{self, THERE};
use crate::board::writer::Writer;
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::files;
use crate::host::json::json;
use anyhow::{Context as _, Result, bail};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask extlinux`.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  cargo xtask extlinux lint --board virtual\n  cargo xtask extlinux show boot/extlinux.conf"
)]
pub struct Extlinux {
    /// What to do with it.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say what is wrong with it in U-Boot's eyes (exit code 3: an error was found)
    #[command(after_help = "Example:\n  cargo xtask extlinux lint --board ampere\n  \
                      cargo xtask extlinux lint /mnt/boot/extlinux/extlinux.conf --root /mnt/boot --fdtfile rockchip/rk3588-x.dtb")]
    Lint {
        #[command(flatten)]
        which: Which,
        /// Folder that is U-Boot's `/`, to look for the files that a FILE names
        #[arg(long, value_name = "FOLDER")]
        root: Option<PathBuf>,
        /// What U-Boot looks for in a `fdtdir` (its variable `fdtfile`): `rockchip/rk3588-x.dtb`
        #[arg(long, value_name = "PATH")]
        fdtfile: Option<String>,
        /// Warnings fail, too
        #[arg(long)]
        strict: bool,
    },
    /// Say what U-Boot makes of it: behaviour, default, labels and their files
    #[command(after_help = "Example:\n  cargo xtask extlinux show --board virtual")]
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Put a label of ours at its end, or replace it; nothing else changes
    #[command(
        after_help = "Example:\n  cargo xtask extlinux add extlinux.conf --name arch_devices_lockdep --kernel /Image-7.3.4-lockdep --append 'root=/dev/vda2 rw panic=10'"
    )]
    Add(Add),
    /// Take our label out; nothing else changes
    #[command(
        after_help = "Example:\n  cargo xtask extlinux remove extlinux.conf --name arch_devices_lockdep"
    )]
    Remove {
        #[command(flatten)]
        which: Which,
        /// Name of the label
        #[arg(long, value_name = "NAME", default_value = "arch_devices_lockdep")]
        name: String,
    },
}

/// Which extlinux.conf.
#[derive(Debug, clap::Args)]
struct Which {
    /// A file of this host
    #[arg(required_unless_present = "board")]
    file: Option<PathBuf>,
    /// The one that U-Boot reads on this board
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    board: Option<Name>,
    /// Campaign whose pre-flight says what is protected on the board
    #[arg(long, default_value = "rehearsal", requires = "board")]
    campaign: Name,
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    which: Which,
    /// Name of the label
    #[arg(long, value_name = "NAME", default_value = "arch_devices_lockdep")]
    name: String,
    /// What the menu shows [default: the name]
    #[arg(long, value_name = "TEXT")]
    menu_label: Option<String>,
    /// The kernel, as U-Boot sees it
    #[arg(long, value_name = "PATH")]
    kernel: String,
    /// The device tree, as U-Boot sees it
    #[arg(long, value_name = "PATH")]
    fdt: Option<String>,
    /// The initramfs, as U-Boot sees it
    #[arg(long, value_name = "PATH")]
    initrd: Option<String>,
    /// The kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: String,
}

/// An extlinux.conf and where it came from.
struct Source {
    config: Config,
    board: Option<Box<dyn Board>>,
    shown: String,
}

impl Extlinux {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.action {
            Action::Lint {
                which,
                root,
                fdtfile,
                strict,
            } => {
                let source = which.read(context, None)?;
                let wanted = named_files::wanted(&source.config, fdtfile.as_deref());
                let there = there(&source, which, root.as_deref(), &wanted)?;
                let missing = there.map(|there| named_files::missing(&wanted, &there));
                lint(context, &source, missing, *strict)
            }
            Action::Show { which } => show(context, &which.read(context, None)?),
            Action::Add(add) => {
                let mut ours = add.which.ours(context, &add.name)?;
                let source = add.which.read(context, ours.held())?;
                let block = Block {
                    name: add.name.clone(),
                    menu_label: add.menu_label.clone(),
                    kernel: add.kernel.clone(),
                    fdt: add.fdt.clone(),
                    initrd: add.initrd.clone(),
                    append: add.append.clone(),
                };
                let edit = extlinux::set(&source.config, &block)?;
                refuse_new_errors(&source.config, &edit)?;
                write(context, &source, &add.which, &ours, &edit)
            }
            Action::Remove { which, name } => {
                let mut ours = which.ours(context, name)?;
                let source = which.read(context, ours.held())?;
                let edit = extlinux::remove(&source.config, name)?;
                write(context, &source, which, &ours, &edit)
            }
        }
    }
}

/// A label of ours that may be written.
struct Ours<'a> {
    name: &'a str,
    /// Of a board: what must survive there, and that nothing else of ours works on it. `None` for a file, and where nothing is written.
    board: Option<(Protected, HeldBoard)>,
}

impl Ours<'_> {
    fn held(&mut self) -> Option<&mut HeldBoard> {
        self.board.as_mut().map(|(_, held)| held)
    }
}

impl Which {
    /// Before anything is read: a name that a label of ours may have, on a board the one that pre-flight was for.
    fn ours<'a>(&self, context: &Context, name: &'a str) -> Result<Ours<'a>> {
        extlinux::check_name(name)?;
        let board = match &self.board {
            Some(board) if !context.global.dry_run => {
                let flags = BoardFlags {
                    board: board.clone(),
                    campaign: self.campaign.clone(),
                    label: name.into(),
                };
                Some((flags.protected(context)?, flags.hold(context)?))
            }
            _ => None,
        };
        Ok(Ours { name, board })
    }

    /// Reads it, by the board that is held where it is going to be written.
    fn read(&self, context: &Context, held: Option<&mut HeldBoard>) -> Result<Source> {
        if let Some(name) = &self.board {
            let board: Box<dyn Board> = match held {
                Some(held) => held.open(context)?,
                None => Box::new(look_answering(context, name)?),
            };
            let path = board.description().extlinux.clone();
            let bytes = script::read(board.as_ref(), &path)?
                .with_context(|| format!("{} is not there on board `{name}`", path.display()))?;
            return Ok(Source {
                config: Config::parse(&bytes),
                shown: format!("{} of board `{name}`", path.display()),
                board: Some(board),
            });
        }
        let path = self.file.as_ref().context("no file and no board is named")?;
        let bytes = bounded::read(path, bounded::WRITTEN)?;
        Ok(Source {
            config: Config::parse(&bytes),
            shown: path.display().to_string(),
            board: None,
        })
    }
}

/// Which of the files that U-Boot asks for are there, as it has their paths; `None` when nobody can look.
fn there(
    source: &Source,
    which: &Which,
    root: Option<&Path>,
    wanted: &[Wanted],
) -> Result<Option<BTreeSet<String>>> {
    if let Some(board) = &source.board {
        let conf = &board.description().extlinux;
        let looking = format!("stat -c %m {}", script::word(conf)?);
        let mount = PathBuf::from(
            script::ask(
                board.as_ref(),
                "finding the boot partition",
                &looking,
                script::LOOK,
            )?
            .text(),
        );
        let place = |wanted: &Wanted| protected::on_board(&mount, conf, &wanted.path);
        let paths: Vec<PathBuf> = wanted.iter().map(place).collect();
        let words = script::words(paths.iter().map(PathBuf::as_path))?;
        let looking =
            format!("{THERE}for path in {words}; do if there \"$path\"; then echo y; else echo n; fi; done");
        let text = script::ask(
            board.as_ref(),
            "looking for the files of extlinux.conf",
            &looking,
            script::LOOK,
        )?
        .text();
        let seen = wanted.iter().zip(text.lines()).filter(|(_, said)| *said == "y");
        return Ok(Some(seen.map(|(wanted, _)| wanted.path.clone()).collect()));
    }
    let (Some(root), Some(file)) = (root, &which.file) else {
        return Ok(None);
    };
    let file = std::path::absolute(file)?;
    let root = std::path::absolute(root)?;
    let folder = OwnedFd::from(File::open(&root).with_context(|| format!("opening {}", root.display()))?);
    // U-Boot follows links within its partition only: an absolute one begins at its root (`ext4fs_find_file1`).
    let exists = |wanted: &&Wanted| {
        let path = protected::on_board(Path::new("/"), &in_root(&root, &file), &wanted.path);
        let (flags, within) = (OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT);
        openat2(&folder, &path, flags, Mode::empty(), within).is_ok()
    };
    let seen = wanted.iter().filter(exists);
    Ok(Some(seen.map(|wanted| wanted.path.clone()).collect()))
}

/// Where U-Boot has the file: below the folder that is its `/`, or, for a copy that lies elsewhere, where distributions have it.
fn in_root(root: &Path, file: &Path) -> PathBuf {
    match file.strip_prefix(root) {
        Ok(below) => Path::new("/").join(below),
        Err(_) => PathBuf::from("/extlinux/extlinux.conf"),
    }
}

fn lint(context: &Context, source: &Source, missing: Option<Vec<Finding>>, strict: bool) -> Result<Outcome> {
    let mut findings = extlinux::lint(&source.config);
    let files_checked = missing.is_some();
    findings.extend(missing.into_iter().flatten());
    findings.sort_by_key(|finding| finding.line);
    for finding in &findings {
        context.ui.line(&told(&source.shown, finding));
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    context.ui.line(&format!(
        "{}: {errors} errors, {} warnings; unattended, U-Boot {}",
        source.shown,
        findings.len().saturating_sub(errors),
        source.config.behaviour()
    ));
    if !files_checked {
        context
            .ui
            .line("the files that it names were not looked for: give --root, or --board");
    }
    context.ui.json(&json!({
        "findings": findings, "errors": errors, "behaviour": source.config.behaviour().to_string(), "files_checked": files_checked
    }))?;
    if errors > 0 || strict && !findings.is_empty() {
        context
            .ui
            .line("next: put these right by hand; only a label of ours is edited for you");
        return Ok(Outcome::CheckFailed);
    }
    context
        .ui
        .line("next: `cargo xtask extlinux show` says what each label boots");
    Ok(Outcome::Success)
}

fn told(shown: &str, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "warning",
    };
    format!(
        "{shown}:{}: {severity} [{}] {}",
        finding.line, finding.rule, finding.what
    )
}

fn show(context: &Context, source: &Source) -> Result<Outcome> {
    let config = &source.config;
    let default = config.unattended();
    context.ui.line(&format!(
        "{}: unattended, U-Boot {}",
        source.shown,
        config.behaviour()
    ));
    let mut labels = Vec::new();
    for (number, label) in (1_usize..).zip(&config.menu.labels) {
        let is_default = default.is_some_and(|default| std::ptr::eq(default, label));
        let append = label.append.as_ref().map(|append| append.value.as_str());
        let handed_over = label.command_line().with(&|name| Some(format!("${{{name}}}")));
        let handed_over =
            Some(handed_over.as_str()).filter(|line| append.is_some_and(|append| append != *line));
        let mark = if is_default { "*" } else { " " };
        context.ui.line(&format!(
            "{mark} {}  {} (line {})",
            number, label.name, label.line
        ));
        let values = [
            ("shown as", label.menu_label.as_deref()),
            ("kernel", label.kernel.as_deref()),
            ("initrd", label.initrd.as_deref()),
            ("fdt", label.fdt.as_deref()),
            ("fdtdir", label.fdtdir.as_deref()),
            ("overlays", label.fdtoverlays.as_deref()),
            ("append", append),
            ("kernel gets", handed_over),
        ];
        for (key, value) in values.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
            context.ui.line(&format!("       {key:<11} {value}"));
        }
        labels.push(json!({
            "number": number, "name": label.name, "line": label.line, "default": is_default, "kernel": label.kernel,
            "initrd": label.initrd, "fdt": label.fdt, "fdtdir": label.fdtdir, "fdtoverlays": label.fdtoverlays, "append": append, "command_line": label.command_line().text()
        }));
    }
    let behaviour = config.behaviour().to_string();
    context
        .ui
        .json(&json!({ "behaviour": behaviour, "labels": labels }))?;
    context
        .ui
        .line("* boots when nobody chooses; if it cannot be loaded, the others follow in file order");
    context.ui.line("next: `cargo xtask extlinux lint`");
    Ok(Outcome::Success)
}

/// An edit that brings a new error with it is not written.
fn refuse_new_errors(before: &Config, edit: &Edit) -> Result<()> {
    let errors = |config: &Config| -> Vec<Finding> {
        let mut findings = extlinux::lint(config);
        findings.retain(|finding| finding.severity == Severity::Error);
        findings
    };
    let known: Vec<String> = errors(before).into_iter().map(|finding| finding.what).collect();
    let after = errors(&Config::parse(&edit.bytes));
    if let Some(new) = after.iter().find(|finding| !known.contains(&finding.what)) {
        bail!(
            "the label would be wrong in U-Boot's eyes: line {}: {}; nothing was changed",
            new.line,
            new.what
        );
    }
    Ok(())
}

fn write(context: &Context, source: &Source, which: &Which, ours: &Ours, edit: &Edit) -> Result<Outcome> {
    let name = ours.name;
    let changed = edit.bytes != source.config.bytes();
    for note in &edit.notes {
        context.ui.warn(note);
    }
    let answer = json!({ "changed": changed, "dry_run": context.global.dry_run, "notes": edit.notes });
    if !changed || context.global.dry_run {
        context.ui.json(&answer)?;
        let what = if changed {
            "would change in our label only"
        } else {
            "is as it should be"
        };
        context.ui.line(&format!("{} {what}", source.shown));
        return Ok(Outcome::Success);
    }
    match (&source.board, &ours.board, &which.file) {
        (Some(board), Some((protected, _held)), _) => {
            let question = format!("Change label `{name}` in {}?", source.shown);
            context.ui.confirm(context.global.consent(), &question)?;
            Writer::new(board.as_ref(), protected).put_extlinux(&edit.bytes)?;
        }
        (_, _, Some(file)) => files::write_atomic(file, &edit.bytes)?,
        _ => bail!("no file and no board is named"),
    }
    context.ui.json(&answer)?;
    context.ui.line(&format!(
        "{} is written; nothing but label `{name}` changed",
        source.shown
    ));
    context.ui.line("next: `cargo xtask extlinux lint`");
    Ok(Outcome::Success)
}
