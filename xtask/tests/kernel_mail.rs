//! Mails by hand, and damaged ones: what `git mailinfo` reads is read, and what `git am` and `git apply` refuse is refused.

use crate::mail_history;

use git2::Oid;
use mail_history::{History, Random, git, run};
use std::fs;
use std::process::Command;
use xtask::kernel::patch::{Patch, Scissors};
use xtask::kernel::tree::Tree;

/// Mails as other programs and people write them. Each is read by `git mailinfo`, too.
const BY_HAND: &[(&str, &str)] = &[
    (
        "plain",
        "From: Ann Other <ann@x.org>\nSubject: [PATCH] a\nDate: Tue, 3 Mar 2026 10:11:12 +0100\n\nWhy.\n",
    ),
    (
        "comment as name",
        "From: ann@x.org (Ann Other)\nSubject: Re: [PATCH 1/2] [media]  a\n b\n\nWhy.\n",
    ),
    (
        "quoted name",
        "From: \"Other, Ann \\\"A\\\" B\" <ann@x.org>\nSubject: a\n\nWhy.\n",
    ),
    (
        "two comments",
        "From: Ann (home) Other <ann@x.org> (she)\nSubject: a\n\nWhy.\n",
    ),
    (
        "address alone",
        "From: <ann@x.org>\nSubject: a\n\n\n\nWhy.  \n\n\n",
    ),
    (
        "very long name",
        "From: A Name That Goes On And On And On And On And On And On And On And On <ann@x.org>\nSubject: a\n\nb\n",
    ),
    (
        "mixed sets",
        "From: =?iso-8859-1?q?J=FCrgen?= =?UTF-8?B?w6TDpA==?= <j@x.org>\nSubject: =?KOI8-R?B?8NLJ18XU?= =?us-ascii?q?=5Bx=5D_y?=\n\nb\n",
    ),
    (
        "keys in capitals",
        "FROM: Ann <ann@x.org>\nSUBJECT: [PATCH] a\nX-Y: z\n\twith more\nDATE: Tue, 3 Mar 2026 10:11:12 -0330\n\nb\n",
    ),
    (
        "headers in the body",
        "From: List <l@x.org>\nSubject: b\n\n\nFrom: Ann <ann@x.org>\nSubject: [PATCH] a\n long one\nDate: Tue, 3 Mar 2026 10:11:12 +0100\n\nWhy.\n",
    ),
    (
        "subject in the body",
        "From: List <l@x.org>\nSubject: b\n\n[PATCH] a real subject\n\nWhy.\n",
    ),
    (
        "header twice in the body",
        "From: List <l@x.org>\nSubject: b\n\nSubject: one\nSubject: two\n\nWhy.\n",
    ),
    (
        "From line in the body",
        "From: List <l@x.org>\nSubject: b\n\n>From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Ann <ann@x.org>\n\nWhy.\n",
    ),
    (
        "body at once",
        "From: List <l@x.org>\nSubject: b\nno header this is\n\nWhy.\n",
    ),
    (
        "latin text",
        "From: Ann <ann@x.org>\nSubject: a\nContent-Type: text/plain; charset=\"ISO-8859-15\"\nContent-Transfer-Encoding: quoted-printable\n\nW=FChy =A4 soft=\n break =zz.\n",
    ),
    (
        "base64",
        "From: Ann <ann@x.org>\nSubject: a\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: BASE64\n\nV2h5LgoKTW9y\nZS4K\n",
    ),
    (
        "flowed",
        "From: Ann <ann@x.org>\nSubject: a\nContent-Type: text/plain; charset=utf-8; format=flowed\n\nA line that \ngoes on.\n  Stuffed.\n-- \nsig\n",
    ),
    (
        "flowed, space taken",
        "From: Ann <ann@x.org>\nSubject: a\nContent-Type: text/plain; format=flowed; delsp=yes\n\nA wo \nrd.\n",
    ),
    (
        "scissors",
        "From: Ann <ann@x.org>\nSubject: b\n\nHello,\n\n-- >8 -- cut here -- >8 --\nSubject: [PATCH] a\nFrom: Bob <bob@x.org>\n\nWhy.\n",
    ),
    (
        "no scissors",
        "From: Ann <ann@x.org>\nSubject: b\n\n>8\nText with >8 in the middle of it\n-->8 and more words\n",
    ),
    (
        "dashes",
        "From: Ann <ann@x.org>\nSubject: b\n\nOne.\n----\n--- two words\n---  x\n-- \nEnd.\n",
    ),
    (
        "empty subject in brackets",
        "From: Ann <ann@x.org>\nSubject: [PATCH] [a] [b c]: d [e]\n\nEnd.\n",
    ),
];

const DIFF: &str =
    "---\n f | 1 +\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n a\n+b\n-- \n2.47\n";

#[test]
fn mails_by_hand_are_read_as_git_mailinfo_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mail");
    let mut same = 0;
    for (name, mail) in BY_HAND {
        for (scissors, flag) in [(Scissors::Kept, "--no-scissors"), (Scissors::Cut, "--scissors")] {
            // A flowed line that begins with a space has another in front (RFC 3676).
            let stuffed = DIFF.replace("\n a\n", "\n  a\n");
            let diff = if mail.contains("format=flowed") {
                &stuffed
            } else if mail.contains("BASE64") {
                "LS0tCmRpZmYgLS1naXQgYS9mIGIvZgotLS0gYS9mCisrKyBiL2YKQEAgLTEgKzEsMiBAQAogYQorYgo=\n"
            } else {
                DIFF
            };
            let text = format!("{mail}{diff}");
            fs::write(&file, &text).unwrap();
            let output = Command::new("git")
                .current_dir(folder.path())
                .args(["mailinfo", flag, "message", "patch"])
                .stdin(fs::File::open(&file).unwrap())
                .output()
                .unwrap();
            let info = String::from_utf8(output.stdout).unwrap();
            let of = |key: &str| {
                let line = info.lines().find_map(|line| line.strip_prefix(key));
                line.unwrap_or_default().to_string()
            };
            let patch = Patch::parse_mail("p", text.as_bytes(), scissors)
                .unwrap_or_else(|error| panic!("{name}: {error:#}"));
            let told = (
                patch.author.as_str(),
                patch.email.as_str(),
                patch.subject.as_str(),
            );
            let (author, email, subject) = (of("Author: "), of("Email: "), of("Subject: "));
            assert_eq!(
                told,
                (author.as_str(), email.as_str(), subject.as_str()),
                "{name} {flag}"
            );
            assert_eq!(patch.date.is_some(), !of("Date: ").is_empty(), "{name} {flag}");
            let said = fs::read_to_string(folder.path().join("message")).unwrap();
            fs::write(folder.path().join("message"), format!("{subject}\n\n{said}")).unwrap();
            let clean = Command::new("git")
                .arg("stripspace")
                .stdin(fs::File::open(folder.path().join("message")).unwrap())
                .output()
                .unwrap();
            assert_eq!(
                patch.message(),
                String::from_utf8(clean.stdout).unwrap(),
                "{name} {flag}"
            );
            same += 1;
        }
    }
    println!(
        "{same} of {} mails by hand are read as git mailinfo reads them",
        2 * BY_HAND.len()
    );
}

/// What may be wrong with a patch: a name, and the text that is replaced.
const DAMAGE: &[(&str, &str, &str)] = &[
    (
        "cut off in a hunk",
        "+line a\n+line b\n line 3\n line 4\n line 5\n",
        "+line a\n",
    ),
    ("a line too few", " line 5\n-- \n", "-- \n"),
    (
        "a context line that differs",
        " line 2\n+line a",
        " line two\n+line a",
    ),
    (
        "space behind a context line",
        " line 2\n+line a",
        " line 2 \n+line a",
    ),
    ("a hunk header that is none", "@@ -1,5 +1,7 @@", "@@ -1,x +1,7 @@"),
    ("another count", "@@ -1,5 +1,7 @@", "@@ -1,6 +1,8 @@"),
    ("a file that is not there", "core.c", "no/such.c"),
    ("a path that leaves the tree", "b/core.c", "b/../../core.c"),
    (
        "a header without hunks",
        "@@ -1,5 +1,7 @@\n line 1\n line 2\n+line a\n+line b\n line 3\n line 4\n line 5\n",
        "",
    ),
    (
        "a new file that is there",
        "index 0..1 100644\n--- a/core.c\n",
        "new file mode 100644\nindex 0..1\n--- /dev/null\n",
    ),
    (
        "only words",
        "diff --git a/core.c b/core.c\nindex 0..1 100644\n--- a/core.c\n+++ b/core.c\n",
        "",
    ),
    (
        "a link that is a file",
        "index 0..1 100644\n",
        "index 0..1 120000\n",
    ),
    ("nobody's mail", "From: Ann Other <ann@x.org>\n", "From: Ann\n"),
    (
        "a character set that is none",
        "Subject: a\n",
        "Subject: a\nContent-Type: text/plain; charset=no-such\n",
    ),
    ("a soft line break", "+line a\n+line b\n", "+line a\nline b\n"),
    (
        "CR LF in context lines",
        " line 1\n line 2\n",
        " line 1\r\n line 2\r\n",
    ),
    (
        "an encoded word that is none",
        "Subject: a\n",
        "Subject: =?utf-8?x?a?= b\n",
    ),
    (
        "the beginning of an encoded word",
        "Subject: a\n",
        "Subject: a =? b\n",
    ),
    (
        "other bytes than were said",
        "Why.\n",
        "Subject: =?no-such?q?a?=\n\nWhy.\n",
    ),
    (
        "a rename onto a file",
        "index 0..1 100644\n--- a/core.c\n+++ b/core.c\n",
        "similarity index 90%\nrename from core.c\nrename to other.c\nindex 0..1 100644\n--- a/core.c\n+++ b/other.c\n",
    ),
    (
        "a removal that leaves lines",
        "index 0..1 100644\n--- a/core.c\n+++ b/core.c\n",
        "deleted file mode 100644\nindex 0..1\n--- a/core.c\n+++ /dev/null\n",
    ),
    (
        "a binary file without content",
        "index 0..1 100644\n--- a/core.c\n+++ b/core.c\n",
        "index 0..1 100644\nBinary files a/core.c and b/core.c differ\n",
    ),
];

#[test]
fn what_git_am_refuses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q", "-b", "start"]);
    let text: String = (1..20).map(|n| format!("line {n}\n")).collect();
    fs::write(repo.join("core.c"), &text).unwrap();
    fs::write(repo.join("other.c"), "other\n").unwrap();
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", "base"]);
    git(&repo, &["checkout", "-q", "-b", "am"]);
    let mail = "From: Ann Other <ann@x.org>\nDate: Tue, 3 Mar 2026 10:11:12 +0100\nSubject: a\n\nWhy.\n---\n\
        diff --git a/core.c b/core.c\nindex 0..1 100644\n--- a/core.c\n+++ b/core.c\n@@ -1,5 +1,7 @@\n line 1\n line 2\n+line a\n+line b\n\
        \x20line 3\n line 4\n line 5\n-- \n2.47\n\n";
    let mut tree = Tree::open(
        &repo,
        &folder.path().join("trees/key/tree"),
        "lockstep/tree",
        Some("start"),
    )
    .unwrap();
    let head = tree.head().unwrap();
    let file = folder.path().join("0001-a.patch");
    let mut both = 0;
    for (name, from, to) in DAMAGE {
        assert!(mail.contains(from), "{name} damages nothing");
        fs::write(
            &file,
            mail.replacen(from, to, if from.contains('\n') { 1 } else { 9 }),
        )
        .unwrap();
        let output = run(&repo, &["am", "-q", "--keep-cr", file.to_str().unwrap()]);
        run(&repo, &["am", "-q", "--abort"]);
        assert!(!output.status.success(), "git am takes: {name}");
        let error = Patch::read(&file)
            .and_then(|patch| tree.apply(&patch))
            .expect_err(name);
        assert!(format!("{error:#}").contains("0001-a.patch"), "{name}: {error:#}");
        both += 1;
    }
    fs::write(&file, mail).unwrap();
    println!(
        "{both} of {} damaged mails are refused as git am refuses them",
        DAMAGE.len()
    );
    assert_eq!(
        (tree.head().unwrap(), git(tree.path(), &["status", "--porcelain"])),
        (head, Vec::new())
    );
    tree.apply(&Patch::read(&file).unwrap()).unwrap();
}

/// Generated patches with one thing wrong at random: `git apply` is asked of each.
#[test]
fn what_git_apply_refuses_of_random_damage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    let mut history = History::new(&repo, 99);
    (1..=12).for_each(|number| history.grow(number));
    let mut random = Random(5);
    let (mut refused, mut taken, mut stricter) = (0, 0, Vec::new());
    git(&repo, &["checkout", "-q", "-f", "-b", "judge", "start"]);
    let mut tree = Tree::open(
        &repo,
        &folder.path().join("trees/key/tree"),
        "lockstep/tree",
        Some("start"),
    )
    .unwrap();
    let mut walk = history.repo.revwalk().unwrap();
    walk.push(history.head).unwrap();
    let commits: Vec<Oid> = walk.map(Result::unwrap).collect();
    for id in &commits[..commits.len() - 1] {
        let id = id.to_string();
        let mail = git(
            &repo,
            &["format-patch", "--stdout", "-1", "--binary", "--full-index", &id],
        );
        git(&repo, &["reset", "-q", "--hard", &format!("{id}^")]);
        tree.move_to(&format!("{id}^")).unwrap();
        let before = tree.head().unwrap();
        for _ in 0..8 {
            let mut lines: Vec<Vec<u8>> = mail
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let start = lines.iter().position(|line| line.starts_with(b"diff ")).unwrap();
            let at = start + random.below(lines.len() - start);
            let what = random.below(5);
            match what {
                0 => drop(lines.remove(at)),
                1 => lines.truncate(at),
                2 => lines[at].insert(0, b'x'),
                3 => lines.insert(at, b"+more\n".to_vec()),
                _ => {
                    let place = random.below(lines[at].len());
                    lines[at][place] = lines[at][place].wrapping_add(1);
                }
            }
            let text = lines.concat();
            let file = folder.path().join("0001-a.patch");
            fs::write(&file, &text).unwrap();
            let git_takes = run(&repo, &["apply", "--index", "--check", file.to_str().unwrap()])
                .status
                .success();
            let ours = Patch::parse("p", &text).and_then(|patch| tree.apply(&patch));
            match (git_takes, ours) {
                (false, Ok(_)) => panic!(
                    "git refuses this, {what} in line {at}:\n{}",
                    String::from_utf8_lossy(&text)
                ),
                (false, Err(_)) => refused += 1,
                (true, Ok(_)) => {
                    taken += 1;
                    git(&repo, &["apply", "--index", file.to_str().unwrap()]);
                    let wanted = git(&repo, &["write-tree"]);
                    let got = git(
                        &repo,
                        &["rev-parse", &format!("{}^{{tree}}", tree.head().unwrap())],
                    );
                    assert_eq!(
                        got,
                        wanted,
                        "{what} in line {at}:\n{}",
                        String::from_utf8_lossy(&text)
                    );
                    git(&repo, &["reset", "-q", "--hard"]);
                    tree.move_to(&before).unwrap();
                }
                (true, Err(error)) => stricter.push(format!("{what}: {error:#}")),
            }
        }
    }
    println!(
        "of {} damaged patches {refused} are refused by git and by us, {taken} taken by both",
        refused + taken + stricter.len()
    );
    println!(
        "{} that git takes are refused:\n{}",
        stricter.len(),
        stricter.join("\n")
    );
    assert!(refused > 20 && taken > 5);
}
