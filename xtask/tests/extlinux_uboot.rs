//! What this program thinks that U-Boot does with an extlinux.conf, against the real U-Boot: one
//! QEMU, one FAT disk, no kernel. Every configuration is run at U-Boot's prompt with `sysboot`;
//! what it asks for, prints and skips has to be what `trace` says.

#[path = "extlinux_uboot/cases.rs"]
mod cases;

use cases::Case;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use xtask::board::extlinux::trace::{self, Attempt, End, Loader};
use xtask::board::extlinux::{CommandLine, Config, escape};
use xtask::host::requirements::{self, U_BOOT};

/// Files that are on the disk. Each is no kernel and no device tree, so every label fails after it
/// was loaded, and the next one is tried.
const THERE: [&str; 9] = [
    "/I",
    "/J",
    "/sub/K",
    "/i.img",
    "/t.dtb",
    "/dtbs/board.dtb",
    "/c/rel",
    "/with space",
    "/c/rel.dtb",
];
/// `CONFIG_SYS_CBSIZE` of Debian's qemu_arm64 build.
const COMMAND_LINE: usize = 512;
const PROMPT: &str = "=> ";

fn run(program: &str, words: &[&str]) {
    let program = requirements::find(program).unwrap();
    let done = Command::new(&program).args(words).output().unwrap();
    assert!(
        done.status.success(),
        "{program:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

fn make_disk(folder: &Path, cases: &[Case]) -> String {
    let disk = folder.join("disk").display().to_string();
    std::fs::File::create(&disk).unwrap().set_len(40 << 20).unwrap();
    run("mkfs.vfat", &["-F", "32", "-s", "1", "-S", "512", &disk]);
    let tree = folder.join("tree");
    for path in THERE {
        let at = tree.join(&path[1..]);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, format!("neither kernel nor tree {path}")).unwrap();
    }
    for (number, case) in cases.iter().enumerate() {
        std::fs::write(tree.join(format!("c/{number}.conf")), &case.conf).unwrap();
    }
    let names: Vec<String> = std::fs::read_dir(&tree)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    let mut words = vec!["-s", "-i", &disk];
    words.extend(names.iter().map(String::as_str));
    words.push("::/");
    run("mcopy", &words);
    disk
}

/// A machine whose serial line is standard input and output.
struct Machine {
    qemu: Child,
    came: mpsc::Receiver<Vec<u8>>,
    seen: String,
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.qemu.kill());
        drop(self.qemu.wait());
    }
}

impl Machine {
    fn start(disk: &str) -> Self {
        let qemu = requirements::find("qemu-system-aarch64").unwrap();
        let mut qemu = Command::new(qemu)
            .args([
                "-M",
                "virt",
                "-cpu",
                "cortex-a53",
                "-m",
                "256M",
                "-nographic",
                "-monitor",
                "none",
                "-nic",
                "none",
            ])
            .args(["-bios", U_BOOT, "-serial", "stdio", "-drive"])
            .arg(format!("file={disk},format=raw,if=none,id=d"))
            .args(["-device", "virtio-blk-device,drive=d"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (send, came) = mpsc::channel();
        let mut from = qemu.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut machine = Machine {
            qemu,
            came,
            seen: String::new(),
        };
        machine.wait_for("Hit any key", 90);
        machine.write("\n");
        machine.wait_for(PROMPT, 30);
        machine
    }

    fn write(&mut self, text: &str) {
        let input = self.qemu.stdin.as_mut().unwrap();
        // One by one: U-Boot's line has a small buffer, and nothing flows back.
        for byte in text.bytes() {
            input.write_all(&[byte]).and_then(|()| input.flush()).unwrap();
        }
    }

    /// Everything up to `text`, which is taken away with it.
    fn wait_for(&mut self, text: &str, seconds: u64) -> String {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.came.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!(
                    "{text:?} did not come within {seconds} s; the line ends with:\n{}",
                    self.seen
                ),
            }
        }
    }

    fn command(&mut self, command: &str) -> String {
        self.write(&format!("{command}\n"));
        self.wait_for(PROMPT, 60)
    }
}

/// What U-Boot printed, as [`trace`] tells it.
fn printed(text: &str, config: &Config) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for line in text.replace('\r', "").lines() {
        let begun = config.menu.labels.iter().enumerate().find(|(index, label)| {
            let shown = label.shown().replace('\r', "");
            line == format!("{}:\t{shown}", index + 1)
        });
        if let Some((index, label)) = begun {
            let end = if label.localboot.is_some() {
                End::LocalBoot
            } else {
                End::Starts
            };
            attempts.push(Attempt {
                number: index + 1,
                retrieved: vec![],
                append: None,
                end,
            });
            continue;
        }
        let Some(last) = attempts.last_mut() else { continue };
        if let Some(path) = line.strip_prefix("Retrieving file: ") {
            last.retrieved.push(path.to_string());
        } else if let Some(append) = line.strip_prefix("append: ") {
            last.append = Some(append.to_string());
        }
        for words in [
            "No kernel given, skipping ",
            "for failure retrieving initrd",
            "for failure retrieving kernel",
            "bootarg overflow ",
            "for failure retrieving FDT",
        ] {
            if line.contains(words) {
                last.end = End::Skipped(words);
            }
        }
    }
    attempts
}

#[test]
fn the_real_u_boot_does_what_the_rule_says() {
    let cases = cases::all();
    assert!(cases.len() >= 120, "{}", cases.len());
    let folder = tempfile::tempdir().unwrap();
    let disk = make_disk(folder.path(), &cases);
    let mut machine = Machine::start(&disk);
    let settings = [
        "setenv fdt_addr_r 0x48000000",
        "setenv fdtfile board.dtb",
        "setenv localcmd echo localboot",
        "setenv x 'X Y'",
        "virtio scan",
    ];
    settings.iter().for_each(|setting| drop(machine.command(setting)));
    let exists = |path: &str| {
        let mut clean = Vec::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if part == ".." {
                clean.pop();
            } else {
                clean.push(part.to_lowercase());
            }
        }
        let clean = format!("/{}", clean.join("/"));
        THERE.iter().any(|there| there.to_lowercase() == clean)
    };
    let loader = Loader {
        folder: "/c/",
        exists: &exists,
        loads_trees: true,
        command_line: COMMAND_LINE,
        tree: "board.dtb",
        reads_prompt: false,
        variable: &|name| (name == "x").then(|| "X Y".into()),
    };
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let config = Config::parse(case.conf.as_bytes());
        let mut said = String::new();
        machine.write(&format!(
            "sysboot virtio 0 any ${{scriptaddr}} /c/{number}.conf\n"
        ));
        let mut asked = false;
        if trace::shows_menu(&config, &loader) {
            said = machine.wait_for("Enter choice: ", 30);
            asked = true;
            if let Some(answer) = case.answer {
                machine.write(&format!("{answer}\n"));
            }
            // The menu itself looks like attempts.
            said.clear();
        }
        said.push_str(&machine.wait_for(PROMPT, 60));
        // `default` without a value: this version frees a pointer that it never set, and resets.
        let aborted = said.contains("Synchronous Abort");
        if aborted {
            settings.iter().for_each(|setting| drop(machine.command(setting)));
        }
        let rejected = aborted || said.contains("Error parsing config file");
        let mut expected = trace::attempts(&config, case.answer, &loader);
        // On the line, a carriage return in a name cannot be told from the end of the line.
        let names = expected
            .iter_mut()
            .flat_map(|attempt| attempt.retrieved.iter_mut());
        names.for_each(|name| *name = name.replace('\r', ""));
        let found = printed(&said, &config);
        if found != expected
            || rejected != trace::is_given_up(&config, &loader)
            || (said.contains("Enter choice") && !asked)
        {
            wrong.push(format!(
                "--- {:?}, answer {:?}\nexpected {expected:?}\nfound    {found:?}\n{said}",
                case.conf, case.answer
            ));
        }
    }
    for append in cases::appends() {
        let line = CommandLine::of(&append);
        if line.typed().len() > 300 {
            continue;
        }
        let value = line.with(loader.variable);
        // What a person is told to type on the rescue card.
        let typed = machine.command(&format!("setenv t {}\nprintenv t", line.typed()));
        let typed = typed + &machine.wait_for(PROMPT, 30);
        if !typed.replace('\r', "").contains(&format!("\nt={value}\n")) && !value.is_empty() {
            wrong.push(format!(
                "--- typed {}\nexpected {value:?}\nfound    {typed}",
                line.typed()
            ));
        }
        assert_eq!(CommandLine::of(&escape(&value)).text(), Some(value));
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
