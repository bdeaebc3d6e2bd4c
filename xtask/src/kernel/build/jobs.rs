//! How many jobs make gets: as many as there are cores, and no more than the memory carries.

use std::path::Path;

/// Memory that one job may need, bytes. A compiler takes 60 to 150 MB for most files of the kernel, and several times that with debug
/// information and KASAN; the one link of vmlinux is larger, and runs beside few others.
const FOR_ONE: u64 = 512 << 20;

/// The rule: `cores`, but at most one job for each [`FOR_ONE`] of `memory` bytes, and at least one.
pub fn suitable(cores: usize, memory: Option<u64>) -> usize {
    let carried = memory.map_or(usize::MAX, |bytes| {
        usize::try_from(bytes / FOR_ONE).unwrap_or(usize::MAX)
    });
    cores.min(carried).max(1)
}

/// For this machine, now: cores that this process may use, memory that is available to it.
pub fn of_this_machine() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    suitable(cores, available_memory())
}

/// Memory that is available to this process, bytes, also inside a container.
pub fn available_memory() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let limit = |name: &str| {
        let text = std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let group = limit("memory.max").map(|max| max.saturating_sub(limit("memory.current").unwrap_or(0)));
    [available(&meminfo), group].into_iter().flatten().min()
}

/// `MemAvailable:` of /proc/meminfo in bytes (proc_meminfo(5)): what can be had without swapping.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_bounds_the_cores() {
        assert_eq!(suitable(8, Some(64 << 30)), 8);
        assert_eq!(suitable(8, Some(2 << 30)), 4);
        assert_eq!(suitable(8, Some(100 << 20)), 1);
        assert_eq!(suitable(8, None), 8);
    }

    #[test]
    fn meminfo_is_read() {
        assert_eq!(
            available("MemTotal:       1 kB\nMemAvailable:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }
}
