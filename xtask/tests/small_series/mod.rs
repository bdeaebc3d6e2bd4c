//! A small repository that looks like a kernel, and a series for it, for the tests of the verbs of a series.

use crate::small_git::git;
use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A cache of its own, a small kernel, and a series of three patches: 0004 adds a function, 0005 uses it, 0006 stands alone.
pub struct Rig {
    pub folder: TempDir,
    pub kernel: PathBuf,
}

fn write(folder: &Path, file: &str, text: &str) {
    fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
    fs::write(folder.join(file), text).unwrap();
}

/// Stands in for the tree's own: what is told is what it was given.
const CHECKPATCH: &str = r#"my $text = do { local $/; open(my $f, '<', $ARGV[-1]) or die; <$f> };
my $bad = $text =~ /MISTAKE/ ? 1 : 0;
print "ERROR:MISTAKE: there is one\n#1: FILE: core.c:1\n\n" if $bad;
print "total: $bad errors, 0 warnings, 7 lines checked\n";
exit $bad;
"#;

pub const CORE: &str =
    "int one;\nint two;\nint three;\nint four;\nint five;\nint six;\nint seven;\nint eight;\n";

impl Rig {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig {
            kernel: folder.path().join("repo"),
            folder,
        };
        let repo = &rig.kernel;
        write(repo, "Makefile", "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n");
        write(repo, "Kconfig", "mainmenu \"x\"\n");
        write(repo, "scripts/checkpatch.pl", CHECKPATCH);
        write(
            repo,
            "drivers/v/Makefile",
            "obj-$(CONFIG_V) += v-core.o\nv-core-y := core.o\nobj-$(CONFIG_W) += w.o\n",
        );
        write(repo, "drivers/v/Kconfig", "config V\n\ttristate \"v\"\n");
        write(repo, "drivers/v/core.c", CORE);
        write(repo, "drivers/v/w.c", CORE);
        write(repo, "include/v.h", "#define V 1\n");
        git(repo, &["init", "-q", "-b", "main"]);
        git(repo, &["add", "-A"]);
        git(repo, &["commit", "-qm", "base"]);
        git(repo, &["checkout", "-q", "-b", "work"]);
        let commit = |subject: &str, body: &str| git(repo, &["commit", "-qam", subject, "-m", body]);
        write(
            repo,
            "drivers/v/core.c",
            &CORE.replace("int two;\n", "int two;\nvoid v_new_function(void)\n{\n}\n"),
        );
        write(repo, "include/v.h", "#define V 1\nvoid v_new_function(void);\n");
        write(
            repo,
            "drivers/v/Kconfig",
            "config V\n\ttristate \"v\"\n\nconfig V_NEW\n\tbool \"new\"\n",
        );
        commit(
            "v: add a function",
            "Why.\n\nReviewed-by: Ann Other <ann@x.org>\nSigned-off-by: T <t@example.org>",
        );
        write(
            repo,
            "drivers/v/w.c",
            &CORE.replace("int two;\n", "int two;\n\tv_new_function();\n"),
        );
        commit("w: use it", "Because.");
        write(
            repo,
            "drivers/v/w.c",
            &CORE
                .replace("int two;\n", "int two;\n\tv_new_function();\n")
                .replace("seven", "7th"),
        );
        commit("w: reword", "Unrelated to the other.");
        git(
            repo,
            &[
                "format-patch",
                "-q",
                "--start-number=4",
                "-o",
                "../series",
                "main",
            ],
        );
        git(repo, &["checkout", "-q", "main"]);
        git(repo, &["branch", "-qD", "work"]);
        rig
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn patch(&self, number: &str) -> PathBuf {
        let entries = fs::read_dir(self.path("series"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut found = entries.filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(number) && name.ends_with(".patch")
        });
        found.next().unwrap()
    }

    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lockstep").unwrap();
        command
            .env("LOCKSTEP_CACHE", self.path("cache"))
            .env("NO_COLOR", "1")
            .args(arguments);
        command
    }

    /// A command on this series and this tree.
    pub fn on_tree(&self, arguments: &[&str]) -> Command {
        let mut command = self.xtask(arguments);
        command
            .arg("--series")
            .arg(self.path("series"))
            .arg("--kernel")
            .arg(&self.kernel);
        command
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self
            .on_tree(arguments)
            .arg("--json")
            .assert()
            .success()
            .get_output()
            .stdout
            .clone();
        serde_json::from_slice(&output).unwrap()
    }

    pub fn text(&self, arguments: &[&str]) -> String {
        String::from_utf8(
            self.on_tree(arguments)
                .assert()
                .success()
                .get_output()
                .stdout
                .clone(),
        )
        .unwrap()
    }

    pub fn worktree(&self) -> PathBuf {
        let trees = fs::read_dir(self.path("cache/trees")).unwrap();
        trees
            .map(|entry| entry.unwrap().path().join("tree"))
            .find(|path| path.exists())
            .unwrap()
    }

    /// Trees, authors and messages of the commits on our branch.
    pub fn log(&self) -> String {
        log(&self.kernel, "main..lockstep/tree")
    }
}

pub fn log(repo: &Path, range: &str) -> String {
    git(
        repo,
        &[
            "log",
            "--reverse",
            "--format=%T%n%an <%ae> %ad%n%B",
            "--date=raw",
            range,
        ],
    )
}

/// Runs a command that has to fail with exit code 1, and gives its one error.
pub fn error(command: &mut Command) -> String {
    let output = command.assert().code(1).get_output().clone();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "an error has no result"
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    said
}

/// The patches as one mailbox, in the wrong order, with a cover letter and an answer, as public-inbox gives it.
pub fn mailbox(rig: &Rig) -> String {
    let mut mails = vec![
        "From: T <t@x.org>\nSubject: [PATCH 0/3] cover\n\nAll of it.\n\n>From here on.\n".to_string(),
        "From: A <a@x.org>\nSubject: Re: [PATCH 2/3] w: use it\n\n> +code\nNice.\n".to_string(),
    ];
    for number in ["0006", "0004", "0005"] {
        let text = fs::read_to_string(rig.patch(number)).unwrap();
        let (_, mail) = text.split_once('\n').unwrap();
        let at: u32 = number.parse().unwrap();
        let mail = mail.replace(&format!("[PATCH {at}/6]"), &format!("[PATCH {}/3]", at - 3));
        mails.push(mail.replace("Because.", &format!(">From what {at} says.")));
    }
    mails
        .iter()
        .map(|mail| format!("From mboxrd@z Thu Jan  1 00:00:00 1970\n{mail}"))
        .collect()
}
