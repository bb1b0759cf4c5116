//! The integration tests, in one binary: one link, one list, one place to filter.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper of a test fails the test")]

mod answers;
mod bad_disk;
mod bench;
mod demo;
mod differential;
mod heads;
mod installation;
mod kernel;
mod netns;
mod notices;
mod numbers;
mod operator;
mod oracle;
mod past;
mod peers;
mod proof;
mod restart;
mod sip;
mod site;
mod tables;
mod tallies;
mod tcp;
mod torture;
mod traffic;
mod weekend;
