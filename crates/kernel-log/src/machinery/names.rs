//! Names of the tree's functions by what they do for others. A star stands for anything; see
//! `words.rs` for what is folded. None of them is ever the function to look at but where nothing
//! else is.

/// Report and unwind.
pub(super) const REPORTING: &[&str] = &[
    "dump_stack* __dump_stack show_stack* show_trace* dump_backtrace* unwind_backtrace* unwind_frame \
     walk_stackframe dump_trace arch_stack_walk* print_address_description* print_report* print_trailer \
     object_err describe_* warn_slowpath* __warn* warn_alloc* warn_bogus* report_bug* handle_bug \
     fixup_bug* panic* __panic vpanic nmi_panic *_panic *_panic_on_warn oops_* die die_* __die* add_taint \
     assertfail __fortify_* fortify_* __stack_chk_fail program_check_* rust_helper_* rust_panic* \
     _RNv*panicking* rust_begin_unwind *rust_begin_unwind core::panicking::* core::option::* \
     core::result::*",
];

/// Sanitizers, coverage, tracing.
pub(super) const CHECKING: &[&str] = &[
    "kasan_* check_slab_allocation poison_slab_object poison_kmalloc_redzone __kasan_* ____kasan_* \
     __asan_* __hwasan_* check_memory_region* check_region_inline __check_region* kmsan_* __msan_* \
     kcsan_* __tsan_* __kcsan_* check_access check_watchpoint kfence_* __kfence_* ubsan_* __ubsan_* \
     val_to_string* handle_overflow __sanitizer_cov_* sanitizer_cov_* check_kcov_mode kcov_* in_irq* \
     trace_hardirqs_* trace_irq_* trace_preempt_* preempt_count_* __trace_hardirqs_* \
     trace_event_* __traceiter_* perf_trace_* trace_contention_* __x86_indirect_* __x86_return_* \
     __x86_call_* instrument_*",
];

/// What a traced function calls in front of itself: these call back whoever traces it.
pub(super) const TRACING: &[&str] = &[
    "ftrace_call ftrace_caller* ftrace_regs_* ftrace_ops_* ftrace_graph_* ftrace_likely_update \
     ftrace_stub ftrace_trampoline* ftrace_return_* ftrace_syscall_* kprobe_ftrace_handler",
];

/// Saved stacks, object and slab debugging.
pub(super) const DEBUGGING: &[&str] = &[
    "save_stack* stack_trace_* save_trace __save_stack_trace set_track* stack_depot_* __stack_depot_* \
     debug_print_object* debug_object_* __debug_object_* debug_check_no_obj_freed \
     __debug_check_no_obj_freed refcount_* __refcount_* ref_tracker_* usercopy_* __check_object_size* \
     __check_heap_object check_heap_object report_usercopy check_zeroed_user slab_err slab_bug slab_fix \
     check_slab check_object check_bytes_and_report on_freelist free_debug_processing \
     alloc_debug_processing slab_out_of_memory bad_page* free_page_is_bad* check_new_page* \
     free_pages_check* page_bad_reason spin_dump spin_bug rwlock_bug* debug_smp_processor_id \
     check_preemption_disabled __this_cpu_preempt_check __schedule_bug ___might_sleep* __might_* might_* \
     *_is_static_object __set_page_owner* __reset_page_owner* set_page_owner* reset_page_owner* \
     save_page_owner* page_owner_* page_ext_*",
];

/// Faults and interrupts.
pub(super) const FAULTS: &[&str] = &[
    "no_context page_fault* bad_area* __bad_area* do_page_fault __do_page_fault do_user_addr_fault \
     do_kern_addr_fault handle_page_fault async_page_fault trace_page_fault do_trap* do_error_trap \
     do_invalid_op invalid_op exc_* asm_exc_* error_entry error_exit general_protection* \
     do_general_protection divide_error do_divide_error double_fault do_double_fault df_debug \
     asm_sysvec_* sysvec_* __sysvec_* smp_*apic_timer_interrupt* apic_timer_interrupt irq_exit* \
     __irq_exit_rcu irq_work_run* ret_from_intr retint_* interrupt_entry do_IRQ common_interrupt \
     asm_common_interrupt nmi nmi_* do_nmi default_do_nmi end_repeat_nmi repeat_nmi asm_call_* el1_* \
     el1h_* el1t_* do_mem_abort do_translation_fault do_bad_area do_sea do_alignment_fault \
     __do_kernel_fault die_kernel_fault do_tag_check_fault do_sp_pc_abort handle_bad_stack show_regs \
     __show_regs *_brk_handler do_undefinstr do_el1_* bug_handler* brk_handler* call_break_hook \
     call_el1_break_hook do_debug_exception arm64_serror_panic do_serror do_DataAbort __und_svc __irq_svc \
     __irq_usr gic_handle_irq handle_domain_irq __handle_domain_irq generic_handle_* \
     handle_percpu_devid_irq arch_timer_handler* do_interrupt_handler call_on_irq_stack \
     do_softirq_own_stack",
];

/// The tick, and what detects stalls in it.
pub(super) const TICK: &[&str] = &[
    "arch_trigger_* nmi_cpu_backtrace* nmi_trigger_* trigger_*backtrace* rcu_dump_cpu_stacks* \
     print_cpu_stall* print_other_cpu_stall* check_cpu_stall* rcu_check_callbacks rcu_sched_clock_irq \
     rcu_pending* update_process_times tick_periodic* tick_sched_* tick_nohz_* tick_handle_* \
     hrtimer_interrupt __hrtimer_* hrtimer_start* hrtimer_init* hrtimer_try* hrtimer_cancel \
     local_apic_timer_interrupt watchdog_timer_fn watchdog_overflow_callback perf_event_overflow \
     update_wall_time scheduler_tick sched_tick sched_show_task _sched_show_task dump_cpu_task \
     rcu_tasks_* rcu_print_* cpu_stall* check_hung_* hung_task_* watchdog",
];

/// Take and check locks.
pub(super) const LOCKS: &[&str] = &[
    "lock_acquire* lock_release* __lock_acquire* __lock_release* lock_is_held* lock_set_* \
     lock_downgrade lock_contended lock_acquired register_lock_class* validate_chain* check_prev* \
     check_noncircular* check_usage* check_irq_usage* mark_lock* mark_usage mark_held_locks \
     mark_irqflags find_held_lock look_up_lock_class reacquire_held_locks match_held_lock* check_path* \
     check_wait_context check_deadlock* add_lock_to_list valid_state print_irq_* print_circular_bug* \
     print_bad_irq_dependency print_deadlock_bug* print_usage_bug* print_irq_inversion_bug* \
     print_unlock_imbalance_bug* print_bug* lockdep_* print_freed_lock_bug print_lock_* \
     debug_check_no_locks_* _raw_* __raw_spin* __raw_read* __raw_write* do_raw_* queued_* \
     native_queued_* pv_queued_* __pv_* spin_* read_lock* write_lock* *spin_lock* *spin_unlock* \
     *spin_trylock* *_rq_lock* rq_lock* rq_unlock* _spin_* _mutex_* _down_write_nest_lock \
     downgrade_write __rwlock_init __init_rwsem try_to_take_rt_mutex task_blocks_on_rt_mutex \
     remove_waiter mark_wakeup_next_waiter mutex_* __mutex_* ww_mutex_* __ww_mutex_* rt_mutex_* \
     rt_spin_* rt_write_* rt_read_* rtlock_* __rt_mutex_* down down_* __down* up up_* __up* rwsem_* \
     __rwsem_* percpu_down_* percpu_rwsem* __percpu_* call_rwsem_* rwbase_* osq_* seqlock_* \
     write_seqcount* do_write_seqcount* lock_sock* __lock_sock* local_bh_* __local_bh_* local_lock* \
     _atomic_dec_and_lock* lockref_* cpus_read_lock hlock_* debug_lockdep_rcu* rcu_read_lock* \
     rcu_read_unlock* rcu_lockdep_* rcu_lock_* __rcu_read_* rcu_dynticks_*",
];

/// Allocate and free for their caller.
pub(super) const ALLOCATORS: &[&str] = &[
    "kmalloc kmalloc_array* kmalloc_large* kmalloc_node* kmalloc_order* kmalloc_slab* kmalloc_trace* \
     kmalloc_reserve* kmalloc_cache* kmalloc_nolock* __kmalloc* ___kmalloc* kzalloc kzalloc_node* \
     kcalloc kcalloc_node* kfree* kvfree* kvmalloc* kvzalloc* kmem_cache_* __kmem_cache_* slab_* \
     __slab_* ___slab_* new_slab* allocate_slab* alloc_slab_page vmalloc* vzalloc* __vmalloc* \
     alloc_pages* __alloc_pages* __alloc_frozen_pages* __alloc_from_* __get_free_pages \
     get_page_from_freelist prep_new_page post_alloc_hook rmqueue* krealloc* __krealloc* __do_krealloc* \
     kmemdup* __kmemdup* kstrdup* kstrndup* memdup_* strndup_user vmemdup_* should_fail* __should_fail* \
     fail_dump might_alloc create_object kmemleak_* cache_free_* cache_alloc* __cache_* ___cache_* \
     ____cache_* fallback_alloc cache_grow_* qlink_* do_slab_free __do_kmalloc* __free_slab free_pages* \
     __free_pages* free_unref_* __free_frozen_* __free_one_page free_one_page free_pcppages_bulk \
     free_tail_page_prepare __folio_put* free_frozen_* free_slab free_large_* vfree __vfree __vunmap \
     devm_k* *_kmalloc* *_kzalloc* *_kcalloc* *_vmalloc* *_vzalloc* *alloc_pages* page_pool_* ksize \
     __ksize kvrealloc* _kmalloc_* mempool_* *_sheaf* barn_* refill_objects get_zeroed_page* \
     __folio_alloc* vcalloc* __vcalloc* pcpu_* __alloc_percpu* alloc_percpu* free_percpu alloc_page* \
     folio_alloc* filemap_alloc_folio* kernel_init_*pages kernel_poison_pages kasan_alloc_pages \
     alloc_skb_with_frags vunmap* vm_unmap_* vm_map_ram find_vm_area remove_vm_area put_page* \
     page_frag_* split_page free_contig_range",
];

/// Strings, copies, containers, bits, numbers.
pub(super) const LIBRARY: &[&str] = &[
    "memcpy* memset* memmove* memcmp* memchr* memscan* __memcpy* __memset* __memmove* __pi_mem* \
     __pi_str* __arch_copy_* __arch_clear_* strcpy* strncpy* strlen* strnlen* strcmp* strncmp* strlcpy* \
     strscpy* sized_strscpy* strchr* strstr* strnstr* strcat* strlcat* strspn* strcspn* strsep* \
     strcasecmp* strncasecmp* strncat* strnchr* strpbrk* strrchr* strim skip_spaces bcmp stpcpy \
     simple_strto* vsprintf sscanf vsscanf hex_dump_to_buffer bin2hex hex2bin number __bitmap_* \
     clear_page copy_page copy_user* *copy_to_user* *copy_from_user* *copy_in_user* _copy_to_* \
     _copy_from_* __copy_* _inline_copy_* raw_copy_* copy_page_to_iter* copy_page_from_iter* \
     simple_copy_to_iter get_user* put_user* __get_user* __put_user* list_add* list_del* list_is* \
     list_move* list_empty* __list_* hlist_* __hlist_* xas_* xa_* __xa_* ida_* radix_tree_lookup* \
     __radix_tree_lookup radix_tree_next* radix_tree_tag* bitmap_* find_first_* find_next_* _find_* \
     __find_*_bit test_bit* test_and_* set_bit* clear_bit* __set_bit* arch_*_bit atomic_add* \
     atomic_sub* atomic_inc* atomic_dec* atomic_read* atomic_set* atomic_cmpxchg* atomic_try_* \
     atomic_xchg* atomic_fetch_* atomic_and* atomic_or* atomic64_* atomic_long_* raw_atomic* \
     arch_atomic* __raw_atomic* __read_once* __write_once* cpumask_* snprintf vsnprintf vscnprintf \
     sprintf scnprintf string pointer string_nocheck format_decode llist_* put_unaligned* \
     get_unaligned* __get_unaligned* kasprintf* kvasprintf* crc_* crc16* crc32* logic_in* logic_out* \
     __raw_readb __raw_readw __raw_readl __raw_writeb __raw_writew __raw_writel read_word_at_a_time \
     load_unaligned_zeropad csum_partial* do_csum* iov_iter_* _copy_from_iter* _copy_to_iter* \
     copy_page_*iter* rhashtable_* __rhashtable_* rhltable_* mas_* mtree_* mast_* sbitmap_* kfifo_* \
     gen_pool_* genradix_* plist_* percpu_counter_* siphash_* assoc_array_* sg_init_* sg_next \
     sg_alloc_* sg_free_* sg_miter_* sg_nents* kstrto* nla_* match_token match_int match_string \
     match_strdup memparse get_option* uuid_* guid_* strreplace seq_puts seq_putc seq_write seq_pad \
     __roundup_pow_* __rounddown_pow_* __ilog2_* __order_base_2 get_order round_jiffies* ktime_get* \
     jiffies_* timespec64_* fault_in_*",
];

/// Run for their caller, and may call somebody back: timers, work items, RCU, waking, references of
/// the driver core, of files and of buffers.
pub(super) const SERVICES: &[&str] = &[
    "del_timer* __del_timer* timer_delete* __timer_delete* try_to_del_timer* mod_timer* __mod_timer* \
     add_timer* timer_is_static_object lock_timer_base init_timer* timer_fixup* __flush_work* flush_work* \
     flush_delayed_work __flush_workqueue flush_workqueue drain_workqueue destroy_workqueue queue_work* \
     __queue_work* insert_work try_to_grab_pending* queue_delayed_work* __queue_delayed_work \
     start_flush_work cancel_work* __cancel_work* cancel_delayed_work* call_rcu* __call_rcu* \
     kvfree_call_rcu rcu_is_watching __wake_up* wake_up_process wake_up_state wake_up_q wake_up_bit \
     wake_up_var* wake_up_klogd* wake_up_if_idle finish_wait wait_for_completion* complete complete_all \
     swake_up* try_to_wake_up kthread_stop* kthread_park device_add device_del device_register \
     device_unregister device_destroy device_release get_device_parent get_device put_device \
     device_for_each_child* devres_* add_uevent_var proc_register proc_create* proc_mkdir* _proc_mkdir \
     tty_register_device* tty_unregister_device hwrng_register hwrng_unregister __unregister_client \
     i2c_unregister_device i2c_del_adapter sysfs_* dpm_sysfs_* internal_create_group internal_add_group \
     usb_kill_urb usb_submit_urb usb_unlink_urb usb_poison_urb usb_anchor_* rollback_registered* \
     unregister_netdev* skb_put* skb_push* skb_pull* skb_panic* skb_over_panic* skb_under_panic* \
     __skb_put* __skb_pull* iput* dput* fast_dput drop_nlink mark_buffer_dirty folio_unlock folio_put* \
     folio_mark_* unlock_page find_lock_entries truncate_inode_pages* truncate_pagecache* \
     invalidate_inode_* _cond_resched __cond_resched cond_resched preempt_schedule* ___preempt_schedule* \
     __preempt_count_* printk* _printk vprintk* console_unlock console_flush_* console_emit_* \
     console_trylock* __down_trylock_console_sem dev_printk* dev_vprintk* _dev_* netdev_printk \
     netdev_info netdev_warn netdev_err print_hex_dump* klist_* rb_* __rb_* ____rb_* rbtree_* idr_* \
     kref_* kobject_* __kobject_* seq_printf percpu_ref_* sk_stop_timer* sk_reset_timer* \
     __try_to_del_timer* tasklet_kill tasklet_schedule* raise_softirq* free_irq enable_irq* disable_irq* \
     synchronize_irq",
];

/// More of it, for tasks that sleep where they must not, or too long: whoever waits is in here,
/// whoever made it wait stands above.
pub(super) const WAITING: &[&str] = &[
    "schedule* __schedule* io_schedule* __switch_to* context_switch bit_wait* __bit_wait* wait_on_* \
     __wait_on_* out_of_line_wait_* wait_for_* __wait_for_* do_wait_for_* wait_common io_wait_* \
     __wait_rcu_gp wait_rcu_gp* console_lock rcu_barrier* lock_page* __lock_page* folio_wait_* __folio_* \
     folio_lock* do_read_cache_* filemap_update_page __filemap_fdatawait* filemap_fdatawait* fdatawait_* \
     filemap_write_and_wait* inode_lock* usleep_range* msleep* do_nanosleep prepare_to_wait* \
     _synchronize_rcu* __synchronize_srcu blk_mq_freeze_queue_wait* blk_execute_rq* jbd2_*wait* \
     congestion_wait lock_buffer __lock_buffer kernel_fpu_begin_mask",
];

/// More of it, for memory that leaked: who allocates for others.
pub(super) const ALLOCATING: &[&str] = &[
    "sk_alloc* sk_prot_alloc* __alloc_skb* alloc_skb* dev_alloc_skb* netdev_alloc_skb* \
     __netdev_alloc_skb* __napi_alloc_skb* pskb_* skb_clone* *_map_area_alloc* *_map_alloc* alloc_inode* \
     __d_alloc* d_alloc* sock_alloc* new_inode* alloc_workqueue* radix_tree_node_alloc* radix_tree_extend",
];

/// More of it, for rules of dma-fence and dma-resv that a driver broke.
pub(super) const FENCES: &[&str] = &["dma_fence_* __dma_fence_* dma_resv_* kref_*"];

/// More of it, for misuse of the DMA API.
pub(super) const DMA: &[&str] =
    &["check_unmap check_sync check_map* check_for_* err_printk debug_dma_* dma_* dmam_*"];

/// Functions of arm64 in hand-written assembler (arch/arm64/lib/*.S) that call nobody and have no
/// frame: their caller is in the link register alone.
pub(super) const LEAVES: &[&str] = &[
    "__pi_mem* __pi_str* __memcpy* __memset* __memmove* memcpy* memset* memmove* memcmp* memchr* strcmp* \
     strlen* strncmp* strnlen* strchr* strrchr* __arch_copy_* __arch_clear_* clear_page* copy_page*",
];
