//! What an answer takes from the head of a request, octet for octet.

/// The parts of a request that its answer repeats.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The values of Via, in order.
    pub(super) vias: Vec<Vec<u8>>,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) call_id: Vec<u8>,
    pub(super) cseq: Vec<u8>,
    /// To has a tag already: the request is one within a call.
    pub(super) tagged: bool,
}

const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// The octets without blanks around them.
pub(super) fn trimmed(mut octets: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = octets
        && is_blank(*first)
    {
        octets = rest;
    }
    while let [rest @ .., last] = octets
        && is_blank(*last)
    {
        octets = rest;
    }
    octets
}

impl Head {
    /// Reads a head up to its blank line; `None` where a header is missing or stands there twice that an answer must
    /// repeat, or where one cannot be read.
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        let begin = head.iter().position(|octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0))?;
        let mut lines = lines(head.get(begin..)?).into_iter();
        let start = lines.next()?;
        let method = start.split(|&octet| is_blank(octet)).next().filter(|method| !method.is_empty())?;
        let mut found = Self::default();
        for line in lines {
            let Some(colon) = line.iter().position(|&octet| octet == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let field = match trimmed(name).to_ascii_lowercase().as_slice() {
                b"via" | b"v" => {
                    found.vias.push(sound(value)?);
                    continue;
                }
                b"from" | b"f" => &mut found.from,
                b"to" | b"t" => &mut found.to,
                b"call-id" | b"i" => &mut found.call_id,
                b"cseq" => &mut found.cseq,
                _ => continue,
            };
            if !field.is_empty() {
                return None;
            }
            *field = sound(value)?;
        }
        let whole = [&found.from, &found.to, &found.call_id].iter().all(|value| !value.is_empty());
        if !whole || found.vias.is_empty() || !is_of_method(&found.cseq, method) {
            return None;
        }
        found.tagged = is_tagged(&found.to)?;
        Some(found)
    }
}

/// The lines of a head without their ends, folded ones joined by a blank (RFC 3261 section 7.3.1), up to the first empty
/// one. They end as they do for the kernel: by CRLF, LF or CR.
fn lines(head: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut rest = head;
    while !rest.is_empty() {
        let end = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n')).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        rest = match behind {
            [b'\r', b'\n', behind @ ..] | [_, behind @ ..] => behind,
            [] => behind,
        };
        match (line, lines.last_mut()) {
            ([], _) => break,
            ([first, ..], Some(last)) if is_blank(*first) => {
                last.push(b' ');
                last.extend(trimmed(line));
            }
            _ => lines.push(line.to_vec()),
        }
    }
    lines
}

/// A value behind its colon; `None` where it holds control characters.
fn sound(value: &[u8]) -> Option<Vec<u8>> {
    let value = trimmed(value.strip_prefix(b":")?);
    let printable = value.iter().all(|&octet| octet == b'\t' || !octet.is_ascii_control());
    printable.then(|| value.to_vec())
}

/// Whether this is a CSeq of a request with this method (RFC 3261 section 8.1.1.5: a number of 31 bits, and the method).
fn is_of_method(cseq: &[u8], method: &[u8]) -> bool {
    let Some(blank) = cseq.iter().position(|&octet| is_blank(octet)) else { return false };
    let (number, name) = cseq.split_at(blank);
    let number = std::str::from_utf8(number).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    number.is_some_and(|digits| digits.parse::<u32>().is_ok_and(|number| number >> 31 == 0))
        && trimmed(name).eq_ignore_ascii_case(method)
}

/// Whether a To has a tag; `None` where its quotes or brackets do not close, or the tag is empty.
fn is_tagged(to: &[u8]) -> Option<bool> {
    let bracketed = to.get(outside_quotes(to, b'<')?..)?;
    let behind =
        if bracketed.is_empty() { to } else { bracketed.get(bracketed.iter().position(|&it| it == b'>')?..)? };
    let mut tagged = false;
    for parameter in parts(behind, b';')?.into_iter().skip(1) {
        let (name, value) = assigned(parameter);
        if name.eq_ignore_ascii_case(b"tag") {
            tagged = true;
            value.filter(|value| !value.is_empty())?;
        }
    }
    Some(tagged)
}

/// Name and value of a parameter.
pub(super) fn assigned(parameter: &[u8]) -> (&[u8], Option<&[u8]>) {
    match parameter.iter().position(|&octet| octet == b'=') {
        Some(place) => {
            let (name, value) = parameter.split_at(place);
            (trimmed(name), value.get(1..).map(trimmed))
        }
        None => (trimmed(parameter), None),
    }
}

/// What stands between separators outside quotes; `None` where quotes do not close.
pub(super) fn parts(text: &[u8], separator: u8) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_at(outside_quotes(rest, separator)?);
        parts.push(part);
        match behind {
            [_, behind @ ..] => rest = behind,
            [] => return Some(parts),
        }
    }
}

/// Where an octet stands first outside quotes, or the length; `None` where quotes do not close before it.
fn outside_quotes(text: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (place, &octet) in text.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if octet == b'"' {
            quoted = !quoted;
        } else if quoted {
            escaped = octet == b'\\';
        } else if octet == wanted {
            return Some(place);
        }
    }
    (!quoted).then_some(text.len())
}
