//! Gives back the program text that only the start needed. The kernel maps 16 pages around each one
//! that is touched, so that after a start nearly all of the text counts as resident, some 8 of the 12
//! MiB of a small site; what runs afterwards is a fraction of it.

use std::fs;
use std::io;
use std::ptr::with_exposed_provenance_mut;

use rustix::mm::{Advice, madvise};

/// Unmaps all text pages; those in use come back from the page cache at once. Tells the bytes advised.
pub(super) fn give_back_text() -> io::Result<usize> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut sum = 0;
    for (start, length) in maps.lines().filter_map(text) {
        give_back(start, length)?;
        sum += length;
    }
    Ok(sum)
}

/// Where a line of proc_pid_maps(5) has text of a file: the start and the bytes. Executable pages that
/// nobody may write are those of the file, bit for bit; read-only ones may hold relocations.
fn text(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (range, rights, path) = (words.next()?, words.next()?, words.nth(3)?);
    let (start, end) = range.split_once('-')?;
    let at = |digits| usize::from_str_radix(digits, 16).ok();
    let (start, end) = (at(start)?, at(end)?);
    (rights == "r-xp" && path.starts_with('/')).then(|| Some((start, end.checked_sub(start)?)))?
}

#[expect(unsafe_code, reason = "no crate wraps this call")]
fn give_back(start: usize, length: usize) -> io::Result<()> {
    // SAFETY: the pages are a private mapping of a file that was never written through it: what is
    // dropped is read again, the same, at the next touch (madvise(2), MADV_DONTNEED).
    unsafe { madvise(with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_pages_of_files_are_given_back() {
        let check = |line: &str, expected| assert_eq!(text(line), expected, "{line}");
        let path = "08:01 131 /usr/bin/handsetd";
        check(&format!("1000-3000 r-xp 00001000 {path}"), Some((0x1000, 0x2000)));
        for rights in ["r--p", "rw-p", "rwxp", "r-xs", "---p"] {
            check(&format!("1000-3000 {rights} 00001000 {path}"), None);
        }
        for line in
            ["", "1000 r-xp 0 0 0 /x", "3000-1000 r-xp 0 0 0 /x", "1000-3000 r-xp 0 0 0 [vdso]"]
        {
            check(line, None);
        }
    }

    #[test]
    fn the_program_goes_on_without_its_text() {
        assert!(give_back_text().unwrap() > 100_000);
        assert_eq!("7".repeat(3).parse::<u32>().unwrap(), 777);
    }
}
