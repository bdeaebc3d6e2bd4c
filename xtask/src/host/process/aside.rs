//! A long program that makes room for everything else on this machine: nice(1), in a session of its own. Where the kernel groups processes by their
//! session (sched(7), "The autogroup feature"), a nice value counts among the processes of one session only, and the session's own one counts against
//! the others: a build would take half of the machine from an emulated board, however nice it is.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Added to the nice value of whoever starts it.
const NICER: &str = "5";
/// The nice value of a session, as a number; not there where the kernel does not group by session.
const SESSION: &str = "/proc/self/autogroup";
/// Gives the session the nice value of its first process. Where that cannot be, the program runs all the same.
const SAME_FOR_ALL: &str = "{ nice >/proc/self/autogroup; } 2>/dev/null; exec \"$@\"";

/// The same program, made to run aside; it leads a process group with all that it starts, from the instant on at which it runs.
pub(super) fn aside(command: &Command) -> Command {
    // util-linux has setsid; it does not fork, and keeps the process id, unless it leads a group already.
    let sessions = matches!(super::super::files::is_there(Path::new(SESSION)), Ok(true))
        && which::which("setsid").is_ok();
    let mut made = if sessions {
        let mut made = Command::new("setsid");
        made.args(["nice", "-n", NICER, "sh", "-c", SAME_FOR_ALL, "sh"]);
        made
    } else {
        let mut made = Command::new("nice");
        made.args(["-n", NICER]);
        made
    };
    made.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => made.env(name, value),
            None => made.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        made.current_dir(folder);
    }
    if !sessions {
        made.process_group(0);
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_aside_is_nicer_also_to_other_sessions() {
        let mut plain = Command::new("sh");
        plain
            .args(["-c", "echo $WORD $$; pwd; nice; cut -d' ' -f5,6 /proc/$$/stat; cat /proc/self/autogroup 2>/dev/null"])
            .env("WORD", "two words")
            .current_dir("/usr");
        let said = aside(&plain).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let process = lines[0].strip_prefix("two words ").unwrap();
        assert_eq!(lines[1], "/usr");
        let nice: i32 = lines[2].parse().unwrap();
        assert!(nice >= 5, "{said}");
        let (group, session) = lines[3].split_once(' ').unwrap();
        assert_eq!(group, process, "it leads its group");
        if let Some(grouped) = lines.get(4) {
            assert_eq!(session, process, "it has a session of its own");
            assert!(grouped.ends_with(&format!("nice {nice}")), "{grouped}");
        }
    }
}
