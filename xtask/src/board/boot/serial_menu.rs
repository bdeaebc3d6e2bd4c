//! Picks the label's number at U-Boot's menu on the serial line.

use super::method::{BootMethod, Guarantee, Way};
use super::situation::Situation;
use crate::board::extlinux::Behaviour;

/// [`super::Method::SerialMenu`].
pub(super) struct SerialMenu;

impl BootMethod for SerialMenu {
    fn guarantee(&self) -> Guarantee {
        Guarantee {
            promises: &[
                "nothing on the board is changed for the boot: vanilla is the default before, during and after it",
                "any reset that nobody answers boots vanilla",
                "the label's number is taken from the printed menu and has to agree with the file",
            ],
            leaves_open: &[
                "it needs a serial line that can be written and a menu (`prompt 1` and a timeout above 0)",
                "noise on the line in U-Boot's countdown stops the countdown; a menu that waits is answered with \
                 vanilla's number while this program watches",
            ],
        }
    }

    fn refusal(&self, situation: &Situation) -> Option<String> {
        if !situation.serial {
            return Some("the board has no serial line that can be written".into());
        }
        match situation.behaviour {
            Behaviour::Asks { .. } => None,
            other => Some(format!(
                "it needs a menu with a timeout, but with this extlinux.conf U-Boot {other}: set `prompt 1` and a `timeout` of 20 or \
                 more by hand"
            )),
        }
    }

    fn asks_the_board(&self) -> bool {
        false
    }

    fn way(&self) -> Way {
        Way::AnswerMenu
    }
}
