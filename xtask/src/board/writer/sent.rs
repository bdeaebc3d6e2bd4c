//! What writes cost.

/// What a write sent.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sent {
    /// Files that were written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that crossed the line, compressed.
    pub wire_bytes: u64,
    /// Seconds that it took, check included.
    pub seconds: f64,
    /// What a person should know: leftovers of an interrupted write on FAT, a mount that could not be made synchronous.
    pub remarks: Vec<String>,
}

impl Sent {
    /// Adds what another write sent.
    pub fn add(&mut self, other: Sent) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.wire_bytes = self.wire_bytes.saturating_add(other.wire_bytes);
        self.seconds += other.seconds;
        self.remarks.extend(other.remarks);
    }
}
