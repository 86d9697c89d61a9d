//! A router with an instance on one side and the outer world on the other, in three namespaces of its own.
//!
//! Laid out like an OpenStack router: `qr-inside` towards the instances, `qg-outside` towards the world,
//! the floating IP as a host address on the latter. Built over netlink; translation is `nat`'s part. The
//! outer world has no route to the subnets, so nothing is answered unless it was translated.
#![allow(clippy::panic, reason = "a test that cannot be set up ends here, with the reason")]

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use netlink_packet_route::link::{InfoData, InfoVeth, LinkAttribute, LinkMessage};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

use crate::netns::{Netns, unique, wait_until};

/// The router's interface towards the instances.
pub const INNER_INTERFACE: &str = "qr-inside";
/// The router's interface towards the world.
pub const OUTER_INTERFACE: &str = "qg-outside";
/// The only interface of the instance's and of the remote's namespace.
const HOST_INTERFACE: &str = "eth0";

/// Three namespaces, connected: instance, router, remote. They go when this value goes.
#[derive(Debug)]
pub struct Router {
    /// Holds every instance: one host with several addresses.
    pub inside: Netns,
    /// The router's own namespace, the one to audit.
    pub netns: Netns,
    /// Holds the remote host.
    pub outside: Netns,
}

impl Router {
    /// A router whose namespace has a unique name that starts with `at-<label>`.
    pub fn new(label: &str) -> Self {
        Self::named(&unique(label))
    }

    /// A router whose namespace has exactly this name, which must be free.
    pub fn named(name: &str) -> Self {
        let router = Self {
            inside: Netns::new("inside"),
            netns: Netns::named(name),
            outside: Netns::new("outside"),
        };
        router.connect().unwrap_or_else(|error| panic!("cannot build router {name}: {error:#}"));
        router
    }

    fn connect(&self) -> Result<()> {
        let all = [&self.inside, &self.netns, &self.outside];
        for netns in all {
            netns.bring_lo_up();
            netns.run(prepare_ipv6)?;
        }
        self.netns.run(enable_forwarding)?;

        let (inside, outside) = (File::open(self.inside.path())?, File::open(self.outside.path())?);
        with_netlink(&self.netns, async |handle| {
            add_veth(&handle, INNER_INTERFACE, inside.as_raw_fd()).await?;
            add_veth(&handle, OUTER_INTERFACE, outside.as_raw_fd()).await?;
            bring_up(&handle, INNER_INTERFACE).await?;
            bring_up(&handle, OUTER_INTERFACE).await?;
            for addresses in Family::ALL.map(Family::addresses) {
                addresses.configure_router(&handle).await?;
            }
            Ok(())
        })?;
        with_netlink(&self.inside, async |handle| {
            bring_up(&handle, HOST_INTERFACE).await?;
            for addresses in Family::ALL.map(Family::addresses) {
                addresses.configure_inside(&handle).await?;
            }
            Ok(())
        })?;
        with_netlink(&self.outside, async |handle| {
            bring_up(&handle, HOST_INTERFACE).await?;
            for addresses in Family::ALL.map(Family::addresses) {
                addresses.configure_outside(&handle).await?;
            }
            Ok(())
        })?;
        for netns in all {
            netns.run(wait_for_addresses);
        }
        Ok(())
    }
}

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Who has which address; the same in every router, since each lives in namespaces of its own.
    pub const fn addresses(self) -> &'static Addresses {
        match self {
            Self::V4 => &V4,
            Self::V6 => &V6,
        }
    }
}

/// The addresses of one family in a [`Router`].
#[derive(Debug)]
pub struct Addresses {
    /// The first subnet, as text with its prefix length.
    pub subnet: &'static str,
    /// The second subnet.
    pub second_subnet: &'static str,
    /// The router in the first subnet.
    pub gateway: IpAddr,
    /// The router in the second subnet.
    pub second_gateway: IpAddr,
    /// The instance that has the floating IP.
    pub floating_instance: IpAddr,
    /// An instance without one, in the same subnet.
    pub instance: IpAddr,
    /// An instance without one, in the second subnet.
    pub second_instance: IpAddr,
    /// The router's own address outside: what instances without a floating IP look like there.
    pub external: IpAddr,
    /// The floating IP.
    pub floating: IpAddr,
    /// The host in the outer world.
    pub remote: IpAddr,
    /// Prefix length of every network above.
    length: u8,
    /// Prefix length of a single address.
    host_length: u8,
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(first: u16, second: u16, third: u16, last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, last))
}

// Addresses for documentation (RFC 5737, RFC 3849) outside, private ones inside.
const V4: Addresses = Addresses {
    subnet: "10.7.0.0/24",
    second_subnet: "10.8.0.0/24",
    gateway: v4(10, 7, 0, 1),
    second_gateway: v4(10, 8, 0, 1),
    floating_instance: v4(10, 7, 0, 10),
    instance: v4(10, 7, 0, 11),
    second_instance: v4(10, 8, 0, 20),
    external: v4(198, 51, 100, 1),
    floating: v4(203, 0, 113, 10),
    remote: v4(198, 51, 100, 7),
    length: 24,
    host_length: 32,
};

const V6: Addresses = Addresses {
    subnet: "fd00:7::/64",
    second_subnet: "fd00:8::/64",
    gateway: v6(0xfd00, 7, 0, 1),
    second_gateway: v6(0xfd00, 8, 0, 1),
    floating_instance: v6(0xfd00, 7, 0, 0x10),
    instance: v6(0xfd00, 7, 0, 0x11),
    second_instance: v6(0xfd00, 8, 0, 0x20),
    external: v6(0x2001, 0xdb8, 0x51, 1),
    floating: v6(0x2001, 0xdb8, 0x203, 0x10),
    remote: v6(0x2001, 0xdb8, 0x51, 7),
    length: 64,
    host_length: 128,
};

impl Addresses {
    async fn configure_router(&self, handle: &Handle) -> Result<()> {
        let inner = [(self.gateway, self.length), (self.second_gateway, self.length)];
        let outer = [(self.external, self.length), (self.floating, self.host_length)];
        add_addresses(handle, INNER_INTERFACE, &inner).await?;
        add_addresses(handle, OUTER_INTERFACE, &outer).await
    }

    async fn configure_inside(&self, handle: &Handle) -> Result<()> {
        let instances = [self.floating_instance, self.instance, self.second_instance];
        add_addresses(handle, HOST_INTERFACE, &instances.map(|ip| (ip, self.length))).await?;
        let everywhere = match self.gateway {
            IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            IpAddr::V6(_) => (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        };
        add_route(handle, everywhere, self.gateway).await
    }

    async fn configure_outside(&self, handle: &Handle) -> Result<()> {
        add_addresses(handle, HOST_INTERFACE, &[(self.remote, self.length)]).await?;
        add_route(handle, (self.floating, self.host_length), self.external).await
    }
}

/// Gives a namespace a way to another network.
pub(crate) fn add_network(netns: &Netns, to: IpAddr, length: u8, gateway: IpAddr) -> Result<()> {
    with_netlink(netns, async |handle| add_route(&handle, (to, length), gateway).await)
}

/// Runs `job` with a netlink connection of the namespace.
fn with_netlink<T: Send>(
    netns: &Netns,
    job: impl AsyncFnOnce(Handle) -> Result<T> + Send,
) -> Result<T> {
    netns.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            let connection = tokio::spawn(connection);
            let value = job(handle).await;
            connection.abort();
            value
        })
    })
}

/// A veth pair: `name` here, [`HOST_INTERFACE`] in the namespace behind `peer_netns`. Neither end can go up
/// before both exist.
async fn add_veth(handle: &Handle, name: &str, peer_netns: RawFd) -> Result<()> {
    let mut peer: LinkMessage = LinkUnspec::new_with_name(HOST_INTERFACE).build();
    peer.attributes.push(LinkAttribute::NetNsFd(peer_netns));
    let link = LinkVeth::new(name, HOST_INTERFACE)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    handle.link().add(link).execute().await.with_context(|| format!("link {name}"))
}

async fn bring_up(handle: &Handle, link: &str) -> Result<()> {
    let request = handle.link().set(LinkUnspec::new_with_name(link).up().build());
    request.execute().await.with_context(|| format!("cannot bring {link} up"))
}

async fn add_addresses(handle: &Handle, link: &str, addresses: &[(IpAddr, u8)]) -> Result<()> {
    let index = index_of(handle, link).await?;
    for &(address, length) in addresses {
        let request = handle.address().add(index, address, length);
        request.execute().await.with_context(|| format!("address {address} on {link}"))?;
    }
    Ok(())
}

async fn index_of(handle: &Handle, link: &str) -> Result<u32> {
    let mut links = handle.link().get().match_name(link.to_owned()).execute();
    let found = links.try_next().await.with_context(|| format!("link {link}"))?;
    Ok(found.with_context(|| format!("no link {link}"))?.header.index)
}

async fn add_route(handle: &Handle, to: (IpAddr, u8), gateway: IpAddr) -> Result<()> {
    let route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(to.0, to.1)?
        .gateway(gateway)?
        .build();
    let added = handle.route().add(route).execute().await;
    added.with_context(|| format!("route to {}/{} via {gateway}", to.0, to.1))
}

/// Without duplicate address detection IPv6 addresses work at once. Must come before the links.
fn prepare_ipv6() -> Result<()> {
    for scope in ["all", "default"] {
        write_sysctl(&format!("ipv6/conf/{scope}/disable_ipv6"), "0")?;
        write_sysctl(&format!("ipv6/conf/{scope}/accept_dad"), "0")?;
        write_sysctl(&format!("ipv6/conf/{scope}/accept_ra"), "0")?;
    }
    Ok(())
}

fn enable_forwarding() -> Result<()> {
    write_sysctl("ipv4/ip_forward", "1")?;
    write_sysctl("ipv6/conf/all/forwarding", "1")
}

/// `/proc/sys/net` shows the namespace of the thread that opens the file.
pub(crate) fn write_sysctl(name: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).with_context(|| format!("cannot write {path}"))
}

fn wait_for_addresses() {
    wait_until("no IPv6 address is tentative", Duration::from_secs(5), || {
        let addresses = fs::read_to_string("/proc/thread-self/net/if_inet6");
        addresses.is_ok_and(|text| !text.lines().any(tentative))
    });
}

/// Columns of if_inet6: address, index, prefix length, scope, flags, name (`net/ipv6/addrconf.c`).
fn tentative(line: &str) -> bool {
    const IFA_F_TENTATIVE: u32 = 0x40;
    let flags = line.split_whitespace().nth(4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    flags.is_none_or(|flags| flags & IFA_F_TENTATIVE != 0)
}
