//! `cargo xtask baseline`: what the debug kernel says without the patches, and what a person accepted beside it.

use super::Context;
use super::logs::findings;
use crate::board::name::Name;
use crate::campaign::known::{path_of, read};
use crate::exit::Outcome;
use crate::host::files;
use anyhow::{Context as _, Result, anyhow, bail};
use kernel_log::baseline::Signature;
use kernel_log::baseline_file::{self, BaselineFile, Boot, Conditions, Person, Recorded, Row};
use kernel_log::finding::Finding;
use kernel_log::kind::Severity;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask baseline`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A baseline counts only for the boot method, the tests and the length of soak with which it was made. It is kept in
.lockstep/baselines/<campaign>/<board>.json. What switches lockdep off is never accepted: nothing after it is checked.

Examples:
  cargo xtask baseline show
  cargo xtask baseline record boot1.log --boot-method menu --test play --soak 600
  cargo xtask baseline accept 3f9a01c2 --in after-0005.log --why \"a race of the clock driver, in mainline, too\" --by \"Ann Other\"")]
pub struct Baseline {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell what is known, how often it came, and who accepted what
    Show(Show),
    /// Add logs of the debug kernel without the patches, one for each boot
    Record(Record),
    /// Take a finding for harmless, by name and with a reason
    Accept(Accept),
}

/// Which file.
#[derive(Debug, clap::Args)]
struct Whose {
    /// Campaign, by name
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    campaign: Name,
    /// Board, by name
    #[arg(long, value_name = "NAME", default_value = "virtual")]
    board: Name,
}

/// Under what the board was watched.
#[derive(Debug, clap::Args)]
struct Under {
    /// How the kernel was started
    #[arg(long, value_name = "NAME")]
    boot_method: Option<String>,
    /// A smoke test that ran; several times for several
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,
    /// Length of the soak, in seconds
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, clap::Args)]
struct Record {
    /// Kernel logs, one for each boot
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Release of the kernel that said it
    #[arg(long, value_name = "RELEASE", default_value = "")]
    release: String,
    #[command(flatten)]
    under: Under,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, clap::Args)]
struct Accept {
    /// The finding, as `cargo xtask logs` shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Why it may be
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Kernel logs in which it stands [default: those of the campaign's last run]
    #[arg(long = "in", value_name = "LOG")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    under: Under,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Answer<'a> {
    #[serde(serialize_with = "crate::host::json::named")]
    file: &'a Path,
    campaign: &'a str,
    board: &'a str,
    baselines: Vec<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown<'a> {
    conditions: &'a Conditions,
    boots: Vec<&'a str>,
    findings: Vec<Row>,
    accepted: &'a [baseline_file::Acceptance],
}

impl Baseline {
    /// Runs the verb. `record` and `accept` write the file, whole or not at all.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match &self.action {
            Action::Show(show) => {
                let path = show.whose.path(context)?;
                let file = read(&path)?.ok_or_else(|| {
                    anyhow!(
                        "showing the baseline of {} on {}: there is none; a campaign records one with its first boots, and so does \
                         `cargo xtask baseline record LOG`",
                        show.whose.campaign,
                        show.whose.board
                    )
                })?;
                tell(context, &path, &file)
            }
            Action::Record(record) => record.run(context),
            Action::Accept(accept) => accept.run(context),
        }
    }
}

impl Record {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let path = self.whose.path(context)?;
        let mut file =
            read(&path)?.unwrap_or_else(|| BaselineFile::new(&self.whose.campaign, &self.whose.board));
        let conditions = self.under.conditions(&file)?;
        for log in &self.logs {
            file.record(
                &conditions,
                Boot {
                    id: log.display().to_string(),
                    release: self.release.clone(),
                    when: now(),
                    findings: findings(log)?,
                },
            );
        }
        save(context, &path, &file)?;
        tell(context, &path, &file)
    }
}

impl Accept {
    fn run(&self, context: &Context) -> Result<Outcome> {
        let path = self.whose.path(context)?;
        let mut file =
            read(&path)?.unwrap_or_else(|| BaselineFile::new(&self.whose.campaign, &self.whose.board));
        let conditions = self.under.conditions(&file)?;
        let finding = self.find(context)?;
        let person = Person {
            why: &self.why,
            by: &self.by,
            when: &now(),
        };
        file.accept(&conditions, &finding, person)
            .map_err(|refusal| anyhow!("accepting {} ({}): {refusal}", self.id, finding.title))?;
        save(context, &path, &file)?;
        context.ui.line(&format!(
            "accepted for {conditions}: {} [{}]",
            finding.title,
            finding.kind.name()
        ));
        tell(context, &path, &file)
    }

    /// The finding of this id. One that switches lockdep off is taken before one that does not.
    fn find(&self, context: &Context) -> Result<Finding> {
        let logs = if self.logs.is_empty() {
            last_run(&context.folders.state.join("runs").join(&self.whose.campaign))?
        } else {
            self.logs.clone()
        };
        let mut seen = Vec::new();
        for log in &logs {
            seen.extend(findings(log)?);
        }
        let mut found: Vec<Finding> = seen
            .iter()
            .filter(|finding| baseline_file::id(&Signature::of(finding)) == self.id)
            .cloned()
            .collect();
        found.sort_by_key(|finding| std::cmp::Reverse(finding.lockdep_off));
        found.into_iter().next().ok_or_else(|| {
            let mut known: Vec<String> = seen
                .iter()
                .map(|finding| {
                    format!(
                        "{} ({})",
                        baseline_file::id(&Signature::of(finding)),
                        finding.title
                    )
                })
                .collect();
            known.dedup();
            known.truncate(8);
            anyhow!(
                "accepting {}: no such finding in {} logs; there are: {}",
                self.id,
                logs.len(),
                if known.is_empty() {
                    "none".into()
                } else {
                    known.join(", ")
                }
            )
        })
    }
}

impl Whose {
    fn path(&self, context: &Context) -> Result<PathBuf> {
        Ok(path_of(&context.folders.state, &self.campaign, &self.board))
    }
}

impl Under {
    /// What was asked for; where nothing was, the only one that the file has.
    fn conditions(&self, file: &BaselineFile) -> Result<Conditions> {
        if let (Some(method), Some(soak)) = (&self.boot_method, self.soak) {
            return Ok(Conditions::new(method, &self.tests, soak));
        }
        if self.boot_method.is_some() || self.soak.is_some() || !self.tests.is_empty() {
            bail!(
                "conditions are told whole: `--boot-method NAME --soak SECONDS`, and `--test NAME` for each test that ran"
            );
        }
        match file.baselines.as_slice() {
            [only] => Ok(only.conditions.clone()),
            several => bail!(
                "{} baselines of {} on {}: say which one with `--boot-method NAME --test NAME --soak SECONDS`{}",
                if several.is_empty() {
                    "there are no"
                } else {
                    "there are several"
                },
                file.campaign,
                file.board,
                several
                    .iter()
                    .map(|recorded| format!("\n  {}", recorded.conditions))
                    .collect::<String>()
            ),
        }
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn save(context: &Context, path: &Path, file: &BaselineFile) -> Result<()> {
    if context.global.dry_run {
        context.ui.line(&format!("would write {}", path.display()));
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    files::write_atomic(path, &file.bytes())
}

/// The logs of the newest run of a campaign.
fn last_run(runs: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(runs)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    let Some(newest) = folders.pop() else {
        bail!(
            "looking for the last run in {}: there is none; name the logs with `--in LOG`",
            runs.display()
        );
    };
    let is_log = |path: &Path| {
        let kind = path
            .extension()
            .and_then(|kind| kind.to_str())
            .unwrap_or_default();
        !matches!(kind, "json" | "jsonl" | "md" | "html" | "svg" | "toml")
    };
    Ok(walkdir::WalkDir::new(&newest)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && is_log(entry.path()))
        .map(|entry| entry.path().to_path_buf())
        .collect())
}

fn tell(context: &Context, path: &Path, file: &BaselineFile) -> Result<Outcome> {
    let ui = context.ui;
    for recorded in &file.baselines {
        ui.line(&format!(
            "{} on {}: {}, {} boots",
            file.campaign,
            file.board,
            recorded.conditions,
            recorded.boots.len()
        ));
        tell_rows(context, recorded);
    }
    ui.line("next: cargo xtask bisect-apply, or accept another: cargo xtask baseline accept ID --why TEXT --by NAME");
    ui.json(&Answer {
        file: path,
        campaign: &file.campaign,
        board: &file.board,
        baselines: file
            .baselines
            .iter()
            .map(|recorded| Shown {
                conditions: &recorded.conditions,
                boots: recorded.boots.iter().map(|boot| boot.id.as_str()).collect(),
                findings: recorded.table(),
                accepted: &recorded.accepted,
            })
            .collect(),
    })?;
    Ok(Outcome::Success)
}

fn tell_rows(context: &Context, recorded: &Recorded) {
    for row in recorded.table() {
        let severity = match row.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let off = if row.lockdep_off {
            "; switches lockdep off: new whenever it comes"
        } else {
            ""
        };
        context.ui.line(&format!(
            "  {} {severity}: {} [{}], in {} of {} boots, {} times in the loudest{off}",
            row.id,
            row.signature.title,
            row.signature.kind.name(),
            row.boots,
            recorded.boots.len(),
            row.loudest
        ));
    }
    for accepted in &recorded.accepted {
        context.ui.line(&format!(
            "  {} accepted by {} on {}: {} [{}]: {}",
            accepted.id,
            accepted.by,
            accepted.when,
            accepted.signature.title,
            accepted.signature.kind.name(),
            accepted.why
        ));
    }
}
