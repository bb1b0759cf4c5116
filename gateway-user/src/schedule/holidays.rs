//! Public holidays, from `data/holidays.tsv`.

use jiff::civil::Date;

const HOLIDAYS: &str = include_str!("../../data/holidays.tsv");

fn lines(country: &str) -> impl Iterator<Item = Date> {
    HOLIDAYS.lines().filter(|line| !line.starts_with('#')).filter_map(move |line| {
        let mut columns = line.split('\t');
        if columns.next()? != country {
            return None;
        }
        columns.next()?.parse().ok()
    })
}

/// The public holidays of a country, in order; `None` where there are no data for it.
pub fn holidays(country: &str) -> Option<Vec<Date>> {
    let days: Vec<Date> = lines(country).collect();
    (!days.is_empty()).then_some(days)
}

/// The last holiday that is known of a country: behind it the data end.
pub fn last_holiday(country: &str) -> Option<Date> {
    lines(country).last()
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;

    use super::*;

    #[test]
    fn every_line_is_read_and_they_are_in_order() {
        let rows = HOLIDAYS.lines().filter(|line| !line.starts_with('#')).count();
        let days = holidays("JP").unwrap();
        assert_eq!(days.len(), rows);
        assert!(days.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(holidays("ZZ"), None);
    }

    /// Articles 2 and 3 of the Act: fixed days, Mondays, a substitute behind a Sunday, a day between two holidays.
    #[test]
    fn the_holidays_of_japan_are_those_of_the_act() {
        let known = holidays("JP").unwrap();
        for (year, vernal, autumnal) in [(2026, 20, 23), (2027, 21, 23), (2028, 20, 22)] {
            let day = |month, day| Date::new(year, month, day).unwrap();
            let monday = |month, nth| day(month, 1).nth_weekday_of_month(nth, Weekday::Monday).unwrap();
            let mut days = vec![
                day(1, 1),
                monday(1, 2),
                day(2, 11),
                day(2, 23),
                day(3, vernal),
                day(4, 29),
                day(5, 3),
                day(5, 4),
                day(5, 5),
                monday(7, 3),
                day(8, 11),
                monday(9, 3),
                day(9, autumnal),
                monday(10, 2),
                day(11, 3),
                day(11, 23),
            ];
            for sunday in days.clone().into_iter().filter(|day| day.weekday() == Weekday::Sunday) {
                let mut substitute = sunday.tomorrow().unwrap();
                while days.contains(&substitute) {
                    substitute = substitute.tomorrow().unwrap();
                }
                days.push(substitute);
            }
            days.sort_unstable();
            for pair in days.clone().windows(2) {
                let between = pair[0].tomorrow().unwrap();
                if between.tomorrow().unwrap() == pair[1] && !days.contains(&between) {
                    days.push(between);
                }
            }
            days.sort_unstable();
            let found: Vec<Date> = known.iter().copied().filter(|day| day.year() == year).collect();
            assert_eq!(found, days, "{year}");
        }
    }
}
