//! The soak as the host watches it, with a board in a folder: the real script, the real programs, and a connection that is lost on the way.
//! Needs root, as `local_board` says.

use crate::local_board;

use anyhow::{Result, bail};
use local_board::LocalBoard;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xtask::board::{Board, InFront};
use xtask::campaign::file::{Campaign, SoakAsked};
use xtask::campaign::smoke::checkers::KnownDead;
use xtask::campaign::soak::{Watched, watch};
use xtask::host::process::{BreakOff, Finished, Input};

/// A board whose connection is lost for a while, or for ever.
struct Dropping {
    board: LocalBoard,
    started: Instant,
    silent: std::ops::Range<Duration>,
}

impl InFront for Dropping {
    fn behind(&self) -> &dyn Board {
        &self.board
    }

    fn pass_on(&self, script: &str, input: Input, limit: Duration, break_off: &BreakOff) -> Result<Finished> {
        if self.silent.contains(&self.started.elapsed()) {
            bail!("the connection is lost");
        }
        self.board.run_unless(script, input, limit, break_off)
    }
}

const CAMPAIGN: &str = r#"
schema-version = 1
name = "a"
goal = "g"
series = "s"
[[smoke]]
name = "writes"
run = "echo number >> log; wc -l < log; printf abc > out; sleep 0.3"
output = { file = "out", size = 3 }
[[smoke]]
name = "fails-once"
run = "echo x >> log; n=$(wc -l < log); echo this is $n; sleep 0.2; [ $n -ne 3 ]"
[soak]
minutes = 1
[[step]]
id = "2.1"
patch = "1"
expect = "not-exercised"
"#;

fn soak(silent: std::ops::Range<Duration>, seconds: u64) -> (Result<Watched>, PathBuf, tempfile::TempDir) {
    let campaign = Campaign::parse(CAMPAIGN).unwrap();
    let asked = SoakAsked {
        length: Duration::from_secs(seconds),
        ..campaign.tests_of_baseline().soak.unwrap()
    };
    let board = Dropping {
        board: LocalBoard::new(),
        started: Instant::now(),
        silent,
    };
    let made = board
        .run("mkdir -p /var/lib/tests", Duration::from_secs(20))
        .unwrap();
    assert!(made.status.success());
    let folder = tempfile::tempdir().unwrap();
    let watched = watch(
        &board,
        &asked,
        "/var/lib/tests",
        folder.path(),
        KnownDead::No,
        &mut |_| {},
    );
    (watched, folder.path().to_path_buf(), folder)
}

fn lines(evidence: &Path) -> String {
    std::fs::read_to_string(evidence.join("soak.lines")).unwrap()
}

#[test]
fn a_connection_that_is_lost_on_the_way_loses_no_iteration() {
    // Silent in the middle: from before the first look to after the second.
    let (watched, evidence, _folder) = soak(Duration::from_secs(3)..Duration::from_secs(11), 9);
    let watched = watched.unwrap();
    let soaked = &watched.soaked;
    assert!(soaked.ended, "{}", lines(&evidence));
    assert!(
        soaked.tests[0].runs > 10 && soaked.tests[0].failed == 0,
        "{soaked:?}"
    );
    assert_eq!(
        (soaked.tests[1].failed, soaked.tests[1].first.clone().unwrap().0),
        (1, 3)
    );
    let numbers: Vec<u64> = lines(&evidence)
        .lines()
        .filter_map(|line| line.strip_prefix("run 0 ")?.split(' ').next()?.parse().ok())
        .collect();
    assert!(
        numbers.iter().copied().eq(1..=soaked.tests[0].runs),
        "each is there, once: {numbers:?}"
    );
    let failed = &watched.results[1];
    assert_eq!(
        (failed.name.as_str(), failed.printed.as_str()),
        ("soak: fails-once", "this is 3")
    );
    assert!(evidence.join("soak-fails-once.printed").exists());
}
