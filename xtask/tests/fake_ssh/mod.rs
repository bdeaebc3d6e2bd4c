//! An `ssh` in the PATH that answers as a board does, or not, or slowly; the rest of the tool is real.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a slow command takes that nothing lets go on, in tenths of a second: longer than any test waits.
const SLOW: u32 = 6_000;
/// How long is waited for what has to come, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct FakeSsh {
    pub folder: tempfile::TempDir,
    /// Board files that were made in this checkout.
    boards: Vec<PathBuf>,
}

impl Drop for FakeSsh {
    fn drop(&mut self) {
        for board in &self.boards {
            drop(std::fs::remove_file(board));
        }
    }
}

impl FakeSsh {
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "locks"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(at("key"))
            .status()
            .unwrap();
        assert!(made.success());
        let script = format!(
            r#"#!/bin/sh
here={}
for last; do :; done
case $1 in
-G) printf 'hostname %s.lan\nport 22\nuserknownhostsfile %s\n' "$last" "$here/known_hosts"; exit 0 ;;
-O) exit 0 ;;
esac
[ -e "$here/dead" ] && exit 255
# Before the test sees that it has begun, and may say otherwise for the next one.
slow=$(cat "$here/slow" 2>/dev/null)
echo begun >>"$here/log"
echo $$ >"$here/at-work"
for tenth in $(seq "${{slow:-0}}"); do [ -e "$here/go-on" ] || sleep 0.1; done
[ -e "$here/flood" ] && sh "$here/flood" "$*"
echo done >>"$here/log"
echo 0
"#,
            folder.path().display()
        );
        std::fs::write(at("bin/ssh"), script).unwrap();
        std::fs::set_permissions(at("bin/ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        FakeSsh {
            folder,
            boards: Vec::new(),
        }
    }

    /// These hosts have one host key in known_hosts.
    pub fn one_machine(&self, hosts: &[&str]) {
        let key = std::fs::read_to_string(self.at("key.pub")).unwrap();
        let names: Vec<String> = hosts.iter().map(|host| format!("{host}.lan")).collect();
        std::fs::write(self.at("known_hosts"), format!("{} {key}", names.join(","))).unwrap();
    }

    /// A board file of this checkout for a host, as long as this value lives; returns its name.
    pub fn board_file(&mut self, host: &str) -> String {
        // Tests run side by side in one process.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{host}-{}-{number}", std::process::id());
        let boards = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .unwrap()
            .join("boards");
        let text = std::fs::read_to_string(boards.join("ampere.toml")).unwrap();
        let path = boards.join(format!("{name}.toml"));
        let text = text.replace("host = \"ampere\"", &format!("host = \"{host}\""));
        std::fs::write(&path, text).unwrap();
        self.boards.push(path);
        name
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// It does not answer.
    pub fn dead(&self) {
        std::fs::write(self.at("dead"), "").unwrap();
    }

    /// Every command that begins from now on goes on until [`FakeSsh::go_on`].
    pub fn slow(&self) {
        std::fs::write(self.at("slow"), SLOW.to_string()).unwrap();
    }

    /// Commands that begin from now on end at once; those at work stay at work.
    pub fn quick(&self) {
        std::fs::write(self.at("slow"), "0").unwrap();
    }

    /// Slow commands end.
    pub fn go_on(&self) {
        std::fs::write(self.at("go-on"), "").unwrap();
    }

    /// Waits until the command that began last is at work no more, however it ended. Errors: it still is.
    pub fn waits_for_its_end(&self) -> Result<(), String> {
        let process = std::fs::read_to_string(self.at("at-work")).unwrap();
        let status = format!("/proc/{}/stat", process.trim());
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            // proc_pid_stat(5): its state stands behind its name; of a zombie nobody has asked yet how it ended.
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            match status.rsplit_once(") ") {
                Some((_, state)) if !state.starts_with('Z') => std::thread::sleep(Duration::from_millis(20)),
                _ => return Ok(()),
            }
        }
        Err(format!("{status} is still there"))
    }

    /// What each command prints, as a shell command, before its answer.
    pub fn prints(&self, command: &str) {
        std::fs::write(self.at("flood"), command).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// The tool for a user whose cache has this name.
    pub fn xtask(&self, cache: &str, words: &[&str]) -> Command {
        let path = format!(
            "{}:{}",
            self.at("bin").display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .args(words)
            .env("PATH", path)
            .env("LOCKSTEP_CACHE", self.at(cache))
            .env("LOCKSTEP_LOCKS", self.at("locks"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end; returns what it printed.
    pub fn said(&self, cache: &str, words: &[&str], code: i32) -> String {
        let output = self.xtask(cache, words).output().unwrap();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        text
    }

    /// Starts it, and waits until a command is at work on the board.
    pub fn at_work(&self, cache: &str, words: &[&str]) -> Child {
        let child = self.xtask(cache, words).spawn().unwrap();
        let started = Instant::now();
        while !self.at("at-work").exists() {
            assert!(started.elapsed() < PATIENCE, "{words:?} asks nothing");
            std::thread::sleep(Duration::from_millis(10));
        }
        child
    }
}

pub fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
