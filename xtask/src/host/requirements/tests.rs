use super::*;

#[test]
fn distributions_are_known_by_id_and_by_likeness() {
    let of = Distribution::from_os_release;
    assert_eq!(of("NAME=\"Debian GNU/Linux\"\nID=debian\n"), Distribution::Debian);
    assert_eq!(
        of("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
        Distribution::Debian
    );
    assert_eq!(
        of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
        Distribution::Fedora
    );
    assert_eq!(of("ID=manjaro\nID_LIKE=arch\n"), Distribution::Arch);
    assert_eq!(of("VERSION_ID=1\n"), Distribution::Other);
}

#[test]
fn a_missing_tool_has_a_remedy_on_every_distribution() {
    let qemu = REQUIREMENTS
        .iter()
        .find(|r| r.name() == "qemu-system-aarch64")
        .unwrap();
    assert!(
        qemu.remedy(Distribution::Debian)
            .contains("apt-get install qemu-system-arm")
    );
    assert!(
        qemu.remedy(Distribution::Fedora)
            .contains("dnf install qemu-system-aarch64")
    );
    let u_boot = REQUIREMENTS.iter().find(|r| r.name() == U_BOOT).unwrap();
    assert!(u_boot.remedy(Distribution::Arch).contains("u-boot-qemu"));
}

#[test]
fn a_package_that_brings_two_programs_is_named_once() {
    let missing: Vec<_> = REQUIREMENTS
        .iter()
        .filter(|r| r.debian == "openssh-client")
        .collect();
    assert_eq!(missing.len(), 2);
    assert_eq!(missing_debian_packages(&missing), ["openssh-client"]);
}

#[test]
fn a_missing_program_names_its_package() {
    let error = find("lockstep-no-such-program").unwrap_err().to_string();
    assert!(
        error.contains("`lockstep-no-such-program` is not on this machine"),
        "{error}"
    );
    let mcopy = REQUIREMENTS.iter().find(|r| r.name() == "mcopy").unwrap();
    assert!(
        mcopy
            .remedy(Distribution::Debian)
            .contains("apt-get install mtools")
    );
}

#[test]
fn a_program_that_is_nowhere_is_not_found() {
    let nowhere = Requirement {
        probe: Probe::Program("lockstep-no-such-program"),
        ..REQUIREMENTS[0]
    };
    assert_eq!(nowhere.found(), None);
}
