//! Questions to the kernel, answered together: all that are asked while others are being answered share one reading of its
//! tables, on one thread. Otherwise a page that opens hundreds of connections at once would start as many threads.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Answers as many questions as there are, in their order. May block.
type Answer<Q, A> = dyn Fn(&[Q]) -> Vec<A> + Send + Sync;

/// Answers questions in batches. Clones share it.
pub(super) struct Batched<Q, A>(Arc<Shared<Q, A>>);

impl<Q, A> Clone for Batched<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Shared<Q, A> {
    answer: Box<Answer<Q, A>>,
    queue: Mutex<Queue<Q, A>>,
}

/// Each open connection waits for at most one answer, so their number limits it.
struct Queue<Q, A> {
    waiting: Vec<(Q, oneshot::Sender<A>)>,
    /// Whether a thread answers them.
    is_served: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Batched<Q, A> {
    /// Answers questions with this function, which returns an answer for each.
    pub fn new(answer: impl Fn(&[Q]) -> Vec<A> + Send + Sync + 'static) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_served: false });
        Self(Arc::new(Shared { answer: Box::new(answer), queue }))
    }

    /// The answer to a question, found after it was asked. `None` if there is none because the function panicked, or the
    /// runtime is being stopped.
    pub async fn ask(&self, question: Q) -> Option<A> {
        let (sender, answer) = oneshot::channel();
        let is_served = {
            let mut queue = self.0.lock();
            queue.waiting.push((question, sender));
            std::mem::replace(&mut queue.is_served, true)
        };
        if !is_served {
            let mut service = Service { shared: Arc::clone(&self.0), asked: Vec::new(), is_over: false };
            tokio::task::spawn_blocking(move || service.run());
        }
        answer.await.ok()
    }
}

impl<Q, A> Shared<Q, A> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers until nobody waits.
struct Service<Q, A> {
    shared: Arc<Shared<Q, A>>,
    /// Where the answers go. If the function panics, they are dropped after the queue was reset, so that whoever gets none can
    /// ask again at once.
    asked: Vec<oneshot::Sender<A>>,
    is_over: bool,
}

impl<Q, A> Service<Q, A> {
    fn run(&mut self) {
        loop {
            let waiting = {
                let mut queue = self.shared.lock();
                // Those that no longer wait, because their connection was closed, cost nothing.
                queue.waiting.retain(|(_, sender)| !sender.is_closed());
                if queue.waiting.is_empty() {
                    queue.is_served = false;
                    self.is_over = true;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            let (questions, asked): (Vec<Q>, Vec<_>) = waiting.into_iter().unzip();
            self.asked = asked;
            let answers = (self.shared.answer)(&questions);
            for (sender, answer) in self.asked.drain(..).zip(answers) {
                // Fails if it no longer waits.
                let _ = sender.send(answer);
            }
        }
    }
}

impl<Q, A> Drop for Service<Q, A> {
    fn drop(&mut self) {
        if !self.is_over {
            // The function panicked, or this never ran: the next question starts another service.
            let mut queue = self.shared.lock();
            queue.is_served = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn questions_that_wait_are_answered_together_and_after_they_were_asked() {
        let (started, batches) = mpsc::channel();
        let (proceed, permitted) = mpsc::channel();
        let permitted = Mutex::new(permitted);
        let doubled = Batched::new(move |numbers: &[u32]| {
            started.send(numbers.len()).unwrap();
            permitted.lock().unwrap().recv().unwrap();
            numbers.iter().map(|number| 2 * number).collect()
        });
        let ask = |number: u32| {
            let doubled = doubled.clone();
            tokio::spawn(async move { doubled.ask(number).await })
        };
        let first = ask(1);
        let batches = tokio::task::spawn_blocking(move || {
            assert_eq!(batches.recv().unwrap(), 1);
            batches
        });
        let batches = batches.await.unwrap();
        let others: Vec<_> = (2..=500).map(ask).collect();
        let abandoned = ask(7);
        while doubled.0.lock().waiting.len() < 500 {
            tokio::task::yield_now().await;
        }
        abandoned.abort();
        let _ = abandoned.await;
        proceed.send(()).unwrap();
        proceed.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Some(2));
        let answers: Vec<_> =
            join_all(others).await.into_iter().map(|answer| answer.unwrap().unwrap()).collect();
        assert_eq!(answers, (2..=500).map(|number| 2 * number).collect::<Vec<_>>());
        assert_eq!(
            batches.try_iter().collect::<Vec<_>>(),
            [499],
            "one batch, without the one that was abandoned"
        );
    }

    #[tokio::test]
    async fn a_panic_leaves_no_question_waiting_and_the_next_one_is_answered() {
        let checked = Batched::new(|numbers: &[u32]| {
            assert!(numbers.iter().all(|number| *number > 0), "zero");
            numbers.to_vec()
        });
        for number in 1..50 {
            assert_eq!(checked.ask(0).await, None);
            assert_eq!(checked.ask(number).await, Some(number));
        }
    }
}
