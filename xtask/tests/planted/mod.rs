//! A corpus of values that no bundle may show, in every form in which a log reaches a run's folder.

pub mod forms;
pub mod fresh;
pub mod values;

/// A line and what is planted in it.
pub struct Planted {
    /// As a board writes it.
    pub line: String,
    /// What must not be in a bundle.
    pub values: Vec<String>,
}

/// A line of [`values`] without its marks.
fn read(marked: &str) -> Planted {
    let mut planted = Planted {
        line: String::new(),
        values: Vec::new(),
    };
    let mut rest = marked;
    while let Some((before, after)) = rest.split_once("{{") {
        // A value may begin or end with a brace of its own.
        let own = after.chars().take_while(|c| *c == '{').count();
        let end = after[own..].find("}}").unwrap() + own;
        let (value, after) = after.split_at(end);
        planted.line += before;
        planted.line += value;
        planted.values.push(value.into());
        rest = &after[2..];
    }
    planted.line += rest;
    planted
}

/// Every line, of every family.
pub fn all() -> Vec<Planted> {
    let families = [values::SECRETS, values::PEOPLE, values::MACHINES, fresh::FRESH];
    families.concat().into_iter().map(read).collect()
}

/// The key in its armour, as lines of a log.
pub fn key() -> Vec<Planted> {
    let mark = |word: &str| format!("-----{word} OPENSSH PRIVATE KEY-----");
    let body = values::KEY.iter().map(|line| Planted {
        line: (*line).into(),
        values: vec![(*line).into()],
    });
    let plain = |line: String| Planted {
        line,
        values: Vec::new(),
    };
    std::iter::once(plain(mark("BEGIN")))
        .chain(body)
        .chain(std::iter::once(plain(mark("END"))))
        .collect()
}
