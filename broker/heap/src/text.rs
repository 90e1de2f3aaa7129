//! The pages that hold the program's own code.

use core::ffi::{c_int, c_void};
use core::ops::Range;
use core::ptr;

/// From asm-generic/mman-common.h, the same for all architectures but alpha.
const MADV_DONTNEED: c_int = 4;

#[allow(unsafe_code, reason = "the compiler cannot know what is declared here")]
unsafe extern "C" {
    fn madvise(start: *mut c_void, length: usize, advice: c_int) -> c_int;
}

/// Gives back the pages of the mapping that this very function is in.
pub(crate) fn give_back() {
    let here = (give_back as *const ()).addr();
    if let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps")
        && let Some(pages) = unchanged_code(&smaps, here)
    {
        drop_pages(&pages);
    }
}

#[allow(unsafe_code, reason = "the range is one of whole pages that hold nothing but what is in a file")]
fn drop_pages(pages: &Range<usize>) {
    // SAFETY: the pages are a private mapping of a file that nobody can write to and nobody has changed: whatever is read
    // from them afterwards is the same. It is advice: when it fails, nothing has happened.
    let _ = unsafe { madvise(ptr::without_provenance_mut(pages.start), pages.len(), MADV_DONTNEED) };
}

/// The mapping of code at an address; `None`: there is none, it is of no file, or something in it was changed since it was
/// mapped, as a debugger does.
///
/// `smaps`: of proc(5).
fn unchanged_code(smaps: &str, at: usize) -> Option<Range<usize>> {
    let mut lines = smaps.lines().skip_while(|line| !range(line).is_some_and(|range| range.contains(&at)));
    let head = lines.next()?;
    // Range, rights, offset, device, inode.
    let mut words = head.split_ascii_whitespace().skip(1);
    let (rights, inode) = (words.next()?, words.nth(2)?);
    let mut figures = lines.take_while(|line| range(line).is_none());
    let changed = figures.find_map(|line| line.strip_prefix("Anonymous:"))?;
    let is_unchanged = rights == "r-xp" && inode != "0" && changed.trim() == "0 kB";
    range(head).filter(|_| is_unchanged)
}

/// The addresses of a mapping, if a line begins one.
fn range(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some(address(start)?..address(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d000000000-55d000001000 r--p 00000000 fe:00 42   /usr/bin/usp-broker
Pss:                   4 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d000001000-55d000003000 r-xp 00001000 fe:00 42   /usr/bin/usp broker
Pss:                   8 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
Anonymous:             4 kB
";

    #[test]
    fn only_code_of_a_file_that_nobody_has_changed_is_given_back() {
        let code = 0x55d0_0000_1000..0x55d0_0000_3000;
        assert_eq!(unchanged_code(SMAPS, 0x55d0_0000_2fff), Some(code));
        for other in [0x55d0_0000_0fff, 0x55d0_0000_3000, 0x7f00_0000_0000] {
            assert_eq!(unchanged_code(SMAPS, other), None, "{other:#x}");
        }
        let changed = SMAPS.replacen(
            "Anonymous:             0 kB\nVmFlags: rd ex",
            "Anonymous:  4 kB\nVmFlags: rd ex",
            1,
        );
        assert_eq!(unchanged_code(&changed, 0x55d0_0000_2fff), None);
        let of_no_file = SMAPS.replace("fe:00 42   /usr/bin/usp broker", "00:00 0");
        assert_eq!(unchanged_code(&of_no_file, 0x55d0_0000_2fff), None);
        assert_eq!(unchanged_code("", 1), None);
    }

    #[test]
    fn the_code_runs_on_after_its_pages_were_given_back() {
        let resident = || {
            let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let here = (give_back as *const ()).addr();
            let code = unchanged_code(&smaps, here).expect("this program's own code");
            let head = smaps.lines().skip_while(|line| range(line) != Some(code.clone()));
            let kb = head.skip(1).find_map(|line| line.strip_prefix("Rss:")).unwrap();
            kb.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident();
        give_back();
        let after = resident();
        assert!(after < before, "{after} of {before} kB");
    }
}
