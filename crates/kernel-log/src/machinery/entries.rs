//! Names of entry points, and of subsystem cores: between a driver and whoever calls it, or between a driver
//! and what it calls.

/// What calls the entry points of tasks: system calls, soft interrupts, timers, interrupts, threads.
pub(super) const ENTRANCES: &[&str] = &[
    "do_syscall_* entry_SYSCALL* entry_SYSENTER* entry_INT80* do_fast_syscall* do_int80* system_call* \
     sysenter_* tracesys* invoke_syscall el0_svc* el0_sync* do_el0_svc ret_fast_syscall x64_sys_call \
     ia32_sys_call syscall_trace* syscall_handler compat_SyS_ioctl compat_sys_ioctl \
     __ia32_compat_sys_ioctl __se_compat_sys_ioctl",
    "do_softirq* __softirqentry_text_start handle_softirqs run_ksoftirqd tasklet_action* \
     tasklet_hi_action* call_timer_fn run_timers* run_timer_base* expire_timers run_timer_softirq \
     rcu_do_batch rcu_core* rcu_process_callbacks handle_irq_event* run_hrtimer*",
    "process_one_work process_scheduled_works worker_thread kthread ret_from_fork* task_work_run \
     smpboot_thread_fn start_secondary cpu_startup_entry do_one_initcall do_initcall* do_basic_setup \
     kernel_init kernel_init_freeable kernel_thread_* rest_init start_kernel",
];

/// What hands over to the operations of a file, a protocol or a message.
pub(super) const HANDLERS: &[&str] = &[
    "do_vfs_ioctl vfs_ioctl ksys_ioctl file_ioctl __do_sys_ioctl __se_sys_ioctl blkdev_ioctl \
     compat_blkdev_ioctl vfs_write vfs_read do_iter_* do_loop_readv_writev* do_readv_writev* vfs_iter_* \
     vfs_readv vfs_writev new_sync_* call_read_iter call_write_iter generic_file_splice_read \
     filemap_splice_read kernel_read kernel_write vfs_fallocate vfs_fsync* do_dentry_open full_proxy_* \
     vfs_open __fput proc_reg_* kernfs_fop_* integrity_kernel_read vfs_setxattr notify_change",
    "sock_sendmsg* ____sys_sendmsg ___sys_sendmsg __sys_sendto sock_write_iter kernel_sendmsg \
     netlink_rcv_skb netlink_unicast_kernel netlink_dump netlink_dump_start rtnetlink_rcv_msg \
     nfnetlink_rcv_msg genl_rcv_msg genl_family_rcv_msg* sock_diag_rcv_msg __sys_setsockopt \
     do_sock_setsockopt netif_receive_skb* deliver_skb process_backlog napi_poll net_rx_action \
     sock_recvmsg* sock_release sock_mmap sock_ioctl sock_do_ioctl compat_sock_ioctl kernel_listen \
     kernel_accept kernel_setsockopt sock_common_setsockopt sk_common_release call_mmap mmap_region \
     do_mmap",
];

/// Entry points of the kernel and plumbing of subsystems between a system call and a driver: never
/// the function to look at, whatever else is in the stack.
pub(super) const NEVER: &[&str] = &[
    "__arm64_sys_* __arm64_compat_sys_* __riscv_sys_* __riscv_compat_sys_* el0_* el0t_* el1_* el1h_* \
     el1t_* __bad_stack bad_stack vectors vector_swi ret_from_fork* ret_from_exception ret_fast_syscall \
     handle_exception do_trap_ecall_u invoke_syscall __invoke_syscall do_el0_svc v4l2_ioctl \
     v4l2_compat_ioctl32 video_ioctl2 video_usercopy __video_do_ioctl video_do_ioctl drm_ioctl* \
     drm_compat_ioctl* __se_sys_ioctl __do_sys_ioctl ksys_ioctl __x64_sys_ioctl __ia32_sys_ioctl \
     SyS_ioctl sys_ioctl compat_ksys_ioctl vfs_ioctl do_vfs_ioctl media_device_ioctl media_ioctl \
     snd_pcm_ioctl snd_ctl_ioctl kthread secondary_start_kernel __secondary_switched __primary_switched",
];

/// What a library calls all the same: memory is reclaimed, by file systems and drivers, because
/// somebody asks for some (mm/vmscan.c, mm/oom_kill.c).
pub(super) const RECLAIM: &[&str] = &[
    "shrink_* do_shrink_* try_to_free_* do_try_to_free_* perform_reclaim* balance_pgdat kswapd* \
     alloc_pages_direct_* node_reclaim* out_of_memory oom_kill_*",
    // Notifiers: whoever registered one is called back (kernel/notifier.c).
    "notifier_call_chain* atomic_notifier_* blocking_notifier_* raw_notifier_* srcu_notifier_*",
    // A guest waits for its host where it waits for a lock (arch/x86/kernel/kvm.c).
    "pv_*",
];

/// Files of the source tree that serve whoever calls them, and subsystem cores.
pub(super) const SERVING: &[&str] = &[
    "lib/",
    "mm/",
    "include/",
    "crypto/",
    "kernel/locking/",
    "kernel/rcu/",
    "kernel/time/",
    "kernel/dma/",
    "kernel/printk/",
    "kernel/irq/",
    "kernel/kcsan/",
    "kernel/workqueue.c",
    "kernel/kthread.c",
    "kernel/softirq.c",
    "kernel/smp.c",
    "kernel/kcov.c",
    "fs/sysfs/",
    "fs/kernfs/",
    "net/core/skbuff.c",
    "net/core/sock.c",
    "drivers/base/",
    "drivers/clk/clk.c",
    "drivers/clk/clkdev.c",
    "drivers/dma-buf/",
    "drivers/gpio/gpiolib",
    "drivers/gpu/drm/drm_",
    "drivers/gpu/drm/scheduler/",
    "drivers/i2c/i2c-core",
    "drivers/iommu/iommu.c",
    "drivers/iommu/dma-iommu.c",
    "drivers/media/common/videobuf2/",
    "drivers/media/v4l2-core/",
    "drivers/mmc/core/",
    "drivers/phy/phy-core.c",
    "drivers/pinctrl/core.c",
    "drivers/pmdomain/core.c",
    "drivers/pwm/core.c",
    "drivers/regulator/core.c",
    "drivers/reset/core.c",
    "drivers/spi/spi.c",
    "drivers/usb/core/",
    "sound/core/",
    "sound/soc/soc-",
];

/// Modules that serve drivers. A core is called so: `usbcore`, `mmc_core`, `snd_soc_core`,
/// `videobuf2_common`, `drm_kms_helper`.
pub(super) const CORES: &[&str] = &[
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
pub(super) const CORE_NAMES: &[&str] = &[
    // Drivers of media, clocks, regulators, power.
    "vb2_* v4l2_m2m_* v4l2_ctrl_* v4l_* clk_core_* clk_prepare* clk_enable* clk_disable* clk_unprepare* \
     clk_bulk_* clk_set_rate* clk_get_rate* regulator_* pm_runtime_* rpm_* genpd_* regmap_* regcache_* \
     dpm_*",
    // The driver model and its tree of names.
    "device_links_* device_link_* driver_probe_* really_probe* bus_for_each_* bus_add_* bus_remove_* \
     bus_probe_* platform_drv_probe platform_probe device_create_* device_remove_* device_initial_probe \
     device_attach device_bind_* class_* kset_* devm_* platform_device_* platform_driver_* platform_get_* \
     dev_set_name device_initialize device_rename device_set_* device_online device_offline \
     device_property_* component_* bus_register* bus_unregister* software_node_* transport_* devtmpfs_* \
     irq_set_* irq_domain_* irq_chip_* irq_create_* handle_nested_irq attribute_container_* fwnode_* \
     driver_register driver_unregister driver_detach driver_attach",
    // USB requests.
    "usb_start_wait_urb usb_control_msg* usb_bulk_msg* usb_interrupt_msg* usb_internal_control_msg* \
     usb_kill_* usb_poison_* usb_wait_* usb_get_descriptor* usb_get_string* usb_get_status* usb_string* \
     usb_set_interface* usb_set_configuration* usb_hcd_* usb_disable_* usb_enable_* usb_alloc_urb \
     usb_free_urb usb_unanchor_* usb_scuttle_* usb_put_* usb_get_dev usb_get_intf usb_clear_halt \
     usb_reset_* usb_remove_hcd usb_deregister* usb_unbind_* usb_probe_*",
    // Buffers of packets.
    "pskb_* skb_append* skb_checksum* skb_clone* skb_copy* skb_cow* skb_dequeue* skb_ensure_* skb_linearize* \
     skb_queue_* skb_realloc_* skb_release_* skb_segment* skb_trim* skb_unlink* skb_warn_* consume_skb*",
    // Page cache, page tables, read-copy-update, timers.
    "folio_* pagecache_* page_cache_* add_to_page_cache* filemap_get_* filemap_add_* lru_* lruvec_* \
     mem_cgroup_* memcg_* vmap_* anon_vma_* mmu_notifier_* memblock_* phys_addr* virt_addr_* rcu_* \
     call_srcu* *_srcu_struct* srcu_* kthread_* timer_* hrtimer_* alarm_* tick_* irq_work_*",
];

/// Ciphers, hashes and what compresses (crypto/, lib/crypto/, lib/zstd/, lib/lz4/).
pub(super) const CIPHERS: &[&str] = &[
    "crypto_* skcipher_walk* scatterwalk_* cipher_crypt_* aes_* aesti_* sha1_* sha256_* sha512_* \
     chacha_* poly1305_* blake2* curve25519_* drbg_* ZSTD_* HUF_* FSE_* LZ4_* lzo1x_* lzma_* xz_dec_* \
     zlib_*",
];
