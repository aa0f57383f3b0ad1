//! `numeric`: digits to the base of 10,000, and the text that people read.

use bytes::{BufMut, BytesMut};

const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Writes a number that is given as text: `12`, `-0.50`, `1E+3`, `NaN`, `Infinity`. `None` where it is no number, or one with
/// more digits than the type holds.
pub(crate) fn encode(text: &str, out: &mut BytesMut) -> Option<()> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (POSITIVE, text.strip_prefix('+').unwrap_or(text)),
    };
    let special = match unsigned.to_ascii_lowercase().as_str() {
        "nan" | "snan" => Some(NAN),
        "inf" | "infinity" => Some(if sign == NEGATIVE { NEGATIVE_INFINITY } else { INFINITY }),
        _ => None,
    };
    if let Some(sign) = special {
        header(out, 0, 0, sign, 0);
        return Some(());
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Where the point stands among the digits, and how many of them are shown after it.
    let mut point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?.max(0);
    if !(-16_383..=131_072).contains(&point) || scale > 16_383 || digits.len() > 147_455 {
        return None;
    }
    // Groups of four begin at the point.
    let lead = point.rem_euclid(4);
    if lead != 0 {
        let missing = usize::try_from(4 - lead).ok()?;
        digits.splice(0..0, std::iter::repeat_n(b'0', missing));
        point += 4 - lead;
    }
    while !digits.len().is_multiple_of(4) {
        digits.push(b'0');
    }
    let mut groups: Vec<u16> = digits
        .chunks_exact(4)
        .map(|group| group.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0')))
        .collect();
    let mut weight = point / 4 - 1;
    let zeroes = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeroes);
    weight -= i32::try_from(zeroes).ok()?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    header(out, groups.len(), weight, if groups.is_empty() { POSITIVE } else { sign }, scale);
    for group in groups {
        out.put_u16(group);
    }
    Some(())
}

fn header(out: &mut BytesMut, groups: usize, weight: i32, sign: u16, scale: i32) {
    out.put_i16(groups as i16);
    out.put_i16(weight as i16);
    out.put_u16(sign);
    out.put_i16(scale as i16);
}

/// The text of a number, as PostgreSQL writes it; `None` where the bytes are none.
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(2 * at..2 * at + 2)?.try_into().ok()?));
    let (groups, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
    match sign {
        NAN => return Some("NaN".into()),
        INFINITY => return Some("Infinity".into()),
        NEGATIVE_INFINITY => return Some("-Infinity".into()),
        POSITIVE | NEGATIVE => {}
        _ => return None,
    }
    let (groups, weight, scale) = (usize::from(groups), i32::from(weight), usize::from(scale));
    if bytes.len() != 8 + 2 * groups {
        return None;
    }
    let group = |place: i32| -> Option<u16> {
        // Places count down from `weight`; beyond the groups there are zeroes.
        match usize::try_from(weight - place) {
            Ok(index) if index < groups => word(4 + index),
            _ => Some(0),
        }
    };
    let mut text = String::with_capacity(8 + 4 * groups + scale);
    if sign == NEGATIVE {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    } else {
        for place in (0..=weight).rev() {
            let digits = group(place)?;
            if place == weight {
                text.push_str(&digits.to_string());
            } else {
                text.push_str(&format!("{digits:04}"));
            }
        }
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + scale;
        let mut place = -1;
        while text.len() < end {
            text.push_str(&format!("{:04}", group(place)?));
            place -= 1;
        }
        text.truncate(end);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{decode, encode};

    fn through(text: &str) -> Option<String> {
        let mut out = BytesMut::new();
        encode(text, &mut out)?;
        decode(&out)
    }

    #[test]
    fn numbers_come_back_as_postgresql_writes_them() {
        for text in ["0", "1", "-1", "9999", "10000", "12345678901234567890.0123456789", "0.5", "-0.50"] {
            assert_eq!(through(text).as_deref(), Some(text));
        }
        for text in ["0.00001", "1.10", "100000000", "0.000", "NaN", "Infinity", "-Infinity", "0.00000001234"]
        {
            assert_eq!(through(text).as_deref(), Some(text));
        }
        for (text, written) in [
            ("1E+3", "1000"),
            ("1.5e-3", "0.0015"),
            ("-0", "0"),
            ("+7", "7"),
            (".5", "0.5"),
            ("1e-10", "0.0000000001"),
            ("0E+5", "0"),
        ] {
            assert_eq!(through(text).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1.2.3", "1e", "abc", "1e200000", "--1", "."] {
            assert_eq!(through(text), None, "{text}");
        }
        assert_eq!(decode(&[0, 1, 0]), None);
    }
}
