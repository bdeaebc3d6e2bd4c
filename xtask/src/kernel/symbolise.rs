//! From `func+0x1c/0x90 [mod]` to a file and line of the tree, with the build's own vmlinux and modules.
//!
//! What is decoded has to be of the very build that ran: build ids where both sides have one, the release, and the sizes of the functions in
//! any case. What does not fit is refused, with the reason; a wrong line is worse than none.

pub mod dwarf;
pub mod frame;
pub mod image;
pub mod members;
pub mod origin;
pub mod touched;

use crate::kernel::cmdfiles;
use crate::kernel::debug_files::{self, DebugFiles};
use crate::manifest::{Kind, Manifest};
use anyhow::{Context, Result, bail};
use dwarf::Lines;
use frame::{Address, Frame};
use image::{Image, Lookup, Symbol};
use members::Member;
use origin::{Objects, Origin};
use serde::Serialize;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use touched::{Mark, Touched};

/// Where a build folder says which release was built.
pub const RELEASE: &str = "include/config/kernel.release";

/// A build folder: the `O=` of make, or a tree that was built in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFolder {
    /// The folder.
    pub out: PathBuf,
    /// The source.
    pub tree: PathBuf,
    /// `make kernelrelease` of it.
    pub release: String,
    /// `.ko` of each module, by name, relative to the folder.
    modules: BTreeMap<String, PathBuf>,
}

impl BuildFolder {
    /// Looks at a build folder. Errors: no kernel was built there.
    pub fn open(out: &Path) -> Result<Self> {
        let looking = || format!("looking for a built kernel in {}", out.display());
        let out = out.canonicalize().with_context(looking)?;
        if !out.join("vmlinux").is_file() {
            bail!(
                "{} holds no vmlinux: no kernel was built there, or it was cleaned since; `cargo xtask build-debug-kernel` builds one",
                out.display()
            );
        }
        // The Makefile of the top makes `source` in each build folder that is not the tree itself.
        let tree = out.join("source").canonicalize().unwrap_or_else(|_| out.clone());
        // A distribution's package of debug files is a folder of modules named by the release, with vmlinux in it.
        let release = match std::fs::read_to_string(out.join(RELEASE)) {
            Ok(release) => release,
            Err(_) if out.join("kernel").is_dir() && !out.join("Makefile").exists() => {
                out.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("reading {RELEASE}"))
                    .with_context(looking);
            }
        };
        let order = std::fs::read_to_string(out.join("modules.order")).unwrap_or_default();
        let modules = order
            .lines()
            .filter_map(|line| {
                let path = Path::new(line).with_extension("ko");
                let name = path.file_stem()?.to_str()?.replace('-', "_");
                Some((name, path))
            })
            .collect();
        Ok(BuildFolder {
            out,
            tree,
            release: release.trim().to_string(),
            modules,
        })
    }

    /// The folder that gave what `manifest` names, whatever it holds now: nothing of it is read here, since another build may run in it.
    pub fn of(out: &Path, tree: &Path, manifest: &Manifest) -> Self {
        let modules = manifest.of_kind(Kind::Module);
        BuildFolder {
            out: out.to_path_buf(),
            tree: tree.to_path_buf(),
            release: manifest.release.clone(),
            modules: modules
                .filter_map(|file| Some((file.module_name()?, debug_files::in_build(&file.source)?)))
                .collect(),
        }
    }

    /// The `.ko` of a module, by name (dashes as underscores).
    pub fn module(&self, name: &str) -> Option<PathBuf> {
        Some(self.out.join(self.modules.get(name)?))
    }
}

/// Build ids that are known to have run, lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Of the kernel.
    pub kernel: Option<String>,
    /// Of modules, by name.
    pub modules: BTreeMap<String, String>,
}

impl Expected {
    /// What a slot held.
    pub fn of(manifest: &Manifest) -> Self {
        Expected {
            kernel: Some(manifest.build_id.clone()),
            modules: manifest
                .of_kind(Kind::Module)
                .filter_map(|file| Some((file.module_name()?, file.build_id.clone()?)))
                .collect(),
        }
    }
}

/// A line of the log and what its frames are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// As it is.
    pub text: String,
    /// Its frames, in order.
    pub frames: Vec<Decoded>,
}

/// A frame and where it is in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decoded {
    /// The frame.
    pub frame: Frame,
    /// Places: the innermost inlined function first, the one that the symbol names last.
    pub places: Vec<Place>,
    /// How it is known that this is the code that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched_by: Option<Match>,
    /// Why there is no place, or not a whole one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// For the program counter of a NULL dereference: what lies at its offset in the structures of the function.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

impl Decoded {
    /// Whether it has no place because what is there was built from something else.
    pub fn is_of_another_build(&self) -> bool {
        self.note.as_deref().is_some_and(|note| note.contains(ANOTHER))
    }
}

/// In the reason of a frame that this build did not give.
const ANOTHER: &str = "another build ran";

/// How it is known that the build is the one that ran. The size of each function is compared in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// The build ids are equal.
    BuildId,
    /// The log names the same release; the size of the function fits.
    Release,
    /// Only the size of the function fits.
    Size,
}

/// A place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// Function.
    pub function: String,
    /// Relative to the tree, where it lies in it.
    #[serde(serialize_with = "crate::host::json::named")]
    pub file: PathBuf,
    /// Line; none without debug information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How near it is to the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// Decodes frames; files of the build are read when a frame needs them, and kept.
pub struct Symboliser {
    build: BuildFolder,
    kept: Option<DebugFiles>,
    expected: Expected,
    touched: Touched,
    /// vmlinux under the empty name.
    images: BTreeMap<String, Result<Image, String>>,
    objects: OnceCell<Objects>,
}

/// What the log says of the kernel that wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said<'a> {
    release: Option<&'a str>,
    build_id: Option<&'a str>,
}

impl Symboliser {
    /// A symboliser for a build. `expected`: build ids that are known from elsewhere than the log; `touched`: the patch under test.
    pub fn new(build: BuildFolder, expected: Expected, touched: Touched) -> Self {
        Symboliser {
            build,
            kept: None,
            expected,
            touched,
            images: BTreeMap::new(),
            objects: OnceCell::new(),
        }
    }

    /// Looks among these files, too, where it is known which build ran and the build folder may hold another one.
    pub fn with_kept(mut self, kept: DebugFiles) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Decodes the lines of a log. Reads files of the build folder, changes nothing.
    pub fn decode<S: AsRef<str>>(&mut self, lines: &[S]) -> Vec<Line> {
        let said = said(lines);
        let mut fault = None;
        let mut decoded = Vec::with_capacity(lines.len());
        for (number, (line, said)) in (1..).zip(lines.iter().zip(said)) {
            let text = line.as_ref();
            fault = frame::fault_offset(text).or(fault);
            let frames = frame::frames(text)
                .into_iter()
                .map(|frame| {
                    let offset = if frame.address == Address::Exact {
                        fault.take()
                    } else {
                        None
                    };
                    self.frame(frame, said, offset)
                })
                .collect();
            decoded.push(Line {
                number,
                text: text.to_string(),
                frames,
            });
        }
        decoded
    }

    fn frame(&mut self, frame: Frame, said: Said, fault: Option<u64>) -> Decoded {
        let mut decoded = Decoded {
            places: Vec::new(),
            matched_by: None,
            note: None,
            members: Vec::new(),
            frame,
        };
        if let Err(reason) = self.fill(&mut decoded, said, fault) {
            decoded.note = Some(reason);
        }
        decoded
    }

    /// The error is a sentence for a person: why this frame has no place.
    fn fill(&mut self, decoded: &mut Decoded, said: Said, fault: Option<u64>) -> Result<(), String> {
        let frame = &decoded.frame;
        let module = frame.module.clone().unwrap_or_default();
        let build_id = match &frame.module {
            Some(name) => self
                .expected
                .modules
                .get(name)
                .or(frame.build_id.as_ref())
                .cloned(),
            None => self.expected.kernel.clone().or(said.build_id.map(String::from)),
        };
        self.load(&module, build_id.as_deref())?;
        let image = match self.images.get(&module) {
            Some(Ok(image)) => image,
            Some(Err(reason)) => return Err(reason.clone()),
            None => return Err("it was not read".to_string()),
        };
        let matched = self.matches(image, frame, said)?;
        let candidates = candidates(image, frame)?;
        decoded.matched_by = Some(matched);
        let Some(lines) = image.lines().map_err(String::from)? else {
            let [symbol] = candidates[..] else {
                return Err(ambiguous(image, &candidates));
            };
            let file = self.build.modules.get(&module).map(PathBuf::as_path);
            let objects = self.objects.get_or_init(|| Objects::of(&self.build.out));
            let found = origin::of(objects, image, symbol, file, &self.build.out, &self.build.tree);
            return self.without_lines(decoded, found, fault.is_some());
        };
        let address = |symbol: &Symbol| symbol.address.saturating_add(decoded.frame.instruction());
        let mut ways = Vec::new();
        for symbol in &candidates {
            ways.push(self.places(lines, address(symbol), &decoded.frame.symbol)?);
        }
        // Copies of one function (static in a header) are the same place.
        ways.dedup();
        let [places] = &mut ways[..] else {
            return Err(ambiguous(image, &candidates));
        };
        decoded.places = std::mem::take(places);
        if decoded.places.is_empty() {
            return Err(
                "the debug information says nothing of this address (assembly, or left out)".to_string(),
            );
        }
        if let (Some(offset), [symbol]) = (fault, &candidates[..]) {
            decoded.members =
                members::at(lines, address(symbol), offset).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn places(&self, lines: &Lines, address: u64, symbol: &str) -> Result<Vec<Place>, String> {
        let found = lines.at(address).map_err(|error| error.to_string())?;
        Ok(found
            .into_iter()
            .map(|line| {
                let file = cmdfiles::relative(&line.file, &self.build.tree, &self.build.out);
                let function = line.function.unwrap_or_else(|| symbol.to_string());
                Place {
                    mark: self.touched.mark(&file, line.line, &function),
                    function,
                    file,
                    line: line.line,
                }
            })
            .collect())
    }

    /// The file alone, which kbuild's records and the symbol tables give.
    fn without_lines(&self, decoded: &mut Decoded, found: Origin, is_fault: bool) -> Result<(), String> {
        let mut note = "no line: the kernel was built without debug information".to_string();
        if is_fault {
            note.push_str(", so which member of which structure was read cannot be told either");
        }
        match found {
            Origin::File(file) => {
                let function = decoded.frame.symbol.clone();
                decoded.places.push(Place {
                    mark: self.touched.mark(&file, None, &function),
                    function,
                    file,
                    line: None,
                });
                decoded.note = Some(note);
                Ok(())
            }
            Origin::OneOf(files) => {
                let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                Err(format!("{note}; it is in one of {}", names.join(", ")))
            }
            Origin::Unknown => Err(note),
        }
    }

    /// Reads vmlinux (the empty name) or a module, once: of the build that ran, where its build id is known and it was kept.
    fn load(&mut self, module: &str, build_id: Option<&str>) -> Result<(), String> {
        if self.images.contains_key(module) {
            return Ok(());
        }
        let kept = self.kept.as_ref().zip(build_id);
        let file = match kept.and_then(|(kept, build_id)| kept.find(build_id)) {
            Some(kept) => kept,
            None if module.is_empty() => self.build.out.join("vmlinux"),
            None => {
                let file = self.build.module(module);
                file.ok_or_else(|| format!("this build has no module {module}"))?
            }
        };
        let image = Image::open(&file).map_err(|error| format!("{error:#}"));
        self.images.insert(module.to_string(), image);
        Ok(())
    }

    /// Whether a file of the build is the one that ran. Errors: it is not.
    fn matches(&self, image: &Image, frame: &Frame, said: Said) -> Result<Match, String> {
        let release = &self.build.release;
        if let Some(other) = said.release.filter(|other| other != release) {
            return Err(format!("the log is of {other}, this build is {release}"));
        }
        let (logged, expected) = match &frame.module {
            Some(module) => (
                frame.build_id.as_deref(),
                self.expected.modules.get(module).map(String::as_str),
            ),
            None => (said.build_id, self.expected.kernel.as_deref()),
        };
        for (who, id) in [("the log", logged), ("what was deployed", expected)] {
            let Some(id) = id else { continue };
            let own = image.build_id.as_deref();
            if own != Some(id) {
                return Err(format!(
                    "{ANOTHER}: {who} has build id {id}, {} has {}",
                    image.path.display(),
                    own.unwrap_or("none")
                ));
            }
        }
        Ok(match (logged.or(expected), said.release) {
            (Some(_), _) => Match::BuildId,
            (None, Some(_)) => Match::Release,
            (None, None) => Match::Size,
        })
    }
}

/// The symbols that a frame may mean; mostly one. Errors: none fits.
fn candidates<'a>(image: &'a Image, frame: &Frame) -> Result<Vec<&'a Symbol>, String> {
    match image.lookup(frame) {
        Lookup::Fitting(symbols) => Ok(symbols),
        Lookup::OtherSizes(sizes) => {
            let sizes: Vec<String> = sizes.iter().map(|size| format!("{size:#x}")).collect();
            Err(format!(
                "it has {} bytes in this build, and the log has it at {:#x} of {:#x}: {ANOTHER}",
                sizes.join(" or "),
                frame.offset,
                frame.size
            ))
        }
        Lookup::None => Err(format!("{} has no such function", image.path.display())),
    }
}

fn ambiguous(image: &Image, symbols: &[&Symbol]) -> String {
    let mut files: Vec<&str> = symbols
        .iter()
        .filter_map(|symbol| image.file_of(symbol))
        .collect();
    files.sort_unstable();
    files.dedup();
    let named = if files.is_empty() {
        String::new()
    } else {
        format!(": in {}", files.join(", "))
    };
    format!(
        "{} functions of this build have this name and size{named}",
        symbols.len()
    )
}

/// What the log says of the kernel at each line: the last that was said, or else what is said next.
fn said<S: AsRef<str>>(lines: &[S]) -> Vec<Said<'_>> {
    let mut said = vec![Said::default(); lines.len()];
    let mut now = Said::default();
    for (line, said) in lines.iter().zip(&mut said) {
        let text = line.as_ref();
        if let Some(release) = frame::release(text) {
            if now.release != Some(release) {
                now.build_id = None;
            }
            now.release = Some(release);
        }
        now.build_id = frame::kernel_build_id(text).or(now.build_id);
        *said = now;
    }
    let mut next = Said::default();
    for said in said.iter_mut().rev() {
        if said.release.is_none() {
            said.release = next.release;
        }
        if said.build_id.is_none() && said.release == next.release {
            said.build_id = next.build_id;
        }
        next = *said;
    }
    said
}
