//! Orders as the store keeps them.

use gateway_user::orders::record;

pub(crate) fn run(input: &[u8]) {
    match record::decode(input) {
        Ok(order) => match record::encode(&order) {
            Ok(octets) => assert_eq!(record::decode(&octets), Ok(order), "read again"),
            Err(error) => panic!("{order:?} cannot be written: {error}"),
        },
        Err(cause) => assert!(!cause.is_empty(), "refused without a word"),
    }
}
