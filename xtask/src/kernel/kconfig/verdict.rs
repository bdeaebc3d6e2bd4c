//! What became of each request (invariant 13: asked-for is not got).

use super::config::Config;
use super::fragment::Request;
use super::obstacle::Obstacle;
use super::remedy::{Provided, Setting};
use super::value::Value;
use serde::Serialize;
use std::fmt;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As asked.
    Taken,
    /// As asked, and it was so in the base configuration.
    Already,
    /// As asked, but others saw to it: a `select`, or a default of a symbol that cannot be asked for.
    Selected,
    /// [`super::Need::IfDefined`], and this kernel does not define it: as good as taken.
    NotInThisKernel,
    /// Asked for as `y` or `n`, and `m` in the end.
    ToModule,
    /// Asked for as `m` or `n`, and `y` in the end.
    BuiltIn,
    /// Another number or text.
    Changed,
    /// Asked for, and off in the end.
    Dropped,
    /// No Kconfig file defines it for this architecture.
    Unknown,
    /// Not defined here, though the base configuration, made for another kernel, has it.
    Removed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(match self {
            Outcome::Taken => "taken",
            Outcome::Already => "already so",
            Outcome::Selected => "selected",
            Outcome::NotInThisKernel => "not in this kernel",
            Outcome::ToModule => "changed to m",
            Outcome::BuiltIn => "changed to y",
            Outcome::Changed => "changed",
            Outcome::Dropped => "dropped",
            Outcome::Unknown => "unknown",
            Outcome::Removed => "removed",
        })
    }
}

impl Outcome {
    /// Every outcome, in the order in which they are counted.
    pub const ALL: &[Outcome] = &[
        Outcome::Taken,
        Outcome::Already,
        Outcome::Selected,
        Outcome::NotInThisKernel,
        Outcome::ToModule,
        Outcome::BuiltIn,
        Outcome::Changed,
        Outcome::Dropped,
        Outcome::Unknown,
        Outcome::Removed,
    ];

    /// Whether the request got what it asked for.
    pub fn is_good(self) -> bool {
        matches!(
            self,
            Outcome::Taken | Outcome::Already | Outcome::Selected | Outcome::NotInThisKernel
        )
    }
}

/// A part of a condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unmet {
    /// The part: `FOO`, `!FOO`, `FOO=y`, `$(cc-option,…)`.
    pub part: String,
    /// The symbol in it, if it is about one.
    pub symbol: Option<String>,
    /// What it is worth in the final configuration; `?` where only the compiler knows.
    pub value: String,
    /// The whole condition.
    pub condition: String,
    /// File and line of the condition.
    pub place: String,
    /// The symbol that has this condition.
    pub of: String,
}

/// The verdict on one request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SymbolVerdict {
    /// What was asked for, and where.
    pub request: Request,
    /// What the final configuration has.
    pub got: Value,
    /// The comparison.
    pub outcome: Outcome,
    /// Why: lines for a person, indented by how far down the chain they are.
    pub why: Vec<String>,
    /// Parts of conditions that do not hold, down the chain.
    pub unmet: Vec<Unmet>,
    /// Settings that would bring it, if a way was found.
    pub remedy: Vec<Setting>,
    /// Answers of the compiler that the remedy needs and that are not known.
    pub provided: Vec<Provided>,
    /// What stands in the way, where there is no remedy.
    pub obstacles: Vec<Obstacle>,
}

impl SymbolVerdict {
    /// Whether the request got what it asked for.
    pub fn is_good(&self) -> bool {
        self.outcome.is_good()
    }
}

/// Compares each request with the final configuration, and with the one that it was laid upon where there was one. Why, and who
/// selected it, is added by [`super::Definitions::explain_all`].
pub fn verify(requests: &[Request], config: &Config, base: Option<&Config>) -> Vec<SymbolVerdict> {
    let verdict = |request: &Request| {
        let got = config.get(&request.symbol).cloned().unwrap_or(Value::No);
        let outcome = if is_same(&request.value, &got) {
            let before = base.map(|base| base.get(&request.symbol).cloned().unwrap_or(Value::No));
            if before.is_some_and(|before| is_same(&request.value, &before)) {
                Outcome::Already
            } else {
                Outcome::Taken
            }
        } else {
            match got {
                Value::No => Outcome::Dropped,
                Value::Module => Outcome::ToModule,
                Value::Yes => Outcome::BuiltIn,
                Value::Text(_) | Value::Number(_) => Outcome::Changed,
            }
        };
        SymbolVerdict {
            request: request.clone(),
            got,
            outcome,
            why: Vec::new(),
            unmet: Vec::new(),
            remedy: Vec::new(),
            provided: Vec::new(),
            obstacles: Vec::new(),
        }
    };
    requests.iter().map(verdict).collect()
}

fn is_same(asked: &Value, got: &Value) -> bool {
    // An empty text is what a text symbol without a value has.
    asked.same(got) || *asked == Value::Text(String::new()) && *got == Value::No
}

/// How many of each outcome: `21 taken, 5 selected, 1 dropped`.
pub fn counts(verdicts: &[SymbolVerdict]) -> String {
    let count = |outcome: &Outcome| {
        let number = verdicts
            .iter()
            .filter(|verdict| verdict.outcome == *outcome)
            .count();
        (number > 0).then(|| format!("{number} {outcome}"))
    };
    let parts: Vec<String> = Outcome::ALL.iter().filter_map(count).collect();
    parts.join(", ")
}

/// Which verdicts a table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// Those that a person should look at: neither taken nor so already.
    NotPlain,
    /// Those that are not as asked.
    Bad,
}

/// The verdicts as an aligned table, the reasons below their rows.
pub fn table(verdicts: &[SymbolVerdict], rows: Rows) -> Vec<String> {
    let shown: Vec<&SymbolVerdict> = verdicts
        .iter()
        .filter(|verdict| match rows {
            Rows::All => true,
            Rows::NotPlain => !matches!(verdict.outcome, Outcome::Taken | Outcome::Already),
            Rows::Bad => !verdict.is_good(),
        })
        .collect();
    if shown.is_empty() {
        return Vec::new();
    }
    let width = |of: &dyn Fn(&SymbolVerdict) -> usize, title: &str| {
        shown
            .iter()
            .map(|verdict| of(verdict))
            .max()
            .unwrap_or(0)
            .max(title.len())
            .min(44)
    };
    let symbol = width(&|v| v.request.symbol.len(), "symbol");
    let asked = width(&|v| v.request.value.to_string().len(), "asked").min(20);
    let got = width(&|v| v.got.to_string().len(), "got").min(20);
    let mut lines = vec![format!(
        "{:<symbol$}  {:<asked$}  {:<got$}  verdict",
        "symbol", "asked", "got"
    )];
    for verdict in shown {
        let request = &verdict.request;
        let (value, came) = (request.value.to_string(), verdict.got.to_string());
        let mut line = format!("{:<symbol$}  {value:<asked$}  {came:<got$}  ", request.symbol);
        let one = verdict.is_good() && verdict.why.len() == 1;
        if !(one && verdict.outcome == Outcome::Selected) {
            line += &verdict.outcome.to_string();
        }
        if one {
            line += if verdict.outcome == Outcome::Selected {
                ""
            } else {
                ": "
            };
            line += verdict.why.first().map_or("", String::as_str);
        } else if !verdict.is_good() {
            line += &format!(" ({}:{})", request.fragment, request.line);
        }
        lines.push(line);
        if !one {
            lines.extend(verdict.why.iter().map(|line| format!("    {line}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Fragment;
    use super::*;

    fn verdicts(asked: &str, config: &str, base: Option<&str>) -> Vec<SymbolVerdict> {
        let asked = Fragment::parse("f.config", asked).unwrap();
        let base = base.map(Config::parse);
        verify(&asked.requests, &Config::parse(config), base.as_ref())
    }

    fn outcomes(verdicts: &[SymbolVerdict]) -> Vec<Outcome> {
        verdicts.iter().map(|verdict| verdict.outcome).collect()
    }

    #[test]
    fn verdicts_compare_with_the_final_configuration() {
        let found = verdicts(
            "CONFIG_TAKEN=y\nCONFIG_WEAKER=y\nCONFIG_OFF=y\nCONFIG_GONE=m\nCONFIG_SELECTED=n\nCONFIG_ABSENT=n\nCONFIG_N=0x10\nCONFIG_S=\"\"\nCONFIG_T=1\n",
            "#\n# Automatically generated\n#\nCONFIG_TAKEN=y\nCONFIG_WEAKER=m\n# CONFIG_OFF is not set\nCONFIG_SELECTED=y\nCONFIG_N=0x0010\nCONFIG_T=2\n",
            None,
        );
        use Outcome::*;
        assert_eq!(
            outcomes(&found),
            [
                Taken, ToModule, Dropped, Dropped, BuiltIn, Taken, Taken, Taken, Changed
            ]
        );
        assert_eq!(
            counts(&found),
            "4 taken, 1 changed to m, 1 changed to y, 1 changed, 2 dropped"
        );
    }

    #[test]
    fn what_the_base_had_is_told_apart() {
        let found = verdicts(
            "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\nCONFIG_D=y\n",
            "CONFIG_A=y\nCONFIG_B=y\n",
            Some("CONFIG_A=y\nCONFIG_B=m\nCONFIG_D=y\n"),
        );
        use Outcome::*;
        assert_eq!(outcomes(&found), [Already, Taken, Already, Dropped]);
    }

    #[test]
    fn the_table_is_aligned_and_short() {
        let mut found = verdicts(
            "CONFIG_A=y\nCONFIG_LONGER=y\nCONFIG_B=m\n",
            "CONFIG_A=y\nCONFIG_B=m\n",
            None,
        );
        found[1].why = vec!["because".into(), "  of that".into()];
        assert_eq!(
            table(&found, Rows::NotPlain),
            [
                "symbol  asked  got  verdict",
                "LONGER  y      n    dropped (f.config:2)",
                "    because",
                "      of that"
            ]
        );
        assert_eq!(table(&found, Rows::All).len(), 6);
        found.remove(1);
        assert_eq!(table(&found, Rows::NotPlain), [""; 0]);
    }
}
