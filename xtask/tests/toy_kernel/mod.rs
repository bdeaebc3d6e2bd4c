//! A folder that looks like one of kbuild: a linked vmlinux, a module of two objects, and the records of their compilation.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the compiler is to say of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debug {
    /// Nothing.
    None,
    /// DWARF.
    Plain,
    /// DWARF in compressed sections.
    Compressed,
}

/// The folder. It is deleted with this value.
pub struct ToyKernel {
    pub out: PathBuf,
    pub tree: PathBuf,
    _folder: tempfile::TempDir,
}

const A: &str = r#"
struct plane { int length; void *base; };
struct buffer { long index; struct plane planes[3]; union { int flags; }; struct buffer *next; };

extern int sink(int x);

static inline __attribute__((always_inline)) int inner(int x)
{
	return sink(x) * 3;
}

int outer(int x)
{
	x = inner(x) + 1; /* in outer */
	return sink(x);
}

static __attribute__((noinline)) int twin(int x)
{
	return sink(x + 1);
}

static __attribute__((noinline)) int same(int x)
{
	return sink(x - 1);
}

int first(int x)
{
	return twin(x) + same(x);
}

int deref(const struct buffer *buf, struct plane *plane)
{
	return sink(buf->flags) + plane->length;
}
"#;

const B: &str = r#"
extern int sink(int x);

static __attribute__((noinline)) int twin(int x)
{
	return sink(x) + sink(x + 2) + sink(x + 3);
}

static __attribute__((noinline)) int same(int x)
{
	return sink(x - 1);
}

int second(int x)
{
	return twin(x) + same(x); /* in second */
}

int _start(void)
{
	return second(1);
}
"#;

const SINK: &str = r#"
int sink(int x)
{
	return x;
}
"#;

const TOY: &str = r#"
extern int helper(int x);
extern int sink(int x);

static inline __attribute__((always_inline)) int twice(int x)
{
	return helper(x) + helper(x + 1);
}

int toy_run(int x)
{
	return twice(x) + 1;
}

int toy_stop(int x)
{
	return sink(x) + 2;
}

__attribute__((section(".init.text"))) int toy_init(int x)
{
	return twice(x) + sink(x);
}
"#;

const PART: &str = r#"
extern int sink(int x);

int helper(int x)
{
	return sink(x) / 7;
}
"#;

impl ToyKernel {
    /// Compiles and links; needs the cross compiler of arm64.
    pub fn build(debug: Debug) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (tree, out) = (root.join("tree"), root.join("out"));
        for (name, text) in [
            ("kernel/a.c", A),
            ("kernel/b.c", B),
            ("kernel/sink.c", SINK),
            ("drivers/m/toy.c", TOY),
            ("drivers/m/part.c", PART),
        ] {
            write(&tree.join(name), text);
        }
        write(&out.join("include/config/kernel.release"), "7.3.4-toy\n");
        write(&out.join("modules.order"), "drivers/m/toy.o\n");
        write(
            &out.join("drivers/m/toy.mod"),
            "drivers/m/toy.o\ndrivers/m/part.o\n",
        );
        std::os::unix::fs::symlink(&tree, out.join("source")).unwrap();
        let toy = ToyKernel {
            out,
            tree,
            _folder: folder,
        };
        for name in [
            "kernel/a",
            "kernel/b",
            "kernel/sink",
            "drivers/m/toy",
            "drivers/m/part",
        ] {
            toy.compile(name, debug);
        }
        toy.link(&[
            "-e",
            "_start",
            "-o",
            "vmlinux",
            "kernel/a.o",
            "kernel/b.o",
            "kernel/sink.o",
        ]);
        toy.link(&[
            "-r",
            "-o",
            "drivers/m/toy.ko",
            "drivers/m/toy.o",
            "drivers/m/part.o",
        ]);
        toy
    }

    fn compile(&self, name: &str, debug: Debug) {
        let object = format!("{name}.o");
        write(&self.out.join(&object), "");
        let flags: &[&str] = match debug {
            Debug::None => &[],
            Debug::Plain => &["-g"],
            Debug::Compressed => &["-g", "-gz=zlib"],
        };
        let mut command = Command::new("aarch64-linux-gnu-gcc");
        command
            .args([
                "-O2",
                "-ffreestanding",
                "-fno-pic",
                "-fno-ipa-icf",
                "-fno-optimize-sibling-calls",
                "-c",
            ])
            .args(flags)
            .args(["-o", &object])
            .arg(format!("../tree/{name}.c"));
        self.run(&mut command);
        let (parent, file) = name.rsplit_once('/').unwrap();
        write(
            &self.out.join(format!("{parent}/.{file}.o.cmd")),
            &format!(
                "savedcmd_{object} := gcc -c\n\nsource_{object} := ../tree/{name}.c\n\ndeps_{object} := \\\n\n"
            ),
        );
    }

    fn link(&self, arguments: &[&str]) {
        let mut command = Command::new("aarch64-linux-gnu-ld");
        command.arg("--build-id=sha1").args(arguments);
        self.run(&mut command);
    }

    fn run(&self, command: &mut Command) {
        let output = command.current_dir(&self.out).output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    }

    /// The value of a symbol, by nm(1).
    pub fn value(&self, file: &Path, symbol: &str) -> u64 {
        let output = Command::new("aarch64-linux-gnu-nm").arg(file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find(|line| line.ends_with(&format!(" {symbol}")))
            .unwrap();
        u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
    }

    /// The number of the line with this text.
    pub fn line(&self, file: &str, text: &str) -> usize {
        let source = std::fs::read_to_string(self.tree.join(file)).unwrap();
        source.lines().position(|line| line.contains(text)).unwrap() + 1
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}
