#![no_main]

#[path = "../../xtask/tests/hostile_input/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::call("inventory", bytes));
