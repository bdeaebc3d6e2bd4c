//! The reader of old records: what has a value of its own by now stands in them in words alone. Nothing else decides by words.

use crate::campaign::phase::Kind;

/// The kind of a phase whose record does not say it (written before spans had a `kind`), from the words that the engine used for it.
pub(super) fn kind_of(phase: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| phase.contains(word));
    if has(&["boot", "vanilla", "reset"]) {
        Kind::Boot
    } else if has(&["smoke", "soak", "test", "load", "exercise"]) {
        Kind::Test
    } else if has(&["deploy", "ship", "install"]) {
        Kind::Deploy
    } else if has(&["build", "configure", "stage", "apply", "take", "make"]) {
        Kind::Build
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::phase;

    #[test]
    fn records_of_before_are_drawn_as_those_of_now() {
        for phase in [
            phase::APPLY,
            phase::TAKE_BACK,
            phase::CONFIGURE,
            phase::BUILD,
            phase::STAGE,
            phase::WAIT_FOR_BUILD,
            phase::DEPLOY,
            phase::CHECKS,
            phase::BOOT,
            phase::BACK_TO_VANILLA,
            phase::RELOAD,
            phase::SET_UP,
            phase::SMOKE,
            phase::SOAK,
            phase::READ,
            phase::HARVEST,
            phase::CLOSE,
        ] {
            assert_eq!(kind_of(phase.name), phase.kind, "{}", phase.name);
        }
    }
}
