//! What `git am` makes of a patch is the measure: the same tree, message, author and date, on several hundred generated and
//! real patches; and what it refuses is refused.

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature, Time};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::Tree;

/// Small deterministic random numbers (Knuth's MMIX constants), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"];
    let quick = ["-c", "core.fsync=none", "-c", "gc.auto=0", "-c", "apply.whitespace=nowarn", "-c", "mailinfo.quotedCr=nowarn"];
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

fn git(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = run(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {said}");
    output.stdout
}

type Files = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// A history of random changes, made with libgit2; its first commit is `start`.
struct History {
    repo: Repository,
    files: Files,
    head: Oid,
    random: Random,
    /// How often each kind of change was made.
    made: BTreeMap<&'static str, usize>,
}

const FILE: u32 = 0o100644;
const PROGRAM: u32 = 0o100755;
const LINK: u32 = 0o120000;

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
    fn new(folder: &Path, seed: u64) -> Self {
        let repo = Repository::init(folder).unwrap();
        let mut history = History {
            repo,
            files: Files::new(),
            head: Oid::ZERO_SHA1,
            random: Random(seed),
            made: BTreeMap::new(),
        };
        for name in ["Makefile", "core.c", "driver.c", "lib/x.c", "lib/y.h", "tool.sh", "long.c"] {
            let length = if name == "long.c" { 400 } else { 60 };
            let text = history.lines(length);
            history.files.insert(name.into(), (text, FILE));
        }
        let binary = history.noise(3000);
        history.files.insert(b"firmware.bin".to_vec(), (binary, FILE));
        history.commit("base", "Ann <a@example.org>", 0);
        history.repo.reference("refs/heads/start", history.head, true, "").unwrap();
        history
    }

    fn lines(&mut self, count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|at| format!("line {at} {}\n", self.random.below(9)).into_bytes())
            .collect()
    }

    fn noise(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|at| if at == 5 { 0 } else { self.random.below(256) as u8 }).collect()
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
        let tree = self.repo.find_tree(index.write_tree_to(&self.repo).unwrap()).unwrap();
        let (name, address) = author.rsplit_once(" <").unwrap();
        let offset = [0, 60, -210, 345, -720][number as usize % 5];
        let time = Time::new(1_772_000_000 + number * 86_413, offset);
        let author = Signature::new(name, address.trim_end_matches('>'), &time).unwrap();
        let parent = self.repo.find_commit(self.head).ok();
        let parents: Vec<&git2::Commit> = parent.iter().collect();
        self.head = self.repo.commit(None, &author, &author, message, &tree, &parents).unwrap();
    }

    /// A path that is not there, in no folder that is a file.
    fn new_name(&mut self) -> Vec<u8> {
        loop {
            let number = self.random.below(1000);
            let name = [self.random.of(FOLDERS), format!("{number}-").as_bytes(), self.random.of(NAMES)].concat();
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
        let mut lines: Vec<Vec<u8>> = text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for _ in 0..1 + self.random.below(4) {
            let at = self.random.below(lines.len() + 1);
            let number = self.random.below(100);
            match self.random.below(6) {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines[at] = format!("reworded {number}\n").into_bytes(),
                2 => lines.insert(at, format!("carriage return {number}\r\n").into_bytes()),
                3 => lines.insert(at, b"\n".to_vec()),
                4 => lines.insert(at, format!("-- {number}\n").into_bytes()),
                _ => lines.insert(at, format!("latin \u{fc} {number}\n").chars().map(|c| c as u8).collect()),
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
            "edit", "edit", "edit", "edit", "new", "new empty", "delete", "rename", "rename and edit", "copy",
            "mode", "binary new", "binary edit", "link", "link edit", "type change", "swap",
        ]);
        let done = match kind {
            "edit" => self.any(TEXT).map(|name| {
                let (text, mode) = self.files[&name].clone();
                let text = self.edit(&text);
                self.files.insert(name, (text, mode));
            }),
            "new" => {
                let (name, text) = (self.new_name(), self.lines(12));
                self.files.insert(name, (text, *self.random.of(&[&FILE, &PROGRAM])));
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
            "type change" => self.any(TEXT).map(|name| drop(self.files.insert(name, (b"core.c".to_vec(), LINK)))),
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
    fn grow(&mut self, number: i64) {
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

/// Mails that somebody else's program wrote: the header and the text of a mail of `git format-patch`, changed.
fn rewrite(mail: &[u8], kind: &str) -> Vec<u8> {
    let at = mail.windows(2).position(|two| two == b"\n\n").unwrap() + 1;
    let (header, body) = (String::from_utf8(mail[..at].to_vec()).unwrap(), &mail[at + 1..]);
    let lines: Vec<&str> = header.split_inclusive('\n').collect();
    let without = |key: &str| -> String {
        lines.iter().filter(|line| !line.starts_with(key)).copied().collect()
    };
    let encoded = |encoding: &str, text: Vec<u8>| -> Vec<u8> {
        let mut header = without("Content-Transfer-Encoding");
        if !header.contains("Content-Type") {
            header += "Content-Type: text/plain; charset=\"utf-8\"\n";
        }
        [header.as_bytes(), format!("content-transfer-encoding: {encoding}\n\n").as_bytes(), &text].concat()
    };
    match kind {
        "base64" => encoded("base64", base64(body)),
        "quoted-printable" => encoded("Quoted-Printable", quoted_printable(body)),
        "sent by another" => {
            let is_from = |line: &&&str| line.starts_with("From: ");
            let mut from = String::new();
            let at = lines.iter().position(|line| is_from(&line)).unwrap();
            from += lines[at];
            for line in lines[at + 1..].iter().take_while(|line| line.starts_with(' ')) {
                from += line;
            }
            let header = header.replace(&from, "From: The List <list@example.org>\n");
            let date = "Date: Wed, 4 Mar 2026 01:02:03 +0545\n";
            [header.as_bytes(), b"\n\n", from.as_bytes(), date.as_bytes(), b"\n", body].concat()
        }
        "no From line" => {
            let (_, rest) = header.split_once('\n').unwrap();
            let noise = "Received: by x\n\tfor y;\n Tue\nX-Thing: =?UTF-8?q?a?=\nMessage-ID: <a@b>\n";
            [b"\n", noise.as_bytes(), rest.as_bytes(), b"\n", body].concat()
        }
        _ => mail.to_vec(),
    }
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let bits = three.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
                out.push(if at <= three.len() { letter } else { b'=' });
            }
        }
        out.push(b'\n');
    }
    out
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut column = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let last = bytes.get(at + 1).is_none_or(|next| *next == b'\n');
        if *byte == b'\n' {
            out.push(b'\n');
            column = 0;
            continue;
        }
        let plain = matches!(byte, 33..=60 | 62..=126) || *byte == b' ' && !last;
        let code = if plain { vec![*byte] } else { format!("={byte:02X}").into_bytes() };
        if column + code.len() > 75 {
            out.extend_from_slice(b"=\n");
            column = 0;
        }
        column += code.len();
        out.extend(code);
    }
    out
}

/// How the mails of a round are made: options of `git format-patch`, and what is done with them afterwards.
const ROUNDS: &[(&[&str], &str)] = &[
    (&["-M", "--full-index"], ""),
    (&["--no-renames", "--binary", "-U1", "--no-stat"], ""),
    (&["-C", "--find-copies-harder", "-U5", "--signoff", "--binary"], ""),
    (&["--attach", "--binary"], ""),
    (&["--inline", "--binary", "-M"], ""),
    (&["-B", "-M", "--binary", "--histogram"], "base64"),
    (&["-M", "--binary", "--minimal", "-v3", "--subject-prefix=RFC PATCH net-next"], "quoted-printable"),
    (&["--full-index", "--binary", "--from=The List <list@example.org>", "--numbered"], "sent by another"),
    (&["--no-prefix", "--src-prefix=a/", "--dst-prefix=b/", "--binary", "--no-signature"], "no From line"),
    (&["--binary", "-M"], "latin"),
];

struct Round {
    folder: TempDir,
    mails: Vec<PathBuf>,
}

impl Round {
    fn repo(&self) -> PathBuf {
        self.folder.path().join("repo")
    }

    /// What `git am` makes of the mails, one by one; `Err`: the mail that it refused, and why.
    fn am(&self) -> Result<Vec<u8>, String> {
        git(&self.repo(), &["checkout", "-q", "-f", "-b", "am", "start"]);
        let mut arguments = vec!["am", "-q", "--keep-cr"];
        arguments.extend(self.mails.iter().map(|mail| mail.to_str().unwrap()));
        let output = run(&self.repo(), &arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.log("am"))
    }

    fn log(&self, branch: &str) -> Vec<u8> {
        let range = format!("start..{branch}");
        let form = "--format=%T%n%an <%ae> %ad%n%B";
        git(&self.repo(), &["log", "-z", "--reverse", "--encoding=UTF-8", form, "--date=raw", &range])
    }

    fn ours(&self) -> Tree {
        let tree = self.folder.path().join("trees/key/tree");
        Tree::open(&self.repo(), &tree, "lockstep/tree", Some("start")).unwrap()
    }
}

/// `git patch-id --stable` of each mail, in one process: it tells by the `From ` lines where one ends, so each gets one of its own.
fn patch_ids(round: &Round) -> BTreeMap<PathBuf, String> {
    let mut all = Vec::new();
    for (at, mail) in round.mails.iter().enumerate() {
        all.extend(format!("From {:040x} Mon Sep 17 00:00:00 2001\n", at + 1).bytes());
        let text = fs::read(mail).unwrap();
        let rest = text.strip_prefix(b"From ").map_or(&text[..], |rest| {
            &rest[rest.iter().position(|byte| *byte == b'\n').unwrap() + 1..]
        });
        all.extend_from_slice(rest);
    }
    let file = round.folder.path().join("all.mbox");
    fs::write(&file, all).unwrap();
    let output = Command::new("git")
        .args(["patch-id", "--stable"])
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let ids: BTreeMap<u64, String> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(id, at)| (u64::from_str_radix(at, 16).unwrap(), id.to_string()))
        .collect();
    let name = |at: usize| ids.get(&(at as u64 + 1)).cloned().unwrap_or_default();
    round.mails.iter().enumerate().map(|(at, mail)| (mail.clone(), name(at))).collect()
}

fn shown(log: &[u8]) -> Vec<String> {
    log.split(|byte| *byte == 0).filter(|commit| !commit.is_empty()).map(|commit| String::from_utf8_lossy(commit).into_owned()).collect()
}

#[test]
fn generated_mails_become_the_commits_that_git_am_makes() {
    const COMMITS: i64 = 30;
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut same, mut same_ids) = (0, 0);
    for (seed, (options, kind)) in ROUNDS.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = History::new(&folder.path().join("repo"), 4711 + seed as u64);
        (1..=COMMITS).for_each(|number| history.grow(number));
        history.repo.reference("refs/heads/new", history.head, true, "").unwrap();
        for (kind, count) in &history.made {
            *made.entry(kind).or_default() += count;
        }
        let mut round = Round { folder, mails: Vec::new() };
        let out = round.folder.path().join("mails");
        let mut arguments = Vec::new();
        if *kind == "latin" {
            arguments.extend(["-c", "i18n.logOutputEncoding=ISO-8859-1"]);
        }
        arguments.extend(["format-patch", "-q", "-o", out.to_str().unwrap()]);
        arguments.extend(options.iter());
        arguments.push("start..new");
        git(&round.repo(), &arguments);
        round.mails = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        round.mails.sort();
        assert_eq!(round.mails.len(), COMMITS as usize);
        for mail in &round.mails {
            let bytes = fs::read(mail).unwrap();
            fs::write(mail, rewrite(&bytes, kind)).unwrap();
        }
        let wanted = round.am().unwrap_or_else(|said| panic!("git am refused a mail of {options:?} {kind}: {said}"));
        let ids = patch_ids(&round);
        let mut tree = round.ours();
        for mail in &round.mails {
            let applied = Patch::read(mail).and_then(|patch| {
                if patch.plain {
                    assert_eq!(patch.patch_id(), ids[mail], "{options:?} {kind} {}", mail.display());
                    same_ids += 1;
                }
                tree.apply(&patch)
            });
            if let Err(error) = applied {
                let text = fs::read(mail).unwrap();
                panic!("{options:?} {kind}: {error:#}\n{}", String::from_utf8_lossy(&text));
            }
        }
        let (wanted, got) = (shown(&wanted), shown(&round.log("lockstep/tree")));
        for (at, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
            let text = || String::from_utf8_lossy(&fs::read(&round.mails[at]).unwrap()).into_owned();
            assert_eq!(got, wanted, "{options:?} {kind}\n{}", text());
        }
        assert_eq!(got.len(), COMMITS as usize);
        assert_eq!(git(tree.path(), &["status", "--porcelain"]), b"");
        same += got.len();
    }
    println!("{same_ids} patch ids are those of git patch-id --stable");
    assert!(same_ids >= 150, "{same_ids}");
    println!("{same} of {} generated mails became the commits of git am; changes in them: {made:?}", COMMITS as usize * ROUNDS.len());
    assert!(same >= 200 && made.len() >= 14, "{same} {made:?}");
}
