//! Patches that are known to be bad, each in the place of a good one: the verdict is right, that patch alone is taken back, the evidence
//! is there, and the board is on vanilla as it was. On the virtual board, with nothing faked.
//!
//! A kernel that does not boot, a silent lockup and an empty output are in every run of the tests, behind `rehearsal`, which has the lock inversion
//! and boots the baseline that they take. `cargo xtask test --long` runs the others.

use crate::ended_run;
use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;

/// The checkout: paths on the command line are relative to it.
const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Hashes of all that is not ours: boot files and vanilla's modules, and extlinux.conf without our label.
const HASHES: &str = "find /boot/firmware /usr/lib/modules/$(uname -r) -type f ! -path '*lockdep*' ! -name extlinux.conf \
                      -exec sha256sum {} + | sort -k 2; \
                      sed '/^# lockstep: begin/,/^# lockstep: end/d' /boot/firmware/extlinux/extlinux.conf";

/// Exit code of "the first patch that was judged failed and was taken back, vanilla runs".
const ROLLED_BACK: i32 = 10;
/// Exit code of "some patches passed".
const SOME_PASSED: i32 = 11;
/// Exit code of "a person is needed".
const PERSON_NEEDED: i32 = 20;

fn stdout(arguments: &[&str]) -> String {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    let done = command.current_dir(PROJECT).args(arguments).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

/// What is on the board that is not ours, before the first of these tests.
fn vanilla_before() -> &'static String {
    static BEFORE: OnceLock<String> = OnceLock::new();
    BEFORE.get_or_init(|| {
        stdout(&["setup", "--yes"]);
        stdout(&["board", "up"]);
        vanilla_after_a_reset()
    })
}

/// What is on the board that is not ours, after a reset that nobody answers: so vanilla is the default, too.
fn vanilla_after_a_reset() -> String {
    stdout(&["board", "reset", "--yes"]);
    // Waits until it answers: while it boots a connection may be refused.
    stdout(&["board", "up"]);
    let release = stdout(&["board", "ssh", "uname -r"]);
    assert!(!release.contains("lockdep"), "vanilla is the default: {release}");
    release + &stdout(&["board", "ssh", HASHES])
}

/// A rehearsal with a broken variant, done.
struct Broken {
    record: Value,
    report: String,
}

/// The variant in the place of 0008, judged alone.
fn rehearse(name: &str, more: &[&str], code: i32) -> Broken {
    rehearse_all(name, &[&["--only", "2.2"], more].concat(), code)
}

/// Runs the rehearsal with the variant in the place of 0008. What it says goes on to standard error as it comes: it takes minutes.
fn rehearse_all(name: &str, more: &[&str], code: i32) -> Broken {
    vanilla_before();
    let words = [&["rehearse", "--yes", "--anew", "--break", name], more].concat();
    let (record, report) = ended_run::run(Path::new(PROJECT), &words, code);
    Broken { record, report }
}

impl Broken {
    fn row(&self, id: &str) -> &Value {
        let rows = self.record["rows"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap()
    }

    /// The broken patch, 2.2, got this verdict, on a debug kernel that passed; it alone was taken back; the board is as it was.
    fn is(&self, verdict: &str) -> &Self {
        assert_eq!(self.row("2.2")["verdict"], verdict, "{}", self.report);
        let baseline = self.row("1.8");
        assert_eq!(baseline["verdict"], "pass", "{}", self.report);
        // It was booted here, or in a run that is named.
        if !baseline["taken_from"].is_null() {
            let run = baseline["taken_from"]["boots"][0]["run"].as_str().unwrap();
            self.tells(&format!("taken from run {run}"));
        }
        self.leaves(&[4])
    }

    /// Of the series these patches are applied, and the board is as it was.
    fn leaves(&self, expected: &[u64]) -> &Self {
        let series = stdout(&["series", "--series", "patches/rehearsal", "--json"]);
        let series: Value = serde_json::from_str(&series).unwrap();
        let patches = series["patches"].as_array().unwrap();
        let applied = patches.iter().filter(|patch| !patch["applied"].is_null());
        let applied: Vec<u64> = applied.map(|patch| patch["number"].as_u64().unwrap()).collect();
        assert_eq!(
            applied, expected,
            "the broken patch was taken back, and nothing else"
        );
        assert_eq!(
            &vanilla_after_a_reset(),
            vanilla_before(),
            "vanilla's files are what they were"
        );
        self
    }

    /// The report says so.
    fn tells(&self, words: &str) -> &Self {
        assert!(
            self.report.contains(words),
            "it tells {words:?}:\n{}",
            self.report
        );
        self
    }

    /// What was captured of the boot is there.
    fn keeps(&self, files: &[&str]) -> &Self {
        let folder = self.row("2.2")["evidence"].as_str().unwrap();
        for file in files {
            let kept = Path::new(folder).join(file).metadata();
            assert!(
                kept.is_ok_and(|kept| kept.len() > 0),
                "{file} is kept in {folder}"
            );
        }
        self
    }
}

#[test]
fn a_kernel_that_does_not_boot() {
    rehearse("does-not-boot", &[], ROLLED_BACK)
        .is("regression")
        .tells("dma_fence_init_stub")
        .tells("vanilla came up instead of the debug kernel")
        .keeps(&["serial.log", "pstore.sha256"]);
}

#[test]
fn a_lockup_without_a_word() {
    rehearse("hard-lockup", &[], ROLLED_BACK)
        .is("lost-connection")
        .keeps(&["serial.log"]);
}

#[test]
fn a_test_that_ends_well_with_an_empty_output() {
    rehearse("empty-output", &[], ROLLED_BACK)
        .is("smoke-failed")
        .tells("vim2m.raw has 0 frames")
        .keeps(&["serial.log", "kmsg.log"]);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_patch_that_does_not_apply() {
    rehearse("does-not-apply", &[], ROLLED_BACK)
        .is("does-not-apply")
        .tells("drivers/media/test-drivers/vim2m.c");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_patch_that_does_not_build() {
    rehearse("does-not-build", &[], ROLLED_BACK)
        .is("build-failed")
        .tells("v4l2_m2m_attach_release_fence");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_warning_about_a_line_of_the_patch() {
    rehearse("build-warning", &[], ROLLED_BACK)
        .is("build-warning")
        .tells("unused variable");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_kernel_that_boots_and_cannot_be_reached() {
    rehearse("no-ssh", &[], ROLLED_BACK)
        .is("lost-connection")
        .keeps(&["serial.log"]);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn another_kernel_under_our_label() {
    rehearse("wrong-kernel", &[], ROLLED_BACK).is("wrong-kernel");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_sleep_under_a_spinlock() {
    rehearse("sleep-in-atomic", &[], ROLLED_BACK)
        .is("regression")
        .tells("invalid wait context")
        .tells("vim2m_publish_release_fence")
        // Scheduling goes on being wrong behind it, until the board restarts or not: what it kept in memory may be lost.
        .keeps(&["serial.log", "heartbeat.txt"]);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn an_oops_in_a_smoke_test() {
    rehearse("oops", &[], ROLLED_BACK)
        .is("regression")
        .tells("NULL pointer dereference")
        .tells("not run: the kernel had oopsed in ")
        .tells("vim2m_publish_release_fence");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_task_that_waits_for_ever() {
    rehearse("hung-task", &[], ROLLED_BACK)
        .is("regression")
        .tells("blocked for more than")
        .tells("vim2m_publish_release_fence");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_cpu_that_is_locked_up_and_told_by_another() {
    rehearse("cpu-lockup", &[], ROLLED_BACK)
        .is("regression")
        .tells("Watchdog detected hard LOCKUP on cpu");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_wedge_that_feeds_the_watchdog() {
    rehearse("fed-wedge", &[], ROLLED_BACK)
        .is("regression")
        .tells("blocked for more than")
        .tells("the board's heart has stopped")
        .keeps(&["serial.log"]);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_patch_whose_code_never_runs() {
    rehearse("never-runs", &[], ROLLED_BACK)
        .is("not-exercised")
        .tells("vim2m_publish_release_fence did not run");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_wedge_that_only_a_soak_finds() {
    rehearse("soak-lockup", &[], ROLLED_BACK)
        .is("lost-connection")
        .keeps(&["serial.log"]);
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_checker_that_is_off() {
    rehearse("checker-off", &[], ROLLED_BACK)
        .is("dead-checker")
        .tells("debug_locks");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_checker_that_a_splat_of_something_else_switched_off() {
    rehearse("earlier-splat", &[], ROLLED_BACK)
        .is("regression")
        .tells("possible circular locking dependency")
        .tells("debug_locks");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_review_that_is_missing() {
    rehearse("review-missing", &[], PERSON_NEEDED).is("review-missing");
}

#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_fault_that_not_every_boot_shows() {
    // Twelve boots of a fault that one boot in three has: all alike in 1 of 130 runs.
    rehearse("flaky", &["--repeat", "12"], ROLLED_BACK)
        .is("flaky")
        .tells("of 12 boots were bad");
}

/// The plan names one module. A structure that thirteen share has changed: all of them are built and shipped, and that is told.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_changed_structure_ships_with_all_that_share_it() {
    let broken = rehearse("layout", &[], 0);
    assert_eq!(broken.record["end"], "success");
    assert_eq!(broken.row("2.2")["verdict"], "pass");
    broken
        .tells("changed, though the plan does not name them")
        .tells("videobuf2-core.h");
    assert_eq!(&vanilla_after_a_reset(), vanilla_before());
}

/// Both rows of the other kernel: without the patch it says nothing, with it it names the fault.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_wedge_without_a_word_is_named_by_the_next_kernel() {
    let broken = rehearse("silent-uaf", &["--escalate", "kasan"], ROLLED_BACK);
    let step = broken.row("2.2");
    assert_eq!(
        step["findings"].as_array().unwrap().len(),
        0,
        "lockdep has nothing to say"
    );
    assert_eq!(broken.row("2.2+kasan-without")["verdict"], "pass");
    let named = &broken.row("2.2+kasan")["findings"][0]["title"];
    let named = named.as_str().unwrap();
    assert!(
        named.contains("slab-use-after-free Read in vim2m_count_release_fence"),
        "{named}"
    );
    broken.is("lost-connection");
}

/// The first bad patch of six, in four boots: all, half of them, and what is left.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn a_search_finds_the_first_bad_patch() {
    let found = rehearse_all("lock-inversion", &["--search"], SOME_PASSED);
    let verdicts = ["s6", "s3", "s1", "s2"].map(|id| found.row(id)["verdict"].as_str().unwrap().to_string());
    assert_eq!(verdicts, ["regression", "regression", "pass", "regression"]);
    found
        .tells("0008 is the first bad patch")
        .tells("4 boots for 6 patches")
        .leaves(&[4]);
}

/// The rest as a control: without the patch that is bad all others pass, and what only it brings is not expected.
#[test]
#[ignore = "one of cargo xtask test --long"]
fn the_rest_without_the_patch_that_is_bad() {
    let rest = rehearse_all("lock-inversion", &["--continue-without", "0008"], SOME_PASSED);
    let verdicts =
        ["2.1", "2.3", "2.4", "2.5", "2.6"].map(|id| rest.row(id)["verdict"].as_str().unwrap().to_string());
    assert_eq!(
        verdicts,
        ["pass", "pass", "not-exercised", "not-exercised", "not-exercised"]
    );
    rest.leaves(&[4, 9, 5, 6, 7]);
}
