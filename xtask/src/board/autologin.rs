//! A display manager that logs somebody in by itself starts a desktop on a kernel under test (plan 0.1). It is switched off by giving the file another
//! name, and a rollback gives it its name back.

use super::protected::Protected;
use super::script::THERE;
use super::writer::Writer;
use super::{Board, script};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// Files and folders in which SDDM, GDM and LightDM look for it (sddm.conf(5); GDM's custom.conf, Debian's daemon.conf; LightDM's
/// `lightdm.conf` and its fragments), with the section and keys that switch it on.
pub const PLACES: [(&str, &str, &str, &str); 9] = [
    ("SDDM", "/etc/sddm.conf", "autologin", "user"),
    ("SDDM", "/etc/sddm.conf.d", "autologin", "user"),
    (
        "GDM",
        "/etc/gdm/custom.conf",
        "daemon",
        "automaticlogin|timedlogin",
    ),
    (
        "GDM",
        "/etc/gdm3/custom.conf",
        "daemon",
        "automaticlogin|timedlogin",
    ),
    (
        "GDM",
        "/etc/gdm3/daemon.conf",
        "daemon",
        "automaticlogin|timedlogin",
    ),
    ("LightDM", "/etc/lightdm/lightdm.conf", "seat:*", "autologin-user"),
    (
        "LightDM",
        "/etc/lightdm/lightdm.conf.d",
        "seat:*",
        "autologin-user",
    ),
    (
        "LightDM",
        "/usr/share/lightdm/lightdm.conf.d",
        "seat:*",
        "autologin-user",
    ),
    (
        "LightDM",
        "/usr/lib/lightdm/lightdm.conf.d",
        "seat:*",
        "autologin-user",
    ),
];

/// One file that logs somebody in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Active {
    /// The display manager.
    pub manager: String,
    /// The file.
    #[serde(serialize_with = "crate::host::json::named")]
    pub file: PathBuf,
    /// The user.
    pub user: String,
}

/// Finds the active ones. Changes nothing.
pub fn active(board: &dyn Board) -> Result<Vec<Active>> {
    let places: Vec<PathBuf> = PLACES.iter().map(|(_, path, _, _)| path.into()).collect();
    let words = script::words(places.iter().map(PathBuf::as_path))?;
    let looking = format!(
        "{THERE}set -- {words}\nfor place in \"$@\"; do\n    if [ -d \"$place\" ]; then set -- \"$place\"/*.conf; else set -- \"$place\"; fi\n    \
         for file in \"$@\"; do\n        [ \"$file\" != \"$place/*.conf\" ] && there \"$file\" || continue\n        \
         printf '%s\\0' \"$place\" \"$file\"; cat \"$file\" || exit; printf '\\0'\n    done\ndone"
    );
    let answer = script::ask(board, "looking for automatic log-ins", &looking, script::LOOK)?;
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let fields: Vec<&str> = text.split_terminator('\0').collect();
    Ok(fields
        .chunks(3)
        .filter_map(|one| {
            let [place, file, content] = one else { return None };
            let (manager, _, section, keys) = PLACES.iter().find(|(_, path, _, _)| path == place)?;
            Some(Active {
                manager: manager.to_string(),
                file: file.into(),
                user: user(content, section, keys)?,
            })
        })
        .collect())
}

/// The user that an INI file logs in. GDM also wants `…Enable=true`; LightDM takes an empty user for none; a comment is none.
fn user(content: &str, wanted: &str, keys: &str) -> Option<String> {
    let (mut section, mut found, mut enabled) = (String::new(), None, None);
    for line in content.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
            continue;
        }
        let is_seat = wanted == "seat:*" && (section.starts_with("seat:") || section == "seatdefaults");
        if line.starts_with(['#', ';']) || (section != wanted && !is_seat) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if keys.split('|').any(|wanted| wanted == key) {
            found = (!value.is_empty()).then(|| value.to_string());
        } else if keys.split('|').any(|wanted| format!("{wanted}enable") == key) {
            enabled =
                Some(enabled.unwrap_or(false) || matches!(value.to_ascii_lowercase().as_str(), "true" | "1"));
        }
    }
    let needs_enable = wanted == "daemon";
    found.filter(|_| !needs_enable || enabled == Some(true))
}

/// What is at the end of the name of a file that this campaign switched off.
fn ending(campaign: &str) -> String {
    format!(".disabled-{campaign}")
}

/// Switches them off by another name. Dying half-way it leaves some of them on; doing it again goes on. Gives the new names.
pub fn disable(
    board: &dyn Board,
    protected: &Protected,
    campaign: &str,
    found: &[Active],
) -> Result<Vec<PathBuf>> {
    super::backup::board_folder(board, campaign)?; // the campaign's name is checked there
    super::root::writes_last(board, "switching the automatic log-in off")?;
    let writer = Writer::new(board, protected);
    let mut renamed = Vec::new();
    for one in found {
        ensure!(
            one.file.starts_with("/etc"),
            "{} belongs to a package, so it is not renamed: override it in /etc/lightdm/lightdm.conf with an empty `autologin-user=`",
            one.file.display()
        );
        let to = PathBuf::from(format!("{}{}", one.file.display(), ending(campaign)));
        writer.rename(&one.file, &to)?;
        renamed.push(to);
    }
    Ok(renamed)
}

/// Folders that a file of [`disable`] can be in.
pub(super) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = PLACES
        .iter()
        .filter(|(_, path, _, _)| path.starts_with("/etc/"))
        .filter_map(|(_, path, _, _)| match path.ends_with(".d") {
            true => Some(path.into()),
            false => Path::new(path).parent().map(PathBuf::from),
        })
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The old name of a file that this campaign switched off; `None` if it is none.
pub(super) fn old_name(path: &Path, campaign: &str) -> Option<PathBuf> {
    let text = path.to_str()?.strip_suffix(&ending(campaign))?;
    let plain = !text.is_empty() && !text.chars().any(char::is_control);
    plain.then(|| PathBuf::from(text))
}

/// Files that this campaign switched off: what they are called now, and what they were called.
pub fn disabled(board: &dyn Board, campaign: &str) -> Result<Vec<(PathBuf, PathBuf)>> {
    super::backup::board_folder(board, campaign)?;
    let places = folders();
    let folders = script::words(places.iter().map(PathBuf::as_path))?;
    let looking = format!(
        "{THERE}for folder in {folders}; do for file in \"$folder\"/*.disabled-{campaign}; do [ \"$file\" != \"$folder/*.disabled-{campaign}\" ] && there \"$file\" || continue; \
         printf '%s\\0' \"$file\"; done; done"
    );
    let answer = script::ask(
        board,
        "looking for log-ins that were switched off",
        &looking,
        script::LOOK,
    )?;
    let text = String::from_utf8(answer.stdout).context("a file name on the board is not UTF-8")?;
    Ok(text
        .split_terminator('\0')
        .map(PathBuf::from)
        .filter_map(|path| old_name(&path, campaign).map(|old| (path, old)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_display_manager_has_its_own_way_to_say_it() {
        let sddm = |text| user(text, "autologin", "user");
        assert_eq!(
            sddm("[Autologin]\nUser = lei\nSession=x\n").as_deref(),
            Some("lei")
        );
        assert_eq!(sddm("[General]\nUser=lei\n[Autologin]\n#User=lei\nUser=\n"), None);
        let gdm = |text| user(text, "daemon", "automaticlogin|timedlogin");
        assert_eq!(
            gdm("[daemon]\nAutomaticLoginEnable=True\nAutomaticLogin=lei\n").as_deref(),
            Some("lei")
        );
        assert_eq!(
            gdm("[daemon]\nAutomaticLoginEnable=false\nAutomaticLogin=lei\n"),
            None
        );
        assert_eq!(gdm("[daemon]\nAutomaticLogin=lei\n"), None);
        let lightdm = |text| user(text, "seat:*", "autologin-user");
        assert_eq!(lightdm("[Seat:*]\nautologin-user=lei\n").as_deref(), Some("lei"));
        assert_eq!(lightdm("[Seat:*]\n# autologin-user=lei\nautologin-user=\n"), None);
        assert_eq!(lightdm("[LightDM]\nautologin-user=lei\n"), None);
    }

    #[test]
    fn a_name_leads_back_only_for_its_own_campaign() {
        let path = Path::new("/etc/sddm.conf.d/x.conf.disabled-iter6");
        assert_eq!(
            old_name(path, "iter6").unwrap(),
            Path::new("/etc/sddm.conf.d/x.conf")
        );
        assert_eq!(old_name(path, "iter7"), None);
    }
}
