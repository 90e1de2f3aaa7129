//! Memory that is given back to the system. The one call of the workspace that is not checked by the compiler is here.

/// Gives back what was freed and lies between things that are still needed: the allocator keeps it by itself, and after a
/// start with very many devices it is a multiple of what they need. It takes milliseconds for a hundred megabytes.
///
/// Only glibc has such a call (malloc_trim(3)); with any other library this does nothing.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::malloc_trim(0);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    // The call may come at any time and from any thread: the library has locks of its own.
    #[allow(unsafe_code, reason = "the compiler cannot know what is declared here")]
    unsafe extern "C" {
        /// Leaves so many bytes at the end of the heap.
        pub(crate) safe fn malloc_trim(pad: usize) -> core::ffi::c_int;
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Bytes that are resident (proc(5), the second field of statm).
    fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    #[test]
    fn what_lies_between_things_that_are_needed_is_given_back() {
        const BLOCKS: usize = 64 * 1024;
        let blocks: Vec<Box<[u8; 1024]>> = (0..BLOCKS).map(|_| Box::new([1; 1024])).collect();
        // One of sixty-four is still needed.
        let needed: Vec<_> = blocks.into_iter().step_by(64).collect();
        let before = resident();
        give_back();
        let given = before.saturating_sub(resident());
        assert!(given > BLOCKS * 1024 / 2, "{given} of {before} bytes, with {} blocks", needed.len());
    }
}
