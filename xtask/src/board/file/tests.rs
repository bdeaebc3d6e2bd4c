use super::*;

const AMPERE: &str = include_str!("../../../../boards/ampere.toml");

fn refused(from: &str, to: &str) -> String {
    assert!(AMPERE.contains(from), "{from}");
    format!(
        "{:#}",
        BoardFile::parse("ampere", &AMPERE.replacen(from, to, 1)).unwrap_err()
    )
}

#[test]
fn the_boards_of_this_project_are_read() {
    let ampere = BoardFile::parse("ampere", AMPERE).unwrap();
    let Kind::Ssh(reach) = &ampere.kind else { panic!() };
    assert_eq!((reach.host.as_str(), reach.rights), ("ampere", Rights::Sudo));
    let description = &ampere.description;
    assert_eq!(description.vanilla_label, "arch_devices");
    assert_eq!(description.second_host.as_ref().unwrap().host, "boltzmann");
    assert_eq!(description.console.as_deref(), Some("ttyS2,1500000"));
    let made = BoardFile::parse("virtual", include_str!("../../../../boards/virtual.toml")).unwrap();
    assert_eq!(made.kind, Kind::Virtual);
    assert_eq!(made.description.vanilla_label, crate::board::virt::VANILLA_LABEL);
}

#[test]
fn the_root_file_system_is_the_boards_own_unless_the_file_says_otherwise() {
    let root = |line: &str| {
        let text = AMPERE.replacen("limit-s = 300", &format!("limit-s = 300{line}"), 1);
        BoardFile::parse("ampere", &text).map(|file| file.description.root)
    };
    assert_eq!(root("").unwrap(), Root::Own);
    assert_eq!(root("\nroot = \"overlay\"").unwrap(), Root::Overlay);
    let error = format!("{:#}", root("\nroot = \"overlayfs\"").unwrap_err());
    assert!(error.contains("did you mean `overlay`?"), "{error}");
}

#[test]
fn netconsole_has_an_address_or_is_asked_where_it_goes() {
    let told = |lines: &str| {
        let text = AMPERE.replacen("[services]", &format!("[netconsole]\n{lines}\n[services]"), 1);
        BoardFile::parse("ampere", &text).map(|file| file.netconsole)
    };
    assert_eq!(BoardFile::parse("ampere", AMPERE).unwrap().netconsole, None);
    assert_eq!(told("").unwrap(), Some(Netconsole::default()));
    let both = told("host = \"192.168.1.2\"\nport = 6667").unwrap().unwrap();
    assert_eq!(
        (both.host, both.port),
        (Some([192, 168, 1, 2].into()), Some(6667))
    );
    for (lines, says) in [
        ("port = 0", "1 to 65535"),
        ("host = \"boltzmann\"", "line"),
        ("address = \"x\"", "unknown field `address`"),
    ] {
        let error = format!("{:#}", told(lines).unwrap_err());
        assert!(error.contains(says), "{error}");
    }
    let machine = |lines: &str| {
        let text = include_str!("../../../../boards/virtual.toml");
        let bare = text.replace("\n[netconsole]\n", "\n");
        BoardFile::parse("virtual", &format!("{bare}\n[netconsole]\n{lines}"))
    };
    assert!(machine("").unwrap().description.netconsole);
    let error = format!("{:#}", machine("port = 1").unwrap_err());
    assert!(error.contains("a network of its own"), "{error}");
}

#[test]
fn a_typo_names_line_column_and_what_was_meant() {
    let error = refused("vanilla-label =", "vanila-label =");
    let line = 1 + AMPERE
        .lines()
        .position(|line| line.starts_with("vanilla-label"))
        .unwrap();
    assert!(error.contains(&format!("line {line}, column 1")), "{error}");
    assert!(error.contains("did you mean `vanilla-label`?"), "{error}");
    let error = refused("\"kexec\"", "\"kexek\"");
    assert!(error.contains("did you mean `kexec`?"), "{error}");
}

#[test]
fn values_that_could_leave_their_word_are_refused_with_their_place() {
    for (from, to, says) in [
        ("host = \"ampere\"", "host = \"-oProxyCommand=x\"", "no dash"),
        ("host = \"ampere\"", "host = \"a;b\"", "`host` is `a;b`"),
        (
            "\"arch_devices\"",
            "\"a\\nb\"",
            "`vanilla-label`: label name `a\\nb`",
        ),
        ("\"arch_devices\"", "\"-rf\"", "begins with `-`"),
        ("\"arch_devices\"", "\" a\"", "begins with a blank"),
        (
            "folder = \"/boot/firmware\"",
            "folder = \"/boot/../x\"",
            "without `..`",
        ),
        (
            "folder = \"/boot/firmware\"",
            "folder = \"boot\"",
            "absolute path",
        ),
        (
            "\"/boot/firmware/extlinux/extlinux.conf\"",
            "\"/boot/x.conf\"",
            "not below the boot folder",
        ),
        (
            "\"/var/lib/lockstep/backups\"",
            "\"/boot/firmware/backups\"",
            "never lie inside",
        ),
        (
            "\"/var/lib/lockstep/backups\"",
            "\"/lib/modules/backups\"",
            "never lie inside",
        ),
        ("\"sddm.service\"", "\"--now\"", "no name of a unit"),
        ("limit-s = 300", "limit-s = 0", "10 to 3600"),
        ("\"arm64\"", "\"arm\"", "only `arm64`"),
        ("speed = 1500000", "tcp = \"a:1\"", "has one source"),
        ("second-host = \"boltzmann\"", "", "needs `second-host`"),
        ("kind = \"ssh\"", "kind = \"virtual\"", "has no [ssh]"),
    ] {
        let error = refused(from, to);
        assert!(error.contains(says) && error.contains("line "), "{to}: {error}");
    }
}

#[test]
fn a_vanilla_label_may_have_blanks_and_punctuation() {
    for label in [
        "Arch Linux ARM",
        "Fedora (6.9.7-200.fc40.aarch64) 40",
        "AML s9xxx",
        "$(reboot); `x` 'y' # z",
    ] {
        let text = AMPERE.replacen("\"arch_devices\"", &format!("\"{label}\""), 1);
        let file = BoardFile::parse("ampere", &text).unwrap();
        assert_eq!(file.description.vanilla_label, label);
    }
}

#[test]
fn a_board_without_a_file_names_those_that_have_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards");
    let error = BoardFile::load(&folder, "amper").unwrap_err().to_string();
    assert!(
        error.contains("ampere, virtual") && error.contains("did you mean `ampere`"),
        "{error}"
    );
}
