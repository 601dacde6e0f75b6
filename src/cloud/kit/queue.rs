//! Sends the requests of one cycle, so many at a time.

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::cloud::CloudError;
use crate::limits::WorkerShare;

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
/// with names that take long to match are taken in by the workers.
///
/// Requests still in flight are dropped when the plan ends early, and when this future is dropped.
pub async fn run<P: Plan, F: Future<Output = P::Response>>(
    plan: &mut P,
    max_in_flight: usize,
    workers: &WorkerShare,
    send: impl Fn(P::Request) -> F,
) -> Option<CloudError> {
    let mut in_flight = FuturesUnordered::new();
    loop {
        while in_flight.len() < max_in_flight.max(1)
            && let Some(request) = plan.next_request()
        {
            in_flight.push(send(request));
        }
        let response = in_flight.next().await?;
        let steps = plan.steps(&response);
        if let Err(error) = workers.run_steps(steps, || plan.record(response)).await {
            return Some(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use tokio::time::sleep;

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
