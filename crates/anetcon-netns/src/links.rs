//! The network interfaces of a namespace with their addresses, by rtnetlink.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::Handle;
use tokio::runtime;

use crate::{Error, NetnsRef, Opener};

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index, unique within the namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What made it: `veth`, `vlan`, `bridge`. Hardware and loopback have none.
    pub kind: Option<String>,
    /// Whether it is switched on (IFF_UP), not whether a cable is plugged in.
    pub up: bool,
    /// The hardware address, `aa:bb:cc:dd:ee:ff`.
    pub mac: Option<String>,
    /// Its IPv4 and IPv6 addresses with prefix length, `192.0.2.1/24`, in the kernel's order.
    pub addresses: Vec<String>,
}

/// Reads the interfaces of `netns`, sorted by index. Must be called inside a tokio runtime.
///
/// Errors: the namespace cannot be entered, or the kernel refuses the dump.
pub async fn read(opener: &Opener, netns: &NetnsRef) -> Result<Vec<Link>, Error> {
    let runtime = runtime::Handle::current();
    let socket = opener
        .within_async(netns, move || {
            // The socket registers with the runtime where it is made: on a thread that is not of it.
            let _inside = runtime.enter();
            rtnetlink::new_connection()
        })
        .await?;
    let (connection, handle, _) = socket.map_err(|source| Error::Socket { source })?;
    let connection = tokio::spawn(connection);
    let links = read_with(&handle).await;
    // The socket is closed with the task. Left open it would keep a deleted namespace alive.
    connection.abort();
    let _ = connection.await;
    links
}

async fn read_with(handle: &Handle) -> Result<Vec<Link>, Error> {
    let failed = |action| move |source| Error::Netlink { action, source };
    let links: Vec<_> =
        handle.link().get().execute().try_collect().await.map_err(failed("read the interfaces"))?;
    let addresses: Vec<_> = handle
        .address()
        .get()
        .execute()
        .try_collect()
        .await
        .map_err(failed("read the addresses"))?;
    let mut found: BTreeMap<_, _> =
        links.into_iter().map(|link| (link.header.index, decode(link))).collect();
    for address in addresses {
        // An interface made between the two dumps is not listed, so neither are its addresses.
        if let (Some(link), Some(text)) = (found.get_mut(&address.header.index), text(&address)) {
            link.addresses.push(text);
        }
    }
    Ok(found.into_values().collect())
}

fn decode(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        kind: None,
        up: message.header.flags.contains(LinkFlags::Up),
        mac: None,
        addresses: Vec::new(),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(bytes) => link.mac = mac(&bytes),
            LinkAttribute::LinkInfo(infos) => link.kind = infos.into_iter().find_map(kind),
            _ => {}
        }
    }
    link
}

fn kind(info: LinkInfo) -> Option<String> {
    match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    }
}

/// Tunnels have addresses of other lengths here, or none; those are no MACs.
fn mac(bytes: &[u8]) -> Option<String> {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (bytes.len() == 6).then(|| pairs.join(":"))
}

/// The kernel sends an interface's own IPv4 address as IFA_LOCAL; on a point-to-point link IFA_ADDRESS is
/// the other end's. IPv6 has IFA_LOCAL only on such links.
fn text(message: &AddressMessage) -> Option<String> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(address),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(address),
        _ => None,
    });
    Some(format!("{}/{}", local.or(address)?, message.header.prefix_len))
}
