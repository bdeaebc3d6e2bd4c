//! What a hostile board answers: names that a shell could misread, and answers without an end.

use super::LIMIT;
use crate::local_board::{DEBUG, EXTLINUX, LABEL, VANILLA, build, install};
use crate::loopback::Loopback;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::board::backup::{self, Modules};
use xtask::board::protected::Protected;
use xtask::board::{Board, rollback};

/// Names that a board may have and a shell, a list or a path could misread.
const HOSTILE: [&str; 7] = [
    "a;touch pwned",
    "b\n$(touch /pwned)",
    "$(touch pwned)",
    "`touch pwned`",
    "-rf",
    "c'\"\\ d\t e",
    "~",
];

#[test]
fn hostile_names_from_the_board_are_never_run_and_never_followed() {
    let loopback = Loopback::start();
    let local = &loopback.local;
    for name in HOSTILE {
        local.file(&format!("/usr/lib/modules/{VANILLA}/kernel/{name}"), name, 0o644);
    }
    local.file("/etc/shadow", "secret", 0o600);
    std::os::unix::fs::symlink("/etc", local.at(&format!("/usr/lib/modules/{VANILLA}/build"))).unwrap();
    let conf = format!(
        "{EXTLINUX}\nlabel $(touch /pwned)\n kernel /$(touch /pwned)\nlabel ;touch /pwned\n kernel /../../../etc/shadow\n \
         fdt ../../etc/shadow\n"
    );
    local.file("/boot/firmware/extlinux/extlinux.conf", &conf, 0o644);
    let board = loopback.board(&loopback.way("known", "login"));
    let protected = Protected::compute(&board, LABEL).unwrap();
    assert!(
        !protected.roots().iter().any(|root| root.starts_with("/etc")),
        "{:?}",
        protected.roots()
    );
    let made = backup::make(&board, &protected, "iter6", &Modules::All, &local.host()).unwrap();
    let names: Vec<_> = made.manifest().inventory.keys().collect();
    assert!(
        names.iter().any(|path| path.ends_with("b\n$(touch /pwned)")),
        "{names:?}"
    );
    assert!(!names.iter().any(|path| path.starts_with("/etc")));
    let builds = tempfile::tempdir().unwrap();
    let manifest = build(builds.path(), DEBUG, "one");
    install(&board, &manifest, &protected).unwrap();
    // One of them is damaged, and strangers of the same kind have come: a rollback puts it back and takes them away.
    for name in HOSTILE {
        local.file(
            &format!("/usr/lib/modules/{VANILLA}/kernel/new {name}"),
            "x",
            0o644,
        );
        local.file(&format!("/usr/lib/modules/{DEBUG}/kernel/new {name}"), "x", 0o644);
    }
    let plan = rollback::plan(&board, "iter6", &local.host()).unwrap();
    assert_eq!(plan.strangers.len(), HOSTILE.len());
    rollback::execute(&board, &plan, &local.host()).unwrap();
    assert_eq!(protected.compare(&board).unwrap(), []);
    assert_eq!(fs::read_to_string(local.at("/etc/shadow")).unwrap(), "secret");
    for place in ["/pwned", "/tmp/pwned", "/root/pwned", "/boot/firmware/pwned"] {
        assert!(!local.at(place).exists(), "{place}");
    }
    assert!(!Path::new("/pwned").exists() && !Path::new("pwned").exists());
}

#[test]
fn an_answer_without_end_is_stopped_and_told() {
    let loopback = Loopback::start();
    let board = loopback.board(&loopback.way("known", "login"));
    let begun = Instant::now();
    for script in ["head -c 1000000000 /dev/zero", "yes", "yes >&2"] {
        let error = format!("{:#}", board.run(script, Duration::from_secs(300)).unwrap_err());
        assert!(
            error.contains(script) && error.contains("it printed more than"),
            "{error}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
    // The way is as good as before.
    assert_eq!(board.run("echo a", LIMIT).unwrap().text(), "a");
}
