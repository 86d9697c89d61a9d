//! Which namespaces there are, and the way into each.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;

use anetcon_conntrack::{Conntrack, Filter};
use anetcon_core::expr::kernel;
use anetcon_core::netns::NetnsName;
use anetcon_core::observed::Observed;
use anetcon_core::plan::{Plan, plan};
use anetcon_core::protect::Guarantees;
use anetcon_core::ruleset::Ruleset;
use anetcon_core::takeover::{self, Kept, Removal};
use anetcon_netns::links::{self, Link};
use anetcon_netns::list::Listing;
use anetcon_netns::{NetnsRef, Opener};
use anetcon_nft::{Monitor, RulesSocket};

use crate::{Error, NetnsRules};

/// How often a removal is tried when others change the ruleset meanwhile.
const TAKEOVER_ATTEMPTS: u32 = 8;

/// The namespaces of this machine, as far as they are in the given folders.
#[derive(Debug, Clone)]
pub struct Host {
    opener: Opener,
    directories: Vec<PathBuf>,
}

/// Which file a namespace's name stands for: device and inode. While a socket of ours keeps the namespace alive its
/// inode is not used again, so another value then means another namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl Host {
    /// Starts the thread that enters namespaces.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(directories: Vec<PathBuf>) -> Result<Self, Error> {
        let opener = Opener::start().map_err(Error::Opener)?;
        Ok(Self { opener, directories })
    }

    /// The same host, with other folders.
    pub fn with_directories(&self, directories: Vec<PathBuf>) -> Self {
        Self { opener: self.opener.clone(), directories }
    }

    /// Every namespace there is by name, and the files that were passed over. The root namespace is not in it:
    /// it is always there.
    ///
    /// # Errors
    /// If a folder exists and cannot be read.
    pub fn list(&self) -> Result<Listing, Error> {
        anetcon_netns::list(&self.directories).map_err(Error::List)
    }

    /// The file behind a name now; `None` for the root namespace, and where there is no file.
    pub fn file_id(&self, name: &NetnsName) -> Option<FileId> {
        let path = self.path(name)?;
        fs::metadata(path).ok().map(|file| FileId(file.st_dev(), file.st_ino()))
    }

    /// Opens the sockets that watch and program a namespace. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and a tokio runtime.
    ///
    /// # Errors
    /// If the namespace is not there, cannot be entered, or the kernel gives no sockets.
    pub async fn open(&self, name: &NetnsName) -> Result<NetnsRules, Error> {
        let netns = self.locate(name)?;
        // The event socket first: what happens between the two is then an event, not a gap.
        let sockets = || Ok::<_, anetcon_nft::Error>((Monitor::open()?, RulesSocket::open()?));
        let (monitor, socket) = self
            .opener
            .within_async(&netns, sockets)
            .await
            .map_err(|source| Error::Enter { name: name.clone(), source })?
            .map_err(|source| Error::Nft { name: name.clone(), source })?;
        NetnsRules::adopt(name.clone(), socket, monitor)
    }

    /// Opens the socket that hears of a namespace's connections, with room for `buffer` bytes of events. It must be
    /// adopted by [`NetnsConnections`](crate::NetnsConnections) in the runtime that reads it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_conntrack(
        &self,
        name: &NetnsName,
        filter: Filter,
        buffer: usize,
    ) -> Result<Conntrack, Error> {
        let netns = self.locate(name)?;
        self.opener
            .within_async(&netns, move || Conntrack::open(&filter, buffer))
            .await
            .map_err(|source| Error::Enter { name: name.clone(), source })?
            .map_err(|source| Error::Conntrack { name: name.clone(), source })
    }

    /// Opens another socket that hears of changes to a namespace's rules, for [`NetnsRules::hear_with`].
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_monitor(&self, name: &NetnsName) -> Result<Monitor, Error> {
        let netns = self.locate(name)?;
        self.opener
            .within_async(&netns, Monitor::open)
            .await
            .map_err(|source| Error::Enter { name: name.clone(), source })?
            .map_err(|source| Error::Nft { name: name.clone(), source })
    }

    /// What the kernel can do to protect a table. Asked in the root namespace: it is the same everywhere.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn guarantees(&self) -> Result<Guarantees, Error> {
        let root = NetnsName::root();
        let nft = |source| Error::Nft { name: root.clone(), source };
        let mut socket = self.socket(&root)?;
        let owner = socket.knows_flags(kernel::TABLE_OWNER).map_err(nft)?;
        let persisting = kernel::TABLE_OWNER | kernel::TABLE_PERSIST;
        let persist = owner && socket.knows_flags(persisting).map_err(nft)?;
        Ok(Guarantees { owner, persist, store: false })
    }

    /// Dumps the table of this name in one namespace, without watching it.
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the kernel does not answer.
    pub fn observe(&self, name: &NetnsName, table: &str) -> Result<Observed, Error> {
        self.socket(name)?
            .observe(table)
            .map_err(|source| Error::Nft { name: name.clone(), source })
    }

    /// Removes the table of this name from one namespace; whether there was one.
    ///
    /// # Errors
    /// As [`observe`](Self::observe), or if the kernel refuses.
    pub fn remove(&self, name: &NetnsName, table: &str) -> Result<bool, Error> {
        let nft = |source| Error::Nft { name: name.clone(), source };
        let mut socket = self.socket(name)?;
        match plan(None, &socket.observe(table).map_err(nft)?) {
            Plan::Nothing => Ok(false),
            removal => socket.apply(&removal).map(|()| true).map_err(nft),
        }
    }

    /// What others have in one namespace that bears on our rules.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn ruleset(&self, name: &NetnsName) -> Result<Ruleset, Error> {
        self.socket(name)?.ruleset().map_err(|source| Error::Nft { name: name.clone(), source })
    }

    /// Takes the chain of this name, if the bash script left it, out of the nat tables of iptables-nft. With `dry_run` nothing is changed.
    /// What could be removed comes first, then what must stay.
    ///
    /// # Errors
    /// As [`observe`](Self::observe), or if the kernel refuses; then nothing was changed.
    pub fn take_over(
        &self,
        name: &NetnsName,
        chain: &str,
        dry_run: bool,
    ) -> Result<(Option<Removal>, Vec<Kept>), Error> {
        let nft = |source| Error::Nft { name: name.clone(), source };
        let mut socket = self.socket(name)?;
        let mut attempts = TAKEOVER_ATTEMPTS;
        loop {
            let (removal, kept) = takeover::find(&socket.nat_tables().map_err(nft)?, chain);
            let Some(removal) = removal else { return Ok((None, kept)) };
            if dry_run {
                return Ok((Some(removal), kept));
            }
            attempts -= 1;
            match socket.take_away(&removal) {
                Err(error) if error.is_outdated() && attempts > 0 => (),
                outcome => return outcome.map(|()| (Some(removal), kept)).map_err(nft),
            }
        }
    }

    /// Reads files as a thread inside a namespace sees them: what is below `/proc/sys/net` is the namespace's. Each is its
    /// text, or why it cannot be read.
    ///
    /// # Errors
    /// If the namespace is not there or cannot be entered.
    pub fn read_within<const N: usize>(
        &self,
        name: &NetnsName,
        files: [PathBuf; N],
    ) -> Result<[Result<String, String>; N], Error> {
        let read = move || {
            files.map(|file| {
                fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
            })
        };
        self.opener
            .within(&self.locate(name)?, read)
            .map_err(|source| Error::Enter { name: name.clone(), source })
    }

    /// The links of one namespace. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the namespace cannot be entered or rtnetlink does not answer.
    pub async fn links(&self, name: &NetnsName) -> Result<Vec<Link>, Error> {
        let netns = self.locate(name)?;
        links::read(&self.opener, &netns)
            .await
            .map_err(|source| Error::Enter { name: name.clone(), source })
    }

    fn socket(&self, name: &NetnsName) -> Result<RulesSocket, Error> {
        self.opener
            .within(&self.locate(name)?, RulesSocket::open)
            .map_err(|source| Error::Enter { name: name.clone(), source })?
            .map_err(|source| Error::Nft { name: name.clone(), source })
    }

    fn locate(&self, name: &NetnsName) -> Result<NetnsRef, Error> {
        if name.is_root() {
            return Ok(NetnsRef::Root);
        }
        self.path(name)
            .map(NetnsRef::Path)
            .ok_or_else(|| Error::Unknown { name: name.clone(), folders: self.folders() })
    }

    fn path(&self, name: &NetnsName) -> Option<PathBuf> {
        if name.is_root() {
            return None;
        }
        self.directories.iter().map(|folder| folder.join(name.as_str())).find(|path| path.exists())
    }

    fn folders(&self) -> String {
        let folders: Vec<_> = self.directories.iter().map(|f| f.display().to_string()).collect();
        folders.join(", ")
    }
}
