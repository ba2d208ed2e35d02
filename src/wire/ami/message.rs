//! Frames as responses, events and lists.

use std::borrow::Cow;

use jiff::civil::DateTime;

use super::frame::Frame;
use crate::base::Text;

/// The longest text of Asterisk that is passed on to people, in characters.
const TEXT_MAX: usize = 200;

impl Frame {
    /// The first value of a key, whose case does not matter.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        let same = |name: &[u8]| name.eq_ignore_ascii_case(key.as_bytes());
        self.headers.iter().find(|(name, _)| same(name)).map(|(_, value)| &value[..])
    }

    /// Like [`Frame::get`], as characters.
    pub fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).map(chars)
    }

    /// A value as a number.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        std::str::from_utf8(self.get(key)?).ok()?.trim().parse().ok()
    }

    /// Whether a value is this word, whose case does not matter.
    pub fn is(&self, key: &str, word: &str) -> bool {
        self.get(key).is_some_and(|value| value.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether it is an event of this name.
    pub fn is_event(&self, name: &str) -> bool {
        self.is("Event", name)
    }

    /// For a response: nothing, or the error's text, cleaned for people. None for everything else.
    pub fn answer(&self) -> Option<Result<(), String>> {
        let response = self.get("Response")?;
        let good = [b"Success".as_slice(), b"Goodbye", b"Follows"];
        if good.iter().any(|word| response.eq_ignore_ascii_case(word)) {
            return Some(Ok(()));
        }
        Some(Err(self.get("Message").map_or_else(|| "no reason given".into(), clean)))
    }
}

/// UTF-8 where the bytes are valid UTF-8, else Latin-1, as [`Text::chars`] does it.
pub fn chars(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(Text::from(bytes).chars().into_owned()),
    }
}

/// A text of Asterisk for people: no control characters, not long.
pub fn clean(bytes: &[u8]) -> String {
    let text = chars(bytes);
    let shown = text.trim().chars().map(|c| if c.is_control() { '?' } else { c });
    shown.take(TEXT_MAX).collect()
}

/// Collects one list: `Response: Success` with `EventList: start`, items with our ActionID, and an
/// event with `EventList: Complete` (whose name follows no pattern).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    started: bool,
}

/// What a frame with the list's ActionID is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The list begins, or something of no interest.
    More,
    /// An item.
    Item,
    /// Its end.
    Complete,
    /// There is no list, with Asterisk's text. Some actions answer so for an empty list.
    Failed(String),
}

impl List {
    /// Takes the next frame with the list's ActionID.
    pub fn take(&mut self, frame: &Frame) -> Step {
        if frame.is("EventList", "Complete") {
            return Step::Complete;
        }
        if frame.is("EventList", "cancelled") {
            return Step::Failed("the list was cancelled".into());
        }
        match frame.answer() {
            Some(Err(text)) => Step::Failed(text),
            Some(Ok(())) if frame.is("EventList", "start") => {
                self.started = true;
                Step::More
            }
            Some(Ok(())) => Step::Failed("the answer is no list".into()),
            None if self.started => Step::Item,
            None => Step::More,
        }
    }
}

/// The version in a banner, if the server is a manager of Asterisk at all. It tells nothing about
/// features.
pub fn banner_version(line: &[u8]) -> Option<String> {
    line.strip_prefix(b"Asterisk Call Manager/").map(clean)
}

/// Whether the frame says that chan_sip was reloaded (or everything), by anything but a console
/// `sip reload`. A file that was refused is reported in the same way.
pub fn is_sip_reload(frame: &Frame) -> bool {
    let ours = ["chan_sip", "chan_sip.so", "All"].iter().any(|name| frame.is("Module", name));
    let done = frame.number("Status").is_none_or(|status: i32| matches!(status, 0 | 1));
    frame.is_event("Reload") && ours && done
}

/// When Asterisk started, in its own local time, from the answer to CoreStatus.
pub fn core_startup(frame: &Frame) -> Option<DateTime> {
    let date = frame.text("CoreStartupDate")?;
    let time = frame.text("CoreStartupTime")?;
    format!("{}T{}", date.trim(), time.trim()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ami::tests::{frame, frames, transcript};

    fn steps(name: &str) -> Vec<Step> {
        let mut list = List::default();
        frames(&transcript(name)).iter().map(|frame| list.take(frame)).collect()
    }

    #[test]
    fn a_list_goes_from_start_to_complete() {
        let one_call = steps("coreshowchannels-one-call.rsp");
        assert_eq!(one_call, [Step::More, Step::Item, Step::Complete]);
        assert_eq!(steps("coreshowchannels-none.rsp"), [Step::More, Step::Complete]);
    }

    #[test]
    fn an_error_is_no_list() {
        assert_eq!(
            steps("sipshowpeer-nobody.rsp"),
            [Step::Failed("Peer nobody not found.".into())]
        );
        assert_eq!(steps("ping.rsp"), [Step::Failed("the answer is no list".into())]);
        let cancelled = frame("Event: X\r\nEventList: cancelled");
        let failed = Step::Failed("the list was cancelled".into());
        assert_eq!(List::default().take(&cancelled), failed);
    }

    #[test]
    fn responses_succeed_or_say_why_not() {
        let check = |text: &str, expected: Option<Result<(), &str>>| {
            let expected = expected.map(|answer| answer.map_err(String::from));
            assert_eq!(frame(text).answer(), expected, "{text}");
        };
        check("Response: Success", Some(Ok(())));
        check("response: goodbye", Some(Ok(())));
        check("Event: Response", None);
        check("Response: Error\r\nMessage: no \x07 good", Some(Err("no ? good")));
        check("Response: Error", Some(Err("no reason given")));
        check("Response: Whatever", Some(Err("no reason given")));
    }

    #[test]
    fn reloads_of_chan_sip_are_told_from_others() {
        let check = |module: &str, status: &str, expected: bool| {
            let event = frame(&format!("Event: Reload\r\nModule: {module}\r\nStatus: {status}"));
            assert_eq!(is_sip_reload(&event), expected, "{module} {status}");
        };
        check("chan_sip", "0", true);
        check("chan_sip.so", "0", true);
        check("All", "0", true);
        check("res_pjsip.so", "0", false);
        check("chan_sip.so", "2", false);
    }

    #[test]
    fn the_start_is_local_time() {
        let answer = &frames(&transcript("corestatus.rsp"))[0];
        assert_eq!(core_startup(answer).unwrap().to_string(), "2026-11-22T14:07:43");
        let odd = frame("CoreStartupDate: 2026-99-22\r\nCoreStartupTime: 14:07:43");
        assert_eq!(core_startup(&odd), None);
    }

    #[test]
    fn only_a_manager_of_asterisk_has_a_version() {
        assert_eq!(banner_version(b"Asterisk Call Manager/11.0.0").as_deref(), Some("11.0.0"));
        assert_eq!(banner_version(b"SSH-2.0-OpenSSH_9.2"), None);
    }
}
