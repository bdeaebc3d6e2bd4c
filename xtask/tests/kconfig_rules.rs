//! What is said about configurations, on small Kconfig files: each rule of the language that decides what a symbol becomes.

use std::collections::BTreeMap;
use xtask::kernel::kconfig::{
    Config, Definitions, Fragment, Hints, Outcome, Place, SymbolVerdict, Values, story, verify,
};

/// Definitions of a tree with one file.
fn definitions(kconfig: &str) -> Definitions {
    let text = format!("config MODULES\n\tbool \"modules\"\n\tmodules\n\n{kconfig}");
    Definitions::read_with("arm64", &|file| match file {
        "Kconfig" => Some("source \"arch/$(SRCARCH)/Kconfig\"\n".into()),
        "arch/arm64/Kconfig" => Some(text.clone()),
        _ => None,
    })
}

/// The verdict on the last request of `asked` in a tree that `olddefconfig` made `config` of.
fn verdict_with(kconfig: &str, asked: &str, config: &str, base: Option<&str>) -> SymbolVerdict {
    let requests = Fragment::parse("f.config", asked).unwrap().requests;
    let config = Config::parse(&format!("CONFIG_MODULES=y\n{config}"));
    let base = base.map(Config::parse);
    let mut verdicts = verify(&requests, &config, base.as_ref());
    let mut elsewhere = BTreeMap::new();
    let place = Place {
        file: "arch/x86/Kconfig".into(),
        line: 7,
    };
    elsewhere.insert("X86_ONLY".to_string(), place);
    let hints = Hints {
        base: base.as_ref(),
        elsewhere: &elsewhere,
    };
    definitions(kconfig).explain_all(&mut verdicts, &config, hints);
    verdicts.pop().unwrap()
}

fn verdict(kconfig: &str, asked: &str, config: &str) -> SymbolVerdict {
    verdict_with(kconfig, asked, config, None)
}

fn settings(found: &SymbolVerdict) -> Vec<String> {
    found.remedy.iter().map(|setting| setting.to_string()).collect()
}

fn check(found: &SymbolVerdict, outcome: Outcome, why: &[&str]) {
    assert_eq!(found.outcome, outcome, "{found:#?}");
    assert_eq!(found.why, why, "{found:#?}");
}

#[test]
fn what_encloses_a_symbol_counts() {
    const TREE: &str = "config A\n\tbool \"a\"\n\nconfig B\n\tbool \"b\"\n\nif A\nmenu \"m\"\n\tdepends on B\n\nconfig X\n\ttristate \"x\"\n\n\
        endmenu\nendif\n\nconfig Y\n\tbool \"y\"\n";
    let found = verdict(TREE, "CONFIG_X=y\n", "CONFIG_B=y\n");
    check(
        &found,
        Outcome::Dropped,
        &[
            "arch/arm64/Kconfig:11: inside `if` A; here A=n",
            "  A (arch/arm64/Kconfig:5) can be asked for",
            "would come with CONFIG_A=y, CONFIG_X=y",
        ],
    );
    assert_eq!(found.unmet.len(), 1);
    assert_eq!(
        (found.unmet[0].part.as_str(), found.unmet[0].of.as_str()),
        ("A", "X")
    );
    let found = verdict(TREE, "CONFIG_X=y\n", "CONFIG_A=y\n");
    assert_eq!(
        found.why[0],
        "arch/arm64/Kconfig:13: inside a menu that depends on B; here B=n"
    );
    assert_eq!(settings(&found), ["CONFIG_B=y", "CONFIG_X=y"]);
    check(
        &verdict(TREE, "CONFIG_Y=y\n", "CONFIG_Y=y\n"),
        Outcome::Taken,
        &[],
    );
}

#[test]
fn a_prompt_is_hidden_by_its_own_if_and_by_visible_if() {
    const TREE: &str = "config EXPERT\n\tbool \"e\"\n\nmenu \"m\"\n\tvisible if EXPERT\n\nconfig X\n\tbool \"x\"\n\tdefault y\n\nendmenu\n\n\
         config P\n\tbool \"p\" if EXPERT\n\tdefault y\n";
    check(
        &verdict(TREE, "CONFIG_X=n\n", "CONFIG_X=y\n"),
        Outcome::BuiltIn,
        &[
            "X (arch/arm64/Kconfig:11) cannot be set here: its prompt is not shown",
            "  arch/arm64/Kconfig:9: inside a menu that is visible if EXPERT; here EXPERT=n",
            "    EXPERT (arch/arm64/Kconfig:5) can be asked for",
            "  default y (arch/arm64/Kconfig:13)",
            "would come with CONFIG_EXPERT=y, # CONFIG_X is not set",
        ],
    );
    check(
        &verdict(TREE, "CONFIG_P=y\n", "CONFIG_P=y\n"),
        Outcome::Selected,
        &["selected by its default, y (arch/arm64/Kconfig:19)"],
    );
}

#[test]
fn selects_are_named() {
    const TREE: &str = "config KASAN\n\tbool \"kasan\"\n\tselect DEPOT if DEEP\n\nconfig DEEP\n\tbool \"deep\"\n\nconfig DEPOT\n\tbool\n\n\
        config RAISED\n\ttristate \"raised\"\n\nconfig BY\n\tbool \"by\"\n\tselect RAISED\n";
    check(
        &verdict(
            TREE,
            "CONFIG_DEPOT=y\n",
            "CONFIG_KASAN=y\nCONFIG_DEEP=y\nCONFIG_DEPOT=y\n",
        ),
        Outcome::Selected,
        &["selected by KASAN (arch/arm64/Kconfig:7)"],
    );
    let found = verdict(TREE, "CONFIG_DEPOT=y\n", "CONFIG_KASAN=y\n");
    check(
        &found,
        Outcome::Dropped,
        &[
            "DEPOT (arch/arm64/Kconfig:12) has no prompt: it cannot be asked for",
            "  would be selected by KASAN (arch/arm64/Kconfig:7); does not now",
            "would come with CONFIG_DEEP=y",
        ],
    );
    let found = verdict(TREE, "CONFIG_RAISED=m\n", "CONFIG_BY=y\nCONFIG_RAISED=y\n");
    assert_eq!(found.outcome, Outcome::BuiltIn);
    assert_eq!(found.why[0], "selected by BY (arch/arm64/Kconfig:20)");
}

#[test]
fn a_module_below_holds_a_symbol_down_to_a_module() {
    const TREE: &str =
        "config CORE\n\ttristate \"core\"\n\nconfig DRIVER\n\ttristate \"driver\"\n\tdepends on CORE\n";
    let found = verdict(TREE, "CONFIG_DRIVER=y\n", "CONFIG_CORE=m\nCONFIG_DRIVER=m\n");
    check(
        &found,
        Outcome::ToModule,
        &[
            "arch/arm64/Kconfig:10: depends on CORE; here CORE=m",
            "  CORE (arch/arm64/Kconfig:5) can be asked for",
            "would come with CONFIG_CORE=y, CONFIG_DRIVER=y",
        ],
    );
}

#[test]
fn a_choice_takes_one_member() {
    const TREE: &str = "choice\n\tprompt \"mode\"\n\nconfig ONE\n\tbool \"one\"\n\nconfig TWO\n\tbool \"two\"\n\nendchoice\n";
    let found = verdict(TREE, "CONFIG_TWO=y\nCONFIG_ONE=y\n", "CONFIG_TWO=y\n");
    assert_eq!(found.outcome, Outcome::Dropped);
    assert_eq!(
        found.why[0],
        "the choice \"mode\" (arch/arm64/Kconfig:5) takes one of its members, and TWO is y, asked for in f.config:1"
    );
    assert_eq!(found.unmet[0].part, "!TWO");
}

#[test]
fn of_several_definitions_one_is_enough() {
    const TREE: &str = "config A\n\tbool \"a\"\n\nconfig B\n\tbool \"b\"\n\nconfig X\n\tbool \"x\"\n\tdepends on A\n\nconfig X\n\tbool \"x again\"\n\
        \tdepends on B\n";
    let config = Config::parse("CONFIG_B=y\n");
    let definitions = definitions(TREE);
    let values = Values::new(&definitions, &config);
    assert_eq!(values.visible(values.defined("X").unwrap()).to_string(), "y");
    let found = verdict(TREE, "CONFIG_X=y\n", "");
    assert_eq!(
        found.why,
        [
            "X as defined in arch/arm64/Kconfig:11:",
            "  arch/arm64/Kconfig:13: depends on A; here A=n",
            "    A (arch/arm64/Kconfig:5) can be asked for",
            "X as defined in arch/arm64/Kconfig:15:",
            "  arch/arm64/Kconfig:17: depends on B; here B=n",
            "    B (arch/arm64/Kconfig:8) can be asked for",
            "would come with CONFIG_A=y, CONFIG_X=y",
        ]
    );
}

#[test]
fn numbers_stay_in_their_range_and_values_in_their_type() {
    const TREE: &str = "config CPUS\n\tint \"cpus\"\n\trange 2 4096\n\nconfig NAME\n\tstring \"name\"\n\nconfig B\n\tbool \"b\"\n";
    check(
        &verdict(TREE, "CONFIG_CPUS=100000\n", "CONFIG_CPUS=4096\n"),
        Outcome::Changed,
        &[
            "arch/arm64/Kconfig:7: range 2 to 4096",
            "no other setting brings it: CPUS can be from 2 to 4096",
        ],
    );
    const HIDDEN: &str = "config A\n\tbool \"a\"\n\nconfig IRQ\n\tint\n\tdepends on A\n\tdefault 0\n";
    check(
        &verdict(HIDDEN, "CONFIG_IRQ=199\n", ""),
        Outcome::Dropped,
        &[
            "IRQ (arch/arm64/Kconfig:8) cannot be set here: it has no prompt",
            "  arch/arm64/Kconfig:10: depends on A; here A=n",
            "    A (arch/arm64/Kconfig:5) can be asked for",
            "no other setting brings it: IRQ has no prompt, and nothing can raise it",
        ],
    );
    check(
        &verdict(TREE, "CONFIG_B=m\n", ""),
        Outcome::Dropped,
        &["B (arch/arm64/Kconfig:12) is bool: m is no value for it, y or n is"],
    );
    check(
        &verdict(TREE, "CONFIG_NAME=y\n", "CONFIG_NAME=\"\"\n"),
        Outcome::Changed,
        &["NAME (arch/arm64/Kconfig:9) is string: y is no value for it, a text in double quotes is"],
    );
}

#[test]
fn what_the_compiler_answers_is_said_to_be_so() {
    const TREE: &str = "cc-option = $(success,$(CC) $(1))\nif-success = $(shell,$(1))\n\nconfig HAS_A\n\tdef_bool $(cc-option,-fa)\n\n\
        config A\n\tbool \"a\"\n\tdepends on $(cc-option,-fa)\n\nconfig B\n\tbool \"b\"\n\tdepends on $(cc-option,-fb=1,2) # why\n";
    let found = verdict(TREE, "CONFIG_A=y\n", "");
    assert_eq!(
        found.why[0], "arch/arm64/Kconfig:13: depends on $(cc-option,-fa); here `$(cc-option,-fa)` is n",
        "HAS_A tells what the compiler said"
    );
    let found = verdict(TREE, "CONFIG_B=y\n", "");
    check(
        &found,
        Outcome::Dropped,
        &[
            "arch/arm64/Kconfig:17: depends on $(cc-option,-fb=1,2); here `$(cc-option,-fb=1,2)` is n",
            "  $(cc-option,-fb=1,2) is for the compiler and this machine to answer",
            "no other setting brings it: the compiler or this machine answers n to $(cc-option,-fb=1,2)",
        ],
    );
    assert_eq!(found.unmet[0].value, "n", "B would have a line if it were shown");
}

#[test]
fn what_is_not_defined_is_told_apart() {
    const TREE: &str = "config PROVE_LOCKING\n\tbool \"prove\"\n\thelp\n\t  Text that names\n\n\t  config INSIDE_HELP\n\nconfig OLD\n\tbool\n\ttransitional\n\n\
        config NEW\n\tbool \"new\"\n\tdefault OLD\n";
    check(
        &verdict(TREE, "CONFIG_PROVE_LOKCING=y\n", ""),
        Outcome::Unknown,
        &[
            "no Kconfig file of this kernel defines it: mistyped, removed, or of another kernel",
            "did you mean PROVE_LOCKING?",
        ],
    );
    check(
        &verdict(TREE, "CONFIG_X86_ONLY=y\n", ""),
        Outcome::Unknown,
        &["defined in arch/x86/Kconfig:7, which this architecture does not read: it is for another one"],
    );
    assert_eq!(
        verdict(TREE, "CONFIG_INSIDE_HELP=y\n", "").outcome,
        Outcome::Unknown
    );
    assert_eq!(verdict(TREE, "CONFIG_UNHEARD_OF=n\n", "").outcome, Outcome::Taken);
    let asked = "# lockstep: if-defined\nCONFIG_UNHEARD_OF=y\n";
    assert_eq!(verdict(TREE, asked, "").outcome, Outcome::NotInThisKernel);
    let base = "#\n# Linux/arm64 6.1.0 Kernel Configuration\n#\nCONFIG_REQUEST_API=y\n";
    check(
        &verdict_with(TREE, "CONFIG_REQUEST_API=y\n", "", Some(base)),
        Outcome::Removed,
        &[
            "no Kconfig file of this kernel defines it; the base configuration, of Linux/arm64 6.1.0, has it: it was removed or renamed since",
        ],
    );
    let found = verdict(TREE, "CONFIG_OLD=y\n", "CONFIG_NEW=y\n");
    assert_eq!(
        found.why[0],
        "OLD (arch/arm64/Kconfig:12) is transitional: Kconfig reads it from an old .config and never writes it; ask for NEW instead"
    );
}

#[test]
fn a_conflict_of_requests_is_followed_to_its_line() {
    const TREE: &str =
        "config KASAN\n\tbool \"kasan\"\n\nconfig KCSAN\n\tbool \"kcsan\"\n\tdepends on \\\n\t\t!KASAN\n";
    let found = verdict(TREE, "CONFIG_KASAN=y\nCONFIG_KCSAN=y\n", "CONFIG_KASAN=y\n");
    assert_eq!(
        found.why,
        [
            "arch/arm64/Kconfig:10: depends on !KASAN; here KASAN=y",
            "  KASAN is asked for in f.config:1",
            "would come with # CONFIG_KASAN is not set, CONFIG_KCSAN=y",
        ]
    );
}

#[test]
fn a_dependency_with_a_condition_counts_only_then() {
    const TREE: &str = "config SMP\n\tbool \"smp\"\n\nconfig RCU\n\tbool \"rcu\"\n\nconfig X\n\tbool \"x\"\n\tdepends on RCU if SMP\n";
    let definitions = definitions(TREE);
    let visible = |config: &str| {
        let config = Config::parse(config);
        let values = Values::new(&definitions, &config);
        values.visible(values.defined("X").unwrap()).to_string()
    };
    assert_eq!(visible(""), "y");
    assert_eq!(visible("CONFIG_SMP=y\n"), "n");
    assert_eq!(visible("CONFIG_SMP=y\nCONFIG_RCU=y\n"), "y");
}

#[test]
fn the_story_of_a_symbol_has_all_that_has_a_say() {
    const TREE: &str = "config LOCKING\n\tbool \"prove\"\n\tselect LOCKDEP\n\nconfig ALLOC\n\tbool \"alloc\"\n\tselect LOCKDEP if LOCKING\n\n\
        config LOCKDEP\n\tbool\n\tdepends on LOCKING\n\nconfig BITS\n\tint \"bits\"\n\tdepends on LOCKDEP\n\trange 10 24\n\tdefault 15\n";
    let definitions = definitions(TREE);
    let config = Config::parse("CONFIG_LOCKING=y\nCONFIG_LOCKDEP=y\nCONFIG_BITS=15\n");
    let values = Values::new(&definitions, &config);
    let told = story(&values, "LOCKDEP", &[]).unwrap().to_string();
    assert_eq!(
        told,
        "LOCKDEP=y (bool): LOCKING selects it (arch/arm64/Kconfig:7)\n  arch/arm64/Kconfig:13: no prompt\n    \
         arch/arm64/Kconfig:15: depends on LOCKING: y (LOCKING=y)\n  selected by LOCKING (arch/arm64/Kconfig:7): y (LOCKING=y)\n  \
         would be selected by ALLOC (arch/arm64/Kconfig:11), but ALLOC=n, if LOCKING\n  to have n: # CONFIG_LOCKING is not set\n  \
         named in the conditions of BITS"
    );
    let told = story(&values, "BITS", &[]).unwrap().to_string();
    assert!(
        told.contains("range 10 to 24: y") && told.contains("default 15: y"),
        "{told}"
    );
    assert_eq!(story(&values, "LOKDEP", &[]).unwrap_err(), ["LOCKDEP"]);
}
