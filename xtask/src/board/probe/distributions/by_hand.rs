//! Files in which people went wrong, or did what is rare.

use super::forms::{AT_ONCE, Form, IN_ORDER, form};

/// All of them.
pub(super) fn all() -> Vec<Form> {
    vec![
        form(
            "a person who debugs",
            "default a\nlabel a\n kernel /Image\n append root=/dev/x dyndbg='file y.c +p' initcall_debug\n",
            "root=/dev/x dyndbg=file y.c +p initcall_debug",
            "a",
            AT_ONCE,
            &[("quotes", 4)],
        ),
        form(
            "the same, as it was meant",
            "default a\nlabel a\n kernel /Image\n append root=/dev/x dyndbg=\"file y.c +p\" initcall_debug\n",
            "root=/dev/x dyndbg=\"file y.c +p\" initcall_debug",
            "a",
            AT_ONCE,
            &[],
        ),
        form(
            "a password with a dollar",
            "default a\nlabel a\n kernel /Image\n append wifi=pa$$word\\$x y=1\n",
            "wifi=pa$$word$x y=1",
            "a",
            AT_ONCE,
            &[("backslash", 4)],
        ),
        form(
            "an editor that lost a brace",
            "default a\nlabel a\n kernel /Image\n append root=/dev/x console=${console rw\n",
            "root=/dev/x console=",
            "a",
            AT_ONCE,
            &[("unclosed-variable", 4)],
        ),
        form(
            "variables in paths",
            "default a\nlabel a\n kernel /Image-${kver}\n fdt /${fdtfile}\n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[("variable-in-path", 2), ("variable-in-path", 2)],
        ),
        form(
            "comments behind values",
            "default a\nlabel a\n kernel /Image\n initrd /initrd # mine\n append root=/dev/x # yours\n",
            "root=/dev/x # yours",
            "a",
            AT_ONCE,
            &[("comment-in-value", 2), ("comment-in-value", 5)],
        ),
        form(
            "a path with a blank behind it",
            "default a\nlabel a\n kernel /Image \n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[("blank-at-end", 2)],
        ),
        form(
            "a name with a blank behind it",
            "default a\nlabel a \n kernel /Image\n append root=/dev/x\n",
            "root=/dev/x",
            "a ",
            IN_ORDER,
            &[("missing-default", 1), ("blank-at-end", 2)],
        ),
        form(
            "32-bit ARM's word for none",
            "default a\nlabel a\n kernel /zImage\n fdt -\n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[("fdt-dash", 2)],
        ),
        form(
            "Syslinux's own keys",
            "default a\nsay Hello\nF1 help.txt\nlabel a\n kernel /Image\n append root=/dev/x\n text help\n  \
             some help\n endtext\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[
                ("not-understood", 2),
                ("not-understood", 3),
                ("not-understood", 7),
                ("not-understood", 7),
                ("not-understood", 8),
                ("not-understood", 9),
            ],
        ),
        form(
            "a FIT",
            "default a\nlabel a\n kernel /fitImage#conf-1\n initrd /fitImage#conf-1\n fdt \
             /fitImage#conf-1\n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[],
        ),
        form(
            "Windows, with a byte order mark",
            "\u{feff}default b\r\nlabel a\r\n kernel /I\r\n append root=/dev/x\r\nlabel b\r\n kernel /J\r\n \
             append root=/dev/y\r\n",
            "root=/dev/y",
            "b\r",
            IN_ORDER,
            &[
                ("no-default", 0),
                ("carriage-return", 1),
                ("byte-order-mark", 1),
                ("not-understood", 1),
                ("blank-at-end", 2),
                ("blank-at-end", 5),
            ],
        ),
        form(
            "a network boot besides",
            "default a\nlabel net\n localboot 1\nlabel a\n kernel /I\n ipappend 2\n append root=/dev/x\n",
            "root=/dev/x BOOTIF=01-02-03-04-05-06-07",
            "a",
            AT_ONCE,
            &[],
        ),
        form(
            "an included file",
            "include /more.conf\ndefault a\nlabel a\n kernel /I\n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            AT_ONCE,
            &[("include", 1)],
        ),
        form(
            "a menu without a timeout",
            "menu title Pick\ndefault a\nlabel a\n kernel /I\n append root=/dev/x\n",
            "root=/dev/x",
            "a",
            "shows a menu and waits for ever",
            &[("waits-for-ever", 1), ("menu-prompt", 1)],
        ),
    ]
}
