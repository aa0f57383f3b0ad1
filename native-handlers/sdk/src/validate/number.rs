//! Floats as Python writes them.

/// What `repr` gives for a finite float: the shortest digits that read back as the same number, with an exponent below
/// 1e-4 and from 1e16 on.
pub(super) fn repr(number: f64) -> String {
    if number == 0.0 {
        return if number.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}

#[cfg(test)]
mod tests {
    use super::repr;

    #[test]
    fn floats_are_written_as_by_python() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1.5e-7, "1.5e-07"),
            (1e22, "1e+22"),
            (123_456_789_012_345.67, "123456789012345.67"),
            (-2.5e300, "-2.5e+300"),
        ] {
            assert_eq!(repr(number), expected);
        }
    }
}
