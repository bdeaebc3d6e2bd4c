//! Which functions of a stack are machinery, which are culprits, and which call somebody's entry point.

use super::frames::{Frame, Trust};
use super::kind::Kind;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Functions that report, unwind, fault, lock, allocate, copy or sleep on behalf of somebody: never the culprit.
/// A star stands for anything.
const MACHINERY: &[&str] = &[
    // Reporting and unwinding.
    "dump_stack* __dump_stack show_stack* show_trace* dump_backtrace* unwind_backtrace* unwind_frame walk_stackframe \
     dump_trace arch_stack_walk* print_address_description* print_report* print_trailer object_err describe_* \
     warn_slowpath* __warn* warn_alloc* warn_bogus* report_bug* handle_bug fixup_bug* panic* __panic vpanic nmi_panic \
     *_panic *_panic_on_warn oops_* die die_* __die* add_taint assertfail __fortify_* fortify_* __stack_chk_fail \
     program_check_* rust_helper_* rust_panic* _RNv*panicking* rust_begin_unwind *rust_begin_unwind core::panicking::* core::option::* core::result::*",
    // Sanitizers, coverage, tracing.
    "kasan_* check_slab_allocation poison_slab_object poison_kmalloc_redzone __kasan_* ____kasan_* __asan_* __hwasan_* check_memory_region* check_region_inline __check_region* \
     kmsan_* __msan_* kcsan_* __tsan_* __kcsan_* check_access check_watchpoint kfence_* __kfence_* ubsan_* __ubsan_* \
     val_to_string* handle_overflow __sanitizer_cov_* sanitizer_cov_* check_kcov_mode kcov_* in_irq* trace_hardirqs_* \
     trace_irq_* trace_preempt_* preempt_count_* __trace_hardirqs_* ftrace_* trace_event_* __traceiter_* perf_trace_* trace_contention_* \
     __x86_indirect_* __x86_return_* __x86_call_* instrument_*",
    // Saved stacks, object and slab debugging.
    "save_stack* stack_trace_* save_trace __save_stack_trace set_track* stack_depot_* __stack_depot_* \
     debug_print_object* debug_object_* __debug_object_* debug_check_no_obj_freed __debug_check_no_obj_freed \
     refcount_* __refcount_* ref_tracker_* usercopy_* __check_object_size* __check_heap_object check_heap_object \
     report_usercopy check_zeroed_user slab_err slab_bug slab_fix check_slab check_object check_bytes_and_report on_freelist \
     free_debug_processing alloc_debug_processing slab_out_of_memory bad_page* free_page_is_bad* check_new_page* \
     free_pages_check* page_bad_reason spin_dump spin_bug rwlock_bug* debug_smp_processor_id \
     check_preemption_disabled __this_cpu_preempt_check __schedule_bug ___might_sleep* __might_* might_*",
    // Faults and interrupts.
    "no_context page_fault* bad_area* __bad_area* do_page_fault __do_page_fault do_user_addr_fault do_kern_addr_fault \
     handle_page_fault async_page_fault trace_page_fault do_trap* do_error_trap do_invalid_op invalid_op exc_* \
     asm_exc_* error_entry error_exit general_protection* do_general_protection divide_error do_divide_error \
     double_fault do_double_fault df_debug asm_sysvec_* sysvec_* __sysvec_* smp_*apic_timer_interrupt* \
     apic_timer_interrupt irq_exit* __irq_exit_rcu irq_work_run* ret_from_intr retint_* interrupt_entry do_IRQ \
     common_interrupt asm_common_interrupt nmi nmi_* do_nmi default_do_nmi end_repeat_nmi repeat_nmi asm_call_* el1_* \
     el1h_* el1t_* do_mem_abort do_translation_fault do_bad_area do_sea do_alignment_fault __do_kernel_fault \
     die_kernel_fault do_tag_check_fault do_sp_pc_abort handle_bad_stack show_regs __show_regs \
     *_brk_handler do_undefinstr do_el1_* bug_handler* brk_handler* call_break_hook \
     call_el1_break_hook do_debug_exception arm64_serror_panic do_serror do_DataAbort __und_svc __irq_svc __irq_usr \
     gic_handle_irq handle_domain_irq __handle_domain_irq generic_handle_* handle_percpu_devid_irq \
     arch_timer_handler* do_interrupt_handler call_on_irq_stack do_softirq_own_stack",
    // The tick, and what detects stalls in it.
    "arch_trigger_* nmi_cpu_backtrace* nmi_trigger_* trigger_*backtrace* rcu_dump_cpu_stacks* print_cpu_stall* \
     print_other_cpu_stall* check_cpu_stall* rcu_check_callbacks rcu_sched_clock_irq rcu_pending* \
     update_process_times tick_periodic* tick_sched_* tick_nohz_* tick_handle_* hrtimer_interrupt __hrtimer_* \
     hrtimer_start* hrtimer_init* hrtimer_try* hrtimer_cancel local_apic_timer_interrupt watchdog_timer_fn \
     watchdog_overflow_callback perf_event_overflow update_wall_time scheduler_tick sched_tick sched_show_task \
     _sched_show_task dump_cpu_task rcu_tasks_* cpu_stall*",
    // Locks.
    "lock_acquire* lock_release* __lock_acquire* __lock_release* lock_is_held* lock_set_* lock_downgrade lock_contended \
     lock_acquired register_lock_class* validate_chain* check_prev* check_noncircular* check_usage* check_irq_usage* \
     mark_lock* mark_usage mark_held_locks mark_irqflags find_held_lock look_up_lock_class reacquire_held_locks \
     match_held_lock* check_path* check_wait_context check_deadlock* add_lock_to_list valid_state print_irq_* \
     print_circular_bug* print_bad_irq_dependency print_deadlock_bug* print_usage_bug* print_irq_inversion_bug* \
     print_unlock_imbalance_bug* print_bug* lockdep_* print_freed_lock_bug print_lock_* debug_check_no_locks_* \
     _raw_* __raw_spin* __raw_read* __raw_write* do_raw_* queued_* native_queued_* pv_queued_* __pv_* spin_* \
     read_lock* write_lock* *spin_lock* *spin_unlock* *spin_trylock* *_rq_lock* _spin_* _mutex_* _down_write_nest_lock downgrade_write \
     __rwlock_init __init_rwsem try_to_take_rt_mutex task_blocks_on_rt_mutex remove_waiter mark_wakeup_next_waiter mutex_* __mutex_* ww_mutex_* __ww_mutex_* rt_mutex_* rt_spin_* rt_write_* rt_read_* \
     rtlock_* __rt_mutex_* down down_* __down* up up_* __up* rwsem_* __rwsem_* percpu_down_* percpu_rwsem* __percpu_* \
     call_rwsem_* rwbase_* osq_* seqlock_* write_seqcount* do_write_seqcount* lock_sock* __lock_sock* local_bh_* \
     __local_bh_* local_lock* _atomic_dec_and_lock* lockref_* cpus_read_lock percpu_ref_*",
    // Allocators.
    "kmalloc* __kmalloc* ___kmalloc* kzalloc* kcalloc* kfree* kvfree* kvmalloc* kvzalloc* kmem_cache_* __kmem_cache_* \
     slab_* __slab_* ___slab_* new_slab* allocate_slab* alloc_slab_page vmalloc* vzalloc* __vmalloc* alloc_pages* \
     __alloc_pages* __alloc_frozen_pages* __alloc_from_* __get_free_pages get_page_from_freelist prep_new_page \
     post_alloc_hook rmqueue* krealloc* __krealloc* __do_krealloc* kmemdup* __kmemdup* kstrdup* kstrndup* memdup_* \
     strndup_user vmemdup_* should_fail* __should_fail* fail_dump might_alloc create_object kmemleak_* cache_free_* \
     cache_alloc* __cache_* ___cache_* ____cache_* fallback_alloc cache_grow_* qlink_* do_slab_free __do_kmalloc* \
     __free_slab free_pages* __free_pages* free_unref_* __free_frozen_* \
     __free_one_page free_one_page free_pcppages_bulk free_tail_page_prepare __folio_put* free_frozen_* free_slab free_large_* vfree __vfree __vunmap \
     devm_k* *kmalloc* *kzalloc* *kcalloc* *vmalloc* *vzalloc* *alloc_pages* page_pool_* ksize __ksize kvrealloc* _kmalloc_* \
     mempool_* *_sheaf* barn_* refill_objects get_zeroed_page* __folio_alloc* vcalloc* __vcalloc* pcpu_* __alloc_percpu* alloc_percpu* free_percpu",
    // Strings, copies, lists, trees, bits, numbers.
    "memcpy* memset* memmove* memcmp* memchr* memscan* __memcpy* __memset* __memmove* __pi_mem* __pi_str* __arch_copy_* \
     __arch_clear_* strcpy* strncpy* strlen* strnlen* strcmp* strncmp* strlcpy* strscpy* sized_strscpy* strchr* strstr* \
     strnstr* strcat* strlcat* strspn* strcspn* strsep* strcasecmp* strncasecmp* strncat* strnchr* strpbrk* strrchr* strim skip_spaces bcmp stpcpy simple_strto* \
     vsprintf sscanf vsscanf hex_dump_to_buffer print_hex_dump* bin2hex hex2bin number __bitmap_* clear_page copy_page copy_user* *copy_to_user* *copy_from_user* *copy_in_user* \
     _copy_to_* _copy_from_* __copy_* _inline_copy_* raw_copy_* copy_page_to_iter* copy_page_from_iter* \
     simple_copy_to_iter get_user* put_user* __get_user* __put_user* list_add* list_del* list_is* list_move* \
     list_empty* __list_* hlist_* __hlist_* klist_* rb_* __rb_* ____rb_* rbtree_* xas_* xa_* __xa_* idr_* ida_* \
     radix_tree_lookup* __radix_tree_lookup radix_tree_next* radix_tree_tag* kref_* kobject_* __kobject_* bitmap_* \
     find_first_* find_next_* _find_* __find_*_bit test_bit* test_and_* set_bit* clear_bit* __set_bit* arch_*_bit \
     atomic_* atomic64_* atomic_long_* raw_atomic* arch_atomic* __raw_atomic* __read_once* __write_once* cpumask_* \
     snprintf vsnprintf vscnprintf sprintf seq_printf scnprintf string pointer string_nocheck format_decode llist_* \
     put_unaligned* get_unaligned* __get_unaligned* kasprintf* kvasprintf* crc_* crc16* crc32* logic_in* logic_out* \
     __raw_readb __raw_readw __raw_readl __raw_writeb __raw_writew __raw_writel",
    // Services that run for their caller: timers, work items, RCU, waking, references of the driver core, of files and of buffers.
    "del_timer* __del_timer* timer_delete* __timer_delete* try_to_del_timer* mod_timer* __mod_timer* add_timer* \
     timer_is_static_object lock_timer_base init_timer* timer_fixup* __flush_work* flush_work* flush_delayed_work \
     __flush_workqueue flush_workqueue drain_workqueue destroy_workqueue queue_work* __queue_work* insert_work try_to_grab_pending* queue_delayed_work* \
     __queue_delayed_work start_flush_work cancel_work* __cancel_work* cancel_delayed_work* call_rcu* __call_rcu* \
     kvfree_call_rcu rcu_is_watching __wake_up* wake_up_process wake_up_state wake_up_q wake_up_bit wake_up_var* wake_up_klogd* wake_up_if_idle finish_wait wait_for_completion* complete complete_all \
     swake_up* try_to_wake_up kthread_stop* kthread_park device_add device_del device_register device_unregister device_destroy device_release \
     get_device_parent get_device put_device device_for_each_child* devres_* add_uevent_var proc_register proc_create* proc_mkdir* _proc_mkdir tty_register_device* tty_unregister_device \
     hwrng_register hwrng_unregister __unregister_client i2c_unregister_device i2c_del_adapter sysfs_* dpm_sysfs_* \
     internal_create_group internal_add_group usb_kill_urb usb_submit_urb usb_unlink_urb usb_poison_urb usb_anchor_* \
     rollback_registered* unregister_netdevice_* skb_put* skb_push* skb_pull* skb_panic* skb_over_panic* \
     skb_under_panic* __skb_put* __skb_pull* iput* dput* fast_dput drop_nlink mark_buffer_dirty folio_unlock folio_put* \
     folio_mark_* unlock_page find_lock_entries truncate_inode_pages* truncate_pagecache* invalidate_inode_* \
     _cond_resched __cond_resched cond_resched preempt_schedule* ___preempt_schedule* __preempt_count_* \
     printk* _printk vprintk* console_unlock console_flush_* console_emit_* console_trylock* __down_trylock_console_sem \
     _dev_printk __dev_printk dev_vprintk*",
];

/// More of it, for tasks that sleep where they must not, or too long: whoever waits is in here, whoever made it wait
/// stands above.
const WAITING: &[&str] = &[
    "schedule* __schedule* io_schedule* __switch_to* context_switch bit_wait* __bit_wait* wait_on_* __wait_on_* \
     out_of_line_wait_* wait_for_* __wait_for_* do_wait_for_* wait_common io_wait_* __wait_rcu_gp wait_rcu_gp* \
     console_lock rcu_barrier* lock_page* __lock_page* folio_wait_* __folio_* folio_lock* do_read_cache_* filemap_update_page \
     __filemap_fdatawait* filemap_fdatawait* fdatawait_* filemap_write_and_wait* inode_lock* usleep_range* msleep* \
     do_nanosleep prepare_to_wait* _synchronize_rcu* __synchronize_srcu blk_mq_freeze_queue_wait* blk_execute_rq* \
     jbd2_*wait* congestion_wait lock_buffer __lock_buffer kernel_fpu_begin_mask",
];

/// More of it, for memory that leaked: who allocates for others.
const ALLOCATING: &[&str] = &[
    "sk_alloc* sk_prot_alloc* __alloc_skb* alloc_skb* dev_alloc_skb* netdev_alloc_skb* __netdev_alloc_skb* \
     __napi_alloc_skb* pskb_* skb_clone* *_map_area_alloc* *_map_alloc* alloc_inode* __d_alloc* d_alloc* sock_alloc* \
     new_inode* alloc_workqueue* radix_tree_node_alloc* radix_tree_extend",
];

/// More of it, for rules of dma-fence and dma-resv that a driver broke.
const FENCES: &[&str] = &["dma_fence_* __dma_fence_* dma_resv_* kref_*"];

/// More of it, for misuse of the DMA API.
const DMA: &[&str] = &["check_unmap check_sync check_map* check_for_* err_printk debug_dma_* dma_* dmam_*"];

/// Functions of arm64 in hand-written assembler (arch/arm64/lib/*.S) that call nobody and have no frame: their caller is in the link register alone.
const LEAVES: &[&str] = &[
    "__pi_mem* __pi_str* __memcpy* __memset* __memmove* memcpy* memset* memmove* memcmp* memchr* strcmp* strlen* strncmp* strnlen* strchr* strrchr* __arch_copy_* __arch_clear_* clear_page* copy_page*",
];

/// Functions that call somebody's entry point: system calls, file operations, protocol and interrupt handlers.
const DISPATCHERS: &[&str] = &[
    // System calls.
    "do_syscall_* entry_SYSCALL* entry_SYSENTER* entry_INT80* __do_fast_syscall* do_fast_syscall* do_int80* system_call* \
     sysenter_* tracesys* invoke_syscall __invoke_syscall el0_svc* el0_sync* do_el0_svc ret_fast_syscall x64_sys_call \
     ia32_sys_call syscall_trace* compat_SyS_ioctl compat_sys_ioctl __ia32_compat_sys_ioctl __se_compat_sys_ioctl",
    // Files.
    "do_vfs_ioctl vfs_ioctl ksys_ioctl file_ioctl __do_sys_ioctl __se_sys_ioctl blkdev_ioctl compat_blkdev_ioctl \
     vfs_write __vfs_write vfs_read __vfs_read do_iter_* do_loop_readv_writev* do_readv_writev* vfs_iter_* vfs_readv \
     vfs_writev new_sync_* call_read_iter call_write_iter generic_file_splice_read filemap_splice_read kernel_read \
     __kernel_read kernel_write __kernel_write vfs_fallocate vfs_fsync* do_dentry_open full_proxy_* vfs_open __fput proc_reg_* \
     kernfs_fop_* integrity_kernel_read vfs_setxattr notify_change",
    // Sockets and packets.
    "sock_sendmsg* __sock_sendmsg* ____sys_sendmsg ___sys_sendmsg __sys_sendto sock_write_iter kernel_sendmsg \
     netlink_rcv_skb netlink_unicast_kernel rtnetlink_rcv_msg nfnetlink_rcv_msg genl_rcv_msg genl_family_rcv_msg* \
     sock_diag_rcv_msg __sys_setsockopt do_sock_setsockopt __netif_receive_skb* netif_receive_skb* deliver_skb \
     process_backlog napi_poll __napi_poll* net_rx_action",
    // Soft interrupts, timers, interrupts.
    "__do_softirq do_softirq* __softirqentry_text_start handle_softirqs run_ksoftirqd tasklet_action* \
     tasklet_hi_action* call_timer_fn __run_timers* expire_timers run_timer_softirq rcu_do_batch rcu_core* \
     rcu_process_callbacks __handle_irq_event* handle_irq_event* __run_hrtimer*",
    // Threads.
    "process_one_work process_scheduled_works worker_thread kthread ret_from_fork* task_work_run smpboot_thread_fn \
     start_secondary cpu_startup_entry do_one_initcall rest_init start_kernel",
];

/// Entry points of the kernel and plumbing of subsystems between a system call and a driver: never the function to look at, whatever else is
/// in the stack.
const NEVER: &[&str] = &[
    "__arm64_sys_* __arm64_compat_sys_* __riscv_sys_* __riscv_compat_sys_* el0_* el0t_* el1_* el1h_* el1t_* __bad_stack bad_stack vectors vector_swi \
     ret_from_fork* ret_from_exception ret_fast_syscall handle_exception do_trap_ecall_u invoke_syscall __invoke_syscall do_el0_svc \
     v4l2_ioctl v4l2_compat_ioctl32 video_ioctl2 video_usercopy __video_do_ioctl video_do_ioctl drm_ioctl* drm_compat_ioctl* \
     __se_sys_ioctl __do_sys_ioctl vfs_ioctl do_vfs_ioctl media_device_ioctl media_ioctl snd_pcm_ioctl snd_ctl_ioctl \
     secondary_start_kernel __secondary_switched __primary_switched",
];

/// Files of the source tree that serve whoever calls them, and subsystem cores.
const SERVING: &[&str] = &[
    "lib/",
    "mm/",
    "include/",
    "kernel/locking/",
    "kernel/rcu/",
    "kernel/time/",
    "kernel/dma/",
    "kernel/printk/",
    "drivers/base/",
    "drivers/media/v4l2-core/",
    "drivers/media/common/videobuf2/",
    "drivers/clk/clk.c",
    "drivers/clk/clkdev.c",
    "drivers/regulator/core.c",
    "drivers/usb/core/",
    "drivers/iommu/iommu.c",
    "drivers/iommu/dma-iommu.c",
    "drivers/dma-buf/",
    "drivers/pmdomain/core.c",
];

/// Modules that serve drivers. A core is called so: `usbcore`, `mmc_core`, `snd_soc_core`, `videobuf2_common`, `drm_kms_helper`.
const CORES: &[&str] = &[
    "videodev",
    "v4l2_mem2mem",
    "v4l2_fwnode",
    "v4l2_async",
    "mc",
    "drm",
    "snd",
    "snd_pcm",
    "snd_timer",
    "scsi_mod",
    "libata",
    "libahci",
    "cfg80211",
    "mac80211",
    "bluetooth",
    "rfkill",
    "regmap_i2c",
    "regmap_spi",
    "industrialio",
    "hid",
    "udc_core",
    "libphy",
    "phylink",
];

/// Functions of subsystem cores by the beginning of their names, for kernels that have them built in.
const CORE_NAMES: &[&str] = &[
    "vb2_* __vb2_* v4l2_m2m_* v4l2_ctrl_* v4l_* clk_core_* clk_prepare* clk_enable* clk_disable* clk_unprepare* clk_bulk_* clk_set_rate* \
     clk_get_rate* regulator_* _regulator_* pm_runtime_* __pm_runtime_* rpm_* genpd_* device_links_* driver_probe_* __driver_probe_* \
     really_probe* bus_for_each_* bus_add_* bus_probe_* platform_drv_probe platform_probe",
];

/// What a frame is to whoever looks for the guilty function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// To be looked at first.
    Suspect,
    /// A subsystem's core or a library: where no one else is in the stack.
    Core,
    /// Reports, locks, allocates for others.
    Machinery,
    /// An entry point.
    Never,
}

/// What a frame is, in a report of this kind.
pub fn rank(frame: &Frame, kind: Kind) -> Rank {
    static ENTRIES: LazyLock<Words> = LazyLock::new(|| Words::new(NEVER));
    static CORE: LazyLock<Words> = LazyLock::new(|| Words::new(CORE_NAMES));
    if frame.trust != Trust::Sure || ENTRIES.has(frame.function) {
        return Rank::Never;
    }
    if let Some(module) = frame.module {
        return if is_core_module(module) {
            Rank::Core
        } else {
            Rank::Suspect
        };
    }
    if machinery(frame.function, kind) {
        return Rank::Machinery;
    }
    let serves = frame
        .file
        .is_some_and(|file| SERVING.iter().any(|folder| file.starts_with(folder)));
    if serves || CORE.has(frame.function) {
        Rank::Core
    } else {
        Rank::Suspect
    }
}

fn is_core_module(module: &str) -> bool {
    let ends = ["core", "_common", "_helper", "_helpers"];
    CORES.contains(&module) || module.starts_with("videobuf2") || ends.iter().any(|end| module.ends_with(end))
}

/// The function to look at first in a stack, innermost first: the first suspect, else the first of a core. Behind the function that called
/// an entry point no one is looked for while there is a core's.
pub fn first_suspect<'a>(stack: impl IntoIterator<Item = Frame<'a>>, kind: Kind) -> Option<Frame<'a>> {
    let mut core = None;
    for frame in stack {
        match rank(&frame, kind) {
            _ if core.is_some() && dispatcher(frame.function) => return core,
            Rank::Suspect => return Some(frame),
            Rank::Core => core = core.or(Some(frame)),
            Rank::Never if core.is_some() && frame.trust == Trust::Sure => return core,
            Rank::Machinery | Rank::Never => {}
        }
    }
    core
}

/// Names and patterns, ready to be asked.
struct Words {
    exact: HashSet<&'static str>,
    /// Before and after the star, by the first bytes of what stands before it.
    patterns: HashMap<[u8; HEAD], Vec<(&'static str, &'static str)>>,
    /// Those that have fewer.
    others: Vec<(&'static str, &'static str)>,
}

/// So many bytes of a name find the patterns that it may fit.
const HEAD: usize = 3;

impl Words {
    fn new(lists: &[&'static str]) -> Self {
        let mut words = Words {
            exact: HashSet::new(),
            patterns: HashMap::new(),
            others: Vec::new(),
        };
        for word in lists.iter().flat_map(|list| list.split_whitespace()) {
            let Some(pattern) = word.split_once('*') else {
                words.exact.insert(word);
                continue;
            };
            match pattern.0.as_bytes().first_chunk() {
                Some(head) => words.patterns.entry(*head).or_default().push(pattern),
                None => words.others.push(pattern),
            }
        }
        words
    }

    /// Whether the name, or the one that is behind its variant (`x_noprof`), is among them.
    fn has(&self, function: &str) -> bool {
        let plain = function.strip_suffix("_noprof");
        self.has_name(function) || plain.is_some_and(|plain| self.has_name(plain))
    }

    fn has_name(&self, function: &str) -> bool {
        let fits = |(head, tail): &(&str, &str)| {
            function
                .strip_prefix(head)
                .is_some_and(|rest| rest.contains(tail.trim_end_matches('*')))
        };
        let near = function
            .as_bytes()
            .first_chunk()
            .and_then(|head| self.patterns.get(head));
        self.exact.contains(function)
            || near.is_some_and(|near| near.iter().any(fits))
            || self.others.iter().any(fits)
    }
}

/// Whether a frame may be the culprit of a report of this kind: a suspect, or a core's. What is in a module is never machinery, whatever its
/// name begins with.
pub fn is_culprit(frame: &Frame, kind: Kind) -> bool {
    matches!(rank(frame, kind), Rank::Suspect | Rank::Core)
}

/// Whether a function has no frame of its own, so that its caller is missing from an arm64 trace.
pub fn is_leaf(function: &str) -> bool {
    static ALL: LazyLock<Words> = LazyLock::new(|| Words::new(LEAVES));
    ALL.has(function)
}

/// Whether a function is machinery for a report of this kind.
pub fn machinery(function: &str, kind: Kind) -> bool {
    static ALWAYS: LazyLock<Words> = LazyLock::new(|| Words::new(MACHINERY));
    static FOR_SLEEPERS: LazyLock<Words> = LazyLock::new(|| Words::new(WAITING));
    static FOR_LEAKS: LazyLock<Words> = LazyLock::new(|| Words::new(ALLOCATING));
    static FOR_FENCES: LazyLock<Words> = LazyLock::new(|| Words::new(FENCES));
    static FOR_DMA: LazyLock<Words> = LazyLock::new(|| Words::new(DMA));
    if ALWAYS.has(function) || takes_lock_of_subsystem(function) {
        return true;
    }
    match kind {
        Kind::SleepInAtomic => FOR_SLEEPERS.has(function) && function != "console_lock",
        Kind::HungTask | Kind::SchedulingWhileAtomic | Kind::RcuStall | Kind::StackOverflow | Kind::Panic => {
            FOR_SLEEPERS.has(function)
        }
        Kind::MemoryLeak => FOR_LEAKS.has(function),
        Kind::DmaFence => FOR_FENCES.has(function),
        Kind::DmaApi => FOR_DMA.has(function),
        _ => false,
    }
}

/// Wrappers that subsystems have around their locks: `reiserfs_write_lock`.
fn takes_lock_of_subsystem(function: &str) -> bool {
    ["_write_lock", "_write_unlock", "_read_lock", "_read_unlock"]
        .iter()
        .any(|end| function.ends_with(end))
}

/// Whether a function hands over to somebody's entry point.
pub fn dispatcher(function: &str) -> bool {
    static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(&[DISPATCHERS, NEVER].concat()));
    WORDS.has(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machinery_and_culprits() {
        for name in [
            "mutex_lock_nested",
            "_raw_spin_lock",
            "kasan_report",
            "__might_sleep",
            "memcpy",
        ] {
            assert!(machinery(name, Kind::Kasan), "{name}");
        }
        for name in [
            "vim2m_job_run",
            "dma_fence_signal",
            "rtnl_lock",
            "vb2_buffer_done",
            "v4l2_m2m_buf_done",
        ] {
            assert!(!machinery(name, Kind::HungTask), "{name}");
        }
    }

    #[test]
    fn a_module_is_never_machinery() {
        let mut frame = Frame {
            function: "mutex_games",
            module: None,
            file: None,
            trust: Trust::Sure,
        };
        assert!(!is_culprit(&frame, Kind::Warning));
        frame.module = Some("games");
        assert!(is_culprit(&frame, Kind::Warning));
        frame.trust = Trust::Leftover;
        assert!(!is_culprit(&frame, Kind::Warning));
    }

    #[test]
    fn cores_and_libraries_stand_back_for_drivers() {
        let frame = |function, module, file| Frame {
            function,
            module,
            file,
            trust: Trust::Sure,
        };
        let foo = frame("foo_start", Some("foo"), None);
        for core in [
            frame("usb_submit_urb", Some("usbcore"), None),
            frame("vb2_core_qbuf", None, None),
            frame("some_walk", None, Some("mm/pagewalk.c")),
        ] {
            assert_eq!(first_suspect([core, foo], Kind::Kasan), Some(foo));
            assert_eq!(first_suspect([core], Kind::Kasan), Some(core));
            let entry = frame("v4l2_ioctl", Some("videodev"), None);
            assert_eq!(
                first_suspect([core, entry, foo], Kind::Kasan),
                Some(core),
                "what called the entry point is not to blame"
            );
        }
        assert_eq!(
            first_suspect([frame("__arm64_sys_ioctl", None, None)], Kind::Kasan),
            None
        );
    }

    #[test]
    fn the_kind_decides() {
        assert!(machinery("schedule_timeout", Kind::HungTask));
        assert!(!machinery("schedule_timeout", Kind::Kasan));
        assert!(machinery("sk_alloc", Kind::MemoryLeak));
        assert!(!machinery("sk_alloc", Kind::Warning));
    }

    #[test]
    fn dispatchers() {
        assert!(
            dispatcher("process_one_work") && dispatcher("do_syscall_64") && dispatcher("invoke_syscall")
        );
        assert!(dispatcher("v4l2_ioctl") && !dispatcher("vim2m_ioctl"));
    }
}
