//! Findings in a few letters.

use super::finding::Finding;
use crate::base::Level;

/// `fine`, `skipped`, `warning H0901`, `error H0901`.
pub(super) fn verdict(finding: &Finding) -> String {
    match finding {
        Finding::Fine(_) => "fine".into(),
        Finding::Skipped(_) => "skipped".into(),
        Finding::Wrong(d) => {
            let level = if d.level == Level::Error { "error" } else { "warning" };
            assert!(d.help.is_some(), "a fault without a cure: {}", d.message);
            assert!(!d.message.ends_with('.'), "{}", d.message);
            format!("{level} {}", d.code.id)
        }
    }
}

/// The same of several.
pub(super) fn verdicts(findings: &[Finding]) -> String {
    findings.iter().map(verdict).collect::<Vec<_>>().join(", ")
}
