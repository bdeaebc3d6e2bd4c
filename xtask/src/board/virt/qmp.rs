//! A small client of QEMU's control socket (QMP: one JSON object a line; QEMU's `docs/interop/qmp-spec`).

use crate::host::json::json;
use crate::host::{deadline, socket};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait for one answer. QEMU answers from its main loop, which nothing the guest does can stop for long.
const LIMIT: Duration = Duration::from_secs(10);

/// A connection, ready for commands.
pub struct Qmp {
    stream: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to `folder/name` and leaves negotiation mode. Errors: nothing listens, or no answer within 10 s
    /// (QEMU serves one client at a time).
    pub fn connect(folder: &Path, name: &str) -> Result<Self> {
        let doing = || format!("connecting to QEMU's control socket {}/{name}", folder.display());
        let stream = socket::connect(folder, name).with_context(doing)?;
        stream.set_read_timeout(Some(LIMIT)).with_context(doing)?;
        stream.set_write_timeout(Some(LIMIT)).with_context(doing)?;
        let mut qmp = Qmp {
            stream: BufReader::new(stream),
        };
        let greeting = qmp.receive(deadline::after(LIMIT)).with_context(doing)?;
        if greeting.get("QMP").is_none() {
            bail!("{}: this is not QEMU: it said {greeting}", doing());
        }
        qmp.execute("qmp_capabilities", json!({})).with_context(doing)?;
        Ok(qmp)
    }

    /// Runs one command and gives what it returned. Errors: QEMU refused (with its words), or did not answer.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let doing = || format!("telling QEMU `{command}`");
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{request}").with_context(doing)?;
        let deadline = deadline::after(LIMIT);
        loop {
            if let Some(answer) = answer(self.receive(deadline).with_context(doing)?) {
                return answer.with_context(doing);
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Value> {
        if Instant::now() >= deadline {
            bail!("no answer within {} s", LIMIT.as_secs());
        }
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("QEMU closed the connection");
        }
        serde_json::from_str(&line).with_context(|| format!("reading {line:?}"))
    }
}

/// What a line from QEMU means to the command that waits: nothing (an event), or its end.
fn answer(line: Value) -> Option<Result<Value>> {
    if let Some(result) = line.get("return") {
        return Some(Ok(result.clone()));
    }
    let error = line.get("error")?;
    let said = error
        .get("desc")
        .and_then(Value::as_str)
        .unwrap_or("no description");
    Some(Err(anyhow::anyhow!("QEMU refused: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_no_answers() {
        assert!(answer(json!({"timestamp": {"seconds": 1}, "event": "RESET"})).is_none());
    }

    #[test]
    fn a_refusal_carries_the_words() {
        let line = json!({"error": {"class": "CommandNotFound", "desc": "The command x has not been found"}});
        let error = answer(line).unwrap().unwrap_err().to_string();
        assert_eq!(error, "QEMU refused: The command x has not been found");
    }

    #[test]
    fn a_silent_peer_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("q")).unwrap();
        let peer = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let error = Qmp::connect(folder.path(), "q").err().unwrap();
        assert!(
            format!("{error:#}").contains("closed the connection"),
            "{error:#}"
        );
        peer.join().unwrap();
    }
}
