//! The lists of kbuild Makefiles (Documentation/kbuild/makefiles.rst): what becomes of a source
//! file, and on which Kconfig symbols that hangs.
//!
//! Only plain lists are read. What stands inside `ifeq`, or is made of variables, is as if it were
//! not there: what make really did is asked of its own records ([`crate::kernel::built`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What an entry of a list hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `obj-y`, `name-y`, `name-objs`.
    Always,
    /// `obj-m`.
    Module,
    /// `obj-$(CONFIG_X)`: the symbol, without `CONFIG_`.
    Symbol(String),
    /// Something that is not read.
    Unknown,
}

impl Condition {
    fn parse(text: &str) -> Self {
        let inner = text
            .strip_prefix("$(")
            .and_then(|rest| rest.strip_suffix(')'))
            .or_else(|| text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')));
        match (text, inner.and_then(|inner| inner.strip_prefix("CONFIG_"))) {
            ("y" | "objs", _) => Condition::Always,
            ("m", _) => Condition::Module,
            (_, Some(symbol)) if is_symbol(symbol) => Condition::Symbol(symbol.into()),
            _ => Condition::Unknown,
        }
    }
}

fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// One Makefile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Makefile {
    /// `obj-…`, objects: `sub/a.o`.
    pub objects: Vec<(String, Condition)>,
    /// `obj-…`, folders, without the slash.
    pub folders: Vec<(String, Condition)>,
    /// `NAME-y`, `NAME-objs`, `NAME-$(CONFIG_X)`: NAME, the condition, and the objects that it is
    /// made of.
    pub parts: Vec<(String, Condition, Vec<String>)>,
    /// Every word of it that looks like an object, wherever it stands.
    pub words: Vec<String>,
    /// Where an object stands in `objects`, and in which of `parts`: lists can be long, and are asked about each file of a patch.
    listed: HashMap<String, Vec<usize>>,
    part_of: HashMap<String, Vec<usize>>,
}

/// One way in which a source file comes into a kernel. All its symbols have to be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The object in a list of objects that it becomes or is linked into, relative to the tree:
    /// `drivers/v/hantro-vpu.o`.
    pub object: PathBuf,
    /// What that object hangs on.
    pub condition: Condition,
    /// Every symbol on the way, without `CONFIG_`: of the part, of the object, of the folders; each
    /// once.
    pub symbols: Vec<String>,
    /// Whether the whole way, up to the top of the tree, was read.
    pub is_whole: bool,
}

impl Way {
    /// The name of the module that it is, where it is one.
    pub fn module(&self) -> Option<String> {
        (self.condition != Condition::Always).then(|| module_name(&self.object.to_string_lossy()))
    }
}

/// The name that a module has once it is loaded.
pub fn module_name(object: &str) -> String {
    let name = object.rsplit('/').next().unwrap_or(object);
    name.trim_end_matches(".o").replace('-', "_")
}

/// Ways of one file that are looked at: no object of the kernel is in so many lists, and each round
/// of a mean Makefile could multiply them.
const MOST_WAYS: usize = 64;

impl Makefile {
    /// Reads the text of one.
    pub fn parse(text: &str) -> Self {
        let mut makefile = Makefile::default();
        for line in text.replace("\\\n", " ").lines() {
            let line = line.split('#').next().unwrap_or_default();
            let is_object = |word: &&str| word.ends_with(".o") && !word.contains(['$', '%']);
            let words = line.split(|c: char| c.is_whitespace() || "():,=".contains(c));
            makefile.words.extend(words.filter(is_object).map(String::from));
            let Some((left, right)) = assignment(line) else {
                continue;
            };
            let left = left.trim_end_matches([':', '+', '?', ' ', '\t']).trim();
            let objects = right.split_whitespace().filter(is_object).map(String::from);
            let Some((name, condition)) = left.rsplit_once('-') else {
                continue;
            };
            let condition = Condition::parse(condition);
            if name == "obj" {
                let folders = right.split_whitespace().filter_map(|word| word.strip_suffix('/'));
                let folders = folders.filter(|folder| !folder.contains('$'));
                let entries = folders.map(|folder| (folder.to_string(), condition.clone()));
                makefile.folders.extend(entries);
                makefile
                    .objects
                    .extend(objects.map(|object| (object, condition.clone())));
            } else {
                makefile
                    .parts
                    .push((name.to_string(), condition, objects.collect()));
            }
        }
        for (at, (object, _)) in makefile.objects.iter().enumerate() {
            makefile.listed.entry(object.clone()).or_default().push(at);
        }
        for (at, (_, _, parts)) in makefile.parts.iter().enumerate() {
            for part in parts {
                makefile.part_of.entry(part.clone()).or_default().push(at);
            }
        }
        makefile
    }

    /// What becomes of an object of this folder: the listed objects, with the conditions on the way
    /// to each.
    fn becomes(&self, object: &str) -> Vec<(String, Condition, Vec<Condition>)> {
        let mut found = Vec::new();
        let mut wanted = vec![(object.to_string(), Vec::new())];
        // A part of a part is rare, and a loop is a broken Makefile.
        for _ in 0..4 {
            let mut next = Vec::new();
            for (object, on_the_way) in wanted {
                let at = self.listed.get(&object).into_iter().flatten();
                for (listed, condition) in at.filter_map(|at| self.objects.get(*at)) {
                    found.push((listed.clone(), condition.clone(), on_the_way.clone()));
                }
                let at = self.part_of.get(&object).into_iter().flatten();
                for (whole, condition, _) in at.filter_map(|at| self.parts.get(*at)) {
                    let on_the_way = [on_the_way.as_slice(), std::slice::from_ref(condition)].concat();
                    next.push((format!("{whole}.o"), on_the_way));
                }
            }
            next.truncate(MOST_WAYS);
            wanted = next;
        }
        found.truncate(MOST_WAYS);
        found
    }

    /// Whether an object of this folder is made of others, or by a rule: it has no source file of
    /// its name.
    pub fn is_made_of_others(&self, object: &str) -> bool {
        let name = object.trim_end_matches(".o");
        self.parts.iter().any(|(whole, ..)| whole == name)
    }
}

/// What stands before and behind the `=` of an assignment; one inside `$(CONFIG_X:m=y)` is none.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let mut depth: usize = 0;
    let at = line.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '{' => depth = depth.saturating_add(1),
            ')' | '}' => depth = depth.saturating_sub(1),
            '=' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })?;
    let (left, right) = line.split_at_checked(at)?;
    Some((left, right.strip_prefix('=')?))
}

/// The Makefiles of a tree. Each is read once, however many files of its folder are asked about.
pub struct Makefiles<'r> {
    read: &'r dyn Fn(&Path) -> Option<String>,
    known: RefCell<HashMap<PathBuf, Option<Rc<Makefile>>>>,
}

/// Whether a file is one.
pub fn is_makefile(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "Makefile" || name == "Kbuild")
}

impl<'r> Makefiles<'r> {
    /// Nothing is read yet; `read` gives a text file of the tree.
    pub fn new(read: &'r dyn Fn(&Path) -> Option<String>) -> Self {
        Makefiles {
            read,
            known: RefCell::default(),
        }
    }

    /// The one of a folder: kbuild takes Kbuild before Makefile (scripts/Makefile.build).
    pub fn of(&self, folder: &Path) -> Option<Rc<Makefile>> {
        if let Some(known) = self.known.borrow().get(folder) {
            return known.clone();
        }
        let makefile = ["Kbuild", "Makefile"]
            .iter()
            .find_map(|name| (self.read)(&folder.join(name)))
            .map(|text| Rc::new(Makefile::parse(&text)));
        self.known
            .borrow_mut()
            .insert(folder.to_path_buf(), makefile.clone());
        makefile
    }

    /// The ways of a source file into a kernel, as the Makefiles of its folder and those above list
    /// it.
    pub fn ways(&self, file: &Path) -> Vec<Way> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut object = format!("{stem}.o");
        for above in folder.ancestors() {
            let listed = self
                .of(above)
                .map_or(Vec::new(), |makefile| makefile.becomes(&object));
            if !listed.is_empty() {
                let folders = self.of_folders(above);
                return listed
                    .into_iter()
                    .map(|(object, condition, on_the_way)| {
                        let mut all = on_the_way;
                        all.push(condition.clone());
                        all.extend(folders.iter().cloned());
                        Way {
                            object: above.join(object),
                            condition,
                            is_whole: !all.contains(&Condition::Unknown),
                            symbols: symbols(&all),
                        }
                    })
                    .collect();
            }
            let Some(last) = above.file_name() else { break };
            object = format!("{}/{object}", last.to_string_lossy());
        }
        Vec::new()
    }

    /// What make hangs a folder on, from the folder up to the top of the tree.
    fn of_folders(&self, folder: &Path) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut below = PathBuf::new();
        for at in folder.ancestors() {
            if !below.as_os_str().is_empty() {
                let makefile = self.of(at).unwrap_or_default();
                let wanted = below.to_string_lossy();
                // A folder may stand in several lists: one that always counts is enough.
                let listed: Vec<&Condition> = makefile
                    .folders
                    .iter()
                    .filter(|(name, _)| *name == wanted)
                    .map(|(_, condition)| condition)
                    .collect();
                match listed.as_slice() {
                    [only] => {
                        conditions.push((*only).clone());
                        below = PathBuf::new();
                    }
                    [] => {}
                    several if several.contains(&&Condition::Always) => below = PathBuf::new(),
                    _ => {
                        conditions.push(Condition::Unknown);
                        below = PathBuf::new();
                    }
                }
            }
            match at.file_name() {
                Some(name) if below.as_os_str().is_empty() => below = PathBuf::from(name),
                Some(name) => below = Path::new(name).join(&below),
                None => break,
            }
        }
        if !below.as_os_str().is_empty() {
            conditions.push(Condition::Unknown);
        }
        conditions
    }
}

fn symbols(conditions: &[Condition]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for condition in conditions {
        if let Condition::Symbol(symbol) = condition
            && !found.contains(symbol)
        {
            found.push(symbol.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Option<String> {
        let text = match path.to_str()? {
            "Kbuild" => "obj-y += drivers/\nobj-y += $(ARCH)/\n",
            "drivers/Makefile" => "obj-$(CONFIG_MEDIA) += media/\nobj-y += plain/\n",
            "drivers/media/Makefile" => {
                "obj-$(CONFIG_CODEC) += codec.o\nobj-$(CONFIG_TWO) += two.o\ncodec-y := core.o \\\n\tsub/vp9.o\n\
                 codec-$(CONFIG_EXTRA) += extra.o\ntwo-objs := core.o\n"
            }
            "drivers/plain/Makefile" => {
                "obj-y := a.o # b.o\nobj-m += c.o\nccflags-y := -I$(src)/x.o\nobj-$(CONFIG_Z:m=y) += z.o\n"
            }
            _ => return None,
        };
        Some(text.to_string())
    }

    fn told(file: &str) -> Vec<(Option<String>, String, bool)> {
        let makefiles = Makefiles::new(&read);
        let ways = makefiles.ways(Path::new(file));
        ways.iter()
            .map(|way| (way.module(), way.symbols.join(" "), way.is_whole))
            .collect()
    }

    #[test]
    fn each_way_of_a_file_has_all_symbols_that_it_hangs_on() {
        let codec = |symbols: &str| (Some("codec".to_string()), symbols.to_string(), true);
        assert_eq!(told("drivers/media/extra.c"), [codec("EXTRA CODEC MEDIA")]);
        assert_eq!(told("drivers/media/sub/vp9.c"), [codec("CODEC MEDIA")]);
        assert_eq!(
            told("drivers/media/core.c"),
            [
                codec("CODEC MEDIA"),
                (Some("two".into()), "TWO MEDIA".into(), true)
            ]
        );
        assert_eq!(told("drivers/plain/a.c"), [(None, String::new(), true)]);
        assert_eq!(
            told("drivers/plain/c.c"),
            [(Some("c".into()), String::new(), true)]
        );
        assert_eq!(
            told("drivers/plain/z.c"),
            [(Some("z".into()), String::new(), false)]
        );
        assert_eq!(told("drivers/plain/b.c"), []);
        assert_eq!(told("nowhere/b.c"), []);
    }

    #[test]
    fn a_mean_makefile_has_few_ways() {
        let lists: String = (0..2_000)
            .map(|n| format!("p{n}-y += a.o p1.o\nobj-m += p{n}.o a.o\n"))
            .collect();
        let read = |path: &Path| (path == Path::new("d/Makefile")).then(|| lists.clone());
        assert_eq!(Makefiles::new(&read).ways(Path::new("d/a.c")).len(), MOST_WAYS);
    }

    #[test]
    fn a_folder_that_no_makefile_lists_leaves_the_way_open() {
        let read =
            |path: &Path| (path == Path::new("a/b/Makefile")).then(|| "obj-$(CONFIG_B) += b.o".to_string());
        let ways = Makefiles::new(&read).ways(Path::new("a/b/b.c"));
        assert_eq!(
            (ways[0].is_whole, ways[0].symbols.as_slice()),
            (false, ["B".to_string()].as_slice())
        );
    }
}
