//! What ends a boot of the kernel that is deployed (invariant 4), by the final `.config` of its
//! build.

use crate::board::lease::Built;
use crate::host::bounded;
use crate::manifest::{self, Manifest};
use anyhow::{Result, ensure};

/// The final `.config` of a build; `None` where the build kept none. Errors: it cannot be read.
pub(super) fn config_of(manifest: &Manifest) -> Result<Option<String>> {
    bounded::read_text_if_there(&manifest.root.join(manifest::CONFIG), bounded::WRITTEN)
}

/// What the build leaves to the end of its boots. Errors: a panic before the command line is read
/// would wait for ever; the build of a debug profile fails for that reason, and this one is of
/// another origin.
pub(super) fn of_build(release: &str, config: Option<&str>) -> Result<Option<Built>> {
    let built = config.map(Built::of);
    let waits = built.as_ref().is_some_and(|built| built.panic_timeout == 0);
    ensure!(
        !waits,
        "kernel {release} was built with CONFIG_PANIC_TIMEOUT=0: a panic before its command line is read would \
         wait for a person; build it with kconfig-fragments/test-boot.config (CONFIG_PANIC_TIMEOUT=10); nothing \
         was changed"
    );
    Ok(built)
}

/// What a person should know of it before the kernel boots; nothing where all is as it should be.
pub(super) fn doubt(built: Option<&Built>) -> Option<String> {
    match built {
        Some(built) if built.is_complete() => None,
        Some(built) => Some(format!("{built}: build it with kconfig-fragments/test-boot.config")),
        None => Some(
            "the build kept no `config`: whether its lease is complete, and whether an early panic ends, is not \
             known"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "CONFIG_MAGIC_SYSRQ=y\nCONFIG_PROC_FS=y\nCONFIG_WATCHDOG=y\nCONFIG_TMPFS=y\nCONFIG_PANIC_TIMEOUT=10\n";

    #[test]
    fn a_kernel_whose_early_panic_never_ends_is_refused() {
        for config in ["CONFIG_PANIC_TIMEOUT=0\n", "CONFIG_PROC_FS=y\n"] {
            let error = of_build("7.3.4-x", Some(config)).unwrap_err().to_string();
            assert!(
                error.contains("7.3.4-x") && error.contains("nothing was changed"),
                "{error}"
            );
        }
        // Negative: at once (kernel/panic.c).
        for seconds in ["10", "-1"] {
            let config = ALL.replace("=10", &format!("={seconds}"));
            let built = of_build("r", Some(&config)).unwrap();
            assert_eq!(doubt(built.as_ref()), None);
        }
    }

    #[test]
    fn a_lease_that_will_lack_something_is_told() {
        let built = of_build("r", Some(&ALL.replace("CONFIG_WATCHDOG=y", ""))).unwrap();
        let said = doubt(built.as_ref()).unwrap();
        assert!(said.contains("it lacks the watchdog"), "{said}");
        assert!(doubt(None).unwrap().contains("is not known"));
    }
}
