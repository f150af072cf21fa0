//! The sentences of Sigma rules: text with `{placeholders}`, filled from the event and the window. Not for the rule's manual.

use std::net::IpAddr;

use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{IDENTITIES_KEPT, Identities, Sentence};

use super::event::named;
use super::traces::Named;

/// What a placeholder may stand for besides a field.
pub struct Figures<'f> {
    /// `{count}`: the events, values, sum or average of the window; with `full`, "or more".
    pub count: f64,
    /// Whether the window held no more than that.
    pub full: bool,
    /// `{total}`: how many events the episode has had.
    pub total: u64,
    /// `{timespan}`: the window's length.
    pub span: Millis,
    /// `{threshold}`.
    pub threshold: u64,
    /// `{who}`: the entity.
    pub who: &'f str,
    /// Where fields are looked up first: all values are listed, these before the others.
    pub leading: &'f Identities,
    /// Whom the window names.
    pub named: &'f Named<'f>,
    /// All the rest, also what has been said already.
    pub entity: &'f Identities,
    /// Where they are looked up next.
    pub event: &'f Event,
}

/// The placeholders that are no fields.
pub const WORDS: [&str; 5] = ["count", "total", "timespan", "threshold", "who"];

const LONGEST_VALUE: usize = 120;
const VALUES_SHOWN: usize = 3;

/// The names in braces, in order.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// Fills a sentence in both languages.
pub fn fill(sentence: &Sentence, figures: &Figures<'_>) -> Sentence {
    Sentence { en: fill_text(&sentence.en, figures, false), zh: fill_text(&sentence.zh, figures, true) }
}

fn fill_text(text: &str, figures: &Figures<'_>, chinese: bool) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('{') {
        out.push_str(plain);
        let Some((name, after)) = tail.split_once('}') else {
            out.push('{');
            rest = tail;
            continue;
        };
        out.push_str(&placeholder(name, figures, chinese));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn placeholder(name: &str, figures: &Figures<'_>, chinese: bool) -> String {
    match name {
        "count" if figures.full && chinese => format!("至少 {}", number(figures.count)),
        "count" if figures.full => format!("at least {}", number(figures.count)),
        "count" => number(figures.count),
        "total" => figures.total.to_string(),
        "threshold" => figures.threshold.to_string(),
        "timespan" => span_in_words(figures.span, chinese),
        "who" => shorten(figures.who),
        field => match figures.values(field) {
            (count, first) if count > 0 => first_of(first, count, chinese),
            _ => match named(figures.event, field) {
                Some(value) => shorten(&value),
                None if chinese => "未知".to_owned(),
                None => "unknown".to_owned(),
            },
        },
    }
}

impl Figures<'_> {
    /// How many values a field has, and the first few.
    fn values(&self, field: &str) -> (usize, Vec<String>) {
        let of = |identities: &'_ Identities| identities.0.get(field).cloned().unwrap_or_default();
        let mut values = of(self.leading);
        let mut count = values.len();
        let first = |values: &[String]| values.iter().take(VALUES_SHOWN).map(|value| shorten(value)).collect();
        if self.named.is_empty() {
            return (count, first(&values));
        }
        let rest: Vec<String> = of(self.entity).split_off(values.len());
        let rest = if field == Field::UserName.name() {
            let others: Vec<&str> =
                self.named.users.iter().copied().filter(|user| !values.iter().any(|one| one == user)).collect();
            count += others.len();
            values.extend(others.iter().take(VALUES_SHOWN).map(|user| (*user).to_owned()));
            rest.into_iter().filter(|one| !self.named.users.contains(&one.as_str())).collect()
        } else if field == Field::SourceIp.name() {
            let known: Vec<IpAddr> = values.iter().filter_map(|one| one.parse().ok()).collect();
            let others: Vec<&IpAddr> = self.named.addresses.iter().filter(|one| !known.contains(one)).collect();
            count += others.len();
            values.extend(others.iter().take(VALUES_SHOWN).map(|address| address.to_string()));
            let among = |one: &str| one.parse().is_ok_and(|address| self.named.addresses.contains(&address));
            rest.into_iter().filter(|one| !among(one)).collect()
        } else {
            rest
        };
        count += rest.len();
        values.extend(rest);
        (count.min(IDENTITIES_KEPT), first(&values))
    }
}

fn number(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The first few of several values, and how many more there are.
pub fn list<T: AsRef<str>>(values: &[T], chinese: bool) -> String {
    let shown = values.iter().take(VALUES_SHOWN).map(|value| shorten(value.as_ref())).collect();
    first_of(shown, values.len(), chinese)
}

fn first_of(shown: Vec<String>, count: usize, chinese: bool) -> String {
    let more = count.saturating_sub(VALUES_SHOWN);
    match (more, chinese) {
        (0, false) => shown.join(", "),
        (0, true) => shown.join("、"),
        (more, false) => format!("{} and {more} more", shown.join(", ")),
        (_, true) => format!("{} 等共 {count} 个", shown.join("、")),
    }
}

/// `20 minutes`, `20 分钟`.
pub fn span_in_words(span: Millis, chinese: bool) -> String {
    let seconds = span / 1000;
    let (amount, en, zh) = match seconds {
        day if day >= 172_800 && day % 86_400 == 0 => (day / 86_400, "day", "天"),
        hour if hour >= 3_600 && hour % 3_600 == 0 => (hour / 3_600, "hour", "小时"),
        minute if minute >= 60 && minute % 60 == 0 => (minute / 60, "minute", "分钟"),
        second => (second, "second", "秒"),
    };
    match (chinese, amount) {
        (true, _) => format!("{amount} {zh}"),
        (false, 1) => format!("1 {en}"),
        (false, _) => format!("{amount} {en}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_filled_in_both_languages_and_braces_from_a_log_stay_text() {
        let mut entity = Identities::default();
        entity.add("user.name", "{count}");
        for number in 1..=5 {
            entity.add("source.ip", &format!("203.0.113.{number}"));
        }
        let event = Event::new("");
        let figures = Figures {
            count: 12.0,
            full: false,
            total: 30,
            span: 1_200_000,
            threshold: 10,
            who: "alice",
            leading: &entity,
            named: &Named::default(),
            entity: &entity,
            event: &event,
        };
        let template = Sentence::new(
            "{count} for {user.name} in {timespan} from {source.ip}, {host.name} {",
            "{timespan}，{source.ip}",
        );
        let filled = fill(&template, &figures);
        assert_eq!(
            filled.en,
            "12 for {count} in 20 minutes from 203.0.113.1, 203.0.113.2, 203.0.113.3 and 2 more, unknown {"
        );
        assert_eq!(filled.zh, "20 分钟，203.0.113.1、203.0.113.2、203.0.113.3 等共 5 个");
    }
}
