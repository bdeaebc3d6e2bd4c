//! The runs that are there, and what is taken out of one: its evidence, hash by hash.

use super::{BOOTED, BootedBaseline, Earlier, Found, Offered, Passed, Said, Taken};
use crate::campaign::action::Action;
use crate::campaign::file::Campaign;
use crate::campaign::inputs;
use crate::campaign::journal::Input;
use crate::campaign::journal::past::Kept;
use crate::campaign::plan::{Planned, Source};
use crate::campaign::record::{EarlierBoot, TakenFrom};
use crate::campaign::runs;
use crate::campaign::walk::Options;
use crate::host::bounded;
use crate::host::files;
use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Name of the file beside copied evidence that says whose it is.
const NOTE: &str = "taken-from.txt";
/// Most bytes of a file of evidence: a serial line's, as the harvest takes it.
const MOST_OF_FILE: u64 = 2 * bounded::LOG;

/// Where baselines are looked for.
pub struct Shelf<'a> {
    /// `.lockstep`.
    pub state: &'a Path,
    /// Campaign.
    pub campaign: &'a str,
    /// Board.
    pub board: &'a str,
    /// Row of the baseline.
    pub row: &'a str,
    /// The run that asks: it takes nothing from itself.
    pub own: Option<&'a Path>,
}

impl Shelf<'_> {
    /// The baselines of earlier runs, the newest first, with their folders. A run whose journal cannot be read offers nothing: nobody knows what
    /// it was. Errors: the folder of runs cannot be read.
    pub fn read(&self) -> Result<Vec<(PathBuf, Earlier)>> {
        let mut found = Vec::new();
        for run in runs::list(self.state)? {
            if run.campaign != self.campaign || self.own.is_some_and(|own| own == run.folder) {
                continue;
            }
            let Ok(past) = &run.past else { continue };
            let Some((since, offered)) = super::of_past(past, self.board, self.row) else {
                continue;
            };
            let name = run.folder.file_name().unwrap_or_default();
            let earlier = Earlier {
                run: name.to_string_lossy().into_owned(),
                since,
                said: said(&run.folder, offered),
            };
            found.push((run.folder, earlier));
        }
        found.sort_by(|(_, a), (_, b)| b.since.cmp(&a.since));
        Ok(found)
    }

    /// The baseline that holds under these inputs, with a copy of its evidence in `into`, the folder of the run that asks; or why there is none.
    /// Everything is compared by hash before anything is copied. Dying half-way it leaves copies beside a note that says so, which the next call
    /// takes away. Errors: this machine's disk.
    pub fn take(&self, inputs: &[Input], into: &Path, now: Timestamp) -> Result<Found> {
        clear(&into.join("evidence").join(self.row))?;
        let (folders, earlier): (Vec<PathBuf>, Vec<Earlier>) = self.read()?.into_iter().unzip();
        let chosen = match super::choose(&earlier, inputs, now) {
            Ok(chosen) => chosen,
            Err(why) => return Ok(Found::Boot(why)),
        };
        let mut boots = Vec::new();
        let mut facts = Vec::new();
        for at in chosen {
            let (Some(one), Some(folder)) = (earlier.get(at), folders.get(at)) else {
                continue;
            };
            let Said::Passed(passed) = &one.said else { continue };
            match (whole(folder, &passed.booted.evidence), boots.is_empty()) {
                (Ok(()), _) => boots.push((folder, one, passed)),
                (Err(why), true) => {
                    let why = format!("that of run {} does not count: {why:#}", one.run);
                    return Ok(Found::Boot(why));
                }
                (Err(why), false) => facts.push(format!("the boot of run {} is left out: {why:#}", one.run)),
            }
        }
        let Some((newest, from, passed)) = boots.first() else {
            return Ok(Found::Boot("none is left".into()));
        };
        self.copy(newest, from, &passed.booted, into)?;
        Ok(Found::Taken(Box::new(Taken {
            from: TakenFrom {
                boots: boots
                    .iter()
                    .map(|(_, one, passed)| EarlierBoot {
                        run: one.run.clone(),
                        when: passed.booted.when.clone(),
                    })
                    .collect(),
            },
            row: passed.row.clone(),
            findings: super::joined(boots.iter().map(|(_, _, passed)| &passed.booted)),
            facts,
        })))
    }

    fn copy(&self, folder: &Path, from: &Earlier, booted: &BootedBaseline, into: &Path) -> Result<()> {
        let note = format!(
            "These files are copies: they were captured in run {}, which booted this kernel ({}). This run did not boot it.\n",
            from.run, booted.when
        );
        let own = into.join("evidence").join(self.row);
        files::write_atomic(&own.join(NOTE), note.as_bytes())?;
        for kept in &booted.evidence {
            let path = below(folder, &kept.name)?;
            let bytes = bounded::read(&path, MOST_OF_FILE)?;
            ensure!(
                files::sha256(&bytes) == kept.sha256,
                "{} was changed while it was copied",
                path.display()
            );
            files::write_atomic(&below(into, &kept.name)?, &bytes)?;
        }
        Ok(())
    }
}

/// How long it takes to take a baseline.
const TAKING: Duration = Duration::from_secs(2);

/// Puts into a plan whether its baseline would be taken or booted, as far as that can be said before tree, compiler and board are looked at: `known`
/// are the inputs of the campaign itself, or why they cannot be read here. Errors: the folder of runs cannot be read.
pub fn foretell(
    plan: &mut [Planned],
    campaign: &Campaign,
    options: &Options,
    state: &Path,
    known: Result<Vec<Input>>,
) -> Result<()> {
    let Some(row) = plan.iter_mut().find(|row| row.action == Action::BootBaseline) else {
        return Ok(());
    };
    let of_tests = inputs::of_tests(&campaign.tests_of_baseline(), &campaign.modules);
    let shelf = Shelf {
        state,
        campaign: &campaign.name,
        board: &campaign.board,
        row: &row.id,
        own: None,
    };
    let earlier: Vec<Earlier> = shelf.read()?.into_iter().map(|(_, earlier)| earlier).collect();
    let likely = match known {
        _ if options.fresh_baseline => Err("asked for with --fresh-baseline".into()),
        Ok(known) => super::likely(&earlier, &[known, of_tests].concat(), Timestamp::now()),
        Err(error) => Err(format!(
            "what an earlier boot depends on cannot be compared here: {error:#}"
        )),
    };
    row.note = Some(match likely {
        Ok(run) => {
            // An estimate of the plan stays, so that a boot can be learned from all the same.
            if row.estimated_from != Source::Plan {
                row.estimate = TAKING;
            }
            format!(
                "its result is taken from {run} if build, vanilla and programs come out the same (--fresh-baseline boots it); else it is booted"
            )
        }
        Err(why) => format!("it is booted: {why}"),
    });
    Ok(())
}

/// Everything in a folder of a run, by name below the run's folder and hash: what was captured under that name.
pub fn captured(run: &Path, folder: &Path) -> Result<Vec<Kept>> {
    let mut captured = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(run)?;
            captured.push(Kept {
                name: below.display().to_string(),
                sha256: files::sha256_file(entry.path())?,
            });
        }
    }
    Ok(captured)
}

fn said(folder: &Path, offered: Offered) -> Said {
    match offered {
        Offered::Failed(why) => Said::Failed(why),
        Offered::Passed(kept, row) => match read_boot(folder, &kept) {
            Ok(booted) => Said::Passed(Box::new(Passed { booted, row: *row })),
            Err(error) => Said::Unreadable(format!("{error:#}")),
        },
    }
}

fn read_boot(folder: &Path, kept: &Kept) -> Result<BootedBaseline> {
    let path = folder.join(BOOTED);
    let doing = || format!("reading {}", path.display());
    let bytes = bounded::read(&path, MOST_OF_FILE).with_context(doing)?;
    ensure!(
        files::sha256(&bytes) == kept.sha256,
        "{} is not what the run's journal says",
        path.display()
    );
    BootedBaseline::parse(&bytes).with_context(doing)
}

/// Every file is there with its hash. Errors name the first that is not.
fn whole(folder: &Path, evidence: &[Kept]) -> Result<()> {
    for kept in evidence {
        let path = below(folder, &kept.name)?;
        ensure!(
            files::is_file(&path)?,
            "its evidence is not whole: {} is gone",
            path.display()
        );
        ensure!(
            files::sha256_file(&path)? == kept.sha256,
            "its evidence is not whole: {} was changed",
            path.display()
        );
    }
    Ok(())
}

/// A file below a run's folder, whatever a record says.
fn below(folder: &Path, name: &str) -> Result<PathBuf> {
    let is_plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || !name.starts_with("evidence/") {
        bail!("{name:?} is no file below a run's evidence");
    }
    Ok(folder.join(name))
}

/// Takes copies away that an earlier attempt of this row left. Nothing that was captured here is beside the note: it is written only where
/// nothing was booted.
fn clear(copies: &Path) -> Result<()> {
    if !files::is_there(&copies.join(NOTE))? {
        return Ok(());
    }
    std::fs::remove_dir_all(copies).with_context(|| format!("removing the copies in {}", copies.display()))
}

#[cfg(test)]
mod tests;
