//! The locks of a lockdep report (kernel/locking/lockdep.c: `print_circular_bug()`, `print_lock()`).

use super::kind::Kind;
use super::splat::{Class, Splat};
use super::{frames, machinery};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Who took which lock while it held which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LockReport {
    /// Task that made the report.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<String>,
    /// The lock that it wanted, took or released.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wanted: Option<Lock>,
    /// The lock that it held.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub held: Option<Lock>,
    /// The dependency chain as the kernel prints it, in reverse order: `#1` was taken first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub chain: Vec<Link>,
}

/// A lock class, and where it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// The class without the number that lockdep gives to namesakes (`#2`), which depends on the order of boot.
    pub name: String,
    /// Function that took it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// Module of that function.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub module: Option<String>,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Link {
    /// The class.
    pub lock: String,
    /// Functions that took it, innermost first, lockdep's own left out.
    pub taken_by: Vec<String>,
}

impl LockReport {
    /// Both names, sorted: which of the two is the wanted one differs from run to run.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = [&self.wanted, &self.held]
            .into_iter()
            .flatten()
            .map(|lock| lock.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// `print_lock()`: `[address] (name){usage}[-{wait types}], at: [<address>] function+…`.
static LOCK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:#\d+:\s+)?(?:[0-9a-f]{6,16}\s+)?\((?P<name>\S.*?)\)\{[^}]*\}(?:-\{[^}]*\})?(?:,? at: (?P<at>.*))?")
        .expect("the pattern is a constant")
});

static LINK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*-> #\d+ \((?P<name>\S.*?)\)\{").expect("the pattern is a constant"));

static RELEASED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"to (?:release|take|contend) lock \((?P<name>.*?)\) at:").expect("the pattern is a constant")
});

static TASK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?P<comm>.+?)/(?P<pid>\d+)(?:\[[^\]]*\])? (?:\[HC|is trying|is freeing|is leaving|is exiting|just changed|takes)").expect("the pattern is a constant")
});

/// Reads the locks of a lockdep report; `None` when no lock is named.
pub fn read(splat: &Splat) -> Option<LockReport> {
    let mut report = LockReport {
        task: None,
        wanted: None,
        held: None,
        chain: Vec::new(),
    };
    let body = splat.body();
    let mut holding = false;
    let mut in_chain = false;
    for (at, line) in body.iter().enumerate() {
        let text = line.text.as_str();
        let next = body
            .get(at.saturating_add(1))
            .map_or("", |line| line.text.as_str());
        if let Some(task) = TASK.captures(text) {
            report.task.get_or_insert(task["comm"].to_string());
        }
        holding |=
            text.contains("but task is already holding") || text.contains("and this task is already holding");
        in_chain |= text.contains("the existing dependency chain");
        if text.contains("other info that might help") || text.contains("locks held by") {
            in_chain = false;
            // Locks listed from here on are all that the task holds.
            if report.wanted.is_some() {
                holding = false;
            }
        }
        if let Some(link) = LINK.captures(text) {
            report.chain.push(Link {
                lock: class(&link["name"]),
                taken_by: Vec::new(),
            });
        } else if let Some(released) = RELEASED.captures(text) {
            let after = released
                .get(0)
                .and_then(|found| text.get(found.end()..))
                .unwrap_or_default();
            let place = if after.trim().is_empty() { next } else { after };
            report.wanted.get_or_insert(lock(&released["name"], place));
        } else if in_chain && line.class == Class::Frame {
            if let (Some(link), Some(frame)) = (report.chain.last_mut(), frames::frame(text))
                && machinery::is_culprit(&frame, splat.header.kind)
            {
                link.taken_by.push(frame.function.to_string());
            }
        } else if let Some(found) = LOCK.captures(text) {
            // The list of all that is held is the point only where nothing may be held.
            let listed = text.trim_start().starts_with('#');
            if listed && splat.header.kind != Kind::LockHeldAtReturn {
                continue;
            }
            let named = lock(&found["name"], found.name("at").map_or("", |at| at.as_str()));
            match (holding, &report.wanted, &report.held) {
                (false, None, _) => report.wanted = Some(named),
                (true, _, None) => report.held = Some(named),
                _ => {}
            }
        }
    }
    (report.wanted.is_some() || !report.chain.is_empty()).then_some(report)
}

fn lock(name: &str, at: &str) -> Lock {
    let frame = frames::frame(at.trim());
    Lock {
        name: class(name),
        at: frame.map(|frame| frame.function.to_string()),
        module: frame.and_then(|frame| frame.module.map(String::from)),
    }
}

/// The class's name without `#2`; a subclass (`/1`) stays.
fn class(name: &str) -> String {
    let Some((head, tail)) = name.rsplit_once('#') else {
        return name.to_string();
    };
    let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return name.to_string();
    }
    format!("{head}{}", tail.get(digits..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_lines_old_and_new() {
        let check = |text: &str, name: &str, at: &str| {
            let found = LOCK.captures(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(class(&found["name"]), name, "{text}");
            assert_eq!(
                lock(&found["name"], &found["at"]).at.as_deref(),
                Some(at),
                "{text}"
            );
        };
        check(
            " (&bdev->bd_mutex){+.+.}, at: [<ffffffff8232bf0e>] blkdev_reread_part+0x1e/0x40",
            "&bdev->bd_mutex",
            "blkdev_reread_part",
        );
        check(
            "ffff888012345678 (&lo->lo_ctl_mutex#2){+.+.}-{4:4}, at: lo_ioctl+0x1/0x2 [loop]",
            "&lo->lo_ctl_mutex",
            "lo_ioctl",
        );
        check(
            "ffff0000c1234567 ((work_completion)(&x->work)){+.+.}-{0:0}, at: f+0x1/0x2",
            "(work_completion)(&x->work)",
            "f",
        );
    }

    #[test]
    fn classes_lose_their_number_and_keep_their_subclass() {
        assert_eq!(class("&x->lock#2"), "&x->lock");
        assert_eq!(class("&x->lock#2/1"), "&x->lock/1");
        assert_eq!(class("&x->lock/1"), "&x->lock/1");
        assert_eq!(class("a#b"), "a#b");
    }
}
