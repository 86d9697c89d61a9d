//! What the kernel should deliver at all: a classic BPF program on the socket, which the kernel runs before it queues
//! an event. What it refuses never wakes us and takes no room in the buffer.
//!
//! The program fails open: a message that it does not understand is delivered.

use libc::{
    BPF_ABS, BPF_B, BPF_H, BPF_IMM, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX,
    BPF_MISC, BPF_RET, BPF_TAX, BPF_W, SKF_AD_NLATTR, SKF_AD_NLATTR_NEST, SKF_AD_OFF,
};
use socket2::SockFilter;

use anetcon_netlink::message::{GENERIC, HEADER, flag};

use crate::decode::{attribute, kind};

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// `IPPROTO_*`. Events of others are refused in the kernel; dumps hold all.
    pub protocols: Vec<u8>,
    /// Whether the end of connections is wanted too.
    pub end: bool,
}

/// What the program returns: how much of the message is delivered.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

impl Filter {
    /// The multicast groups as a mask (`NFNLGRP_CONNTRACK_NEW` is 1, `NFNLGRP_CONNTRACK_DESTROY` 3). Updates, most of
    /// what the kernel could tell, are in a group of their own and are not asked for.
    pub(crate) fn groups(&self) -> u32 {
        let end = if self.end { 1 << (libc::NFNLGRP_CONNTRACK_DESTROY - 1) } else { 0 };
        NEW_GROUP | end
    }

    /// The program. An event is one datagram with one message, whose first attributes are
    /// `CTA_TUPLE_ORIG { CTA_TUPLE_IP {..}, CTA_TUPLE_PROTO { CTA_PROTO_NUM, ..} }`, but at offsets that depend on the
    /// address family and on zones. So the attributes are searched for, with the kernel's own two loads
    /// for it (linux/filter.h): with an offset in A and a kind in X, `NLATTR` finds an attribute from there on and
    /// `NLATTR_NEST` one inside the attribute there; both leave its offset in A, or 0 if there is none.
    pub(crate) fn program(&self) -> Vec<SockFilter> {
        let mut program = vec![
            // Only conntrack's own messages are judged: not errors, not the end of a dump.
            load(BPF_H, 4),
            SockFilter::new(op(BPF_JMP | BPF_JEQ | BPF_K), 2, 0, swapped(kind::NEW)),
            SockFilter::new(op(BPF_JMP | BPF_JEQ | BPF_K), 1, 0, swapped(kind::DELETE)),
            answer(ALL),
            // A dump's datagrams hold many messages, of which this would judge the first.
            load(BPF_H, 6),
            SockFilter::new(op(BPF_JMP | BPF_JSET | BPF_K), 0, 1, swapped(flag::MULTI)),
            answer(ALL),
            SockFilter::new(op(BPF_LD | BPF_IMM), 0, 0, (HEADER + GENERIC) as u32),
        ];
        program.extend(find(attribute::TUPLE_ORIG, SKF_AD_NLATTR));
        program.extend(find(attribute::TUPLE_PROTO, SKF_AD_NLATTR_NEST));
        program.extend(find(attribute::PROTO_NUM, SKF_AD_NLATTR_NEST));
        program.push(SockFilter::new(op(BPF_MISC | BPF_TAX), 0, 0, 0));
        // Behind the attribute's header of 4 bytes.
        program.push(SockFilter::new(op(BPF_LD | BPF_B | BPF_IND), 0, 0, 4));
        for &protocol in &self.protocols {
            program.extend(deliver_if(protocol.into()));
        }
        program.push(answer(NOTHING));
        program
    }
}

/// `NFNLGRP_CONNTRACK_NEW` as a mask.
pub(crate) const NEW_GROUP: u32 = 1 << (libc::NFNLGRP_CONNTRACK_NEW - 1);

fn load(size: u32, offset: u32) -> SockFilter {
    SockFilter::new(op(BPF_LD | size | BPF_ABS), 0, 0, offset)
}

fn answer(length: u32) -> SockFilter {
    SockFilter::new(op(BPF_RET | BPF_K), 0, 0, length)
}

/// Delivers the message if A is `value`. Each test has its own answer, so that no jump is ever long: jumps are bytes.
fn deliver_if(value: u32) -> [SockFilter; 2] {
    [SockFilter::new(op(BPF_JMP | BPF_JEQ | BPF_K), 0, 1, value), answer(ALL)]
}

/// Finds an attribute, or delivers the message if there is none.
fn find(kind: u16, by: i32) -> [SockFilter; 4] {
    let [test, all] = deliver_if(0);
    [
        SockFilter::new(op(BPF_LDX | BPF_IMM), 0, 0, kind.into()),
        load(BPF_W, (SKF_AD_OFF + by).cast_unsigned()),
        test,
        all,
    ]
}

/// BPF loads are in network byte order, netlink headers in the machine's.
fn swapped(number: u16) -> u32 {
    number.to_be().into()
}

/// The codes of linux/bpf_common.h all fit.
fn op(code: u32) -> u16 {
    code as u16
}

#[cfg(test)]
mod tests;
