//! A kernel that broke in a test: an oops, a `BUG()`, a lockup, a task that hangs for ever. What it does from then on is no news of the patch, and
//! each later test would only wait for its own limit.

use super::checkers::{self, KnownDead};
use super::{Look, NOT_RUN, SmokeResult};
use crate::campaign::file::SmokeTest;
use crate::campaign::harvest;
use kernel_log::finder;
use kernel_log::finding::Finding;
use kernel_log::kind::Kind;
use kernel_log::reader;

/// Why no other test is worth running behind the one with this look; none where the kernel is as whole as before. `known` is what this kernel says
/// without the patch: a task that hung there, too, ends nothing. An oops always does: no kernel is sound behind one.
pub fn why(look: &Look, known: Option<&[Finding]>) -> Option<String> {
    let found = finder::find(
        &reader::read(look.kernel.as_bytes()),
        harvest::Source::Dmesg.name(),
    );
    let died = found
        .iter()
        .find_map(|finding| Some((died(finding.kind)?, finding)));
    let new = known.map_or(Vec::new(), |known| harvest::new_findings(known, &found));
    let hung = new
        .iter()
        .find(|finding| finding.kind == Kind::HungTask)
        .map(|finding| ("had a task that hangs", finding));
    let name = &look.result.name;
    match died.or(hung) {
        Some((had, finding)) => Some(format!("the kernel {had} in {name}: {}", finding.title)),
        // Its log may have been flooded; its taint stays.
        None => checkers::compare(name, look.before, look.after, KnownDead::Yes).fatal,
    }
}

/// What a report of this kind says of its kernel, where it cannot go on.
fn died(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::NullDereference
        | Kind::PagingRequest
        | Kind::GeneralProtection
        | Kind::DivideError
        | Kind::Oops
        | Kind::StackOverflow => Some("had oopsed"),
        Kind::KernelBug => Some("had hit a BUG"),
        Kind::SoftLockup | Kind::HardLockup => Some("had locked up"),
        _ => None,
    }
}

/// The result of a test that was left out for this reason: a failure, as of any test that was not run.
pub fn not_run(test: &SmokeTest, why: &str) -> SmokeResult {
    SmokeResult {
        name: test.name.clone(),
        run: test.commands(),
        exit: NOT_RUN,
        failure: Some(format!("not run: {why}")),
        ..SmokeResult::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::smoke::checkers::Checkers;

    const OOPS: &str = "[   41.200000] lockstep: smoke test vim2m-fence begins 300 41.19\n\
        [   41.900000] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010\n\
        [   41.910000] Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP\n\
        [   41.920000] CPU: 0 UID: 0 PID: 310 Comm: release_fence Not tainted 7.3.4-lockdep #1\n\
        [   41.930000] pc : vim2m_publish_release_fence+0x1c/0x60 [vim2m]\n\
        [   41.940000] ---[ end trace 0000000000000000 ]---\n";
    const BUG: &str = "[   41.900000] kernel BUG at drivers/media/test-drivers/vim2m.c:600!\n\
        [   41.910000] Internal error: Oops - BUG: 00000000f2000800 [#1] PREEMPT SMP\n";
    const HUNG: &str = "[  200.000000] INFO: task v4l2-ctl:301 blocked for more than 120 seconds.\n\
        [  200.010000]       Not tainted 7.3.4-lockdep #1\n\
        [  200.020000] Call trace:\n\
        [  200.030000]  __switch_to+0x10/0x20\n\
        [  200.040000]  vim2m_publish_release_fence+0x20/0x60 [vim2m]\n";
    const WARNING: &str = "[    2.000000] WARNING: CPU: 0 PID: 1 at drivers/y.c:34 worse+0x10/0x20\n\
        [    2.100000] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585\n";

    fn of(kernel: &str) -> Look {
        Look {
            result: SmokeResult {
                name: "vim2m-fence".into(),
                ..SmokeResult::default()
            },
            before: Checkers::default(),
            after: Checkers::default(),
            frames: Vec::new(),
            kernel: kernel.into(),
        }
    }

    #[test]
    fn behind_an_oops_or_a_bug_nothing_else_is_run() {
        let told = why(&of(OOPS), Some(&[])).unwrap();
        assert!(
            told.starts_with("the kernel had oopsed in vim2m-fence: "),
            "{told}"
        );
        assert!(told.contains("vim2m_publish_release_fence"), "{told}");
        assert!(why(&of(BUG), Some(&[])).unwrap().contains("had hit a BUG"));
        // Also in a baseline, and where the baseline had one: it was none then.
        assert!(why(&of(OOPS), None).is_some());
        let known = finder::find(&reader::read(OOPS.as_bytes()), "kmsg");
        assert!(why(&of(OOPS), Some(&known)).is_some());
    }

    #[test]
    fn a_task_that_hangs_ends_the_tests_where_it_is_new() {
        let told = why(&of(HUNG), Some(&[])).unwrap();
        assert!(told.contains("had a task that hangs in vim2m-fence"), "{told}");
        let known = finder::find(&reader::read(HUNG.as_bytes()), "kmsg");
        assert_eq!(why(&of(HUNG), Some(&known)), None);
        assert_eq!(
            why(&of(HUNG), None),
            None,
            "nothing to compare with: a baseline goes on"
        );
    }

    #[test]
    fn a_splat_that_the_kernel_survives_ends_nothing() {
        let mut tainted = of("");
        (tainted.before.taint, tainted.after.taint) = (Some(0), Some(1 << 9));
        assert_eq!(why(&tainted, Some(&[])), None, "a warning's taint");
        tainted.after.taint = Some(1 << 7);
        assert!(why(&tainted, None).unwrap().contains("kernel died"));
        for log in [WARNING, "", "[    1.000000] lockstep: smoke test a begins\n"] {
            assert_eq!(why(&of(log), Some(&[])), None, "{log}");
        }
    }

    #[test]
    fn a_test_that_was_left_out_has_failed() {
        let test: SmokeTest = toml::from_str("name = \"t\"\nrun = \"true\"\n").unwrap();
        let result = not_run(&test, "the kernel had oopsed in x: y");
        assert_eq!(result.failure.unwrap(), "not run: the kernel had oopsed in x: y");
        assert_eq!((result.exit, result.run.as_str()), (NOT_RUN, "true"));
    }
}
