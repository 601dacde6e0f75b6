//! Sends the requests of one cycle, so many at a time.

use std::collections::VecDeque;
use std::pin::pin;

use futures::future::{Fuse, FusedFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use crate::cloud::CloudError;
use crate::limits::workers::{is_short, with_permit};
use crate::limits::{WorkSize, WorkerShare};

/// Decides what one cycle requests. Sends nothing itself.
pub trait Plan {
    /// A request to send.
    type Request;
    /// The outcome of a request, success or failure, with what identifies the request.
    type Response;

    /// The next request to send. `None` where nothing is left to request until another response arrives.
    fn next_request(&mut self) -> Option<Self::Request>;

    /// What it takes to match the names in a response, in steps of some nanoseconds.
    fn steps(&self, _response: &Self::Response) -> usize {
        0
    }

    /// Takes a response in. The error, if any, ends the cycle, since no other request could succeed.
    fn record(&mut self, response: Self::Response) -> Result<(), CloudError>;
}

/// Runs a plan to its end with up to `max_in_flight` requests in flight, and returns the error that ended it early. Responses
/// with names that take long to match are taken in as work of the workers: under the permit that reading one needed, else in turn.
/// While one waits for that, others go on: they may have been granted the permit that it waits for.
///
/// Requests still in flight are dropped when the plan ends early, and when this future is dropped.
pub async fn run<P: Plan, F: Future<Output = P::Response>>(
    plan: &mut P,
    max_in_flight: usize,
    workers: &WorkerShare,
    send: impl Fn(P::Request) -> F,
) -> Option<CloudError> {
    let mut in_flight = FuturesUnordered::new();
    let mut waiting = VecDeque::new();
    let mut turn = pin!(Fuse::terminated());
    loop {
        while in_flight.len() + waiting.len() < max_in_flight.max(1)
            && let Some(request) = plan.next_request()
        {
            in_flight.push(with_permit(send(request)));
        }
        if turn.is_terminated() && !waiting.is_empty() {
            turn.set(workers.permit(WorkSize::Large).fuse());
        }
        let (response, permit) = tokio::select! {
            Some(arrived) = in_flight.next() => arrived,
            permit = turn.as_mut(), if !waiting.is_empty() => match waiting.pop_front() {
                Some(response) => (response, Some(permit)),
                None => continue,
            },
            else => return None,
        };
        let steps = plan.steps(&response);
        if permit.is_none() && !is_short(steps) {
            waiting.push_back(response);
            continue;
        }
        if let Err(error) = workers.run_steps(steps, permit, || plan.record(response)).await {
            return Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::limits::Workers;

    /// Requests the numbers up to `last`; the response to one of them may add more, or end the cycle.
    struct Numbers {
        next: usize,
        last: usize,
        recorded: Vec<usize>,
        grows_at: Option<usize>,
        fails_at: Option<usize>,
    }

    impl Numbers {
        fn up_to(last: usize) -> Self {
            Self { next: 0, last, recorded: Vec::new(), grows_at: None, fails_at: None }
        }
    }

    impl Plan for Numbers {
        type Request = usize;
        type Response = usize;

        fn next_request(&mut self) -> Option<usize> {
            let next = (self.next < self.last).then_some(self.next);
            self.next += usize::from(next.is_some());
            next
        }

        fn record(&mut self, response: usize) -> Result<(), CloudError> {
            self.recorded.push(response);
            if self.grows_at == Some(response) {
                self.last += 5;
            }
            if self.fails_at == Some(response) { Err(CloudError::LoginRejected) } else { Ok(()) }
        }
    }

    fn workers() -> WorkerShare {
        Workers::default().of("team-a")
    }

    /// Counts itself as in flight until it is dropped.
    struct InFlight<'a>(&'a Cell<usize>);

    impl<'a> InFlight<'a> {
        fn new(count: &'a Cell<usize>) -> Self {
            count.set(count.get() + 1);
            Self(count)
        }
    }

    impl Drop for InFlight<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_requests_as_allowed_are_in_flight_and_no_more() {
        for (max_in_flight, expected) in [(0, 1), (1, 1), (4, 4), (100, 20)] {
            let (mut plan, in_flight, most) = (Numbers::up_to(20), Cell::new(0), Cell::new(0));
            let workers = workers();
            let ended = run(&mut plan, max_in_flight, &workers, |request| {
                let guard = InFlight::new(&in_flight);
                most.set(most.get().max(in_flight.get()));
                async move {
                    sleep(Duration::from_millis(100 - request as u64)).await;
                    drop(guard);
                    request
                }
            });
            assert_eq!(ended.await, None);
            assert_eq!((most.get(), plan.recorded.len()), (expected, 20), "{max_in_flight}");
        }
    }

    #[tokio::test]
    async fn requests_that_a_response_adds_are_sent_too() {
        let mut plan = Numbers { grows_at: Some(0), ..Numbers::up_to(1) };
        assert_eq!(run(&mut plan, 4, &workers(), |request| async move { request }).await, None);
        assert_eq!(plan.recorded.len(), 6);
    }

    /// One response that takes long to take in.
    struct Long {
        is_sent: bool,
        begun: Arc<AtomicBool>,
        ended: Arc<AtomicBool>,
    }

    impl Plan for Long {
        type Request = ();
        type Response = ();

        fn next_request(&mut self) -> Option<()> {
            (!std::mem::replace(&mut self.is_sent, true)).then_some(())
        }

        fn steps(&self, (): &()) -> usize {
            usize::MAX
        }

        fn record(&mut self, (): ()) -> Result<(), CloudError> {
            self.begun.store(true, Ordering::SeqCst);
            // Ends only once another task of the one thread has run.
            while !self.ended.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_while_a_response_that_takes_long_is_taken_in() {
        let (begun, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut plan = Long { is_sent: false, begun: Arc::clone(&begun), ended: Arc::clone(&ended) };
        let running = tokio::spawn(async move { run(&mut plan, 1, &workers(), async |()| ()).await });
        let other = tokio::spawn(async move {
            while !begun.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            ended.store(true, Ordering::SeqCst);
        });
        other.await.unwrap();
        assert_eq!(running.await.unwrap(), None);
    }

    /// Responses that take long to take in, each of which is read as large work, or not.
    struct Heavy {
        numbers: Numbers,
        recorded: Arc<AtomicUsize>,
    }

    impl Plan for Heavy {
        type Request = usize;
        type Response = usize;

        fn next_request(&mut self) -> Option<usize> {
            self.numbers.next_request()
        }

        fn steps(&self, _: &usize) -> usize {
            usize::MAX
        }

        fn record(&mut self, _: usize) -> Result<(), CloudError> {
            self.recorded.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    // A future that has been granted the permit is not polled by one that waits for it.
    #[tokio::test(start_paused = true)]
    async fn responses_that_take_long_to_take_in_never_wait_for_each_other_for_ever() {
        for is_read_as_work in [|_| true, |_| false, |request: usize| request.is_multiple_of(2)] {
            let workers = Workers::new(1);
            let (one, other) = (workers.of("team-a"), workers.of("tenant"));
            let recorded = Arc::new(AtomicUsize::new(0));
            let plan = || Heavy { numbers: Numbers::up_to(40), recorded: Arc::clone(&recorded) };
            let cycle = async |share: &WorkerShare| {
                let send = async |request: usize| {
                    sleep(Duration::from_millis(request as u64 % 7)).await;
                    if is_read_as_work(request) {
                        let _ = share.run_reading(|| Ok::<_, ()>(())).await;
                    }
                    request
                };
                run(&mut plan(), 8, share, send).await
            };
            let cycles = futures::future::join3(cycle(&one), cycle(&one), cycle(&other));
            assert!(timeout(Duration::from_secs(60), cycles).await.is_ok());
            assert_eq!(recorded.load(Ordering::SeqCst), 3 * 40);
            assert!(one.permit(WorkSize::Large).now_or_never().is_some(), "no permit is left with anybody");
        }
    }

    // What is read is charged once it is taken in: no more of it waits than work runs at once.
    #[tokio::test(start_paused = true)]
    async fn no_more_results_of_large_work_wait_than_work_runs_at_once() {
        let workers = Workers::new(2);
        let (read, most) = (Cell::new(0_usize), Cell::new(0));
        let recorded = Arc::new(AtomicUsize::new(0));
        let cycle = async |namespace: &str| {
            let share = workers.of(namespace);
            let send = async |request: usize| {
                let count = || {
                    read.set(read.get() + 1);
                    most.set(most.get().max(read.get() - recorded.load(Ordering::SeqCst)));
                    Ok::<_, ()>(())
                };
                let _ = share.run_reading(count).await;
                // Others have their turn before this one's result is taken in.
                tokio::task::yield_now().await;
                request
            };
            let mut plan = Heavy { numbers: Numbers::up_to(20), recorded: Arc::clone(&recorded) };
            run(&mut plan, 8, &share, send).await
        };
        futures::future::join3(cycle("team-a"), cycle("team-b"), cycle("team-c")).await;
        assert_eq!((read.get(), most.get()), (60, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_ends_the_cycle_and_drops_what_is_in_flight() {
        let (mut plan, in_flight) = (Numbers { fails_at: Some(7), ..Numbers::up_to(1_000) }, Cell::new(0));
        let workers = workers();
        let ended = run(&mut plan, 4, &workers, |request| {
            let guard = InFlight::new(&in_flight);
            async move {
                sleep(Duration::from_millis(1 + request as u64)).await;
                drop(guard);
                request
            }
        });
        assert_eq!(ended.await, Some(CloudError::LoginRejected));
        assert_eq!((in_flight.get(), plan.recorded.len()), (0, 8));
    }
}
