//! A board that says nothing any more: the kernel is asked before anything resets it, by whatever path is left.
//!
//! The ladder is a rule ([`next`]): what was seen and tried so far gives the next rung. The runner climbs it and tells what each rung gave.

use crate::board::Board;
use crate::board::boot::sysrq::{self, Way};
use crate::board::boot::{self, Answer, Outcome, Reset};
use crate::board::heart::Stopped;
use crate::board::heart::rule::State;
use crate::board::protected::Protected;
use crate::campaign::said::Said;
use crate::host::files;
use std::path::Path;
use std::time::Duration;

/// What is asked, in this order: tasks that wait, locks that are held, what each CPU does, memory (Documentation/admin-guide/sysrq.rst).
/// Each may be the last that the kernel answers, so what names a deadlock comes first.
pub const QUESTIONS: &[(char, &str)] = &[
    ('w', "blocked tasks"),
    ('d', "held locks"),
    ('l', "back traces of all CPUs"),
    ('m', "memory"),
];

/// Keys that stay without an answer over the line before it counts as dead: one CPU may be stuck while another still takes interrupts.
const SILENT: usize = 2;

/// What is there to ask with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// It answers over ssh.
    pub ssh: bool,
    /// There is a serial line, and a running kernel is what it showed last (invariant 8).
    pub kernel_on_line: bool,
}

/// A rung that was climbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The key.
    pub key: char,
    /// How it was sent.
    pub way: Way,
    /// What came of it.
    pub gave: Gave,
}

/// What a rung gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gave {
    /// So many bytes over the line.
    Bytes(u64),
    /// It was sent; there is no line to see the answer on. The kernel's log has it.
    Unseen,
    /// Nothing came.
    Nothing,
    /// It could not be sent.
    Failed(String),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Ask.
    Ask(char, Way),
    /// All is asked: this reset.
    Reset(Reset),
}

/// The ladder: ssh first, since it is sure and fast; the line where ssh is dead. When everything is asked, a kernel that still lives goes
/// down in order, one that only the line reaches is crashed on purpose so that pstore keeps its last words, and one that nothing reaches
/// is reset by force.
pub fn next(sight: Sight, tried: &[Tried]) -> Rung {
    let failed = |way: Way| {
        tried
            .iter()
            .any(|tried| tried.way == way && matches!(tried.gave, Gave::Failed(_)))
    };
    let silent = tried
        .iter()
        .rev()
        .take_while(|tried| tried.way == Way::Break && tried.gave == Gave::Nothing)
        .count();
    let ssh = sight.ssh && !failed(Way::Trigger);
    let line = sight.kernel_on_line && !failed(Way::Break);
    let way = match (ssh, line && silent < SILENT) {
        (true, _) => Some(Way::Trigger),
        (false, true) => Some(Way::Break),
        (false, false) => None,
    };
    // What failed by one way is asked again by the other.
    let open = QUESTIONS.iter().find(|(key, _)| {
        !tried
            .iter()
            .any(|tried| tried.key == *key && !matches!(tried.gave, Gave::Failed(_)))
    });
    match (way, open) {
        (Some(way), Some((key, _))) => Rung::Ask(*key, way),
        (Some(Way::Trigger), None) => Rung::Reset(Reset::Orderly),
        // Also behind silence: a kernel that prints nothing may still crash.
        (_, _) if line => Rung::Reset(Reset::BreakCrash),
        (_, _) => Rung::Reset(Reset::Hard),
    }
}

/// What the report says of it, a line for each rung.
pub fn facts(sight: Sight, tried: &[Tried], reset: Reset) -> Vec<String> {
    let there = match (sight.ssh, sight.kernel_on_line) {
        (true, _) => "ssh still answers",
        (false, true) => "ssh is dead, and the serial line showed a running kernel last",
        (false, false) => {
            "ssh is dead, and the serial line is not there or did not show a running kernel last: nothing can be asked"
        }
    };
    let mut facts = vec![format!("the board stopped answering as it should: {there}")];
    for Tried { key, way, gave } in tried {
        let what = QUESTIONS
            .iter()
            .find(|(known, _)| known == key)
            .map_or("", |(_, what)| what);
        let gave = match gave {
            Gave::Bytes(bytes) => format!("{bytes} bytes came over the line"),
            Gave::Unseen => "sent; the answer is in the kernel's log".into(),
            Gave::Nothing => "nothing came".into(),
            Gave::Failed(why) => format!("could not be asked: {why}"),
        };
        facts.push(format!("SysRq {key} ({what}) by {}: {gave}", way.name()));
    }
    facts.push(format!("then: {}", reset.name()));
    facts
}

/// A boot that has to end, and how it was.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// What came up.
    pub outcome: &'a Outcome,
    /// Why it counts as lost; nothing where it answers as it should.
    pub lost: &'a [String],
    /// Why what ran on it was broken off, if it was.
    pub stopped: Option<&'a Stopped>,
}

/// How the board goes down. Where it answers as it should that is an orderly reboot; where it does not, its kernel is asked first; where it
/// restarts by itself, that is waited for. `None`: vanilla runs already. Dying half-way it leaves a kernel that was asked something.
pub fn way_down(
    board: &dyn Board,
    protected: &Protected,
    ending: &Ending,
    evidence: &Path,
    said: &mut Vec<String>,
    say: &mut dyn FnMut(Said),
) -> Option<Reset> {
    let Ending { outcome, lost, .. } = *ending;
    let ssh = match outcome {
        Outcome::FellBackToVanilla { .. } => return None,
        // All that it was asked it has answered, and its logs were read just now.
        Outcome::Booted(_) if lost.is_empty() && ending.stopped.is_none() => return Some(Reset::Orderly),
        Outcome::Wedged { .. } => false,
        Outcome::Booted(_) | Outcome::OtherKernel(_) => still_answers(
            board,
            protected,
            ending.stopped.map(|stopped| &stopped.state),
            say,
        ),
    };
    if ssh && (lost.is_empty() || matches!(outcome, Outcome::OtherKernel(_))) {
        return Some(Reset::Orderly);
    }
    if let Some(now) = restarted(board, outcome).filter(|_| ssh) {
        said.push(format!(
            "the board restarted by itself, by its panic, its watchdog or its lease: {} answers now",
            now.release
        ));
        // Whatever else came up is not where our label may be taken out.
        return (now.release != protected.release).then_some(Reset::Orderly);
    }
    let sight = Sight {
        ssh,
        kernel_on_line: kernel_on_line(board),
    };
    let mut tried = Vec::new();
    let reset = loop {
        match next(sight, &tried) {
            Rung::Reset(reset) => break reset,
            Rung::Ask(key, way) => {
                say(Said::Line(&format!(
                    "asking the kernel by SysRq {key} ({})",
                    way.name()
                )));
                let gave = match sysrq::ask(board, key, way) {
                    Ok(asked) => match asked.bytes {
                        Some(0) => Gave::Nothing,
                        Some(bytes) => Gave::Bytes(bytes),
                        None => Gave::Unseen,
                    },
                    Err(error) => Gave::Failed(format!("{error:#}")),
                };
                tried.push(Tried { key, way, gave });
            }
        }
    };
    said.extend(facts(sight, &tried, reset));
    if reset == Reset::Hard && board.serial().is_none() && board.description().watchdog.is_some() {
        said.push(
            "its watchdog has the first word: what the kernel said lies in memory, and a power cut takes that away"
                .into(),
        );
    }
    if tried.iter().any(|tried| tried.gave == Gave::Unseen) {
        said.extend(keep_kernel_log(board, evidence));
    }
    Some(reset)
}

/// Whether it answers over ssh; where it restarts by itself, after that.
fn still_answers(
    board: &dyn Board,
    protected: &Protected,
    state: Option<&State>,
    say: &mut dyn FnMut(Said),
) -> bool {
    match state {
        Some(State::Panicked(_) | State::Restarted(_)) => {
            // A reset now would cut off its way back, and take the power from what ramoops has.
            say(Said::Line("the board restarts by itself: waiting for it"));
            boot::await_own_restart(board, protected)
        }
        // Its heart was asked for long enough; the kernel has its watchdog behind it, and should be asked before that fires.
        Some(State::Wedged { .. }) if kernel_on_line(board) => false,
        // By the connection that carried the tests, where that lives: a new one takes a slow board a second.
        _ => board.run("true", AT_ONCE).is_ok() || board.answers(ANSWERS),
    }
}

fn kernel_on_line(board: &dyn Board) -> bool {
    board
        .serial()
        .is_some_and(|line| sysrq::last_phase(line).is_ok_and(|phase| phase.is_running_kernel()))
}

/// Who answers now, if it is not what was booted: there is nobody left to ask then.
fn restarted(board: &dyn Board, outcome: &Outcome) -> Option<Answer> {
    let Outcome::Booted(booted) = outcome else {
        return None;
    };
    let now = boot::look(board).ok()?;
    (now.boot_id != booted.boot_id && now.release != booted.release).then_some(now)
}

/// Without a serial line the answers are in the kernel's log alone, which ends with it.
fn keep_kernel_log(board: &dyn Board, evidence: &Path) -> Option<String> {
    let log = board.run("dmesg 2>/dev/null; true", LOG_LIMIT).ok()?.stdout;
    let path = evidence.join("wedge.log");
    files::write_atomic(&path, &log).ok()?;
    Some(format!("what the kernel answered is in {}", path.display()))
}

/// Longest time to read the kernel's log of a board that is not well.
const LOG_LIMIT: Duration = Duration::from_secs(60);

/// How long ssh is given: the lease renews for longer than this.
const ANSWERS: Duration = Duration::from_secs(10);
/// The same, over a connection that is there.
const AT_ONCE: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    /// Climbs with the same answer at each rung by each way.
    fn climb(sight: Sight, trigger: &Gave, brk: &Gave) -> (String, Reset) {
        let mut tried: Vec<Tried> = Vec::new();
        let mut keys = String::new();
        loop {
            assert!(tried.len() < 20, "it ends: {tried:?}");
            match next(sight, &tried) {
                Rung::Reset(reset) => return (keys, reset),
                Rung::Ask(key, way) => {
                    keys.push(key);
                    let gave = match way {
                        Way::Trigger => trigger.clone(),
                        Way::Break => brk.clone(),
                    };
                    tried.push(Tried { key, way, gave });
                }
            }
        }
    }

    fn check(ssh: bool, kernel_on_line: bool, trigger: Gave, brk: Gave, keys: &str, reset: Reset) {
        let sight = Sight { ssh, kernel_on_line };
        assert_eq!(
            climb(sight, &trigger, &brk),
            (keys.to_string(), reset),
            "{sight:?} {trigger:?} {brk:?}"
        );
    }

    #[test]
    fn the_ladder() {
        let failed = || Gave::Failed("x".into());
        // ssh lives: everything is asked, and it goes down in order.
        check(true, true, Gave::Bytes(9), failed(), "wdlm", Reset::Orderly);
        check(true, false, Gave::Unseen, failed(), "wdlm", Reset::Orderly);
        // Only the line is left: then a crash, for pstore.
        check(false, true, failed(), Gave::Bytes(9), "wdlm", Reset::BreakCrash);
        // ssh dies at the first question: the line takes over from that question.
        check(true, true, failed(), Gave::Bytes(9), "wwdlm", Reset::BreakCrash);
        // A line that is silent is not asked for ever, and a crash is still tried.
        check(false, true, failed(), Gave::Nothing, "wd", Reset::BreakCrash);
        // A transport without BREAK.
        check(false, true, failed(), failed(), "w", Reset::Hard);
        // Nothing is left.
        check(false, false, failed(), failed(), "", Reset::Hard);
        check(true, false, failed(), failed(), "w", Reset::Hard);
    }

    #[test]
    fn one_silence_is_forgiven() {
        let tried = |key, gave| Tried {
            key,
            way: Way::Break,
            gave,
        };
        let sight = Sight {
            ssh: false,
            kernel_on_line: true,
        };
        let so_far = [
            tried('w', Gave::Nothing),
            tried('d', Gave::Bytes(7)),
            tried('l', Gave::Nothing),
        ];
        assert_eq!(next(sight, &so_far), Rung::Ask('m', Way::Break));
    }

    #[test]
    fn the_report_says_what_each_rung_gave() {
        let sight = Sight {
            ssh: false,
            kernel_on_line: true,
        };
        let tried = [Tried {
            key: 'd',
            way: Way::Break,
            gave: Gave::Bytes(120),
        }];
        let said = facts(sight, &tried, Reset::BreakCrash).join("\n");
        for words in [
            "ssh is dead, and the serial line showed a running kernel last",
            "SysRq d (held locks) by BREAK on the serial line: 120 bytes came over the line",
            "then: a crash over the serial line",
        ] {
            assert!(said.contains(words), "{words} in\n{said}");
        }
    }
}
