//! Passwords, tokens and keys: after a word that announces them, in the arguments of known
//! programs, and by their own shapes.
//!
//! The shapes are those that their issuers document (GitHub, GitLab, AWS, Slack, Stripe, ...),
//! crypt(5), RFC 7519 (JWT), RFC 7617 and 6750 (Basic, Bearer), wg(8), sshd(8).

use super::Kind;
use super::found::Spread;
use super::rules::{Rule, any};
use std::ops::Range;
use std::sync::LazyLock;

/// Words at whose end a name announces a secret: `password`, `GITHUB_TOKEN`, `wpa-psk`,
/// `accessToken`.
const WORD: &str = r"(?:pass(?:wor[dt]|wd|wrd|[ _-]?phrase|code)|ps?swd|pwd|mot de passe|token|secret|credentials?|(?:api|access|secret|private|encryption|auth|shared|account|signing|preshared|client|master|session|license|network|luks|host|static|nonce)[ ._-]?key|psk|wep[ _-]?key|pin[ _-]?code|puk|cookie|sess(?:ion)?[_-]?id|csrf|connection[_-]?string|sae[_-]?password|mnemonic|t?otp[ _-](?:seed|key))";
/// A value, in quotes with whatever is in them, or up to the next blank.
const VALUE: &str = r#"(?:"((?:[^"\\\n]|\\.)+)"|'([^'\n]+)'|([^\s"'<>\x00]+))"#;

/// Rules about secrets anywhere in a line.
pub(super) static ANYWHERE: LazyLock<Vec<Rule>> = LazyLock::new(anywhere);

/// Rules about messages that begin with the name of a secret: its value goes to the end.
pub(super) static MESSAGE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    vec![
        secret(
            assigned,
            format!(
                r#"(?im)^[ \t]*(?:-[ \t]+|export[ \t]+|set[ \t]+|#[ \t]*)?[\w.-]{{0,40}}?{WORD}\d*[ \t]*[:=][ \t]*([^"'\s][^\n]*)$"#
            ),
        ),
        // pppd(8), smbcredentials, slapd.conf(5): a name, a blank and the value
        secret(
            worded,
            format!(
                r"(?im)^[ \t]*(?:[\w.-]{{1,30}}:[ \t]+)?(?:[a-z]+[ \t]+)?(?:{WORD}|bindpw|rootpw|pw)[ \t]+([^\s\x00-\x1f]+)[ \t\r]*$"
            ),
        ),
        // passwd(5), shadow(5): DES hashes have no sign of their own.
        secret(
            any,
            r"(?m)^[a-z_][\w.-]*:([./0-9A-Za-z]{13}|[!*]?\$[^:\n]+):(?:\d|[^:\n]*:\d)".into(),
        ),
    ]
});

fn secret(check: super::rules::Check, pattern: String) -> Rule {
    Rule::new(&[Kind::Secret], Spread::Everywhere, check, &pattern)
}

fn anywhere() -> Vec<Rule> {
    let mut rules: Vec<Rule> = after_words().into_iter().chain(arguments()).collect();
    rules.push(Rule::new(
        &[Kind::User, Kind::Secret],
        Spread::Everywhere,
        any,
        r#"(?i)\b[a-z][a-z0-9+.-]{1,20}://(?:([^\s:/@"'<>]+)(?::([^\s"'<>]*))?)@"#,
    ));
    rules.push(Rule::new(&[Kind::Secret], Spread::Everywhere, any, &shapes()));
    rules.push(Rule::new(&[Kind::Key], Spread::Here, any, PUBLIC_KEY));
    rules.push(Rule::new(&[Kind::Key], Spread::Everywhere, key_text, KEY_TEXT));
    rules
}

/// An ssh public key with its comment, a fingerprint, a path below `.ssh`.
const PUBLIC_KEY: &str = r#"((?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3}|sk-[a-z0-9@.-]{8,60})(?:-cert-v01@openssh\.com)? AAAA[0-9A-Za-z+/]{20,}={0,3}(?:[ \t]+[^\s"'<>&\\][^\n"'<>&\\]{0,100})?)|\b(AAAA[BCE][0-9A-Za-z+/]{20,}={0,3})|\b(SHA256:[A-Za-z0-9+/]{43}=?|MD5:(?:[0-9a-f]{2}:){15}[0-9a-f]{2})|([~/][^\s"':,<>]*\.ssh/[^\s"':,<>)]+)"#;
/// 32 bytes in base64, as WireGuard writes its keys.
const KEY_TEXT: &str = r"([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)";

fn after_words() -> Vec<Rule> {
    vec![
        // wpa_cli(8), ipsec.secrets(5), swanctl.conf(5), SQL's `PASSWORD 'x'`; a sentence
        secret(assigned, format!(r#"(?i)(?:{WORD}|\bidentified by|\bpw)[ \t]+(?:"([^"\n]{{4,}})"|'([^'\n]{{4,}})')"#)),
        secret(telling, format!(r#"(?i){WORD}[ \t]+(?:is|was)[ \t]+(?:now[ \t]+)?["']?([^\s"',;.\x00-\x1f]+)"#)),
        secret(any, r"(?i)\b(?:recovery|backup|pairing|setup|verification|activation|unlock|one-time)[ _-](?:pin[ _-])?(?:code|key|pin)s?[ \t]*[:=]?[ \t]+((?:,?[ \t]*[\w-]*\d[\w-]{3,})+)".into()),
        secret(any, r"\b(?:PIN|PUK)\b[^\n\d]{0,30}?\b(\d{4,10})\b".into()),
        secret(any, format!(r"(?im)\b{WORD} for [^\n:]{{1,60}}:[ \t]+([^\n\x00-\x1f]+)\r?$")),
        Rule::new(&[Kind::User, Kind::Secret], Spread::Everywhere, assigned, r#"\bchpasswd\b[^\n]*?[\s'"]([a-z_][\w.-]*):([^\s"'<>\\]+)"#),
        // A name and its value as two attributes, members, or an attribute and an element's text
        secret(assigned, format!(r#"(?i)\b(?:name|key|id|option|param)["']?[ \t]*[=:][ \t]*["']?[\w.-]{{0,40}}?{WORD}["']?[\s,/]*(?:-[ \t]*)?["']?(?:value|val|content|data)["']?[ \t]*[=:][ \t]*{VALUE}"#)),
        secret(any, format!(r#"(?i)\b(?:name|key|id)=["'][\w.-]{{0,40}}?{WORD}["'][^<>\n]{{0,80}}>([^<\n]+)<"#)),
        // A dump in hexadecimal that is called so
        secret(any, r"(?im)^[^\n]{0,80}?\b((?:[0-9a-f]{2}[ :-]){7,}[0-9a-f]{2})\b[^\n]{0,40}\b(?:secret|key|password)\b".into()),
        Rule::new(&[Kind::User, Kind::Secret], Spread::Everywhere, assigned, r#"(?i)\b(?:creds?|credentials?|logins?)[ \t:=]+["']?([\w.@-]+)[ \t]?[:/][ \t]?([^\s"'<>]+)"#),
        secret(assigned, format!(r"(?im){WORD}\?[ \t]+([^\s\x00-\x1f\x22'<&\\]+)(?:[\s\x22'<&\\]|$)")),
        // Folders of agents: `keyring-XXXXXX`, `ssh-XXXXXX`
        secret(any, r"/(?:keyring|ssh|gpg|agent)-(\w{6,16})\b".into()),
        secret(any, r"(?i)\bkey(?: \w+)?:[ \t]*((?:[0-9a-f]{2}[ :-]){7,}[0-9a-f]{2})".into()),
        // AUTH and LOGIN of mail (RFC 4954, 9051, 1939), PASS (RFC 959)
        secret(any, r#"(?i)\b(?:ftp|pop3?|imap|smtp)\w*\b[^\n]{0,80}?\b(?-i:PASS|AUTH (?:PLAIN|LOGIN|CRAM-MD5)|APOP \S+|LOGIN \S+)[ \t]+["']?([^\s"']+)"#.into()),
        // pppd(8)'s chap-secrets, snmpd.conf(5)
        secret(any, r#"(?:^|\s)["']?[\w.@\\-]+["']?[ \t]+\*[ \t]+["']?([^\s"'*]+)["']?[ \t]+(?:\*|\d+\.\d+\.\d+\.\d+)(?:[\s"'\\<]|$)"#.into()),
        secret(any, r#"\bcreateUser[ \t]+\S+[ \t]+(?:MD5|SHA[\d-]*)[ \t]+["']?([^\s"']+)["']?(?:[ \t]+(?:DES|AES[\d-]*)[ \t]+["']?([^\s"']+))?"#.into()),
        secret(any, r#"(?:\b|r[ow])community6?(?:[ \t]+|=)["']?([^\s"']+)"#.into()),
        // FreeRADIUS
        secret(any, r"\[[^/\]\s]+/([^\]\n]+)\] \(from client".into()),
        secret(any, r#"\bresponse="([0-9a-f]{32,64})""#.into()),
        // Documentation of dracut.cmdline(7): `iscsi:USER:PASSWORD@`; Oracle's `USER/PASSWORD@`
        Rule::new(&[Kind::User, Kind::Secret], Spread::Everywhere, any, r"\biscsi:([^\s:@]+):([^\s@]+)@"),
        Rule::new(&[Kind::User, Kind::Secret], Spread::Everywhere, any, r"\b(?:thin:|oci:|sqlplus[ \t]+)([\w$#]+)/([^\s@]+)@"),
        secret(any, r"\$ANSIBLE_VAULT;[\d.]+;\w+(?:;\w+)?[ \t\r\n]+((?:[0-9a-f]{20,}\s*)+)".into()),
        // U-Boot's prompt, netrc(5), docker's config.json, a block of YAML
        secret(assigned, format!(r"(?i)\b(?:setenv|env set)[ \t]+[\w.-]{{0,40}}?{WORD}[\w.-]{{0,20}}[ \t]+{VALUE}")),
        secret(any, r#"\blogin[ \t]+\S+[ \t]+password[ \t]+([^\s"'<>]+)"#.into()),
        secret(any, r#""(?:auth|identitytoken|registrytoken)"\s*:\s*"([^"\n]{4,})""#.into()),
        secret(any, format!(r"(?im)^[ \t]*(?:-[ \t]+)?[\w.-]{{0,40}}?{WORD}[ \t]*:[ \t]*[|>][+-]?[ \t\r]*\n((?:[ \t]+[^\n]*\n?)+)")),
        // HTTP's headers
        secret(any, r#"(?i)(?:\b|_)(?:proxy-)?authorization["']?[ \t]*[:=][ \t]*["']?(?:(?:bearer|basic|token|digest|negotiate|apikey|aws4-hmac-sha256)[ \t]+)?([^\s"'<>][^\n"'<>]*)"#.into()),
        secret(any, r#"(?i)\b(?:set-)?cookie:[ \t]*([^\n"'<>]+)"#.into()),
        secret(telling, r"(?i)\b(?:bearer|basic)[ \t]+([A-Za-z0-9._~+/-]{8,}={0,3})".into()),
        secret(any, r"(?i)[?&](?:sig|signature|code|key|auth|access|x-amz-signature|x-amz-credential)=([A-Za-z0-9%._~+/-]{8,}={0,3})".into()),
        secret(assigned, r#"(?i)\bpass:([^\s"'<>]+)"#.into()),
    ]
}

fn arguments() -> Vec<Rule> {
    // The rest of one command.
    let rest = r"\b[^\n|;]{0,200}?[ \t]";
    let argument = |programs: &str, option: &str| {
        secret(
            assigned,
            format!(r"\b(?:{programs}){rest}(?:{option})[ \t]*=?{VALUE}"),
        )
    };
    vec![
        argument(r"sshpass|mysql\w*|mariadb[\w-]*|7z[ar]?|7zz|rar|unrar|vncviewer|rdesktop|pg_\w+|kinit|adb", "-p"),
        argument("(?:docker|podman|skopeo|buildah|oc|helm|az|npm) login", "-p"),
        argument("plink|pscp|psftp", "-pw"),
        argument(r"ipmitool|unzip|zip|mosquitto_\w+|sqlcmd|iscsiadm|xorriso|putty", "-P"),
        argument("redis-cli", "-a"),
        argument(r"ldap\w+|net", "-w"),
        argument("snmp[a-z]+", "-[cAX]"),
        argument("openssl|gpg", "-[kK]"),
        argument(r"xfreerdp3?|wlfreerdp", "/p:"),
        argument("ipmitool", "-U"),
        Rule::new(
            &[Kind::User, Kind::Secret],
            Spread::Everywhere,
            any,
            r#"\b(?:curl|wget|http|https|xh|smbclient|rpcclient|smbget)\b[^\n|;]{0,200}?[ \t](?:-u|-U|--user|-a|--auth)[ \t=]*["']?([^\s"':%@]+)[:%]([^\s"'<>]+)"#,
        ),
        secret(any, r#"\bwpa_passphrase[ \t]+(?:"[^"\n]+"|'[^'\n]+'|\S+)[ \t]+["']?([^\n"'<>|]+)"#.into()),
        secret(assigned, format!(r"\b(?:nmcli|iwctl|iwconfig|connmanctl|iw){rest}(?:password|passphrase|psk|key)[ \t]+(?:s:|\d:)?{VALUE}")),
        Rule::new(
            &[Kind::User, Kind::Secret],
            Spread::Everywhere,
            any,
            r#"["' \t]([a-z_][\w.-]*):([^\s"':|]+)["']?[ \t]*\|[ \t]*(?:sudo[ \t]+)?chpasswd"#,
        ),
        secret(any, r#"\becho[ \t]+(?:-n[ \t]+)?["']?([^\s"'|]+)["']?[ \t]*\|[ \t]*(?:sudo[ \t]+-S|cryptsetup|passwd|su\b)"#.into()),
        secret(any, r"\bnet use[ \t][^\n]{0,120}?/user:\S+[ \t]+(\S+)".into()),
        argument("curl", r"--proxy-user[ =][^\s:]+:"),
        Rule::new(
            &[Kind::User, Kind::Secret],
            Spread::Everywhere,
            any,
            r#"[ \t](?:-u|--user)[ \t=]*["']?([a-zA-Z][\w.-]*):([^\s"'<>]+)["']?[ \t]+[^\n|;]{0,80}?https?://"#,
        ),
        secret(any, r"\bkeyctl[ \t]+add[ \t]+\w+[ \t]+\S+[ \t]+(\S+)".into()),
        secret(any, format!(r"\w[ \t]+<<<[ \t]*{VALUE}")),
        secret(any, r"\bhtpasswd[ \t]+-[a-zA-Z]*b[a-zA-Z]*[ \t]+(?:\S+[ \t]+)?\S+[ \t]+([^\s'\x22]+)".into()),
    ]
}

/// Tokens that are known by their shape alone.
fn shapes() -> String {
    let shapes = [
        r"gh[pousr]_[A-Za-z0-9]{20,255}",
        r"github_pat_[A-Za-z0-9_]{20,255}",
        r"gl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent|oas)-[A-Za-z0-9_.=-]{16,255}",
        r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z2-7]{12,20}",
        r"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{8,255}",
        r"xapp-\d-[A-Za-z0-9-]{8,255}",
        r"sk-[A-Za-z0-9_-]{16,255}",
        r"(?:sk|rk|pk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,255}",
        r"AIza[A-Za-z0-9_-]{30,40}",
        r"ya29\.[A-Za-z0-9_-]{16,255}",
        r"GOCSPX-[A-Za-z0-9_-]{20,40}",
        r"(?:npm|hf|dckr_pat|dckr_oat|shpat|shpss|lin_api|glsa|dop_v1|doo_v1|rubygems|nvapi|pul|tfp|gsk|r8|figd|sntrys|ops|cio|xai|fm1|FlyV1)[_-][A-Za-z0-9_=-]{20,400}",
        r"pypi-[A-Za-z0-9_-]{16,400}",
        r"SG\.[A-Za-z0-9_-]{12,40}\.[A-Za-z0-9_-]{8,80}",
        r"(?:hvs|hvb|hvr)\.[A-Za-z0-9_-]{16,300}",
        r"tskey-[a-z]+-[A-Za-z0-9-]{8,100}",
        r"AGE-SECRET-KEY-1[A-Z0-9]{20,80}",
        r"dp\.(?:pt|st|sa|ct)\.[A-Za-z0-9._-]{20,80}",
        r"PMAK-[a-f0-9]{20,30}-[a-f0-9]{20,50}",
        r"EAAC[A-Za-z0-9]{24,255}",
        r"(?:key|SK|AC)-?[0-9a-f]{32}",
        r"(?:bot)?\d{8,10}:AA[A-Za-z0-9_-]{32,34}",
        r"sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{16,100}",
        r"dckr_[op]at_[A-Za-z0-9_-]{16,100}",
        // LM and NT hash of a password
        r"[0-9a-f]{32}:[0-9a-f]{32}",
        r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?",
    ];
    let hooks = r"hooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/]+)|discord(?:app)?\.com/api/webhooks/([\w/-]+)";
    let hashes = r"(\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|sha1|md5|argon2(?:id|i|d)|scrypt|pbkdf2[a-z0-9-]*)\$[./A-Za-z0-9$=,+-]{8,})|(\{(?:SSHA|SHA|SMD5|MD5|CRYPT|PBKDF2)[0-9]*\}[A-Za-z0-9+/$.]{16,}={0,3})";
    format!(r"(?:\b|_)({})|{hooks}|{hashes}", shapes.join("|"))
}

/// Words that stand where a secret would, and are none.
const NO_SECRET: &[&str] = &[
    "none",
    "null",
    "nil",
    "true",
    "false",
    "yes",
    "no",
    "y",
    "n",
    "m",
    "set",
    "unset",
    "disabled",
    "enabled",
    "required",
    "invalid",
    "incorrect",
    "failed",
    "is",
    "for",
    "not",
    "ok",
    "and",
    "or",
    "of",
    "in",
    "to",
    "given",
    "missing",
    "expired",
    "authentication",
    // The next word of its kind: `login password`
    "password",
    "passphrase",
    "token",
    "secret",
    "username",
];

/// What stands after a word and a sign: cut where the next option begins, and no word that says
/// that there is none.
pub(super) fn assigned(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let quoted = range.start.checked_sub(1).and_then(|before| text.get(before));
    let quoted = quoted.is_some_and(|sign| b"\"'".contains(sign) && text.get(range.end) == Some(sign));
    let value = if quoted {
        value
    } else {
        value.get(..value.len().min(cut(value)))?
    };
    let plain = String::from_utf8_lossy(value).to_ascii_lowercase();
    let word = plain.trim_matches(|c: char| !c.is_alphanumeric());
    let variable = plain.starts_with("${")
        || (plain.starts_with('$')
            && !plain.get(1..).is_some_and(|rest| rest.contains('$'))
            && !plain.chars().any(|c| c.is_ascii_digit()));
    let path = plain.starts_with(['/', '~']) && plain.contains('/') && super::odd::is_plain(value);
    let telling = value
        .iter()
        .any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80 || (quoted && !byte.is_ascii_whitespace()));
    let stars = value.iter().all(|byte| b"*xX.-".contains(byte));
    // Counts (`pass: 3`) and pointers are what a kernel prints.
    let number = word.len() < 4 && word.bytes().all(|byte| byte.is_ascii_digit()) || word == "0x0";
    let none = NO_SECRET.contains(&word) || variable || path || stars || number || !telling;
    (!none).then(|| range.start..range.start.saturating_add(value.len()))
}

/// Where an unquoted value ends: before the next option of a mount or a query, a full stop, a
/// comment.
fn cut(value: &[u8]) -> usize {
    let next = value.iter().enumerate().position(|(at, byte)| match byte {
        b';' => true,
        b'&' | b',' => {
            let rest = value.get(at.saturating_add(1)..).unwrap_or_default();
            let word = rest
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte))
                .count();
            rest.is_empty() || (word > 0 && rest.get(word) == Some(&b'='))
        }
        b' ' | b'\t' => value
            .get(at.saturating_add(1)..)
            .is_some_and(|rest| rest.starts_with(b"#")),
        _ => false,
    });
    let end = next.unwrap_or(value.len());
    let kept = value.get(..end).unwrap_or_default();
    let ends = kept
        .iter()
        .rev()
        .take_while(|byte| b".,)]}\\ \t\r".contains(byte));
    end.saturating_sub(ends.count())
}

/// A word that is no word of a language: with a digit or a capital behind its beginning, or padded.
fn telling(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let odd = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || *byte == b'=';
    value.iter().skip(1).any(odd).then_some(range)
}

/// A word that is no word of a language, and no number or address either.
fn worded(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let range = telling(text, assigned(text, range)?)?;
    let value = text.get(range.clone())?;
    let number = value.starts_with(b"0x") || value.iter().all(u8::is_ascii_hexdigit);
    (!number && value.len() >= 6).then_some(range)
}

/// 44 characters with letters of both sizes; behind `sha256-` they are a file's hash.
fn key_text(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let value = text.get(range.clone())?;
    let before = text.get(..range.start)?;
    let inside = before
        .last()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
    let mixed = value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase);
    (mixed && !inside && !before.ends_with(b"sha256-")).then_some(range)
}
