//! When a file was modified, as header fields say it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::HeaderValue;

/// `Last-Modified` of a time that HTTP has a form for; `None` before 1970 and after 9999.
pub(super) fn http_date(seconds: i64) -> Option<HeaderValue> {
    // The first second of the year 10000.
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds < 253_402_300_800)?;
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).ok()
}

/// The second that a date in a header names.
pub(super) fn seconds(date: &HeaderValue) -> Option<i64> {
    let time: SystemTime = httpdate::parse_http_date(date.to_str().ok()?).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// A time as Python's `os.stat` gives it: a float, which has not room for all nanoseconds of our days.
#[derive(Clone, Copy, Debug)]
pub(super) struct PythonTime(f64);

impl PythonTime {
    /// `None` where Python may write it in another form than this does.
    pub(super) fn new((seconds, nanos): (i64, u32)) -> Option<PythonTime> {
        let time = seconds as f64 + 1e-9 * f64::from(nanos);
        (time == 0.0 || (1.0..1e15).contains(&time)).then_some(PythonTime(time))
    }

    /// `str()` of it.
    pub(super) fn text(self) -> String {
        format!("{:?}", self.0)
    }

    /// The second in which `email.utils.formatdate` has it: it is rounded to microseconds first.
    pub(super) fn second(self) -> i64 {
        let micros = (self.0.fract() * 1e6).round_ties_even();
        self.0.trunc() as i64 + i64::from(micros >= 1e6)
    }
}

/// A date of the form that HTTP prescribes, `Sun, 06 Nov 1994 08:49:37 GMT`, as numbers to be compared; `None` for any
/// other form, which Python may know all the same.
pub(super) fn fixed_form(date: &[u8]) -> Option<(u32, usize, u32, u32, u32, u32)> {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let fits = date.len() == 29
        && DAYS.contains(&&date[..3])
        && date[3..5] == *b", "
        && [7, 11, 16, 25].into_iter().all(|place| date[place] == b' ')
        && [19, 22].into_iter().all(|place| date[place] == b':')
        && date[26..] == *b"GMT";
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = &date[from..to];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    let month = MONTHS.iter().position(|month| **month == date[8..11])?;
    // Python takes smaller numbers for years of this century or the last one.
    let year = number(12, 16).filter(|year| *year >= 1000)?;
    Some((year, month, number(5, 7)?, number(17, 19)?, number(20, 22)?, number(23, 25)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_python_writes_them() {
        for (time, text, second) in [
            ((0, 0), "0.0", 0),
            ((1_700_000_000, 0), "1700000000.0", 1_700_000_000),
            ((1_700_000_000, 500_000_000), "1700000000.5", 1_700_000_000),
            ((1_700_000_000, 123_456_789), "1700000000.1234567", 1_700_000_000),
            // Rounded up to the next second.
            ((1_700_000_000, 999_999_999), "1700000001.0", 1_700_000_001),
            ((1_700_000_000, 999_999_600), "1700000000.9999995", 1_700_000_001),
            ((1_700_000_000, 999_999_800), "1700000000.9999998", 1_700_000_001),
        ] {
            let found = PythonTime::new(time).unwrap();
            assert_eq!((found.text().as_str(), found.second()), (text, second), "{time:?}");
        }
        for doubtful in [(-1, 0), (0, 1), (i64::MAX, 0)] {
            assert!(PythonTime::new(doubtful).is_none(), "{doubtful:?}");
        }
    }

    #[test]
    fn dates_of_the_fixed_form_are_compared_as_numbers() {
        let date = http_date(784_111_777).unwrap();
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(fixed_form(date.as_bytes()), Some((1994, 10, 6, 8, 49, 37)));
        assert_eq!(seconds(&date), Some(784_111_777));
        assert!(fixed_form(b"Sun, 06 Nov 1994 08:49:37 GMT") < fixed_form(b"Mon, 07 Nov 1994 08:49:36 GMT"));
        for other in [
            "",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 0094 08:49:37 GMT",
        ] {
            assert_eq!(fixed_form(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!((http_date(-1), http_date(253_402_300_800)), (None, None));
    }
}
