//! Go's date layouts: formatting and parsing times after the pattern of `Mon Jan 2 15:04:05 2006 MST`.

use super::time::{Civil, Time, days_in, days_to};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A part of a layout that stands for a part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Offset(OffsetStyle),
    /// `.000`: the separator, the number of digits, and whether trailing zeros are kept.
    Fraction(u8, usize, bool),
}

/// The format of an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetStyle {
    /// Whether UTC is written as `Z`.
    z: bool,
    colons: bool,
    minutes: bool,
    seconds: bool,
}

const fn offset(z: bool, colons: bool, minutes: bool, seconds: bool) -> Part {
    Part::Offset(OffsetStyle { z, colons, minutes, seconds })
}

/// The parts. Of several with a common prefix, the longest comes first.
const PARTS: [(&str, Part); 33] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("01", Part::ZeroMonth),
    ("002", Part::ZeroYearDay),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth),
    ("2006", Part::LongYear),
    ("2", Part::Day),
    ("__2", Part::UnderYearDay),
    ("_2", Part::UnderDay),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
    ("PM", Part::UpperPm),
    ("pm", Part::LowerPm),
    ("-070000", offset(false, false, true, true)),
    ("-07:00:00", offset(false, true, true, true)),
    ("-0700", offset(false, false, true, false)),
    ("-07:00", offset(false, true, true, false)),
    ("-07", offset(false, false, false, false)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z07", offset(true, false, false, false)),
];

/// Returns the part at the start of `layout`, and its length.
fn part_at(layout: &str) -> Option<(Part, usize)> {
    let bytes = layout.as_bytes();
    if let [mark @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = bytes {
        let digits = bytes[1..].iter().take_while(|b| *b == digit).count();
        let ends = !bytes.get(1 + digits).is_some_and(u8::is_ascii_digit);
        return ends.then_some((Part::Fraction(*mark, digits, *digit == b'0'), 1 + digits));
    }
    // An underscore before a year is plain text.
    if layout.starts_with("_2006") {
        return None;
    }
    let (text, part) = PARTS.iter().find(|(text, _)| layout.starts_with(text))?;
    let more_letters = bytes.get(text.len()).is_some_and(u8::is_ascii_lowercase);
    if more_letters && matches!(part, Part::Month | Part::Weekday) {
        return None;
    }
    Some((*part, text.len()))
}

/// Returns the text before the next part, the part, and the rest.
fn next_part(layout: &str) -> (&str, Option<Part>, &str) {
    for (at, _) in layout.char_indices() {
        if let Some((part, length)) = part_at(&layout[at..]) {
            return (&layout[..at], Some(part), &layout[at + length..]);
        }
    }
    (layout, None, "")
}

/// Formats `time` by `layout`.
pub(super) fn format(time: &Time, mut layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::new();
    loop {
        let (before, part, rest) = next_part(layout);
        out.push_str(before);
        let Some(part) = part else { return out };
        layout = rest;
        let twelve = (civil.hour + 11) % 12 + 1;
        let month = MONTHS[civil.month as usize - 1];
        let weekday = DAYS[civil.weekday as usize];
        out.push_str(&match part {
            Part::LongMonth => month.into(),
            Part::Month => month[..3].into(),
            Part::NumMonth => civil.month.to_string(),
            Part::ZeroMonth => format!("{:02}", civil.month),
            Part::LongWeekday => weekday.into(),
            Part::Weekday => weekday[..3].into(),
            Part::Day => civil.day.to_string(),
            Part::UnderDay => format!("{:2}", civil.day),
            Part::ZeroDay => format!("{:02}", civil.day),
            Part::UnderYearDay => format!("{:3}", civil.day_of_year),
            Part::ZeroYearDay => format!("{:03}", civil.day_of_year),
            Part::Hour => format!("{:02}", civil.hour),
            Part::Hour12 => twelve.to_string(),
            Part::ZeroHour12 => format!("{twelve:02}"),
            Part::Minute => civil.minute.to_string(),
            Part::ZeroMinute => format!("{:02}", civil.minute),
            Part::Second => civil.second.to_string(),
            Part::ZeroSecond => format!("{:02}", civil.second),
            Part::LongYear if civil.year < 0 => format!("-{:04}", -civil.year),
            Part::LongYear => format!("{:04}", civil.year),
            Part::Year => format!("{:02}", civil.year.abs() % 100),
            Part::UpperPm => if civil.hour >= 12 { "PM" } else { "AM" }.into(),
            Part::LowerPm => if civil.hour >= 12 { "pm" } else { "am" }.into(),
            Part::ZoneName if time.zone.is_empty() => format_offset(time.offset, OFFSET),
            Part::ZoneName => time.zone.clone(),
            Part::Offset(style) => format_offset(time.offset, style),
            Part::Fraction(mark, digits, keep) => fraction(time.nanoseconds, mark, digits, keep),
        });
    }
}

/// Formats as `{{ now }}` does.
pub(super) fn printed(time: &Time) -> String {
    format(time, "2006-01-02 15:04:05.999999999 -0700 MST")
}

/// Formats as `printf "%#v"` does: as a Go expression.
pub(super) fn as_source(time: &Time) -> String {
    let zone = match time.zone.as_str() {
        "UTC" => "time.UTC".to_owned(),
        other => format!("time.Location({other:?})"),
    };
    let date = format(time, "2006, time.January, 2, ");
    let Civil { hour, minute, second, .. } = time.civil();
    // Unlike a layout, Go source has no leading zeros.
    format!(
        "time.Date({}{hour}, {minute}, {second}, {}, {zone})",
        date.trim_start_matches('0'),
        time.nanoseconds
    )
}

const OFFSET: OffsetStyle = OffsetStyle { z: false, colons: false, minutes: true, seconds: false };

fn format_offset(offset: i32, style: OffsetStyle) -> String {
    if style.z && offset == 0 {
        return "Z".into();
    }
    let sign = if offset / 60 < 0 { '-' } else { '+' };
    let seconds = offset.abs();
    let colon = if style.colons { ":" } else { "" };
    let mut out = format!("{sign}{:02}", seconds / 3600);
    if style.minutes {
        out.push_str(&format!("{colon}{:02}", seconds / 60 % 60));
    }
    if style.seconds {
        out.push_str(&format!("{colon}{:02}", seconds % 60));
    }
    out
}

fn fraction(nanoseconds: u32, mark: u8, digits: usize, keep: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let digits = &all[..digits.min(9)];
    let digits = if keep { digits } else { digits.trim_end_matches('0') };
    if digits.is_empty() { String::new() } else { format!("{}{digits}", mark as char) }
}

/// The fields read so far.
#[derive(Default)]
struct Fields {
    year: i64,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanoseconds: u32,
    afternoon: Option<bool>,
    offset: Option<i32>,
    utc: bool,
    zone: String,
    zone_offset: i32,
}

/// Parses `value` by `layout`. Without a zone in the value the time is in UTC. `None` if the value does not match, or
/// there is no such date.
pub(super) fn parse(mut layout: &str, mut value: &str) -> Option<Time> {
    let mut fields = Fields::default();
    loop {
        let (before, part, rest) = next_part(layout);
        value = skip(value, before)?;
        let Some(part) = part else { break };
        layout = rest;
        value = fields.read(part, value, layout)?;
    }
    if value.is_empty() { fields.time() } else { None }
}

/// Skips `prefix`, in which a run of spaces matches any number of spaces.
fn skip<'v>(mut value: &'v str, mut prefix: &str) -> Option<&'v str> {
    while let Some(c) = prefix.chars().next() {
        if c == ' ' {
            if !value.is_empty() && !value.starts_with(' ') {
                return None;
            }
            prefix = prefix.trim_start_matches(' ');
            value = value.trim_start_matches(' ');
        } else {
            prefix = &prefix[c.len_utf8()..];
            value = value.strip_prefix(c)?;
        }
    }
    Some(value)
}

/// Reads a number of `least` to `most` digits.
fn number(value: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let digits = value.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    Some((value[..digits].parse().ok()?, &value[digits..]))
}

/// Returns the index of the name at the start of `value`, in any case.
fn name<'v>(value: &'v str, names: &[&str], length: Option<usize>) -> Option<(u32, &'v str)> {
    names.iter().zip(0..).find_map(|(name, index)| {
        let name = &name[..length.unwrap_or(name.len())];
        let head = value.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (index, &value[name.len()..]))
    })
}

impl Fields {
    /// Reads one part and returns the rest of the value; `layout` is the rest of the layout.
    fn read<'v>(&mut self, part: Part, value: &'v str, layout: &str) -> Option<&'v str> {
        let (number_read, rest) = match part {
            Part::LongMonth | Part::Month => name(value, &MONTHS, (part == Part::Month).then_some(3))?,
            Part::LongWeekday | Part::Weekday => name(value, &DAYS, (part == Part::Weekday).then_some(3))?,
            Part::NumMonth | Part::Day | Part::Hour | Part::Hour12 | Part::Minute | Part::Second => {
                number(value, 1, 2)?
            }
            Part::UnderDay => number(value.strip_prefix(' ').unwrap_or(value), 1, 2)?,
            Part::ZeroMonth
            | Part::ZeroDay
            | Part::ZeroHour12
            | Part::ZeroMinute
            | Part::ZeroSecond
            | Part::Year => number(value, 2, 2)?,
            Part::UnderYearDay => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                number(value.strip_prefix(' ').unwrap_or(value), 1, 3)?
            }
            Part::ZeroYearDay => number(value, 3, 3)?,
            Part::LongYear => number(value, 4, 4)?,
            Part::UpperPm => name_exact(value, ["AM", "PM"])?,
            Part::LowerPm => name_exact(value, ["am", "pm"])?,
            Part::ZoneName => return self.read_zone_name(value),
            Part::Offset(style) => return self.read_offset(value, style),
            Part::Fraction(_, digits, true) => return self.read_fraction(value, Some(digits)),
            Part::Fraction(_, _, false) => return self.read_fraction(value, None).or(Some(value)),
        };
        match part {
            Part::LongMonth | Part::Month => self.month = Some(number_read + 1),
            Part::NumMonth | Part::ZeroMonth => self.month = Some(within(number_read, 1, 12)?),
            Part::Day | Part::UnderDay | Part::ZeroDay => self.day = Some(number_read),
            Part::UnderYearDay | Part::ZeroYearDay => self.day_of_year = Some(number_read),
            Part::Hour => self.hour = within(number_read, 0, 23)?,
            Part::Hour12 | Part::ZeroHour12 => self.hour = within(number_read, 0, 12)?,
            Part::Minute | Part::ZeroMinute => self.minute = within(number_read, 0, 59)?,
            Part::Year => self.year = i64::from(number_read) + if number_read >= 69 { 1900 } else { 2000 },
            Part::LongYear => self.year = number_read.into(),
            Part::UpperPm | Part::LowerPm => self.afternoon = Some(number_read == 1),
            Part::Second | Part::ZeroSecond => {
                self.second = within(number_read, 0, 59)?;
                // The value may have a fraction that the layout has not.
                let has_fraction = matches!(next_part(layout), (_, Some(Part::Fraction(..)), _));
                if !has_fraction {
                    return self.read_fraction(rest, None).or(Some(rest));
                }
            }
            // A weekday only needs to be a valid name.
            _ => {}
        }
        Some(rest)
    }

    fn read_fraction<'v>(&mut self, value: &'v str, digits: Option<usize>) -> Option<&'v str> {
        let tail = value.strip_prefix(['.', ','])?;
        let count = tail.bytes().take_while(u8::is_ascii_digit).count().min(digits.unwrap_or(usize::MAX));
        if count == 0 || digits.is_some_and(|digits| digits != count) {
            return None;
        }
        self.nanoseconds = format!("{:0<9}", &tail[..count.min(9)]).parse().ok()?;
        Some(&tail[count..])
    }

    fn read_offset<'v>(&mut self, value: &'v str, style: OffsetStyle) -> Option<&'v str> {
        if let Some(rest) = value.strip_prefix('Z').filter(|_| style.z) {
            self.utc = true;
            return Some(rest);
        }
        let negative = value.starts_with('-');
        let (hours, mut rest) = number(value.strip_prefix(['+', '-'])?, 2, 2)?;
        let mut total = within(hours, 0, 24)? * 3600;
        for (unit, wanted) in [(60, style.minutes), (1, style.seconds)] {
            if wanted {
                let tail = if style.colons { rest.strip_prefix(':')? } else { rest };
                let (count, tail) = number(tail, 2, 2)?;
                total += within(count, 0, 60)? * unit;
                rest = tail;
            }
        }
        let total = i32::try_from(total).ok()?;
        self.offset = Some(if negative { -total } else { total });
        Some(rest)
    }

    /// Reads three to five capitals. Without zone data they are a name without an offset, as in Go.
    fn read_zone_name<'v>(&mut self, value: &'v str) -> Option<&'v str> {
        if let Some(rest) = value.strip_prefix("UTC") {
            self.utc = true;
            return Some(rest);
        }
        if let Some(rest) = value.strip_prefix("GMT") {
            // Only this abbreviation can include an offset.
            let hours = rest
                .strip_prefix(['+', '-'])
                .and_then(|rest| number(rest, 1, 2))
                .filter(|(hours, _)| *hours < 24);
            let rest = hours.map_or(rest, |(_, rest)| rest);
            self.zone = value[..value.len() - rest.len()].to_owned();
            let offset = hours.and_then(|(hours, _)| i32::try_from(hours * 3600).ok()).unwrap_or(0);
            self.zone_offset = if self.zone.contains('-') { -offset } else { offset };
            return Some(rest);
        }
        let capitals = value.bytes().take_while(u8::is_ascii_uppercase).count();
        let ends_in_t = capitals > 0 && value.as_bytes()[capitals - 1] == b'T';
        if capitals != 3 && !(matches!(capitals, 4 | 5) && ends_in_t) {
            return None;
        }
        self.zone = value[..capitals].to_owned();
        Some(&value[capitals..])
    }

    fn time(self) -> Option<Time> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let (month, day) = match self.day_of_year {
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
            Some(day_of_year) => {
                let date = date_of_year(self.year, day_of_year)?;
                let agrees = self.month.is_none_or(|m| m == date.0) && self.day.is_none_or(|d| d == date.1);
                agrees.then_some(date)?
            }
        };
        if day < 1 || day > days_in(self.year, month) {
            return None;
        }
        let clock = i64::from(hour * 3600 + self.minute * 60 + self.second);
        let local = days_to(self.year, month, day) * 86_400 + clock;
        let offset = if self.utc { 0 } else { self.offset.unwrap_or(0) };
        // UTC is the local zone, so an offset of zero means UTC.
        let named = !self.utc && !self.zone.is_empty();
        let seconds = local - i64::from(offset);
        let (zone, offset) = match (named, self.offset, offset) {
            // As in Go, the offset of a named zone changes the zone, not the time.
            (true, None, _) => (self.zone, self.zone_offset),
            (true, Some(_), _) => (self.zone, offset),
            (false, _, 0) => ("UTC".into(), 0),
            (false, ..) => (String::new(), offset),
        };
        Some(Time { seconds, nanoseconds: self.nanoseconds, offset, zone })
    }
}

fn date_of_year(year: i64, day_of_year: u32) -> Option<(u32, u32)> {
    let mut left = day_of_year.checked_sub(1)?;
    for month in 1..=12 {
        let days = days_in(year, month);
        if left < days {
            return Some((month, left + 1));
        }
        left -= days;
    }
    None
}

fn name_exact<'v>(value: &'v str, names: [&str; 2]) -> Option<(u32, &'v str)> {
    names.iter().zip(0..).find_map(|(name, index)| Some((index, value.strip_prefix(name)?)))
}

fn within(number: u32, least: u32, most: u32) -> Option<u32> {
    (least..=most).contains(&number).then_some(number)
}
