//! How somebody else comes to the same fault: the tree, the patches, the configuration, what was loaded and run, in this order.

use crate::campaign::record::{PatchRecord, RowRecord, RunRecord};
use crate::campaign::report::gather::Captured;
use crate::campaign::report::{ends, one_line, owner};
use crate::campaign::smoke::{NOT_RUN, SmokeResult};
use std::fmt::Write;

/// The section, with its heading.
pub(super) fn section(run: &RunRecord, row: &RowRecord, at: usize, captured: &Captured) -> String {
    let mut steps = vec![format!("Tree: {}\n", one_line(&run.tree))];
    let mut patches: Vec<&PatchRecord> = owner::patches(run, at);
    patches.reverse();
    steps.extend(patches_step(&patches));
    let line = captured.command_line.as_ref().map_or(String::new(), |line| {
        format!(", with the command line\n     {}", one_line(line))
    });
    steps.push(format!("The attached configuration, booted{line}\n"));
    if !row.load.is_empty() {
        steps.push(format!("modprobe -a {}\n", one_line(&row.load.join(" "))));
    }
    steps.extend(test_steps(&row.tests));
    let mut text = String::from("How to reproduce\n----------------\n\n");
    for (number, step) in (1_usize..).zip(&steps) {
        let _ = write!(text, "{number}. {step}");
    }
    text.push_str(&programs(run, row));
    let _ = writeln!(
        text,
        "\nAll of it again, one boot a patch: cargo xtask bisect-apply {}\n",
        ends::campaign_file(run)
    );
    text
}

fn patches_step(patches: &[&PatchRecord]) -> Option<String> {
    let mut step = String::from("Patches, in this order, with the SHA-256 of each file:\n");
    for patch in patches {
        let _ = writeln!(
            step,
            "     {} {}\n          {}",
            one_line(&patch.name),
            one_line(&patch.subject),
            one_line(&patch.sha256)
        );
    }
    (!patches.is_empty()).then_some(step)
}

/// What was run, and what came of it. A soak repeats what was run before it.
fn test_steps(tests: &[SmokeResult]) -> Vec<String> {
    let is_again =
        |at: usize, run: &str| !run.is_empty() && tests.iter().take(at).any(|earlier| earlier.run == run);
    let steps = tests.iter().enumerate().map(|(at, test)| {
        let (name, result) = (one_line(&test.name), result(test));
        if is_again(at, &test.run) {
            return format!("{name}: the same again and again: {result}\n");
        }
        let mut step = format!("{name}: {result}\n");
        for line in test.run.lines() {
            let _ = writeln!(step, "       {}", one_line(line).trim_end());
        }
        step
    });
    steps.collect()
}

fn result(test: &SmokeResult) -> String {
    let came = match test.exit {
        NOT_RUN => "not run".to_string(),
        exit => format!("exit {exit}"),
    };
    let failure = test.failure.as_deref().unwrap_or("as expected");
    format!("{came}, {}", one_line(failure))
}

/// Which of the programs that the tests name are ours, and where their sources are; nothing where none is.
fn programs(run: &RunRecord, row: &RowRecord) -> String {
    let named = |name: &str| row.tests.iter().any(|test| test.run.contains(name));
    let programs: Vec<String> = run
        .closing
        .programs
        .iter()
        .filter(|(name, _)| named(name))
        .map(|(name, folder)| {
            let folder = folder.display().to_string();
            format!("{} from {}", one_line(name), one_line(&folder))
        })
        .collect();
    match programs.is_empty() {
        true => String::new(),
        false => format!(
            "\nPrograms of Lockstep, compiled from its C sources: {}.\n",
            programs.join(", ")
        ),
    }
}
