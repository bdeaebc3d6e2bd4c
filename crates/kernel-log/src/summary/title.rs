//! Titles: the same fault gives the same one in another run.

use crate::frames;
use crate::headers::Body;
use crate::kind::Kind;
use crate::locks::LockReport;
use crate::splat::Splat;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// The title of a report.
pub(super) fn title(splat: &Splat, kind: Kind, function: Option<&str>, locks: Option<&LockReport>) -> String {
    let line = splat.title_line();
    let stem = match kind {
        Kind::Kasan | Kind::Kmsan | Kind::Kfence | Kind::Kcsan | Kind::Ubsan => {
            return sanitizer(splat, kind, function);
        }
        Kind::SpinlockBug => Cow::Owned(format!("{} {}", splat.header.stem, spin_problem(line))),
        Kind::PreemptibleCpuUse => Cow::Owned(
            between(line, "BUG: ", " in preemptible").map_or(splat.header.stem.into(), |words| {
                format!("{words} in preemptible code")
            }),
        ),
        Kind::DmaApi => {
            let words = splat.lines.iter().find_map(|line| {
                let at = line.text.find("DMA-API: ")?;
                Some(scrub(line.text.get(at..)?.trim()).into_owned())
            });
            Cow::Owned(words.unwrap_or_else(|| splat.header.stem.into()))
        }
        Kind::MemoryLeak if splat.header.body == Body::Line => return scrub(line.trim()).into_owned(),
        Kind::OtherBug => Cow::Owned(scrub(line.trim()).into_owned()),
        Kind::Message if splat.header.kind == Kind::Warning => return scrub(line.trim()).into_owned(),
        Kind::ProbeFailure
        | Kind::OutOfMemory
        | Kind::IommuFault
        | Kind::RuntimePm
        | Kind::FilesystemError
        | Kind::DeviceTimeout
        | Kind::HardwareError
        | Kind::FirmwareCrash => return scrub(line.trim()).into_owned(),
        Kind::Watchdog => return without_number_of_watchdog(&scrub(line.trim())),
        Kind::BadPage => Cow::Owned(
            between(line, "BUG: ", " in process")
                .map_or(scrub(line.trim()).into_owned(), |words| words.to_lowercase()),
        ),
        Kind::SlabCorruption => Cow::Owned(scrub(line.trim()).into_owned()),
        Kind::Panic => {
            let reason = line
                .split_once("not syncing: ")
                .map_or(line, |(_, reason)| reason);
            Cow::Owned(format!("panic: {}", scrub(reason.trim())))
        }
        Kind::Refcount => Cow::Owned(format!("refcount bug: {}", problem(splat, "refcount_t: "))),
        Kind::ListCorruption => "list corruption".into(),
        Kind::DebugObjects => "ODEBUG: active object misused".into(),
        Kind::Usercopy => "bad usercopy".into(),
        Kind::LockingBug if splat.header.kind == Kind::Warning => "lockdep WARNING".into(),
        Kind::DmaFence => "dma-fence WARNING".into(),
        Kind::NullDereference => "NULL pointer dereference".into(),
        Kind::Warning if function.is_none() => Cow::Owned(scrub(line.trim()).into_owned()),
        _ => splat.header.stem.into(),
    };
    let names = locks.map(LockReport::names).unwrap_or_default();
    match (names.as_slice(), function) {
        ([], Some(function)) => format!("{stem} in {function}"),
        ([], None) => stem.into_owned(),
        (names, _) if kind == Kind::CircularLocking => format!("{stem}: {}", names.join(" vs ")),
        (names, Some(function)) => format!("{stem}: {} in {function}", names.join(" vs ")),
        (names, None) => format!("{stem}: {}", names.join(" vs ")),
    }
}

/// Which of several watchdogs it is depends on the order of probing.
fn without_number_of_watchdog(text: &str) -> String {
    static NUMBERED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bwatchdog\d+").expect("the pattern is a constant"));
    NUMBERED.replace_all(text, "watchdogN").into_owned()
}

/// `KASAN: slab-use-after-free Read in f`.
fn sanitizer(splat: &Splat, kind: Kind, function: Option<&str>) -> String {
    let line = splat.title_line();
    let stem = splat.header.stem;
    let rest = line.split_once(splat.header.mark).map_or("", |(_, rest)| rest);
    let what = match kind {
        Kind::Ubsan => rest,
        _ => rest.split(" in ").next().unwrap_or(rest),
    };
    let what = what.split(" on ").next().unwrap_or(what);
    let what = what.split(" at ").next().unwrap_or(what);
    let what = what.split(" in ").next().unwrap_or(what).trim().to_lowercase();
    if kind == Kind::Kcsan {
        let both = rest.split_once(" in ").map_or("", |(_, both)| both);
        let names: Vec<&str> = both
            .split(" / ")
            .map(|one| one.split(" [").next().unwrap_or(one))
            .filter_map(|one| {
                frames::symbol(one.trim())
                    .map(|f| f.function)
                    .or(Some(one.trim()).filter(|one| !one.is_empty()))
            })
            .collect();
        if let [one, other] = names.as_slice()
            && one != other
        {
            return format!("{stem}: {what} in {one} / {other}");
        }
    }
    let access = match kind {
        Kind::Kasan => splat.body().iter().find_map(|line| match line.text.trim_start() {
            text if text.starts_with("Read ") => Some(" Read"),
            text if text.starts_with("Write ") => Some(" Write"),
            _ => None,
        }),
        _ => None,
    };
    let access = access.unwrap_or_default();
    match function {
        Some(function) => format!("{stem}: {what}{access} in {function}"),
        None => format!("{stem}: {what}{access}"),
    }
}

/// `bad magic`, `recursion`, `lockup suspected`, `wrong owner`, …
fn spin_problem(line: &str) -> &str {
    between(line, "lock ", " on CPU")
        .or_else(|| between(line, "lock-", " on CPU"))
        .unwrap_or("bug")
}

fn problem<'a>(splat: &'a Splat, mark: &str) -> &'a str {
    splat
        .lines
        .iter()
        .find_map(|line| line.text.split_once(mark))
        .map_or("saturated", |(_, rest)| rest.trim().trim_end_matches('.'))
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(start)?;
    rest.split_once(end).map(|(words, _)| words)
}

/// A line without what differs from run to run: addresses and numbers become `ADDR` and `N`, a task's name and id vanish.
pub fn scrub(text: &str) -> Cow<'_, str> {
    static CHANGING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?P<code>\bexitcode=0x[0-9a-f]+)|(?P<path>\B(?:/[\w.+~-]+)+/(?P<file>(?:arch|block|crypto|drivers|fs|include|init|ipc|kernel|lib|mm|net|security|sound|virt)/[\w./-]+\.[chS]))|(?P<addr>\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,16}\b)|(?P<offset>\+0x[0-9a-f]+/0x[0-9a-f]+)|(?P<task>\b[\w.:/-]+(?:/|\[|:)\d+\]?(?:$| ))|(?P<number>\b\d+(?:\.\d+)?(?P<unit>[smk%]?)\b)")
            .expect("the pattern is a constant")
    });
    CHANGING.replace_all(text, |found: &regex::Captures| {
        let whole = found.get(0).map_or("", |whole| whole.as_str());
        // An exit code says why: it is not a number that differs from run to run.
        if found.name("code").is_some() {
            whole.to_string()
        } else if let Some(file) = found.name("file") {
            file.as_str().to_string()
        } else if found.name("offset").is_some() {
            String::new()
        } else if found.name("addr").is_some() {
            "ADDR".to_string()
        } else if found.name("task").is_some()
            && whole.starts_with(|c: char| c.is_ascii_alphabetic())
            && !whole.contains("error")
        {
            let name = whole
                .trim_end()
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
            format!("{name}N{}", if whole.ends_with(' ') { " " } else { "" })
        } else {
            format!("N{}", found.name("unit").map_or("", |unit| unit.as_str()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_lose_what_changes() {
        let check = |text: &str, expect: &str| assert_eq!(scrub(text), expect);
        check("x at ffff0000c1234567 y", "x at ADDR y");
        check("x 0x20 took 12.5 ms", "x ADDR took N ms");
        check("f+0x1/0x20 failed", "f failed");
        check("stuck for 22s!", "stuck for Ns!");
        check("nothing changes", "nothing changes");
        check(
            "Attempted to kill init! exitcode=0x0000000b",
            "Attempted to kill init! exitcode=0x0000000b",
        );
        check(
            "BUG at /home/u/linux-7.2/drivers/x/y.c:12!",
            "BUG at drivers/x/y.c:N!",
        );
    }
}
