use super::*;
use crate::{finder, kind::Kind, reader};

const ABBA: &str = include_str!("../tests/logs/abba.log");
const RECURSIVE: &str = include_str!("../tests/logs/recursive.log");
const INCONSISTENT: &str = include_str!("../tests/logs/inconsistent.log");

fn chains(log: &str) -> Vec<LockChain> {
    finder::find(&reader::read(log.as_bytes()), "test")
        .iter()
        .filter_map(LockChain::of)
        .collect()
}

fn only(log: &str) -> LockChain {
    let mut chains = chains(log);
    assert_eq!(chains.len(), 1, "{chains:#?}");
    chains.remove(0)
}

#[test]
fn a_circle_of_two() {
    let chain = only(ABBA);
    assert_eq!(
        chain.text(),
        [
            "vim2m_fence_a → vim2m_fence_b → vim2m_fence_a",
            "vim2m_fence_b taken by take_ab() [lockstep_splat], called by splat_init() [lockstep_splat], vim2m_fence_a held",
            "vim2m_fence_a now wanted by take_ba() [lockstep_splat], called by splat_init() [lockstep_splat], vim2m_fence_b held \
             since take_ba() [lockstep_splat]",
        ]
    );
    assert!(chain.complete);
    assert_eq!(chain.task.as_deref(), Some("init/45"));
    assert_eq!(
        chain.edges[0].taken_by[0].frame,
        "take_ab+0x3c/0x60 [lockstep_splat]"
    );
    let acts: Vec<(u8, &str)> = chain
        .scenario
        .iter()
        .map(|act| (act.cpu, act.act.as_str()))
        .collect();
    assert_eq!(
        acts,
        [
            (0, "lock(vim2m_fence_b)"),
            (1, "lock(vim2m_fence_a)"),
            (1, "lock(vim2m_fence_b)"),
            (0, "lock(vim2m_fence_a)")
        ]
    );
}

#[test]
fn a_lock_within_its_own_class() {
    let chain = only(RECURSIVE);
    assert_eq!(chain.shape, Shape::Recursion);
    assert_eq!(chain.headline(), "&two[i] → &two[i]");
    assert_eq!(chain.locks.len(), 1);
    assert_eq!((chain.edges[0].held, chain.edges[0].taken), (0, 0));
    assert!(chain.complete);
}

#[test]
fn a_lock_in_an_interrupt_and_with_interrupts_on() {
    let chain = only(INCONSISTENT);
    assert_eq!(
        chain.text(),
        [
            "irq_lock",
            "irq_lock taken in softirq by tmo() [lockstep_splat], called by call_timer_fn()",
            "irq_lock now taken with softirqs on by splat_init() [lockstep_splat], called by do_one_initcall()",
        ]
    );
    assert_eq!(chain.scenario[1].act, "<Interrupt>");
    assert!(chain.scenario[2].in_interrupt && !chain.scenario[0].in_interrupt);
    assert!(chain.complete);
}

#[test]
fn a_circle_that_lost_a_link_is_told_as_incomplete() {
    let cut: String = ABBA
        .lines()
        .filter(|line| !line.contains("-> #1 "))
        .map(|line| format!("{line}\n"))
        .collect();
    let chain = only(&cut);
    assert!(!chain.complete);
    assert!(chain.text().last().unwrap().contains("missing"));
}

#[test]
fn an_interrupt_leads_through_held_locks_to_one_taken_with_interrupts_on() {
    let lines = [
        "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        "cat/77 [HC0[0]:SC0[2]:HE1:SE0] is trying to acquire:",
        "ffff0000c0a1 (&q->slow){+.+.}-{3:3}, at: push+0x10/0x80 [m]",
        "",
        "and this task is already holding:",
        "ffff0000c0b2 (&q->fast){..-.}-{3:3}, at: push+0x8/0x80 [m]",
        "which would create a new lock dependency:",
        " (&q->fast){..-.}-{3:3} -> (&q->slow){+.+.}-{3:3}",
        "",
        "but this new dependency connects a SOFTIRQ-irq-safe lock:",
        " (&q->fast){..-.}-{3:3}",
        "",
        "... which became SOFTIRQ-irq-safe at:",
        "  _raw_spin_lock+0x4c/0x68",
        "  tick+0x24/0x40 [m]",
        "",
        "to a SOFTIRQ-irq-unsafe lock:",
        " (&q->slow){+.+.}-{3:3}",
        "",
        "... which became SOFTIRQ-irq-unsafe at:",
        "...",
        "  _raw_spin_lock+0x4c/0x68",
        "  setup+0x24/0x40 [m]",
        "",
        " Possible interrupt unsafe locking scenario:",
        "",
        "       CPU0                    CPU1",
        "       ----                    ----",
        "  lock(&q->slow);",
        "                               local_irq_disable();",
        "                               lock(&q->fast);",
        "                               lock(&q->slow);",
        "  <Interrupt>",
        "    lock(&q->fast);",
        "",
        " *** DEADLOCK ***",
    ];
    let chain = read(Kind::IrqLockInversion, &lines).unwrap();
    assert_eq!(
        chain.text(),
        [
            "&q->fast → &q->slow",
            "&q->slow now wanted by push() [m], &q->fast held since push() [m]",
            "&q->fast taken in an interrupt by tick() [m]",
            "&q->slow taken with interrupts on by setup() [m]",
        ]
    );
    assert!(chain.complete);
    assert_eq!(chain.scenario.iter().filter(|act| act.cpu == 1).count(), 3);
}

#[test]
fn the_lock_that_an_interrupt_takes_had_taken_another() {
    let lines = [
        "WARNING: possible irq lock inversion dependency detected",
        "swapper/0/0 just changed the state of lock:",
        "ffff0000c0b2 (&q->fast){..-.}-{3:3}, at: tick+0x8/0x80 [m]",
        "but this lock took another, SOFTIRQ-unsafe lock in the past:",
        " (&q->slow){+.+.}-{3:3}",
        "",
        "and interrupts could create inverse lock ordering between them.",
        "other info that might help us debug this:",
        " Possible interrupt unsafe locking scenario:",
        "       CPU0                    CPU1",
        "  lock(&q->slow);",
        "  <Interrupt>",
        "    lock(&q->fast);",
        " *** DEADLOCK ***",
        "no locks held by swapper/0/0.",
        "the shortest dependencies between 2nd lock and 1st lock:",
        " -> (&q->slow){+.+.}-{3:3} {",
        "    SOFTIRQ-ON-W at:",
        "                      _raw_spin_lock+0x4c/0x68",
        "                      setup+0x24/0x40 [m]",
        "    INITIAL USE at:",
        "                     first+0x24/0x40 [m]",
        "  }",
        "  ... key      at: [<ffff800079602268>] key.1+0x0/0x8 [m]",
        "  ... acquired at:",
        "   _raw_spin_lock+0x4c/0x68",
        "   push+0x24/0x40 [m]",
        "",
        "-> (&q->fast){..-.}-{3:3} {",
        "   IN-SOFTIRQ-W at:",
        "                    tick+0x8/0x80 [m]",
        " }",
    ];
    let chain = read(Kind::IrqLockInversion, &lines).unwrap();
    assert_eq!(
        chain.text(),
        [
            "&q->fast → &q->slow",
            "&q->slow taken by push() [m], &q->fast held",
            "&q->fast now taken in an interrupt by tick() [m]",
            "&q->slow taken with softirqs on by setup() [m]",
        ]
    );
    assert!(chain.complete);
}

#[test]
fn namesakes_are_told_apart_only_where_both_are_there() {
    let class = |number| LockClass {
        name: "&x->lock".to_string(),
        number,
        subclass: Some(1),
        usage: None,
    };
    let mut chain = LockChain {
        shape: Shape::Circle,
        task: None,
        locks: vec![class(Some(2))],
        edges: Vec::new(),
        uses: Vec::new(),
        scenario: Vec::new(),
        complete: false,
    };
    assert_eq!(chain.name(0), "&x->lock/1");
    chain.locks.push(class(None));
    assert_eq!(chain.name(0), "&x->lock#2/1");
    assert_eq!(chain.name(7), "?");
}

#[test]
fn other_reports_have_no_chain() {
    assert!(read(Kind::KernelBug, &["(a){+.+.}"]).is_none());
    assert!(read::<&str>(Kind::CircularLocking, &[]).is_none());
}
