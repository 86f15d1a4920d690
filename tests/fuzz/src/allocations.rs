//! A counting allocator: the cost of an input is a number, not a time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COST: Cell<Cost> = const { Cell::new(Cost { held: 0, peak: 0, allocations: 0 }) };
}

/// The allocations of a piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    held: i64,
    /// Most bytes held at a time.
    pub peak: i64,
    /// Number of allocations.
    pub allocations: u64,
}

/// Does `work`, and returns its allocations on this thread.
pub fn cost_of<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = COST.replace(Cost::default());
    let done = work();
    let cost = COST.replace(before);
    (done, cost)
}

fn took(bytes: usize) {
    // A thread that ends has no counter any more.
    let _ = COST.try_with(|cost| {
        let Cost { held, peak, allocations } = cost.get();
        let held = held + bytes as i64;
        cost.set(Cost { held, peak: peak.max(held), allocations: allocations + 1 });
    });
}

fn gave(bytes: usize) {
    let _ = COST.try_with(|cost| cost.set(Cost { held: cost.get().held - bytes as i64, ..cost.get() }));
}

#[allow(unsafe_code)]
// SAFETY: every call goes unchanged to the system's allocator; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        took(size);
        gave(layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::cost_of;

    #[test]
    fn what_is_held_at_a_time_is_counted() {
        let (kept, cost) = cost_of(|| {
            drop(vec![0u8; 5000]);
            vec![0u8; 3000]
        });
        assert_eq!((cost.peak, cost.allocations, kept.len()), (5000, 2, 3000));
    }
}
