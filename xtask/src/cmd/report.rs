//! `cargo xtask report`: what a person, a CI system or the people upstream read of a run.

use super::Context;
use super::run_campaign::tell_next;
use crate::campaign::report::{self, bundle, gather::Material, mask};
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::json::json;
use crate::ui::{Format as Output, Ui};
use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --format the reports are written anew into the run's folder: report.html, report.md, junit.xml, the closing \
                        document and, where code is at fault, issue.txt.\n\n\
                        In a bundle names of hosts, users, persons and wireless networks, network and e-mail addresses, keys, \
                        passwords, tokens, ids and serial numbers are masked in every text; binary files are left out; MASKED.md \
                        inside lists what was masked, what was left out, and where something that looks random is still there. \
                        issue.txt keeps whom the mail goes to.\n\n\
                        Example:\n  cargo xtask report\n  cargo xtask report rehearsal --format issue\n  \
                        cargo xtask report .lockstep/runs/rehearsal/20260101T120000 --bundle run.tar.zst"
)]
pub struct Report {
    /// Folder of a run, or CAMPAIGN/TIME, or a campaign, whose last run is meant; without it the
    /// last run of all
    run: Option<PathBuf>,
    /// Print this one to standard output and write nothing
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Pack everything into one archive for others (tar, zstd), with names masked
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    bundle: Option<PathBuf>,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Steps, verdicts, findings, times
    Markdown,
    /// The closing document of the run
    Closing,
    /// One web page, without scripts and without network
    Html,
    /// For CI systems
    Junit,
    /// The record and what was captured
    Json,
    /// A mail for the people who know the code
    Issue,
}

impl Report {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        let runs = context.folders.state.join("runs");
        let folder = find(&runs, self.run.as_deref())?;
        if let Some(out) = &self.bundle {
            return pack(context, &folder, out);
        }
        let material = Material::read(&folder)?;
        match self.format {
            Some(Format::Json) => {
                let json = Ui::new(Output::Json);
                answer(&json, &material, &folder)?;
                json.end()?;
            }
            Some(format) => {
                let text = text(format, &material)?;
                context.ui.text(text.trim_end_matches('\n'));
                context.ui.json(&json!({ "folder": folder, "text": text }))?;
                if format == Format::Issue {
                    let advice = report::issue::advice(&material);
                    advice.iter().for_each(|line| context.ui.say(line));
                }
            }
            None => summary(context, &material, &folder)?,
        }
        Ok(Outcome::Success)
    }
}

fn text(format: Format, material: &Material) -> Result<String> {
    Ok(match format {
        Format::Markdown => report::markdown::page(&material.record),
        Format::Closing => report::closing::page(material),
        Format::Html => report::html::page(material),
        Format::Junit => report::junit::suite(&material.record),
        Format::Json => bail!("JSON is printed as an object"),
        Format::Issue => match report::issue::text(material) {
            Some(text) => text,
            None => bail!(
                "writing the text of an issue: {}, so there is nothing to report; `cargo xtask report` shows the run",
                match report::failed(&material.record).is_empty() {
                    true => "no step of this run failed",
                    false => "no code was shown to be at fault",
                }
            ),
        },
    })
}

fn answer(ui: &Ui, material: &Material, folder: &Path) -> Result<()> {
    let captured: Vec<_> = material.captured.iter().map(|captured| &captured.files).collect();
    ui.json(&json!({
        "folder": folder,
        "attempt": material.attempt,
        "end": material.record.end,
        "run": material.record,
        "captured": captured,
    }))
}

/// Writes every report and tells where they are.
fn summary(context: &Context, material: &Material, folder: &Path) -> Result<()> {
    let ui = context.ui;
    answer(ui, material, folder)?;
    if !context.global.dry_run {
        report::write_all(folder, &material.record)?;
    }
    report::summary(&material.record)
        .iter()
        .for_each(|line| ui.line(line));
    let page = report::html_path(folder);
    match context.global.dry_run {
        true => ui.line(&format!(
            "The report would be {}. Nothing was touched.",
            page.display()
        )),
        false => ui.line(&format!("Report: {}", page.display())),
    }
    tell_next(context, &material.record);
    ui.line("`cargo xtask report --bundle FILE` packs what was captured for others.");
    Ok(())
}

fn pack(context: &Context, folder: &Path, out: &Path) -> Result<Outcome> {
    let names = names(&context.folders.project.join("boards"))?;
    if context.global.dry_run {
        context.ui.line(&format!(
            "{} would be packed into {}. Nothing was touched.",
            folder.display(),
            out.display()
        ));
        context
            .ui
            .json(&json!({ "dry_run": true, "folder": folder, "bundle": out }))?;
        return Ok(Outcome::Success);
    }
    let packed = bundle::write(folder, &names, out)?;
    context.ui.json(&json!({
        "bundle": out,
        "files": packed.files,
        "bytes": packed.size,
        "masked": packed.masked.iter().map(|one| (one.placeholder.clone(), one.count)).collect::<Vec<_>>(),
        "look_random": packed.left.different,
        "left_out": packed.left_out,
    }))?;
    bundle::told(&packed, out)
        .iter()
        .for_each(|line| context.ui.line(line));
    Ok(Outcome::Success)
}

/// Names of this machine, of its user, and of what the board files reach: a log may hold any of
/// them. What cannot be read could not be masked: that is an error. Only a file that is not there
/// has no names.
fn names(boards: &Path) -> Result<Vec<(mask::Kind, String)>> {
    let mut names = Vec::new();
    for variable in ["USER", "LOGNAME", "SUDO_USER"] {
        names.extend(std::env::var(variable).ok().map(|name| (mask::Kind::User, name)));
    }
    for (kind, path) in [
        (mask::Kind::Host, "/proc/sys/kernel/hostname"),
        (mask::Kind::Id, "/etc/machine-id"),
    ] {
        let text = bounded::read_text_if_there(Path::new(path), bounded::WRITTEN)?;
        names.extend(text.map(|name| (kind, name.trim().to_string())));
    }
    let files = match std::fs::read_dir(boards) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        files => files.with_context(|| format!("reading names from {}", boards.display()))?,
    };
    for entry in files {
        let path = entry
            .with_context(|| format!("reading names from {}", boards.display()))?
            .path();
        if path.is_file() {
            let bytes = bounded::read(&path, bounded::WRITTEN)?;
            names.extend(mask::names_of_board(&String::from_utf8_lossy(&bytes)));
        }
    }
    Ok(names)
}

/// The run that is meant.
fn find(runs: &Path, wanted: Option<&Path>) -> Result<PathBuf> {
    let is_run = |folder: &Path| folder.join("run.json").is_file();
    let Some(wanted) = wanted else {
        let newest = below(runs)
            .iter()
            .filter_map(|campaign| newest(campaign))
            .max_by(|a, b| by_name(a, b));
        return newest.with_context(|| {
            format!(
                "looking for the last run in {}: there is none yet; `cargo xtask rehearse` makes one",
                runs.display()
            )
        });
    };
    let as_given = [wanted.to_path_buf(), runs.join(wanted)];
    if let Some(folder) = as_given.iter().find(|folder| is_run(folder)) {
        return Ok(folder.clone());
    }
    if let Some(folder) = as_given.iter().find_map(|folder| newest(folder)) {
        return Ok(folder);
    }
    let known: Vec<String> = below(runs)
        .iter()
        .flat_map(|campaign| below(campaign))
        .filter(|folder| is_run(folder))
        .filter_map(|folder| Some(folder.strip_prefix(runs).ok()?.display().to_string()))
        .collect();
    let known = if known.is_empty() {
        "no run at all".into()
    } else {
        known.join(", ")
    };
    bail!(
        "looking for the run {}: no run.json is there; {} has {known}",
        wanted.display(),
        runs.display()
    )
}

/// Folders in a folder, sorted.
fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

/// The last run in a campaign's folder: they are named by their time.
fn newest(campaign: &Path) -> Option<PathBuf> {
    let mut runs = below(campaign);
    runs.retain(|folder| folder.join("run.json").is_file());
    runs.into_iter().max_by(|a, b| by_name(a, b))
}

fn by_name(a: &Path, b: &Path) -> std::cmp::Ordering {
    a.file_name().cmp(&b.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_read_are_an_error_and_not_an_unmasked_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let boards = folder.path().join("boards");
        assert!(names(&boards).is_ok(), "no board file is no name");
        std::fs::write(&boards, "not a folder").unwrap();
        let error = format!("{:#}", names(&boards).unwrap_err());
        assert!(error.contains("reading names from"), "{error}");
        std::fs::remove_file(&boards).unwrap();
        std::fs::create_dir(&boards).unwrap();
        std::fs::write(boards.join("x.toml"), b"# \xff\nhost = \"alice@ampere\"\n").unwrap();
        assert!(
            names(&boards)
                .unwrap()
                .contains(&(mask::Kind::Host, "ampere".into()))
        );
    }
}
