//! A history of random changes of every kind that a patch can hold, and git without anybody's configuration.

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// Small deterministic random numbers (Knuth's MMIX constants), so that a failure can be repeated.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    pub fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Runs git with nobody's configuration.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"];
    let quick = [
        "-c",
        "core.fsync=none",
        "-c",
        "gc.auto=0",
        "-c",
        "apply.whitespace=nowarn",
        "-c",
        "mailinfo.quotedCr=nowarn",
    ];
    Command::new("git")
        .current_dir(folder)
        .args(identity)
        .args(quick)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap()
}

/// Runs git, which has to succeed; gives what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {said}");
    output.stdout
}

type Files = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// A history of random changes, made with libgit2; its first commit is `start`.
pub struct History {
    pub repo: Repository,
    files: Files,
    pub head: Oid,
    random: Random,
    /// How often each kind of change was made.
    pub made: BTreeMap<&'static str, usize>,
}

const FILE: u32 = 0o100644;
const PROGRAM: u32 = 0o100755;
const LINK: u32 = 0o120000;

/// What a file has behind its name when it becomes a folder.
const INSIDE: &[u8] = b"/inside.c";

const NAMES: &[&[u8]] = &[
    b"plain.c",
    b"with space.c",
    b"quote\".c",
    b"back\\slash.c",
    "umlaut-\u{e4}.c".as_bytes(),
    b"latin-\xe4.c",
    b"tab\there.c",
    b"a/b.c",
];
const FOLDERS: &[&[u8]] = &[b"", b"drivers/media/", b"lib/", b"include/a b/"];
const AUTHORS: &[&str] = &[
    "Ann Other <ann@example.org>",
    "J\u{fc}rgen \"J\" M\u{fc}ller <jm@example.org>",
    "Other, Ann <ann@example.org>",
    "Ann (work) Other <ann@example.org>",
    "Ann Other Jr. <ann@example.org>",
    "O'Brien, \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} and a name that goes on <o@example.org>",
    "ann@example.org <ann@example.org>",
    "\u{5c71}\u{7530} <y+x@sub.example.org>",
];
const SUBJECTS: &[&str] = &[
    "media: plain",
    "media: \u{e4}nderung with [brackets] behind",
    "[media] brackets in front",
    "Re: an answer: to what",
    "media: a subject that is a great deal longer than one line of a mail may be, so that it has to be folded somewhere",
    "m\u{fc}dia: \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442} a subject with other letters that is also too long for one line, \u{e4}\u{f6}\u{fc} and so on",
    "media:  two  spaces\tand a tab",
    "=?odd?= words = and _ underscores?",
];
const BODIES: &[&str] = &[
    "",
    "Why.",
    "Why.\n\n\n\nMore, with space behind.   \n\tindented\n\nSigned-off-by: Ann Other <ann@example.org>",
    "Date: Fri, 6 Mar 2026 01:02:03 -0100\nFrom: Another <another@example.org>\n\nMore.",
    "Subject: is how this line begins\n\nMore.",
    "Not:a header\nnor this.",
    "Text.\n-- >8 --\nbehind scissors",
    "Text.\n---\nbehind three dashes",
    "Text.\n----\nFour dashes, > quoted\n>From here\nFrom there\n",
    "M\u{fc}ller, \u{41f}\u{440}\u{438}\u{432}\u{435}\u{442}.\u{a0}\n\n=3D is no code; neither is a = at the end =\n.\n",
    "    indented at first\n\nand a very long line that goes on and on and on and on and on and on and on and on and on and on and on and on and on and on and on and on\n",
];

impl History {
    pub fn new(folder: &Path, seed: u64) -> Self {
        let repo = Repository::init(folder).unwrap();
        let mut history = History {
            repo,
            files: Files::new(),
            head: Oid::ZERO_SHA1,
            random: Random(seed),
            made: BTreeMap::new(),
        };
        for name in [
            "Makefile", "core.c", "driver.c", "lib/x.c", "lib/y.h", "tool.sh", "long.c",
        ] {
            let length = if name == "long.c" { 400 } else { 60 };
            let text = history.lines(length);
            history.files.insert(name.into(), (text, FILE));
        }
        let binary = history.noise(3000);
        history.files.insert(b"firmware.bin".to_vec(), (binary, FILE));
        history.commit("base", "Ann <a@example.org>", 0);
        history
            .repo
            .reference("refs/heads/start", history.head, true, "")
            .unwrap();
        history
    }

    fn lines(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|at| format!("line {at} {}\n", self.random.below(9)).into_bytes())
            .collect()
    }

    fn noise(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .map(|at| if at == 5 { 0 } else { self.random.below(256) as u8 })
            .collect()
    }

    fn commit(&mut self, message: &str, author: &str, number: i64) {
        let mut index = Index::new().unwrap();
        for (path, (bytes, mode)) in &self.files {
            let id = self.repo.blob(bytes).unwrap();
            let time = IndexTime::new(0, 0);
            index
                .add(&IndexEntry {
                    ctime: time,
                    mtime: time,
                    dev: 0,
                    ino: 0,
                    mode: *mode,
                    uid: 0,
                    gid: 0,
                    file_size: 0,
                    id,
                    flags: 0,
                    flags_extended: 0,
                    path: path.clone(),
                })
                .unwrap();
        }
        let tree = self
            .repo
            .find_tree(index.write_tree_to(&self.repo).unwrap())
            .unwrap();
        let (name, address) = author.rsplit_once(" <").unwrap();
        let offset = [0, 60, -210, 345, -720][number as usize % 5];
        let time = Time::new(1_772_000_000 + number * 86_413, offset);
        let author = Signature::new(name, address.trim_end_matches('>'), &time).unwrap();
        let parent = self.repo.find_commit(self.head).ok();
        let parents: Vec<&git2::Commit> = parent.iter().collect();
        self.head = self
            .repo
            .commit(None, &author, &author, message, &tree, &parents)
            .unwrap();
    }

    /// A path that is not there, in no folder that is a file.
    fn new_name(&mut self) -> Vec<u8> {
        loop {
            let number = self.random.below(1000);
            let name = [
                self.random.of(FOLDERS),
                format!("{number}-").as_bytes(),
                self.random.of(NAMES),
            ]
            .concat();
            if !self.files.contains_key(&name) {
                return name;
            }
        }
    }

    fn any(&mut self, wanted: impl Fn(&(Vec<u8>, u32)) -> bool) -> Option<Vec<u8>> {
        let names: Vec<Vec<u8>> = self
            .files
            .iter()
            .filter(|(name, file)| wanted(file) && *name != b"Makefile")
            .map(|(name, _)| name.clone())
            .collect();
        (!names.is_empty()).then(|| names[self.random.below(names.len())].clone())
    }

    fn edit(&mut self, text: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = text
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        for _ in 0..1 + self.random.below(4) {
            let at = self.random.below(lines.len() + 1);
            let number = self.random.below(100);
            match self.random.below(6) {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines[at] = format!("reworded {number}\n").into_bytes(),
                2 => lines.insert(at, format!("carriage return {number}\r\n").into_bytes()),
                3 => lines.insert(at, b"\n".to_vec()),
                4 => lines.insert(at, format!("-- {number}\n").into_bytes()),
                _ => lines.insert(
                    at,
                    format!("latin \u{fc} {number}\n")
                        .chars()
                        .map(|c| c as u8)
                        .collect(),
                ),
            }
        }
        let mut text: Vec<u8> = lines.concat();
        match self.random.below(6) {
            0 if text.ends_with(b"\n") => drop(text.pop()),
            1 if !text.ends_with(b"\n") => text.push(b'\n'),
            _ => {}
        }
        text
    }

    fn change(&mut self) {
        const TEXT: fn(&(Vec<u8>, u32)) -> bool = |(bytes, mode)| *mode != LINK && !bytes.contains(&0);
        let kind = self.random.of(&[
            "edit",
            "edit",
            "edit",
            "edit",
            "new",
            "new empty",
            "delete",
            "rename",
            "rename and edit",
            "copy",
            "mode",
            "binary new",
            "binary edit",
            "link",
            "link edit",
            "type change",
            "file to folder",
            "folder to file",
            "swap",
        ]);
        let done = match kind {
            "edit" => self.any(TEXT).map(|name| {
                let (text, mode) = self.files[&name].clone();
                let text = self.edit(&text);
                self.files.insert(name, (text, mode));
            }),
            "new" => {
                let (name, text) = (self.new_name(), self.lines(12));
                self.files
                    .insert(name, (text, *self.random.of(&[&FILE, &PROGRAM])));
                Some(())
            }
            "new empty" => {
                let name = self.new_name();
                self.files.insert(name, (Vec::new(), FILE));
                Some(())
            }
            "delete" if self.files.len() > 8 => self.any(|_| true).map(|name| drop(self.files.remove(&name))),
            "rename" | "rename and edit" => self.any(|(bytes, _)| bytes.len() > 100).map(|name| {
                let (mut bytes, mode) = self.files.remove(&name).unwrap();
                if kind != "rename" && TEXT(&(bytes.clone(), mode)) {
                    bytes = self.edit(&bytes);
                }
                let to = self.new_name();
                self.files.insert(to, (bytes, mode));
            }),
            "copy" => self.any(|file| TEXT(file) && file.0.len() > 100).map(|name| {
                let (text, mode) = self.files[&name].clone();
                let (to, text) = (self.new_name(), self.edit(&text));
                self.files.insert(to, (text, mode));
            }),
            "mode" => self.any(|(_, mode)| *mode != LINK).map(|name| {
                let file = self.files.get_mut(&name).unwrap();
                file.1 = if file.1 == FILE { PROGRAM } else { FILE };
            }),
            "binary new" => {
                let (name, bytes) = (self.new_name(), self.noise(200));
                self.files.insert(name, (bytes, FILE));
                Some(())
            }
            // A small change of a large file becomes a delta, others a literal.
            "binary edit" => self.any(|(bytes, _)| bytes.contains(&0)).map(|name| {
                let at = self.random.below(self.files[&name].0.len());
                let file = self.files.get_mut(&name).unwrap();
                file.0.insert(at, 7);
            }),
            "link" => {
                let name = self.new_name();
                self.files.insert(name, (b"lib/x.c".to_vec(), LINK));
                Some(())
            }
            "link edit" => self.any(|(_, mode)| *mode == LINK).map(|name| {
                let to = format!("to/{}", self.random.below(99)).into_bytes();
                self.files.insert(name, (to, LINK));
            }),
            "type change" => self
                .any(TEXT)
                .map(|name| drop(self.files.insert(name, (b"core.c".to_vec(), LINK)))),
            "file to folder" => self.any(|_| true).map(|name| {
                self.files.remove(&name);
                let text = self.lines(12);
                self.files.insert([&name[..], INSIDE].concat(), (text, FILE));
            }),
            // Only of folders that it made: no other name begins with theirs.
            "folder to file" => {
                let inside = |name: &&Vec<u8>| name.ends_with(INSIDE);
                self.files.keys().find(inside).cloned().map(|name| {
                    self.files.remove(&name);
                    let text = self.lines(9);
                    self.files
                        .insert(name[..name.len() - INSIDE.len()].to_vec(), (text, FILE));
                })
            }
            "swap" => self.any(TEXT).zip(self.any(TEXT)).map(|(one, other)| {
                let (a, b) = (self.files[&one].clone(), self.files[&other].clone());
                self.files.insert(one, b);
                self.files.insert(other, a);
            }),
            _ => None,
        };
        if done.is_some() {
            *self.made.entry(kind).or_default() += 1;
        }
    }

    /// One commit more, of one to three changes.
    pub fn grow(&mut self, number: i64) {
        let before = self.files.clone();
        while self.files == before {
            for _ in 0..1 + self.random.below(3) {
                self.change();
            }
        }
        let subject = format!("{} {number}", self.random.of(SUBJECTS));
        let message = format!("{subject}\n\n{}", self.random.of(BODIES));
        let author = self.random.of(AUTHORS);
        self.commit(&message, author, number);
    }
}
