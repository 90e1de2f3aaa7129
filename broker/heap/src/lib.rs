//! Memory that is given back to the system. What the workspace does without the compiler's checks is here: calls of the C
//! library.

#[cfg(target_os = "linux")]
mod text;

/// Has all threads allocate from one heap. To be called before there are threads.
///
/// The allocator makes a heap for each thread otherwise, up to eight for each processor, and what one thread has freed
/// helps no other: with two threads of a runtime, each comes to need nearly as much as both.
///
/// Only glibc has several (mallopt(3), `M_ARENA_MAX`); with any other library this does nothing.
pub fn share_one() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::mallopt(glibc::M_ARENA_MAX, 1);
}

/// Gives back what is not needed now:
///
/// - What was freed and lies between things that are still needed. The allocator keeps it by itself, and after a
///   start with very many devices it is a multiple of what they need. It takes milliseconds for a hundred megabytes.
///   Only glibc has such a call (malloc_trim(3)); with any other library this is left out.
/// - The pages of the program's own code, of which a start needs most and what follows only some. They are those of the
///   file, and come back from the system's cache, or from the file, when they are next run.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::malloc_trim(0);
    #[cfg(target_os = "linux")]
    text::give_back();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use core::ffi::c_int;

    /// From malloc.h.
    pub(crate) const M_ARENA_MAX: c_int = -8;

    // The calls may come at any time and from any thread: the library has locks of its own.
    #[allow(unsafe_code, reason = "the compiler cannot know what is declared here")]
    unsafe extern "C" {
        /// Leaves so many bytes at the end of the heap.
        pub(crate) safe fn malloc_trim(pad: usize) -> c_int;
        /// Sets a parameter of the allocator.
        pub(crate) safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
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

    #[test]
    fn the_library_takes_the_order_to_have_one_heap() {
        assert_eq!(glibc::mallopt(glibc::M_ARENA_MAX, 1), 1);
    }
}
