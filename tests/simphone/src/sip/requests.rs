//! What a phone answers to requests outside of a call (phones.md §2.11, §2.16).

use super::message::{Message, Start, uri_of, user_of};
use super::{Ctx, Output};
use crate::Faults;
use crate::event::Event;
use crate::flash::Line;

const ALLOW: &str = "ACK,BYE,CANCEL,INVITE,NOTIFY,OPTIONS,REFER,REGISTER,UPDATE";

/// The line that the Request-URI means: its user is a line's name or contact user.
pub(super) fn line_of<'a>(request: &Message, lines: &[&'a Line]) -> Option<&'a Line> {
    let Start::Request { uri, .. } = &request.start else { return None };
    let user = user_of(uri)?;
    lines.iter().copied().find(|line| line.name == user || line.contact == user)
}

/// Answers with nothing but a status.
pub(super) fn refuse(request: &Message, status: u16, ctx: &mut Ctx<'_>) {
    let tag = ctx.id.tag();
    ctx.answer(request, status, &tag, &[], "");
}

/// Says that the phone is there.
pub(super) fn options(request: &Message, faults: Faults, ctx: &mut Ctx<'_>) {
    ctx.out.push(Output::Options);
    if faults.mute_options {
        return;
    }
    let tag = ctx.id.tag();
    ctx.answer(request, 200, &tag, &[("Allow", ALLOW)], "");
}

/// Takes a NOTIFY that nobody subscribed to.
pub(super) fn notify(request: &Message, lines: &[&Line], faults: Faults, ctx: &mut Ctx<'_>) {
    let package = request.header("Event").map(str::to_owned);
    if faults.ignore_notify {
        return ctx.tell(Event::Notify { package, answered: None });
    }
    let line = line_of(request, lines);
    let status = status_of(request, line);
    refuse(request, status, ctx);
    ctx.tell(Event::Notify { package: package.clone(), answered: Some(status) });
    match (status, package.as_deref(), line) {
        (200, Some(name), _) if name.eq_ignore_ascii_case("check-sync") => {
            ctx.out.push(Output::CheckSync);
        }
        (200, _, Some(line)) => {
            let waiting = messages_waiting(&request.body);
            ctx.tell(Event::MessagesWaiting { line: line.number, waiting });
        }
        _ => {}
    }
}

/// The event's name is compared as a whole, ignoring case: a parameter makes it another event.
fn status_of(request: &Message, line: Option<&Line>) -> u16 {
    let event = request.header("Event").map(|e| e.trim().to_ascii_lowercase());
    let to = request.header("To").map(uri_of).and_then(user_of);
    match (event.as_deref(), line, to) {
        (None, _, _) | (_, _, None) => 400,
        (_, None, _) => 404,
        (Some("check-sync" | "message-summary"), _, _) => 200,
        (Some(other), _, _) if other.starts_with("check-sync") => 400,
        _ => 489,
    }
}

fn messages_waiting(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.lines().any(|line| {
        line.split_once(':')
            .is_some_and(|(k, v)| k.trim() == "messages-waiting" && v.trim() == "yes")
    })
}
