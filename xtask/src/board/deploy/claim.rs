//! What a deploy does before it changes a slot: our label goes, and the slot's record says which files are ours from now on.

use super::super::extlinux::{self, Config};
use super::super::inventory::Inventory;
use super::super::protected::Protected;
use super::super::slot::{self, Initramfs, State};
use super::super::writer::{Order, Sent, Writer};
use super::record::{put_record, record, record_file};
use super::{Plan, Request};
use anyhow::Result;

/// Takes our label out of `config`, which was read just now, writes down an older slot that is kept, and claims this one. The claim comes before the
/// files (invariant 11's way of thinking): without it they would be strangers. Dying half-way it leaves no label, and an older claim or this one.
pub(super) fn claim(
    writer: &Writer,
    request: &Request,
    plan: &Plan,
    config: &Config,
    initramfs: Option<Initramfs>,
) -> Result<Sent> {
    let protected = request.protected;
    let path = slot::record_path(protected);
    let claim = record(request, plan, State::Incomplete, Inventory::new(), initramfs);
    let kept = plan.old.as_ref().filter(|old| plan.keep.contains(&old.release));
    let without = extlinux::remove(config, &protected.test_label)?.bytes;
    if kept.is_none() && without != config.bytes() {
        let claim = record_file(&path, &claim)?;
        return writer.put_extlinux_and(&without, claim, Order::ExtlinuxFirst);
    }
    let mut sent = take_out(writer, protected, config)?;
    if let Some(old) = kept {
        sent.add(put_record(
            writer,
            &slot::kept_path(protected, &old.release),
            old,
        )?);
    }
    sent.add(put_record(writer, &path, &claim)?);
    Ok(sent)
}

/// `deploy::withdraw` where `config` was read just now.
pub(super) fn take_out(writer: &Writer, protected: &Protected, config: &Config) -> Result<Sent> {
    let without = extlinux::remove(config, &protected.test_label)?;
    if without.bytes == config.bytes() {
        return Ok(Sent::default());
    }
    writer.put_extlinux(&without.bytes)
}
