//! Ways to write a forbidden number that a server behind the filter would still dial.

use super::message::StartLine;

/// One way to write a foreign number, dialled from Japan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disguise {
    /// None: `INVITE sip:+232...`.
    None,
    /// The access code of Japan: `010232...`.
    AccessCode,
    /// `%2B` for the plus.
    EscapedPlus,
    /// Every digit escaped.
    EscapedDigits,
    /// Visual separators of RFC 3966 5.1.1.
    Separators,
    /// A `tel:` URI.
    Tel,
    /// `InViTe`: servers compare methods without case.
    MixedCaseMethod,
    /// `SiP:`.
    MixedCaseScheme,
    /// Blanks before the method and several after it.
    Blanks,
    /// Line ends before the start line, as keep-alives have them (RFC 5626 4.4.1).
    LeadingLines,
    /// `184`, the service code that withholds the number, then the access code.
    Withheld,
    /// `0033`, a carrier code, then the access code.
    Carrier,
    /// Parameters inside the user part and `;user=phone`.
    UserParameters,
}

impl Disguise {
    /// Every disguise.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::AccessCode,
        Self::EscapedPlus,
        Self::EscapedDigits,
        Self::Separators,
        Self::Tel,
        Self::MixedCaseMethod,
        Self::MixedCaseScheme,
        Self::Blanks,
        Self::LeadingLines,
        Self::Withheld,
        Self::Carrier,
        Self::UserParameters,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::AccessCode => "access code",
            Self::EscapedPlus => "escaped plus",
            Self::EscapedDigits => "escaped digits",
            Self::Separators => "separators",
            Self::Tel => "tel URI",
            Self::MixedCaseMethod => "mixed-case method",
            Self::MixedCaseScheme => "mixed-case scheme",
            Self::Blanks => "extra blanks",
            Self::LeadingLines => "leading line ends",
            Self::Withheld => "number withheld",
            Self::Carrier => "carrier code",
            Self::UserParameters => "user parameters",
        }
    }

    /// The start line of an INVITE to `e164`, digits without the plus, at `host`.
    pub fn start_line(self, e164: &str, host: &str) -> StartLine {
        let plain = StartLine::plain(format!("sip:+{e164}@{host}"));
        match self {
            Self::None => plain,
            Self::AccessCode => StartLine::plain(format!("sip:010{e164}@{host}")),
            Self::EscapedPlus => StartLine::plain(format!("sip:%2B{e164}@{host}")),
            Self::EscapedDigits => {
                let escaped = e164.bytes().fold(String::new(), |out, digit| format!("{out}%{digit:02X}"));
                StartLine::plain(format!("sip:+{escaped}@{host}"))
            }
            Self::Separators => StartLine::plain(format!("sip:+{}@{host}", separated(e164))),
            Self::Tel => StartLine::plain(format!("tel:+{}", separated(e164))),
            Self::MixedCaseMethod => StartLine { method: "InViTe", ..plain },
            Self::MixedCaseScheme => StartLine::plain(format!("SiP:+{e164}@{host}")),
            Self::Blanks => StartLine { lead: "  ", gap: " \t ", ..plain },
            Self::LeadingLines => StartLine { lead: "\r\n\r\n", ..plain },
            Self::Withheld => StartLine::plain(format!("sip:184010{e164}@{host}")),
            Self::Carrier => StartLine::plain(format!("sip:0033010{e164}@{host}")),
            Self::UserParameters => StartLine::plain(format!("sip:+{e164};isub=12@{host};user=phone")),
        }
    }
}

/// `23276123456` as `2-3.2(76)123456`: separators inside the calling code as well.
fn separated(e164: &str) -> String {
    let mut out = String::new();
    for (i, digit) in e164.chars().enumerate() {
        match i {
            1 => out.push('-'),
            2 => out.push('.'),
            3 => out.push('('),
            5 => out.push(')'),
            _ => {}
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_two_start_lines_are_alike() {
        let lines: Vec<_> = Disguise::ALL.iter().map(|d| d.start_line("23276123456", "h")).collect();
        for (i, a) in Disguise::ALL.iter().enumerate() {
            for (j, b) in Disguise::ALL.iter().enumerate().skip(i + 1) {
                assert_ne!(a.name(), b.name());
                assert_ne!(lines[i], lines[j], "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn what_is_hidden_is_still_there() {
        assert_eq!(Disguise::EscapedDigits.start_line("232", "h").uri, "sip:+%32%33%32@h");
        assert_eq!(Disguise::Separators.start_line("23276123456", "h").uri, "sip:+2-3.2(76)123456@h");
        assert_eq!(Disguise::Withheld.start_line("232", "h").uri, "sip:184010232@h");
        assert_eq!(Disguise::Tel.start_line("232", "h").uri, "tel:+2-3.2");
    }
}
