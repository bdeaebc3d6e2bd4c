use super::*;

fn check(text: &str, kind: Option<Kind>) {
    let found = match recognise(text) {
        Some(Opening::Header(header)) => Some(header.kind),
        _ => None,
    };
    assert_eq!(found, kind, "{text}");
}

#[test]
fn first_lines() {
    check(
        "WARNING: possible circular locking dependency detected",
        Some(Kind::CircularLocking),
    );
    check(
        "[ INFO: possible circular locking dependency detected ]",
        Some(Kind::CircularLocking),
    );
    check("[ BUG: Invalid wait context ]", Some(Kind::InvalidWaitContext));
    check(
        "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [cat:12]",
        Some(Kind::SoftLockup),
    );
    check(
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        Some(Kind::RcuStall),
    );
    check(
        "INFO: task v4l2-ctl:12 blocked for more than 120 seconds.",
        Some(Kind::HungTask),
    );
    check(
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000020",
        Some(Kind::NullDereference),
    );
    check(
        "Internal error: Oops: 0000000096000004 [#1] PREEMPT SMP",
        Some(Kind::Oops),
    );
    check(
        "Kernel panic - not syncing: sysrq triggered crash",
        Some(Kind::Panic),
    );
    check(
        "WARNING: CPU: 0 PID: 1 at drivers/x.c:1 f+0x1/0x2",
        Some(Kind::Warning),
    );
    check(
        "platform x: probe with driver y failed with error -22",
        Some(Kind::ProbeFailure),
    );
}

#[test]
fn first_lines_of_other_architectures_and_ages() {
    use Kind::*;
    for (text, kind) in [
        (
            "BUG: unable to handle kernel NULL pointer dereference at 0000000000000008",
            NullDereference,
        ),
        (
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            NullDereference,
        ),
        (
            "BUG: Kernel NULL pointer dereference on read at 0x00000010",
            NullDereference,
        ),
        (
            "BUG: unable to handle page fault for address: ffffed1000000001",
            PagingRequest,
        ),
        (
            "BUG: Unable to handle kernel data access on write at 0xc000000000000000",
            PagingRequest,
        ),
        (
            "Unable to handle kernel access to user memory without uaccess routines at virtual address 0000000000000020",
            PagingRequest,
        ),
        (
            "Unable to handle kernel write to read-only memory at virtual address ffff800010001000",
            PagingRequest,
        ),
        (
            "Unable to handle kernel pointer dereference in virtual kernel address space",
            PagingRequest,
        ),
        (
            "CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80100000, ra == 80100008",
            PagingRequest,
        ),
        (
            "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000000: 0000 [#1] PREEMPT SMP KASAN",
            GeneralProtection,
        ),
        ("general protection fault: 0000 [#1] SMP", GeneralProtection),
        ("Oops: divide error: 0000 [#1] SMP", DivideError),
        ("Oops: invalid opcode: 0000 [#1] SMP", Oops),
        ("int3: 0000 [#1] SMP", Oops),
        (
            "Internal error: Oops - undefined instruction: 0 [#1] SMP ARM",
            Oops,
        ),
        (
            "Unhandled fault: imprecise external abort (0x1406) at 0x00000000",
            Oops,
        ),
        ("Oops - load access fault [#1]", Oops),
        ("Oops [#1]", Oops),
        (
            "Unhandled 64-bit el1h sync exception on CPU0, ESR 0x0000000002000000 -- Unknown/Uncategorized",
            Oops,
        ),
        ("Kernel bug detected[#1]:", KernelBug),
        ("traps: PANIC: double fault, error_code: 0x0", Oops),
        (
            "BUG: TASK stack guard page was hit at ffffc90003a7fff8 (stack is ffffc90003a80000..ffffc90003a88000)",
            StackOverflow,
        ),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", HardLockup),
        (
            "watchdog: CPU 1 self-detected hard LOCKUP @ queued_spin_lock_slowpath+0x154/0x2d0",
            HardLockup,
        ),
        (
            "NMI watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [swapper/0:1]",
            SoftLockup,
        ),
        (
            "INFO: rcu_sched self-detected stall on CPU { 1}  (t=5250 jiffies g=10 c=9 q=1)",
            RcuStall,
        ),
        (
            "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-.... } 21 jiffies s: 369 root: 0x2/.",
            RcuStall,
        ),
        ("INFO: rcu_tasks detected stalls on tasks:", RcuStall),
        (
            "INFO: task kworker/1:2:88 blocked in I/O wait for more than 120 seconds.",
            HungTask,
        ),
        (
            "[ INFO: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected ]",
            IrqLockInversion,
        ),
        ("[ INFO: inconsistent lock state ]", InconsistentLockState),
        ("[ BUG: bad unlock balance detected! ]", BadUnlockBalance),
        ("[ BUG: held lock freed! ]", HeldLockFreed),
        ("[ INFO: suspicious RCU usage. ]", SuspiciousRcu),
        (
            "BUG: rwlock bad magic on CPU#0, x/1, ffff0000c5512018",
            SpinlockBug,
        ),
        (
            "BUG: Bad page map in process x  pte:00000000 pmd:00000000",
            BadPage,
        ),
        (
            "BUG: Bad rss-counter state mm:00000000 type:MM_ANONPAGES val:1 Comm:x Pid:1",
            BadPage,
        ),
        ("UBSAN: Undefined behaviour in fs/x.c:3:4", Ubsan),
        (
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b",
            Panic,
        ),
        ("mmc0: probe of mmc0:0001 failed with error -110", ProbeFailure),
    ] {
        check(text, Some(kind));
    }
}

#[test]
fn lines_that_only_look_like_it() {
    for text in [
        "",
        "INFO: lockdep is turned off.",
        "INFO: task x created",
        "ODEBUG: Out of memory. ODEBUG disabled",
        "traps: x[1] general protection fault ip:7f sp:7f error:0",
        "NET: Registered protocol family",
        "DEBUG: #15 pc 00",
        "Spectre: WARNING:",
        "---[ end Kernel panic - not syncing: Fatal exception ]---",
        "WARNING: sysfs attribute x is deprecated and will be removed.",
        "usb 1-1: device has not been registered!",
        "driver x: 3 new suspected memory leaks",
        "INFO: Stall ended before state dump start",
        "EXT4-fs (vda1): INFO: recovery required on readonly filesystem",
    ] {
        check(text, None);
    }
}

/// The quick look may find too much, and never too little: each word at each place of a line of each length.
#[test]
fn the_quick_look_misses_no_word() {
    for word in words() {
        for before in 0..40 {
            for after in [0, 1, 5, 17, 60] {
                let line = format!("{}{word}{}", "x".repeat(before), "y".repeat(after));
                assert!(
                    may_be_interesting(line.as_bytes()) && interesting(&line),
                    "{line}"
                );
            }
        }
    }
    for line in [
        "",
        "x",
        "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    ] {
        assert!(!may_be_interesting(line.as_bytes()), "{line}");
    }
}
