//! What a line of a kernel log names of the code: functions with offset and size, the release, build ids, the address of a fault.

use regex::Regex;
use serde::Serialize;
use std::sync::LazyLock;

/// `func+0x1c/0x90 [mod]`, as `sprint_symbol()` and its kin write it (kernel/kallsyms.c).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Frame {
    /// The symbol as it is in the symbol table, `.isra.0` and the like included.
    pub symbol: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Bytes to the next symbol; that is what the kernel takes for its size.
    pub size: u64,
    /// Module, as `/sys/module` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Build id of the module (CONFIG_STACKTRACE_BUILD_ID), hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// What the address is.
    pub address: Address,
}

impl std::fmt::Display for Frame {
    /// As the line has it, without the module.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.symbol, self.offset, self.size)
    }
}

/// What the address of a frame points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Address {
    /// Behind the call: the call is the instruction before it.
    Return,
    /// The instruction itself: a program counter.
    Exact,
}

impl Frame {
    /// Bytes from the start of the symbol to the instruction that was executed. As in scripts/decode_stacktrace.sh one byte
    /// less than a return address is enough: line tables are looked up by range.
    pub fn instruction(&self) -> u64 {
        match self.address {
            Address::Return => self.offset.saturating_sub(1),
            Address::Exact => self.offset,
        }
    }
}

/// `[mod buildid]`: `__sprint_symbol()`; ` (P)`: arch/arm64/kernel/stacktrace.c, `dump_backtrace_entry()`.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?P<symbol>[A-Za-z_.$][\w.$]*)\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<size>[0-9a-f]{1,16})(?: \[(?P<module>[\w-]+)(?: (?P<id>[0-9a-f]{8,64}))?\])?(?: \((?P<flags>[A-Z]+)\))?",
    )
    .expect("the pattern is a constant")
});

/// What stands before a program counter, by architecture; a BUG or a warning names the instruction that trapped (kernel/panic.c, `__warn()`;
/// lib/bug.c, `report_bug()`).
const COUNTERS: [&str; 9] = [
    "kernel BUG at ",
    "WARNING: ",
    "pc : ",
    "RIP: ",
    "EIP: ",
    "EIP is at ",
    "PC is at ",
    "epc : ",
    "NIP ",
];

/// All frames that a line names, in order.
pub fn frames(text: &str) -> Vec<Frame> {
    // Most lines of a log have none, and the search for them is cheap.
    if !text.contains("+0x") {
        return Vec::new();
    }
    let counter = COUNTERS.iter().any(|mark| text.contains(mark));
    FRAME
        .captures_iter(text)
        .filter_map(|found| {
            let hex = |name: &str| u64::from_str_radix(&found[name], 16).ok();
            let flags = found.name("flags").map_or("", |flags| flags.as_str());
            Some(Frame {
                symbol: found["symbol"].to_string(),
                offset: hex("offset")?,
                size: hex("size")?,
                module: found.name("module").map(|name| name.as_str().replace('-', "_")),
                build_id: found.name("id").map(|id| id.as_str().to_string()),
                // P: the program counter of the registers that an exception saved.
                address: if counter || flags.contains('P') {
                    Address::Exact
                } else {
                    Address::Return
                },
            })
        })
        .collect()
}

/// `Linux version 7.3.4-lockdep (…`; `Not tainted 7.3.4 #1`, `Tainted: G O 7.3.4 #1` (`dump_stack_print_info()`); `7.3.4 #1 Not tainted`
/// (`print_kernel_ident()` of lockdep).
static RELEASE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Linux version (?P<version>\S+)|(?:Not tainted|Tainted: [A-Z ]+) (?P<after>\d\S*) #\d|(?:^|[\] ])(?P<before>\d+\.\d+\S*) #\d+ (?:Not tainted|Tainted: )")
        .expect("the pattern is a constant")
});

/// The release that a line names.
pub fn release(text: &str) -> Option<&str> {
    let found = RELEASE.captures(text)?;
    ["version", "after", "before"]
        .iter()
        .find_map(|name| found.name(name))
        .map(|release| release.as_str())
}

/// Build id of the kernel at the end of `CPU: … Comm: …` (CONFIG_STACKTRACE_BUILD_ID).
static KERNEL_ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"Comm: .* (?P<id>[0-9a-f]{40})\s*$").expect("the pattern is a constant"));

/// The build id of the kernel that a line names.
pub fn kernel_build_id(text: &str) -> Option<&str> {
    KERNEL_ID
        .captures(text)
        .and_then(|found| found.name("id"))
        .map(|id| id.as_str())
}

/// arm64 and others, x86, x86 before 5.1, and KASAN, whose shadow of the address is what faulted (mm/kasan/report.c,
/// `kasan_non_canonical_hook()`).
static FAULT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:NULL pointer dereference(?: at virtual address|, address:| at) |null-ptr-deref in range \[0x)(?P<address>[0-9a-f]{1,16}|\(null\))")
        .expect("the pattern is a constant")
});

/// The address of a NULL dereference, where it lies in the first page: the offset of a member of a structure at NULL.
pub fn fault_offset(text: &str) -> Option<u64> {
    let found = FAULT.captures(text)?;
    let offset = u64::from_str_radix(&found["address"], 16).unwrap_or(0);
    (offset < 4096).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_a_line() {
        let one = |text: &str| {
            let mut found = frames(text);
            assert_eq!(found.len(), 1, "{text}");
            found.remove(0)
        };
        let frame = one(" take_ba+0x3c/0x60 [lockstep-splat]");
        assert_eq!(
            (frame.symbol.as_str(), frame.offset, frame.size),
            ("take_ba", 0x3c, 0x60)
        );
        assert_eq!(frame.module.as_deref(), Some("lockstep_splat"));
        assert_eq!((frame.address, frame.instruction()), (Address::Return, 0x3b));
        assert_eq!(frame.to_string(), "take_ba+0x3c/0x60");
        let frame = one(" f.isra.0+0x0/0x60 [m 0123456789abcdef0123456789abcdef01234567] (P)");
        assert_eq!(frame.symbol, "f.isra.0");
        assert_eq!(
            frame.build_id.as_deref(),
            Some("0123456789abcdef0123456789abcdef01234567")
        );
        assert_eq!((frame.address, frame.instruction()), (Address::Exact, 0));
        assert_eq!(one("pc : f+0x154/0x39c").address, Address::Exact);
        assert_eq!(one("lr : f+0x154/0x39c").address, Address::Return);
        assert_eq!(
            one("kernel BUG at f+0xa0/0xb0 [verbose debug info unavailable]").address,
            Address::Exact
        );
        assert_eq!(
            one("WARNING: at f+0x10c/0x128, CPU#1: swapper/0/1").address,
            Address::Exact
        );
        assert_eq!(one("RIP: 0010:f+0x3a2/0x4f0").address, Address::Exact);
        assert_eq!(frames("(f) from [<c00c6764>] (g+0x138/0x178)").len(), 1);
        assert!(frames("no frame 0x10/0x20, x+1/2").is_empty());
        assert!(frames("f+0xfffffffffffffffff/0x1").is_empty());
    }

    #[test]
    fn releases_and_build_ids() {
        assert_eq!(
            release("Linux version 7.3.4-lockdep (x@y) (gcc)"),
            Some("7.3.4-lockdep")
        );
        assert_eq!(
            release(
                "CPU: 1 UID: 0 PID: 45 Comm: init Tainted: G           O        7.3.4-lockdep+ #1 PREEMPTLAZY  "
            ),
            Some("7.3.4-lockdep+")
        );
        assert_eq!(
            release("[    2.228195][   T45] 7.3.4-lockdep+ #1 Tainted: G           O       "),
            Some("7.3.4-lockdep+")
        );
        assert_eq!(release("4.15.0+ #221 Not tainted"), Some("4.15.0+"));
        assert_eq!(release("usb 1-1: Product: 7.3.4 thing"), None);
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            kernel_build_id(&format!(
                "CPU: 0 PID: 1 Comm: init Not tainted 7.3.4 #1 PREEMPT  {id}"
            )),
            Some(id)
        );
    }

    #[test]
    fn faults_near_null() {
        let at = "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000048";
        assert_eq!(fault_offset(at), Some(0x48));
        assert_eq!(
            fault_offset("BUG: kernel NULL pointer dereference, address: 0000000000000008"),
            Some(8)
        );
        assert_eq!(fault_offset("NULL pointer dereference at (null)"), Some(0));
        assert_eq!(
            fault_offset("KASAN: null-ptr-deref in range [0x0000000000000010-0x0000000000000017]"),
            Some(0x10)
        );
        assert_eq!(
            fault_offset("NULL pointer dereference at virtual address ffff000000000048"),
            None
        );
    }
}
