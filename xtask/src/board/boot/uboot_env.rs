//! A variable of U-Boot's that it consumes before it starts the kernel.
//!
//! The board's `bootcmd` has to begin with [`HOOK`]: it moves the variable's value to `pxe_label_override` (U-Boot v2022.04), which beats
//! `default` for this boot only, and stores the environment without the variable first. Where storing fails it boots vanilla.

use super::method::{BootMethod, Guarantee, Target, Way};
use super::situation::Situation;
use crate::board::protected::Protected;
use crate::board::{Board, quote, script};
use anyhow::{Result, ensure};

/// Name of the variable that holds the label.
const VARIABLE: &str = "lockstep_once";
/// What `bootcmd` has to begin with.
pub const HOOK: &str = "if test -n \"${lockstep_once}\"; then setenv lockstep_now \"${lockstep_once}\"; setenv lockstep_once; if saveenv; \
                        then setenv pxe_label_override \"${lockstep_now}\"; fi; fi; ";

/// [`super::Method::UbootEnv`].
pub(super) struct UbootEnv;

impl BootMethod for UbootEnv {
    fn guarantee(&self) -> Guarantee {
        Guarantee {
            promises: &[
                "U-Boot takes the variable away, and stores that, before it looks for a kernel: the next reset boots vanilla",
                "where it cannot store its environment it boots vanilla",
            ],
            leaves_open: &[
                "each test boot writes the environment's flash twice",
                "a power cut while it is written loses the environment: a second copy, or defaults that were seen to boot vanilla, are needed",
            ],
        }
    }

    fn refusal(&self, situation: &Situation) -> Option<String> {
        let environment = &situation.environment;
        if let Some(problem) = &environment.problem {
            return Some(format!(
                "U-Boot's environment cannot be read from the board: {problem}"
            ));
        }
        if !environment.hooked {
            return Some(format!(
                "`bootcmd` does not begin with what consumes `{VARIABLE}`: {HOOK}"
            ));
        }
        if let Some(sticky) = &environment.sticky_label {
            return Some(format!(
                "`pxe_label_override` is stored as `{sticky}`: it would beat vanilla at every boot"
            ));
        }
        if environment.copies < 2 && !environment.defaults_proven {
            return Some(
                "there is one copy of the environment, and nobody has seen U-Boot's built-in defaults boot vanilla (say so in the board's \
                 description, `environment-defaults-boot-vanilla`, when it was tried)"
                    .into(),
            );
        }
        None
    }

    fn way(&self) -> Way {
        Way::LeaveMenu
    }

    fn arm(&self, target: &Target) -> Result<()> {
        let label = quote(&target.record.label);
        let setting = format!("set -eu\nfw_setenv {VARIABLE} {label}\nsync\nfw_printenv -n {VARIABLE}\n");
        let said = script::ask(
            target.board,
            "setting U-Boot's one-shot variable",
            &setting,
            script::LOOK,
        )?
        .text();
        ensure!(
            said.trim() == target.record.label,
            "U-Boot's variable {VARIABLE} reads back as `{}`, not as `{}`",
            said.trim(),
            target.record.label
        );
        Ok(())
    }

    fn is_armed(&self) -> Option<String> {
        Some(format!(
            "command -v fw_printenv >/dev/null && [ -n \"$(fw_printenv -n {VARIABLE} 2>/dev/null)\" ]"
        ))
    }

    fn disarm(&self, board: &dyn Board, _protected: &Protected) -> Result<bool> {
        let clearing = format!(
            "if command -v fw_printenv >/dev/null && [ -n \"$(fw_printenv -n {VARIABLE} 2>/dev/null)\" ]; then fw_setenv {VARIABLE}; sync; echo was; fi"
        );
        let said = script::ask(
            board,
            "clearing U-Boot's one-shot variable",
            &clearing,
            script::LOOK,
        )?
        .text();
        Ok(said.contains("was"))
    }
}
