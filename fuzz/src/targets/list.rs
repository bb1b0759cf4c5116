//! `block_files`: a list beside a policy that names it.

use std::fs;

use gateway_user::config;
use tempfile::TempDir;

use super::policy;

const NAME: &str = "list";
const POLICY: &str = "[site]\nregion = \"ZZ\"\n[profile.default]\nblock_files = [\"list\"]\n";

thread_local! {
    /// In memory, where there is a file system for that.
    static FOLDER: TempDir = match TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()) {
        Ok(folder) => folder,
        Err(error) => panic!("no folder for a list: {error}"),
    };
}

pub(crate) fn run(input: &[u8]) {
    FOLDER.with(|folder| {
        let written = fs::write(folder.path().join(NAME), input);
        assert!(written.is_ok(), "a list cannot be written: {written:?}");
        match config::parse(POLICY, Some("policy.toml".as_ref()), folder.path()) {
            Ok((config, _)) => {
                let entries = config.profiles.iter().map(gateway_user::config::Profile::entries).sum::<usize>();
                assert!(entries <= input.len(), "{entries} entries of {} octets", input.len());
            }
            Err(problems) => {
                policy::check(&problems, &[("policy.toml", POLICY), (NAME, &String::from_utf8_lossy(input))]);
            }
        }
    });
}
