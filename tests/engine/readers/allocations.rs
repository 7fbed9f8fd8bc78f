//! The allocator of this test program: the system's, counting what each thread asks of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    // Constant and without a destructor, so that using it allocates nothing and is possible at any time.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

fn add(len: usize) {
    COUNT.with(|count| count.set(count.get() + 1));
    BYTES.with(|bytes| bytes.set(bytes.get() + len as u64));
}

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        add(new_len);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, new_len) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often this thread asked for memory while `work` ran.
pub(crate) fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// How many bytes this thread asked for while `work` ran, those it gave back included.
#[allow(dead_code, reason = "benchmarks use this file, too, and only count")]
pub(crate) fn bytes(work: impl FnOnce()) -> u64 {
    let before = BYTES.get();
    work();
    BYTES.get() - before
}

#[test]
fn allocations_of_this_thread_and_no_other_are_counted() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(7)))), 1);
    assert_eq!(count(|| ()), 0);
    assert_eq!(bytes(|| drop(std::hint::black_box(vec![0u8; 1000]))), 1000);
    let (start, started) = std::sync::mpsc::sync_channel::<()>(0);
    let other = std::thread::spawn(move || started.iter().for_each(|()| drop(std::hint::black_box(vec![1; 100]))));
    let seen = count(|| (0..10).for_each(|_| start.send(()).unwrap()));
    drop(start);
    other.join().unwrap();
    // Blocking in the channel may cost this thread something of its own, but not a vector a turn.
    assert!(seen < 10, "{seen} allocations");
}
