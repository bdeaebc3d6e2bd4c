//! A person picks the label; this program watches for the result.

use super::method::{BootMethod, Guarantee, Target, Way};
use super::situation::Situation;

/// [`super::Method::Manual`].
pub(super) struct Manual;

impl BootMethod for Manual {
    fn guarantee(&self) -> Guarantee {
        Guarantee {
            promises: &[
                "nothing on the board is changed for the boot: vanilla is the default before, during and after it",
                "what came up is proven as with any other method",
            ],
            leaves_open: &[
                "it needs a person with a keyboard or a serial line at the board, for each boot",
                "a menu that the person left waiting waits for ever",
            ],
        }
    }

    fn refusal(&self, _situation: &Situation) -> Option<String> {
        None
    }

    fn asks_the_board(&self) -> bool {
        false
    }

    fn way(&self) -> Way {
        Way::LeaveMenu
    }

    fn instruction(&self, target: &Target) -> Option<String> {
        Some(format!(
            "at U-Boot's menu choose `{}` (the last entry); at its prompt without a menu type `sysboot` as the rescue card says",
            target.record.label
        ))
    }
}
