//! The memory of a call.
//!
//! Each call has a fresh instance, which ends with the call: nothing that a call leaves behind costs anybody anything. What counts
//! is that memory is quickly had, and that what is freed is used again, since the memory of a call is bounded.
//! So blocks have classes of size. A block that is freed goes on the list of its class, from which the next one of that class is
//! taken; else a block is cut from the end of what is used. Blocks are neither joined nor split. One that is the last can grow where
//! it is, as the text of a pod does while it is written.
//!
//! A general allocator joins what is freed, for processes that live for months: with the one before (talc 5.1), a fifth of all fuel
//! of a step of the CNPG strategy was in it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

/// What all blocks are aligned to, and multiples of.
const UNIT: usize = 16;
/// Up to this size there is a class for each multiple of [`UNIT`].
const SMALL: usize = 1 << SMALL_BITS;
const SMALL_BITS: u32 = 10;
/// Above it there are so many classes for each doubling, so that at most an eighth of a block is unused.
const STEPS_BITS: u32 = 3;
/// Classes of small blocks, and of all up to 4 GiB.
const SMALL_CLASSES: usize = SMALL / UNIT;
const CLASSES: usize = SMALL_CLASSES + ((32 - SMALL_BITS) << STEPS_BITS) as usize;
/// Memory is grown by at least this much, where it can be: each time is a call of the host's kernel.
const GROWTH: usize = 256 << 10;

/// Where memory comes from: one stretch, which grows at its end.
pub trait Memory {
    /// Returns where the stretch begins.
    fn begin(&self) -> *mut u8;
    /// Has the stretch grow to at least so many bytes, and returns how many it has; `None` if it cannot.
    fn grow(&self, bytes: usize) -> Option<usize>;
}

/// An allocator over a stretch of memory, for one thread.
pub struct Classes<M> {
    memory: M,
    state: UnsafeCell<State>,
}

/// Offsets are those in the stretch.
struct State {
    /// Bytes that were cut.
    used: usize,
    /// Bytes that there are.
    size: usize,
    /// The first free block of each class; each has the next in its first word.
    free: [*mut u8; CLASSES],
}

// SAFETY: components have one thread, and there is no other use of this as a static.
#[cfg(target_arch = "wasm32")]
unsafe impl<M> Sync for Classes<M> {}

impl<M> Classes<M> {
    /// An allocator that has cut nothing yet.
    #[must_use]
    pub const fn new(memory: M) -> Self {
        let state = State { used: 0, size: 0, free: [ptr::null_mut(); CLASSES] };
        Self { memory, state: UnsafeCell::new(state) }
    }
}

/// Returns the class of a size, and the size of its blocks; `None` of what no memory can have.
#[inline]
fn class(size: usize) -> Option<(usize, usize)> {
    if size <= SMALL {
        let class = size.saturating_sub(1) / UNIT;
        return Some((class, (class + 1) * UNIT));
    }
    // Sizes in (2^n, 2^(n+1)] in steps of 2^(n-3).
    let doubling = usize::BITS - 1 - (size - 1).leading_zeros();
    let step = doubling - STEPS_BITS;
    let steps = ((size - 1) >> step) + 1;
    let class =
        SMALL_CLASSES + ((doubling - SMALL_BITS) << STEPS_BITS) as usize + (steps - (1 << STEPS_BITS) - 1);
    (class < CLASSES).then_some((class, steps << step))
}

impl<M: Memory> Classes<M> {
    /// Has the memory grow to this much at least, and returns whether it has it.
    #[cold]
    #[inline(never)]
    fn grow(&self, state: &mut State, used: usize) -> bool {
        let wanted = used.saturating_add(GROWTH);
        match self.memory.grow(wanted).or_else(|| self.memory.grow(used)) {
            Some(size) => {
                state.size = size;
                true
            }
            None => false,
        }
    }

    #[inline]
    fn cut(&self, state: &mut State, size: usize, align: usize) -> *mut u8 {
        // SAFETY: the offset is within the stretch.
        let at = unsafe { self.memory.begin().add(state.used) };
        let gap = at.align_offset(align);
        let Some(used) = state.used.checked_add(gap).and_then(|used| used.checked_add(size)) else {
            return ptr::null_mut();
        };
        if used > state.size && !self.grow(state, used) {
            return ptr::null_mut();
        }
        state.used = used;
        // SAFETY: the stretch has `used` bytes.
        unsafe { at.add(gap) }
    }
}

// SAFETY: a block is either cut, and then `used` has passed it, or taken from a list, and then it is no longer on it. Lists hold only
// what was freed, each block on the list of a class whose blocks are no larger than it is.
unsafe impl<M: Memory> GlobalAlloc for Classes<M> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and nothing here calls the allocator.
        let state = unsafe { &mut *self.state.get() };
        if layout.align() > UNIT {
            return self.cut(state, layout.size().next_multiple_of(UNIT), layout.align());
        }
        let Some((class, size)) = class(layout.size()) else { return ptr::null_mut() };
        let first = state.free[class];
        if first.is_null() {
            return self.cut(state, size, UNIT);
        }
        // SAFETY: a free block has the next one in its first word.
        state.free[class] = unsafe { first.cast::<*mut u8>().read() };
        first
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // What is aligned to more is rare, and is not used again.
        if layout.align() > UNIT {
            return;
        }
        let Some((class, _)) = class(layout.size()) else { return };
        // SAFETY: as in `alloc`. The block has at least the size of a word.
        unsafe {
            let state = &mut *self.state.get();
            block.cast::<*mut u8>().write(state.free[class]);
            state.free[class] = block;
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the layout is as valid as that of the block, whose alignment it has.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if layout.align() <= UNIT
            && let (Some((_, before)), Some((_, now))) = (class(layout.size()), class(size))
        {
            if now <= before && now * 2 > before {
                return block;
            }
            // SAFETY: one thread, and nothing here calls the allocator. The last block ends where nothing is used.
            unsafe {
                let state = &mut *self.state.get();
                if now > before && block.add(before) == self.memory.begin().add(state.used) {
                    let used = state.used + (now - before);
                    if used <= state.size || self.grow(state, used) {
                        state.used = used;
                        return block;
                    }
                    return ptr::null_mut();
                }
            }
        }
        // SAFETY: both blocks have the bytes that are copied, and the old one is no longer used.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// The linear memory of a component, behind its data and its stack.
#[cfg(target_arch = "wasm32")]
#[derive(Clone, Copy, Debug)]
pub struct Linear;

#[cfg(target_arch = "wasm32")]
impl Memory for Linear {
    #[inline]
    fn begin(&self) -> *mut u8 {
        unsafe extern "C" {
            /// Where the linker's layout ends; aligned to 16 bytes.
            static __heap_base: u8;
        }
        (&raw const __heap_base).cast_mut()
    }

    fn grow(&self, bytes: usize) -> Option<usize> {
        use core::arch::wasm32::{memory_grow, memory_size};
        const PAGE: usize = 64 << 10;
        let begin = self.begin() as usize;
        let pages = begin.checked_add(bytes)?.div_ceil(PAGE);
        let there = memory_size::<0>();
        if pages > there && memory_grow::<0>(pages - there) == usize::MAX {
            return None;
        }
        Some(pages.max(there) * PAGE - begin)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A stretch of so many bytes, which grows page by page.
    struct Stretch {
        bytes: Vec<u128>,
        grown: Cell<usize>,
    }

    impl Stretch {
        fn of(bytes: usize) -> Classes<Self> {
            Classes::new(Self { bytes: vec![0; bytes / UNIT], grown: Cell::new(0) })
        }
    }

    impl Memory for Stretch {
        fn begin(&self) -> *mut u8 {
            self.bytes.as_ptr().cast::<u8>().cast_mut()
        }

        fn grow(&self, bytes: usize) -> Option<usize> {
            let there = self.bytes.len() * UNIT;
            self.grown.set(self.grown.get() + 1);
            (bytes <= there).then(|| bytes.next_multiple_of(4096).min(there))
        }
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    fn used(classes: &Classes<Stretch>) -> usize {
        // SAFETY: nothing else uses it now.
        unsafe { (*classes.state.get()).used }
    }

    #[test]
    fn a_block_is_no_smaller_than_asked_and_at_most_an_eighth_larger() {
        let mut last = None;
        for size in (1..5000).chain([1 << 20, (1 << 20) + 1, (8 << 20) - 1, 64 << 20]) {
            let (class, block) = class(size).expect("a class");
            assert!(block >= size && block.is_multiple_of(UNIT), "{size}: {block}");
            assert!(block - size < UNIT.max(size / 7), "{size}: {block}");
            assert!(class < CLASSES, "{size}");
            assert!(
                last.is_none_or(|(before, of)| class >= before && (class > before) == (block > of)),
                "{size}"
            );
            last = Some((class, block));
        }
        assert_eq!(class(usize::MAX), None);
    }

    #[test]
    fn blocks_that_live_do_not_overlap_and_keep_their_bytes() {
        let classes = Stretch::of(8 << 20);
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below as u64).expect("small")
        };
        let whole = |(block, layout, mark): &(*mut u8, Layout, u8)| {
            // SAFETY: the block lives, and has the bytes of its layout.
            let bytes = unsafe { std::slice::from_raw_parts(*block, layout.size()) };
            assert!(bytes.iter().all(|byte| byte == mark), "{layout:?}");
        };
        for step in 0..20_000_u32 {
            let mark = step.to_le_bytes()[0];
            let size = 1 + next(if step % 10 == 0 { 20_000 } else { 300 });
            match next(5) {
                0 | 1 => {
                    let layout = layout(size, 1 << next(7));
                    // SAFETY: the layout has a size, and the bytes that are written are the block's.
                    unsafe {
                        let block = classes.alloc(layout);
                        assert!(!block.is_null() && block.addr().is_multiple_of(layout.align()));
                        block.write_bytes(mark, layout.size());
                        live.push((block, layout, mark));
                    }
                }
                2 | 3 if !live.is_empty() => {
                    let freed = live.swap_remove(next(live.len()));
                    whole(&freed);
                    // SAFETY: it lives, and is not used after this.
                    unsafe { classes.dealloc(freed.0, freed.1) };
                }
                _ if !live.is_empty() => {
                    let at = next(live.len());
                    let (block, before, old) = live[at];
                    // SAFETY: it lives; what is checked and written are bytes of the new block.
                    unsafe {
                        let moved = classes.realloc(block, before, size);
                        assert!(!moved.is_null());
                        whole(&(moved, layout(size.min(before.size()), 1), old));
                        moved.write_bytes(mark, size);
                        live[at] = (moved, layout(size, before.align()), mark);
                    }
                }
                _ => {}
            }
        }
        live.iter().for_each(whole);
    }

    #[test]
    fn what_is_freed_is_used_again() {
        let classes = Stretch::of(1 << 20);
        // SAFETY: each block is freed once, and with its layout.
        unsafe {
            let block = classes.alloc(layout(100, 8));
            let cut = used(&classes);
            for _ in 0..1000 {
                let other = classes.alloc(layout(40, 8));
                classes.dealloc(other, layout(40, 8));
            }
            assert_eq!(used(&classes), cut + 48);
            classes.dealloc(block, layout(100, 8));
            assert_eq!(classes.alloc(layout(110, 8)), block, "it is of the same class");
        }
    }

    #[test]
    fn the_last_block_grows_where_it_is_and_memory_grows_seldom() {
        let classes = Stretch::of(4 << 20);
        // SAFETY: each block has the layout that it is given.
        unsafe {
            let (mut block, mut size) = (classes.alloc(layout(8, 1)), 8);
            let first = block;
            while size < 1 << 20 {
                block = classes.realloc(block, layout(size, 1), size * 2);
                size *= 2;
            }
            assert_eq!(block, first);
            assert_eq!(used(&classes), 1 << 20, "nothing was left behind");
            assert!(classes.memory.grown.get() <= 5, "{}", classes.memory.grown.get());
        }
    }

    #[test]
    fn where_memory_ends_there_is_no_block_and_smaller_ones_are_still_had() {
        let classes = Stretch::of(64 << 10);
        // SAFETY: the layouts have a size.
        unsafe {
            assert!(classes.alloc(layout(65 << 10, 1)).is_null());
            let block = classes.alloc(layout(60 << 10, 1));
            assert!(!block.is_null(), "less than memory is grown by otherwise");
            assert!(classes.realloc(block, layout(60 << 10, 1), 80 << 10).is_null());
            assert!(!classes.alloc(layout(1 << 10, 1)).is_null());
        }
    }
}
