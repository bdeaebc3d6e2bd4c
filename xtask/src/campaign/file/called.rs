//! Programs that the shell of a smoke test starts out of its own folder, `./NAME`.

/// Names that are started as `./NAME` in any of these texts and that none of them has in another place, where it could be made. Nothing, where one
/// of them goes to another folder: what is there is not known.
pub fn from_own_folder<'a>(texts: &[&'a str]) -> Vec<&'a str> {
    if texts.iter().any(|text| words(text).any(|word| word == "cd")) {
        return Vec::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for name in texts.iter().flat_map(|text| started(text)) {
        let has_another = |text: &&str| words(text).any(|word| word == name);
        if !names.contains(&name) && !texts.iter().any(has_another) {
            names.push(name);
        }
    }
    names
}

/// `./NAME` where a command begins: at the beginning, on a line of its own, or behind `;`, `&`, `|`, `(` or a backquote (POSIX.1-2024, XCU 2.9).
fn started(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("./").filter_map(|(at, _)| {
        let (before, from) = text.split_at_checked(at)?;
        let before = before.trim_end_matches([' ', '\t']);
        let begins = before.is_empty() || before.ends_with(['\n', ';', '&', '|', '(', '`']);
        let rest = from.strip_prefix("./")?;
        let end = rest.find(|c: char| !is_of_a_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(end)?;
        let is_a_file = !name.is_empty() && !behind.starts_with('/');
        (begins && is_a_file).then_some(name)
    })
}

/// File names as they stand, those behind `./` left out.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_of_a_name(c) && c != '/')
        .filter(|word| !word.starts_with("./"))
        .map(|word| word.rsplit('/').next().unwrap_or(word))
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_that_nothing_makes() {
        let texts = [
            "set -e\n./pixels make 640x480 8 drawn.yuv\ncmp ./drawn.yuv b",
            "test -s x && ./probe --a",
        ];
        assert_eq!(from_own_folder(&texts), ["pixels", "probe"]);
        assert_eq!(from_own_folder(&["x=$(./a) | ./a/b; echo ./c"]), ["a"]);
    }

    #[test]
    fn what_the_test_makes_or_cannot_be_known_is_not() {
        for made in [
            "cat > t.sh <<E\nE\nsh t.sh; ./t.sh",
            "gcc -o $LOCKSTEP/t t.c && ./t",
            "cd /usr/lib/x && ./t",
            "echo ./t",
            "",
            "./",
            "ü./\n",
        ] {
            assert!(from_own_folder(&[made]).is_empty(), "{made:?}");
        }
    }
}
