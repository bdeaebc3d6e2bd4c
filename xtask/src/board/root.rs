//! What root file system the test kernel gets: the board's own, or one that is thrown away (`xtask/slot-init/overlay.c`), on which nothing may be
//! written that is to last.

use super::file::Root;
use super::{Board, script};
use anyhow::{Result, ensure};

/// What asks the slot's first user space for an overlay.
pub const OVERLAY: &str = "lockstep.root=overlay";

/// Errors: what is written to the board's root now is gone with this boot, though it reads back: a rollback or a deploy would only seem to be
/// done (invariants 5 and 6).
pub fn writes_last(board: &dyn Board, doing: &str) -> Result<()> {
    let asking = "looking at what root the board runs on";
    let cmdline = script::ask(board, asking, LOOKING, script::LOOK)?.text();
    lasts(board, doing, &cmdline)
}

/// The script of [`writes_last`], for one that asks more than this.
pub(super) const LOOKING: &str = "cat /proc/cmdline";

/// [`writes_last`] of the answer to [`LOOKING`].
pub(super) fn lasts(board: &dyn Board, doing: &str, cmdline: &str) -> Result<()> {
    ensure!(
        !cmdline.split_whitespace().any(|word| word == OVERLAY),
        "{doing}: board `{}` runs the test kernel on a root that is thrown away, where nothing that is written lasts; nothing was changed. \
         Put it on vanilla first (`cargo xtask boot vanilla`; a reset does it, too, since vanilla is the default), then do this again",
        board.description().name
    );
    Ok(())
}

/// The word on the command line. `config` is the configuration of the build, where it is known. Errors: an overlay is wanted, and the slot
/// could not make one: then it would end its boot at once.
pub fn word(root: Root, has_init: bool, config: Option<&str>) -> Result<Option<&'static str>> {
    if root == Root::Own {
        return Ok(None);
    }
    ensure!(
        has_init,
        "the board's file says `root = \"overlay\"`, and this slot has no first user space that could make one"
    );
    let on = |symbol: &str| {
        let line = format!("CONFIG_{symbol}=y");
        config.is_some_and(|text| text.lines().any(|found| found == line))
    };
    for symbol in ["OVERLAY_FS", "TMPFS"] {
        ensure!(
            on(symbol),
            "the board's file says `root = \"overlay\"`, and this kernel was built without CONFIG_{symbol}=y (a module would come too late): \
             build it with `--fragment kconfig-fragments/overlay-root.config`; nothing was changed"
        );
    }
    Ok(Some(OVERLAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_is_only_promised_where_it_can_be_made() {
        let built = "CONFIG_TMPFS=y\nCONFIG_OVERLAY_FS=y\n";
        assert_eq!(word(Root::Own, false, None).unwrap(), None);
        assert_eq!(word(Root::Overlay, true, Some(built)).unwrap(), Some(OVERLAY));
        let refused = |has_init, config| word(Root::Overlay, has_init, config).unwrap_err().to_string();
        assert!(refused(false, Some(built)).contains("no first user space"));
        for config in [
            None,
            Some("CONFIG_TMPFS=y\nCONFIG_OVERLAY_FS=m\n"),
            Some("# CONFIG_OVERLAY_FS is not set\n"),
        ] {
            let said = refused(true, config);
            assert!(
                said.contains("CONFIG_OVERLAY_FS=y") && said.contains("--fragment"),
                "{said}"
            );
        }
        assert!(refused(true, Some("CONFIG_OVERLAY_FS=y\n")).contains("CONFIG_TMPFS=y"));
    }
}
