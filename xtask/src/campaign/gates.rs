//! Gates: what has to be true before a row may go on, and who can open it. Which gates stand before a row is a rule over the campaign; the plan
//! prints it, and those that watch people are in [`people`] and [`watch`].

pub mod people;
pub mod watch;

use super::action::Action;
use super::file::{Campaign, InUse};
use crate::board::boot::Progress;
use crate::campaign::said::Said;
use serde::Serialize;

/// Says what a person has to do while a board boots; nothing else of the boot.
pub fn tell_person(progress: &Progress, say: &mut dyn FnMut(Said)) {
    if let Progress::Person(what) = progress {
        say(Said::PersonNeeded(what));
    }
}

/// A gate before a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Somebody agreed to all that the run does to the board.
    Consent,
    /// Both backups were read back and have the hashes of vanilla.
    Backups,
    /// Something is seen to tell what happens when the kernel dies.
    Capture,
    /// Vanilla came back by each path that the campaign relies on.
    WayBack,
    /// Nobody is at work on the board.
    NotInUse,
    /// A review approves exactly this content of the patch.
    Review,
    /// The row before passed, or ended as it was declared to.
    EarlierRows,
    /// The checkers of the profile are alive when the tests begin.
    Checkers,
    /// A person has logged in on the desktop.
    Login,
}

/// Who opens a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenedBy {
    /// The program looks; nobody can answer in its place.
    Looking,
    /// A question, which `--yes` answers.
    Answer,
    /// What a person does. `--yes` does not do it.
    Person,
}

impl Gate {
    /// Who opens it.
    pub fn opened_by(self) -> OpenedBy {
        match self {
            Gate::Consent | Gate::NotInUse => OpenedBy::Answer,
            Gate::Review | Gate::Login => OpenedBy::Person,
            Gate::Backups | Gate::Capture | Gate::WayBack | Gate::EarlierRows | Gate::Checkers => {
                OpenedBy::Looking
            }
        }
    }

    /// What has to be true, for a row of this campaign.
    pub fn text(self, campaign: &Campaign) -> String {
        let people = &campaign.people;
        match self {
            Gate::Consent => "somebody agreed to the backups, the label and the reboots".into(),
            Gate::Backups => "the backups on the board and off it were read back".into(),
            Gate::Capture => "a capture works: serial line, netconsole or ramoops".into(),
            Gate::WayBack => "vanilla came back by every path".into(),
            Gate::NotInUse => {
                let quiet = people
                    .quiet_hours
                    .map_or(String::new(), |hours| format!(", or it is between {hours}"));
                match people.in_use {
                    InUse::Wait => format!(
                        "nobody is at work on the board (idle {} min{quiet}); waits {} min for it",
                        people.idle_min, people.in_use_wait_min
                    ),
                    InUse::Go => "who is logged in is told".into(),
                }
            }
            Gate::Review => "a review approves exactly this patch".into(),
            Gate::EarlierRows => "the step before passed".into(),
            Gate::Checkers if campaign.has_lockdep() => {
                "lockdep is alive before and after each smoke test".into()
            }
            Gate::Checkers => "the kernel is not tainted by a death before the tests".into(),
            Gate::Login => format!(
                "a person has logged in on the desktop; waits {} min for it",
                people.login_wait_min
            ),
        }
    }
}

/// The gates before a row, in the order in which they are asked.
pub fn before(campaign: &Campaign, action: Action) -> Vec<Gate> {
    match action {
        Action::Preflight => vec![Gate::Consent],
        Action::BuildBaseline => vec![Gate::Backups, Gate::Capture, Gate::WayBack],
        Action::BootBaseline => vec![Gate::NotInUse, Gate::Checkers],
        Action::Patch(index) => {
            let step = &campaign.steps[index];
            let mut gates = vec![Gate::EarlierRows];
            gates.extend(step.review.then_some(Gate::Review));
            gates.push(Gate::NotInUse);
            gates.extend(step.login.then_some(Gate::Login));
            gates.push(Gate::Checkers);
            gates
        }
        Action::Close => Vec::new(),
    }
}

/// What a run asks of people, a line each: what `--yes` answers, and what it does not.
pub fn asked(campaign: &Campaign, actions: &[Action]) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    for &action in actions {
        for gate in before(campaign, action) {
            if gate.opened_by() == OpenedBy::Looking {
                continue;
            }
            let of = match (gate, action) {
                (Gate::NotInUse, _) => Some("every test boot".to_string()),
                (_, Action::Patch(index)) => Some(campaign.steps[index].id.clone()),
                _ => None,
            };
            let fix = match (gate, action) {
                (Gate::Review, Action::Patch(index)) => format!(
                    "`cargo xtask review {} --series {} --approve --by NAME`",
                    campaign.steps[index].patch,
                    campaign.series.display()
                ),
                (Gate::Login, _) => "log in at the board when the run says so".into(),
                (Gate::NotInUse, _) => "`--yes`, `--quiet-hours`, or leave the board alone".into(),
                _ => "answer, or `--yes`".into(),
            };
            match asked.iter_mut().find(|known| known.gate == gate) {
                Some(known) => known.steps.extend(of.filter(|of| !known.steps.contains(of))),
                None => asked.push(Asked {
                    gate,
                    what: gate.text(campaign),
                    opened_by: gate.opened_by(),
                    steps: of.into_iter().collect(),
                    how: fix,
                }),
            }
        }
    }
    asked
}

/// Something that a run asks of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The gate.
    pub gate: Gate,
    /// What has to be true.
    pub what: String,
    /// Who opens it.
    pub opened_by: OpenedBy,
    /// Before what: steps, or every test boot; nothing: once, at the start.
    pub steps: Vec<String>,
    /// What to do.
    pub how: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_answers_questions_and_does_nothing_that_is_a_person_s() {
        let text = "schema-version = 1\nname = 'a'\ngoal = 'g'\nseries = 's'\n\
            [[step]]\nid = '2.1'\npatch = '1'\nexercise = ['f']\n\
            [[step]]\nid = '2.2'\npatch = '2'\nexercise = ['f']\nreview = true\nlogin = true\n";
        let campaign = Campaign::parse(text).unwrap();
        let plain = before(&campaign, Action::Patch(0));
        assert_eq!(plain, [Gate::EarlierRows, Gate::NotInUse, Gate::Checkers]);
        let actions = [
            Action::Preflight,
            Action::BootBaseline,
            Action::Patch(0),
            Action::Patch(1),
        ];
        let asked = asked(&campaign, &actions);
        let of = |who: OpenedBy| -> Vec<(Gate, Vec<String>)> {
            let these = asked.iter().filter(|asked| asked.opened_by == who);
            these.map(|asked| (asked.gate, asked.steps.clone())).collect()
        };
        let second = || vec!["2.2".to_string()];
        assert_eq!(
            of(OpenedBy::Person),
            [(Gate::Review, second()), (Gate::Login, second())]
        );
        assert_eq!(of(OpenedBy::Answer).len(), 2);
    }
}
