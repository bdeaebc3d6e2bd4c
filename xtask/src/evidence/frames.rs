//! Stack frames as the architectures write them, and which functions are machinery rather than a culprit.
//!
//! ```text
//!  func+0x1c/0x90 [mod]                     arm64, x86, riscv   (lib/kallsyms.c: sprint_backtrace())
//!  ? func+0x1c/0x90                         x86: a leftover on the stack, not sure
//!  [<ffffffff8153c1bc>] func+0x1c/0x70      before 4.11, and where addresses are shown
//!  [<c00c89f0>] (func) from [<c00c6764>] (caller+0x138/0x178)   arm
//!  func from caller+0x138/0x178             arm since 5.19
//!  func file.c:774 [inline]                 after decode_stacktrace.sh
//! RIP: 0010:func+0x3a2/0x4f0                x86; 0033 is user space
//! pc : func+0x154/0x39c                     arm64; "PC is at" on arm, "epc :" on riscv, "NIP [c0..]" on powerpc
//! ```

use super::finding::Kind;

/// A stack frame, or the program counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Function, without what the compiler appends (`.isra.0`, `.part.1`, `.constprop.0`, `.cold`).
    pub function: &'a str,
    /// Module that it is in.
    pub module: Option<&'a str>,
    /// How sure the unwinder is.
    pub trust: Trust,
}

/// How sure the unwinder is of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Part of the chain of calls.
    Sure,
    /// An address found on the stack (`?`).
    Leftover,
}

/// Parses a stack frame.
pub fn frame(text: &str) -> Option<Frame<'_>> {
    let mut rest = text.trim_start();
    // s390 puts the last frame in parentheses.
    rest = rest.strip_prefix('(').filter(|inner| inner.starts_with("[<")).unwrap_or(rest);
    if let Some(after) = rest.strip_prefix("[<").or_else(|| rest.strip_prefix('[').filter(|_| rest.starts_with("[c0"))) {
        let close = after.find(']')?;
        if !after[..close].trim_end_matches('>').bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = after[close + 1..].trim_start();
    }
    let mut trust = Trust::Sure;
    if let Some(after) = rest.strip_prefix("? ") {
        trust = Trust::Leftover;
        rest = after.trim_start();
    }
    let parsed = symbol(rest).or_else(|| arm(rest)).or_else(|| inlined(rest))?;
    Some(Frame { trust, ..parsed })
}

/// Parses a line that tells where the program counter was, if that is in the kernel.
pub fn counter(text: &str) -> Option<Frame<'_>> {
    const MARKS: [&str; 9] = ["RIP: ", "EIP: ", "EIP is at ", "IP: ", "pc : ", "PC is at ", "epc : ", "NIP ", "Krnl PSW"];
    let text = text.trim_start();
    let rest = MARKS.iter().find_map(|mark| text.strip_prefix(mark))?;
    let selector = rest.split(':').next().unwrap_or_default();
    if matches!(selector, "0033" | "0023" | "002b") {
        return None;
    }
    let mut rest = match rest.split_once(':') {
        Some((segment, after)) if segment.len() == 4 && segment.bytes().all(|b| b.is_ascii_hexdigit()) => after,
        _ => rest,
    };
    // `[<addr>]  [<addr>] func`, `[c000…] func`
    while let Some(after) = rest.trim_start().strip_prefix('[') {
        rest = &after[after.find(']')? + 1..];
    }
    symbol(rest.trim_start())
}

/// `func+0x1c/0x90 [mod]` at the start of `text`.
pub fn symbol(text: &str) -> Option<Frame<'_>> {
    let plus = text.find("+0x")?;
    let (name, rest) = (&text[..plus], &text[plus + 3..]);
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    if digits == 0 || !rest[digits..].starts_with("/0x") || !is_name(name) {
        return None;
    }
    let size = &rest[digits + 3..];
    let end = size.bytes().take_while(u8::is_ascii_hexdigit).count();
    Some(Frame { function: plain(name), module: module(&size[end..]), trust: Trust::Sure })
}

/// `(func) from [<…>] (caller+…)` and `func from caller+…`.
fn arm(text: &str) -> Option<Frame<'_>> {
    let (name, caller) = text.split_once(" from ")?;
    let name = name.strip_prefix('(').and_then(|name| name.strip_suffix(')')).unwrap_or(name);
    let name = name.split(" [").next().unwrap_or(name);
    let believable = is_name(name) && !name.contains(' ') && caller.contains("+0x");
    believable.then(|| Frame { function: plain(name), module: None, trust: Trust::Sure })
}

/// `func file.c:774 [inline]`.
fn inlined(text: &str) -> Option<Frame<'_>> {
    let (name, rest) = text.strip_suffix(" [inline]")?.split_once(' ')?;
    let believable = is_name(name) && rest.contains(':') && !rest.contains(' ');
    believable.then(|| Frame { function: plain(name), module: None, trust: Trust::Sure })
}

fn is_name(name: &str) -> bool {
    let Some(first) = name.bytes().next() else {
        return false;
    };
    // Demangled Rust: `<rust_binder::process::Process>::update_ref`, blanks and all.
    if name.contains("::") {
        return (first == b'<' || first.is_ascii_alphabetic() || first == b'_') && name.len() < 300;
    }
    (first.is_ascii_alphabetic() || first == b'_' || first == b'.' || first == b'$')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.$:".contains(&b))
}

fn plain(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    if name.contains("::") {
        return name;
    }
    name.split('.').next().unwrap_or(name)
}

fn module(rest: &str) -> Option<&str> {
    let inside = &rest[rest.find('[')? + 1..];
    let name = inside.split([']', ' ']).next()?;
    let believable = !name.is_empty()
        && name != "inline"
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    believable.then_some(name)
}

/// Functions that report, unwind, fault, lock, allocate, copy or sleep on behalf of somebody: never the culprit.
/// A star at the end stands for any rest.
const MACHINERY: &[&str] = &[
    // reporting and unwinding
    "dump_stack*", "__dump_stack", "show_stack*", "show_trace*", "dump_backtrace*", "unwind_backtrace*", "dump_trace",
    "print_address_description*", "print_report*", "print_trailer", "object_err", "kasan_*", "__kasan_*", "____kasan_*", "__asan_*", "__hwasan_*", "check_memory_region*", "__check_region*",
    "describe_*", "check_region_inline", "kmsan_*", "__msan_*", "kcsan_*", "__tsan_*", "__kcsan_*", "check_access", "check_watchpoint", "kfence_*", "__kfence_*", "ubsan_*", "__ubsan_*", "val_to_string*", "handle_overflow",
    "warn_slowpath*", "__warn*", "report_bug*", "handle_bug", "fixup_bug*", "panic", "vpanic", "nmi_panic", "oops_*", "die", "__die*", "die_*", "bug_at", "BUG_func",
    "check_panic_on_warn", "add_taint", "save_stack*", "stack_trace_*", "save_trace", "__save_stack_trace", "set_track*", "stack_depot_*", "__stack_depot_*",
    "print_circular_bug*", "print_bad_irq_dependency", "print_deadlock_bug*", "print_usage_bug*", "print_irq_inversion_bug*", "print_unlock_imbalance_bug*", "print_bug*", "lockdep_*", "print_freed_lock_bug", "print_lock_*", "check_deadlock",
    "spin_dump", "spin_bug", "rwlock_bug*", "debug_smp_processor_id", "check_preemption_disabled", "__this_cpu_preempt_check", "__schedule_bug", "___might_sleep*", "__might_*", "might_*",
    "debug_print_object*", "debug_object_*", "__debug_object_*", "debug_check_no_obj_freed", "__debug_check_no_obj_freed", "debug_check_no_locks_*", "refcount_*", "__refcount_*", "fortify_panic", "__fortify_*", "usercopy_*", "__check_object_size*", "__check_heap_object", "check_heap_object", "report_usercopy",
    "slab_err", "slab_bug", "slab_fix", "check_slab", "check_object", "check_bytes_and_report", "on_freelist", "free_debug_processing", "alloc_debug_processing", "slab_out_of_memory", "bad_page*", "free_page_is_bad*", "check_new_page*", "free_pages_check*", "page_bad_reason",
    // faults and interrupts
    "no_context", "page_fault*", "bad_area*", "__bad_area*", "do_page_fault", "__do_page_fault", "do_user_addr_fault", "do_kern_addr_fault", "handle_page_fault", "async_page_fault", "trace_page_fault", "do_trap*", "do_error_trap", "do_invalid_op", "invalid_op", "exc_*", "asm_exc_*", "error_entry", "error_exit", "general_protection*", "do_general_protection", "divide_error", "do_divide_error", "double_fault", "do_double_fault",
    "asm_sysvec_*", "sysvec_*", "smp_apic_timer_interrupt", "apic_timer_interrupt", "irq_exit*", "__irq_exit_rcu", "irq_work_run*", "ret_from_intr", "retint_*", "interrupt_entry", "do_IRQ", "common_interrupt", "asm_common_interrupt", "nmi", "nmi_*", "do_nmi", "default_do_nmi", "end_repeat_nmi", "asm_call_*", "repeat_nmi",
    "el1_*", "el1h_*", "el1t_*", "do_mem_abort", "do_translation_fault", "do_bad_area", "do_sea", "do_alignment_fault", "__do_kernel_fault", "die_kernel_fault", "do_tag_check_fault", "do_undefinstr", "do_el1_*", "bug_handler", "brk_handler", "call_break_hook", "call_el1_break_hook", "do_debug_exception", "arm64_serror_panic", "do_serror", "do_DataAbort", "__und_svc", "__irq_svc", "__irq_usr", "gic_handle_irq", "handle_domain_irq", "__handle_domain_irq", "generic_handle_*", "handle_percpu_devid_irq", "arch_timer_handler*", "do_interrupt_handler", "call_on_irq_stack", "do_softirq_own_stack",
    "arch_trigger_*", "nmi_cpu_backtrace*", "nmi_trigger_*", "trigger_*backtrace*", "rcu_dump_cpu_stacks*", "print_cpu_stall*", "print_other_cpu_stall*", "check_cpu_stall*", "rcu_check_callbacks", "rcu_sched_clock_irq", "rcu_pending*", "update_process_times", "tick_*", "hrtimer_interrupt", "__hrtimer_*", "local_apic_timer_interrupt", "watchdog_timer_fn", "watchdog_overflow_callback", "perf_event_overflow", "update_wall_time", "scheduler_tick", "sched_tick", "sched_show_task", "synchronize_rcu_expedited_wait*", "rcu_tasks_*", "cpu_stall*", "multi_cpu_stop_*", "dump_cpu_task",
    // coverage and tracing
    "__sanitizer_cov_*", "sanitizer_cov_*", "write_comp_data", "check_kcov_mode", "kcov_*", "in_irq*", "trace_hardirqs_*", "trace_irq_*", "trace_preempt_*", "preempt_count_*", "__trace_hardirqs_*", "ftrace_*", "perf_trace_*", "trace_event_*", "__traceiter_*", "lockdep_sys_exit*", "rcu_is_watching", "preempt_schedule*", "___preempt_schedule*", "__preempt_count_*",
    // locks
    "lock_acquire*", "lock_release*", "__lock_*", "lock_is_held*", "lock_set_*", "lock_downgrade", "lock_contended", "lock_acquired", "register_lock_class*", "validate_chain*", "check_prev*", "check_noncircular*", "check_usage*", "check_irq_usage*", "mark_lock*", "mark_usage", "mark_held_locks", "mark_irqflags", "find_held_lock", "look_up_lock_class", "reacquire_held_locks", "match_held_lock", "check_path*", "print_irq_*", "check_wait_context", "check_deadlock*", "check_lock*", "add_lock_to_list", "valid_state", "match_held_lock*",
    "_raw_*", "__raw_*", "do_raw_*", "queued_*", "native_queued_*", "pv_queued_*", "__pv_queued_*", "__pv_kick_lock", "kvm_wait", "spin_*", "read_lock*", "write_lock*", "_spin_*", "mutex_*", "__mutex_*", "ww_mutex_*", "__ww_mutex_*", "rt_mutex_*", "rt_spin_*", "rt_write_*", "rt_read_*", "rtlock_*", "__rt_mutex_*", "down", "down_*", "__down*", "up", "up_*", "__up*", "rwsem_*", "__rwsem_*", "percpu_down_*", "percpu_rwsem*", "__percpu_*", "call_rwsem_*", "rwbase_*", "seqlock_*", "write_seqcount*", "do_write_seqcount*",
    // allocators
    "kmalloc*", "__kmalloc*", "kzalloc*", "kcalloc*", "kfree*", "kvfree*", "kvmalloc*", "kvzalloc*", "kmem_cache_*", "__kmem_cache_*", "slab_*", "__slab_*", "___slab_*", "new_slab*", "allocate_slab*", "alloc_slab_page", "vmalloc*", "vzalloc*", "__vmalloc*", "alloc_pages*", "__alloc_pages*", "__alloc_frozen_pages*", "__alloc_from_*", "__get_free_pages", "get_page_from_freelist", "prep_new_page", "post_alloc_hook", "rmqueue*", "krealloc*", "__krealloc*", "__do_krealloc*", "kmemdup*", "__kmemdup*", "kstrdup*", "kstrndup*", "should_fail*", "fail_dump", "might_alloc", "create_object", "kmemleak_*", "cache_free_*", "cache_alloc*", "__cache_*", "___cache_*", "qlink_*", "do_slab_free", "__do_kmalloc*", "__free_slab", "free_pages*", "__free_pages*", "free_unref_*", "free_frozen_*", "free_slab", "vfree", "__vfree", "__vunmap", "devm_kmalloc*", "devm_kzalloc",
    // copies, strings, containers
    "memcpy*", "memset*", "memmove*", "memcmp*", "memchr*", "memscan*", "__memcpy*", "__memset*", "__memmove*", "__pi_mem*", "__pi_str*", "__arch_copy_*", "__arch_clear_*", "strcpy*", "strncpy*", "strlen*", "strnlen*", "strcmp*", "strncmp*", "strlcpy*", "strscpy*", "sized_strscpy*", "strchr*", "strstr*", "strcat*", "strlcat*", "strspn*", "strcspn*", "strsep*", "copy_user*", "copy_to_user*", "copy_from_user*", "_copy_to_*", "_copy_from_*", "__copy_*", "instrument_copy_*", "_inline_copy_*", "raw_copy_*", "get_user*", "put_user*", "__get_user*", "__put_user*",
    "list_add*", "list_del*", "list_is*", "list_move*", "list_empty*", "__list_*", "hlist_*", "__hlist_*", "rb_*", "__rb_*", "____rb_*", "rbtree_*", "xas_*", "xa_*", "__xa_*", "idr_*", "ida_*", "radix_tree_lookup*", "__radix_tree_lookup", "radix_tree_next*", "radix_tree_tag*", "kref_*", "kobject_*", "__kobject_*", "bitmap_*", "find_first_*", "find_next_*", "_find_*", "__find_*_bit", "test_bit*", "test_and_*", "set_bit*", "clear_bit*", "__set_bit*", "arch_*_bit", "instrument_*", "atomic_*", "atomic64_*", "atomic_long_*", "raw_atomic*", "arch_atomic*", "__raw_atomic*", "__read_once*", "__write_once*", "cpumask_*", "snprintf", "vsnprintf", "sprintf", "seq_printf", "scnprintf", "string", "pointer", "string_nocheck", "llist_*", "put_unaligned*", "get_unaligned*", "__get_unaligned*", "skb_panic*", "skb_over_panic*", "skb_under_panic*", "kasprintf*", "kvasprintf*",
    // printing and its path to the console
    "printk*", "_printk", "vprintk*", "console_unlock", "console_flush_*", "console_emit_*", "_dev_printk",
];

/// More of it, for tasks that sleep too long: whoever waits is in here, whoever made it wait stands above.
const WAITING: &[&str] = &[
    "schedule*", "__schedule*", "io_schedule*", "__switch_to*", "context_switch", "bit_wait*", "__bit_wait*", "bit_wait_io*", "wait_on_*", "__wait_on_*", "out_of_line_wait_*", "wait_for_*", "__wait_for_*", "do_wait_for_*", "_wait_*", "io_wait_*", "__wait_rcu_gp", "wait_rcu_gp*", "__flush_work", "flush_work", "flush_workqueue", "__flush_workqueue", "__cancel_work*", "cancel_work_sync", "cancel_delayed_work_sync", "lock_page*", "__lock_page*", "folio_wait_*", "__folio_*", "folio_lock*", "do_read_cache_*", "filemap_update_page", "inode_lock*", "usleep_range*", "msleep*", "do_nanosleep", "prepare_to_wait*", "rwsem_*", "_synchronize_rcu*", "synchronize_rcu_expedited_wait*", "__synchronize_srcu", "blk_mq_freeze_queue_wait*", "blk_execute_rq*",
    "jbd2_*wait*", "percpu_ref_*wait*", "kthread_stop*", "task_can_attach*", "congestion_wait", "__might_sleep", "lock_sock*", "__lock_sock", "lock_buffer", "__lock_buffer",
];

/// More of it, for memory that leaked: who allocates for others.
const ALLOCATING: &[&str] = &[
    "sk_alloc*", "sk_prot_alloc*", "__alloc_skb*", "alloc_skb*", "dev_alloc_skb*", "netdev_alloc_skb*", "__netdev_alloc_skb*", "__napi_alloc_skb*", "pskb_*", "skb_clone*", "bpf_map_area_alloc*", "__bpf_map_area_alloc*", "kstrdup_const", "alloc_inode*", "__d_alloc*", "d_alloc*", "sock_alloc*", "new_inode*", "alloc_workqueue*",
];

/// Whether a function is machinery for a report of this kind.
pub fn machinery(function: &str, kind: Kind) -> bool {
    let any = |list: &[&str]| list.iter().any(|pattern| matches(pattern, function));
    match kind {
        _ if any(MACHINERY) => true,
        Kind::HungTask | Kind::SchedulingWhileAtomic | Kind::SleepInAtomic | Kind::RcuStall | Kind::StackOverflow | Kind::Panic => any(WAITING),
        Kind::MemoryLeak => any(ALLOCATING),
        _ => false,
    }
}

/// Functions that call somebody's entry point: system calls, file operations, protocol and interrupt handlers.
const DISPATCHERS: &[&str] = &[
    "do_syscall_*", "entry_SYSCALL*", "entry_SYSENTER*", "entry_INT80*", "__do_fast_syscall*", "do_fast_syscall*", "do_int80*", "system_call*", "sysenter_*", "tracesys*", "invoke_syscall", "__invoke_syscall", "el0_svc*", "el0_sync*", "do_el0_svc", "ret_fast_syscall", "x64_sys_call", "ia32_sys_call", "syscall_trace*",
    "do_vfs_ioctl", "vfs_ioctl", "ksys_ioctl", "file_ioctl", "__do_sys_ioctl", "__se_sys_ioctl", "vfs_write", "__vfs_write", "vfs_read", "__vfs_read", "do_iter_*", "do_loop_readv_writev*", "do_readv_writev*", "vfs_iter_*", "vfs_readv", "vfs_writev", "new_sync_*", "call_read_iter", "call_write_iter", "generic_file_splice_read", "filemap_splice_read", "kernel_read", "__kernel_read", "kernel_write", "__kernel_write", "vfs_fallocate", "vfs_fsync*", "do_dentry_open", "vfs_open", "__fput", "proc_reg_*", "kernfs_fop_*", "integrity_kernel_read", "vfs_setxattr", "notify_change",
    "sock_sendmsg*", "__sock_sendmsg*", "____sys_sendmsg", "___sys_sendmsg", "__sys_sendto", "sock_write_iter", "sock_recvmsg*", "____sys_recvmsg", "___sys_recvmsg", "kernel_sendmsg", "netlink_rcv_skb", "netlink_unicast*", "rtnetlink_rcv_msg", "nfnetlink_rcv_msg", "nfnetlink_rcv*", "genl_rcv_msg", "genl_family_rcv_msg*", "sock_diag_rcv_msg", "__sys_setsockopt", "do_sock_setsockopt",
    "__netif_receive_skb*", "netif_receive_skb*", "deliver_skb", "process_backlog", "napi_poll", "__napi_poll*", "net_rx_action", "__do_softirq", "do_softirq*", "__softirqentry_text_start", "handle_softirqs", "_stext", "run_ksoftirqd", "tasklet_action*", "tasklet_hi_action*", "call_timer_fn", "__run_timers*", "expire_timers", "run_timer_softirq", "rcu_do_batch", "rcu_core*", "rcu_process_callbacks", "__handle_irq_event*", "handle_irq_event*", "__run_hrtimer*",
    "process_one_work", "process_scheduled_works", "worker_thread", "kthread", "ret_from_fork*", "task_work_run", "smpboot_thread_fn", "start_secondary", "cpu_startup_entry", "do_one_initcall", "rest_init", "start_kernel",
];

/// Whether a function hands over to somebody's entry point.
pub fn dispatcher(function: &str) -> bool {
    DISPATCHERS.iter().any(|pattern| matches(pattern, function))
}

fn matches(pattern: &str, function: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == function,
        Some((head, "")) => function.starts_with(head),
        Some((head, tail)) => function
            .strip_prefix(head)
            .is_some_and(|rest| rest.contains(tail.trim_end_matches('*'))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, function: &str, module: Option<&str>, trust: Trust) {
        assert_eq!(frame(text), Some(Frame { function, module, trust }), "{text}");
    }

    #[test]
    fn frames_of_every_architecture() {
        check(" vim2m_job_run+0x1c/0x90 [vim2m]", "vim2m_job_run", Some("vim2m"), Trust::Sure);
        check(" f+0x1c/0x90 [m 8a1b2c3d] (P)", "f", Some("m"), Trust::Sure);
        check("  ? f.isra.5.part.6+0x1/0x2", "f", None, Trust::Leftover);
        check("  [<ffffffff8153c1bc>] ? f+0x1c/0x70", "f", None, Trust::Leftover);
        check("  [<ffffffff8153c1bc>] f+0x1c/0x70", "f", None, Trust::Sure);
        check("[<8028bd5c>] (dup_fd) from [<80132060>] (copy_process.part.3+0x58c/0x1844)", "dup_fd", None, Trust::Sure);
        check(" dup_fd from copy_process+0x58c/0x1844", "dup_fd", None, Trust::Sure);
        check(" vzalloc+0x6b/0x80 mm/vmalloc.c:3319", "vzalloc", None, Trust::Sure);
        check(" __vmalloc_node mm/vmalloc.c:3246 [inline]", "__vmalloc_node", None, Trust::Sure);
        check(" <a::Process>::update_ref+0x1/0x2", "<a::Process>::update_ref", None, Trust::Sure);
    }

    #[test]
    fn program_counters() {
        assert_eq!(counter("RIP: 0010:f+0x3a2/0x4f0").unwrap().function, "f");
        assert_eq!(counter("RIP: 0010:[<ffffffff8160fc09>]  [<ffffffff8160fc09>] f+0xa9/0xbd0").unwrap().function, "f");
        assert_eq!(counter("pc : f+0x154/0x39c [m]").unwrap().module, Some("m"));
        assert_eq!(counter("PC is at f+0x154/0x39c").unwrap().function, "f");
        assert_eq!(counter("RIP: 0033:0x455777"), None);
        assert_eq!(counter("RIP: 0010:0x0"), None);
        assert_eq!(counter("pc : [<8028bd5c>]    lr : [<8028bd50>]    psr: 20030013"), None);
    }

    #[test]
    fn what_is_no_frame() {
        for text in ["", "a+b", "x+0x1", "f+0x/0x", "[<zz>] f+0x1/0x2", "Code: 00", "a b+0x1/0x2", "from"] {
            assert_eq!(frame(text), None, "{text}");
        }
    }

    #[test]
    fn machinery_and_culprits() {
        for name in ["mutex_lock_nested", "_raw_spin_lock", "kasan_report", "__might_sleep", "memcpy"] {
            assert!(machinery(name, Kind::Kasan), "{name}");
        }
        for name in ["vim2m_job_run", "dma_fence_signal", "rtnl_lock", "vb2_buffer_done"] {
            assert!(!machinery(name, Kind::HungTask), "{name}");
        }
    }
}
