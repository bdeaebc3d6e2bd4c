//! Which kernels a step that wedged without a finding may be done again on.

use crate::campaign::file::Kernel;
use crate::kernel::profile::KNOWN;

impl Kernel {
    /// Why the entry of `escalate` at this index cannot be one although there is a profile of this name.
    pub(super) fn cannot_escalate_to(&self, index: usize, profile: &str) -> Option<String> {
        if profile == self.profile {
            Some(format!(
                "{profile} is the campaign's own profile: the step has wedged on its kernel"
            ))
        } else if profile == "vanilla" {
            Some("vanilla's kernel checks nothing: name one with a checker".into())
        } else if self.escalate.iter().take(index).any(|earlier| earlier == profile) {
            Some(format!("{profile} is named twice"))
        } else {
            None
        }
    }

    /// Why `escalate` cannot be as it is.
    pub fn escalation_is_wrong(&self) -> Option<String> {
        let names: Vec<&str> = KNOWN
            .iter()
            .map(|known| known.name)
            .filter(|name| *name != "vanilla" && *name != self.profile)
            .collect();
        let is_known = |profile: &str| KNOWN.iter().any(|known| known.name == profile);
        let wrong = |(index, profile): (usize, &String)| match is_known(profile) {
            false => Some(format!(
                "there is no profile `{profile}`; there are {}",
                names.join(", ")
            )),
            true => self.cannot_escalate_to(index, profile),
        };
        self.escalate.iter().enumerate().find_map(wrong)
    }
}
