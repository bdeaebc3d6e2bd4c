//! What `git am` makes of a patch is the measure: the same tree, message, author and date, on several hundred generated and
//! real patches.

use crate::{am_differential, mail_forms, mail_history};

use git2::{Oid, Repository};
use mail_forms::{base64, quoted_printable};
use mail_history::{History, git, run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use xtask::kernel::patch::Patch;
use xtask::kernel::tree::Tree;

/// Mails that somebody else's program wrote: the header and the text of a mail of `git format-patch`, changed.
fn rewrite(mail: &[u8], kind: &str) -> Vec<u8> {
    let at = mail.windows(2).position(|two| two == b"\n\n").unwrap() + 1;
    let (header, body) = (String::from_utf8(mail[..at].to_vec()).unwrap(), &mail[at + 1..]);
    let lines: Vec<&str> = header.split_inclusive('\n').collect();
    let without = |key: &str| -> String {
        lines
            .iter()
            .filter(|line| !line.starts_with(key))
            .copied()
            .collect()
    };
    let encoded = |encoding: &str, text: Vec<u8>| -> Vec<u8> {
        let mut header = without("Content-Transfer-Encoding");
        if !header.contains("Content-Type") {
            header += "Content-Type: text/plain; charset=\"utf-8\"\n";
        }
        [
            header.as_bytes(),
            format!("content-transfer-encoding: {encoding}\n\n").as_bytes(),
            &text,
        ]
        .concat()
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
            [
                header.as_bytes(),
                b"\n\n",
                from.as_bytes(),
                date.as_bytes(),
                b"\n",
                body,
            ]
            .concat()
        }
        "no From line" => {
            let (_, rest) = header.split_once('\n').unwrap();
            let noise = "Received: by x\n\tfor y;\n Tue\nX-Thing: =?UTF-8?q?a?=\nMessage-ID: <a@b>\n";
            [b"\n", noise.as_bytes(), rest.as_bytes(), b"\n", body].concat()
        }
        _ => mail.to_vec(),
    }
}

/// How the mails of a round are made: options of `git format-patch`, and what is done with them afterwards.
const ROUNDS: &[(&[&str], &str)] = &[
    (&["-M", "--full-index"], ""),
    (&["--no-renames", "--binary", "-U1", "--no-stat"], ""),
    (
        &["-C", "--find-copies-harder", "-U5", "--signoff", "--binary"],
        "",
    ),
    (&["--attach", "--binary"], ""),
    (&["--inline", "--binary", "-M"], ""),
    (&["-B", "-M", "--binary", "--histogram"], "base64"),
    (
        &[
            "-M",
            "--binary",
            "--minimal",
            "-v3",
            "--subject-prefix=RFC PATCH net-next",
        ],
        "quoted-printable",
    ),
    (
        &[
            "--full-index",
            "--binary",
            "--from=The List <list@example.org>",
            "--numbered",
        ],
        "sent by another",
    ),
    (
        &[
            "--no-prefix",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            "--binary",
            "--no-signature",
        ],
        "no From line",
    ),
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
        git(
            &self.repo(),
            &[
                "log",
                "-z",
                "--reverse",
                "--encoding=UTF-8",
                form,
                "--date=raw",
                &range,
            ],
        )
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
    round
        .mails
        .iter()
        .enumerate()
        .map(|(at, mail)| (mail.clone(), name(at)))
        .collect()
}

fn shown(log: &[u8]) -> Vec<String> {
    log.split(|byte| *byte == 0)
        .filter(|commit| !commit.is_empty())
        .map(|commit| String::from_utf8_lossy(commit).into_owned())
        .collect()
}

const COMMITS: usize = 24;

/// What a round showed.
#[derive(Default)]
struct Counted {
    /// Mails that became the commits of `git am`.
    same: usize,
    /// Patch ids that are those of git.
    ids: usize,
    /// How often each kind of change was made.
    made: BTreeMap<&'static str, usize>,
}

/// A history of its own, and its mails.
fn prepare(seed: u64, options: &[&str], kind: &str) -> (Round, History) {
    let folder = tempfile::tempdir().unwrap();
    let mut history = History::new(&folder.path().join("repo"), 4711 + seed);
    (1..=COMMITS as i64).for_each(|number| history.grow(number));
    history
        .repo
        .reference("refs/heads/new", history.head, true, "")
        .unwrap();
    let mut round = Round {
        folder,
        mails: Vec::new(),
    };
    let out = round.folder.path().join("mails");
    let mut arguments = Vec::new();
    if kind == "latin" {
        arguments.extend(["-c", "i18n.logOutputEncoding=ISO-8859-1"]);
    }
    arguments.extend(["format-patch", "-q", "-o", out.to_str().unwrap()]);
    arguments.extend(options.iter());
    arguments.push("start..new");
    git(&round.repo(), &arguments);
    round.mails = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    round.mails.sort();
    assert_eq!(round.mails.len(), COMMITS);
    for mail in &round.mails {
        let bytes = fs::read(mail).unwrap();
        fs::write(mail, rewrite(&bytes, kind)).unwrap();
    }
    (round, history)
}

fn compare(seed: u64, options: &[&str], kind: &str) -> Counted {
    let (round, history) = prepare(seed, options, kind);
    let mut counted = Counted {
        made: history.made,
        ..Counted::default()
    };
    let wanted = round
        .am()
        .unwrap_or_else(|said| panic!("git am refused a mail of {options:?} {kind}: {said}"));
    let ids = patch_ids(&round);
    let mut tree = round.ours();
    for mail in &round.mails {
        let applied = Patch::read(mail).and_then(|patch| {
            if patch.plain {
                assert_eq!(
                    patch.patch_id(),
                    ids[mail],
                    "{options:?} {kind} {}",
                    mail.display()
                );
                counted.ids += 1;
            }
            tree.apply(&patch)
        });
        if let Err(error) = applied {
            let text = fs::read(mail).unwrap();
            panic!(
                "{options:?} {kind}: {error:#}\n{}",
                String::from_utf8_lossy(&text)
            );
        }
    }
    let (wanted, got) = (shown(&wanted), shown(&round.log("lockstep/tree")));
    for (at, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
        let text = || String::from_utf8_lossy(&fs::read(&round.mails[at]).unwrap()).into_owned();
        assert_eq!(got, wanted, "{options:?} {kind}\n{}", text());
    }
    assert_eq!(got.len(), COMMITS);
    assert_eq!(git(tree.path(), &["status", "--porcelain"]), b"");
    counted.same = got.len();
    counted
}

#[test]
fn generated_mails_become_the_commits_that_git_am_makes() {
    let work = |first: usize| {
        let rounds = ROUNDS.iter().enumerate().skip(first).step_by(2);
        rounds
            .map(|(seed, (options, kind))| compare(seed as u64, options, kind))
            .collect::<Vec<_>>()
    };
    let counted: Vec<Counted> = std::thread::scope(|scope| {
        let other = scope.spawn(|| work(1));
        let mut all = work(0);
        all.extend(other.join().unwrap());
        all
    });
    let same: usize = counted.iter().map(|round| round.same).sum();
    let ids: usize = counted.iter().map(|round| round.ids).sum();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, count) in counted.iter().flat_map(|round| &round.made) {
        *made.entry(kind).or_default() += count;
    }
    println!(
        "{same} of {} generated mails became the commits of git am; changes in them: {made:?}",
        COMMITS * ROUNDS.len()
    );
    println!("{ids} of {ids} patch ids of plain mails are those of git patch-id --stable");
    assert!(
        same >= 200 && ids >= 120 && made.len() >= 16,
        "{same} {ids} {made:?}"
    );
}

/// Commits of this project that are tried, spread over its history: each takes half a second, and there are ever more.
const OF_HISTORY: usize = 60;

/// Commits of this project, each on its parent: what the mail of a commit makes has to be that commit.
#[test]
fn the_mails_of_this_project_s_history_make_its_commits() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if !run(project, &["rev-parse", "HEAD"]).status.success() {
        assert!(
            !project.join(".git").exists(),
            "git cannot read the history that is there"
        );
        println!("0 of 0 commits: this is no git checkout");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    git(
        project,
        &["clone", "-q", "--bare", "--shared", ".", repo.to_str().unwrap()],
    );
    let listed = git(
        &repo,
        &["rev-list", "--no-merges", "--min-parents=1", "--reverse", "HEAD"],
    );
    let commits: Vec<&str> = std::str::from_utf8(&listed).unwrap().lines().collect();
    let Some(first) = commits.first() else { return };
    let base = format!("{first}^");
    let tree = folder.path().join("trees/key/tree");
    let mut tree = Tree::open(&repo, &tree, "lockstep/tree", Some(&base)).unwrap();
    let judge = Repository::open(&repo).unwrap();
    let out = folder.path().join("mails");
    git(
        &repo,
        &[
            "format-patch",
            "-q",
            "--binary",
            "--no-renames",
            "-o",
            out.to_str().unwrap(),
            &format!("{base}..HEAD"),
        ],
    );
    let mails: BTreeMap<String, Vec<u8>> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .map(|mail| (String::from_utf8(mail[5..45].to_vec()).unwrap(), mail))
        .collect();
    assert_eq!(mails.len(), commits.len());
    let tried = commits.iter().rev().step_by(commits.len().div_ceil(OF_HISTORY));
    for id in tried.clone() {
        let mail = &mails[*id];
        let wanted = judge.find_commit(Oid::from_str(id).unwrap()).unwrap();
        tree.move_to(&wanted.parent_id(0).unwrap().to_string()).unwrap();
        let applied = tree
            .apply(&Patch::parse("p", mail).unwrap())
            .unwrap_or_else(|error| panic!("{id}: {error:#}"));
        let got = judge
            .find_commit(Oid::from_str(&applied.commit).unwrap())
            .unwrap();
        assert_eq!(got.tree_id(), wanted.tree_id(), "{id}");
        // A mail has its subject on one line, and no space at the ends of lines.
        let words = |commit: &git2::Commit| -> Vec<String> {
            commit
                .message()
                .unwrap()
                .split_whitespace()
                .map(String::from)
                .collect()
        };
        assert_eq!(words(&got), words(&wanted), "{id}");
        assert_eq!(got.author().to_string(), wanted.author().to_string(), "{id}");
        assert_eq!(got.author().when(), wanted.author().when(), "{id}");
    }
    println!(
        "the mails of {} of {} commits of this project make these commits",
        tried.len(),
        commits.len()
    );
}

/// A history of random changes, each commit in several forms, on its parent and elsewhere.
#[test]
fn every_form_of_a_mail_ends_as_with_git_am() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    let mut history = History::new(&repo, 2026);
    (1..=30).for_each(|number| history.grow(number));
    history
        .repo
        .reference("refs/heads/new", history.head, true, "")
        .unwrap();
    let commits = commits_of(&repo, &["start..new"]);
    let all = am_differential::run_all(&repo, &commits, 7, 2);
    // Some need what this history lacks, such as a prefix of two folders.
    assert!(all.forms.len() > 35, "{:?}", all.forms);
    finish(all, 45);
}

/// `LOCKSTEP_HISTORY=REPOSITORY cargo test -p xtask --test kernel_am -- --ignored --nocapture`,
/// with `LOCKSTEP_COMMITS` (1000) of those before `LOCKSTEP_TIP` (HEAD), each `LOCKSTEP_STRIDE`th
/// (7), without merges.
#[test]
#[ignore = "wants the path of a repository with a long history, and minutes"]
fn a_real_history_ends_as_with_git_am() {
    let repo =
        PathBuf::from(std::env::var_os("LOCKSTEP_HISTORY").expect("LOCKSTEP_HISTORY names a repository"));
    let number = |name: &str, default: usize| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().unwrap())
    };
    let (wanted, stride) = (number("LOCKSTEP_COMMITS", 1000), number("LOCKSTEP_STRIDE", 7));
    let tip = std::env::var("LOCKSTEP_TIP").unwrap_or("HEAD".into());
    let range = [format!("-{}", wanted * stride), tip];
    let range: Vec<&str> = range.iter().map(String::as_str).collect();
    let commits: Vec<_> = commits_of(&repo, &range).into_iter().step_by(stride).collect();
    finish(
        am_differential::run_all(&repo, &commits, 30, 1),
        commits.len() / 2,
    );
}

/// Commits with one parent, and that parent, oldest first.
fn commits_of(repo: &Path, range: &[&str]) -> Vec<(String, String)> {
    let mut arguments = vec![
        "rev-list",
        "--reverse",
        "--topo-order",
        "--parents",
        "--min-parents=1",
        "--max-parents=1",
    ];
    arguments.extend(range);
    let listed = String::from_utf8(git(repo, &arguments)).unwrap();
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(commit, parent)| (commit.to_string(), parent.to_string()))
        .collect()
}

fn finish(all: am_differential::Compared, least: usize) {
    println!("{:?}", all.counts);
    println!("{} forms: {:?}", all.forms.len(), all.forms);
    assert!(
        all.different.is_empty(),
        "{} differ:\n{}",
        all.different.len(),
        all.different.join("\n")
    );
    let same = all.counts.get("same commit").copied().unwrap_or_default();
    assert!(same >= least, "only {same} are the same commit");
}
