//! The lines of one report, and what each of them is.

use super::frames::{self, Frame};
use super::headers::Header;
use super::prefix::Caller;
use regex::{Regex, RegexSet};
use std::sync::LazyLock;

/// What a line of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Blank,
    /// `=====…`: opens and closes a sanitizer's report, frames lockdep's title.
    Rule,
    /// `Call trace:` and its kin: frames follow.
    StackStart,
    /// `Allocated by task 1:` and its kin: the stack of something that happened before.
    OlderStack,
    /// A stack frame.
    Frame,
    /// Where the program counter was.
    Counter,
    /// Registers, held locks, memory around an address, …
    Detail,
    /// `---[ end trace`, `---[ end Kernel panic`, `Rebooting in 10 seconds..`.
    End,
    /// Anything: maybe somebody else's line.
    Other,
}

/// A line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Without prefix.
    pub text: String,
    /// What it is.
    pub class: Class,
    /// Line in the source.
    pub number: usize,
    /// Offset of it in the source.
    pub offset: usize,
}

/// A report while it is collected, and when it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splat {
    /// What it began with.
    pub header: &'static Header,
    /// Index of that line in `lines`: preambles stand before it.
    pub header_at: usize,
    /// The lines.
    pub lines: Vec<Line>,
    /// Who prints it.
    pub caller: Option<Caller>,
    /// Microseconds since boot, of the first line.
    pub time: Option<u64>,
    /// Microseconds since 1970 by the clock of whoever wrote the log, of the same line.
    pub wall: Option<u64>,
    /// Which boot.
    pub boot: u32,
    /// Another report, a lost message or the end of the log cut it.
    pub cut: bool,
    /// A panic that it caused was seen.
    pub panicked: bool,
}

impl Splat {
    /// The first line's text.
    pub fn title_line(&self) -> &str {
        self.lines
            .get(self.header_at)
            .map_or("", |line| line.text.as_str())
    }

    /// Lines from the first on.
    pub fn body(&self) -> &[Line] {
        self.lines.get(self.header_at..).unwrap_or_default()
    }

    /// Frames in the order in which they stand, program counters included, up to the first older stack that follows a
    /// frame.
    pub fn frames(&self) -> Vec<Frame<'_>> {
        let mut found = Vec::new();
        let mut elsewhere = false;
        for line in self.body() {
            // `Preemption disabled at:` is followed by one frame of another time.
            if std::mem::replace(&mut elsewhere, line.text.ends_with("disabled at:")) {
                continue;
            }
            match line.class {
                Class::Frame => found.extend(frames::frame(&line.text)),
                Class::Counter => found.extend(frames::counter(&line.text)),
                Class::OlderStack if !found.is_empty() => break,
                _ => {}
            }
        }
        found
    }

    /// Whether each `Call trace:` has a frame behind it, and there is one at all.
    pub fn stacks_are_whole(&self) -> bool {
        let body = self.body();
        let mut frames = 0_usize;
        for (at, line) in body.iter().enumerate() {
            match line.class {
                Class::Frame => frames = frames.saturating_add(1),
                Class::StackStart => {
                    let mut after = body.iter().skip(at).skip(1);
                    let close = after.clone().take(3);
                    let next = after.by_ref().take(15).find(|line| {
                        matches!(line.class, Class::Frame | Class::StackStart | Class::OlderStack)
                    });
                    let missing = next.is_none_or(|line| line.class != Class::Frame);
                    if missing
                        && !close.clone().any(|line| {
                            line.text.contains("not available") || line.text.contains("ame stack as")
                        })
                    {
                        return false;
                    }
                }
                _ => {}
            }
        }
        frames > 0
    }
}

static STACK_START: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(<\w+> )?(?:Call [Tt]race|[Bb]acktrace)(?: for \S+)?(?: \(crc \w+\))?:")
        .expect("the pattern is a constant")
});

static OLDER_STACK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^\s*(?:Allocated by task|Freed by task|Allocated:|Freed:|.*\ballocated by task \d|freed by task \d|.*created by|Uninit was (?:stored|created)|Local variable .*created at|page last allocated via|page last free (?:pid|ts|stack)|Last potentially related|Second to last potentially|Memory was marked|The buggy address belongs to stack|addr .* is located in stack|.* key +at: |the dependencies between|-> #\d+ |to a \S+-irq-unsafe lock|the second lock's dependencies)",
    )
    .expect("the pattern is a constant")
});

/// Lines that belong to reports, whatever the report.
static DETAILS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        // show_regs(), dump_stack_print_info(), print_modules()
        r"^\s*(CPU: \d|PID: \d|Comm: |Hardware name|Modules linked in|Code: |Tainted: |Workqueue: |Process |Stack:|Stack: \(|task: |task:|Flags: |Control: |Exception stack|Kernel panic - |Kernel Offset|Dumping ftrace|\(ftrace buffer|Thread overran|Last Breaking|Call Trace|Comm |Sched_ext|Unloaded tainted|last unloaded|Mem abort info|Data abort info|Not tainted)",
        r"^\s*(RSP|RAX|RBX|RCX|RDX|RSI|RDI|RBP|R\d\d|FS|CS|CR\d|DR\d|DS|ES|PKRU|EAX|EBX|ESI|EDI|EFLAGS|RIP|EIP|ESR|EC|SET|EA|FSC|ISV|CM|GCS|WnR|FAR|pc|lr|sp|fp|ip|x\d+|r\d+|psr|pstate|pmr_save|pgd|GPR\d+|LR|NIP|MSR|CFAR|epc|status|gp|tp|t\d|s\d+|a\d|badaddr|cause)\s*[:=]",
        r"^\s*\[<?[0-9a-f]{8,16}>?\]|^\s*[0-9a-f]{8,16}( |:)|^>[0-9a-f]{8,16}:|^\s*[0-9a-f]{2}( [0-9a-f]{2}){7}|^\s+\^\s*$|^[0-9a-f]{4,16}: |^\s*[0-9a-f]{4} +[0-9a-f*]{8}( |$)",
        r"^\s*</?(IRQ|TASK|NMI|SOFTIRQ|EOI|#DF|ENTRY_TRAMPOLINE|EOE|\w+)>",
        r"^(Internal error|Oops|swapper pgtable|user pgtable|note: |Modules linked|PC is at|LR is at|\s*Trace:|invalid opcode|kasan:|KASAN: |RIP:)",
        // lockdep
        r"is trying to |but task is already|which lock already|the existing dependency|other info that might|Possible unsafe|Possible interrupt|^\s*CPU0|^\s*----|^\s*lock\(|^\s*rlock\(|^\s*<Interrupt|DEADLOCK|locks? held by|^\s*#\d+: |May be due to missing|stack backtrace:|irq event stamp|(hard|soft)irqs last|but there are no more|state was registered|inconsistent \{|takes:|, at: |acquired? at|and this task is|which would create|to a .*irq|but this new dep|context-\{|is leaving the kernel|is freeing memory|is exiting|rcu_scheduler_active|RCU used|is still holding|process .*\bstill|Chain exists|but lock|which lock|preempt_count|Preemption disabled|in_atomic|no locks held|is lock-order|chain hash|INFO: lockdep is turned off|raw:|Possible|the code is fine|turning off the locking|maybe you didn't initialize|you didn't initialize|hierarchy",
        // sanitizers, slab
        r"^\s*(Read|Write|read|write) (of size|at addr|to 0x)|The buggy address|belongs to the|which belongs|Memory state around|located \d+ bytes|page:|flags:|raw: |page dumped|page_owner|page last|Object |Redzone|Padding|Bytes b4|value changed|Reported by Kernel|race at unknown origin|bytes? by (task|interrupt)|Pointer tag|Local variable|Bytes \d+|Memory access of|kfence-#|Use-after-free|Out-of-bounds|Corrupted memory|Invalid (read|write|free)|comm \S+, pid|hex dump|shift exponent|signed integer|index \d+|load of |member access|unreferenced object|head:|INFO: (Slab|Object|Allocated|Freed|0x)|Disabling lock debugging|^page ",
        // hung tasks, lockups, stalls
        r#""echo 0 >|Not tainted|Tainted:|Showing all locks|NMI backtrace|Sending NMI|^rcu: |detected by|^\s*\(t=|kthread (starved|timer)|RCU grace-period|^\s*\d+-[.\?oO]|Tasks blocked|blocked (on|by)|workqueue |pool \d|pwq \d|in-flight|pending:|INFO: task .* (is )?blocked on"#,
        r"^Unhandled|^handlers:$|^Disabling IRQ #|^\*pgd|pgd =|^\s*\(stack is not available\)|^------------\[ cut|8<--- cut",
    ])
    .expect("the patterns are constants")
});

/// Another context's report, printed into this one by a kernel that does not say who prints: mm/page_alloc.c: `warn_alloc()`,
/// lib/fault-inject.c.
pub fn intrudes(text: &str) -> bool {
    text.contains(" allocation failure: ") || text.starts_with("FAULT_INJECTION: forcing")
}

/// What a line is, as part of a report.
pub fn classify(text: &str) -> Class {
    // mm/kmemleak.c puts its name in front of every line.
    let text = text.strip_prefix("kmemleak: ").unwrap_or(text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Class::Blank;
    }
    if trimmed.len() >= 20 && trimmed.bytes().all(|b| b == b'=') {
        return Class::Rule;
    }
    if trimmed.starts_with("---[ end ") || trimmed.starts_with("Rebooting in ") {
        return Class::End;
    }
    if STACK_START.is_match(text) {
        return Class::StackStart;
    }
    if OLDER_STACK.is_match(text) {
        return Class::OlderStack;
    }
    if frames::counter(text).is_some() {
        return Class::Counter;
    }
    if frames::frame(text).is_some() {
        return Class::Frame;
    }
    if DETAILS.is_match(text) {
        return Class::Detail;
    }
    Class::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let check = |text: &str, class: Class| assert_eq!(classify(text), class, "{text}");
        check("", Class::Blank);
        check("==================================================", Class::Rule);
        check("Call trace:", Class::StackStart);
        check("  backtrace (crc c9a1c131):", Class::StackStart);
        check("Allocated by task 6367:", Class::OlderStack);
        check("-> #1 (&lo->lo_ctl_mutex#2){+.+.}:", Class::OlderStack);
        check(" f+0x1/0x2", Class::Frame);
        check("RIP: 0010:f+0x1/0x2", Class::Counter);
        check("RAX: ffffffffffffffda RBX: 0000000000000065", Class::Detail);
        check("x29: ffffffc01ec87ea0 x28: ffffffc055663000 ", Class::Detail);
        check("---[ end trace 0000000000000000 ]---", Class::End);
        check("usb 1-1: New USB device found", Class::Other);
    }
}
