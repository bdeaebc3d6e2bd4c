//! What must ship after a build, and what pulled it in. It follows from content and from kbuild's own records, never from the scope that
//! was asked for (invariant 12).

use super::build::Builder;
use super::changes::{self, Changes};
use super::cmdfiles;
use super::debug_files::in_build;
use super::pulled::{self, Cause, Inputs, Why};
use crate::manifest::{Kind, Manifest};
use anyhow::{Result, bail};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// What must ship, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ships {
    /// What differs from the build before.
    pub changes: Changes,
    /// Why, for the image and for each module that changed.
    pub why: Vec<Why>,
}

impl Ships {
    /// Compares two manifests of `builder`'s tree. `files` differ between their commits; `config` is the configuration that the older one was
    /// built with, where it is known.
    pub fn between(
        builder: &Builder,
        old: &Manifest,
        new: &Manifest,
        files: BTreeSet<PathBuf>,
        config: Option<&str>,
    ) -> Self {
        let changes = changes::changed(old, new);
        let symbols = config.map_or_else(BTreeSet::new, |old| {
            let new = fs::read_to_string(builder.out.join(".config")).unwrap_or_default();
            pulled::changed_symbols(old, &new)
        });
        let inputs = Inputs { files, symbols };
        let modules = changes
            .modules
            .iter()
            .map(|name| {
                let path = new.module(name).and_then(|file| in_build(&file.source));
                let path = path.map(|path| path.with_extension(""));
                let objects = path
                    .map(|path| pulled::objects(&builder.out, &builder.source, &path))
                    .unwrap_or_default();
                pulled::why(name, &objects, &inputs)
            })
            .collect::<Vec<_>>();
        let image = changes.image.then(|| why_image(builder, &inputs));
        let why = image.into_iter().chain(modules).collect();
        Ships { changes, why }
    }

    /// Lines for a person: what must ship, then why.
    pub fn lines(&self) -> Vec<String> {
        if self.changes.is_empty() {
            let also = match self.changes.relinked.as_slice() {
                [] => String::new(),
                relinked => format!("; {}", same_content(relinked)),
            };
            return vec![format!(
                "ships     nothing: no content differs from the build before{also}"
            )];
        }
        let mut what = Vec::new();
        if self.changes.release {
            what.push("everything (the release is another)".to_string());
        }
        if self.changes.image {
            what.push("the kernel image".to_string());
        }
        if !self.changes.modules.is_empty() {
            what.push(format!("modules {}", self.changes.modules.join(", ")));
        }
        if !self.changes.dtbs.is_empty() {
            what.push(format!("{} device trees", self.changes.dtbs.len()));
        }
        if !self.changes.gone.is_empty() {
            what.push(format!("{} files less", self.changes.gone.len()));
        }
        if what.is_empty() {
            what.push("the index of the modules".into());
        }
        if !self.changes.relinked.is_empty() {
            what.push(same_content(&self.changes.relinked));
        }
        let mut lines = vec![format!("ships     {}", what.join("; "))];
        lines.extend(self.why.iter().map(|why| format!("          {}", why.line())));
        lines
    }
}

fn same_content(relinked: &[String]) -> String {
    format!(
        "with other build ids alone, so that they are told apart: {}",
        relinked.join(", ")
    )
}

/// Errors if a part of the kernel image was compiled from something older than a file that patches changed: after building modules alone, the
/// image that they would be loaded into is not the one that the tree describes, and nothing at load time would notice.
pub fn refuse_stale_image(builder: &Builder, changed: &[PathBuf]) -> Result<()> {
    if !builder.out.join("vmlinux").exists() {
        bail!(
            "there is no kernel image in {} yet, which modules are built for; build it first: `cargo xtask build --scope kernel`",
            builder.out.display()
        );
    }
    let stale = stale_objects(builder, changed);
    let Some((object, file)) = stale.first() else {
        return Ok(());
    };
    bail!(
        "{} of the kernel image itself would be compiled anew, {} for one, since {} changed: modules alone would not fit the image that \
         runs; build all of it: `cargo xtask build --scope kernel`",
        objects(stale.len()),
        object.display(),
        file.display()
    )
}

fn objects(number: usize) -> String {
    if number == 1 {
        "1 object".into()
    } else {
        format!("{number} objects")
    }
}

/// Objects of the image that are older than one of `changed` that they were compiled from.
fn stale_objects(builder: &Builder, changed: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    // What is older than the last link was seen by it.
    let linked = ["vmlinux.o", "vmlinux"].map(|name| builder.out.join(name));
    let linked = linked.iter().find(|path| path.exists());
    let is_code = |file: &&PathBuf| {
        let ending = file.extension().unwrap_or_default();
        ["c", "h", "S", "rs"].iter().any(|code| ending == *code)
    };
    let present: Vec<&PathBuf> = changed
        .iter()
        .filter(is_code)
        .filter(|file| linked.is_none_or(|linked| is_newer(&builder.source.join(file), linked)))
        .collect();
    if present.is_empty() {
        return Vec::new();
    }
    built_in_users(builder, &present)
        .into_iter()
        .filter(|(object, file)| is_newer(&builder.source.join(file), &builder.out.join(object)))
        .collect()
}

/// Objects of the image that were compiled from one of `files`, sorted, each with the first of these.
fn built_in_users(builder: &Builder, files: &[&PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    let in_modules = objects_of_all_modules(&builder.out);
    let wanted: BTreeSet<&Path> = files.iter().map(|file| file.as_path()).collect();
    let names: Vec<&str> = files
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    let mut users = Vec::new();
    for entry in WalkDir::new(&builder.out).into_iter().flatten() {
        let object = object_of(entry.path(), &builder.out).filter(|object| !in_modules.contains(object));
        let Some((object, text)) = object.zip(fs::read_to_string(entry.path()).ok()) else {
            continue;
        };
        // Most files mention none of the names: looking at bytes is quicker than reading the grammar.
        if !names.iter().any(|name| text.contains(name)) {
            continue;
        }
        let from = cmdfiles::parse(&text, &builder.source, &builder.out);
        if let Some(file) = from.files.iter().find(|file| wanted.contains(file.as_path())) {
            users.push((object, file.clone()));
        }
    }
    users.sort();
    users
}

/// Why the kernel image is another one.
fn why_image(builder: &Builder, inputs: &Inputs) -> Why {
    let code: Vec<&PathBuf> = inputs
        .files
        .iter()
        .filter(|file| {
            file.extension()
                .is_some_and(|ending| ["c", "h", "S", "rs"].iter().any(|code| ending == *code))
        })
        .collect();
    let users = if code.is_empty() {
        Vec::new()
    } else {
        built_in_users(builder, &code)
    };
    let is_header = |file: &Path| file.extension().is_some_and(|ending| ending == "h");
    let user = users
        .iter()
        .find(|(_, file)| !is_header(file))
        .or_else(|| users.first());
    let (object, cause) = match (user, inputs.symbols.first()) {
        (Some((object, file)), _) if is_header(file) => (Some(object.clone()), Cause::Header(file.clone())),
        (Some((object, file)), _) => (Some(object.clone()), Cause::Source(file.clone())),
        // With CONFIG_IKCONFIG the whole configuration is a part of the image.
        (None, Some(symbol)) => {
            let object = PathBuf::from("kernel/configs.o");
            let holds_it = builder.out.join(&object).exists();
            (holds_it.then_some(object), Cause::Symbol(symbol.clone()))
        }
        (None, None) => (None, Cause::Indirect),
    };
    Why {
        module: "the kernel image".into(),
        object,
        cause,
    }
}

/// `mm/a.o` of `<out>/mm/.a.o.cmd`.
fn object_of(cmd: &Path, out: &Path) -> Option<PathBuf> {
    let name = cmd
        .file_name()?
        .to_str()?
        .strip_prefix('.')?
        .strip_suffix(".cmd")?;
    let inside = cmd.strip_prefix(out).ok()?;
    // The build's own tools are no part of the image.
    let counts = name.ends_with(".o") && !name.ends_with(".mod.o") && !inside.starts_with("scripts");
    counts.then(|| inside.with_file_name(name))
}

fn objects_of_all_modules(out: &Path) -> BTreeSet<PathBuf> {
    let order = fs::read_to_string(out.join("modules.order")).unwrap_or_default();
    let mut all = BTreeSet::new();
    for line in order.lines() {
        let list = fs::read_to_string(out.join(line).with_extension("mod")).unwrap_or_default();
        all.extend(cmdfiles::objects_of_module(&list));
        all.insert(PathBuf::from(line));
    }
    all
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    match (modified(file), modified(than)) {
        (Some(file), Some(than)) => file > than,
        _ => false,
    }
}

/// Paths of the staged device trees, below the staging folder.
pub fn dtbs(manifest: &Manifest) -> Vec<PathBuf> {
    manifest
        .of_kind(Kind::Dtb)
        .map(|file| file.source.clone())
        .collect()
}

impl Why {
    /// Whether it was changed by something that is not its own: a plan that names only the owner would have missed it.
    pub fn is_from_elsewhere(&self) -> bool {
        !matches!(self.cause, Cause::Source(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmd_files_of_objects_are_told_from_others() {
        let out = Path::new("/out");
        let object = |path: &str| object_of(Path::new(path), out);
        assert_eq!(object("/out/mm/.a.o.cmd"), Some(PathBuf::from("mm/a.o")));
        for other in [
            "/out/mm/.a.mod.o.cmd",
            "/out/.vmlinux.cmd",
            "/out/scripts/mod/.x.o.cmd",
            "/out/mm/a.o",
        ] {
            assert_eq!(object(other), None, "{other}");
        }
    }
}
