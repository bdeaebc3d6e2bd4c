//! How long 1000 frames take, on the vmlinux of a real build: the first time, with its symbols and debug information read, and again.
//!
//! `cargo bench -p xtask --bench symbolise -- FOLDER`, where FOLDER is a build folder or a distribution's folder of debug files.

use std::path::PathBuf;
use std::time::Instant;
use xtask::kernel::symbolise::image::Image;
use xtask::kernel::symbolise::touched::Touched;
use xtask::kernel::symbolise::{BuildFolder, Expected, Symboliser};

const FRAMES: usize = 1000;

fn main() -> anyhow::Result<()> {
    // cargo itself adds `--bench`.
    let Some(folder) = std::env::args_os()
        .skip(1)
        .find(|argument| !argument.as_encoded_bytes().starts_with(b"-"))
    else {
        println!("no build folder was named: cargo bench -p xtask --bench symbolise -- FOLDER");
        return Ok(());
    };
    let build = BuildFolder::open(&PathBuf::from(&folder))?;
    let vmlinux = build.out.join("vmlinux");
    let bytes = std::fs::metadata(&vmlinux)?.len();
    let image = Image::open(&vmlinux)?;
    let functions: Vec<_> = image
        .symbols()
        .iter()
        .filter(|symbol| symbol.size > 8 && symbol.size <= symbol.gap && !symbol.name.starts_with("__pfx_"))
        .collect();
    // Spread over the whole file: each frame is likely in a compilation unit of its own.
    let frames: Vec<String> = (0..FRAMES)
        .map(|at| {
            let symbol = functions[at * functions.len() / FRAMES];
            format!(" {}+{:#x}/{:#x}", symbol.name, symbol.size / 2, symbol.gap)
        })
        .collect();
    drop(image);
    println!(
        "{}: {:.1} MB, {FRAMES} frames",
        vmlinux.display(),
        bytes as f64 / 1e6
    );
    let mut symboliser = Symboliser::new(build, Expected::default(), Touched::default());
    for title in ["first", "again"] {
        let start = Instant::now();
        let lines = symboliser.decode(&frames);
        let took = start.elapsed();
        let with_line = lines
            .iter()
            .filter(|line| line.frames[0].places.iter().any(|place| place.line.is_some()))
            .count();
        let with_file = lines
            .iter()
            .filter(|line| !line.frames[0].places.is_empty())
            .count();
        println!("{title}: {took:.3?}, {with_line} with a line, {with_file} with a file");
    }
    println!("{}", peak().unwrap_or_default());
    Ok(())
}

/// proc_pid_status(5): the most memory that was in use.
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find(|line| line.starts_with("VmHWM"))?.to_string())
}
