//! Files in the forms that distributions write, read as U-Boot reads them and as `board probe` uses
//! them.

mod by_hand;
mod forms;

use super::{Asked, describe};
use crate::board::extlinux::{Config, lint};
use crate::board::file::BoardFile;

#[test]
fn files_of_distributions_mean_what_u_boot_takes_them_for() {
    let forms = [forms::all(), by_hand::all()].concat();
    assert!(forms.len() >= 40, "{}", forms.len());
    let mut wrong = Vec::new();
    for form in forms {
        let config = Config::parse(form.conf.as_bytes());
        let found: Vec<(&str, usize)> = lint(&config)
            .iter()
            .map(|finding| (finding.rule, finding.line))
            .collect();
        let unattended = config.behaviour().to_string();
        if (found.as_slice(), unattended.as_str()) != (form.found, form.unattended) {
            wrong.push(format!("{}: {found:?}, {unattended}", form.writer));
        }
        let answer = format!(
            "machine=aarch64\nuser=0\nrelease={}\ncmdline={}\nextlinux=/boot/extlinux/extlinux.conf \
             {}\nend=1\n",
            form.release,
            form.running,
            hex::encode(form.conf)
        );
        let asked = Asked {
            name: "x",
            host: "board",
            port: None,
            config: None,
        };
        let described = match describe(&answer, &asked) {
            Ok(described) => described,
            Err(error) => {
                // A carriage return is a part of the name, for U-Boot as well, and no board file
                // has such a name.
                let expected =
                    form.label.contains('\r') && format!("{error:#}").contains("control characters");
                if !expected {
                    wrong.push(format!("{}: {error:#}", form.writer));
                }
                continue;
            }
        };
        let label = BoardFile::parse("x", &described.text)
            .unwrap()
            .description
            .vanilla_label;
        let doubts: Vec<&String> = described
            .notes
            .iter()
            .filter(|note| note.contains("append"))
            .collect();
        if label != form.label || doubts.is_empty() != form.certain {
            wrong.push(format!("{}: {label:?} {doubts:?}", form.writer));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
