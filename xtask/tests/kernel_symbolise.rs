//! Frames to lines, on ELF files that the cross compiler makes here: a linked kernel and a relocatable module.

use crate::toy_kernel;

use std::path::{Path, PathBuf};
use std::process::Command;
use toy_kernel::{Debug, ToyKernel};
use xtask::kernel::cmdfiles;
use xtask::kernel::debug_files::DebugFiles;
use xtask::kernel::diff;
use xtask::kernel::symbolise::image::Image;
use xtask::kernel::symbolise::touched::{Mark, Touched};
use xtask::kernel::symbolise::{BuildFolder, Decoded, Expected, Match, Symboliser};
use xtask::manifest::{Manifest, SCHEMA_VERSION};

fn symboliser(toy: &ToyKernel) -> Symboliser {
    let build = BuildFolder::open(&toy.out).unwrap();
    Symboliser::new(build, Expected::default(), Touched::default())
}

fn one(symboliser: &mut Symboliser, line: &str) -> Decoded {
    let mut lines = symboliser.decode(&[line]);
    assert_eq!(lines[0].frames.len(), 1, "{line}");
    lines[0].frames.remove(0)
}

/// `function file:line`, the innermost first.
fn places(decoded: &Decoded) -> Vec<String> {
    decoded
        .places
        .iter()
        .map(|place| {
            let line = place.line.map_or(String::new(), |line| format!(":{line}"));
            format!("{} {}{line}", place.function, place.file.display())
        })
        .collect()
}

/// A frame of the first symbol of that name, as the kernel would print it.
fn frame_of(image: &Image, symbol: &str, offset: u64) -> String {
    let found = image.symbols().iter().find(|one| one.name == symbol).unwrap();
    format!("{symbol}+{offset:#x}/{:#x}", found.gap)
}

/// What addr2line(1) of binutils says of each address.
fn reference(file: &Path, section: Option<&str>, addresses: &[u64], toy: &ToyKernel) -> Vec<Vec<String>> {
    let mut command = Command::new("aarch64-linux-gnu-addr2line");
    command.args(["-a", "-f", "-i", "-e"]).arg(file);
    if let Some(section) = section {
        command.args(["-j", section]);
    }
    command.args(addresses.iter().map(|address| format!("{address:#x}")));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut all: Vec<Vec<String>> = Vec::new();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            all.push(Vec::new());
            continue;
        }
        let place = lines.next().unwrap().split(" (disc").next().unwrap();
        let (path, number) = place.rsplit_once(':').unwrap();
        let path = cmdfiles::relative(path, &toy.tree, &toy.out);
        let place = format!("{}:{number}", path.display());
        all.last_mut().unwrap().push(format!("{line} {place}"));
    }
    all
}

#[test]
fn every_instruction_of_the_kernel_has_the_line_that_addr2line_gives() {
    let toy = ToyKernel::build(Debug::Plain);
    let vmlinux = toy.out.join("vmlinux");
    let image = Image::open(&vmlinux).unwrap();
    let mut lines = Vec::new();
    let mut addresses = Vec::new();
    for symbol in image
        .symbols()
        .iter()
        .filter(|symbol| symbol.size > 0 && symbol.name != "same")
    {
        for offset in (4..=symbol.size).step_by(4) {
            lines.push(format!(" {}+{offset:#x}/{:#x}", symbol.name, symbol.gap));
            addresses.push(symbol.address + offset - 1);
        }
    }
    assert!(lines.len() > 50, "{}", lines.len());
    let decoded = symboliser(&toy).decode(&lines);
    let wanted = reference(&vmlinux, None, &addresses, &toy);
    let mut inlined = 0;
    for (line, wanted) in decoded.iter().zip(&wanted) {
        assert_eq!(&places(&line.frames[0]), wanted, "{}", line.text);
        inlined += usize::from(wanted.len() > 1);
    }
    assert!(inlined > 0, "the compiler inlined nothing");
}

#[test]
fn a_module_is_relocatable_and_its_sections_are_told_apart() {
    for debug in [Debug::Plain, Debug::Compressed] {
        let toy = ToyKernel::build(debug);
        let module = toy.out.join("drivers/m/toy.ko");
        let image = Image::open(&module).unwrap();
        let mut symboliser = symboliser(&toy);
        for (section, names) in [
            (".text", &["toy_run", "toy_stop", "helper"][..]),
            (".init.text", &["toy_init"][..]),
        ] {
            for name in names {
                let symbol = image.symbols().iter().find(|one| one.name == *name).unwrap();
                let start = toy.value(&module, name);
                let offsets: Vec<u64> = (4..=symbol.size).step_by(4).collect();
                let addresses: Vec<u64> = offsets.iter().map(|offset| start + offset - 1).collect();
                let wanted = reference(&module, Some(section), &addresses, &toy);
                for (offset, wanted) in offsets.iter().zip(&wanted) {
                    let line = format!(" {name}+{offset:#x}/{:#x} [toy]", symbol.gap);
                    assert_eq!(&places(&one(&mut symboliser, &line)), wanted, "{debug:?} {line}");
                }
            }
        }
    }
}

#[test]
fn namesakes_are_told_apart_by_size_or_not_at_all() {
    let toy = ToyKernel::build(Debug::Plain);
    let image = Image::open(&toy.out.join("vmlinux")).unwrap();
    let mut symboliser = symboliser(&toy);
    let sizes: Vec<u64> = image
        .symbols()
        .iter()
        .filter(|symbol| symbol.name == "twin")
        .map(|symbol| symbol.gap)
        .collect();
    let (one_size, other) = (sizes[0], sizes[1]);
    assert_ne!(one_size, other);
    let first = one(&mut symboliser, &format!("twin+0x4/{one_size:#x}"));
    let second = one(&mut symboliser, &format!("twin+0x4/{other:#x}"));
    assert_eq!(first.places[0].file, PathBuf::from("kernel/a.c"), "{first:#?}");
    assert_eq!(second.places[0].file, PathBuf::from("kernel/b.c"), "{second:#?}");
    let same = one(&mut symboliser, &frame_of(&image, "same", 4));
    assert!(same.places.is_empty());
    assert_eq!(
        same.note.as_deref(),
        Some("2 functions of this build have this name and size: in a.c, b.c")
    );
}

#[test]
fn another_build_is_refused_with_the_reason() {
    let toy = ToyKernel::build(Debug::Plain);
    let image = Image::open(&toy.out.join("vmlinux")).unwrap();
    let good = frame_of(&image, "outer", 4);
    let mut symboliser = symboliser(&toy);
    let note = |decoded: &Decoded| {
        assert!(decoded.places.is_empty(), "{decoded:?}");
        decoded.note.clone().unwrap()
    };
    assert!(note(&one(&mut symboliser, "outer+0x4/0x1000")).contains("another build ran"));
    assert!(note(&one(&mut symboliser, "nobody+0x4/0x10")).contains("has no such function"));
    assert!(note(&one(&mut symboliser, "f+0x4/0x10 [absent]")).contains("this build has no module absent"));
    let decoded = symboliser.decode(&["Linux version 6.1.0-9-arm64 (x)", &good]);
    assert_eq!(
        note(&decoded[1].frames[0]),
        "the log is of 6.1.0-9-arm64, this build is 7.3.4-toy"
    );
    // Two boots in one log: each frame is judged by its own.
    let decoded = symboliser.decode(&[
        "Linux version 6.1.0 (x)",
        &good,
        "Linux version 7.3.4-toy (x)",
        &good,
    ]);
    assert!(decoded[1].frames[0].places.is_empty());
    assert_eq!(decoded[3].frames[0].matched_by, Some(Match::Release));
    assert_eq!(one(&mut symboliser, &good).matched_by, Some(Match::Size));

    let id = "00112233445566778899aabbccddeeff00112233";
    let module = format!("toy_run+0x4/0x10 [toy {id}]");
    assert!(note(&one(&mut symboliser, &module)).contains(&format!("the log has build id {id}")));
    let expected = |id: &str| Expected {
        kernel: Some(id.to_string()),
        ..Expected::default()
    };
    let mut wrong = Symboliser::new(
        BuildFolder::open(&toy.out).unwrap(),
        expected(id),
        Touched::default(),
    );
    assert!(note(&one(&mut wrong, &good)).contains(&format!("what was deployed has build id {id}")));
    let own = image.build_id.clone().unwrap();
    let mut right = Symboliser::new(
        BuildFolder::open(&toy.out).unwrap(),
        expected(&own),
        Touched::default(),
    );
    assert_eq!(one(&mut right, &good).matched_by, Some(Match::BuildId));
}

#[test]
fn what_ran_is_found_by_its_build_id_when_the_folder_has_moved_on() {
    let toy = ToyKernel::build(Debug::Plain);
    let cache = tempfile::tempdir().unwrap();
    let vmlinux = toy.out.join("vmlinux");
    let image = Image::open(&vmlinux).unwrap();
    let line = frame_of(&image, "second", 4);
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        release: "7.3.4-toy".into(),
        build_id: image.build_id.clone().unwrap(),
        profile: "lockdep".into(),
        append: Vec::new(),
        commit: "00".into(),
        root: "/stage".into(),
        files: Vec::new(),
    };
    let kept = DebugFiles::of(cache.path());
    assert_eq!(kept.keep(&toy.out, &manifest).unwrap(), 1);
    // The next step's kernel: the same code, built from something else.
    std::fs::remove_file(&vmlinux).unwrap();
    std::fs::copy(ToyKernel::build(Debug::None).out.join("vmlinux"), &vmlinux).unwrap();
    let symboliser = || {
        let build = BuildFolder::of(&toy.out, &toy.tree, &manifest);
        Symboliser::new(build, Expected::of(&manifest), Touched::default())
    };
    let refused = one(&mut symboliser(), &line);
    assert!(
        refused.places.is_empty() && refused.is_of_another_build(),
        "{refused:?}"
    );
    let found = one(&mut symboliser().with_kept(kept), &line);
    assert_eq!(found.matched_by, Some(Match::BuildId));
    let expected = format!("second kernel/b.c:{}", toy.line("kernel/b.c", "int second") + 1);
    assert_eq!(places(&found).last(), Some(&expected), "{found:?}");
}

#[test]
fn without_debug_information_the_file_is_told() {
    let toy = ToyKernel::build(Debug::None);
    let kernel = Image::open(&toy.out.join("vmlinux")).unwrap();
    let module = Image::open(&toy.out.join("drivers/m/toy.ko")).unwrap();
    let mut symboliser = symboliser(&toy);
    for name in ["outer", "second", "deref"] {
        let decoded = one(&mut symboliser, &frame_of(&kernel, name, 4));
        let file = if name == "second" {
            "kernel/b.c"
        } else {
            "kernel/a.c"
        };
        assert_eq!(places(&decoded), [format!("{name} {file}")]);
        assert!(decoded.note.unwrap().starts_with("no line:"));
    }
    let decoded = one(
        &mut symboliser,
        &format!("{} [toy]", frame_of(&module, "helper", 4)),
    );
    assert_eq!(places(&decoded), ["helper drivers/m/part.c"]);
    let decoded = symboliser.decode(&[
        "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000048",
        &format!("pc : {}", frame_of(&kernel, "deref", 4)),
    ]);
    assert!(decoded[1].frames[0].members.is_empty());
    assert!(
        decoded[1].frames[0]
            .note
            .as_ref()
            .unwrap()
            .contains("which member")
    );
}

#[test]
fn members_at_the_offset_of_a_null_dereference() {
    let toy = ToyKernel::build(Debug::Plain);
    let image = Image::open(&toy.out.join("vmlinux")).unwrap();
    let at = |offset: u64| {
        let decoded = symboliser(&toy).decode(&[
            format!("Unable to handle kernel NULL pointer dereference at virtual address {offset:016x}"),
            format!("pc : {}", frame_of(&image, "deref", 4)),
            format!("lr : {}", frame_of(&image, "deref", 4)),
        ]);
        assert!(decoded[2].frames[0].members.is_empty());
        decoded[1].frames[0]
            .members
            .iter()
            .map(|member| {
                format!(
                    "{}.{} through {}",
                    member.structure, member.member, member.through
                )
            })
            .collect::<Vec<_>>()
    };
    // struct buffer { long index; struct plane planes[3]; union { int flags; }; struct buffer *next; }: a plane has 16 bytes.
    assert_eq!(
        at(0),
        [
            "struct buffer.index through buf",
            "struct plane.length through plane"
        ]
    );
    assert_eq!(at(8 + 16 + 8), ["struct buffer.planes[1].base through buf"]);
    assert_eq!(at(56), ["struct buffer.flags through buf"]);
    assert_eq!(at(64), ["struct buffer.next through buf"]);
    assert!(at(0x200).is_empty());
}

#[test]
fn frames_of_the_patch_are_marked() {
    let toy = ToyKernel::build(Debug::Plain);
    let image = Image::open(&toy.out.join("vmlinux")).unwrap();
    let line = toy.line("kernel/a.c", "in outer");
    let patch = format!(
        "diff --git a/kernel/a.c b/kernel/a.c\n--- a/kernel/a.c\n+++ b/kernel/a.c\n@@ -{line},0 +{line},1 @@ int outer(int x)\n+\tx = inner(x) + 1; /* in outer */\n"
    );
    let touched = Touched::of(&diff::scan("test", patch.as_bytes(), 1).unwrap().files);
    let mut symboliser = Symboliser::new(BuildFolder::open(&toy.out).unwrap(), Expected::default(), touched);
    let symbol = image.symbols().iter().find(|one| one.name == "outer").unwrap();
    let mut marks = Vec::new();
    for offset in (4..=symbol.size).step_by(4) {
        let decoded = one(&mut symboliser, &format!("outer+{offset:#x}/{:#x}", symbol.gap));
        let last = decoded.places.last().unwrap().clone();
        assert_eq!(last.function, "outer");
        marks.push(last.mark.unwrap());
        if decoded.places.len() > 1 {
            assert_eq!(decoded.places[0].mark, Some(Mark::File), "inner is not changed");
        }
    }
    assert!(
        marks.contains(&Mark::Line) && marks.contains(&Mark::Function),
        "{marks:?}"
    );
    assert_eq!(
        one(&mut symboliser, &frame_of(&image, "second", 4)).places[0].mark,
        None
    );
}

#[test]
fn the_command_prints_lines_and_json() {
    let toy = ToyKernel::build(Debug::Plain);
    let image = Image::open(&toy.out.join("vmlinux")).unwrap();
    let log = toy.out.join("boot.log");
    let text = format!(
        "[    0.000000] Linux version 7.3.4-toy (x@y) #1\n[    1.000000] Call trace:\n[    1.000001]  {}\n",
        frame_of(&image, "second", 4)
    );
    std::fs::write(&log, &text).unwrap();
    let run = |arguments: &[&str]| {
        assert_cmd::Command::cargo_bin("lockstep")
            .unwrap()
            .arg("symbolise")
            .arg(&log)
            .args(arguments)
            .output()
            .unwrap()
    };
    let out = toy.out.to_str().unwrap();
    let printed = run(&["--build", out]);
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    let stdout = String::from_utf8(printed.stdout).unwrap();
    let expected = format!("kernel/b.c:{} second()", toy.line("kernel/b.c", "int second") + 1);
    assert!(stdout.contains(&expected), "{stdout}");
    let stderr = String::from_utf8(printed.stderr).unwrap();
    assert!(stderr.contains("1 of 1 frame decoded with 7.3.4-toy"), "{stderr}");
    let json: serde_json::Value = serde_json::from_slice(&run(&["--build", out, "--json"]).stdout).unwrap();
    assert_eq!(json["decoded"], 1);
    assert_eq!(json["lines"][0]["frames"][0]["places"][0]["file"], "kernel/b.c");
    std::fs::write(&log, text.replace("7.3.4-toy", "9.9.9")).unwrap();
    let refused = run(&["--build", out]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        String::from_utf8(refused.stdout)
            .unwrap()
            .contains("the log is of 9.9.9")
    );
    let nowhere = run(&["--build", "/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        String::from_utf8(nowhere.stderr)
            .unwrap()
            .contains("looking for a built kernel in /nowhere")
    );
}
