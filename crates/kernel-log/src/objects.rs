//! JSON objects in a stream, whatever stands around them: one a line (`journalctl -o json`), over many lines (json-pretty), after a record
//! separator (json-seq) or `data: ` (json-sse), in an array (`dmesg --json`, LAVA), as YAML list items (LAVA's output.yaml).

use super::record::LONGEST_LINE;
use serde::Deserialize;

/// Collects the innermost objects of a stream; a cut one costs itself and nothing after it.
#[derive(Debug, Default)]
pub(super) struct Objects {
    object: Vec<u8>,
    state: State,
    in_string: bool,
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Outside,
    Inside,
}

impl Objects {
    /// Takes the next bytes, which end at a `}`, at the end of a line, or with the log; returns the object that ends with them.
    pub fn take(&mut self, bytes: &[u8], terminator: Option<u8>) -> Option<Vec<u8>> {
        let mut ended = None;
        for &byte in bytes.iter().chain(&terminator) {
            if self.byte(byte) {
                ended = Some(std::mem::take(&mut self.object));
            }
        }
        ended
    }

    /// True when an object has ended with this byte.
    fn byte(&mut self, byte: u8) -> bool {
        match byte {
            // A string has no line end in it: the object was cut.
            b'\n' if self.in_string => {
                self.in_string = false;
                self.state = State::Outside;
            }
            _ if self.in_string => {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = byte == b'\\' && !self.escaped;
            }
            b'"' => {
                self.in_string = self.state == State::Inside;
                self.escaped = false;
            }
            b'{' => {
                self.object.clear();
                self.state = State::Inside;
            }
            b'}' if self.state == State::Inside => {
                self.state = State::Outside;
                self.object.push(byte);
                return true;
            }
            _ => {}
        }
        if self.state == State::Inside {
            if self.object.len() < LONGEST_LINE {
                self.object.push(byte);
            } else {
                self.state = State::Outside;
                self.in_string = false;
            }
        }
        false
    }
}

/// A record of `dmesg --json` (util-linux, sys-utils/dmesg.c: `print_record()`).
#[derive(Debug, Deserialize)]
pub(super) struct DmesgEntry {
    #[serde(default)]
    fac: Option<serde_json::Value>,
    #[serde(default)]
    pri: Option<serde_json::Value>,
    time: serde_json::Value,
    #[serde(default)]
    caller: Option<String>,
    pub msg: String,
}

impl DmesgEntry {
    /// Microseconds since boot; none where it is a date.
    pub fn time(&self) -> Option<u64> {
        let text = match &self.time {
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::String(text) => text.trim().to_string(),
            _ => return None,
        };
        let (seconds, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let seconds: u64 = seconds.parse().ok()?;
        // A number has lost its last zeros.
        let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        seconds.checked_mul(1_000_000)?.checked_add(micros)
    }

    /// `facility * 8 + level`.
    pub fn priority(&self) -> Option<u32> {
        const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
        let level = match self.pri.as_ref()? {
            serde_json::Value::Number(number) => u32::try_from(number.as_u64()?).ok()?,
            serde_json::Value::String(name) => {
                u32::try_from(LEVELS.iter().position(|level| level == name)?).ok()?
            }
            _ => return None,
        };
        let kernel = match &self.fac {
            Some(serde_json::Value::String(name)) => name == "kern",
            Some(serde_json::Value::Number(number)) => number.as_u64() == Some(0),
            _ => true,
        };
        Some(if kernel { level } else { level | 8 })
    }

    /// Who printed.
    pub fn caller(&self) -> Option<super::prefix::Caller> {
        let id = self.caller.as_ref()?;
        super::kmsg::caller(id)
    }
}

/// A line of LAVA's log.
#[derive(Debug, Deserialize)]
pub(super) struct LavaEntry {
    pub dt: String,
    pub lvl: String,
    pub msg: String,
}

impl LavaEntry {
    /// Whether the board printed it, rather than LAVA itself.
    pub fn is_of_board(&self) -> bool {
        matches!(self.lvl.as_str(), "target" | "feedback")
    }

    /// Microseconds since 1970: LAVA writes UTC without saying so.
    pub fn wall(&self) -> Option<u64> {
        super::wall::iso(format!("{}Z", self.dt.trim_end_matches('Z')).as_bytes()).map(|(wall, _)| wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut objects = Objects::default();
        let mut found = Vec::new();
        for piece in text.split_inclusive(['\n', '}']) {
            let (bytes, last) = piece.split_at(piece.len() - 1);
            let object = objects.take(bytes.as_bytes(), last.bytes().next());
            found.extend(object.map(|object| String::from_utf8(object).unwrap()));
        }
        found
    }

    #[test]
    fn innermost_objects_are_found_in_whatever_stands_around_them() {
        assert_eq!(
            all("{\"a\":1}\n{\"b\":\"}\\\"{\"}\n"),
            ["{\"a\":1}", "{\"b\":\"}\\\"{\"}"]
        );
        assert_eq!(
            all("{\n \"dmesg\": [\n {\n\"a\": 1\n },{ \"b\": 2 }\n ]\n}\n").len(),
            2
        );
        assert_eq!(
            all("\u{1e}{\"a\":1}\ndata: {\"b\":2}\n- {\"c\":3}\n[{\"d\":4},\n{\"e\":5}]\n").len(),
            5
        );
        assert_eq!(
            all("{\"cut\": \"off\n{\"a\":1}\n{\"cut\":1,\n{\"b\":2}\n"),
            ["{\"a\":1}", "{\"b\":2}"]
        );
        assert!(all("}}}{{{\"\n\"\n").is_empty());
    }

    #[test]
    fn an_entry_of_dmesg() {
        let entry: DmesgEntry = serde_json::from_str(r#"{"pri": 4, "time": 10.000010, "msg": "x"}"#).unwrap();
        assert_eq!((entry.time(), entry.priority()), (Some(10_000_010), Some(4)));
        let entry: DmesgEntry =
            serde_json::from_str(r#"{"fac":"daemon","pri":"info","time":"[Mon Nov 30]","msg":"x"}"#).unwrap();
        assert_eq!((entry.time(), entry.priority()), (None, Some(14)));
    }
}
