//! A short visit: log in, ask a few things that change nothing, leave. For `handset doctor`.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::link::{self, Link};
use super::{Lost, Timing};
use crate::model::site;
use crate::wire::ami::{Action, Frame, Item};

/// What a visit found.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// The version in the banner.
    pub version: String,
    /// FullyBooted was heard: the account may read the class `system`.
    pub booted: bool,
    /// The answers in the order of the questions; none for one that was not answered in time.
    pub answers: Vec<Option<Frame>>,
}

/// How long each step of the visit may take.
const STEP: Duration = Duration::from_secs(4);
/// How long the greeting event is awaited beyond the last answer.
const GREETING: Duration = Duration::from_secs(1);

/// Asks these actions, given as name and headers, one after the other.
pub(crate) async fn visit(
    settings: &site::Ami,
    questions: &[(&str, Vec<(&str, String)>)],
) -> Result<Visit, Lost> {
    let timing = Timing { connect: STEP, login: STEP, ..Timing::default() };
    let addresses = link::resolve(settings, &timing).await?;
    let mut link = link::open(&addresses, settings, &timing).await?;
    let mut found = Visit { version: link.version.clone(), ..Visit::default() };
    found.answers.resize(questions.len(), None);
    for (index, (name, headers)) in questions.iter().enumerate() {
        let action = Action::new(name, &index.to_string());
        let action = headers.iter().fold(action, |a, (name, value)| a.with(name, value));
        // What cannot be sent is not answered.
        let Ok(bytes) = action.encode() else { continue };
        link.writer.write_all(&bytes).await.map_err(|error| Lost::new(error.to_string()))?;
    }
    let end = Instant::now() + STEP;
    listen(&mut link, &mut found, end, |found| found.answers.iter().all(Option::is_some)).await;
    let end = Instant::now() + GREETING;
    listen(&mut link, &mut found, end, |found| found.booted).await;
    if let Ok(bytes) = Action::new("Logoff", "bye").encode() {
        // The connection is closed next, whatever comes of it.
        let _ = link.writer.write_all(&bytes).await;
    }
    Ok(found)
}

/// Takes in what comes until that is enough, or until the end.
async fn listen(link: &mut Link, found: &mut Visit, end: Instant, enough: fn(&Visit) -> bool) {
    let mut buffer = [0; 1 << 14];
    while !enough(found) {
        match link.decoder.next() {
            Some(Ok(Item::Frame(frame))) => sort(frame, found),
            Some(_) => {}
            None => match timeout_at(end, link.reader.read(&mut buffer)).await {
                Ok(Ok(n)) if n > 0 => link.decoder.push(&buffer[..n]),
                _ => return,
            },
        }
    }
}

fn sort(frame: Frame, found: &mut Visit) {
    found.booted |= frame.is_event("FullyBooted");
    let index = frame.number::<usize>("ActionID").filter(|_| frame.answer().is_some());
    if let Some(answer) = index.and_then(|index| found.answers.get_mut(index)) {
        answer.get_or_insert(frame);
    }
}
