//! Heads with mistakes in them: whatever is answered is answered well, and by no more octets than were asked.

use super::*;

/// Marsaglia's xorshift64: the same sequence every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Exchanges, removes, repeats and joins octets and lines.
fn mutated(random: &mut Random, heads: &[String]) -> Vec<u8> {
    let mut octets = heads[random.below(heads.len())].clone().into_bytes();
    for _ in 0..random.below(4) {
        if octets.is_empty() {
            break;
        }
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] = random.below(256) as u8,
            1 => octets[at] = b"\r\n\t ;,:<>\"\\=@/\0"[random.below(15)],
            2 => drop(octets.drain(at..(at + 1 + random.below(20)).min(octets.len()))),
            3 => octets.truncate(at.max(1)),
            4 => {
                let other = heads[random.below(heads.len())].as_bytes();
                let from = random.below(other.len());
                octets.splice(at..at, other[from..].iter().copied().take(80));
            }
            _ => {
                let lines: Vec<&[u8]> = octets.split_inclusive(|&octet| octet == b'\n').collect();
                let (from, to) = (random.below(lines.len()), random.below(lines.len()));
                octets = [&lines[..to], &[lines[from]], &lines[to..]].concat().concat();
            }
        }
    }
    octets
}

#[test]
fn no_answer_is_larger_than_its_request_or_goes_astray() {
    let via = "Via: SIP/2.0/UDP 203.0.113.9:5090;branch=z9hG4bK1, SIP/2.0/UDP a.example.com;branch=z9hG4bK2";
    let heads = [invite(VIA, TO), invite(via, "t: \"a;b\" <sip:1@b>;tag=x"), TORTUOUS.to_owned()];
    let mut random = Random(0x5eed);
    let answerer = Answerer::default();
    let mut answers = 0;
    for _ in 0..20_000 {
        let message = mutated(&mut random, &heads);
        let (mut refused, frame) = frame(&[8, 0], &message);
        if random.below(4) == 0 {
            refused.payload = random.below(usize::from(refused.payload) + 1) as u16;
        }
        let Some(answer) = answerer.answer(&refused, &frame, 603, None) else { continue };
        answers += 1;
        let (from, to, _) = read(&answer, LINK);
        assert_eq!((from, to.ip()), (([198, 51, 100, 10], 5060).into(), [192, 0, 2, 20].into()));
        let text = &answer[LINK + 28..];
        assert!(text.len() <= usize::from(refused.payload), "{}", message.escape_ascii());
        assert!(text.starts_with(b"SIP/2.0 603 Decline\r\nVia: SIP/2.0/UDP "), "{}", text.escape_ascii());
        let lines: Vec<&[u8]> = text.split(|&octet| octet == b'\n').collect();
        assert!(lines.iter().rev().skip(1).all(|line| line.last() == Some(&b'\r')), "{}", text.escape_ascii());
        let blank = lines.iter().position(|line| line == b"\r");
        assert_eq!(blank, Some(lines.len() - 2), "the blank line is not the last: {}", text.escape_ascii());
        for name in [&b"From: "[..], b"To: ", b"Call-ID: ", b"CSeq: ", b"Content-Length: 0\r"] {
            let count = lines.iter().filter(|line| line.starts_with(name)).count();
            assert_eq!(count, 1, "{}: {}", name.escape_ascii(), text.escape_ascii());
        }
    }
    assert!((1_000..19_000).contains(&answers), "{answers} of 20,000 answered: the mutations test nothing");
}
