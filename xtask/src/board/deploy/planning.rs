//! What a deploy would do, from one look at the board. Nothing here writes to it.

use super::contents::{strangers, wanted};
use super::older::Older;
use super::{Plan, Request, append, beside, ends, initramfs, room};
use crate::board::extlinux::{CommandLine, Config};
use crate::board::inventory::{self, Inventory};
use crate::board::protected::Protected;
use crate::board::script::THERE;
use crate::board::slot::{self, Place, Record, State};
use crate::board::writer::{PACKING, Packing, Put};
use crate::board::{Board, lease, root, script, slot_init};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

/// Looks at the board and says what a deploy would do. Changes nothing. Errors: the release collides (invariant 10), there is not
/// enough space, vanilla's label cannot be followed.
pub fn plan(board: &dyn Board, request: &Request) -> Result<Plan> {
    plan_and_ask(board, request, "").map(|(plan, ..)| plan)
}

/// [`plan`], and in the same round trip what `beside` asks; gives the answer to that, and extlinux.conf.
pub(super) fn plan_and_ask(
    board: &dyn Board,
    request: &Request,
    beside: &str,
) -> Result<(Plan, Vec<u8>, Vec<u8>)> {
    let (manifest, protected) = (request.manifest, request.protected);
    let place = Place::of(protected, &manifest.release)?;
    let config = ends::config_of(manifest)?;
    let built = ends::of_build(&manifest.release, config.as_deref())?;
    let look = Look::at(board, protected, &place, beside)?;
    let known: Vec<&Record> = look.old.iter().chain(&look.kept).collect();
    refuse_collision(board, protected, &place, &manifest.release, &known)?;
    let Look { old, kept, seen, .. } = &look;
    let wanted = wanted(request, &place)?;
    let (module_puts, boot_puts): (Vec<_>, Vec<_>) = wanted
        .iter()
        .filter(|(path, put)| seen.get(path).and_then(|entry| entry.sha256()) != Some(&put.sha256))
        .cloned()
        .partition(|(path, _)| path.starts_with(&place.modules));
    let sent: Vec<&(PathBuf, Put)> = module_puts.iter().chain(&boot_puts).collect();
    let send: Vec<PathBuf> = sent.iter().map(|(path, _)| path.clone()).collect();
    let send_bytes = sent
        .iter()
        .fold(0, |sum: u64, (_, put)| sum.saturating_add(put.size));
    let this = known.iter().find(|record| record.release == manifest.release);
    let initramfs = initramfs::plan(
        board,
        &place,
        seen,
        &wanted,
        initramfs::Kernel::of(config.clone()),
        this.and_then(|record| record.initramfs.as_ref()),
    )?;
    let older = Older::of(protected, old.as_ref(), kept, &manifest.release, request.keep)?;
    let mut remove = strangers(seen, &place, &wanted);
    remove.extend(older.remove);
    beside::leave(&Config::parse(&look.extlinux), protected, &place, &remove)?;
    room::check(&look.room, protected, &place, &module_puts, &boot_puts)?;
    let whole = old.as_ref().is_some_and(|old| {
        old.state == State::Whole
            && old.release == manifest.release
            && inventory::other_content(&old.inventory, seen).is_empty()
    });
    let plan = Plan {
        label: protected.test_label.clone(),
        release: manifest.release.clone(),
        append: append(
            &protected.append,
            request.nonce.as_str(),
            &last_words(board, request, &place, config.as_deref())?,
        ),
        unchanged: wanted.len().saturating_sub(send.len()),
        packing: look.packing,
        run_depmod: !(whole && module_puts.is_empty() && remove.is_empty()),
        module_puts: module_puts.into_iter().map(|(_, put)| put).collect(),
        boot_puts: boot_puts.into_iter().map(|(_, put)| put).collect(),
        sequence: older.sequence,
        keep: older.keep,
        initramfs: initramfs.why,
        tool: initramfs.tool,
        known_initramfs: initramfs.known,
        kernel: initramfs.kernel,
        ends: built,
        old: look.old.filter(|old| old.release != manifest.release),
        place,
        send,
        send_bytes,
        remove,
    };
    Ok((plan, look.beside, look.extlinux))
}

/// What one round trip says of a board before a deploy.
struct Look {
    /// The record of the slot that has our label.
    old: Option<Record>,
    /// Those of older slots, without a label.
    kept: Vec<Record>,
    /// What lies where the slot goes.
    seen: Inventory,
    extlinux: Vec<u8>,
    /// [`room::looking`]'s answer.
    room: String,
    packing: Packing,
    /// The answer to what the caller asks.
    beside: Vec<u8>,
}

impl Look {
    /// Errors: what is written would not last; a record is not one; extlinux.conf is gone.
    fn at(board: &dyn Board, protected: &Protected, place: &Place, beside: &str) -> Result<Self> {
        let scripts = [
            root::LOOKING.to_string(),
            script::reading(&slot::record_path(protected))?,
            slot::looking_for_kept(protected)?,
            inventory::listing_of(&place.roots())?,
            script::reading(&protected.extlinux)?,
            room::looking(place)?,
            PACKING.to_string(),
            beside.to_string(),
        ];
        let doing = "looking at the board before a deploy";
        let [cmdline, record, kept, listed, extlinux, room, packing, beside] =
            script::ask_all(board, doing, scripts.each_ref().map(String::as_str), script::WORK)?;
        root::lasts(board, "deploying", &String::from_utf8_lossy(&cmdline))?;
        Ok(Look {
            old: slot::parse(protected, script::content(&record))?,
            kept: slot::parse_kept(protected, &kept),
            seen: inventory::parse(&listed, &place.roots())?,
            extlinux: script::content(&extlinux).context("extlinux.conf is gone")?,
            room: String::from_utf8_lossy(&room).into_owned(),
            packing: Packing::read(&String::from_utf8_lossy(&packing)),
            beside,
        })
    }
}

/// Invariant 10: the slot's release is no release that vanilla, or anybody else, has.
fn refuse_collision(
    board: &dyn Board,
    protected: &Protected,
    place: &Place,
    release: &str,
    known: &[&Record],
) -> Result<()> {
    ensure!(
        !release.eq_ignore_ascii_case(&protected.release),
        "the build has vanilla's own release `{release}`: its modules would overwrite the working ones; set \
         CONFIG_LOCALVERSION and build again"
    );
    let mut targets = place.roots();
    targets.push(slot::record_path(protected));
    for path in &targets {
        if let Some(reason) = protected.refuses(path) {
            bail!(
                "the slot of release `{release}` would write {}: {reason}",
                path.display()
            );
        }
    }
    if known.iter().any(|record| record.release == release) {
        return Ok(());
    }
    let looking = format!(
        "{THERE}for path in {}; do if there \"$path\"; then printf '%s\\n' \"$path\"; fi; done",
        script::words(place.roots().iter().map(PathBuf::as_path))?
    );
    let there = script::ask(board, "looking for files of this release", &looking, script::LOOK)?.text();
    ensure!(
        there.is_empty(),
        "release `{release}` is already on the board and was not put there by a deploy of label `{}`: {}; set \
         CONFIG_LOCALVERSION to another name and build again",
        protected.test_label,
        there.replace('\n', ", ")
    );
    Ok(())
}

/// What ends the command line: the lease, what the build's profile wants, and what the request asks for.
fn last_words(
    board: &dyn Board,
    request: &Request,
    place: &Place,
    config: Option<&str>,
) -> Result<Vec<String>> {
    let lease = lease::first(board.description());
    let mut words = match &request.init {
        Some(_) => {
            let vanilla = CommandLine::of(&request.protected.append).known_words().join(" ");
            slot_init::words(&slot_init::path(place), lease, &vanilla)
        }
        None => Vec::new(),
    };
    let root = root::word(board.description().root, request.init.is_some(), config)?;
    words.extend(root.map(str::to_string));
    let wanted = request.manifest.append.iter().chain(&request.extra_append);
    words.extend(wanted.cloned());
    Ok(words)
}
