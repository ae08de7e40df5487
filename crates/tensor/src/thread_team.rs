//! Long-lived threads that go through a computation in step.
//!
//! Handing a piece of work to a sleeping thread costs tens of microseconds, about as much as half a training step of a
//! small network. So a [`ThreadTeam`] takes all of a rayon pool's threads for many steps, and its workers meet at a
//! [`Worker::wait`], which costs a fraction of a microsecond when all arrive together.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// How often a waiting worker looks, one look after the other.
///
/// Some 15 microseconds, as long as workers of one core each are apart in a step.
const LOOKS: u32 = 1 << 10;

/// How long a waiting worker then looks and yields its core in turn, before it goes to sleep.
///
/// Sleeping at once would be worse than it seems: two workers on one core, where they begin, would take turns asleep, so that
/// the system would see one busy core and leave the other idle for good (measured: 143 microseconds a step instead of 87).
/// A worker that yields still wants a core, and gets one. If no core is available, the first yield takes milliseconds, and the
/// worker sleeps.
const YIELDING: Duration = Duration::from_micros(200);

/// A fixed number of threads that work on the same computation.
pub struct ThreadTeam {
    pool: ThreadPool,
    /// Held by the run that has the threads. Two runs at once could each take some of them and wait for the others.
    running: Mutex<()>,
}

impl ThreadTeam {
    /// A team of `threads` workers; 0 counts as 1.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let name = |index| format!("ziffer-{index}");
        let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(name).build()?;
        Ok(Self { pool, running: Mutex::new(()) })
    }

    /// The number of workers.
    pub fn size(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` once on every worker at the same time, and returns what each returned, by index.
    ///
    /// # Panics
    /// As [`run_some`](Self::run_some).
    pub fn run<R: Send>(&self, work: impl Fn(&Worker<'_>) -> R + Sync) -> Vec<R> {
        self.run_some(self.size(), work)
    }

    /// Runs `work` on the first `workers` only, at least one and at most all; to the work it is a team of that size.
    ///
    /// The calling thread is the first worker, so that only the other threads have to be woken. Runs of several threads
    /// on one team take turns.
    ///
    /// # Panics
    /// With the message of the first worker that panics; [`Worker::wait`] of the others panics too. If a worker calls it
    /// for its own team, which would wait for itself.
    pub fn run_some<R: Send>(&self, workers: usize, work: impl Fn(&Worker<'_>) -> R + Sync) -> Vec<R> {
        let _turn = self.take_turn();
        let workers = workers.clamp(1, self.size());
        let barrier = Barrier::new(workers);
        let worker = |index| {
            let _inside = Inside::enter(self);
            let worker = Worker { index, barrier: &barrier };
            // All have begun before any works: one that waits for rayon meanwhile must not be given another's whole work.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                worker.wait();
                work(&worker)
            }));
            outcome.map_err(|payload| barrier.fail(payload)).ok()
        };
        let mut results: Vec<Option<R>> = (0..workers).map(|_| None).collect();
        if let [first, others @ ..] = results.as_mut_slice() {
            self.pool.in_place_scope(|scope| {
                for (index, result) in (1..).zip(others) {
                    let worker = &worker;
                    scope.spawn(move |_| *result = worker(index));
                }
                *first = worker(0);
            });
        }
        if let Some(payload) = barrier.first_panic() {
            resume_unwind(payload);
        }
        results.into_iter().map(|result| result.expect("every worker has returned")).collect()
    }

    /// Waits until no other run has the threads.
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        assert!(
            !Inside::is_in(self),
            "a worker of a team starts a run of its own team, which would wait for itself"
        );
        // A thread of the pool must not sleep here: the run that it waits for may need it.
        if self.pool.current_thread_index().is_some() {
            loop {
                match self.running.try_lock() {
                    Ok(turn) => return turn,
                    Err(TryLockError::Poisoned(turn)) => return turn.into_inner(),
                    Err(TryLockError::WouldBlock) => {
                        if self.pool.yield_now() != Some(rayon::Yield::Executed) {
                            std::thread::yield_now();
                        }
                    }
                }
            }
        }
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with rayon's parallel iterators on this team's threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl std::fmt::Debug for ThreadTeam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadTeam").field("size", &self.size()).finish()
    }
}

/// One thread of a team while it works.
#[derive(Debug)]
pub struct Worker<'a> {
    index: usize,
    barrier: &'a Barrier,
}

impl Worker<'_> {
    /// Which worker this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many workers there are.
    pub fn count(&self) -> usize {
        self.barrier.size
    }

    /// This worker's share of `0..n`; those of all workers are disjoint, of nearly the same length, and cover it.
    pub fn share(&self, n: usize) -> Range<usize> {
        let (whole, rest, count) = (n / self.count(), n % self.count(), self.count());
        // n index / count, whose product could be too large.
        let at = |index: usize| whole * index + rest * index / count;
        at(self.index)..at(self.index + 1)
    }

    /// Waits until all workers wait here. What any of them wrote before, all see after.
    ///
    /// # Panics
    /// If another worker has panicked.
    pub fn wait(&self) {
        self.barrier.wait();
    }
}

/// A barrier at which workers look for a bounded time, then yield for a bounded time, then sleep.
#[derive(Debug)]
struct Barrier {
    size: usize,
    arrived: AtomicUsize,
    /// How many times all have met.
    met: AtomicUsize,
    /// Whether a worker has panicked, and will never arrive.
    broken: AtomicBool,
    /// What the first worker that panicked says.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The same as text, for the others.
    reason: OnceLock<String>,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    fn new(size: usize) -> Self {
        Self {
            size,
            arrived: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            panic: Mutex::new(None),
            reason: OnceLock::new(),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    fn wait(&self) {
        if self.size == 1 {
            return;
        }
        // Nobody can bring `met` further before this worker has arrived.
        let before = self.met.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            // Sequentially consistent, as is the sleepers' look at `met` after they have counted themselves: either
            // they see the new value or this worker sees them.
            self.met.store(before.wrapping_add(1), Ordering::SeqCst);
            self.wake_sleepers();
        } else {
            self.wait_for_change(before);
        }
        // A panic after a barrier does not fail that barrier.
        if self.met.load(Ordering::Acquire) == before {
            let reason = self.reason.get().map_or("", String::as_str);
            panic!("another worker of the team has panicked: {reason}");
        }
    }

    /// Takes note of a worker's panic, and releases the others from where they wait.
    fn fail(&self, payload: Box<dyn Any + Send>) {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or(payload.downcast_ref::<&str>().copied());
            let _ = self.reason.set(text.unwrap_or("its message is no text").to_owned());
            *first = Some(payload);
        }
        drop(first);
        self.broken.store(true, Ordering::SeqCst);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }

    /// What the first worker that panicked left.
    fn first_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_over(&self, before: usize, order: Ordering) -> bool {
        self.met.load(order) != before || self.broken.load(order)
    }

    fn wait_for_change(&self, before: usize) {
        for _ in 0..LOOKS {
            if self.is_over(before, Ordering::Acquire) {
                return;
            }
            std::hint::spin_loop();
        }
        let since = Instant::now();
        while since.elapsed() < YIELDING {
            if self.is_over(before, Ordering::Acquire) {
                return;
            }
            std::thread::yield_now();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while !self.is_over(before, Ordering::SeqCst) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Taken, so that a sleeper is either waiting or has not looked yet.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }
}

/// Marks the thread as a worker of a team while it lives.
struct Inside(*const ThreadTeam);

thread_local! {
    static TEAM: Cell<*const ThreadTeam> = const { Cell::new(ptr::null()) };
}

impl Inside {
    fn enter(team: &ThreadTeam) -> Self {
        Self(TEAM.replace(ptr::from_ref(team)))
    }

    fn is_in(team: &ThreadTeam) -> bool {
        ptr::eq(TEAM.get(), team)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        TEAM.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for size in [1, 2, 3, 8] {
            let team = ThreadTeam::new(size).unwrap();
            for n in [0, 1, 5, 16, 33] {
                let shares = team.run(|worker| worker.share(n));
                assert_eq!(
                    shares.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
                    (0..n).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn shares_of_any_number_are_disjoint() {
        let shares = ThreadTeam::new(3).unwrap().run(|worker| worker.share(usize::MAX));
        assert_eq!((shares[0].start, shares[2].end), (0, usize::MAX));
        assert!(shares[0].end == shares[1].start && shares[1].end == shares[2].start);
    }

    #[test]
    fn some_of_a_team_are_a_smaller_team() {
        let team = ThreadTeam::new(4).unwrap();
        for (asked, expected) in [(0, 1), (1, 1), (3, 3), (4, 4), (9, 4)] {
            let seen = team.run_some(asked, |worker| {
                worker.wait();
                (worker.index(), worker.count())
            });
            assert_eq!(seen, (0..expected).map(|index| (index, expected)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn members_keep_step_with_and_without_sleep() {
        for size in [2, 3, 8] {
            let team = ThreadTeam::new(size).unwrap();
            let counters: Vec<AtomicUsize> = (0..size).map(|_| AtomicUsize::new(0)).collect();
            team.run(|worker| {
                // Miri takes a thousand times as long.
                for round in 1..=if cfg!(miri) { 4 } else { 400 } {
                    if round % 100 == 0 && worker.index() == 0 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    counters[worker.index()].store(round, Ordering::Relaxed);
                    worker.wait();
                    assert!(counters.iter().all(|counter| counter.load(Ordering::Relaxed) == round));
                    worker.wait();
                }
            });
        }
    }

    #[test]
    fn a_panic_releases_the_others_and_reaches_the_caller() {
        for (size, culprit) in [(1, 0), (3, 0), (3, 1), (3, 2)] {
            let team = ThreadTeam::new(size).unwrap();
            let heard = Mutex::new(Vec::new());
            let work = || {
                team.run(|worker| {
                    assert!(worker.index() != culprit, "worker {culprit} gives up");
                    let outcome = catch_unwind(AssertUnwindSafe(|| worker.wait()));
                    heard.lock().unwrap().push(outcome.unwrap_err());
                })
            };
            let payload = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
            let expected = format!("worker {culprit} gives up");
            assert_eq!(payload.downcast_ref::<String>(), Some(&expected));
            let heard = heard.into_inner().unwrap();
            assert_eq!(heard.len(), size - 1, "every other worker is released");
            for payload in heard {
                assert!(payload.downcast_ref::<String>().unwrap().ends_with(&expected));
            }
            let seen = team.run(|worker| (worker.index(), worker.count()));
            assert_eq!(seen, (0..size).map(|index| (index, size)).collect::<Vec<_>>());
        }
    }

    /// Each of several runs would get some of the threads, and wait for the others for ever.
    #[test]
    fn runs_of_several_threads_take_turns() {
        let team = ThreadTeam::new(4).unwrap();
        let run = || {
            for _ in 0..50 {
                team.run(|worker| {
                    worker.wait();
                    std::thread::yield_now();
                    worker.wait();
                });
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(run);
                scope.spawn(|| team.install(run));
            }
        });
    }

    #[test]
    fn a_member_cannot_start_a_run_of_its_team() {
        let team = ThreadTeam::new(2).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            team.run(|worker| {
                if worker.index() == 1 {
                    team.run(|_| ());
                }
                worker.wait();
            })
        }));
        assert!(outcome.unwrap_err().downcast_ref::<&str>().unwrap().contains("its own team"));
        // Another team's is no problem.
        let other = ThreadTeam::new(2).unwrap();
        assert_eq!(team.run(|_| other.run(|worker| worker.share(2)).len()), [2, 2]);
    }
}
