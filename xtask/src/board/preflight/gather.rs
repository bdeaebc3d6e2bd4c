//! What pre-flight asks a board, in one script, and its answer taken apart.

use super::super::protected::Protected;
use super::super::{Description, quote, script};
use anyhow::Result;

/// The script. It writes one line to the kernel log and one to `/dev/pmsg0`, and nothing else.
pub(super) fn script(protected: &Protected, board: &Description, word: &str) -> Result<String> {
    let boot = protected.image.parent().unwrap_or(&protected.boot_mount);
    let services: Vec<String> = board.services.iter().map(|name| quote(name)).collect();
    let services = services.join(" ");
    let backup = script::word(&board.backup_folder)?;
    let (boot, modules) = (script::word(boot)?, script::word(&protected.modules)?);
    Ok(format!(
        r#"export LC_ALL=C
boot={boot}
modules={modules}
word={word}
awk '$2 == "/sys/fs/pstore" {{ print "pstore=" $4 }}' /proc/mounts
printf 'pstore_backend=%s\n' "$(cat /sys/module/pstore/parameters/backend 2>/dev/null)"
for size in mem_size record_size console_size pmsg_size; do
    printf 'ramoops_%s=%s\n' $size "$(cat /sys/module/ramoops/parameters/$size 2>/dev/null)"
done
for file in /sys/fs/pstore/* /var/lib/systemd/pstore/* /var/lib/systemd/pstore/*/*; do
    if [ -f "$file" ]; then printf 'record=%s\n' "$file"; fi
done
if [ -c /dev/pmsg0 ] && echo "$word" >/dev/pmsg0; then echo pmsg=yes; fi
printf 'boot_source=%s\n' "$(df -B1 --output=fstype,avail,target "$boot" | tail -n1)"
printf 'boot_options=%s\n' "$(awk -v m="$(stat -c %m "$boot")" '$2 == m {{ o = $4 }} END {{ print o }}' /proc/mounts)"
printf 'boot_mount=%s\n' "$(stat -c %m "$boot")"
printf 'root_free=%s\n' "$(df -B1 --output=avail "$modules" | tail -n1)"
# Where the new modules and the backup go; a folder that is not there yet is made on the file system of the first one above it.
for folder in "${{modules%/*}}" {backup}; do
    while [ ! -d "$folder" ] && [ "$folder" != / ]; do folder=$(dirname "$folder"); done
    mount=$(stat -c %m "$folder")
    printf 'written=%s %s\n' "$(awk -v m="$mount" '$2 == m {{ o = $4 }} END {{ print o }}' /proc/mounts)" "$mount"
done
printf 'clock=%s\n' "$(date +%s)"
for key in panic panic_on_oops sysrq softlockup_panic hung_task_panic; do
    printf 'kernel_%s=%s\n' $key "$(cat /proc/sys/kernel/$key 2>/dev/null)"
done
for dog in /sys/class/watchdog/watchdog*; do
    [ -d "$dog" ] || continue
    printf 'watchdog=%s %s %s timeout %s\n' "${{dog##*/}}" "$(cat "$dog/identity" 2>/dev/null)" "$(cat "$dog/state" 2>/dev/null)" "$(cat "$dog/timeout" 2>/dev/null)"
done
printf 'runtime_watchdog=%s\n' "$(systemctl show -p RuntimeWatchdogUSec --value 2>/dev/null)"
for tool in tar zstd sha256sum depmod realpath stat find xargs awk od sync flock; do
    command -v $tool >/dev/null || printf 'missing=%s\n' $tool
done
printf 'cmdline=%s\n' "$(cat /proc/cmdline)"
release=$(uname -r)
config=$(zcat /proc/config.gz 2>/dev/null || cat "/boot/config-$release" "$modules/config" 2>/dev/null || :)
if [ -z "$config" ]; then echo noconfig=yes; fi
for symbol in KEXEC KEXEC_FILE PSTORE PSTORE_RAM PSTORE_CONSOLE PSTORE_PMSG MAGIC_SYSRQ WATCHDOG; do
    printf 'config_%s=%s\n' $symbol "$(printf '%s\n' "$config" | sed -n "s/^CONFIG_$symbol=//p")"
done
printf 'kexec_disabled=%s\n' "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)"
for supply in /sys/class/power_supply/*; do
    [ -d "$supply" ] || continue
    printf 'supply=%s|%s|%s|%s\n' "$(cat "$supply/type" 2>/dev/null)" "$(cat "$supply/online" 2>/dev/null)" "$(cat "$supply/status" 2>/dev/null)" "$(cat "$supply/capacity" 2>/dev/null)"
done
if grep -qi lid /sys/class/input/input*/name 2>/dev/null; then echo lid=yes; fi
printf 'sleep=%s\n' "$(systemctl is-enabled sleep.target 2>/dev/null)"
systemd-inhibit --list --no-legend 2>/dev/null | sed 's/^/inhibitor=/'
# The last field of a module's line is its taint: O is out of tree (kernel/module/procfs.c, `print_unload_info` and `module_flags`).
awk '$NF ~ /^\(.*O.*\)$/ {{ print "out_of_tree=" $1 }}' /proc/modules 2>/dev/null
for folder in updates extra dkms; do
    [ -d "$modules/$folder" ] && find "$modules/$folder" -name '*.ko*' -type f | head -n 20 | sed 's,.*/,external=,'
done
for hook in /etc/kernel/postinst.d/* /etc/kernel/install.d/*.install /usr/lib/kernel/install.d/*.install /etc/initramfs/post-update.d/* \
    /usr/share/libalpm/hooks/*mkinitcpio*.hook /usr/share/libalpm/hooks/*dracut*.hook /etc/pacman.d/hooks/*.hook; do
    if [ -f "$hook" ]; then printf 'hook=%s\n' "$hook"; fi
done
for program in u-boot-update flash-kernel extlinux-update; do command -v $program >/dev/null && printf 'hook=%s\n' "$program"; done
for unit in unattended-upgrades.service apt-daily-upgrade.timer dnf-automatic.timer dnf-automatic-install.timer pamac-cleancache.timer packagekit-offline-update.service; do
    if [ "$(systemctl is-enabled $unit 2>/dev/null)" = enabled ]; then printf 'upgrades=%s\n' $unit; fi
done
for unit in {services}; do printf 'service=%s %s\n' "$unit" "$(systemctl is-active "$unit" 2>/dev/null)"; done
who 2>/dev/null | sed 's/^/who=/'
# Level 1 (alert): above what `quiet` hides, and not one that journald sends to every terminal.
if [ -w /dev/kmsg ]; then printf '<1>%s\n' "$word" >/dev/kmsg; fi
echo end=1
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::file::BoardFile;
    use crate::board::protected::tests::example;
    use crate::host::process;
    use std::time::Duration;
    use xshell::{Shell, cmd};

    #[test]
    fn the_script_runs_to_its_end_where_little_is_there() {
        let mut protected = example();
        protected.image = "/etc/passwd".into();
        protected.modules = "/usr/lib".into();
        let mut board = BoardFile::parse("ampere", include_str!("../../../../boards/ampere.toml"))
            .unwrap()
            .description;
        board.services = vec!["a.service".into(), "b c;d".into()];
        let text = script(&protected, &board, "word").unwrap();
        // Not on the machine that runs the tests.
        let quiet: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains("/dev/kmsg") && !line.contains("/dev/pmsg0"))
            .collect();
        let sh = Shell::new().unwrap();
        let quiet = quiet.join("\n");
        let said = process::finish(cmd!(sh, "sh -c {quiet}"), Duration::from_secs(60)).unwrap();
        let answer = said.text();
        assert!(
            answer.ends_with("end=1"),
            "{answer}\n{}",
            String::from_utf8_lossy(&said.stderr)
        );
        for line in ["boot_mount=/", "service=b c;d ", "clock=", "written="] {
            assert!(
                answer.lines().any(|answer| answer.starts_with(line)),
                "{line}: {answer}"
            );
        }
    }
}
