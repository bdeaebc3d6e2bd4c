//! How a run that was cut off goes on: a rule over what its journal says and what was seen of board and tree. The record alone is
//! never trusted (invariant 11).

use super::escalation;
use super::inputs;
use super::journal::Input;
use super::journal::past::{Kept, Left, Past, PastRow, Way};
use super::record::End;
use super::verdict::Verdict;
use crate::board::boot::Reset;
use serde::Serialize;

/// What a row of the plan is, for this rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looks at the board; done again by every process.
    Preflight,
    /// Builds the debug kernel alone.
    Build,
    /// Boots it.
    Baseline,
    /// A patch of the campaign.
    Patch,
    /// All boots of a bisection.
    Search,
    /// Looks that vanilla stands.
    Close,
}

/// A row of the plan as it is now.
#[derive(Debug, Clone)]
pub struct Row {
    /// Number.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// What its result depends on now.
    pub inputs: Vec<Input>,
    /// Profiles on whose kernels it is done again where it wedges without a word.
    pub escalate: Vec<String>,
}

/// What runs on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoardSeen {
    /// Vanilla.
    Vanilla,
    /// A kernel of our label.
    Ours {
        /// Its release.
        release: String,
    },
    /// Something else.
    Other {
        /// Its release.
        release: String,
    },
    /// It does not answer.
    Silent {
        /// It can be reset from here.
        has_reset: bool,
    },
}

/// What was seen before anything was decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// The board.
    pub board: BoardSeen,
    /// extlinux.conf has our label; not known of a board that does not answer.
    pub label_offered: Option<bool>,
    /// The commits of the tree: the base, then what was applied, HEAD last. Full hex.
    pub stack: Vec<String>,
    /// Rows whose build is still what is staged.
    pub staged: Vec<String>,
    /// What is in the run's folder now, of all that the journal says was kept.
    pub kept: Vec<Kept>,
}

/// What an interrupted row left, to be taken back before anything else.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TakeBack {
    /// How the board is brought back to vanilla, where it does not run it.
    pub vanilla: Option<Reset>,
    /// Our label is taken out: what lies behind it may not be whole, or holds a patch that was not passed.
    pub label: bool,
    /// The commit that the tree goes back to.
    pub tree_to: Option<String>,
}

/// What is done with a run that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// What it found no longer holds: begin from nothing.
    Anew {
        /// Why.
        why: Vec<String>,
        /// How the board is brought back to vanilla, where it does not run it.
        vanilla: Option<Reset>,
    },
    /// Go on at a row, from its beginning.
    Go {
        /// The row.
        row: String,
        /// What is taken back first.
        take_back: TakeBack,
        /// Rows whose patches a person has let pass after they had been taken back: they are applied again.
        reapply: Vec<String>,
        /// Why there and not elsewhere.
        why: String,
    },
    /// A row has a verdict that stands; what it left is taken back, and the run ends with it. Nothing is booted again.
    Finish {
        /// The row.
        row: String,
        /// What is taken back.
        take_back: TakeBack,
    },
    /// Only the last look is missing.
    Close {
        /// What is taken back first.
        take_back: TakeBack,
    },
    /// A person has to do something first; then the same command goes on.
    Person {
        /// What to do.
        what: String,
        /// Why.
        why: String,
    },
    /// There is nothing to go on with.
    Over {
        /// How it ended.
        end: End,
        /// What would let it go on.
        why: String,
    },
}

/// The rule. `plan` is the plan of now, in its order; the journal may know rows that it has no more (a patch that is left out since).
pub fn decide(plan: &[Row], past: &Past, seen: &Seen) -> Decision {
    let walked = walked(plan, past, seen);
    let next = plan.get(walked.done);
    let profiles = |step: &str| {
        let row = plan.iter().find(|row| row.id == step);
        row.map_or(&[][..], |row| &row.escalate)
    };
    let escalates = escalation::is_left(past, profiles);
    if let Some(over) = over(past, next).filter(|_| !escalates) {
        return over;
    }
    let vanilla = match to_vanilla(past, &seen.board) {
        Ok(vanilla) => vanilla,
        Err(person) => return person,
    };
    if past.begin.is_none() {
        return Decision::Anew {
            why: vec!["its journal has an older format, which cannot be continued".into()],
            vanilla,
        };
    }
    if !walked.changed.is_empty() {
        return Decision::Anew {
            why: walked.changed,
            vanilla,
        };
    }
    let expected = walked.head.or_else(|| seen.stack.first().cloned());
    let take_back = match tree_to(expected, seen) {
        Ok(tree_to) => TakeBack {
            vanilla,
            label: false,
            tree_to,
        },
        Err(person) => return person,
    };
    let Some(next) = next.filter(|next| next.kind != Kind::Close) else {
        let rest = escalation::was_cut_off(past);
        let may_go = rest || left_a_patch(plan, past);
        return Decision::Close {
            take_back: TakeBack {
                label: rest && seen.label_offered != Some(false),
                tree_to: take_back.tree_to.filter(|_| may_go),
                ..take_back
            },
        };
    };
    let known = past.row(&next.id);
    let rest = known.is_some() || escalation::was_cut_off(past);
    let label = seen.label_offered != Some(false) && rest;
    let take_back = TakeBack { label, ..take_back };
    if let Some(row) = known.filter(|row| standing(row, next)) {
        return Decision::Finish {
            row: row.id.clone(),
            take_back,
        };
    }
    Decision::Go {
        row: next.id.clone(),
        why: why(past, next),
        take_back,
        reapply: walked.reapply,
    }
}

/// Whether a patch that is not in the plan any more may be in the tree: of a row that was cut off, or applied ahead of its turn. Otherwise all
/// patches stay where they are.
fn left_a_patch(plan: &[Row], past: &Past) -> bool {
    let is_left = |id: &String| plan.iter().all(|row| row.id != *id);
    let cut_off = past.rows.iter().filter(|row| row.ended.is_none());
    past.ahead.is_some() || cut_off.map(|row| &row.id).any(is_left)
}

/// How far the plan is done.
struct Walked {
    /// So many rows from the beginning.
    done: usize,
    /// Why what is done does not count any more.
    changed: Vec<String>,
    /// HEAD behind the last of them that left its patch in the tree.
    head: Option<String>,
    /// Rows since then that a person let pass.
    reapply: Vec<String>,
}

fn walked(plan: &[Row], past: &Past, seen: &Seen) -> Walked {
    let mut walked = Walked {
        done: 0,
        changed: Vec::new(),
        head: None,
        reapply: Vec::new(),
    };
    for row in plan {
        let Some(known) = past.row(&row.id).filter(|known| known.counts_as_done()) else {
            break;
        };
        let words = inputs::changed(&known.inputs, &row.inputs);
        walked
            .changed
            .extend(words.into_iter().filter(|word| !word.is_empty()));
        let ended = known.ended.as_ref();
        for kept in ended.iter().flat_map(|ended| &ended.kept) {
            if !seen.kept.contains(kept) {
                walked.changed.push(format!(
                    "{}, which step {} left in the run's folder, is gone or was changed",
                    kept.name, row.id
                ));
            }
        }
        match ended.filter(|ended| ended.way == Way::Go) {
            Some(ended) => {
                walked.head = Some(ended.head.clone());
                walked.reapply.clear();
            }
            None if row.kind == Kind::Patch && !known.is_left_out() => walked.reapply.push(row.id.clone()),
            None => {}
        }
        walked.done = walked.done.saturating_add(1);
    }
    walked.changed.dedup();
    back_to_the_build(plan, seen, &mut walked);
    walked
}

/// A baseline that is still to be booted needs the build of the row before it: where another one is staged, that row is done again.
fn back_to_the_build(plan: &[Row], seen: &Seen, walked: &mut Walked) {
    let is = |at: usize, kind: Kind| plan.get(at).is_some_and(|row| row.kind == kind);
    let before = walked.done.checked_sub(1);
    if let Some((before, row)) = before.and_then(|before| Some((before, plan.get(before)?)))
        && is(walked.done, Kind::Baseline)
        && row.kind == Kind::Build
        && !seen.staged.contains(&row.id)
    {
        walked.done = before;
    }
}

/// The verdict of the row to be done next stands: it is of the same inputs.
fn standing(known: &PastRow, next: &Row) -> bool {
    known.standing_failure().is_some() && inputs::changed(&known.inputs, &next.inputs).is_empty()
}

/// A run that came to its end has something to go on with only where a person was needed, or has changed what stopped it.
fn over(past: &Past, next: Option<&Row>) -> Option<Decision> {
    let ended = past.end.as_ref()?;
    let why = match ended.end {
        End::PersonNeeded => return None,
        End::Success => "nothing is left to do".to_string(),
        End::Aborted => "it was given up, and all was taken back".to_string(),
        End::Failure | End::PartialSuccess => {
            let next = next.filter(|next| !matches!(next.kind, Kind::Close | Kind::Search));
            let Some(next) = next else {
                return Some(Decision::Over {
                    end: ended.end,
                    why: "nothing is left to do".into(),
                });
            };
            let known = past.row(&next.id)?;
            if !standing(known, next) {
                return None;
            }
            if next.kind != Kind::Patch {
                return Some(Decision::Over {
                    end: ended.end,
                    why: "the debug kernel itself failed: change its fragments, then begin anew".into(),
                });
            }
            format!(
                "step {} stopped it: change its patch, leave it out (--continue-without {0}), or overrule the verdict (`cargo xtask verdict {0} \
                 --overrule pass --by NAME --why TEXT`)",
                next.id
            )
        }
    };
    Some(Decision::Over { end: ended.end, why })
}

/// How the board comes to vanilla, or what a person has to do. A board that does not answer is reset by force only where this run left
/// it in a kernel of ours: anything else may be somebody at work, or a network that is down.
pub fn to_vanilla(past: &Past, board: &BoardSeen) -> Result<Option<Reset>, Decision> {
    let person = |what: &str, why: String| {
        Err(Decision::Person {
            what: what.to_string(),
            why,
        })
    };
    match (board, past.left) {
        (BoardSeen::Vanilla, _) => Ok(None),
        (BoardSeen::Ours { .. }, _) => Ok(Some(Reset::Orderly)),
        (BoardSeen::Silent { has_reset: true }, Left::MaybeOurs) => Ok(Some(Reset::Hard)),
        (BoardSeen::Silent { has_reset: false }, Left::MaybeOurs) => person(
            "reset the board by hand (its next boot is vanilla)",
            "the board does not answer, this run had booted our label on it or may have, and it cannot be reset from here".into(),
        ),
        (BoardSeen::Silent { .. }, Left::OnVanilla) => person(
            "switch the board on, or look at its network and its serial line",
            "the board does not answer, and this run had left it on vanilla".into(),
        ),
        (BoardSeen::Other { release }, _) => person(
            "reboot the board into vanilla",
            format!("the board runs {release}, which is neither vanilla nor ours"),
        ),
    }
}

/// The commit that the tree has to go back to. Errors: the commit that this run left is not there any more, so somebody else moved
/// the branch.
fn tree_to(expected: Option<String>, seen: &Seen) -> Result<Option<String>, Decision> {
    let Some(expected) = expected else {
        return Ok(None);
    };
    if seen.stack.last() == Some(&expected) {
        return Ok(None);
    }
    if seen.stack.contains(&expected) {
        return Ok(Some(expected));
    }
    let short = |commit: &str| commit.get(..12).unwrap_or(commit).to_string();
    Err(Decision::Person {
        what: "put the tree back, or begin from nothing with --anew".into(),
        why: format!(
            "the tree is at {}, and the commit {} that this run left there is not in its branch any more: somebody else moved it",
            seen.stack.last().map_or("nothing".into(), |head| short(head)),
            short(&expected)
        ),
    })
}

fn why(past: &Past, next: &Row) -> String {
    let Some(known) = past.row(&next.id) else {
        return "the rows before it are done, and it was not begun".into();
    };
    if let Some(ended) = &known.ended {
        return match (ended.way, ended.record.verdict) {
            (_, Some(Verdict::ReviewMissing)) => "it waited for a review".into(),
            (Way::Lost, _) => "the board did not come back to vanilla after it".into(),
            (Way::Error, _) => "it could not be finished".into(),
            _ => "its inputs changed since it stopped the run".into(),
        };
    }
    match &past.open {
        Some(open) if open.step == next.id => format!("it was cut off in `{}` ({})", open.action, open.since),
        _ => format!("it was cut off ({})", past.last),
    }
}

#[cfg(test)]
mod tests;
