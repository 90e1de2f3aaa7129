//! dateTime: ISO 8601, in UTC.

/// The dateTime that stands for a time that is not known.
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// [`UNKNOWN_TIME`] in milliseconds since 1970.
pub const UNKNOWN_TIME_MS: i64 = -62_135_596_800_000;

/// The end of the year 9999: later times cannot be written.
const LAST_MS: i64 = 253_402_300_799_999;

const DAY_MS: i64 = 86_400_000;

/// Writes milliseconds since 1970 as a dateTime in UTC, with a fraction if there is one. Times before the year 1 and after 9999
/// are moved to the nearest that can be written.
pub fn format_datetime(ms: i64) -> String {
    let ms = ms.clamp(UNKNOWN_TIME_MS, LAST_MS);
    let (year, month, day) = date_of(ms.div_euclid(DAY_MS));
    let in_day = ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    let fraction = match in_day % 1000 {
        0 => String::new(),
        thousandths => format!(".{thousandths:03}"),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Reads a dateTime with `Z` or an offset such as `+01:00`, as milliseconds since 1970; finer fractions are cut off. `None` if it is
/// none, or has no time zone.
pub fn parse_datetime(text: &str) -> Option<i64> {
    let mut scan = Scan(text.as_bytes());
    let year = scan.digits(4)?;
    let month = scan.after(b'-')?.digits(2)?;
    let day = scan.after(b'-')?.digits(2)?;
    let hour = scan.after(b'T')?.digits(2)?;
    let minute = scan.after(b':')?.digits(2)?;
    let second = scan.after(b':')?.digits(2)?;
    let thousandths = scan.fraction()?;
    let zone = scan.zone_minutes()?;
    let valid = year >= 1 && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 59 || !scan.0.is_empty() {
        return None;
    }
    let minutes = (day_number(year, month, day) * 24 + hour) * 60 + minute - zone;
    Some((minutes * 60 + second) * 1000 + thousandths)
}

struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    }

    fn after(&mut self, byte: u8) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(self)
    }

    /// Thousandths of a second; 0 without a fraction.
    fn fraction(&mut self) -> Option<i64> {
        let Some(rest) = self.0.strip_prefix(b".") else { return Some(0) };
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = rest.split_at_checked(count)?;
        self.0 = rest;
        let weights = [100, 10, 1];
        (count > 0).then(|| digits.iter().zip(weights).map(|(b, weight)| i64::from(b - b'0') * weight).sum())
    }

    /// Minutes east of UTC.
    fn zone_minutes(&mut self) -> Option<i64> {
        let (sign, rest) = self.0.split_first()?;
        self.0 = rest;
        let sign = match sign {
            b'Z' => return Some(0),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = (self.digits(2)?, self.after(b':')?.digits(2)?);
        (hours <= 14 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is the last one.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`day_number`].
fn date_of(day_number: i64) -> (i64, i64, i64) {
    let days = day_number + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            (UNKNOWN_TIME, UNKNOWN_TIME_MS),
            ("2021-06-06T08:00:00Z", 1_622_966_400_000),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("1969-12-31T23:59:59.500Z", -500),
            ("9999-12-31T23:59:59.999Z", LAST_MS),
        ] {
            assert_eq!(format_datetime(ms), text);
            assert_eq!(parse_datetime(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn zones_and_fractions() {
        assert_eq!(parse_datetime("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_datetime("1969-12-31T23:30:00-00:30"), Some(0));
        assert_eq!(parse_datetime("1970-01-01T00:00:00.1Z"), Some(100));
        assert_eq!(parse_datetime("1970-01-01T00:00:00.123456Z"), Some(123));
    }

    #[test]
    fn what_is_no_date_time_is_refused() {
        for bad in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00.Z",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:00Zx",
            "1970-01-01T00:00:00+0100",
            "1970-01-01 00:00:00Z",
            "0000-01-01T00:00:00Z",
            "+970-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_datetime(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_goes_both_ways() {
        for day in 0..146_097 {
            let (y, m, d) = date_of(day);
            assert_eq!(day_number(y, m, d), day);
            assert!(d <= days_in(y, m));
        }
        assert_eq!(format_datetime(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(format_datetime(i64::MIN), UNKNOWN_TIME);
    }
}
