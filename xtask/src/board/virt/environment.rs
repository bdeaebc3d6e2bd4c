//! U-Boot's environment: what `printenv` says, and the bytes that U-Boot reads from flash.
//!
//! The environment is written from here rather than with `saveenv`: writing flash buffers does not work with every pair of
//! U-Boot and QEMU ("Flash buffer write timeout"), reading does. The format is that of U-Boot's `include/env_internal.h`
//! without redundancy: a little-endian CRC-32 of all that follows, then `name=value` strings, each with a NUL at its end, then
//! one more NUL, then padding to a size that was fixed when U-Boot was built.

use anyhow::{Context, Result, bail};

/// Size of the checksum in front, bytes.
const CHECKSUM: usize = 4;

/// Variables in U-Boot's order, and the room that there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(String, String)>,
    /// Bytes behind the checksum.
    room: usize,
}

impl Environment {
    /// From the output of `printenv`, which ends with `Environment size: USED/ROOM bytes`. Errors: that line is missing,
    /// or the variables do not add up to it (something was lost on the way).
    pub fn parse(printed: &str) -> Result<Self> {
        let mut variables = Vec::new();
        let mut lines = printed.lines().map(|line| line.trim_end_matches('\r'));
        for line in lines.by_ref() {
            if let Some(sizes) = line.strip_prefix("Environment size: ") {
                let (used, room) = sizes_of(sizes).with_context(|| format!("reading {line:?}"))?;
                let environment = Environment { variables, room };
                let got = environment.strings().len();
                if got != used {
                    bail!("U-Boot's variables have {got} bytes, and it says that they have {used}");
                }
                return Ok(environment);
            }
            if let Some((name, value)) = line.split_once('=') {
                variables.push((name.to_string(), value.to_string()));
            }
        }
        bail!("U-Boot did not say the size of its environment")
    }

    /// Value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_string(), value.to_string()));
    }

    /// The bytes for the flash. Errors: more variables than room.
    pub fn image(&self) -> Result<Vec<u8>> {
        let mut bytes = self.strings();
        if bytes.len() > self.room {
            bail!(
                "U-Boot's environment has {} bytes, and there is room for {}",
                bytes.len(),
                self.room
            );
        }
        bytes.resize(self.room, 0);
        let mut image = crc32(&bytes).to_le_bytes().to_vec();
        image.extend(bytes);
        Ok(image)
    }

    fn strings(&self) -> Vec<u8> {
        let strings = self
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\0"));
        let mut bytes = strings.collect::<String>().into_bytes();
        bytes.push(0);
        bytes
    }
}

/// `USED/ROOM bytes`.
fn sizes_of(text: &str) -> Option<(usize, usize)> {
    let (used, room) = text.strip_suffix(" bytes")?.split_once('/')?;
    let room: usize = room.parse().ok()?;
    // A sector of flash is a power of two.
    room.checked_add(CHECKSUM)?
        .is_power_of_two()
        .then_some((used.parse().ok()?, room))
}

/// CRC-32 as in zlib (reflected, polynomial 0xedb88320), which is U-Boot's `crc32()`.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str =
        "printenv\r\narch=arm\r\nbootcmd=if a=b; then c; fi\r\n\r\nEnvironment size: 37/60 bytes\r\n=> ";

    #[test]
    fn what_is_printed_is_what_is_read() {
        let environment = Environment::parse(PRINTED).unwrap();
        assert_eq!(environment.get("arch"), Some("arm"));
        assert_eq!(environment.get("bootcmd"), Some("if a=b; then c; fi"));
        assert_eq!(environment.get("fdt_addr_r"), None);
    }

    #[test]
    fn a_lost_character_is_noticed() {
        let error = Environment::parse(&PRINTED.replace("then c", "thenc"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "U-Boot's variables have 36 bytes, and it says that they have 37"
        );
        assert!(Environment::parse("arch=arm\r\n=> ").is_err());
    }

    #[test]
    fn the_image_has_checksum_strings_and_padding() {
        let mut environment = Environment::parse(PRINTED).unwrap();
        environment.set("arch", "arm64");
        let image = environment.image().unwrap();
        assert_eq!(image.len(), 64);
        assert_eq!(image[..4], crc32(&image[4..]).to_le_bytes());
        assert!(image[4..].starts_with(b"bootcmd=if a=b; then c; fi\0arch=arm64\0\0"));
        environment.set("long", &"x".repeat(60));
        assert!(environment.image().is_err());
    }

    #[test]
    fn the_checksum_is_zlibs() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
