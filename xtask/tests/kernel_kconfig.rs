//! What Lockstep says about `olddefconfig` against what `olddefconfig` does: symbols taken at random from the real tree are asked for on
//! real configurations. Nothing is compiled. Fails, and says what to do, where `cargo xtask setup` has not been run.
//!
//! `LOCKSTEP_KCONFIG_SYMBOLS` is the number of symbols for each configuration (a multiple of the batch is best), `LOCKSTEP_KCONFIG_BATCH`
//! how many are asked for at once (1: each alone), `LOCKSTEP_KCONFIG_SEED` chooses others.

use crate::kconfig_truth;

#[path = "kconfig_remedies/mod.rs"]
mod kconfig_remedies;

use kconfig_truth::{LIMIT, Random, Truth, raw, setting};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;
use xshell::{Shell, cmd};
use xtask::host::process;
use xtask::kernel::build::{Compiler, complete};
use xtask::kernel::kconfig::{
    Config, Definitions, Fragment, Hints, Kind, Outcome, Span, SymbolVerdict, Tri, Value, Values, diff,
    verify,
};

/// A request for a symbol, of its type.
fn request(name: &str, kind: Kind, random: &mut Random) -> String {
    let value = match kind {
        Kind::Bool | Kind::Unknown => ["y", "y", "n"][random.below(3)].to_string(),
        Kind::Tristate => ["y", "m", "n"][random.below(3)].to_string(),
        Kind::Int => random.below(200).to_string(),
        Kind::Hex => format!("0x{:x}", random.below(100_000)),
        Kind::Text => "\"lock \\\"step\\\"\"".to_string(),
    };
    match value.as_str() {
        "n" => format!("# CONFIG_{name} is not set\n"),
        _ => format!("CONFIG_{name}={value}\n"),
    }
}

#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<Outcome, usize>,
    exact: usize,
    bounded: usize,
    parts: usize,
    compiler: usize,
    /// With the requests that they were among.
    dropped: Vec<(String, SymbolVerdict)>,
    wrong: Vec<String>,
}

impl Tally {
    fn check(&mut self, verdict: &SymbolVerdict, values: &Values, config: &str) {
        let name = &verdict.request.symbol;
        let asked = verdict.request.value.to_string();
        let got = raw(config, name);
        *self.outcomes.entry(verdict.outcome).or_default() += 1;
        let mut wrong = |what: String| {
            self.wrong.push(format!(
                "CONFIG_{name}={asked} became {got}: {what}\n    {verdict:#?}"
            ))
        };
        let undefined_text = asked == "\"\"" && got == "n";
        if verdict.is_good() != (asked == got || undefined_text) {
            wrong(format!("the verdict is {}", verdict.outcome));
        }
        let expected = match verdict.outcome {
            Outcome::ToModule => got == "m",
            Outcome::BuiltIn => got == "y",
            Outcome::Dropped => got == "n",
            _ => true,
        };
        if !expected {
            wrong(format!("the verdict is {}", verdict.outcome));
        }
        let symbol = values.defined(name).unwrap();
        if let (Some(asked), Some(got)) = (Tri::parse(&asked), Tri::parse(&got)) {
            let span = values.logic_if_asked(symbol, asked);
            if got < span.low || got > span.high {
                wrong(format!("the rules give {:?} to {:?}", span.low, span.high));
            }
            match span == Span::of(got) {
                true => self.exact += 1,
                false => self.bounded += 1,
            }
        }
        if !verdict.is_good()
            && (verdict.why.is_empty()
                || verdict
                    .why
                    .iter()
                    .any(|line| line.contains(" found") && !line.starts_with("no other setting")))
        {
            wrong("there is no reason".into());
        }
        if verdict.outcome == Outcome::Dropped {
            self.check_unmet(verdict, config);
        }
    }

    /// A symbol that was dropped has unmet conditions, and they are really unmet.
    fn check_unmet(&mut self, verdict: &SymbolVerdict, config: &str) {
        let name = &verdict.request.symbol;
        let nobody = verdict.why.iter().any(|line| line.contains("nothing selects it"));
        if verdict.unmet.is_empty() && !nobody {
            self.wrong.push(format!(
                "CONFIG_{name} was dropped for no condition: {verdict:#?}"
            ));
        }
        for unmet in &verdict.unmet {
            self.parts += 1;
            let ok = match &unmet.symbol {
                Some(symbol) if unmet.part == format!("!{symbol}") => raw(config, symbol) != "n",
                Some(symbol) => {
                    let value = raw(config, symbol);
                    value == unmet.value && value != "y" || Tri::parse(&value).is_none()
                }
                None if unmet.value == "?" => {
                    self.compiler += 1;
                    unmet.part.contains("$(")
                }
                None => unmet.value != "y",
            };
            if !ok {
                self.wrong
                    .push(format!("CONFIG_{name}: {unmet:?} holds after all"));
            }
        }
    }
}

#[test]
fn verdicts_agree_with_what_olddefconfig_did() {
    let truth = Truth::new();
    let started = Instant::now();
    let definitions = Definitions::read(&truth.source, "arm64");
    let read = started.elapsed();
    let names: Vec<&String> = definitions
        .symbols
        .iter()
        .filter(|(_, symbol)| !symbol.definitions.is_empty())
        .map(|(name, _)| name)
        .collect();
    println!(
        "{} Kconfig files with {} symbols read in {:.1} s",
        definitions.files,
        names.len(),
        read.as_secs_f64()
    );
    assert!(names.len() > 10_000, "the real tree has {} symbols", names.len());
    let each = setting("LOCKSTEP_KCONFIG_SYMBOLS", 180);
    let batch = setting("LOCKSTEP_KCONFIG_BATCH", 30);
    let mut random = Random(setting("LOCKSTEP_KCONFIG_SEED", 0x5eed) as u64);
    let vanilla = truth.of_profile("vanilla");
    truth.make("defconfig", &[]);
    let bases = [("vanilla", vanilla), ("defconfig", truth.config())];
    let elsewhere = BTreeMap::new();
    let mut all_wrong = Vec::new();
    for (title, base) in &bases {
        let (seen, wrong) = whole(&definitions, base);
        println!(
            "{title}: {seen} symbols of logic looked at, {} wrong",
            wrong.len()
        );
        all_wrong.extend(wrong);
        let before = Config::parse(base);
        let hints = Hints {
            base: Some(&before),
            elsewhere: &elsewhere,
        };
        let mut tally = Tally::default();
        let started = Instant::now();
        for _ in 0..each.div_ceil(batch) {
            let mut text = String::new();
            let mut asked = std::collections::BTreeSet::new();
            while asked.len() < batch {
                let name = names[random.below(names.len())];
                if asked.insert(name) {
                    text += &request(name, definitions.symbols[name].kind, &mut random);
                }
            }
            let requests = Fragment::parse("random.config", &text).unwrap().requests;
            let after = truth.olddefconfig(base, &text);
            let config = Config::parse(&after);
            let mut verdicts = verify(&requests, &config, Some(&before));
            definitions.explain_all(&mut verdicts, &config, hints);
            let values = Values::new(&definitions, &config);
            for verdict in &verdicts {
                tally.check(verdict, &values, &after);
                if verdict.outcome == Outcome::Dropped {
                    tally.dropped.push((text.clone(), verdict.clone()));
                }
            }
        }
        let total: usize = tally.outcomes.values().sum();
        let counts: Vec<String> = tally
            .outcomes
            .iter()
            .map(|(outcome, number)| format!("{number} {outcome}"))
            .collect();
        println!(
            "{title} ({} symbols): {total} requests in batches of {batch}: {}; {} {} wrong; \
             of the symbols of logic the rules foretold {} exactly and {} within bounds; {} unmet parts, {} of them the compiler's; {:.0} s",
            before.len(),
            counts.join(", "),
            tally.wrong.len(),
            if tally.wrong.len() == 1 { "is" } else { "are" },
            tally.exact,
            tally.bounded,
            tally.parts,
            tally.compiler,
            started.elapsed().as_secs_f64()
        );
        // What only the compiler knows leaves the rules without an answer; that must stay the exception.
        assert!(tally.bounded <= 5.max(tally.exact / 20), "the rules are vague");
        assert!(
            tally.compiler * 10 <= tally.parts,
            "too much is left to the compiler"
        );
        kconfig_remedies::of_requests(&truth, base, title, &tally.dropped);
        all_wrong.extend(tally.wrong);
        assert!(
            tally
                .outcomes
                .get(&Outcome::Dropped)
                .is_some_and(|number| *number * 5 > total),
            "too few were dropped"
        );
    }
    assert!(
        all_wrong.is_empty(),
        "{} wrong:\n{}",
        all_wrong.len(),
        all_wrong.join("\n")
    );
}

/// Every symbol of logic of a whole `.config`: one whose prompt is shown is written there, `is not set` stands only where it is shown or
/// implied, and no value is less than what selects it or more than anything allows (conf_write() of scripts/kconfig/confdata.c, and
/// SYMBOL_WRITE in symbol.c). Gives how many were looked at, and what is wrong.
fn whole(definitions: &Definitions, config: &str) -> (usize, Vec<String>) {
    let parsed = Config::parse(config);
    let values = Values::new(definitions, &parsed);
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (name, symbol) in &definitions.symbols {
        let logic = matches!(symbol.kind, Kind::Bool | Kind::Tristate);
        if symbol.definitions.is_empty() || !logic || symbol.transitional {
            continue;
        }
        seen += 1;
        let written = parsed.get(name);
        let value = values.symbol(name).low;
        let (visible, selected) = (values.visible(symbol), values.selected(symbol));
        let implied = values.implied(symbol);
        let hidden = visible.high == Tri::No;
        if visible.low != Tri::No && written.is_none() {
            wrong.push(format!("{name} should be shown, and is not written"));
        }
        if written == Some(&Value::No) && hidden && implied.high == Tri::No {
            wrong.push(format!("{name} should be hidden, and is written as not set"));
        }
        if symbol.choice.is_some() {
            continue;
        }
        if value < selected.low {
            wrong.push(format!("{name} is {value}, and selected as {selected}"));
        }
        let most = if hidden { Tri::No } else { Tri::Yes };
        let allowed = values.logic_if_asked(symbol, most);
        if value > allowed.high || hidden && value < allowed.low {
            wrong.push(format!("{name} is {value}, and the rules give {allowed}"));
        }
    }
    (seen, wrong)
}

#[test]
fn differences_are_those_of_the_tree_s_diffconfig() {
    let truth = Truth::new();
    let mut files = Vec::new();
    for name in ["vanilla", "lockdep"] {
        let path = truth.out.path().join(format!("{name}.config"));
        fs::write(&path, truth.of_profile(name)).unwrap();
        files.push(path);
    }
    truth.make("defconfig", &[]);
    files.push(truth.out.path().join(".config"));
    let sh = Shell::new().unwrap();
    let script = truth.source.join("scripts/diffconfig");
    let mut lines = 0;
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 1), (1, 1)] {
        let (a, b) = (&files[a], &files[b]);
        let theirs = process::run(cmd!(sh, "python3 {script} {a} {b}"), LIMIT).unwrap();
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let ours: String = diff(&fs::read_to_string(a).unwrap(), &fs::read_to_string(b).unwrap())
            .iter()
            .map(|one| format!("{one}\n"))
            .collect();
        assert_eq!(ours, theirs, "{} {}", a.display(), b.display());
        lines += theirs.lines().count();
    }
    println!("{lines} lines of diffconfig are the same");
    assert!(lines > 1_000);
}

#[test]
fn what_config_why_advises_brings_the_value() {
    kconfig_remedies::of_stories(&Truth::new());
}

/// What `make` says of a file against what Lockstep makes of it.
#[test]
fn a_defconfig_becomes_the_config_that_make_defconfig_writes() {
    let truth = Truth::new();
    truth.make("defconfig", &[]);
    let whole = truth.config();
    let completed = |name: &str, text: &str| {
        complete(
            &truth.source,
            truth.out.path(),
            Compiler::Found(&truth.toolchain),
            Path::new(name),
            text,
        )
    };
    let defconfig = truth.source.join("arch/arm64/configs/defconfig");
    let text = fs::read_to_string(&defconfig).unwrap();
    let found = completed("board.config", &text).unwrap().unwrap();
    println!("arch/arm64/configs/defconfig is {found}");
    assert!(found.text == whole, "olddefconfig and defconfig give the same");
    assert!(found.gaps.missing > 1_000 && found.made_for.is_none(), "{found}");
    assert_eq!(
        completed("defconfig", &whole).unwrap(),
        None,
        "decided by what is in it"
    );
    for goal in ["allmodconfig", "allnoconfig", "randconfig"] {
        truth.make(goal, &[("KCONFIG_SEED", "7")]);
        assert_eq!(completed("a", &truth.config()).unwrap(), None, "{goal}");
    }
    let older = whole
        .replacen(" 7.", " 6.", 1)
        .replace("# CONFIG_XZ_DEC_TEST is not set\n", "");
    let found = completed("older", &older).unwrap().unwrap();
    assert_eq!(found.gaps.missing, 1, "{found}");
    assert!(
        found
            .made_for
            .is_some_and(|title| title.starts_with("Linux/arm64 6."))
    );
    let lost = whole.replacen("\nCONFIG_NET=y\n", "\n", 1);
    let found = completed("lost", &lost).unwrap().unwrap();
    assert!(
        found.gaps.impossible > 0,
        "what depends on NET is on without it: {found}"
    );
    let foreign = whole
        .replacen("Linux/arm64", "Linux/x86", 1)
        .replacen("\nCONFIG_NET=y\n", "\n", 1);
    let error = format!("{:#}", completed("foreign", &foreign).unwrap_err());
    assert!(
        error.contains("was made for x86, and this is about arm64"),
        "{error}"
    );
    let error = format!(
        "{:#}",
        completed("notes", "CONFIG_HELLO=y\nCONFIG_WORLD=y\n").unwrap_err()
    );
    assert!(
        error.contains("2 of its 2 symbols are defined by no Kconfig file"),
        "{error}"
    );
}
