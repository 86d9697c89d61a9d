//! Reading one table, whole and consistent.
//!
//! The kernel has no request that reads a table at once. So several dumps are made, with the ruleset's generation
//! asked for before and after: only if it stayed the same do they describe one moment. That alone is not enough: a
//! commit raises the generation first and makes its changes visible after that, and until it has unlinked a
//! replaced table, a dump of the rules of that name finds the dead table and reports none. A barrier behind
//! the first question waits until such a commit is over. Where the kernel can filter by table it does, so
//! that a namespace with thousands of foreign rules costs little.

use anetcon_core::expr::kernel::{NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6};
use anetcon_core::observed::{Observed, RuleCounter};
use anetcon_core::ruleset::Ruleset;
use anetcon_core::table::{Chain, Set, Table};
use anetcon_core::takeover::NatTables;
use anetcon_netlink::Malformed;
use nix::errno::Errno;

use crate::batch;
use crate::decode::{self, DumpedRule, DumpedTable};
use crate::error::Error;
use crate::message::kind;
use crate::netlink::PortId;
use crate::request::{Request, Requests};

/// How often a read is begun anew when others change the ruleset meanwhile. One read takes well under a millisecond.
const ATTEMPTS: u32 = 8;

/// Reads over a socket.
pub(crate) struct Dump<'a> {
    pub(crate) requests: Requests<'a>,
    /// The socket's own port: whatever it owns has no foreign owner.
    pub(crate) own: PortId,
}

impl Dump<'_> {
    /// The state of our table at one generation.
    pub(crate) fn observe(&mut self, table: &str) -> Result<Observed, Error> {
        for _ in 0..ATTEMPTS {
            match self.attempt(table) {
                Err(Error::Interrupted { .. }) => (),
                outcome => return outcome,
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    /// Whatever went wrong while the ruleset was changing says nothing, not even that a table is missing.
    fn attempt(&mut self, table: &str) -> Result<Observed, Error> {
        let before = self.generation()?;
        self.requests.commit(batch::barrier())?;
        let outcome = self.table(table);
        let after = self.generation()?;
        if before != after {
            return Err(Error::Interrupted { attempts: 1 });
        }
        let (table, counters) = outcome?.unzip();
        Ok(Observed { table, counters: counters.unwrap_or_default(), generation: after })
    }

    /// The generation of the ruleset: it changes with each transaction of the namespace.
    pub(crate) fn generation(&mut self) -> Result<u32, Error> {
        let request = Request {
            object: "the generation",
            family: NFPROTO_INET,
            number: kind::GETGEN,
            flags: 0,
            attributes: &[],
        };
        let generations = self.requests.collect(&request, kind::NEWGEN, decode::generation)?;
        generations.first().map(|generation| generation.id).ok_or_else(|| request.unanswered())
    }

    /// The names of the inet tables.
    pub(crate) fn tables(&mut self) -> Result<Vec<String>, Error> {
        let request = Request::dump("the tables", kind::GETTABLE, &[]);
        self.requests
            .collect(&request, kind::NEWTABLE, |attributes| Ok(decode::table(attributes)?.name))
    }

    /// The chains of every family, and the rules that keep packets from connection tracking. One after the other: for a
    /// look around, not for a comparison.
    pub(crate) fn ruleset(&mut self) -> Result<Ruleset, Error> {
        let chains = Request { family: 0, ..Request::dump("the chains", kind::GETCHAIN, &[]) };
        let chains = self.requests.collect_of(&chains, kind::NEWCHAIN, decode::foreign_chain)?;
        let rules = Request { family: 0, ..Request::dump("the rules", kind::GETRULE, &[]) };
        let rules = self.requests.collect_of(&rules, kind::NEWRULE, decode::untracked_rule)?;
        Ok(Ruleset { chains, untracked: rules.into_iter().flatten().collect() })
    }

    /// The nat tables that iptables-nft makes, at one generation.
    pub(crate) fn nat_tables(&mut self) -> Result<NatTables, Error> {
        for _ in 0..ATTEMPTS {
            match self.attempt_nat_tables() {
                Err(Error::Interrupted { .. }) => (),
                outcome => return outcome,
            }
        }
        Err(Error::Interrupted { attempts: ATTEMPTS })
    }

    fn attempt_nat_tables(&mut self) -> Result<NatTables, Error> {
        let before = self.generation()?;
        self.requests.commit(batch::barrier())?;
        let (mut chains, mut rules) = (Vec::new(), Vec::new());
        for family in [NFPROTO_IPV4, NFPROTO_IPV6] {
            let request = Request { family, ..Request::dump("the chains", kind::GETCHAIN, &[]) };
            chains.extend(self.requests.collect_of(&request, kind::NEWCHAIN, decode::nat_chain)?);
            let request = Request { family, ..Request::dump("the rules", kind::GETRULE, &[]) };
            rules.extend(self.requests.collect_of(&request, kind::NEWRULE, decode::nat_rule)?);
        }
        if before != self.generation()? {
            return Err(Error::Interrupted { attempts: 1 });
        }
        let (chains, rules) = (chains.into_iter().flatten(), rules.into_iter().flatten());
        Ok(NatTables { generation: before, chains: chains.collect(), rules: rules.collect() })
    }

    fn table(&mut self, name: &str) -> Result<Option<(Table, Vec<RuleCounter>)>, Error> {
        let key = [name.as_bytes(), &[0]].concat();
        let Some(table) = self.head(name, &key)? else { return Ok(None) };
        let DumpedTable { name, flags, owner } = table;
        let foreign_owner = owner.filter(|owner| *owner != self.own.0);
        let mut chains = self.chains(&name)?;
        let counters = self.rules(&key, &mut chains)?;
        let sets = self.sets(&key)?;
        Ok(Some((Table { name, flags, foreign_owner, sets, chains }, counters)))
    }

    /// The table itself; `None` if there is no such table.
    fn head(&mut self, name: &str, key: &[u8]) -> Result<Option<DumpedTable>, Error> {
        let object = format!("table `{name}`");
        let attributes = [(decode::TABLE, key)];
        let request = Request {
            object: &object,
            family: NFPROTO_INET,
            number: kind::GETTABLE,
            flags: 0,
            attributes: &attributes,
        };
        match self.requests.collect(&request, kind::NEWTABLE, decode::table) {
            Ok(tables) => {
                let found = tables.into_iter().find(|table| table.name == name);
                found.map(Some).ok_or_else(|| request.unanswered())
            }
            Err(Error::Refused { errno: Errno::ENOENT, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The chains, sorted by name. The kernel cannot filter them by table; there are few of family inet.
    fn chains(&mut self, table: &str) -> Result<Vec<Chain>, Error> {
        let request = Request::dump("the chains", kind::GETCHAIN, &[]);
        let found = self.requests.collect(&request, kind::NEWCHAIN, |attributes| {
            let ours = decode::table_of(attributes)? == table;
            ours.then(|| decode::chain(attributes)).transpose()
        })?;
        let mut chains: Vec<_> = found.into_iter().flatten().collect();
        chains.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(chains)
    }

    /// Puts the rules into their chains and returns what they counted, chain by chain.
    fn rules(&mut self, key: &[u8], chains: &mut [Chain]) -> Result<Vec<RuleCounter>, Error> {
        let attributes = [(decode::TABLE, key)];
        let request = Request::dump("the rules", kind::GETRULE, &attributes);
        let mut rules = self.requests.collect(&request, kind::NEWRULE, decode::rule)?;
        // A stable sort: within a chain the order stays.
        rules.sort_by(|one, other| one.chain.cmp(&other.chain));
        let counters = rules.iter().filter_map(DumpedRule::counted).collect();
        for DumpedRule { chain, rule, .. } in rules {
            let chain = chains.iter_mut().find(|known| known.name == chain);
            let source = Malformed("rule of an unknown chain");
            chain.ok_or_else(|| request.malformed(source))?.rules.push(rule);
        }
        Ok(counters)
    }

    /// The named sets with their elements, sorted. Anonymous sets have names too, and belong to rules that are not ours.
    fn sets(&mut self, key: &[u8]) -> Result<Vec<Set>, Error> {
        let attributes = [(decode::TABLE, key)];
        let request = Request::dump("the sets", kind::GETSET, &attributes);
        let mut sets = self.requests.collect(&request, kind::NEWSET, decode::set)?;
        for set in &mut sets {
            self.elements(key, set)?;
        }
        sets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(sets)
    }

    fn elements(&mut self, key: &[u8], set: &mut Set) -> Result<(), Error> {
        let object = format!("the elements of set `{}`", set.name);
        let name = [set.name.as_bytes(), &[0]].concat();
        let attributes = [(decode::TABLE, key), (2, &name[..])];
        let request = Request::dump(&object, kind::GETSETELEM, &attributes);
        let found = self.requests.collect(&request, kind::NEWSETELEM, decode::elements)?;
        set.elements.extend(found.into_iter().flatten());
        set.elements.sort();
        Ok(())
    }
}
