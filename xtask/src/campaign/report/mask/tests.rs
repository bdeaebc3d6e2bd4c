use super::*;

fn check(text: &str, expect: &str) {
    let mut mask = Mask::new(&[
        (Kind::Host, "workbench.example".into()),
        (Kind::User, "alice".into()),
        (Kind::User, "root".into()),
    ]);
    mask.learn(text.as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&mask.apply(text.as_bytes(), Keep::Nothing)),
        expect
    );
}

#[test]
fn names_and_homes() {
    check(
        "on workbench by alice: /home/alice/src",
        "on host-1 by user-1: /home/user-1/src",
    );
    check(
        "malice, alices, db_alice_2 and workbenches; video_device+0x10",
        "malice, alices, db_user-1_2 and workbenches; video_device+0x10",
    );
    check("/home/bob/x of bob", "/home/user-1/x of user-1");
    check(
        "ampere login: root\nampere kernel: x",
        "host-1 login: root\nhost-1 kernel: x",
    );
    check(
        r#"{"_HOSTNAME":"ampere","M":"ampere up"}"#,
        r#"{"_HOSTNAME":"host-1","M":"host-1 up"}"#,
    );
    check("root=/dev/vda2 user localhost", "root=/dev/vda2 user localhost");
}

#[test]
fn addresses_of_machines() {
    check(
        "from 192.168.7.4 to 10.0.2.15, 192.168.7.4",
        "from ip-1 to ip-2, ip-1",
    );
    check(
        "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
        "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
    );
    check("fe80::5054:ff:fe12:3456%eth0, 2001:db8::1:", "ip-1%eth0, ip-2:");
    check("eth0: 52:54:00:12:34:56 up", "eth0: mac-1 up");
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
        "Local variable ----path@step_into created at:\nLocal variable ----buf@read created at:",
        "<<<<<<<<<<<<<<< tail report >>>>>>>>>>>>>>>",
        "-----END a path of a call trace",
    ];
    for text in kept {
        check(text, text);
    }
}

#[test]
fn people() {
    check(
        "(root@buildbox) and carol@10.1.2.3",
        "(root@host-1) and user-1@ip-1",
    );
    check("mail dave@example.org now", "mail mail-1 now");
    check(
        "Signed-off-by: Dave Bowman <dave@example.org>\nDave Bowman's patch",
        "Signed-off-by: person-1 <mail-1>\nperson-1's patch",
    );
    let kept = "Cc: linux-media@vger.kernel.org, lists@lists.debian.org";
    check(kept, kept);
}

#[test]
fn the_mail_for_upstream_keeps_whom_it_goes_to() {
    let mail = b"To: Dave Bowman <dave@example.org>\n\nHello, dave@example.org\n";
    let mut mask = Mask::default();
    mask.learn(mail);
    let text = mask.apply(mail, Keep::Recipients);
    assert_eq!(
        String::from_utf8_lossy(&text),
        "To: Dave Bowman <dave@example.org>\n\nHello, mail-1\n"
    );
}

#[test]
fn keys_and_secrets() {
    let key = format!("ssh-ed25519 AAAAC3{} x", "a".repeat(60));
    check(&key, "key-1");
    check(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n-----END OPENSSH PRIVATE KEY-----\nrest",
        "key-1\nrest",
    );
    check(r"-----BEGIN PRIVATE KEY-----\nabc", "key-1");
    check(&format!("SHA256:{} ok", "a".repeat(43)), "key-1 ok");
    check("IdentityFile /home/alice/.ssh/id_board", "IdentityFile key-1");
    check(
        "x: password=hunter2 PSK: \"abcd1234\"",
        "x: password=secret-1 PSK: \"secret-2\"",
    );
    check(
        "https://u:geheim@x/ token count",
        "https://user-1:secret-1@host-1/ token count",
    );
    check(
        "usb 1-1: SerialNumber: 0123ABC",
        "usb 1-1: SerialNumber: serial-1",
    );
    let id = "0123456789abcdef0123456789abcdef";
    check(
        &format!(r#"{{"_MACHINE_ID":"{id}"}} {id}"#),
        r#"{"_MACHINE_ID":"id-1"} id-1"#,
    );
}

#[test]
fn what_was_put_in_is_counted_and_never_named() {
    let mut mask = Mask::new(&[(Kind::User, "alice".into())]);
    mask.apply(b"alice alice 10.1.1.1", Keep::Nothing);
    let masked = mask.masked();
    let told: Vec<(&str, usize)> = masked
        .iter()
        .map(|one| (one.placeholder.as_str(), one.count))
        .collect();
    assert_eq!(told, [("ip-1", 1), ("user-1", 2)]);
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
    assert_eq!(Mask::default().apply(&bytes, Keep::Nothing), bytes);
}

#[test]
fn placeholders_stay_what_they_are() {
    let text = b"alice@workbench 10.1.1.1 52:54:00:12:34:56 password=abc";
    let mut mask = Mask::new(&[(Kind::User, "alice".into())]);
    mask.learn(text);
    let once = mask.apply(text, Keep::Nothing);
    assert_eq!(
        String::from_utf8_lossy(&once),
        "user-1@host-1 ip-1 mac-1 password=secret-1"
    );
}

#[test]
fn one_value_has_one_placeholder_in_every_spelling() {
    check(
        "52:54:00:AB:cd:01 52-54-00-ab-cd-01 5254.00ab.cd01 52540 525400abcd01 dev_52_54_00_ab_cd_01",
        "mac-1 mac-1 mac-1 52540 mac-1 dev_mac-1",
    );
    check("fe80::1 is FE80:0:0::1", "ip-1 is ip-1");
    check("WORKBENCH Workbench.example workbench", "host-1 host-1 host-1");
    check(
        r#"password="a b, \"c" and {\"password\":\"q w\"} &quot;passwd&quot;:&quot;q w&quot;"#,
        r#"password="secret-1" and {\"password\":\"secret-2\"} &quot;passwd&quot;:&quot;secret-2&quot;"#,
    );
}

#[test]
fn a_key_without_an_end_is_masked_as_far_as_it_goes() {
    let line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ";
    check(
        &format!(
            "[ 1.0] -----BEGIN PRIVATE KEY-----\n[ 1.1] usb 1-1: new device\n[ 1.2] {line}\n[ 1.3] BUG: bad\n"
        ),
        "[ 1.0] key-1\n[ 1.1] usb 1-1: new device\n[ 1.2] key-1\n[ 1.3] BUG: bad\n",
    );
}

#[test]
fn secrets_of_several_lines() {
    check(
        "password: |\n  one two\n  three\nnext: x\n",
        "password: |\nsecret-1next: x\n",
    );
    check(
        "Private-Lines: 2\nAAAAIBcdefGHIJklmnopqrSTUVwxyz\nab12\nPrivate-MAC: 0123456789abcdef0123\n",
        "key-1\nPrivate-MAC: key-1\n",
    );
}

#[test]
fn a_block_ends_at_a_line_and_not_in_a_key() {
    let text = b"one\ntwo\n[1] -----BEGIN PRIVATE KEY-----\n[2] abc\nrest";
    assert_eq!(&text[..whole_lines(text)], b"one\ntwo\n");
    assert_eq!(whole_lines(b"one\ntwo"), 4);
    assert_eq!(whole_lines(b"no end"), 0);
}

#[test]
fn what_looks_random_is_listed_by_its_place_and_never_as_a_whole() {
    let mut left = Leftovers::default();
    let text = b"one\nx Zk3vB9q_LmT4xWc7RyP2aN8sD1 y\ncommit c7cbfd157255405a133bf3ae08b61eaa8ae30ca4\nabcdef0123456789abcdef0123456789\n";
    assert_eq!(left.look("f", 1, text), 5);
    let places: Vec<&str> = left.listed.iter().map(|one| one.place.as_str()).collect();
    assert_eq!((places, left.hashes), (vec!["f:2"], 2));
    assert_eq!(left.listed[0].shape, "Zk3v..., 26 characters");
}

#[test]
fn a_learned_secret_is_masked_in_other_encodings() {
    check(
        "password=hunter2zebra\n68756e746572327a65627261 x\nPGI+aHVudGVyMnplYnJhPC9iPg==\nhunter2%7Aebra",
        "password=secret-1\nsecret-2 x\nPGI+secret-3random-1\nsecret-1",
    );
}

#[test]
fn a_word_that_is_not_understood_is_masked_and_the_words_around_it_stay() {
    check(
        "usb 1-1: new device whsec_abcdef173ghijkl at 0000:00:01.0, ffff800080003d60",
        "usb 1-1: new device whsec_random-1 at 0000:00:01.0, ffff800080003d60",
    );
}
