//! What boot methods have to know of a board, looked at while vanilla runs.

use super::uboot_env;
use crate::board::extlinux::{Behaviour, CommandLine, Config};
use crate::board::protected::Protected;
use crate::board::{Board, script};
use anyhow::{Context, Result};
use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Situation {
    /// There is a serial line, and it can be written.
    pub serial: bool,
    /// What U-Boot does with extlinux.conf when nobody touches the line.
    #[serde(skip)]
    pub behaviour: Behaviour,
    /// What kexec needs.
    pub kexec: Kexec,
    /// pstore is backed by ramoops.
    pub ramoops_armed: bool,
    /// The running device tree reserves a ramoops region.
    pub ramoops_reserved: bool,
    /// U-Boot's environment as the running system sees it.
    pub environment: Environment,
    /// Block device and file system type of the boot folder.
    pub boot_device: Option<(String, String)>,
}

/// What kexec needs of vanilla.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kexec {
    /// The program is there.
    pub tool: bool,
    /// kexec_file_load(2) is there.
    pub file_load: bool,
    /// What forbids it: lockdown, `kernel.kexec_load_disabled`.
    pub locked: Option<String>,
    /// Variables of U-Boot's in vanilla's `append`, which ours is made from.
    pub variables: Vec<String>,
}

/// U-Boot's environment as fw_printenv(8) reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Environment {
    /// Why it cannot be read.
    pub problem: Option<String>,
    /// Places that `/etc/fw_env.config` names: two are a redundant environment.
    pub copies: usize,
    /// `bootcmd` begins with [`uboot_env::HOOK`].
    pub hooked: bool,
    /// A `pxe_label_override` that is stored.
    pub sticky_label: Option<String>,
    /// The board's description says that U-Boot's built-in defaults were seen to boot vanilla.
    pub defaults_proven: bool,
}

/// One script, so that it costs one connection. Whether the kernel has kexec_file_load(2) is asked of the system call itself, by having nothing
/// unloaded: `kexec -s -l` of a file that is no kernel never gets that far. kexec-tools gives back ENOSYS without a word, and says "failed: …"
/// for what the kernel forbids (its kexec.c, `kexec_file_unload`). What somebody has loaded is left alone; then the kernel's symbols tell
/// (its kernel/kexec_file.c). Files are read by one program, as `path:content`: what is not there has no line.
const LOOK: &str = r#"export LC_ALL=C
for tool in kexec fw_printenv fw_setenv; do command -v $tool >/dev/null && echo "tool=$tool"; done
if command -v kexec >/dev/null; then
    if [ "$(cat /sys/kernel/kexec_loaded 2>/dev/null)" = 1 ]; then
        grep -q ' kexec_add_buffer$' /proc/kallsyms && echo file_load=1
    elif said=$(kexec -s -u 2>&1); then
        echo file_load=1
    else
        case $said in *'not implemented'*) ;; *'failed: '*) echo file_load=1 ;; esac
    fi
fi
grep -s '' /proc/sys/kernel/kexec_load_disabled /sys/kernel/security/lockdown /sys/module/pstore/parameters/backend
grep -lszx ramoops /proc/device-tree/reserved-memory/*/compatible
if command -v fw_printenv >/dev/null; then
    if said=$(fw_printenv 2>&1); then
        printf '%s\n' "$said" | sed -n 's/^bootcmd=/bootcmd=/p; s/^pxe_label_override=/sticky=/p'
        echo "copies=$(grep -c '^[[:space:]]*[^#[:space:]]' /etc/fw_env.config)"
    else
        printf 'env_problem=%s\n' "$(printf '%s' "$said" | tail -n1)"
    fi
fi
"#;

const DISABLED: &str = "/proc/sys/kernel/kexec_load_disabled";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const BACKEND: &str = "/sys/module/pstore/parameters/backend";
const RESERVED: &str = "/proc/device-tree/reserved-memory/";

impl Situation {
    /// Looks at the board. Changes nothing.
    pub fn of(board: &dyn Board, protected: &Protected, config: &Config) -> Result<Self> {
        let looking = Self::looking(protected)?;
        let text = script::ask(board, "looking at what boot methods need", &looking, script::LOOK)?.text();
        Ok(Self::from(board, protected, &text, config))
    }

    /// The script of [`Situation::of`], for one that asks more than this.
    pub(super) fn looking(protected: &Protected) -> Result<String> {
        let folder = protected
            .extlinux
            .parent()
            .context("extlinux.conf has no folder")?;
        // Last, since its answer is the last line of all.
        Ok(format!(
            "{LOOK}df --output=source,fstype {} || :\n",
            script::word(folder)?
        ))
    }

    /// What the answer to [`Situation::looking`] tells.
    pub(super) fn from(board: &dyn Board, protected: &Protected, answer: &str, config: &Config) -> Self {
        let mut situation = Self::read(
            answer,
            board.serial().is_some(),
            config.behaviour(),
            board.description().environment_defaults_boot_vanilla,
        );
        let vanilla = CommandLine::of(&protected.append);
        situation.kexec.variables = vanilla.variables().into_iter().map(String::from).collect();
        situation
    }

    pub(super) fn read(text: &str, serial: bool, behaviour: Behaviour, defaults_proven: bool) -> Self {
        let fields = script::fields(text);
        let get = |key: &str| fields.get(key).copied().unwrap_or_default();
        let tool = |name: &str| text.lines().any(|line| line.strip_prefix("tool=") == Some(name));
        let problem = match get("env_problem") {
            _ if !tool("fw_printenv") || !tool("fw_setenv") => {
                Some("fw_printenv and fw_setenv are not there (package libubootenv-tool)".to_string())
            }
            "" => None,
            words => Some(words.to_string()),
        };
        let file = |path: &str| {
            let mut lines = text.lines();
            lines
                .find_map(|line| line.strip_prefix(path)?.strip_prefix(':'))
                .unwrap_or_default()
        };
        let locked = match (file(DISABLED), file(LOCKDOWN)) {
            ("1", _) => Some("kernel.kexec_load_disabled is 1".to_string()),
            (_, lockdown) if lockdown.contains("[integrity]") || lockdown.contains("[confidentiality]") => {
                Some(format!("lockdown is on: {lockdown}"))
            }
            _ => None,
        };
        let mut boot = text.lines().last().unwrap_or_default().split_whitespace();
        let boot_device = match (boot.next(), boot.next()) {
            (Some(device), Some(kind)) if device.starts_with("/dev/") => {
                Some((device.to_string(), kind.to_string()))
            }
            _ => None,
        };
        Situation {
            serial,
            behaviour,
            kexec: Kexec {
                tool: tool("kexec"),
                file_load: get("file_load") == "1",
                locked,
                variables: Vec::new(),
            },
            ramoops_armed: file(BACKEND) == "ramoops",
            ramoops_reserved: text
                .lines()
                .any(|line| line.starts_with(RESERVED) && line.ends_with("/compatible")),
            environment: Environment {
                problem,
                copies: get("copies").parse().unwrap_or(0),
                hooked: get("bootcmd").starts_with(uboot_env::HOOK.trim_end()),
                sticky_label: Some(get("sticky").to_string()).filter(|label| !label.is_empty()),
                defaults_proven,
            },
            boot_device,
        }
    }

    /// A board on which every method can be used.
    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Situation {
            serial: true,
            behaviour: Config::parse(b"prompt 1\ntimeout 30\nlabel a\nkernel /a\n").behaviour(),
            kexec: Kexec {
                tool: true,
                file_load: true,
                locked: None,
                variables: Vec::new(),
            },
            ramoops_armed: true,
            ramoops_reserved: true,
            environment: Environment {
                problem: None,
                copies: 2,
                hooked: true,
                sticky_label: None,
                defaults_proven: false,
            },
            boot_device: Some(("/dev/vda1".into(), "vfat".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Situation {
        let behaviour = Situation::for_tests().behaviour;
        Situation::read(text, true, behaviour, false)
    }

    #[test]
    fn what_a_board_says_is_read() {
        let seen = read(
            "tool=kexec\ntool=fw_printenv\ntool=fw_setenv\nfile_load=1\n/proc/sys/kernel/kexec_load_disabled:0\n\
             /sys/kernel/security/lockdown:[none] integrity confidentiality\n/sys/module/pstore/parameters/backend:ramoops\n\
             /proc/device-tree/reserved-memory/ramoops@47e00000/compatible\nbootcmd=bootflow scan\ncopies=2\n\
             Filesystem     Type\n/dev/vda1      vfat\n",
        );
        assert!(seen.kexec.tool && seen.kexec.file_load && seen.kexec.locked.is_none());
        assert!(seen.ramoops_armed && seen.ramoops_reserved);
        assert_eq!(seen.boot_device, Some(("/dev/vda1".into(), "vfat".into())));
        assert_eq!((seen.environment.copies, seen.environment.problem), (2, None));
    }

    #[test]
    fn what_is_not_there_has_no_line() {
        let seen = read("Filesystem     Type\noverlay        overlay\n");
        assert!(!seen.kexec.tool && !seen.ramoops_armed && !seen.ramoops_reserved);
        assert_eq!((seen.boot_device, seen.kexec.locked), (None, None));
        assert!(seen.environment.problem.is_some());
    }

    #[test]
    fn what_forbids_kexec_is_told() {
        let locked = |line: &str| read(&format!("{line}\n/dev/vda1 ext4\n")).kexec.locked;
        assert!(locked("/proc/sys/kernel/kexec_load_disabled:1").is_some());
        assert!(locked("/sys/kernel/security/lockdown:none [integrity] confidentiality").is_some());
        assert!(locked("/sys/kernel/security/lockdown:[none] integrity confidentiality").is_none());
    }
}
