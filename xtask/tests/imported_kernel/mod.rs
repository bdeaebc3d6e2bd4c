//! The kernel source that set-up imported.

use xtask::host::folders::Folders;
use xtask::kernel::place::Place;

/// Its place, with the work tree there. Fails, and says what to do, where `cargo xtask setup` has not been run.
pub fn place(folders: &Folders) -> Place {
    let place = Place::of(&folders.cache, None)
        .expect("no kernel source in the cache: run `cargo xtask setup` first");
    if !place.worktree.join("Makefile").is_file() {
        place.open().expect("making the work tree of the kernel");
    }
    place
}
