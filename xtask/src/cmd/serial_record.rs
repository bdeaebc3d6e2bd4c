//! `cargo xtask serial-record`: this program as the recorder of a serial line. Started by whatever uses a board; nobody types it.

use super::Context;
use crate::board::boot::LineGuard;
use crate::board::virt::Serial;
use crate::capture::line::Way;
use crate::capture::recorder::{self, Job};
use crate::capture::source::Source;
use crate::exit::Outcome;
use crate::host::identity::Identity;
use anyhow::Result;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Arguments of `cargo xtask serial-record`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask serial-record --folder /tmp/line --source '{\"tcp\":\"10.0.0.7:2001\"}'"
)]
pub struct SerialRecord {
    /// Where log, index and control socket are
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// What is read, as JSON
    #[arg(long, value_name = "JSON", value_parser = json::<Source>)]
    source: Source,
    /// End when this process has ended, as JSON
    #[arg(long, value_name = "JSON", value_parser = json::<Identity>)]
    until: Option<Identity>,
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

impl SerialRecord {
    /// Records until it is asked to stop.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        if context.global.dry_run {
            context.ui.line(&format!(
                "record {} in {}",
                self.source.name(),
                self.folder.display()
            ));
            return Ok(Outcome::Success);
        }
        // A log that QEMU writes lies in the folder of its board.
        let way = match &self.source {
            Source::File(log) => log
                .parent()
                .map(|board| Box::new(Serial::new(board)) as Box<dyn Way>),
            _ => None,
        };
        recorder::run(Job {
            folder: self.folder.clone(),
            source: self.source.clone(),
            guard: Box::new(LineGuard::default()),
            way,
            until: self.until.clone(),
        })?;
        Ok(Outcome::Success)
    }
}
