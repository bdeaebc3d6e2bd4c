//! Whole logs of real kernels, in every layout, against the answers that stand with them in `tests/logs`.

mod board;
mod carried;
mod dumps;
mod fixtures;
mod kinds;
mod layouts;
