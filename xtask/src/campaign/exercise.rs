//! Whether the code that a patch added has run: ftrace's function tracer, filtered to the functions that the step names.
//!
//! Source of the files and formats: the kernel's `Documentation/trace/ftrace.rst` (`set_ftrace_filter`, `current_tracer`,
//! `tracing_on`, and the trace lines `task-pid [cpu] flags time: function <-caller`).

use crate::board::quote;

/// Where tracefs is mounted (`Documentation/trace/ftrace.rst`, "The File System").
const TRACEFS: &str = "/sys/kernel/tracing";

/// Begins a line about a function that cannot be traced: it is not there, or was inlined.
pub const UNKNOWN: &str = "no such function";

/// The script that loads modules and starts counting. It prints `no such function: NAME` ([`UNKNOWN`]) for what cannot be
/// traced, and fails if a module cannot be loaded.
pub fn arm(modules: &[String], functions: &[String]) -> String {
    let mut script = String::from("set -e\n");
    for module in modules {
        script.push_str(&format!("modprobe {}\n", quote(module)));
    }
    if functions.is_empty() {
        return script;
    }
    script.push_str(&format!(
        "cd {TRACEFS} 2>/dev/null && [ -e current_tracer ] || mount -t tracefs tracefs {TRACEFS}\n"
    ));
    script.push_str(&format!(
        "cd {TRACEFS}\necho 0 >tracing_on; echo nop >current_tracer; : >set_ftrace_filter; : >trace\n"
    ));
    for function in functions {
        let function = quote(function);
        script.push_str(&format!(
            "echo {function} 2>/dev/null >>set_ftrace_filter || echo {UNKNOWN}: {function}\n"
        ));
    }
    // An empty filter would trace every function of the kernel.
    script.push_str(
        "grep -q -v '^#' set_ftrace_filter || exit 0\necho function >current_tracer; echo 1 >tracing_on\n",
    );
    script
}

/// The script that stops counting and prints the trace.
pub fn read() -> String {
    format!(
        "cd {TRACEFS} || exit 0\necho 0 >tracing_on; cat trace; echo nop >current_tracer; : >set_ftrace_filter\n"
    )
}

/// How often each of `functions` is in the trace, in their order. The buffer is a ring: a count is a lower bound.
pub fn counts(trace: &str, functions: &[String]) -> Vec<(String, u64)> {
    let ran: Vec<&str> = trace
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(traced)
        .collect();
    functions
        .iter()
        .map(|function| {
            (
                function.clone(),
                ran.iter().filter(|name| *name == function).count() as u64,
            )
        })
        .collect()
}

/// The function of a trace line; `%ps` prints a module's as `function [module]`.
fn traced(line: &str) -> Option<&str> {
    let (left, _caller) = line.split_once(" <-")?;
    left.rsplit_once(": ")?.1.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_kernel_and_of_modules_are_counted() {
        let trace = "# tracer: function\n#\n\
            \x20  release_fence-301     [001] .....    12.345678: vb2_publish_release_fence <-v4l2_m2m_publish\n\
            \x20  release_fence-301     [001] .....    12.345679: vim2m_publish_release_fence [vim2m] <-device_run [vim2m]\n\
            \x20  release_fence-301     [001] .....    12.345680: vb2_publish_release_fence [videobuf2_common] <-x\n";
        let functions = [
            "vb2_publish_release_fence",
            "vim2m_publish_release_fence",
            "never",
        ]
        .map(String::from)
        .to_vec();
        let counts: Vec<u64> = counts(trace, &functions)
            .into_iter()
            .map(|(_, count)| count)
            .collect();
        assert_eq!(counts, [2, 1, 0]);
    }

    #[test]
    fn names_are_quoted() {
        let script = arm(&["a; reboot".into()], &["$(reboot)".into()]);
        assert!(script.contains("modprobe 'a; reboot'"), "{script}");
        assert!(script.contains("echo '$(reboot)'"), "{script}");
    }
}
