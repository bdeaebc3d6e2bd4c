//! Which label of which extlinux.conf the running kernel was booted by: a rule over the files, the
//! command line and the release.

use crate::board::extlinux::{self, Config, Label};
use crate::host::one_line::one_line;
use anyhow::{Context, Result};

/// What runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running<'a> {
    /// `/proc/cmdline`.
    pub cmdline: &'a str,
    /// `uname -r`; empty where it is not known.
    pub release: &'a str,
}

/// A label that may have been booted.
struct Candidate<'a> {
    path: &'a str,
    label: &'a Label,
    /// How many characters of its append are known, and so confirmed where it fits.
    known: usize,
    /// Its kernel's file has the running release in its path.
    of_release: bool,
    is_default: bool,
}

/// Path of the file, name of the label, and what the user should look at, if it is not certain.
/// Labels of ours are not vanilla's. Errors: no file has another label than ours.
pub(super) fn which(
    found: &[(String, Config)],
    running: &Running,
) -> Result<(String, String, Option<String>)> {
    let all: Vec<Candidate> = found
        .iter()
        .flat_map(|(path, config)| candidates(path, config, running))
        .collect();
    let fits = |one: &&Candidate| one.known > 0 && one.label.command_line().ran_as(running.cmdline);
    let mut fitting: Vec<&Candidate> = all.iter().filter(fits).collect();
    // The longest append that fits is what ran: another one that fits is a part of it.
    let rank = |one: &Candidate| (one.known, one.of_release);
    let best = fitting.iter().map(|one| rank(one)).max();
    fitting.retain(|one| Some(rank(one)) == best);
    let taken = |one: &Candidate, note| Ok((one.path.to_string(), one.label.name.clone(), note));
    match fitting.as_slice() {
        [one] => taken(one, None),
        [first, ..] => {
            let one = fitting.iter().find(|one| one.is_default).unwrap_or(first);
            taken(one, Some(several(one, &fitting)))
        }
        [] => {
            let default = all.iter().find(|one| one.is_default).or(all.first());
            let one = default.with_context(|| {
                let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
                format!("{} on the board has no label but ours", paths.join(" and "))
            })?;
            taken(one, Some(none(one, running)))
        }
    }
}

fn candidates<'a>(path: &'a str, config: &'a Config, running: &Running) -> Vec<Candidate<'a>> {
    let ours = extlinux::all_ours(config);
    let theirs = |label: &&Label| !ours.contains(&label.name);
    let default = config.unattended().map(|label| label.name.as_str());
    let is_of_release = |kernel: &str| !running.release.is_empty() && kernel.contains(running.release);
    let labels = config.menu.labels.iter().filter(theirs);
    labels
        .map(|label| Candidate {
            path,
            label,
            known: label.command_line().known_length(),
            of_release: label.kernel.as_deref().is_some_and(is_of_release),
            is_default: default == Some(&label.name),
        })
        .collect()
}

fn several(taken: &Candidate, fitting: &[&Candidate]) -> String {
    let others = fitting.iter().filter(|one| one.label.name != taken.label.name);
    let others: Vec<String> = others
        .map(|one| format!("`{}`", one_line(&one.label.name)))
        .collect();
    let why = match taken.is_default {
        true => "it is the default",
        false => "it comes first",
    };
    let name = one_line(&taken.label.name);
    match others.as_slice() {
        [] => format!(
            "label `{name}`, which has the running command line as its append, is there more than once: the \
             one in {} was taken",
            taken.path
        ),
        others => format!(
            "the running command line is the append of label `{name}` and of {}: `{name}` was taken, \
             because {why}. If another one \
             runs, name that as `vanilla-label`",
            others.join(", ")
        ),
    }
}

/// What can be done where no label fits, from what is known of why.
fn none(taken: &Candidate, running: &Running) -> String {
    let (name, path) = (one_line(&taken.label.name), taken.path);
    let command_line = taken.label.command_line();
    let begin = format!(
        "no label of {path} has the running command line as its append, so its default, `{name}`, was taken"
    );
    if command_line.known_length() == 0 {
        let names = command_line.variables().into_iter();
        let names: Vec<String> = names.map(|name| format!("${{{}}}", one_line(name))).collect();
        let why = match names.as_slice() {
            [] => "it has no append".to_string(),
            names => format!("its append is `{}` alone", names.join(" ")),
        };
        return format!(
            "{begin}: {why}, so nothing here can tell whether it runs. Watch U-Boot at the next restart, on \
             the serial line or the screen: \
             if another label boots, name that as `vanilla-label`"
        );
    }
    let mut missing = command_line.known_words();
    missing.retain(|word| !running.cmdline.split_whitespace().any(|other| other == word));
    let lacks = match missing.is_empty() {
        true => "its words are there, in another order or with others in between".to_string(),
        false => format!("the running one lacks `{}`", one_line(&missing.join(" "))),
    };
    format!(
        "{begin} ({lacks}). If another label runs now, name that as `vanilla-label`, or restart into \
         `{name}` and probe again. If \
         `{name}` itself runs, U-Boot did not take it from {path}: `Retrieving file:` on the serial line \
         says which file it reads, \
         and `extlinux` has to be that one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(conf: &str, cmdline: &str, release: &str) -> (String, Option<String>) {
        let path = "/boot/extlinux/extlinux.conf".to_string();
        let found = [(path, Config::parse(conf.as_bytes()))];
        let (_, name, note) = which(&found, &Running { cmdline, release }).unwrap();
        (name, note)
    }

    #[test]
    fn the_longest_append_that_fits_is_what_ran() {
        let conf = "default l0\nlabel l0\n kernel /a\n append root=/dev/x ro\nlabel l0r\n kernel /a\n \
         append root=/dev/x ro single\n";
        assert_eq!(chosen(conf, "root=/dev/x ro single", ""), ("l0r".into(), None));
        assert_eq!(chosen(conf, "x root=/dev/x ro y", ""), ("l0".into(), None));
    }

    #[test]
    fn of_the_same_append_the_running_release_tells() {
        let conf = "default new\nlabel new\n kernel /vmlinuz-6.9\n append ro\nlabel old\n kernel \
         /vmlinuz-6.1\n append ro\n";
        assert_eq!(chosen(conf, "ro", "6.1"), ("old".into(), None));
        let (name, note) = chosen(conf, "ro", "5.0");
        let note = note.unwrap();
        assert_eq!(name, "new");
        assert!(
            note.contains("of label `new` and of `old`: `new` was taken, because it is the default"),
            "{note}"
        );
    }

    #[test]
    fn variables_are_no_reason_to_ask_for_ever() {
        let conf = "label a b\n kernel /I\n append root=${root} 'console=ttyS2' ${more}\nlabel c\n kernel \
         /I\n append root=$(root) x\n";
        assert_eq!(
            chosen(conf, "root=/dev/m console=ttyS2 q", ""),
            ("a b".into(), None)
        );
        assert_eq!(chosen(conf, "root=/dev/m x", ""), ("c".into(), None));
        let note = |conf: &str, cmdline: &str| chosen(conf, cmdline, "").1.unwrap();
        let said = note("label a\n kernel /I\n append ${bootargs}\n", "root=/dev/m");
        assert!(said.contains("its append is `${bootargs}` alone"), "{said}");
        assert!(
            said.contains("name that as `vanilla-label`") && !said.contains("probe again"),
            "{said}"
        );
        let said = note("label a\n kernel /I\n", "root=/dev/m");
        assert!(said.contains("it has no append"), "{said}");
        let said = note("label a\n kernel /I\n append root=${r} rw\n", "root=/dev/m ro");
        assert!(said.contains("lacks `rw`"), "{said}");
    }

    #[test]
    fn a_label_of_ours_is_not_vanillas() {
        let ours = "# lockstep: begin t\nlabel t\n kernel /t\n append ro x\n# lockstep: end t\n";
        let conf = format!("default v\nlabel v\n kernel /v\n append ro\n{ours}");
        assert_eq!(chosen(&conf, "ro x", ""), ("v".into(), None));
        let found = [("/e".to_string(), Config::parse(ours.as_bytes()))];
        let running = Running {
            cmdline: "ro x",
            release: "",
        };
        let error = which(&found, &running).unwrap_err().to_string();
        assert!(error.contains("no label but ours"), "{error}");
    }
}
