//! What stands in front of a message in every form of log, so that a rule about the beginning of a
//! message sees it.

use super::{moved, rule};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// Prefixes, each anchored; they are taken off one after the other until none is left (a serial
/// program's time before syslog's).
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        // syslog's priority, also dmesg --raw
        r"<\d{1,3}>",
        // /dev/kmsg and extended netconsole: level, sequence number, time, flags
        r"\d{1,4},\d{1,20},\d{1,20},[^;\n]{1,80};",
        // printk's time and caller, dmesg -T, times that serial programs put in brackets
        r"\[[ \d.:TZ+-]{4,36}\](?:\[ *[TC]\d+\])? ?",
        r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} [\d:.]{8,15} \d{4}\] ?",
        // RFC 5424 behind its priority
        r"1 \d{4}-\d\d-\d\dT\S{8,24} \S{1,255} \S{1,48} \S{1,128} \S{1,32} (?:-|(?:\[[^\]\n]{0,400}\])+) ?",
        // RFC 3164, and the same with an ISO 8601 time; the journal's own short forms
        r"[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,9})? \S{1,255} [\w./()@-]{1,64}(?:\[\d{1,10}\])?: ",
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?:? (?:\S{1,255} [\w./()@-]{1,64}(?:\[\d{1,10}\])?: )?",
        // A serial program's time
        r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?[ >|:]{1,3}",
        r"\d{1,12}\.\d{3,9}[ >|:]{1,3}",
        // A program's name and process
        r"[\w./()@-]{1,64}\[\d{1,10}\]: ",
        // A program's name alone: `kernel: `, and what shells print for it
        r"[a-z/][\w./-]{1,40}: ",
        // grep -n, a quoting mail, a diff
        r"[\w./-]{1,120}:\d{1,9}:",
        r"[>|+] ?",
        // The journal's export format
        r"MESSAGE=",
        r#"[ \t]{1,40}"#,
    ];
    rule(&format!("^(?:{})", forms.join("|")))
});

/// A record in JSON with its message: the journal's, and what containers and log shippers write.
static JSON: LazyLock<Regex> =
    LazyLock::new(|| rule(r#"^\s*\{.*?"(?:MESSAGE|message|msg|log|text|line)"\s*:\s*"((?:[^"\\\n]|\\.)*)""#));

/// A line in quotes or in a tag: of a shell, TOML, YAML, HTML.
static WRAPPED: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r#"^[\w.+: =-]{0,60}(?:"([^\n]*)"|'([^\n]*)'|<[a-z]{1,12}[^>\n]{0,80}>([^\n]*)</[a-z]{1,12}>),?\s*$"#,
    )
});

/// More prefixes than anything has.
const MOST: usize = 8;

/// Where the message of this line is in it.
pub(super) fn message(line: &[u8]) -> Range<usize> {
    let mut range = 0..line.len();
    for _ in 0..MOST {
        let rest = line.get(range.clone()).unwrap_or_default();
        if let Some(message) = JSON.captures(rest).and_then(|found| found.get(1)) {
            return moved(range.start, &message.range());
        }
        match PREFIX.find(rest) {
            Some(found) if !found.is_empty() => range.start = range.start.saturating_add(found.end()),
            _ => break,
        }
    }
    range
}

/// Where the content of a line in quotes is in it; all of any other line.
pub(super) fn wrapped(line: &[u8]) -> Range<usize> {
    let found = WRAPPED.captures(line);
    let inner = found.and_then(|found| Some(found.iter().skip(1).flatten().next()?.range()));
    inner.unwrap_or(0..line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_quotes_or_tags_is_a_message_too() {
        for line in [
            "+ echo \"the 'message'\"\n",
            "line-1 = \"the 'message'\"\n",
            "- text: 'the 'message''\r\n",
            "<li>the 'message'</li>\n",
            "\"the 'message'\",\n",
        ] {
            assert_eq!(&line[wrapped(line.as_bytes())], "the 'message'", "{line}");
        }
        assert_eq!(wrapped(b"the \"message\" is"), 0..16);
    }

    #[test]
    fn every_form_of_log_has_the_same_message() {
        for line in [
            "the message",
            "[    1.234567] the message",
            "[    1.234567][ T123] the message",
            "<6>[    1.234567] the message",
            "6,123,456,-;the message",
            "4,77,1234567,-,caller=T12;the message",
            "Jan  1 00:00:01 ampere kernel: [    1.2345] the message",
            "<30>Jan  1 00:00:01 ampere sshd[12]: the message",
            "<34>1 2026-01-01T00:00:01.003Z ampere app 12 ID47 - the message",
            r#"<34>1 2026-01-01T00:00:01.003Z ampere app - - [x@1 a="b"] the message"#,
            "2026-01-01T00:00:01.123456+00:00 ampere kernel: the message",
            r#"{"_HOSTNAME":"ampere","MESSAGE":"the message","_PID":"1"}"#,
            r#"{"log":"the message"}"#,
            "MESSAGE=the message",
            "12:34:56.789> the message",
            "[2026-01-01 12:34:56.789] the message",
            "[2026-01-01T12:34:56.789Z] [    1.234567] the message",
            "[Thu Jan  1 00:00:01 2026] the message",
            "> serial.log:12:the message",
        ] {
            assert_eq!(&line[message(line.as_bytes())], "the message", "{line}");
        }
    }
}
