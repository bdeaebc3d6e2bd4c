//! `cargo xtask board ramoops`: a place for a ramoops region, and the device-tree overlay that reserves it.

use super::super::Context;
use super::super::open_board::look_answering;
use crate::board::ramoops::{LOOK, Map};
use crate::board::script;
use crate::exit::Outcome;
use crate::host::bounded;
use crate::host::files;
use crate::host::json::json;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// Arguments of `cargo xtask board ramoops`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask board ramoops --board ampere > ramoops.dtso
  cargo xtask board ramoops --board ampere --bdinfo bdinfo.txt --env printenv.txt --out ramoops.dtso

Reads /proc/iomem, the reserved-memory nodes and, where fw_printenv is there, U-Boot's load addresses. What is not known is kept away from by
guess: --bdinfo and --env take what U-Boot's `bdinfo` and `printenv` print. Nothing on the board changes.")]
pub struct Ramoops {
    /// Size of the region in MiB: a power of two
    #[arg(long, value_name = "MIB", default_value_t = 2)]
    size: u64,
    /// Output of U-Boot's `bdinfo`
    #[arg(long, value_name = "FILE")]
    bdinfo: Option<PathBuf>,
    /// Output of U-Boot's `printenv`
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Write the overlay to this file; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Ramoops {
    /// Runs the verb.
    pub(super) fn run(&self, name: &str, context: &Context) -> Result<Outcome> {
        if let Some(out) = &self.out
            && files::is_there(out)?
        {
            bail!("{} is there already, and is not overwritten", out.display());
        }
        let text = |path: &Path| bounded::read_text(path, bounded::WRITTEN);
        let board = look_answering(context, name)?;
        let said = script::ask(&board, "looking at the memory map", LOOK, script::LOOK)?.text();
        let mut map = Map::read(&said)?;
        if let Some(path) = &self.env {
            map.add_environment(&text(path)?);
        }
        if let Some(path) = &self.bdinfo {
            map.add_bdinfo(&text(path)?)
                .with_context(|| format!("reading {}", path.display()))?;
        }
        let proposal = map.propose(self.size.saturating_mul(1 << 20))?;
        if let Some(there) = &map.ramoops {
            context.ui.say(&format!(
                "board `{name}` reserves a region already (reserved-memory/{there}): a second one is of no use"
            ));
        }
        for guess in &proposal.avoided {
            context.ui.say(&format!(
                "kept away from {:#x} to {:#x}: {}",
                guess.range.start, guess.range.end, guess.by
            ));
        }
        context.ui.say(&format!(
            "{:#x}, {} MiB, in {} MiB of free RAM",
            proposal.address,
            self.size,
            proposal.room >> 20
        ));
        let overlay = proposal.overlay();
        context.ui.json(&json!({
            "address": proposal.address, "size": proposal.size, "overlay": overlay, "map": map, "there_already": map.ramoops
        }))?;
        match &self.out {
            Some(out) if !context.global.dry_run => files::write_atomic(out, overlay.as_bytes())?,
            _ => overlay.lines().for_each(|line| context.ui.line(line)),
        }
        context.ui.say(
            "next: merge it into the device tree of vanilla's label (`dtc -I dts -O dtb -o ramoops.dtbo FILE`, then `fdtoverlay -i OLD.dtb -o NEW.dtb \
             ramoops.dtbo`), reboot, and see that a word in /dev/pmsg0 survives: `cargo xtask preflight`. The next deploy takes it over into our \
             slot. A label's `fdtoverlays` does the same only where U-Boot has OF_LIBFDT_OVERLAY: elsewhere it is ignored in silence",
        );
        Ok(Outcome::Success)
    }
}
