//! Tells somebody who is not looking: a command of theirs, or the desktop.

use super::record::{End, RunRecord};
use super::report;
use crate::host::process;
use crate::ui::Ui;
use anyhow::{Result, bail};
use std::path::Path;
use std::time::Duration;
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

/// The message of a run that has ended, or that waits for a person: `waits_for` says what the person has to do.
pub fn message(run: &RunRecord, folder: &Path, waits_for: Option<&str>) -> Message {
    let end = match (run.end, waits_for) {
        (_, Some(_)) | (Some(End::PersonNeeded), _) => "person-needed",
        (Some(End::Success), None) => "success",
        (Some(End::PartialSuccess), None) => "partial-success",
        (Some(End::Failure), None) => "failure",
        (Some(End::Aborted), None) => "aborted",
        (None, None) => "unfinished",
    };
    let stopped = report::stopped_at(run);
    let text = match (waits_for, stopped) {
        (Some(what), _) => format!("{} needs a person: {what}", run.campaign),
        (None, Some(row)) => format!(
            "{}: {end}, step {} {}",
            run.campaign,
            row.id,
            report::outcome(row).text
        ),
        (None, None) => format!("{}: {end}", run.campaign),
    };
    vec![
        ("LOCKSTEP_END", end.to_string()),
        ("LOCKSTEP_CAMPAIGN", run.campaign.clone()),
        ("LOCKSTEP_BOARD", run.board.clone()),
        (
            "LOCKSTEP_STEP",
            stopped.map_or(String::new(), |row| row.id.clone()),
        ),
        ("LOCKSTEP_MESSAGE", text),
        ("LOCKSTEP_REPORT", report::html_path(folder).display().to_string()),
    ]
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
        let message = message(&run(vec![regression()]), Path::new("/runs/1"), None);
        notify.tell(&message, &Ui::new(Format::Text));
        assert_eq!(
            std::fs::read_to_string(out).unwrap(),
            "partial-success|2.2|small: partial-success, step 2.2 regression|/runs/1/report.html"
        );
    }

    #[test]
    fn a_gate_that_waits_says_for_what() {
        let message = message(&run(vec![]), Path::new("/runs/1"), Some("log in on the desktop"));
        assert!(
            message.contains(&("LOCKSTEP_END", "person-needed".into())),
            "{message:?}"
        );
        let text = "small needs a person: log in on the desktop";
        assert!(
            message.contains(&("LOCKSTEP_MESSAGE", text.into())),
            "{message:?}"
        );
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
