//! Keeps in memory what this program uses of its own code, not all that lies around it.
//!
//! A page of a program is mapped when it is first touched, and up to 15 of its neighbours with it where the page cache has
//! them (Linux, mm/memory.c: `do_fault_around`), never past the mapping's end. Code that runs is spread thinly over code that
//! rarely does: of 10 MB of text all was resident and a tenth ran. So mappings are cut into pieces, and what only the start
//! needed is given back. The page cache still holds it: nothing is read from the flash again unless memory ran out.

#![allow(
    unsafe_code,
    reason = "the loader's list of segments and advice on memory are C calls only"
)]

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::slice;

use nix::libc;

/// A fault maps no more than this. Each piece costs the kernel some 200 bytes: of 14 MB of program, 0.4 MB.
const PIECE: usize = 8 * 1024;
/// Smaller segments are not worth a call.
const LEAST: usize = 64 * 1024;

/// Cuts what is mapped of this program and its libraries into pieces.
pub(super) fn cut() {
    for segment in segments() {
        // Every other piece is left out of core dumps, where the program's file stands in for it anyway: unlike neighbours
        // are not merged again.
        for piece in pieces(&segment).skip(1).step_by(2) {
            advise(piece, libc::MADV_DONTDUMP);
        }
    }
    give_back();
}

/// Unmaps all that was touched until now; what is used is mapped again when it is.
pub(super) fn give_back() {
    for segment in segments() {
        advise(segment, libc::MADV_DONTNEED);
    }
}

/// Its pieces, cut where addresses are multiples of [`PIECE`].
fn pieces(segment: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let (from, to) = (segment.start, segment.end);
    let first = from - from % PIECE;
    (first..to)
        .step_by(PIECE)
        .map(move |at| at.max(from)..(at + PIECE).min(to))
}

/// Whole pages of what is mapped from files and is never written, relocations included: reading it again gives the same.
fn segments() -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // SAFETY: `gather` is called before this returns and never later, with the pointer that is given here.
    unsafe { libc::dl_iterate_phdr(Some(gather), (&raw mut found).cast()) };
    found
}

/// Adds the segments of one loaded object to the list.
unsafe extern "C" fn gather(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    found: *mut c_void,
) -> c_int {
    // SAFETY: dl_iterate_phdr(3) gives a valid object, and `segments` its list, which nobody else holds.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Range<usize>>>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the object has as many program headers as it says, for as long as it is loaded.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let page = page();
    for header in headers {
        let (Ok(at), Ok(length)) = (
            usize::try_from(info.dlpi_addr.wrapping_add(header.p_vaddr)),
            usize::try_from(header.p_memsz),
        ) else {
            continue;
        };
        let read_only = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W == 0;
        if read_only && length >= LEAST {
            found.push(at - at % page..(at + length).next_multiple_of(page));
        }
    }
    0
}

/// Bytes of a page.
fn page() -> usize {
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = page
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok());
    page.unwrap_or(PIECE)
}

fn advise(piece: Range<usize>, advice: c_int) {
    // SAFETY: the range lies in a segment that was loaded from a file and is never written: whatever the advice is, reading it
    // gives what it gave before. A refusal changes nothing.
    unsafe { libc::madvise(piece.start as *mut c_void, piece.len(), advice) };
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// Nobody else reads it.
    static LARGE: [u8; 1 << 19] = [7; 1 << 19];

    /// How many bytes of its middle, which no fault beside it maps, are mapped; Documentation/admin-guide/mm/pagemap.rst: bit 63.
    fn mapped() -> usize {
        let pagemap = File::open("/proc/self/pagemap").unwrap();
        let (from, page) = (LARGE.as_ptr() as usize, page());
        let pages = (from + 8 * PIECE) / page..(from + LARGE.len() - 8 * PIECE) / page;
        let present = |at: &usize| {
            let mut entry = [0; 8];
            let place = u64::try_from(at * 8).unwrap();
            pagemap.read_exact_at(&mut entry, place).unwrap();
            u64::from_ne_bytes(entry) >> 63 == 1
        };
        pages.filter(present).count() * page
    }

    fn sum() -> usize {
        black_box(&LARGE)
            .iter()
            .map(|&byte| usize::from(byte))
            .sum()
    }

    #[test]
    fn what_is_not_used_is_not_mapped() {
        assert_eq!(sum(), 7 << 19);
        assert!(mapped() > LARGE.len() / 2);
        cut();
        assert_eq!(mapped(), 0);
        assert_eq!(black_box(&LARGE)[1 << 18], 7);
        assert!((1..=PIECE.max(page())).contains(&mapped()), "{}", mapped());
        assert_eq!(sum(), 7 << 19);
        give_back();
        assert_eq!(mapped(), 0);
        assert_eq!(sum(), 7 << 19);
    }

    #[test]
    fn pieces_cover_a_segment_once() {
        let segment = 3 * PIECE + 4096..5 * PIECE + 8192;
        let all: Vec<_> = pieces(&segment).collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].start, all[2].end), (segment.start, segment.end));
        assert!(all.windows(2).all(|two| two[0].end == two[1].start));
        assert_eq!(all[1], 4 * PIECE..5 * PIECE);
    }
}
