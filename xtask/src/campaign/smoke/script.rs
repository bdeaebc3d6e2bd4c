//! The script of one smoke test, for the board's POSIX shell.

use super::parts::HEAD;
use crate::board::quote;
use crate::campaign::file::SmokeTest;

/// Longest time of a setup, a condition or a teardown, seconds.
pub const AROUND_S: u64 = 60;
/// Bytes of what a test printed, and of the kernel log, that are brought back: their ends.
const KEEP: u64 = 200_000;

/// Where a kernel tells how it is.
pub(super) struct Signs<'a> {
    /// Its taint.
    pub taint: &'a str,
    /// How many tasks its own checker has found hanging (Documentation/admin-guide/sysctl/kernel.rst: `hung_task_detect_count`, since Linux
    /// 6.13); older kernels have none.
    pub hung: &'a str,
}

const SIGNS: Signs = Signs {
    taint: "/proc/sys/kernel/tainted",
    hung: "/proc/sys/kernel/hung_task_detect_count",
};

/// What a task that hangs means for the test during which the kernel says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangs {
    /// It ends it: nothing hangs without the patch.
    End,
    /// Nothing: something hangs without the patch, too, or nobody knows.
    AreLeft,
}

/// Seconds between two looks at them while a test runs, and what a test is left on a kernel that broke.
const LOOK_EVERY_S: u64 = if cfg!(test) { 1 } else { 2 };
const LAST_S: u64 = if cfg!(test) { 1 } else { 5 };

/// Seconds that the whole script may take.
pub fn longest(test: &SmokeTest) -> u64 {
    let conditions = test.before.len().saturating_add(test.after.len());
    let around = conditions
        .saturating_add(usize::from(!test.setup.is_empty()))
        .saturating_add(usize::from(!test.teardown.is_empty()));
    test.limit_s
        .saturating_add(AROUND_S.saturating_mul(around as u64))
        .saturating_add(30)
}

/// The script: setup, conditions, the test in `folder` with its limit, conditions, what is known of its output, teardown in any case; then it
/// prints parts (see `parts`). What it needs for itself is in a folder below /tmp that goes with it. It ends with 0 wherever it could
/// print; a connection that is lost does not end the test, and teardown is done all the same. A kernel that dies ends the test soon behind it.
///
/// Numbers below /proc/sys are read with `cat`: a shell whose `read` takes one byte at a time (dash) gets the first digit alone, since the kernel
/// answers the first read only (kernel/sysctl.c, `do_proc_dointvec`).
pub fn script(test: &SmokeTest, folder: &str, hangs: Hangs) -> String {
    script_with(test, folder, hangs, &SIGNS)
}

/// The same, with the files that have the signs.
pub(super) fn script_with(test: &SmokeTest, folder: &str, hangs: Hangs, signs: &Signs) -> String {
    let begin = format!(
        "LOCKSTEP={folder}; export LOCKSTEP; cd {folder} || exit 125\nL=$(mktemp -d) || exit 125\n\
         fact() {{ echo \"$1=$2\" >>\"$L/facts\"; }}\n\
         state() {{ fact \"$1-taint\" \"$(cat {taint})\"\n\
         fact \"$1-debug_locks\" \"$(sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats 2>/dev/null)\"; }}\n\
         hung() {{ hung={leave}; [ -n \"$hung\" ] || hung=$(cat {hung} 2>/dev/null) || hung=0; }}\n\
         note() {{ was=$(cat {taint}) && hung && had=$hung; }}\n\
         watch() {{ while sleep {LOOK_EVERY_S} && [ -d \"$L\" ] && now=$(cat {taint}) && hung; do\n\
         if [ $((now & ~was & {fatal})) -ne 0 ]; then why=died; elif [ \"$hung\" -gt \"$had\" ]; then why=hung; else continue; fi\n\
         sleep {LAST_S}; fact broke $why; read -r pid <\"$L/pid\" && kill \"$pid\"; return\ndone; }}\n\
         part() {{ [ -f \"$2\" ] || : >\"$2\"; echo \"{HEAD} $1 $(stat -c %s \"$2\")\"; cat \"$2\"; echo; }}\n\
         torn=\n\
         teardown() {{ [ -z \"$torn\" ] || return 0; torn=1; {teardown} }}\n\
         trap 'teardown; rm -rf \"$L\"' EXIT; trap 'exit 143' HUP INT TERM\n\
         read -r up rest </proc/uptime; mark={mark}\" $$ $up\"\n\
         echo \"$mark\" 2>/dev/null >/dev/kmsg\n\
         go=1; state before\n",
        folder = quote(folder),
        taint = signs.taint,
        hung = signs.hung,
        leave = match hangs {
            Hangs::End => "",
            Hangs::AreLeft => "0",
        },
        fatal = super::checkers::fatal_bits(),
        teardown = match test.teardown.as_str() {
            "" => ":;".to_string(),
            command => format!(
                "timeout -k 5 {AROUND_S} sh -c {} >\"$L/teardown\" 2>&1; fact teardown $?;",
                quote(command)
            ),
        },
        mark = quote(&format!("lockstep: smoke test {} begins", test.name)),
    );
    let around = |fact: &str, command: &str| {
        format!(
            "[ -z \"$go\" ] || {{ timeout -k 5 {AROUND_S} sh -c {} >\"$L/said\" 2>&1; fact {fact} $?; }}\n",
            quote(command)
        )
    };
    let stop = "! grep -q '^\\(setup\\|before\\.[0-9]*\\)=[^0]' \"$L/facts\" || go=\n";
    let mut script = begin;
    if !test.setup.is_empty() {
        script.push_str(&around("setup", &test.setup));
        script.push_str(stop);
    }
    for (index, condition) in test.before.iter().enumerate() {
        script.push_str(&around(&format!("before.{index}"), condition));
        script.push_str(stop);
    }
    script.push_str(&run(test));
    for (index, condition) in test.after.iter().enumerate() {
        script.push_str(&around(&format!("after.{index}"), condition));
        // The first that fails is the one that is told, with its words.
        script.push_str(&format!("! grep -q '^after.{index}=[^0]' \"$L/facts\" || go=\n"));
    }
    script + &end(test)
}

fn run(test: &SmokeTest) -> String {
    let file = test.output.as_ref().map(|output| quote(&output.file));
    let remove = file
        .as_ref()
        .map_or(String::new(), |file| format!("rm -f {file}; "));
    let describe = file.as_ref().map_or(String::new(), |file| {
        format!(
            "[ ! -f {file} ] || {{ fact output \"$(stat -c %s {file}) $(sha256sum <{file} | cut -d ' ' -f 1)\"; {frames} }}\n",
            frames = frames(test, file)
        )
    });
    format!(
        // The test is not what runs in the background: a shell lets that ignore SIGINT. What does is killed: a signal that it could catch may reach it
        // before it has dropped the traps of this shell, and then it cleans up in its place.
        "[ -z \"$go\" ] || {{ {remove}if note; then watch </dev/null >/dev/null 2>&1 & watch=$!; fi\n\
         sh -c 'echo $$ >\"$0\"; exec \"$@\"' \"$L/pid\" timeout -k 5 {limit} sh -c {command} >\"$L/all\" 2>&1; fact run $?\n\
         kill -9 $watch 2>/dev/null; wait $watch 2>/dev/null\n{describe}}}\n\
         tail -c {KEEP} \"$L/all\" >\"$L/printed\" 2>/dev/null\n",
        limit = test.limit_s,
        command = quote(&test.run)
    )
}

/// The hash of each frame, where somebody wants to know how many differ.
fn frames(test: &SmokeTest, file: &str) -> String {
    let frames = test.output.as_ref().and_then(|output| output.frames.as_ref());
    frames
        .filter(|frames| frames.distinct > 1)
        .map_or(String::new(), |frames| {
            format!(
                "split -b {} --filter='sha256sum' {file} 2>/dev/null | cut -d ' ' -f 1 >\"$L/frames\";",
                frames.bytes
            )
        })
}

fn end(test: &SmokeTest) -> String {
    let remove = test
        .output
        .as_ref()
        .map_or(String::new(), |output| format!("rm -f {}\n", quote(&output.file)));
    // The mark is searched for as it is: it has no character that sed would take for another.
    format!(
        "dmesg 2>/dev/null | sed -n \"/$mark/,\\$p\" | tail -c {KEEP} >\"$L/kernel\"\nstate after\nteardown\n{remove}\
         for name in facts printed said frames kernel teardown; do part $name \"$L/$name\"; done\npart end /dev/null\nexit 0\n"
    )
}
