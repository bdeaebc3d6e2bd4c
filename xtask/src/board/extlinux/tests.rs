use super::*;

/// As a Debian derivative for RK3588 has it, with comments and odd spacing.
const BOARD: &str = "## /boot/firmware/extlinux/extlinux.conf\n#\n\nmenu title U-Boot menu\nprompt \
 1\ntimeout 30\n\
    default arch_devices\n\nlabel arch_devices\n\tmenu label Arch\t(devices)\n\tlinux \
    /Image-7.0.0-rc3-devices+\n\
    \tinitrd /initramfs-7.0.0-rc3-devices+.img\n\tfdt /dtbs/rk3588-ampere.dtb\n\
    \tappend root=UUID=1 rw  rootwait console=ttyS2,1500000 quiet # no comment\n\n# the end\n";

fn block(name: &str) -> Block {
    Block {
        name: name.into(),
        menu_label: Some(format!("{name} (Lockstep)")),
        kernel: "/Image-7.3.4-lockdep+".into(),
        fdt: Some("/virt.dtb".into()),
        initrd: None,
        append: "root=/dev/vda2 panic=10".into(),
    }
}

fn rules(text: &str) -> Vec<(&'static str, usize)> {
    lint(&Config::parse(text.as_bytes()))
        .iter()
        .map(|finding| (finding.rule, finding.line))
        .collect()
}

/// A debug build on a busy machine; what is quadratic takes minutes.
#[test]
fn a_file_of_any_number_of_labels_is_checked_soon() {
    let begun = std::time::Instant::now();
    let text: String = (0..100_000)
        .map(|number| format!("label l{}\n\tkernel /Image\n\tappend x\n", number % 99_999))
        .collect();
    let findings = lint(&Config::parse(text.as_bytes()));
    let duplicates = findings
        .iter()
        .filter(|finding| finding.rule == "duplicate-label");
    assert_eq!(duplicates.count(), 1);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn values_are_what_u_boot_takes() {
    let config = Config::parse(BOARD.as_bytes());
    assert_eq!(config.menu.title.as_deref(), Some("U-Boot menu"));
    let then = Unattended::Default;
    assert_eq!(config.behaviour(), Behaviour::Asks { seconds: 3, then });
    let label = config.default_label().unwrap();
    assert_eq!(label.line, 9);
    assert_eq!(label.shown(), "Arch\t(devices)");
    assert_eq!(label.kernel.as_deref(), Some("/Image-7.0.0-rc3-devices+"));
    assert_eq!(label.initrd.as_deref(), Some("/initramfs-7.0.0-rc3-devices+.img"));
    // A text cannot begin with `#`, but it may contain one.
    assert!(
        label
            .append
            .as_ref()
            .unwrap()
            .value
            .ends_with("quiet # no comment")
    );
    assert_eq!(label.append.as_ref().unwrap().line, 14);
}

#[test]
fn keywords_have_no_case_and_values_have() {
    let config =
        Config::parse(b"DEFAULT Arch\nLabel Arch\n KERNEL /I\n FDT /D\n APPEND A=b\nlabel arch\n Linux /J\n");
    assert_eq!(config.default_label().unwrap().kernel.as_deref(), Some("/I"));
    assert_eq!(config.number("arch"), Some(2));
}

#[test]
fn of_two_settings_u_boots_own_rule_says_which_wins() {
    let config = Config::parse(
        b"default a\nontimeout b\nlabel a\n menu default\n kernel /1\n kernel /2\n fdt /1\n append x\n \
         append y\nlabel b\n kernel /3\n",
    );
    assert_eq!(config.menu.default.as_ref().unwrap().value, "b");
    let a = config.label("a").unwrap();
    assert_eq!(
        (a.kernel.as_deref(), a.append.as_ref().unwrap().value.as_str()),
        (Some("/2"), "y")
    );
    let config = Config::parse(
        b"label a\n kernel /1\nlabel b\n menu default\n kernel /2\nlabel c\n menu default\n kernel /3\n",
    );
    assert_eq!(config.default_label().unwrap().name, "b");
    let config = Config::parse(b"label a\n kernel /1\nlabel a\n kernel /2\n");
    assert_eq!(
        (config.number("a"), config.label("a").unwrap().kernel.as_deref()),
        (Some(2), Some("/2"))
    );
}

#[test]
fn a_second_fdt_ends_the_label() {
    let config = Config::parse(b"label a\n fdt /1\n fdt /2\n kernel /lost\n");
    let label = &config.menu.labels[0];
    assert_eq!(
        (label.fdt.as_deref(), label.kernel.as_deref()),
        (Some("/1"), None)
    );
    assert!(rules("label a\n fdt /1\n fdt /2\n kernel /lost\n").contains(&("not-understood", 3)));
}

#[test]
fn an_unknown_word_ends_the_label() {
    let config = Config::parse(b"label a\n say hello\n kernel /lost\nlabel b\n kernel /1\n");
    assert_eq!(config.menu.labels[0].kernel, None);
    assert_eq!(config.menu.labels[1].kernel.as_deref(), Some("/1"));
    assert!(rules("label a\n kernel /1\n say hi\n append x\n").contains(&("not-understood", 3)));
}

#[test]
fn the_prompt_depends_on_the_order_of_lines() {
    let behaviour = |head: &str| Config::parse(format!("{head}label a\n kernel /1\n").as_bytes()).behaviour();
    let (default, in_order) = (Unattended::Default, Unattended::FileOrder);
    let asks = |seconds, then| Behaviour::Asks { seconds, then };
    for (head, does) in [
        ("default a\n", Behaviour::AtOnce(default)),
        ("", Behaviour::AtOnce(in_order)),
        ("default b\n", Behaviour::AtOnce(in_order)),
        ("default a\nmenu title x\n", Behaviour::AsksForEver),
        ("default a\nmenu title x\nprompt 0\n", Behaviour::AtOnce(default)),
        ("default a\nprompt 0\nmenu title x\n", Behaviour::AsksForEver),
        ("default a\nprompt 1\ntimeout 1\n", asks(1, default)),
        ("timeout 30\nmenu title x\ndefault gone\n", asks(3, in_order)),
        ("timeout 30\nmenu title x\n", asks(3, in_order)),
        ("default a\nprompt 0\ntimeout 50\n", Behaviour::AtOnce(default)),
    ] {
        assert_eq!(behaviour(head), does, "{head}");
    }
    assert_eq!(Config::parse(b"menu title x\n").behaviour(), Behaviour::NoLabel);
    assert_eq!(behaviour("default\n"), Behaviour::Rejected);
}

#[test]
fn initrd_in_append_is_an_initrd() {
    let config = Config::parse(b"label a\n kernel /1\n append initrd=/i root=x\n");
    assert_eq!(config.menu.labels[0].initrd.as_deref(), Some("/i"));
    assert!(rules("label a\n kernel /1\n append root=x initrd=/i\n").contains(&("initrd-last", 3)));
    assert!(!rules("label a\n kernel /1\n append initrd=/i root=x\n").contains(&("initrd-last", 3)));
}

#[test]
fn lint_names_rule_and_line() {
    let good = "default a\nlabel a\n kernel /1\n append x\n";
    assert_eq!(rules(good), []);
    assert_eq!(
        rules(&format!("timeout 0\nprompt 1\n{good}")),
        [("waits-for-ever", 2), ("prompt-ignored", 2)]
    );
    assert_eq!(
        rules("default b\nlabel a\n kernel /1\n"),
        [("missing-default", 1)]
    );
    assert_eq!(
        rules(&format!("{good}label a\n kernel /2\n")),
        [("duplicate-label", 5)]
    );
    assert_eq!(rules("default a\nlabel a\n append x\n"), [("no-kernel", 2)]);
    assert_eq!(
        rules(&good.replace("append x", "append x${y}")),
        [("variable", 4)]
    );
    assert_eq!(rules(&good.replace('\n', "\r\n"))[0].0, "carriage-return");
    let long = |bytes: usize| rules(&good.replace("append x", &format!("append {}", "x".repeat(bytes))));
    assert_eq!(long(255), []);
    assert_eq!(long(256), [("append-too-long", 4)]);
    let too_long = Config::parse(format!("label a\n kernel /1\n append {}\n", "x".repeat(1024)).as_bytes());
    assert_eq!(
        lint(&too_long)
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count(),
        1
    );
    assert!(rules(&format!("{good}#{}\n", "x".repeat(64 * 1024))).contains(&("file-too-large", 0)));
    assert!(rules("default a\nlabel a\n kernel /1\n\0label b\n").contains(&("not-understood", 4)));
}

#[test]
fn what_a_default_that_is_not_there_comes_to_is_said() {
    let conf = include_bytes!("../../../tests/extlinux_uboot/default-without-label.conf");
    let config = Config::parse(conf);
    assert_eq!(
        config.behaviour().to_string(),
        "shows a menu for 3 s, then tries the labels in file order"
    );
    assert_eq!(config.unattended().unwrap().name, "a");
    let said: Vec<String> = lint(&config).into_iter().map(|finding| finding.what).collect();
    let wanted = "`default gone` names a label that is not there: it counts for nothing, and U-Boot tries \
     the labels in file order, `a` first";
    assert!(said.iter().any(|what| what == wanted), "{said:?}");
    let without_menu = String::from_utf8_lossy(conf).replace("menu title x\n", "");
    assert_eq!(
        Config::parse(without_menu.as_bytes()).behaviour().to_string(),
        "tries the labels in file order at once, without a menu"
    );
}

#[test]
fn what_the_kernel_gets_of_append_is_said() {
    let conf = include_bytes!("../../../tests/extlinux_uboot/append-macros.conf");
    let found: Vec<(&str, String)> = lint(&Config::parse(conf))
        .into_iter()
        .map(|finding| (finding.rule, finding.what))
        .collect();
    let rules: Vec<&str> = found.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, ["variable", "quotes", "backslash"]);
    assert!(found[0].1.contains("`${d}`"), "{found:?}");
    for (_, what) in &found[1..] {
        assert!(
            what.contains("the kernel gets `root=/dev/x dyndbg=file y.c +p a$b c=${d}`"),
            "{what}"
        );
    }
}

/// Reference generator: pieces of files, good and bad, put together in every pair and many triples.
fn inputs() -> Vec<Vec<u8>> {
    let pieces: [&[u8]; 18] = [
        b"",
        b"\n",
        BOARD.as_bytes(),
        b"default a\n",
        b"default # nothing\n",
        b"x \0 y\n",
        b"label a\n kernel /1\n append x y\n",
        b"label b\r\n kernel /1\r\n",
        b"\tLABEL  c \n\tkernel\t/2#conf \n  # comment\n",
        b"menu title t\nmenu bogus\nmenu\n",
        b"prompt\nlabel d\n kernel /4\n",
        b"timeout 50\nprompt 1\n",
        b"say hi\nunknown key value\n",
        b"include /x.conf\n",
        b"label e\n kaslrseed junk\n fdtdir /d\n localboot 1\n ipappend 3",
        b"# lockstep: begin other\n",
        b"\xff\xfe binary \x01\n",
        b"label f\n menu default\n menu label F\n kernel /6\n menu\n",
    ];
    let mut all = Vec::new();
    for first in pieces {
        for second in pieces {
            all.push([first, second].concat());
            for third in [pieces[6], pieces[14], pieces[9]] {
                all.push([first, second, third].concat());
            }
        }
    }
    all
}

#[test]
fn reading_keeps_every_byte_of_anything() {
    for input in inputs() {
        assert_eq!(Config::parse(&input).bytes(), input);
        drop(lint(&Config::parse(&input)));
    }
}

#[test]
fn our_label_comes_and_goes_without_a_trace() {
    let (mut written, mut refused) = (0, 0);
    for input in inputs() {
        let before = Config::parse(&input);
        // A file that U-Boot gives up, or that swallows our first line, is refused: then nothing is
        // to be undone.
        let Ok(edit) = set(&before, &block("arch_devices_lockdep")) else {
            refused += 1;
            continue;
        };
        written += 1;
        let after = Config::parse(&edit.bytes);
        assert_eq!(after.menu.labels.len(), before.menu.labels.len() + 1);
        assert_eq!(after.menu.labels.last().unwrap().name, "arch_devices_lockdep");
        assert!(
            edit.bytes.starts_with(&input),
            "what was there stays where it was"
        );
        let shown = String::from_utf8_lossy(&input);
        assert_eq!(foreign(&after, "arch_devices_lockdep").unwrap(), input, "{shown}");
        assert_eq!(
            remove(&after, "arch_devices_lockdep").unwrap().bytes,
            input,
            "{shown}"
        );
        // Twice is once.
        assert_eq!(
            set(&after, &block("arch_devices_lockdep")).unwrap().bytes,
            edit.bytes,
            "{shown}"
        );
    }
    assert!(written > 500 && refused > 10, "{written} {refused}");
}

#[test]
fn a_foreign_label_of_our_name_is_not_touched() {
    let config = Config::parse(b"label ours\n kernel /theirs\n");
    for error in [
        set(&config, &block("ours")).unwrap_err(),
        remove(&config, "ours").unwrap_err(),
    ] {
        assert!(error.to_string().contains("line 1: label `ours`"), "{error}");
    }
}

#[test]
fn damaged_markers_are_refused() {
    let good = set(&Config::parse(BOARD.as_bytes()), &block("ours"))
        .unwrap()
        .bytes;
    let good = String::from_utf8(good).unwrap();
    let end = "# lockstep: end ours\n";
    for broken in [
        good.replace(end, ""),
        good.replace(end, &format!("label theirs\n kernel /x\n{end}")),
        good.replace(end, &format!("{end}{end}")),
        good.replace("label ours\n", "label other\n"),
    ] {
        let config = Config::parse(broken.as_bytes());
        assert!(set(&config, &block("ours")).is_err(), "{broken}");
        assert!(remove(&config, "ours").is_err(), "{broken}");
    }
}

#[test]
fn a_value_cannot_break_out_of_its_line() {
    let config = Config::parse(BOARD.as_bytes());
    for (name, append) in [
        ("a\nlabel b", "x"),
        ("", "x"),
        ("a b", "x"),
        ("a", "x\nlabel b"),
        ("a", "x\r"),
        ("a", "# x"),
        ("a", ""),
        ("a", "x\0"),
    ] {
        let block = Block {
            append: append.into(),
            ..block(name)
        };
        assert!(set(&config, &block).is_err(), "{name:?} {append:?}");
    }
}

#[test]
fn the_edit_says_what_it_means_for_u_boot() {
    let edit = set(&Config::parse(BOARD.as_bytes()), &block("ours")).unwrap();
    assert_eq!(edit.before, edit.after);
    assert!(
        edit.notes[0].contains("falls through in file order"),
        "{:?}",
        edit.notes
    );
    let empty = set(&Config::parse(b""), &block("ours")).unwrap();
    assert_eq!(
        (empty.before, empty.after),
        (Behaviour::NoLabel, Behaviour::AtOnce(Unattended::FileOrder))
    );
    assert_eq!(
        set(&Config::parse(&edit.bytes), &block("ours")).unwrap().notes,
        Vec::<String>::new()
    );
}

#[test]
fn labels_of_several_campaigns_come_and_go_in_any_order() {
    for text in [BOARD, "default a\nlabel a\n kernel /a\n# no newline at the end"] {
        let with = |names: &[&str]| {
            names.iter().fold(Config::parse(text.as_bytes()), |config, name| {
                Config::parse(&set(&config, &block(name)).unwrap().bytes)
            })
        };
        let both = with(&["one", "two"]);
        assert_eq!(all_ours(&both), ["one", "two"]);
        assert_eq!(without_ours(&both).unwrap(), text.as_bytes());
        for (first, last) in [("one", "two"), ("two", "one")] {
            let left = Config::parse(&remove(&both, first).unwrap().bytes);
            assert_eq!(all_ours(&left), [last]);
            assert_eq!(
                without_ours(&left).unwrap(),
                text.as_bytes(),
                "{text}: {first} went"
            );
            assert_eq!(remove(&left, last).unwrap().bytes, text.as_bytes());
            // Deployed again it stands behind the other, which is as it was.
            let again = Config::parse(&set(&both, &block(first)).unwrap().bytes);
            assert_eq!(all_ours(&again), [last, first]);
            assert_eq!(without_ours(&again).unwrap(), text.as_bytes());
        }
    }
    // One whose markers are damaged is no vanilla's either.
    let both = String::from_utf8(
        set(&Config::parse(BOARD.as_bytes()), &block("one"))
            .unwrap()
            .bytes,
    )
    .unwrap();
    for marker in ["# lockstep: begin one\n", "# lockstep: end one\n"] {
        let damaged = both.replace(marker, "");
        let error = without_ours(&Config::parse(damaged.as_bytes())).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
    let comment = format!("{BOARD}\n# lockstep: begin a comment of somebody's\n");
    assert_eq!(
        without_ours(&Config::parse(comment.as_bytes())).unwrap(),
        comment.as_bytes()
    );
}
