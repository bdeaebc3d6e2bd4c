//! Which boot method is used: the one that is wanted, or the best that nothing speaks against.

use super::default_swap::DefaultSwap;
use super::kexec::Kexec;
use super::manual::Manual;
use super::method::{BootMethod, Guarantee};
use super::serial_menu::SerialMenu;
use super::situation::Situation;
use super::uboot_env::UbootEnv;
use crate::board::file::Method;
use anyhow::{Result, bail};

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
