//! A real OpenSSH sshd on a loopback port, started by the test with keys of its own, whose every session runs on a [`LocalBoard`].
//! Where this machine has no sshd, Debian's package is unpacked below `target/`: installing it would start a service.

// Each test file uses its own part of this.
#![allow(dead_code)]

use crate::held_lock;

use crate::local_board::{LocalBoard, SET_UP};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xtask::board::file::BoardFile;
use xtask::board::ssh_board::SshBoard;

pub struct Loopback {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub local: LocalBoard,
    daemon: Child,
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.daemon.kill());
        drop(self.daemon.wait());
    }
}

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).output().unwrap();
    assert!(
        done.status.success(),
        "{program} {words:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// This machine's sshd, or the one of a package that is unpacked and not installed, with the libraries that came with it.
fn sshd() -> (PathBuf, PathBuf) {
    let installed = Path::new("/usr/sbin/sshd");
    if installed.exists() {
        return (installed.into(), "/nonexistent".into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sshd");
    let (program, libraries) = (
        folder.join("usr/sbin/sshd"),
        folder.join("usr/lib/x86_64-linux-gnu"),
    );
    if !program.exists() {
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let apt = |arguments: &[&str]| {
            Command::new("apt-get")
                .args(arguments)
                .current_dir(work.path())
                .output()
                .is_ok_and(|done| done.status.success())
        };
        let download = || apt(&["-q", "download", "openssh-server", "libwrap0"]);
        // A new machine may have no lists of packages, or old ones.
        assert!(
            download() || (apt(&["-q", "update"]) && download()),
            "this test needs an sshd: install openssh-server, or let apt-get download it"
        );
        for package in fs::read_dir(work.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            run(
                "dpkg-deb",
                &[
                    "-x",
                    package.to_str().unwrap(),
                    work.path().join("out").to_str().unwrap(),
                ],
            );
        }
        drop(fs::rename(work.path().join("out"), &folder));
    }
    let libraries = fs::read_dir(libraries.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir() && path.to_string_lossy().contains("-linux-gnu"))
        .unwrap_or(libraries);
    (program, libraries)
}

impl Loopback {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalBoard::new();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "other_host", "login", "stranger"] {
            run(
                "ssh-keygen",
                &[
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-C",
                    key,
                    "-f",
                    at(key).to_str().unwrap(),
                ],
            );
        }
        fs::copy(at("login.pub"), at("authorized_keys")).unwrap();
        fs::write(at("session"), session(&local, folder.path())).unwrap();
        fs::set_permissions(at("session"), fs::Permissions::from_mode(0o755)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\nAuthorizedKeysFile {0}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication yes\nPermitRootLogin yes\nForceCommand {0}/session\n",
            folder.path().display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        for (name, key) in [("known", "host"), ("known_wrong", "other_host")] {
            let public = fs::read_to_string(at(&format!("{key}.pub"))).unwrap();
            fs::write(at(name), format!("board {public}[127.0.0.1]:{port} {public}")).unwrap();
        }
        fs::write(at("known_nothing"), "").unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let (program, libraries) = sshd();
        // sshd asks for a user of its own name and an empty folder: both only in its own mount name space.
        let starting = r#"set -e
cp /etc/passwd "$1/passwd"
grep -q ^sshd: "$1/passwd" || echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin' >>"$1/passwd"
mount --bind "$1/passwd" /etc/passwd
[ -d /run/sshd ] || mkdir -m 755 /run/sshd
LD_LIBRARY_PATH=$3 exec "$2" -D -e -f "$1/sshd_config""#;
        let daemon = Command::new("unshare")
            .args(["-m", "sh", "-c", starting, "sh"])
            .args([folder.path(), &program, &libraries])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let loopback = Loopback {
            folder,
            port,
            local,
            daemon,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "sshd did not start: {}",
                loopback.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        loopback
    }

    /// Process id of the server.
    pub fn server(&self) -> u32 {
        self.daemon.id()
    }

    /// A server and everything that it has started, and that these have.
    pub fn processes(server: u32) -> Vec<u32> {
        let children = |pid: u32| -> Vec<u32> {
            let path = format!("/proc/{pid}/task/{pid}/children");
            let text = fs::read_to_string(path).unwrap_or_default();
            text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
        };
        let mut found = vec![server];
        let mut at = 0;
        while at < found.len() {
            found.extend(children(found[at]));
            at += 1;
        }
        found
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// The board of a file whose `[ssh]` section is given, without `host` and `port`.
    pub fn board(&self, ssh: &str) -> SshBoard {
        let text = format!(
            "schema-version = 1\nkind = \"ssh\"\narchitecture = \"arm64\"\n[ssh]\n{ssh}\n\
             [boot]\nfolder = \"/boot/firmware\"\nextlinux = \"/boot/firmware/extlinux/extlinux.conf\"\n\
             vanilla-label = \"arch_devices\"\nlimit-s = 30\n[backup]\nfolder = \"/var/lib/lockstep/backups\"\n"
        );
        SshBoard::open(&BoardFile::parse("local", &text).unwrap(), &self.at("control"))
            .unwrap()
            .held(held_lock::proof())
    }

    /// `[ssh]` with the test's own key and host key.
    pub fn way(&self, known: &str, key: &str) -> String {
        format!(
            "host = \"root@127.0.0.1\"\nport = {}\nkey = \"{}\"\nknown-hosts = \"{}\"\nknown-hosts-name = \"board\"",
            self.port,
            self.at(key).display(),
            self.at(known).display()
        )
    }

    /// Sessions that were opened so far.
    pub fn sessions(&self) -> usize {
        fs::read_to_string(self.at("sessions"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// Kills the process that holds the shared connection while the next script that writes files is in the middle of its input. To be called
    /// from a thread of its own; gives up after a while.
    pub fn kill_master_in_transfer(folder: &Path) -> bool {
        fs::write(folder.join("pause"), "").unwrap();
        let started = Instant::now();
        while !folder.join("paused").exists() {
            if started.elapsed() > Duration::from_secs(30) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let socket = format!("ControlPath={}", folder.join("control/ssh.sock").display());
        let asked = Command::new("ssh")
            .args(["-F", "none", "-O", "check", "-o", &socket, "board"])
            .output()
            .unwrap();
        // ssh(1): `Master running (pid=1234)`.
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        let pid: String = said.chars().filter(char::is_ascii_digit).collect();
        run("kill", &["-9", &pid]);
        true
    }

    /// The next script that writes files loses its connection before this command of it.
    pub fn cut(&self, command: usize) {
        fs::write(self.at("cut"), command.to_string()).unwrap();
    }
}

/// What sshd runs instead of the login shell.
fn session(local: &LocalBoard, folder: &Path) -> String {
    let [board, root, firmware] = local.folders();
    fs::write(folder.join("set-up"), SET_UP).unwrap();
    format!(
        r#"#!/bin/bash
here={here}
echo session >>"$here/sessions"
# A kernel in which nothing can be started any more; what runs already goes on.
while [ -e "$here/wedge" ]; do sleep 1; done
script=$SSH_ORIGINAL_COMMAND
shell=sh
if [ -e "$here/cut" ] && [[ $script == *"files="* ]]; then
    at=$(cat "$here/cut")
    rm "$here/cut"
    # The connection dies, the script does not: so it is on a board, too.
    eval "script=${{script#exec sh -c }}"
    script="n=0; trap '[ \$((n++)) -ne $at ] || kill -9 $PPID' DEBUG
$script"
    shell=bash
fi
if [ -e "$here/pause" ] && [[ $script == *"files="* ]]; then
    rm "$here/pause"
    exec < <(head -c 20000; touch "$here/paused"; sleep 1; cat)
fi
exec unshare -m sh -c "$(cat "$here/set-up")" sh {board} {root} {firmware} $shell -c "$script"
"#,
        here = folder.display(),
        board = board.display(),
        root = root.display(),
        firmware = firmware.display(),
    )
}
