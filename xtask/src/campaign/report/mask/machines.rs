//! Names and numbers by which a machine, a disk, a phone card or a wireless network is known.

use super::Kind;
use super::found::Spread;
use super::rules::{Check, Rule, any, name, serial};
use std::ops::Range;
use std::sync::LazyLock;

/// A host's name.
const HOST: &str = r"([A-Za-z0-9_\x80-\xff][\w.-]{0,252})";

/// Rules anywhere in a line.
pub(super) static ANYWHERE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    hosts()
        .into_iter()
        .chain(networks())
        .chain(ids())
        .chain(numbers())
        .collect()
});

/// Rules about messages, or records, that begin so.
pub(super) static MESSAGE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let time = r"(?:[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)";
    let mut rules: Vec<Rule> = [
        // RFC 3164 and ISO times with a program behind the host; RFC 5424
        format!(r"(?m)^[ \t]*(?:<\d+>)?{time} @H@ [\w./()@-]+(?:\[\d+\])?: "),
        format!(r"(?m)^[ \t]*<\d+>1 {time} @H@ \S+ \S+ \S+ "),
        r"(?m)^@H@ login: ".into(),
        // sshd(8)'s known_hosts
        r"(?m)^@H@(?:,\S+)? (?:ssh-|ecdsa-|sk-)".into(),
        // hosts(5)
        r"(?m)^(?:127\.0\.1\.1|\d+\.\d+\.\d+\.\d+)[ \t]+@H@(?:[ \t]+@H@)?[ \t\r]*$".into(),
        r"(?m)^[ \t]*(?:Host|HostName|hostname|search|domain)[ \t]+@H@[ \t\r]*$".into(),
        r"(?m)^\[?[\w.-]+@@H@[ :][^\n]{0,80}[#$%] ?".into(),
    ]
    .iter()
    .map(|pattern| host(pattern))
    .collect();
    rules.push(id(r"(?m)^([0-9a-f]{32})[ \t\r]*$", any));
    // NetworkManager's keyfiles
    rules.push(ssid(r"(?m)^[ \t]*id=([^\n]+)$"));
    // `iw dev wlan0 scan`
    rules.push(ssid(
        r"(?m)^[ \t]*(?:[\w.-]{1,30}: ){0,2}SSID:?[ \t]+([^\s=:][^\n\r]*)",
    ));
    rules
});

fn host(pattern: &str) -> Rule {
    Rule::new(
        &[Kind::Host],
        Spread::Everywhere,
        host_name,
        &pattern.replace("@H@", HOST),
    )
}

fn id(pattern: &str, check: Check) -> Rule {
    Rule::new(&[Kind::Id], Spread::Everywhere, check, pattern)
}

fn ssid(pattern: &str) -> Rule {
    Rule::new(&[Kind::Ssid], Spread::Everywhere, any, pattern)
}

fn number(pattern: &str) -> Rule {
    Rule::new(&[Kind::Serial], Spread::Everywhere, serial, pattern)
}

/// A name, not an address: those have rules of their own.
fn host_name(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let range = name(text, range)?;
    let value = String::from_utf8_lossy(text.get(range.clone())?).into_owned();
    let address = value.parse::<std::net::IpAddr>().is_ok();
    let pointer =
        value.starts_with("0x") || (value.len() >= 8 && value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!address && !pointer).then_some(range)
}

/// A number that was made for this machine, boot or disk: not one of those that specifications
/// define (EFI's variables, Bluetooth's services, partition types of the Discoverable Partitions
/// Specification).
fn uuid(text: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    const KNOWN: &[&str] = &[
        "8be4df61-93ca-11d2-aa0d-00e098032b8c",
        "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "0fc63daf-8483-4772-8e79-3d69d8477de4",
        "b921b045-1df0-41c3-af44-4c6f280d3fae",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];
    let value = String::from_utf8_lossy(text.get(range.clone())?).to_ascii_lowercase();
    let known = KNOWN.contains(&value.as_str()) || value.ends_with("-0000-1000-8000-00805f9b34fb");
    (!known).then_some(range)
}

fn hosts() -> Vec<Rule> {
    [
        r#"(?:\b|_)_?HOSTNAME["']?[ \t]*[=:][ \t]*["']?@H@"#,
        r#"(?i)\bhostname (?:is |changed )?(?:set )?to[ :]{0,2}["'<]?@H@"#,
        r#"(?i)(?:\b|_)(?:host[_-]?name|systemd\.hostname|nodename|node[_-]name|dhcp[_-]?name|fqdn|server[_-]?name|machine[_-]?name|computer[_-]?name|host[_-]id|serverid)["']?[ \t]*(?:[=:]|\bis\b)[ \t]*["'<]?@H@"#,
        r#"(?:\b|_)(?:host|HOST|server)["']?[ \t]*[=:][ \t]*["']@H@["']"#,
        r"(?:\b|_)HOST=@H@",
        r"\bhost=@H@, domain=@H@",
        // Documentation/admin-guide/nfs/nfsroot.rst
        r"\bip=(?:\[[^\]\s]*\]|[^:\s]*):(?:\[[^\]\s]*\]|[^:\s]*):(?:\[[^\]\s]*\]|[^:\s]*):[^:\s]*:@H@(?::|\s|$)",
        r"(?:nfsroot|nfsaddrs|nfs-server|nbdroot|root=nfs4?)[=:]+@H@:/",
        r"\bLinux @H@ \d+\.\d+\.?\S* #\d",
        r"\b([\w.-]+\.(?:local|lan|internal|intranet|corp|localdomain|home\.arpa|fritz\.box|ts\.net))\b",
        r"\b(?:connect to host|resolve hostname|Could not resolve host:?|Connection to)[ \t]+'?@H@'?(?: port\b|: | closed)",
        r#"\bPermanently added '?\[?@H@"#,
        r"\b[Hh]ost name is @H@",
        r#"(?i)\bhostname[ \t]+["']@H@["']"#,
        r"\brhost=@H@",
        r#"(?:^|[\s"'=])//@H@/"#,
        r"\bmount[ \t]+(?:-\S+[ \t]+)*@H@:/",
        r"\bfrom @H@ \(\[",
        r"(?i)\bsysname\.0 = (?:string: )?@H@",
        r"(?i)\b(?:peer|neighbou?r) @H@ (?:unreachable|is|port|up|down)\b",
        r"\bCN ?= ?@H@",
        r"\bLast login: [^\n]{0,80} from @H@",
        r"\bDHCP[A-Z]+\(\S+\) \S+ \S+ @H@",
        r#"\b(?:option|send|client)[ -](?:host-name|hostname|domain-name)[ \t]+["']@H@"#,
        r#"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/@"'<>]+@@H@"#,
        r#"(?i)(?:\b(?:smb|cifs|ssh|sftp|rsync|nfs)://(?:[^\s/@]+@)?|cifsroot=//|mount\.cifs[ \t]+//)@H@"#,
        r"\b(ip-\d{1,3}(?:-\d{1,3}){3}[\w.-]*)\b",
        r"(?:[$#] |COMMAND=\S*|\bsudo )(?:ssh|ping|scp|mosh|ssh-copy-id|traceroute)(?:[ \t]+-\w(?:[ \t]+\d+)?)*[ \t]+@H@(?:[ \t\r\n:]|$)",
    ]
    .iter()
    .map(|pattern| host(pattern))
    .collect()
}

fn networks() -> Vec<Rule> {
    let value = r#"(?:"([^"\n]{1,64})"|'([^'\n]{1,64})'|([^\s"'<>,)]{1,64}))"#;
    vec![
        ssid(r#"(?i)\bSSID[ \t]+["']([^"'\n]{1,64})["']"#),
        ssid(
            r#"(?i)\b(?:access point|wi-?fi network|wireless network|known network|connection|network)[ \t]+['"]([^'"\n]{1,64})['"]"#,
        ),
        ssid(&format!(
            r"\b(?:nmcli|iwctl|iw|iwconfig)\b[^\n|;]{{0,120}}?[ \t](?:connect|essid|ssid|join)[ \t]+{value}"
        )),
        ssid(&format!(r"\bwpa_passphrase[ \t]+{value}")),
        ssid(
            r"/(?:var/lib/iwd|etc/NetworkManager/system-connections)/=?([^/\n\x22'<>]{1,64}?)\.(?:psk|open|8021x|nmconnection)\b",
        ),
        ssid(r#"\bop="connection-[^\n]{0,200}? name="([^"\n]{1,64})""#),
        ssid(&format!(r"\bid_str={value}")),
        ssid(
            r"(?i)\bconnect(?:ing|ed)? to (?:AP|access point|network|ssid):?[ \t]+([^\n,;\x22'(\[\x00-\x1f]{1,32})",
        ),
        // ConnMan's services: the address and the name in hexadecimal
        ssid(r"\bwifi_[0-9a-f]{12}_([0-9a-f]{2,64})_(?:managed|adhoc)"),
        // btrfs(5)
        ssid(r"\bdevice label (\S+) devid\b"),
        // A scan's result
        ssid(r#"["']([^"'\n]{1,32})["'][^"'\n]{0,60}\b(?:WPA\d?|WEP|RSN|SAE|dBm)\b"#),
        ssid(r#"(?i)"(?:wifi_name|network_name)"\s*:\s*"([^"\n]{1,64})""#),
    ]
}

fn ids() -> Vec<Rule> {
    let machine = r#"(?i)(?:\b|_)(?:machine[ _.-]?id|host[ _-]?id|system[ _-]?id|hardware[ _-]?id|device[ _-]?id|install(?:ation)?[ _-]?id|dbus[ _-]?machine|product[ _-]uuid)["']?(?:[ \t]*(?:[=:]|\bis\b)[ \t]*|[ \t]+)["'{<]?([0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27})\b"#;
    vec![
        id(machine, any),
        // The journal's folder, and names of the Boot Loader Specification
        id(
            r"/(?:journal|entries|boot|efi|machines?|EFI/Linux)/([0-9a-f]{32})\b",
            any,
        ),
        id(r"\b([0-9a-f]{32})-\d+\.\d+\.", any),
        id(r#""?\b_BOOT_ID"?[:=]"?([0-9a-f]{32})\b"#, any),
        id(
            r"(?i)(?:\b|_)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b",
            uuid,
        ),
        id(
            r"(?:\b|_)(?:PART)?UUID=([0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}|[0-9a-fA-F]{8}-[0-9a-fA-F]{2})\b",
            any,
        ),
        id(r"/by-(?:part)?uuid/([0-9A-Za-z-]{4,40})", any),
        id(
            r"(?i)\b(?:disk|volume) (?:identifier|id|serial(?: number)?)[ \t]*[:=]?[ \t]*(0x[0-9a-f]{6,16}|[0-9A-F]{4}-[0-9A-F]{4})\b",
            any,
        ),
    ]
}

fn numbers() -> Vec<Rule> {
    let value = r#"["'<]?([A-Za-z0-9][A-Za-z0-9._:+-]{3,63})"#;
    vec![
        number(&format!(
            r#"(?i)(?:\b|_)serial(?:[ _-]?(?:number|num|no|nr|short|id))?(?:["']?[ \t]*[=:#][ \t=:]*|#[ \t]*=?[ \t]*){value}"#
        )),
        number(&format!(
            r#"(?i)(?:\b|_)(?:serialno|serial[ _-]?(?:number|num|no|nr)\.?)["']?[ \t]+(?:is[ \t]+)?{value}"#
        )),
        number(&format!(
            r#"(?i)(?:\b|_)(?:s/n|sn|svc_?tag|service[ _-]?tag|asset[ _-]?tag|cpuid#?|chip[ _-]?id|soc[ _-]?id|unique[ _-]?id|uid_efuse|board[ _-]?sn|devkey|pcba?[ _-]?id|cid|csd|psn|mlb)["']?[ \t]*[=:#][ \t=:]*(?:0x)?{value}"#
        )),
        number(
            r#"(?i)(?:\b|_)(?:imei|imeisv|imsi|iccid|meid|esn|eid|msisdn|phone(?:[ _-]?number)?|sim[ _-]?id)(?:[ _-]?\d)?["']?[ \t]*(?:[=:]|\bis\b)?[ \t]*["']?([+0-9A-F][0-9A-F /-]{6,30}[0-9A-F])"#,
        ),
        number(r"(?i)\b((?:wwn-0x|wwn:|eui\.|naa\.|nvme\.|t10\.|uuid\.)[0-9a-z._+-]{8,120})"),
        number(
            r"(?i)(?:\b|_)(?:wwn|wwid|wwpn|wwnn|naa|eui-?64|lu wwn device id|nguid)[ \t]*[:=]?[ \t]*(?:0x)?([0-9a-f][0-9a-f :]{10,46}[0-9a-f])\b",
        ),
        number(r"/by-id/((?:[a-z]+-)?[A-Za-z0-9._:+-]{6,160})"),
        number(r"\biSerial[ \t]+(?:\d+[ \t]+)?([A-Za-z0-9._-]{4,64})"),
        number(r"\b[Ss]erial[ \t]+((?:[A-Z]+[0-9-]|[0-9]+[A-Z-])[A-Z0-9-]{4,40})\b"),
        number(r"\b(?:board|product|chassis|system)_serial[ \t]*[=:][ \t]*([A-Za-z0-9/._-]{4,63})"),
        // NMEA 0183's sentences with a place
        number(r"\$G[A-Z](?:GGA|RMC|GLL|GNS),(?:[\d.]+,)?(?:[AV],)?(\d+\.\d+,[NS]),(\d+\.\d+,[EW])"),
        number(r"\bgpg: [^\n]{0,40}\b[Kk]ey ([0-9A-F]{8,40})\b"),
        number(r"\b(?:cid|CID|csd|CSD)[ \t]+([0-9a-f]{32})\b"),
        // E.164
        number(r"(?:^|[^\w+])(\+[1-9]\d{9,14})\b"),
        number(r"(?:^|[\s:=\x22'>])(\+[1-9]\d{0,2}[ .-]?\(?\d{2,4}\)?(?:[ .-]\d{2,5}){1,4})\b"),
        number(r"\bserial (0x[0-9a-f]{6,16})\b"),
        number(r"(?i)\b(iqn\.\d{4}-\d\d\.[a-z0-9.:-]+)"),
        number(
            r"\b(ata-[A-Za-z0-9._+-]{8,120}|nvme-[A-Za-z0-9._+]{6,60}_[A-Za-z0-9._-]{6,60}|(?:mmc|usb|scsi)-[A-Za-z0-9._+]{2,60}_(?:0x)?[A-Za-z0-9]{6,60}[\w:.-]*)\b",
        ),
    ]
}
