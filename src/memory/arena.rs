//! A bounded arena of secret keys, on pages of their own.
//!
//! ```text
//! ┌────────────┬──────────────────────────────────────────────┬────────────┐
//! │ guard page │ slot 0 │ slot 1 │ slot 2 │ …  whole pages    │ guard page │
//! │ no access  │  64 B  │  64 B  │        │                   │ no access  │
//! └────────────┴──────────────────────────────────────────────┴────────────┘
//! ```
//!
//! The pages come from memfd_secret(2) where the kernel has it: it takes them out of its own map, so
//! that not even root reads them through /proc/PID/mem. Elsewhere they are locked into memory and left
//! out of core dumps. Where locking is refused as well (RLIMIT_MEMLOCK), the arena works all the same
//! and says so ([`Arena::protection`]); the operator decides whether that is good enough. Children do
//! not inherit the pages.
//!
//! A key is written once and read often, never changed; a slot is one cache line, so two keys never
//! share one. When the arena is full, storing fails: the caller evicts, or refuses. Nothing falls back
//! to ordinary memory unseen.
//!
//! This is the only module with `unsafe`.
#![expect(unsafe_code, reason = "mapping, locking and addressing raw pages")]

use std::ffi::c_void;
use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use zeroize::Zeroize;

const SLOT_BYTES: usize = 64;
/// 64 MiB of keys: far beyond every lock limit, and small enough that no size below overflows.
const SLOTS_MAX: usize = 1 << 20;

/// How well the arena's pages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// memfd_secret: locked, and out of the kernel's own reach.
    Secret,
    /// Locked into memory and left out of core dumps.
    Locked,
    /// Left out of core dumps, but may be swapped: locking was refused.
    Plain,
}

/// Every slot holds a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key arena is full")]
pub struct ArenaFull;

/// A bounded store of 32-byte keys. Clones share it.
#[derive(Clone, Debug)]
pub struct Arena(Arc<Inner>);

struct Inner {
    pages: Pages,
    slots: usize,
    free: Mutex<Vec<usize>>,
}

impl Arena {
    /// An arena of at least one and at most 2^20 slots.
    pub fn new(slots: usize) -> std::io::Result<Self> {
        let slots = slots.clamp(1, SLOTS_MAX);
        let pages = Pages::map(slots * SLOT_BYTES)?;
        // Reversed, so that slots are handed out from the front.
        let free = Mutex::new((0..slots).rev().collect());
        Ok(Self(Arc::new(Inner { pages, slots, free })))
    }

    /// Copies `key` into a slot of its own. The caller wipes what it copied from.
    pub fn store(&self, key: &[u8; 32]) -> Result<ArenaKey, ArenaFull> {
        let slot = self.0.free().pop().ok_or(ArenaFull)?;
        // SAFETY: `address` is valid for 32 bytes. The slot was free until now, so no `ArenaKey` and
        // hence no reference to it exists, and no one else can take it: it is off the list.
        unsafe { self.0.address(slot).write(*key) };
        Ok(ArenaKey { arena: Arc::clone(&self.0), slot })
    }

    pub fn protection(&self) -> Protection {
        self.0.pages.protection
    }

    pub fn slots(&self) -> usize {
        self.0.slots
    }

    pub fn slots_in_use(&self) -> usize {
        self.0.slots - self.0.free().len()
    }
}

impl Inner {
    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        // The list is whole even if a thread died holding it: each change is one push or pop.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first byte of a slot: valid for reads and writes of 32 bytes as long as `self` lives.
    fn address(&self, slot: usize) -> *mut [u8; 32] {
        debug_assert!(slot < self.slots);
        // SAFETY: slots come from the free list, so `slot < self.slots` and the offset stays within
        // the `slots * SLOT_BYTES` bytes that were mapped.
        unsafe { self.pages.data.as_ptr().add(slot * SLOT_BYTES).cast() }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protection, slots) = (self.pages.protection, self.slots);
        f.debug_struct("Inner").field("protection", &protection).field("slots", &slots).finish()
    }
}

// SAFETY: the pages belong to no thread. A slot is written only by `store` and by the drop of its one
// `ArenaKey`, when no reference to it can exist; in between it is only read.
unsafe impl Send for Inner {}
// SAFETY: as above; the free list is behind a mutex.
unsafe impl Sync for Inner {}

/// A key in an [`Arena`]. Dropping it zeroes the slot and frees it.
pub struct ArenaKey {
    arena: Arc<Inner>,
    slot: usize,
}

impl ArenaKey {
    pub fn expose(&self) -> &[u8; 32] {
        // SAFETY: the slot was written by `store`, belongs to this key alone and is not written again
        // before the key is dropped, which the returned borrow outlaws.
        unsafe { &*self.arena.address(self.slot) }
    }
}

impl Drop for ArenaKey {
    fn drop(&mut self) {
        // SAFETY: `&mut self` says that no reference from `expose` is left.
        unsafe { &mut *self.arena.address(self.slot) }.zeroize();
        self.arena.free().push(self.slot);
    }
}

impl fmt::Debug for ArenaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArenaKey(..)")
    }
}

/// Mapped pages between two guard pages; unmapped when dropped.
struct Pages {
    /// The mapping with its guards.
    whole: NonNull<u8>,
    whole_bytes: usize,
    /// What lies between the guards.
    data: NonNull<u8>,
    protection: Protection,
}

impl Pages {
    fn map(bytes: usize) -> std::io::Result<Self> {
        // Every way secret memory can fail (no such call, switched off at boot, RLIMIT_MEMLOCK) is
        // answered the same.
        Self::secret(bytes).or_else(|_| Self::ordinary(bytes)).map_err(Into::into)
    }

    /// memfd_secret(2) pages.
    fn secret(bytes: usize) -> rustix::io::Result<Self> {
        // SAFETY: the call takes flags and returns a descriptor or -1; it touches no memory.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or(rustix::io::Errno::NOSYS)?;
        // SAFETY: the descriptor is new and nobody else's. The mapping outlives it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let (page, data_bytes, whole_bytes) = layout(bytes);
        rustix::fs::ftruncate(&fd, whole_bytes as u64)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let whole = unsafe {
            rustix::mm::mmap(ptr::null_mut(), whole_bytes, access, MapFlags::SHARED, &fd, 0)
        }?;
        let pages = Self::own(whole, whole_bytes, page, Protection::Secret)?;
        // SAFETY: the guards are the first and the last page of our own mapping, and nothing refers
        // to them. Then each data page is touched, so that a machine without memory for them fails
        // here and not in the middle of a request.
        unsafe {
            let last = pages.data.as_ptr().add(data_bytes);
            rustix::mm::mprotect(whole, page, MprotectFlags::empty())?;
            rustix::mm::mprotect(last.cast(), page, MprotectFlags::empty())?;
            rustix::mm::madvise(whole, whole_bytes, Advice::LinuxDontFork)?;
            pages.data.as_ptr().write_bytes(0, data_bytes);
        }
        Ok(pages)
    }

    /// Anonymous pages, kept out of swap and dumps as far as allowed.
    fn ordinary(bytes: usize) -> rustix::io::Result<Self> {
        let (page, data_bytes, whole_bytes) = layout(bytes);
        // SAFETY: as above. Nothing in it is accessible yet.
        let whole = unsafe {
            let (none, flags) = (ProtFlags::empty(), MapFlags::PRIVATE);
            rustix::mm::mmap_anonymous(ptr::null_mut(), whole_bytes, none, flags)
        }?;
        let mut pages = Self::own(whole, whole_bytes, page, Protection::Plain)?;
        let data = pages.data.as_ptr().cast();
        // SAFETY: the pages between the guards of our own mapping, which nothing refers to. The
        // advice changes what dumps and children see, not the memory.
        unsafe {
            rustix::mm::mprotect(data, data_bytes, MprotectFlags::READ | MprotectFlags::WRITE)?;
            rustix::mm::madvise(data, data_bytes, Advice::LinuxDontDump)?;
            rustix::mm::madvise(data, data_bytes, Advice::LinuxDontFork)?;
            if rustix::mm::mlock(data, data_bytes).is_ok() {
                pages.protection = Protection::Locked;
            }
        }
        Ok(pages)
    }

    /// Takes over a fresh mapping of at least three pages; every later error unmaps it.
    fn own(
        whole: *mut c_void,
        whole_bytes: usize,
        page: usize,
        protection: Protection,
    ) -> rustix::io::Result<Self> {
        let whole = NonNull::new(whole.cast::<u8>()).ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: one page into a mapping of at least three.
        let data = unsafe { whole.add(page) };
        Ok(Self { whole, whole_bytes, data, protection })
    }
}

/// The sizes of one page, of the pages that hold `bytes`, and of these with a guard on each side.
fn layout(bytes: usize) -> (usize, usize, usize) {
    let page = rustix::param::page_size();
    let data_bytes = bytes.max(1).next_multiple_of(page);
    (page, data_bytes, data_bytes + 2 * page)
}

impl Drop for Pages {
    fn drop(&mut self) {
        // Every key zeroed its slot before: a key keeps its arena alive.
        // SAFETY: the mapping is ours and whole, and no key refers to it any more. An error would
        // mean it is not mapped; there is nothing to do about that.
        let _ = unsafe { rustix::mm::munmap(self.whole.as_ptr().cast(), self.whole_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_whole_until_the_arena_is_full() {
        let arena = Arena::new(100).unwrap();
        let keys: Vec<_> = (0..100).map(|n| arena.store(&[n; 32]).unwrap()).collect();
        assert_eq!(arena.store(&[0; 32]).unwrap_err(), ArenaFull);
        assert_eq!((arena.slots(), arena.slots_in_use()), (100, 100));
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(key.expose(), &[n as u8; 32]);
        }
        drop(keys);
        assert_eq!(arena.slots_in_use(), 0);
        assert!(arena.store(&[1; 32]).is_ok());
    }

    #[test]
    fn a_dropped_key_is_zeroed_at_once() {
        let arena = Arena::new(1).unwrap();
        let address = arena.0.address(0);
        let key = arena.store(&[0xa5; 32]).unwrap();
        // SAFETY: the slot is mapped as long as the arena lives, and no one writes meanwhile.
        assert_eq!(unsafe { address.read() }, [0xa5; 32]);
        drop(key);
        // SAFETY: as above.
        assert_eq!(unsafe { address.read() }, [0; 32]);
    }

    #[test]
    fn a_key_outlives_the_arena_it_came_from() {
        let arena = Arena::new(1).unwrap();
        let key = arena.store(&[3; 32]).unwrap();
        drop(arena);
        assert_eq!(key.expose(), &[3; 32]);
        assert_eq!(format!("{key:?}"), "ArenaKey(..)");
    }

    #[test]
    fn threads_share_an_arena() {
        let arena = Arena::new(64).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let arena = arena.clone();
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let keys: Vec<_> = (0..8).map(|_| arena.store(&[n; 32]).unwrap()).collect();
                        assert!(keys.iter().all(|key| key.expose() == &[n; 32]));
                    }
                });
            }
        });
        assert_eq!(arena.slots_in_use(), 0);
    }

    #[test]
    fn ordinary_pages_serve_where_secret_ones_are_missing() {
        let pages = Pages::ordinary(1).unwrap();
        let page = rustix::param::page_size();
        // SAFETY: mapped for writing just now, page by page between the guards.
        unsafe { pages.data.as_ptr().write_bytes(0xff, page) };
        assert_eq!(kernel_view(&pages), (pages.protection, true));
    }

    /// What the kernel itself says: how the data pages are kept, and whether both guards are shut.
    fn kernel_view(pages: &Pages) -> (Protection, bool) {
        let (page, start) = (rustix::param::page_size(), pages.data.as_ptr() as usize);
        let end = start + pages.whole_bytes - 2 * page;
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let lines: Vec<_> = smaps.lines().collect();
        let line = |range: String| lines.iter().position(|line| line.starts_with(&range));
        let at = line(format!("{start:x}-{end:x} rw")).unwrap();
        let flags = lines[at..].iter().find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.contains(" dc") && flags.contains(" dd"), "no copy, no dump: {flags}");
        let protection = match () {
            () if lines[at].contains("secretmem") => Protection::Secret,
            () if flags.contains(" lo") => Protection::Locked,
            () => Protection::Plain,
        };
        // The kernel may show a guard as one with its inaccessible neighbour.
        let shut = |guard: usize| {
            lines.iter().any(|line| {
                let (range, rest) = line.split_once(' ').unwrap_or_default();
                let number = |text| usize::from_str_radix(text, 16).ok();
                let (from, to) = range.split_once('-').unwrap_or_default();
                rest.starts_with("---")
                    && number(from).is_some_and(|from| from <= guard)
                    && number(to).is_some_and(|to| to >= guard + page)
            })
        };
        (protection, shut(start - page) && shut(end))
    }

    #[test]
    fn the_kernel_agrees_about_the_protection() {
        let arena = Arena::new(1000).unwrap();
        assert_eq!(kernel_view(&arena.0.pages), (arena.protection(), true));
        if arena.protection() == Protection::Secret {
            // Not even this process reads its own secret pages through the kernel.
            let memory = std::fs::File::open("/proc/self/mem").unwrap();
            let address = arena.0.address(0) as u64;
            let read = std::os::unix::fs::FileExt::read_at(&memory, &mut [0; 32], address);
            assert!(read.is_err());
        }
    }
}
