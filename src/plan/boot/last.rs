//! What happened to a phone last: over DHCP, and with each file.

use std::collections::BTreeMap;

use super::fact::{Fact, Fetched, What};
use crate::base::Time;

/// So many names are remembered: no phone asks for more.
const FILES_MAX: usize = 64;

/// The last of what happened to one phone.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// The last DHCP message.
    pub dhcp: Option<Fact>,
    /// How each file was last asked for, and when.
    pub files: BTreeMap<String, (Time, Fetched)>,
}

impl Last {
    /// Something more happened to it. (By its time it may have been before: clocks are set back.)
    pub fn take(&mut self, fact: &Fact) {
        match &fact.what {
            What::Dhcp(..) => self.dhcp = Some(fact.clone()),
            What::File(file) => {
                self.files.insert(file.name.clone(), (fact.at, file.clone()));
                self.bound();
            }
            What::Registered(_) | What::Notified(_) => {}
        }
    }

    fn bound(&mut self) {
        if self.files.len() > FILES_MAX {
            let oldest = self.files.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.files.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::boot::fact::End;
    use crate::plan::boot::script;

    fn last(script: &str) -> Last {
        let mut last = Last::default();
        script::facts(script).iter().for_each(|fact| last.take(fact));
        last
    }

    #[test]
    fn of_each_file_and_of_dhcp_the_last_is_known() {
        let last = last(
            "9:0:0 0018b9ffffff 10.0.0.1 request 10.0.0.1\n\
                         9:0:1 0018b9ffffff 10.0.0.1 ack 10.0.0.1\n\
                         9:0:2 0018b9ffffff 10.0.0.1 get OS79XX.TXT missing\n\
                         9:0:9 0018b9ffffff 10.0.0.1 own SIP0018B9FFFFFF.cnf unconfirmed\n\
                         9:0:3 0018b9ffffff 10.0.0.1 own SIP0018B9FFFFFF.cnf 2842\n\
                         9:0:8 0018b9ffffff 10.0.0.1 get OS79XX.TXT 12\n",
        );
        let time = |seconds: u64| Time((9 * 3600 + seconds) * 1000);
        assert_eq!(last.dhcp.unwrap().at, time(1));
        let files: Vec<_> =
            last.files.iter().map(|(name, (at, file))| (name.as_str(), *at, &file.end)).collect();
        assert_eq!(
            files,
            [
                ("OS79XX.TXT", time(8), &End::Complete),
                ("SIP0018B9FFFFFF.cnf", time(3), &End::Complete)
            ]
        );
    }

    #[test]
    fn who_guesses_names_fills_no_memory() {
        let names: String =
            (0..999).map(|n| format!("9:0:0.{n:03} 0018b9ffffff 10.0.0.1 get {n} 1\n")).collect();
        let last = last(&names);
        assert_eq!(last.files.len(), FILES_MAX);
        assert!(last.files.contains_key("998") && !last.files.contains_key("0"));
    }
}
