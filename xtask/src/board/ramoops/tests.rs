use super::*;

/// 1 GiB at 1 GiB, QEMU `virt`.
const VIRT: &str = "iomem=40000000-7fffffff : System RAM
iomem=  40200000-4215ffff : Kernel code
iomem=  42160000-4256ffff : reserved
iomem=  7c000000-7fffffff : reserved
iomem=08000000-0800ffff : GICD
cells=00000002 00000002
";

/// 16 GiB on RK3588: TF-A below 2 MiB, a hole for devices below 4 GiB, an OP-TEE that the device tree reserves.
const RK3588: &str = "iomem=00200000-083fffff : System RAM
iomem=  02000000-03ffffff : Kernel code
iomem=09400000-efffffff : System RAM
iomem=  d8000000-efffffff : reserved
iomem=100000000-3fbffffff : System RAM
iomem=  3f0000000-3fbffffff : reserved
iomem=4f0000000-4ffffffff : System RAM
cells=00000002 00000002
reserved=00000000084000000000000001000000 optee@8400000
env=kernel_addr_r=0x02000000
env=ramdisk_addr_r=0x12180000
env=fdt_addr_r=0x12000000
env=scriptaddr=0x00c00000
";

fn check(map: &Map) -> Proposal {
    let proposal = map.propose(2 * MIB).unwrap();
    let region = Range::new(proposal.address, proposal.size);
    assert!(
        map.ram
            .iter()
            .any(|bank| bank.start <= region.start && region.end <= bank.end),
        "in RAM: {proposal:x?}"
    );
    for taken in map.taken.iter().chain(&proposal.avoided) {
        let apart = taken.range.end <= region.start || region.end <= taken.range.start;
        assert!(apart, "{proposal:x?} overlaps {taken:x?}");
    }
    assert_eq!(proposal.address % proposal.size, 0);
    proposal
}

#[test]
fn qemu_virt() {
    let proposal = check(&Map::read(VIRT).unwrap());
    // Between the first half GiB and the last quarter.
    assert_eq!(proposal.address, 0x6800_0000);
}

#[test]
fn rk3588_with_known_load_addresses() {
    let map = Map::read(RK3588).unwrap();
    assert!(
        map.loads_known
            && map
                .taken
                .iter()
                .any(|taken| taken.by == "reserved-memory/optee@8400000")
    );
    let proposal = check(&map);
    assert!(
        (0x3218_0000..0xe000_0000).contains(&proposal.address),
        "{proposal:x?}"
    );
}

#[test]
fn bdinfo_moves_the_upper_bound() {
    let mut map = Map::read(VIRT).unwrap();
    map.add_bdinfo(
        "boot_params = 0x0000000000000000\nDRAM bank   = 0x0000000000000000\n-> start    = 0x0000000040000000\nrelocaddr   = \
         0x000000006f6c2000\nsp start    = 0x000000006d57cd20\nfdt_blob    = 0x000000006d57ce60\nlmb_dump_all:\n reserved.count = 0x1\n \
         reserved[0]\t[0x64000000-0x64ffffff], 0x01000000 bytes flags: 0\n",
    )
    .unwrap();
    let proposal = check(&map);
    assert!(
        map.u_boot_known && proposal.address < 0x6c57_cd20,
        "{proposal:x?}"
    );
    assert!(map.add_bdinfo("no such thing").is_err());
}

#[test]
fn a_small_board_needs_to_say_more() {
    let small = "iomem=80000000-9fffffff : System RAM\ncells=00000001 00000001\n";
    let mut map = Map::read(small).unwrap();
    let error = map.propose(2 * MIB).unwrap_err().to_string();
    assert!(error.contains("--bdinfo"), "{error}");
    map.add_environment("kernel_addr_r=80080000\nfdt_addr_r=8f000000\nbootcmd=x\n");
    let proposal = check(&map);
    assert!(
        proposal
            .overlay()
            .contains(&format!("reg = <{:#x} 0x200000>", proposal.address))
    );
}

#[test]
fn without_rights_there_is_no_map() {
    let error = Map::read("iomem=00000000-00000000 : System RAM\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("not read as root"), "{error}");
}

#[test]
fn hostile_numbers_are_survived() {
    let text = "iomem=ffffffffffff0000-ffffffffffffffff : System RAM\niomem=  zz-1 : x\ncells=ffffffff 00000000\nreserved=00 x\nenv=kernel_addr_r=ffffffffffffffff\n";
    let map = Map::read(text).unwrap();
    assert!(map.propose(2 * MIB).is_err());
    assert!(map.propose(3 * MIB).is_err());
}

#[test]
fn the_overlay_is_one() {
    let Ok(dtc) = which::which("dtc") else {
        panic!("dtc is needed: package device-tree-compiler")
    };
    let overlay = Map::read(RK3588).unwrap().propose(4 * MIB).unwrap().overlay();
    let sh = xshell::Shell::new().unwrap();
    let done = crate::host::process::finish_with_input(
        xshell::cmd!(sh, "{dtc} -@ -I dts -O dtb -o /dev/null -"),
        overlay.as_bytes(),
        std::time::Duration::from_secs(20),
    )
    .unwrap();
    assert!(
        done.status.success(),
        "{overlay}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!String::from_utf8_lossy(&done.stderr).contains("Error"));
}
