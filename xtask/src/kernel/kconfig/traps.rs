//! Configurations that are valid and still lose a board or a verdict.

use super::{Config, Value};

/// What follows from a trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is built.
    Refuse,
    /// A person is warned, and it goes on.
    Warn,
    /// Nothing is wrong; a person should know what it means.
    Tell,
}

/// A trap that a configuration walked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// Refused or told.
    pub severity: Severity,
    /// What is wrong, why it matters, what to ask for instead.
    pub text: String,
}

/// Looks for the traps of plan.md in a final configuration. `release` is what `make kernelrelease` says, `vanilla` the
/// releases that have to survive (invariant 10); a vanilla build itself is checked with none.
pub fn traps(config: &Config, release: &str, vanilla: &[String]) -> Vec<Trap> {
    let mut found = Vec::new();
    let mut trap = |severity, text: String| found.push(Trap { severity, text });
    if vanilla.iter().any(|other| other == release) {
        trap(
            Severity::Refuse,
            format!(
                "the release would be `{release}`, which vanilla needs: modules_install would overwrite vanilla's modules. \
                 Ask for another CONFIG_LOCALVERSION"
            ),
        );
    }
    if config.is_yes("LOCALVERSION_AUTO") {
        trap(
            Severity::Refuse,
            "CONFIG_LOCALVERSION_AUTO is on: the release would change with each applied patch, and with it the vermagic \
             of every module. Ask for `# CONFIG_LOCALVERSION_AUTO is not set`"
                .into(),
        );
    }
    let timeout = config.get("PANIC_TIMEOUT");
    let stays = timeout.is_none_or(|timeout| timeout.same(&Value::Number("0".into())));
    if config.is_yes("PANIC_ON_OOPS") && stays {
        trap(
            Severity::Refuse,
            "CONFIG_PANIC_ON_OOPS is on with CONFIG_PANIC_TIMEOUT=0: at the first oops the board would stand still for ever. \
             Ask for CONFIG_PANIC_TIMEOUT=10"
                .into(),
        );
    }
    if config.is_yes("KASAN") && config.is_yes("KCSAN") {
        trap(
            Severity::Refuse,
            "CONFIG_KASAN and CONFIG_KCSAN are both on; one kernel can have one of them".into(),
        );
    }
    if !config.is_yes("PSTORE_CONSOLE") {
        trap(
            Severity::Warn,
            "CONFIG_PSTORE_CONSOLE is off: ramoops will not keep the last lines of the console across a reset. \
             Ask for PSTORE, PSTORE_RAM, PSTORE_CONSOLE and PSTORE_PMSG"
                .into(),
        );
    }
    for (symbol, text) in READABLE {
        if !config.is_yes(symbol) {
            trap(
                Severity::Warn,
                format!("CONFIG_{symbol} is off: {text}. Ask for CONFIG_{symbol}=y"),
            );
        }
    }
    if config.is_yes("MODULES") && !config.is_yes("MODVERSIONS") {
        trap(Severity::Tell, NO_MODVERSIONS.into());
    }
    found
}

/// What a log needs to be read by a person and by Lockstep.
const READABLE: [(&str, &str); 2] = [
    (
        "PRINTK_CALLER",
        "lines of the kernel log do not say which CPU or task they are from, and two reports at once cannot be told apart",
    ),
    (
        "KALLSYMS",
        "back traces are bare addresses, and no finding can be compared with the baseline",
    ),
];

const NO_MODVERSIONS: &str = "CONFIG_MODVERSIONS is off: a module whose view of a structure is an older one loads without a word. What has to \
    ship together is found by content, so that nothing depends on it; a module that was built elsewhere is not protected";

/// A pair of requests that cannot both come true: seen before anything is built.
pub fn contradictory(requests: &[super::Request]) -> Option<&'static str> {
    let wants = |symbol: &str| {
        requests
            .iter()
            .any(|request| request.symbol == symbol && request.value == Value::Yes)
    };
    (wants("KASAN") && wants("KCSAN")).then_some(
        "CONFIG_KASAN and CONFIG_KCSAN are both asked for, but KCSAN depends on !KASAN: one of them would vanish without a word. \
         Build a kernel for each",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kconfig::Fragment;

    const GOOD: &str =
        "CONFIG_PSTORE_CONSOLE=y\nCONFIG_PRINTK_CALLER=y\nCONFIG_KALLSYMS=y\nCONFIG_PANIC_TIMEOUT=10\n";

    fn texts(config: &str, release: &str, vanilla: &[&str]) -> Vec<(Severity, String)> {
        let vanilla: Vec<String> = vanilla.iter().map(|v| v.to_string()).collect();
        traps(&Config::parse(config), release, &vanilla)
            .into_iter()
            .map(|trap| (trap.severity, trap.text))
            .collect()
    }

    #[test]
    fn a_good_configuration_has_none() {
        assert_eq!(texts(GOOD, "7.3.4-lockdep", &["7.3.4-devices"]), []);
    }

    #[test]
    fn the_release_of_vanilla_is_refused() {
        let found = texts(GOOD, "7.3.4", &["6.1", "7.3.4"]);
        assert_eq!(found[0].0, Severity::Refuse);
        assert!(found[0].1.contains("`7.3.4`, which vanilla needs"));
    }

    #[test]
    fn each_trap_is_seen() {
        let one = |extra: &str| {
            let found = texts(&format!("{GOOD}{extra}"), "r", &[]);
            assert_eq!(found.len(), 1, "{found:?}");
            found[0].clone()
        };
        assert!(
            one("CONFIG_LOCALVERSION_AUTO=y\n")
                .1
                .contains("LOCALVERSION_AUTO is on")
        );
        assert!(
            one("CONFIG_PANIC_ON_OOPS=y\nCONFIG_PANIC_TIMEOUT=0\n")
                .1
                .contains("stand still for ever")
        );
        assert!(
            one("CONFIG_KASAN=y\nCONFIG_KCSAN=y\n")
                .1
                .contains("one kernel can have one")
        );
        let found = texts("CONFIG_PANIC_TIMEOUT=10\n", "r", &[]);
        for (at, symbol) in ["PSTORE_CONSOLE", "PRINTK_CALLER", "KALLSYMS"].iter().enumerate() {
            assert_eq!(found[at].0, Severity::Warn);
            assert!(found[at].1.starts_with(&format!("CONFIG_{symbol} is off")));
        }
        let (severity, text) = one("CONFIG_MODULES=y\n");
        assert_eq!(severity, Severity::Tell);
        assert!(text.contains("loads without a word"), "{text}");
        assert_eq!(
            texts(
                &format!("{GOOD}CONFIG_MODULES=y\nCONFIG_MODVERSIONS=y\n"),
                "r",
                &[]
            ),
            []
        );
    }

    #[test]
    fn panic_at_an_oops_with_a_timeout_is_no_trap() {
        assert_eq!(texts(&format!("{GOOD}CONFIG_PANIC_ON_OOPS=y\n"), "r", &[]), []);
    }

    #[test]
    fn kasan_and_kcsan_are_refused_before_the_build() {
        let requests = Fragment::parse("f", "CONFIG_KASAN=y\nCONFIG_KCSAN=y\n")
            .unwrap()
            .requests;
        assert!(contradictory(&requests).is_some_and(|text| text.contains("KCSAN depends on !KASAN")));
        assert_eq!(contradictory(&requests[..1]), None);
    }
}
