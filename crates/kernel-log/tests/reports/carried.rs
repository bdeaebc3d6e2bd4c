//! Reports on their way to whoever reads them: through consoles, mails, web pages, CI systems,
//! packers and scripts, in every layout.

use crate::kinds::{Case, cases, expected, find, shown};
use crate::layouts::{LAYOUTS, written};
use kernel_log::baseline::Signature;
use kernel_log::finding::Finding;
use kernel_log::{finder, reader, unpack};
use std::io::{Cursor, Write as _};

/// What happens to all lines of a log.
const WAYS: &[(&str, Carry)] = &[
    ("crlf", |log| log.replace('\n', "\r\n")),
    ("crcrlf", |log| log.replace('\n', "\r\r\n")),
    ("quoted", |log| each(log, |line| format!("> {line}"))),
    ("quoted twice", |log| each(log, |line| format!("> > {line}"))),
    ("indented", |log| each(log, |line| format!("    {line}"))),
    ("marked", |log| format!("\u{feff}{log}")),
    ("fenced", |log| format!("The kernel said:\n\n```\n{log}```\n")),
    ("escaped", |log| {
        log.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
    }),
    ("coloured", |log| {
        each(log, |line| format!("\x1b[33m{line}\x1b[0m"))
    }),
    ("terminal", |log| {
        each(log, |line| format!("[2026-11-30 01:00:12.345678] {line}"))
    }),
    ("github", |log| {
        each(log, |line| format!("2026-11-30T01:00:12.3456789Z {line}"))
    }),
    ("gitlab", |log| {
        each(log, |line| format!("2026-11-30T01:00:12.345678Z 00O {line}"))
    }),
];

type Carry = fn(&str) -> String;

/// Whether a layout comes this way: some are not made of lines of text.
fn goes(layout: &str, way: &str) -> bool {
    const RECORDS: [&str; 10] = [
        "journal",
        "journal-loud",
        "json-pretty",
        "json-seq",
        "json-sse",
        "dmesg-json",
        "lava-array",
        "lava-yaml",
        "export",
        "verbose",
    ];
    match way {
        "crlf" | "crcrlf" | "quoted" | "quoted twice" | "indented" | "marked" => true,
        "escaped" => {
            !RECORDS.contains(&layout)
                && !["html", "kmsg", "kmsg-loud", "netconsole-release"].contains(&layout)
        }
        // Too few of its lines share what is in front of them.
        "fenced" => !RECORDS.contains(&layout) && layout != "unknown-bare",
        _ => !RECORDS.contains(&layout),
    }
}

/// What a few lines share in front may be their own.
fn shows(layout: &str, case: &Case) -> bool {
    layout != "unknown-bare" || case.lines.len() >= 10
}

fn each(log: &str, form: impl Fn(&str) -> String) -> String {
    log.lines().map(|line| form(line) + "\n").collect()
}

/// What is not one finding with the same title, function and signature as on a serial line.
fn wrong(case: &Case, name: &str, log: &[u8]) -> Option<String> {
    let reference = find(&written(&case.lines, "plain"));
    let [reference] = reference.as_slice() else {
        panic!("{}: {reference:#?}", case.title);
    };
    let found = finder::find(&reader::read(log), "serial");
    let same =
        |found: &Finding| shown(found) == expected(case) && Signature::of(found) == Signature::of(reference);
    (!matches!(found.as_slice(), [one] if same(one))).then(|| {
        let said: Vec<String> = found.iter().map(shown).collect();
        let log = String::from_utf8_lossy(log);
        format!("{name}: expected {:?}\n  found {said:#?}\n{log}", expected(case))
    })
}

fn none(wrong: &[String], all: usize) {
    let first = wrong.iter().take(8).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {all} wrong\n{first}", wrong.len());
}

#[test]
fn every_way_of_every_layout() {
    let cases = cases();
    let (mut all, mut bad) = (0, Vec::new());
    for layout in LAYOUTS {
        for (way, carry) in WAYS.iter().filter(|(way, _)| goes(layout, way)) {
            for case in cases.iter().filter(|case| shows(layout, case)) {
                all += 1;
                let log = carry(&written(&case.lines, layout));
                bad.extend(wrong(case, &format!("{layout} {way}"), log.as_bytes()));
            }
        }
    }
    assert!(all > 35_000, "{all}");
    none(&bad, all);
}

/// The console lost line ends: two records stand on one line.
#[test]
fn records_on_one_line() {
    let (mut all, mut bad) = (0, Vec::new());
    for layout in ["plain", "caller", "raw", "dump", "samsung", "mediatek"] {
        for case in cases() {
            for (at, (way, carry)) in WAYS.iter().enumerate() {
                all += 1;
                let log = written(&case.lines, layout);
                let glued: String = log
                    .lines()
                    .enumerate()
                    .map(|(number, line)| line.to_string() + if number % 2 == at % 2 { "" } else { "\n" })
                    .collect();
                let log = carry(
                    &(glued.trim_end().to_string()
                        + "
"),
                );
                bad.extend(wrong(&case, &format!("{layout} glued {way}"), log.as_bytes()));
            }
        }
    }
    none(&bad, all);
}

/// `f+0x1c/0x90 [mod]` as scripts/decode_stacktrace.sh prints it.
fn decoded(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(String::from).collect();
    for at in 0..words.len() {
        let Some((name, _)) = words[at].split_once("+0x").filter(|(name, _)| !name.is_empty()) else {
            continue;
        };
        let module = words
            .get(at + 1)
            .and_then(|word| word.strip_prefix('[')?.strip_suffix(']'))
            .map(String::from);
        words[at] = match &module {
            Some(_) => format!("{name} (drivers/media/test-drivers/vim2m.c:120 (discriminator 2))"),
            None => format!("{name} (kernel/somewhere/else.c:12)"),
        };
        if let Some(module) = module {
            words[at + 1] = module;
        }
    }
    words.join(" ")
}

#[test]
fn decoded_reports() {
    let (mut all, mut bad) = (0, Vec::new());
    for mut case in cases() {
        case.lines = case.lines.iter().map(|line| decoded(line)).collect();
        for layout in LAYOUTS.iter().filter(|layout| shows(layout, &case)) {
            all += 1;
            let log = written(&case.lines, layout);
            bad.extend(wrong(&case, &format!("{layout} decoded"), log.as_bytes()));
        }
    }
    none(&bad, all);
}

fn packed(log: &[u8], packing: &str) -> Vec<u8> {
    let bytes = log.to_vec();
    match packing {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "bz2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut packed = Vec::new();
            lzma_rs::xz_compress(&mut bytes.as_slice(), &mut packed).unwrap();
            packed
        }
        "zst" => zstd::encode_all(bytes.as_slice(), 1).unwrap(),
        "zip" => {
            let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file("dmesg", options).unwrap();
            writer.write_all(&bytes).unwrap();
            writer.finish().unwrap().into_inner()
        }
        "tar" => {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder
                .append_data(&mut header, "dmesg", bytes.as_slice())
                .unwrap();
            builder.into_inner().unwrap()
        }
        "tar.xz" => packed(&packed(log, "tar"), "xz"),
        other => panic!("{other}"),
    }
}

/// Unpacked, a log is what it was: in each layout, and each kind in the layouts of consoles.
#[test]
fn every_packing() {
    let cases = cases();
    let (mut all, mut bad) = (0, Vec::new());
    for packing in ["gz", "zlib", "bz2", "xz", "zst", "zip", "tar", "tar.xz"] {
        for (at, layout) in LAYOUTS.iter().enumerate() {
            for case in cases.iter().filter(|case| shows(layout, case)) {
                // One kind of each layout; all of them from a serial line and from ramoops.
                let all_kinds = matches!(*layout, "plain" | "dump");
                if !all_kinds && !std::ptr::eq(case, &cases[(at * 7) % cases.len()]) {
                    continue;
                }
                all += 1;
                let log = written(&case.lines, layout);
                let mut unpacked = Vec::new();
                let bytes = packed(log.as_bytes(), packing);
                unpack::stream("x", &mut bytes.as_slice(), &mut |_, _, source| {
                    source.read_to_end(&mut unpacked)?;
                    Ok(())
                })
                .unwrap();
                assert_eq!(unpacked, log.as_bytes(), "{packing}");
                bad.extend(wrong(case, &format!("{layout} {packing}"), &unpacked));
            }
        }
    }
    none(&bad, all);
}
