//! Which function a report names, and reports whose lines stand in an order of their own.

use super::{find, told};

/// Functions by the rules for each kind.
#[test]
fn whom_a_report_names() {
    let check = |lines: &[&str], expect: &str| {
        let log: String = lines
            .iter()
            .map(|line| format!("[    9.000000] {line}\n"))
            .collect();
        assert_eq!(told(&log), [expect], "{log}");
    };
    let stack = "CPU: 1 PID: 1 Comm: a";
    check(
        &[
            "WARNING: suspicious RCU usage",
            "a.h:1 Illegal context switch in RCU read-side critical section!",
            "stack backtrace:",
            stack,
            "Call Trace:",
            " lockdep_rcu_suspicious+0x1/0x20",
            " led_off+0x1/0x20",
            " notifier_call_chain+0x1/0x20",
            " atomic_notifier_call_chain+0x1/0x20",
            " out_of_memory+0x1/0x20",
        ],
        "suspicious RCU usage in led_off",
    );
    check(
        &[
            "BUG: KASAN: stack-out-of-bounds in handler+0x1/0x20",
            "Read of size 4 at addr ffff8880 by task a/1",
            stack,
            "Call Trace:",
            " handler+0x1/0x20",
            " kprobe_ftrace_handler+0x1/0x20",
            " ftrace_ops_assist_func+0x1/0x20",
            " target+0x1/0x20",
        ],
        "KASAN: stack-out-of-bounds Read in handler",
    );
    check(
        &[
            "BUG: KASAN: slab-out-of-bounds in kmalloc_oob_right+0x1/0x20",
            "Write of size 1 at addr ffff8880 by task a/1",
            stack,
            "Call Trace:",
            " kasan_report+0x1/0x20",
            " kmalloc_oob_right+0x1/0x20",
            " kunit_try_run_case+0x1/0x20",
        ],
        "KASAN: slab-out-of-bounds Write in kmalloc_oob_right",
    );
    check(
        &[
            "BUG sas_task: Objects remaining on kmem_cache_close()",
            "-----------------------------------------------------------------------------",
            "INFO: Slab 0xffffea001f0eba00 objects=34 used=1",
            "Pid: 22919, comm: modprobe Not tainted 3.2.0",
            "Call Trace:",
            " slab_err+0x1/0x20",
            " kmem_cache_destroy+0x1/0x20",
            " sas_class_exit+0x1/0x20 [libsas]",
        ],
        "BUG sas_task: Objects remaining on kmem_cache_close() in sas_class_exit",
    );
    check(
        &[
            "BUG: using __this_cpu_read() in preemptible [00000000] code: a/1",
            "caller is lockdep_hardirqs_on+0x1/0x20",
            stack,
            "Call Trace:",
            " check_preemption_disabled+0x1/0x20",
            " lockdep_hardirqs_on+0x1/0x20",
            " exc_page_fault+0x1/0x20",
        ],
        "using __this_cpu_read() in preemptible code in lockdep_hardirqs_on",
    );
    check(
        &[
            "Kernel panic - not syncing: hung_task: blocked tasks",
            stack,
            "Call Trace:",
            " panic+0x1/0x20",
            " watchdog+0x1/0x20",
            " kthread+0x1/0x20",
        ],
        "panic: hung_task: blocked tasks",
    );
}

/// Lines that do not stand where newer kernels print them.
#[test]
fn reports_in_an_order_of_their_own() {
    let check = |lines: &[&str], expect: &[&str]| {
        let log: String = lines
            .iter()
            .map(|line| format!("[    9.000000] {line}\n"))
            .collect();
        assert_eq!(told(&log), expect, "{log}");
    };
    // arm64 before 4.10 says the end before the stack.
    check(
        &[
            "WARNING: at fs/sysfs/dir.c:31",
            "CPU: 0 PID: 7 Comm: kworker/0:1 Not tainted 4.4.184 #1",
            "---[ end trace e04bbdfd13922de9 ]---",
            "Call trace:",
            " sysfs_create_dir_ns+0x1/0x20",
            " kobject_add+0x1/0x20",
            " init_tp_info+0x1/0x20",
        ],
        &["WARNING in init_tp_info"],
    );
    check(
        &[
            "WARNING: at a.c:1 f+0x1/0x20",
            "---[ end trace 1 ]---",
            "usb: x",
            "Call trace:",
            " g+0x1/0x20",
        ],
        &["WARNING in f"],
    );
    check(
        &["testing a treeNMI watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [init:1]"],
        &["soft lockup"],
    );
    // The words of a `WARN()` may begin like a report.
    check(
        &[
            "------------[ cut here ]------------",
            "BUG: receive list entry not found",
            "WARNING: CPU: 1 PID: 7 at net/can/af_can.c:546 can_rx_unregister+0x1/0x20",
            "Call Trace:",
            " isotp_notifier+0x1/0x20",
        ],
        &["WARNING in can_rx_unregister"],
    );
    // Of two faults the first one is of user space.
    check(
        &[
            "Unhandled fault: alignment exception (0x011) at 0x00508ae4",
            "pgd = ec340000",
            "Unhandled fault: external abort on non-linefetch (0x008) at 0xfa21200c",
            "Internal error: : 8 [#1] SMP ARM",
            "CPU: 0 PID: 0 Comm: swapper/0 Not tainted 4.14.0 #1",
            "PC is at gic_handle_irq+0x58/0x9c",
            "[<c0300000>] (gic_handle_irq) from [<c0300001>] (__irq_svc+0x70/0x98)",
            "[<c0300002>] (__irq_svc) from [<c0300003>] (arch_cpu_idle+0x38/0x3c)",
            "[<c0300004>] (arch_cpu_idle) from [<c0300005>] (do_idle+0x1/0x2)",
        ],
        &["unhandled fault in gic_handle_irq"],
    );
    check(
        &["Slab corruption (Tainted: G        W): kmalloc-1024 start=c96b2000, len=1024"],
        &["Slab corruption (Tainted: G        W): kmalloc-N start=ADDR, len=N"],
    );
}

#[test]
fn the_taker_of_a_wanted_lock_is_named_though_it_is_a_core() {
    let lines = [
        "WARNING: possible circular locking dependency detected",
        "a/1 is trying to acquire lock:",
        "ffff8880 (slock){+.-.}, at: l2tp_xmit_skb+0x1/0x20 [l2tp_core]",
        "but task is already holding lock:",
        "ffff8880 (_xmit_ETHER){+.-.}, at: sch_direct_xmit+0x1/0x20",
        "stack backtrace:",
        "CPU: 1 PID: 1 Comm: a",
        "Call Trace:",
        " lock_acquire+0x1/0x20",
        " l2tp_xmit_skb+0x1/0x20 [l2tp_core]",
    ];
    let found = find(&lines.map(|line| (4, "9.000000", "T1", line)));
    assert_eq!(found[0].function.as_deref(), Some("l2tp_xmit_skb"));
}
