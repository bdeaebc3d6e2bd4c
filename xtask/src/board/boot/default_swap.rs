//! Our label is the default for one boot. The slot's own first user space (`slot-init/`) puts vanilla's back, before any module is loaded.

use super::method::{BootMethod, Guarantee, Target, Way};
use super::situation::Situation;
use crate::board::extlinux::{self, Config};
use crate::board::protected::Protected;
use crate::board::slot_init::{self, RESTORE_FOLDER};
use crate::board::writer::Writer;
use crate::board::{Board, script};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// [`super::Method::DefaultSwap`].
pub(super) struct DefaultSwap;

impl BootMethod for DefaultSwap {
    fn guarantee(&self) -> Guarantee {
        Guarantee {
            promises: &[
                "vanilla is the default again before the board's own init starts, and with it before any module is loaded",
                "everything in extlinux.conf that is not ours stays byte for byte what it was",
            ],
            leaves_open: &[
                "A KERNEL THAT DIES BEFORE ITS FIRST USER SPACE LEAVES OUR LABEL AS THE DEFAULT: the board tries it again at every \
                 reset until a person chooses vanilla at U-Boot's menu",
            ],
        }
    }

    fn refusal(&self, situation: &Situation) -> Option<String> {
        if situation.boot_device.is_none() {
            return Some("the boot folder is on no block device of its own, so the slot cannot write it before anything is mounted".into());
        }
        None
    }

    fn way(&self) -> Way {
        Way::LeaveMenu
    }

    fn arm(&self, target: &Target) -> Result<()> {
        let (board, protected) = (target.board, target.protected);
        let bytes = script::read(board, &protected.extlinux)?.context("extlinux.conf is gone")?;
        let swapped = extlinux::default_once(&Config::parse(&bytes), &target.record.label)?;
        let writer = Writer::new(board, protected);
        // What puts it back is there before there is something to put back.
        let puts = slot_init::restore_files(board, protected, &bytes, &swapped)?;
        writer.put(&PathBuf::from(RESTORE_FOLDER), &puts)?;
        writer.put_extlinux(&swapped)?;
        Ok(())
    }

    fn is_armed(&self) -> Option<String> {
        Some(format!("there {RESTORE_FOLDER}/extlinux.conf"))
    }

    fn disarm(&self, board: &dyn Board, protected: &Protected) -> Result<bool> {
        let folder = PathBuf::from(RESTORE_FOLDER);
        let Some(kept) = script::read(board, &folder.join("extlinux.conf"))? else {
            return Ok(false);
        };
        let armed = script::read(board, &folder.join("armed"))?;
        let now = script::read(board, &protected.extlinux)?;
        let writer = Writer::new(board, protected);
        let swapped = armed.is_some() && armed == now;
        if swapped {
            writer.put_extlinux(&kept)?;
        }
        writer.remove(&[folder])?;
        Ok(swapped)
    }
}
