//! What the doctor says: one finding a line, then what the first broken step means.

use serde::Serialize;

use crate::base::{Diagnostic, Level};

/// The steps, in the order of a boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stage {
    Configuration,
    Daemon,
    Dhcp,
    Tftp,
    Http,
    Sip,
    Ami,
    Clock,
}

impl Stage {
    /// Those that need to know what phones are told.
    const NETWORK: [Self; 6] =
        [Self::Dhcp, Self::Tftp, Self::Http, Self::Sip, Self::Ami, Self::Clock];

    fn title(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Daemon => "daemon",
            Self::Dhcp => "DHCP",
            Self::Tftp => "TFTP",
            Self::Http => "HTTP",
            Self::Sip => "SIP",
            Self::Ami => "AMI",
            Self::Clock => "clock",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// It is as it should be.
    Fine(String),
    /// It was not looked at, and why.
    Skipped(String),
    /// It is not.
    Wrong(Box<Diagnostic>),
}

impl Finding {
    pub(super) fn fine(text: impl Into<String>) -> Self {
        Self::Fine(text.into())
    }

    pub(super) fn skipped(text: impl Into<String>) -> Self {
        Self::Skipped(text.into())
    }

    fn verdict(&self) -> &'static str {
        match self {
            Self::Fine(_) => "ok",
            Self::Skipped(_) => "not checked",
            Self::Wrong(d) if d.level == Level::Error => "broken",
            Self::Wrong(_) => "warning",
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Fine(text) | Self::Skipped(text) => text,
            Self::Wrong(diagnostic) => &diagnostic.message,
        }
    }

    fn wrong(&self) -> Option<&Diagnostic> {
        if let Self::Wrong(diagnostic) = self { Some(diagnostic) } else { None }
    }
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Wrong(Box::new(diagnostic))
    }
}

/// Everything that was found, in order.
#[derive(Default)]
pub(super) struct Report(Vec<(Stage, Finding)>);

/// A finding for programs (docs/doctor.md).
#[derive(Serialize)]
struct Shown<'a> {
    step: Stage,
    verdict: &'static str,
    message: &'a str,
    code: Option<&'static str>,
    meaning: Option<&'static str>,
    cure: Option<&'a str>,
}

impl Report {
    pub(super) fn add(&mut self, stage: Stage, finding: Finding) {
        self.0.push((stage, finding));
    }

    pub(super) fn all(&mut self, stage: Stage, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings.into_iter().map(|finding| (stage, finding)));
    }

    /// The steps that need to know what phones are told, none of which was looked at.
    pub(super) fn rest(&mut self, why: &str) {
        self.0.extend(Stage::NETWORK.map(|stage| (stage, Finding::skipped(why))));
    }

    /// The first thing that keeps phones from working.
    fn first(&self) -> Option<(Stage, &Diagnostic)> {
        let error = |d: &&Diagnostic| d.level == Level::Error;
        self.0.iter().find_map(|(stage, f)| Some((*stage, f.wrong().filter(error)?)))
    }

    pub(super) fn broken(&self) -> bool {
        self.first().is_some()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut lines: Vec<String> = self.0.iter().map(|(stage, f)| line(*stage, f)).collect();
        lines.push(String::new());
        match self.first() {
            None => lines.push("Nothing that was checked is broken.".into()),
            Some((stage, wrong)) => {
                lines.push(format!("The first broken step is {}.", stage.title()));
                lines.push(format!("  {}: {}", wrong.code.id, wrong.code.title));
                lines.push(format!("  {}", wrong.code.explain));
                let cure = |help: &String| {
                    let end = if help.ends_with('?') { "" } else { "." };
                    format!("  What to do: {}{end}", clean(help))
                };
                lines.extend(wrong.help.as_ref().map(cure));
            }
        }
        lines.join("\n")
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let shown = |(step, finding): &(Stage, Finding)| {
            let wrong = finding.wrong();
            serde_json::to_value(Shown {
                step: *step,
                verdict: finding.verdict(),
                message: finding.text(),
                code: wrong.map(|d| d.code.id),
                meaning: wrong.map(|d| d.code.explain),
                cure: wrong.and_then(|d| d.help.as_deref()),
            })
        };
        let all: Result<Vec<_>, _> = self.0.iter().map(shown).collect();
        let all = all.and_then(|all| serde_json::to_string_pretty(&all));
        all.expect("findings are made of text")
    }
}

/// One line, and the cure of a warning below it; that of the first error follows at the end.
fn line(stage: Stage, finding: &Finding) -> String {
    let line =
        format!("{:<13}  {:<11}  {}", stage.title(), finding.verdict(), clean(finding.text()));
    let cure = finding.wrong().filter(|d| d.level < Level::Error).and_then(|d| d.help.as_ref());
    cure.map_or_else(|| line.clone(), |cure| format!("{line}\n{:28}{}", "", clean(cure)))
}

/// What others said stands in some messages.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Code;

    static CODE: Code = Code { id: "H0901", title: "a title", explain: "what it means" };

    fn report() -> Report {
        let mut report = Report::default();
        report.add(Stage::Configuration, Finding::fine("2 phones"));
        report.add(Stage::Dhcp, Finding::skipped("no root"));
        report.add(Stage::Tftp, Diagnostic::warning(&CODE, "odd").help("look").into());
        report
    }

    #[test]
    fn only_an_error_is_broken() {
        let mut report = report();
        assert!(!report.broken());
        let text = "configuration  ok           2 phones\n\
                    DHCP           not checked  no root\n\
                    TFTP           warning      odd\n                            look\n\n\
                    Nothing that was checked is broken.";
        assert_eq!(report.text(), text);
        report.add(Stage::Sip, Diagnostic::error(&CODE, "x\x1b").help("first").into());
        report.add(Stage::Ami, Diagnostic::error(&CODE, "y").help("second").into());
        assert!(report.broken());
        let end = "SIP            broken       x?\nAMI            broken       y\n\n\
                   The first broken step is SIP.\n  H0901: a title\n  what it means\n  What to do: first.";
        assert!(report.text().ends_with(end), "{}", report.text());
    }

    #[test]
    fn json_has_every_finding() {
        let all: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        let expected = serde_json::json!({
            "step": "tftp", "verdict": "warning", "message": "odd", "code": "H0901",
            "meaning": "what it means", "cure": "look",
        });
        assert_eq!((all.as_array().unwrap().len(), &all[2]), (3, &expected));
    }
}
