//! Dates and times: PostgreSQL counts from 2000, people in years, months and days.

/// Microseconds in a day.
pub const DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's count begins.
const EPOCH: i64 = 10_957;

/// A point in time, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// From 1 to 9999.
    pub year: i32,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// Since midnight.
    pub micros: i64,
}

impl Moment {
    /// Of microseconds since 2000; `None` before the year 1, after 9999, and for the infinities.
    pub fn from_micros(micros: i64) -> Option<Moment> {
        let days = i32::try_from(micros.div_euclid(DAY)).ok()?;
        let (year, month, day) = civil(days)?;
        Some(Moment { year, month, day, micros: micros.rem_euclid(DAY) })
    }

    /// Microseconds since 2000.
    pub fn to_micros(self) -> i64 {
        i64::from(days(self.year, self.month, self.day)) * DAY + self.micros
    }
}

/// Year, month and day of so many days since 2000-01-01; `None` where the year would not be one from 1 to 9999.
pub fn civil(days: i32) -> Option<(i32, u8, u8)> {
    // The years begin in March, in eras of 400 years, so that the leap day is the last of a year.
    let z = i64::from(days) + EPOCH + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if !(1..=9999).contains(&year) {
        return None;
    }
    Some((i32::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

/// Days since 2000-01-01 of a date of the years 1 to 9999.
pub fn days(year: i32, month: u8, day: u8) -> i32 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(month);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + i64::from(day) - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    // Years of four digits: far from the bounds.
    (era * 146_097 + of_era - 719_468 - EPOCH) as i32
}

#[cfg(test)]
mod tests {
    use super::{civil, days, Moment, DAY};

    #[test]
    fn days_and_dates_are_inverse() {
        assert_eq!(days(2000, 1, 1), 0);
        assert_eq!(days(1970, 1, 1), -10_957);
        assert_eq!(civil(59), Some((2000, 2, 29)));
        for day in (-730_119..2_921_940).step_by(97) {
            let (year, month, of_month) = civil(day).unwrap();
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!((civil(-730_119), civil(-730_120)), (Some((1, 1, 1)), None));
        assert_eq!((civil(2_921_939), civil(2_921_940)), (Some((9999, 12, 31)), None));
        assert_eq!((civil(i32::MAX), civil(i32::MIN)), (None, None));
    }

    #[test]
    fn a_moment_before_2000_has_its_own_day() {
        let moment = Moment::from_micros(-1).unwrap();
        assert_eq!(moment, Moment { year: 1999, month: 12, day: 31, micros: DAY - 1 });
        assert_eq!(moment.to_micros(), -1);
        assert_eq!((Moment::from_micros(i64::MAX), Moment::from_micros(i64::MIN)), (None, None));
    }
}
