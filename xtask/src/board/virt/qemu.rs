//! The machine: which QEMU arguments make the virtual board.
//!
//! Pure: values in, an argument list out. Every path is relative to the board's folder, where QEMU is started:
//! the path of a Unix socket must fit into 107 bytes (unix(7), `sun_path`), and a cache folder may be longer than that.

use super::ports::{LogNetwork, Ports};
use std::path::{Path, PathBuf};

/// Program name of the emulator.
pub const PROGRAM: &str = "qemu-system-aarch64";
/// Raw disk image: GPT, FAT for `/boot/firmware`, ext4 root.
pub const DISK: &str = "disk.img";
/// Second NOR flash, where U-Boot keeps its environment.
pub const FLASH: &str = "flash.img";
/// Size of that flash: what `-M virt` requires of each of its two (QEMU `hw/arm/virt.c`, `VIRT_FLASH` is 2 × 64 MiB).
pub const FLASH_BYTES: u64 = 64 << 20;
/// Control socket.
pub const QMP_SOCKET: &str = "qmp.sock";
/// Serial line: a socket for whoever writes …
pub const SERIAL_SOCKET: &str = "serial.sock";
/// … and a file that QEMU itself appends every byte to, so that the capture outlives this tool.
pub const SERIAL_LOG: &str = "serial.log";
/// Name of the serial line inside QEMU, for `chardev-send-break`.
pub const SERIAL_ID: &str = "serial";
/// Where QEMU writes its process id.
pub const PID_FILE: &str = "qemu.pid";

/// Hardware address of the board's second network card, which is netconsole's alone.
pub const LOG_MAC: &str = "52:54:00:6c:6f:67";

/// Port of the board where nothing listens: discard (RFC 863), which Debian does not have.
const CLOSED_PORT: u16 = 9;

/// Everything that differs from one start to the next. *Architecture invariant:* nothing in here may change the device
/// tree that QEMU makes; the tree on the disk was dumped once, from these same arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// U-Boot, absolute.
    pub firmware: PathBuf,
    /// The board's folder, absolute. It is in the arguments (`-pidfile`) so that a process can be told from another one
    /// that got the same id later.
    pub folder: PathBuf,
    /// Ports on 127.0.0.1 that lead to the board.
    pub ports: Ports,
    /// Record every write and flush of the disk, in order, into this file (absolute; the kernel's dm-log-writes format).
    pub write_log: Option<PathBuf>,
}

impl Machine {
    /// Arguments of a run: QEMU goes into the background once the machine exists, and fails before that if it
    /// cannot.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = self.hardware("");
        arguments.extend(["-daemonize".into(), "-pidfile".into(), text(&self.pid_file())]);
        arguments
    }

    /// Arguments that write the machine's own device tree to `file` and end. The same hardware as a run, word for word.
    pub fn dump_tree(&self, file: &Path) -> Vec<String> {
        self.hardware(&format!(",dumpdtb={}", option_value(file)))
    }

    /// The file with QEMU's process id, absolute.
    pub fn pid_file(&self) -> PathBuf {
        self.folder.join(PID_FILE)
    }

    fn hardware(&self, machine_suffix: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |option: &str, value: String| words.extend([option.to_string(), value]);
        add("-M", format!("virt,gic-version=3{machine_suffix}"));
        // No pointer authentication, which costs more than anything else when it is emulated.
        add("-cpu", "cortex-a76".into());
        add("-smp", "2".into());
        add("-m", "1G".into());
        add("-accel", "tcg,thread=multi,tb-size=256".into());
        add("-rtc", "base=utc,clock=host".into());
        add("-bios", text(&self.firmware));
        add("-drive", format!("if=pflash,unit=1,format=raw,file={FLASH}"));
        self.disk(&mut add);
        // Nothing listens beyond loopback, and the guest reaches nothing outside (restrict).
        let forward = |host: u16, guest: u16| format!("hostfwd=tcp:127.0.0.1:{host}-10.0.2.15:{guest}");
        let (ssh, closed) = (
            forward(self.ports.ssh, 22),
            forward(self.ports.closed, CLOSED_PORT),
        );
        add("-netdev", format!("user,id=net,restrict=on,{ssh},{closed}"));
        // romfile= : network boot firmware is in a package that nobody needs for this.
        add("-device", "virtio-net-pci,netdev=net,romfile=".into());
        add("-device", "virtio-rng-pci".into());
        add("-device", "i6300esb".into());
        add("-action", "watchdog=reset".into());
        add("-qmp", format!("unix:{QMP_SOCKET},server=on,wait=off"));
        let log = format!("logfile={SERIAL_LOG},logappend=on");
        add(
            "-chardev",
            format!("socket,id={SERIAL_ID},path={SERIAL_SOCKET},server=on,wait=off,{log}"),
        );
        add("-serial", format!("chardev:{SERIAL_ID}"));
        add("-display", "none".into());
        // Last: what is on PCI is none of the device tree, and the others keep their places.
        if let Some(LogNetwork { machine, host }) = self.ports.log {
            let end = |which: &str, port: u16| {
                format!("{which}.type=inet,{which}.host=127.0.0.1,{which}.port={port}")
            };
            let (local, remote) = (end("local", machine), end("remote", host));
            add("-netdev", format!("dgram,id=log,{local},{remote}"));
            let card = format!("virtio-net-pci,netdev=log,mac={LOG_MAC},romfile=");
            add("-device", card);
        }
        words.extend(["-nodefaults".into(), "-no-user-config".into()]);
        words
    }

    /// The disk: write-back, so that what the guest has not flushed is lost by a power cut, as on a real board.
    fn disk(&self, add: &mut impl FnMut(&str, String)) {
        let file = format!("driver=file,filename={DISK},node-name=disk-file");
        add("-blockdev", file);
        let (on, merging) = match &self.write_log {
            None => ("disk-file", ""),
            Some(log) => {
                let sink = format!("log.driver=file,log.filename={}", option_value(log));
                let filter = "driver=blklogwrites,node-name=disk-log,file=disk-file";
                add("-blockdev", format!("{filter},{sink},log-sector-size=512"));
                // The disk puts requests together until they have as many parts as one pwritev(2) of the host takes (IOV_MAX); the log puts
                // its own before them, and the guest would get an I/O error.
                ("disk-log", ",request-merging=off")
            }
        };
        add("-blockdev", format!("driver=raw,node-name=disk,file={on}"));
        add("-device", format!("virtio-blk-pci,drive=disk{merging}"));
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A path inside a comma-separated option: QEMU reads `,,` as one comma.
fn option_value(path: &Path) -> String {
    text(path).replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            firmware: "/usr/lib/u-boot/qemu_arm64/u-boot.bin".into(),
            folder: "/cache/boards/virtual".into(),
            ports: Ports {
                ssh: 2222,
                closed: 2223,
                log: Some(LogNetwork {
                    machine: 2224,
                    host: 2225,
                }),
            },
            write_log: None,
        }
    }

    /// The values that follow an option.
    fn values<'a>(arguments: &'a [String], option: &str) -> Vec<&'a str> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn the_tree_is_dumped_from_the_hardware_of_a_run() {
        let run = machine().arguments();
        let dump = machine().dump_tree(Path::new("/tmp/a,b.dtb"));
        assert_eq!(values(&dump, "-M"), ["virt,gic-version=3,dumpdtb=/tmp/a,,b.dtb"]);
        let dumped = dump.iter().map(|word| word.replace(",dumpdtb=/tmp/a,,b.dtb", ""));
        assert!(run.starts_with(&dumped.collect::<Vec<_>>()), "{run:?}");
    }

    #[test]
    fn nothing_listens_beyond_loopback_and_the_guest_reaches_nothing() {
        let arguments = machine().arguments();
        let network = values(&arguments, "-netdev");
        assert_eq!(
            network,
            [
                "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22,\
                 hostfwd=tcp:127.0.0.1:2223-10.0.2.15:9",
                "dgram,id=log,local.type=inet,local.host=127.0.0.1,local.port=2224,\
                 remote.type=inet,remote.host=127.0.0.1,remote.port=2225"
            ]
        );
        for socket in values(&arguments, "-qmp")
            .iter()
            .chain(&values(&arguments, "-chardev"))
        {
            assert!(socket.contains("unix:") || socket.contains("path="), "{socket}");
        }
        assert!(arguments.contains(&"-nodefaults".to_string()));
    }

    #[test]
    fn sockets_fit_whatever_the_cache_folder_is_called() {
        for socket in [QMP_SOCKET, SERIAL_SOCKET] {
            assert!(Path::new(socket).is_relative() && socket.len() < 32);
        }
    }

    #[test]
    fn a_power_cut_may_lose_what_was_not_flushed() {
        let arguments = machine().arguments().join(" ");
        assert!(
            !arguments.contains("unsafe") && !arguments.contains("no-flush"),
            "{arguments}"
        );
    }

    #[test]
    fn a_write_log_sits_between_the_disk_and_its_file() {
        let machine = Machine {
            write_log: Some("/tmp/w,x.log".into()),
            ..machine()
        };
        let arguments = machine.arguments();
        let drives = values(&arguments, "-blockdev");
        assert!(
            drives[1].contains("driver=blklogwrites") && drives[1].contains("log.filename=/tmp/w,,x.log")
        );
        assert_eq!(drives[2], "driver=raw,node-name=disk,file=disk-log");
        let devices = values(&arguments, "-device");
        assert!(devices.contains(&"virtio-blk-pci,drive=disk,request-merging=off"));
    }

    #[test]
    fn the_watchdog_resets() {
        let arguments = machine().arguments();
        assert!(values(&arguments, "-device").contains(&"i6300esb"));
        assert_eq!(values(&arguments, "-action"), ["watchdog=reset"]);
    }
}
