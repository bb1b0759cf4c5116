//! The durable store of orders: one redb file, one transaction and one fsync a change.
//!
//! What [`Store::commit`] has returned for survives a crash at any octet. A commit that fails changes nothing.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition, backends::FileBackend,
};

use super::{Book, Order, record};

/// Name of the store inside the state directory.
pub const FILE_NAME: &str = "orders.redb";
/// Version of what the store holds. 1 knew `block`, `allow` and `undo` only.
const FORMAT: u64 = 2;
/// Orders are few and small; the default cache of redb, 1 GiB, would let a damaged length do harm.
const CACHE_OCTETS: usize = 4 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const ORDERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("orders");
const META_FORMAT: &str = "format";
const META_NEXT: &str = "next";

/// Why the store could not be used. Each text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file could not be opened or made.
    #[error(
        "cannot open the orders store {path}: {cause}; check that the directory can be written by this user, or \
             choose another with --state-dir"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// Another daemon holds it.
    #[error(
        "the orders store {path} is in use by another daemon; stop that one, or give this one a --state-dir and \
             --socket of its own"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer Tollgate wrote it.
    #[error(
        "the orders store {path} was written by a newer Tollgate (format {found}, this one reads up to {known}); \
             install that version again, or choose another --state-dir"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The newest format that this version reads.
        known: u64,
    },
    /// It cannot be read.
    #[error(
        "the orders store {path} is damaged: {cause}; what the kernel enforces stays as it is. Restore the file \
             from a backup, or move it away (mv {path} {path}.damaged), start again and give again the orders that \
             you still want"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// A change could not be made durable.
    #[error(
        "cannot write the orders store {path}: {cause}; nothing was changed. Make room on the disk or make the \
             directory writable, then give the order again"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
}

/// Opens the database anew; after a failed write redb wants that.
type Opener = Box<dyn Fn() -> Result<Database, DatabaseError>>;

/// The durable store of orders.
pub struct Store {
    path: PathBuf,
    opener: Opener,
    /// `None` after a failed write, until the next one.
    database: Option<Database>,
    next: u64,
}

impl Store {
    /// Opens the store in `dir`, making both where they do not exist, and reads every order.
    pub fn open(dir: &Path) -> Result<(Self, Book), StoreError> {
        let path = dir.join(FILE_NAME);
        let cannot = |cause| StoreError::Open { path: path.clone(), cause };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)?;
        match path.symlink_metadata() {
            Ok(found) if !found.is_file() => {
                return Err(cannot(io::Error::other("it is not a regular file")));
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(dir, &path)?,
            Err(e) => return Err(cannot(e)),
        }
        let file = path.clone();
        Self::with_opener(path.clone(), Box::new(move || open_file(&file)))
    }

    fn with_opener(path: PathBuf, opener: Opener) -> Result<(Self, Book), StoreError> {
        let database = opener().map_err(|e| open_error(&path, e))?;
        let damaged = |cause: String| StoreError::Damaged { path: path.clone(), cause };
        let (next, orders) = load(&database).map_err(|e| match e {
            LoadError::Newer(found) => StoreError::Newer { path: path.clone(), found, known: FORMAT },
            LoadError::Damaged(cause) => damaged(cause),
        })?;
        if let Some(last) = orders.last()
            && last.number >= next
        {
            return Err(damaged(format!("it holds order {} and would give number {next} to the next", last.number)));
        }
        Ok((Self { path, opener, database: Some(database), next }, Book::new(orders)))
    }

    /// The number of the next new order.
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// Writes orders, new or changed, in one transaction. They are durable when this returns; on an error nothing of
    /// them is.
    pub fn commit(&mut self, orders: &[Order]) -> Result<(), StoreError> {
        let next = orders.iter().map(|order| order.number + 1).fold(self.next, u64::max);
        self.write(|database| put(database, orders, &[], next), || holds(orders))?;
        self.next = next;
        Ok(())
    }

    /// Takes back a commit that could not be put in force: writes `previous` as they were, removes `gone`. Their
    /// numbers are not used again.
    pub fn retract(&mut self, previous: &[Order], gone: &[u64]) -> Result<(), StoreError> {
        let next = self.next;
        self.write(|database| put(database, previous, gone, next), || holds(previous))
    }

    /// Runs one write. After a failed one the database is opened anew, since redb refuses to go on with it, and
    /// `landed` tells whether the change reached the disk before the error did.
    fn write<T: FnOnce(&[Order]) -> bool>(
        &mut self,
        change: impl Fn(&Database) -> Result<(), redb::Error>,
        landed: impl FnOnce() -> T,
    ) -> Result<(), StoreError> {
        let failed = |path: &Path, cause: String| StoreError::Write { path: path.to_owned(), cause };
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)().map_err(|e| failed(&self.path, e.to_string()))?,
        };
        let Err(error) = change(&database) else {
            self.database = Some(database);
            return Ok(());
        };
        drop(database);
        if let Ok(database) = (self.opener)()
            && let Ok((_, found)) = load(&database)
        {
            self.database = Some(database);
            if landed()(&found) {
                return Ok(());
            }
        }
        Err(failed(&self.path, error.to_string()))
    }
}

/// Whether every one of `orders` is among those found.
fn holds(orders: &[Order]) -> impl FnOnce(&[Order]) -> bool {
    move |found| orders.iter().all(|order| found.contains(order))
}

/// Makes an empty store under another name and moves it into place, so that a crash leaves none or a whole one.
fn create(dir: &Path, path: &Path) -> Result<(), StoreError> {
    let new = dir.join(format!("{FILE_NAME}.new"));
    let cannot = |cause| StoreError::Open { path: path.to_owned(), cause };
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(cannot(e)),
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new).map_err(cannot)?;
    let database =
        FileBackend::new(file).and_then(|b| builder().create_with_backend(b)).map_err(|e| open_error(path, e))?;
    put(&database, &[], &[], 1).map_err(|e| StoreError::Write { path: path.to_owned(), cause: e.to_string() })?;
    drop(database);
    fs::rename(&new, path).and_then(|()| File::open(dir)?.sync_all()).map_err(cannot)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    // A plain open trusts the file and may panic on a damaged one; the store is small, so checking it whole is cheap.
    builder.set_cache_size(CACHE_OCTETS).set_check_integrity_on_open(true);
    builder
}

fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|e| DatabaseError::Storage(StorageError::Io(e)))?;
    // redb makes a new database of an empty file; ours is never empty, so this one was truncated.
    if file.metadata().map_err(StorageError::Io)?.len() == 0 {
        return Err(StorageError::Corrupted("the file is empty".into()).into());
    }
    builder().create_with_backend(FileBackend::new(file)?)
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::InUse { path },
        DatabaseError::Storage(StorageError::Io(cause))
            if !matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            StoreError::Open { path, cause }
        }
        other => StoreError::Damaged { path, cause: other.to_string() },
    }
}

enum LoadError {
    Newer(u64),
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for LoadError {
    fn from(error: E) -> Self {
        Self::Damaged(error.into().to_string())
    }
}

/// The next number and every order, oldest first.
fn load(database: &Database) -> Result<(u64, Vec<Order>), LoadError> {
    let read = database.begin_read()?;
    let meta = read.open_table(META)?;
    let value = |key: &str| {
        let found = meta.get(key)?.map(|guard| guard.value());
        found.ok_or_else(|| LoadError::Damaged(format!("`{key}` is missing")))
    };
    let format = value(META_FORMAT)?;
    if format > FORMAT {
        return Err(LoadError::Newer(format));
    }
    let next = value(META_NEXT)?;
    let mut orders = Vec::new();
    for entry in read.open_table(ORDERS)?.iter()? {
        let (number, octets) = entry?;
        let number = number.value();
        let order = record::decode(octets.value()).map_err(|e| LoadError::Damaged(format!("order {number}: {e}")))?;
        if order.number != number {
            return Err(LoadError::Damaged(format!("order {number} calls itself {}", order.number)));
        }
        orders.push(order);
    }
    Ok((next, orders))
}

fn put(database: &Database, orders: &[Order], gone: &[u64], next: u64) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_NEXT, next)?;
        let mut table = write.open_table(ORDERS)?;
        for order in orders {
            let octets = record::encode(order).map_err(io::Error::other)?;
            table.insert(order.number, octets.as_slice())?;
        }
        for number in gone {
            table.remove(number)?;
        }
    }
    write.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
