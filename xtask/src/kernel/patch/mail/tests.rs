use super::*;

#[test]
fn scissors_are_what_git_takes_for_scissors() {
    for (line, yes) in [
        ("-- >8 --\n", true),
        ("- - - 8< - - - cut here - - - 8< - - -\n", true),
        (">8\n", false),
        ("a long line of text about >8 and other things\n", false),
        ("----------\n", false),
    ] {
        assert_eq!(is_scissors(line), yes, "{line}");
    }
}

#[test]
fn a_line_of_dashes_in_the_message_is_no_end() {
    for (line, yes) in [
        ("---\n", true),
        ("--- \n", true),
        ("--- a/f\n", true),
        ("diff -u\n", true),
        ("Index: f\n", true),
        ("----\n", false),
        ("---  two\n", false),
    ] {
        assert_eq!(ends_message(line.as_bytes()), yes, "{line}");
    }
}

#[test]
fn parts_of_a_mail_are_joined() {
    let text = "From: a\nContent-Type: multipart/mixed; boundary=\"xx\"\n\nThis is a multi-part message.\n\
        --xx\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n\
        W=FC=\ny.\n---\n--xx\nContent-Type: text/x-patch\nContent-Transfer-Encoding: base64\n\nZGlmZiAt\nLQo=\n--xx--\n";
    let mail = read(text.as_bytes(), Scissors::Kept).unwrap();
    assert_eq!(mail.message, "W\u{fc}y.\n");
    assert_eq!(String::from_utf8(mail.patch).unwrap(), "---\ndiff --\n\n");
    assert!(!mail.plain);
}

#[test]
fn flowed_lines_are_joined_as_git_joins_them() {
    let text = "Subject: s\nContent-Type: text/plain; format=flowed; delsp=yes\n\nlong \nline\n  x\n-- \n";
    let mail = read(text.as_bytes(), Scissors::Kept).unwrap();
    assert_eq!(mail.message, "longline\n x\n-- \n");
}
