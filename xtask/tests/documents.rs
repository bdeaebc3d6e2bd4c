//! Every JSON format that this program writes and reads again. `documents/` has one of each as version f990670 wrote it: these are read. The same
//! with a key that nobody knows, or with a newer version, in any object of it: refused.

use kernel_log::baseline_file::BaselineFile;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use xtask::board::backup::Manifest as Backup;
use xtask::board::inventory::Inventory;
use xtask::board::slot::Record;
use xtask::campaign::earlier::BootedBaseline;
use xtask::campaign::journal::{past, read};
use xtask::campaign::record::RunRecord;
use xtask::kernel::review;
use xtask::manifest::Manifest as Build;

type Read = fn(&[u8]) -> Result<(), String>;

fn said<T>(read: anyhow::Result<T>) -> Result<(), String> {
    read.map(drop).map_err(|error| format!("{error:#}"))
}

/// A format: its example, its parser, the keys whose objects hold whatever a writer puts there, and how often a version stands in it.
const FORMATS: &[(&str, Read, &[&str], usize)] = &[
    ("backup.json", |bytes| said(Backup::parse(bytes)), &[], 2),
    ("slot.json", |bytes| said(Record::parse(bytes)), &["modules"], 1),
    ("build.json", |bytes| said(Build::parse(bytes)), &[], 1),
    (
        "run.json",
        |bytes| said(RunRecord::parse(bytes)),
        &["programs"],
        1,
    ),
    (
        "baseline.json",
        |bytes| BaselineFile::parse(bytes).map(drop),
        &[],
        1,
    ),
    (
        "baseline-boot.json",
        |bytes| said(BootedBaseline::parse(bytes)),
        &[],
        1,
    ),
];

fn example(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/documents")
            .join(name),
    )
    .unwrap()
}

/// Calls `change` for each object, and `then` with the whole that came of it.
fn each_object(
    whole: &Value,
    free: &[&str],
    change: &dyn Fn(&mut Map<String, Value>) -> bool,
    then: &mut dyn FnMut(&Value, &str),
) {
    fn pointers(value: &Value, at: String, free: &[&str], found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(at.clone());
                for (key, value) in fields.iter().filter(|(key, _)| !free.contains(&key.as_str())) {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    pointers(value, format!("{at}/{key}"), free, found);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, format!("{at}/{index}"), free, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    pointers(whole, String::new(), free, &mut found);
    for pointer in found {
        let mut changed = whole.clone();
        let object = changed
            .pointer_mut(&pointer)
            .and_then(Value::as_object_mut)
            .unwrap();
        if change(object) {
            then(&changed, &pointer);
        }
    }
}

fn add_unknown(object: &mut Map<String, Value>) -> bool {
    object.insert("unknown-key".into(), json!(1));
    true
}

fn make_newer(object: &mut Map<String, Value>) -> bool {
    let Some(version) = ["schema-version", "schema_version"]
        .iter()
        .find(|key| object.contains_key(**key))
    else {
        return false;
    };
    object.insert(version.to_string(), json!(99));
    true
}

#[test]
fn what_was_written_yesterday_is_read_and_what_is_not_known_is_refused() {
    let mut tried = 0;
    for (name, read, free, versions) in FORMATS {
        let bytes = example(name);
        read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        each_object(&whole, free, &add_unknown, &mut |changed, pointer| {
            tried += 1;
            let error = read(&serde_json::to_vec(changed).unwrap());
            assert!(error.is_err(), "{name}: an unknown key in {pointer} was taken");
        });
        let mut newer = 0;
        each_object(&whole, free, &make_newer, &mut |changed, pointer| {
            newer += 1;
            let error = read(&serde_json::to_vec(changed).unwrap()).unwrap_err();
            assert!(
                error.contains("99") && error.contains("read"),
                "{name}, {pointer}: {error}"
            );
        });
        assert_eq!(newer, *versions, "{name}");
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_journal_of_yesterday_is_folded_and_what_is_not_known_in_its_lines_is_refused() {
    let bytes = example("journal.jsonl");
    let fold = |bytes: &[u8]| -> anyhow::Result<past::Past> { past::fold(&read::parse("j", bytes)?.lines) };
    let past = fold(&bytes).unwrap();
    assert_eq!(past.rows.len(), 1);
    assert!(past.rows[0].overruled.is_some() && past.end.is_some() && past.begin.is_some());
    assert!(past.rows[0].judged.as_ref().unwrap().seen.is_some());
    let text = String::from_utf8(bytes).unwrap();
    for line in text.lines() {
        let whole: Value = serde_json::from_str(line).unwrap();
        let mut free = vec!["seen"];
        // What an action is given and what it came to is its own; only vanilla's return is looked for in it.
        if ["intent", "done"].contains(&whole["event"].as_str().unwrap()) {
            free.push("detail");
        }
        each_object(&whole, &free, &add_unknown, &mut |changed, pointer| {
            let refused = fold(format!("{changed}\n").as_bytes());
            assert!(refused.is_err(), "an unknown key in {pointer} was taken: {line}");
        });
        each_object(&whole, &free, &make_newer, &mut |changed, _| {
            let error = format!("{:#}", fold(format!("{changed}\n").as_bytes()).unwrap_err());
            assert!(
                error.contains("j:1: a line of a journal has format 99, newer"),
                "{error}"
            );
        });
    }
}

#[test]
fn reviews_without_a_version_are_the_first_and_newer_ones_are_refused() {
    let one = "[[review]]\npatch = \"p\"\ndecision = \"approve\"\nby = \"Ann\"\ndate = \"2026-11-22\"\npatch-id = \"00\"\nsha256 = \"00\"\n";
    assert_eq!(review::parse(one).unwrap().len(), 1);
    assert_eq!(
        review::parse(&format!("schema-version = 1\n{one}"))
            .unwrap()
            .len(),
        1
    );
    let said = |text: String| review::parse(&text).unwrap_err().to_string();
    let newer = said(format!("schema-version = 2\nx = 1\n{one}"));
    assert!(
        newer.contains("line 1, column 18: schema-version is 2, newer"),
        "{newer}"
    );
    assert!(said(format!("schema-version = 0\n{one}")).contains("schema-version is 0"));
    assert!(said(format!("{one}x = 1\n")).contains("unknown field"));
}

/// What somebody could write who wants a manifest to cost memory, time or a panic. Each is an error, at once.
#[test]
fn hostile_manifests_are_errors() {
    let text = String::from_utf8(example("backup.json")).unwrap();
    let compact: Value = serde_json::from_str(&text).unwrap();
    let text = compact.to_string();
    let huge = "9".repeat(400);
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_objects = "{\"a\":".repeat(200_000);
    let size = "\"size\":7";
    assert!(text.contains(size) && text.contains("\"mode\":420"));
    let twice = text.replacen(
        "\"campaign\":\"iter6\"",
        "\"campaign\":\"iter6\",\"campaign\":\"iter6\"",
        1,
    );
    let module = "\"/usr/lib/modules/7.3.4/x.ko\":";
    let entry = "{\"content\":\"folder\",\"mode\":493,\"owner\":[0,0],\"modified\":1},";
    let cases = [
        ("a key twice", twice),
        (
            "a file twice",
            text.replace(module, &format!("{module}{entry}{module}")),
        ),
        (
            "a size that overflows",
            text.replace(size, "\"size\":18446744073709551616"),
        ),
        (
            "sizes whose sum overflows",
            text.replace(size, "\"size\":18446744073709551615")
                .replace("\"size\":5", "\"size\":18446744073709551615"),
        ),
        ("a negative size", text.replace(size, "\"size\":-1")),
        ("a size in an exponent", text.replace(size, "\"size\":1e308")),
        (
            "a number of 400 digits",
            text.replace(size, &format!("\"size\":{huge}")),
        ),
        (
            "a mode of 400 digits",
            text.replace("\"mode\":420", &format!("\"mode\":{huge}")),
        ),
        (
            "a time of 400 digits",
            text.replace("\"modified\":1700000000", &format!("\"modified\":{huge}")),
        ),
        (
            "a version of 400 digits",
            text.replacen("\"schema-version\":1", &format!("\"schema-version\":{huge}"), 1),
        ),
        (
            "200,000 arrays",
            text.replace("\"others\":[]", &format!("\"others\":{deep}")),
        ),
        (
            "200,000 objects",
            text.replace("\"others\":[]", &format!("\"others\":{deep_objects}")),
        ),
        ("200,000 arrays alone", deep.clone()),
        (
            "a path of 1 MB",
            text.replace("7.3.4/x.ko", &format!("7.3.4/{}", "x".repeat(1 << 20))),
        ),
        (
            "a hash that is a path",
            text.replace(&"a".repeat(64), "../../../etc/passwd"),
        ),
        (
            "a hash with a line break",
            text.replacen(&"a".repeat(64), &format!("{}\\n", "a".repeat(63)), 1),
        ),
        (
            "bytes that are not hex",
            text.replacen("\"foreign-hex\":\"", "\"foreign-hex\":\"zz", 1),
        ),
        ("nothing", String::new()),
        ("zeros", "\0".repeat(4096)),
        ("a byte order mark", format!("\u{feff}{text}")),
        ("something after it", format!("{text}{{}}")),
    ];
    let begun = std::time::Instant::now();
    for (what, case) in &cases {
        assert_ne!(*case, text, "{what}");
        let error = Backup::parse(case.as_bytes()).map(drop).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.len() < 4096, "{what}: {} bytes of error", error.len());
    }
    // The same list, where a slot's record has it.
    let inventory = compact["inventory"].to_string();
    assert!(serde_json::from_str::<Inventory>(&inventory).is_ok());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
