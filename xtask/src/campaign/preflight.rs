//! Row 0 and the last row of a plan: the board before anything is written beside vanilla, and after all is done.

use super::file::Campaign;
use super::harvest_records;
use crate::board::Board;
use crate::board::backup::{self, Made, Modules, Verified};
use crate::board::boot::{self, Capture, ConsentGiven, Method, Permit};
use crate::board::ours::SMOKE_FOLDER;
use crate::board::preflight::{self, Backup, Needed, ProvenCapture, Status};
use crate::board::protected::Protected;
use crate::board::rescue_card;
use crate::board::second_host;
use crate::board::way_back;
use crate::board::writer::{Put, Source, Writer};
use crate::host::files;
use crate::host::one_line;
use crate::host::scratch;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A board that a campaign may use.
pub struct Ready {
    /// What must survive.
    pub protected: Protected,
    /// Both copies, read back.
    pub backup: Verified,
    /// A capture that works.
    pub capture: ProvenCapture,
    /// Folder on the board with what smoke tests need.
    pub smoke_folder: String,
    /// pstore records that are there already, by name and content.
    pub known_dumps: BTreeSet<String>,
    /// How our label gets its one attempt.
    pub method: Method,
}

/// What pre-flight is told.
pub struct Context<'a> {
    /// The board, which answers and runs vanilla.
    pub board: &'a dyn Board,
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Folder of this campaign's backup on the host.
    pub backups: &'a Path,
    /// Files for the smoke tests.
    pub smoke_files: &'a [(String, PathBuf)],
    /// Somebody said yes to the reboots.
    pub consent: ConsentGiven,
    /// Tells what takes long while it is being done.
    pub say: &'a dyn Fn(&str),
}

/// Backs vanilla up (or verifies the backup that is there), checks, and pushes what smoke tests need. Errors: a check failed. Dying
/// half-way it leaves what [`backup::make`] and [`Writer::put`] leave; vanilla is not touched.
pub fn prepare(context: &Context, facts: &mut Vec<String>) -> Result<Ready> {
    let board = context.board;
    let protected = what_must_survive(context)?;
    let folders = &context.campaign.preflight.modules;
    let modules = match folders.is_empty() {
        true => Modules::All,
        false => Modules::Folders(folders.clone()),
    };
    (context.say)("backing vanilla up, or reading the backups back");
    let backup = backup::make(
        board,
        &protected,
        &context.campaign.name,
        &modules,
        context.backups,
    )?;
    facts.push(match backup.made() {
        Made::Nothing => format!(
            "backups of vanilla {} were there and read back whole",
            protected.release
        ),
        _ => format!(
            "vanilla {} is backed up in {} on the board and in {} on this host, both read back",
            protected.release,
            backup.on_board().display(),
            backup.on_host().display()
        ),
    });
    facts.extend(push_on(context, &backup)?);
    let (card, _) = rescue_card::save(board, &backup)?;
    facts.push(format!(
        "what to do when the board does not come back is in {}",
        card.display()
    ));
    let capture = proven_capture(board, &protected, &backup, facts)?;
    let permit = Permit {
        backup: &backup,
        capture: Capture::Proven(capture),
        consent: context.consent,
    };
    facts.extend(prove_way_back(context, &protected, &permit)?);
    let method = boot::choose_for(board, &protected, None)?;
    facts.push(format!("boot method: {}", method.name()));
    let smoke_folder = push(context, &protected)?;
    let scratch = scratch::folder()?;
    let known_dumps = harvest_records::take(board, scratch.path())?.names();
    Ok(Ready {
        protected,
        backup,
        capture,
        smoke_folder,
        known_dumps,
        method,
    })
}

/// As the backup of this campaign has it, which has to be what is on the board now; as the board is, where there is none yet.
fn what_must_survive(context: &Context) -> Result<Protected> {
    let (board, label) = (context.board, &context.campaign.kernel.label);
    match backup::host_manifest(context.backups)? {
        Some(known) => {
            ensure!(
                known.protected.test_label == *label,
                "the backup in {} was made for the label `{made}`, and this campaign uses `{label}`: a backup is for one label, so put `label = \
                 \"{made}\"` into its [kernel], or give the campaign another name",
                context.backups.display(),
                made = known.protected.test_label
            );
            known.protected.check(board)?;
            Ok(known.protected)
        }
        None => Protected::compute(board, label),
    }
}

/// Pushes the backup on to the second host that the board's file names, and reads it back there.
fn push_on(context: &Context, backup: &Verified) -> Result<Option<String>> {
    let Some(second) = &context.board.description().second_host else {
        return Ok(None);
    };
    let (board, campaign) = (&context.campaign.board, &context.campaign.name);
    let doing = || {
        format!(
            "the backup on {} (`second-host` in the board's file)",
            second.host
        )
    };
    second_host::push(second, board, campaign, backup.on_host()).with_context(doing)?;
    second_host::verify(second, board, campaign, backup.on_host()).with_context(doing)?;
    Ok(Some(format!(
        "the backup is on {} as well, hashed there",
        second.host
    )))
}

/// Runs every check and gives the capture that works. Errors: a check failed.
fn proven_capture(
    board: &dyn Board,
    protected: &Protected,
    backup: &Verified,
    facts: &mut Vec<String>,
) -> Result<ProvenCapture> {
    let report = preflight::run(board, protected, Backup::Verified(backup), Needed::GUESS)?;
    for check in report.checks.iter().filter(|check| check.status != Status::Pass) {
        facts.push(format!(
            "{}: {}: {}; to mend it: {}",
            format!("{:?}", check.status).to_lowercase(),
            check.title,
            check.reason,
            check.fix
        ));
    }
    let capture = match report.capture {
        Some(capture) if report.may_start() => capture,
        _ => {
            let failed = report.checks.iter().filter(|check| check.status == Status::Fail);
            let each = failed.map(|check| format!("{}: {} ({})", check.title, check.reason, check.fix));
            bail!(
                "the board is not ready for a campaign:{}",
                one_line::list(each, 100)
            );
        }
    };
    let has_break = board.serial().is_some_and(|line| line.has_break());
    facts.push(format!(
        "capture: serial {}, ramoops {}{}",
        match (capture.serial(), has_break) {
            (true, true) => "seen to work",
            (true, false) => "seen to work, without BREAK",
            (false, _) => "not there",
        },
        if capture.ramoops() {
            "registered"
        } else {
            "not there"
        },
        match capture.netconsole_alone() {
            true => ", netconsole seen to work",
            false => "",
        }
    ));
    Ok(capture)
}

/// Every path back to vanilla that this board has, each tried once for this vanilla (invariant 3).
fn prove_way_back(context: &Context, protected: &Protected, permit: &Permit) -> Result<Vec<String>> {
    let board = context.board;
    let folder = context.backups.parent().unwrap_or(context.backups);
    let mut facts = Vec::new();
    for reset in way_back::needed(board)? {
        let known = way_back::known(folder, protected)?;
        let proven = match known.into_iter().find(|proven| proven.reset == reset) {
            Some(proven) => proven,
            None => {
                (context.say)(&format!("trying the way back by {}", reset.name()));
                way_back::prove(board, protected, reset, permit, folder, &mut |_| {})?
            }
        };
        facts.push(proven.sentence());
    }
    Ok(facts)
}

/// What is put into the folder of the smoke tests where no test pushes anything: the tests run
/// there all the same.
const NOTE: (&str, &[u8]) = (
    "README",
    b"Lockstep's smoke tests run here. It is made again when it is needed, and may be deleted.\n",
);

/// The files of the smoke tests, below the folder where the tests run: at least one, so that the
/// folder is there.
fn smoke_puts(smoke_files: &[(String, PathBuf)]) -> Result<Vec<Put>> {
    let mut puts = Vec::new();
    for (name, path) in smoke_files {
        puts.push(Put {
            target: PathBuf::from(name),
            source: Source::HostFile(path.clone()),
            sha256: files::sha256_file(path)?,
            size: std::fs::metadata(path)
                .with_context(|| format!("looking at {}", path.display()))?
                .len(),
            mode: 0o755,
            keep: None,
        });
    }
    if puts.is_empty() {
        let (name, text) = NOTE;
        puts.push(Put {
            target: PathBuf::from(name),
            source: Source::Bytes(text.to_vec()),
            sha256: files::sha256(text),
            size: text.len() as u64,
            mode: 0o644,
            keep: None,
        });
    }
    Ok(puts)
}

/// Puts the files of the smoke tests where the tests run, through the one writer.
fn push(context: &Context, protected: &Protected) -> Result<String> {
    let puts = smoke_puts(context.smoke_files)?;
    Writer::new(context.board, protected)
        .put(Path::new(SMOKE_FOLDER), &puts)
        .context("pushing what the smoke tests need")?;
    Ok(SMOKE_FOLDER.to_string())
}

/// Vanilla runs, is the default, and every protected file has the hash that it had. Errors name what is not so.
pub fn vanilla_stands(board: &dyn Board, protected: &Protected) -> Result<Vec<String>> {
    protected.check(board)?;
    let answer = boot::look(board)?;
    ensure!(
        boot::is_vanilla(&answer, protected),
        "{} runs, and not vanilla {}",
        answer.release,
        protected.release
    );
    boot::default_is_vanilla(board, protected)?;
    let label = &protected.test_label;
    let slot = if boot::offers_our_label(board, protected)? {
        format!("label {label} still boots the last debug kernel when somebody chooses it")
    } else {
        format!("there is no label {label}: no debug kernel can be chosen")
    };
    Ok(vec![
        format!(
            "vanilla {} runs, and label {} is the default",
            protected.release, protected.vanilla_label
        ),
        format!(
            "{} protected files have the hashes that they had",
            protected.inventory.len()
        ),
        slot,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_smoke_tests_is_made_even_where_nothing_is_pushed() {
        assert_eq!(smoke_puts(&[]).unwrap().len(), 1);
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("pixels");
        std::fs::write(&program, "x").unwrap();
        let puts = smoke_puts(&[("pixels".into(), program)]).unwrap();
        assert_eq!(puts.len(), 1);
        assert_eq!(puts[0].target, Path::new("pixels"));
    }
}
