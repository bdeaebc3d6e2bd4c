//! Which step of which run a captured file is of, and what that step booted.

use super::journal::{self, Event, read};
use super::record::RunRecord;
use crate::host::bounded;
use crate::kernel::symbolise::Expected;
use crate::manifest::Manifest;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStep {
    /// Number of its row.
    pub id: String,
    /// Build ids of what it booted.
    pub expected: Expected,
    /// The commit that was built, full hex, where the run kept what it built.
    pub built: Option<String>,
    /// The commit that its patch became, full hex; none for a row without a patch.
    pub patch: Option<String>,
}

impl RunStep {
    /// The step whose evidence `log` is, of the run in the folder `run`; both absolute. Errors: it is none of that run's evidence, the
    /// run's journal cannot be read or tells of no boot of the step.
    pub fn of(run: &Path, log: &Path) -> Result<Self> {
        let inside = log.strip_prefix(run.join("evidence")).ok();
        let id = inside
            .and_then(|inside| inside.iter().next()?.to_str())
            .with_context(|| {
                format!(
                    "looking for the step of {}: a log of the run {} lies in its folder evidence/STEP",
                    log.display(),
                    run.display()
                )
            })?;
        let path = run.join(journal::FILE);
        let doing = || format!("reading the journal {}", path.display());
        let bytes = bounded::read(&path, bounded::RECORD).with_context(doing)?;
        let mut kernel = None;
        read::each(&path.display().to_string(), &bytes, |line| {
            if line.event == Event::Intent && line.step == id && line.action == "deploy" {
                let deployed = line.detail.get("build-id").and_then(Value::as_str);
                kernel = deployed.map(String::from).or(kernel.take());
            }
            Ok(())
        })?;
        let kernel = kernel.with_context(|| {
            format!(
                "{} tells of nothing that step {id} would have booted",
                path.display()
            )
        })?;
        let kernel = kernel.as_str();
        let manifest = kept(run, id, kernel);
        let expected = manifest.as_ref().map_or_else(
            || Expected {
                kernel: Some(kernel.to_string()),
                ..Expected::default()
            },
            Expected::of,
        );
        let patch = RunRecord::load(run).ok().and_then(|record| {
            let row = record.rows.into_iter().find(|row| row.id == id)?;
            Some(row.patch?.commit)
        });
        Ok(RunStep {
            id: id.to_string(),
            expected,
            built: manifest.map(|manifest| manifest.commit),
            patch,
        })
    }
}

/// What the run kept of a build with this kernel: the step's own, or that of the row that was built for it.
fn kept(run: &Path, id: &str, kernel: &str) -> Option<Manifest> {
    let read = |path: &Path| -> Option<Manifest> {
        let manifest = Manifest::parse(&bounded::read(path, bounded::RECORD).ok()?).ok()?;
        (manifest.build_id == kernel).then_some(manifest)
    };
    let folder = run.join("kept");
    read(&folder.join(format!("manifest-{id}.json"))).or_else(|| {
        let entries = walkdir::WalkDir::new(&folder).max_depth(1).sort_by_file_name();
        let mut entries = entries.into_iter().filter_map(Result::ok);
        entries.find_map(|entry| read(entry.path()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::SCHEMA_VERSION;
    use serde_json::json;

    #[test]
    fn a_log_is_of_the_step_whose_folder_it_is_in() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        let line = |step: &str, action: &str, detail: serde_json::Value| {
            format!(
                "{}\n",
                json!({ "schema_version": 2, "time": "2026-11-22T10:00:00Z", "event": "intent", "step": step, "action": action, "detail": detail })
            )
        };
        let journal = [
            line("1.2", "deploy", json!({ "build-id": "aa" })),
            line("2.1", "deploy", json!({ "build-id": "bb" })),
            // The next step's build does not count: it is not what booted.
            line("2.2", "build", json!({ "build-id": "cc" })),
        ];
        std::fs::write(run.join(journal::FILE), journal.concat()).unwrap();
        std::fs::create_dir(run.join("kept")).unwrap();
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            release: "7.3.4-lockdep".into(),
            build_id: "aa".into(),
            profile: "lockdep".into(),
            append: Vec::new(),
            commit: "c0ffee".into(),
            root: "/stage".into(),
            files: Vec::new(),
        };
        let name = run.join("kept/manifest-1.1.json");
        std::fs::write(name, serde_json::to_vec(&manifest).unwrap()).unwrap();
        let step = |log: &str| RunStep::of(run, &run.join(log));
        let base = step("evidence/1.2/kmsg.log").unwrap();
        assert_eq!(base.expected.kernel.as_deref(), Some("aa"));
        assert_eq!((base.built.as_deref(), base.patch), (Some("c0ffee"), None));
        let first = step("evidence/2.1/3/serial.log").unwrap();
        assert_eq!((first.id.as_str(), first.built), ("2.1", None));
        assert_eq!(first.expected.kernel.as_deref(), Some("bb"));
        let error = |log: &str| format!("{:#}", step(log).unwrap_err());
        assert!(error("evidence/2.2/kmsg.log").contains("nothing that step 2.2 would have booted"));
        assert!(error("kmsg.log").contains("lies in its folder evidence/STEP"));
    }
}
