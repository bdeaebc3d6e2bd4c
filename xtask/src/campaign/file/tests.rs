use super::*;

const SMALL: &str = r#"
schema-version = 1
name = "small"
goal = "nothing"
board = "virtual"
series = "patches/x"
[kernel]
profile = "lockdep"
label = "l"
estimate-min = 1
[[smoke]]
name = "stream"
run = "true"
limit-s = 1
[baseline]
exit = { stream = 1 }
[[step]]
id = "2.1"
patch = "0004"
rebuild = ["*"]
smoke = ["stream"]
exercise = ["f"]
estimate-min = 2
"#;

fn error(edit: (&str, &str)) -> String {
    assert!(SMALL.contains(edit.0), "the edit changes nothing");
    let text = SMALL.replace(edit.0, edit.1);
    format!("{:#}", Campaign::parse(&text).unwrap_err())
}

#[test]
fn every_campaign_of_this_repository_can_be_read_and_all_that_it_names_is_there() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for entry in std::fs::read_dir(project.join("campaigns")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let campaign = Campaign::parse(&read(&path).unwrap()).unwrap();
            assert_eq!(present::missing(&campaign, &project), [], "{}", path.display());
            let first = read(&path)
                .unwrap()
                .lines()
                .next()
                .unwrap_or_default()
                .to_string();
            assert_eq!(first, format!("#:schema ./{}", schema::FILE));
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

#[test]
fn the_schema_in_the_repository_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../campaigns")
        .join(schema::FILE);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == schema::text().unwrap(),
        "run `cargo xtask campaign schema > campaigns/{}` and commit it",
        schema::FILE
    );
}

#[test]
fn exit_statuses_follow_the_step_and_the_baseline() {
    let campaign = Campaign::parse(SMALL).unwrap();
    assert_eq!(campaign.tests_of(&campaign.steps[0]).tests[0].1, 0);
    assert_eq!(campaign.tests_of_baseline().tests[0].1, 1);
}

#[test]
fn what_is_left_out_is_filled_in() {
    let text = "schema-version = 1\nname = 'a'\ngoal = 'g'\nseries = 's'\n\
        [[smoke]]\nname = 'x'\nrun = 'true'\n[soak]\nminutes = 5\n[[step]]\nid = '2.1'\npatch = '1'\nexpect = 'not-exercised'\n\
        [[step]]\nid = '2.2'\npatch = '2'\nexpect = 'not-exercised'\nsoak-min = 20\n[[step]]\nid = '2.3'\npatch = '3'\n\
        expect = 'not-exercised'\nsoak-min = 0\n";
    let campaign = Campaign::parse(text).unwrap();
    assert_eq!(campaign.board, "virtual");
    assert_eq!(campaign.steps[0].smoke, ["x"]);
    let fragments: Vec<String> = campaign
        .kernel
        .fragments
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(fragments[0], "kconfig-fragments/virtual-board.config");
    assert!(
        fragments.contains(&"kconfig-fragments/lockdep.config".to_string()),
        "{fragments:?}"
    );
    let elsewhere = Campaign::parse(&text.replace("goal = 'g'", "goal = 'g'\nboard = 'ampere'")).unwrap();
    assert!(
        !elsewhere
            .kernel
            .fragments
            .iter()
            .any(|path| path.ends_with("virtual-board.config")),
        "a board of one's own has its own configuration below"
    );
    let soak = |asks: Asks| {
        asks.soak
            .map(|soak| (soak.length.as_secs() / 60, soak.tests.len()))
    };
    assert_eq!(soak(campaign.tests_of(&campaign.steps[0])), Some((5, 1)));
    assert_eq!(soak(campaign.tests_of(&campaign.steps[1])), Some((20, 1)));
    assert_eq!(soak(campaign.tests_of(&campaign.steps[2])), None);
    assert_eq!(
        soak(campaign.tests_of_baseline()),
        Some((20, 1)),
        "as long as the longest"
    );
}

#[test]
fn a_broken_variant_that_soaks_loads_the_board_with_the_tests_of_its_step() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../campaigns/rehearsal.toml");
    let mut campaign = Campaign::load(&path).unwrap();
    assert!(campaign.soak.is_none());
    campaign.break_with("soak-lockup").unwrap();
    let names = |asks: Asks| -> Vec<String> {
        let soak = asks.soak.expect("it soaks");
        soak.tests.iter().map(|(test, _)| test.name.clone()).collect()
    };
    let step = campaign.steps.iter().find(|step| step.patch == "0008").unwrap();
    let all = step.smoke.clone();
    assert!(!all.is_empty());
    assert_eq!(names(campaign.tests_of_baseline()), all);
    for step in &campaign.steps {
        match step.patch.as_str() {
            "0008" => assert_eq!(names(campaign.tests_of(step)), all),
            _ => assert!(campaign.tests_of(step).soak.is_none()),
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_what_was_meant() {
    let error = error(("limit-s = 1", "limits = 1"));
    assert!(error.starts_with("14:1: unknown field `limits`"), "{error}");
    assert!(error.ends_with("did you mean `limit-s`?"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_with_its_place() {
    let error = error(("limit-s = 1", "limit-s = \"1\""));
    assert!(error.starts_with("14:11: invalid type: string \"1\""), "{error}");
}

#[test]
fn a_step_that_could_not_prove_anything_is_refused() {
    let error = error(("exercise = [\"f\"]", ""));
    assert!(
        error.starts_with("17:") && error.contains("step 2.1: `exercise` names no function"),
        "{error}"
    );
}

#[test]
fn an_unknown_smoke_test_is_refused_with_its_place_and_what_was_meant() {
    let error = error(("smoke = [\"stream\"]", "smoke = [\"steam\"]"));
    assert_eq!(
        error,
        "21:10: there is no smoke test \"steam\"; there are: stream; did you mean `stream`?"
    );
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let text = SMALL
        .replace("name = \"small\"", "name = \"sm all\"")
        .replace("exit = { stream = 1 }", "exit = { strem = 1 }")
        .replace("exercise = [\"f\"]", "exercise = [\"f\", \"kprobe:\"]");
    let problems = problem::parse(&text).unwrap_err();
    let places: Vec<(usize, usize)> = problems
        .iter()
        .map(|problem| (problem.line, problem.column))
        .collect();
    assert_eq!(places, [(3, 8), (16, 18), (22, 18)], "{problems:#?}");
    assert_eq!(problems[1].meant.as_deref(), Some("stream"));
}

#[test]
fn each_rule_has_a_mistake_that_it_finds() {
    for (edit, says) in [
        (
            ("schema-version = 1", "schema-version = 2"),
            "2:18: schema-version is 2, and this program reads 1",
        ),
        (("id = \"2.1\"", "id = \"../2\""), "18:6: id is \"../2\""),
        (
            ("id = \"2.1\"", "id = \"1.8\""),
            "18:6: the plan has a row 1.8 of its own",
        ),
        (("limit-s = 1", "limit-s = 0"), "14:11: limit-s is 0"),
        (
            ("limit-s = 1", "prints = [\"(\"]"),
            "14:11: \"(\" is no regular expression",
        ),
        (
            ("limit-s = 1", "output = { file = \"a/b\" }"),
            "14:19: \"a/b\": output.file is a file name",
        ),
        (
            ("limit-s = 1", "output = { file = \"a\", size = 0 }"),
            "14:31: size is 0: an empty output",
        ),
        (
            (
                "limit-s = 1",
                "output = { file = \"a\", size = 9, frames = { bytes = 4, count = 2 } }",
            ),
            "2 frames of 4 bytes are 8 bytes, and not size",
        ),
        (
            ("profile = \"lockdep\"", "profile = \"lokdep\""),
            "8:11: there is no profile",
        ),
        (
            ("label = \"l\"", "label = \"l\"\nescalate = [\"kassan\"]"),
            "did you mean `kasan`?",
        ),
        (
            ("rebuild = [\"*\"]", "rebuild = [\"a b\"]"),
            "20:12: \"a b\" is no name of a module",
        ),
        (
            ("rebuild = [\"*\"]", "rebuild = [\"*\"]\nreload = true"),
            "21:10: reload is for a step that changes modules and nothing else",
        ),
        (
            ("rebuild = [\"*\"]", "reload = true"),
            "20:10: reload is for a step that changes modules",
        ),
        (
            (
                "rebuild = [\"*\"]",
                "rebuild = [\"m\"]\nlogin = true\nreload = true",
            ),
            "22:10: reload cannot be tried in a step that waits for a person",
        ),
        (
            ("estimate-min = 2", "soak-min = 2"),
            "23:12: soak-min without [soak]",
        ),
        (
            ("[baseline]", "[soak]\nminutes = 0\n[baseline]"),
            "16:11: a soak of 0 minutes",
        ),
        (
            (
                "[baseline]",
                "[soak]\nminutes = 1\ntests = [\"strem\"]\n[baseline]",
            ),
            "17:10: there is no smoke test",
        ),
        (
            ("[baseline]", "[people]\nquiet-hours = \"22-7\"\n[baseline]"),
            "quiet hours are written as 22:00-07:00",
        ),
        (
            (
                "[baseline]",
                "[broken.x]\nreplaces = \"0005\"\npatch = \"p\"\n[baseline]",
            ),
            "did you mean `0004`?",
        ),
        (
            ("[kernel]", "closing = \"a/b.md\"\n[kernel]"),
            "7:11: closing is \"a/b.md\"",
        ),
        (
            (
                "[baseline]",
                "[[smoke]]\nname = \"stream\"\nrun = \"x\"\n[baseline]",
            ),
            "16:8: two smoke tests have the name",
        ),
        (
            (
                "[baseline]",
                "[[step]]\nid = \"2.1\"\npatch = \"9\"\nexercise = [\"f\"]\n[baseline]",
            ),
            "two steps have the id 2.1",
        ),
    ] {
        let error = error(edit);
        assert!(error.contains(says), "{edit:?} gives:\n{error}");
    }
}
