use super::*;

const ID: &str = "0001";

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A heart whose beats are answered after `took` seconds, each `every` seconds, until `until`.
fn healthy(took: f64, until: f64) -> Heard {
    let mut heard = Heard::nothing(Pace::default(), ID);
    let mut began = 0.0;
    while began + took <= until {
        heard.answered(at(began), at(began + took), ID);
        began += took + 5.0;
    }
    heard
}

/// Beats go on from `from` and are never answered; the first time when the rule gives up, looked at every tenth of a second.
fn given_up(heard: &mut Heard, from: f64, mut meanwhile: impl FnMut(f64, &mut Heard)) -> (f64, State) {
    let mut misses_at = from + heard.limit().as_secs_f64();
    let mut now = from;
    while now < from + 10_000.0 {
        meanwhile(now, heard);
        if now >= misses_at {
            heard.missed(at(now), Miss::Silent);
            misses_at = now + 5.0 + heard.limit().as_secs_f64();
        }
        let state = heard.state(at(now));
        if !state.goes_on() {
            return (now, state);
        }
        now += 0.1;
    }
    panic!("it is never given up: {heard:?}");
}

fn line(heard: &mut Heard, now: f64, text: &str) -> bool {
    let mut watch = crate::board::boot::serial::Watch::default();
    watch.feed(b"[    1.000000] earlier\r\n");
    heard.line(at(now), &watch.feed(text.as_bytes()))
}

#[test]
fn a_board_that_says_nothing_any_more_is_given_up_within_half_a_minute() {
    let mut heard = healthy(0.3, 60.0);
    let last = heard.last_sign().unwrap().as_secs_f64();
    let (when, state) = given_up(&mut heard, last + 5.0, |_, _| ());
    assert!(matches!(state, State::Wedged { talks: false, .. }), "{state:?}");
    assert!((20.0..40.0).contains(&(when - last)), "after {} s", when - last);
    assert!(heard.first_missed().unwrap() > at(last + 5.0));
}

#[test]
fn a_slow_board_gets_the_time_that_its_own_beats_show_it_needs() {
    // KASAN on an emulated CPU under load: a beat takes ten seconds, and then there is nothing for 40.
    let mut heard = healthy(10.0, 100.0);
    let last = heard.last_sign().unwrap().as_secs_f64();
    let (when, _) = given_up(&mut heard, last + 5.0, |_, _| ());
    assert!(when - last > 60.0, "after {} s", when - last);
    // It ends all the same, however slow it was.
    let mut heard = healthy(300.0, 1000.0);
    let last = heard.last_sign().unwrap().as_secs_f64();
    let (when, _) = given_up(&mut heard, last + 5.0, |_, _| ());
    assert!(when - last < 180.0, "after {} s", when - last);
}

#[test]
fn each_new_connection_is_given_longer_than_the_one_before() {
    let mut heard = Heard::nothing(Pace::default(), ID);
    assert_eq!(heard.limit(), at(30.0), "its first word tells how slow it is");
    heard.answered(at(0.0), at(1.0), ID);
    let mut limits = vec![heard.limit()];
    for miss in 0..5 {
        heard.missed(at(10.0 + f64::from(miss)), Miss::Silent);
        limits.push(heard.limit());
    }
    assert_eq!(limits, [6.0, 8.0, 14.0, 20.0, 26.0, 30.0].map(at));
}

#[test]
fn fewer_misses_than_three_prove_nothing_however_long_they_take() {
    let mut heard = healthy(0.3, 60.0);
    heard.missed(at(80.0), Miss::Silent);
    heard.missed(at(100.0), Miss::Silent);
    assert_eq!(heard.state(at(1000.0)), State::Slow(2));
    heard.answered(at(1000.0), at(1001.0), ID);
    assert_eq!(heard.state(at(1002.0)), State::Alive);
    assert_eq!(heard.first_missed(), None);
}

#[test]
fn three_refusals_in_a_moment_prove_nothing_either() {
    let mut heard = healthy(0.3, 60.0);
    for tenth in 0..20 {
        heard.missed(at(61.0 + f64::from(tenth) / 10.0), Miss::Silent);
    }
    assert_eq!(heard.state(at(64.0)), State::Slow(20));
}

#[test]
fn another_command_that_is_answered_is_a_sign_of_life() {
    let mut heard = healthy(0.3, 60.0);
    for miss in 0..9 {
        heard.missed(at(65.0 + 5.0 * f64::from(miss)), Miss::Silent);
        heard.lives(at(60.0), at(66.0 + 5.0 * f64::from(miss)));
    }
    assert_eq!(heard.state(at(108.0)), State::Alive);
    // What took long for reasons of its own makes no beat slow.
    assert_eq!(heard.pulse().0, at(0.3));
}

#[test]
fn a_kernel_that_talks_without_ssh_is_given_longer() {
    let mut heard = healthy(0.3, 60.0);
    let last = heard.last_sign().unwrap().as_secs_f64();
    let mut seen = Vec::new();
    let (when, state) = given_up(&mut heard, last + 5.0, |now, heard| {
        if ((now * 10.0).round() as u64).is_multiple_of(100) {
            line(
                heard,
                now,
                "[   70.1] INFO: task cat:9 blocked for more than 10 seconds.\r\n",
            );
        }
        seen.push(heard.state(at(now)));
    });
    assert!(matches!(state, State::Wedged { talks: true, .. }), "{state:?}");
    assert!((60.0..75.0).contains(&(when - last)), "after {} s", when - last);
    assert!(seen.contains(&State::KernelOnly));
}

#[test]
fn a_board_that_refuses_has_a_kernel_and_a_dead_network_of_ours_says_nothing() {
    let mut heard = healthy(0.3, 60.0);
    for miss in 0..5 {
        heard.missed(at(65.0 + 5.0 * f64::from(miss)), Miss::Refused);
    }
    assert_eq!(heard.state(at(86.0)), State::KernelOnly);
    let mut heard = healthy(0.3, 60.0);
    for miss in 0..500 {
        heard.missed(at(65.0 + 5.0 * f64::from(miss)), Miss::OwnNetwork);
    }
    assert_eq!(heard.state(at(2600.0)), State::Alive);
    for (said, miss) in [
        (
            "ssh: connect to host 10.0.0.7 port 22: Connection refused",
            Miss::Refused,
        ),
        (
            "ssh: connect to host 10.0.0.7 port 22: Network is unreachable",
            Miss::OwnNetwork,
        ),
        (
            "ssh: Could not resolve hostname ampere: Temporary failure in name resolution",
            Miss::OwnNetwork,
        ),
        (
            "ssh: connect to host 10.0.0.7 port 22: No route to host",
            Miss::Silent,
        ),
        ("Connection timed out during banner exchange", Miss::Silent),
        ("Timeout, server 127.0.0.1 not responding.", Miss::Silent),
    ] {
        assert_eq!(Miss::of(said), miss, "{said}");
    }
}

#[test]
fn a_heart_that_was_never_heard_is_not_missed() {
    let mut heard = Heard::nothing(Pace::default(), ID);
    heard.lives(at(0.0), at(1.0));
    for miss in 0..100 {
        heard.missed(at(5.0 + 5.0 * f64::from(miss)), Miss::Silent);
    }
    assert_eq!(heard.state(at(600.0)), State::Alive);
}

#[test]
fn a_restart_and_a_panic_are_seen_at_once() {
    let banner = "\r\nU-Boot 2024.01 (Jan 01 2024 - 00:00:00 +0000)\r\n";
    let panic = "[  61.0] Kernel panic - not syncing: Fatal exception\r\n";
    for (text, expected) in [
        (
            banner,
            State::Restarted("U-Boot started on the serial line".into()),
        ),
        (
            panic,
            State::Panicked("Kernel panic - not syncing: Fatal exception".into()),
        ),
        (
            "[    0.000000] Linux version 7.3.4 (x@y)\r\n",
            State::Restarted("another kernel started on the serial line, 7.3.4".into()),
        ),
    ] {
        let mut heard = healthy(0.3, 60.0);
        assert!(line(&mut heard, 61.0, text), "a beat follows at once");
        assert!(heard.state(at(61.5)).goes_on());
        assert_eq!(heard.state(at(66.0)), expected);
    }
    // The panic's own restart does not begin its time anew.
    let mut heard = healthy(0.3, 60.0);
    line(&mut heard, 61.0, panic);
    line(&mut heard, 64.0, banner);
    assert!(matches!(heard.state(at(66.0)), State::Restarted(_)));
    assert!(!line(&mut heard, 67.0, "[   62.0] eth0: link up\r\n"));
}

#[test]
fn the_text_of_a_restart_that_the_same_boot_survives_is_somebodys_text() {
    let mut heard = healthy(0.3, 60.0);
    line(
        &mut heard,
        61.0,
        "[  61.0] test: Kernel panic - not syncing: not really\r\n",
    );
    // This one was on its way already and proves nothing; the next one does.
    heard.answered(at(60.9), at(61.2), ID);
    assert!(matches!(heard.state(at(66.0)), State::Panicked(_)));
    heard.answered(at(61.4), at(61.8), ID);
    assert_eq!(heard.state(at(66.0)), State::Alive);
}

#[test]
fn another_boot_that_answers_is_a_restart_without_any_serial_line() {
    let mut heard = healthy(0.3, 60.0);
    heard.answered(at(90.0), at(91.0), "0002");
    assert_eq!(
        heard.state(at(91.0)),
        State::Restarted("another boot answers, 0002".into())
    );
}
