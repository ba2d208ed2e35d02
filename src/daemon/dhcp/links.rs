//! The host's interfaces and their IPv4 addresses, looked at again whenever the kernel tells of a change.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::libc;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::wire::dhcp::{Home, Net};

/// An interface with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) homes: Vec<Home>,
}

/// All interfaces that are up and have an address, without the loopback.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Links(Vec<Link>);

impl Links {
    /// As they are now.
    pub(super) fn look() -> io::Result<Self> {
        let mut links: Vec<Link> = Vec::new();
        for found in getifaddrs()? {
            let Some((name, home)) = home(&found) else { continue };
            match links.iter_mut().find(|link| link.name == name) {
                Some(link) => link.homes.push(home),
                None => {
                    // It may have gone meanwhile; a change is told again then.
                    let Ok(index) = if_nametoindex(name.as_str()) else { continue };
                    links.push(Link { index, name, homes: vec![home] });
                }
            }
        }
        Ok(Self(links))
    }

    /// The interface with this number.
    pub(super) fn get(&self, index: u32) -> Option<&Link> {
        self.0.iter().find(|link| link.index == index)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Link> {
        self.0.iter()
    }

    /// The networks that the host is attached to and that phones can be in.
    pub(super) fn nets(&self) -> impl Iterator<Item = Net> {
        let homes = self.0.iter().flat_map(|link| &link.homes);
        homes.map(|home| home.net).filter(|net| (8..=30).contains(&net.bits()))
    }

    /// The host's own addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.0.iter().flat_map(|link| &link.homes).map(|home| home.address)
    }

    /// Interfaces and addresses for people.
    pub(super) fn in_words(&self) -> String {
        let one = |link: &Link| {
            let homes =
                link.homes.iter().map(|home| format!("{}/{}", home.address, home.net.bits()));
            format!("{} {}", link.name, homes.collect::<Vec<_>>().join(" "))
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl Link {
    /// Its addresses, the one that was asked first.
    pub(super) fn homes(&self, asked: Ipv4Addr) -> Vec<Home> {
        let mut homes = self.homes.clone();
        if let Some(at) = homes.iter().position(|home| home.address == asked) {
            homes.swap(0, at);
        }
        homes
    }

    /// Whether an address lies in one of its networks.
    pub(super) fn reaches(&self, address: Ipv4Addr) -> bool {
        self.homes.iter().any(|home| home.net.contains(address))
    }
}

fn home(found: &InterfaceAddress) -> Option<(String, Home)> {
    let up = found.flags.contains(InterfaceFlags::IFF_UP);
    if !up || found.flags.contains(InterfaceFlags::IFF_LOOPBACK) {
        return None;
    }
    let address = found.address?.as_sockaddr_in()?.ip();
    let mask = found.netmask?.as_sockaddr_in()?.ip();
    let bits = u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32);
    // An alias (eth0:1) is the same interface.
    let name = found.interface_name.split(':').next().unwrap_or_default().to_owned();
    Some((name, Home { address, net: Net::around(address, bits) }))
}

/// Where the kernel tells of changes (rtnetlink(7)).
#[derive(Debug)]
pub(super) struct Changes(OwnedFd);

impl Changes {
    pub(super) fn listen() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, u32::try_from(groups).unwrap_or(0)))?;
        Ok(Self(fd))
    }

    /// Takes in what was told; what it was does not matter. What was lost was told of too (ENOBUFS).
    pub(super) fn drain(&self) {
        let mut buffer = [0; 8192];
        for _ in 0..64 {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) if length > 0 => {}
                Err(nix::errno::Errno::ENOBUFS | nix::errno::Errno::EINTR) => {}
                _ => return,
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
