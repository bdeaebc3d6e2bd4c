//! Login names from where logins are reported (sshd, sudo, su, login, pam_unix, logind, useradd,
//! audit), home folders, passwd(5); names and addresses of persons.

use super::found::{Found, Spread};
use super::rules::{Check, Rule, is_nameless, name};
use super::view::View;
use super::{Kind, rule};
use regex::bytes::Regex;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::LazyLock;

/// A login name: useradd(8), with a domain's in front.
const LOGIN: &str = r"((?:[A-Za-z0-9-]{1,15}\\)?[A-Za-z_\x80-\xff][\w.\x80-\xff-]{0,31}\$?)";

/// Rules anywhere in a line.
pub(super) static ANYWHERE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    [
        r"\bsession (?:opened|closed) for user @L@",
        r"\bNew session \S+ of user @L@",
        r"\b(?:Accepted|Failed|Postponed) \S+ for (?:invalid user |illegal user )?@L@ from\b",
        r"\b(?i:invalid|illegal|authenticating|unknown) user @L@ (?:from\b|[\da-fA-F.:]+ port)",
        r"\b(?:Disconnected from|closed by|reset by) (?:authenticating |invalid )?user @L@",
        r"\bmaximum authentication attempts exceeded for (?:invalid user )?@L@ from\b",
        r"\b[Pp]assword (?:changed|check failed|expired) for (?:user )?\(?@L@",
        r"\b@L@ : (?:TTY=|user NOT in|command not allowed|\d+ incorrect|a password is required|PWD=)",
        r"\bUser @L@ (?:from \S+ not allowed|not allowed|logged in|logged out)\b",
        r"\bSession \S+ of [Uu]ser @L@(?:[.\s]|$)",
        r"\bUser Slice of @L@\.",
        r"\bunix-user:@L@",
        r"(?m)\b(?:smbpasswd|useradd|adduser|userdel|usermod|chage)(?:[ \t]+-\w+)+[ \t]+@L@(?:[\s\x22'\\<&]|$)",
        r"\bkeyring for @L@",
        r"\b[Pp]assword for '@L@' ",
        // Whose the path of a remote repository is
        r"(?i)\b(?:https?|ssh|git)://[^\s/]*git[^\s/]*/@L@/[\w.-]+\.git\b",
        r"\buser@\d+\.service for @L@",
        r#"(?i)\buser(?:name)?[ \t]*[:=]?[ \t]*["'\[<(]@L@["'\])>]"#,
        r"(?i)\buser (?:[\w.-]{1,15}\\)@L@",
        r"\bfailure for @L@ from\b",
        r"\b@L@ (?:failed su to|ran command) ",
        r"\bsession for @L@ (?:started|closed|opened)\b",
        r"\(@L@\) (?:CMD|MAIL|RELOAD|LIST|BEGIN EDIT|END EDIT) \(",
        r"(?:^|[\s\x22'=:])/media/@L@/",
        // RFC 4514, the Common Log Format, FreeRADIUS
        r"(?i)\b(?:uid|cn|sn|givenname)=([^,\n\x22=+]{2,64}),(?:ou|dc|cn|o|c)=",
        r" - @L@ \[\d\d/[A-Z][a-z]{2}/\d{4}:",
        r"\[@L@/[^\]\n]*\] \(from client",
        r"\bu'@L@'",
        r"-> \[@L@\]",
        r"\bUser \d+: @L@\b",
        r"\b(?:login|mysql\w*|mariadb|psql|smbclient|mosquitto_\w+|ldap\w+|ipmitool|mongosh?|curl|wget)\b[^\n|;]{0,120}?[ \t](?:-u|-U|-l|--user(?:name)?)[ =]?@L@(?:[\s\x22'\\<&]|$)",
        // IRC's `nick!user@host`
        r"\b@L@!~?[\w.-]+@",
        r"\bauth succeeded for '@L@'",
        r"(?i)\b(?:ftp|pop3?)\w*\b[^\n]{0,80}?\b(?-i:USER)[ \t]+@L@(?:[\s\x22'\\<&]|$)",
        r#"\b[A-Za-z]?\d{1,6}[ \t]+LOGIN[ \t]+"?@L@"?[ \t]+\S"#,
        r"(?:^|\s)@@L@:[\w-]+(?:\.[\w-]+)+",
        r"\b(?:github|gitlab|bitbucket)\.(?:com|org)/@L@/",
        r"\bchown(?:[ \t]+-\S+)*[ \t]+@L@[: ]",
        r"\((?:to|from) @L@\) @L@ on\b",
        r"\b(?:su|session) for @L@ by @L@",
        r"\bby @L@\(uid=\d+\)",
        r"\b(?:uid|gid|euid|egid|groups|auid)=\d+\(@L@\)",
        r"(?:,|=)\d+\(@L@\)",
        r#"(?:\b|_)(?:USER|LOGNAME|SUDO_USER|USERNAME|RUSER|PKEXEC_USER|UID|AUID|ACCT|acct|OWNER|ruser|username|user_name|login_name|user|owner|remote_user)=["']?@L@"#,
        r#"(?i)"(?:user|username|user_name|login|owner|acct|account)"\s*:\s*"@L@""#,
        r"(?i)\b(?:username|user name|login name|logged in as|run as|user)[ \t]*[:=]?[ \t]*['<]@L@['>]",
        r"(?i)\b(?:username|user name|login name|logged in as)[ \t]*[:=][ \t]*@L@",
        r"\b[Pp]assword for @L@:",
        r"\blogin[ \t]+@L@[ \t]+password\b",
        r"/user:@L@[ \t]",
        r"\bLOGIN ON \S+ BY @L@",
        r"\b(?:new (?:user|group)|delete user|add|removed user)\b[^\n]{0,20}? ?'?name=@L@",
        r"(?:add|delete|remove) '?@L@'? (?:to|from) (?:shadow )?group\b",
        r"/(?:home|Users|run/media)/@L@",
        r#"(?:^|[\s"'=:(])~@L@/"#,
        r"\\Users\\@L@",
        r"\bgit@[\w.-]{1,100}:@L@/",
        r#"\bidentity=["']?@L@"#,
        r"/var/(?:spool/)?(?:mail|cron/crontabs|lib/AccountsService/users)/@L@",
        r"\bssh(?:[ \t]+-\w+(?:[ \t]+\d+)?)*[ \t]+-l[ \t]+@L@",
        r"(?:[$#] |COMMAND=\S*)(?:chown|useradd|adduser|userdel|usermod|passwd|gpasswd)(?:[ \t]+-\S+)*[ \t]+@L@",
        r"\b(?:su|runuser|sudo)[ \t]+(?:-u|-l|-)[ \t]+@L@",
        r"\b@L@\s+(?:tty|pts/)\d+\s+\d{4}-\d\d-\d\d",
        r"\b@L@\s+ALL ?= ?\(",
        r"[-dl](?:[r-][w-][xsStT-]){3}[.+@]?[ \t]+\d+[ \t]+@L@[ \t]+@L@[ \t]+\d",
        r"\bpam_unix\([^)\n]*\): [^\n]{0,80}\buser[= ]@L@",
    ]
    .iter()
    .map(|pattern| named(pattern))
    .collect()
});

/// Rules about messages that begin so.
pub(super) static MESSAGE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let passwd =
        r"(?m)^([A-Za-z_\x80-\xff][\w.\x80-\xff-]*):[^:\n]*:\d+:\d+:([^:,\n]*)[^:\n]*:/[^:\n]*:[^:\n]*$";
    vec![
        Rule::new(
            &[Kind::User, Kind::Person],
            Spread::Everywhere,
            name as Check,
            passwd,
        ),
        named(r"(?m)^[ \t]*User[ \t]+@L@[ \t\r]*$"),
        // last(1), `ps aux`
        named(r"(?m)^@L@[ \t]+(?:pts/\d+|tty\w?\d+|:\d+)[ \t]"),
        named(r"(?m)^@L@[ \t]+\d+[ \t]+\d+\.\d[ \t]+\d+\.\d[ \t]+\d+[ \t]+\d+[ \t]"),
        named(r"(?m)^@L@:(?:[!*]|\$[^:\n]+)?:\d*:\d*:"),
        // group(5)
        named(r"(?m)^[a-z_][\w-]*:[x*]?:\d+:@L@(?:,@L@)?(?:,@L@)?(?:,@L@)?(?:,@L@)?(?:,@L@)?[ \t\r]*$"),
        // What is typed at a prompt.
        named(r"(?m)^(?:(?i:login|user ?name|user)[:>]|ftp> user)[ \t]+@L@[ \t\r]*$"),
        named(r"(?m)^[\w.-]+ login: @L@[ \t\r]*$"),
        Rule::new(
            &[Kind::Person],
            Spread::Everywhere,
            name,
            r#""name"\s*:\s*"([^"\n]+)"\s*,\s*"(?:e-?)?mail"\s*:"#,
        ),
        Rule::new(
            &[Kind::Person],
            Spread::Everywhere,
            name,
            r"(?m)^[ \t]*(?:user\.name|GIT_(?:AUTHOR|COMMITTER)_NAME)[ \t]*[=:][ \t]*([^\n]+)$",
        ),
    ]
});

fn named(pattern: &str) -> Rule {
    Rule::new(
        &[Kind::User],
        Spread::Everywhere,
        name,
        &pattern.replace("@L@", LOGIN),
    )
}

static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"([A-Za-z0-9\x80-\xff][\w.%+\x80-\xff-]*)@([A-Za-z0-9\x80-\xff][A-Za-z0-9.,\x80-\xff-]*[A-Za-z0-9\x80-\xff]|[A-Za-z0-9\x80-\xff])",
    )
});
/// `Name <user@host>`, up to six words.
static PERSON: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r#"["']?([A-Za-z\x80-\xff][\w\x80-\xff.'-]*(?: \(?[A-Za-z\x80-\xff][\w\x80-\xff.'-]*\)?){0,5}(?: \d{1,4})?)["']? <[^\s<>@]+@[^\s<>@]+>"#,
    )
});
/// Where a patch, a commit or a record names who wrote it.
static AUTHOR: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r#"(?:"author"\s*:\s*"|\bAuthor: |\b[A-Z][a-z]+(?:-[a-z]+)*-by: |\bFrom: )["']?([A-Za-z\x80-\xff][\w\x80-\xff.'-]*(?: [A-Za-z\x80-\xff][\w\x80-\xff.'-]*){1,4})"#,
    )
});

/// `user@host`, e-mail addresses and the names in front of them.
pub(super) fn addresses(view: &View, into: &mut Vec<Found>) {
    let mut add = |range: Range<usize>, kind, spread| {
        into.push(Found {
            range: view.origin(range),
            kind,
            spread,
            value: None,
        });
    };
    for found in PERSON
        .captures_iter(&view.text)
        .chain(AUTHOR.captures_iter(&view.text))
    {
        if let Some(range) = found.get(1).and_then(|group| name(&view.text, group.range())) {
            add(range, Kind::Person, Spread::Everywhere);
        }
    }
    for found in ADDRESS.captures_iter(&view.text) {
        let (Some(all), Some(user), Some(host)) = (found.get(0), found.get(1), found.get(2)) else {
            continue;
        };
        let (left, right) = (lower(user.as_bytes()), lower(host.as_bytes()));
        if is_email(&left, &right) {
            if !is_public(&left, &right) {
                add(all.range(), Kind::Email, Spread::Here);
            }
        } else if is_login(&left, &right) && !is_variable(&view.text, &all.range()) {
            if let Some(range) = name(&view.text, user.range()) {
                add(range, Kind::User, Spread::Everywhere);
            }
            if right.parse::<Ipv4Addr>().is_err() && !is_nameless(host.as_bytes()) {
                add(host.range(), Kind::Host, Spread::Everywhere);
            }
        }
    }
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_lowercase()
}

/// Ends of names that systemd gives to its units (systemd.unit(5)).
const UNITS: &[&str] = &[
    ".service",
    ".socket",
    ".slice",
    ".mount",
    ".automount",
    ".swap",
    ".target",
    ".path",
    ".timer",
    ".scope",
    ".device",
];

/// `user@host`: no dot in the host, or an address of a network; neither a unit nor a node of a
/// device tree, whose part behind the `@` is a number (Devicetree Specification, section 2.2.1).
fn is_login(user: &str, host: &str) -> bool {
    let unit = UNITS.iter().any(|end| host.ends_with(end));
    let address = host.parse::<Ipv4Addr>().is_ok();
    // netconsole's `6665@10.0.0.2` is a port.
    let port = user.bytes().all(|byte| byte.is_ascii_digit());
    !unit && !port && !is_number(host) && !host.contains(',') && (!host.contains('.') || address)
}

/// KMSAN's `Local variable ----path@step_into created at:` is a variable and its function.
fn is_variable(text: &[u8], range: &Range<usize>) -> bool {
    text.get(..range.start)
        .is_some_and(|before| before.ends_with(b"--"))
        || text.get(range.end) == Some(&b'_')
}

/// An address in memory or the unit address of a node: `feb50000`, `0x70000000`, `1,0`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b',')
}

/// An address with a domain, no unit of systemd, and no name of an algorithm
/// (`curve25519-sha256@libssh.org`).
fn is_email(user: &str, host: &str) -> bool {
    let domain = host.rsplit('.').next().unwrap_or_default();
    let first = host.split('.').next().unwrap_or_default();
    // `usb@fe800000.usb` is a node with its driver.
    let node = is_number(first) && first.bytes().any(|byte| byte.is_ascii_digit());
    let algorithm = matches!(host, "openssh.com" | "libssh.org") && user.contains('-');
    host.contains('.')
        && !node
        && !host.contains(',')
        && !UNITS.iter().any(|end| host.ends_with(end))
        && domain.chars().count() >= 2
        && domain.chars().all(char::is_alphabetic)
        && !algorithm
}

/// Lists are read by everyone and name no one; `git@github.com` is a way to write a path.
fn is_public(user: &str, host: &str) -> bool {
    host == "vger.kernel.org"
        || host.starts_with("lists.")
        || (host == "kvack.org" && user.starts_with("linux-"))
        || user == "git"
        || (user.starts_with("syzbot") && host.ends_with("appspotmail.com"))
}
