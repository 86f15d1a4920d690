//! Random expressions against an oracle that checks every minute of a window by itself.

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;

use super::*;

/// Zone and window. Most windows hold a clock change.
const WINDOWS: &[(&str, &str, i64)] = &[
    ("UTC", "2026-12-30T21:17:00Z", 4),
    ("UTC", "2028-02-27T00:00:00Z", 4),
    ("Europe/Berlin", "2026-03-28T05:00:00Z", 2),
    ("Europe/Berlin", "2026-10-24T05:00:00Z", 2),
    ("Australia/Sydney", "2026-04-04T00:00:00Z", 2),
    ("Australia/Sydney", "2026-10-03T00:00:00Z", 2),
    // Half an hour.
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
    // At midnight.
    ("America/Santiago", "2026-04-04T00:00:00Z", 2),
    ("America/Santiago", "2026-09-05T00:00:00Z", 2),
    ("Africa/Cairo", "2026-04-23T00:00:00Z", 2),
    ("Africa/Cairo", "2026-10-29T00:00:00Z", 2),
    // At one minute past midnight, so that a date is left and comes again.
    ("America/St_Johns", "2010-11-06T12:00:00Z", 2),
    // A whole day.
    ("Pacific/Apia", "2011-12-29T00:00:00Z", 3),
    // Months, for dates and weekdays; the change of the year.
    ("Asia/Kathmandu", "2027-11-20T00:00:00Z", 120),
    ("America/New_York", "2026-01-01T00:00:00Z", 400),
];

/// A deterministic generator of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const MINUTES: (u64, u64) = (0, 59);
const HOURS: (u64, u64) = (0, 23);
const DAYS: (u64, u64) = (1, 31);
const MONTHS: (u64, u64) = (1, 12);
const WEEKDAYS: (u64, u64) = (0, 6);

fn random_item(numbers: &mut Numbers, (min, max): (u64, u64)) -> String {
    let low = min + numbers.below(max - min + 1);
    let high = low + numbers.below(max - low + 1);
    let step = 1 + numbers.below(max / 2);
    match numbers.below(6) {
        0 | 1 => format!("{low}"),
        2 => format!("{low}-{high}"),
        3 => format!("{low}-{high}/{step}"),
        4 => format!("{low}/{step}"),
        _ => format!("{}/{step}", numbers.of(&["*", "?"])),
    }
}

fn random_field(numbers: &mut Numbers, bounds: (u64, u64)) -> String {
    let mut items: Vec<String> = (0..=numbers.below(3)).map(|_| random_item(numbers, bounds)).collect();
    match numbers.below(5) {
        0 | 1 => numbers.of(&["*", "?"]).to_owned(),
        2 => {
            items.push("*".to_owned());
            items.join(",")
        }
        _ => items.join(","),
    }
}

fn random_cron(numbers: &mut Numbers) -> String {
    let fields = [MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS].map(|bounds| random_field(numbers, bounds));
    fields.join(" ")
}

/// Returns an expression that fires in one minute of random days, for windows of months.
fn random_daily_cron(numbers: &mut Numbers) -> String {
    let days = [DAYS, MONTHS, WEEKDAYS].map(|bounds| random_field(numbers, bounds));
    format!("{} {} {}", numbers.below(60), numbers.below(24), days.join(" "))
}

/// Returns whether one field matches one value, by the grammar and one item at a time.
fn field_matches(field: &str, value: u64, (min, max): (u64, u64)) -> bool {
    field.split(',').any(|item| {
        let mut parts = item.split('/');
        let range = parts.next().unwrap();
        let step = parts.next().map(|step| step.parse::<u64>().unwrap());
        let ends: Vec<u64> = range.split('-').filter_map(|end| end.parse().ok()).collect();
        let (low, high) = match (ends.as_slice(), step) {
            ([], _) => (min, max),
            ([low], None) => (*low, *low),
            ([low], Some(_)) => (*low, max),
            ([low, high], _) => (*low, *high),
            _ => unreachable!("the generator writes no such item: {item}"),
        };
        (low..=high).contains(&value) && (value - low).is_multiple_of(step.unwrap_or(1))
    })
}

fn is_star(field: &str) -> bool {
    field.split(',').any(|item| matches!(item, "*" | "?" | "*/1" | "?/1"))
}

/// The oracle of one expression: for every field, which of its values match.
struct Oracle {
    fields: [Vec<bool>; 5],
    both_days: bool,
}

impl Oracle {
    fn new(cron: &str) -> Oracle {
        let texts: Vec<&str> = cron.split(' ').collect();
        let matching = |index: usize, bounds: (u64, u64)| {
            (0..=bounds.1).map(|value| field_matches(texts[index], value, bounds)).collect()
        };
        Oracle {
            fields: [
                matching(0, MINUTES),
                matching(1, HOURS),
                matching(2, DAYS),
                matching(3, MONTHS),
                matching(4, WEEKDAYS),
            ],
            both_days: is_star(texts[2]) || is_star(texts[4]),
        }
    }

    fn fires(&self, local: DateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let in_month = days[local.day() as usize];
        let in_week = weekdays[local.weekday().to_sunday_zero_offset() as usize];
        local.second() == 0
            && minutes[local.minute() as usize]
            && hours[local.hour() as usize]
            && months[local.month() as usize]
            && if self.both_days { in_month && in_week } else { in_month || in_week }
    }
}

#[test]
fn random_expressions_fire_exactly_when_the_oracle_says_in_every_zone_and_window() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut slots_seen = 0;
    for (zone_name, start, days) in WINDOWS {
        let zone = TimeZoneDatabase::bundled().get(zone_name).unwrap();
        let start = at(start);
        let end = start + jiff::SignedDuration::from_hours(24 * days);
        let minutes: Vec<(Timestamp, DateTime)> = (start.as_second() + 60..=end.as_second())
            .step_by(60)
            .map(|second| Timestamp::from_second(second).unwrap())
            .map(|minute| (minute, zone.to_datetime(minute)))
            .collect();
        let long = *days > 10;
        for _ in 0..if long { 10 } else { 60 } {
            let cron = if long { random_daily_cron(&mut numbers) } else { random_cron(&mut numbers) };
            let oracle = Oracle::new(&cron);
            let firing = minutes.iter().filter(|(_, local)| oracle.fires(*local));
            let expected: Vec<Timestamp> = firing.map(|(minute, _)| *minute).collect();
            let Ok(schedule) = Schedule::parse(&cron, Some(zone_name)) else {
                assert_eq!(expected, [], "{cron} in {zone_name} is refused, but fires");
                continue;
            };
            let following = |last: &Timestamp| schedule.next_after(*last, start);
            let found: Vec<Timestamp> = std::iter::successors(schedule.next_after(start, start), following)
                .take_while(|slot| *slot <= end)
                .collect();
            assert_eq!(found, expected, "{cron} in {zone_name}");
            assert_eq!(schedule.count(start, end, start), expected.len() as u64, "{cron} in {zone_name}");
            let mut backward = schedule.latest(start, end, start, usize::MAX);
            backward.reverse();
            assert_eq!(backward, expected, "{cron} in {zone_name}");
            slots_seen += expected.len();
        }
    }
    assert!(slots_seen > 20_000, "only {slots_seen} slots: the expressions are too rare to prove anything");
}

#[test]
fn count_and_latest_agree_with_next_between_random_instants() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    for _ in 0..300 {
        let cron = random_cron(&mut numbers);
        let zone = numbers.of(&["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago"]);
        let Ok(schedule) = Schedule::parse(&cron, Some(zone)) else { continue };
        let from = Timestamp::from_second(1_767_225_600 + numbers.below(31_536_000) as i64).unwrap();
        let until = from + jiff::SignedDuration::from_secs(numbers.below(200_000) as i64);
        let following = |last: &Timestamp| schedule.next_after(*last, from);
        let slots: Vec<Timestamp> = std::iter::successors(schedule.next_after(from, from), following)
            .take_while(|slot| *slot <= until)
            .collect();
        assert_eq!(schedule.count(from, until, from), slots.len() as u64, "{cron} in {zone} from {from}");
        let latest: Vec<Timestamp> = slots.iter().rev().take(3).copied().collect();
        assert_eq!(schedule.latest(from, until, from, 3), latest, "{cron} in {zone} from {from}");
    }
}
