//! Attempts that a boot method prepared and that were never used up.

use super::Method;
use crate::board::script::THERE;

/// Prints the name of each method that has left something. Changes nothing.
pub(super) fn looking() -> String {
    let conditions = Method::ALL
        .into_iter()
        .filter_map(|method| Some((method, method.implementation().is_armed()?)));
    let looks = conditions.map(|(method, armed)| format!("if {armed}; then echo {}; fi\n", method.name()));
    std::iter::once(THERE.to_string()).chain(looks).collect()
}

/// The answer to [`looking`].
pub(super) fn read(answer: &str) -> Vec<Method> {
    let said = |method: &Method| answer.lines().any(|line| line == method.name());
    Method::ALL.into_iter().filter(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_that_changes_the_board_is_looked_for() {
        let script = looking();
        for method in [Method::Kexec, Method::UbootEnv, Method::DefaultSwap] {
            assert!(script.contains(&format!("echo {}", method.name())), "{script}");
        }
        assert_eq!(
            read("default-swap\nuboot-env\n"),
            [Method::UbootEnv, Method::DefaultSwap]
        );
        assert_eq!(read(""), []);
    }
}
