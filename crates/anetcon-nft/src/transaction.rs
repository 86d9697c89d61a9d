//! Events grouped into transactions: which of them touched our table, and who made them. Pure.

use crate::decode;
use crate::message::{Message, kind, nf_tables};
use crate::monitor::{Author, Changes};
use crate::netlink::PortId;
use anetcon_core::expr::kernel::NFPROTO_INET;
use anetcon_netlink::Malformed;

/// The last message number of linux/netfilter/nf_tables.h (`NFT_MSG_GETSETELEM_RESET`, kernel 6.5).
const LAST_KNOWN: u16 = 33;

/// The transaction that is being received. The kernel sends the messages of one transaction in a row and ends it
/// with the new generation, maybe in a later datagram.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    /// Somebody else changed our table in it.
    touched: bool,
    /// Events were lost, and where is not known: what waits in the socket may be the end of another transaction.
    torn: bool,
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
        let number = nf_tables(message).filter(|&number| number <= LAST_KNOWN);
        let number = number.ok_or(Malformed("event"))?;
        let (family, attributes) = message.body()?;
        if number == kind::NEWGEN {
            return self.end(attributes, changes);
        }
        if family != NFPROTO_INET || decode::table_of(attributes)? != table {
            return Ok(());
        }
        if number == kind::DELRULE {
            // Whoever removed it, we too: this is the last time that anybody tells what it counted.
            changes.removed.extend(decode::rule(attributes)?.counted());
        }
        if message.portid != own.0 {
            self.touched = true;
            changes.touched = true;
        }
        Ok(())
    }

    fn end(&mut self, attributes: &[u8], changes: &mut Changes) -> Result<(), Malformed> {
        let touched = std::mem::take(&mut self.touched);
        let decode::Generation { id, tid, name } = decode::generation(attributes)?;
        if touched && !self.torn {
            changes.authors.push(Author { tid, name, generation: id });
        }
        Ok(())
    }

    /// Events were lost: nobody may be blamed until the socket is empty.
    pub(crate) fn tear(&mut self) {
        self.torn = true;
    }

    /// All events that waited were taken in: what comes next follows in order.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.torn) {
            self.touched = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anetcon_netlink::attribute::push;

    const OWN: PortId = PortId(7);
    const FOREIGN: u32 = 99;
    const NEWRULE: u16 = kind::SUBSYSTEM << 8 | kind::NEWRULE;
    const NEWGEN: u16 = kind::SUBSYSTEM << 8 | kind::NEWGEN;

    /// An event: message type, sender's port, `nfgenmsg` and attributes.
    fn take(
        transaction: &mut Transaction,
        changes: &mut Changes,
        event: (u16, u32, Vec<u8>),
    ) -> bool {
        let (kind, portid, payload) = event;
        let message = Message { kind, flags: 0, sequence: 0, portid, payload: &payload };
        transaction.take(&message, "anetcon", OWN, changes).is_ok()
    }

    fn rule_in(family: u8, table: &str, portid: u32) -> (u16, u32, Vec<u8>) {
        let mut payload = vec![family, 0, 0, 0];
        push(&mut payload, 1, format!("{table}\0").as_bytes()).unwrap();
        (NEWRULE, portid, payload)
    }

    fn generation(id: u32, portid: u32) -> (u16, u32, Vec<u8>) {
        let mut payload = vec![0; 4];
        push(&mut payload, 1, &id.to_be_bytes()).unwrap();
        push(&mut payload, 2, &4242u32.to_be_bytes()).unwrap();
        push(&mut payload, 3, b"nft\0").unwrap();
        (NEWGEN, portid, payload)
    }

    fn after(events: Vec<(u16, u32, Vec<u8>)>) -> Changes {
        let (mut transaction, mut changes) = Default::default();
        for event in events {
            assert!(take(&mut transaction, &mut changes, event));
        }
        changes
    }

    #[test]
    fn a_foreign_change_of_our_table_has_an_author() {
        let changes = after(vec![rule_in(1, "anetcon", FOREIGN), generation(5, FOREIGN)]);
        let author = Author { tid: 4242, name: "nft".into(), generation: 5 };
        let expected = Changes { touched: true, authors: vec![author], ..Changes::default() };
        assert_eq!(changes, expected);
    }

    #[test]
    fn own_changes_and_other_tables_do_not_touch() {
        let events = vec![
            rule_in(1, "anetcon", OWN.0),
            generation(5, OWN.0),
            rule_in(1, "anetcon2", FOREIGN),
            rule_in(2, "anetcon", FOREIGN),
            generation(6, FOREIGN),
        ];
        assert_eq!(after(events), Changes::default());
    }

    #[test]
    fn the_author_may_come_with_the_next_drain() {
        let mut transaction = Transaction::default();
        let (mut first, mut second) = (Changes::default(), Changes::default());
        take(&mut transaction, &mut first, rule_in(1, "anetcon", FOREIGN));
        assert!(first.touched && first.authors.is_empty());
        take(&mut transaction, &mut second, generation(5, FOREIGN));
        assert!(!second.touched);
        assert_eq!(second.authors.len(), 1);
    }

    #[test]
    fn after_a_loss_nobody_is_blamed() {
        let (mut transaction, mut changes): (Transaction, Changes) = Default::default();
        // The end of the first one and the begin of the second one are missing.
        transaction.tear();
        take(&mut transaction, &mut changes, rule_in(1, "anetcon", FOREIGN));
        take(&mut transaction, &mut changes, generation(9, FOREIGN));
        take(&mut transaction, &mut changes, rule_in(1, "anetcon", FOREIGN));
        transaction.settle();
        take(&mut transaction, &mut changes, generation(11, FOREIGN));
        assert!(changes.authors.is_empty());
        take(&mut transaction, &mut changes, rule_in(1, "anetcon", FOREIGN));
        take(&mut transaction, &mut changes, generation(12, FOREIGN));
        assert_eq!(changes.authors.len(), 1);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let (mut transaction, mut changes): (Transaction, Changes) = Default::default();
        let future = kind::SUBSYSTEM << 8 | (LAST_KNOWN + 1);
        for event in [
            (future, FOREIGN, rule_in(1, "anetcon", FOREIGN).2), // a message of a later kernel
            (0x0100, FOREIGN, vec![0; 4]),                       // another subsystem
            (NEWRULE, FOREIGN, vec![1, 0]),                      // cut header
            (NEWRULE, FOREIGN, vec![1, 0, 0, 0, 9, 0, 1, 0]),    // cut attribute
            (NEWRULE, FOREIGN, vec![1, 0, 0, 0]),                // no table
        ] {
            assert!(!take(&mut transaction, &mut changes, event));
        }
    }
}
