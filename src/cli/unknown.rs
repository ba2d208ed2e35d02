//! `handset unknown`: who asks for files or an address and has no tag.

use super::args::Args;
use super::status::refusal;
use super::{DONE, daemon, output};
use crate::control::{Answer, Ask, Reason, UnknownPhone};

/// `handset unknown`.
#[derive(clap::Args, Debug)]
pub struct Unknown {
    /// Print an array of phones as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, options: &Unknown) -> u8 {
    let phones = match daemon::once(args, Ask::Unknown) {
        Ok(Answer::Unknown(phones)) => phones,
        Ok(other) => return output::refused(Some(other)),
        Err(code) => return code,
    };
    if options.json {
        let json = serde_json::to_string_pretty(&phones).expect("phones have string keys");
        output::line(json);
        return DONE;
    }
    let scanners = match daemon::once(args, Ask::Status { phone: None, select: Default::default() })
    {
        Ok(Answer::Status(status)) => status.alerts,
        Ok(other) => return output::refused(Some(other)),
        Err(code) => return code,
    };
    let scanners = scanners.iter().filter(|alert| alert.reason == Reason::Scan);
    let all: Vec<String> = phones.iter().map(text).chain(scanners.map(refusal)).collect();
    match all.is_empty() {
        true => output::line("nobody without a tag has asked"),
        false => output::line(all.join("\n\n")),
    }
    DONE
}

/// One phone for people.
fn text(phone: &UnknownPhone) -> String {
    let second = |at: &str| at.chars().take(19).collect::<String>();
    let family = phone.family.as_ref().map(|family| format!("({family})"));
    let known = [phone.maker.as_deref(), phone.model.as_deref(), family.as_deref()];
    let known: Vec<&str> = known.into_iter().flatten().collect();
    let mut lines = vec![format!("{} {}", phone.mac, known.join(" ")).trim_end().to_owned()];
    let firmware = phone.firmware.as_ref().map(|firmware| format!("runs {firmware}"));
    let class = phone.class.as_ref().map(|class| format!("calls itself {class:?} (DHCP)"));
    let agent = phone.user_agent.as_ref().map(|agent| format!("calls itself {agent:?} (HTTP)"));
    let interface = phone.interface.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
    let seen = format!(
        "seen {} to {} at {}{interface}",
        second(&phone.first_seen),
        second(&phone.last_seen),
        if phone.addresses.is_empty() { "-".to_owned() } else { phone.addresses.join(", ") }
    );
    let asked = phone.asked.as_ref().map(|name| format!("asked last for {name}"));
    let near = phone.near.as_ref().map(|near| format!("a slip of the pen? {near}"));
    let tag = format!("write {}, or: handset adopt {} PEER", phone.tag, phone.mac);
    let all = [firmware, class, agent, Some(seen), asked, near, Some(tag)];
    lines.extend(all.into_iter().flatten().map(|line| format!("  {line}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_told_with_the_line_to_add() {
        let phone = UnknownPhone {
            mac: "0018b9ffffff".parse().unwrap(),
            maker: Some("Cisco".into()),
            family: Some("cisco-79x0".into()),
            model: Some("7960".into()),
            firmware: Some("SIP firmware".into()),
            class: Some("Cisco Systems, Inc. IP Phone CP-7960G".into()),
            user_agent: Some("Cisco/7960".into()),
            interface: Some("eth0".into()),
            addresses: vec!["10.0.0.7".into(), "10.0.0.23".into()],
            asked: Some("SIP0018B9FFFFFF.cnf".into()),
            first_seen: "2012-10-19T10:45:17.25Z".into(),
            last_seen: "2012-10-19T10:55:17.25Z".into(),
            near: Some("sip.conf:212 has 00:18:b9:ff:ff:fe (one digit differs)".into()),
            tag: ";MAC=00:18:b9:ff:ff:ff model=7960".into(),
        };
        insta::assert_snapshot!(text(&phone), @r#"
        00:18:b9:ff:ff:ff Cisco 7960 (cisco-79x0)
          runs SIP firmware
          calls itself "Cisco Systems, Inc. IP Phone CP-7960G" (DHCP)
          calls itself "Cisco/7960" (HTTP)
          seen 2012-10-19T10:45:17 to 2012-10-19T10:55:17 at 10.0.0.7, 10.0.0.23 on eth0
          asked last for SIP0018B9FFFFFF.cnf
          a slip of the pen? sip.conf:212 has 00:18:b9:ff:ff:fe (one digit differs)
          write ;MAC=00:18:b9:ff:ff:ff model=7960, or: handset adopt 00:18:b9:ff:ff:ff PEER
        "#);
    }
}
