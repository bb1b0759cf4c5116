use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

use super::*;
use crate::{
    daemon::OrderRule,
    orders::{Action, Origin, Scope},
};

fn order(number: u64) -> Order {
    let second = |second| jiff::Timestamp::from_second(second).unwrap();
    Order {
        number,
        action: Action::Rule(OrderRule::Block, vec!["+232".parse().unwrap(), "SL".parse().unwrap()]),
        scope: Scope::Source("192.0.2.0/24".parse().unwrap()),
        reason: Some("Verdacht auf Missbrauch, „Woche 47“".into()),
        who: "root".into(),
        origin: Origin::Cli,
        since: second(1_800_000_000),
        expires: Some(second(1_800_000_060)),
        expired: false,
        undone: None,
    }
}

fn numbers(book: &Book) -> Vec<u64> {
    book.all().map(|order| order.number).collect()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("deep/state");
    let (mut store, book) = Store::open(&state).unwrap();
    assert_eq!((numbers(&book), store.next_number()), (vec![], 1));
    store.commit(&[order(1)]).unwrap();
    let undo = Order {
        action: Action::Undo(1),
        scope: Scope::Profile("lobby".into()),
        reason: None,
        expires: None,
        ..order(2)
    };
    let undone = Order { undone: Some(2), expired: true, ..order(1) };
    store.commit(&[undone.clone(), undo.clone()]).unwrap();
    drop(store);

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join(FILE_NAME)), 0o600);
    let (store, book) = Store::open(&state).unwrap();
    assert_eq!(store.next_number(), 3);
    assert_eq!(book, Book::new([undone, undo]));
}

#[test]
fn what_is_taken_back_is_gone_and_its_number_is_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&[order(1)]).unwrap();
    let undone = Order { undone: Some(2), ..order(1) };
    store.commit(&[undone, order(2)]).unwrap();
    store.retract(&[order(1)], &[2]).unwrap();
    drop(store);
    let (store, book) = Store::open(dir.path()).unwrap();
    assert_eq!(book, Book::new([order(1)]));
    assert_eq!(store.next_number(), 3);
}

#[test]
fn a_store_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_held, _) = Store::open(dir.path()).unwrap();
    let Err(error) = Store::open(dir.path()) else {
        panic!("two daemons share a store");
    };
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path()).unwrap());
    let path = dir.path().join(FILE_NAME);
    let database = open_file(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(META).unwrap().insert(META_FORMAT, FORMAT + 1).unwrap();
    write.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let Err(error) = Store::open(dir.path()) else {
            panic!("it was read");
        };
        assert!(matches!(error, StoreError::Newer { found, .. } if found == FORMAT + 1), "{error}");
        assert!(error.to_string().contains("newer Tollgate"));
    }
}

#[test]
fn a_damaged_store_is_an_error_with_a_remedy_never_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(dir.path()).unwrap();
    store.commit(&[order(1), order(2)]).unwrap();
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let expected = Store::open(dir.path()).unwrap().1;

    for length in [0, 1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        match Store::open(dir.path()) {
            Err(StoreError::Damaged { .. }) => {}
            Err(other) => panic!("{length}: {other}"),
            Ok(_) => panic!("{length} octets were taken for a store"),
        }
    }
    fs::write(&path, "not a database at all, but long enough to hold a header".repeat(1000)).unwrap();
    let Err(error) = Store::open(dir.path()) else {
        panic!("text was taken for a store");
    };
    assert!(error.to_string().contains("orders.redb.damaged"), "{error}");

    // Any one octet flipped: an error, or nothing lost.
    for at in (0..whole.len()).step_by(997) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        fs::write(&path, &flipped).unwrap();
        if let Ok((_, book)) = Store::open(dir.path()) {
            assert_eq!(book, expected, "octet {at}");
        }
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(dir.path().join("elsewhere"), "").unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Open { .. })));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::Open { .. })));
}

#[test]
fn a_crash_while_the_store_is_made_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(format!("{FILE_NAME}.new")), "half").unwrap();
    let (store, book) = Store::open(dir.path()).unwrap();
    assert_eq!((numbers(&book), store.next_number()), (vec![], 1));
}

/// A disk that remembers every write and may run full.
#[derive(Debug, Default)]
struct Disk {
    data: Vec<u8>,
    log: Vec<Write>,
    /// Writes that still succeed; `None` for any number.
    room: Option<usize>,
}

#[derive(Clone, Debug)]
enum Write {
    Length(usize),
    Octets(usize, Vec<u8>),
}

impl Write {
    fn onto(&self, data: &mut Vec<u8>) {
        match self {
            Self::Length(length) => data.resize(*length, 0),
            Self::Octets(at, octets) => data[*at..at + octets.len()].copy_from_slice(octets),
        }
    }

    /// The first half of it, as a crash may leave it.
    fn half(&self) -> Self {
        match self {
            Self::Length(length) => Self::Length(*length),
            Self::Octets(at, octets) => Self::Octets(*at, octets[..octets.len() / 2].to_vec()),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Disk>>);

impl Shared {
    fn change(&self, write: Write) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if let Some(room) = &mut disk.room {
            *room = room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        }
        write.onto(&mut disk.data);
        disk.log.push(write);
        Ok(())
    }

    fn store(&self) -> Result<(Store, Book), StoreError> {
        let disk = self.clone();
        let opener = move || builder().create_with_backend(disk.clone());
        Store::with_opener("test".into(), Box::new(opener))
    }

    fn made() -> Self {
        let disk = Self::default();
        let database = builder().create_with_backend(disk.clone()).unwrap();
        put(&database, &[], &[], 1).unwrap();
        drop(database);
        disk
    }
}

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().data.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let disk = self.0.lock().unwrap();
        let at = offset as usize;
        let found = disk.data.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Write::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Write::Octets(offset as usize, data.to_vec()))
    }
}

#[test]
fn a_crash_at_any_write_loses_nothing_acknowledged() {
    let disk = Shared::made();
    let start = disk.0.lock().unwrap().data.clone();
    let (mut store, _) = disk.store().unwrap();
    disk.0.lock().unwrap().log.clear();
    let base = disk.0.lock().unwrap().data.clone();
    assert_eq!(start.len(), base.len());
    // How many writes had been made when each order was acknowledged.
    let mut acknowledged = Vec::new();
    for number in 1..=6 {
        store.commit(&[order(number)]).unwrap();
        acknowledged.push(disk.0.lock().unwrap().log.len());
    }
    let log = disk.0.lock().unwrap().log.clone();
    assert!(log.len() > acknowledged.len(), "every commit writes");

    for crash in 0..=log.len() {
        for torn in [false, true] {
            let mut data = base.clone();
            log[..crash].iter().for_each(|write| write.onto(&mut data));
            match log.get(crash) {
                Some(write) if torn => write.half().onto(&mut data),
                None if torn => continue,
                _ => {}
            }
            let after = Shared(Arc::new(Mutex::new(Disk { data, ..Disk::default() })));
            let (_, book) = match after.store() {
                Ok(found) => found,
                Err(error) => panic!("crash at write {crash}, torn {torn}: {error}"),
            };
            let safe = acknowledged.iter().filter(|&&writes| writes <= crash).count();
            let found = numbers(&book);
            assert!(found.len() >= safe && found.len() <= safe + 1, "crash at write {crash}: {found:?}, {safe} safe");
            assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_full_disk_refuses_the_order_changes_nothing_and_recovers() {
    for room in 0..40 {
        let disk = Shared::made();
        let (mut store, _) = disk.store().unwrap();
        store.commit(&[order(1)]).unwrap();
        disk.0.lock().unwrap().room = Some(room);
        let result = store.commit(&[order(2)]);
        disk.0.lock().unwrap().room = None;
        let number = match result {
            Ok(()) => 3,
            Err(error) => {
                assert!(matches!(error, StoreError::Write { .. }), "{error}");
                assert_eq!(store.next_number(), 2);
                2
            }
        };
        store.commit(&[order(number)]).unwrap();
        drop(store);
        let (_, book) = disk.store().unwrap();
        assert_eq!(numbers(&book), (1..=number).collect::<Vec<_>>(), "room for {room} writes");
    }
}
