//! Boot methods: ways in which our label gets one attempt. Each says what it guarantees (invariant 2), when it cannot be used, what it
//! changes before the restart and how that is taken back.

use super::situation::Situation;
use super::{
    default_swap::DefaultSwap, kexec::Kexec, manual::Manual, serial_menu::SerialMenu, uboot_env::UbootEnv,
};
use crate::board::Board;
use crate::board::file::Method;
use crate::board::protected::Protected;
use crate::board::slot::{Place, Record};
use anyhow::{Result, bail};
use serde::Serialize;

impl Method {
    /// What does it.
    pub(super) fn implementation(self) -> &'static dyn BootMethod {
        match self {
            Method::SerialMenu => &SerialMenu,
            Method::Kexec => &Kexec,
            Method::UbootEnv => &UbootEnv,
            Method::DefaultSwap => &DefaultSwap,
            Method::Manual => &Manual,
        }
    }

    /// Why it cannot be used on a board that was found like this and whose file allows these methods.
    pub(super) fn refusal(self, allowed: &[Method], situation: &Situation) -> Option<String> {
        match allowed.contains(&self) {
            true => self.implementation().refusal(situation),
            false => Some("the board's description does not allow it (`methods` in its file)".to_string()),
        }
    }

    /// What it promises, and what it does not.
    pub fn guarantee(self) -> Guarantee {
        self.implementation().guarantee()
    }
}

/// What a boot method promises, and what it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Guarantee {
    /// What holds whatever happens.
    pub promises: &'static [&'static str],
    /// What it needs or leaves open.
    pub leaves_open: &'static [&'static str],
}

/// How the kernel comes after the restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Through U-Boot, whose menu is answered with our label.
    AnswerMenu,
    /// Through U-Boot, whose menu is left to its countdown (or to a person).
    LeaveMenu,
    /// Straight from the kernel that runs: a menu that shows all the same is one behind a reset, and gets vanilla.
    NoBootloader,
}

/// The slot that is to be booted, verified.
pub(super) struct Target<'a> {
    pub board: &'a dyn Board,
    pub protected: &'a Protected,
    pub record: &'a Record,
    pub place: &'a Place,
    /// The label's command line, as it stands in extlinux.conf.
    pub append: &'a str,
}

/// A way to boot our label once.
pub(super) trait BootMethod: Sync {
    /// What it promises, and what it does not.
    fn guarantee(&self) -> Guarantee;

    /// Why it cannot be used on a board that was found like this.
    fn refusal(&self, situation: &Situation) -> Option<String>;

    /// Whether [`BootMethod::refusal`] looks at more than the serial line and extlinux.conf. Where not, the board is asked nothing for it, and the rest of
    /// its [`Situation`] says that nothing is there.
    fn asks_the_board(&self) -> bool {
        true
    }

    /// How the kernel comes after the restart.
    fn way(&self) -> Way;

    /// Prepares the one attempt. When it dies half-way, or the restart never comes, [`BootMethod::disarm`] takes back what it left.
    fn arm(&self, _target: &Target) -> Result<()> {
        Ok(())
    }

    /// The shell command that restarts the board in an orderly way.
    fn restart_command(&self) -> &'static str {
        ORDERLY_RESTART
    }

    /// What a person has to do when the board restarts, for the method that needs one.
    fn instruction(&self, _target: &Target) -> Option<String> {
        None
    }

    /// Shell that succeeds where the board has something that [`BootMethod::disarm`] would take back; it changes nothing. None: this method never
    /// leaves anything.
    fn is_armed(&self) -> Option<String> {
        None
    }

    /// Takes back what [`BootMethod::arm`] left on the board, and tells whether there was something. Safe at any time, and twice.
    fn disarm(&self, _board: &dyn Board, _protected: &Protected) -> Result<bool> {
        Ok(false)
    }
}

/// systemd's way, or any other init's.
///
/// `systemctl reboot` asks logind, which asks those who hold the board up. Where logind does not run (it makes that folder whatever else it does:
/// systemd's login/logind.c) there is nobody to ask, and starting it first, and the bus for it, costs a slow board seconds; what it would do
/// then is in systemctl(1) under `reboot`.
pub(super) const ORDERLY_RESTART: &str = "if [ -d /run/systemd/system ] && [ ! -d /run/systemd/seats ]; then systemctl start --no-block \
     --job-mode=replace-irreversibly reboot.target; else false; fi || systemctl reboot || reboot";

/// The method to use: `wanted`, or the best one that the board allows and that nothing speaks against. Errors: the wanted one is refused
/// (with the reason), or each one is (with each reason). Only a wanted one may need a person.
pub fn choose(wanted: Option<Method>, allowed: &[Method], situation: &Situation) -> Result<Method> {
    let refusal = |method: Method| method.refusal(allowed, situation);
    if let Some(method) = wanted {
        return match refusal(method) {
            None => Ok(method),
            Some(reason) => bail!("the boot method {} cannot be used: {reason}", method.name()),
        };
    }
    let mut reasons = Vec::new();
    for method in Method::ALL {
        match refusal(method) {
            None if method.is_unattended() => return Ok(method),
            None => reasons.push(format!(
                "    {}: possible, but it may need a person: ask for it with `--method {}`",
                method.name(),
                method.name()
            )),
            Some(reason) => reasons.push(format!("    {}: {reason}", method.name())),
        }
    }
    bail!(
        "no boot method can be used with nobody at the board:\n{}",
        reasons.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_the_board_nothing_is_judged_the_same() {
        let all = Situation::for_tests();
        let unasked = Situation::read("", true, all.behaviour, false);
        for method in Method::ALL {
            let how = method.implementation();
            match how.asks_the_board() {
                true => assert!(how.refusal(&unasked).is_some(), "{}", method.name()),
                false => assert_eq!(how.refusal(&unasked), how.refusal(&all), "{}", method.name()),
            }
        }
    }

    #[test]
    fn the_best_allowed_method_is_chosen() {
        let all = Situation::for_tests();
        assert_eq!(choose(None, &Method::ALL, &all).unwrap(), Method::SerialMenu);
        assert_eq!(
            choose(None, &[Method::Kexec, Method::Manual], &all).unwrap(),
            Method::Kexec
        );
        assert_eq!(
            choose(Some(Method::Manual), &Method::ALL, &all).unwrap(),
            Method::Manual
        );
    }

    #[test]
    fn a_refusal_has_its_reason() {
        let mut blind = Situation::for_tests();
        blind.serial = false;
        let error = choose(Some(Method::SerialMenu), &Method::ALL, &blind).unwrap_err();
        assert!(error.to_string().contains("no serial line"), "{error}");
        let error = choose(None, &[Method::SerialMenu, Method::Manual], &blind)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("serial-menu: ") && error.contains("manual: possible"),
            "{error}"
        );
    }

    #[test]
    fn only_methods_that_need_nobody_are_unattended() {
        let unattended: Vec<Method> = Method::ALL
            .into_iter()
            .filter(|method| method.is_unattended())
            .collect();
        assert_eq!(unattended, [Method::SerialMenu, Method::Kexec, Method::UbootEnv]);
        for method in Method::ALL {
            let guarantee = method.guarantee();
            assert!(!guarantee.promises.is_empty() && !guarantee.leaves_open.is_empty());
        }
    }
}
