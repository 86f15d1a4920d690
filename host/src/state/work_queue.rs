//! A work queue: which object is reconciled next, and which objects are being reconciled.
//!
//! An object is in the queue once, however often it is added, and is never reconciled twice at once. Results go first: a
//! Job that has ended does not wait behind a thousand runs that have not begun. Within a priority, namespaces take turns, and no
//! namespace has all places: a tenant with ten thousand runs does not hold up another one.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use backstay_core::fair::FairQueue;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The longest sleep of a consumer: tokio's timers do not take the years until a far slot of a Plan.
const LONGEST_SLEEP: Duration = Duration::from_hours(24);
/// Every so many times the object that was added first is next, whatever its priority: none waits without end.
const FAIR_TURN: u64 = 4;

/// What a queue holds.
pub trait Queued: Clone + Eq + Hash {
    /// Who shares the queue.
    type Party: Clone + Eq + Hash;

    /// Returns whose object it is: the namespace.
    fn party(&self) -> Self::Party;
}

/// The order in which objects are reconciled. Within a priority parties take turns, and the objects of a party keep the order in
/// which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A run has a result, or an object that it waits for changed.
    Result,
    /// Everything else.
    Continue,
    /// A run that has not begun.
    Begin,
}

/// When to reconcile an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Action {
    requeue_after: Option<Duration>,
}

impl Action {
    /// After this duration, or when the object is added before.
    pub const fn requeue(after: Duration) -> Self {
        Self { requeue_after: Some(after) }
    }

    /// When the object is added.
    pub const fn await_change() -> Self {
        Self { requeue_after: None }
    }
}

/// A work queue with one consumer.
pub struct WorkQueue<T: Queued> {
    schedule: Mutex<Schedule<T>>,
    added: Notify,
}

impl<T: Queued> WorkQueue<T> {
    /// An empty queue, of which at most `concurrency` objects are reconciled at once.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        Self { schedule: Mutex::new(Schedule::new(concurrency)), added: Notify::new() }
    }

    /// Adds an object. An object that is being reconciled is reconciled again afterwards; a requeue of the object that is
    /// due later is dropped.
    pub fn add(&self, object: T, priority: Priority) {
        self.schedule.lock().add(object, priority);
        self.added.notify_one();
    }

    /// Returns whether the object is queued, due later, or being reconciled.
    #[must_use]
    pub fn has(&self, object: &T) -> bool {
        let schedule = self.schedule.lock();
        schedule.places.contains_key(object) || schedule.running.contains_key(object)
    }

    /// Returns the next object to reconcile, if there is one and the concurrency permits it. The consumer then calls
    /// [`WorkQueue::done`]. An object whose requeue is due gets the priority that `priority` returns for it.
    pub fn next(&self, priority: impl Fn(&T) -> Priority) -> Option<T> {
        self.schedule.lock().next(Instant::now(), priority)
    }

    /// Ends the reconciliation of an object.
    pub fn done(&self, object: &T, action: Action) {
        // A moment that the clock cannot represent never comes.
        let due = action.requeue_after.and_then(|after| Instant::now().checked_add(after));
        self.schedule.lock().done(object, due);
    }

    /// Waits until an object is added or the requeue of one is due. May return earlier.
    pub async fn changed(&self) {
        let sleep = self.schedule.lock().next_due().map(|due| due.saturating_duration_since(Instant::now()));
        let sleep = sleep.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        let _ = tokio::time::timeout(sleep, self.added.notified()).await;
    }
}

/// The state of a queue. Takes the time from its callers.
struct Schedule<T: Queued> {
    concurrency: usize,
    /// Numbers objects and requeues in the order in which they come.
    added: u64,
    taken: u64,
    ready: [FairQueue<T::Party, T>; PRIORITIES.len()],
    requeues: BTreeMap<(Instant, u64), T>,
    /// Where each object is that is ready or requeued.
    places: HashMap<T, Place>,
    running: HashMap<T, Running>,
    running_of: HashMap<T::Party, RunningOf>,
}

const PRIORITIES: [Priority; 3] = [Priority::Result, Priority::Continue, Priority::Begin];

enum Place {
    Ready((Priority, u64)),
    Requeued((Instant, u64)),
}

struct Running {
    priority: Priority,
    /// The priority with which the object was added meanwhile.
    again: Option<Priority>,
}

/// How many objects of a party are being reconciled, and how many of them begin.
#[derive(Clone, Copy, Default)]
struct RunningOf {
    all: usize,
    beginning: usize,
}

impl<T: Queued> Schedule<T> {
    fn new(concurrency: usize) -> Self {
        Self {
            concurrency,
            added: 0,
            taken: 0,
            ready: std::array::from_fn(|_| FairQueue::default()),
            requeues: BTreeMap::new(),
            places: HashMap::new(),
            running: HashMap::new(),
            running_of: HashMap::new(),
        }
    }

    fn ready(&mut self, priority: Priority) -> &mut FairQueue<T::Party, T> {
        &mut self.ready[priority as usize]
    }

    fn add(&mut self, object: T, priority: Priority) {
        if let Some(running) = self.running.get_mut(&object) {
            running.again = Some(running.again.map_or(priority, |again| again.min(priority)));
            return;
        }
        match self.places.get(&object) {
            Some(Place::Ready((before, _))) if *before <= priority => return,
            Some(Place::Ready((before, number))) => {
                let (before, number) = (*before, *number);
                self.ready(before).remove(&object.party(), number);
            }
            Some(Place::Requeued(place)) => drop(self.requeues.remove(place)),
            None => {}
        }
        let number = self.number();
        self.ready(priority).push(object.party(), number, object.clone());
        self.places.insert(object, Place::Ready((priority, number)));
    }

    fn next(&mut self, now: Instant, priority: impl Fn(&T) -> Priority) -> Option<T> {
        while let Some(requeue) = self.requeues.first_entry().filter(|requeue| requeue.key().0 <= now) {
            let object = requeue.remove();
            self.places.remove(&object);
            let priority = priority(&object);
            self.add(object, priority);
        }
        if self.running.len() >= self.concurrency {
            return None;
        }
        let (priority, party, number) = self.first()?;
        let object = self.ready(priority).take(&party, number)?;
        self.taken += 1;
        self.places.remove(&object);
        let of_party = self.running_of.entry(party).or_default();
        of_party.all += 1;
        of_party.beginning += usize::from(priority == Priority::Begin);
        self.running.insert(object.clone(), Running { priority, again: None });
        Some(object)
    }

    /// Returns the next object: its priority, its party and its number.
    fn first(&self) -> Option<(Priority, T::Party, u64)> {
        let fair_turn = (self.taken + 1).is_multiple_of(FAIR_TURN);
        let may_begin = self.beginning() < self.may_begin();
        let priorities = PRIORITIES.into_iter().filter(|priority| may_begin || *priority != Priority::Begin);
        let mut first = priorities.filter_map(|priority| {
            let queue = &self.ready[priority as usize];
            let may = |party: &T::Party| self.may_run(priority, party);
            let (party, number) = if fair_turn { queue.oldest(may)? } else { queue.peek(may)? };
            Some((priority, party, number))
        });
        if fair_turn { first.min_by_key(|(_, _, number)| *number) } else { first.next() }
    }

    fn may_run(&self, priority: Priority, party: &T::Party) -> bool {
        let of_party = self.running_of.get(party).copied().unwrap_or_default();
        of_party.all < self.most_of_party()
            && (priority != Priority::Begin || of_party.beginning < self.most_beginning_of_party())
    }

    /// Returns how many objects of one party are reconciled at once: a quarter of the places is left to the others.
    fn most_of_party(&self) -> usize {
        self.concurrency - self.concurrency / 4
    }

    /// Returns how many runs of one party begin at once: the other half of the places is left to its own results, and to others.
    fn most_beginning_of_party(&self) -> usize {
        (self.concurrency / 2).max(1)
    }

    fn done(&mut self, object: &T, requeue: Option<Instant>) {
        let ended = self.running.remove(object);
        if let Some(ended) = &ended {
            self.party_ended(object.party(), ended.priority);
        }
        let again = ended.and_then(|running| running.again);
        if let Some(priority) = again {
            self.add(object.clone(), priority);
        } else if let Some(due) = requeue {
            let place = (due, self.number());
            self.requeues.insert(place, object.clone());
            self.places.insert(object.clone(), Place::Requeued(place));
        }
    }

    fn party_ended(&mut self, party: T::Party, priority: Priority) {
        let Entry::Occupied(mut running) = self.running_of.entry(party) else { return };
        let of_party = running.get_mut();
        of_party.all -= 1;
        of_party.beginning -= usize::from(priority == Priority::Begin);
        if of_party.all == 0 {
            running.remove();
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.requeues.first_key_value().map(|((due, _), _)| *due)
    }

    /// Returns how many runs may be beginning at once. A quarter of the concurrency is left to results, which then need not
    /// wait for a slow beginning. While results are recorded, runs begin one at a time: an API server that is busy answers
    /// everybody late.
    fn may_begin(&self) -> usize {
        let results = self.running.values().any(|running| running.priority == Priority::Result);
        if results { 1 } else { self.concurrency - self.concurrency / 4 }
    }

    fn beginning(&self) -> usize {
        self.running.values().filter(|running| running.priority == Priority::Begin).count()
    }

    fn number(&mut self) -> u64 {
        self.added += 1;
        self.added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each object is that of another party.
    impl Queued for u32 {
        type Party = u32;

        fn party(&self) -> u32 {
            *self
        }
    }

    /// A namespace and an object in it.
    impl Queued for (&'static str, u32) {
        type Party = &'static str;

        fn party(&self) -> &'static str {
            self.0
        }
    }

    /// A schedule of which four are reconciled at once: three that begin, or one beside results.
    struct Given {
        schedule: Schedule<u32>,
        now: Instant,
    }

    impl Given {
        fn new() -> Self {
            Self { schedule: Schedule::new(4), now: Instant::now() }
        }

        fn added(mut self, priority: Priority, objects: impl IntoIterator<Item = u32>) -> Self {
            objects.into_iter().for_each(|object| self.schedule.add(object, priority));
            self
        }

        fn next(&mut self) -> Option<u32> {
            self.schedule.next(self.now, |_| Priority::Continue)
        }

        /// Takes as many as may run at once.
        fn taken(&mut self) -> Vec<u32> {
            std::iter::from_fn(|| self.next()).collect()
        }
    }

    #[test]
    fn objects_of_one_priority_are_taken_in_their_order_and_no_more_than_may_run_at_once() {
        let mut given = Given::new().added(Priority::Continue, [5, 3, 9, 1, 7]);
        assert_eq!(given.taken(), [5, 3, 9, 1]);
        given.schedule.done(&3, None);
        assert_eq!(given.taken(), [7]);
    }

    #[test]
    fn an_object_is_queued_once_with_its_highest_priority() {
        let mut given = Given::new()
            .added(Priority::Begin, [1, 2])
            .added(Priority::Result, [2])
            .added(Priority::Begin, [2]);
        assert_eq!(given.next(), Some(2));
        given.schedule.done(&2, None);
        assert_eq!(given.taken(), [1]);
    }

    #[test]
    fn an_object_that_is_being_reconciled_is_taken_again_once_afterwards() {
        let mut given = Given::new().added(Priority::Begin, [1]);
        assert_eq!(given.taken(), [1]);
        let mut given = given.added(Priority::Begin, [1]).added(Priority::Result, [1]);
        assert_eq!(given.next(), None);
        // It is added already: what its reconcile asked for comes later, and is dropped.
        given.schedule.done(&1, Some(given.now + Duration::from_secs(1)));
        assert_eq!(given.schedule.next_due(), None);
        assert_eq!(given.taken(), [1]);
        given.schedule.done(&1, None);
        assert_eq!(given.next(), None);
        assert!(given.schedule.places.is_empty() && given.schedule.running.is_empty());
    }

    #[test]
    fn a_requeue_is_taken_when_it_is_due_unless_the_object_was_added_before() {
        let second = Duration::from_secs(1);
        let mut given = Given::new().added(Priority::Continue, [1, 2]);
        assert_eq!(given.taken(), [1, 2]);
        given.schedule.done(&1, Some(given.now + second));
        given.schedule.done(&2, Some(given.now + 2 * second));
        assert_eq!(given.schedule.next_due(), Some(given.now + second));
        let mut given = given.added(Priority::Continue, [1]);
        assert_eq!(given.taken(), [1]);
        given.schedule.done(&1, None);
        assert_eq!(given.schedule.next_due(), Some(given.now + 2 * second));
        given.now += 2 * second;
        assert_eq!(given.taken(), [2]);
        assert_eq!(given.schedule.next_due(), None);
    }

    #[test]
    fn a_requeue_that_is_due_gets_the_priority_of_its_object() {
        let mut given = Given::new().added(Priority::Result, [1]);
        assert_eq!(given.taken(), [1]);
        given.schedule.done(&1, Some(given.now));
        let mut given = given.added(Priority::Begin, [2]);
        assert_eq!(given.schedule.next(given.now, |_| Priority::Begin), Some(2));
    }

    #[test]
    fn a_result_is_taken_at_once_while_a_thousand_runs_begin() {
        let mut given = Given::new().added(Priority::Begin, 0..1000);
        assert_eq!(given.taken(), [0, 1, 2]);
        let mut given = given.added(Priority::Result, [7000]);
        assert_eq!(given.taken(), [7000]);
    }

    #[test]
    fn while_results_are_recorded_runs_begin_one_at_a_time() {
        let mut given = Given::new().added(Priority::Begin, 0..1000).added(Priority::Result, [7000]);
        assert_eq!(given.taken(), [7000, 0]);
        given.schedule.done(&7000, None);
        assert_eq!(given.taken(), [1, 2]);
    }

    #[test]
    fn no_object_waits_without_end_while_results_come() {
        let mut given = Given::new().added(Priority::Begin, [1]).added(Priority::Result, 2..100);
        let taken: Vec<u32> = (0..4).filter_map(|_| given.next()).collect();
        assert_eq!(taken, [2, 3, 4, 1]);
    }

    #[test]
    fn a_concurrency_of_one_is_enough_for_everything() {
        let mut schedule = Schedule::new(1);
        let now = Instant::now();
        schedule.add(1, Priority::Begin);
        schedule.add(2, Priority::Result);
        assert_eq!(schedule.next(now, |_| Priority::Begin), Some(2));
        schedule.done(&2, None);
        assert_eq!(schedule.next(now, |_| Priority::Begin), Some(1));
    }

    fn of(
        namespace: &'static str,
        objects: std::ops::Range<u32>,
    ) -> impl Iterator<Item = (&'static str, u32)> {
        objects.map(move |object| (namespace, object))
    }

    /// Takes objects, and ends the reconcile of each before the next is taken.
    fn one_by_one<T: Queued>(schedule: &mut Schedule<T>, objects: usize) -> Vec<T> {
        let now = Instant::now();
        let next = || {
            let object = schedule.next(now, |_| Priority::Begin)?;
            schedule.done(&object, None);
            Some(object)
        };
        std::iter::from_fn(next).take(objects).collect()
    }

    #[test]
    fn t6_ten_thousand_runs_of_one_namespace_hold_up_no_run_of_another() {
        let mut schedule = Schedule::new(16);
        of("hostile", 0..10_000).for_each(|run| schedule.add(run, Priority::Begin));
        of("other", 0..3).for_each(|run| schedule.add(run, Priority::Begin));
        let taken = one_by_one(&mut schedule, 10);
        let places: Vec<_> = (0..taken.len()).filter(|i| taken[*i].0 == "other").collect();
        assert_eq!(places.len(), 3, "{taken:?}");
        assert!(places[2] <= 7, "every fourth is the oldest: {taken:?}");
    }

    #[test]
    fn t6_reconciles_of_one_namespace_that_do_not_end_leave_places_for_the_others() {
        for (concurrency, of_hostile) in [(1, 1), (2, 2), (4, 3), (16, 12)] {
            let mut schedule = Schedule::new(concurrency);
            of("hostile", 0..100).for_each(|run| schedule.add(run, Priority::Result));
            let now = Instant::now();
            let taken = |schedule: &mut Schedule<_>| {
                std::iter::from_fn(|| schedule.next(now, |_| Priority::Result)).collect::<Vec<_>>()
            };
            assert_eq!(taken(&mut schedule).len(), of_hostile, "{concurrency}");
            of("other", 0..100).for_each(|run| schedule.add(run, Priority::Begin));
            let others = taken(&mut schedule);
            assert_eq!(others.is_empty(), concurrency < 4, "{concurrency}: {others:?}");
        }
    }

    #[test]
    fn t6_runs_of_one_namespace_that_begin_leave_places_for_its_results() {
        let mut schedule = Schedule::new(16);
        of("a", 0..100).for_each(|run| schedule.add(run, Priority::Begin));
        let now = Instant::now();
        let taken = std::iter::from_fn(|| schedule.next(now, |_| Priority::Begin)).count();
        assert_eq!(taken, 8);
        schedule.add(("a", 1000), Priority::Result);
        assert_eq!(schedule.next(now, |_| Priority::Begin), Some(("a", 1000)));
        schedule.done(&("a", 1000), None);
        assert!(schedule.running_of.values().all(|of_party| (of_party.all, of_party.beginning) == (8, 8)));
    }

    #[tokio::test]
    async fn the_consumer_is_woken_by_an_addition_and_by_a_requeue_that_is_due() {
        let queue = WorkQueue::new(1);
        queue.add(1, Priority::Continue);
        queue.changed().await;
        assert_eq!(queue.next(|_| Priority::Continue), Some(1));
        let (began, after) = (Instant::now(), Duration::from_millis(5));
        queue.done(&1, Action::requeue(after));
        while queue.next(|_| Priority::Continue).is_none() {
            queue.changed().await;
        }
        assert!(began.elapsed() >= after);
        queue.done(&1, Action::requeue(Duration::MAX));
        assert_eq!(queue.next(|_| Priority::Continue), None);
    }
}
