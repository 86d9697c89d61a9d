//! The router's translation in nf_tables, sent over netlink without any program: see [`crate::nat`].

use std::ffi::{CStr, CString};
use std::io::IoSlice;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nftnl::expr::{Immediate, InterfaceName, Masquerade, Nat, NatType, Register};
use nftnl::{Batch, Chain, ChainType, Hook, MsgType, ProtoFamily, Rule, Table, nft_expr};
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendmsg,
};

use crate::topology::{Family, OUTER_INTERFACE};

const TABLE: &CStr = c"router";

/// The priorities of nft's names `dstnat` and `srcnat`.
const DESTINATION_NAT: i32 = -100;
const SOURCE_NAT: i32 = 100;

/// Makes the translation in the namespace of the calling thread.
pub(crate) fn install() -> Result<()> {
    let table = Table::new(TABLE, ProtoFamily::Inet);
    let before = nat_chain(c"before", &table, Hook::PreRouting, DESTINATION_NAT);
    let after = nat_chain(c"after", &table, Hook::PostRouting, SOURCE_NAT);
    let mut batch = Batch::new();
    batch.add(&table, MsgType::Add);
    batch.add(&before, MsgType::Add);
    batch.add(&after, MsgType::Add);
    for addresses in Family::ALL.map(Family::addresses) {
        let (floating, instance) = (addresses.floating, addresses.floating_instance);
        batch.add(&translate(&before, floating, NatType::DNat, instance), MsgType::Add);
        batch.add(&translate(&after, instance, NatType::SNat, floating), MsgType::Add);
    }
    batch.add(&masquerade(&after)?, MsgType::Add);
    send(batch)
}

/// Deletes an inet table in the namespace of the calling thread, as `nft delete table inet NAME` does.
pub(crate) fn delete_table(name: &str) -> Result<()> {
    let name = CString::new(name)?;
    let mut batch = Batch::new();
    batch.add(&Table::new(&name, ProtoFamily::Inet), MsgType::Del);
    send(batch).with_context(|| format!("cannot delete table {name:?}"))
}

fn nat_chain<'a>(name: &CStr, table: &'a Table, hook: Hook, priority: i32) -> Chain<'a> {
    let mut chain = Chain::new(name, table);
    chain.set_type(ChainType::Nat);
    chain.set_hook(hook, priority);
    chain
}

/// For DNAT `from` is the destination that is replaced, for SNAT the source.
fn translate<'a>(chain: &'a Chain<'_>, from: IpAddr, nat_type: NatType, to: IpAddr) -> Rule<'a> {
    let mut rule = Rule::new(chain);
    let family = if from.is_ipv4() { ProtoFamily::Ipv4 } else { ProtoFamily::Ipv6 };
    rule.add_expr(&nft_expr!(meta nfproto));
    rule.add_expr(&nft_expr!(cmp == family as u8));
    match (from, nat_type) {
        (IpAddr::V4(_), NatType::DNat) => rule.add_expr(&nft_expr!(payload ipv4 daddr)),
        (IpAddr::V4(_), NatType::SNat) => rule.add_expr(&nft_expr!(payload ipv4 saddr)),
        (IpAddr::V6(_), NatType::DNat) => rule.add_expr(&nft_expr!(payload ipv6 daddr)),
        (IpAddr::V6(_), NatType::SNat) => rule.add_expr(&nft_expr!(payload ipv6 saddr)),
    }
    rule.add_expr(&nft_expr!(cmp == from));
    match to {
        IpAddr::V4(to) => rule.add_expr(&Immediate::new(to.octets(), Register::Reg1)),
        IpAddr::V6(to) => rule.add_expr(&Immediate::new(to.octets(), Register::Reg1)),
    }
    rule.add_expr(&Nat { nat_type, family, ip_register: Register::Reg1, port_register: None });
    rule
}

fn masquerade<'a>(chain: &'a Chain<'_>) -> Result<Rule<'a>> {
    let mut rule = Rule::new(chain);
    rule.add_expr(&nft_expr!(meta oifname));
    rule.add_expr(&nft_expr!(cmp == InterfaceName::Exact(CString::new(OUTER_INTERFACE)?)));
    rule.add_expr(&Masquerade);
    Ok(rule)
}

/// Sends the batch as one datagram. The kernel has queued every answer when the call returns, so reading
/// until nothing is left sees them all; one refusal voids the whole batch.
fn send(batch: Batch) -> Result<()> {
    let batch = batch.finalize();
    let pages: Vec<_> = batch.iter().map(IoSlice::new).collect();
    let socket = socket::socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let socket = socket.as_raw_fd();
    sendmsg::<NetlinkAddr>(socket, &pages, &[], MsgFlags::empty(), None)?;

    let mut buffer = vec![0; 1 << 16];
    loop {
        match recv(socket, &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => check_answers(buffer.get(..length).unwrap_or_default())?,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(errno) => bail!("cannot read the answers: {errno}"),
        }
    }
}

/// Layout of an answer: `struct nlmsghdr` (length, type, flags, sequence, port) and, if its type is
/// `NLMSG_ERROR`, a negative errno or 0 (`linux/netlink.h`).
pub(crate) fn check_answers(mut rest: &[u8]) -> Result<()> {
    const HEADER: usize = 16;
    const NLMSG_ERROR: u16 = 2;
    while let (Some(length), Some(kind)) = (rest.first_chunk(), rest.get(4..6)) {
        let error = rest.get(HEADER..).and_then(|body| body.first_chunk());
        if let (true, Some(error)) = (kind == NLMSG_ERROR.to_ne_bytes(), error)
            && let error @ ..0 = i32::from_ne_bytes(*error)
        {
            bail!("the kernel refused the batch: {}", Errno::from_raw(-error));
        }
        let length = (u32::from_ne_bytes(*length) as usize).max(HEADER).next_multiple_of(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}
