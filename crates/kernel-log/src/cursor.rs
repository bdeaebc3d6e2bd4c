//! Reads the start of a line step by step. A step either takes something or leaves the cursor where it was; nothing is indexed, so no
//! input can make it panic.

/// A place in a line.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor {
            rest: bytes,
            taken: 0,
        }
    }

    /// Bytes taken so far.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, which is not taken.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `count` bytes, or all that are left.
    #[inline]
    pub fn skip(&mut self, count: usize) {
        let count = count.min(self.rest.len());
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.taken = self.taken.saturating_add(count);
    }

    /// Takes these bytes.
    #[inline]
    pub fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest.starts_with(word).then(|| self.skip(word.len()))
    }

    /// Takes one byte of these.
    pub fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| bytes.contains(byte))?;
        self.skip(1);
        Some(byte)
    }

    /// Takes as many bytes as fit and gives how many.
    #[inline]
    pub fn while_in(&mut self, fits: impl Fn(u8) -> bool) -> usize {
        let count = self.rest.iter().take_while(|&&byte| fits(byte)).count();
        self.skip(count);
        count
    }

    /// Takes blanks and gives how many.
    pub fn blanks(&mut self) -> usize {
        self.while_in(|byte| byte == b' ')
    }

    /// Takes a decimal number of `least` to `most` digits (at most 18, so that it fits).
    #[inline]
    pub fn number(&mut self, least: usize, most: usize) -> Option<u64> {
        let (mut value, mut digits) = (0_u64, 0_usize);
        for &byte in self.rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            if digits == 18 {
                return None;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits = digits.wrapping_add(1);
        }
        if digits < least.max(1) || digits > most {
            return None;
        }
        self.skip(digits);
        Some(value)
    }

    /// Takes the first of these words that stands here and gives its place in the list.
    pub fn any_word(&mut self, words: &[&str]) -> Option<usize> {
        let found = words
            .iter()
            .position(|word| self.rest.starts_with(word.as_bytes()))?;
        self.skip(words.get(found).map_or(0, |word| word.len()));
        Some(found)
    }

    /// Takes a word without blanks of at most `most` bytes, not empty.
    pub fn token(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = self
            .rest
            .iter()
            .take_while(|&&byte| byte != b' ' && byte != b'\t')
            .count();
        let token = self
            .rest
            .get(..length)
            .filter(|token| (1..=most).contains(&token.len()))?;
        self.skip(length);
        Some(token)
    }
}
