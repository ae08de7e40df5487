//! Long-lived threads that go through a computation in step.
//!
//! Handing a piece of work to a sleeping thread costs tens of microseconds, about as much as half a training step of a
//! small network. So a [`Team`] takes all of a rayon pool's threads for many steps, and its members meet at a
//! [`Member::wait`], which costs a fraction of a microsecond when all arrive together.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// How often a waiting member looks, one look after the other.
///
/// Some 15 microseconds, as long as members of one core each are apart in a step.
const LOOKS: u32 = 1 << 10;

/// How long a waiting member then looks and yields its core in turn, before it goes to sleep.
///
/// Sleeping at once would be worse than it seems: two members on one core, where they begin, would take turns asleep, so that
/// the system would see one busy core and leave the other idle for good (measured: 143 microseconds a step instead of 87).
/// A member that yields still wants a core, and is given one. Where there is none to be had, the first yield takes
/// milliseconds, and the member sleeps.
const YIELDING: Duration = Duration::from_micros(200);

/// A fixed number of threads that work on the same computation.
pub struct Team {
    pool: ThreadPool,
}

impl Team {
    /// A team of `threads` members; 0 counts as 1.
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let name = |index| format!("ziffer-{index}");
        Ok(Self { pool: ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(name).build()? })
    }

    /// The number of members.
    pub fn size(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` once on every member at the same time, and returns what each returned, by index.
    ///
    /// # Panics
    /// If a member does; the others are released from where they wait.
    pub fn run<R: Send>(&self, work: impl Fn(&Member<'_>) -> R + Sync) -> Vec<R> {
        self.run_some(self.size(), work)
    }

    /// Runs `work` on the first `members` only, at least one and at most all; to the work it is a team of that size.
    ///
    /// The calling thread is the first member, so that the others' threads are all there is to wake. Not to be called by a
    /// member.
    ///
    /// # Panics
    /// If a member does; the others are released from where they wait.
    pub fn run_some<R: Send>(&self, members: usize, work: impl Fn(&Member<'_>) -> R + Sync) -> Vec<R> {
        let members = members.clamp(1, self.size());
        let meeting = Meeting::new(members);
        let member = |index| {
            let member = Member { index, meeting: &meeting };
            let _released = ReleaseOnPanic(&meeting);
            work(&member)
        };
        let mut results: Vec<Option<R>> = (0..members).map(|_| None).collect();
        if let [first, others @ ..] = results.as_mut_slice() {
            self.pool.in_place_scope(|scope| {
                for (index, result) in (1..).zip(others) {
                    let member = &member;
                    scope.spawn(move |_| *result = Some(member(index)));
                }
                *first = Some(member(0));
            });
        }
        results.into_iter().map(|result| result.expect("every member has returned")).collect()
    }

    /// Runs `work` with rayon's parallel iterators on this team's threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Team").field("size", &self.size()).finish()
    }
}

/// One thread of a team while it works.
#[derive(Debug)]
pub struct Member<'a> {
    index: usize,
    meeting: &'a Meeting,
}

impl Member<'_> {
    /// Which member this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many members there are.
    pub fn count(&self) -> usize {
        self.meeting.size
    }

    /// This member's share of `0..n`; those of all members are disjoint, of nearly the same length, and cover it.
    pub fn share(&self, n: usize) -> Range<usize> {
        n * self.index / self.count()..n * (self.index + 1) / self.count()
    }

    /// Waits until all members wait here. What any of them wrote before, all see after.
    ///
    /// # Panics
    /// If another member has panicked.
    pub fn wait(&self) {
        self.meeting.wait();
    }
}

/// A barrier at which members look for a bounded time, then yield for a bounded time, then sleep.
#[derive(Debug)]
struct Meeting {
    size: usize,
    arrived: AtomicUsize,
    /// How many times all have met.
    met: AtomicUsize,
    /// Whether a member has panicked, and will never arrive.
    broken: AtomicBool,
    sleepers: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Meeting {
    fn new(size: usize) -> Self {
        Self {
            size,
            arrived: AtomicUsize::new(0),
            met: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    fn wait(&self) {
        if self.size == 1 {
            return;
        }
        // Nobody can bring `met` further before this member has arrived.
        let before = self.met.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.size {
            self.arrived.store(0, Ordering::Relaxed);
            // Sequentially consistent, as is the sleepers' look at `met` after they have counted themselves: either
            // they see the new value or this member sees them.
            self.met.store(before.wrapping_add(1), Ordering::SeqCst);
            self.wake_sleepers();
        } else {
            self.wait_for_change(before);
        }
        assert!(!self.broken.load(Ordering::Acquire), "another member of the team has panicked");
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

/// Tells the others when its member panics.
struct ReleaseOnPanic<'a>(&'a Meeting);

impl Drop for ReleaseOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::SeqCst);
            drop(self.0.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.0.wake.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_everything_once() {
        for size in [1, 2, 3, 8] {
            let team = Team::new(size).unwrap();
            for n in [0, 1, 5, 16, 33] {
                let shares = team.run(|member| member.share(n));
                assert_eq!(
                    shares.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
                    (0..n).collect::<Vec<_>>()
                );
            }
        }
    }

    #[test]
    fn some_of_a_team_are_a_smaller_team() {
        let team = Team::new(4).unwrap();
        for (asked, expected) in [(0, 1), (1, 1), (3, 3), (4, 4), (9, 4)] {
            let seen = team.run_some(asked, |member| {
                member.wait();
                (member.index(), member.count())
            });
            assert_eq!(seen, (0..expected).map(|index| (index, expected)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn members_keep_step_with_and_without_sleep() {
        for size in [2, 3, 8] {
            let team = Team::new(size).unwrap();
            let counters: Vec<AtomicUsize> = (0..size).map(|_| AtomicUsize::new(0)).collect();
            team.run(|member| {
                for round in 1..=400 {
                    if round % 100 == 0 && member.index() == 0 {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    counters[member.index()].store(round, Ordering::Relaxed);
                    member.wait();
                    assert!(counters.iter().all(|counter| counter.load(Ordering::Relaxed) == round));
                    member.wait();
                }
            });
        }
    }

    #[test]
    fn a_panic_releases_the_others() {
        let team = Team::new(3).unwrap();
        let work = || {
            team.run(|member| {
                member.wait();
                assert!(member.index() != 1, "member 1 gives up");
                member.wait();
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err());
        assert_eq!(team.run(|member| member.share(3)), [0..1, 1..2, 2..3]);
    }
}
