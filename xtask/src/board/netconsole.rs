//! netconsole on a board: whether its network can carry it, and set up through configfs, a module's parameter, or for the next boot of a
//! slot on the command line.
//!
//! What it cannot: a panic's own words, where the panic reboots (`panic=10`). As of Linux 7.3 its console is printed by a thread, and in a panic
//! only at the end of one that does not reboot (drivers/net/netconsole.c: `CON_NBCON_ATOMIC_UNSAFE`; kernel/panic.c: `vpanic()`). Everything up
//! to there comes: a splat, a warning, the way down. The panic is in pstore and on the serial line.
//!
//! Source: Documentation/networking/netconsole.rst.

mod receiver;

pub use receiver::{Armed, Wire, arm};

use super::{Board, quote, script};
use crate::capture::source::Source;
use crate::host::identity::Identity;
use crate::host::one_line::one_line;
use anyhow::{Result, bail, ensure};
use serde::Serialize;
use std::net::Ipv4Addr;

/// Port of the receiver (the default of netconsole.rst).
pub const PORT: u16 = 6666;
/// Port that the board sends from (the same).
const FROM_PORT: u16 = 6665;
/// Our target in configfs.
const TARGET: &str = "/sys/kernel/config/netconsole/lockstep";
/// That the module was loaded by us, until the board's next boot: its parameter cannot be read back.
const LOADED_BY_US: &str = "/run/lockstep-netconsole";
/// Takes the module away that we loaded; somebody else's stays.
const UNLOAD: &str = "if [ -e /run/lockstep-netconsole ]; then
    [ ! -e /sys/module/netconsole/initstate ] || modprobe -r netconsole || exit 1
    rm /run/lockstep-netconsole
fi";

/// The network that the packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The one that the board reaches this host by: the board is asked for its interface and addresses.
    Shared {
        /// Address of this host; none: where the board sees the connection of ssh come from.
        host: Option<Ipv4Addr>,
        /// Port of the receiver.
        port: u16,
    },
    /// One of its own.
    Own(Own),
}

/// A network that carries nothing else: both ends are known before anybody is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Hardware address of the board's interface.
    pub device: String,
    /// The board's address. The interface need not have it: netpoll writes it into its packets.
    pub from: Ipv4Addr,
    /// The receiver's address.
    pub to: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Its hardware address.
    pub mac: String,
    /// What this host reads.
    pub source: Source,
    /// The receiver ends with this process.
    pub until: Identity,
}

/// The way from a board to this host, as the board sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Path {
    /// Interface of the board.
    pub device: String,
    /// Its address.
    pub from: Ipv4Addr,
    /// Where the receiver listens.
    pub to: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Hardware address of this host, or of the gateway before it.
    pub mac: String,
}

impl Path {
    /// The value of the parameter `netconsole=`, extended format.
    pub fn parameter(&self) -> String {
        format!(
            "+{FROM_PORT}@{}/{},{}@{}/{}",
            self.from, self.device, self.port, self.to, self.mac
        )
    }
}

/// What a board said of its network and its kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Situation {
    /// The way, where there is one over IPv4.
    pub path: Option<Path>,
    /// Why the interface cannot carry it: netpoll needs a driver that sends without interrupts, which wireless ones and most virtual ones
    /// do not offer.
    pub unfit: Option<String>,
    /// configfs offers targets.
    pub dynamic: bool,
    /// It is a module that can be loaded.
    pub module: bool,
    /// It is a module, and is loaded.
    pub loaded: bool,
    /// … by us, with our parameter.
    pub loaded_by_us: bool,
    /// It is built in, and only the command line can set it up.
    pub built_in: bool,
    /// Consoles get every message (`ignore_loglevel`): a number that is missing was lost.
    pub everything: bool,
}

/// How it can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// configfs, now.
    Configfs,
    /// `modprobe` with a parameter, now.
    Module,
    /// The command line of the next boot.
    CommandLine,
}

impl Network {
    /// The script that looks for the way to `to`, this host's address on it.
    fn looking(&self, to: Ipv4Addr) -> String {
        let way = match self {
            Network::Shared { .. } => shared_way(to),
            Network::Own(own) => own_way(own),
        };
        format!("export LC_ALL=C\n{way}{LOOKING}")
    }

    fn port(&self) -> u16 {
        match self {
            Network::Shared { port, .. } => *port,
            Network::Own(own) => own.port,
        }
    }
}

/// The neighbour's hardware address is there once something was sent to it.
fn shared_way(to: Ipv4Addr) -> String {
    format!(
        r#"route=$(ip -4 -o route get {to} 2>/dev/null | head -n1)
set -- $route
while [ $# -gt 1 ]; do
    case $1 in via) via=$2 ;; dev) dev=$2 ;; src) src=$2 ;; esac
    shift
done
echo "device=$dev"
echo "from=$src"
ping -c1 -W1 "${{via:-{to}}}" >/dev/null 2>&1
echo "mac=$(ip -4 neigh show "${{via:-{to}}}" dev "$dev" 2>/dev/null | sed -n 's/.*lladdr \([0-9a-f:]*\).*/\1/p' | head -n1)"
"#
    )
}

/// The interface by its hardware address: kernels and user lands name it as they like.
fn own_way(own: &Own) -> String {
    let Own {
        device, from, mac, ..
    } = own;
    format!(
        r#"for at in /sys/class/net/*/address; do
    read -r address <"$at" && [ "$address" = {} ] || continue
    dev=${{at%/address}} dev=${{dev##*/}}
done
echo "device=$dev"
echo "from={from}"
echo "mac={}"
"#,
        quote(device),
        quote(mac)
    )
}

/// What the interface and the kernel can do. What configfs makes needless is not asked: on an emulated board with a debug kernel each program
/// costs a tenth of a second.
const LOOKING: &str = r#"[ -e "/sys/class/net/$dev/wireless" ] || [ -e "/sys/class/net/$dev/phy80211" ] && echo unfit=wireless
[ -e "/sys/class/net/$dev/tun_flags" ] && echo "unfit=a tun or tap device"
[ "$dev" = lo ] && echo "unfit=loopback"
[ -d /sys/kernel/config/netconsole ] || {
    [ -d /sys/kernel/config ] && { mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config; }
} 2>/dev/null
if [ -d /sys/kernel/config/netconsole ]; then
    echo dynamic=1
else
    [ -n "$(modprobe -n -v netconsole 2>/dev/null)" ] && echo module=1
    [ -d /sys/module/netconsole ] && [ ! -e /sys/module/netconsole/initstate ] && echo built_in=1
fi
[ -e /sys/module/netconsole/initstate ] && echo loaded=1
[ -e /run/lockstep-netconsole ] && echo loaded_by_us=1
{ read -r everything </sys/module/printk/parameters/ignore_loglevel; } 2>/dev/null && [ "$everything" = Y ] && echo everything=1
true
"#;

impl Situation {
    /// Asks the board for its way to `to`, this host. Mounts configfs where it is not; changes nothing else.
    pub fn of(board: &dyn Board, network: &Network, to: Ipv4Addr) -> Result<Self> {
        let doing = "looking at the board's network";
        let said = script::ask(board, doing, &network.looking(to), script::LOOK)?.text();
        Ok(Self::read(&said, to, network.port()))
    }

    fn read(said: &str, to: Ipv4Addr, port: u16) -> Self {
        let fields = script::fields(said);
        let get = |key: &str| fields.get(key).copied().unwrap_or_default().trim();
        let mac = get("mac");
        let plain = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.:@".contains(c))
        };
        let path = match get("from").parse() {
            Ok(from) if plain(get("device")) && mac.split(':').count() == 6 => Some(Path {
                device: get("device").to_string(),
                from,
                to,
                port,
                mac: mac.to_string(),
            }),
            _ => None,
        };
        Situation {
            path,
            unfit: Some(get("unfit").to_string()).filter(|why| !why.is_empty()),
            dynamic: get("dynamic") == "1",
            module: get("module") == "1",
            loaded: get("loaded") == "1",
            loaded_by_us: get("loaded_by_us") == "1",
            built_in: get("built_in") == "1",
            everything: get("everything") == "1",
        }
    }

    /// How it can be set up here. Errors: it cannot, with what is missing.
    pub fn way(&self) -> Result<(Way, &Path)> {
        let Some(path) = &self.path else {
            bail!(
                "the board has no way over IPv4 to the receiver, or did not learn the hardware address on that way: name an address of \
                 this host that it can reach (--host, or `host` of [netconsole] in the board's file)"
            )
        };
        if let Some(why) = &self.unfit {
            bail!(
                "the board reaches this host over {} ({why}), whose driver cannot send while interrupts are off, as netconsole has to: \
                 connect it by cable, or capture its serial line",
                path.device
            )
        }
        let way = match self {
            // A target of configfs beside the parameter's would send everything twice.
            Situation {
                loaded: true,
                loaded_by_us: true,
                ..
            } => Way::Module,
            Situation { dynamic: true, .. } => Way::Configfs,
            Situation { module: true, .. } => Way::Module,
            Situation { built_in: true, .. } => Way::CommandLine,
            Situation { loaded: true, .. } => bail!(
                "the module netconsole is loaded already, by somebody else, and takes a way only when it is loaded: unload it on the board \
                 (`modprobe -r netconsole`) if nobody needs what it sends"
            ),
            _ => {
                bail!(
                    "the kernel that runs has no netconsole: NETCONSOLE and, to set it up at any time, NETCONSOLE_DYNAMIC"
                )
            }
        };
        Ok((way, path))
    }
}

/// Sets it up now, and writes `word` to the kernel's log as its first message. What is left if this dies half-way: a target that is off, or on.
/// Errors: the kernel refused (a driver without netpoll is told by it alone), in its words.
fn set_up(board: &dyn Board, way: Way, path: &Path, word: &str) -> Result<()> {
    let script = match way {
        Way::Configfs => configfs(path),
        Way::Module => module(path),
        Way::CommandLine => bail!(
            "netconsole is built in without configfs: it can only be set up by the command line, `netconsole={}`; the receiver goes on and \
             waits for that boot",
            path.parameter()
        ),
    };
    // Level 1 (alert): above what `quiet` hides.
    let script = format!("{script} || exit 1\necho '<1>{word}' >/dev/kmsg\n");
    let done = board.run(&script, script::LOOK)?;
    ensure!(
        done.status.success(),
        "the kernel does not take netconsole over {}: {}",
        path.device,
        one_line(String::from_utf8_lossy(&done.stderr).trim())
    );
    Ok(())
}

/// Whether the parameter's target is on, newer kernels say in configfs; those with configfs load without it and tell why in their log alone
/// (drivers/net/netconsole.c: `init_netconsole()`).
fn module(path: &Path) -> String {
    format!(
        r#"export LC_ALL=C
fail() {{ dmesg | grep -i -e netpoll -e netconsole | tail -n 3 >&2; exit 1; }}
{UNLOAD}
touch {LOADED_BY_US} || exit 1
modprobe netconsole netconsole={} || fail
on=/sys/kernel/config/netconsole/cmdline0/enabled
[ ! -e $on ] || [ "$(cat $on)" = 1 ] || fail"#,
        quote(&path.parameter())
    )
}

/// Attributes can be written only while the target is off (netconsole.rst, "Dynamic reconfiguration").
fn configfs(path: &Path) -> String {
    let mut script = format!(
        "export LC_ALL=C\n[ -d {TARGET} ] || mkdir -p {TARGET}\ncd {TARGET} || exit 1\nread -r on <enabled\n[ \"$on\" = 0 ] || echo 0 >enabled\nset -e\n"
    );
    for (name, value) in [
        ("extended", "1".to_string()),
        ("dev_name", path.device.clone()),
        ("local_port", FROM_PORT.to_string()),
        ("local_ip", path.from.to_string()),
        ("remote_ip", path.to.to_string()),
        ("remote_port", path.port.to_string()),
        ("remote_mac", path.mac.clone()),
    ] {
        script.push_str(&format!("echo {} >{name}\n", quote(&value)));
    }
    script.push_str(
        "echo 1 >enabled || { dmesg | grep -i netpoll | tail -n 2 >&2; exit 1; }\nread -r on <enabled\n[ \"$on\" = 1 ]",
    );
    script
}

/// Takes it away again.
pub fn take_away(board: &dyn Board) -> Result<()> {
    let script = format!(
        "if [ -d {TARGET} ]; then echo 0 >{TARGET}/enabled 2>/dev/null; rmdir {TARGET}; fi\n\
         {UNLOAD}\n"
    );
    script::ask(board, "taking netconsole away", &script, script::LOOK).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRED: &str = "device=end0\nfrom=192.168.1.7\nmac=aa:bb:cc:dd:ee:ff\n";

    fn situation(more: &str) -> Situation {
        Situation::read(&format!("{WIRED}{more}"), Ipv4Addr::new(192, 168, 1, 2), 6666)
    }

    #[test]
    fn the_best_way_is_taken() {
        for (said, way) in [
            ("dynamic=1\nmodule=1\n", Way::Configfs),
            ("module=1\n", Way::Module),
            ("built_in=1\n", Way::CommandLine),
            ("dynamic=1\nloaded=1\n", Way::Configfs),
            ("dynamic=1\nloaded=1\nloaded_by_us=1\n", Way::Module),
            ("loaded=1\nloaded_by_us=1\n", Way::Module),
            // The mark of a load that failed.
            ("module=1\nloaded_by_us=1\n", Way::Module),
        ] {
            assert_eq!(situation(said).way().unwrap().0, way, "{said}");
        }
        let parameter = situation("").path.unwrap().parameter();
        assert_eq!(
            parameter,
            "+6665@192.168.1.7/end0,6666@192.168.1.2/aa:bb:cc:dd:ee:ff"
        );
    }

    /// Both scripts run to their end where little is there, and say what [`Situation::read`] understands.
    #[test]
    fn the_board_is_asked_in_plain_shell() {
        let to = Ipv4Addr::LOCALHOST;
        let own = Network::Own(Own {
            device: "52:54:00:6c:6f:67".into(),
            from: Ipv4Addr::new(192, 0, 2, 1),
            to,
            port: PORT,
            mac: "aa:bb:cc:dd:ee:ff".into(),
            source: Source::Udp {
                at: "127.0.0.1:1".parse().unwrap(),
                from: "127.0.0.1".parse().unwrap(),
            },
            until: Identity::of(std::process::id()).unwrap(),
        });
        let shared = Network::Shared { host: None, port: 1 };
        for network in [own, shared] {
            // No mounting on the machine that runs the tests.
            let script = network.looking(to).replace("mount -t configfs", "false");
            let sh = xshell::Shell::new().unwrap();
            let limit = std::time::Duration::from_secs(60);
            let said = crate::host::process::finish(xshell::cmd!(sh, "sh -c {script}"), limit).unwrap();
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            let text = said.text();
            assert!(text.starts_with("device=") && text.contains("\nfrom="), "{text}");
            assert_eq!(Situation::read(&text, to, 1).path, None, "{text}");
        }
    }

    #[test]
    fn what_cannot_carry_it_is_refused_before_anything_is_set_up() {
        let check = |said: &str, words: &str| {
            let error = situation(said).way().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("dynamic=1\nunfit=wireless\n", "over end0 (wireless)");
        check("", "has no netconsole");
        check("loaded=1\n", "by somebody else");
        check("from=\ndynamic=1\n", "no way over IPv4");
        check("mac=\ndynamic=1\n", "no way over IPv4");
        check("device=x;reboot\ndynamic=1\n", "no way over IPv4");
    }
}
