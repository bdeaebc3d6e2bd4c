//! What firmware prints on the same line before a kernel runs: TF-A, OP-TEE, U-Boot, coreboot, EDK2, vendors' loaders. None of it is the
//! kernel's.

use serde::Serialize;

/// Words with which a line of firmware begins, whatever stands after them: each says that a loader (and no kernel) runs now.
const BEGINS: &[&str] = &[
    "U-Boot SPL ",
    "U-Boot TPL ",
    "U-Boot 20",
    "NOTICE:  BL1:",
    "NOTICE:  BL2:",
    "NOTICE:  BL31:",
    "NOTICE:  Booting Trusted Firmware",
    "INFO:    BL31:",
    "INFO:    BL2:",
    "I/TC: ",
    "D/TC:",
    "coreboot-",
    "barebox 20",
    "UEFI firmware (version",
    "DDR Version ",
    "RPi: BOOTSYS",
    "OpenSBI v",
    "GXL:BL",
    "G12A:BL",
    "Hit any key to stop autoboot",
];

/// Words with which firmware hands over to a kernel that has not printed anything yet.
const HANDS_OVER: &[&str] = &[
    "Booting Linux on physical CPU",
    "Linux version ",
    "Starting kernel ...",
    "Uncompressing Linux",
    "Jumping to kernel",
];

/// Whether a line says that firmware runs.
pub(super) fn begins(text: &str) -> bool {
    let text = text.trim_start();
    BEGINS.iter().any(|words| text.starts_with(words))
}

/// Whether a line says that a kernel begins or is about to.
pub(super) fn hands_over(text: &str) -> bool {
    let text = text.trim_start();
    HANDS_OVER.iter().any(|words| text.starts_with(words))
}

/// An error that firmware reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FirmwareError {
    /// The line.
    pub text: String,
    /// Line in the source, from 1.
    pub line: usize,
    /// Before which boot of the log, from 0.
    pub boot: u32,
}

/// How bad a line of firmware is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// It reports an error and goes on.
    Error,
    /// It crashed: U-Boot's exception handlers (arch/arm/lib/interrupts_64.c, arch/arm/lib/interrupts.c, arch/riscv/lib/interrupts.c), TF-A's
    /// (`bl31/aarch64/crash_reporting.S`, `plat_panic_handler`), OP-TEE's (`core/arch/arm/kernel/abort.c`).
    Crash,
}

const CRASHES: &[&str] = &[
    "\"Synchronous Abort\" handler",
    "\"Error\" handler",
    "\"Irq\" handler",
    "Unhandled Exception in EL3",
    "Unhandled Exception from EL",
    "PANIC in EL3",
    "PANIC at PC :",
    "BACKTRACE: START: ",
    "Unhandled exception: ",
    "Panic at ",
];

/// Of 32-bit Arm, lines of their own.
const ABORTS: &[&str] = &[
    "data abort",
    "prefetch abort",
    "undefined instruction",
    "software interrupt",
];

const ERRORS: &[&str] = &[
    "ERROR: ",
    "E/TC:",
    "### ERROR ###",
    "SPL: failed to boot",
    "*** ERROR",
    "Error: ",
    "ERROR:   ",
];

/// What a line of firmware complains about, if it does.
pub(super) fn complaint(text: &str) -> Option<Complaint> {
    let text = text.trim();
    if CRASHES.iter().any(|words| text.starts_with(words)) || ABORTS.contains(&text) {
        return Some(Complaint::Crash);
    }
    ERRORS
        .iter()
        .any(|words| text.starts_with(words))
        .then_some(Complaint::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_and_kernels_are_told_apart() {
        for text in [
            "U-Boot SPL 2017.09 (Mar)",
            "U-Boot 2023.01",
            "NOTICE:  BL31: v2.3",
            "\tI/TC: OP-TEE version",
        ] {
            assert!(begins(text) && !hands_over(text), "{text}");
        }
        for text in [
            "Starting kernel ...",
            "Linux version 6",
            "Booting Linux on physical CPU 0x0",
        ] {
            assert!(hands_over(text) && !begins(text), "{text}");
        }
        for text in [
            "",
            "efi: EFI v2.10 by Das U-Boot",
            "DMI: x, BIOS U-Boot 2023.01",
            "usb: x",
        ] {
            assert!(!begins(text) && !hands_over(text), "{text}");
        }
    }

    #[test]
    fn complaints_of_firmware() {
        let check = |text: &str, expect: Option<Complaint>| assert_eq!(complaint(text), expect, "{text}");
        check(
            "\"Synchronous Abort\" handler, esr 0x96000004, far 0x0",
            Some(Complaint::Crash),
        );
        check("data abort", Some(Complaint::Crash));
        check(
            "ERROR:   Error initializing runtime service opteed_fast",
            Some(Complaint::Error),
        );
        check(
            "E/TC:0 0 call_initcalls:43 Initcall failed",
            Some(Complaint::Error),
        );
        check("WARNING: No OPTEE provided by BL2 boot loader", None);
        check("Net: eth0", None);
    }
}
