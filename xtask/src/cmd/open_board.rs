//! A board by its name, for the verbs, and where its backups are on this host.

use super::Context;
use crate::board::Board;
use crate::board::backup::{self, Manifest};
use crate::board::extlinux;
use crate::board::file::{BoardFile, Kind};
use crate::board::name::Name;
use crate::board::only_look::{CONNECTION, OnlyLook};
use crate::board::protected::Protected;
use crate::board::slot::USUAL_LABEL;
use crate::board::ssh_board::SshBoard;
use crate::board::virt::VirtualBoard;
use crate::host::lock::Proof;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::time::Duration;

/// How long a board may take for its first answer.
pub const FIRST_ANSWER: Duration = Duration::from_secs(40);

/// `.lockstep/backups/<board>/<campaign>`. A virtual board that is made again is another board, whose folder has another name: the backup of
/// one is never held against the other.
pub fn backup_folder(context: &Context, board: &Name, campaign: &Name) -> PathBuf {
    backups_of(context, board).join(campaign)
}

/// Folder with the backups of a board, one folder for each campaign.
pub fn backups_of(context: &Context, board: &Name) -> PathBuf {
    let board = match VirtualBoard::open(&context.folders) {
        Ok(made) if board.as_str() == "virtual" => format!("virtual-{}", made.instance()),
        _ => board.to_string(),
    };
    context.folders.state.join("backups").join(board)
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

/// A board that need not answer, for a verb that only looks. Errors: no such board, or its file is wrong.
pub fn look(context: &Context, name: &str) -> Result<OnlyLook> {
    let file = board_file(context, name)?;
    let board: Box<dyn Board> = match &file.kind {
        Kind::Virtual => Box::new(
            VirtualBoard::open(&context.folders)?
                .described(file.description)
                .over(CONNECTION),
        ),
        Kind::Ssh(_) => Box::new(ssh_board(context, &file)?.over(CONNECTION)?),
    };
    Ok(OnlyLook(board))
}

/// [`look`] at a board that answers. Errors: also that it does not, with what to do about it.
pub fn look_answering(context: &Context, name: &str) -> Result<OnlyLook> {
    let file = board_file(context, name)?;
    if let Kind::Ssh(_) = file.kind {
        ssh_board(context, &file)?
            .over(CONNECTION)?
            .check_way(FIRST_ANSWER)
            .with_context(|| format!("board `{name}` does not answer as root"))?;
        return look(context, name);
    }
    let board = look(context, name)?;
    answers(&board, name)?;
    Ok(board)
}

fn answers(board: &dyn Board, name: &str) -> Result<()> {
    if !board.answers(FIRST_ANSWER) {
        bail!(
            "board `{name}` does not answer over ssh: switch it on (`cargo xtask board up`), or look at its serial line"
        );
    }
    Ok(())
}

/// The virtual board, which need not answer, for a verb that holds its lock. Errors: no such board,
/// or its file is wrong.
pub(super) fn find(context: &Context, name: &str, lock: Proof) -> Result<VirtualBoard> {
    let file = board_file(context, name)?;
    let board = VirtualBoard::open(&context.folders)?;
    Ok(board.described(file.description).held(lock))
}

/// A board over ssh, with its control socket in the cache; it can only be looked at until it is
/// [`SshBoard::held`].
pub fn ssh_board(context: &Context, file: &BoardFile) -> Result<SshBoard> {
    let folder = context.folders.cache.join("boards").join(&file.description.name);
    SshBoard::open(file, &folder)
}

/// The virtual board, which answers, for a verb that holds its lock. Errors: [`find`]'s, or it does not answer.
pub(super) fn open(context: &Context, name: &str, lock: Proof) -> Result<VirtualBoard> {
    let board = find(context, name, lock)?;
    answers(&board, name)?;
    Ok(board)
}

/// The virtual board for a run: it is switched on and waited for. Whether it answers is left to whoever looks; errors: there is none, or it
/// cannot be switched on.
pub(super) fn power_on(context: &Context, file: BoardFile, lock: Proof) -> Result<Box<dyn Board>> {
    let board = VirtualBoard::open(&context.folders)?
        .described(file.description)
        .held(lock);
    let task = context.ui.task("switch the board on", None);
    board.up(&context.folders)?;
    let answers = board.wait_for_ssh(board.description().boot_limit);
    task.done(if answers.is_ok() {
        "it answers"
    } else {
        "it does not answer"
    });
    Ok(Box::new(board))
}

/// The flags for a board and a campaign as a person types them behind the next command; nothing where they are what they are without being
/// typed.
pub fn typed(board: &str, campaign: &str) -> String {
    let usual = [("board", board, "virtual"), ("campaign", campaign, "rehearsal")];
    let other = usual.iter().filter(|(_, value, usual)| value != usual);
    other
        .map(|(flag, value, _)| format!(" --{flag} {value}"))
        .collect()
}

/// A label's name as a flag's value. Errors: no label of ours may have that name.
pub fn label_name(text: &str) -> Result<String> {
    extlinux::check_name(text).map(|()| text.to_string())
}

/// Flags of every verb that touches a board.
#[derive(Debug, Clone, clap::Args)]
pub struct BoardFlags {
    /// Board to use: a file of boards/, without .toml
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    pub board: Name,
    /// Campaign: backups carry its name, and are never overwritten
    #[arg(long, default_value = "rehearsal")]
    pub campaign: Name,
    /// Name of the label that is ours
    #[arg(long, value_name = "NAME", default_value = USUAL_LABEL, value_parser = label_name)]
    pub label: String,
}

impl BoardFlags {
    /// These flags as a person types them behind the next command; nothing where they are what they are without being typed.
    pub fn typed(&self) -> String {
        let label = match self.label.as_str() {
            USUAL_LABEL => String::new(),
            label => format!(" --label {label}"),
        };
        typed(&self.board, &self.campaign) + &label
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
        self.known(context)?.with_context(|| {
            format!(
                "board `{}` has no backup for campaign `{}`: run `cargo xtask preflight --board {0} --campaign {1}` first",
                self.board, self.campaign
            )
        })
    }

    /// [`BoardFlags::protected`], or `None` before the first pre-flight. The board itself is not asked.
    pub fn known(&self, context: &Context) -> Result<Option<Protected>> {
        board_file(context, &self.board)?;
        let Some(manifest) = self.backup_manifest(context)? else {
            return Ok(None);
        };
        if manifest.protected.test_label != self.label {
            bail!(
                "the backup of campaign `{}` was made for the test label `{made}`, not `{}`: say `{made}`, or choose another campaign",
                self.campaign,
                self.label,
                made = manifest.protected.test_label
            );
        }
        Ok(Some(manifest.protected))
    }
}
