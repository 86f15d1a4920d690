//! Measures how long each task keeps the thread that reconciles: while one is polled, all the others wait.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::poll_fn;

use crate::metrics::Metrics;

/// Runs a task, and keeps the longest of its polls in the metrics. `part` names the task and no other one.
pub async fn timed<T>(part: String, metrics: &Metrics, task: impl Future<Output = T>) -> T {
    let (gauge, mut longest) = (metrics.longest_poll(part), Duration::ZERO);
    let mut task = pin!(task);
    poll_fn(|cx| {
        let began = Instant::now();
        let polled: Poll<T> = task.as_mut().poll(cx);
        let took = began.elapsed();
        if took > longest {
            longest = took;
            gauge.set(took.as_secs_f64());
        }
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_poll_of_each_task_is_kept() {
        let metrics = Metrics::default();
        let keep = |for_millis: u64| {
            let until = Instant::now() + Duration::from_millis(for_millis);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        let task = async {
            keep(20);
            tokio::task::yield_now().await;
            keep(1);
        };
        timed("watch Backup".to_owned(), &metrics, task).await;
        let text = metrics.text();
        let of = text
            .lines()
            .find_map(|l| l.strip_prefix("backstay_longest_poll_seconds{part=\"watch Backup\"} "));
        let seconds: f64 = of.expect("it is there").parse().expect("a number");
        assert!(seconds >= 0.02, "{seconds}");
    }
}
