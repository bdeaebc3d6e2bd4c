//! What a campaign file will do wrong, told before anything boots.
//!
//! Before anything is built, the tree is looked at as it is after each patch ([`ahead`]): which
//! modules and Kconfig symbols there are, whether each patch applies, what its code hangs on. From
//! that come the mistakes of a file ([`mistakes`]) and what a new file proposes ([`proposal`]).
//! After each build, make's own records and the symbols of the build decide ([`after_build`]).

pub mod after_build;
pub mod ahead;
pub mod alternatives;
pub mod mistakes;
pub mod proposal;
pub mod skeleton;
