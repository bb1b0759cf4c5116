//! Small values: networks, durations, rates.

use std::time::Duration;

use super::super::{
    Network, duration,
    values::{self, PerTime},
};

#[test]
fn networks_round_trip() {
    for (written, shown) in [
        ("203.0.113.10", "203.0.113.10"),
        ("203.0.113.10/32", "203.0.113.10"),
        ("192.0.2.0/28", "192.0.2.0/28"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1"),
        ("::/0", "::/0"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.0/124", "192.0.2.0/28"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ] {
        let network: Network = written.parse().unwrap();
        assert_eq!(network.to_string(), shown, "{written}");
        assert_eq!(shown.parse(), Ok(network));
    }
}

#[test]
fn networks_that_are_none() {
    for (written, remedy) in [
        ("192.0.2.9/28", "write 192.0.2.0/28 for the network, or 192.0.2.9 for the one address"),
        ("2001:db8::1/64", "write 2001:db8::/64 for the network, or 2001:db8::1 for the one address"),
        ("::ffff:192.0.2.1/120", "write 192.0.2.0/24 for the network, or 192.0.2.1 for the one address"),
        ("192.0.2.0/33", "write a length from 0 to 32, such as 192.0.2.0/24"),
        ("192.0.2.0/", "write a length from 0 to 32, such as 192.0.2.0/24"),
        ("192.0.2.0/+8", "write a length from 0 to 32, such as 192.0.2.0/24"),
        ("2001:db8::/129", "write a length from 0 to 128, such as 2001:db8::/64"),
    ] {
        assert_eq!(written.parse::<Network>().unwrap_err().remedy, remedy, "{written}");
    }
    for written in ["", "/", "/8", "192.0.2", "192.0.2.0/8/8", "fe80::1%eth0", "eth0", " 192.0.2.1"] {
        assert!(written.parse::<Network>().is_err(), "{written}");
    }
}

#[test]
fn networks_contain() {
    let network: Network = "192.0.2.0/28".parse().unwrap();
    for (address, inside) in [
        ("192.0.2.0", true),
        ("192.0.2.15", true),
        ("192.0.2.16", false),
        ("::ffff:192.0.2.3", true),
        ("2001:db8::1", false),
    ] {
        assert_eq!(network.contains(address.parse().unwrap()), inside, "{address}");
    }
    let all: Network = "::/0".parse().unwrap();
    assert!(all.contains("2001:db8::1".parse().unwrap()) && !all.contains("192.0.2.1".parse().unwrap()));
}

#[test]
fn durations() {
    for (written, seconds) in [("90s", 90), ("15m", 900), ("48h", 172_800), ("7d", 604_800), ("366d", 31_622_400)] {
        assert_eq!(duration(written), Ok(Duration::from_secs(seconds)), "{written}");
    }
    for written in ["", "s", "5", "0s", "5 s", "-5s", "1.5h", "367d", "5ms", "99999999999999999999s", "7d3h", "5é"] {
        assert!(duration(written).is_err(), "{written}");
    }
}

#[test]
fn rates() {
    for (written, count, seconds) in
        [("10/s", 10, 1), ("50/m", 50, 60), ("100/h", 100, 3_600), ("20/d", 20, 86_400), ("3/10s", 3, 10)]
    {
        assert_eq!(values::rate(written), Ok(PerTime { count, per: Duration::from_secs(seconds) }), "{written}");
    }
    for written in
        ["", "/", "10", "/s", "10/", "0/s", "-1/s", "1.5/s", "10/s/s", "10 / s", "10/0s", "10000001/s", "10/y"]
    {
        assert!(values::rate(written).is_err(), "{written}");
    }
}
