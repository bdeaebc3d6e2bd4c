//! One commit as a mail, in the forms that programs and people send.

use crate::mail_history::{git, run};
use std::path::Path;

/// A form.
pub struct Form {
    /// Its name, for counts and messages.
    pub name: &'static str,
    /// Settings and options of `git format-patch`, the settings first.
    options: &'static [&'static str],
    /// What is done with the mail afterwards.
    then: Then,
    /// Every line end was made CR LF on the way, so `git am` takes the CR away again (without
    /// `--keep-cr`).
    pub carriage_returns_went_along: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    CrLf,
    Base64,
    QuotedPrintable,
    Mboxrd,
    Quilt,
    QuiltEpoch,
    StGit,
    Mercurial,
    Footer,
}

const fn form(name: &'static str, options: &'static [&'static str]) -> Form {
    then(name, options, Then::Nothing)
}

const fn then(name: &'static str, options: &'static [&'static str], then: Then) -> Form {
    Form {
        name,
        options,
        then,
        carriage_returns_went_along: matches!(then, Then::CrLf),
    }
}

/// All forms.
pub const FORMS: &[Form] = &[
    form("plain", &["format-patch"]),
    form("-U0", &["format-patch", "-U0"]),
    form("-U1", &["format-patch", "-U1"]),
    form("-U2", &["format-patch", "-U2"]),
    form("-U5", &["format-patch", "-U5"]),
    form("-U10", &["format-patch", "-U10", "--binary"]),
    form("-W", &["format-patch", "-W"]),
    form(
        "--inter-hunk-context",
        &["format-patch", "--inter-hunk-context=9"],
    ),
    form("--no-prefix", &["format-patch", "--no-prefix", "--binary"]),
    form("noprefix setting", &["-c", "diff.noprefix=true", "format-patch"]),
    form(
        "--src-prefix",
        &["format-patch", "--src-prefix=old/", "--dst-prefix=new/"],
    ),
    form(
        "mnemonic",
        &["format-patch", "--src-prefix=i/", "--dst-prefix=w/", "--binary"],
    ),
    form(
        "deep prefix",
        &["format-patch", "--src-prefix=x/a/", "--dst-prefix=x/b/"],
    ),
    form("-M", &["format-patch", "-M"]),
    form(
        "-M50% --binary",
        &["format-patch", "-M50%", "--binary", "--full-index"],
    ),
    form("-C", &["format-patch", "-C"]),
    form(
        "-C -C",
        &["format-patch", "-C", "--find-copies-harder", "-l9", "--binary"],
    ),
    form("-B", &["format-patch", "-B", "-M"]),
    form("--no-renames", &["format-patch", "--no-renames"]),
    form("--binary", &["format-patch", "--binary"]),
    form("--no-binary", &["format-patch", "--no-binary"]),
    form("--full-index", &["format-patch", "--full-index"]),
    form(
        "--full-index --no-binary",
        &["format-patch", "--full-index", "--no-binary"],
    ),
    form("-D", &["format-patch", "-D", "-M"]),
    form("--numbered", &["format-patch", "--numbered"]),
    form("-N", &["format-patch", "-N", "-v4", "--rfc"]),
    form("-k", &["format-patch", "-k"]),
    form("--attach", &["format-patch", "--attach", "--binary"]),
    form("--attach=X", &["format-patch", "--attach=some mark"]),
    form("--inline", &["format-patch", "--inline"]),
    form("-s", &["format-patch", "-s"]),
    form("--from", &["format-patch", "--from=The List <list@example.org>"]),
    form(
        "--subject-prefix",
        &["format-patch", "--subject-prefix=RFC PATCH net-next"],
    ),
    form(
        "--cover-letter numbers",
        &["format-patch", "--start-number=3", "--numbered"],
    ),
    form("--base", &["format-patch", "--base=HEAD"]),
    form(
        "--thread",
        &[
            "format-patch",
            "--thread=deep",
            "--in-reply-to=<a@b>",
            "--to=a@b",
            "--cc=Ä <c@d>",
        ],
    ),
    form("--notes -p", &["format-patch", "--notes", "-p"]),
    form("--stat", &["format-patch", "--stat=40", "--summary"]),
    form("--no-signature", &["format-patch", "--no-signature"]),
    form("--signature", &["format-patch", "--signature=--- a/x\n+++ b/x"]),
    form("--zero-commit", &["format-patch", "--zero-commit"]),
    form("--patience", &["format-patch", "--patience"]),
    form("--histogram", &["format-patch", "--histogram"]),
    form("--minimal", &["format-patch", "--minimal"]),
    form("reversed", &["format-patch", "-R"]),
    form("-w", &["format-patch", "-w"]),
    form(
        "latin",
        &["-c", "i18n.logOutputEncoding=ISO-8859-1", "format-patch"],
    ),
    form(
        "no encoded headers",
        &["format-patch", "--no-encode-email-headers"],
    ),
    form("encoded headers", &["format-patch", "--encode-email-headers"]),
    form("quotePath off", &["-c", "core.quotePath=false", "format-patch"]),
    then("CR LF", &["format-patch", "--binary"], Then::CrLf),
    then("CR LF --attach", &["format-patch", "--attach"], Then::CrLf),
    then("base64", &["format-patch", "--binary"], Then::Base64),
    then("quoted-printable", &["format-patch"], Then::QuotedPrintable),
    then("mboxrd", &["format-patch", "--pretty=mboxrd"], Then::Mboxrd),
    then("quilt", &["format-patch", "--no-renames"], Then::Quilt),
    then(
        "quilt without dates",
        &["format-patch", "--no-renames", "-U2"],
        Then::QuiltEpoch,
    ),
    then("StGit", &["format-patch"], Then::StGit),
    then("Mercurial", &["format-patch", "--binary"], Then::Mercurial),
    then("list footer", &["format-patch"], Then::Footer),
];

/// The mail of a commit; `None` where the commit cannot be said in this form.
pub fn mail_of(repo: &Path, commit: &str, form: &Form) -> Option<Vec<u8>> {
    let base = format!("--base={commit}^");
    let mut arguments: Vec<&str> = form.options.to_vec();
    if let Some(at) = arguments.iter().position(|option| *option == "--base=HEAD") {
        arguments[at] = &base;
    }
    arguments.extend(["-1", "--stdout", commit]);
    let output = run(repo, &arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mail = output.stdout;
    match form.then {
        Then::Nothing => Some(mail),
        // A file that has such line ends itself would lose them.
        Then::CrLf if mail.contains(&b'\r') => None,
        Then::CrLf => Some(with_carriage_returns(&mail)),
        Then::Base64 => encoded(&mail, "base64", base64),
        Then::QuotedPrintable => encoded(&mail, "Quoted-Printable", quoted_printable),
        // Without the separator that names mboxrd, git takes `>From ` as it stands.
        Then::Mboxrd => Some(mail),
        Then::Quilt => quilt(
            &mail,
            "\t2026-03-03 10:00:00.000000000 +0100",
            "\t1970-01-01 00:00:00.000000000 +0000",
        ),
        Then::QuiltEpoch => quilt(&mail, "", ""),
        Then::StGit => other_header(repo, commit, &mail, Then::StGit),
        Then::Mercurial => other_header(repo, commit, &mail, Then::Mercurial),
        Then::Footer => {
            let mut mail = mail;
            mail.extend_from_slice(
                b"\n_______________________________________________\nlist mailing \
            list\nlist@example.org\n - bye\n+1\n",
            );
            Some(mail)
        }
    }
}

fn with_carriage_returns(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len());
    for byte in mail {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

fn split_header(mail: &[u8]) -> (&[u8], &[u8]) {
    let at = mail.windows(2).position(|two| two == b"\n\n").unwrap() + 1;
    (&mail[..at], &mail[at + 1..])
}

/// The body of a mail in a transfer encoding.
fn encoded(mail: &[u8], encoding: &str, encode: fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let (header, body) = split_header(mail);
    let header = String::from_utf8(header.to_vec()).ok()?;
    let mut kept: String = header
        .split_inclusive('\n')
        .filter(|line| !line.to_ascii_lowercase().starts_with("content-transfer-encoding"))
        .collect();
    if !kept.contains("Content-Type") {
        kept += "Content-Type: text/plain; charset=\"utf-8\"\n";
    }
    Some(
        [
            kept.as_bytes(),
            format!("Content-Transfer-Encoding: {encoding}\n\n").as_bytes(),
            &encode(body),
        ]
        .concat(),
    )
}

/// Base64 in lines of 76 columns.
pub fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for line in bytes.chunks(57) {
        for three in line.chunks(3) {
            let bits = three
                .iter()
                .enumerate()
                .fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
                out.push(if at <= three.len() { letter } else { b'=' });
            }
        }
        out.push(b'\n');
    }
    out
}

/// Quoted-printable in lines of at most 76 columns.
pub fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut column = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let last = bytes.get(at + 1).is_none_or(|next| *next == b'\n');
        if *byte == b'\n' {
            out.push(b'\n');
            column = 0;
            continue;
        }
        let plain = matches!(byte, 33..=60 | 62..=126) || *byte == b' ' && !last;
        let code = if plain {
            vec![*byte]
        } else {
            format!("={byte:02X}").into_bytes()
        };
        if column + code.len() > 75 {
            out.extend_from_slice(b"=\n");
            column = 0;
        }
        column += code.len();
        out.extend(code);
    }
    out
}

/// As quilt writes it: no `diff --git`, no modes, other folders, and times. `None` where git says
/// more than that.
fn quilt(mail: &[u8], time: &str, epoch: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let says_more: [&[u8]; 4] = [b"old mode ", b"GIT binary", b"rename ", b"new file mode 120"];
    let mut lines = mail.split_inclusive(|byte| *byte == b'\n').peekable();
    let mut in_header = false;
    let mut names: Option<(Vec<u8>, Vec<u8>)> = None;
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix(b"diff --git a/") {
            if rest.contains(&b'"') || line.starts_with(b"diff --git \"") {
                return None;
            }
            in_header = true;
            let at = rest.windows(3).position(|three| three == b" b/")?;
            names = Some((rest[..at].to_vec(), rest[..at].to_vec()));
            out.extend([b"Index: linux/", &rest[..at], b"\n", &[b'='; 67][..], b"\n"].concat());
            continue;
        }
        if line.starts_with(b"diff --git \"")
            || in_header && says_more.iter().any(|start| line.starts_with(start))
        {
            return None;
        }
        if in_header && line.starts_with(b"--- ") {
            let plus = lines.next()?;
            let (name, _) = names.as_ref()?;
            let is_new = line.starts_with(b"--- /dev/null");
            let is_gone = plus.starts_with(b"+++ /dev/null");
            if epoch.is_empty() && (is_new || is_gone) {
                out.extend(if is_new {
                    b"--- /dev/null".to_vec()
                } else {
                    [b"--- linux.orig/", &name[..]].concat()
                });
                out.extend(if is_gone {
                    b"\n+++ /dev/null\n".to_vec()
                } else {
                    [b"\n+++ linux/", &name[..], b"\n"].concat()
                });
            } else {
                let (old, new) = (
                    if is_new { epoch } else { time },
                    if is_gone { epoch } else { time },
                );
                out.extend([b"--- linux.orig/", &name[..], old.as_bytes(), b"\n"].concat());
                out.extend([b"+++ linux/", &name[..], new.as_bytes(), b"\n"].concat());
            }
            in_header = false;
            continue;
        }
        let is_header = [b"index ".as_slice(), b"new file", b"deleted file"]
            .iter()
            .any(|start| line.starts_with(start));
        if in_header && is_header {
            continue;
        }
        out.extend_from_slice(line);
    }
    Some(out)
}

/// The same with the header of another program.
fn other_header(repo: &Path, commit: &str, mail: &[u8], then: Then) -> Option<Vec<u8>> {
    let show = |form: &str| {
        let text = git(
            repo,
            &[
                "log",
                "-1",
                "--encoding=UTF-8",
                &format!("--format={form}"),
                commit,
            ],
        );
        String::from_utf8(text)
            .ok()
            .map(|text| text.trim_end().to_string())
    };
    let (author, time) = (show("%an <%ae>")?, show("%at")?);
    let (subject, body) = (show("%s")?, show("%b")?);
    let at = mail.windows(12).position(|window| window == b"\ndiff --git ")? + 1;
    let head = match then {
        Then::StGit => format!("{subject}\n\nFrom: {author}\nDate: @{time} +0000\n\n{body}\n---\n\n"),
        _ => format!(
            "# HG changeset patch\n# User {author}\n# Date {time} -3600\n# Node ID {commit}\n# Parent  \
             0\n{subject}\n\n{body}\n\n"
        ),
    };
    Some([head.as_bytes(), &mail[at..]].concat())
}
