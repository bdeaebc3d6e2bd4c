//! A board that is known by ssh, a serial line and two commands, and by nothing else, as a person's own board is. Its reality is QEMU with a
//! fresh disk of the virtual board, started by a script of this bench: an ssh_config, a TCP port with the serial line, and a script `switch`
//! that stands for its plug and its reset wire. None of it is in the cache where Lockstep looks for the virtual board.

use assert_cmd::Command;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xtask::board::virt::{self, Different, Machine, Ports};
use xtask::host::folders::Folders;
use xtask::host::requirements::U_BOOT;

/// The checkout: board files are in it.
pub const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Name of the board, and of its campaign.
pub const NAME: &str = "bench";
/// The test label of a campaign that names none.
pub const LABEL: &str = "arch_devices_lockdep";

/// Hashes of all that is not ours: boot files and vanilla's modules, and extlinux.conf without our label.
const HASHES: &str = "uname -r; find /boot/firmware /usr/lib/modules/$(uname -r) -type f ! -path '*lockdep*' ! -name extlinux.conf \
                      ! -name 'lockstep-*' -exec sha256sum {} + | sort -k 2; \
                      sed '/^# lockstep: begin/,/^# lockstep: end/d' /boot/firmware/extlinux/extlinux.conf";

/// The way to its kernel's last words, and to its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// A serial line on TCP, as of a terminal server, and a reset wire.
    Serial,
    /// None; a plug that takes the power.
    None,
}

pub struct SshBench {
    folder: tempfile::TempDir,
    serial: u16,
}

impl Drop for SshBench {
    fn drop(&mut self) {
        // A recorder that is left would try the line for ever.
        let recorder = xtask::capture::client::Recorder::at(&control_folder().join("serial"));
        drop(recorder.stop());
        drop(std::process::Command::new(self.at("switch")).arg("off").status());
        match std::thread::panicking() {
            // What the run kept is for whoever looks why.
            true => drop(fs::remove_file(board_file())),
            false => clean(),
        }
    }
}

/// What an earlier bench left: another disk with another key was called the same.
fn clean() {
    let project = Path::new(PROJECT);
    drop(fs::remove_file(board_file()));
    for folder in ["backups", "baselines", "runs"] {
        drop(fs::remove_dir_all(
            project.join(".lockstep").join(folder).join(NAME),
        ));
    }
    drop(fs::remove_dir_all(control_folder()));
}

fn board_file() -> PathBuf {
    Path::new(PROJECT).join(format!("boards/{NAME}.toml"))
}

fn control_folder() -> PathBuf {
    Folders::find().unwrap().cache.join("boards").join(NAME)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl SshBench {
    /// Makes its disk, switches it on, and waits until it answers.
    pub fn start() -> Self {
        clean();
        let folder = tempfile::tempdir().unwrap();
        let [ssh, closed, serial, monitor] = [(); 4].map(|()| free_port());
        let bench = SshBench { folder, serial };
        bench.make_disk();
        let machine = Machine {
            firmware: U_BOOT.into(),
            folder: bench.at(""),
            ports: Ports {
                ssh,
                closed,
                log: None,
            },
            write_log: None,
        };
        bench.write_switch(&machine, monitor);
        let config = format!(
            "Host {NAME}\n  HostName 127.0.0.1\n  Port {ssh}\n  User root\n  IdentityFile {0}/key\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {0}/known_hosts\n  HostKeyAlias lockstep-virtual-board\n",
            bench.at("").display()
        );
        fs::write(bench.at("ssh_config"), config).unwrap();
        let on = std::process::Command::new(bench.at("switch"))
            .arg("on")
            .status()
            .unwrap();
        assert!(on.success());
        bench.wait();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("board").join(name)
    }

    /// A new disk with vanilla alone, keys, U-Boot's environment.
    fn make_disk(&self) {
        let real = Folders::find().unwrap();
        let cache = self.folder.path().join("cache");
        fs::create_dir_all(&cache).unwrap();
        for made in ["rootfs", "vanilla"] {
            symlink(real.cache.join(made), cache.join(made)).unwrap();
        }
        let vanilla = virt::vanilla_manifest(&real).expect("vanilla is built: `cargo xtask setup`");
        let folders = Folders { cache, ..real };
        virt::create(&folders, &vanilla, Different::Refuse, &mut |doing| {
            eprintln!("bench: {doing}")
        })
        .unwrap();
        fs::rename(folders.cache.join("boards/virtual"), self.at("")).unwrap();
    }

    /// QEMU as the virtual board has it, but for its line, which is on TCP and logged by nobody, and for its monitor.
    fn write_switch(&self, machine: &Machine, monitor: u16) {
        let mut words = machine.arguments();
        let line = format!(
            "socket,id=serial,host=127.0.0.1,port={},server=on,wait=off",
            self.serial
        );
        let monitor_at = format!("tcp:127.0.0.1:{monitor},server=on,wait=off");
        for index in 0..words.len() {
            match words[index].as_str() {
                "-chardev" if words[index + 1].contains("id=serial,") => words[index + 1].clone_from(&line),
                "-qmp" => {
                    words[index] = "-monitor".into();
                    words[index + 1].clone_from(&monitor_at);
                }
                _ => {}
            }
        }
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "#!/bin/bash\ncd {}\n\
             monitor() {{ exec 3<>/dev/tcp/127.0.0.1/{monitor} && printf '%s\\n' \"$1\" >&3 && timeout 1 cat <&3 >/dev/null; }}\n\
             case $1 in\n\
             on) exec qemu-system-aarch64 {} ;;\n\
             off) monitor quit; for _ in {{1..100}}; do [ -e qemu.pid ] || exit 0; sleep 0.1; done; exit 1 ;;\n\
             reset) monitor system_reset; exit 0 ;;\n\
             esac\n",
            self.at("").display(),
            words.join(" ")
        );
        fs::write(self.at("switch"), script).unwrap();
        fs::set_permissions(self.at("switch"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn wait(&self) {
        let started = Instant::now();
        let answers = || {
            let mut ssh = std::process::Command::new("ssh");
            ssh.arg("-F").arg(self.at("ssh_config"));
            ssh.args(["-o", "ConnectTimeout=5", "-o", "BatchMode=yes", NAME, "true"]);
            ssh.status().unwrap().success()
        };
        while !answers() {
            assert!(
                started.elapsed() < Duration::from_secs(240),
                "the bench does not answer"
            );
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// The board file: what `board probe` writes, and what it told a person to put in.
    pub fn describe(&self, cable: Cable) {
        let file = board_file();
        drop(fs::remove_file(&file));
        let config = self.at("ssh_config");
        let (config, name) = (config.to_str().unwrap(), format!("boards/{NAME}.toml"));
        let probe = [
            "board",
            "probe",
            "--ssh",
            NAME,
            "--ssh-config",
            config,
            "--write",
            &name,
        ];
        let said = xtask(&probe, 0);
        assert!(said.contains("how the board is reset from outside"), "{said}");
        assert!(said.contains("a serial cable cannot be seen"), "{said}");
        let mut text = fs::read_to_string(&file).unwrap();
        let mut replace = |from: &str, to: String| {
            assert!(text.contains(from), "{from} is not in {text}");
            text = text.replace(from, &to);
        };
        let switch = self.at("switch");
        let switch = |word: &str| format!("[{:?}, {word:?}]", switch.to_str().unwrap());
        replace("limit-s = 300", "limit-s = 180".into());
        let power = match cable {
            Cable::Serial => {
                replace("[\"kexec\", ", "[\"serial-menu\", \"kexec\", ".into());
                replace(
                    "# device = \"/dev/ttyUSB0\"\n# speed = 115200\n",
                    format!("tcp = \"127.0.0.1:{}\"\n", self.serial),
                );
                format!("reset = {}\n", switch("reset"))
            }
            // Its probe told that the kernel does not name the driver.
            Cable::None => format!(
                "off = {}\non = {}\n\n[watchdog]\ndriver = \"i6300esb\"\ntimeout-s = 20\n",
                switch("off"),
                switch("on")
            ),
        };
        fs::write(&file, format!("{text}\n[power]\n{power}")).unwrap();
    }

    /// What of the board is not ours.
    pub fn vanilla(&self) -> String {
        xtask(&["board", "--board", NAME, "ssh", HASHES], 0)
    }

    /// Files of ours that U-Boot or a kernel could find.
    pub fn ours(&self) -> String {
        let looking = "cd / && find boot/firmware usr/lib/modules -maxdepth 1 -iname '*lock[ds]*'; grep -i lockstep \
                       boot/firmware/extlinux/extlinux.conf; true";
        xtask(&["board", "--board", NAME, "ssh", looking], 0)
    }
}

/// Runs the tool; both of its streams.
pub fn xtask(words: &[&str], code: i32) -> String {
    eprintln!("$ cargo xtask {}", words.join(" "));
    let mut command = Command::cargo_bin("lockstep").unwrap();
    let output = command
        .current_dir(PROJECT)
        .args(words)
        .timeout(Duration::from_secs(30 * 60))
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    assert_eq!(output.status.code(), Some(code), "{words:?}");
    said
}
