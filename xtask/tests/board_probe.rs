//! `board probe` as a person runs it, over a real sshd: what it writes is a board file by which the same board is reached.

use crate::loopback;

use assert_cmd::Command;
use loopback::Loopback;
use std::path::Path;
use std::time::Duration;
use xtask::board::file::BoardFile;
use xtask::board::ssh_board::SshBoard;

fn probe(words: &[&str], code: i32) -> String {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    let output = command
        .args(["board", "probe"])
        .args(words)
        .assert()
        .code(code)
        .get_output()
        .clone();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_it_writes_leads_to_the_same_board() {
    let loopback = Loopback::start();
    loopback.local.file(
        "/usr/local/bin/uname",
        "#!/bin/sh\nif [ \"$1\" = -m ]; then echo aarch64; else echo 7.3.4-devices; fi\n",
        0o755,
    );
    let config = loopback.at("ssh_config");
    std::fs::write(
        &config,
        format!(
            "Host mine\n  HostName 127.0.0.1\n  Port {}\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\n  HostKeyAlias board\n",
            loopback.port,
            loopback.at("login").display(),
            loopback.at("known").display()
        ),
    )
    .unwrap();
    let written = loopback.at("mine.toml");
    let (config, path) = (config.to_str().unwrap(), written.to_str().unwrap());
    let said = probe(&["--ssh", "mine", "--ssh-config", config, "--write", path], 0);
    assert!(said.contains("how the board is reset from outside"), "{said}");
    let text = std::fs::read_to_string(&written).unwrap();
    let file = BoardFile::parse("mine", &text).unwrap();
    assert_eq!(file.description.vanilla_label, "arch_devices");
    assert_eq!(file.description.boot_folder, Path::new("/boot/firmware"));
    let board = SshBoard::open(&file, &loopback.at("control")).unwrap();
    board.check_way(Duration::from_secs(20)).unwrap();
    // Never over one that exists, and not without the configuration that leads there.
    let said = probe(&["--ssh", "mine", "--ssh-config", config, "--write", path], 1);
    assert!(said.contains("it is not overwritten"), "{said}");
    let said = probe(&["--ssh", "mine", "--ssh-config", "/nonexistent/config"], 1);
    assert!(
        said.contains("there is no ssh_config /nonexistent/config"),
        "{said}"
    );
}
