//! Callers as vendors' kernels print them after the time, before `CONFIG_PRINTK_CALLER` and beside it.
//!
//! ```text
//!  [2:    kworker/2:1:   77] text          Samsung: CPU, task, id; `I` before it in an interrupt
//! (2)[77:kworker/2:1]text, -(2)[77:kworker/2:1]text    MediaTek: CPU, id, task; the dash: interrupts are off
//!  c2     77 text                          Spreadtrum, Marvell: CPU, id
//! [pid:77,cpu2,kworker/2:1]text            Huawei; before it maybe [2026:11:30 01:00:00]
//! (CPU:2-pid:77:kworker) text              LG; before it maybe [2]
//! ```

use super::Caller;
use crate::cursor::Cursor;

/// Longest name of a task with what stands around it (kernel: `TASK_COMM_LEN` is 16; workers have longer descriptions).
const NAME: usize = 64;

/// Takes a vendor's caller, blanks before it included.
pub(super) fn caller(at: &mut Cursor) -> Option<Caller> {
    let mut ahead = *at;
    ahead.blanks();
    let form = [samsung, mediatek, spreadtrum, huawei, lg];
    let found = match ahead.peek()? {
        b'[' | b'(' | b'-' | b'c' | b'I' => form.iter().find_map(|form| {
            let mut here = ahead;
            form(&mut here).map(|caller| (caller, here))
        }),
        _ => None,
    };
    let (caller, after) = found?;
    *at = after;
    Some(caller)
}

/// Id 0 is the idle task of a CPU: each CPU has its own.
fn who(id: u64, cpu: u64) -> Option<Caller> {
    Some(match id {
        0 => Caller::Cpu(u32::try_from(cpu).ok()?),
        id => Caller::Task(u32::try_from(id).ok()?),
    })
}

fn samsung(at: &mut Cursor) -> Option<Caller> {
    let _ = at.word(b"I");
    at.word(b"[")?;
    let cpu = at.number(1, 3)?;
    at.word(b":")?;
    let inside = at.rest().iter().take(NAME).position(|&byte| byte == b']')?;
    let inside = at.rest().get(..inside)?;
    // A SCSI address is numbers only.
    if !inside.iter().any(u8::is_ascii_alphabetic) {
        return None;
    }
    let colon = inside.iter().rposition(|&byte| byte == b':')?;
    let mut id = Cursor::new(inside.get(colon.saturating_add(1)..)?);
    id.blanks();
    let number = id.number(1, 9)?;
    if !id.rest().is_empty() {
        return None;
    }
    at.skip(inside.len().saturating_add(1));
    who(number, cpu)
}

fn mediatek(at: &mut Cursor) -> Option<Caller> {
    let _ = at.word(b"-");
    at.word(b"(")?;
    let cpu = at.number(1, 3)?;
    at.word(b")[")?;
    let id = at.number(1, 9)?;
    at.word(b":")?;
    let end = at.rest().iter().take(NAME).position(|&byte| byte == b']')?;
    at.skip(end.saturating_add(1));
    who(id, cpu)
}

fn spreadtrum(at: &mut Cursor) -> Option<Caller> {
    at.word(b"c")?;
    let cpu = at.number(1, 2)?;
    if at.blanks() == 0 {
        return None;
    }
    let id = at.number(1, 9)?;
    (at.peek() == Some(b' ')).then_some(())?;
    who(id, cpu)
}

fn huawei(at: &mut Cursor) -> Option<Caller> {
    let mut dated = *at;
    if dated.word(b"[2").is_some() {
        dated.while_in(|byte| byte.is_ascii_digit() || b": -.".contains(&byte));
        dated.word(b"]")?;
        *at = dated;
    }
    at.word(b"[pid:")?;
    let id = at.number(1, 9)?;
    at.word(b",cpu")?;
    let cpu = at.number(1, 3)?;
    let end = at.rest().iter().take(NAME).position(|&byte| byte == b']')?;
    at.skip(end.saturating_add(1));
    who(id, cpu)
}

fn lg(at: &mut Cursor) -> Option<Caller> {
    let mut cpu_alone = *at;
    if cpu_alone.word(b"[").is_some() && cpu_alone.number(1, 2).is_some() && cpu_alone.word(b"]").is_some() {
        cpu_alone.blanks();
        if cpu_alone.peek() == Some(b'(') {
            *at = cpu_alone;
        }
    }
    at.word(b"(CPU:")?;
    let cpu = at.number(1, 3)?;
    at.word(b"-pid:")?;
    let id = at.number(1, 9)?;
    let end = at.rest().iter().take(NAME).position(|&byte| byte == b')')?;
    at.skip(end.saturating_add(1));
    who(id, cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_of_vendors() {
        let check = |text: &str, expect: Option<Caller>, rest: &str| {
            let mut at = Cursor::new(text.as_bytes());
            assert_eq!(caller(&mut at), expect, "{text}");
            assert_eq!(at.rest(), rest.as_bytes(), "{text}");
        };
        let worker = Some(Caller::Task(77));
        check("  [2:    kworker/2:1:   77] x", worker, " x");
        check("  [0:      swapper/0:    0] x", Some(Caller::Cpu(0)), " x");
        check(" I[2:    kworker/2:1:   77] x", worker, " x");
        check("(2)[77:kworker/2:1]x", worker, "x");
        check("-(2)[77:kworker/2:1]x", worker, "x");
        check(" c2     77 x", worker, " x");
        check("[pid:77,cpu2,kworker/2:1]x", worker, "x");
        check("[2026:11:30 01:00:00][pid:77,cpu2,kworker/2:1]x", worker, "x");
        check("[2] (CPU:2-pid:77:kworker) x", worker, " x");
        for text in [
            " [drm] x",
            " [1:0:0:0] x",
            " (x) y",
            " cpu0: x",
            " [",
            " [2:",
            " c1 x",
            "",
        ] {
            check(text, None, text);
        }
    }
}
