//! Who is on the board: sessions as logind has them, and the rules about them.
//!
//! Sources: `loginctl show-session` with the properties of org.freedesktop.login1(5), "Session Objects": `Class`, `Type`, `State`, `Remote`,
//! `IdleHint`, `IdleSinceHint` (µs since the epoch), `LockedHint`. Where there is no logind, who(1): `-u` prints how long a line was idle.

use crate::campaign::file::{InUse, People};

/// Shell that prints what [`read`] reads: the board's clock, and a block for each session. The folder is there where logind runs (systemd's
/// login/logind.c); asking one that does not run would start it.
pub const ASK: &str = "export LC_ALL=C\necho \"now=$(date +%s)\"\n\
    if command -v loginctl >/dev/null 2>&1 && [ -d /run/systemd/seats ]; then\n\
    for id in $(loginctl list-sessions --no-legend 2>/dev/null | sed 's/^ *//; s/ .*//'); do\n\
    echo session=; loginctl show-session \"$id\" -p Name -p Type -p Class -p State -p Remote -p TTY -p IdleHint -p IdleSinceHint -p LockedHint\n\
    done 2>/dev/null\nelse who -u 2>/dev/null | sed 's/^/who=/'; fi\necho end=\n";

/// One session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// User.
    pub user: String,
    /// `wayland`, `x11`, `tty`, `unspecified`.
    pub kind: String,
    /// Terminal, where there is one.
    pub line: String,
    /// Over the network.
    pub remote: bool,
    /// Minutes since a key was pressed; 0 while somebody works, none where nobody can: the screen is locked.
    pub idle_min: Option<u64>,
}

/// Reads the answer: sessions of people. Greeters, sessions that are closing, and connections without a terminal (as ours is) are not.
/// None: the answer is cut off.
pub fn read(answer: &str) -> Option<Vec<Session>> {
    if !answer.lines().any(|line| line == "end=") {
        return None;
    }
    let now: u64 = answer
        .lines()
        .find_map(|line| line.strip_prefix("now="))?
        .trim()
        .parse()
        .ok()?;
    let mut sessions = Vec::new();
    for block in answer.split("session=\n").skip(1) {
        let field = |key: &str| {
            let mut lines = block.lines();
            lines
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or_default()
        };
        if field("Class") != "user" || field("State") == "closing" || field("Type") == "unspecified" {
            continue;
        }
        let since = field("IdleSinceHint")
            .parse::<u64>()
            .map_or(now, |micros| micros / 1_000_000);
        sessions.push(Session {
            user: field("Name").into(),
            kind: field("Type").into(),
            line: field("TTY").into(),
            remote: field("Remote") == "yes",
            idle_min: match (field("LockedHint"), field("IdleHint")) {
                ("yes", _) => None,
                (_, "yes") => Some(now.saturating_sub(since) / 60),
                _ => Some(0),
            },
        });
    }
    let lines = answer.lines().filter_map(|line| line.strip_prefix("who="));
    sessions.extend(lines.filter_map(of_who));
    Some(sessions)
}

/// `02:10` in minutes.
fn hours_and_minutes(text: &str) -> Option<u64> {
    let (hours, minutes) = text.split_once(':')?;
    let hours: u64 = hours.parse().ok()?;
    hours.checked_mul(60)?.checked_add(minutes.parse().ok()?)
}

/// A line of `who -u`: name, line, date, time, idle (`.` below a minute, `old` above a day, else hours and minutes), process.
fn of_who(line: &str) -> Option<Session> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let clock = |word: &&str| word.len() == 5 && word.as_bytes().get(2) == Some(&b':');
    let idle = words.iter().skip_while(|word| !clock(word)).nth(1)?;
    Some(Session {
        user: words.first()?.to_string(),
        kind: "tty".into(),
        line: words.get(1)?.to_string(),
        remote: line.contains('('),
        // What cannot be read is no sign of idleness.
        idle_min: Some(match *idle {
            "old" => 24 * 60,
            text => hours_and_minutes(text).unwrap_or(0),
        }),
    })
}

/// Whether a test boot may be now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Free {
    /// Yes; what should be said about it.
    Go(Vec<String>),
    /// Somebody is at work.
    InUse(Vec<String>),
}

/// The rule about a test boot: `minute` of the day on the host's clock.
pub fn is_free(people: &People, sessions: &[Session], minute: u16) -> Free {
    let at_work: Vec<String> = sessions
        .iter()
        .filter(|session| {
            session
                .idle_min
                .is_some_and(|idle| idle < u64::from(people.idle_min))
        })
        .map(Session::words)
        .collect();
    let others = sessions.len().saturating_sub(at_work.len());
    if at_work.is_empty() {
        return Free::Go(match others {
            0 => Vec::new(),
            _ => vec![format!("logged in, but idle or locked: {}", names(sessions))],
        });
    }
    if let Some(hours) = people.quiet_hours.filter(|hours| hours.contains(minute)) {
        return Free::Go(vec![format!(
            "logged in: {}; it is between {hours}, so the board is rebooted",
            at_work.join(", ")
        )]);
    }
    match people.in_use {
        InUse::Go => Free::Go(vec![format!(
            "at work on the board: {}; it is rebooted all the same",
            at_work.join(", ")
        )]),
        InUse::Wait => Free::InUse(at_work),
    }
}

/// Who is logged in on the desktop, at the board itself.
pub fn on_desktop(sessions: &[Session]) -> Option<String> {
    let found = sessions
        .iter()
        .find(|session| !session.remote && matches!(session.kind.as_str(), "wayland" | "x11" | "mir"));
    found.map(|session| format!("{} ({})", session.user, session.kind))
}

/// Everybody, for print.
pub fn names(sessions: &[Session]) -> String {
    let words: Vec<String> = sessions.iter().map(Session::words).collect();
    words.join(", ")
}

impl Session {
    /// In words: `ann on tty2 (wayland, idle 3 min)`.
    pub fn words(&self) -> String {
        let on = match self.line.as_str() {
            "" => String::new(),
            line => format!(" on {line}"),
        };
        let idle = match self.idle_min {
            None => "locked".to_string(),
            Some(0) => "at work".to_string(),
            Some(minutes) => format!("idle {minutes} min"),
        };
        let kind = if self.remote { "from outside" } else { &self.kind };
        format!("{}{on} ({kind}, {idle})", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "now=1800000600\nsession=\nName=ann\nType=wayland\nClass=user\nState=active\nRemote=no\nTTY=tty2\nIdleHint=no\n\
        IdleSinceHint=0\nLockedHint=no\nsession=\nName=sddm\nType=x11\nClass=greeter\nState=online\nRemote=no\nTTY=\nIdleHint=no\n\
        session=\nName=root\nType=unspecified\nClass=user\nState=active\nRemote=yes\nTTY=\nIdleHint=no\n\
        session=\nName=bob\nType=tty\nClass=user\nState=active\nRemote=yes\nTTY=pts/3\nIdleHint=yes\nIdleSinceHint=1799998800000000\nend=\n";

    fn people() -> People {
        People::default()
    }

    #[test]
    fn sessions_of_people_are_told_from_greeters_and_from_ours() {
        let sessions = read(ANSWER).unwrap();
        assert_eq!(
            names(&sessions),
            "ann on tty2 (wayland, at work), bob on pts/3 (from outside, idle 30 min)"
        );
        assert_eq!(on_desktop(&sessions).unwrap(), "ann (wayland)");
        assert_eq!(on_desktop(&sessions[1..]), None);
        assert_eq!(
            read("now=1\nsession=\nName=ann\n"),
            None,
            "an answer that is cut off says nothing"
        );
    }

    #[test]
    fn without_logind_who_is_read() {
        let answer = "now=1800000600\nwho=ann      tty1         2026-11-22 19:02   .          1234\n\
            who=bob      pts/0        Nov 22 17:00 02:10        999 (10.0.0.7)\nwho=eve      pts/1        Nov 20 17:00  old         99 (h)\n\
            who=mal      pts/2        Nov 20 17:00  307445734561825861:00   99 (h)\nend=\n";
        let idle: Vec<Option<u64>> = read(answer)
            .unwrap()
            .iter()
            .map(|session| session.idle_min)
            .collect();
        assert_eq!(idle, [Some(0), Some(130), Some(1440), Some(0)]);
    }

    #[test]
    fn a_board_in_use_is_waited_for_outside_of_quiet_hours() {
        let sessions = read(ANSWER).unwrap();
        let noon = 12 * 60;
        let Free::InUse(who) = is_free(&people(), &sessions, noon) else {
            panic!("ann works")
        };
        assert_eq!(who, ["ann on tty2 (wayland, at work)"]);
        let night = People {
            quiet_hours: Some("22:00-07:00".parse().unwrap()),
            ..people()
        };
        assert!(matches!(is_free(&night, &sessions, 23 * 60), Free::Go(_)));
        assert!(matches!(is_free(&night, &sessions, noon), Free::InUse(_)));
        let go = People {
            in_use: InUse::Go,
            ..people()
        };
        let Free::Go(said) = is_free(&go, &sessions, noon) else {
            panic!("--yes was given")
        };
        assert!(said[0].contains("ann on tty2"), "{said:?}");
        assert_eq!(is_free(&people(), &[], noon), Free::Go(Vec::new()));
    }

    #[test]
    fn a_locked_screen_is_nobody_s_work() {
        let locked = ANSWER.replace("LockedHint=no", "LockedHint=yes");
        assert!(matches!(
            is_free(&people(), &read(&locked).unwrap(), 720),
            Free::Go(_)
        ));
    }
}
