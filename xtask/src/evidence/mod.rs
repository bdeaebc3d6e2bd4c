//! What the kernel said: capture, kernel-log records, findings, pstore records, baseline.
//! *Architecture invariant:* knows nothing of boards, trees or campaigns.
