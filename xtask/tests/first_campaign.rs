//! The first campaign of a newcomer: three patches of their own against the imported kernel, a file
//! that `campaign new` writes, edited in nothing but its smoke tests. One patch is good, one
//! allocates under a spinlock, one adds a driver with a Kconfig symbol that leaks a lock: a pass
//! and two regressions, each for the right reason. On the virtual board, with nothing faked.

use crate::ended_run;
use assert_cmd::Command;
use std::fs;
use std::path::{Path, PathBuf};

/// The smoke tests of the newcomer; the one of the new driver stands where `campaign new` has put
/// it.
const STREAMS: &str = r#"[[smoke]]
name = "vim2m-stream"
run = '''
set -e
name=$(grep -lx vim2m /sys/class/video4linux/video*/name | head -n 1)
v4l2-ctl -d "/dev/$(basename "$(dirname "$name")")" --stream-mmap --stream-out-mmap --stream-count=10 --stream-to=vim2m.raw
'''
output = { file = "vim2m.raw", frames = { bytes = 614400, count = 10 } }

[[smoke]]
name = "vicodec-encode"
run = '''
set -e
name=$(grep -lx stateful-encoder /sys/class/video4linux/video*/name | head -n 1)
v4l2-ctl -d "/dev/$(basename "$(dirname "$name")")" --set-fmt-video-out=width=640,height=480,pixelformat=YU12 \
    --set-fmt-video=width=640,height=480,pixelformat=FWHT --stream-mmap --stream-out-mmap --stream-count=5 --stream-to=coded.fwht
'''
output = { file = "coded.fwht" }
"#;
const LATCH: &str = r#"run = '''
set -e
cd /sys/module/latch/parameters
echo 3 > level
[ "$(cat level)" = 3 ]
! echo nonsense > level
'''
"#;

/// The newcomer's project: nothing but what every project has, and the series. It stays, so that
/// what was learned of the board (backups, ways back) is known the next time.
fn project() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-campaign");
    for name in ["boards", "kconfig-fragments", "campaigns", "mine"] {
        let _ = fs::remove_dir_all(project.join(name));
        fs::create_dir_all(project.join(name)).unwrap();
    }
    let copies = [
        ("boards", ours.join("../boards")),
        ("kconfig-fragments", ours.join("../kconfig-fragments")),
        ("mine", ours.join("tests/first_campaign")),
    ];
    for (name, from) in copies {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, project.join(name).join(path.file_name().unwrap())).unwrap();
        }
    }
    // The C sources of the slot's first user space.
    let link = project.join("xtask");
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink(ours, link).unwrap();
    }
    project
}

fn lockstep(project: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("lockstep").unwrap();
    command.current_dir(project).args(arguments);
    command
}

fn said(project: &Path, arguments: &[&str], code: i32) -> String {
    eprintln!("$ lockstep {}", arguments.join(" "));
    let output = lockstep(project, arguments)
        .assert()
        .code(code)
        .get_output()
        .clone();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    eprintln!("{said}");
    said
}

#[test]
fn a_first_campaign_goes_through_with_the_right_verdicts() {
    said(Path::new(env!("CARGO_MANIFEST_DIR")), &["setup", "--yes"], 0);
    let project = project();
    said(&project, &["campaign", "new", "first", "--series", "mine"], 0);
    let fragment = fs::read_to_string(project.join("kconfig-fragments/first-0003.config")).unwrap();
    assert!(
        fragment.ends_with("\n\nCONFIG_HWMON=m\nCONFIG_VIDEO_LATCH=m\n"),
        "{fragment}"
    );

    // The smoke tests, and nothing else.
    let file = project.join("campaigns/first.toml");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[[smoke]]\nname = \"replace-me\"").unwrap();
    let (_, rest) = rest.split_once("# latch comes with step 2.3").unwrap();
    let latch = "run = \"test -d /sys/module/latch\"\n";
    assert!(rest.contains(latch), "{rest}");
    let rest = rest.replacen(latch, LATCH, 1);
    fs::write(
        &file,
        format!("{before}{STREAMS}\n# latch comes with step 2.3{rest}"),
    )
    .unwrap();
    let checked = said(&project, &["campaign", "check", "campaigns/first.toml"], 0);
    assert!(
        checked.contains("3 steps, 3 smoke tests, nothing wrong"),
        "{checked}"
    );

    let (record, report) = ended_run::run(
        &project,
        &["bisect-apply", "campaigns/first.toml", "--yes", "--anew"],
        11,
    );
    let row = |id: &str| {
        let rows = record["rows"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap()
    };
    for (id, verdict) in [
        ("1.8", "pass"),
        ("2.1", "pass"),
        ("2.2", "regression"),
        ("2.3", "regression"),
    ] {
        assert_eq!(row(id)["verdict"], verdict, "{id}\n{report}");
    }
    let title = |id: &str| row(id)["findings"][0]["title"].as_str().unwrap().to_string();
    assert!(
        title("2.2").contains("sleeping function called from invalid context"),
        "{}",
        title("2.2")
    );
    assert!(
        title("2.3").contains("lock held when returning to user space"),
        "{}",
        title("2.3")
    );
    assert!(
        row("2.2")["findings"][0]["excerpt"]
            .as_str()
            .unwrap()
            .contains("device_run"),
        "{report}"
    );
    assert!(
        row("2.3")["findings"][0]["excerpt"]
            .as_str()
            .unwrap()
            .contains("latch"),
        "{report}"
    );
    // The module of 0003 is proven where it is there, and asked for nowhere else.
    assert_eq!(
        row("2.3")["load"],
        serde_json::json!(["vim2m", "vicodec", "latch"])
    );
    assert_eq!(row("2.1")["load"], serde_json::json!(["vim2m", "vicodec"]));

    // Without the fragment the driver would not be in the kernel: the build stops, and names the
    // lines.
    said(&project, &["apply", "2", "3", "--series", "mine"], 0);
    let stopped = said(&project, &["build-debug-kernel"], 1);
    for words in [
        "drivers/media/test-drivers/latch.c is not in this build: CONFIG_VIDEO_LATCH is off",
        "CONFIG_VIDEO_LATCH=",
        "`--not-built`",
    ] {
        assert!(stopped.contains(words), "{words}\n{stopped}");
    }
    said(&project, &["revert", "3", "--series", "mine"], 0);
    said(&project, &["revert", "2", "--series", "mine"], 0);
}
