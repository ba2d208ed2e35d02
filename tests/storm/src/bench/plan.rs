//! What is run.

use super::Options;
use super::server::Kind;
use crate::abuse::KINDS;

/// One thing that all servers do in turn.
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) what: What,
}

pub(super) enum What {
    Load(Shape),
    Abuse { kind: &'static str, sessions: usize },
}

/// A load; without a file it is a boot.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    pub(super) phones: u64,
    pub(super) at_once: usize,
    pub(super) file: &'static str,
    pub(super) repeat: u32,
    pub(super) blksize: u16,
    pub(super) windowsize: u16,
    pub(super) loss: f64,
    pub(super) ramp_ms: u64,
    pub(super) think_ms: u64,
    /// Of handsetd only.
    pub(super) ours: bool,
    /// Meanwhile sip.conf is saved again and again, with other names for the phones that do not boot.
    pub(super) saves: bool,
}

fn boot(phones: u64, at_once: usize) -> (String, Shape) {
    (
        format!("boot {phones}, {at_once} at once"),
        Shape { phones, at_once, repeat: 1, ..Shape::default() },
    )
}

fn bulk(
    file: &'static str,
    clients: usize,
    blksize: u16,
    windowsize: u16,
    repeat: u32,
) -> (String, Shape) {
    let size = file.trim_start_matches("bulk-").trim_end_matches(".bin");
    let way = if windowsize > 1 {
        format!("{blksize} x {windowsize}")
    } else {
        format!("{blksize} lock-step")
    };
    let shape = Shape {
        phones: clients as u64,
        at_once: clients,
        file,
        repeat,
        blksize,
        windowsize,
        ..Shape::default()
    };
    (format!("{size}iB to {clients}, {way}"), shape)
}

fn with_loss((name, shape): (String, Shape)) -> (String, Shape) {
    (format!("{name}, 1 % lost each way"), Shape { loss: 1.0, ..shape })
}

pub(super) fn scenarios(options: &Options) -> Vec<Scenario> {
    const SMALL: &str = "bulk-1M.bin";
    const LARGE: &str = "bulk-8M.bin";
    let n = options.phones;
    let cut = |(name, shape): (String, Shape)| {
        let name = format!("{name}, within 10 s, 200 ms between files");
        (name, Shape { ramp_ms: 10_000, think_ms: 200, ..shape })
    };
    let all = usize::try_from(n).unwrap_or(usize::MAX);
    let half = |saves: bool| {
        let (name, shape) = boot(n / 2, 50);
        let how = if saves { "while the others' names change" } else { "nothing changes" };
        (format!("{name} of {n}, {how}"), Shape { repeat: 4, ours: true, saves, ..shape })
    };
    let series: [(&str, Vec<(String, Shape)>); 7] = [
        (
            "boot",
            [50, 500, 2000, all].into_iter().filter(|c| *c <= all).map(|c| boot(n, c)).collect(),
        ),
        ("cut", vec![cut(boot(n, all))]),
        ("reload", vec![half(false), half(true)]),
        ("loss", vec![with_loss(boot(n.min(1000), 50))]),
        (
            "bulk",
            vec![
                bulk(SMALL, 50, 512, 0, 1),
                bulk(SMALL, 50, 1428, 0, 2),
                bulk(SMALL, 50, 1428, 16, 4),
                bulk(LARGE, 1, 8192, 16, 8),
            ],
        ),
        ("many", vec![bulk(SMALL, 500, 1428, 0, 1)]),
        (
            "bulk-loss",
            vec![with_loss(bulk(SMALL, 20, 1428, 0, 1)), with_loss(bulk(SMALL, 20, 1428, 16, 1))],
        ),
    ];
    let wanted = |series: &str| options.only.iter().any(|only| only == series);
    let mut plan: Vec<_> = series
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .flat_map(|(_, shapes)| shapes)
        .map(|(name, shape)| Scenario { name, what: What::Load(shape) })
        .collect();
    if wanted("abuse") {
        plan.extend(KINDS.iter().map(|kind| Scenario {
            name: format!("abuse {kind}"),
            what: What::Abuse { kind, sessions: 500 },
        }));
    }
    if wanted("slow") {
        let name = "5000 transfers open".to_owned();
        plan.push(Scenario { name, what: What::Abuse { kind: "slow", sessions: 5000 } });
    }
    plan
}

impl Scenario {
    pub(super) fn reps(&self, reps: usize) -> usize {
        if matches!(self.what, What::Abuse { .. }) { 1 } else { reps }
    }

    /// in.tftpd has a process for each transfer and knows no windows; it is shown where it can take
    /// part. The single client is there to see what a window brings.
    pub(super) fn fits(&self, kind: &Kind, options: &Options) -> bool {
        match &self.what {
            What::Abuse { .. } => options.abuse_all || kind.name == "handset",
            What::Load(shape) if shape.ours => kind.name == "handset",
            What::Load(shape) if kind.name == "in.tftpd" => {
                shape.at_once <= 50 && shape.windowsize == 0 && shape.loss == 0.0
            }
            What::Load(_) => true,
        }
    }
}
