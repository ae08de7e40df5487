//! Thread teams: long-lived threads that synchronize at a barrier.
//!
//! Waking a sleeping thread takes tens of microseconds, about half a training step of a small network. A [`ThreadTeam`] therefore
//! keeps the threads of a rayon pool for many steps. Its workers synchronize at a barrier, [`Worker::wait`]. The barrier takes a
//! fraction of a microsecond if all workers arrive at the same time.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Iterations of the spin loop of a waiting worker.
///
/// They take about 15 microseconds. Workers that have a core each arrive at a barrier of a step within this time.
const SPINS: u32 = 1 << 10;

/// The time for which a waiting worker yields its core after the spin loop, before it parks.
///
/// Two workers start on the same core. If they parked immediately, one of them would always be parked. The scheduler would see one
/// busy core and leave the other one idle permanently (measured: 143 microseconds per step instead of 87). A worker that yields
/// stays runnable, and the scheduler moves it to an idle core. If no core is idle, the first yield takes milliseconds, and the
/// worker parks after it.
const YIELD_TIME: Duration = Duration::from_micros(200);

/// A fixed number of threads that run the same computation together.
pub struct ThreadTeam {
    pool: ThreadPool,
    /// Locked for the duration of a run. Without it, two concurrent runs could each get some of the threads and deadlock.
    run_lock: Mutex<()>,
}

impl ThreadTeam {
    /// Creates a team of `threads` workers. 0 counts as 1.
    ///
    /// # Errors
    /// If the operating system cannot create the threads.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let name = |index| format!("ziffer-{index}");
        let pool = ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(name).build()?;
        Ok(Self { pool, run_lock: Mutex::new(()) })
    }

    /// Returns the number of workers.
    pub fn size(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` once on every worker in parallel and returns the results in the order of the workers' indices.
    ///
    /// # Panics
    /// Under the conditions of [`run_some`](Self::run_some).
    pub fn run<R: Send>(&self, work: impl Fn(&Worker<'_>) -> R + Sync) -> Vec<R> {
        self.run_some(self.size(), work)
    }

    /// Runs `work` on the first `workers` workers in parallel and returns the results in the order of their indices.
    ///
    /// `workers` is clamped to `1..=size()`. [`Worker::count`] and [`Worker::share`] refer to these workers only. The calling
    /// thread is worker 0, so that only the other threads have to be woken. If several threads call this on one team, the runs
    /// follow one another.
    ///
    /// # Panics
    /// If a worker panics, with the message of the first one; [`Worker::wait`] then panics in the other workers. Also if a worker
    /// calls this on its own team, which would deadlock.
    pub fn run_some<R: Send>(&self, workers: usize, work: impl Fn(&Worker<'_>) -> R + Sync) -> Vec<R> {
        let _guard = self.lock_for_run();
        let workers = workers.clamp(1, self.size());
        let barrier = Barrier::new(workers);
        let worker = |index| {
            let _current = CurrentTeam::enter(self);
            let worker = Worker { index, barrier: &barrier };
            // `work` starts only after all workers have started: rayon may otherwise run the job of one worker to its end inside
            // a rayon call of another worker.
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                worker.wait();
                work(&worker)
            }));
            outcome.map_err(|payload| barrier.abort(payload)).ok()
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

    /// Waits until no other run uses the threads, and locks them for this run.
    fn lock_for_run(&self) -> MutexGuard<'_, ()> {
        assert!(
            !CurrentTeam::is_current(self),
            "a worker of a team starts a run of its own team, which would deadlock"
        );
        // A thread of the pool must not block here: the current run may need this thread.
        if self.pool.current_thread_index().is_some() {
            loop {
                match self.run_lock.try_lock() {
                    Ok(guard) => return guard,
                    Err(TryLockError::Poisoned(error)) => return error.into_inner(),
                    Err(TryLockError::WouldBlock) => {
                        if self.pool.yield_now() != Some(rayon::Yield::Executed) {
                            std::thread::yield_now();
                        }
                    }
                }
            }
        }
        self.run_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` inside the team's rayon pool, so that its parallel iterators use the team's threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl std::fmt::Debug for ThreadTeam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ThreadTeam").field("size", &self.size()).finish()
    }
}

/// A thread of a team during a run.
#[derive(Debug)]
pub struct Worker<'a> {
    index: usize,
    barrier: &'a Barrier,
}

impl Worker<'_> {
    /// Returns the index of this worker, in `0..count()`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the number of workers of the run.
    pub fn count(&self) -> usize {
        self.barrier.size
    }

    /// Returns this worker's contiguous part of `0..n`.
    ///
    /// The parts of all workers are disjoint and cover `0..n`. Their lengths differ by at most 1.
    pub fn share(&self, n: usize) -> Range<usize> {
        let (whole, rest, count) = (n / self.count(), n % self.count(), self.count());
        // floor(n index / count), without the product n index, which could overflow.
        let at = |index: usize| whole * index + rest * index / count;
        at(self.index)..at(self.index + 1)
    }

    /// The barrier: waits until all workers have called it. Each worker then sees all writes that any worker made before it.
    ///
    /// # Panics
    /// If another worker has panicked.
    pub fn wait(&self) {
        self.barrier.wait();
    }
}

/// A barrier. A waiting worker spins for a bounded time, then yields for a bounded time, then parks.
#[derive(Debug)]
struct Barrier {
    size: usize,
    /// The number of workers that wait in the current generation.
    arrived: AtomicUsize,
    /// The number of times that all workers have arrived. The last worker to arrive increments it, which releases the others.
    generation: AtomicUsize,
    /// Whether a worker has panicked. It will not arrive any more.
    broken: AtomicBool,
    /// The panic payload of the first worker that panicked.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// The message of that panic, which the panics of the other workers repeat.
    reason: OnceLock<String>,
    /// The number of parked workers.
    parked: AtomicUsize,
    /// The mutex of `condvar`.
    lock: Mutex<()>,
    /// Where workers park.
    condvar: Condvar,
}

impl Barrier {
    fn new(size: usize) -> Self {
        Self {
            size,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            panic: Mutex::new(None),
            reason: OnceLock::new(),
            parked: AtomicUsize::new(0),
            lock: Mutex::new(()),
            condvar: Condvar::new(),
        }
    }

    fn wait(&self) {
        if self.size == 1 {
            return;
        }
        // The generation cannot change before this worker has arrived.
        let generation = self.generation.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            // A worker that parks increments `parked` and then reads `generation`. All of these accesses are sequentially
            // consistent: either that worker reads the new generation, or this worker reads its increment and wakes it.
            self.generation.store(generation.wrapping_add(1), Ordering::SeqCst);
            self.wake_parked();
        } else {
            self.wait_for_release(generation);
        }
        // If all workers have arrived, a panic after the barrier does not make this call panic.
        if self.generation.load(Ordering::Acquire) == generation {
            let reason = self.reason.get().map_or("", String::as_str);
            panic!("another worker of the team has panicked: {reason}");
        }
    }

    /// Records the panic of a worker and breaks the barrier, which releases the waiting workers.
    fn abort(&self, payload: Box<dyn Any + Send>) {
        let mut first = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or(payload.downcast_ref::<&str>().copied());
            let _ = self.reason.set(text.unwrap_or("its payload is not a string").to_owned());
            *first = Some(payload);
        }
        drop(first);
        self.broken.store(true, Ordering::SeqCst);
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
        self.condvar.notify_all();
    }

    /// Takes the panic payload of the first worker that panicked.
    fn first_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the barrier of this generation no longer holds workers: all have arrived, or one has panicked.
    fn is_released(&self, generation: usize, order: Ordering) -> bool {
        self.generation.load(order) != generation || self.broken.load(order)
    }

    /// Spins, then yields, then parks until the barrier of this generation is released.
    fn wait_for_release(&self, generation: usize) {
        for _ in 0..SPINS {
            if self.is_released(generation, Ordering::Acquire) {
                return;
            }
            std::hint::spin_loop();
        }
        let since = Instant::now();
        while since.elapsed() < YIELD_TIME {
            if self.is_released(generation, Ordering::Acquire) {
                return;
            }
            std::thread::yield_now();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.parked.fetch_add(1, Ordering::SeqCst);
        while !self.is_released(generation, Ordering::SeqCst) {
            guard = self.condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.parked.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_parked(&self) {
        if self.parked.load(Ordering::SeqCst) > 0 {
            // A worker holds the lock from before it checks the generation until it waits on the condition variable. So once this
            // thread has had the lock, each parking worker either waits, and is notified, or reads the new generation.
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.condvar.notify_all();
        }
    }
}

/// Marks the current thread as a worker of a team until it is dropped. It holds the team that was current before.
struct CurrentTeam(*const ThreadTeam);

thread_local! {
    /// The team whose work the thread runs, or null.
    static TEAM: Cell<*const ThreadTeam> = const { Cell::new(ptr::null()) };
}

impl CurrentTeam {
    fn enter(team: &ThreadTeam) -> Self {
        Self(TEAM.replace(ptr::from_ref(team)))
    }

    fn is_current(team: &ThreadTeam) -> bool {
        ptr::eq(TEAM.get(), team)
    }
}

impl Drop for CurrentTeam {
    fn drop(&mut self) {
        TEAM.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_cover_the_range() {
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
    fn shares_of_the_largest_range_do_not_overflow() {
        let shares = ThreadTeam::new(3).unwrap().run(|worker| worker.share(usize::MAX));
        assert_eq!((shares[0].start, shares[2].end), (0, usize::MAX));
        assert!(shares[0].end == shares[1].start && shares[1].end == shares[2].start);
    }

    #[test]
    fn run_some_clamps_the_number_of_workers() {
        let team = ThreadTeam::new(4).unwrap();
        for (requested, expected) in [(0, 1), (1, 1), (3, 3), (4, 4), (9, 4)] {
            let seen = team.run_some(requested, |worker| {
                worker.wait();
                (worker.index(), worker.count())
            });
            assert_eq!(seen, (0..expected).map(|index| (index, expected)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn barrier_separates_rounds_whether_workers_spin_or_park() {
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
    fn a_panic_releases_the_other_workers_and_reaches_the_caller() {
        for (size, culprit) in [(1, 0), (3, 0), (3, 1), (3, 2)] {
            let team = ThreadTeam::new(size).unwrap();
            let payloads = Mutex::new(Vec::new());
            let work = || {
                team.run(|worker| {
                    assert!(worker.index() != culprit, "worker {culprit} gives up");
                    let outcome = catch_unwind(AssertUnwindSafe(|| worker.wait()));
                    payloads.lock().unwrap().push(outcome.unwrap_err());
                })
            };
            let payload = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
            let expected = format!("worker {culprit} gives up");
            assert_eq!(payload.downcast_ref::<String>(), Some(&expected));
            let payloads = payloads.into_inner().unwrap();
            assert_eq!(payloads.len(), size - 1, "every other worker is released");
            for payload in payloads {
                assert!(payload.downcast_ref::<String>().unwrap().ends_with(&expected));
            }
            let seen = team.run(|worker| (worker.index(), worker.count()));
            assert_eq!(seen, (0..size).map(|index| (index, size)).collect::<Vec<_>>());
        }
    }

    /// Without the lock, each run would get some of the threads and wait for the others forever.
    #[test]
    fn concurrent_runs_on_one_team_do_not_deadlock() {
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
    fn a_worker_cannot_start_a_run_of_its_own_team() {
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
        // A worker can start a run of another team.
        let other = ThreadTeam::new(2).unwrap();
        assert_eq!(team.run(|_| other.run(|worker| worker.share(2)).len()), [2, 2]);
    }
}
