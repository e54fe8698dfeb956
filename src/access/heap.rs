//! Gives the memory of password hashes back to the system. Sets the allocator up, and does nothing else.

use std::sync::Once;

/// Blocks of this size and more are mapped and unmapped on their own.
const MAPPED: libc::c_int = 1024 * 1024;
/// Heaps that threads share out among themselves; more would each keep their own leftovers.
const ARENAS: libc::c_int = 2;

static SET: Once = Once::new();

/// Stops glibc from learning to keep the 19 MiB of a hash: after the first one is freed it would raise its own threshold
/// and hold such a block per thread for ever (measured: 82 MiB after twenty sign-ins, 3 MiB with this).
pub(super) fn give_back_large_blocks() {
    SET.call_once(|| {
        #[cfg(target_env = "gnu")]
        for (setting, value) in [
            (libc::M_MMAP_THRESHOLD, MAPPED),
            (libc::M_ARENA_MAX, ARENAS),
        ] {
            #[allow(
                unsafe_code,
                reason = "the C library's allocator is set by a C call only"
            )]
            // SAFETY: mallopt takes two integers, may be called at any time and from any thread, and these
            // settings change where later allocations come from, not those that exist.
            if unsafe { libc::mallopt(setting, value) } != 1 {
                tracing::warn!(setting, value, "the allocator refuses a setting");
            }
        }
    });
}
