//! Stack frames as the architectures write them.
//!
//! ```text
//!  func+0x1c/0x90 [mod]                     arm64, x86, riscv   (lib/kallsyms.c: sprint_backtrace())
//!  ? func+0x1c/0x90                         x86: a leftover on the stack, not sure
//!  [<ffffffff8153c1bc>] func+0x1c/0x70      before 4.11, and where addresses are shown
//!  [<c00c89f0>] (func) from [<c00c6764>] (caller+0x138/0x178)   arm; before 3.12
//!                                                    (func+0x0/0x10 [mod])
//!  func from caller+0x138/0x178             arm since 5.19
//!  func file.c:774 [inline]                 after syzkaller's symbolizer
//!  func (file.c:774 (discriminator 2)) mod  after scripts/decode_stacktrace.sh
//! RIP: 0010:func+0x3a2/0x4f0                x86; 0033 is user space
//! pc : func+0x154/0x39c                     arm64; "PC is at" on arm, "epc :" on riscv, "NIP [c0..]" on powerpc
//! ```

use std::borrow::Cow;

/// A stack frame, or the program counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Function, without what the compiler appends (`.isra.0`, `.part.1`, `.constprop.0`, `.cold`).
    pub function: &'a str,
    /// Module that it is in.
    pub module: Option<&'a str>,
    /// File that it is in, relative to the source tree, where the frame was decoded.
    pub file: Option<&'a str>,
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
    let mut rest = text.strip_prefix("kmemleak: ").unwrap_or(text).trim_start();
    // s390 puts the last frame in parentheses.
    rest = rest
        .strip_prefix('(')
        .filter(|inner| inner.starts_with("[<"))
        .unwrap_or(rest);
    // Addresses in brackets: one on most, two on powerpc (stack and code).
    while let Some(after) = rest.strip_prefix('[') {
        let (address, after) = after.split_once(']')?;
        let address = address.strip_prefix('<').unwrap_or(address).trim_end_matches('>');
        if address.len() < 8 || !address.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        rest = after.trim_start();
    }
    let mut trust = Trust::Sure;
    if let Some(after) = rest.strip_prefix("? ") {
        trust = Trust::Leftover;
        rest = after.trim_start();
    }
    if rest.ends_with("(unreliable)") {
        trust = Trust::Leftover;
    }
    let parsed = symbol(rest)
        .or_else(|| arm(rest))
        .or_else(|| inlined(rest))
        .or_else(|| decoded(rest))?;
    Some(Frame { trust, ..parsed })
}

/// Parses a line that tells where the program counter was, if that is in the kernel.
pub fn counter(text: &str) -> Option<Frame<'_>> {
    const MARKS: [&str; 10] = [
        "RIP: ",
        "EIP: ",
        "EIP is at ",
        "IP: ",
        "pc : ",
        "pc: ",
        "PC is at ",
        "epc : ",
        "NIP ",
        "Krnl PSW",
    ];
    let text = text.trim_start();
    let rest = MARKS.iter().find_map(|mark| text.strip_prefix(mark))?;
    let selector = rest.split(':').next().unwrap_or_default();
    if matches!(selector, "0033" | "0023" | "002b") {
        return None;
    }
    let mut rest = match rest.split_once(':') {
        Some((segment, after)) if segment.len() == 4 && segment.bytes().all(|b| b.is_ascii_hexdigit()) => {
            after
        }
        _ => rest,
    };
    // `[<addr>]  [<addr>] func`, `[c000…] func`
    while let Some(after) = rest.trim_start().strip_prefix('[') {
        (_, rest) = after.split_once(']')?;
    }
    let mut rest = rest.trim_start();
    // s390 puts the function in parentheses, behind mask and address.
    if let Some((_, function)) = rest.split_once(" (").filter(|_| text.starts_with("Krnl PSW")) {
        rest = function;
    }
    symbol(rest).or_else(|| inlined(rest)).or_else(|| decoded(rest))
}

/// Where the program counter was, if not in a function that the kernel could name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// In user space.
    User,
    /// Nowhere: a jump through a bad pointer.
    Wild,
}

/// Parses a line with a program counter that is in no function.
pub fn elsewhere(text: &str) -> Option<Elsewhere> {
    let text = text.trim_start();
    if let Some(rest) = text.strip_prefix("RIP: ") {
        let (segment, address) = rest.split_once(':')?;
        return match segment {
            "0033" | "0023" | "002b" => Some(Elsewhere::User),
            _ => address.starts_with("0x").then_some(Elsewhere::Wild),
        };
    }
    let rest = ["pc : ", "pc: ", "PC is at "]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))?;
    // 32-bit Arm has `pc : [<c0123456>]` besides `PC is at`.
    let address = rest.split([' ', '\t']).next()?;
    let digits = address.strip_prefix("0x").unwrap_or(address);
    let value = u64::from_str_radix(digits, 16).ok()?;
    // arm64: user space is the lower half; the first page is no one's.
    let user = digits.len() == 16 && (4096..1 << 56).contains(&value);
    Some(if user { Elsewhere::User } else { Elsewhere::Wild })
}

/// Parses arm64's line with the link register (arch/arm64/kernel/process.c: `__show_regs()`): whoever called the function that the program counter
/// is in, as long as that one is a leaf.
pub fn link(text: &str) -> Option<Frame<'_>> {
    let text = text.trim_start();
    let rest = ["lr : ", "lr: ", "LR is at "]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))?;
    symbol(rest).or_else(|| decoded(rest))
}

/// `func+0x1c/0x90 [mod]` at the start of `text`.
pub fn symbol(text: &str) -> Option<Frame<'_>> {
    let plus = memchr::memchr(b'+', text.as_bytes())?;
    let (name, rest) = text.split_at_checked(plus)?;
    let rest = after_hex(rest.strip_prefix("+0x")?)?.strip_prefix("/0x")?;
    let after = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    if !is_name(name) {
        return None;
    }
    Some(Frame {
        function: plain(name),
        module: module(after),
        file: file(after),
        trust: Trust::Sure,
    })
}

fn after_hex(text: &str) -> Option<&str> {
    let after = text.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    (after.len() < text.len()).then_some(after)
}

/// `func (file.c:774 (discriminator 2)) mod (P)`; several places where functions were inlined: the first one is the innermost.
fn decoded(text: &str) -> Option<Frame<'_>> {
    let bracket = memchr::memchr(b'(', text.as_bytes())?;
    let (name, rest) = text.split_at_checked(bracket)?;
    let (name, rest) = (name.strip_suffix(' ')?, rest.strip_prefix('(')?);
    if !is_name(name) || name.contains(' ') {
        return None;
    }
    let file = place(rest)?;
    let mut depth = 1_usize;
    let close = rest.find(|c| {
        match c {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    let after = rest.get(close..)?.trim_start_matches(')').trim_start();
    let word = after.split(' ').next().unwrap_or_default();
    let bare = Some(word).filter(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    });
    Some(Frame {
        function: plain(name),
        module: bare.or_else(|| module(after)),
        file: Some(file),
        trust: Trust::Sure,
    })
}

/// The file of what stands behind a symbol: ` mm/vmalloc.c:3319`, ` (mm/vmalloc.c:3319)`.
fn file(after: &str) -> Option<&str> {
    after
        .split(' ')
        .find_map(|word| place(word.trim_start_matches('(')))
}

/// The file of `mm/vmalloc.c:3319 …`.
fn place(text: &str) -> Option<&str> {
    let (file, line) = text.split_once(':')?;
    let source = [".c", ".h", ".S", ".rs"].iter().any(|end| file.ends_with(end));
    (source && !file.contains(' ') && line.starts_with(|c: char| c.is_ascii_digit())).then(|| in_tree(file))
}

/// A path without what stands before the source tree where the kernel was not built in it:
/// `/usr/src/kernel/arch/x86/mm/fault.c`.
fn in_tree(path: &str) -> &str {
    const FOLDERS: [&str; 16] = [
        "arch", "block", "crypto", "drivers", "fs", "include", "init", "io_uring", "ipc", "kernel", "lib",
        "mm", "net", "rust", "security", "sound",
    ];
    let mut rest = path;
    while let Some((folder, below)) = rest.split_once('/') {
        let next = below.split('/').next().unwrap_or_default();
        // No folder of kernel/ is called like one of the tree's.
        if FOLDERS.contains(&folder) && !(folder == "kernel" && FOLDERS.contains(&next)) {
            return rest;
        }
        rest = below;
    }
    path.trim_start_matches("./")
}

/// `(func) from [<…>] (caller+…)` and `func from caller+…`.
fn arm(text: &str) -> Option<Frame<'_>> {
    let (callee, caller) = text.split_once(" from ")?;
    let callee = callee
        .strip_prefix('(')
        .and_then(|callee| callee.strip_suffix(')'))
        .unwrap_or(callee);
    let name = callee.split([' ', '+']).next().unwrap_or(callee);
    let believable = is_name(name) && caller.contains("+0x");
    believable.then(|| Frame {
        function: plain(name),
        module: module(callee),
        file: None,
        trust: Trust::Sure,
    })
}

/// Whoever called the function of an Arm frame: the outermost one has no frame of its own.
pub fn arm_caller(text: &str) -> Option<Frame<'_>> {
    arm(text.trim_start().trim_start_matches(|c| c != '('))
        .or_else(|| arm(text.trim_start()))
        .and_then(|_| {
            let (_, caller) = text.split_once(" from ")?;
            let caller = caller.trim_start();
            let bare = match caller.strip_prefix('[') {
                Some(rest) => rest.split_once("] (")?.1,
                None => caller,
            };
            symbol(bare)
        })
}

/// `func file.c:774 [inline]`.
fn inlined(text: &str) -> Option<Frame<'_>> {
    let (name, rest) = text.strip_suffix(" [inline]")?.split_once(' ')?;
    let believable = is_name(name) && rest.contains(':') && !rest.contains(' ');
    believable.then(|| Frame {
        function: plain(name),
        module: None,
        file: place(rest),
        trust: Trust::Sure,
    })
}

/// A name as its author wrote it: Rust's are mangled in kallsyms (`_RNv…`), C's are not.
pub fn readable(name: &str) -> Cow<'_, str> {
    match rustc_demangle::try_demangle(name) {
        Ok(demangled) => Cow::Owned(format!("{demangled:#}")),
        Err(_) => Cow::Borrowed(name),
    }
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
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.$:".contains(&b))
}

fn plain(name: &str) -> &str {
    let name = name.strip_prefix('.').unwrap_or(name);
    if name.contains("::") {
        return name;
    }
    name.split('.').next().unwrap_or(name)
}

fn module(rest: &str) -> Option<&str> {
    let (_, inside) = rest.split_once('[')?;
    let name = inside.split([']', ' ']).next()?;
    let believable = !name.is_empty()
        && name != "inline"
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    believable.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, function: &str, module: Option<&str>, trust: Trust) {
        let found = frame(text).unwrap_or_else(|| panic!("no frame: {text}"));
        assert_eq!(
            (found.function, found.module, found.trust),
            (function, module, trust),
            "{text}"
        );
    }

    #[test]
    fn frames_of_every_architecture() {
        check(
            " vim2m_job_run+0x1c/0x90 [vim2m]",
            "vim2m_job_run",
            Some("vim2m"),
            Trust::Sure,
        );
        check(" f+0x1c/0x90 [m 8a1b2c3d] (P)", "f", Some("m"), Trust::Sure);
        check("  ? f.isra.5.part.6+0x1/0x2", "f", None, Trust::Leftover);
        check("  [<ffffffff8153c1bc>] ? f+0x1c/0x70", "f", None, Trust::Leftover);
        check("  [<ffffffff8153c1bc>] f+0x1c/0x70", "f", None, Trust::Sure);
        check(
            "[<8028bd5c>] (dup_fd) from [<80132060>] (copy_process.part.3+0x58c/0x1844)",
            "dup_fd",
            None,
            Trust::Sure,
        );
        check(
            "[<bf0089f0>] (f+0x0/0x648 [m]) from [<c01310dc>] (i2c_transfer+0xcc/0x130)",
            "f",
            Some("m"),
            Trust::Sure,
        );
        check(
            " dup_fd from copy_process+0x58c/0x1844",
            "dup_fd",
            None,
            Trust::Sure,
        );
        check(
            " vzalloc+0x6b/0x80 mm/vmalloc.c:3319",
            "vzalloc",
            None,
            Trust::Sure,
        );
        check(
            " __vmalloc_node mm/vmalloc.c:3246 [inline]",
            "__vmalloc_node",
            None,
            Trust::Sure,
        );
        check(
            " <a::Process>::update_ref+0x1/0x2",
            "<a::Process>::update_ref",
            None,
            Trust::Sure,
        );
    }

    #[test]
    fn program_counters() {
        assert_eq!(counter("RIP: 0010:f+0x3a2/0x4f0").unwrap().function, "f");
        assert_eq!(
            counter("RIP: 0010:[<ffffffff8160fc09>]  [<ffffffff8160fc09>] f+0xa9/0xbd0")
                .unwrap()
                .function,
            "f"
        );
        assert_eq!(counter("pc : f+0x154/0x39c [m]").unwrap().module, Some("m"));
        let inlined = counter("RIP: 0010:f kernel/sched/fair.c:585 [inline]").unwrap();
        assert_eq!(
            (inlined.function, inlined.file),
            ("f", Some("kernel/sched/fair.c"))
        );
        let s390 = "Krnl PSW : 0404c00180000000 0000000000431f8e (f+0x5e/0x64)";
        assert_eq!(counter(s390).unwrap().function, "f");
        assert_eq!(counter("PC is at f+0x154/0x39c").unwrap().function, "f");
        assert_eq!(counter("RIP: 0033:0x455777"), None);
        assert_eq!(counter("RIP: 0010:0x0"), None);
        assert_eq!(
            counter("pc : [<8028bd5c>]    lr : [<8028bd50>]    psr: 20030013"),
            None
        );
    }

    #[test]
    fn decoded_frames() {
        let check = |text: &str, module: Option<&str>, file: &str| {
            let found = frame(text).unwrap_or_else(|| panic!("no frame: {text}"));
            assert_eq!(
                (found.function, found.module, found.file),
                ("f", module, Some(file)),
                "{text}"
            );
        };
        check(
            " f (drivers/x/y.c:120 (discriminator 2)) mod_y (P)",
            Some("mod_y"),
            "drivers/x/y.c",
        );
        check(
            "f (./include/linux/file.h:62 fs/ioctl.c:907)",
            None,
            "include/linux/file.h",
        );
        check(" f (drivers/x/y.c:120) mod_y", Some("mod_y"), "drivers/x/y.c");
        check(" f (drivers/x/y.c:120) [mod_y]", Some("mod_y"), "drivers/x/y.c");
        check(
            " f+0x1/0x2 (drivers/x/y.c:120) [mod_y]",
            Some("mod_y"),
            "drivers/x/y.c",
        );
        check(" f+0x1/0x2 mm/slab.c:12", None, "mm/slab.c");
        check(" f mm/slab.c:12 [inline]", None, "mm/slab.c");
        assert_eq!(
            counter("pc : f (drivers/x/y.c:120) mod_y").unwrap().module,
            Some("mod_y")
        );
        assert_eq!(link("lr : f (drivers/x/y.c:120) mod_y").unwrap().function, "f");
        assert_eq!(frame("probe (of x) failed"), None);
    }

    #[test]
    fn counters_in_no_function() {
        for (text, expect) in [
            ("pc : 0000ffff9c1a5f40", Some(Elsewhere::User)),
            ("pc : 0x0", Some(Elsewhere::Wild)),
            ("pc : 0xffff800080b0bce0", Some(Elsewhere::Wild)),
            ("PC is at 0x0", Some(Elsewhere::Wild)),
            ("RIP: 0033:0x455777", Some(Elsewhere::User)),
            ("RIP: 0010:0x0", Some(Elsewhere::Wild)),
            ("RIP: 0010:f+0x1/0x2", None),
            ("pc : f+0x1/0x2", None),
            ("pc : [<8028bd5c>]    lr : [<8028bd50>]", None),
        ] {
            assert_eq!(elsewhere(text), expect, "{text}");
        }
    }

    #[test]
    fn link_registers() {
        assert_eq!(link("lr : f+0x4c/0x68 [m]").unwrap().module, Some("m"));
        assert_eq!(link("lr : 0xffff800080b0bce0"), None);
        assert_eq!(link("pc : f+0x4c/0x68"), None);
    }

    #[test]
    fn what_is_no_frame() {
        for text in [
            "",
            "a+b",
            "x+0x1",
            "f+0x/0x",
            "[<zz>] f+0x1/0x2",
            "Code: 00",
            "a b+0x1/0x2",
            "from",
        ] {
            assert_eq!(frame(text), None, "{text}");
        }
    }
}
