//! Days and moments in scripts.

use std::fmt;

use jiff::civil::{self, Weekday};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};

use crate::host::Session;
use crate::model::time::{day_of_date, day_of_moment, is_date_only, moment_of_day, weekday_named};
use crate::script::api::value::{Fallible, frozen, invalid, kind_of, run_of};

/// A day; one that came from a moment (a creation time, `now()`) knows that moment too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) day: civil::Date,
    moment: Option<Timestamp>,
    zone: TimeZone,
}

/// A number of days, for arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days(pub(crate) i64);

impl Date {
    pub(crate) fn of_day(day: civil::Date, session: &Session) -> Self {
        Self { day, moment: None, zone: session.zone() }
    }

    /// Returns the day of a start or due date, whose hour means nothing to people.
    pub(crate) fn of_date(date: Timestamp, session: &Session) -> Self {
        Self::of_day(day_of_date(date, &session.zone()), session)
    }

    pub(crate) fn of_moment(moment: Timestamp, session: &Session) -> Self {
        let zone = session.zone();
        Self { day: day_of_moment(moment, &zone), moment: Some(moment), zone }
    }

    /// Returns the day, if it is no more than that.
    pub(crate) fn only_day(&self) -> Option<civil::Date> {
        self.moment.is_none().then_some(self.day)
    }

    /// Returns the moment, if it is one.
    pub(crate) const fn moment(&self) -> Option<Timestamp> {
        self.moment
    }

    /// Reads a day: a Date, or a text such as `2026-12-24`; `None` for `()`.
    pub(crate) fn given(value: &Dynamic, session: &Session, what: &str) -> Fallible<Option<Self>> {
        if value.is_unit() {
            return Ok(None);
        }
        if let Some(date) = value.read_lock::<Self>() {
            return Ok(Some(date.clone()));
        }
        let Ok(text) = value.as_immutable_string_ref() else {
            let kind = kind_of(value);
            return invalid(
                session,
                format!("{what} takes a Date, a text like \"2026-12-24\" or (), not {kind}"),
            );
        };
        match Self::parse(&text, session) {
            Some(date) => Ok(Some(date)),
            None => invalid(session, format!("`{}` is not a date like 2026-12-24", text.as_str())),
        }
    }

    /// Returns the day that a text such as `2026-12-24` stands for, if it is one.
    pub(crate) fn parse(text: &str, session: &Session) -> Option<Self> {
        day_of_text(text).map(|day| Self::of_day(day, session))
    }

    /// Returns the moment to write for it as a due or start date.
    pub(crate) fn to_write(&self) -> Fallible<Timestamp> {
        let moment = moment_of_day(self.day);
        moment.ok_or_else(|| format!("{} cannot be written: too far away", self.day).into())
    }

    fn shifted(&self, span: Span) -> Fallible<Self> {
        let day = self.day.checked_add(span);
        let day = day.map_err(|_| "that day is outside the calendar".to_owned())?;
        Ok(Self { day, moment: None, zone: self.zone.clone() })
    }

    fn at(&self, day: civil::Date) -> Self {
        Self { day, moment: None, zone: self.zone.clone() }
    }

    /// Compares by moment where both have one, else by day.
    pub(crate) fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (self.moment, other.moment) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.day.cmp(&other.day),
        }
    }
}

/// Returns the day that a text such as `2026-12-24` stands for, if it is one.
pub(crate) fn day_of_text(text: &str) -> Option<civil::Date> {
    let text = text.trim();
    text.parse::<civil::Date>().ok().filter(|_| is_date_only(text))
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.moment {
            // To the second; what the service keeps beyond that is noise to people.
            Some(moment) => write!(f, "{moment:.0}"),
            None => self.day.fmt(f),
        }
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "date", functions);
}

#[export_module]
mod functions {
    /// Returns today's date in the configured time zone. It does not change during a run.
    #[rhai_fn(volatile, return_raw)]
    pub fn today(ctx: NativeCallContext) -> Fallible<Date> {
        let session = run_of(&ctx)?.session;
        Ok(Date::of_day(session.today(), &session))
    }

    /// Returns the present moment. It does not change during a run.
    #[rhai_fn(volatile, return_raw)]
    pub fn now(ctx: NativeCallContext) -> Fallible<Date> {
        let session = run_of(&ctx)?.session;
        Ok(Date::of_moment(session.now(), &session))
    }

    /// Reads a day from text: `date("2026-12-24")`.
    #[rhai_fn(volatile, return_raw)]
    pub fn date(ctx: NativeCallContext, text: &str) -> Fallible<Date> {
        let session = run_of(&ctx)?.session;
        let date = Date::given(&text.into(), &session, "date()")?;
        date.ok_or_else(|| "date() takes a text like \"2026-12-24\"".into())
    }

    /// Returns a number of days, to add to a date or subtract from it.
    pub fn days(n: i64) -> Days {
        Days(n)
    }

    /// The year, such as 2026.
    #[rhai_fn(get = "year", pure)]
    pub fn year(date: &mut Date) -> i64 {
        i64::from(date.day.year())
    }

    /// The month, 1 to 12.
    #[rhai_fn(get = "month", pure)]
    pub fn month(date: &mut Date) -> i64 {
        i64::from(date.day.month())
    }

    /// The day of the month, 1 to 31.
    #[rhai_fn(get = "day", pure)]
    pub fn day(date: &mut Date) -> i64 {
        i64::from(date.day.day())
    }

    /// The name of the weekday.
    /// → "monday" | "tuesday" | "wednesday" | "thursday" | "friday" | "saturday" | "sunday"
    #[rhai_fn(get = "weekday", pure)]
    pub fn weekday(date: &mut Date) -> Dynamic {
        let name = match date.day.weekday() {
            Weekday::Monday => "monday",
            Weekday::Tuesday => "tuesday",
            Weekday::Wednesday => "wednesday",
            Weekday::Thursday => "thursday",
            Weekday::Friday => "friday",
            Weekday::Saturday => "saturday",
            Weekday::Sunday => "sunday",
        };
        frozen(name)
    }

    /// The hour, 0 to 23, in the configured time zone; 0 for a date without a time.
    #[rhai_fn(get = "hour", pure)]
    pub fn hour(date: &mut Date) -> i64 {
        date.moment.map_or(0, |moment| i64::from(date.zone.to_datetime(moment).hour()))
    }

    /// The minute, 0 to 59; 0 for a date without a time.
    #[rhai_fn(get = "minute", pure)]
    pub fn minute(date: &mut Date) -> i64 {
        date.moment.map_or(0, |moment| i64::from(date.zone.to_datetime(moment).minute()))
    }

    /// Returns the next day of that name, strictly after this one: `today().next("friday")`.
    #[rhai_fn(pure, return_raw)]
    pub fn next(date: &mut Date, weekday: &str) -> Fallible<Date> {
        let wanted = weekday_named(weekday)
            .ok_or_else(|| format!("`{weekday}` is not the name of a weekday"))?;
        let n = date.day.weekday().until(wanted);
        date.shifted(i64::from(if n == 0 { 7 } else { n }).days())
    }

    /// Returns the Monday of its week.
    #[rhai_fn(pure, return_raw)]
    pub fn start_of_week(date: &mut Date) -> Fallible<Date> {
        let n = Weekday::Monday.until(date.day.weekday());
        date.shifted(i64::from(-n).days())
    }

    /// Returns the first day of its month.
    #[rhai_fn(pure)]
    pub fn start_of_month(date: &mut Date) -> Date {
        date.at(date.day.first_of_month())
    }

    /// Returns the last day of its month.
    #[rhai_fn(pure)]
    pub fn end_of_month(date: &mut Date) -> Date {
        date.at(date.day.last_of_month())
    }

    /// Returns the same day so many months later, or earlier if negative; the last day of the month
    /// where it has no such day.
    #[rhai_fn(pure, return_raw)]
    pub fn add_months(date: &mut Date, months: i64) -> Fallible<Date> {
        let span = Span::new().try_months(months);
        date.shifted(span.map_err(|_| "that day is outside the calendar".to_owned())?)
    }

    /// True if it is a Saturday or Sunday.
    #[rhai_fn(get = "is_weekend", pure)]
    pub fn is_weekend(date: &mut Date) -> bool {
        matches!(date.day.weekday(), Weekday::Saturday | Weekday::Sunday)
    }

    /// Returns the moment of a time on that day in its time zone: `today().at("09:30")`. A time
    /// that the clocks skip is moved later by as much; of a time that they repeat, it is the first.
    #[rhai_fn(name = "at", pure, return_raw)]
    pub fn at_time(date: &mut Date, time: &str) -> Fallible<Date> {
        let parsed = time.trim().parse::<civil::Time>();
        let parsed = parsed.map_err(|_| format!("`{time}` is not a time like 09:30"))?;
        let zoned = date.day.to_datetime(parsed).to_zoned(date.zone.clone());
        let zoned = zoned.map_err(|_| "that moment is outside the calendar".to_owned())?;
        Ok(Date { day: date.day, moment: Some(zoned.timestamp()), zone: date.zone.clone() })
    }

    /// Returns the same moment in another time zone: `now().in_zone("Europe/Berlin").hour`. A date
    /// without a time stays the same day.
    #[rhai_fn(pure, return_raw)]
    pub fn in_zone(date: &mut Date, name: &str) -> Fallible<Date> {
        let zone = TimeZone::get(name)
            .map_err(|_| format!("`{name}` is not a time zone like Europe/Berlin"))?;
        let day = date.moment.map_or(date.day, |moment| day_of_moment(moment, &zone));
        Ok(Date { day, moment: date.moment, zone })
    }

    /// Returns its text by a pattern: `%d.%m.%Y`, `%A`, `%H:%M` and so on (strftime).
    #[rhai_fn(pure, return_raw)]
    pub fn format(date: &mut Date, pattern: &str) -> Fallible<String> {
        let bad = |error: jiff::Error| format!("`{pattern}` is not a pattern for dates: {error}");
        let text = match date.moment {
            Some(moment) => strtime::format(pattern, &moment.to_zoned(date.zone.clone())),
            None => strtime::format(pattern, date.day),
        };
        Ok(text.map_err(bad)?)
    }

    /// The number of days, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn days_to_string(days: &mut Days) -> String {
        days.0.to_string()
    }

    /// As text: `2026-12-24`, or `2026-12-24T09:30:00Z` if it is a moment.
    #[rhai_fn(name = "to_string", name = "to_debug", pure)]
    pub fn date_to_string(date: &mut Date) -> String {
        date.to_string()
    }

    /// Returns the date so many days later.
    #[rhai_fn(name = "+", return_raw)]
    pub fn later(date: Date, days: Days) -> Fallible<Date> {
        shift(&date, days.0)
    }

    /// Returns the date so many days earlier.
    #[rhai_fn(name = "-", return_raw)]
    pub fn earlier(date: Date, days: Days) -> Fallible<Date> {
        shift(&date, days.0.checked_neg().unwrap_or(i64::MAX))
    }

    /// Returns the number of days from the second date to the first.
    #[rhai_fn(name = "-")]
    pub fn between(a: Date, b: Date) -> i64 {
        // Two days of the calendar are at most some seven million days apart.
        b.day.until(a.day).map_or(0, |span| i64::from(span.get_days()))
    }

    /// Returns whether they are the same day (the same moment, where both have one).
    #[rhai_fn(name = "==")]
    pub fn eq(a: Date, b: Date) -> bool {
        a.cmp(&b).is_eq()
    }

    /// Returns whether they are different days.
    #[rhai_fn(name = "!=")]
    pub fn ne(a: Date, b: Date) -> bool {
        a.cmp(&b).is_ne()
    }

    /// Returns whether the first is earlier.
    #[rhai_fn(name = "<")]
    pub fn lt(a: Date, b: Date) -> bool {
        a.cmp(&b).is_lt()
    }

    /// Returns whether the first is not later.
    #[rhai_fn(name = "<=")]
    pub fn le(a: Date, b: Date) -> bool {
        a.cmp(&b).is_le()
    }

    /// Returns whether the first is later.
    #[rhai_fn(name = ">")]
    pub fn gt(a: Date, b: Date) -> bool {
        a.cmp(&b).is_gt()
    }

    /// Returns whether the first is not earlier.
    #[rhai_fn(name = ">=")]
    pub fn ge(a: Date, b: Date) -> bool {
        a.cmp(&b).is_ge()
    }
}

fn shift(date: &Date, n: i64) -> Fallible<Date> {
    if !(-10_000_000..=10_000_000).contains(&n) {
        return Err("that day is outside the calendar".into());
    }
    let span =
        Span::new().try_days(n).map_err(|_| "that day is outside the calendar".to_owned())?;
    date.shifted(span)
}
