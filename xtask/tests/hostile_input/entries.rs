//! Every parser of what others wrote, as a function of bytes. The targets of `fuzz/` and the test `hostile_input` call the same ones.
//! Each checks what must hold whatever the bytes are; most of all, it returns.

use kernel_log::baseline_file::BaselineFile;
use kernel_log::scan::Scan;
use kernel_log::{completeness, contradicted, finder, journal, kmsg, netconsole, pstore, reader, serial};
use std::path::{Component, Path, PathBuf};
use xtask::board::extlinux::{self, Config, trace};
use xtask::board::file::BoardFile;
use xtask::board::{backup, inventory, slot};
use xtask::campaign::earlier::BootedBaseline;
use xtask::campaign::file::Campaign;
use xtask::campaign::journal::{past, read};
use xtask::campaign::record::RunRecord;
use xtask::capture::{ethernet, index};
use xtask::kernel::diff::{self, hunks, patch_id};
use xtask::kernel::kconfig::{self, Definitions, Fragment};
use xtask::kernel::patch::{Patch, Scissors, mbox};
use xtask::kernel::{module, review, series};
use xtask::manifest::Manifest;

/// A parser's name, which is also its target's, and the parser.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: &[Entry] = &[
    ("kernel_log", kernel_log),
    ("pstore", pstore_records),
    ("kmsg", kmsg_lines),
    ("netconsole", netconsole_packets),
    ("journal", journal_lines),
    ("serial", serial_phases),
    ("extlinux", extlinux_conf),
    ("mail", mail),
    ("diff", diffs),
    ("kconfig_fragment", kconfig_fragment),
    ("kconfig_language", kconfig_language),
    ("campaign", campaign_toml),
    ("board", board_toml),
    ("reviews", reviews_toml),
    ("module", module_elf),
    ("documents", documents),
    ("inventory", board_inventory),
];

/// Runs the parser of this name.
#[allow(dead_code, reason = "the targets call one parser each")]
pub fn call(name: &str, bytes: &[u8]) {
    let (_, parse) = ENTRIES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the target is named after its parser");
    parse(bytes);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A log, read at once and cut in two, says the same.
pub fn kernel_log(bytes: &[u8]) {
    let log = reader::read(bytes);
    let findings = finder::find(&log, "x");
    for finding in &findings {
        assert!(!finding.excerpt.is_empty() && !finding.title.is_empty());
        assert!(finding.offset <= bytes.len());
    }
    let (one, other) = bytes.split_at(
        bytes
            .first()
            .map_or(0, |&byte| bytes.len() * usize::from(byte) / 256),
    );
    let mut scan = Scan::new("x");
    scan.push(one);
    scan.push(other);
    let scanned = scan.finish();
    assert_eq!(scanned.findings, findings);
    assert_eq!(scanned.completeness, completeness::judge(&log));
    completeness::debug_locks(bytes);
}

/// Record files of every name that says something.
pub fn pstore_records(bytes: &[u8]) {
    for name in [
        "dmesg-ramoops-0",
        "console-ramoops-0",
        "dmesg-efi-1.enc.z",
        "x/pmsg-ramoops-0",
        "ftrace-ramoops-1",
        "-",
        "",
    ] {
        pstore::join(&[(name, bytes), (name, bytes)]);
    }
}

/// Packets, cut where the first byte says; and the whole as one frame. What is lost lies in order and between two that came.
pub fn netconsole_packets(bytes: &[u8]) {
    let end = bytes.first().copied().unwrap_or_default();
    let mut received = netconsole::receive((0..).zip(bytes.split(|&byte| byte == end)));
    assert!(received.lost.iter().all(|(from, to)| from <= to));
    reader::read(&received.log);
    // Each packet is one message at most: none makes a line with a number of its choice.
    let is_first = |line: &&[u8]| line.first().is_some_and(|&byte| byte != b' ');
    let firsts = received.log.split(|&byte| byte == b'\n').filter(is_first);
    assert_eq!(firsts.count(), received.times.len());
    let (all, messages) = (received.log.len(), received.times.len());
    let aside = contradicted::set_aside(&mut received, bytes);
    assert_eq!(aside.len() + received.log.len(), all);
    assert!(received.times.len() <= messages);
    if let Some((_, text)) = ethernet::udp(bytes) {
        assert!(text.len() < bytes.len());
    }
}

/// Lines of `/dev/kmsg`; netconsole's extended lines are the same.
pub fn kmsg_lines(bytes: &[u8]) {
    for line in text(bytes).lines() {
        if let Some(parsed) = kmsg::parse(line) {
            kmsg::unescape(parsed.text);
        }
    }
}

/// Entries of the board's journal.
pub fn journal_lines(bytes: &[u8]) {
    for line in text(bytes).lines() {
        journal::parse(line);
    }
    let ids = journal::boots(&text(bytes)).boots;
    assert!(ids.iter().all(|boot| boot.id.as_str().len() == 32));
}

/// Phases of a serial capture lie inside it and in order; and the bytes as the times of another one.
pub fn serial_phases(bytes: &[u8]) {
    let marks = serial::phases(bytes);
    assert!(marks.is_sorted_by_key(|mark| mark.offset));
    assert!(marks.iter().all(|mark| mark.offset <= bytes.len()));
    serial::count(&marks);
    index::pieces(bytes, &index::read(bytes));
    let times = index::times_of(bytes, &[u64::MAX, 0, 100]).expect("memory can be read");
    assert_eq!(times.len(), 3);
}

/// extlinux.conf: printed as it was read, checked, traced.
pub fn extlinux_conf(bytes: &[u8]) {
    let config = Config::parse(bytes);
    assert_eq!(config.bytes(), bytes);
    extlinux::lint(&config);
    extlinux::files::wanted(&config, Some("x.dtb"));
    for label in &config.menu.labels {
        let line = label.command_line();
        if let Some(text) = line.text() {
            assert!(text.len() > 4096 || line.ran_as(&text), "{text:?}");
            let again = extlinux::CommandLine::of(&extlinux::escape(&text));
            assert_eq!(again.text(), Some(text));
        }
        line.ran_as("root=/dev/x rw");
        line.typed();
    }
    let loader = trace::Loader {
        folder: "/extlinux/",
        exists: &|path| path.len() % 2 == 0,
        loads_trees: true,
        command_line: 2048,
        tree: "x.dtb",
        reads_prompt: true,
        variable: &|name| Some(name.repeat(2)),
    };
    trace::attempts(&config, None, &loader);
    trace::attempts(&config, Some(1), &loader);
    drop(extlinux::ours(&config, "lockstep"));
    drop(extlinux::remove(&config, "lockstep"));
}

/// Mails, one and many.
pub fn mail(bytes: &[u8]) {
    drop(Patch::parse("x", bytes));
    drop(Patch::parse_mail("x", bytes, Scissors::Cut));
    drop(mbox::split(bytes));
    drop(series::import::read(bytes, Scissors::Kept, None));
}

/// Every JSON document that is read again, as each of them.
pub fn documents(bytes: &[u8]) {
    if let Ok(backup) = backup::Manifest::parse(bytes) {
        let straight = |path: &Path| {
            path.components()
                .skip(1)
                .all(|part| matches!(part, Component::Normal(_)))
        };
        assert!(
            backup
                .inventory
                .keys()
                .all(|path| path.is_absolute() && straight(path))
        );
    }
    drop(slot::Record::parse(bytes));
    drop(Manifest::parse(bytes));
    drop(RunRecord::parse(bytes));
    drop(BootedBaseline::parse(bytes));
    drop(BaselineFile::parse(bytes));
    drop(backup::Hashes::parse(bytes));
    if let Ok(read) = read::parse("x", bytes) {
        drop(past::fold(&read.lines));
    }
}

/// A board's list of files: whatever it says, nothing lies outside of what was asked for.
pub fn board_inventory(bytes: &[u8]) {
    let roots = [PathBuf::from("/lib/modules/r"), PathBuf::from("/boot")];
    if let Ok(files) = inventory::parse(bytes, &roots) {
        for path in files.keys() {
            assert!(roots.iter().any(|root| path.starts_with(root)));
            assert!(
                path.components()
                    .skip(1)
                    .all(|part| matches!(part, Component::Normal(_)))
            );
        }
        inventory::differences(&files, &Default::default());
    }
}

/// Diffs.
pub fn diffs(bytes: &[u8]) {
    patch_id::stable(bytes);
    if let Ok(scanned) = diff::scan("x", bytes, 1) {
        for file in &scanned.files {
            drop(hunks::apply(&file.hunks, bytes));
        }
    }
}

/// Kconfig fragments and final configurations.
pub fn kconfig_fragment(bytes: &[u8]) {
    let text = text(bytes);
    drop(Fragment::parse("x", &text));
    kconfig::Config::parse(&text);
    kconfig::diff(&text, "CONFIG_A=y\n");
}

/// Kconfig files: one that may name itself, and another one.
pub fn kconfig_language(bytes: &[u8]) {
    let text = text(bytes);
    Definitions::read_with("arm64", &|file| match file {
        "Kconfig" => Some(text.clone()),
        "Kconfig.x" => Some(text.chars().take(200).collect()),
        _ => None,
    });
}

/// Campaign files.
pub fn campaign_toml(bytes: &[u8]) {
    drop(Campaign::parse(&text(bytes)));
}

/// Board files.
pub fn board_toml(bytes: &[u8]) {
    drop(BoardFile::parse("x", &text(bytes)));
}

/// Review files and lists of patches.
pub fn reviews_toml(bytes: &[u8]) {
    drop(review::parse(&text(bytes)));
    drop(series::parse_list(&text(bytes)));
}

/// Kernel modules: ELF, compressed or not.
pub fn module_elf(bytes: &[u8]) {
    drop(module::module_info(bytes));
    drop(module::build_id(bytes));
    drop(module::content_sha256(bytes));
}

/// Where the seeds of a parser lie, relative to the root of the project; none: [`Path`] gives nothing and the test makes them.
#[allow(dead_code, reason = "a target has its own corpus")]
pub fn seed_folders(name: &str) -> &'static [&'static str] {
    match name {
        "kernel_log" | "pstore" | "kmsg" | "journal" | "serial" => &["crates/kernel-log/tests/logs"],
        "mail" | "diff" | "reviews" => &["patches"],
        "kconfig_fragment" | "kconfig_language" => &["kconfig-fragments"],
        "campaign" => &["campaigns"],
        "board" => &["boards"],
        "documents" => &["xtask/tests/documents"],
        _ => &[],
    }
}

/// Seeds of a parser: the project's own files of that kind, the shortest first, so many at most.
#[allow(dead_code, reason = "a target has its own corpus")]
pub fn seeds(root: &Path, name: &str, most: usize) -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = seed_folders(name)
        .iter()
        .flat_map(|folder| walkdir::WalkDir::new(root.join(folder)))
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .filter_map(|entry| std::fs::read(entry.path()).ok())
        .collect();
    files.sort_by_key(Vec::len);
    files.truncate(most);
    files
}
