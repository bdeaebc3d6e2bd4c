//! The files that are run at U-Boot's prompt.

use super::COMMAND_LINE;

/// One extlinux.conf, and what is typed at its menu.
pub struct Case {
    pub conf: String,
    /// Typed at the menu, if one is shown; it is answered with nothing else.
    pub answer: Option<usize>,
}

/// All of them.
pub fn all() -> Vec<Case> {
    let a = "label a\n kernel /I\n append root=a\n";
    let b = "label b\n kernel /J\n append root=b\n";
    let long = |bytes: usize| "x".repeat(bytes);
    let heads = [
        "",
        "default a\n",
        "default b\n",
        "default c\n",
        "default b \n",
        "DEFAULT b\n",
        "ontimeout b\n",
        "default a\nontimeout b\n",
        "ontimeout b\ndefault a\n",
        "default a\ndefault b\n",
        "default a # b\n",
        "# default b\n",
        "timeout 0\ndefault b\n",
        "timeout 50\ndefault b\n",
        "prompt 0\ndefault b\n",
        "prompt 1\ndefault b\n",
        "\n\n\t default\tb\n",
        "default B\n",
        "unknown words\ndefault b\n",
        "default b\nfallback a\n",
        "timeout x\ndefault b\n",
        "default\n",
        "default b\ntimeout\n",
        "prompt 1 2\ndefault b\n",
    ];
    let mut confs: Vec<String> = heads.iter().map(|head| format!("{head}{a}{b}")).collect();
    let bodies = [
        "label a\n kernel /none\nlabel b\n kernel /J\n".into(),
        "label a\nlabel b\n kernel /J\n append x\n".into(),
        "label a\n kernel /I\n initrd /i.img\n append x\n".into(),
        "label a\n kernel /I\n initrd /none\n append x\nlabel b\n linux /J\n".into(),
        "label a\n kernel /I\n fdt /t.dtb\n append x\n".into(),
        "label a\n kernel /I\n fdt /none\n append x\nlabel b\n kernel /J\n".into(),
        "label a\n kernel /I\n devicetree /t.dtb\n".into(),
        "label a\n kernel /I\n fdtdir /dtbs\n".into(),
        "label a\n kernel /I\n fdtdir /dtbs/\n append x\n".into(),
        "label a\n kernel /I\n fdtdir /none\n append x\n".into(),
        "label a\n kernel /I\n fdt /t.dtb\n fdtdir /dtbs\n".into(),
        "label a\n kernel rel\n fdt rel.dtb\n".into(),
        "label a\n kernel ../I\n append x\n".into(),
        "label a\n kernel /sub/K\n append x y  z\n".into(),
        "label a\n kernel /with space\n append x\n".into(),
        "label a\n kernel /I#conf\n append x\n".into(),
        "label a\n kernel /I\n kernel /J\n append x\n append y\n".into(),
        "label a\n kernel /I\n initrd /i.img\n initrd /none\n append x\nlabel b\n kernel /J\n".into(),
        "label a\n kernel /I\n fdt /t.dtb\n fdt /none\n append x\nlabel b\n kernel /J\n".into(),
        "label a\n kernel /I\nlabel a\n kernel /J\n append second\n".into(),
        "default a\nlabel a\n kernel /I\nlabel a\n kernel /J\n append second\n".into(),
        "label a\n menu default\n kernel /I\nlabel b\n menu default\n kernel /J\n".into(),
        "label a\n kernel /I\nlabel b\n menu default\n kernel /J\n".into(),
        "default a\nlabel a\n kernel /I\nlabel b\n menu default\n kernel /J\n".into(),
        "label a\n menu label Something else\n kernel /I\n".into(),
        "label a\n bogus x\n kernel /I\nlabel b\n kernel /J\n".into(),
        "label a\n KERNEL /I\n APPEND X\n".into(),
        "label a\r\n kernel /I\r\nlabel b\n kernel /J\n".into(),
        "label a\n kernel /I # not a comment\n append x\n".into(),
        "label a\n # a comment\n kernel /I\n append # nothing\n".into(),
        "label a\n kernel /I\n append initrd=/i.img root=x\n".into(),
        "label a\n kernel /I\n initrd /i.img\n append initrd=/none root=x\n".into(),
        "label a\n kernel /I\n append initrd=/none root=x\n initrd /i.img\n".into(),
        "label a\n kernel /I\n append \nlabel b\n kernel /J\n".into(),
        "label\n kernel /I\nlabel b\n kernel /J\n".into(),
        "label a b\n kernel /I\n append x\n".into(),
        "default a b\nlabel c\n kernel /J\nlabel a b\n kernel /I\n".into(),
        "label a\n localboot 1\n append x\nlabel b\n kernel /J\n".into(),
        "default a\nlabel a\n localboot 1\n append x\nlabel b\n kernel /J\n".into(),
        "default a\nlabel a\n localboot -1\nlabel b\n kernel /J\n".into(),
        "label a\n kernel /I".into(),
        "".into(),
        "\n# nothing\n".into(),
        "say hello\n".into(),
        "label a\n kernel /I\n kaslrseed\n append x\n".into(),
        "label a\n\n\n kernel /I\n\n append x\n".into(),
        "  label a\nkernel /I\nappend x\n\tlabel b\nkernel /J\n".into(),
        format!(
            "label a\n kernel /I\n append {}\nlabel b\n kernel /J\n",
            long(COMMAND_LINE - 1)
        ),
        format!(
            "label a\n kernel /I\n append {}\nlabel b\n kernel /J\n",
            long(COMMAND_LINE)
        ),
        format!("label a\n kernel /{}\nlabel b\n kernel /J\n", long(600)),
    ];
    confs.extend(bodies);
    confs.extend(appends().map(|append| format!("label a\n kernel /I\n append {append}\n")));
    confs.extend(distributions().map(String::from));
    let mut cases: Vec<Case> = confs
        .into_iter()
        .map(|conf| Case { conf, answer: None })
        .collect();
    let menus = [
        ("menu title T\ntimeout 1\n", None),
        ("menu title T\ntimeout 1\ndefault b\n", None),
        ("menu title T\ntimeout 100\ndefault b\n", Some(1)),
        ("menu title T\ntimeout 0\ndefault b\n", Some(1)),
        ("menu title T\ntimeout 0\n", Some(2)),
        ("menu bogus\ntimeout 1\ndefault b\n", None),
        ("prompt 1\nmenu title T\ntimeout 10\ndefault b\n", None),
        ("menu title T\nprompt 0\ntimeout 10\ndefault b\n", None),
        ("menu\ntimeout 10\ndefault b\n", Some(2)),
        ("menu title T\ntimeout 9\ndefault c\n", None),
    ];
    cases.extend(menus.map(|(head, answer)| Case {
        conf: format!("{head}{a}{b}"),
        answer,
    }));
    cases
}

/// What `cli_simple_process_macros` sees.
pub fn appends() -> impl Iterator<Item = String> {
    let plain = [
        r"root=/dev/x dyndbg='file y.c +p' a\$b c=$(d)",
        "a${x}b $(x)",
        "a ${none} b",
        "${x) $(x}",
        "'${x}' ${x}",
        r"a\$b \${x} \\ \'q\'",
        r"'a\b' 'a\'b' c",
        r"\\${x} \\\\",
        r"\\\\\${x} \\\'",
        "a$b $$ $${x} $",
        "$'a b' ${",
        "a ${x b c",
        "a 'b ${x}",
        "don't",
        "a\\",
        "x=\"a b\" # c",
        "${x}",
        "${none}",
        "a  ${x}  b",
        "initrd=/${x} root=y",
    ];
    let long = "x".repeat(COMMAND_LINE - 6);
    plain
        .map(String::from)
        .into_iter()
        .chain([format!("{long}${{x}}")])
}

/// Files in the forms of distributions, and what the notes say of U-Boot.
fn distributions() -> impl Iterator<Item = &'static str> {
    [
        include_str!("append-macros.conf"),
        include_str!("default-without-label.conf"),
        "default gone\nlabel a\n kernel /I\n append x\nlabel b\n kernel /J\n",
        "timeout 10\ndefault gone\nprompt 1\nlabel a\n kernel /I\nlabel b\n kernel /J\n",
        "default gone\nlabel a\n kernel /I\nlabel b\n menu default\n kernel /J\n",
        "DEFAULT Arch Linux ARM\nLABEL rescue\nKERNEL /J\nLABEL Arch Linux ARM\nKERNEL ../I\nFDT \
         ../t.dtb\nAPPEND root=x\n",
        "default Fedora (6.9.7-200.fc40.aarch64) 40\nlabel a\n kernel /J\nlabel Fedora \
         (6.9.7-200.fc40.aarch64) 40\n kernel /I\n",
        "default a\nlabel a b\n kernel /I\nlabel a\n kernel /J\n",
        "label a\n kernel /${x}\n append x\nlabel b\n kernel /$(x)\n fdt /${x}.dtb\n",
        "label a\n kernel /I \n append x\nlabel b\n kernel /J\n",
        "label a\n kernel /I\n fdtdir /${x}\n",
        "label a\n kernel /I\n fdtdir dtbs\n",
        "label a\n kernel /I\n fdtdir ../dtbs\n",
        "label a\n kernel /I\n fdtdir /\n",
        "label a\n kernel /I\n fdtdir .\n",
        "label a\n kernel /I\n fdt -\nlabel b\n kernel /J\n",
        "label a\n fit /I\n append x\nlabel b\n kernel /J\n",
        "label a\n menu label\n kernel /I\n append x\nlabel b\n kernel /J\n",
        "label a\n menu\n kernel /I\n append x\nlabel b\n kernel /J\n",
        "label a\n menu default\n kernel /I\n append x\nlabel b\n kernel /J\n",
        "include /none\nlabel a\n kernel /I\n",
        "include /J\nlabel a\n kernel /I\n",
        "label a\n kernel /I\n initrd /i.img,/i.img\nlabel b\n kernel /J\n",
        "label a\n text help\n some help\n endtext\n kernel /I\nlabel b\n kernel /J\n",
        "\u{feff}default b\nlabel a\n kernel /I\nlabel b\n kernel /J\n",
        "ui menu.c32\nmenu autoboot Boots in # seconds\nmenu hidden\ntimeout 10\ntotaltimeout 600\nlabel \
         a\n kernel /I\n",
    ]
    .into_iter()
}
