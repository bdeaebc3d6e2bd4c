//! Whether the code that a patch added has run: functions (ftrace's function tracer, filtered), probes at any instruction, tracepoints, or
//! a file with a number that grows.
//!
//! Sources of the files and formats: the kernel's `Documentation/trace/ftrace.rst` (`set_ftrace_filter`, `current_tracer`,
//! `tracing_on`, and the trace lines `task-pid [cpu] flags time: function <-caller`), `kprobetrace.rst` (`kprobe_events`,
//! `kprobe_profile`: event, hits, misses) and `events.rst` (`events/<system>/<event>/enable`).

use crate::board::quote;
use anyhow::{Result, bail};

/// Where tracefs is mounted (`Documentation/trace/ftrace.rst`, "The File System").
const TRACEFS: &str = "/sys/kernel/tracing";

/// Begins a line about something that cannot be watched: it is not there, or was inlined.
pub const UNKNOWN: &str = "no such";

/// Lines of [`read`] between the trace, the hits of probes and the counters.
const KPROBES: &str = "--- lockstep: kprobes ---";

/// One thing that shows that code ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A function that ftrace can see.
    Function(String),
    /// An instruction: `symbol` or `symbol+0x10`.
    Kprobe(String),
    /// A tracepoint.
    Tracepoint {
        /// Its system: `vb2`.
        system: String,
        /// Its name: `vb2_buf_done`.
        event: String,
    },
    /// A file whose first number has to grow.
    Counter(String),
}

impl Probe {
    /// Reads an entry of a step's `exercise`. Errors say what is allowed.
    pub fn parse(entry: &str) -> Result<Self> {
        let symbol = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        };
        let place = |text: &str| match text.split_once('+') {
            Some((name, offset)) => {
                let digits = offset.strip_prefix("0x").unwrap_or(offset);
                symbol(name) && !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit())
            }
            None => symbol(text),
        };
        match entry.split_once(':') {
            None if symbol(entry) => return Ok(Probe::Function(entry.into())),
            Some(("kprobe", rest)) if place(rest) => return Ok(Probe::Kprobe(rest.into())),
            Some(("tracepoint", rest)) => {
                if let Some((system, event)) = rest.split_once(':').filter(|(s, e)| symbol(s) && symbol(e)) {
                    return Ok(Probe::Tracepoint {
                        system: system.into(),
                        event: event.into(),
                    });
                }
            }
            Some(("counter", path)) if path.starts_with('/') => return Ok(Probe::Counter(path.into())),
            _ => {}
        }
        bail!(
            "{entry:?} is none of: a function, `kprobe:symbol+0x10`, `tracepoint:system:event`, `counter:/path`"
        )
    }

    fn arm(&self, index: usize) -> String {
        match self {
            // A clone that the compiler made has a name behind a dot: `.isra.0`, `.constprop.0`, `.part.0`.
            Probe::Function(name) => format!(
                "known=; for name in {name} '{name}.*'; do if echo \"$name\" 2>/dev/null >>set_ftrace_filter; then known=1; fi; done\n\
                 [ \"$known\" ] || echo {UNKNOWN} function: {name}\n"
            ),
            Probe::Kprobe(place) => format!(
                "{{ echo p:lockstep/lockstep_{index} {place} >>kprobe_events && echo 1 >events/lockstep/lockstep_{index}/enable; }} \
                 2>/dev/null || echo {UNKNOWN} place for a probe: {place}\n"
            ),
            Probe::Tracepoint { system, event } => format!(
                "echo 1 2>/dev/null >events/{system}/{event}/enable || echo {UNKNOWN} tracepoint: {system}:{event}\n"
            ),
            Probe::Counter(path) => format!(
                "[ -r {path} ] || echo {UNKNOWN} counter: {path}\n{}",
                count(index, path),
                path = quote(path)
            ),
        }
    }

    /// How it is told in a report.
    fn name(&self) -> String {
        match self {
            Probe::Function(name) => name.clone(),
            Probe::Kprobe(place) => format!("probe at {place}"),
            Probe::Tracepoint { system, event } => format!("tracepoint {system}:{event}"),
            Probe::Counter(path) => format!("counter {path}"),
        }
    }
}

/// Prints `counter INDEX NUMBER`, the first number in the file.
fn count(index: usize, path: &str) -> String {
    format!(
        "echo counter {index} \"$(sed -n 's/^[^0-9]*\\([0-9][0-9]*\\).*/\\1/p' {} 2>/dev/null | head -n 1)\"\n",
        quote(path)
    )
}

/// The script that loads modules and starts counting. It prints a line that begins with [`UNKNOWN`] for what cannot be watched, the counters as
/// they are now, and fails if a module cannot be loaded.
pub fn arm(modules: &[String], probes: &[Probe]) -> String {
    let mut script = String::from("set -e\n");
    if !modules.is_empty() {
        let names: Vec<String> = modules.iter().map(|module| quote(module)).collect();
        script.push_str(&format!("modprobe -a {}\n", names.join(" ")));
    }
    if probes.is_empty() {
        return script;
    }
    script.push_str(&format!(
        "cd {TRACEFS} 2>/dev/null && [ -e current_tracer ] || mount -t tracefs tracefs {TRACEFS}\n"
    ));
    script.push_str(&format!(
        "cd {TRACEFS}\necho 0 >tracing_on; echo nop >current_tracer; : >set_ftrace_filter; : >trace\n"
    ));
    for (index, probe) in probes.iter().enumerate() {
        script.push_str(&probe.arm(index));
    }
    // An empty filter would trace every function of the kernel.
    script.push_str(
        "{ read -r first <set_ftrace_filter; } 2>/dev/null || first=; case $first in '' | '#'*) ;; *) echo function >current_tracer ;; esac\necho 1 >tracing_on\n",
    );
    script
}

/// The script that stops counting and prints what was counted. It never fails: what it could not read has not run.
pub fn read(probes: &[Probe]) -> String {
    let mut script = format!("cd {TRACEFS} || exit 0\necho 0 >tracing_on\ncat trace\necho '{KPROBES}'\n");
    if probes.iter().any(|probe| matches!(probe, Probe::Kprobe(_))) {
        script.push_str("cat kprobe_profile\n");
    }
    for (index, probe) in probes.iter().enumerate() {
        match probe {
            Probe::Counter(path) => script.push_str(&count(index, path)),
            Probe::Kprobe(_) => script.push_str(&format!(
                "echo 0 2>/dev/null >events/lockstep/lockstep_{index}/enable; echo -:lockstep/lockstep_{index} 2>/dev/null >>kprobe_events\n"
            )),
            Probe::Tracepoint { system, event } => {
                script.push_str(&format!("echo 0 2>/dev/null >events/{system}/{event}/enable\n"));
            }
            Probe::Function(_) => {}
        }
    }
    script + "echo nop >current_tracer; : >set_ftrace_filter\ntrue\n"
}

/// What a line that begins with [`UNKNOWN`] means, and what to do about it.
pub fn explain(line: &str) -> String {
    let Some(function) = line.strip_prefix(&format!("{UNKNOWN} function: ")) else {
        return line.to_string();
    };
    format!(
        "ftrace knows no function {function}: its module is not loaded (`load` in the step), or the compiler put it into its caller, as it does \
         with a static one that is called once (`noinline` keeps it apart); or name its caller, `kprobe:`, `tracepoint:` or `counter:`"
    )
}

/// How often each of `probes` ran, in their order, from what [`arm`] and [`read`] printed. The trace is a ring: a count of functions and
/// tracepoints is a lower bound. A counter counts by how much it grew.
pub fn counts(armed: &str, read: &str, probes: &[Probe]) -> Vec<(String, u64)> {
    let (trace, rest) = read.split_once(KPROBES).unwrap_or((read, ""));
    let lines: Vec<&str> = trace.lines().filter(|line| !line.starts_with('#')).collect();
    let counter = |text: &str, index: usize| -> Option<u64> {
        let key = format!("counter {index} ");
        text.lines()
            .find_map(|line| line.strip_prefix(&key))?
            .trim()
            .parse()
            .ok()
    };
    let count = |(index, probe): (usize, &Probe)| -> u64 {
        match probe {
            Probe::Function(name) => {
                let is_it = |line: &&&str| traced(line).is_some_and(|traced| is_or_is_cloned(traced, name));
                lines.iter().filter(is_it).count() as u64
            }
            Probe::Tracepoint { event, .. } => {
                let word = format!(": {event}: ");
                lines.iter().filter(|line| line.contains(&word)).count() as u64
            }
            Probe::Kprobe(_) => hits(rest, &format!("lockstep_{index}")),
            Probe::Counter(_) => match (counter(armed, index), counter(rest, index)) {
                (Some(before), Some(after)) => after.saturating_sub(before),
                _ => 0,
            },
        }
    };
    probes
        .iter()
        .enumerate()
        .map(|(index, probe)| (probe.name(), count((index, probe))))
        .collect()
}

/// The function of a trace line; `%ps` prints a module's as `function [module]`.
fn traced(line: &str) -> Option<&str> {
    let (left, _caller) = line.split_once(" <-")?;
    left.rsplit_once(": ")?.1.split_whitespace().next()
}

/// Whether the kernel's symbol is this function or a clone of it.
fn is_or_is_cloned(symbol: &str, function: &str) -> bool {
    symbol
        .strip_prefix(function)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The hits of an event in `kprobe_profile`.
fn hits(profile: &str, event: &str) -> u64 {
    let line = profile
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|words| words.first() == Some(&event));
    line.and_then(|words| words.get(1)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(entries: &[&str]) -> Vec<Probe> {
        entries.iter().map(|entry| Probe::parse(entry).unwrap()).collect()
    }

    fn numbers(armed: &str, read: &str, entries: &[&str]) -> Vec<u64> {
        let counted = counts(armed, read, &probes(entries));
        counted.into_iter().map(|(_, count)| count).collect()
    }

    #[test]
    fn what_cannot_be_watched_is_explained() {
        let said = explain("no such function: x_count");
        assert!(
            said.contains("no function x_count") && said.contains("noinline"),
            "{said}"
        );
        let other = "no such tracepoint: a:b";
        assert_eq!(explain(other), other);
    }

    #[test]
    fn functions_of_the_kernel_and_of_modules_are_counted() {
        let trace = "# tracer: function\n#\n\
            \x20  release_fence-301     [001] .....    12.345678: vb2_publish_release_fence <-v4l2_m2m_publish\n\
            \x20  release_fence-301     [001] .....    12.345679: vim2m_publish_release_fence [vim2m] <-device_run [vim2m]\n\
            \x20  release_fence-301     [001] .....    12.345680: vb2_publish_release_fence [videobuf2_common] <-x\n\
            \x20  release_fence-301     [001] .....    12.345681: vim2m_count.isra.0 [vim2m] <-device_run [vim2m]\n";
        let functions = [
            "vb2_publish_release_fence",
            "vim2m_publish_release_fence",
            "never",
            "vim2m_count",
            "vim2m_cou",
        ];
        assert_eq!(numbers("", trace, &functions), [2, 1, 0, 1, 0]);
    }

    #[test]
    fn probes_tracepoints_and_counters_are_counted() {
        let armed = "counter 2 41\n";
        let read = "# tracer: nop\n\
            \x20  v4l2-ctl-301     [001] .....    12.345678: vb2_buf_done: owner=0000 queued=1\n\
            --- lockstep: kprobes ---\n\
            \x20 lockstep_0                                                17               0\n\
            counter 2 44\n";
        let entries = [
            "kprobe:vb2_buffer_done+0x1c",
            "tracepoint:vb2:vb2_buf_done",
            "counter:/sys/kernel/debug/fences",
            "kprobe:never",
        ];
        assert_eq!(numbers(armed, read, &entries), [17, 1, 3, 0]);
        assert_eq!(numbers("", "", &entries), [0, 0, 0, 0]);
    }

    #[test]
    fn what_is_none_of_these_is_refused() {
        for entry in [
            "",
            "a b",
            "a;b",
            "kprobe:",
            "kprobe:f+x",
            "tracepoint:vb2",
            "counter:x",
            "probe:f",
        ] {
            assert!(Probe::parse(entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn names_are_quoted() {
        let script = arm(&["a; reboot".into()], &probes(&["counter:/tmp/$(reboot)"]));
        assert!(script.contains("modprobe -a 'a; reboot'"), "{script}");
        assert!(script.contains("[ -r '/tmp/$(reboot)' ]"), "{script}");
    }
}
