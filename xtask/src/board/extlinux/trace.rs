//! What U-Boot does with an extlinux.conf, step by step: which label it picks, which files it asks
//! for, what it prints. A pure rule (`handle_pxe_menu`, `label_boot`, `boot_unattempted_labels` in
//! `boot/pxe_utils.c`), compared with the real U-Boot by a test.

use super::{CommandLine, Config, Label, files};

/// What the rule has to know of the U-Boot that reads the file.
#[derive(Clone, Copy)]
pub struct Loader<'a> {
    /// Folder of the file with its slash at the end (`/extlinux/`): relative paths begin there.
    pub folder: &'a str,
    /// Whether a path is there.
    pub exists: &'a dyn Fn(&str) -> bool,
    /// `fdt_addr_r` is set; without it, `fdt`, `fdtdir` and overlays are ignored in silence.
    pub loads_trees: bool,
    /// `CONFIG_SYS_CBSIZE`.
    pub command_line: usize,
    /// The device tree that it looks for in a `fdtdir` (`$fdtfile`, or SoC and board).
    pub tree: &'a str,
    /// The keyword `prompt` counts (not from v2014.10 to about v2023).
    pub reads_prompt: bool,
    /// The value of a variable of its environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

/// One label that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Number in the menu, from 1.
    pub number: usize,
    /// Files in the order in which it asks for them ("Retrieving file: …").
    pub retrieved: Vec<String>,
    /// The command line that it prints ("append: …") and hands over.
    pub append: Option<String>,
    /// How it ends.
    pub end: End,
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Everything was loaded: the kernel is started.
    Starts,
    /// The label is skipped, with U-Boot's own words or the beginning of them.
    Skipped(&'static str),
    /// `localboot`: U-Boot's own command is run, and no other label after it when it was the first.
    LocalBoot,
}

/// Every label that is tried, in order, as long as none can be started: what the last one says is
/// what happens when all before it fail. The first is `choice` where the menu was answered with a
/// number, else the default. Nothing when the file is given up.
pub fn attempts(config: &Config, choice: Option<usize>, loader: &Loader) -> Vec<Attempt> {
    let menu = &config.menu;
    if is_given_up(config, loader) {
        return Vec::new();
    }
    let default = menu
        .default
        .as_ref()
        .and_then(|default| config.number(&default.value));
    let asks = shows_menu(config, loader);
    let first = choice.filter(|_| asks).or(default);
    let (chosen, others): (Vec<_>, Vec<_>) = (1..)
        .zip(&menu.labels)
        .partition(|(number, _)| Some(*number) == first);
    let try_all = |labels: Vec<(usize, &Label)>| -> Vec<Attempt> {
        let attempts = labels
            .into_iter()
            .map(|(number, label)| attempt(number, label, loader));
        attempts.collect()
    };
    let mut tried = try_all(chosen);
    if tried.iter().all(|first| first.end != End::LocalBoot) {
        tried.extend(try_all(others));
    }
    tried
}

/// Whether the file is given up ("Error parsing config file"): it cannot be read, or includes a
/// file that is not there. What is in an included file is not followed.
pub fn is_given_up(config: &Config, loader: &Loader) -> bool {
    let menu = &config.menu;
    let is_there = |path: &str| (loader.exists)(&whole(path, loader.folder));
    menu.rejected.is_some() || !menu.includes.iter().all(|include| is_there(&include.value))
}

/// A path as U-Boot asks for it (`get_relfile`).
fn whole(path: &str, folder: &str) -> String {
    match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{folder}{path}"),
    }
}

/// Whether the menu is shown. A file without labels has none.
pub fn shows_menu(config: &Config, loader: &Loader) -> bool {
    let prompt = if loader.reads_prompt {
        config.menu.prompt.value
    } else {
        config.menu.prompt_without_keyword
    };
    prompt != 0 && !config.menu.labels.is_empty() && !is_given_up(config, loader)
}

fn attempt(number: usize, label: &Label, loader: &Loader) -> Attempt {
    let mut attempt = Attempt {
        number,
        retrieved: Vec::new(),
        append: None,
        end: End::Starts,
    };
    attempt.end = follow(label, loader, &mut attempt);
    attempt
}

fn follow(label: &Label, loader: &Loader, attempt: &mut Attempt) -> End {
    let retrieved = &mut attempt.retrieved;
    let mut retrieve = |path: &str| {
        let whole = whole(path, loader.folder);
        // MAX_TFTP_PATH_LEN; a longer one is not even asked for.
        if whole.len() > 512 {
            return false;
        }
        let there = (loader.exists)(&whole);
        retrieved.push(whole);
        there
    };
    if label.localboot.is_some() {
        return End::LocalBoot;
    }
    let Some(kernel) = &label.kernel else {
        return End::Skipped("No kernel given, skipping ");
    };
    if label.initrd.as_deref().is_some_and(|initrd| !retrieve(initrd)) {
        return End::Skipped("for failure retrieving initrd");
    }
    if !retrieve(kernel) {
        return End::Skipped("for failure retrieving kernel");
    }
    if let Some(append) = &label.append {
        if append.value.len() >= loader.command_line {
            return End::Skipped("bootarg overflow ");
        }
        let mut handed_over = CommandLine::of(&append.value).with(loader.variable);
        // Values of variables may make it longer than the buffer, whose last byte is a NUL.
        let mut ends = (0..loader.command_line).rev();
        let end = ends.find(|at| handed_over.is_char_boundary(*at));
        handed_over.truncate(end.unwrap_or(0));
        attempt.append = Some(handed_over);
    }
    if !loader.loads_trees {
        return End::Starts;
    }
    match (&label.fdt, &label.fdtdir) {
        (Some(fdt), _) => {
            if !retrieve(fdt) {
                return End::Skipped("for failure retrieving FDT");
            }
        }
        (None, Some(folder)) => {
            retrieve(&files::tree_in(folder, loader.tree));
        }
        (None, None) => {}
    }
    End::Starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loader() -> Loader<'static> {
        Loader {
            folder: "/extlinux/",
            exists: &|path| !path.contains("missing"),
            loads_trees: true,
            command_line: 1024,
            tree: "x.dtb",
            reads_prompt: true,
            variable: &|_| None,
        }
    }

    fn numbers(conf: &str, choice: Option<usize>) -> Vec<usize> {
        attempts(&Config::parse(conf.as_bytes()), choice, &loader())
            .iter()
            .map(|attempt| attempt.number)
            .collect()
    }

    #[test]
    fn the_default_is_first_and_the_others_follow_in_file_order() {
        let conf = "default b\nlabel a\n kernel /I\nlabel b\n kernel /missing\nlabel c\n kernel /I\n";
        assert_eq!(numbers(conf, None), [2, 1, 3]);
        assert_eq!(numbers(conf, Some(3)), [2, 1, 3], "no menu, no choice");
        assert_eq!(numbers(&format!("prompt 1\n{conf}"), Some(3)), [3, 1, 2]);
        assert_eq!(numbers(&conf.replace("default b", "default x"), None), [1, 2, 3]);
        assert_eq!(numbers("default\nlabel a\n kernel /I\n", None), [0; 0]);
        assert_eq!(
            numbers("default a\nlabel a\n localboot 1\nlabel b\n kernel /I\n", None),
            [1]
        );
    }

    #[test]
    fn files_are_asked_for_in_u_boots_order() {
        let conf = "label a\n fdt t.dtb\n initrd /i\n append x\n kernel /I\n";
        let tried = attempts(&Config::parse(conf.as_bytes()), None, &loader());
        assert_eq!(tried[0].retrieved, ["/i", "/I", "/extlinux/t.dtb"]);
        let silent = Loader {
            loads_trees: false,
            ..loader()
        };
        assert_eq!(
            attempts(&Config::parse(conf.as_bytes()), None, &silent)[0].retrieved,
            ["/i", "/I"]
        );
        let missing = conf.replace("/I", "/missing");
        let tried = attempts(&Config::parse(missing.as_bytes()), None, &loader());
        assert_eq!(tried[0].end, End::Skipped("for failure retrieving kernel"));
        assert_eq!(tried[0].append, None);
    }
}
