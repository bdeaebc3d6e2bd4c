//! What a patch makes make build anew, as far as the files that it touches and the Makefiles beside them tell. The
//! build decides in the end (what depends on a change ships with it); this is for the eye, before anything is
//! built.

use crate::kernel::diff::{FileChange, hunks};
use crate::kernel::patch::Patch;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// What is rebuilt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// Modules, with the Kconfig symbol that each hangs on (built-in where that is `y`): `hantro_vpu`,
    /// `CONFIG_VIDEO_HANTRO`.
    pub modules: BTreeMap<String, String>,
    /// Files in `include/` and built-in objects: whatever uses them, the kernel itself included.
    pub kernel: bool,
    /// Folders of which the Makefiles do not say what comes of the file.
    pub folders: BTreeSet<String>,
    /// Kconfig files: the configuration is made anew.
    pub configuration: bool,
    /// Device trees.
    pub device_trees: bool,
}

impl Scope {
    /// In few words: `hantro_vpu`, `kernel`, `nothing`.
    pub fn short(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        if self.kernel {
            parts.push("kernel".into());
        }
        parts.extend(self.modules.keys().cloned());
        parts.extend(self.folders.iter().map(|folder| format!("{folder}/")));
        if self.device_trees {
            parts.push("dtbs".into());
        }
        if self.configuration && parts.is_empty() {
            parts.push("configuration".into());
        }
        if parts.is_empty() {
            "nothing".into()
        } else {
            parts.join(", ")
        }
    }
}

/// The scope of a patch; `read` gives a text file of the tree. A Makefile is taken as the patch makes it.
pub fn of(patch: &Patch, read: impl Fn(&Path) -> Option<String>) -> Scope {
    // The first change of a file that is changed twice.
    let changes: HashMap<&Path, &FileChange> = patch
        .files
        .iter()
        .rev()
        .filter_map(|change| Some((change.new.as_deref()?, change)))
        .collect();
    let read = |path: &Path| {
        let text = read(path);
        let Some(change) = changes.get(path) else {
            return text;
        };
        let before = text.clone().unwrap_or_default();
        match hunks::apply(&change.hunks, before.as_bytes()) {
            Ok(after) => Some(String::from_utf8_lossy(&after).into_owned()),
            Err(_) => text,
        }
    };
    let mut scope = Scope::default();
    let makefiles = Makefiles {
        read: &read,
        known: RefCell::default(),
    };
    let files = patch.touched_files();
    let mut in_folder: HashMap<Option<&Path>, usize> = HashMap::new();
    for path in files.iter().filter(|path| !is_kconfig(path)) {
        let count = in_folder.entry(path.parent()).or_default();
        *count = count.saturating_add(1);
    }
    for path in &files {
        // What a Makefile's change makes is seen by the files that it lists, where the patch has some in its folder.
        let others = in_folder.get(&path.parent()).is_some_and(|count| *count > 1);
        if !(is_makefile(path) && others) {
            add(&mut scope, path, &makefiles);
        }
    }
    scope
}

/// The Makefiles of the folders that were asked for: each is read once, however many files of its folder change.
struct Makefiles<'r> {
    read: &'r dyn Fn(&Path) -> Option<String>,
    known: RefCell<HashMap<PathBuf, Option<Rc<Makefile>>>>,
}

impl Makefiles<'_> {
    fn of(&self, folder: &Path) -> Option<Rc<Makefile>> {
        if let Some(known) = self.known.borrow().get(folder) {
            return known.clone();
        }
        // kbuild takes Kbuild before Makefile (scripts/Makefile.build).
        let makefile = ["Kbuild", "Makefile"]
            .iter()
            .find_map(|name| (self.read)(&folder.join(name)))
            .map(|text| Rc::new(Makefile::parse(&text)));
        self.known
            .borrow_mut()
            .insert(folder.to_path_buf(), makefile.clone());
        makefile
    }
}

fn is_makefile(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name == "Makefile" || name == "Kbuild")
}

fn is_kconfig(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("Kconfig"))
}

fn add(scope: &mut Scope, path: &Path, makefiles: &Makefiles) {
    let folder = path.parent().unwrap_or(Path::new(""));
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let top = path
        .iter()
        .next()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let in_include = path.iter().any(|part| part == "include");
    if ["Documentation", "tools", "samples", "LICENSES"].contains(&top.as_str()) || extension == "rst" {
        return;
    }
    match extension.as_str() {
        _ if is_kconfig(path) => scope.configuration = true,
        "dts" | "dtsi" | "dtso" => scope.device_trees = true,
        "h" if in_include => scope.kernel = true,
        "c" | "S" | "rs" => {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match product(folder, &stem, makefiles) {
                Product::Module(module, symbol) => drop(scope.modules.insert(module, symbol)),
                Product::Kernel => scope.kernel = true,
                Product::Unknown => drop(scope.folders.insert(folder.to_string_lossy().into_owned())),
            }
        }
        // A header of a folder, its Makefile: whatever is built there, if it is one thing.
        _ => match only_product(folder, makefiles) {
            Some((module, symbol)) => drop(scope.modules.insert(module, symbol)),
            None if folder.as_os_str().is_empty() => scope.kernel = true,
            None => drop(scope.folders.insert(folder.to_string_lossy().into_owned())),
        },
    }
}

enum Product {
    Module(String, String),
    Kernel,
    Unknown,
}

/// What becomes of the object `stem` of a folder: the Makefile there says it, or one further up that lists it with
/// its folder.
fn product(folder: &Path, stem: &str, makefiles: &Makefiles) -> Product {
    let mut object = format!("{stem}.o");
    for above in folder.ancestors() {
        if let Some(makefile) = makefiles.of(above)
            && let Some(found) = makefile.product(&object)
        {
            return found;
        }
        let Some(last) = above.file_name() else { break };
        object = format!("{}/{object}", last.to_string_lossy());
    }
    Product::Unknown
}

/// The one module of a folder.
fn only_product(folder: &Path, makefiles: &Makefiles) -> Option<(String, String)> {
    let makefile = makefiles.of(folder)?;
    let (object, symbol) = makefile.objects.iter().next()?;
    (makefile.listed == 1 && symbol != "y").then(|| (module_name(object), symbol.clone()))
}

/// The lists of a kbuild Makefile (Documentation/kbuild/makefiles.rst).
#[derive(Debug, Default)]
struct Makefile {
    /// `obj-…`: object and what it hangs on (`CONFIG_X`, `m`, `y`) where it is listed first.
    objects: HashMap<String, String>,
    /// How often an object is listed.
    listed: usize,
    /// `NAME-y`, `NAME-objs`, `NAME-$(CONFIG_X)`: of each object the first NAME that it is a part of.
    parts: HashMap<String, String>,
}

impl Makefile {
    fn parse(text: &str) -> Self {
        let mut makefile = Makefile::default();
        for line in text.replace("\\\n", " ").lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((left, right)) = line.split_once('=') else {
                continue;
            };
            let left = left.trim_end_matches([':', '+', '?', ' ', '\t']).trim();
            let objects = right
                .split_whitespace()
                .filter(|word| word.ends_with(".o"))
                .map(String::from);
            let Some((name, condition)) = left.rsplit_once('-') else {
                continue;
            };
            if name == "obj" {
                let condition = condition.trim_start_matches("$(").trim_end_matches(')');
                for object in objects {
                    makefile.listed = makefile.listed.saturating_add(1);
                    let first = makefile.objects.entry(object);
                    first.or_insert_with(|| condition.to_string());
                }
            } else {
                for object in objects {
                    let first = makefile.parts.entry(object);
                    first.or_insert_with(|| name.to_string());
                }
            }
        }
        makefile
    }

    fn product(&self, object: &str) -> Option<Product> {
        let mut wanted = object.to_string();
        // A part of a part is rare, and a loop is a broken Makefile.
        for _ in 0..4 {
            if let Some(condition) = self.objects.get(&wanted) {
                return Some(match condition.as_str() {
                    "y" => Product::Kernel,
                    _ => Product::Module(module_name(&wanted), condition.clone()),
                });
            }
            wanted = format!("{}.o", self.parts.get(&wanted)?);
        }
        None
    }
}

/// The name that a module has once it is loaded.
fn module_name(object: &str) -> String {
    let name = object.rsplit('/').next().unwrap_or(object);
    name.trim_end_matches(".o").replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(files: &[&str]) -> Scope {
        let read = |path: &Path| {
            let text = match path.to_str()? {
                "drivers/v/Makefile" => {
                    "obj-$(CONFIG_V_HANTRO) += hantro-vpu.o\n\nhantro-vpu-y += \\\n\t\thantro_drv.o \\\n\t\tsub/vp9.o\n\
                     hantro-vpu-$(CONFIG_V_ROCKCHIP) += rockchip_hw.o\n"
                }
                "mm/Makefile" => "obj-y := memory.o # core\nobj-$(CONFIG_X) += x.o y.o\n",
                _ => return None,
            };
            Some(text.to_string())
        };
        let mut scope = Scope::default();
        let makefiles = Makefiles {
            read: &read,
            known: RefCell::default(),
        };
        files
            .iter()
            .for_each(|file| add(&mut scope, Path::new(file), &makefiles));
        scope
    }

    #[test]
    fn makefiles_tell_the_module() {
        let module = |scope: Scope| scope.modules.into_iter().next().unwrap();
        let hantro = ("hantro_vpu".to_string(), "CONFIG_V_HANTRO".to_string());
        for file in [
            "drivers/v/hantro_drv.c",
            "drivers/v/rockchip_hw.c",
            "drivers/v/sub/vp9.c",
            "drivers/v/hantro.h",
        ] {
            assert_eq!(module(scope(&[file])), hantro, "{file}");
        }
        assert_eq!(module(scope(&["mm/y.c"])).0, "y");
    }

    /// The cost of a patch grows with its files and not with their square: no Makefile is read for each file of its
    /// folder, and no list is searched for each of them.
    #[test]
    fn each_makefile_is_read_once_however_many_files_of_its_folder_change() {
        const FILES: usize = 20_000;
        let mut mail = "From: A <a@b.c>\nSubject: x\n\n---\n".to_string();
        for number in 0..FILES {
            mail.push_str(&format!(
                "diff --git a/many/{number}.c b/many/{number}.c\nnew file mode 100644\n--- /dev/null\n\
                 +++ b/many/{number}.c\n@@ -0,0 +1 @@\n+x\n"
            ));
        }
        let patch = Patch::parse("p", mail.as_bytes()).unwrap();
        let files = patch.touched_files();
        assert_eq!(
            (files.len(), files[FILES - 1]),
            (FILES, Path::new("many/19999.c"))
        );
        let lists: String = (0..FILES)
            .map(|number| format!("obj-m += {number}.o\n"))
            .collect();
        let reads = RefCell::new(Vec::new());
        let scope = of(&patch, |path| {
            reads.borrow_mut().push(path.to_path_buf());
            (path == Path::new("many/Makefile")).then(|| lists.clone())
        });
        assert_eq!(scope.modules.len(), FILES);
        let read = ["many/Kbuild", "many/Makefile"].map(PathBuf::from);
        assert_eq!(reads.into_inner(), read);
    }

    #[test]
    fn a_new_object_is_found_in_the_makefile_that_the_patch_makes() {
        let mail = "From: A <a@b.c>\nSubject: x\n\n---\ndiff --git a/mm/Makefile b/mm/Makefile\n--- a/mm/Makefile\n+++ b/mm/Makefile\n\
            @@ -1 +1,2 @@\n obj-y := a.o\n+obj-m += b.o\ndiff --git a/mm/b.c b/mm/b.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/b.c\n\
            @@ -0,0 +1 @@\n+int b;\n";
        let patch = Patch::parse("p", mail.as_bytes()).unwrap();
        let scope = of(&patch, |path| {
            (path == Path::new("mm/Makefile")).then(|| "obj-y := a.o\n".to_string())
        });
        assert_eq!(scope.short(), "b");
    }

    #[test]
    fn what_is_no_module_is_told_as_such() {
        for (file, short) in [
            ("include/media/videobuf2-core.h", "kernel"),
            ("mm/memory.c", "kernel"),
            ("mm/internal.h", "mm/"),
            ("drivers/w/w.c", "drivers/w/"),
            ("Documentation/x.rst", "nothing"),
            ("drivers/media/Kconfig", "configuration"),
            ("arch/arm64/boot/dts/rockchip/a.dts", "dtbs"),
            ("Makefile", "kernel"),
        ] {
            assert_eq!(scope(&[file]).short(), short, "{file}");
        }
    }
}
