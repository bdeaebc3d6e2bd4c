//! The id of a boot, checked: it becomes a file's name and a word of a command.

use serde::Serialize;

/// The id that a kernel makes at each boot (random(4), `boot_id`): 32 lower-case hexadecimal digits, as the journal writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// An id with or without its dashes. `None`: it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = match text.len() {
            36 => text.replace('-', ""),
            _ => text.to_string(),
        };
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (digits.len() == 32 && digits.bytes().all(is_digit)).then_some(BootId(digits))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BootId {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits_and_nothing_else() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(BootId::parse(id).unwrap().as_str(), id);
        let dashed = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(BootId::parse(dashed), BootId::parse(id));
        for bad in [
            "",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdef0",
            "0123456789ABCDEF0123456789abcdef",
            "../../../../tmp/x/../../../../..",
            "$(reboot)$(reboot)$(reboot)$(re)",
            "------------------------------------",
            "0123456789abcdef0123456789abcde\u{ff11}",
        ] {
            assert_eq!(BootId::parse(bad), None, "{bad}");
        }
    }
}
