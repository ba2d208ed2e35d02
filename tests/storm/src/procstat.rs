//! What a server costs: CPU seconds, memory, processes and threads of a process and all its
//! descendants, and the datagrams that the kernel threw away because its main socket was full.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Default, Debug)]
struct Snap {
    cpu_s: f64,
    rss_kib: u64,
    procs: u64,
    threads: u64,
    fds: u64,
}

/// What a run cost the server.
#[derive(Serialize, Deserialize, Clone, Copy, Default, Debug)]
pub(crate) struct Cost {
    pub(crate) alive: bool,
    pub(crate) cpu_s: f64,
    pub(crate) rss_start_kib: u64,
    pub(crate) rss_peak_kib: u64,
    pub(crate) rss_end_kib: u64,
    pub(crate) procs_peak: u64,
    pub(crate) threads_peak: u64,
    pub(crate) fds_start: u64,
    pub(crate) fds_end: u64,
    pub(crate) port_drops: u64,
}

/// Which server is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) pid: Option<u32>,
    /// Holds the server alone: its CPU time includes that of processes that live for a millisecond.
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) port: u16,
}

fn tree(pid: u32, out: &mut Vec<u32>) {
    out.push(pid);
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return };
    // Children come from the first few threads, if from any.
    for task in tasks.flatten().take(16) {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_ascii_whitespace().filter_map(|c| c.parse().ok()) {
            if out.len() < 20_000 {
                tree(child, out);
            }
        }
    }
}

/// CPU seconds, threads and KiB of memory; none once it is dead.
fn stat(pid: u32) -> Option<(f64, u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split(' ').collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    // utime stime cutime cstime, in ticks of 10 ms; threads; resident pages of 4 KiB.
    let ticks = number(11) + number(12) + number(13) + number(14);
    Some((ticks as f64 / 100.0, number(17), number(21) * 4))
}

fn snap(pid: u32) -> Option<Snap> {
    let mut pids = Vec::new();
    tree(pid, &mut pids);
    let mut all = Snap::default();
    stat(pid)?;
    for pid in pids {
        let Some((cpu, threads, rss)) = stat(pid) else { continue };
        all.cpu_s += cpu;
        all.threads += threads;
        all.rss_kib += rss;
        all.procs += 1;
        all.fds += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |dir| dir.count() as u64);
    }
    Some(all)
}

fn cgroup_cpu(server: &Server) -> Option<f64> {
    let dir = server.cgroup.as_ref()?;
    if let Ok(text) = fs::read_to_string(dir.join("cpuacct.usage")) {
        return text.trim().parse::<f64>().ok().map(|ns| ns / 1e9);
    }
    let text = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    usage.trim().parse::<f64>().ok().map(|us| us / 1e6)
}

/// In the server's network namespace.
fn port_drops(server: &Server) -> u64 {
    let (port, pid) = (server.port, server.pid.unwrap_or_else(std::process::id));
    let text = fs::read_to_string(format!("/proc/{pid}/net/udp")).unwrap_or_default();
    let rows = text.lines().skip(1).map(|l| l.split_ascii_whitespace().collect::<Vec<_>>());
    let of_port = rows.filter(|row| {
        let local = row.get(1).and_then(|local| local.rsplit_once(':'));
        local.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port))
    });
    of_port.filter_map(|row| row.get(12)?.parse::<u64>().ok()).sum()
}

/// Looks on while a run lasts.
pub(crate) struct Watch {
    server: Server,
    first: Snap,
    cpu: f64,
    drops: u64,
    peak: Arc<Mutex<Snap>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(server: Server) -> Self {
        let first = server.pid.and_then(snap).unwrap_or_default();
        let (peak, stop) = (Arc::new(Mutex::new(first)), Arc::new(AtomicBool::new(false)));
        let thread = server.pid.map(|pid| {
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            std::thread::spawn(move || look_on(pid, &peak, &stop))
        });
        let cpu = cgroup_cpu(&server).unwrap_or(first.cpu_s);
        Self { first, cpu, drops: port_drops(&server), peak, stop, thread, server }
    }

    pub(crate) fn finish(mut self) -> Cost {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let last = self.server.pid.and_then(snap);
        let end = last.unwrap_or_default();
        let peak = *self.peak.lock().unwrap_or_else(PoisonError::into_inner);
        Cost {
            alive: last.is_some(),
            cpu_s: cgroup_cpu(&self.server).unwrap_or(end.cpu_s) - self.cpu,
            rss_start_kib: self.first.rss_kib,
            rss_peak_kib: peak.rss_kib.max(end.rss_kib),
            rss_end_kib: end.rss_kib,
            procs_peak: peak.procs.max(end.procs),
            threads_peak: peak.threads.max(end.threads),
            fds_start: self.first.fds,
            fds_end: end.fds,
            port_drops: port_drops(&self.server).saturating_sub(self.drops),
        }
    }
}

/// Never takes more than about 2 % of a core.
fn look_on(pid: u32, peak: &Mutex<Snap>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        if let Some(now) = snap(pid) {
            let mut peak = peak.lock().unwrap_or_else(PoisonError::into_inner);
            peak.rss_kib = peak.rss_kib.max(now.rss_kib);
            peak.procs = peak.procs.max(now.procs);
            peak.threads = peak.threads.max(now.threads);
        }
        let pause = began.elapsed() * 50;
        std::thread::sleep(pause.clamp(Duration::from_millis(25), Duration::from_secs(2)));
    }
}
