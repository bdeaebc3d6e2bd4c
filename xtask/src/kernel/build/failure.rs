//! Why a build failed: the first cause in its output, with its lines.
//!
//! Under `-j` make goes on with what it has begun, so that the last lines of the output are seldom about the fault.

use serde::Serialize;

/// Longest piece of the output that is shown.
const LINES: usize = 40;

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// No room on a file system.
    DiskFull,
    /// The kernel of this machine killed a compiler or linker for want of memory.
    OutOfMemory,
    /// Kconfig does not take the configuration or a Kconfig file.
    Kconfig,
    /// A compiler or assembler.
    Compiler,
    /// The device tree compiler.
    DeviceTree,
    /// A linker.
    Linker,
    /// modpost: symbols of modules.
    Modpost,
    /// make itself: nothing makes what is needed.
    Make,
    /// Something else; the lines are what was said before the first `***`.
    Other,
}

/// The first fault of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// What kind of fault.
    pub cause: Cause,
    /// What could not be made, as the first `***` of make says.
    pub target: Option<String>,
    /// The fault's own lines.
    pub lines: Vec<String>,
}

impl Failure {
    /// One clear sentence before the lines.
    pub fn summary(&self) -> String {
        let what = match self.cause {
            Cause::DiskFull => "the disk is full",
            Cause::OutOfMemory => {
                "this machine ran out of memory (a compiler or linker was killed); try fewer jobs with --jobs"
            }
            Cause::Kconfig => "the configuration has an error",
            Cause::Compiler => "a file does not compile",
            Cause::DeviceTree => "a device tree does not compile",
            Cause::Linker => "the linker failed",
            Cause::Modpost => "modules want symbols that nothing gives",
            Cause::Make => "make cannot go on",
            Cause::Other => "a command of the build failed",
        };
        match &self.target {
            Some(target) => format!("{what}: {target}"),
            None => what.to_string(),
        }
    }
}

/// Finds the first cause in the output of a build that failed.
pub fn first(lines: &[String]) -> Failure {
    let mut stops = lines.iter().enumerate();
    let stop = stops.find_map(|(at, line)| Some((at, stopped_at(line)?)));
    let target = stop.map(|(_, target)| target.to_string());
    // A full disk or a killed compiler makes other errors around it; it is the cause wherever it stands.
    for (cause, words) in [
        (
            Cause::DiskFull,
            &["No space left on device", "Disk quota exceeded"][..],
        ),
        (
            Cause::OutOfMemory,
            &[
                "Killed (program",
                "virtual memory exhausted",
                "Error 137",
                "cannot allocate memory",
            ][..],
        ),
    ] {
        let says = |line: &&String| words.iter().any(|word| line.contains(word));
        if let Some(line) = lines.iter().find(says) {
            return Failure {
                cause,
                target,
                lines: vec![line.clone()],
            };
        }
    }
    // make may say `***` of one target before the error of another arrives: what stands before the stop counts, else the whole.
    let before = stop.map_or(lines, |(at, _)| lines.get(..=at).unwrap_or(lines));
    let found = find(before).or_else(|| find(lines));
    match found {
        Some((cause, at)) => Failure {
            cause,
            target,
            lines: block(lines, at, cause),
        },
        None => Failure {
            cause: Cause::Other,
            target,
            lines: before
                .iter()
                .skip(before.len().saturating_sub(10))
                .cloned()
                .collect(),
        },
    }
}

fn find(lines: &[String]) -> Option<(Cause, usize)> {
    lines
        .iter()
        .enumerate()
        .find_map(|(at, line)| Some((cause_of(line)?, at)))
}

/// What a line is the error of. Grammars: gcc and clang `FILE:LINE:COLUMN: error: TEXT` and `fatal error`; gas `FILE:LINE: Error: TEXT`;
/// dtc `Error: FILE:LINE…` and `ERROR (RULE): TEXT`; ld `undefined reference to`, `multiple definition of`, `ld.lld: error:`;
/// modpost `ERROR: modpost: TEXT`; Kconfig `FILE:LINE: syntax error` and `error: recursive dependency detected!`; make `No rule to make target`.
fn cause_of(line: &str) -> Option<Cause> {
    if line.starts_with("ERROR: modpost:") {
        return Some(Cause::Modpost);
    }
    if line.contains("No rule to make target") || line.contains("*** missing separator") {
        return Some(Cause::Make);
    }
    if line.contains("undefined reference to")
        || line.contains("multiple definition of")
        || line.contains("ld.lld: error:")
        || line.contains("undefined symbol:")
        || (line.contains("-ld: ") || line.starts_with("ld: ")) && !line.contains("warning:")
    {
        return Some(Cause::Linker);
    }
    let is_kconfig = line.contains("Kconfig");
    if is_kconfig && (line.contains("error") || line.contains("can't open file")) {
        return Some(Cause::Kconfig);
    }
    if line.contains(".dts") && (line.starts_with("Error: ") || line.contains("ERROR (")) {
        return Some(Cause::DeviceTree);
    }
    if line.starts_with("FATAL ERROR: ") {
        return Some(Cause::DeviceTree);
    }
    let is_error =
        line.contains(": error: ") || line.contains(": fatal error: ") || line.contains(": Error: ");
    (is_error && !line.starts_with(' ')).then_some(Cause::Compiler)
}

/// The target of `make[3]: *** [scripts/Makefile.build:289: drivers/a.o] Error 1`, or of `*** No rule to make target 'x', needed by 'y'`.
fn stopped_at(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("make")?;
    let (_, rest) = rest.split_once(": *** ")?;
    if let Some(inside) = rest.strip_prefix('[') {
        let inside = inside.split_once(']')?.0;
        return Some(inside.rsplit(": ").next().unwrap_or(inside));
    }
    let (_, rest) = rest.split_once("No rule to make target '")?;
    rest.split('\'').next()
}

/// The lines of one fault: what leads to it (`In file included from`, `In function`) and what explains it (source, caret, notes).
fn block(lines: &[String], at: usize, cause: Cause) -> Vec<String> {
    let leads = |line: &str| {
        line.starts_with("In file included from ")
            || line.trim_start().starts_with("from ")
            || line.contains(": In function ")
            || line.contains(": in function ")
            || line.contains(": At top level:")
            || line.contains(": In member")
    };
    let explains = |line: &String| {
        line.starts_with(' ') && super::work::Work::parse(line).is_none()
            || line.contains(": note: ")
            || (matches!(
                cause,
                Cause::Linker | Cause::Modpost | Cause::Kconfig | Cause::DeviceTree
            ) && (cause_of(line) == Some(cause) || line.starts_with(['>', '\t'])))
    };
    let (before, from) = lines.split_at_checked(at).unwrap_or((lines, &[]));
    let leading = before.iter().rev().take_while(|line| leads(line)).count();
    let explaining = from.iter().skip(1).take_while(|line| explains(line));
    let longest = LINES.saturating_sub(leading).saturating_sub(1);
    let block = before.iter().skip(before.len().saturating_sub(leading));
    block
        .chain(from.first())
        .chain(explaining.take(longest))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Failure {
        let lines: Vec<String> = text.lines().map(String::from).collect();
        first(&lines)
    }

    #[test]
    fn the_first_error_is_found_though_others_follow() {
        let failure = of("  CC      mm/a.o\n\
            In file included from include/linux/mm.h:7,\n                 from mm/a.c:3:\n\
            include/linux/x.h: In function 'f':\n\
            include/linux/x.h:9:2: error: 'y' undeclared (first use in this function)\n    9 |  y = 1;\n      |  ^\n\
            include/linux/x.h:9:2: note: each undeclared identifier is reported only once\n\
            mm/a.c:44:1: error: second\n  CC      mm/b.o\n\
            make[3]: *** [../scripts/Makefile.build:289: mm/a.o] Error 1\n\
            make[3]: *** Waiting for unfinished jobs....\n  CC      fs/c.o\n\
            make[2]: *** [../scripts/Makefile.build:548: mm] Error 2\n\
            make: *** [Makefile:248: __sub-make] Error 2\n");
        assert_eq!(
            (failure.cause, failure.target.as_deref()),
            (Cause::Compiler, Some("mm/a.o"))
        );
        assert_eq!(failure.lines.len(), 7, "{:#?}", failure.lines);
        assert!(failure.lines[0].starts_with("In file included"));
        assert!(failure.lines[6].contains("note: each undeclared"));
        assert_eq!(failure.summary(), "a file does not compile: mm/a.o");
    }

    #[test]
    fn linker_and_modpost_are_told_with_all_their_symbols() {
        let failure = of("  LD      .tmp_vmlinux1\n\
            aarch64-linux-gnu-ld: mm/a.o: in function `f':\n\
            a.c:(.text+0x8): undefined reference to `g'\n\
            make[2]: *** [scripts/Makefile.vmlinux:72: vmlinux.unstripped] Error 1\n");
        assert_eq!(
            (failure.cause, failure.lines.len()),
            (Cause::Linker, 2),
            "{failure:?}"
        );
        let failure = of(
            "  MODPOST Module.symvers\nERROR: modpost: \"a\" [x.ko] undefined!\n\
            ERROR: modpost: \"b\" [x.ko] undefined!\nmake[2]: *** [scripts/Makefile.modpost:147: Module.symvers] Error 1\n",
        );
        assert_eq!((failure.cause, failure.lines.len()), (Cause::Modpost, 2));
        assert_eq!(failure.target.as_deref(), Some("Module.symvers"));
    }

    #[test]
    fn other_tools_speak_their_own_languages() {
        for (text, cause) in [
            (
                "drivers/Kconfig:7: syntax error\nmake[2]: *** [scripts/kconfig/Makefile:85: olddefconfig] Error 1",
                Cause::Kconfig,
            ),
            ("error: recursive dependency detected! in Kconfig", Cause::Kconfig),
            ("arch/arm64/kernel/x.S:12: Error: unknown mnemonic", Cause::Other),
            (
                "make[1]: *** No rule to make target 'a.c', needed by 'a.o'.  Stop.",
                Cause::Make,
            ),
            (
                "Error: arch/arm64/boot/dts/a.dts:3.4-5 syntax error\nFATAL ERROR: Unable to parse input tree",
                Cause::DeviceTree,
            ),
            (
                "gcc: internal compiler error: Killed (program cc1)",
                Cause::OutOfMemory,
            ),
        ] {
            let failure = of(text);
            let cause = if text.contains("mnemonic") {
                Cause::Compiler
            } else {
                cause
            };
            assert_eq!(failure.cause, cause, "{text}");
        }
        assert_eq!(
            of("make[1]: *** No rule to make target 'a.c', needed by 'a.o'.  Stop.")
                .target
                .as_deref(),
            Some("a.c")
        );
    }

    #[test]
    fn a_full_disk_is_the_cause_whatever_else_is_said() {
        let failure = of("mm/a.c:1:1: error: x\n\
            /usr/bin/ld: final link failed: No space left on device\n\
            make[3]: *** [x: mm/a.o] Error 1\n");
        assert_eq!(failure.cause, Cause::DiskFull);
        assert_eq!(failure.summary(), "the disk is full: mm/a.o");
    }

    #[test]
    fn an_unknown_fault_shows_what_was_said_before_it() {
        let failure = of("  GEN     a\nsomething odd\nmake: *** [Makefile:3: a] Error 4\n");
        assert_eq!(failure.cause, Cause::Other);
        assert_eq!(failure.lines[1], "something odd");
    }
}
