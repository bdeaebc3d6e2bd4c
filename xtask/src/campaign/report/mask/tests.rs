use super::*;

fn check(text: &str, expect: &str) {
    let mut mask = Mask::new(&[
        (Kind::Host, "workbench.example".into()),
        (Kind::User, "alice".into()),
        (Kind::User, "root".into()),
    ]);
    mask.learn(text.as_bytes());
    assert_eq!(String::from_utf8_lossy(&mask.apply(text.as_bytes())), expect);
}

#[test]
fn names_and_homes() {
    check(
        "on workbench by alice: /home/alice/src",
        "on HOST1 by USER1: /home/USER1/src",
    );
    check(
        "malice, alices, alice_2 and workbenches",
        "malice, alices, alice_2 and workbenches",
    );
    check("/home/bob/x of bob", "/home/USER1/x of USER1");
    check(
        "ampere login: root\nampere kernel: x",
        "HOST1 login: root\nHOST1 kernel: x",
    );
    check(
        r#"{"_HOSTNAME":"ampere","M":"ampere up"}"#,
        r#"{"_HOSTNAME":"HOST1","M":"HOST1 up"}"#,
    );
    check("root=/dev/vda2 user localhost", "root=/dev/vda2 user localhost");
}

#[test]
fn addresses_of_machines() {
    check(
        "from 192.168.7.4 to 10.0.2.15, 192.168.7.4",
        "from IP1 to IP2, IP1",
    );
    check(
        "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
        "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
    );
    check("fe80::5054:ff:fe12:3456%eth0, 2001:db8::1:", "IP1%eth0, IP2:");
    check("eth0: 52:54:00:12:34:56 up", "eth0: MAC1 up");
    check(
        "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00",
    );
}

#[test]
fn what_only_looks_like_an_address_stays() {
    let kept = [
        "serial@feb50000, mmc@fe2c0000: pcie@fe150000,1",
        "Started getty@tty1.service and serial-getty@ttyAMA0.service, user@0.service",
        "7.3.4-1~bpo13+1 5.10.0-28-arm64 1.2.3 v1.2.3.4.5",
        "at 12:34:56 pci 0000:00:01.0: x",
        "[    1.234567] Code: d503201f a9bf7bfd",
        "ITS@0x0000000008080000: x; using 0x200000@0x70000000; usb@fe800000.usb; lockstep@lockstep",
        "kex curve25519-sha256@libssh.org",
        "&ctx->lock{+.+.}-{4:4}, at: f+0x1c/0x90",
        "build id 861b582074b2acc148640ac1caeaf2b2c4ea1459",
        "vb2::queue std::ad::be_x",
    ];
    for text in kept {
        check(text, text);
    }
}

#[test]
fn people() {
    check("(root@buildbox) and carol@10.1.2.3", "(root@HOST1) and USER1@IP1");
    check("mail dave@example.org now", "mail EMAIL1 now");
    let kept = "Signed-off-by: Dave <dave@example.org>\nFrom: D <d@e.org>";
    check(kept, kept);
}

#[test]
fn keys_and_secrets() {
    let key = format!("ssh-ed25519 AAAAC3{} x", "a".repeat(60));
    check(&key, "ssh-ed25519 SSHKEY1 x");
    check(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n-----END OPENSSH PRIVATE KEY-----\nrest",
        "SSHKEY1\nrest",
    );
    check(r"-----BEGIN PRIVATE KEY-----\nabc", "SSHKEY1");
    check(&format!("SHA256:{} ok", "a".repeat(43)), "SSHKEY1 ok");
    check("IdentityFile /home/alice/.ssh/id_board", "IdentityFile SSHKEY1");
    check(
        "password=hunter2 PSK: \"abcd1234\"",
        "password=SECRET1 PSK: \"SECRET2\"",
    );
    check(
        "https://u:geheim@x/ token count",
        "https://u:SECRET1@HOST1/ token count",
    );
    check("usb 1-1: SerialNumber: 0123ABC", "usb 1-1: SerialNumber: SERIAL1");
    let id = "0123456789abcdef0123456789abcdef";
    check(
        &format!(r#"{{"_MACHINE_ID":"{id}"}} {id}"#),
        r#"{"_MACHINE_ID":"SERIAL1"} SERIAL1"#,
    );
}

#[test]
fn what_was_put_in_is_counted_and_never_named() {
    let mut mask = Mask::new(&[(Kind::User, "alice".into())]);
    mask.apply(b"alice alice 10.1.1.1");
    let masked = mask.masked();
    let told: Vec<(&str, usize)> = masked
        .iter()
        .map(|one| (one.placeholder.as_str(), one.count))
        .collect();
    assert_eq!(told, [("USER1", 2), ("IP1", 1)]);
}

#[test]
fn hosts_of_a_board_file_are_names() {
    let names =
        names_of_board("[ssh]\nhost = \"alice@ampere\"\n# host = \"x\"\nsecond-host = \"boltzmann\"\n");
    let hosts: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(hosts, ["ampere", "alice", "boltzmann", ""]);
}

#[test]
fn any_bytes_pass_through() {
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
    assert_eq!(Mask::default().apply(&bytes), bytes);
}

#[test]
fn placeholders_stay_what_they_are() {
    let text = b"alice@workbench 10.1.1.1 52:54:00:12:34:56 password=abc";
    let mut mask = Mask::new(&[(Kind::User, "alice".into())]);
    mask.learn(text);
    let once = mask.apply(text);
    assert_eq!(
        String::from_utf8_lossy(&once),
        "USER1@HOST1 IP1 MAC1 password=SECRET1"
    );
}
