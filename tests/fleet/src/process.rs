//! What a process costs, as the kernel counts it.

use std::fs;

/// A look at a process.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Cost {
    /// Seconds of processor time, user and system.
    pub cpu: f64,
    /// Resident memory now, in KiB.
    pub resident: u64,
    /// The most that it ever was, in KiB.
    pub peak: u64,
}

/// Looks at a process; none when it has ended.
pub fn cost(pid: u32) -> Option<Cost> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok());
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim_matches([':', '\t', ' ']).split(' ').next()?.parse().ok()
    };
    // Ticks are a hundredth of a second on every Linux that Debian builds.
    let cpu = (ticks(11)? + ticks(12)?) / 100.0;
    Some(Cost { cpu, resident: kib("VmRSS")?, peak: kib("VmHWM")? })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_costs_something() {
        let cost = super::cost(std::process::id()).unwrap();
        assert!(cost.resident > 100 && cost.peak >= cost.resident && cost.cpu >= 0.0);
        assert_eq!(super::cost(0), None);
    }
}
