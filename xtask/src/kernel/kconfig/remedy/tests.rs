//! Each kind of thing that stands between a symbol and a value, on small trees. `tests/kernel_kconfig.rs` tries the real one with its own `conf`.

use crate::kernel::kconfig::{Config, Definitions, Fragment, Hints, Values, story, verify};
use std::collections::BTreeMap;

const MODULES: &str = "config MODULES\n\tbool \"modules\"\n\tmodules\n";

fn definitions(tree: &str) -> Definitions {
    Definitions::read_with("arm64", &|file| (file == "Kconfig").then(|| tree.to_string()))
}

/// What is said of how `symbol` would have its other values.
fn ways(tree: &str, config: &str, symbol: &str) -> Vec<String> {
    let definitions = definitions(&format!("{MODULES}{tree}"));
    let config = Config::parse(&format!("CONFIG_MODULES=y\n{config}"));
    let values = Values::new(&definitions, &config);
    let story = story(&values, symbol, &[]).unwrap();
    story.ways.iter().map(|way| way.to_string()).collect()
}

/// The last line of what is said of the last request, where `olddefconfig` made `config` of all of them.
fn advice(tree: &str, asked: &str, config: &str) -> String {
    let definitions = definitions(&format!("{MODULES}{tree}"));
    let requests = Fragment::parse("f.config", asked).unwrap().requests;
    let config = Config::parse(config);
    let mut verdicts = verify(&requests, &config, Some(&config));
    let elsewhere = BTreeMap::new();
    let hints = Hints {
        base: Some(&config),
        elsewhere: &elsewhere,
    };
    definitions.explain_all(&mut verdicts, &config, hints);
    verdicts.pop().unwrap().why.pop().unwrap()
}

/// `config NAME` with option lines.
fn entry(name: &str, options: &[&str]) -> String {
    format!("config {name}\n\t{}\n\n", options.join("\n\t"))
}

#[test]
fn a_test_of_the_compiler_behind_a_closed_if_is_a_proviso() {
    let tree = [
        entry("FOO", &["bool \"foo\""]),
        "if FOO\n".into(),
        entry("CC_HAS_A", &["def_bool $(cc-option,-fa)"]),
        "endif\n".into(),
        entry("X", &["bool \"x\"", "depends on CC_HAS_A"]),
        entry("Y", &["bool \"y\"", "depends on FOO && !$(success,b)"]),
    ]
    .concat();
    assert_eq!(
        ways(&tree, "", "X"),
        ["to have y: CONFIG_FOO=y, CONFIG_X=y, if the compiler answers y to $(cc-option,-fa)"]
    );
    assert_eq!(
        ways(&tree, "", "Y"),
        ["to have y: CONFIG_FOO=y, CONFIG_Y=y, if the compiler answers n to $(success,b)"]
    );
    assert_eq!(
        ways(&tree, "CONFIG_FOO=y\n", "X"),
        ["it cannot be y here: the compiler or this machine answers n to $(cc-option,-fa)"],
        "CC_HAS_A tells the answer once it was asked"
    );
    assert_eq!(
        ways(
            &tree,
            "CONFIG_FOO=y\n# CONFIG_Y is not set\nCONFIG_CC_HAS_A=y\n",
            "X"
        ),
        ["to have y: CONFIG_X=y"]
    );
}

#[test]
fn a_version_of_the_compiler_is_no_setting() {
    let tree = [
        entry("GCC_VERSION", &["int", "default $(cc-version)"]),
        entry("PAHOLE_VERSION", &["int", "default \"$(PAHOLE_VERSION)\""]),
        entry("BTF", &["bool \"btf\"", "depends on PAHOLE_VERSION >= 122"]),
        entry("X", &["bool \"x\"", "depends on GCC_VERSION >= 140000"]),
        entry("NEW", &["def_bool y if GCC_VERSION >= 140000 || $(success,a)"]),
        entry("Y", &["bool \"y\"", "depends on NEW"]),
    ]
    .concat();
    let measured = "GCC_VERSION >= 140000 is needed, and this machine measures GCC_VERSION=120200";
    let config = "CONFIG_GCC_VERSION=120200\n";
    assert_eq!(
        ways(&tree, config, "X"),
        [format!("it cannot be y here: {measured}")]
    );
    assert_eq!(
        ways(&tree, config, "BTF"),
        ["it cannot be y here: PAHOLE_VERSION >= 122 is needed, and this machine measures PAHOLE_VERSION=0"]
    );
    let said = ways(&tree, config, "Y");
    assert!(
        said[0].starts_with("it cannot be y here: ") && said[0].contains(measured),
        "{said:?}"
    );
}

#[test]
fn what_has_to_become_y_for_a_module_to_be_built_in_is_named() {
    let tree = [
        entry("BUS", &["tristate \"bus\""]),
        entry("CORE", &["tristate", "depends on BUS"]),
        entry(
            "DRIVER",
            &["tristate \"driver\"", "depends on BUS", "select CORE"],
        ),
        entry("USER", &["tristate \"user\"", "depends on CORE"]),
        entry("ONLY", &["tristate \"only\"", "depends on m"]),
    ]
    .concat();
    let config = "CONFIG_BUS=m\nCONFIG_CORE=m\nCONFIG_DRIVER=m\nCONFIG_USER=m\n# CONFIG_ONLY is not set\n";
    assert_eq!(
        ways(&tree, config, "USER"),
        [
            "to have y: CONFIG_BUS=y, CONFIG_DRIVER=y, CONFIG_USER=y",
            "to have n: # CONFIG_USER is not set"
        ]
    );
    assert_eq!(
        ways(&tree, config, "ONLY"),
        [
            "it cannot be y here: it depends on m, and can only be a module",
            "to have m: CONFIG_ONLY=m"
        ]
    );
}

#[test]
fn of_a_choice_one_member_is_asked_for_and_its_rival_taken_back() {
    let tree = [
        entry("FAST", &["bool \"fast\""]),
        "choice\n\tprompt \"mode\"\n\tdefault TWO if FAST\n\n".into(),
        entry("ONE", &["bool \"one\""]),
        entry("TWO", &["bool \"two\"", "depends on FAST"]),
        entry("THREE", &["bool \"three\""]),
        "endchoice\n\n".into(),
        entry("X", &["bool \"x\"", "depends on TWO"]),
    ]
    .concat();
    let config = "# CONFIG_FAST is not set\nCONFIG_ONE=y\n# CONFIG_THREE is not set\n";
    assert_eq!(
        ways(&tree, config, "X"),
        ["to have y: CONFIG_FAST=y, CONFIG_TWO=y, CONFIG_X=y"]
    );
    assert_eq!(ways(&tree, config, "ONE"), ["to have n: CONFIG_THREE=y"]);
    let asked = "CONFIG_THREE=y\nCONFIG_ONE=y\n";
    assert_eq!(
        advice(&tree, asked, "# CONFIG_ONE is not set\nCONFIG_THREE=y\n"),
        "would come with CONFIG_ONE=y, # CONFIG_THREE is not set"
    );
}

#[test]
fn selects_and_implies_bring_what_their_targets_depend_on() {
    let tree = [
        entry("HW", &["bool \"hw\""]),
        entry("A", &["bool \"a\"", "select LIB"]),
        entry("LIB", &["bool", "depends on HW"]),
        entry("BOARD", &["bool \"board\"", "imply DRV"]),
        entry("DRV", &["bool", "depends on HW"]),
        entry("B", &["bool \"b\"", "select LOCKED"]),
        entry("LOCKED", &["bool", "depends on NOWHERE"]),
        entry("LOST", &["bool", "depends on HW"]),
    ]
    .concat();
    let config =
        "# CONFIG_HW is not set\n# CONFIG_A is not set\n# CONFIG_BOARD is not set\n# CONFIG_B is not set\n";
    assert_eq!(ways(&tree, config, "LIB"), ["to have y: CONFIG_A=y, CONFIG_HW=y"]);
    assert_eq!(
        ways(&tree, config, "DRV"),
        ["to have y: CONFIG_BOARD=y, CONFIG_HW=y"]
    );
    assert_eq!(
        ways(&tree, config, "LOCKED"),
        ["it cannot be y here: no Kconfig file of this architecture defines NOWHERE"],
        "a select would force it all the same, and the kernel might not build"
    );
    assert_eq!(
        ways(&tree, config, "LOST"),
        ["it cannot be y here: LOST has no prompt, and nothing can raise it"]
    );
}

#[test]
fn what_has_to_be_off_is_taken_from_those_who_select_it() {
    let tree = [
        entry("X", &["bool \"x\""]),
        entry("Z", &["bool \"z\"", "select X", "select KEPT"]),
        entry("KEPT", &["bool"]),
        entry("W", &["bool \"w\"", "depends on !X"]),
        entry("V", &["bool \"v\"", "depends on !Z && KEPT"]),
    ]
    .concat();
    let config = "CONFIG_X=y\nCONFIG_Z=y\nCONFIG_KEPT=y\n";
    assert_eq!(
        ways(&tree, config, "W"),
        ["to have y: CONFIG_W=y, # CONFIG_X is not set, # CONFIG_Z is not set"]
    );
    let said = ways(&tree, config, "V");
    assert!(
        said[0].starts_with("it cannot be y here: "),
        "without Z nothing selects KEPT: {said:?}"
    );
}

#[test]
fn a_hidden_prompt_is_shown_first() {
    let tree = [
        entry("EXPERT", &["bool \"expert\""]),
        "menu \"m\"\n\tvisible if EXPERT\n\n".into(),
        entry("X", &["bool \"x\"", "default y"]),
        "endmenu\n".into(),
        entry("NAME", &["string \"name\" if EXPERT", "default \"a\""]),
    ]
    .concat();
    let config = "# CONFIG_EXPERT is not set\nCONFIG_X=y\nCONFIG_NAME=\"a\"\n";
    assert_eq!(
        ways(&tree, config, "X"),
        ["to have n: CONFIG_EXPERT=y, # CONFIG_X is not set"]
    );
    assert_eq!(
        advice(&tree, "CONFIG_NAME=\"b\"\n", config),
        "would come with CONFIG_EXPERT=y, CONFIG_NAME=\"b\""
    );
}

#[test]
fn numbers_and_texts_are_set_where_a_comparison_needs_them() {
    let tree = [
        entry("NR", &["int \"nr\"", "range 2 64", "default 4"]),
        entry("NAME", &["string \"name\""]),
        entry("BITS", &["int", "default 48 if BIG", "default 39"]),
        entry("BIG", &["bool \"big\""]),
        entry("X", &["bool \"x\"", "depends on NR > 8 && NAME = \"board\""]),
        entry("Y", &["bool \"y\"", "depends on NR > 100"]),
        entry("W", &["bool \"w\"", "depends on NAME != \"\""]),
        entry("Z", &["bool \"z\"", "depends on BITS = 48"]),
    ]
    .concat();
    let config = "CONFIG_NR=4\nCONFIG_NAME=\"\"\nCONFIG_BITS=39\n# CONFIG_BIG is not set\n";
    assert_eq!(
        ways(&tree, config, "X"),
        ["to have y: CONFIG_NAME=\"board\", CONFIG_NR=9, CONFIG_X=y"]
    );
    assert_eq!(
        ways(&tree, config, "Y"),
        ["it cannot be y here: NR can be from 2 to 64"]
    );
    assert_eq!(ways(&tree, config, "Z"), ["to have y: CONFIG_BIG=y, CONFIG_Z=y"]);
    assert_eq!(
        ways(&tree, config, "W"),
        ["it cannot be y here: NAME needs a text of your choice, with which NAME != \"\""]
    );
    assert_eq!(
        advice(&tree, "CONFIG_NR=100\n", "CONFIG_NR=64\n"),
        "no other setting brings it: NR can be from 2 to 64"
    );
}

#[test]
fn without_modules_nothing_is_m() {
    let tree = entry("X", &["tristate \"x\""]);
    assert_eq!(
        advice(&tree, "CONFIG_X=m\n", "# CONFIG_MODULES is not set\nCONFIG_X=y\n"),
        "would come with CONFIG_MODULES=y, CONFIG_X=m"
    );
    let definitions = definitions(&tree);
    let config = Config::parse("CONFIG_X=y\n");
    assert!(!Values::new(&definitions, &config).modules());
    let said = story(&Values::new(&definitions, &Config::default()), "X", &[]).unwrap();
    assert_eq!(said.ways[0].to_string(), "to have y: CONFIG_X=y");
}
