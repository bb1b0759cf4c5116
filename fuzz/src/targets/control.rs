//! The lines of the control socket.

use gateway_user::{
    control::protocol::{Command, decode_reply, decode_request, encode_reply, encode_request},
    orders::Scope,
};

use super::what;

pub(crate) fn run(input: &[u8]) {
    match decode_request(input) {
        Ok(command) => {
            match encode_request(&command) {
                Ok(line) => {
                    assert_eq!(line.matches('\n').count(), 1, "a request is one line: {line:?}");
                    assert_eq!(decode_request(line.as_bytes()), Ok(command.clone()), "read again");
                }
                Err(error) => panic!("{command:?} cannot be written: {error}"),
            }
            if let Command::Block(new) | Command::Allow(new) = command {
                for what in &new.what {
                    what::run(what.as_bytes());
                }
                if let Err(error) = Scope::try_from(new.scope) {
                    assert!(!error.is_empty(), "a scope is refused without a word");
                }
            }
        }
        Err(error) => {
            assert!(!error.message.is_empty(), "refused without a word");
            assert_eq!(encode_reply(&Err(error)).matches('\n').count(), 1, "a reply is one line");
        }
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(Err(error)) = decode_reply::<Vec<u64>>(text) {
        let line = encode_reply(&Err(error.clone()));
        assert_eq!(decode_reply::<Vec<u64>>(&line).ok(), Some(Err(error)), "read again");
    }
}
