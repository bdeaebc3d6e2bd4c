//! What is known of each patch of a series.

use super::Context;
use crate::kernel::patch::Patch;
use crate::kernel::review::{self, State};
use crate::kernel::series::scope::{self, Scope};
use crate::kernel::series::{Series, needs};
use crate::kernel::tree::Stack;
use crate::ui;
use anyhow::Result;
use serde::Serialize;
use std::path::Path;

/// One patch.
#[derive(Serialize)]
pub(super) struct Overview {
    number: Option<u32>,
    #[serde(skip)]
    pub short: String,
    name: String,
    file: String,
    pub subject: String,
    author: String,
    /// RFC 3339; absent where the mail has no date.
    date: Option<String>,
    pub sha256: String,
    patch_id: String,
    /// The commit that is this patch by content; absent where it is not applied.
    pub applied: Option<String>,
    /// Kconfig symbols that it adds.
    kconfig: Vec<String>,
    /// Kconfig symbols of others that its lines depend on, select or ask for.
    kconfig_uses: Vec<String>,
    #[serde(rename = "rebuilds")]
    pub scope: Scope,
    pub review: State,
    /// `Reviewed-by:` of its message: shown, and no approval.
    reviewed_by: Vec<String>,
    /// Earlier patches of the series that it uses something of: name and what.
    uses: Vec<(String, Vec<String>)>,
    /// Number, and the line of what checkpatch found, if it has looked at this content.
    checkpatch: Option<String>,
    files: Vec<String>,
}

/// Looks at each patch; `stack` is where the tree's Makefiles and commits are read.
pub(super) fn of(series: &Series, stack: Option<&Stack>) -> Result<Vec<Overview>> {
    let applied = match stack {
        Some(stack) => stack.applied(series)?,
        None => vec![None; series.patches.len()],
    };
    let files = stack.map(Stack::files).transpose()?;
    let read = |path: &Path| files.as_ref().and_then(|files| files(path));
    let names: Vec<needs::Names> = series.patches.iter().map(needs::Names::of).collect();
    let mut rows = Vec::new();
    for (at, (patch, applied)) in series.patches.iter().zip(applied).enumerate() {
        let file = &series.paths[at];
        let uses = series.patches[..at]
            .iter()
            .zip(&names)
            .map(|(earlier, defines)| (earlier.short_name(), names[at].needed_of(defines)))
            .filter(|(_, names)| !names.is_empty());
        rows.push(Overview {
            number: patch.number,
            short: patch.short_name(),
            name: patch.name.clone(),
            file: ui::path_name(file),
            subject: patch.subject.clone(),
            author: format!("{} <{}>", patch.author, patch.email),
            date: date(patch),
            sha256: patch.sha256.clone(),
            patch_id: patch.patch_id(),
            applied,
            kconfig: needs::new_symbols(patch),
            kconfig_uses: needs::used_symbols(patch),
            scope: scope::of(patch, read),
            review: review::state(patch, &review::read(file)?),
            reviewed_by: patch
                .trailers("Reviewed-by")
                .into_iter()
                .map(String::from)
                .collect(),
            uses: uses.collect(),
            checkpatch: super::check::last_result(file, patch),
            files: patch.touched_files().into_iter().map(ui::path_name).collect(),
        });
    }
    Ok(rows)
}

fn date(patch: &Patch) -> Option<String> {
    let date = patch.date?;
    let offset = jiff::tz::Offset::from_seconds(date.offset_minutes.checked_mul(60)?).ok()?;
    let time = jiff::Timestamp::from_second(date.seconds).ok()?;
    Some(
        time.to_zoned(offset.to_time_zone())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string(),
    )
}

impl Overview {
    /// Prints all of it.
    pub(super) fn tell(&self, context: &Context) {
        let line = |key: &str, value: &str| {
            if !value.is_empty() {
                context.ui.line(&format!("  {key:<12} {value}"));
            }
        };
        context.ui.line(&format!("{}  {}", self.short, self.subject));
        line("file", &self.file);
        line("author", &self.author);
        line("date", self.date.as_deref().unwrap_or_default());
        line("applied", self.applied.as_deref().unwrap_or("no"));
        line("review", &self.review.sentence());
        line("reviewed-by", &self.reviewed_by.join(", "));
        line("checkpatch", self.checkpatch.as_deref().unwrap_or_default());
        line("kconfig", &self.kconfig.join(", "));
        line("needs config", &self.kconfig_uses.join(", "));
        line("rebuilds", &self.rebuilds());
        for (earlier, names) in &self.uses {
            line("uses", &format!("{} of {earlier}", names.join(", ")));
        }
        line("patch-id", &self.patch_id);
        line("sha256", &self.sha256);
        for file in &self.files {
            line("changes", file);
        }
    }

    fn rebuilds(&self) -> String {
        let mut parts = Vec::new();
        if self.scope.kernel {
            parts.push("kernel: a header or a built-in file, and whatever uses it".to_string());
        }
        for (module, symbol) in &self.scope.modules {
            parts.push(format!("{module} ({symbol})"));
        }
        parts.extend(
            self.scope
                .folders
                .iter()
                .map(|folder| format!("something in {folder}/")),
        );
        if self.scope.configuration {
            parts.push("the configuration".into());
        }
        if self.scope.device_trees {
            parts.push("device trees".into());
        }
        if parts.is_empty() {
            "nothing".into()
        } else {
            parts.join(", ")
        }
    }
}
