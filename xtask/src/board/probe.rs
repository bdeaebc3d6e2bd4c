//! Describes a board by looking at it: facts that one script gathers become the text of a board file. Nothing on the board is
//! changed, and nothing that it says is run or followed: what does not fit the form of a board file is left out or refused.

#[cfg(test)]
mod distributions;
mod which_label;

use super::extlinux::Config;
use super::file::BoardFile;
use super::quote;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::Path;

/// Places where U-Boot's distro boot and bootstd look for `extlinux/extlinux.conf`, as distributions mount them.
const PLACES: [&str; 6] = [
    "/boot/firmware/extlinux/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/efi/extlinux/extlinux.conf",
    "/efi/extlinux/extlinux.conf",
    "/extlinux/extlinux.conf",
];

/// What the person said and the board cannot know.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Name of the board.
    pub name: &'a str,
    /// How ssh reaches it.
    pub host: &'a str,
    /// Port, where it is not the configured one.
    pub port: Option<u16>,
    /// The ssh_config that leads there, where it is not the user's own.
    pub config: Option<&'a Path>,
}

/// A board file, and what a person should look at in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The text of the file; [`BoardFile::parse`] takes it.
    pub text: String,
    /// What was not clear.
    pub notes: Vec<String>,
}

/// The script. It needs no root's rights, but says whether it could have them.
pub fn script() -> String {
    let places = PLACES.map(quote).join(" ");
    format!(
        r#"export LC_ALL=C
printf 'machine=%s\n' "$(uname -m)"
printf 'user=%s\n' "$(id -u)"
printf 'release=%s\n' "$(uname -r)"
if sudo -n true 2>/dev/null; then echo sudo=yes; fi
printf 'cmdline=%s\n' "$(cat /proc/cmdline)"
for file in {places}; do
    if content=$(od -An -v -tx1 "$file" 2>/dev/null || sudo -n od -An -v -tx1 "$file" 2>/dev/null); then
        printf 'extlinux=%s %s\n' "$file" "$(printf %s "$content" | tr -d ' \n')"
    fi
done
for dog in /sys/class/watchdog/watchdog*; do
    [ -d "$dog" ] || continue
    driver=$(basename "$(readlink "$dog/device/driver" 2>/dev/null)" 2>/dev/null)
    printf 'watchdog=%s %s\n' "$driver" "$(cat "$dog/timeout" 2>/dev/null)"
done
for unit in display-manager.service systemd-pstore.service systemd-logind.service; do
    if systemctl cat "$unit" >/dev/null 2>&1; then printf 'unit=%s\n' "$(systemctl show -p Id --value "$unit")"; fi
done
# /sys/kernel/kexec_loaded is there with the older call alone, too, which is not used.
release=$(uname -r)
config=$(zcat /proc/config.gz 2>/dev/null || cat "/boot/config-$release" 2>/dev/null || cat "/lib/modules/$release/config" 2>/dev/null || :)
if [ -z "$config" ]; then
    if [ -e /sys/kernel/kexec_loaded ]; then echo kexec=unknown; else echo kexec=no; fi
elif printf '%s\n' "$config" | grep -qx CONFIG_KEXEC_FILE=y; then
    echo kexec=yes
else
    echo kexec=no
fi
echo end=1
"#
    )
}

/// Makes the file. Errors: the answer is cut off, there is no extlinux.conf, or no label that a board file could name.
pub fn describe(answer: &str, asked: &Asked) -> Result<Described> {
    let lines: Vec<(&str, &str)> = answer.lines().filter_map(|line| line.split_once('=')).collect();
    let first: BTreeMap<&str, &str> = lines.iter().rev().copied().collect();
    if !first.contains_key("end") {
        bail!("the board's answer is cut off: try again");
    }
    let get = |key: &str| first.get(key).copied().unwrap_or_default();
    let mut notes = Vec::new();
    let rights = match (get("user"), get("sudo")) {
        ("0", _) => "root",
        (_, "yes") => "sudo",
        _ => {
            notes.push(
                "the user may not become root without a password: allow it before anything else".to_string(),
            );
            "sudo"
        }
    };
    if get("machine") != "aarch64" {
        bail!(
            "the board is `{}`: only aarch64 boards can be driven",
            get("machine").escape_debug()
        );
    }
    let running = which_label::Running {
        cmdline: get("cmdline"),
        release: get("release"),
    };
    let (extlinux, label) = find_label(&lines, &running, &mut notes)?;
    let all = |key: &str| -> Vec<&str> {
        let of_key = lines
            .iter()
            .filter(|(name, value)| *name == key && !value.is_empty());
        of_key.map(|(_, value)| *value).collect()
    };
    let seen = Seen {
        rights,
        extlinux: &extlinux,
        label: &label,
        cmdline: get("cmdline"),
        kexec: may_kexec(get("kexec"), &mut notes),
        watchdogs: all("watchdog"),
        units: all("unit"),
    };
    let text = text(asked, &seen, &mut notes);
    // What the board said ends up in a file that is trusted later: it has to pass like any other.
    BoardFile::parse(asked.name, &text).context("what the board says of itself does not fit a board file")?;
    Ok(Described { text, notes })
}

/// The extlinux.conf with the label that was booted, and that label.
fn find_label(
    lines: &[(&str, &str)],
    running: &which_label::Running,
    notes: &mut Vec<String>,
) -> Result<(String, String)> {
    let mut found: Vec<(String, Config)> = Vec::new();
    for (_, value) in lines.iter().filter(|(key, _)| *key == "extlinux") {
        let (path, hex) = value.split_once(' ').context("the board's answer is cut off")?;
        let bytes = hex::decode(hex.trim()).with_context(|| format!("reading {path} of the board"))?;
        if PLACES.contains(&path) {
            found.push((path.to_string(), Config::parse(&bytes)));
        }
    }
    if found.is_empty() {
        bail!(
            "no extlinux.conf was found on the board (looked at {}): is it booted by U-Boot?",
            PLACES.join(", ")
        );
    }
    if found.len() > 1 {
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        notes.push(format!(
            "there is more than one extlinux.conf ({}): which one U-Boot reads is proven by pre-flight",
            paths.join(", ")
        ));
    }
    let (path, label, note) = which_label::which(&found, running)?;
    notes.extend(note);
    Ok((path, label))
}

/// Whether the method kexec is worth naming; what is not certain is noted.
fn may_kexec(said: &str, notes: &mut Vec<String>) -> bool {
    match said {
        "yes" => true,
        "unknown" => {
            notes.push(
                "whether vanilla can kexec is not known (neither /proc/config.gz nor a config file of this kernel is there): pre-flight tells"
                    .into(),
            );
            true
        }
        _ => {
            notes.push(
                "vanilla's kernel cannot kexec_file_load (CONFIG_KEXEC_FILE is off): the boot method kexec is left out".into(),
            );
            false
        }
    }
}

/// What the text is made of.
struct Seen<'a> {
    rights: &'a str,
    extlinux: &'a str,
    label: &'a str,
    cmdline: &'a str,
    kexec: bool,
    /// `driver timeout`.
    watchdogs: Vec<&'a str>,
    units: Vec<&'a str>,
}

fn word(text: &str) -> String {
    ::toml::Value::from(text).to_string()
}

fn text(asked: &Asked, seen: &Seen, notes: &mut Vec<String>) -> String {
    let folder = match Path::new(seen.extlinux).parent() {
        Some(folder) if folder.ends_with("extlinux") && folder != Path::new("/extlinux") => {
            folder.parent().unwrap_or(folder)
        }
        Some(folder) => folder,
        None => Path::new("/boot"),
    };
    let port = asked
        .port
        .map_or(String::new(), |port| format!("port = {port}\n"));
    let config = asked.config.map_or(String::new(), |path| {
        format!("config = {}\n", word(&path.to_string_lossy()))
    });
    let methods = if seen.kexec {
        r#"["kexec", "manual"]"#
    } else {
        r#"["manual"]"#
    };
    let head = format!(
        "# Written by `cargo xtask board probe` from what board `{name}` says of itself. Look at it before you trust it.\n\n\
         schema-version = 1\nkind = \"ssh\"\narchitecture = \"arm64\"\n\n\
         [ssh]\nhost = {host}\n{port}{config}rights = {rights}\n\n\
         [boot]\nfolder = {folder}\nextlinux = {extlinux}\nvanilla-label = {label}\nlimit-s = 300\n\
         # Add \"serial-menu\" in front when a serial cable is connected and [serial] names its device.\nmethods = {methods}\n\n",
        name = asked.name,
        host = word(asked.host),
        rights = word(seen.rights),
        folder = word(&folder.to_string_lossy()),
        extlinux = word(seen.extlinux),
        label = word(seen.label),
    );
    notes.push(
        "how the board is reset from outside cannot be seen from it: say it in [power] (reset, or off and on)"
            .into(),
    );
    let backup = "[backup]\nfolder = \"/var/lib/lockstep/backups\"\n# second-host = \"another-host\"\n\
                  # second-folder = \"lockstep-backups\"\n";
    let units: Vec<String> = seen.units.iter().map(|unit| word(unit)).collect();
    let services = if units.is_empty() {
        String::new()
    } else {
        format!("\n[services]\nlook-at = [{}]\n", units.join(", "))
    };
    [
        head,
        serial(seen, notes),
        watchdog(seen, notes),
        backup.into(),
        services,
    ]
    .concat()
}

fn serial(seen: &Seen, notes: &mut Vec<String>) -> String {
    let consoles = seen
        .cmdline
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("console="));
    // A virtual terminal is `tty` with a number; a serial line has letters in between.
    let serial = |name: &&str| {
        name.strip_prefix("tty")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
    };
    let Some(console) = consoles.into_iter().find(serial) else {
        notes.push("no serial console is in the running command line".into());
        return String::new();
    };
    notes.push("a serial cable cannot be seen from the board: put its device into [serial]".into());
    let speed: String = console
        .split_once(',')
        .map_or("115200", |(_, options)| options)
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    format!(
        "[serial]\nconsole = {}\n# device = \"/dev/ttyUSB0\"\n# speed = {speed}\n\n",
        word(console)
    )
}

fn watchdog(seen: &Seen, notes: &mut Vec<String>) -> String {
    match seen.watchdogs.first().and_then(|dog| dog.split_once(' ')) {
        Some((driver, timeout)) if !driver.is_empty() => {
            let timeout = timeout
                .trim()
                .parse::<u32>()
                .map_or(String::new(), |seconds| format!("timeout-s = {seconds}\n"));
            format!("[watchdog]\ndriver = {}\n{timeout}\n", word(driver))
        }
        Some(_) => {
            notes.push(
                "there is a hardware watchdog, and the kernel does not say of which driver: name it in [watchdog] (`driver = \"dw_wdt\"`)"
                    .into(),
            );
            String::new()
        }
        None => {
            notes.push("no hardware watchdog: a silent wedge will need the reset button".into());
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::boot::Method;

    const ASKED: Asked = Asked {
        name: "x",
        host: "me@board",
        port: Some(2222),
        config: None,
    };

    fn answer(conf: &str) -> String {
        format!(
            "machine=aarch64\nuser=1000\nsudo=yes\ncmdline=console=ttyS2,1500000n8 root=/dev/mmcblk0p2 rw\n\
             extlinux=/boot/extlinux/extlinux.conf {}\nwatchdog=dw_wdt 44\nunit=sddm.service\nkexec=yes\nend=1\n",
            hex::encode(conf)
        )
    }

    #[test]
    fn a_live_board_becomes_a_board_file() {
        let conf = "default old\nlabel old\n kernel /I\n append root=/dev/mmcblk0p2 ro\nlabel mine\n kernel /J\n append root=/dev/mmcblk0p2 rw\n";
        let described = describe(&answer(conf), &ASKED).unwrap();
        let file = BoardFile::parse("x", &described.text).unwrap();
        assert_eq!(file.description.vanilla_label, "mine");
        assert_eq!(file.description.boot_folder, Path::new("/boot"));
        assert_eq!(file.description.console.as_deref(), Some("ttyS2,1500000n8"));
        assert_eq!(file.description.watchdog.unwrap().timeout_s, Some(44));
        assert!(
            described.text.contains("# speed = 1500000\n"),
            "{}",
            described.text
        );
    }

    #[test]
    fn a_vanilla_that_cannot_kexec_gets_no_such_method() {
        let conf = "default a\nlabel a\n kernel /I\n append root=/dev/mmcblk0p2 rw\n";
        let methods = |kexec: &str| {
            let described = describe(&answer(conf).replace("kexec=yes", kexec), &ASKED).unwrap();
            let file = BoardFile::parse("x", &described.text).unwrap();
            (file.description.methods, described.notes.join("\n"))
        };
        let both = vec![Method::Kexec, Method::Manual];
        assert_eq!(methods("kexec=yes").0, both);
        let (allowed, notes) = methods("kexec=no");
        assert_eq!(allowed, [Method::Manual]);
        assert!(notes.contains("CONFIG_KEXEC_FILE is off"), "{notes}");
        let (allowed, notes) = methods("kexec=unknown");
        assert_eq!(allowed, both);
        assert!(notes.contains("is not known"), "{notes}");
    }

    #[test]
    fn what_was_guessed_is_said() {
        let described = describe(&answer("default a\nlabel a\n kernel /I\n append quiet\n"), &ASKED).unwrap();
        assert!(
            described
                .notes
                .iter()
                .any(|note| note.contains("its default, `a`, was taken")),
            "{:?}",
            described.notes
        );
    }

    #[test]
    fn a_watchdog_without_a_name_is_one() {
        let conf = "default a\nlabel a\n kernel /I\n append root=/dev/mmcblk0p2 rw\n";
        for (dog, says) in [
            ("watchdog= \n", "does not say of which driver"),
            ("", "no hardware watchdog"),
        ] {
            let answer = answer(conf).replace("watchdog=dw_wdt 44\n", dog);
            let described = describe(&answer, &ASKED).unwrap();
            assert!(!described.text.contains("[watchdog]"));
            assert!(
                described.notes.iter().any(|note| note.contains(says)),
                "{says}: {:?}",
                described.notes
            );
        }
    }

    #[test]
    fn hostile_words_of_a_board_are_refused_and_not_followed() {
        let conf = |label: &str| {
            format!("default {label}\nlabel {label}\n kernel /I\n append root=/dev/mmcblk0p2 rw\n")
        };
        for label in ["a\u{1b}[2J", "a\tb", "-rf", "a\u{202e}b"] {
            let error = format!("{:#}", describe(&answer(&conf(label)), &ASKED).unwrap_err());
            assert!(
                error.contains("vanilla-label") && !error.contains(['\u{1b}', '\t', '\u{202e}']),
                "{error:?}"
            );
        }
        // What a shell or TOML would take for more is a name, and nothing else.
        for label in ["Arch Linux ARM", "$(reboot)", "a;b", "x\"]\\n[y", "'q'"] {
            let described = describe(&answer(&conf(label)), &ASKED).unwrap();
            let file = BoardFile::parse("x", &described.text).unwrap();
            assert_eq!(file.description.vanilla_label, label);
        }
        let text = answer("label a\n kernel /I\n").replace("sddm.service", "x\\\"]\nhost = \"evil");
        let described = describe(&text, &ASKED);
        assert!(described.is_err() || !described.unwrap().text.contains("\nhost = \"evil"));
        let elsewhere = answer("label a\n kernel /I\n").replace("/boot/extlinux/", "/etc/../");
        assert!(
            describe(&elsewhere, &ASKED)
                .unwrap_err()
                .to_string()
                .contains("no extlinux.conf")
        );
        assert!(
            describe("machine=aarch64\n", &ASKED)
                .unwrap_err()
                .to_string()
                .contains("cut off")
        );
    }
}
