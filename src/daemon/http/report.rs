//! How the core hears of transfers: in batches, so that a building that boots at once is a few
//! hundred messages and not tens of thousands.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::daemon::event::{Event, Transfer};

/// Transfers in one message.
const BATCH: usize = 256;

/// How long the first of a batch waits for others.
const TICK: Duration = Duration::from_millis(20);

/// Passes on what `ended` brings until it is closed and empty, or nobody listens any more. While the
/// core is busy it waits: the queue behind it is bounded, and who finds it full counts what is lost.
pub(super) async fn gather(mut ended: mpsc::Receiver<Transfer>, report: mpsc::Sender<Event>) {
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, BATCH).await > 0 {
        let until = Instant::now() + TICK;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            match timeout_at(until, ended.recv_many(&mut batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        if report.send(Event::Transfers(std::mem::take(&mut batch))).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::event::Outcome;

    fn transfer(number: u64) -> Transfer {
        Transfer {
            asker: "10.0.0.1:1".parse().unwrap(),
            name: "f".to_owned(),
            ticket: None,
            outcome: Outcome::Complete,
            bytes: number,
            millis: 0,
            at: crate::base::Time(0),
            agent: None,
        }
    }

    async fn batch(events: &mut mpsc::Receiver<Event>) -> Option<Vec<u64>> {
        match events.recv().await? {
            Event::Transfers(transfers) => Some(transfers.iter().map(|t| t.bytes).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn transfers_are_reported_together_in_order_and_none_is_lost() {
        let (send, queue) = mpsc::channel(1000);
        let (report, mut events) = mpsc::channel(1);
        for number in 0..600 {
            send.try_send(transfer(number)).unwrap();
        }
        let gatherer = tokio::spawn(gather(queue, report));
        assert_eq!(batch(&mut events).await.unwrap(), (0..256).collect::<Vec<_>>());
        assert_eq!(batch(&mut events).await.unwrap(), (256..512).collect::<Vec<_>>());
        assert_eq!(batch(&mut events).await.unwrap(), (512..600).collect::<Vec<_>>());
        send.try_send(transfer(1)).unwrap();
        drop(send);
        assert_eq!(batch(&mut events).await.unwrap(), [1]);
        assert_eq!(batch(&mut events).await, None);
        gatherer.await.unwrap();
    }
}
