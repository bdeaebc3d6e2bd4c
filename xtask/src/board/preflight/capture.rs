//! Rules about captures: what tells what happened when a kernel dies.

use super::rules::{check, pass_if};
use super::{Check, Facts, ProvenCapture, Status};

pub(super) fn pstore(facts: &Facts) -> Vec<Check> {
    let options = facts.get("pstore");
    let mounted = check(
        "0.4",
        "pstore is mounted",
        pass_if((!options.is_empty()).into(), Status::Warning),
        if options.is_empty() {
            "/sys/fs/pstore is not mounted".into()
        } else {
            format!("mounted ({options})")
        },
        "mount -t pstore pstore /sys/fs/pstore; systemd does it where the kernel has CONFIG_PSTORE",
    );
    let size = |name: &str| facts.number(name).unwrap_or(0);
    let (total, console, pmsg) = (
        size("ramoops_mem_size"),
        size("ramoops_console_size"),
        size("ramoops_pmsg_size"),
    );
    let backend = check(
        "0.4",
        "ramoops keeps the kernel's last words across a reset",
        pass_if((has_ramoops(facts) && console > 0).into(), Status::Warning),
        format!(
            "backend `{}`, region {} KiB, console {} KiB, pmsg {} KiB{}",
            facts.get("pstore_backend"),
            total / 1024,
            console / 1024,
            pmsg / 1024,
            if facts.get("pmsg") == "yes" {
                ", /dev/pmsg0 takes lines"
            } else {
                ""
            }
        ),
        "reserve a region in the device tree (reserved-memory, compatible \"ramoops\", 2 MiB, console-size and pmsg-size 256 KiB) and build \
         PSTORE_RAM, PSTORE_CONSOLE and PSTORE_PMSG",
    );
    vec![mounted, backend]
}

fn has_ramoops(facts: &Facts) -> bool {
    facts.get("pstore_backend").contains("ramoops") && !facts.get("pstore").is_empty()
}

/// The serial line, as it is before a word was written.
pub(super) enum Line<'a> {
    /// It is open.
    There {
        /// A BREAK can be sent on it.
        has_break: bool,
    },
    /// The board's file names one that does not open; why.
    Unusable(&'a str),
    /// The board's file names none.
    None,
}

pub(super) fn serial(line: &Line, sees: bool, facts: &Facts) -> Check {
    let consoles: Vec<&str> = facts
        .get("cmdline")
        .split_whitespace()
        .filter(|word| word.starts_with("console="))
        .collect();
    let (status, reason) = match (line, sees) {
        (Line::There { has_break: true }, true) => (
            Status::Pass,
            "a line written on the board arrived in the log".to_string(),
        ),
        (Line::There { has_break: false }, true) => (
            Status::Pass,
            "a line written on the board arrived in the log; it has no BREAK (a tty of this host and RFC 2217 have one), so a kernel that ssh \
             does not reach cannot be asked for its locks"
                .to_string(),
        ),
        (Line::There { .. }, false) => (
            Status::Fail,
            format!(
                "nothing of a line written on the board arrived in the log ({})",
                consoles.join(" ")
            ),
        ),
        (Line::Unusable(problem), _) => (
            Status::Warning,
            format!("the line that the board's file names cannot be used: {problem}"),
        ),
        (Line::None, _) => (
            Status::Warning,
            "no serial cable: the board's file names none in [serial]".to_string(),
        ),
    };
    check(
        "0.5",
        "the serial line is captured",
        status,
        reason,
        match line {
            Line::None => {
                "connect one and name it in [serial] of the board's file; without it ramoops alone keeps what a dying kernel says"
            }
            Line::There { .. } | Line::Unusable(_) => {
                "check the cable, the speed, and `console=` in vanilla's append"
            }
        },
    )
}

/// The captures that work.
pub(super) fn capture(facts: &Facts, serial: bool, netconsole: bool) -> Option<ProvenCapture> {
    let ramoops = has_ramoops(facts);
    (serial || ramoops || netconsole).then_some(ProvenCapture {
        serial,
        ramoops,
        netconsole,
    })
}

/// No capture path that works means no campaign: a silent reset would teach nothing. `network` is what came of netconsole, where it was tried.
pub(super) fn some_capture(capture: Option<ProvenCapture>, network: Option<&anyhow::Result<()>>) -> Check {
    let (status, reason) = match (capture, network) {
        (Some(capture), _) if capture.netconsole_alone() => (
            Status::Warning,
            "netconsole alone: a test packet came. A panic's own words do not come over it, nor anything of a kernel that has lost its network"
                .to_string(),
        ),
        (Some(capture), _) => {
            let names = [(capture.serial, "serial line"), (capture.ramoops, "ramoops")];
            let works = names.iter().filter(|(works, _)| *works);
            let works: Vec<&str> = works.map(|(_, name)| *name).collect();
            (Status::Pass, works.join(", "))
        }
        (None, Some(Err(error))) => (
            Status::Fail,
            format!("neither the serial line nor ramoops works, nor does netconsole in the kernel that runs: {error:#}"),
        ),
        (None, _) => (
            Status::Fail,
            "neither the serial line nor ramoops works, and the board's file has no [netconsole]".to_string(),
        ),
    };
    check(
        "capture",
        "something tells what happens when the kernel dies",
        status,
        reason,
        "connect a serial cable, or reserve a ramoops region (`cargo xtask board ramoops`)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts<'_> {
        Facts::of(text)
    }

    #[test]
    fn no_capture_no_campaign() {
        let nothing = facts("pstore_backend=(null)\n");
        assert_eq!(capture(&nothing, false, false), None);
        let refused = Err(anyhow::anyhow!("the kernel that runs has no netconsole"));
        for (network, words) in [
            (None, "has no [netconsole]"),
            (Some(&refused), "kernel that runs has no netconsole"),
        ] {
            let check = some_capture(None, network);
            assert!(
                check.status == Status::Fail && check.reason.contains(words),
                "{check:?}"
            );
        }
        let ramoops = facts("pstore=rw\npstore_backend=ramoops\n");
        let works = capture(&ramoops, false, false).unwrap();
        assert!(works.ramoops() && !works.serial() && !works.netconsole_alone());
        assert_eq!(some_capture(Some(works), None).status, Status::Pass);
        let unmounted = facts("pstore_backend=ramoops\n");
        assert_eq!(capture(&unmounted, false, false), None);
        assert!(capture(&nothing, true, false).is_some_and(ProvenCapture::serial));
        // The plan counts it; what it cannot is said.
        let alone = capture(&nothing, false, true).unwrap();
        assert!(alone.netconsole_alone());
        let check = some_capture(Some(alone), Some(&Ok(())));
        assert!(
            check.status == Status::Warning && check.reason.contains("panic's own words"),
            "{check:?}"
        );
    }

    #[test]
    fn a_line_that_is_not_there_says_why() {
        let check = |line: Line, sees: bool, status: Status, says: &str| {
            let found = serial(&line, sees, &facts("cmdline=console=ttyS2,1500000 quiet\n"));
            assert!(found.status == status && found.reason.contains(says), "{found:?}");
        };
        let there = |has_break| Line::There { has_break };
        check(there(true), true, Status::Pass, "arrived in the log");
        check(there(false), true, Status::Pass, "no BREAK");
        check(there(true), false, Status::Fail, "console=ttyS2,1500000");
        check(
            Line::Unusable("refused"),
            false,
            Status::Warning,
            "cannot be used: refused",
        );
        check(Line::None, false, Status::Warning, "no serial cable");
    }
}
