//! A board by its name, for the verbs, and where its backups are on this host.

use super::Context;
use crate::board::Board;
use crate::board::backup::{self, Manifest};
use crate::board::file::{BoardFile, Kind};
use crate::board::protected::Protected;
use crate::board::ssh_board::SshBoard;
use crate::board::virt::VirtualBoard;
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// How long a board may take for its first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(40);

/// `.lockstep/backups/<board>/<campaign>`. A virtual board that was made from other things is another board: its folder has the name of what it was
/// made from, so that the backup of one is never held against the other.
pub fn backup_folder(context: &Context, board: &str, campaign: &str) -> PathBuf {
    backups_of(context, board).join(campaign)
}

/// Folder with the backups of a board, one folder for each campaign.
pub fn backups_of(context: &Context, board: &str) -> PathBuf {
    let board = match VirtualBoard::open(&context.folders) {
        Ok(made) if board == "virtual" => format!("virtual-{}", made.instance()),
        _ => board.to_string(),
    };
    context.folders.state.join("backups").join(board)
}

/// One writer a board: a campaign, a deploy or a rollback at a time. The lock is the operating system's: it is gone when its holder is.
pub fn lock(context: &Context, board: &str) -> Result<File> {
    let path = context.folders.cache.join(format!("{board}.campaign.lock"));
    let doing = || format!("making the lock {}", path.display());
    std::fs::create_dir_all(&context.folders.cache).with_context(doing)?;
    let file = File::create(&path).with_context(doing)?;
    if file.try_lock().is_err() {
        bail!(
            "something else of ours works on board `{board}` (it holds {}): wait for it, or stop it",
            path.display()
        );
    }
    Ok(file)
}

/// The file of a board: `boards/<name>.toml`.
pub fn board_file(context: &Context, name: &str) -> Result<BoardFile> {
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !plain {
        bail!(
            "`{}` is no name of a board: letters, digits, `-` and `_`",
            name.escape_debug()
        );
    }
    BoardFile::load(&context.folders.project.join("boards"), name)
}

/// A board of either kind, which need not answer. Errors: no such board, or its file is wrong.
pub fn find(context: &Context, name: &str) -> Result<Box<dyn Board>> {
    let file = board_file(context, name)?;
    match &file.kind {
        Kind::Virtual => Ok(Box::new(
            VirtualBoard::open(&context.folders)?.described(file.description),
        )),
        Kind::Ssh(_) => Ok(Box::new(ssh_board(context, &file)?)),
    }
}

/// A board over ssh, with its control socket in the cache.
pub fn ssh_board(context: &Context, file: &BoardFile) -> Result<SshBoard> {
    let folder = context.folders.cache.join("boards").join(&file.description.name);
    SshBoard::open(file, &folder)
}

/// A board that answers. Errors: [`find`]'s, or it does not answer, with what to do about it.
pub fn open(context: &Context, name: &str) -> Result<Box<dyn Board>> {
    let file = board_file(context, name)?;
    if let Kind::Ssh(_) = file.kind {
        let board = ssh_board(context, &file)?;
        board
            .check_way(FIRST_ANSWER)
            .with_context(|| format!("board `{name}` does not answer as root"))?;
        return Ok(Box::new(board));
    }
    let board = find(context, name)?;
    if !board.answers(FIRST_ANSWER) {
        bail!(
            "board `{name}` does not answer over ssh: switch it on (`cargo xtask board up`), or look at its serial line"
        );
    }
    Ok(board)
}

/// Flags of every verb that touches a board.
#[derive(Debug, Clone, clap::Args)]
pub struct BoardFlags {
    /// Board to use: a file of boards/, without .toml
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    pub board: String,
    /// Campaign: backups carry its name, and are never overwritten
    #[arg(long, default_value = "rehearsal")]
    pub campaign: String,
    /// Name of the label that is ours
    #[arg(long, value_name = "NAME", default_value = "arch_devices_lockdep")]
    pub label: String,
}

impl BoardFlags {
    /// The board, whether it answers or not. Errors: no such board.
    pub fn open_silent(&self, context: &Context) -> Result<Box<dyn Board>> {
        find(context, &self.board)
    }

    /// The board, which answers. Errors: no such board, or it does not answer.
    pub fn open(&self, context: &Context) -> Result<Box<dyn Board>> {
        open(context, &self.board)
    }

    /// The campaign's backup folder on this host.
    pub fn backup_folder(&self, context: &Context) -> PathBuf {
        backup_folder(context, &self.board, &self.campaign)
    }

    /// The manifest of the campaign's backup, if pre-flight made one.
    pub fn backup_manifest(&self, context: &Context) -> Result<Option<Manifest>> {
        backup::host_manifest(&self.backup_folder(context))
    }

    /// What must survive, as pre-flight wrote it down. Errors: there was no pre-flight, or it was for another label.
    pub fn protected(&self, context: &Context) -> Result<Protected> {
        board_file(context, &self.board)?;
        let manifest = self.backup_manifest(context)?.with_context(|| {
            format!(
                "board `{}` has no backup for campaign `{}`: run `cargo xtask preflight --board {0} --campaign {1}` first",
                self.board, self.campaign
            )
        })?;
        if manifest.protected.test_label != self.label {
            bail!(
                "the backup of campaign `{}` was made for the test label `{}`, not `{}`",
                self.campaign,
                manifest.protected.test_label,
                self.label
            );
        }
        Ok(manifest.protected)
    }
}
