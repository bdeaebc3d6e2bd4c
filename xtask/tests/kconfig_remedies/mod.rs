//! What is advised, tried with the tree's own `olddefconfig`.

use super::kconfig_truth::{Random, Truth, raw, setting};
use std::collections::BTreeMap;
use std::time::Instant;
use xtask::kernel::kconfig::{
    Config, Definitions, Kind, Obstacle, Remedy, Setting, SymbolVerdict, Value, Values, story,
};

/// Advice, and what has to come of it.
struct Advice {
    name: String,
    wanted: String,
    before: String,
    remedy: Remedy,
}

fn lines(settings: &[Setting]) -> String {
    settings.iter().map(|setting| format!("{setting}\n")).collect()
}

/// Tries all of it; gives what failed.
fn tried(truth: &Truth, all: &[Advice]) -> Vec<String> {
    let configs: Vec<String> = all
        .iter()
        .map(|advice| format!("{}\n{}", advice.before, lines(&advice.remedy.settings)))
        .collect();
    let mut failed = Vec::new();
    for (advice, after) in all.iter().zip(truth.olddefconfig_each(&configs)) {
        let got = raw(&after, &advice.name);
        // What an unknown answer of the compiler stands behind may stay as it is.
        if got != advice.wanted && advice.remedy.provided.is_empty() {
            failed.push(format!(
                "{} is {got} and should be {}: {}",
                advice.name, advice.wanted, advice.remedy
            ));
        }
    }
    failed
}

/// At most this many of a hundred may fail: what a setting does to others is a forecast.
const MAY_FAIL: usize = 3;

fn judge(title: &str, all: &[Advice], failed: &[String], without: usize, started: Instant) {
    let provided = all
        .iter()
        .filter(|advice| !advice.remedy.provided.is_empty())
        .count();
    println!(
        "{title}: {} remedies tried, {} did not bring the value, {provided} depend on an unknown answer of the compiler; \
         {without} more have none; {:.0} s",
        all.len(),
        failed.len(),
        started.elapsed().as_secs_f64()
    );
    for one in failed {
        println!("    {one}");
    }
    assert!(
        failed.len() * 100 <= all.len() * MAY_FAIL,
        "{title}: {} remedies failed",
        failed.len()
    );
}

/// What would bring a request that was dropped, behind all requests that it was among.
pub fn of_requests(truth: &Truth, base: &str, title: &str, dropped: &[(String, SymbolVerdict)]) {
    let started = Instant::now();
    let limit = setting("LOCKSTEP_KCONFIG_REMEDIES", 5);
    let (with, without): (Vec<_>, Vec<_>) = dropped
        .iter()
        .partition(|(_, verdict)| !verdict.remedy.is_empty());
    let all: Vec<Advice> = with
        .iter()
        .take(limit)
        .map(|(requests, verdict)| Advice {
            name: verdict.request.symbol.clone(),
            wanted: verdict.request.value.to_string(),
            before: format!("{base}\n{requests}"),
            remedy: Remedy {
                settings: verdict.remedy.clone(),
                provided: verdict.provided.clone(),
            },
        })
        .collect();
    let failed = tried(truth, &all);
    judge(title, &all, &failed, without.len(), started);
}

/// `config why` of symbols taken at random, on configurations of several kinds: each other value that it says how to get.
pub fn of_stories(truth: &Truth) {
    let definitions = Definitions::read(&truth.source, "arm64");
    let mut random = Random(setting("LOCKSTEP_KCONFIG_SEED", 0x5eed) as u64);
    let each = setting("LOCKSTEP_KCONFIG_STORIES", 2);
    let names: Vec<&String> = definitions
        .symbols
        .iter()
        .filter(|(_, symbol)| matches!(symbol.kind, Kind::Bool | Kind::Tristate) && !symbol.transitional)
        .filter(|(_, symbol)| !symbol.definitions.is_empty())
        .map(|(name, _)| name)
        .collect();
    let mut bases = vec![
        ("vanilla", truth.of_profile("vanilla")),
        ("kasan", truth.of_profile("kasan")),
    ];
    for goal in ["defconfig", "allmodconfig", "allnoconfig"] {
        truth.make(goal, &[]);
        bases.push((goal, truth.config()));
    }
    for seed in ["1", "2"] {
        truth.make("randconfig", &[("KCONFIG_SEED", seed)]);
        bases.push(("randconfig", truth.config()));
    }
    let without_modules = truth.olddefconfig(&bases[2].1, "# CONFIG_MODULES is not set\n");
    bases.push(("defconfig without modules", without_modules));
    let started = Instant::now();
    let mut all = Vec::new();
    let mut obstacles: BTreeMap<String, usize> = BTreeMap::new();
    let mut without = 0;
    for (title, base) in &bases {
        let config = Config::parse(base);
        let values = Values::new(&definitions, &config);
        let mut advised = 0;
        while advised < each {
            let name = names[random.below(names.len())];
            for way in story(&values, name, &[]).unwrap().ways {
                let Some(remedy) = way.remedy else {
                    without += 1;
                    println!("    {title}: {name}={}: {:?}", way.value, way.obstacles);
                    for obstacle in &way.obstacles {
                        let kind = format!("{obstacle:?}")
                            .split([' ', '{'])
                            .next()
                            .unwrap()
                            .to_string();
                        *obstacles.entry(kind).or_default() += 1;
                    }
                    continue;
                };
                advised += 1;
                all.push(Advice {
                    name: name.clone(),
                    wanted: match way.value {
                        Value::No => "n".into(),
                        value => value.to_string(),
                    },
                    before: base.clone(),
                    remedy,
                });
            }
        }
    }
    println!(
        "found in {:.1} s; obstacles of those without: {obstacles:?}",
        started.elapsed().as_secs_f64()
    );
    let failed = tried(truth, &all);
    judge("config why", &all, &failed, without, started);
    let vague = all
        .iter()
        .filter(|advice| !advice.remedy.provided.is_empty())
        .count();
    assert!(
        vague * 10 <= all.len(),
        "{vague} remedies are left to the compiler"
    );
    let lost = obstacles.get("NotFound").copied().unwrap_or(0);
    assert!(lost * 5 <= all.len(), "for {lost} values no way was found");
    assert!(
        obstacles
            .keys()
            .all(|kind| kind != &format!("{:?}", Obstacle::NoModules))
    );
}
