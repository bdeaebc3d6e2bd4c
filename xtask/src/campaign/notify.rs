//! Tells somebody who is not looking: a command of theirs, or the desktop.

use super::record::{End, RunRecord};
use super::report;
use super::said::Said;
use crate::host::process;
use crate::ui::Ui;
use anyhow::{Result, bail};
use std::path::Path;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// A message that takes longer to send than this is given up.
const LIMIT: Duration = Duration::from_secs(30);

/// Whom to tell.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// A command for `sh -c`.
    pub command: Option<String>,
    /// notify-send(1).
    pub desktop: Desktop,
}

/// Whether the desktop is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Desktop {
    /// It is.
    Told,
    /// Nobody asked for it.
    #[default]
    Quiet,
}

/// What is told, as environment variables of the command.
pub type Message = Vec<(&'static str, String)>;

/// The message of a run that has ended.
pub fn message(run: &RunRecord, folder: &Path) -> Message {
    let end = match run.end {
        Some(End::PersonNeeded) => PERSON_NEEDED,
        Some(End::Success) => "success",
        Some(End::PartialSuccess) => "partial-success",
        Some(End::Failure) => "failure",
        Some(End::Aborted) => "aborted",
        None => "unfinished",
    };
    let stopped = report::stopped_at(run);
    let (step, text) = match stopped {
        Some(row) => (
            row.id.as_str(),
            format!(
                "{}: {end}, step {} {}",
                run.campaign,
                row.id,
                report::outcome(row).text
            ),
        ),
        None => ("", format!("{}: {end}", run.campaign)),
    };
    told(end, (&run.campaign, &run.board, step), text, folder)
}

/// The message of a run that waits for a person in the middle: `what` they have to do.
pub fn waiting((campaign, board, step): (&str, &str, &str), what: &str, folder: &Path) -> Message {
    let text = format!("{campaign} needs a person in step {step}: {what}");
    told(PERSON_NEEDED, (campaign, board, step), text, folder)
}

const PERSON_NEEDED: &str = "person-needed";

fn told(end: &str, (campaign, board, step): (&str, &str, &str), text: String, folder: &Path) -> Message {
    vec![
        ("LOCKSTEP_END", end.to_string()),
        ("LOCKSTEP_CAMPAIGN", campaign.to_string()),
        ("LOCKSTEP_BOARD", board.to_string()),
        ("LOCKSTEP_STEP", step.to_string()),
        ("LOCKSTEP_MESSAGE", text),
        ("LOCKSTEP_REPORT", report::html_path(folder).display().to_string()),
    ]
}

/// How often a person is told again of the same wait.
const AGAIN: Duration = Duration::from_secs(20 * 60);

/// What a step says, for whoever does not look at the screen: [`Said::PersonNeeded`] is passed on, and then nothing more of this step for [`AGAIN`],
/// since a wait says the same again and again.
#[derive(Default)]
pub struct Ear {
    told: Option<Instant>,
}

impl Ear {
    /// What a person has to do, where this says so and they were not told just now.
    pub fn hears<'a>(&mut self, said: Said<'a>) -> Option<&'a str> {
        let Said::PersonNeeded(what) = said else {
            return None;
        };
        if self.told.is_some_and(|told| told.elapsed() < AGAIN) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(what)
    }
}

impl Notify {
    /// Tells it. Whoever cannot be told is no reason for a campaign to fail: that becomes a warning.
    pub fn tell(&self, message: &Message, ui: &Ui) {
        let command = |command: &str| run_command(command, message);
        if let Some(Err(error)) = self.command.as_deref().map(command) {
            ui.warn(&format!("--notify: {error:#}"));
        }
        if self.desktop == Desktop::Told
            && let Err(error) = tell_desktop(message)
        {
            ui.warn(&format!("--notify-desktop: {error:#}"));
        }
    }
}

fn run_command(command: &str, message: &Message) -> Result<()> {
    let sh = Shell::new()?;
    let mut cmd = cmd!(sh, "sh -c {command}");
    for (name, value) in message {
        // An environment cannot hold a NUL (environ(7)).
        cmd = cmd.env(name, value.replace('\0', ""));
    }
    process::run(cmd, LIMIT).map(drop)
}

fn tell_desktop(message: &Message) -> Result<()> {
    if which::which("notify-send").is_err() {
        bail!("notify-send is not installed here: on Debian it is in libnotify-bin");
    }
    let of = |wanted: &str| {
        let found = message.iter().find(|(name, _)| *name == wanted);
        found.map_or(String::new(), |(_, value)| crate::ui::visible(value))
    };
    let (text, report) = (of("LOCKSTEP_MESSAGE"), of("LOCKSTEP_REPORT"));
    let urgency = match of("LOCKSTEP_END").as_str() {
        "person-needed" => "critical",
        _ => "normal",
    };
    let sh = Shell::new()?;
    let cmd = cmd!(
        sh,
        "notify-send --app-name=lockstep --urgency={urgency} -- {text} {report}"
    );
    process::run(cmd, LIMIT).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::{regression, run};
    use super::*;
    use crate::ui::Format;

    #[test]
    fn a_command_gets_the_end_and_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("told");
        let notify = Notify {
            command: Some(format!(
                "printf '%s|%s|%s|%s' \"$LOCKSTEP_END\" \"$LOCKSTEP_STEP\" \"$LOCKSTEP_MESSAGE\" \"$LOCKSTEP_REPORT\" > {}",
                out.display()
            )),
            desktop: Desktop::Quiet,
        };
        let message = message(&run(vec![regression()]), Path::new("/runs/1"));
        notify.tell(&message, &Ui::new(Format::Text));
        assert_eq!(
            std::fs::read_to_string(out).unwrap(),
            "partial-success|2.2|small: partial-success, step 2.2 regression|/runs/1/report.html"
        );
    }

    #[test]
    fn a_wait_in_the_middle_of_a_run_is_told_once_and_says_for_what() {
        let mut ear = Ear::default();
        // Words of a board, a patch or a person decide nothing.
        assert_eq!(ear.hears(Said::Line("deployed 7.3.4-lockdep")), None);
        assert_eq!(ear.hears(Said::Line("a person is needed: log in")), None);
        let said = Said::PersonNeeded("log in on the desktop");
        assert_eq!(ear.hears(said), Some("log in on the desktop"));
        assert_eq!(ear.hears(said), None, "a wait says it every other minute");
        assert_eq!(Ear::default().hears(said), Some("log in on the desktop"));
        let message = waiting(
            ("small", "ampere", "2.2"),
            "log in on the desktop",
            Path::new("/runs/1"),
        );
        let text = "small needs a person in step 2.2: log in on the desktop";
        for expected in [
            ("LOCKSTEP_END", "person-needed"),
            ("LOCKSTEP_STEP", "2.2"),
            ("LOCKSTEP_MESSAGE", text),
        ] {
            assert!(message.contains(&(expected.0, expected.1.into())), "{message:?}");
        }
    }

    #[test]
    fn a_command_that_fails_is_no_failure_of_the_campaign() {
        let notify = Notify {
            command: Some("exit 3".into()),
            desktop: Desktop::Quiet,
        };
        assert!(run_command("exit 3", &Vec::new()).is_err());
        notify.tell(&Vec::new(), &Ui::new(Format::Text));
    }
}
