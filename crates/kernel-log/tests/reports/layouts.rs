//! How programs write the same records: the kernel's console, util-linux' dmesg, systemd's journalctl, log daemons, Android, LAVA, terminals, CI
//! systems, mail programs, vendors' kernels.

use std::fmt::Write as _;

/// Every layout that [`written`] knows, but for those that add lines of their own.
pub const LAYOUTS: &[&str] = &[
    "plain",
    "bare",
    "caller",
    "raw",
    "crlf",
    "ansi",
    "syslog",
    "short-monotonic",
    "kmsg",
    "journal",
    "dump",
    "dump-anonymous",
    "kmsg-loud",
    "journal-loud",
    "dmesg-x",
    "dmesg-T",
    "dmesg-x-caller",
    "dmesg-T-caller",
    "dmesg-e",
    "dmesg-d",
    "dmesg-iso",
    "dmesg-json",
    "short",
    "short-precise",
    "short-iso",
    "short-full",
    "short-unix",
    "short-delta",
    "with-unit",
    "json-pretty",
    "json-seq",
    "json-sse",
    "export",
    "verbose",
    "rfc5424",
    "rfc3164",
    "logcat",
    "netconsole-release",
    "lava-array",
    "lava-yaml",
    "html",
    "mail",
    "mail-bare",
    "terminal",
    "terminal-bare",
    "clock",
    "clock-bare",
    "github",
    "gitlab",
    "gitlab-bare",
    "unknown",
    "unknown-bare",
    "grabserial",
    "samsung",
    "mediatek",
    "huawei",
    "amlogic",
    "firmware-first",
    "mail-of-ci",
];

/// How a source writes the same records; the boot's first lines stand in front.
pub fn written(lines: &[String], form: &str) -> String {
    let mut log = String::new();
    match form {
        "lava-array" => log.push('['),
        "dmesg-json" => log.push_str("{\n   \"dmesg\": [\n"),
        "firmware-first" => log.push_str("INFO:    BL31: v2.9\nWARNING: no OPTEE\nERROR:   of firmware\n\nU-Boot 2024.01\n\nWARNING: caches are off\nStarting kernel ...\n\n"),
        _ => {}
    }
    let all = [
        "Booting Linux on physical CPU 0x0000000000 [0x414fd0b1]".to_string(),
        "Linux version 7.3.4".to_string(),
    ];
    for (at, line) in all.iter().chain(lines).enumerate() {
        // What a report prints is a warning to the kernel, the boot's first lines are not.
        let level = if at < 2 { 6 } else { 4 };
        log.push_str(&one(at, level, line, form));
    }
    match form {
        "lava-array" => log.push(']'),
        "dmesg-json" => log.push_str("   ]\n}\n"),
        _ => {}
    }
    log
}

fn one(at: usize, level: u32, line: &str, form: &str) -> String {
    let (seconds, micros) = (12 + at / 900, at % 900 * 1000);
    let time = format!("{seconds:5}.{micros:06}");
    let clock = format!("01:{:02}:{:02}.{micros:06}", seconds / 60, seconds % 60);
    let quoted = line
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\t', "\\t");
    let entry = |level: u32| {
        format!(
            "{{\"MESSAGE\":\"{quoted}\",\"PRIORITY\":\"{level}\",\"_SOURCE_MONOTONIC_TIMESTAMP\":\"{seconds}{micros:06}\",\"_BOOT_ID\":\"ab\"}}"
        )
    };
    let html = || {
        line.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
    };
    let short = &clock[..8];
    match form {
        "dump" => format!("<{level}>[{time}][  T412] {line}\n"),
        "dump-anonymous" => format!("<{level}>[{time}] {line}\n"),
        "kmsg-loud" => format!("{level},{at},{seconds}{micros:06},-,caller=T412;{line}\n"),
        "journal-loud" => format!("{}\n", entry(level)),
        "plain" | "firmware-first" => format!("[{time}] {line}\n"),
        "bare" => format!("{line}\n"),
        "caller" => format!("[{time}][  T412] {line}\n"),
        "raw" => format!("<6>[{time}] {line}\n"),
        "crlf" => format!("[{time}][  T412] {line}\r\n"),
        "ansi" => format!("\x1b[32m[{time}] \x1b[0m\x1b[31m{line}\x1b[0m\n"),
        "syslog" => format!("Nov 22 18:00:00 board kernel: [{time}] {line}\n"),
        "short-monotonic" => format!("[{time}] board kernel: {line}\n"),
        "kmsg" => format!("6,{at},{seconds}{micros:06},-,caller=T412;{line}\n"),
        "netconsole-release" => format!("7.3.4-lockstep,{level},{at},{seconds}{micros:06},-;{line}\n"),
        "journal" => format!("{}\n", entry(6)),
        "json-pretty" => format!(
            "{{\n\t{}\n}}\n",
            entry(level).trim_matches(['{', '}']).replace(",\"", ",\n\t\"")
        ),
        "json-seq" => format!("\u{1e}{}\n", entry(level)),
        "json-sse" => format!("data: {}\n\n", entry(level)),
        "export" => format!(
            "__CURSOR=s={at}\n__MONOTONIC_TIMESTAMP={seconds}{micros:06}\n_BOOT_ID=ab\nPRIORITY={level}\nMESSAGE={line}\n\n"
        ),
        "verbose" => format!(
            "Mon 2026-11-30 {clock} UTC [s=ab;i={at}]\n    __MONOTONIC_TIMESTAMP={seconds}{micros:06}\n    PRIORITY={level}\n    MESSAGE={line}\n    _TRANSPORT=kernel\n"
        ),
        "interleaved" => {
            format!(
                "[{time}][  T412] {line}\n[{time}][   T77] usb 1-1: new device\n[{time}][   T78]  somebody_else+0x1/0x2\n"
            )
        }
        "x86-leftovers" if line.starts_with(' ') && line.contains("+0x") && !line.contains('#') => {
            format!("[{time}][  T412]  ? left_over+0x1/0x20\n[{time}][  T412] {line}\n")
        }
        "x86-leftovers" => format!("[{time}][  T412] {line}\n"),
        "dmesg-x" | "dmesg-x-caller" => format!(
            "kern  :{}: [{time}]{} {line}\n",
            if level == 4 { "warn  " } else { "info  " },
            if form == "dmesg-x" { "" } else { " [  T412]" }
        ),
        "dmesg-T-caller" => format!("[Mon Nov 30 {short} 2026] [  T412] {line}\n"),
        "dmesg-T" => format!("[Mon Nov 30 {short} 2026] {line}\n"),
        "dmesg-e" if at == 0 => format!("[Nov30 01:00] {line}\n"),
        "dmesg-e" => format!("[  +0.001000] {line}\n"),
        "dmesg-d" => format!("[{time} <    0.001000>] {line}\n"),
        "dmesg-iso" => format!("2026-11-30T{short},{micros:06}+00:00 {line}\n"),
        "dmesg-json" => format!(
            "      {{\n         \"pri\": {level},\n         \"time\": {time},\n         \"msg\": \"{quoted}\"\n      }},\n"
        ),
        "short" => format!("Nov 30 {short} board kernel: {line}\n"),
        "short-precise" => format!("Nov 30 {clock} board kernel: {line}\n"),
        "short-iso" => format!("2026-11-30T{short}+0000 board kernel: {line}\n"),
        "short-full" | "with-unit" => format!("Mon 2026-11-30 {short} UTC board kernel: {line}\n"),
        "short-unix" => format!("17954127{:02}.{micros:06} board kernel: {line}\n", seconds % 100),
        "short-delta" => format!("[{time} <    0.001000 >] board kernel: {line}\n"),
        "rfc5424" => format!("<{level}>1 2026-11-30T{clock}Z board kernel - - - {line}\n"),
        "rfc3164" => format!("<{level}>Nov 30 {short} board kernel: {line}\n"),
        "logcat" => {
            let letter = if level == 4 { 'W' } else { 'I' };
            // Android takes what looks like a word before a colon for a tag.
            let (tag, text) = match line.split_once(": ") {
                Some((tag, text))
                    if !tag.starts_with(' ') && !tag.contains(['(', '[']) && !tag.is_empty() =>
                {
                    (tag.trim_end(), text)
                }
                _ => ("", line),
            };
            format!("11-30 {}     0     0 {letter} {tag:<8}: {text}\n", &clock[..12])
        }
        "lava-array" => format!(
            "{}{{\"dt\": \"2026-11-30T{clock}\", \"lvl\": \"target\", \"msg\": \"[{time}] {quoted}\"}}",
            if at > 0 { ",\n" } else { "" }
        ),
        "lava-yaml" => format!(
            "- {{\"dt\": \"2026-11-30T{clock}\", \"lvl\": \"target\", \"msg\": \"[{time}] {quoted}\"}}\n"
        ),
        "html" => format!("[{time}] {}\n", html()),
        "mail" => format!("> > [{time}] {line}\n"),
        "mail-bare" => format!("> {line}\n"),
        "terminal" => format!("[2026-11-30 {clock}] [{time}] {line}\n"),
        "terminal-bare" => format!("[2026-11-30 {clock}] {line}\n"),
        "clock" => format!("{} [{time}] {line}\n", &clock[..12]),
        "clock-bare" => format!("[{short}] {line}\n"),
        "github" => format!("2026-11-30T{clock}7Z [{time}] {line}\n"),
        "gitlab" => format!("2026-11-30T{clock}Z 00O [{time}] {line}\n"),
        "gitlab-bare" => format!("2026-11-30T{clock}Z 00O {line}\n"),
        "unknown" => format!("board-{} ttyS0 |  [{time}] {line}\n", at % 3),
        "unknown-bare" => format!("board-{} ttyS0| {line}\n", at % 3),
        "grabserial" => format!("[{}.{micros:06} 0.001000] [{time}] {line}\n", seconds),
        "samsung" => format!("<{level}>[{time}]  [2:     v4l2-ctl:  412] {line}\n"),
        "mediatek" => format!("<{level}>[{time}]-(2)[412:v4l2-ctl]{line}\n"),
        "huawei" => format!("[{}s][2026:11:30 {short}][pid:412,cpu2,v4l2-ctl]{line}\n", time),
        "amlogic" => format!("[{time}@1] {line}\n"),
        "mail-of-ci" => {
            let mut text = String::new();
            let _ = writeln!(text, "> 2026-11-30T{clock}Z <{level}>[{time}] {line}");
            text
        }
        other => panic!("{other}"),
    }
}
