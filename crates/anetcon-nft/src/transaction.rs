//! Events grouped into transactions: which of them touched our table, and who made them. Pure.

use crate::attribute::Malformed;
use crate::decode;
use crate::message::{Message, kind};
use crate::monitor::{Author, Changes};
use crate::netlink::PortId;
use anetcon_core::expr::kernel::NFPROTO_INET;

/// The last message number of linux/netfilter/nf_tables.h (`NFT_MSG_GETSETELEM_RESET`, kernel 6.5).
const LAST_KNOWN: u16 = 33;

/// The transaction that is being received. The kernel sends the messages of one transaction in a row and ends it
/// with the new generation, maybe in a later datagram.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Somebody else changed our table in it.
    touched: bool,
}

impl Transaction {
    /// Takes in one message.
    pub(crate) fn take(
        &mut self,
        message: &Message<'_>,
        table: &str,
        own: PortId,
        changes: &mut Changes,
    ) -> Result<(), Malformed> {
        let number = message.nf_tables().filter(|&number| number <= LAST_KNOWN);
        let number = number.ok_or(Malformed("event"))?;
        let (family, attributes) = message.body()?;
        if message.portid == own.0 {
            return Ok(());
        }
        if number == kind::NEWGEN {
            return self.end(attributes, changes);
        }
        if family == NFPROTO_INET && decode::table_of(attributes)? == table {
            self.touched = true;
            changes.touched = true;
        }
        Ok(())
    }

    fn end(&mut self, attributes: &[u8], changes: &mut Changes) -> Result<(), Malformed> {
        let touched = std::mem::take(&mut self.touched);
        let decode::Generation { id, tid, name } = decode::generation(attributes)?;
        if touched {
            changes.authors.push(Author { tid, name, generation: id });
        }
        Ok(())
    }

    /// Messages were lost, maybe the end of this one: the next author must not be blamed for it.
    pub(crate) fn lose(&mut self) {
        self.touched = false;
    }
}
