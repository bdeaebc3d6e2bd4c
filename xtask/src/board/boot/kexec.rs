//! Jumps from vanilla straight into the slot's kernel (kexec_file_load).

use super::method::{BootMethod, Guarantee, Target, Way};
use super::situation::Situation;
use crate::board::protected::Protected;
use crate::board::{Board, script};
use anyhow::{Context, Result, ensure};

/// [`super::Method::Kexec`].
pub(super) struct Kexec;

impl BootMethod for Kexec {
    fn guarantee(&self) -> Guarantee {
        Guarantee {
            promises: &[
                "extlinux.conf and U-Boot play no part: nothing on any file system is changed for the boot",
                "any reset, whatever causes it, boots vanilla",
            ],
            leaves_open: &[
                "the slot runs with the device tree that vanilla runs with, not with its own",
                "the jump skips U-Boot and the reset of the hardware: a device that vanilla left in a bad state stays so",
                "the reboot notifier stops some watchdogs on the way (i6300esb; dw_wdt where it has a reset line): until the new kernel's \
                 driver starts it again, nothing but the host ends a wedge",
            ],
        }
    }

    fn refusal(&self, situation: &Situation) -> Option<String> {
        let kexec = &situation.kexec;
        if !kexec.tool {
            return Some("the board has no `kexec` program (package kexec-tools)".into());
        }
        if !kexec.file_load {
            return Some(
                "vanilla's kernel cannot kexec_file_load (CONFIG_KEXEC_FILE is off): build vanilla with it"
                    .into(),
            );
        }
        if let Some(lock) = &kexec.locked {
            return Some(format!("vanilla's kernel does not allow kexec: {lock}"));
        }
        if let Some(name) = kexec.variables.first() {
            return Some(format!(
                "`${{{name}}}` in the append of vanilla's label is replaced by U-Boot, which kexec passes by: write its value there instead"
            ));
        }
        if situation.ramoops_armed && !situation.ramoops_reserved {
            return Some(
                "the running device tree does not reserve the ramoops region, and kexec hands that tree on: the records would be written \
                 over. Put the region into vanilla's own device tree"
                    .into(),
            );
        }
        None
    }

    fn way(&self) -> Way {
        Way::NoBootloader
    }

    /// Loads the kernel into memory; a reboot forgets it.
    fn arm(&self, target: &Target) -> Result<()> {
        let image = script::word(&target.place.image)?;
        let line = target.command_line.text().with_context(|| {
            let names: Vec<&str> = target.command_line.variables().into_iter().collect();
            format!(
                "the append of label `{}` has variables that only U-Boot knows ({})",
                target.record.label,
                names.join(", ")
            )
        })?;
        let line = crate::board::quote(&line);
        let initrd = match &target.place.initramfs {
            Some(path) => format!("--initrd={}", script::word(path)?),
            None => String::new(),
        };
        let loading = format!(
            "set -eu\nkexec -s -l {image} --command-line={line} {initrd}\ncat /sys/kernel/kexec_loaded\n"
        );
        let said = script::ask(
            target.board,
            "loading the kernel for kexec",
            &loading,
            script::LOOK,
        )?
        .text();
        ensure!(
            said.trim() == "1",
            "kexec -l succeeded, and no kernel is loaded ({said})"
        );
        Ok(())
    }

    fn restart_command(&self) -> &'static str {
        "systemctl kexec || kexec -e"
    }

    fn is_armed(&self) -> Option<String> {
        Some("{ read -r loaded </sys/kernel/kexec_loaded; } 2>/dev/null && [ \"$loaded\" = 1 ]".into())
    }

    fn disarm(&self, board: &dyn Board, _protected: &Protected) -> Result<bool> {
        let unloading =
            "if [ \"$(cat /sys/kernel/kexec_loaded 2>/dev/null)\" = 1 ]; then kexec -s -u; echo was; fi";
        let said = script::ask(board, "unloading the kernel for kexec", unloading, script::LOOK)?.text();
        Ok(said.contains("was"))
    }
}
