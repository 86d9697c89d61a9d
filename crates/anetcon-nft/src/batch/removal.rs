//! The one batch that changes tables of others: what the bash script left is taken out of them.
//!
//! It holds only if the ruleset is still as it was when it was looked at (`NFNL_BATCH_GENID`): whatever somebody adds
//! meanwhile cannot be lost by it. nftnl writes no such batch and only our family, so the messages are written here.

use anetcon_core::takeover::{OldChain, Removal, TABLE};
use anetcon_netlink::message::Request;

use crate::ack::Expected;
use crate::error::Error;
use crate::message::{self, flag, kind};

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
/// `NFNL_BATCH_GENID`.
const GENERATION: u16 = 1;
/// Where a message says which subsystem a batch is for (`nfgenmsg.res_id`).
const SUBSYSTEM: std::ops::Range<usize> = 18..20;
/// `NLM_F_NONREC`: refuse to delete what is not empty.
const NOT_EMPTY: u16 = 0x100;

/// The bytes of a batch, and the answers that it awaits.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// Deletes the jumps, then the rules, then the chains.
pub(crate) fn removal(removal: &Removal) -> Result<Written, Error> {
    let mut batch = Written { bytes: Vec::new(), expected: Expected::default() };
    batch.frame(BEGIN, 1, &[(GENERATION, &removal.generation.to_be_bytes())])?;
    let mut sequence = 2;
    for chain in &removal.chains {
        let own = chain.rules.iter().map(|handle| (&chain.name, handle));
        for (of, handle) in chain.jumps.iter().map(|(of, handle)| (of, handle)).chain(own) {
            batch.rule(sequence, chain.family, of, *handle)?;
            sequence += 1;
        }
        batch.chain(sequence, chain)?;
        sequence += 1;
    }
    batch.frame(END, sequence, &[])?;
    Ok(batch)
}

impl Written {
    fn rule(&mut self, sequence: u32, family: u8, chain: &str, handle: u64) -> Result<(), Error> {
        let object = format!("the rule with handle {handle} in {chain}");
        let (table, chain) = (name(TABLE), name(chain));
        let attributes = [(1, &table[..]), (2, &chain[..]), (3, &handle.to_be_bytes()[..])];
        self.message(object, family, kind::DELRULE, 0, sequence, &attributes)
    }

    fn chain(&mut self, sequence: u32, chain: &OldChain) -> Result<(), Error> {
        let object = format!("the chain {}", chain.name);
        let attributes = [(1, &name(TABLE)[..]), (3, &name(&chain.name)[..])];
        self.message(object, chain.family, kind::DELCHAIN, NOT_EMPTY, sequence, &attributes)
    }

    fn message(
        &mut self,
        object: String,
        family: u8,
        number: u16,
        flags: u16,
        sequence: u32,
        attributes: &[(u16, &[u8])],
    ) -> Result<(), Error> {
        let written = message::request(family, number, flags | flag::ACK, sequence, attributes);
        self.bytes.extend(written.ok_or_else(|| unwritable(&object))?);
        self.expected.expect(sequence, object);
        Ok(())
    }

    /// The first and last message have no object, and only newer kernels acknowledge them.
    fn frame(
        &mut self,
        kind: u16,
        sequence: u32,
        attributes: &[(u16, &[u8])],
    ) -> Result<(), Error> {
        let request = Request { kind, family: 0, flags: 0, sequence };
        let mut bytes = request.with(attributes).ok_or_else(|| unwritable("the batch"))?;
        if let Some(place) = bytes.get_mut(SUBSYSTEM) {
            place.copy_from_slice(&kind::SUBSYSTEM.to_be_bytes());
        }
        self.bytes.extend(bytes);
        Ok(())
    }
}

/// A name as attributes hold it.
fn name(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn unwritable(object: &str) -> Error {
    Error::Unwritable { object: object.to_owned(), reason: "a name is too long" }
}
