//! The forms of a log: each makes a file of lines.

use serde_json::json;

/// A form by its name.
pub struct Form {
    /// As the test prints it.
    pub name: &'static str,
    /// A line of it, by its number.
    write: fn(usize, &str) -> String,
}

impl Form {
    /// A whole file.
    pub fn file(&self, lines: &[String]) -> String {
        let numbered = lines.iter().enumerate();
        numbered
            .map(|(number, line)| (self.write)(number, line))
            .collect()
    }
}

/// All of them.
pub const FORMS: &[Form] = &[
    Form {
        name: "plain",
        write: |_, line| format!("{line}\n"),
    },
    Form {
        name: "dmesg",
        write: |number, line| format!("[{number:5}.123456] {line}\n"),
    },
    Form {
        name: "dmesg with caller",
        write: |number, line| format!("<6>[{number:5}.123456][  T{number}] {line}\n"),
    },
    Form {
        name: "kmsg",
        write: |number, line| format!("6,{number},{number}123456,-;{line}\n"),
    },
    Form {
        name: "netconsole",
        write: |number, line| format!("6,{number},{number}123456,-,caller=T{number};{line}\n"),
    },
    Form {
        name: "syslog",
        write: |number, line| format!("Jan  1 00:00:{:02} localhost unit[7]: {line}\n", number % 60),
    },
    Form {
        name: "syslog RFC 5424",
        write: |number, line| {
            let second = number % 60;
            format!("<34>1 2026-01-01T00:00:{second:02}.003Z localhost unit 7 ID47 - {line}\n")
        },
    },
    Form {
        name: "journal JSON",
        write: |number, line| {
            let record = json!({ "_PID": "7", "MESSAGE": line, "__MONOTONIC_TIMESTAMP": number.to_string() });
            format!("{record}\n")
        },
    },
    Form {
        name: "journal JSON, not UTF-8",
        write: |_, line| {
            let record = json!({ "_PID": "7", "MESSAGE": line.as_bytes(), "PRIORITY": "6" });
            format!("{record}\n")
        },
    },
    Form {
        name: "journal export",
        write: |number, line| {
            let fields: String = (0..20).map(|field| format!("_FIELD_{field}=x\n")).collect();
            format!("__MONOTONIC_TIMESTAMP={number}\nPRIORITY=6\nMESSAGE={line}\n{fields}\n")
        },
    },
    Form {
        name: "serial with time",
        write: |number, line| {
            format!(
                "[2026-01-01 12:00:{:02}.789] [{number:5}.123456] {line}\r\n",
                number % 60
            )
        },
    },
    Form {
        name: "serial with colours",
        write: |_, line| format!("\x1b[0;1;31m{line}\x1b[0m\r\n"),
    },
    Form {
        name: "shell, double quotes",
        write: |_, line| {
            let quoted = line
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "\\$");
            format!("+ echo \"{quoted}\"\n")
        },
    },
    Form {
        name: "JSON in JSON",
        write: |_, line| {
            let inner = json!({ "log": line }).to_string();
            format!("{}\n", json!({ "stream": "stdout", "record": inner }))
        },
    },
    Form {
        name: "TOML",
        write: |number, line| {
            let quoted = line
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\t', "\\t");
            format!("line-{number} = \"{quoted}\"\n")
        },
    },
    Form {
        name: "YAML",
        write: |_, line| format!("- text: '{}'\n", line.replace('\'', "''")),
    },
    Form {
        name: "HTML",
        write: |_, line| {
            let quoted = line
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            format!(
                "<li>{}</li>\n",
                quoted.replace('"', "&quot;").replace('\'', "&#39;")
            )
        },
    },
    Form {
        name: "pstore",
        write: |number, line| format!("<4>[{number:5}.123456] {line}\n"),
    },
    Form {
        name: "quoted mail",
        write: |_, line| format!("> > {line}\n"),
    },
];
