//! What a deploy writes beside the slot's files: the slot's record and our label.

use super::super::extlinux::Block;
use super::super::inventory::Inventory;
use super::super::slot::{self, Initramfs, Record, State};
use super::super::writer::{Put, Sent, Source, Writer};
use super::contents::file_name;
use super::{Plan, Request};
use crate::host::files::sha256;
use anyhow::{Context, Result};
use std::path::Path;

/// Our label, as the plan has it.
pub(super) fn block(plan: &Plan) -> Block {
    Block {
        name: plan.label.clone(),
        menu_label: Some(format!("{} (Lockstep: {})", plan.label, plan.release)),
        kernel: plan.place.uboot_kernel.clone(),
        fdt: plan.place.uboot_fdt.clone(),
        initrd: plan.place.uboot_initrd.clone(),
        append: plan.append.clone(),
    }
}

/// The slot's record: what is claimed while files change ([`State::Incomplete`]), and what is there when all of it verified.
pub(super) fn record(
    request: &Request,
    plan: &Plan,
    state: State,
    inventory: Inventory,
    initramfs: Option<Initramfs>,
) -> Record {
    Record {
        schema_version: slot::SCHEMA_VERSION,
        label: request.protected.test_label.clone(),
        release: request.manifest.release.clone(),
        build_id: request.manifest.build_id.clone(),
        commit: request.manifest.commit.clone(),
        nonce: request.nonce.as_str().to_string(),
        state,
        inventory,
        sequence: plan.sequence,
        initramfs,
    }
}

/// A record as a file at an absolute path.
pub(super) fn record_file(path: &Path, record: &Record) -> Result<Put> {
    let bytes = serde_json::to_vec_pretty(record).context("writing the slot's record")?;
    Ok(Put {
        target: path.to_path_buf(),
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        source: Source::Bytes(bytes),
        mode: 0o644,
        keep: None,
    })
}

/// Writes a record alone.
pub(super) fn put_record(writer: &Writer, path: &Path, record: &Record) -> Result<Sent> {
    let folder = path.parent().context("the slot's record has no folder")?;
    let file = Put {
        target: file_name(path)?,
        ..record_file(path, record)?
    };
    writer.put(folder, &[file])
}
