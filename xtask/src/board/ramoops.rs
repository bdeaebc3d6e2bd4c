//! Where a board's RAM has room for a ramoops region: a rule over what the board and its boot loader say of the memory.
//!
//! The region must be RAM that nobody writes between two kernels: not the firmware (TF-A, OP-TEE: reserved in the device tree, or no System
//! RAM at all), not U-Boot (it moves itself to the top of RAM below 4 GiB, `common/board_f.c`: `setup_dest_addr()`, with its heap, stack and
//! frame buffer below it), and not what it loads (`kernel_addr_r`, `ramdisk_addr_r` and the like). Source of the properties:
//! Documentation/devicetree/bindings/reserved-memory/ramoops.yaml.

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Where load addresses are not known: U-Boot's defaults lie in the first half GiB of RAM on every board that was looked at (RK3588:
/// the initramfs at 0x12180000 is the last).
const LOADS_UNKNOWN: u64 = 512 * MIB;
/// Where U-Boot's place is not known: heap, frame buffers and the rest below its relocation address.
const U_BOOT_UNKNOWN: u64 = 256 * MIB;
/// Below the lowest thing of U-Boot that is known: its stack grows down.
const STACK: u64 = 16 * MIB;
/// Kept free on both sides of the region: huge pages, and what an unlucky loader writes behind its end.
const MARGIN: u64 = 2 * MIB;
/// What is loaded at each address, at most: an uncompressed debug kernel, an initramfs, the rest.
const LOADED: &[(&str, u64)] = &[
    ("kernel_addr_r", 192 * MIB),
    ("kernel_comp_addr_r", 192 * MIB),
    ("ramdisk_addr_r", 512 * MIB),
    ("initrd_addr_r", 512 * MIB),
    ("fdt_addr_r", 2 * MIB),
    ("fdtoverlay_addr_r", 2 * MIB),
    ("fdt_addr", 2 * MIB),
    ("loadaddr", 192 * MIB),
    ("scriptaddr", 2 * MIB),
    ("pxefile_addr_r", 2 * MIB),
];

/// A piece of physical memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
}

impl Range {
    fn new(start: u64, length: u64) -> Self {
        Range {
            start,
            end: start.saturating_add(length),
        }
    }

    /// Bytes; 0 where it ends before it begins.
    fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Memory that is not free, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The memory.
    #[serde(flatten)]
    pub range: Range,
    /// Whose it is.
    pub by: String,
}

/// What is known of a board's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Map {
    /// RAM that the kernel may use.
    pub ram: Vec<Range>,
    /// What is taken of it.
    pub taken: Vec<Taken>,
    /// `#address-cells` and `#size-cells` of the root node.
    pub cells: (u32, u32),
    /// A ramoops node that is there already, by name.
    pub ramoops: Option<String>,
    /// U-Boot's load addresses are among what is taken.
    pub loads_known: bool,
    /// U-Boot's own place is.
    pub u_boot_known: bool,
}

/// The script that [`Map::read`] reads the answer of. `/proc/iomem` shows addresses to root alone.
pub const LOOK: &str = r#"export LC_ALL=C
sed 's/^/iomem=/' /proc/iomem
tree=/proc/device-tree
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
echo "cells=$(hex $tree/#address-cells) $(hex $tree/#size-cells)"
for node in $tree/reserved-memory/*/; do
    [ -e "$node/reg" ] && echo "reserved=$(hex "$node/reg") $(basename "$node")"
    [ -e "$node/compatible" ] && tr '\0' '\n' <"$node/compatible" | grep -qx ramoops && echo "ramoops=$(basename "$node")"
done
command -v fw_printenv >/dev/null && fw_printenv 2>/dev/null | grep -E '^[a-z_]*(addr|addr_r)=' | sed 's/^/env=/'
true
"#;

impl Map {
    /// Reads the answer of [`LOOK`]. Errors: the memory map is not in it.
    pub fn read(text: &str) -> Result<Self> {
        let mut map = Map {
            cells: (2, 2),
            ..Map::default()
        };
        let mut reserved = Vec::new();
        for line in text.lines() {
            match line.split_once('=') {
                Some(("iomem", line)) => map.iomem(line),
                Some(("cells", cells)) => {
                    let mut cells = cells.split(' ').map(|hex| u32::from_str_radix(hex, 16).ok());
                    if let (Some(Some(address)), Some(Some(size))) = (cells.next(), cells.next()) {
                        map.cells = (address, size);
                    }
                }
                Some(("reserved", node)) => reserved.push(node),
                Some(("ramoops", name)) => map.ramoops = Some(name.to_string()),
                Some(("env", assignment)) => map.environment(assignment),
                _ => {}
            }
        }
        for node in reserved {
            map.reserved(node);
        }
        ensure!(
            !map.ram.is_empty(),
            "/proc/iomem names no System RAM: it was not read as root, or this is no kernel that says"
        );
        Ok(map)
    }

    /// `40000000-7fffffff : System RAM`; what lies inside of it is indented.
    fn iomem(&mut self, line: &str) {
        let Some((range, name)) = line.split_once(" : ") else {
            return;
        };
        let inner = range.starts_with(' ');
        let Some((start, last)) = range.trim().split_once('-') else {
            return;
        };
        let (Ok(start), Ok(last)) = (u64::from_str_radix(start, 16), u64::from_str_radix(last, 16)) else {
            return;
        };
        // Without rights every address is shown as 0.
        let range = Range {
            start,
            end: last.saturating_add(1),
        };
        if last == 0 {
            return;
        }
        if !inner && name == "System RAM" {
            self.ram.push(range);
        } else if inner {
            self.take(range, name);
        }
    }

    /// Pairs of address and size, in cells of 32 bits, big-endian (Devicetree Specification, 2.3.6).
    fn reserved(&mut self, node: &str) {
        let (hex, name) = node.split_once(' ').unwrap_or((node, ""));
        let width = |cells: u32| (cells as usize).saturating_mul(8);
        let (address, size) = (width(self.cells.0), width(self.cells.1));
        if address == 0 || size == 0 || !hex.is_ascii() {
            return;
        }
        for pair in hex.as_bytes().chunks_exact(address.saturating_add(size)) {
            let text = String::from_utf8_lossy(pair);
            let number = |hex: &str| u64::from_str_radix(hex.get(hex.len().saturating_sub(16)..)?, 16).ok();
            let (start, length) = text.split_at_checked(address).unwrap_or_default();
            if let (Some(start), Some(length)) = (number(start), number(length)) {
                self.take(Range::new(start, length), &format!("reserved-memory/{name}"));
            }
        }
    }

    fn environment(&mut self, assignment: &str) {
        let Some((name, value)) = assignment.split_once('=') else {
            return;
        };
        let Some((_, length)) = LOADED.iter().find(|(known, _)| *known == name.trim()) else {
            return;
        };
        let value = value.trim().trim_start_matches("0x");
        if let Ok(start) = u64::from_str_radix(value, 16) {
            self.loads_known |= name.trim() == "kernel_addr_r";
            self.take(Range::new(start, *length), &format!("U-Boot's {}", name.trim()));
        }
    }

    /// Adds U-Boot's `printenv`.
    pub fn add_environment(&mut self, text: &str) {
        text.lines().for_each(|line| self.environment(line.trim()));
    }

    /// Adds U-Boot's `bdinfo` (`cmd/bdinfo.c`): its relocation address and everything above, its stack, device tree and frame buffer, and the
    /// memory that it says is reserved. Errors: there is no relocation address in it.
    pub fn add_bdinfo(&mut self, text: &str) -> Result<()> {
        let hex = |text: &str| {
            let digits = text.trim().trim_start_matches("0x");
            let end = digits.find(|c: char| !c.is_ascii_hexdigit());
            let digits = end.and_then(|end| digits.get(..end)).unwrap_or(digits);
            u64::from_str_radix(digits, 16).ok()
        };
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| hex(value))?
            })
        };
        let top = value("relocaddr").context("there is no `relocaddr` in the text of bdinfo")?;
        let mut lowest = top;
        for key in ["sp start", "fdt_blob", "new_fdt", "FB base", "irq_sp"] {
            // Another bank's, or none.
            if let Some(at) = value(key).filter(|at| *at > 0 && *at < top && top.abs_diff(*at) < GIB) {
                lowest = lowest.min(at);
            }
        }
        let bank_end = self
            .ram
            .iter()
            .find(|bank| bank.start <= top && top < bank.end)
            .map_or(top.saturating_add(64 * MIB), |bank| bank.end);
        let start = lowest.saturating_sub(STACK);
        self.take(Range { start, end: bank_end }, "U-Boot, moved to the top of RAM");
        for line in text.lines().filter(|line| line.contains("reserved[")) {
            let bounds = line.rsplit_once('[').and_then(|(_, rest)| rest.split_once('-'));
            if let Some((Some(start), Some(last))) = bounds.map(|(start, last)| (hex(start), hex(last))) {
                let end = last.saturating_add(1);
                self.take(Range { start, end }, "reserved by U-Boot");
            }
        }
        self.u_boot_known = true;
        Ok(())
    }

    fn take(&mut self, range: Range, by: &str) {
        if range.end > range.start {
            self.taken.push(Taken {
                range,
                by: by.to_string(),
            });
        }
    }

    /// What is kept away from besides what is known to be taken.
    fn guesses(&self) -> Vec<Taken> {
        let mut guesses = Vec::new();
        let first = self.ram.iter().map(|bank| bank.start).min().unwrap_or(0);
        if !self.loads_known {
            guesses.push(Taken {
                range: Range::new(first, LOADS_UNKNOWN),
                by: "what U-Boot loads (its addresses are not known)".into(),
            });
        }
        if !self.u_boot_known {
            // The end of any bank below 4 GiB may be what it takes for the top.
            for bank in self.ram.iter().filter(|bank| bank.start < 4 * GIB) {
                let end = bank.end.min(4 * GIB);
                let start = end.saturating_sub(U_BOOT_UNKNOWN).max(bank.start);
                let small = bank.length() <= U_BOOT_UNKNOWN && first != bank.start;
                if !small {
                    guesses.push(Taken {
                        range: Range { start, end },
                        by: "U-Boot's own place (not known)".into(),
                    });
                }
            }
        }
        guesses
    }

    /// Proposes a place of `size` bytes: in the middle of the largest free piece, which is farthest from whatever grows; below 4 GiB where
    /// possible, since boot loaders see no more of some boards. Errors: there is no such piece.
    pub fn propose(&self, size: u64) -> Result<Proposal> {
        ensure!(
            size.is_power_of_two() && (MIB..=64 * MIB).contains(&size),
            "a region is 1, 2, 4 … 64 MiB large"
        );
        let avoided = self.guesses();
        let mut taken: Vec<Range> = self
            .taken
            .iter()
            .chain(&avoided)
            .map(|taken| Range {
                start: taken.range.start.saturating_sub(MARGIN),
                end: taken.range.end.saturating_add(MARGIN),
            })
            .collect();
        taken.sort_unstable();
        let mut best: Option<(bool, u64, u64)> = None;
        for bank in &self.ram {
            for free in holes(*bank, &taken) {
                let low = free.start < 4 * GIB;
                let end = if low { free.end.min(4 * GIB) } else { free.end };
                let room = Range { end, ..free }.length();
                let middle = free.start.saturating_add(room / 2);
                let step = size.max(MARGIN);
                let address = middle.saturating_sub(middle.checked_rem(step).unwrap_or(0));
                let fits = address >= free.start && address.saturating_add(size) <= end;
                let better = best.is_none_or(|(was_low, length, _)| (low, room) > (was_low, length));
                if fits && better {
                    best = Some((low, room, address));
                }
            }
        }
        let Some((_, room, address)) = best else {
            bail!(
                "no {} MiB of RAM are free of everything that is known and guessed: give U-Boot's `bdinfo` and `printenv` (--bdinfo, --env), so \
                 that less has to be guessed",
                size / MIB
            )
        };
        Ok(Proposal {
            address,
            size,
            room,
            cells: self.cells,
            avoided,
        })
    }
}

/// What of a bank is not taken; `taken` is sorted.
fn holes(bank: Range, taken: &[Range]) -> Vec<Range> {
    let mut holes = Vec::new();
    let mut from = bank.start;
    for range in taken
        .iter()
        .filter(|range| range.end > bank.start && range.start < bank.end)
    {
        if range.start > from {
            holes.push(Range {
                start: from,
                end: range.start,
            });
        }
        from = from.max(range.end);
    }
    if from < bank.end {
        holes.push(Range {
            start: from,
            end: bank.end,
        });
    }
    holes
}

/// A place for a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Proposal {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes of the free piece that it lies in.
    pub room: u64,
    /// Cells of an address and of a size.
    pub cells: (u32, u32),
    /// What was kept away from by guess.
    pub avoided: Vec<Taken>,
}

impl Proposal {
    /// The device-tree overlay: half of the region for oopses, the rest for the console, pmsg and the function trace.
    pub fn overlay(&self) -> String {
        let cell = |value: u64, cells: u32| match cells {
            1 => format!("{value:#x}"),
            _ => format!("{:#x} {:#x}", value >> 32, value & 0xffff_ffff),
        };
        let (address_cells, size_cells) = self.cells;
        let (address, size) = (cell(self.address, address_cells), cell(self.size, size_cells));
        let (record, console, other) = (self.size / 16, self.size / 8, self.size / 16);
        format!(
            "/dts-v1/;
/plugin/;

&{{/}} {{
\treserved-memory {{
\t\t#address-cells = <{address_cells}>;
\t\t#size-cells = <{size_cells}>;
\t\tranges;

\t\tramoops@{:x} {{
\t\t\tcompatible = \"ramoops\";
\t\t\treg = <{address} {size}>;
\t\t\trecord-size = <{record:#x}>;
\t\t\tconsole-size = <{console:#x}>;
\t\t\tpmsg-size = <{other:#x}>;
\t\t\tftrace-size = <{other:#x}>;
\t\t\tecc-size = <16>;
\t\t}};
\t}};
}};
",
            self.address
        )
    }
}

#[cfg(test)]
mod tests;
