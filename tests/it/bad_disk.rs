//! Disks that are full or cannot be written, and a store that this version cannot read: what is in force stays, and the
//! operator is told what to do.

use std::{fs, io::Write as _, os::unix::fs::symlink};

use gateway_tests::network::{Network, SIP_PORT};
use redb::{ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};
use rustix::mount::{MountFlags, mount, mount_remount};
use serde_json::Value;

use crate::site::{BRITISH, FORBIDDEN, Site, caller, send, until, uri};

const RULES: &str = "[profile.default]\nblock = []\n";

/// A site whose state lies on a disk of its own, seen by its daemons alone.
fn site(test: &str) -> Option<Site> {
    let site = Site::new(test)?;
    site.policy("enforce", RULES);
    let state = site.tollgate.state_dir();
    let disk = || Ok(mount("state", &state, "tmpfs", MountFlags::empty(), Some(c"size=16m,mode=700"))?);
    site.tollgate.bpffs().run(disk).unwrap();
    Some(site)
}

/// Calls are stopped by the order, as the only reason.
fn is_stopped(site: &Site, number: &str) {
    let before = site.reason("order");
    send(&caller(site, SIP_PORT), Network::pbx_sip(), &uri(number), 20);
    until("they are stopped", || site.reason("order") == before + 20);
}

fn active(site: &Site) -> Vec<u64> {
    let orders = site.lines(&["orders", "--json"]);
    orders.iter().filter(|it| it["undone"] == Value::Null).map(|it| it["order"].as_u64().unwrap()).collect()
}

#[test]
fn a_full_disk_refuses_orders_and_reloads_on_trial_and_what_is_in_force_stays() {
    let test = "bad_disk::a_full_disk_refuses_orders_and_reloads_on_trial_and_what_is_in_force_stays";
    let Some(site) = site(test) else { return };
    let _daemon = site.start();
    site.json(&["block", "SL", "--json"]);
    let filler = site.tollgate.state_dir().join("filler");
    let fill = || {
        let mut file = fs::File::create(&filler)?;
        while file.write(&[0; 4096]).is_ok_and(|count| count > 0) {}
        Ok(())
    };
    site.tollgate.bpffs().run(fill).unwrap();

    // What room the store has left takes some orders yet; each is taken whole, or refused.
    let reason = "x".repeat(500);
    let mut given = 1;
    let said = loop {
        let last = given.to_string();
        // An order and its undoing in turns, so that none but the first is in force for long.
        let output = match given % 2 {
            1 => site.tollgate.cli(&["block", "GB", "--reason", &reason]).unwrap(),
            _ => site.tollgate.cli(&["undo", &last, "--reason", &reason]).unwrap(),
        };
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(1));
            break String::from_utf8(output.stderr).unwrap();
        }
        given += 1;
        assert!(given < 10_000, "the disk is not full");
    };
    assert!(said.contains("orders.redb") && said.contains("nothing was changed. Make room on the disk"), "{said}");
    assert_eq!(active(&site).first(), Some(&1));
    is_stopped(&site, FORBIDDEN);
    let generation = site.json(&["status", "--json"])["policy"]["generation"].clone();
    site.policy("monitor", RULES);
    let (code, said) = site.refusal(&["reload", "--confirm", "60s"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("nothing was changed. Make room on the disk"), "{said}");
    let status = site.json(&["status", "--json"]);
    assert_eq!((&status["mode"], &status["policy"]["generation"]), (&Value::from("enforce"), &generation));

    site.tollgate.bpffs().run(|| Ok(fs::remove_file(&filler)?)).unwrap();
    site.json(&["block", "GB", "--json"]);
    is_stopped(&site, BRITISH);
}

#[test]
fn a_state_folder_that_cannot_be_written_refuses_orders_and_starts() {
    let test = "bad_disk::a_state_folder_that_cannot_be_written_refuses_orders_and_starts";
    let Some(site) = site(test) else { return };
    let mut daemon = site.start();
    site.json(&["block", "SL", "--json"]);
    daemon.terminate(crate::site::PATIENCE).unwrap();
    let state = site.tollgate.state_dir();
    let writable = |flags: MountFlags| {
        let remount = || Ok(mount_remount(&state, flags, "")?);
        site.tollgate.bpffs().run(remount).unwrap();
    };
    writable(MountFlags::RDONLY);
    let (code, said) = site.refusal(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("orders.redb") && said.contains("--state-dir"), "{said}");
    assert!(site.program(Network::WAN_CALLER).is_some(), "what is in force stays in force without a daemon");

    writable(MountFlags::empty());
    daemon = site.start();
    assert_eq!(active(&site), [1]);
    is_stopped(&site, FORBIDDEN);
    drop(daemon);
}

#[test]
fn a_store_of_a_newer_version_or_behind_a_link_is_left_alone() {
    let test = "bad_disk::a_store_of_a_newer_version_or_behind_a_link_is_left_alone";
    let Some(site) = site(test) else { return };
    let daemon = site.start();
    site.json(&["block", "SL", "--json"]);
    daemon.terminate(crate::site::PATIENCE).unwrap();
    let store = site.tollgate.state_dir().join("orders.redb");
    let newer = || {
        let database = redb::Database::open(&store)?;
        let transaction = database.begin_write()?;
        transaction.open_table(TableDefinition::<&str, u64>::new("meta"))?.insert("format", 99)?;
        Ok(transaction.commit()?)
    };
    site.tollgate.bpffs().run(newer).unwrap();
    let (code, said) = site.refusal(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("written by a newer Tollgate (format 99") && said.contains("install that version"), "{said}");
    let kept = || {
        let database = redb::Database::open(&store)?;
        let read = database.begin_read()?;
        let format = read.open_table(TableDefinition::<&str, u64>::new("meta"))?.get("format")?.map(|it| it.value());
        Ok((format, read.open_table(TableDefinition::<u64, &[u8]>::new("orders"))?.len()?))
    };
    assert_eq!(site.tollgate.bpffs().run(kept).unwrap(), (Some(99), 1), "an older version leaves it as it was");
    assert!(site.program(Network::WAN_CALLER).is_some(), "what is in force stays");

    let elsewhere = site.tollgate.state_dir().join("elsewhere");
    let linked = || {
        fs::rename(&store, &elsewhere)?;
        Ok(symlink(&elsewhere, &store)?)
    };
    site.tollgate.bpffs().run(linked).unwrap();
    let (code, said) = site.refusal(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not a regular file"), "{said}");
    assert!(site.program(Network::WAN_CALLER).is_some());
}
