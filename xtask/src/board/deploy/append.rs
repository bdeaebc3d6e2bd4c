//! The `append` of our label, made from vanilla's.

use crate::board::extlinux::{CommandLine, Word, escape};
use crate::board::nonce;
use crate::board::root::OVERLAY;

/// Vanilla's command line without what would hide messages (invariant 16), with what shows them,
/// and with an end to a panic (invariant 4) and the nonce (invariant 15). An `initrd=` is dropped:
/// it would load vanilla's; and `rw` where the root is thrown away: below an overlay it is never
/// written. The nonce is last: a command line that was cut off on its way lacks it, and then the
/// slot's first user space ends the boot (`xtask/slot-init/slot_init.c`). `vanilla` is an `append` of
/// extlinux.conf, and so is the result: what U-Boot would take away of a word is escaped.
pub fn append(vanilla: &str, nonce: &str, extra: &[String]) -> String {
    const DROPPED: [&str; 11] = [
        "loglevel=",
        "panic=",
        "log_buf_len=",
        nonce::WORD,
        "lockstep.lease=",
        "lockstep.init=",
        "lockstep.restore=",
        "lockstep.root=",
        "initrd=",
        "sysrq_always_enabled=",
        "ignore_loglevel=",
    ];
    const DROPPED_WORDS: [&str; 4] = ["quiet", "ignore_loglevel", "sysrq_always_enabled", "splash"];
    let dropped = |word: &Word| {
        let (whole, word) = (word.text(), word.start());
        DROPPED_WORDS.iter().any(|dropped| whole.as_deref() == Some(dropped))
            || DROPPED.iter().any(|start| word.starts_with(start))
            || (whole.as_deref() == Some("rw") && extra.iter().any(|word| word == OVERLAY))
            // Ours goes on to it.
            || (word.starts_with("init=") && extra.iter().any(|word| word.starts_with("init=")))
    };
    let vanilla = CommandLine::of(vanilla).words().into_iter();
    let kept = vanilla.filter(|word| !dropped(word)).map(|word| word.escaped());
    let nonce = nonce::word(nonce);
    let ours = [
        "ignore_loglevel",
        "log_buf_len=4M",
        "sysrq_always_enabled",
        "panic=10",
    ];
    kept.chain(ours.map(String::from))
        .chain(extra.iter().map(|word| escape(word)))
        .chain([nonce])
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_thrown_away_is_mounted_read_only() {
        let line = append("root=/dev/vda2 rw lockstep.root=old", "n", &[OVERLAY.into()]);
        assert!(line.starts_with("root=/dev/vda2 ignore_loglevel"), "{line}");
        assert!(line.ends_with(&format!("{OVERLAY} lockstep.nonce=n")), "{line}");
    }

    #[test]
    fn what_u_boot_would_take_away_arrives() {
        let vanilla = r"root=${dev}p2 dyndbg='file y.c +p' quiet a\$b loglevel=${l} ${more}";
        let line = append(vanilla, "n", &["x='1'".into(), r"y=$\".into()]);
        assert!(
            line.starts_with(r"root=${dev}p2 dyndbg=file y.c +p a\$b ${more} ignore"),
            "{line}"
        );
        let arrives = CommandLine::of(&line).with(&|name| (name == "dev").then(|| "/dev/m".into()));
        assert!(
            arrives.starts_with("root=/dev/mp2 dyndbg=file y.c +p a$b  ignore"),
            "{arrives}"
        );
        assert!(arrives.ends_with(r"x='1' y=$\ lockstep.nonce=n"), "{arrives}");
        // What is never closed takes nothing of ours with it.
        for open in [
            "root=/dev/x ${gone quiet",
            "root=/dev/x 'a b",
            "root=/dev/x a\\",
            "root=/dev/x a$",
        ] {
            let arrives = CommandLine::of(&append(open, "n", &[])).text().unwrap();
            assert!(
                arrives.ends_with(" panic=10 lockstep.nonce=n"),
                "{open}: {arrives}"
            );
        }
    }

    #[test]
    fn the_command_line_hides_nothing_and_ends_a_panic() {
        let vanilla = "root=/dev/vda2 rw quiet console=ttyAMA0 loglevel=3 panic=0 lockstep.nonce=old initrd=/x rootwait";
        assert_eq!(
            append(vanilla, "0123456789abcdef", &["earlycon".into()]),
            "root=/dev/vda2 rw console=ttyAMA0 rootwait ignore_loglevel log_buf_len=4M sysrq_always_enabled panic=10 \
             earlycon lockstep.nonce=0123456789abcdef"
        );
    }
}
