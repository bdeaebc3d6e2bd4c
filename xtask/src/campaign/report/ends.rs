//! How a run ended, for whoever reads of it: which steps failed and where the fault lies, what the
//! end means, what to type next.

use super::{Tone, not_reached, one_line, outcome};
use crate::campaign::record::{End, RowRecord, RunRecord};
use crate::campaign::smoke::NOT_RUN;
use crate::campaign::verdict::Verdict;
use crate::campaign::{escalation, search};
use std::fmt;

/// Exit statuses of a shell whose command was not found, or is not a program (POSIX XCU, 2.8.2).
const NO_COMMAND: [i32; 2] = [126, 127];

/// Where the fault of a row lies, as far as its record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The patch of the row.
    Patch,
    /// The debug kernel without any patch.
    DebugKernel,
    /// The campaign file asks for what this kernel or this board cannot do.
    CampaignFile,
    /// The patch does not fit the tree that it was applied to.
    Series,
    /// A review is missing.
    Review,
    /// The board, this machine or the connection: nothing was shown of the kernel.
    Circumstances,
}

impl Fault {
    /// The rule; `None` for a row that did not fail.
    pub fn of(row: &RowRecord) -> Option<Fault> {
        if outcome(row).tone != Tone::Bad {
            return None;
        }
        let Some(verdict) = row.verdict else {
            return Some(Fault::Circumstances);
        };
        let of_patch = match is_step(row) {
            true => Fault::Patch,
            false => Fault::DebugKernel,
        };
        Some(match (verdict, of_patch) {
            (Verdict::WrongKernel | Verdict::IncompleteLog, _) => Fault::Circumstances,
            (Verdict::ReviewMissing, _) => Fault::Review,
            (Verdict::DoesNotApply, _) => Fault::Series,
            (Verdict::NotExercised, _) | (Verdict::SmokeFailed, Fault::DebugKernel) => Fault::CampaignFile,
            (Verdict::SmokeFailed, _) if no_test_began(row) => Fault::CampaignFile,
            (_, fault) => fault,
        })
    }

    /// Whether the people who wrote the code can do something about it.
    pub fn is_for_upstream(self) -> bool {
        matches!(self, Fault::Patch | Fault::DebugKernel)
    }
}

/// Whether every test that failed did so before its own command ran, on a kernel that said nothing:
/// its set-up, a condition, a program that is not on the board.
fn no_test_began(row: &RowRecord) -> bool {
    let mut failed = row.tests.iter().filter(|test| test.failure.is_some()).peekable();
    failed.peek().is_some()
        && row.findings.is_empty()
        && failed.all(|test| test.exit == NOT_RUN || NO_COMMAND.contains(&test.exit))
}

/// The rows that failed, in the order in which they were executed. Of a bisection the one with the
/// fewest patches; the repeats of a step on other kernels are told with it.
pub fn failed(run: &RunRecord) -> Vec<&RowRecord> {
    let bad = || {
        let rows = run.rows.iter().filter(|row| !escalation::is_one(&row.id));
        // What could not be finished, and was gone on with later, failed nothing.
        let is_last = |row: &RowRecord| run.rows.last().is_some_and(|last| last.id == row.id);
        rows.filter(move |row| outcome(row).tone == Tone::Bad && (row.verdict.is_some() || is_last(row)))
    };
    let first = bad().filter_map(|row| Some((search::first_of(&row.id)?, row)));
    match first.min_by_key(|(patches, _)| *patches) {
        Some((_, row)) => vec![row],
        None => bad().collect(),
    }
}

/// The row whose fault ended the campaign, or the first that failed where it went on without each.
pub fn stopped_at(run: &RunRecord) -> Option<&RowRecord> {
    let failed = failed(run);
    let stopper = failed.iter().find(|row| !went_on_without(run, row));
    stopper.or(failed.first()).copied()
}

/// Whether the campaign went on without the patch of a row that failed: as the step asks, or
/// because a person left it out.
pub fn went_on_without(run: &RunRecord, row: &RowRecord) -> bool {
    let mut later = run.rows.iter().skip_while(|other| other.id != row.id).skip(1);
    let is_judged_step = |other: &RowRecord| {
        other.patch.is_some() && other.verdict.is_some() && !escalation::is_one(&other.id)
    };
    let is_of_a_search = search::first_of(&row.id).is_some();
    is_step(row) && !is_of_a_search && (row.left_out || later.any(is_judged_step))
}

/// What came of a row that failed: `stopped the campaign`.
pub fn came_of(run: &RunRecord, row: &RowRecord) -> &'static str {
    match went_on_without(run, row) {
        true => "failed, and the campaign went on without it",
        false => "stopped the campaign",
    }
}

/// Whether a row is about a patch, applied or not.
fn is_step(row: &RowRecord) -> bool {
    row.patch.is_some() || row.of_patch.is_some()
}

/// A row as a sentence names it: `step 2.2 (0008)`.
fn named(row: &RowRecord) -> String {
    format!("step {} ({})", row.id, name_of(row))
}

/// The patch of a row as the campaign names it, or the row's title.
fn name_of(row: &RowRecord) -> String {
    let applied = row.patch.as_ref().map(|patch| &patch.name);
    let name = one_line(row.of_patch.as_ref().or(applied).unwrap_or(&row.title));
    // Commands stand between backticks.
    name.replace('`', "\\u{60}")
}

/// What the end means (plan.md, "Ends").
pub fn meaning(run: &RunRecord) -> String {
    let mut what = match run.end {
        Some(End::Success) => {
            "Every step has the verdict that the campaign asks of it. Vanilla runs and is the default.".into()
        }
        Some(End::PartialSuccess) => partial(run),
        Some(End::Failure) => failure(run),
        Some(End::PersonNeeded) => {
            "The board or the tree is not in a state that is known to be safe. Nothing more was tried.".into()
        }
        Some(End::Aborted) => {
            "A person gave it up. Every patch was taken back; vanilla runs and is the default.".into()
        }
        None => "The run has not ended, or was killed before it could say so.".into(),
    };
    for sentence in escalation::told(run) {
        what.push(' ');
        what.push_str(&one_line(&sentence));
    }
    what
}

fn partial(run: &RunRecord) -> String {
    let failed = failed(run);
    match failed.as_slice() {
        [] => "Every step that was run has the verdict that the campaign asks of it, but not the whole series was run. Vanilla runs and is the \
               default."
            .into(),
        [one] if !went_on_without(run, one) => format!(
            "The patches before {} passed; that one was taken back, and only that one. Vanilla runs and is the default.",
            named(one)
        ),
        [one] => format!(
            "{} failed. That patch was taken back, and only that one; the other steps were run without it. Vanilla runs and is the default.",
            capitalised(&named(one))
        ),
        all => {
            let names: Vec<String> = all.iter().map(|row| named(row)).collect();
            format!(
                "Failed: {}. Each of these patches was taken back, and only these; the other steps were run without them. Vanilla runs and is the \
                 default.",
                names.join(", ")
            )
        }
    }
}

/// Ours begin with a letter of one byte.
fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at_checked(1).unwrap_or((text, ""));
    first.to_ascii_uppercase() + rest
}

fn failure(run: &RunRecord) -> String {
    let failed = failed(run);
    let what = match failed.as_slice() {
        [one] if !is_step(one) => format!(
            "The debug kernel failed without any patch, at {}: nothing was tested of the series.",
            named(one)
        ),
        [one] => format!("The campaign failed at {}: no patch has passed.", named(one)),
        all => {
            let names: Vec<String> = all.iter().map(|row| named(row)).collect();
            format!("No patch has passed. Failed: {}.", names.join(", "))
        }
    };
    format!("{what} Vanilla runs and is the default.")
}

/// Something that a person may do after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Go on with a run that was stopped.
    Resume,
    /// Give it up.
    GiveUp,
    /// Do what the status says.
    AskStatus,
    /// Review this patch.
    Review(String),
    /// Mend this patch, and test it again.
    MendPatch(String),
    /// Make this patch again for the tree.
    Remake(String),
    /// Go on without this patch.
    ContinueWithout(String),
    /// The first of these patches failed and all the others are judged: mend it, and begin the
    /// campaign in this file again.
    MendLeftOut(Vec<String>, String),
    /// Mend this campaign file, and begin again.
    MendCampaign(String),
    /// Change the debug kernel's configuration in this campaign file, and begin again.
    MendDebugKernel(String),
    /// Nothing was shown of the patch of this step: test from it on again, by this campaign file.
    TestAgain(String, String),
    /// Do a step again on another kernel.
    Escalate(String),
    /// Write to the people who know the code.
    Mail,
    /// Look at all runs.
    History,
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Next::Resume => write!(f, "`cargo xtask resume` goes on"),
            Next::GiveUp => write!(f, "`cargo xtask abort` gives the run up"),
            Next::AskStatus => write!(
                f,
                "`cargo xtask status` says what to do, then `cargo xtask resume`"
            ),
            Next::Review(patch) => write!(
                f,
                "`cargo xtask review {patch} --approve --by NAME`, then `cargo xtask resume`"
            ),
            Next::MendPatch(patch) => {
                write!(
                    f,
                    "mend the patch {patch}, then `cargo xtask resume` tests it again"
                )
            }
            Next::Remake(patch) => write!(
                f,
                "make the patch {patch} again on this tree, then `cargo xtask resume` goes on with it"
            ),
            Next::ContinueWithout(patch) => write!(
                f,
                "`cargo xtask resume --continue-without {patch}` goes on with the rest, as a control"
            ),
            Next::MendLeftOut(patches, file) => write!(
                f,
                "mend {}, then `cargo xtask bisect-apply {file}` begins again",
                patches.join(", ")
            ),
            Next::MendCampaign(file) => write!(
                f,
                "mend the campaign file, then `cargo xtask bisect-apply {file}` begins again"
            ),
            Next::MendDebugKernel(file) => write!(
                f,
                "change the fragments of the debug kernel, then `cargo xtask bisect-apply {file}` begins again"
            ),
            Next::TestAgain(step, file) => write!(
                f,
                "see to what stands above, then `cargo xtask bisect-apply {file} --from {step}` tests it again"
            ),
            Next::Escalate(offer) => f.write_str(offer),
            Next::Mail => write!(
                f,
                "`cargo xtask report --format issue` prints a mail for the people who know the code"
            ),
            Next::History => write!(f, "`cargo xtask history` lists all runs"),
        }
    }
}

/// What to do next, in the order in which it is typed.
pub fn next(run: &RunRecord) -> Vec<Next> {
    let mut next = match run.end {
        None => vec![Next::Resume, Next::GiveUp],
        Some(End::PersonNeeded) => vec![match stopped_at(run) {
            Some(row) if Fault::of(row) == Some(Fault::Review) => Next::Review(name_of(row)),
            _ => Next::AskStatus,
        }],
        Some(End::Success | End::Aborted) => vec![Next::History],
        Some(End::Failure | End::PartialSuccess) => after_a_failure(run),
    };
    next.extend(escalation::offer(run).map(Next::Escalate));
    next
}

fn after_a_failure(run: &RunRecord) -> Vec<Next> {
    let failed = failed(run);
    let Some(row) = stopped_at(run) else {
        return vec![Next::History];
    };
    let file = campaign_file(run);
    let fault = Fault::of(row);
    let mut next = vec![match fault {
        Some(Fault::CampaignFile) => Next::MendCampaign(file),
        Some(Fault::DebugKernel) => Next::MendDebugKernel(file),
        _ if went_on_without(run, row) => {
            Next::MendLeftOut(failed.iter().map(|row| name_of(row)).collect(), file)
        }
        Some(Fault::Circumstances) if is_step(row) => Next::TestAgain(one_line(&row.id), file),
        Some(Fault::Series) => Next::Remake(name_of(row)),
        _ if is_step(row) => Next::MendPatch(name_of(row)),
        _ => Next::Resume,
    }];
    let stops = !went_on_without(run, row) && !not_reached(run).is_empty();
    if is_step(row) && search::first_of(&row.id).is_none() && stops {
        next.push(Next::ContinueWithout(name_of(row)));
    }
    if failed
        .iter()
        .filter_map(|row| Fault::of(row))
        .any(Fault::is_for_upstream)
    {
        next.push(Next::Mail);
    }
    next
}

/// The campaign file of a run, as it is typed.
pub fn campaign_file(run: &RunRecord) -> String {
    match run.closing.campaign_file.as_os_str().is_empty() {
        // In records of earlier versions.
        true => format!("campaigns/{}.toml", one_line(&run.campaign)),
        false => crate::host::one_line::path(&run.closing.campaign_file),
    }
}

#[cfg(test)]
mod tests;
