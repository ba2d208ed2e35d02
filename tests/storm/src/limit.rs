//! What this machine can do with no TFTP server in the way: one thread answers every 4-byte datagram
//! with a burst of larger ones, and some clients keep one request each in flight. The bound for
//! lock-step and windowed transfers.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::socket::MsgFlags;
use serde::Serialize;

use crate::stats::{Quantiles, Spans, load};
use crate::sys::{Batch, Poll, cpu, now_ns, raise_nofile, udp};

#[derive(Serialize)]
pub(crate) struct Limit {
    clients: usize,
    size: usize,
    burst: usize,
    round_trips_per_s: f64,
    mb_per_s: f64,
    rtt_ms: Quantiles,
    client_cpu_s: f64,
    responder_cpu_s: f64,
    load: f64,
}

pub(crate) fn ping_pong(
    clients: usize,
    size: usize,
    burst: usize,
    seconds: f64,
) -> io::Result<Limit> {
    let burst = burst.max(1);
    let responder = udp(Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)), 4 << 20)?;
    responder.set_nonblocking(false)?;
    responder.set_read_timeout(Some(Duration::from_millis(50)))?;
    let to = responder.local_addr()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        let (before, payload) = (cpu(true), vec![0; size + 4]);
        let mut batch = Batch::new(64, 2048);
        while !stopped.load(Ordering::Relaxed) {
            if batch.receive(&responder, MsgFlags::MSG_WAITFORONE) > 0 {
                (0..burst).for_each(|_| batch.reply_all(&responder, &payload));
            }
        }
        cpu(true) - before
    });
    raise_nofile(clients as u64 + 64);
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for i in 0..clients {
        let socket = udp(None, if burst > 1 { 4 << 20 } else { 0 })?;
        socket.connect(to)?;
        poll.add(&socket, i as u64)?;
        socket.send(&[0, 4, 0, 1])?;
        all.push((socket, 0, now_ns()));
    }
    let mut batch = Batch::new(burst, size + 64);
    let (load, before, began) = (load(), cpu(true), now_ns());
    let end = began + (seconds * 1e9) as u64;
    let (mut spans, mut packets) = (Spans::default(), 0);
    while now_ns() < end {
        for event in 0..poll.wait(Duration::from_millis(20)) {
            let (socket, have, asked) = &mut all[poll.data(event) as usize];
            let came = batch.receive(socket, MsgFlags::MSG_DONTWAIT);
            packets += came;
            *have += came;
            if *have >= burst {
                spans.push_ns(now_ns() - *asked);
                (*have, *asked) = (0, now_ns());
                socket.send(&[0, 4, 0, 1])?;
            }
        }
    }
    let wall = (now_ns() - began) as f64 / 1e9;
    let client_cpu_s = cpu(true) - before;
    stop.store(true, Ordering::Relaxed);
    Ok(Limit {
        clients,
        size,
        burst,
        round_trips_per_s: spans.len() as f64 / wall,
        mb_per_s: (packets * size) as f64 / wall / 1e6,
        rtt_ms: spans.quantiles(),
        client_cpu_s,
        responder_cpu_s: thread.join().unwrap_or(0.0),
        load,
    })
}
