//! Pre-flight (plan 0.1 to 0.5 and what people learned the hard way): looks at a board, changes nothing except for one line in the
//! pmsg record, and says what passes, what warns and what fails, with the reason and the fix.

mod rules;

use super::backup;
use super::protected::Protected;
use super::{Board, script};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// Row of the plan (`0.1`) or a name.
    pub id: String,
    /// What is checked.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// What was seen.
    pub reason: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Pass,
    /// A campaign may start, and somebody should know this.
    Warning,
    /// No campaign on this board as it is.
    Fail,
}

/// A capture of which something was seen to work (invariant 9). Only [`run`] gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProvenCapture {
    /// Bytes of the board were seen in the serial log.
    serial: bool,
    /// A ramoops region is registered with pstore.
    ramoops: bool,
}

impl ProvenCapture {
    /// Whether the serial line is captured.
    pub fn serial(self) -> bool {
        self.serial
    }

    /// Whether ramoops keeps what the kernel says across a reset. That a record survives is proven by a deliberate crash, which
    /// is not done here.
    pub fn ramoops(self) -> bool {
        self.ramoops
    }
}

/// What pre-flight found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Every check, in the plan's order.
    pub checks: Vec<Check>,
    /// The captures that work; none without at least one of them.
    pub capture: Option<ProvenCapture>,
    /// Users that are logged in.
    pub logged_in: Vec<String>,
    /// pstore records that lie on the board already, by file name.
    pub pstore_records: Vec<String>,
}

impl Report {
    /// Whether a campaign may start.
    pub fn may_start(&self) -> bool {
        self.capture.is_some() && self.checks.iter().all(|check| check.status != Status::Fail)
    }
}

/// Whether the backups were made and read back.
pub enum Backup<'a> {
    /// They were, just now.
    Verified(&'a backup::Verified),
    /// They were not; why.
    Missing(String),
}

/// Runs every check. Writes a line to the kernel log of the board, so that the serial capture can be seen to work, and one to
/// `/dev/pmsg0`; nothing else.
pub fn run(
    board: &dyn Board,
    protected: &Protected,
    backup: Backup,
    needed_boot_bytes: u64,
) -> Result<Report> {
    let word = format!("lockstep-preflight-{}", super::deploy::Nonce::fresh()?.as_str());
    let serial_before = serial_length(board);
    let script = gather_script(protected, &word)?;
    let text = script::ask(board, "looking at the board", &script, script::LOOK)?.text();
    let facts = Facts::of(&text);
    let serial = serial_sees(board, serial_before, &word);
    let logged_in = facts.all("who");
    let records = facts.all("record");
    let host_now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let capture = rules::capture(&facts, serial);
    let mut checks = vec![rules::auto_login(&facts), rules::backup(&backup)];
    checks.extend(rules::pstore(&facts));
    checks.push(rules::serial(board.serial().is_some(), serial, &facts));
    checks.push(rules::some_capture(capture));
    checks.push(rules::boot_folder(&facts, needed_boot_bytes));
    checks.push(rules::root_space(&facts));
    checks.push(rules::clock(&facts, host_now));
    checks.push(rules::panic(&facts));
    checks.push(rules::watchdog(&facts));
    checks.push(rules::tools(&facts));
    checks.extend(rules::extlinux(protected));
    Ok(Report {
        checks,
        capture,
        logged_in,
        pstore_records: records,
    })
}

/// `key=value` lines, some keys more than once.
pub(super) struct Facts<'a> {
    lines: Vec<(&'a str, &'a str)>,
    first: BTreeMap<&'a str, &'a str>,
}

impl<'a> Facts<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let first = lines.iter().rev().copied().collect();
        Facts { lines, first }
    }

    fn get(&self, key: &str) -> &'a str {
        self.first.get(key).copied().unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).trim().parse().ok()
    }

    fn all(&self, key: &str) -> Vec<String> {
        self.lines
            .iter()
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value.to_string())
            .collect()
    }
}

fn gather_script(protected: &Protected, word: &str) -> Result<String> {
    let boot = protected.image.parent().unwrap_or(&protected.boot_mount);
    let (boot, modules) = (script::word(boot)?, script::word(&protected.modules)?);
    Ok(format!(
        r#"export LC_ALL=C
boot={boot}
modules={modules}
word={word}
for file in /etc/sddm.conf /etc/sddm.conf.d/*.conf; do
    [ -f "$file" ] || continue
    user=$(awk '/^[[:space:]]*\[/ {{ s = tolower($0) }} s ~ /\[autologin\]/ && /^[[:space:]]*User[[:space:]]*=/ {{ sub(/^[^=]*=[[:space:]]*/, ""); u = $0 }} END {{ print u }}' "$file")
    if [ -n "$user" ]; then printf 'autologin=%s: %s\n' "$file" "$user"; fi
done
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
printf 'clock=%s\n' "$(date +%s)"
for key in panic panic_on_oops sysrq softlockup_panic hung_task_panic; do
    printf 'kernel_%s=%s\n' $key "$(cat /proc/sys/kernel/$key 2>/dev/null)"
done
for dog in /sys/class/watchdog/watchdog*; do
    [ -d "$dog" ] || continue
    printf 'watchdog=%s %s %s timeout %s\n' "${{dog##*/}}" "$(cat "$dog/identity" 2>/dev/null)" "$(cat "$dog/state" 2>/dev/null)" "$(cat "$dog/timeout" 2>/dev/null)"
done
printf 'runtime_watchdog=%s\n' "$(systemctl show -p RuntimeWatchdogUSec --value 2>/dev/null)"
for tool in tar zstd sha256sum depmod realpath stat find xargs awk od sync; do
    command -v $tool >/dev/null || printf 'missing=%s\n' $tool
done
printf 'cmdline=%s\n' "$(cat /proc/cmdline)"
who 2>/dev/null | sed 's/^/who=/'
# Level 1 (alert): above what `quiet` hides, and not one that journald sends to every terminal.
if [ -w /dev/kmsg ]; then printf '<1>%s\n' "$word" >/dev/kmsg; fi
echo end=1
"#
    ))
}

fn serial_length(board: &dyn Board) -> u64 {
    board
        .serial()
        .and_then(|line| std::fs::metadata(line.log()).ok())
        .map_or(0, |metadata| metadata.len())
}

/// Whether the word that was written to the kernel log came out of the serial line. A whole line at 1,500,000 baud takes
/// less than a millisecond; an emulated board may take a second.
fn serial_sees(board: &dyn Board, from: u64, word: &str) -> bool {
    let Some(line) = board.serial() else { return false };
    for _ in 0..50 {
        if tail(&line.log(), from).is_ok_and(|text| text.contains(word)) {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    false
}

fn tail(log: &std::path::Path, from: u64) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
