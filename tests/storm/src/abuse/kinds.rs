//! What each kind does.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use super::{Attack, odd};
use crate::proto::{self, ACK, Packet, RRQ, WRQ};
use crate::sys::now_ns;

/// Carries out the kind of that name until the time is up.
pub(super) fn carry_out(attack: &mut Attack<'_>, kind: &str) -> io::Result<()> {
    match kind {
        "none" => while attack.step() {},
        "garbage" => blind(attack, odd::garbage),
        "stray-acks" => blind(attack, odd::stray),
        "options" => options(attack),
        "names" => names(attack),
        "write" => write(attack),
        "never-ack" => never(attack, false),
        "never-ack-window" => never(attack, true),
        "dup-ack" => fetches(attack, |attack, socket, block, from| {
            (0..3).for_each(|_| attack.send(socket, &proto::ack(block), from));
            true
        }),
        "ack-ahead" => fetches(attack, |attack, socket, block, from| {
            for odd in [block.wrapping_add(7), block.wrapping_sub(3), u16::MAX, block] {
                attack.send(socket, &proto::ack(odd), from);
            }
            true
        }),
        "error-mid" => fetches(attack, |attack, socket, _, from| {
            attack.send(socket, &proto::error(3, "disk full"), from);
            false
        }),
        "wrong-tid" => strangers(attack),
        "dup-rrq" => repeated(attack),
        "slow" => slow(attack),
        _ => return Err(io::Error::other(format!("no kind '{kind}'"))),
    }
    Ok(())
}

/// Datagrams at the main port, whatever comes of it.
fn blind(attack: &mut Attack<'_>, make: fn(&mut crate::sys::Random) -> Vec<u8>) {
    let sockets: Vec<_> = (0..64).filter_map(|_| attack.socket()).collect();
    for socket in sockets.iter().cycle() {
        if !attack.step() {
            return;
        }
        let datagram = make(&mut attack.random);
        attack.ask(socket, &datagram);
        while attack.take(socket).is_some() {}
    }
}

fn end(attack: &mut Attack<'_>, socket: &UdpSocket, to: SocketAddrV4) {
    attack.send(socket, &proto::error(0, "never mind"), to);
}

fn options(attack: &mut Attack<'_>) {
    for turn in 0.. {
        if !attack.step() {
            return;
        }
        let Some(socket) = attack.socket() else { continue };
        let request = odd::options(attack.plan.probe, &mut attack.random, turn);
        attack.ask(&socket, &request);
        if let Some((heard, from)) = attack.hear(&socket, 30)
            && !matches!(proto::parse(&heard), Packet::Error(..))
        {
            end(attack, &socket, from);
        }
    }
}

fn names(attack: &mut Attack<'_>) {
    let names = odd::names();
    for name in names.iter().cycle() {
        if !attack.step() {
            return;
        }
        let Some(socket) = attack.socket() else { continue };
        attack.ask(&socket, &proto::request(RRQ, name, &[]));
        let Some((heard, from)) = attack.hear(&socket, 30) else { continue };
        let Packet::Data(_, data) = proto::parse(&heard) else { continue };
        let shown = String::from_utf8_lossy(&name[..name.len().min(60)]).into_owned();
        let canary = attack.plan.canary.as_bytes();
        if data.windows(canary.len().max(1)).any(|part| part == canary) {
            note(&mut attack.seen.leaks, &shown);
        }
        note(&mut attack.seen.odd_names_served, &shown);
        end(attack, &socket, from);
    }
}

fn note(all: &mut Vec<String>, one: &str) {
    if !all.iter().any(|known| known == one) {
        all.push(one.to_owned());
    }
}

fn write(attack: &mut Attack<'_>) {
    for turn in 0.. {
        if !attack.step() {
            return;
        }
        let Some(socket) = attack.socket() else { continue };
        let new = format!("storm-write-{}.txt", turn % 50);
        let name = if turn % 2 == 0 { &new } else { attack.plan.probe };
        attack.ask(&socket, &proto::request(WRQ, name.as_bytes(), &[]));
        let Some((heard, from)) = attack.hear(&socket, 30) else { continue };
        if matches!(heard.get(1), Some(&ACK) | Some(6)) {
            attack.seen.writes += 1;
            end(attack, &socket, from);
        }
    }
}

/// Asks, and never acknowledges a block; with `window` the options are accepted, so that a whole
/// window comes.
fn never(attack: &mut Attack<'_>, window: bool) {
    let (name, options) = if window {
        let options = vec![("blksize", "1428".to_owned()), ("windowsize", "64".to_owned())];
        (attack.plan.big, options)
    } else {
        (attack.plan.probe, Vec::new())
    };
    let request = proto::request(RRQ, name.as_bytes(), &options);
    let mut held: VecDeque<(UdpSocket, u64)> = VecDeque::new();
    while attack.step() {
        let Some(socket) = attack.socket() else { continue };
        attack.ask(&socket, &request);
        held.push_back((socket, 0));
        let oldest = (held.len() > 8000).then(|| held.pop_front()).flatten();
        // A look at a few others each time.
        let some: Vec<_> = (0..4).filter_map(|_| held.pop_front()).collect();
        for (mut one, keep) in
            oldest.map(|o| (o, false)).into_iter().chain(some.into_iter().map(|o| (o, true)))
        {
            listen(attack, &mut one);
            if keep {
                held.push_back(one);
            }
        }
    }
    // What still comes: nobody answers.
    std::thread::sleep(Duration::from_secs(1));
    for mut one in held {
        listen(attack, &mut one);
    }
}

fn listen(attack: &mut Attack<'_>, (socket, packets): &mut (UdpSocket, u64)) {
    while let Some((heard, from)) = attack.take(socket) {
        if matches!(proto::parse(&heard), Packet::Oack(_)) {
            attack.send(socket, &proto::ack(0), from);
        } else {
            *packets += 1;
        }
    }
    attack.seen.most_packets = attack.seen.most_packets.max(*packets);
}

/// Whole fetches, where each block is answered in some odd way; false ends it.
fn fetches(
    attack: &mut Attack<'_>,
    mut answer: impl FnMut(&mut Attack<'_>, &UdpSocket, u16, SocketAddrV4) -> bool,
) {
    let request = proto::request(RRQ, attack.plan.probe.as_bytes(), &[]);
    while attack.step() {
        let Some(socket) = attack.socket() else { continue };
        attack.ask(&socket, &request);
        let mut next = 1;
        // At most 64 packets of one transfer, 100 ms for each.
        for _ in 0..64 {
            let Some((heard, from)) = attack.hear(&socket, 100) else { break };
            let Packet::Data(block, data) = proto::parse(&heard) else { break };
            if block != next {
                continue;
            }
            next += 1;
            attack.seen.blocks += 1;
            if !answer(attack, &socket, block, from) {
                break;
            }
            if data.len() < 512 {
                attack.seen.completed += 1;
                break;
            }
        }
    }
}

/// A stranger sends ERROR and ACK to the transfer's port.
fn strangers(attack: &mut Attack<'_>) {
    let Some(other) = attack.socket() else { return };
    fetches(attack, |attack, socket, block, from| {
        if block == 1 {
            attack.send(&other, &proto::error(0, "stop"), from);
            attack.send(&other, &proto::ack(block), from);
        }
        attack.send(socket, &proto::ack(block), from);
        while attack.take(&other).is_some() {}
        true
    });
}

/// The same request five times at once.
fn repeated(attack: &mut Attack<'_>) {
    let request = proto::request(RRQ, attack.plan.probe.as_bytes(), &[]);
    while attack.step() {
        let Some(socket) = attack.socket() else { continue };
        (0..5).for_each(|_| attack.ask(&socket, &request));
        let mut ports = HashSet::new();
        while let Some((_, from)) = attack.hear(&socket, 15) {
            ports.insert(from);
            if ports.len() >= 5 {
                break;
            }
        }
        attack.seen.tids += ports.len() as u64;
        ports.into_iter().for_each(|from| end(attack, &socket, from));
    }
}

/// Many transfers at once, each fed one ACK every 0.8 s.
fn slow(attack: &mut Attack<'_>) {
    let request = proto::request(RRQ, attack.plan.big.as_bytes(), &[]);
    let mut held: Vec<(UdpSocket, u16, Option<SocketAddrV4>)> = Vec::new();
    for _ in 0..attack.plan.sessions {
        let Some(socket) = attack.socket() else { continue };
        attack.ask(&socket, &request);
        held.push((socket, 0, None));
        std::thread::sleep(Duration::from_micros(200));
    }
    attack.seen.steps = held.len() as u64;
    while now_ns() < attack.end {
        let left = attack.end.saturating_sub(now_ns()) / 1_000_000 + 1;
        std::thread::sleep(Duration::from_millis(left.min(800)));
        for (socket, block, peer) in &mut held {
            while let Some((heard, from)) = attack.take(socket) {
                if let Packet::Data(number, _) = proto::parse(&heard) {
                    (*block, *peer) = (number, Some(from));
                }
            }
            if let Some(to) = *peer {
                attack.send(socket, &proto::ack(*block), to);
            }
        }
    }
    attack.seen.completed = held.iter().filter(|(_, block, _)| *block >= 2).count() as u64;
    for (socket, _, peer) in &held {
        if let Some(to) = peer {
            end(attack, socket, *to);
        }
    }
}
