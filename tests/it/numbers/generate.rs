//! Numbers that a region has, drawn from its patterns, and numbers that nobody may have.

use gateway_tests::differential::Chance;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::library::Territory;

/// The most digits of an E.164 number.
const E164: usize = 15;

/// A number under the territory's calling code: one in eight is digits by chance, the others fit one of its patterns.
pub(super) fn number(territory: &Territory, chance: &mut Chance) -> String {
    loop {
        let mut digits = territory.code.to_string();
        if chance.one_in(8) {
            for _ in 0..3 + chance.below(9) {
                digits.push(digit(chance));
            }
            return digits;
        }
        let (_, described) = &territory.kinds()[chance.below(territory.kinds().len())];
        draw(&described.pattern, chance, &mut digits);
        if digits.len() <= E164 {
            return digits;
        }
    }
}

/// Something that fits a pattern.
pub(super) fn string(pattern: &Hir, chance: &mut Chance) -> String {
    let mut digits = String::new();
    draw(pattern, chance, &mut digits);
    digits
}

/// Digits by chance, most often under no calling code of a country.
pub(super) fn noise(chance: &mut Chance) -> String {
    (0..8 + chance.below(8))
        .map(|at| if at == 0 { *b"123456789".pick(chance) as char } else { digit(chance) })
        .collect()
}

fn digit(chance: &mut Chance) -> char {
    char::from(b'0' + chance.below(10) as u8)
}

/// Something from a list, by chance.
trait Pick<T> {
    fn pick(&self, chance: &mut Chance) -> &T;
}

impl<T> Pick<T> for [T] {
    fn pick(&self, chance: &mut Chance) -> &T {
        &self[chance.below(self.len())]
    }
}

/// A string that fits a pattern; alternatives are as likely as each other, so that rare ranges are met.
fn draw(pattern: &Hir, chance: &mut Chance, digits: &mut String) {
    match pattern.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => digits.extend(literal.0.iter().map(|octet| char::from(*octet))),
        HirKind::Class(Class::Bytes(class)) => {
            let octets: Vec<u8> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
            digits.push(char::from(*octets.pick(chance)));
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min);
            for _ in 0..repetition.min + chance.below((most - repetition.min) as usize + 1) as u32 {
                draw(&repetition.sub, chance, digits);
            }
        }
        HirKind::Capture(capture) => draw(&capture.sub, chance, digits),
        HirKind::Concat(parts) => parts.iter().for_each(|part| draw(part, chance, digits)),
        HirKind::Alternation(parts) => draw(parts.pick(chance), chance, digits),
        HirKind::Class(Class::Unicode(_)) | HirKind::Look(_) => panic!("{pattern:?} is no pattern of digits"),
    }
}
