//! Capture: the processes of this host that write down what a board says, so that the tool can die and the log does not. They know
//! bytes, times and lines; what a board's words mean is decided by who starts them.
//! *Architecture invariant:* knows nothing of boards, kernels or campaigns. A recorder never writes to a line by itself: what it may
//! write, its [`recorder::Guard`] decides (invariant 8).

pub mod client;
pub mod control;
pub mod ethernet;
pub mod index;
pub mod line;
pub mod recorder;
pub mod rfc2217;
pub mod source;
