//! The slots for calls: [`CallSlots`] decides whose turn it is, and the calls wait here.

use std::collections::HashMap;
use std::sync::Arc;

use backstay_core::call_slots::{Call, CallSlots};
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The slots, shared by all calls.
#[derive(Clone)]
pub(super) struct Slots(Arc<Mutex<Waiting>>);

struct Waiting {
    slots: CallSlots,
    /// The calls that wait, by their numbers.
    calls: HashMap<u64, oneshot::Sender<()>>,
}

impl Waiting {
    fn grant(&mut self) {
        while let Some(number) = self.slots.grant() {
            // A call that is given up meanwhile returns its slot when it is dropped.
            if let Some(call) = self.calls.remove(&number) {
                let _ = call.send(());
            }
        }
    }
}

/// A slot, or the wait for one; dropping it returns the slot or gives up the wait.
pub(super) struct Slot {
    slots: Slots,
    call: Call,
    number: u64,
}

impl Slots {
    pub(super) fn new(slots: usize, longest_line: usize) -> Self {
        let slots = CallSlots::new(slots, longest_line);
        Self(Arc::new(Mutex::new(Waiting { slots, calls: HashMap::new() })))
    }

    /// Waits until it is the turn of a call; `None` if too many of its component wait.
    pub(super) async fn take(&self, call: Call) -> Option<Slot> {
        let (granted, turn) = oneshot::channel();
        let slot = {
            let mut waiting = self.0.lock();
            let number = waiting.slots.ask(&call)?;
            waiting.calls.insert(number, granted);
            waiting.grant();
            Slot { slots: self.clone(), call, number }
        };
        // The sender is dropped only after it has sent.
        let _ = turn.await;
        Some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut waiting = self.slots.0.lock();
        waiting.calls.remove(&self.number);
        if !waiting.slots.withdraw(&self.call, self.number) {
            waiting.slots.end(&self.call);
        }
        waiting.grant();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn call(component: &str) -> Call {
        Call { component: component.to_owned(), namespace: "n".to_owned(), restore: false }
    }

    #[tokio::test]
    async fn a_call_waits_until_a_slot_of_its_component_is_returned() {
        let slots = Slots::new(2, 3);
        let held = slots.take(call("hostile")).await;
        let waiting = slots.take(call("hostile"));
        futures::pin_mut!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none(), "half of the slots are its component's");
        let other = slots.take(call("job")).now_or_never();
        assert!(other.flatten().is_some(), "another component does not wait for it");
        drop(held);
        assert!(waiting.await.is_some());
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_takes_no_slot() {
        let slots = Slots::new(2, 3);
        let held = slots.take(call("a")).await;
        assert!(slots.take(call("a")).now_or_never().is_none(), "it waits, and is dropped");
        drop(held);
        assert!(slots.take(call("a")).now_or_never().flatten().is_some());
        assert!(slots.0.lock().calls.is_empty());
    }
}
