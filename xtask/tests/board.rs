//! Tests that need what `cargo xtask setup` makes. `cargo xtask test` runs them a module at a time, in the order of its own list.

mod bare_board;
mod board_debian;
mod board_offline_fat;
mod board_virtual;
mod boot_methods;
mod breaks;
mod debian_board;
mod extlinux_uboot;
mod fat_power_cut;
mod held_lock;
mod imported_kernel;
mod kconfig_truth;
mod kernel_kconfig;
mod kernel_real;
mod lease_bench;
mod local_board;
mod rehearsal;
mod ssh_bench;
mod ssh_board_campaign;
mod virt_board;
mod virt_capture;
mod virt_heart;
mod virt_netconsole;
mod virt_ramoops;
mod virtual_bench;
mod write_log;
