//! Device tree blobs: finding a board's own, merging overlays with the real programs, and whether the ramoops region is sound.

use crate::host::scratch;
use crate::host::{process, requirements};
use anyhow::{Context, Result, bail};
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};
use std::path::{Path, PathBuf};
use std::time::Duration;
use xshell::{Shell, cmd};

const LIMIT: Duration = Duration::from_secs(60);

/// A range of physical memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Path of the node that says it.
    pub node: String,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

impl Region {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }

    fn holds(&self, other: &Region) -> bool {
        self.start <= other.start && other.end() <= self.end()
    }

    fn overlaps(&self, other: &Region) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// A ramoops region, as the kernel reads it (Documentation/devicetree/bindings/reserved-memory/ramoops.yaml).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ramoops {
    /// Where it is.
    pub region: Region,
    /// Bytes of one oops record, and of the logs of console, ftrace and user space; 0 where there is none.
    pub record_size: u64,
    /// See [`Ramoops::record_size`].
    pub console_size: u64,
    /// See [`Ramoops::record_size`].
    pub ftrace_size: u64,
    /// See [`Ramoops::record_size`].
    pub pmsg_size: u64,
}

/// Finds the blob that a label's `fdt` names among the staged ones: `/dtbs/7.3/rockchip/x.dtb` is `rockchip/x.dtb`, or the only `x.dtb`.
/// `staged` are paths below the staging folder. Errors: none or several have that name; says which are near.
pub fn find<'a>(staged: &'a [PathBuf], fdt: &str) -> Result<&'a Path> {
    let wanted = Path::new(fdt);
    let name = wanted
        .file_name()
        .with_context(|| format!("`fdt {fdt}` names no file"))?;
    let mut same: Vec<&Path> = staged
        .iter()
        .map(PathBuf::as_path)
        .filter(|path| path.file_name() == Some(name))
        .collect();
    if same.len() > 1 {
        let folder = wanted.parent().and_then(Path::file_name);
        let nearer = |path: &&Path| path.parent().and_then(Path::file_name) == folder;
        if same.iter().any(nearer) {
            same.retain(nearer);
        }
    }
    match same[..] {
        [one] => Ok(one),
        [] => bail!(
            "the build made no {}, which the label's `fdt {fdt}` names; is its board switched on in the configuration?",
            name.display()
        ),
        _ => bail!(
            "the build made several {}; name the folder in the label's `fdt`",
            name.display()
        ),
    }
}

/// Merges overlays into a blob with `fdtoverlay`, and has the result read by `dtc`. Dies half-way: `out` is old or new. Errors: a program is
/// not there; an overlay does not fit; `dtc` does not read the result, or warns of what was not there before.
pub fn merge(base: &Path, overlays: &[&Path], out: &Path) -> Result<()> {
    let doing = || format!("merging device tree overlays into {}", base.display());
    let (fdtoverlay, dtc) = (requirements::find("fdtoverlay")?, requirements::find("dtc")?);
    let folder = out.parent().context("the merged device tree has no folder")?;
    let scratch = scratch::folder_in(folder).with_context(doing)?;
    let merged = scratch.path().join("merged.dtb");
    let sh = Shell::new()?;
    process::run(
        cmd!(sh, "{fdtoverlay} -i {base} -o {merged} {overlays...}"),
        LIMIT,
    )
    .with_context(doing)?;
    process::run(cmd!(sh, "{dtc} -q -I dtb -O dtb -o /dev/null {merged}"), LIMIT).with_context(doing)?;
    let bytes = std::fs::read(&merged).with_context(doing)?;
    parse(&bytes).with_context(doing)?;
    std::fs::rename(&merged, out).with_context(doing)
}

/// Errors if `dtc` does not read a blob.
pub fn verify(blob: &Path) -> Result<()> {
    let dtc = requirements::find("dtc")?;
    let sh = Shell::new()?;
    process::run(cmd!(sh, "{dtc} -q -I dtb -O dtb -o /dev/null {blob}"), LIMIT)
        .with_context(|| format!("reading the device tree {}", blob.display()))?;
    Ok(())
}

/// The reader refuses property names that the specification does not allow, and blobs of the kernel's own tree have such names; the rest of
/// its checks stands. Whoever gives such a blob has had it read by `dtc` before ([`verify`]).
fn parse(bytes: &[u8]) -> Result<Fdt<'_>> {
    match Fdt::new(bytes) {
        Ok(fdt) => Ok(fdt),
        Err(error) if error.to_string().starts_with("Invalid property name") => Ok(Fdt::new_unchecked(bytes)),
        Err(error) => bail!("it is no device tree blob: {error}"),
    }
}

/// Looks whether the ramoops region of a merged blob can work: it lies in memory, no other reservation overlaps it, and its parts fit into
/// it. Gives `None` where the tree has no ramoops. Errors name the node and the numbers.
///
/// The machine's memory may not be in the blob, since many firmwares write it at boot; then only the rest is looked at, and `memory` of the
/// running board (`/sys/firmware/devicetree`) has to tell. The parts: fs/pstore/ram.c rounds each down to a power of two, and gives what is left to records.
pub fn check_ramoops(bytes: &[u8]) -> Result<Option<Ramoops>> {
    let fdt = parse(bytes)?;
    let root = fdt.root();
    let Some(reserved) = root.child("reserved-memory") else {
        return Ok(None);
    };
    let mut found = None;
    let mut others = Vec::new();
    for node in reserved.children() {
        let regions = regions(node, "/reserved-memory")?;
        let is_ramoops = node.property("compatible").is_some_and(|value| {
            value
                .value()
                .split(|byte| *byte == 0)
                .any(|word| word == b"ramoops")
        });
        match (is_ramoops && is_on(&node), regions.into_iter().next()) {
            (true, Some(region)) => found = Some(ramoops(node, region)?),
            (true, None) => bail!(
                "{}: ramoops has no `reg`: the kernel does not know where it is",
                node.name()
            ),
            (false, Some(region)) => others.push(region),
            (false, None) => {}
        }
    }
    let Some(ramoops) = found else {
        return Ok(None);
    };
    for reservation in fdt.memory_reservations() {
        others.push(Region {
            node: "/memreserve/".into(),
            start: reservation.address(),
            size: reservation.size(),
        });
    }
    let mut memory = Vec::new();
    for node in root
        .children()
        .filter(|node| node.name() == "memory" || node.name().starts_with("memory@"))
    {
        memory.extend(regions(node, "")?.into_iter().filter(|region| region.size > 0));
    }
    judge(&ramoops, &memory, &others)?;
    Ok(Some(ramoops))
}

/// `status` of a node: absent, `okay` and `ok` mean on (the specification's section 2.3.4).
fn is_on(node: &FdtNode<'_>) -> bool {
    node.property("status")
        .is_none_or(|status| matches!(status.value(), b"okay\0" | b"ok\0"))
}

fn regions(node: FdtNode<'_>, parent: &str) -> Result<Vec<Region>> {
    let name = format!("{parent}/{}", node.name());
    let reading = || format!("reading `reg` of {name}");
    let Some(reg) = node
        .reg()
        .map_err(|error| anyhow::anyhow!("{error}"))
        .with_context(reading)?
    else {
        return Ok(Vec::new());
    };
    reg.map(|reg| {
        let number = |value: Result<u64, dtoolkit::error::StandardError>| {
            value.map_err(|error| anyhow::anyhow!("{error}"))
        };
        Ok(Region {
            start: number(reg.address()).with_context(reading)?,
            size: number(reg.size()).with_context(reading)?,
            node: name.clone(),
        })
    })
    .collect()
}

fn ramoops(node: FdtNode<'_>, region: Region) -> Result<Ramoops> {
    let size = |name: &str| -> Result<u64> {
        match node.property(name) {
            None => Ok(0),
            Some(value) => value
                .value_as::<u32>()
                .map(u64::from)
                .map_err(|error| anyhow::anyhow!("{}: reading `{name}`: {error}", region.node)),
        }
    };
    Ok(Ramoops {
        record_size: size("record-size")?,
        console_size: size("console-size")?,
        ftrace_size: size("ftrace-size")?,
        pmsg_size: size("pmsg-size")?,
        region,
    })
}

/// The rule, on numbers.
fn judge(ramoops: &Ramoops, memory: &[Region], others: &[Region]) -> Result<()> {
    let region = &ramoops.region;
    let shown = |region: &Region| format!("{} ({:#x} to {:#x})", region.node, region.start, region.end());
    if !memory.is_empty() && !memory.iter().any(|memory| memory.holds(region)) {
        let memory: Vec<String> = memory.iter().map(shown).collect();
        bail!(
            "the ramoops region {} lies in no memory of this device tree: {}",
            shown(region),
            memory.join(", ")
        );
    }
    if let Some(other) = others.iter().find(|other| other.overlaps(region)) {
        bail!("the ramoops region {} overlaps {}", shown(region), shown(other));
    }
    let parts = [
        ("record-size", ramoops.record_size),
        ("console-size", ramoops.console_size),
        ("ftrace-size", ramoops.ftrace_size),
        ("pmsg-size", ramoops.pmsg_size),
    ];
    for (name, size) in parts {
        if size != 0 && !size.is_power_of_two() {
            bail!(
                "{}: `{name}` is {size}, and the kernel rounds it down to {}: say that",
                region.node,
                size.next_power_of_two() / 2
            );
        }
    }
    if parts.iter().all(|(_, size)| *size == 0) {
        bail!(
            "{}: it has none of record-size, console-size, ftrace-size and pmsg-size: the kernel refuses it",
            region.node
        );
    }
    let sizes = parts.iter().map(|(_, size)| *size);
    let sum = sizes.fold(0, u64::saturating_add);
    if sum > region.size {
        bail!(
            "{}: its parts take {sum} bytes, and the region has {}",
            region.node,
            region.size
        );
    }
    if ramoops.console_size == 0 {
        bail!(
            "{}: there is no console-size: a reset without an oops would leave no log",
            region.node
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(source: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (dts, dtb) = (folder.path().join("a.dts"), folder.path().join("a.dtb"));
        std::fs::write(&dts, format!("/dts-v1/;\n{source}")).unwrap();
        let sh = Shell::new().unwrap();
        process::run(cmd!(sh, "dtc -q -@ -I dts -O dtb -o {dtb} {dts}"), LIMIT).unwrap();
        std::fs::read(dtb).unwrap()
    }

    fn tree(ramoops: &str, other: &str) -> Vec<u8> {
        blob(&format!(
            "/ {{ #address-cells = <2>; #size-cells = <2>; memory@40000000 {{ device_type = \"memory\"; reg = <0 0x40000000 0 0x40000000>; }};\n\
             reserved-memory {{ #address-cells = <2>; #size-cells = <2>; ranges;\n{other}\n\
             ramoops@70000000 {{ compatible = \"ramoops\"; {ramoops} }}; }}; }};"
        ))
    }

    const GOOD: &str = "reg = <0 0x70000000 0 0x200000>; record-size = <0x20000>; console-size = <0x40000>; pmsg-size = <0x20000>;";

    #[test]
    fn a_sound_region_is_read() {
        let found = check_ramoops(&tree(GOOD, "")).unwrap().unwrap();
        assert_eq!(
            (found.region.start, found.region.size, found.console_size),
            (0x7000_0000, 0x20_0000, 0x4_0000)
        );
        assert_eq!(check_ramoops(&blob("/ { };")).unwrap(), None);
        assert_eq!(
            check_ramoops(&tree(&format!("{GOOD} status = \"disabled\";"), "")).unwrap(),
            None
        );
    }

    #[test]
    fn a_region_that_cannot_work_is_refused_with_its_numbers() {
        let error =
            |ramoops: &str, other: &str| format!("{:#}", check_ramoops(&tree(ramoops, other)).unwrap_err());
        let outside = GOOD.replace("0x70000000", "0x90000000");
        assert!(
            error(&outside, "").contains(
                "lies in no memory of this device tree: /memory@40000000 (0x40000000 to 0x80000000)"
            )
        );
        let taken = "secure@70100000 { reg = <0 0x70100000 0 0x100000>; };";
        assert!(error(GOOD, taken).contains("overlaps /reserved-memory/secure@70100000"));
        assert!(error(&GOOD.replace("<0x40000>", "<0x41000>"), "").contains("rounds it down to 262144"));
        assert!(
            error(&GOOD.replace("0x200000", "0x40000"), "")
                .contains("its parts take 524288 bytes, and the region has 262144")
        );
        assert!(
            error("reg = <0 0x70000000 0 0x200000>; record-size = <0x20000>;", "")
                .contains("no console-size")
        );
        assert!(error("reg = <0 0x70000000 0 0x200000>;", "").contains("the kernel refuses it"));
        assert!(error("console-size = <0x20000>;", "").contains("has no `reg`"));
        assert!(format!("{:#}", check_ramoops(b"text").unwrap_err()).contains("no device tree blob"));
    }

    #[test]
    fn overlays_are_merged_by_the_real_programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(
            path("base.dtb"),
            blob("/ { #address-cells = <2>; #size-cells = <2>; };"),
        )
        .unwrap();
        let overlay = format!(
            "/plugin/;\n&{{/}} {{ reserved-memory {{ #address-cells = <2>; #size-cells = <2>; ranges; \
             ramoops@70000000 {{ compatible = \"ramoops\"; {GOOD} }}; }}; }};"
        );
        std::fs::write(path("o.dtbo"), blob(&overlay)).unwrap();
        merge(&path("base.dtb"), &[&path("o.dtbo")], &path("merged.dtb")).unwrap();
        assert!(
            check_ramoops(&std::fs::read(path("merged.dtb")).unwrap())
                .unwrap()
                .is_some()
        );
        std::fs::write(path("bad.dtbo"), "no overlay").unwrap();
        let error = format!(
            "{:#}",
            merge(&path("base.dtb"), &[&path("bad.dtbo")], &path("bad.dtb")).unwrap_err()
        );
        assert!(error.contains("merging device tree overlays into"), "{error}");
        assert!(!path("bad.dtb").exists());
    }

    #[test]
    fn the_boards_own_blob_is_found_by_its_labels_fdt() {
        let staged = [
            PathBuf::from("dtbs/rockchip/a.dtb"),
            PathBuf::from("dtbs/rockchip/b.dtb"),
            PathBuf::from("dtbs/other/b.dtb"),
        ];
        assert_eq!(
            find(&staged, "/dtb-7.0.0/rockchip/a.dtb").unwrap(),
            Path::new("dtbs/rockchip/a.dtb")
        );
        assert_eq!(
            find(&staged, "/x/other/b.dtb").unwrap(),
            Path::new("dtbs/other/b.dtb")
        );
        assert!(
            find(&staged, "/b.dtb")
                .unwrap_err()
                .to_string()
                .contains("several b.dtb")
        );
        assert!(
            find(&staged, "/c.dtb")
                .unwrap_err()
                .to_string()
                .contains("made no c.dtb")
        );
    }
}
