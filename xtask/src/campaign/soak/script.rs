//! The script that soaks, for the board's POSIX shell: workers that run their test until the time is up, and a heartbeat.

use crate::board::quote;
use crate::campaign::file::{Frames, SmokeTest, SoakAsked};

/// Longest time of a setup or a teardown, seconds.
const AROUND_S: u64 = 60;

/// Where the script works on the board.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// Folder with what the smoke tests need; each worker gets a folder beside these files.
    pub tests: &'a str,
    /// Folder of its lines (`lines`) and of what tests print: `N.printed` the last run of test N, `N.failed` its first failure.
    pub results: &'a str,
    /// Seconds between two heartbeats.
    pub beat_s: u64,
}

/// The script. It ends by itself: no iteration begins after the time is up, and each has its limit. A worker's folder goes with it.
pub fn script(asked: &SoakAsked, paths: &Paths) -> String {
    let mut script = format!(
        "T={tests}; R={results}\nmkdir -p \"$R\" || exit 125\n\
         up() {{ read -r u rest </proc/uptime; u=${{u%%.*}}; }}\n\
         up; end=$((u + {seconds}))\n\
         place() {{ W=\"$T/soak-$1\"; rm -rf \"$W\"; mkdir -p \"$W\" && cd \"$W\" || exit 125\n\
         for f in \"$T\"/*; do [ ! -f \"$f\" ] || ln -s \"$f\" .; done; LOCKSTEP=$W; export LOCKSTEP; }}\n",
        tests = quote(paths.tests),
        results = quote(paths.results),
        seconds = asked.length.as_secs(),
    );
    for (index, (test, exit)) in asked.tests.iter().enumerate() {
        script.push_str(&functions(index, test, *exit));
    }
    let numbers: Vec<usize> = (0..asked.tests.len()).collect();
    let of = |verb: &str| -> String {
        let each = numbers.iter().map(|index| format!("{verb}_{index}"));
        each.collect::<Vec<_>>().join("; ")
    };
    if asked.parallel {
        for index in &numbers {
            script.push_str(&format!(
                "( place {index}; if setup_{index}; then n=0; while up; [ \"$u\" -lt \"$end\" ]; do n=$((n+1)); once_{index}; done; fi; \
                 teardown_{index}; cd /; rm -rf \"$W\" ) & pids=\"$pids $!\"\n"
            ));
        }
    } else {
        script.push_str(&format!(
            "( place all; {setup}; n=0; while up; [ \"$u\" -lt \"$end\" ]; do n=$((n+1)); {once}; done; {teardown}; cd /; rm -rf \"$W\" ) & \
             pids=$!\n",
            setup = of("setup"),
            once = of("once"),
            teardown = of("teardown"),
        ));
    }
    script
        + &format!(
            "beat() {{ up; m=-; while read -r k v rest; do [ \"$k\" != MemAvailable: ] || {{ m=$v; break; }}; done </proc/meminfo\n\
             c=-; for z in /sys/class/thermal/thermal_zone*/temp; do [ -r \"$z\" ] || continue; read -r v <\"$z\" || continue\n\
             if [ \"$c\" = - ] || [ \"$v\" -gt \"$c\" ]; then c=$v; fi; done 2>/dev/null; echo \"beat $u $m $c\" >>\"$R/lines\"; }}\n\
             ( while beat; do sleep {beat}; done ) & heart=$!\n\
             wait $pids\nkill $heart\nbeat\nup; echo \"end $u\" >>\"$R/lines\"\n",
            beat = paths.beat_s
        )
}

/// `setup_N`, `once_N`, `teardown_N`: one iteration writes one line, shorter than PIPE_BUF, so that lines of two workers never mix.
fn functions(index: usize, test: &SmokeTest, exit: i32) -> String {
    let around = |command: &str| match command {
        "" => ":".to_string(),
        command => format!(
            "timeout -k 5 {AROUND_S} sh -c {} >\"$R/{index}.said\" 2>&1",
            quote(command)
        ),
    };
    let (remove, describe, wrong) = match &test.output {
        None => (String::new(), "o=".to_string(), String::new()),
        Some(output) => {
            let file = quote(&output.file);
            let bytes = output.frames.as_ref().map(Frames::size);
            let size = output.size.or(bytes);
            let size = size.map_or(" || [ -z \"$o\" ] || [ \"${o%% *}\" = 0 ]".to_string(), |size| {
                format!(" || [ \"${{o%% *}}\" != {size} ]")
            });
            let hash = output.sha256.as_ref().map_or(String::new(), |hash| {
                format!(" || [ \"${{o##* }}\" != {} ]", quote(hash))
            });
            (
                format!("rm -f {file}; "),
                format!(
                    "o=; [ ! -f {file} ] || o=\"$(stat -c %s {file}) $(sha256sum <{file} | cut -d ' ' -f 1)\"; rm -f {file}"
                ),
                format!("{size}{hash}"),
            )
        }
    };
    format!(
        "setup_{index}() {{ {setup} || {{ s=$?; up; echo \"setup {index} $s $u\" >>\"$R/lines\"; return 1; }}; }}\n\
         teardown_{index}() {{ {teardown}; }}\n\
         once_{index}() {{ {remove}timeout -k 5 {limit} sh -c {command} >\"$R/{index}.printed\" 2>&1; s=$?; {describe}; up\n\
         if [ ! -e \"$R/{index}.failed\" ]; then if [ $s != {exit} ]{wrong}; then cp \"$R/{index}.printed\" \"$R/{index}.failed\"; fi; fi\n\
         echo \"run {index} $n $s $u $o\" >>\"$R/lines\"; }}\n",
        setup = around(&test.setup),
        teardown = around(&test.teardown),
        limit = test.limit_s,
        command = quote(&test.run),
    )
}
